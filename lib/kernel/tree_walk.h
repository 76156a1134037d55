/* SPDX-License-Identifier: MIT */
/*
 * A tree while it is being built, and how its paths are walked: never through a symlink, and made only where the file
 * system is one of ours. Nothing here allocates.
 */
#ifndef PYI_KERNEL_TREE_WALK_H
#define PYI_KERNEL_TREE_WALK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/stat.h>

struct pyi_err;
struct pyi_plan;

enum { PYI_TREE_OWN_MAX = 16 }; /* tmpfs mounts of one tree */

struct pyi_tree {
	const struct pyi_plan *plan;
	int idmap_fd;
	int host_fd; /* the host's root as the supervisor sees it: where sources are resolved */
	int own_fd;  /* the tmpfs */
	int root_fd; /* what will be "/": the tmpfs, or what was bound over it */
	dev_t own[PYI_TREE_OWN_MAX]; /* file systems made here: nothing is created on any other */
	size_t n_own;
	int ruleset_fd; /* Landlock's, for the places of a tree that may change; -1 without */
	int landlock_abi;
	bool has_moved; /* something is shown at another path than the host has it at */
	bool has_mask_dir;
	bool has_mask_file;
};

/* -EINVAL unless it is absolute, without empty components and "..", and fits PATH_MAX. */
int pyi_tree_check_path(const char *path, struct pyi_err *err);

/* The file system of fd is one of ours from now on. */
int pyi_tree_add_own(struct pyi_tree *tree, int fd, struct pyi_err *err);
bool pyi_tree_is_own(const struct pyi_tree *tree, int fd);

/* The parent directory of path (made where it is missing) and the last component. */
int pyi_tree_open_parent(const struct pyi_tree *tree, const char *path, int *ret_fd,
			 const char **ret_leaf, struct pyi_err *err);

/* What a mount is to be put on (O_PATH): made where it is missing and the place is ours. */
int pyi_tree_open_target(const struct pyi_tree *tree, const char *path, bool is_dir, int *ret_fd,
			 struct pyi_err *err);

/* A path of the host (O_PATH), as it was resolved: a symlink anywhere in it means that it has changed since. */
int pyi_tree_open_source(const struct pyi_tree *tree, const char *path, int *ret_fd,
			 struct stat *ret_st, struct pyi_err *err);

/* The mount attributes of what is granted for this access. */
uint64_t pyi_tree_attrs(unsigned int access);

/* The id of the mount that fd is on; 0 when unknown. */
uint64_t pyi_tree_mount_id(int fd);

#endif
