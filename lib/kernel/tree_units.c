/* SPDX-License-Identifier: MIT */
/* See tree_units.h. */
#include "kernel/tree_units.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/err.h"
#include "base/util.h"
#include "kernel/sys.h"
#include "plan/cover.h"
#include "plan/plan.h"

void pyi_tree_units_release(struct pyi_tree_units *units)
{
	free(units->v);
	*units = (struct pyi_tree_units){ 0 };
}

bool pyi_tree_op_is_granted(const struct pyi_op *op)
{
	return op->kind == PYI_OP_BIND || op->kind == PYI_OP_MASK_DIR || op->kind == PYI_OP_MASK_FILE;
}

static bool is_own(const struct pyi_op *op)
{
	return op->kind == PYI_OP_TMPFS || op->kind == PYI_OP_PROC || op->kind == PYI_OP_DEV;
}

/* Does one of the sandbox's own stand at this path, or (a file system) above it? */
static const struct pyi_op *find_own(const struct pyi_plan *plan, const char *path)
{
	for (size_t i = 0; i < plan->n_ops; i++)
		if (is_own(&plan->ops[i]) && pyi_path_is_within(path, plan->ops[i].path))
			return &plan->ops[i];
	return NULL;
}

static int check_own(const struct pyi_plan *a, const struct pyi_plan *b, struct pyi_err *err)
{
	for (size_t i = 0; i < a->n_ops; i++) {
		const struct pyi_op *op = &a->ops[i];
		const struct pyi_op *other = is_own(op) ? find_own(b, op->path) : op;

		if (!other || strcmp(other->path, op->path) != 0)
			return pyi_err_set(
				err, EPERM,
				"'%s' is the sandbox's own or the host's from its start on: spawn it again",
				op->path);
	}
	return 0;
}

static int compare_paths(const void *x, const void *y)
{
	return pyi_path_compare(*(const char *const *)x, *(const char *const *)y);
}

/* The granted operations of a plan at or beneath a path: they are in tree order. */
static const struct pyi_op *find_ops(const struct pyi_plan *plan, const char *path, size_t *ret_n)
{
	const struct pyi_op *first = NULL;

	*ret_n = 0;
	for (size_t i = 0; i < plan->n_ops; i++) {
		const struct pyi_op *op = &plan->ops[i];

		if (!pyi_tree_op_is_granted(op) || !pyi_path_is_within(op->path, path))
			continue;
		first = first ? first : op;
		(*ret_n)++;
	}
	return first;
}

static bool is_same_op(const struct pyi_op *a, const struct pyi_op *b)
{
	return a->kind == b->kind && strcmp(a->path, b->path) == 0 && a->access == b->access &&
	       a->is_dir == b->is_dir && a->idmap == b->idmap;
}

/* Is the host's file at the path the one that is mounted there? */
static bool is_same_file(const struct pyi_tree_roots *roots, const char *path)
{
	const char *rel = path[1] ? path + 1 : ".";
	struct stat here, there;

	return fstatat(roots->host_fd, rel, &here, AT_SYMLINK_NOFOLLOW) == 0 &&
	       fstatat(roots->sandbox_fd, rel, &there, AT_SYMLINK_NOFOLLOW) == 0 &&
	       here.st_dev == there.st_dev && here.st_ino == there.st_ino;
}

static bool is_in_place(const struct pyi_tree_unit *unit, const struct pyi_tree_roots *roots,
			const struct pyi_tree_mounts *mounts)
{
	if (unit->n_from != unit->n_to)
		return false;
	for (size_t i = 0; i < unit->n_to; i++) {
		const struct pyi_op *op = &unit->to[i];

		if (!is_same_op(op, &unit->from[i]) || !pyi_tree_mounts_find(mounts, op->path))
			return false;
		if (op->kind == PYI_OP_BIND && !is_same_file(roots, op->path))
			return false;
	}
	return unit->n_to > 0;
}

static bool is_of_rules(const struct pyi_tree_mount *mount, const struct pyi_plan *plan)
{
	const struct pyi_op *own = find_own(plan, mount->path);

	return mount->path[1] && !mount->is_place && !(own && strcmp(own->path, mount->path) == 0) &&
	       !pyi_path_is_within(mount->path, PYI_TREE_WORK_DIR);
}

static int find(const struct pyi_plan *from, const struct pyi_plan *to,
		const struct pyi_tree_roots *roots, const struct pyi_tree_mounts *mounts,
		const char **paths, size_t n, struct pyi_tree_units *units, struct pyi_err *err)
{
	const char *last = NULL;

	for (size_t i = 0; i < n; i++) {
		struct pyi_tree_unit unit = { .path = paths[i] };
		const struct pyi_op *own;

		if (last && pyi_path_is_within(paths[i], last))
			continue;
		last = paths[i];
		unit.is_mounted = pyi_tree_mounts_find(mounts, last) != NULL;
		unit.from = find_ops(from, last, &unit.n_from);
		unit.to = find_ops(to, last, &unit.n_to);
		if (is_in_place(&unit, roots, mounts))
			continue;
		own = find_own(to, last);
		if (own)
			return pyi_err_set(err, EPERM,
					   "'%s' is in the sandbox's own %s, in which a reload changes nothing: spawn "
					   "it again",
					   last, own->path);
		units->v[units->n++] = unit;
	}
	return 0;
}

int pyi_tree_units_find(const struct pyi_plan *from, const struct pyi_plan *to,
			const struct pyi_tree_roots *roots, const struct pyi_tree_mounts *mounts,
			struct pyi_tree_units *ret_units, struct pyi_err *err)
{
	_cleanup_free const char **paths = calloc(to->n_ops + mounts->n + 1, sizeof(*paths));
	struct pyi_tree_units units = { calloc(to->n_ops + mounts->n + 1, sizeof(*units.v)), 0 };
	size_t n = 0;
	int ret;

	if (!paths || !units.v) {
		free(units.v);
		return pyi_err_nomem(err);
	}
	for (size_t i = 0; i < to->n_ops; i++)
		if (pyi_tree_op_is_granted(&to->ops[i]))
			paths[n++] = to->ops[i].path;
	for (size_t i = 0; i < mounts->n; i++)
		if (is_of_rules(&mounts->v[i], to))
			paths[n++] = mounts->v[i].path;
	qsort(paths, n, sizeof(*paths), compare_paths);
	ret = check_own(from, to, err);
	if (ret == 0)
		ret = check_own(to, from, err);
	if (ret == 0)
		ret = find(from, to, roots, mounts, paths, n, &units, err);
	if (ret < 0)
		pyi_tree_units_release(&units);
	else
		*ret_units = units;
	return ret;
}
