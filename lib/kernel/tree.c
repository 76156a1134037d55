/* SPDX-License-Identifier: MIT */
/*
 * The sandbox's file tree; see tree.h. A small tmpfs becomes the root: directories, links and mount points are made on
 * it, mounts are attached to it, and at the end it is read-only and the only root there is.
 *
 * What an attacker could try while this runs: another sandbox may have write access to a directory that is granted
 * here, and swap a path component for a symlink. So no path is ever walked through a symlink, neither on the host's
 * side nor on ours, and nothing is created anywhere but on file systems made here.
 */
#include "kernel/tree.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>

#include "base/err.h"
#include "base/fault.h"
#include "base/io.h"
#include "base/util.h"
#include "kernel/mount.h"
#include "kernel/sys.h"
#include "plan/plan.h"

enum {
	OWN_MAX = 16, /* tmpfs mounts of one tree */
	BYTES_PER_INODE = 4096, /* of a private tmpfs: a flood of empty files ends where one of full pages does */
	INODES_MIN = 1024,
	ROOT_PAGES_SPARE = 16,
};

#define WALK_RESOLVE (RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS | RESOLVE_NO_MAGICLINKS)
#define ATTRS_ALWAYS (MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV)
#define ATTRS_SEALED (ATTRS_ALWAYS | MOUNT_ATTR_RDONLY | MOUNT_ATTR_NOEXEC)

struct tree {
	const struct pyi_plan *plan;
	int idmap_fd;
	int host_fd; /* the host's root as the supervisor sees it: where sources are resolved */
	int own_fd;  /* the tmpfs */
	int root_fd; /* what will be "/": the tmpfs, or what was bound over it */
	dev_t own[OWN_MAX]; /* file systems made here: nothing is created on any other */
	size_t n_own;
	bool has_mask_dir;
	bool has_mask_file;
};

static const char mask_dir[] = ".masked-directory", mask_file[] = ".masked-file", cover_file[] = ".file";

static int check_path(const char *path, struct pyi_err *err)
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

static int add_own(struct tree *tree, int fd, struct pyi_err *err)
{
	struct stat st;

	if (tree->n_own == OWN_MAX)
		return pyi_err_set(err, E2BIG, "more than %d private file systems", OWN_MAX);
	if (fstat(fd, &st) < 0)
		return pyi_err_sys(err, errno, "cannot stat a new file system");
	tree->own[tree->n_own++] = st.st_dev;
	return 0;
}

static bool is_own(const struct tree *tree, int fd)
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
static int open_or_make(const struct tree *tree, int dir_fd, const char *name)
{
	const uint64_t flags = O_PATH | O_DIRECTORY | O_CLOEXEC;
	int fd = pyi_sys_openat2(dir_fd, name, flags, WALK_RESOLVE);

	if (fd >= 0 || errno != ENOENT || !is_own(tree, dir_fd))
		return fd;
	if (PYI_FAULT(230, ENOSPC) || mkdirat(dir_fd, name, 0755) < 0)
		return -1;
	return pyi_sys_openat2(dir_fd, name, flags, WALK_RESOLVE);
}

/* The directory of `len` bytes of an absolute path, as an fd, with everything missing made. -1 and errno. */
static int open_dir(const struct tree *tree, const char *path, size_t len)
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

