/* SPDX-License-Identifier: MIT */
/*
 * The pinned map of named sandboxes: v1/named, name → struct pyi_abi_sandbox. It is no build's own: it stays when
 * the programs are replaced, and every build of this ABI reads it. Root.
 *
 * The lock is flock(2) on the directory of the pin, v1. Whoever changes an entry after reading it holds it.
 */
#ifndef PYI_KERNEL_BPF_NAMED_H
#define PYI_KERNEL_BPF_NAMED_H

#include <stdbool.h>
#include <stddef.h>

struct pyi_abi_name;
struct pyi_abi_sandbox;

/*
 * The map's fd. Without `create` -ENOENT where there is none; with it bpffs is mounted, the map made and pinned.
 * -EPERM, -ENOSYS and the like where BPF cannot be had, -EPROTO where the pin is a map of another shape,
 * -EACCES where others than root could have pinned it. No message.
 */
int pyi_bpf_named_open(bool create, int *ret_fd);

/* A descriptor that holds the lock until it is closed; waits at most timeout_ms (-ETIMEDOUT). */
int pyi_bpf_named_lock(int timeout_ms, int *ret_fd);

/* 0 or -errno: -ENOENT without an entry, put: -E2BIG when the map is full. */
int pyi_bpf_named_get(int fd, const struct pyi_abi_name *name, struct pyi_abi_sandbox *ret_sandbox);
int pyi_bpf_named_put(int fd, const struct pyi_abi_name *name, const struct pyi_abi_sandbox *sandbox);
int pyi_bpf_named_delete(int fd, const struct pyi_abi_name *name);

/* All entries, in no order; the caller frees both arrays. */
int pyi_bpf_named_list(int fd, struct pyi_abi_name **ret_names,
		       struct pyi_abi_sandbox **ret_sandboxes, size_t *ret_n);

/* Remove the pin; -EBUSY while a sandbox in it lives. */
int pyi_bpf_named_remove(void);

#endif
