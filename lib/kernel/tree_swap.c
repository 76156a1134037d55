/* SPDX-License-Identifier: MIT */
/*
 * See tree_swap.h, and tree_change.h for the whole. All paths are walked without symlinks; what is made is made on our
 * own tmpfs, through a second mount of it that can be written to, in a directory that nobody but us can enter.
 */
#include "kernel/tree_swap.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/digest.h"
#include "base/err.h"
#include "base/fault.h"
#include "base/util.h"
#include "kernel/mount.h"
#include "kernel/sys.h"
#include "kernel/tree_change.h"
#include "kernel/tree_places.h"
#include "kernel/tree_units.h"
#include "kernel/tree_walk.h"
#include "plan/cover.h"
#include "plan/plan.h"

#ifndef MOVE_MOUNT_BENEATH
#define MOVE_MOUNT_BENEATH 0x00000200
#endif

#define WALK_RESOLVE (RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS | RESOLVE_NO_MAGICLINKS)
#define ATTRS_SEALED (MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV | MOUNT_ATTR_RDONLY | MOUNT_ATTR_NOEXEC)

enum { DEFINITION_LEN = 2 + 2 * PYI_DIGEST_LEN };

/* Where a mount of the sandbox's path leads: its root, or a place in it. -1 and errno. */
static int walk(int fd, const char *rel)
{
	return *rel ? pyi_sys_openat2(fd, rel, O_PATH | O_CLOEXEC, WALK_RESOLVE)
		    : fcntl(fd, F_DUPFD_CLOEXEC, 0);
}

/* The path of an operation in its unit, without leading slash. */
static const char *rel_path(const struct pyi_tree_unit *unit, const struct pyi_op *op)
{
	const char *rel = op->path + strlen(unit->path);

	return *rel == '/' ? rel + 1 : rel;
}

static int attach(int mount_fd, int target_fd, bool is_dir, unsigned int flags, struct pyi_err *err)
{
	struct stat st;

	if (fstat(target_fd, &st) < 0)
		return pyi_err_sys(err, errno, "cannot look at the place to mount on");
	if ((bool)S_ISDIR(st.st_mode) != is_dir)
		return pyi_err_set(err, is_dir ? ENOTDIR : EISDIR, "the place to mount on is %s",
				   is_dir ? "no directory" : "a directory");
	if (PYI_FAULT(262, ENOSPC) ||
	    move_mount(mount_fd, "", target_fd, "",
		       MOVE_MOUNT_F_EMPTY_PATH | MOVE_MOUNT_T_EMPTY_PATH | flags) < 0)
		return errno == ENOSPC
			       ? pyi_err_set(err, ENOSPC,
					     "the sandbox has as many mounts as fs.mount-max lets it have")
			       : pyi_err_sys(err, errno, "cannot attach the mount");
	return 0;
}

/* ---------------------------------------------------------------------------------- mounts that are put aside */

static bool is_mount_root(int fd)
{
	struct statx st;

	return statx(fd, "", AT_EMPTY_PATH, STATX_BASIC_STATS, &st) == 0 &&
	       st.stx_attributes & STATX_ATTR_MOUNT_ROOT;
}

/*
 * What a unit consists of, as the name of a directory: equal ones are the same files, shown in the same way. `fds` are
 * those of the operations; NULL: they are looked up in the mount at top_fd. False when it is not what it should be.
 */
static bool define(const struct pyi_tree_unit *unit, const struct pyi_op *ops, size_t n,
		   const int *fds, int top_fd, char ret_name[DEFINITION_LEN])
{
	_cleanup_buf struct pyi_buf text = PYI_BUF_INIT;
	uint8_t digest[PYI_DIGEST_LEN];

	for (size_t i = 0; i < n; i++) {
		const char *rel = rel_path(unit, &ops[i]);
		_cleanup_fd int fd = fds ? -1 : walk(top_fd, rel);
		struct stat st = { 0 };

		if (!fds && !is_mount_root(fd))
			return false;
		if (ops[i].kind == PYI_OP_BIND && fstat(fds ? fds[i] : fd, &st) < 0)
			return false;
		pyi_buf_printf(&text, "%d %u %d %llu %llu %s\n", ops[i].kind, ops[i].access,
			       ops[i].idmap, (unsigned long long)st.st_dev,
			       (unsigned long long)st.st_ino, rel);
	}
	if (text.failed || !n)
		return false;
	pyi_digest(text.data, text.len, digest);
	ret_name[0] = 'k';
	pyi_digest_hex(digest, ret_name + 1);
	return true;
}

