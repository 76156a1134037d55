/* SPDX-License-Identifier: MIT */
/*
 * The sandbox's file tree; see tree.h. A small tmpfs becomes the root: directories, links and mount points are made on
 * it, mounts are attached to it, and at the end it is read-only and the only root there is.
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
#include "kernel/landlock.h"
#include "kernel/mount.h"
#include "kernel/sys.h"
#include "kernel/tree_walk.h"
#include "plan/plan.h"

enum {
	BYTES_PER_INODE = 4096, /* of a private tmpfs: a flood of empty files ends where one of full pages does */
	INODES_MIN = 1024,
	ROOT_PAGES_SPARE = 16,
	RELOAD_INODES = 1 << 20, /* for places that reloads make, and take away: the guest can make none */
};

#define ATTRS_ALWAYS (MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV)
#define ATTRS_SEALED (ATTRS_ALWAYS | MOUNT_ATTR_RDONLY | MOUNT_ATTR_NOEXEC)

static const char mask_dir[] = ".masked-directory", mask_file[] = ".masked-file", cover_file[] = ".file";

uint64_t pyi_tree_attrs(unsigned int access)
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

/* A copy of the host's whole tree has a copy of our tmpfs over its root, because that is where ours is. */
static int uncover(int mount_fd, struct pyi_err *err)
{
	for (int i = 0;
	     i < PYI_TREE_OWN_MAX && top_mount_id(mount_fd) != pyi_tree_mount_id(mount_fd); i++)
		if (PYI_FAULT(248, EINVAL) || fchdir(mount_fd) < 0 || umount2(".", MNT_DETACH) < 0)
			return pyi_err_sys(err, errno, "cannot uncover the copy of the host's root");
	return 0;
}

