/* SPDX-License-Identifier: MIT */
/*
 * The registry in files: one for each name in a directory of the user's own, replaced as a whole by renaming, under a
 * lock on the directory. The same calls as kernel/bpf_named.h; 0 or -errno, no messages.
 */
#ifndef PYI_SUPER_REGISTRY_FILES_H
#define PYI_SUPER_REGISTRY_FILES_H

#include <stddef.h>

struct pyi_abi_name;
struct pyi_abi_sandbox;

/* dir_fd: the directory; its owner must hold the lock (pyi_lock_dir) for put and delete. */
int pyi_registry_files_get(int dir_fd, const struct pyi_abi_name *name,
			   struct pyi_abi_sandbox *ret_sandbox);
int pyi_registry_files_put(int dir_fd, const struct pyi_abi_name *name,
			   const struct pyi_abi_sandbox *sandbox);
int pyi_registry_files_delete(int dir_fd, const struct pyi_abi_name *name);
int pyi_registry_files_list(int dir_fd, struct pyi_abi_name **ret_names,
			    struct pyi_abi_sandbox **ret_sandboxes, size_t *ret_n);

#endif
