/* SPDX-License-Identifier: MIT */
/*
 * What has to be done to the tree of a running sandbox: the outermost paths at which something is mounted, or is to be,
 * each with all that lies beneath it. Of one unit everything changes in one step.
 */
#ifndef PYI_KERNEL_TREE_UNITS_H
#define PYI_KERNEL_TREE_UNITS_H

#include <stdbool.h>
#include <stddef.h>

#include "kernel/tree_mounts.h"

struct pyi_err;
struct pyi_op;
struct pyi_plan;

struct pyi_tree_unit {
	const char *path;	   /* borrowed, from the plan or the mounts */
	const struct pyi_op *from; /* granted operations at and beneath it, as it was; borrowed */
	size_t n_from;
	const struct pyi_op *to; /* as it is to be; none: it is to vanish */
	size_t n_to;
	bool is_mounted; /* something is mounted at the path itself */
};

/* Directories (O_PATH): the host's root and that of the sandbox. */
struct pyi_tree_roots {
	int host_fd;
	int sandbox_fd;
};

struct pyi_tree_units {
	struct pyi_tree_unit *v; /* those that change, in tree order */
	size_t n;
};

/*
 * -EPERM, with a message, for what cannot change: the sandbox's own /tmp, /proc and devices, and what is mounted in
 * them. *ret_units is the caller's to release, and lives no longer than plans and mounts.
 */
int pyi_tree_units_find(const struct pyi_plan *from, const struct pyi_plan *to,
			const struct pyi_tree_roots *roots, const struct pyi_tree_mounts *mounts,
			struct pyi_tree_units *ret_units, struct pyi_err *err);
void pyi_tree_units_release(struct pyi_tree_units *units);

/* Is it one of the operations that bring in what rules say (and not what every sandbox has of its own)? */
bool pyi_tree_op_is_granted(const struct pyi_op *op);

/* Where reloads keep what they are at work on, in the sandbox's own tmpfs; the guest cannot enter it. */
#define PYI_TREE_WORK_DIR "/.pyisolate"

#endif
