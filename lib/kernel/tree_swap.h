/* SPDX-License-Identifier: MIT */
/* Inside the sandbox's mount namespace: unit after unit is put in place; for tree_change.c. */
#ifndef PYI_KERNEL_TREE_SWAP_H
#define PYI_KERNEL_TREE_SWAP_H

#include <stddef.h>

struct pyi_err;
struct pyi_tree_change;
struct pyi_tree_mounts;
struct pyi_tree_units;

struct pyi_tree_swap {
	const struct pyi_tree_change *change;
	const struct pyi_tree_units *units;
	const struct pyi_tree_mounts *mounts;
	int ns_fd; /* the namespace, or a pidfd of the sandbox's first process */
	int *mount_fds; /* of each unit's operations in their order, detached; -1 for what covers; owned */
	size_t n_mount_fds;
};

/* Enters the namespace for good: the caller is a child that ends afterwards. */
int pyi_tree_swap_run(struct pyi_tree_swap *swap, struct pyi_err *err);

#endif
