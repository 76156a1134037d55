/* SPDX-License-Identifier: MIT */
/*
 * The cgroup BPF programs: loaded, attached to our parent cgroup on v2 and pinned once per boot under
 * /sys/fs/bpf/pyisolate/v1 by the first root invocation (under a lock); later ones open the maps only. A cgroup below
 * the parent without an assignment is denied everything. Root.
 */
#ifndef PYI_KERNEL_BPF_H
#define PYI_KERNEL_BPF_H

#include <stddef.h>
#include <stdint.h>

struct pyi_err;
struct pyi_facts;
struct pyi_plan;

struct pyi_bpf;		/* opaque: open map fds */

/* Open the pins, or load, attach and pin. Mounts bpffs at /sys/fs/bpf if nothing is there. Never half-done. */
int pyi_bpf_open(const struct pyi_facts *facts, struct pyi_bpf **ret_bpf, struct pyi_err *err);
void pyi_bpf_free(struct pyi_bpf *bpf);

/* Put the plan's network rows in place, then the assignment of this cgroup. */
int pyi_bpf_assign(struct pyi_bpf *bpf, uint64_t cgroup_id, const struct pyi_plan *plan, struct pyi_err *err);

/* Take the assignment and its rows away again; nothing happens when there is none. */
void pyi_bpf_unassign(struct pyi_bpf *bpf, uint64_t cgroup_id);

/* A denied (or warned) network action of this cgroup, as the programs saw it. */
struct pyi_bpf_event {
	uint8_t op;		/* enum pyi_net_op */
	uint8_t proto;		/* enum pyi_net_proto */
	uint8_t is_warning;
	uint8_t family;		/* AF_INET, AF_INET6, or that of a refused socket */
	uint16_t port;
	uint16_t rule;
	int32_t pid;
	uint8_t addr[16];
};

/* The denials of this cgroup so far (at most max are copied); *ret_total counts all of them. */
int pyi_bpf_events(struct pyi_bpf *bpf, uint64_t cgroup_id, struct pyi_bpf_event *events, size_t max,
		   size_t *ret_n, uint64_t *ret_total, struct pyi_err *err);

/* Remove rows and assignments of cgroups that are gone. Returns how many. */
int pyi_bpf_sweep(struct pyi_bpf *bpf);

/* Remove every pin (doctor --unload). Refuses while a sandbox of ours is live. */
int pyi_bpf_unload(struct pyi_err *err);

#endif
