/* SPDX-License-Identifier: MIT */
/* Locking a directory; see lock.h. */
#include "base/lock.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/file.h>
#include <time.h>
#include <unistd.h>

#include "base/util.h"

/* Holders keep it for some microseconds: the first waits are short. */
enum { FIRST_PAUSE_US = 50, LAST_PAUSE_US = 5000 };

int pyi_lock_dir(const char *path, int timeout_ms, int *ret_fd)
{
	_cleanup_fd int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	long left_us = (long)timeout_ms * 1000, pause_us = FIRST_PAUSE_US;

	if (fd < 0)
		return -errno;
	while (flock(fd, LOCK_EX | LOCK_NB) < 0) {
		struct timespec pause = { .tv_nsec = pause_us * 1000 };

		if (errno != EWOULDBLOCK && errno != EINTR)
			return -errno;
		if (left_us <= 0)
			return -ETIMEDOUT;
		nanosleep(&pause, NULL);
		left_us -= pause_us;
		if (pause_us < LAST_PAUSE_US)
			pause_us *= 2;
	}
	*ret_fd = pyi_take_fd(&fd);
	return 0;
}