/* The parent directory of path (made where it is missing) and the last component. */
static int open_parent(const struct tree *tree, const char *path, int *ret_fd,
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

/* What a mount is to be put on: made where it is missing and the place is ours. */
static int open_target(const struct tree *tree, const char *path, bool is_dir, int *ret_fd,
		       struct pyi_err *err)
{
	_cleanup_fd int parent_fd = -1;
	_cleanup_fd int fd = -1;
	const char *leaf;
	struct stat st;
	int ret;

	if (is_dir) {
		fd = open_dir(tree, path, strlen(path));
		if (fd < 0)
			return pyi_err_sys(err, errno, "cannot make the directory");
		*ret_fd = pyi_take_fd(&fd);
		return 0;
	}
	ret = open_parent(tree, path, &parent_fd, &leaf, err);
	if (ret)
		return ret;
	fd = pyi_sys_openat2(parent_fd, leaf, O_PATH | O_CLOEXEC, WALK_RESOLVE);
	if (fd < 0 && errno == ENOENT && is_own(tree, parent_fd)) {
		if (PYI_FAULT(232, ENOSPC) || mknodat(parent_fd, leaf, S_IFREG | 0444, 0) < 0)
			return pyi_err_sys(err, errno, "cannot make the file");
		fd = pyi_sys_openat2(parent_fd, leaf, O_PATH | O_CLOEXEC, WALK_RESOLVE);
	}
	if (fd < 0 || PYI_FAULT(233, EACCES) || fstat(fd, &st) < 0)
		return pyi_err_sys(err, errno, "cannot open the place to mount on");
	if (S_ISDIR(st.st_mode))
		return pyi_err_set(err, EISDIR, "a directory stands where a file is to be mounted");
	*ret_fd = pyi_take_fd(&fd);
	return 0;
}

/* A path of the host, as it was resolved: a symlink anywhere in it means that it has changed since. */
static int open_source(const struct tree *tree, const char *path, int *ret_fd, struct stat *ret_st,
		       struct pyi_err *err)
{
	_cleanup_fd int fd = -1;
	int ret = check_path(path, err);

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

static uint64_t attrs_of(unsigned int access)
{
	uint64_t attrs = ATTRS_ALWAYS;

	if (!(access & PYI_WRITE))
		attrs |= MOUNT_ATTR_RDONLY;
	if (!(access & PYI_EXEC))
		attrs |= MOUNT_ATTR_NOEXEC;
	return attrs;
}

/* The mount that one comes to at the root of the mount at fd: itself, or what is mounted over it. 0 when unknown. */
static uint64_t top_mount_id(int fd)
{
	_cleanup_fd int top_fd = pyi_sys_openat2(fd, "..", O_PATH | O_CLOEXEC, RESOLVE_IN_ROOT);
	struct statx st;

	if (top_fd < 0 || statx(top_fd, "", AT_EMPTY_PATH, STATX_MNT_ID, &st) < 0)
		return 0;
	return st.stx_mask & STATX_MNT_ID ? st.stx_mnt_id : 0;
}

static uint64_t mount_id(int fd)
{
	struct statx st;

	if (statx(fd, "", AT_EMPTY_PATH, STATX_MNT_ID, &st) < 0)
		return 0;
	return st.stx_mask & STATX_MNT_ID ? st.stx_mnt_id : 0;
}

/* A copy of the host's whole tree has a copy of our tmpfs over its root, because that is where ours is. */
static int uncover(int mount_fd, struct pyi_err *err)
{
	for (int i = 0; i < OWN_MAX && top_mount_id(mount_fd) != mount_id(mount_fd); i++)
		if (PYI_FAULT(248, EINVAL) || fchdir(mount_fd) < 0 || umount2(".", MNT_DETACH) < 0)
			return pyi_err_sys(err, errno, "cannot uncover the copy of the host's root");
	return 0;
}

static int do_bind(struct tree *tree, const struct pyi_op *op, struct pyi_err *err)
{
	_cleanup_fd int source_fd = -1;
	_cleanup_fd int target_fd = -1;
	_cleanup_fd int mount_fd = -1;
	struct stat st;
	int ret;

	if (op->idmap && tree->idmap_fd < 0)
		return pyi_err_set(err, EINVAL, "there is no id map for it");
	ret = open_source(tree, op->source, &source_fd, &st, err);
	if (ret)
		return ret;
	if (op->is_dir != S_ISDIR(st.st_mode))
		return pyi_err_set(err, ESTALE, "it was replaced while the sandbox started");
	ret = pyi_mount_clone(source_fd, attrs_of(op->access), op->idmap ? tree->idmap_fd : -1,
			      &mount_fd, err);
	if (ret)
		return ret;
	ret = open_target(tree, op->path, op->is_dir, &target_fd, err);
	if (ret == 0)
		ret = pyi_mount_attach(mount_fd, target_fd, err);
	if (ret == 0 && !op->source[1])
		ret = uncover(mount_fd, err);
	if (ret)
		return ret;
	if (!op->path[1]) { /* a new root, over ours */
		if (tree->root_fd != tree->own_fd)
			close(tree->root_fd);
		tree->root_fd = pyi_take_fd(&mount_fd);
	}
	return 0;
}

/*
 * A device node of the host. The mount is read-only, which holds for the node's metadata and not for what is written
 * to the device. A host without the node (a bare chroot) has none to give.
 */
static int do_dev(struct tree *tree, const struct pyi_op *op, struct pyi_err *err)
{
	const uint64_t attrs = MOUNT_ATTR_NOSUID | MOUNT_ATTR_NOEXEC | MOUNT_ATTR_RDONLY;
	_cleanup_fd int source_fd = -1;
	_cleanup_fd int target_fd = -1;
	_cleanup_fd int mount_fd = -1;
	struct stat st;
	int ret;

	ret = open_source(tree, op->source, &source_fd, &st, err);
	if (ret)
		return ret == -ENOENT ? 0 : ret;
	if (!S_ISCHR(st.st_mode))
		return pyi_err_set(err, ENODEV, "'%s' is not a character device", op->source);
	ret = pyi_mount_clone(source_fd, attrs, -1, &mount_fd, err);
	if (ret == 0)
		ret = open_target(tree, op->path, false, &target_fd, err);
	return ret ? ret : pyi_mount_attach(mount_fd, target_fd, err);
}

/* A copy of an entry of our tmpfs, sealed, on top of something of the host. */
static int cover(struct tree *tree, const char *own_name, const char *path, bool is_dir,
		 struct pyi_err *err)
{
	_cleanup_fd int source_fd = -1;
	_cleanup_fd int target_fd = -1;
	_cleanup_fd int mount_fd = -1;
	int ret;

	if (!PYI_FAULT(235, EMFILE))
		source_fd = openat(tree->own_fd, own_name, O_PATH | O_NOFOLLOW | O_CLOEXEC);
	if (source_fd < 0)
		return pyi_err_sys(err, errno, "cannot open what covers it");
	ret = pyi_mount_clone(source_fd, ATTRS_SEALED, -1, &mount_fd, err);
	if (ret == 0)
		ret = open_target(tree, path, is_dir, &target_fd, err);
	return ret ? ret : pyi_mount_attach(mount_fd, target_fd, err);
}

/* Mode 0000 on a read-only mount: without capabilities nobody opens it, its owner included. */
static int do_mask(struct tree *tree, const struct pyi_op *op, struct pyi_err *err)
{
	bool is_dir = op->kind == PYI_OP_MASK_DIR;

	if (is_dir && !tree->has_mask_dir) {
		if (PYI_FAULT(236, ENOSPC) || mkdirat(tree->own_fd, mask_dir, 0) < 0)
			return pyi_err_sys(err, errno, "cannot make an empty directory");
		tree->has_mask_dir = true;
	}
	if (!is_dir && !tree->has_mask_file) {
		if (PYI_FAULT(237, ENOSPC) || mknodat(tree->own_fd, mask_file, S_IFREG, 0) < 0)
			return pyi_err_sys(err, errno, "cannot make an empty file");
		tree->has_mask_file = true;
	}
	return cover(tree, is_dir ? mask_dir : mask_file, op->path, is_dir, err);
}

static int write_file(int dir_fd, const char *name, const char *text, struct pyi_err *err)
{
	_cleanup_fd int fd = -1;
	int ret;

	if (!PYI_FAULT(238, ENOSPC))
		fd = openat(dir_fd, name, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0444);
	if (fd < 0)
		return pyi_err_sys(err, errno, "cannot make the file");
	ret = PYI_FAULT(239, ENOSPC) ? -errno : pyi_write_all(fd, text, strlen(text));
	return ret ? pyi_err_sys(err, -ret, "cannot write the file") : 0;
}

static int do_file(struct tree *tree, const struct pyi_op *op, struct pyi_err *err)
{
	_cleanup_fd int parent_fd = -1;
	const char *leaf, *text = op->text ? op->text : "";
	int ret;

	ret = open_parent(tree, op->path, &parent_fd, &leaf, err);
	if (ret)
		return ret;
	if (is_own(tree, parent_fd))
		return write_file(parent_fd, leaf, text, err);
	/* Inside something of the host: over the file that is there. */
	ret = write_file(tree->own_fd, cover_file, text, err);
	if (ret == 0)
		ret = cover(tree, cover_file, op->path, false, err);
	if (unlinkat(tree->own_fd, cover_file, 0) < 0 && ret == 0)
		ret = pyi_err_sys(err, errno, "cannot remove the name of the file");
	return ret;
}

static int do_symlink(struct tree *tree, const struct pyi_op *op, struct pyi_err *err)
{
	_cleanup_fd int parent_fd = -1;
	char found[PATH_MAX];
	const char *leaf;
	ssize_t len;
	int ret;

	if (!op->text || !op->text[0])
		return pyi_err_set(err, EINVAL, "a symlink needs a target");
	ret = open_parent(tree, op->path, &parent_fd, &leaf, err);
	if (ret)
		return ret;
	len = readlinkat(parent_fd, leaf, found, sizeof(found));
	if (len >= 0) /* granted with the directory it is in */
		return (size_t)len == strlen(op->text) && memcmp(found, op->text, (size_t)len) == 0
			       ? 0
			       : pyi_err_set(err, EEXIST, "another symlink stands there");
	if (errno == ENOENT && !is_own(tree, parent_fd))
		return pyi_err_set(err, ENOENT, "the symlink is gone from the host");
	if (PYI_FAULT(240, ENOSPC) || symlinkat(op->text, parent_fd, leaf) < 0)
		return pyi_err_sys(err, errno, "cannot make the symlink");
	return 0;
}

static int attach_new(struct tree *tree, int mount_fd, const char *path, struct pyi_err *err)
{
	_cleanup_fd int target_fd = -1;
	int ret = open_target(tree, path, true, &target_fd, err);

	return ret ? ret : pyi_mount_attach(mount_fd, target_fd, err);
}

static int do_tmpfs(struct tree *tree, const struct pyi_op *op, struct pyi_err *err)
{
	uint64_t attrs = ATTRS_ALWAYS | (op->access & PYI_EXEC ? 0 : MOUNT_ATTR_NOEXEC);
	uint64_t inodes = op->size_bytes / BYTES_PER_INODE;
	_cleanup_fd int fd = -1;
	int ret;

	ret = pyi_mount_tmpfs(op->size_bytes, inodes < INODES_MIN ? INODES_MIN : inodes, "1777",
			      attrs, &fd, err);
	if (ret == 0)
		ret = add_own(tree, fd, err);
	return ret ? ret : attach_new(tree, fd, op->path, err);
}

static int do_proc(struct tree *tree, const struct pyi_op *op, struct pyi_err *err)
{
	_cleanup_fd int fd = -1;
	int ret = pyi_mount_proc(ATTRS_ALWAYS | MOUNT_ATTR_NOEXEC, &fd, err);

	return ret ? ret : attach_new(tree, fd, op->path, err);
}

static int do_op(struct tree *tree, const struct pyi_op *op, struct pyi_err *err)
{
	_cleanup_fd int fd = -1;
	int ret = check_path(op->path, err);

	if (ret)
		return ret;
	switch (op->kind) {
	case PYI_OP_DIR:
		return open_target(tree, op->path, true, &fd, err);
	case PYI_OP_BIND:
		return do_bind(tree, op, err);
	case PYI_OP_MASK_DIR:
	case PYI_OP_MASK_FILE:
		return do_mask(tree, op, err);
	case PYI_OP_SYMLINK:
		return do_symlink(tree, op, err);
	case PYI_OP_FILE:
		return do_file(tree, op, err);
	case PYI_OP_DEV:
		return do_dev(tree, op, err);
	case PYI_OP_PROC:
		return do_proc(tree, op, err);
	case PYI_OP_TMPFS:
		return do_tmpfs(tree, op, err);
	}
	return pyi_err_set(err, EINVAL, "unknown operation %d", (int)op->kind);
}

/* The root tmpfs, just large enough for the plan: a component of each path, a page for each text. */
static int make_root(struct tree *tree, struct pyi_err *err)
{
	const struct pyi_plan *plan = tree->plan;
	uint64_t inodes = ROOT_PAGES_SPARE, pages = ROOT_PAGES_SPARE;
	_cleanup_fd int root_fd = -1;
	int ret;

	for (size_t i = 0; i < plan->n_ops; i++) {
		for (const char *p = plan->ops[i].path; p && *p; p++)
			inodes += *p == '/';
		if (plan->ops[i].text)
			pages += 1 + strlen(plan->ops[i].text) / 4096;
	}
	/* Directories take no pages, long symlinks and files do. */
	ret = pyi_mount_tmpfs(pages * 4096, inodes, "0755", ATTRS_ALWAYS | MOUNT_ATTR_NOEXEC,
			      &tree->own_fd, err);
	if (ret)
		return ret;
	tree->root_fd = tree->own_fd;
	ret = add_own(tree, tree->own_fd, err);
	if (ret)
		return ret;
	if (!PYI_FAULT(241, EMFILE))
		root_fd = open("/", O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (root_fd < 0)
		return pyi_err_sys(err, errno, "cannot open the host's root");
	return pyi_mount_attach(tree->own_fd, root_fd, err);
}

/*
 * The supervisor may have been started in a chroot, which is no mount that pivot_root could take and has the host
 * above it. Joining the mount namespace we are in makes its real root ours; the supervisor's stays as a descriptor.
 */
static int leave_chroot(struct tree *tree, struct pyi_err *err)
{
	_cleanup_fd int self_fd = -1;

	if (!PYI_FAULT(249, EMFILE))
		tree->host_fd = open("/", O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (tree->host_fd < 0)
		return pyi_err_sys(err, errno, "cannot open the root");
	self_fd = PYI_FAULT(250, EMFILE) ? -1 : pyi_sys_pidfd_open(getpid());
	if (self_fd < 0 || PYI_FAULT(251, EPERM) || pyi_sys_setns(self_fd, CLONE_NEWNS) < 0)
		return pyi_err_sys(err, errno, "cannot go to the root of the mount namespace");
	return 0;
}

/*
 * Make the mount at fd the root, and what was the root go away. pivot_root(2), "pivot_root(".", ".")": the old root is
 * then the topmost mount on the new one's root, and that is what umount2(".") takes.
 */
static int pivot(int fd, struct pyi_err *err)
{
	if (PYI_FAULT(242, EPERM) || fchdir(fd) < 0)
		return pyi_err_sys(err, errno, "cannot enter the new root");
	if (PYI_FAULT(243, EINVAL) || pyi_sys_pivot_root(".", ".") < 0)
		return errno == EINVAL
			       ? pyi_err_set(err, EINVAL,
					     "cannot change the root (pivot_root): is the host's "
					     "root still an initramfs?")
			       : pyi_err_sys(err, errno, "cannot change the root (pivot_root)");
	if (PYI_FAULT(244, EPERM) || umount2(".", MNT_DETACH) < 0)
		return pyi_err_sys(err, errno, "cannot detach the old root");
	return 0;
}

/* "/.." crosses into whatever is mounted over the root: it must be the root that was built itself. */
static int check_root(int root_fd, struct pyi_err *err)
{
	_cleanup_fd int fd = open("/..", O_PATH | O_DIRECTORY | O_CLOEXEC);
	uint64_t id = fd < 0 || PYI_FAULT(245, ENOSYS) ? 0 : mount_id(fd);

	if (!id || id != mount_id(root_fd))
		return pyi_err_set(err, ESTALE, "the root is not the one that was built");
	return 0;
}

/* From the host's tree to ours, with no way back. */
static int switch_root(struct tree *tree, struct pyi_err *err)
{
	int ret;

	if (tree->has_mask_dir && unlinkat(tree->own_fd, mask_dir, AT_REMOVEDIR) < 0)
		return pyi_err_sys(err, errno, "cannot remove the name of the empty directory");
	if (tree->has_mask_file && unlinkat(tree->own_fd, mask_file, 0) < 0)
		return pyi_err_sys(err, errno, "cannot remove the name of the empty file");
	ret = pyi_mount_add_attrs(tree->own_fd, ATTRS_SEALED, err);
	/* First away from the host, then, where a directory of the host is to be the root, from our tmpfs to that. */
	if (ret == 0)
		ret = pivot(tree->own_fd, err);
	if (ret == 0 && tree->root_fd != tree->own_fd)
		ret = pivot(tree->root_fd, err);
	if (ret)
		return ret;
	if (PYI_FAULT(247, EACCES) || chdir("/") < 0)
		return pyi_err_sys(err, errno, "cannot enter the new root");
	return check_root(tree->root_fd, err);
}

static int build(struct tree *tree, struct pyi_err *err)
{
	const struct pyi_plan *plan = tree->plan;
	int ret;

	ret = leave_chroot(tree, err);
	if (ret == 0)
		ret = pyi_mount_make_private(err);
	if (ret == 0)
		ret = make_root(tree, err);
	for (size_t i = 0; ret == 0 && i < plan->n_ops; i++) {
		ret = do_op(tree, &plan->ops[i], err);
		if (ret)
			return pyi_err_add(err, "cannot put '%s' into the sandbox",
					   plan->ops[i].path ? plan->ops[i].path : "");
	}
	if (ret == 0)
		ret = switch_root(tree, err);
	if (ret == 0 && (PYI_FAULT(246, ENOENT) || chdir(plan->cwd ? plan->cwd : "/") < 0))
		return pyi_err_sys(err, errno, "cannot enter '%s' in the sandbox", plan->cwd);
	return ret;
}

int pyi_tree_build(const struct pyi_plan *plan, int idmap_fd, struct pyi_err *err)
{
	struct tree tree = {
		.plan = plan, .idmap_fd = idmap_fd, .host_fd = -1, .own_fd = -1, .root_fd = -1
	};
	mode_t old_umask = umask(0);
	int ret = build(&tree, err);

	if (tree.root_fd != tree.own_fd)
		pyi_close_fd(&tree.root_fd);
	pyi_close_fd(&tree.own_fd);
	pyi_close_fd(&tree.host_fd);
	umask(old_umask);
	return ret;
}
