/* SPDX-License-Identifier: MIT */
/*
 * The BPF programs, loaded, attached and pinned once per boot under /sys/fs/bpf/pyisolate/v1 by the first root
 * invocation (under a lock); later ones open the maps only. The cgroup programs are attached to our parent cgroup on
 * v2, the LSM programs (where the kernel takes them) to the kernel's hooks. A cgroup below the parent without an
 * assignment is denied everything. Root.
 *
 * The pins carry a digest of the programs and the identity of the parent cgroup. Where they are another build's, or a
 * parent's that is gone, they are replaced, unless a sandbox of theirs is still running: that is an error, because
 * both sets of programs would apply to every sandbox and each would deny those of the other.
 */
#ifndef PYI_KERNEL_BPF_H
#define PYI_KERNEL_BPF_H

#include <stddef.h>
#include <stdint.h>

struct pyi_buf;
struct pyi_err;
struct pyi_facts;
struct pyi_plan;

struct pyi_abi_python;
struct pyi_bpf; /* opaque: open map fds */

/* Open the pins, or load, attach and pin. Mounts bpffs at /sys/fs/bpf if nothing is there. Never half-done. */
int pyi_bpf_open(const struct pyi_facts *facts, struct pyi_bpf **ret_bpf, struct pyi_err *err);
void pyi_bpf_free(struct pyi_bpf *bpf);

/* The same for what a running sandbox uses: its pins are there as a rule, and then nothing of the host is tried. */
int pyi_bpf_open_again(struct pyi_bpf **ret_bpf, struct pyi_err *err);

/* Of guests that are assigned from now on: where their Python keeps its frames. Without it, no event has a line. */
void pyi_bpf_set_python(struct pyi_bpf *bpf, const struct pyi_abi_python *python);

/* Put the plan's network rows and its path automaton in place, then the assignment of this cgroup. */
int pyi_bpf_assign(struct pyi_bpf *bpf, uint64_t cgroup_id, const struct pyi_plan *plan,
		   struct pyi_err *err);

/*
 * From now on the LSM programs judge this sandbox: called by its first process when the tree is made, before the guest
 * may do anything. Makes one system call and allocates nothing; needs no other descriptor than pyi_bpf_arm_fd.
 */
int pyi_bpf_arm(const struct pyi_bpf *bpf);
int pyi_bpf_arm_fd(const struct pyi_bpf *bpf);

/* Take the assignment and its rows away again; nothing happens when there is none. */
void pyi_bpf_unassign(struct pyi_bpf *bpf, uint64_t cgroup_id);

/*
 * Another policy for a running sandbox: its rows are staged as the body of the next generation, which nothing refers to
 * yet; then one update of the assignment puts that body in force; what was in force before is retired when no program
 * can be reading it any more. A caller at a time (the registry's lock). See bpf_reload.c.
 */

/* Which is in force? -ENOENT without an assignment in the maps of this build. */
int pyi_bpf_generation(struct pyi_bpf *bpf, uint64_t cgroup_id, uint32_t *ret_generation);

/* On failure no row stays. */
int pyi_bpf_stage(struct pyi_bpf *bpf, uint64_t cgroup_id, uint32_t generation,
		  const struct pyi_plan *plan, struct pyi_err *err);
int pyi_bpf_swap(struct pyi_bpf *bpf, uint64_t cgroup_id, uint32_t generation,
		 const struct pyi_plan *plan, struct pyi_err *err);

/* Take back what is staged and not in force. */
void pyi_bpf_unstage(struct pyi_bpf *bpf, uint64_t cgroup_id, uint32_t generation);

/* Remove the bodies of earlier generations; waits for a grace period (some milliseconds). 0, or -errno: nothing was. */
int pyi_bpf_retire(struct pyi_bpf *bpf, uint64_t cgroup_id);

/* What was refused: the first two are enum pyi_net_op. */
enum pyi_bpf_op {
	PYI_BPF_CONNECT = 1, /* UDP's sendto and the like as well */
	PYI_BPF_BIND = 2, /* and a TCP connection from outside to a port that was never bound to */
	PYI_BPF_SOCKET = 4, /* family, port = type, rule = protocol */
	PYI_BPF_PATH = 16, /* what: enum pyi_bpf_hook; family: access asked for, PYI_READ...; path */
	PYI_BPF_KERNEL = 32, /* what: enum pyi_bpf_surface */
	PYI_BPF_DEVICE = 8, /* addr = three uint32_t: major, minor, access (1 mknod, 2 read, 4 write) */
};

/* "open", "rename", ...; of a refusal whatever the policy says: "memory", "ptrace", "mount", ... */
const char *pyi_bpf_hook_name(unsigned int hook);
const char *pyi_bpf_surface_name(unsigned int surface);

enum {
	PYI_BPF_EVENTS_MAX = 100,
	PYI_BPF_NO_RULE = 0xffff,
	PYI_BPF_PATH_MAX = 1024,
	PYI_BPF_AT_MAX = 480,
	PYI_BPF_CONTRACT_LOST = 0xff
};