static int detach(const char *path, struct pyi_err *err)
{
	if (PYI_FAULT(270, EBUSY) || umount2(path, MNT_DETACH | UMOUNT_NOFOLLOW) < 0)
		return pyi_err_sys(err, errno, "cannot detach the mount");
	return 0;
}

/* Aside, with all that is on it. */
static int put_aside(struct pyi_tree_places *places, const struct pyi_tree_unit *unit,
		     const struct pyi_tree_mount *mount, int fd, struct pyi_err *err)
{
	char name[DEFINITION_LEN];
	_cleanup_fd int target_fd = -1;
	int ret;

	if (strcmp(mount->path, unit->path) != 0 ||
	    !define(unit, unit->from, unit->n_from, NULL, fd, name))
		snprintf(name, sizeof(name), "k%d", mount->id);
	ret = pyi_tree_places_aside(places, name, true, &target_fd, err);
	return ret ? ret : attach(fd, target_fd, true, 0, err);
}

/*
 * What was put aside under that name, if it still is that: meanwhile the host may have renamed or removed a directory
 * in it, and what covers it has gone along.
 */
static bool find_aside(struct pyi_tree_places *places, const struct pyi_tree_unit *unit,
		       const char *name, int *ret_fd)
{
	_cleanup_fd int fd = -1;
	char found[DEFINITION_LEN];
	struct pyi_err unused = { 0 };

	if (pyi_tree_places_aside(places, name, false, &fd, &unused) < 0 || !is_mount_root(fd) ||
	    !define(unit, unit->to, unit->n_to, NULL, fd, found) || strcmp(found, name) != 0)
		return false;
	*ret_fd = pyi_take_fd(&fd);
	return true;
}

/*
 * Take the mount at fd away: aside when there is something on it, else for good. `is_hidden`: another one is over it,
 * so that no path leads there, and what is to be detached is first moved to where one does. What the host has removed
 * cannot be moved; it is at the top then, and has nothing beneath that could show.
 */
static int put_away(struct pyi_tree_places *places, const struct pyi_tree_unit *unit,
		    const struct pyi_tree_mount *mount, int fd, bool is_hidden, struct pyi_err *err)
{
	_cleanup_fd int target_fd = -1;
	struct stat st;
	bool is_dir;
	int ret;

	if (fstat(fd, &st) < 0)
		return pyi_err_sys(err, errno, "cannot look at the mount");
	is_dir = S_ISDIR(st.st_mode);
	if (st.st_nlink && (mount->has_children || (is_dir && places->keeps_paths)))
		return put_aside(places, unit, mount, fd, err);
	if (!is_hidden)
		return detach(mount->path, err);
	ret = pyi_tree_places_open(places, is_dir ? PYI_TREE_GONE_DIR : PYI_TREE_GONE_FILE,
				   &target_fd, err);
	if (ret == 0)
		ret = attach(fd, target_fd, is_dir, 0, err);
	return ret ? ret
		   : detach(is_dir ? PYI_TREE_WORK_DIR "/" PYI_TREE_GONE_DIR
				   : PYI_TREE_WORK_DIR "/" PYI_TREE_GONE_FILE,
			    err);
}

/* --------------------------------------------------------------------------------------------------- staging */

/* Nested mounts, in the mount at top_fd. */
static int stage_ops(struct pyi_tree_places *places, const struct pyi_tree_unit *unit,
		     const int *fds, size_t first, int top_fd, struct pyi_err *err)
{
	int ret = 0;

	for (size_t i = first; i < unit->n_to && ret == 0; i++) {
		const struct pyi_op *op = &unit->to[i];
		_cleanup_fd int target_fd = walk(top_fd, rel_path(unit, op));
		_cleanup_fd int mask_fd = -1;
		bool is_dir = op->kind == PYI_OP_MASK_DIR || (op->kind == PYI_OP_BIND && op->is_dir);

		if (target_fd < 0)
			ret = pyi_err_sys(err, errno, "cannot open the place to mount on");
		if (ret == 0 && op->kind != PYI_OP_BIND)
			ret = pyi_tree_places_mask(places, is_dir, &mask_fd, err);
		if (ret == 0)
			ret = attach(op->kind == PYI_OP_BIND ? fds[i] : mask_fd, target_fd, is_dir,
				     0, err);
		if (ret)
			pyi_err_add(err, "'%s'", op->path);
	}
	return ret;
}

/* The places of the parts of what was granted, in a directory of our own, and the way to them open. */
static int make_places(struct pyi_tree_places *places, const struct pyi_tree_unit *unit,
		       struct pyi_err *err)
{
	const char *last = NULL;
	int ret = 0;

	for (size_t i = 0; i < unit->n_to && ret == 0; i++) {
		const struct pyi_op *op = &unit->to[i];

		if (last && pyi_path_is_within(op->path, last))
			continue;
		last = op->path;
		ret = pyi_tree_places_make(places, op->path, op->is_dir, err);
	}
	return ret;
}

