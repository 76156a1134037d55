/* SPDX-License-Identifier: MIT */
/* See tree_places.h. */
#include "kernel/tree_places.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/err.h"
#include "base/fault.h"
#include "base/util.h"
#include "kernel/mount.h"
#include "kernel/sys.h"
#include "kernel/tree_units.h"

#define WORK	     PYI_TREE_WORK_DIR
#define WRITABLE     "own"
#define MASK_DIR     "mask"
#define MASK_FILE    "mask-file"
#define ATTRS_SEALED (MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV | MOUNT_ATTR_RDONLY | MOUNT_ATTR_NOEXEC)

static const char *const work_dirs[] = { WRITABLE, PYI_TREE_STAGE_DIR, PYI_TREE_GONE_DIR, MASK_DIR };
static const char *const work_files[] = { PYI_TREE_STAGE_FILE, PYI_TREE_GONE_FILE, MASK_FILE };

static const char *below(const char *name, char path[PATH_MAX])
{
	snprintf(path, PATH_MAX, WORK "/%s", name);
	return path;
}

/* Nothing of this was ever seen by the guest, or it has nothing on it. */
static void clear(const char *name)
{
	char path[PATH_MAX];

	while (umount2(below(name, path), MNT_DETACH | UMOUNT_NOFOLLOW) == 0)
		;
}

static int make_work_dir(int own_fd)
{
	char path[PATH_MAX];

	if (mkdirat(own_fd, &WORK[1], 0) < 0 && errno != EEXIST)
		return -1;
	for (size_t i = 0; i < PYI_ARRAY_SIZE(work_dirs); i++)
		if (mkdirat(own_fd, below(work_dirs[i], path) + 1, 0) < 0 && errno != EEXIST)
			return -1;
	for (size_t i = 0; i < PYI_ARRAY_SIZE(work_files); i++)
		if (mknodat(own_fd, below(work_files[i], path) + 1, S_IFREG, 0) < 0 && errno != EEXIST)
			return -1;
	return 0;
}

