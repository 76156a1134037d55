/* SPDX-License-Identifier: MIT */
/*
 * See fetch_store.h. A file is three lines (what it is, the ETag, the text's SHA-256) and the text. Its name is the
 * SHA-256 of the URL, which may hold a secret.
 */
#include "super/fetch_store.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/digest.h"
#include "base/err.h"
#include "base/io.h"
#include "base/lock.h"
#include "base/util.h"
#include "policy/policy.h"
#include "super/state_dir.h"

#define HEAD "pyisolate fetched 1\n"

enum {
	KEPT_MAX = 64,
	FILE_MAX = PYI_POLICY_FILE_MAX + 1024,
	LOCK_TIMEOUT_MS = 2000,
	HEX_LEN = 2 * PYI_DIGEST_LEN,
};

static int find_dir(bool create, char path[PATH_MAX], struct pyi_err *err)
{
	struct pyi_state_dir dir;
	int ret = pyi_state_dir_find(create, &dir, err);

	return ret < 0 ? ret : pyi_state_dir_below(&dir, "fetched", create, path, err);
}

static int find_file(const char *dir, const char *url, char path[PATH_MAX], struct pyi_err *err)
{
	uint8_t digest[PYI_DIGEST_LEN];
	char hex[HEX_LEN + 1];

	pyi_digest(url, strlen(url), digest);
	pyi_digest_hex(digest, hex);
	return snprintf(path, PATH_MAX, "%s/%s", dir, hex) < PATH_MAX
		       ? 0
		       : pyi_err_set(err, ENAMETOOLONG, "the name '%s' is too long", dir);
}

/* The file's parts; false when it is not what was written. */
static bool take_apart(const struct pyi_buf *file, struct pyi_fetch_answer *answer)
{
	const char *etag = pyi_buf_str(file) + strlen(HEAD), *hex, *text;
	const char *end = pyi_buf_str(file) + file->len;
	uint8_t digest[PYI_DIGEST_LEN];
	char is[HEX_LEN + 1];
	size_t len;

	if (strncmp(pyi_buf_str(file), HEAD, strlen(HEAD)) != 0)
		return false;
	len = strcspn(etag, "\n");
	hex = etag + len + 1;
	text = hex + HEX_LEN + 1;
	if (len == 0 || len > PYI_FETCH_ETAG_MAX || text > end || text[-1] != '\n')
		return false;
	pyi_digest(text, (size_t)(end - text), digest);
	pyi_digest_hex(digest, is);
	if (strncmp(hex, is, HEX_LEN) != 0)
		return false;
	memcpy(answer->etag, etag, len);
	answer->etag[len] = '\0';
	pyi_buf_add(&answer->text, text, (size_t)(end - text));
	return !answer->text.failed;
}

int pyi_fetch_store_get(const char *url, struct pyi_fetch_answer *ret_answer, struct pyi_err *err)
{
	_cleanup_buf struct pyi_buf file = PYI_BUF_INIT;
	char dir[PATH_MAX], path[PATH_MAX];
	int ret = find_dir(false, dir, err);

	if (ret == 0)
		ret = find_file(dir, url, path, err);
	if (ret == 0 && access(path, F_OK) < 0)
		ret = -ENOENT;
	if (ret == 0)
		ret = pyi_read_file(path, FILE_MAX, &file, err);
	if (ret < 0)
		return ret;
	*ret_answer = (struct pyi_fetch_answer){ .is_unchanged = false };
	if (take_apart(&file, ret_answer))
		return 0;
	pyi_buf_release(&ret_answer->text);
	return -ENOENT;
}

/* Under the lock: what a writer that was killed has left, and the oldest of too many. */
static void tidy(int dir_fd)
{
	int fd = openat(dir_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *dir = fd < 0 ? NULL : fdopendir(fd);
	char oldest[NAME_MAX + 1] = "";
	struct timespec since = { 0 };
	struct dirent *entry;
	struct stat st;
	unsigned int n = 0;

	if (!dir) {
		pyi_close_fd(&fd);
		return;
	}
	while ((entry = readdir(dir)) != NULL) {
		if (entry->d_name[0] == '.' ||
		    fstatat(dir_fd, entry->d_name, &st, AT_SYMLINK_NOFOLLOW) < 0)
			continue;
		if (strlen(entry->d_name) != HEX_LEN) {
			unlinkat(dir_fd, entry->d_name, 0);
			continue;
		}
		if (n++ && (st.st_mtim.tv_sec > since.tv_sec ||
			    (st.st_mtim.tv_sec == since.tv_sec && st.st_mtim.tv_nsec >= since.tv_nsec)))
			continue;
		since = st.st_mtim;
		snprintf(oldest, sizeof(oldest), "%s", entry->d_name);
	}
	closedir(dir);
	if (n > KEPT_MAX)
		unlinkat(dir_fd, oldest, 0);
}

int pyi_fetch_store_put(const char *url, const struct pyi_fetch_answer *answer, struct pyi_err *err)
{
	_cleanup_buf struct pyi_buf file = PYI_BUF_INIT;
	char dir[PATH_MAX], path[PATH_MAX], hex[HEX_LEN + 1];
	uint8_t digest[PYI_DIGEST_LEN];
	_cleanup_fd int lock_fd = -1;
	mode_t before;
	int ret = find_dir(true, dir, err);

	if (ret == 0)
		ret = find_file(dir, url, path, err);
	if (ret < 0)
		return ret;
	ret = pyi_lock_dir(dir, LOCK_TIMEOUT_MS, &lock_fd);
	if (ret < 0)
		return pyi_err_sys(err, -ret, "cannot lock '%s'", dir);
	if (!answer->etag[0]) {
		unlink(path);
		return 0;
	}
	pyi_digest(answer->text.data, answer->text.len, digest);
	pyi_digest_hex(digest, hex);
	pyi_buf_printf(&file, HEAD "%s\n%s\n", answer->etag, hex);
	pyi_buf_add(&file, answer->text.data, answer->text.len);
	before = umask(077);
	ret = file.failed ? pyi_err_nomem(err) : pyi_replace_file(path, file.data, file.len, err);
	umask(before);
	tidy(lock_fd);
	return ret;
}