/* The new mount of a unit, complete, where the guest cannot get. */
static int stage(struct pyi_tree_places *places, const struct pyi_tree_unit *unit, int *fds,
		 int *ret_fd, struct pyi_err *err)
{
	bool is_whole = strcmp(unit->to[0].path, unit->path) == 0;
	bool is_dir = !is_whole || unit->to[0].is_dir;
	_cleanup_fd int target_fd = -1;
	_cleanup_fd int fd = -1;
	char name[DEFINITION_LEN];
	int ret = is_whole ? 0 : make_places(places, unit, err);

	/* After that: when it was taken away the way to its parts was closed. */
	if (ret == 0 && define(unit, unit->to, unit->n_to, fds, -1, name) &&
	    find_aside(places, unit, name, &fd)) {
		*ret_fd = pyi_take_fd(&fd);
		return 0;
	}
	if (ret == 0 && is_whole)
		fd = pyi_take_fd(&fds[0]);
	else if (ret == 0)
		ret = pyi_tree_places_clone(places, unit->path, &fd, err);
	if (ret == 0 && fd < 0)
		ret = pyi_err_set(err, EINVAL, "there is nothing to mount");
	if (ret)
		return ret;
	ret = pyi_tree_places_open(places, is_dir ? PYI_TREE_STAGE_DIR : PYI_TREE_STAGE_FILE,
				   &target_fd, err);
	if (ret == 0)
		ret = attach(fd, target_fd, is_dir, 0, err);
	if (ret == 0)
		ret = stage_ops(places, unit, fds, is_whole ? 1 : 0, fd, err);
	if (ret == 0)
		*ret_fd = pyi_take_fd(&fd);
	return ret;
}

/* ---------------------------------------------------------------------------------------------------- units */

/* What is mounted beneath a path at which nothing is: held, because what comes hides it. */
static int open_hidden(const struct pyi_tree_places *places, const struct pyi_tree_unit *unit,
		       const struct pyi_tree_mounts *mounts, int **ret_fds,
		       const struct pyi_tree_mount ***ret_mounts, size_t *ret_n, struct pyi_err *err)
{
	const char *last = NULL;

	*ret_n = 0;
	*ret_fds = calloc(mounts->n + 1, sizeof(**ret_fds));
	*ret_mounts = calloc(mounts->n + 1, sizeof(struct pyi_tree_mount *));
	if (!*ret_fds || !*ret_mounts)
		return pyi_err_nomem(err);
	for (size_t i = 0; i < mounts->n; i++) {
		const char *path = mounts->v[i].path;
		struct stat st;
		int fd;

		if (!pyi_path_is_within(path, unit->path) || (last && pyi_path_is_within(path, last)))
			continue;
		last = path;
		fd = walk(places->root_fd, path + 1);
		if (fd < 0 || fstat(fd, &st) < 0)
			return pyi_err_sys(err, errno, "cannot open '%s' in the sandbox", path);
		/* What the host has removed could not be moved from beneath another mount. */
		if (!st.st_nlink) {
			int ret = detach(path, err);

			close(fd);
			if (ret)
				return ret;
			continue;
		}
		(*ret_mounts)[*ret_n] = pyi_tree_mounts_find(mounts, path);
		(*ret_fds)[(*ret_n)++] = fd;
	}
	return 0;
}

static int put_first(struct pyi_tree_places *places, const struct pyi_tree_unit *unit,
		     const struct pyi_tree_mounts *mounts, int stage_fd, struct pyi_err *err)
{
	_cleanup_free const struct pyi_tree_mount **hidden = NULL;
	_cleanup_free int *fds = NULL;
	_cleanup_fd int target_fd = -1;
	bool is_dir = strcmp(unit->to[0].path, unit->path) != 0 || unit->to[0].is_dir;
	size_t n = 0;
	int ret = open_hidden(places, unit, mounts, &fds, &hidden, &n, err);

	if (ret == 0)
		ret = pyi_tree_places_make(places, unit->path, is_dir, err);
	if (ret == 0) {
		target_fd = walk(places->root_fd, unit->path + 1);
		ret = target_fd < 0 ? pyi_err_sys(err, errno, "cannot open the place to mount on")
				    : attach(stage_fd, target_fd, is_dir, 0, err);
	}
	for (size_t i = 0; i < n; i++) {
		if (ret == 0)
			ret = put_away(places, unit, hidden[i], fds[i], true, err);
		if (ret == 0)
			pyi_tree_places_drop(places, hidden[i]->path);
		close(fds[i]);
	}
	return ret;
}

