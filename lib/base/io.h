/* SPDX-License-Identifier: MIT */
/* Whole reads and writes, interrupted calls retried, everything capped. */
#ifndef PYI_BASE_IO_H
#define PYI_BASE_IO_H

#include <stddef.h>
#include <sys/types.h>

struct pyi_buf;
struct pyi_err;

/* Write all of it; 0 or -errno. */
int pyi_write_all(int fd, const void *data, size_t len);

/* Read to the end of file, at most max bytes: more is -EFBIG. Appends to buf. 0 or -errno. */
int pyi_read_all(int fd, size_t max, struct pyi_buf *buf);

/* Open (following symlinks), read, close. The message names the file. */
int pyi_read_file(const char *path, size_t max, struct pyi_buf *buf, struct pyi_err *err);

/*
 * Open a regular file to be read; -1 and errno, EINVAL where it is none. For paths that others have named: to open a
 * device or a fifo does something, so what it is is found out before.
 */
int pyi_open_regular(const char *path);

/* Read exactly len bytes unless the file ends: the number read or -errno. */
ssize_t pyi_read_full(int fd, void *data, size_t len);

/* Write a short value to an existing kernel file (cgroup, sysctl) at dirfd; 0 or -errno. */
int pyi_write_at(int dirfd, const char *name, const char *value);

/* Read a short kernel file at dirfd into buf (terminated, trailing newline removed); length or -errno. */
ssize_t pyi_read_at(int dirfd, const char *name, char *buf, size_t size);

/*
 * Replace `path` as a whole: written beside it under a temporary name (mode 0666 less the umask), renamed; on any
 * failure, a full disk included, the old file stays and the temporary one is gone. What is there and is no regular file
 * (/dev/stdout, a fifo, a symbolic link) is never replaced but written to.
 */
int pyi_replace_file(const char *path, const void *data, size_t len, struct pyi_err *err);

#endif
