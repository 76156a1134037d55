/* SPDX-License-Identifier: MIT */
/* The directory of root's runs; see run_dir.h. */
#include "kernel/run_dir.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>

#include "base/util.h"
#include "kernel/sys.h"

int pyi_run_dir_open(const char *path)
{
	_cleanup_fd int fd = -1;
	struct stat st;

	fd = pyi_sys_openat2(AT_FDCWD, path, O_RDONLY | O_DIRECTORY | O_CLOEXEC, RESOLVE_NO_SYMLINKS);
	if (fd < 0 || fstat(fd, &st) < 0)
		return -1;
	if (st.st_uid != 0 || st.st_mode & 077) {
		errno = EPERM;
		return -1;
	}
	return pyi_take_fd(&fd);
}
