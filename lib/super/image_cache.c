/* SPDX-License-Identifier: MIT */
/* Finding an image and deciding whether it may be used; see image_cache.h. Making one is in image_make.c. */
#include "super/image_cache.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/digest.h"
#include "base/err.h"
#include "base/fault.h"
#include "base/io.h"
#include "base/parse.h"
#include "base/util.h"

enum { TAG_LEN = 8 }; /* of the boot and of the modules in a name */

static const char usual[] = "usual";

bool pyi_image_has_suffix(const char *name, const char *suffix)
{
	size_t len = strlen(name), suffix_len = strlen(suffix);

	return len > suffix_len && strcmp(name + len - suffix_len, suffix) == 0;
}

/* ----------------------------------------------------------------------------------------------------- the place */

static int find_dir(char *dir, size_t size, struct pyi_err *err)
{
	const char *cache = getenv("XDG_CACHE_HOME"), *home = getenv("HOME");
	int n;

	if (geteuid() == 0)
		n = snprintf(dir, size, "/var/cache/pyisolate");
	else if (cache && cache[0] == '/')
		n = snprintf(dir, size, "%s/pyisolate", cache);
	else if (home && home[0] == '/')
		n = snprintf(dir, size, "%s/.cache/pyisolate", home);
	else
		return pyi_err_set(err, ENOENT,
				   "neither XDG_CACHE_HOME nor HOME names a directory for images");
	if (n < 0 || (size_t)n >= size)
		return pyi_err_set(err, ENAMETOOLONG,
				   "the path of the directory for images is too long");
	return 0;
}

static char cached_boot[64];

void pyi_image_know_boot(const char *id)
{
	snprintf(cached_boot, sizeof(cached_boot), "%s", id);
}

static int read_boot(char tag[TAG_LEN + 1], struct pyi_err *err)
{
	static const char path[] = "/proc/sys/kernel/random/boot_id";
	ssize_t n = (ssize_t)strlen(cached_boot);

	if (!n)
		n = PYI_FAULT(950, EACCES)
			    ? -errno
			    : pyi_read_at(AT_FDCWD, path, cached_boot, sizeof(cached_boot));
	if (n < TAG_LEN || strspn(cached_boot, "0123456789abcdef") < TAG_LEN)
		return pyi_err_sys(err, n < 0 ? (int)-n : EINVAL, "cannot read '%s'", path);
	memcpy(tag, cached_boot, TAG_LEN);
	tag[TAG_LEN] = '\0';
	return 0;
}

static int name_modules(const struct pyi_image_wish *wish, char tag[TAG_LEN + 1], struct pyi_err *err)
{
	_cleanup_buf struct pyi_buf names = PYI_BUF_INIT;
	char hex[2 * PYI_DIGEST_LEN + 1];
	uint8_t digest[PYI_DIGEST_LEN];

	if (!wish->n_preload) {
		snprintf(tag, TAG_LEN + 1, "%s", usual);
		return 0;
	}
	for (size_t i = 0; i < wish->n_preload; i++)
		pyi_buf_printf(&names, "%s\n", wish->preload[i]);
	if (names.failed)
		return pyi_err_nomem(err);
	pyi_digest(names.data, names.len, digest);
	pyi_digest_hex(digest, hex);
	snprintf(tag, TAG_LEN + 1, "%.*s", TAG_LEN, hex);
	return 0;
}

int pyi_image_place_find(const struct pyi_image_wish *wish, struct pyi_image_place *ret_place,
			 struct pyi_err *err)
{
	char key[PYI_IMAGE_KEY_LEN], boot[TAG_LEN + 1], modules[TAG_LEN + 1];
	int ret = find_dir(ret_place->dir, sizeof(ret_place->dir), err);

	if (!ret)
		ret = pyi_image_key(key, sizeof(key), err);
	if (!ret)
		ret = read_boot(boot, err);
	if (!ret)
		ret = name_modules(wish, modules, err);
	if (!ret)
		snprintf(ret_place->file, sizeof(ret_place->file), "%s-%s-%s%s", key, boot, modules,
			 PYI_IMAGE_SUFFIX);
	return ret;
}

