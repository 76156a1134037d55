/* SPDX-License-Identifier: MIT */
/* What is mounted in a sandbox that runs: the mountinfo of a process that is in it. */
#ifndef PYI_KERNEL_TREE_MOUNTS_H
#define PYI_KERNEL_TREE_MOUNTS_H

#include <stdbool.h>
#include <stddef.h>

struct pyi_err;

struct pyi_tree_mount {
	char *path; /* in the sandbox; owned */
	int id;
	int parent;
	bool has_children; /* something is mounted on it */
	bool is_place; /* a directory of the sandbox's own tmpfs on itself, only to hold what is mounted in it */
};

struct pyi_tree_mounts {
	struct pyi_tree_mount *v; /* in tree order */
	size_t n;
};

/* fd is of a proc_pid_mountinfo(5); *ret_mounts is the caller's to release. -ESRCH when the process is gone. */
int pyi_tree_mounts_read(int fd, struct pyi_tree_mounts *ret_mounts, struct pyi_err *err);
void pyi_tree_mounts_release(struct pyi_tree_mounts *mounts);

/* The topmost mount at this very path, NULL when there is none. */
const struct pyi_tree_mount *pyi_tree_mounts_find(const struct pyi_tree_mounts *mounts,
						  const char *path);

#endif
