/* SPDX-License-Identifier: MIT */
/*
 * Walking paths of the tree that is being built; see tree_walk.h.
 *
 * What an attacker could try: another sandbox may have write access to a directory that is granted here, and swap a
 * path component for a symlink. So no path is ever walked through a symlink, neither on the host's side nor on ours,
 * and nothing is created anywhere but on file systems made here.
 */
#include "kernel/tree_walk.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <string.h>
#include <sys/stat.h>

#include "base/err.h"
#include "base/fault.h"
#include "base/util.h"
#include "kernel/sys.h"

#define WALK_RESOLVE (RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS | RESOLVE_NO_MAGICLINKS)

uint64_t pyi_tree_mount_id(int fd)
{
	struct statx st;

	if (statx(fd, "", AT_EMPTY_PATH, STATX_MNT_ID, &st) < 0)
		return 0;
	return st.stx_mask & STATX_MNT_ID ? st.stx_mnt_id : 0;
}

int pyi_tree_check_path(const char *path, struct pyi_err *err)
{
	size_t len = path ? strlen(path) : 0;
	bool is_clean = len > 0 && len < PATH_MAX && path[0] == '/' &&
			(len == 1 || path[len - 1] != '/');
	const char *p;

	/* No empty component, and none that climbs. */
	for (p = path; is_clean && p; p = strchr(p + 1, '/'))
		is_clean = p[1] != '/' && !(p[1] == '.' && p[2] == '.' && (p[3] == '/' || !p[3]));
	if (!is_clean)
		return pyi_err_set(err, EINVAL, "'%s' is not a clean absolute path", path ? path : "");
	return 0;
}

int pyi_tree_add_own(struct pyi_tree *tree, int fd, struct pyi_err *err)
{
	struct stat st;

	if (tree->n_own == PYI_TREE_OWN_MAX)
		return pyi_err_set(err, E2BIG, "more than %d private file systems", PYI_TREE_OWN_MAX);
	if (fstat(fd, &st) < 0)
		return pyi_err_sys(err, errno, "cannot stat a new file system");
	tree->own[tree->n_own++] = st.st_dev;
	return 0;
}

bool pyi_tree_is_own(const struct pyi_tree *tree, int fd)
{
	struct stat st;

	if (fstat(fd, &st) < 0)
		return false;
	for (size_t i = 0; i < tree->n_own; i++)
		if (tree->own[i] == st.st_dev)
			return true;
	return false;
}

/* Open one directory below dir_fd, made first where it is missing and the place is ours. -1 and errno. */
static int open_or_make(const struct pyi_tree *tree, int dir_fd, const char *name)
{
	const uint64_t flags = O_PATH | O_DIRECTORY | O_CLOEXEC;
	int fd = pyi_sys_openat2(dir_fd, name, flags, WALK_RESOLVE);

	if (fd >= 0 || errno != ENOENT || !pyi_tree_is_own(tree, dir_fd))
		return fd;
	if (PYI_FAULT(230, ENOSPC) || mkdirat(dir_fd, name, 0755) < 0)
		return -1;
	return pyi_sys_openat2(dir_fd, name, flags, WALK_RESOLVE);
}

/* The directory of `len` bytes of an absolute path, as an fd, with everything missing made. -1 and errno. */
static int open_dir(const struct pyi_tree *tree, const char *path, size_t len)
{
	_cleanup_fd int fd = -1;
	char copy[PATH_MAX];
	char *name, *slash;
	int next;

	if (len <= 1)
		return PYI_FAULT(231, EMFILE) ? -1 : fcntl(tree->root_fd, F_DUPFD_CLOEXEC, 0);
	memcpy(copy, path, len);
	copy[len] = '\0';
	fd = pyi_sys_openat2(tree->root_fd, copy + 1, O_PATH | O_DIRECTORY | O_CLOEXEC, WALK_RESOLVE);
	if (fd >= 0 || errno != ENOENT)
		return pyi_take_fd(&fd);
	fd = fcntl(tree->root_fd, F_DUPFD_CLOEXEC, 0);
	for (name = copy + 1; fd >= 0 && name; name = slash ? slash + 1 : NULL) {
		slash = strchr(name, '/');
		if (slash)
			*slash = '\0';
		next = open_or_make(tree, fd, name);
		close(fd);
		fd = next;
	}
	return pyi_take_fd(&fd);
}

int pyi_tree_open_parent(const struct pyi_tree *tree, const char *path, int *ret_fd,
			 const char **ret_leaf, struct pyi_err *err)
{
	const char *slash = strrchr(path, '/');
	int fd;

	if (!slash[1])
		return pyi_err_set(err, EINVAL, "the root cannot be replaced like this");
	fd = open_dir(tree, path, (size_t)(slash - path));
	if (fd < 0)
		return pyi_err_sys(err, errno, "cannot make the directory above");
	*ret_fd = fd;
	*ret_leaf = slash + 1;
	return 0;
}

/*
 * The nearest directory above path that can be opened (open_by_handle_at takes no O_PATH), on the mount that is to be
 * seen there. -1 and errno.
 */