/* A denied (or warned) action of this cgroup, as the programs saw it. */
struct pyi_bpf_event {
	uint8_t op;    /* enum pyi_bpf_op */
	uint8_t proto; /* enum pyi_net_proto, 0: neither; of a path the hook, of KERNEL the surface */
	uint8_t is_warning;
	uint8_t family; /* AF_INET, AF_INET6, or that of a refused socket; of a device: 1 block, 2 character */
	uint16_t port;	/* of a refused socket: its type; of a path, or KERNEL: the errno it got */
	uint16_t rule;	/* index into policy->net (of a warning) or policy->fs; PYI_BPF_NO_RULE */
	int32_t pid;	/* on the host */
	int32_t thread; /* of the process, on the host; 0: unknown */
	uint64_t time_us; /* CLOCK_MONOTONIC; 0: unknown */
	uint8_t contract; /* 1 + index of the contract that was broken; 0: none */
	uint16_t era;	  /* PYI_ABI_ERA (pyi_abi.h) of the policy that rule and contract are of */
	uint8_t addr[16]; /* IPv4 as ::ffff:a.b.c.d */
	char path[PYI_BPF_PATH_MAX]; /* of PATH; cut off where it is longer, "" where it could not be told */
	char at[PYI_BPF_AT_MAX]; /* "job.py:12" in the guest's Python, UTF-8; "" where it could not be told */
};

/*
 * The denials and warnings of this cgroup so far: the first PYI_BPF_EVENTS_MAX in order (at most max are copied);
 * *ret_total counts all of them. What was returned once stays as it is, so a poller skips as many as it has seen.
 */
int pyi_bpf_events(struct pyi_bpf *bpf, uint64_t cgroup_id, struct pyi_bpf_event *events,
		   size_t max, size_t *ret_n, uint64_t *ret_total, struct pyi_err *err);

/* How many of its events its ring had no room for; 0 where it has none. */
uint64_t pyi_bpf_events_lost(struct pyi_bpf *bpf, uint64_t cgroup_id);

/*
 * The events of a cgroup as they happen: all of them from pyi_bpf_ring_new on, for a supervisor that waits for them. To
 * put it in place takes the kernel some 8 ms, in which others go on (a thread waits); so does its removal. bpf_ring.c.
 */
struct pyi_bpf_ring; /* opaque */

int pyi_bpf_ring_new(struct pyi_bpf *bpf, uint64_t cgroup_id, struct pyi_bpf_ring **ret_ring,
		     struct pyi_err *err);

/* Readable when there is something to take, unless the last time not all was. Borrowed. */
int pyi_bpf_ring_fd(const struct pyi_bpf_ring *ring);

/*
 * Hand over at most `max` events, in their order. `number` is the event's, from 0 on; `lost` counts those for which
 * there was no room until then. Returns how many there were; fewer than max: that was all.
 */
size_t pyi_bpf_ring_take(struct pyi_bpf_ring *ring, size_t max,
			 void (*tell)(void *arg, const struct pyi_bpf_event *event, uint64_t number,
				      uint64_t lost),
			 void *arg);

/* No event comes any more: begin to remove it. What is in it can still be taken. */
void pyi_bpf_ring_stop(struct pyi_bpf_ring *ring);
void pyi_bpf_ring_free(struct pyi_bpf_ring *ring);

/* What this cgroup has sent and received, in packets that passed; bytes are those of IP packets, headers included. */
struct pyi_bpf_net {
	uint64_t rx_bytes;
	uint64_t rx_packets;
	uint64_t tx_bytes;
	uint64_t tx_packets;
	uint64_t dropped_packets; /* for net_bytes */
	uint64_t delayed_packets; /* for net_rate: dropped too, but TCP tries again */
	uint64_t limit_us;	  /* when net_bytes was hit, CLOCK_MONOTONIC; 0: it was not */
};

/* 0, or -errno: -ENOENT for a cgroup whose plan has no network. */
int pyi_bpf_net(struct pyi_bpf *bpf, uint64_t cgroup_id, struct pyi_bpf_net *ret_net);

/* What the contracts of this cgroup have counted. */
enum { PYI_BPF_COUNTERS = 16 };

struct pyi_bpf_contracts {
	uint64_t broken;	/* calls that a contract refused */
	unsigned int broken_by; /* 1 + index of the first contract that was broken; 0: none */
	uint64_t counters[PYI_BPF_COUNTERS]; /* by PYI_EV_* of contract_abi.h */
};

/* 0, or -errno: -ENOENT for a cgroup whose plan has no contracts. */
int pyi_bpf_contracts(struct pyi_bpf *bpf, uint64_t cgroup_id, struct pyi_bpf_contracts *ret_contracts);

/* Remove rows and assignments of cgroups that are gone. Returns how many. */
int pyi_bpf_sweep(struct pyi_bpf *bpf);

/* Remove every pin and our empty parent cgroups (doctor --unload). Refuses while a sandbox of ours is live. */
int pyi_bpf_unload(struct pyi_err *err);

/*
 * What other versions and builds than this one have pinned, and for how many sandboxes: "v1/0123456789ab-2f (1
 * sandbox), ..."; nothing is added where there is nothing, or where it cannot be seen (root sees it). bpf_others.c.
 */
void pyi_bpf_list_others(struct pyi_buf *out);

/* Fill facts->bpf_cgroup: cheap; pins of ours count as proof, else a small program is loaded and attached. */
void pyi_bpf_probe(struct pyi_facts *facts);

/* Fill bpf_cgroup, bpf_lsm and bpf_perf, by loading the real programs and trying one of each other kind. */
void pyi_bpf_probe_all(struct pyi_facts *facts);

#endif
