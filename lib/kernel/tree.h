/* SPDX-License-Identifier: MIT */
/*
 * The sandbox's file tree: walk the plan's operations on a fresh tmpfs, then make it the root. In the mount namespace
 * of the sandbox, with CAP_SYS_ADMIN there.
 */
#ifndef PYI_KERNEL_TREE_H
#define PYI_KERNEL_TREE_H

#include <sys/types.h>

struct pyi_err;
struct pyi_plan;

/* A detached mount that is to go with the old root. */
struct pyi_tree_extra {
	int mount_fd; /* -1: there is none */
	int place_fd; /* where in the old root it can be mounted meanwhile */
};

/*
 * `idmap_fd`: a user namespace that maps the invoker to the guest, for operations with idmap; -1 without.
 *
 * `ruleset_fd` (-1 without): a Landlock ruleset, for a sandbox whose tree may change later (tree_change.h). It gets
 * rules for the plan's ceiling and for the places that directories are mounted on, so that what is mounted there or
 * beneath at another time is inside the domain.
 */
struct pyi_tree_setup {
	const struct pyi_plan *plan;
	int idmap_fd;
	int ruleset_fd;
	int landlock_abi;
	struct pyi_tree_extra extra;
};

/*
 * Sources are opened with openat2 and RESOLVE_NO_SYMLINKS | RESOLVE_NO_MAGICLINKS: they were real when they were
 * resolved, and if they no longer are, that is an error. Afterwards the working directory is the plan's, and paths are
 * those of the new root; the old one is still mounted over it. *ret_root_fd is the new one, which the caller closes.
 */
int pyi_tree_build(const struct pyi_tree_setup *setup, int *ret_root_fd, struct pyi_err *err);

/*
 * Detach the old root, and see that nothing but the new one is left. The kernel waits for a grace period in it, tens of
 * microseconds or, on a busy machine, milliseconds: so it is done while the guest prepares itself, and before it is let
 * go. The calling process's working directory is the root afterwards.
 */
int pyi_tree_detach(int root_fd, struct pyi_err *err);

/* A user namespace (as an fd) that maps host id uid/gid of the invoker to uid/gid of the guest. Root. */
int pyi_tree_idmap_open(const struct pyi_plan *plan, unsigned int owner_uid, unsigned int owner_gid,
			int *ret_fd, struct pyi_err *err);

/* The process that a user namespace begins with; it runs on this stack. */
struct pyi_idmap_holder {
	_Alignas(16) char stack[16384];
	pid_t pid; /* -1: none */
	pid_t parent;
};

/* The same, for who has something else to do while that process dies: `end` waits for it, also after a failure. */
int pyi_tree_idmap_begin(const struct pyi_plan *plan, unsigned int owner_uid, unsigned int owner_gid,
			 struct pyi_idmap_holder *holder, int *ret_fd, struct pyi_err *err);
void pyi_tree_idmap_end(struct pyi_idmap_holder *holder);

#endif