static int open_above(const struct pyi_tree *tree, const char *path)
{
	char copy[PATH_MAX];
	char *slash;
	int fd = -1;

	memcpy(copy, path, strlen(path) + 1); /* checked: it fits */
	while (fd < 0 && (slash = strrchr(copy, '/')) && slash != copy) {
		*slash = '\0';
		fd = pyi_sys_openat2(tree->root_fd, copy + 1, O_RDONLY | O_DIRECTORY | O_CLOEXEC,
				     WALK_RESOLVE);
	}
	return fd;
}

/*
 * A place below a directory that only its owner may search, when that owner has no id in the mount: there root's
 * capabilities do not count, and the path cannot be walked. Today the guest cannot get there either, but the owner may
 * open the directory tomorrow. So the place is found on the host's side and taken over by its file handle, which needs
 * no walk (open_by_handle_at(2)). Only for mounts that show a path of the host at the same path. -1 and errno.
 */
static int open_by_handle(const struct pyi_tree *tree, const char *path)
{
	union {
		struct file_handle handle;
		char space[sizeof(struct file_handle) + MAX_HANDLE_SZ];
	} buf = { .handle = { .handle_bytes = MAX_HANDLE_SZ } };
	_cleanup_fd int above_fd = -1;
	_cleanup_fd int host_fd = -1;
	_cleanup_fd int fd = -1;
	struct stat above, host, found;
	int id;

	errno = EACCES;
	if (tree->idmap_fd < 0 || tree->has_moved)
		return -1;
	above_fd = open_above(tree, path);
	host_fd = pyi_sys_openat2(tree->host_fd, path, O_PATH | O_CLOEXEC,
				  RESOLVE_IN_ROOT | RESOLVE_NO_SYMLINKS | RESOLVE_NO_MAGICLINKS);
	if (above_fd < 0 || host_fd < 0 || fstat(above_fd, &above) < 0 || fstat(host_fd, &host) < 0)
		return -1;
	errno = EXDEV;
	if (above.st_dev != host.st_dev || PYI_FAULT(252, EOPNOTSUPP) ||
	    name_to_handle_at(host_fd, "", &buf.handle, &id, AT_EMPTY_PATH) < 0)
		return -1;
	fd = PYI_FAULT(253, ESTALE) ? -1 : open_by_handle_at(above_fd, &buf.handle, O_PATH | O_CLOEXEC);
	if (fd < 0 || fstat(fd, &found) < 0)
		return -1;
	errno = ESTALE;
	if (found.st_dev != host.st_dev || found.st_ino != host.st_ino ||
	    pyi_tree_mount_id(fd) != pyi_tree_mount_id(above_fd))
		return -1;
	return pyi_take_fd(&fd);
}

/* As pyi_tree_open_target, for what can be walked to. -1 and errno. */
static int walk_to_target(const struct pyi_tree *tree, const char *path, bool is_dir)
{
	const char *slash = strrchr(path, '/');
	_cleanup_fd int parent_fd = -1;
	int fd;

	if (is_dir)
		return open_dir(tree, path, strlen(path));
	parent_fd = open_dir(tree, path, (size_t)(slash - path));
	if (parent_fd < 0)
		return -1;
	fd = pyi_sys_openat2(parent_fd, slash + 1, O_PATH | O_CLOEXEC, WALK_RESOLVE);
	if (fd >= 0 || errno != ENOENT || !pyi_tree_is_own(tree, parent_fd))
		return fd;
	if (PYI_FAULT(232, ENOSPC) || mknodat(parent_fd, slash + 1, S_IFREG | 0444, 0) < 0)
		return -1;
	return pyi_sys_openat2(parent_fd, slash + 1, O_PATH | O_CLOEXEC, WALK_RESOLVE);
}

int pyi_tree_open_target(const struct pyi_tree *tree, const char *path, bool is_dir, int *ret_fd,
			 struct pyi_err *err)
{
	_cleanup_fd int fd = walk_to_target(tree, path, is_dir);
	struct stat st;

	if (fd < 0 && errno == EACCES)
		fd = open_by_handle(tree, path);
	if (fd < 0 || PYI_FAULT(233, EACCES) || fstat(fd, &st) < 0)
		return pyi_err_sys(err, errno, "cannot open the place to mount on");
	if (S_ISDIR(st.st_mode) != is_dir)
		return pyi_err_set(err, is_dir ? ENOTDIR : EISDIR, "the place to mount on is %s",
				   is_dir ? "no directory" : "a directory");
	*ret_fd = pyi_take_fd(&fd);
	return 0;
}

int pyi_tree_open_source(const struct pyi_tree *tree, const char *path, int *ret_fd,
			 struct stat *ret_st, struct pyi_err *err)
{
	_cleanup_fd int fd = -1;
	int ret = pyi_tree_check_path(path, err);

	if (ret)
		return ret;
	if (!PYI_FAULT(234, ENOENT))
		fd = pyi_sys_openat2(tree->host_fd, path, O_PATH | O_CLOEXEC,
				     RESOLVE_IN_ROOT | RESOLVE_NO_SYMLINKS | RESOLVE_NO_MAGICLINKS);
	if (fd < 0 && errno == ELOOP)
		return pyi_err_set(err, ELOOP,
				   "a part of it became a symlink while the sandbox started");
	if (fd < 0 || fstat(fd, ret_st) < 0)
		return pyi_err_sys(err, errno, "cannot open it on the host");
	*ret_fd = pyi_take_fd(&fd);
	return 0;
}