/* The second mount of the tmpfs, if an earlier reload has left it; -1: no. Nobody but us mounts anything there. */
static int find_own(const struct pyi_tree_places *places)
{
	_cleanup_fd int fd = openat(places->root_fd, &(WORK "/" WRITABLE)[1],
				    O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	struct statx st;

	if (fd < 0 || statx(fd, "", AT_EMPTY_PATH, STATX_BASIC_STATS, &st) < 0 ||
	    !(st.stx_attributes & STATX_ATTR_MOUNT_ROOT))
		return -1;
	return pyi_take_fd(&fd);
}

static int attach_own(struct pyi_tree_places *places, struct pyi_err *err)
{
	_cleanup_fd int target_fd = -1;
	int ret;

	/* Attached, because the kernel copies no mount of what is not (before Linux 6.15). */
	target_fd = openat(places->root_fd, &(WORK "/" WRITABLE)[1], O_PATH | O_NOFOLLOW | O_CLOEXEC);
	if (target_fd < 0)
		return pyi_err_sys(err, errno, "cannot open the working directory in the sandbox");
	ret = pyi_mount_attach(places->own_fd, target_fd, err);
	if (ret == -ENOSPC)
		return pyi_err_set(err, ENOSPC,
				   "the sandbox has as many mounts as fs.mount-max lets it have");
	places->is_attached = ret == 0;
	return ret;
}

int pyi_tree_places_begin(struct pyi_tree_places *places, struct pyi_err *err)
{
	struct mount_attr writable = { .attr_clr = MOUNT_ATTR_RDONLY };

	places->root_fd = open("/", O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (places->root_fd < 0)
		return pyi_err_sys(err, errno, "cannot open the sandbox's root");
	places->own_fd = find_own(places);
	places->is_attached = places->own_fd >= 0;
	if (places->is_attached) {
		clear(PYI_TREE_GONE_DIR);
		clear(PYI_TREE_GONE_FILE);
		clear(PYI_TREE_STAGE_DIR);
		clear(PYI_TREE_STAGE_FILE);
	} else {
		places->own_fd = open_tree(places->root_fd, "",
					   OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC | AT_EMPTY_PATH);
	}
	if (places->own_fd < 0 || PYI_FAULT(265, EPERM) ||
	    mount_setattr(places->own_fd, "", AT_EMPTY_PATH, &writable, sizeof(writable)) < 0)
		return pyi_err_sys(err, errno, "cannot write to the sandbox's root");
	if (PYI_FAULT(266, ENOSPC) || make_work_dir(places->own_fd) < 0)
		return pyi_err_sys(err, errno, "cannot make a working directory in the sandbox");
	return places->is_attached ? 0 : attach_own(places, err);
}

/*
 * The second mount stays for the next reload, read-only like the first: whoever takes a mount away waits for a grace
 * period. The working directory stays with it.
 */
void pyi_tree_places_end(struct pyi_tree_places *places)
{
	struct mount_attr sealed = { .attr_set = MOUNT_ATTR_RDONLY };

	if (places->is_attached) {
		clear(PYI_TREE_STAGE_DIR);
		clear(PYI_TREE_STAGE_FILE);
		if (PYI_FAULT(274, EBUSY) ||
		    mount_setattr(places->own_fd, "", AT_EMPTY_PATH, &sealed, sizeof(sealed)) < 0)
			clear(WRITABLE);
	}
	pyi_close_fd(&places->own_fd);
	pyi_close_fd(&places->root_fd);
}

int pyi_tree_places_open(struct pyi_tree_places *places, const char *name, int *ret_fd,
			 struct pyi_err *err)
{
	char path[PATH_MAX];
	int fd = openat(places->root_fd, below(name, path) + 1, O_PATH | O_NOFOLLOW | O_CLOEXEC);

	if (fd < 0)
		return pyi_err_sys(err, errno, "cannot open '%s' in the sandbox", path);
	*ret_fd = fd;
	return 0;
}

int pyi_tree_places_aside(struct pyi_tree_places *places, const char *name, bool make, int *ret_fd,
			  struct pyi_err *err)
{
	char path[PATH_MAX];

	if (make && mkdirat(places->own_fd, below(name, path) + 1, 0) < 0 && errno != EEXIST)
		return pyi_err_sys(err, errno, "cannot make '%s' in the sandbox", path);
	return pyi_tree_places_open(places, name, ret_fd, err);
}

static int clone_own(struct pyi_tree_places *places, const char *rel, int *ret_fd, struct pyi_err *err)
{
	struct mount_attr sealed = { .attr_set = ATTRS_SEALED };
	_cleanup_fd int fd = -1;

	if (!PYI_FAULT(267, EPERM))
		fd = open_tree(places->own_fd, rel,
			       OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC | AT_SYMLINK_NOFOLLOW);
	if (fd < 0 || mount_setattr(fd, "", AT_EMPTY_PATH, &sealed, sizeof(sealed)) < 0)
		return pyi_err_sys(err, errno, "cannot clone '/%s' of the sandbox", rel);
	*ret_fd = pyi_take_fd(&fd);
	return 0;
}

int pyi_tree_places_mask(struct pyi_tree_places *places, bool is_dir, int *ret_fd, struct pyi_err *err)
{
	char path[PATH_MAX];

	return clone_own(places, below(is_dir ? MASK_DIR : MASK_FILE, path) + 1, ret_fd, err);
}

int pyi_tree_places_clone(struct pyi_tree_places *places, const char *path, int *ret_fd,
			  struct pyi_err *err)
{
	return clone_own(places, path + 1, ret_fd, err);
}

/* The directory above a path, made and opened for all to pass; *ret_leaf points into path. */
static int open_parent(struct pyi_tree_places *places, const char *path, const char **ret_leaf,
		       int *ret_fd, struct pyi_err *err)
{
	_cleanup_fd int fd = fcntl(places->own_fd, F_DUPFD_CLOEXEC, 0);
	char copy[PATH_MAX];
	char *name = copy + 1, *slash;

	snprintf(copy, sizeof(copy), "%s", path);
	for (; fd >= 0 && (slash = strchr(name, '/')); name = slash + 1) {
		struct stat st;
		int next;

		*slash = '\0';
		if (mkdirat(fd, name, 0755) < 0 && errno != EEXIST)
			return pyi_err_sys(err, errno, "cannot make the directory above");
		next = openat(fd, name, O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
		if (next < 0 || fstat(next, &st) < 0 ||
		    ((st.st_mode & 0111) != 0111 && fchmodat(fd, name, 0755, 0) < 0)) {
			int errnum = errno;

			pyi_close_fd(&next);
			return pyi_err_sys(err, errnum, "cannot open the directory above");
		}
		close(fd);
		fd = next;
	}
	if (fd < 0)
		return pyi_err_sys(err, errno, "cannot open the sandbox's root");
	*ret_leaf = path + (name - copy);
	*ret_fd = pyi_take_fd(&fd);
	return 0;
}

int pyi_tree_places_make(struct pyi_tree_places *places, const char *path, bool is_dir,
			 struct pyi_err *err)
{
	_cleanup_fd int parent_fd = -1;
	const char *leaf;
	struct stat st;
	int ret = open_parent(places, path, &leaf, &parent_fd, err);

	if (ret)
		return ret;
	if (PYI_FAULT(268, ENOSPC) ||
	    (is_dir ? mkdirat(parent_fd, leaf, 0) : mknodat(parent_fd, leaf, S_IFREG, 0)) < 0) {
		if (errno != EEXIST)
			return pyi_err_sys(err, errno, "cannot make a place to mount on");
		if (fstatat(parent_fd, leaf, &st, AT_SYMLINK_NOFOLLOW) < 0 ||
		    (bool)S_ISDIR(st.st_mode) != is_dir)
			return pyi_err_set(err, EEXIST, "something else stands in its place");
	}
	return 0;
}

int pyi_tree_places_close(struct pyi_tree_places *places, const char *path, struct pyi_err *err)
{
	if (PYI_FAULT(269, EPERM) || fchmodat(places->own_fd, path + 1, 0, 0) < 0)
		return pyi_err_sys(err, errno, "cannot close its place");
	return 0;
}

static bool is_kept(const struct pyi_tree_places *places, const char *path)
{
	for (size_t i = 0; i < places->n_kept; i++)
		if (strcmp(places->kept[i], path) == 0)
			return true;
	return false;
}

void pyi_tree_places_drop(struct pyi_tree_places *places, const char *path)
{
	char copy[PATH_MAX], *slash;

	snprintf(copy, sizeof(copy), "%s", path);
	if (is_kept(places, copy) || (unlinkat(places->own_fd, copy + 1, 0) < 0 &&
				      unlinkat(places->own_fd, copy + 1, AT_REMOVEDIR) < 0))
		return;
	while ((slash = strrchr(copy, '/')) && slash != copy) {
		*slash = '\0';
		if (is_kept(places, copy) || unlinkat(places->own_fd, copy + 1, AT_REMOVEDIR) < 0)
			return;
	}
}

int pyi_tree_places_link(struct pyi_tree_places *places, const char *path, const char *target,
			 struct pyi_err *err)
{
	_cleanup_fd int parent_fd = -1;
	char found[PATH_MAX];
	const char *leaf;
	ssize_t len;
	int ret = open_parent(places, path, &leaf, &parent_fd, err);

	if (ret)
		return pyi_err_add(err, "cannot put '%s' into the sandbox", path);
	if (symlinkat(target, parent_fd, leaf) == 0)
		return 0;
	len = readlinkat(parent_fd, leaf, found, sizeof(found));
	if (len == (ssize_t)strlen(target) && memcmp(found, target, (size_t)len) == 0)
		return 0;
	return pyi_err_set(err, EEXIST,
			   "cannot put '%s' into the sandbox: something else stands in its place",
			   path);
}

void pyi_tree_places_unlink(struct pyi_tree_places *places, const char *path, const char *target)
{
	char found[PATH_MAX];
	ssize_t len = readlinkat(places->own_fd, path + 1, found, sizeof(found));

	if (len == (ssize_t)strlen(target) && memcmp(found, target, (size_t)len) == 0)
		unlinkat(places->own_fd, path + 1, 0);
}
