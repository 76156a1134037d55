/* SPDX-License-Identifier: MIT */
/*
 * Rows of the Landlock domain: what the tree brings in, said once more to a mechanism that nothing inside can lift, or,
 * without namespaces, the granted paths of the host's own tree.
 */
#include <errno.h>
#include <string.h>

#include "base/err.h"
#include "base/util.h"
#include "plan/build.h"
#include "plan/cover.h"

static int add_row(struct pyi_build *b, const char *path, unsigned int access, bool is_dir,
		   bool may_make_special, struct pyi_err *err)
{
	struct pyi_landlock_row *row = pyi_build_grow(&b->plan->landlock, &b->plan->n_landlock,
						      sizeof(*row));

	if (row)
		row->path = strdup(path);
	if (!row || !row->path)
		return pyi_err_nomem(err);
	row->access = access;
	row->is_dir = is_dir;
	row->may_make_special = may_make_special;
	return 0;
}

/* The root holds nothing but what is granted, so its directories may be listed, as `ls /` expects. */
static int add_root(struct pyi_build *b, struct pyi_err *err)
{
	int r = add_row(b, "/", 0, true, false, err);

	if (!r)
		b->plan->landlock[b->plan->n_landlock - 1].may_list = true;
	return r;
}

static int add_own(struct pyi_build *b, struct pyi_err *err)
{
	int r = add_root(b, err);

	for (size_t i = 0; i < b->plan->n_ops && !r; i++) {
		const struct pyi_op *op = &b->plan->ops[i];

		switch (op->kind) {
		case PYI_OP_TMPFS:
			r = add_row(b, op->path, op->access, true, true, err);
			break;
		case PYI_OP_PROC:
			r = add_row(b, op->path, PYI_READ, true, false, err);
			break;
		case PYI_OP_DEV:
		case PYI_OP_FILE:
			r = add_row(b, op->path, op->access, false, false, err);
			break;
		case PYI_OP_DIR:
		case PYI_OP_BIND:
		case PYI_OP_MASK_DIR:
		case PYI_OP_MASK_FILE:
		case PYI_OP_SYMLINK:
			break;
		}
	}
	return r;
}

/* Without a tree of our own: the same devices, and of /proc only the guest's own directory. */
static int add_host(struct pyi_build *b, struct pyi_err *err)
{
	static const char *const nodes[] = { "/dev/full", "/dev/null", "/dev/random",
					     "/dev/urandom", "/dev/zero" };
	int r = add_row(b, "/proc/self", PYI_READ, true, false, err);

	for (size_t i = 0; i < PYI_ARRAY_SIZE(nodes) && !r; i++) {
		const struct pyi_cover_node *node = pyi_cover_find(b->cover, nodes[i]);

		if (!node || (!node->access && !pyi_cover_is_hidden(node)))
			r = add_row(b, nodes[i], PYI_READ | PYI_WRITE, false, false, err);
	}
	return r;
}

int pyi_build_landlock(struct pyi_build *b, struct pyi_err *err)
{
	int r;

	if (!b->plan->use_landlock)
		return 0;
	r = b->plan->use_namespaces ? add_own(b, err) : add_host(b, err);
	for (size_t i = 0; i < b->cover->n && !r; i++) {
		const struct pyi_cover_node *node = &b->cover->v[i];

		/* What a deny of exec takes away is up to the mount: rows above count for what is below. */
		if (node->access & ~node->above)
			r = add_row(b, node->path, node->access, node->kind == PYI_PATH_DIR, false, err);
	}
	return r;
}