static int do_bind(struct pyi_tree *tree, const struct pyi_op *op, struct pyi_err *err)
{
	_cleanup_fd int source_fd = -1;
	_cleanup_fd int target_fd = -1;
	_cleanup_fd int mount_fd = -1;
	struct stat st;
	int ret;

	if (op->idmap && tree->idmap_fd < 0)
		return pyi_err_set(err, EINVAL, "there is no id map for it");
	ret = pyi_tree_open_source(tree, op->source, &source_fd, &st, err);
	if (ret)
		return ret;
	tree->has_moved |= strcmp(op->source, op->path) != 0;
	if (op->is_dir != S_ISDIR(st.st_mode))
		return pyi_err_set(err, ESTALE, "it was replaced while the sandbox started");
	ret = pyi_mount_clone(source_fd, pyi_tree_attrs(op->access),
			      op->idmap ? tree->idmap_fd : -1, &mount_fd, err);
	if (ret)
		return ret;
	ret = pyi_tree_open_target(tree, op->path, op->is_dir, &target_fd, err);
	if (ret == 0 && op->is_dir && tree->ruleset_fd >= 0 && pyi_tree_is_own(tree, target_fd))
		ret = pyi_landlock_allow(tree->ruleset_fd, tree->landlock_abi, target_fd, op->path,
					 op->access, err);
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
static int do_dev(struct pyi_tree *tree, const struct pyi_op *op, struct pyi_err *err)
{
	const uint64_t attrs = MOUNT_ATTR_NOSUID | MOUNT_ATTR_NOEXEC | MOUNT_ATTR_RDONLY;
	_cleanup_fd int source_fd = -1;
	_cleanup_fd int target_fd = -1;
	_cleanup_fd int mount_fd = -1;
	struct stat st;
	int ret;

	ret = pyi_tree_open_source(tree, op->source, &source_fd, &st, err);
	if (ret)
		return ret == -ENOENT ? 0 : ret;
	if (!S_ISCHR(st.st_mode))
		return pyi_err_set(err, ENODEV, "'%s' is not a character device", op->source);
	ret = pyi_mount_clone(source_fd, attrs, -1, &mount_fd, err);
	if (ret == 0)
		ret = pyi_tree_open_target(tree, op->path, false, &target_fd, err);
	return ret ? ret : pyi_mount_attach(mount_fd, target_fd, err);
}

/* A copy of an entry of our tmpfs, sealed, on top of something of the host. */
static int cover(struct pyi_tree *tree, const char *own_name, const char *path, bool is_dir,
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
		ret = pyi_tree_open_target(tree, path, is_dir, &target_fd, err);
	return ret ? ret : pyi_mount_attach(mount_fd, target_fd, err);
}

/* Mode 0000 on a read-only mount: without capabilities nobody opens it, its owner included. */
static int do_mask(struct pyi_tree *tree, const struct pyi_op *op, struct pyi_err *err)
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

static int do_file(struct pyi_tree *tree, const struct pyi_op *op, struct pyi_err *err)
{
	_cleanup_fd int parent_fd = -1;
	const char *leaf, *text = op->text ? op->text : "";
	int ret;

	ret = pyi_tree_open_parent(tree, op->path, &parent_fd, &leaf, err);
	if (ret)
		return ret;
	if (pyi_tree_is_own(tree, parent_fd))
		return write_file(parent_fd, leaf, text, err);
	/* Inside something of the host: over the file that is there. */
	ret = write_file(tree->own_fd, cover_file, text, err);
	if (ret == 0)
		ret = cover(tree, cover_file, op->path, false, err);
	if (unlinkat(tree->own_fd, cover_file, 0) < 0 && ret == 0)
		ret = pyi_err_sys(err, errno, "cannot remove the name of the file");
	return ret;
}

static int do_symlink(struct pyi_tree *tree, const struct pyi_op *op, struct pyi_err *err)
{
	_cleanup_fd int parent_fd = -1;
	char found[PATH_MAX];
	const char *leaf;
	ssize_t len;
	int ret;

	if (!op->text || !op->text[0])
		return pyi_err_set(err, EINVAL, "a symlink needs a target");
	ret = pyi_tree_open_parent(tree, op->path, &parent_fd, &leaf, err);
	if (ret)
		return ret;
	len = readlinkat(parent_fd, leaf, found, sizeof(found));
	if (len >= 0) /* granted with the directory it is in */
		return (size_t)len == strlen(op->text) && memcmp(found, op->text, (size_t)len) == 0
			       ? 0
			       : pyi_err_set(err, EEXIST, "another symlink stands there");
	if (errno == ENOENT && !pyi_tree_is_own(tree, parent_fd))
		return pyi_err_set(err, ENOENT, "the symlink is gone from the host");
	if (PYI_FAULT(240, ENOSPC) || symlinkat(op->text, parent_fd, leaf) < 0)
		return pyi_err_sys(err, errno, "cannot make the symlink");
	return 0;
}

static int attach_new(struct pyi_tree *tree, int mount_fd, const char *path, struct pyi_err *err)
{
	_cleanup_fd int target_fd = -1;
	int ret = pyi_tree_open_target(tree, path, true, &target_fd, err);

	return ret ? ret : pyi_mount_attach(mount_fd, target_fd, err);
}

static int do_tmpfs(struct pyi_tree *tree, const struct pyi_op *op, struct pyi_err *err)
{
	uint64_t attrs = ATTRS_ALWAYS | (op->access & PYI_EXEC ? 0 : MOUNT_ATTR_NOEXEC);
	uint64_t inodes = op->size_bytes / BYTES_PER_INODE;
	_cleanup_fd int fd = -1;
	int ret;

	ret = pyi_mount_tmpfs(op->size_bytes, inodes < INODES_MIN ? INODES_MIN : inodes, "1777",
			      attrs, &fd, err);
	if (ret == 0)
		ret = pyi_tree_add_own(tree, fd, err);
	return ret ? ret : attach_new(tree, fd, op->path, err);
}

static int do_proc(struct pyi_tree *tree, const struct pyi_op *op, struct pyi_err *err)
{
	_cleanup_fd int fd = -1;
	int ret = pyi_mount_proc(ATTRS_ALWAYS | MOUNT_ATTR_NOEXEC, &fd, err);

	return ret ? ret : attach_new(tree, fd, op->path, err);
}

static int do_op(struct pyi_tree *tree, const struct pyi_op *op, struct pyi_err *err)
{
	_cleanup_fd int fd = -1;
	int ret = pyi_tree_check_path(op->path, err);

	if (ret)
		return ret;
	switch (op->kind) {
	case PYI_OP_DIR:
		return pyi_tree_open_target(tree, op->path, true, &fd, err);
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

/*
 * A path of the ceiling: a rule for what it is on the host, and for an empty directory in its place, beneath which
 * parts of it can be mounted. Inside what is granted there is no place to make, nor need for one. Of a pattern the
 * empty directory alone.
 */
static int allow_ceiling(struct pyi_tree *tree, const struct pyi_landlock_row *row, struct pyi_err *err)
{
	_cleanup_fd int source_fd = -1;
	_cleanup_fd int target_fd = -1;
	struct stat st;
	int ret = pyi_tree_open_source(tree, row->path, &source_fd, &st, err);

	if (ret == 0 && row->is_dir != (bool)S_ISDIR(st.st_mode))
		ret = pyi_err_set(err, ESTALE, "it was replaced while the sandbox started");
	if (ret == 0 && !row->is_place)
		ret = pyi_landlock_allow(tree->ruleset_fd, tree->landlock_abi, source_fd, row->path,
					 row->access, err);
	if (ret || !row->is_dir)
		return ret;
	ret = pyi_tree_open_target(tree, row->path, true, &target_fd, err);
	if (ret == 0)
		ret = pyi_landlock_allow(tree->ruleset_fd, tree->landlock_abi, target_fd, row->path,
					 row->access, err);
	return ret;
}

static int allow_ceilings(struct pyi_tree *tree, struct pyi_err *err)
{
	const struct pyi_plan *plan = tree->plan;
	int ret = 0;

	for (size_t i = 0; ret == 0 && tree->ruleset_fd >= 0 && i < plan->n_ceiling; i++) {
		ret = allow_ceiling(tree, &plan->ceiling[i], err);
		if (ret)
			pyi_err_add(err, "cannot make room for '%s' of the ceiling",
				    plan->ceiling[i].path);
	}
	return ret;
}

/* The root tmpfs, just large enough for the plan: a component of each path, a page for each text. */
static int make_root(struct pyi_tree *tree, struct pyi_err *err)
{
	const struct pyi_plan *plan = tree->plan;
	uint64_t inodes = ROOT_PAGES_SPARE, pages = ROOT_PAGES_SPARE;
	_cleanup_fd int root_fd = -1;
	int ret;

	if (tree->ruleset_fd >= 0)
		inodes += RELOAD_INODES;
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
	ret = pyi_tree_add_own(tree, tree->own_fd, err);
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
static int leave_chroot(struct pyi_tree *tree, struct pyi_err *err)
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
 * Make the mount at fd the root. pivot_root(2), "pivot_root(".", ".")": the old root is then the topmost mount on the
 * new one's root, and that is what umount2(".") takes from there. No path leads into it but "/..".
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
	return 0;
}

/* Make the old root go away, from the new one. It is out of reach at once, and then the kernel waits a while. */
static int detach_old(struct pyi_err *err)
{
	if (PYI_FAULT(244, EPERM) || umount2(".", MNT_DETACH) < 0)
		return pyi_err_sys(err, errno, "cannot detach the old root");
	return 0;
}

/* "/.." crosses into whatever is mounted over the root: it must be the root that was built itself. */
static int check_root(int root_fd, struct pyi_err *err)
{
	_cleanup_fd int fd = open("/..", O_PATH | O_DIRECTORY | O_CLOEXEC);
	uint64_t id = fd < 0 || PYI_FAULT(245, ENOSYS) ? 0 : pyi_tree_mount_id(fd);

	if (!id || id != pyi_tree_mount_id(root_fd))
		return pyi_err_set(err, ESTALE, "the root is not the one that was built");
	return 0;
}

int pyi_tree_detach(int root_fd, struct pyi_err *err)
{
	int ret;

	if (fchdir(root_fd) < 0)
		return pyi_err_sys(err, errno, "cannot enter the new root");
	ret = detach_old(err);
	return ret ? ret : check_root(root_fd, err);
}

/* From the host's tree to ours; the way back is closed by pyi_tree_detach(). */
static int switch_root(struct pyi_tree *tree, struct pyi_err *err)
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
	if (ret == 0 && tree->root_fd != tree->own_fd) {
		ret = detach_old(err);
		if (ret == 0)
			ret = pivot(tree->root_fd, err);
	}
	if (ret)
		return ret;
	if (PYI_FAULT(247, EACCES) || chdir("/") < 0)
		return pyi_err_sys(err, errno, "cannot enter the new root");
	return 0;
}

/*
 * The kernel dissolves a detached mount when its last descriptor is closed, and whoever closes it waits for a grace
 * period: for our own binary that would be the guest in its exec. One that has been unmounted is dissolved already, and
 * the old root is going to wait anyway. Where it cannot be done it only takes longer.
 */
static void add_extra(const struct pyi_tree_extra *extra)
{
	struct pyi_err unused = { 0 };

	if (extra->mount_fd >= 0 && extra->place_fd >= 0)
		(void)pyi_mount_attach(extra->mount_fd, extra->place_fd, &unused);
}

static int build(struct pyi_tree *tree, const struct pyi_tree_extra *extra, struct pyi_err *err)
{
	const struct pyi_plan *plan = tree->plan;
	int ret;

	ret = leave_chroot(tree, err);
	if (ret == 0)
		ret = pyi_mount_make_private(err);
	if (ret == 0)
		ret = make_root(tree, err);
	if (ret == 0)
		ret = allow_ceilings(tree, err);
	for (size_t i = 0; ret == 0 && i < plan->n_ops; i++) {
		ret = do_op(tree, &plan->ops[i], err);
		if (ret)
			return pyi_err_add(err, "cannot put '%s' into the sandbox",
					   plan->ops[i].path ? plan->ops[i].path : "");
	}
	/* After all copies of the host's mounts have been made. */
	if (ret == 0)
		add_extra(extra);
	if (ret == 0)
		ret = switch_root(tree, err);
	if (ret == 0 && (PYI_FAULT(246, ENOENT) || chdir(plan->cwd ? plan->cwd : "/") < 0))
		return pyi_err_sys(err, errno, "cannot enter '%s' in the sandbox", plan->cwd);
	return ret;
}

int pyi_tree_build(const struct pyi_tree_setup *setup, int *ret_root_fd, struct pyi_err *err)
{
	struct pyi_tree tree = { .plan = setup->plan,
				 .idmap_fd = setup->idmap_fd,
				 .host_fd = -1,
				 .own_fd = -1,
				 .root_fd = -1,
				 .ruleset_fd = setup->ruleset_fd,
				 .landlock_abi = setup->landlock_abi };
	mode_t old_umask = umask(0);
	int ret = build(&tree, &setup->extra, err);

	if (tree.root_fd != tree.own_fd)
		pyi_close_fd(&tree.own_fd);
	tree.own_fd = -1;
	if (ret == 0)
		*ret_root_fd = pyi_take_fd(&tree.root_fd);
	pyi_close_fd(&tree.root_fd);
	pyi_close_fd(&tree.host_fd);
	umask(old_umask);
	return ret;
}
