/* SPDX-License-Identifier: MIT */
/* Detached mounts; see mount.h. */
#include "kernel/mount.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/mount.h>

#include "base/err.h"
#include "base/fault.h"
#include "base/util.h"

int pyi_mount_make_private(struct pyi_err *err)
{
	struct mount_attr attr = { .propagation = MS_PRIVATE };

	if (PYI_FAULT(200, EPERM) || mount_setattr(AT_FDCWD, "/", AT_RECURSIVE, &attr, sizeof(attr)) < 0)
		return pyi_err_sys(err, errno, "cannot make the mounts private");
	return 0;
}

int pyi_mount_add_attrs(int mount_fd, uint64_t attrs, struct pyi_err *err)
{
	struct mount_attr attr = { .attr_set = attrs };

	if (PYI_FAULT(201, EPERM) || mount_setattr(mount_fd, "", AT_EMPTY_PATH, &attr, sizeof(attr)) < 0)
		return pyi_err_sys(err, errno, "cannot set mount attributes");
	return 0;
}

static int set_idmap(int mount_fd, int idmap_fd, struct pyi_err *err)
{
	struct mount_attr attr = { .attr_set = MOUNT_ATTR_IDMAP, .userns_fd = (uint64_t)idmap_fd };

	if (!PYI_FAULT(202, EINVAL)) {
		if (mount_setattr(mount_fd, "", AT_EMPTY_PATH | AT_RECURSIVE, &attr, sizeof(attr)) == 0)
			return 0;
		/* Perhaps for the sake of something mounted below: the kernel maps all of them or none. */
		if (mount_setattr(mount_fd, "", AT_EMPTY_PATH, &attr, sizeof(attr)) == 0)
			return 0;
	}
	return pyi_err_sys(err, errno, "its file system does not take an id-mapped mount");
}

int pyi_mount_clone(int source_fd, uint64_t attrs, int idmap_fd, int *ret_fd, struct pyi_err *err)
{
	struct mount_attr attr = { .attr_set = attrs, .propagation = MS_PRIVATE };
	_cleanup_fd int fd = -1;
	int ret;

	if (!PYI_FAULT(203, EPERM))
		fd = open_tree(source_fd, "",
			       OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC | AT_EMPTY_PATH | AT_RECURSIVE);
	if (fd < 0)
		return pyi_err_sys(err, errno, "cannot clone the mount");
	if (PYI_FAULT(204, EPERM) ||
	    mount_setattr(fd, "", AT_EMPTY_PATH | AT_RECURSIVE, &attr, sizeof(attr)) < 0)
		return pyi_err_sys(err, errno, "cannot set mount attributes");
	if (idmap_fd >= 0) {
		ret = set_idmap(fd, idmap_fd, err);
		if (ret)
			return ret;
	}
	*ret_fd = pyi_take_fd(&fd);
	return 0;
}

/* A decimal number without the C library's formatting, into the end of buf. */
static const char *format_u64(uint64_t value, char *buf, size_t size)
{
	char *p = buf + size - 1;

	*p = '\0';
	do {
		*--p = (char)('0' + value % 10);
		value /= 10;
	} while (value);
	return p;
}

/* From a configured context to a detached mount. */
static int make_mount(int fs_fd, uint64_t attrs, int *ret_fd)
{
	int fd;

	if (PYI_FAULT(205, EPERM) || fsconfig(fs_fd, FSCONFIG_CMD_CREATE, NULL, NULL, 0) < 0)
		return -errno;
	fd = PYI_FAULT(206, EPERM) ? -1 : fsmount(fs_fd, FSMOUNT_CLOEXEC, (unsigned int)attrs);
	if (fd < 0)
		return -errno;
	*ret_fd = fd;
	return 0;
}

int pyi_mount_tmpfs(uint64_t size_bytes, uint64_t inodes, const char *mode, uint64_t attrs,
		    int *ret_fd, struct pyi_err *err)
{
	_cleanup_fd int fs_fd = -1;
	char size[24], count[24];
	int ret;

	if (size_bytes == 0 || inodes == 0)
		return pyi_err_set(err, EINVAL, "a tmpfs needs a limit");
	if (!PYI_FAULT(207, EPERM))
		fs_fd = fsopen("tmpfs", FSOPEN_CLOEXEC);
	if (fs_fd < 0 || PYI_FAULT(208, EINVAL) ||
	    fsconfig(fs_fd, FSCONFIG_SET_STRING, "size", format_u64(size_bytes, size, sizeof(size)),
		     0) < 0 ||
	    fsconfig(fs_fd, FSCONFIG_SET_STRING, "nr_inodes",
		     format_u64(inodes, count, sizeof(count)), 0) < 0 ||
	    fsconfig(fs_fd, FSCONFIG_SET_STRING, "mode", mode, 0) < 0)
		return pyi_err_sys(err, errno, "cannot set up a tmpfs");
	ret = make_mount(fs_fd, attrs, ret_fd);
	return ret ? pyi_err_sys(err, -ret, "cannot make a tmpfs") : 0;
}

int pyi_mount_proc(uint64_t attrs, int *ret_fd, struct pyi_err *err)
{
	_cleanup_fd int fs_fd = -1;
	int ret;

	if (!PYI_FAULT(209, EPERM))
		fs_fd = fsopen("proc", FSOPEN_CLOEXEC);
	if (fs_fd < 0 || PYI_FAULT(210, EINVAL) ||
	    fsconfig(fs_fd, FSCONFIG_SET_STRING, "subset", "pid", 0) < 0 ||
	    fsconfig(fs_fd, FSCONFIG_SET_STRING, "hidepid", "invisible", 0) < 0)
		return pyi_err_sys(err, errno, "cannot set up a proc that shows nothing but processes");
	ret = make_mount(fs_fd, attrs, ret_fd);
	if (ret == -EPERM)
		return pyi_err_set(err, EPERM,
				   "cannot mount a new proc: the host's is partly covered, as in a container, "
				   "and then the kernel leaves that to root");
	return ret ? pyi_err_sys(err, -ret, "cannot mount a new proc") : 0;
}

int pyi_mount_attach(int mount_fd, int target_fd, struct pyi_err *err)
{
	if (PYI_FAULT(211, EPERM) || move_mount(mount_fd, "", target_fd, "",
						MOVE_MOUNT_F_EMPTY_PATH | MOVE_MOUNT_T_EMPTY_PATH) < 0)
		return pyi_err_sys(err, errno, "cannot attach the mount");
	return 0;
}