/* Whatever the umask takes away. 0 or -1, also when it is there already. */
static int make_private_dir(const char *dir)
{
	return mkdir(dir, 0700) < 0 ? -1 : chmod(dir, 0700);
}

/* The directory's parent, for users who have no ~/.cache yet. What is there already is left as it is. */
static void make_parent(const char *dir)
{
	char parent[PATH_MAX];
	char *slash;

	snprintf(parent, sizeof(parent), "%s", dir);
	slash = strrchr(parent, '/');
	if (slash && slash != parent) {
		*slash = '\0';
		(void)make_private_dir(parent);
	}
}

int pyi_image_dir_open(const char *dir, bool create, int *ret_fd, struct pyi_err *err)
{
	_cleanup_fd int fd = -1;
	struct stat st;

	if (create) {
		make_parent(dir);
		if ((PYI_FAULT(951, EROFS) || make_private_dir(dir) < 0) && errno != EEXIST)
			return pyi_err_sys(err, errno, "cannot make the directory '%s'", dir);
	}
	fd = PYI_FAULT(952, EMFILE)
		     ? -1
		     : open(dir, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK);
	if (fd < 0 && (errno == ENOENT || errno == ENOTDIR) && !create)
		return pyi_err_set(err, ENOENT, "there is no image in '%s' yet", dir);
	if (fd < 0 || fstat(fd, &st) < 0)
		return pyi_err_sys(err, errno, "cannot open the directory '%s'", dir);
	if (st.st_uid != geteuid())
		return pyi_err_set(err, EPERM, "the directory '%s' belongs to user %u", dir,
				   (unsigned int)st.st_uid);
	if (st.st_mode & 077)
		return pyi_err_set(err, EPERM,
				   "the directory '%s' has mode %04o: others may not enter it", dir,
				   (unsigned int)st.st_mode & 07777);
	*ret_fd = pyi_take_fd(&fd);
	return 0;
}

/* ------------------------------------------------------------------------------------------------------ the file */

static uint64_t age_of(const struct stat *st)
{
	struct timespec now;

	clock_gettime(CLOCK_REALTIME, &now);
	return (uint64_t)((int64_t)(now.tv_sec - st->st_mtim.tv_sec) * 1000 +
			  (now.tv_nsec - st->st_mtim.tv_nsec) / 1000000);
}

/* All but what is written in it. `what` it is called in messages. */
static int check_file(const struct stat *st, const char *what, uint64_t max_age_ms, struct pyi_err *err)
{
	char text[32];
	int64_t age_ms = (int64_t)age_of(st);

	if (!S_ISREG(st->st_mode))
		return pyi_err_set(err, EINVAL, "%s is not a file", what);
	if (st->st_uid != geteuid())
		return pyi_err_set(err, EPERM, "%s belongs to user %u", what, (unsigned int)st->st_uid);
	if ((st->st_mode & 07777) != 0600)
		return pyi_err_set(err, EPERM, "%s has mode %04o, not 0600", what,
				   (unsigned int)st->st_mode & 07777);
	if (st->st_nlink != 1)
		return pyi_err_set(err, EPERM, "%s has %lu links, not 1", what,
				   (unsigned long)st->st_nlink);
	if (max_age_ms == UINT64_MAX)
		return 0;
	if (age_ms < 0)
		return pyi_err_set(err, ESTALE, "%s comes from the future", what);
	if ((uint64_t)age_ms > max_age_ms)
		return pyi_err_set(err, ESTALE, "%s is older than %s", what,
				   pyi_format_duration(max_age_ms, text));
	return 0;
}

static int open_image(int dir_fd, const char *name, const char *what, uint64_t max_age_ms,
		      struct pyi_image_info *ret_info, int *ret_fd, struct pyi_err *err)
{
	_cleanup_fd int fd = -1;
	struct stat st;
	int ret;

