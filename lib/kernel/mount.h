/* SPDX-License-Identifier: MIT */
/*
 * Mounts made with the descriptor-based interface (fsopen(2), open_tree(2), mount_setattr(2), move_mount(2)): each is
 * made detached, gets all its attributes, and is attached last, so that nobody ever sees it without them. Attributes
 * are only ever added: in a user namespace those of the host are locked. CAP_SYS_ADMIN over the mount namespace.
 */
#ifndef PYI_KERNEL_MOUNT_H
#define PYI_KERNEL_MOUNT_H

#include <stdint.h>

struct pyi_err;

/*
 * A detached copy of the mount tree at source_fd (O_PATH will do), private, with `attrs` (MOUNT_ATTR_*) on it and on
 * everything mounted below. Mounts below are part of the copy: a grant is "a path and all below it", and in a user
 * namespace the kernel refuses to uncover what they hide. With idmap_fd >= 0 ids are mapped through that user
 * namespace; a mount below whose file system cannot do that keeps its ids.
 */
int pyi_mount_clone(int source_fd, uint64_t attrs, int idmap_fd, int *ret_fd, struct pyi_err *err);

/* A new tmpfs. size_bytes and inodes must not be 0, which would mean no limit. */
int pyi_mount_tmpfs(uint64_t size_bytes, uint64_t inodes, const char *mode, uint64_t attrs,
		    int *ret_fd, struct pyi_err *err);

/* A new proc of this pid namespace, which shows processes only, and only those one may trace. */
int pyi_mount_proc(uint64_t attrs, int *ret_fd, struct pyi_err *err);

/* Put a detached mount on top of what target_fd is. */
int pyi_mount_attach(int mount_fd, int target_fd, struct pyi_err *err);

/* Add attributes to one mount. */
int pyi_mount_add_attrs(int mount_fd, uint64_t attrs, struct pyi_err *err);

/* No mount or unmount of the host reaches this mount namespace any more, nor the other way round. */
int pyi_mount_make_private(struct pyi_err *err);

#endif
