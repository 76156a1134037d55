/* SPDX-License-Identifier: MIT */
/* Whole reads and writes; see io.h. */
#include "base/io.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/err.h"
#include "base/util.h"

int pyi_write_all(int fd, const void *data, size_t len)
{
	const char *p = data;

	while (len) {
		ssize_t n = write(fd, p, len);

		if (n < 0) {
			if (errno == EINTR)
				continue;
			return -errno;
		}
		p += n;
		len -= (size_t)n;
	}
	return 0;
}

int pyi_read_all(int fd, size_t max, struct pyi_buf *buf)
{
	char chunk[16384];
	size_t total = 0;

	for (;;) {
		ssize_t n = read(fd, chunk, sizeof(chunk));

		if (n < 0) {
			if (errno == EINTR)
				continue;
			return -errno;
		}
		if (n == 0)
			return buf->failed ? -ENOMEM : 0;
		total += (size_t)n;
		if (total > max)
			return -EFBIG;
		pyi_buf_add(buf, chunk, (size_t)n);
	}
}

int pyi_read_file(const char *path, size_t max, struct pyi_buf *buf, struct pyi_err *err)
{
	_cleanup_fd int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY);
	int ret;

	if (fd < 0)
		return pyi_err_sys(err, errno, "cannot open '%s'", path);
	ret = pyi_read_all(fd, max, buf);
	if (ret == -EFBIG)
		return pyi_err_set(err, EFBIG, "'%s' is larger than %zu bytes", path, max);
	if (ret)
		return pyi_err_sys(err, -ret, "cannot read '%s'", path);
	return 0;
}

int pyi_open_regular(const char *path)
{
	_cleanup_fd int fd = open(path, O_PATH | O_CLOEXEC);
	char again[32];
	struct stat st;

	if (fd < 0 || fstat(fd, &st) < 0)
		return -1;
	if (!S_ISREG(st.st_mode)) {
		errno = EINVAL;
		return -1;
	}
	snprintf(again, sizeof(again), "/proc/self/fd/%d", fd);
	return open(again, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
}

ssize_t pyi_read_full(int fd, void *data, size_t len)
{
	size_t done = 0;

	while (done < len) {
		ssize_t n = read(fd, (char *)data + done, len - done);

		if (n < 0) {
			if (errno == EINTR)
				continue;
			return -errno;
		}
		if (n == 0)
			break;
		done += (size_t)n;
	}
	return (ssize_t)done;
}

int pyi_write_at(int dirfd, const char *name, const char *value)
{
	_cleanup_fd int fd = openat(dirfd, name, O_WRONLY | O_CLOEXEC);

	if (fd < 0)
		return -errno;
	return pyi_write_all(fd, value, strlen(value));
}

ssize_t pyi_read_at(int dirfd, const char *name, char *buf, size_t size)
{
	_cleanup_fd int fd = openat(dirfd, name, O_RDONLY | O_CLOEXEC);
	ssize_t n;

	if (fd < 0)
		return -errno;
	n = pyi_read_full(fd, buf, size - 1);
	if (n < 0)
		return n;
	while (n > 0 && buf[n - 1] == '\n')
		n--;
	buf[n] = '\0';
	return n;
}

/* Is this open file our stdout or stderr, which what has been written to it belongs to? */
static bool is_stdio(const struct stat *st)
{
	struct stat ours;

	for (int fd = STDOUT_FILENO; fd <= STDERR_FILENO; fd++)
		if (fstat(fd, &ours) == 0 && ours.st_dev == st->st_dev && ours.st_ino == st->st_ino)
			return true;
	return false;
}

static int write_in_place(const char *path, const void *data, size_t len, struct pyi_err *err)
{
	_cleanup_fd int fd = open(path, O_WRONLY | O_APPEND | O_CLOEXEC | O_NOCTTY);
	struct stat st;
	int ret = 0;

	if (fd < 0 || fstat(fd, &st))
		return pyi_err_sys(err, errno, "cannot write '%s'", path);
	if (S_ISREG(st.st_mode) && !is_stdio(&st) && ftruncate(fd, 0))
		ret = -errno;
	if (!ret)
		ret = pyi_write_all(fd, data, len);
	return ret ? pyi_err_sys(err, -ret, "cannot write '%s'", path) : 0;
}

int pyi_replace_file(const char *path, const void *data, size_t len, struct pyi_err *err)
{
	char temporary[PATH_MAX];
	struct stat st;
	int ret;
	int fd;

	if (lstat(path, &st) == 0 && !S_ISREG(st.st_mode))
		return write_in_place(path, data, len, err);
	ret = snprintf(temporary, sizeof(temporary), "%s.pyisolate-%d", path, (int)getpid());
	if (ret < 0 || (size_t)ret >= sizeof(temporary))
		return pyi_err_set(err, ENAMETOOLONG, "the name '%s' is too long", path);
	fd = open(temporary, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0666);
	if (fd < 0)
		return pyi_err_sys(err, errno, "cannot write '%s'", path);
	ret = pyi_write_all(fd, data, len);
	if (close(fd) && !ret)
		ret = -errno;
	if (!ret && rename(temporary, path))
		ret = -errno;
	if (ret) {
		unlink(temporary);
		return pyi_err_sys(err, -ret, "cannot write '%s'", path);
	}
	return 0;
}
