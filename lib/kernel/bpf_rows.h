/* SPDX-License-Identifier: MIT */
/* The network rows of one body in the pinned trie: written, and removed again. For lib/kernel/bpf*.c. */
#ifndef PYI_KERNEL_BPF_ROWS_H
#define PYI_KERNEL_BPF_ROWS_H

#include <stddef.h>
#include <stdint.h>

struct pyi_abi_net_key;
struct pyi_bpf_maps;
struct pyi_err;
struct pyi_plan;

/*
 * Write the plan's rows under this body. *ret_keys (the caller frees it) and *ret_n are the keys written so far, on
 * failure too.
 */
int pyi_bpf_rows_put(const struct pyi_bpf_maps *maps, uint64_t body, const struct pyi_plan *plan,
		     struct pyi_abi_net_key **ret_keys, size_t *ret_n, struct pyi_err *err);

/* Remove these keys. */
void pyi_bpf_rows_take_back(const struct pyi_bpf_maps *maps, const struct pyi_abi_net_key *keys,
			    size_t n);

/* Remove the rows of all bodies for which `is_due` says so: a walk through everybody's. */
void pyi_bpf_rows_remove(const struct pyi_bpf_maps *maps,
			 int (*is_due)(uint64_t body, const void *arg), const void *arg);

/* For is_due, with these as its argument: is it a body of one of these cgroups, of whatever generation? */
struct pyi_bpf_groups {
	const uint64_t *ids;
	size_t n;
};
int pyi_bpf_is_of_groups(uint64_t body, const void *arg);

#endif