	if (!PYI_FAULT(953, EMFILE))
		fd = openat(dir_fd, name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY);
	if (fd < 0 && errno == ENOENT)
		return pyi_err_set(err, ENOENT, "there is no image %s yet", what);
	if (fd < 0 && errno == ELOOP)
		return pyi_err_set(err, ELOOP, "%s is a symbolic link", what);
	if (fd < 0 || PYI_FAULT(954, EIO) || fstat(fd, &st) < 0)
		return pyi_err_sys(err, errno, "cannot open %s", what);
	if (ret_info)
		ret_info->bytes = (uint64_t)st.st_size;
	ret = check_file(&st, what, max_age_ms, err);
	if (ret)
		return ret;
	ret = pyi_image_check(fd, ret_info, err);
	if (ret)
		return pyi_err_add(err, "%s", what);
	*ret_fd = pyi_take_fd(&fd);
	return 0;
}

int pyi_image_find(const struct pyi_image_wish *wish, int *ret_fd, struct pyi_err *err)
{
	char what[PATH_MAX + PYI_IMAGE_FILE_LEN + 4];
	struct pyi_image_place place;
	_cleanup_fd int dir_fd = -1;
	int ret;

	ret = pyi_image_place_find(wish, &place, err);
	if (!ret)
		ret = pyi_image_dir_open(place.dir, false, &dir_fd, err);
	if (ret)
		return ret;
	snprintf(what, sizeof(what), "'%s/%s'", place.dir, place.file);
	return open_image(dir_fd, place.file, what, wish->max_age_ms, NULL, ret_fd, err);
}

/* ------------------------------------------------------------------------------------------------------ the list */

/* KEY-BOOT-MODULES.image against what this binary would ask for: what does not fit? */
static int check_name(const char *name, const struct pyi_image_place *place, struct pyi_err *err)
{
	size_t tail = strlen(usual) + strlen(PYI_IMAGE_SUFFIX) + 1;
	size_t head = strlen(place->file) - tail; /* "KEY-BOOT" */
	size_t key = head - TAG_LEN - 1;

	if (strncmp(name, place->file, key) != 0)
		return pyi_err_set(err, ESTALE,
				   "made by another build of pyisolate, or for another CPU");
	if (strncmp(name, place->file, head) != 0)
		return pyi_err_set(err, ESTALE, "made before the kernel was booted");
	return 0;
}

static void describe(int dir_fd, const struct dirent *file, const struct pyi_image_place *place,
		     uint64_t max_age_ms, struct pyi_image_entry *entry)
{
	_cleanup_fd int fd = -1;
	struct stat st = { 0 };

	snprintf(entry->path, sizeof(entry->path), "%s/%s", place->dir, file->d_name);
	entry->is_usual = strcmp(file->d_name, place->file) == 0;
	if (fstatat(dir_fd, file->d_name, &st, AT_SYMLINK_NOFOLLOW) == 0) {
		entry->info.bytes = (uint64_t)st.st_size;
		entry->age_s = (int64_t)age_of(&st) < 0 ? 0 : age_of(&st) / 1000;
	}
	entry->is_valid = !check_name(file->d_name, place, &entry->why) &&
			  !open_image(dir_fd, file->d_name, "it", max_age_ms, &entry->info, &fd,
				      &entry->why);
}

int pyi_image_list(uint64_t max_age_ms, void (*each)(const struct pyi_image_entry *entry, void *data),
		   void *data, struct pyi_err *err)
{
	const struct pyi_image_wish wish = { .max_age_ms = max_age_ms };
	struct pyi_image_place place;
	struct dirent *file;
	int dir_fd = -1, ret;
	DIR *dir;

	ret = pyi_image_place_find(&wish, &place, err);
	if (!ret)
		ret = pyi_image_dir_open(place.dir, false, &dir_fd, err);
	if (ret)
		return ret == -ENOENT ? 0 : ret;
	dir = fdopendir(dir_fd);
	if (!dir) {
		close(dir_fd);
		return pyi_err_sys(err, errno, "cannot read the directory '%s'", place.dir);
	}
	while ((file = readdir(dir)) != NULL) {
		struct pyi_image_entry entry = { .age_s = 0 };

		if (!pyi_image_has_suffix(file->d_name, PYI_IMAGE_SUFFIX))
			continue;
		describe(dir_fd, file, &place, max_age_ms, &entry);
		each(&entry, data);
	}
	closedir(dir);
	return 0;
}
