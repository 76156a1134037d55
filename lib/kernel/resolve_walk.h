/* SPDX-License-Identifier: MIT */
/* One path met with the host's tree, component by component. Private to the resolver. */
#ifndef PYI_KERNEL_RESOLVE_WALK_H
#define PYI_KERNEL_RESOLVE_WALK_H

#include <limits.h>
#include <stddef.h>
#include <sys/stat.h>
#include <sys/types.h>

struct pyi_err;

enum { PYI_WALK_LINKS_MAX = 40 };

/* A symlink that was followed: its own real path and what it says. Borrowed; valid during the call. 0 or -errno. */
typedef int pyi_walk_link_fn(void *data, const char *path, const char *target, struct pyi_err *err);

struct pyi_walk {
	int fd; /* O_PATH; -1 when the path does not exist. Owned: pyi_walk_release. */
	int parent_fd; /* O_PATH of the directory when only the last component is missing, else -1. Owned. */
	struct stat st; /* of fd */
	char path[PATH_MAX]; /* real: absolute, without symlinks; what is missing is kept as it was written */
};

#define PYI_WALK_INIT { .fd = -1, .parent_fd = -1 }
#define _cleanup_walk __attribute__((cleanup(pyi_walk_release)))

void pyi_walk_release(struct pyi_walk *walk);

/*
 * Walk an absolute path. A symlink is followed if root or `uid` owns it, else that is an error (EPERM): whoever owns a
 * link on the way to a granted path decides what is granted. At most 40 of them. on_link may be NULL.
 * 0 also when the path does not exist (walk->fd is -1). Errors: EPERM, ELOOP, ENOTDIR, ENAMETOOLONG, EACCES, EMFILE.
 */
int pyi_walk(struct pyi_walk *walk, const char *path, uid_t uid, pyi_walk_link_fn *on_link,
	     void *data, struct pyi_err *err);

#endif