static int put_instead(struct pyi_tree_places *places, const struct pyi_tree_unit *unit,
		       const struct pyi_tree_mount *mount, int stage_fd, struct pyi_err *err)
{
	_cleanup_fd int old_fd = walk(places->root_fd, unit->path + 1);
	struct stat st;
	int ret;

	if (old_fd < 0 || fstat(old_fd, &st) < 0)
		return pyi_err_sys(err, errno, "cannot open the mount that is there");
	ret = attach(stage_fd, old_fd, strcmp(unit->to[0].path, unit->path) != 0 || unit->to[0].is_dir,
		     MOVE_MOUNT_BENEATH, err);
	if (ret == -EINVAL)
		pyi_err_add(err, "no mount goes beneath another one here (Linux 6.5)");
	return ret ? ret : put_away(places, unit, mount, old_fd, false, err);
}

static int take_away(struct pyi_tree_places *places, const struct pyi_tree_unit *unit,
		     const struct pyi_tree_mount *mount, struct pyi_err *err)
{
	_cleanup_fd int old_fd = walk(places->root_fd, unit->path + 1);
	int ret;

	if (old_fd < 0)
		return pyi_err_sys(err, errno, "cannot open the mount that is there");
	ret = pyi_tree_places_close(places, unit->path, err);
	if (ret == 0)
		ret = put_away(places, unit, mount, old_fd, false, err);
	if (ret == 0)
		pyi_tree_places_drop(places, unit->path);
	return ret;
}

static int change_unit(struct pyi_tree_places *places, struct pyi_tree_swap *swap,
		       const struct pyi_tree_unit *unit, int *fds, struct pyi_err *err)
{
	const struct pyi_tree_mount *mount = pyi_tree_mounts_find(swap->mounts, unit->path);
	_cleanup_fd int stage_fd = -1;
	int ret;

	if (!unit->n_to)
		return mount ? take_away(places, unit, mount, err) : 0;
	ret = stage(places, unit, fds, &stage_fd, err);
	if (ret)
		return ret;
	return mount ? put_instead(places, unit, mount, stage_fd, err)
		     : put_first(places, unit, swap->mounts, stage_fd, err);
}

/* --------------------------------------------------------------------------------------------------- symlinks */

static bool has_link(const struct pyi_plan *plan, const struct pyi_op *link)
{
	for (size_t i = 0; i < plan->n_ops; i++)
		if (plan->ops[i].kind == PYI_OP_SYMLINK && strcmp(plan->ops[i].path, link->path) == 0 &&
		    strcmp(plan->ops[i].text, link->text) == 0)
			return true;
	return false;
}

static int change_links(struct pyi_tree_places *places, const struct pyi_plan *with,
			const struct pyi_plan *without, bool make, struct pyi_err *err)
{
	int ret = 0;

	for (size_t i = 0; i < with->n_ops && ret == 0; i++) {
		const struct pyi_op *op = &with->ops[i];

		if (op->kind != PYI_OP_SYMLINK || has_link(without, op))
			continue;
		if (make)
			ret = pyi_tree_places_link(places, op->path, op->text, err);
		else
			pyi_tree_places_unlink(places, op->path, op->text);
	}
	return ret;
}

int pyi_tree_swap_run(struct pyi_tree_swap *swap, struct pyi_err *err)
{
	const struct pyi_tree_change *change = swap->change;
	struct pyi_tree_places places = PYI_TREE_PLACES_INIT;
	int *fds = swap->mount_fds;
	int ret;

	places.kept = change->kept;
	places.n_kept = change->n_kept;
	places.keeps_paths = change->keeps_paths;
	if (PYI_FAULT(263, EPERM) || pyi_sys_setns(swap->ns_fd, CLONE_NEWNS) < 0)
		return pyi_err_sys(err, errno, "cannot enter the sandbox's mount namespace");
	umask(0);
	ret = pyi_tree_places_begin(&places, err);
	if (ret == 0 && change->has_touched)
		*change->has_touched = true;
	if (ret == 0)
		ret = change_links(&places, change->to, change->from, true, err);
	for (size_t i = 0; i < swap->units->n && ret == 0; i++) {
		const struct pyi_tree_unit *unit = &swap->units->v[i];

		ret = PYI_FAULT(264, EIO) ? pyi_err_sys(err, errno, "cannot go on")
					  : change_unit(&places, swap, unit, fds, err);
		if (ret)
			pyi_err_add(err, "cannot change '%s' in the sandbox", unit->path);
		fds += unit->n_to;
	}
	if (ret == 0)
		ret = change_links(&places, change->from, change->to, false, err);
	pyi_tree_places_end(&places);
	return ret;
}
