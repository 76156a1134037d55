/* SPDX-License-Identifier: MIT */
/*
 * The sandbox's control group: one directory on v2 (identity, CLONE_INTO_CGROUP, limits) and, on a hybrid host, one on
 * each v1 controller that a limit needs. The directory's name carries the supervisor's pid and start time,
 * "run-PID-START", so that any later invocation can tell a dead owner's group and remove it.
 */
#ifndef PYI_KERNEL_CGROUP_H
#define PYI_KERNEL_CGROUP_H

#include <stdbool.h>
#include <stdint.h>

struct pyi_err;
struct pyi_facts;
struct pyi_limits;

struct pyi_cgroup; /* opaque */

/*
 * Find the hierarchies of this host and our parent directory in each; fills cgroup_kind, cgroup and
 * the directories of *facts (is_root must be set, and bpf_cgroup's errno if that is known). Root gets
 * "pyisolate" at the top of each hierarchy, or below its own group where the top takes none; an
 * ordinary user gets it at or above its own group, where that is delegated to it. Root's on v2 is
 * "pyisolate-BUILD" where BPF programs can be attached, since those are one build's (see bpf.h). Makes
 * the parent directories and enables the controllers that are to be had; both stay.
 */
void pyi_cgroup_find(struct pyi_facts *facts);

/* The same with another name for root's parent on v2. */
void pyi_cgroup_find_named(struct pyi_facts *facts, const char *v2_parent);

/* Remove the parent directories, of every build, that are empty. */
void pyi_cgroup_remove_parents(const struct pyi_facts *facts);

struct pyi_cgroup_usage {
	uint64_t cpu_us; /* user + system of everything in it; 0 when unknown */
	uint64_t memory_peak_bytes;
	uint64_t memory_bytes; /* now */
	uint64_t oom_kills;
	uint64_t pids_refused; /* forks that hit the limit */
	uint64_t throttled_periods;
	uint64_t throttled_us;
};

/*
 * Make the groups and set the limits that are not 0. Root, or a delegated hierarchy. Nothing stays on failure.
 * A limit whose controller has no directory in *facts is left out: the planner has said so. Where namespaces work the
 * limit on processes is one higher than asked for, because our init is in the group too.
 */
int pyi_cgroup_new(const struct pyi_facts *facts, const struct pyi_limits *limits,
		   struct pyi_cgroup **ret_cgroup, struct pyi_err *err);

/* The same with the memory controller, limit or not: what is used is to be seen. */
int pyi_cgroup_new_measured(const struct pyi_facts *facts, const struct pyi_limits *limits,
			    struct pyi_cgroup **ret_cgroup, struct pyi_err *err);

/* The directory with the files of a controller; -1 without. Owned by the cgroup. */
int pyi_cgroup_memory_fd(const struct pyi_cgroup *cgroup, bool *ret_is_v2);
int pyi_cgroup_pids_fd(const struct pyi_cgroup *cgroup, bool *ret_is_v2);
/* The same with a group on every controller, so that limits can be set that there are none of yet. */
int pyi_cgroup_new_full(const struct pyi_facts *facts, const struct pyi_limits *limits,
			struct pyi_cgroup **ret_cgroup, struct pyi_err *err);

/* The v2 directory, for CLONE_INTO_CGROUP; -1 when the host has no v2 hierarchy. Owned by the cgroup. */
int pyi_cgroup_v2_fd(const struct pyi_cgroup *cgroup);

/* The v2 id that BPF programs see; 0 without v2. */
uint64_t pyi_cgroup_id(const struct pyi_cgroup *cgroup);

/* The name of its directories, the same on each hierarchy. */
const char *pyi_cgroup_dir_name(const struct pyi_cgroup *cgroup);

/*
 * The calling process, which has one thread, moves itself into the v1 groups (and v2, where clone could not). Only
 * write(2), so it may be called between clone and exec, with the descriptors the supervisor opened. This is the way to
 * go: a process that moves itself takes 4 us, one that moves another waits 5 to 20 ms for a grace period.
 * 0 or -errno. Call it before a cgroup namespace is made and before the guest is forked.
 */
int pyi_cgroup_enter(const struct pyi_cgroup *cgroup);

/* Move another process that has not started the guest yet, to the same groups. Slow: see pyi_cgroup_enter. */
int pyi_cgroup_add(struct pyi_cgroup *cgroup, int pid, struct pyi_err *err);

int pyi_cgroup_usage(struct pyi_cgroup *cgroup, struct pyi_cgroup_usage *ret_usage);

/* Only oom_kills and pids_refused: what decides about the end. */
int pyi_cgroup_refusals(struct pyi_cgroup *cgroup, struct pyi_cgroup_usage *ret_usage);

/* SIGKILL everything in it: cgroup.kill, or the process list until it is empty. */
void pyi_cgroup_kill(struct pyi_cgroup *cgroup);

/* Stop and continue everything (cgroup.freeze or the v1 freezer); -EOPNOTSUPP where neither is. */
int pyi_cgroup_freeze(struct pyi_cgroup *cgroup, bool frozen);

/* Kill what is left, wait for it, remove the groups. */
void pyi_cgroup_free(struct pyi_cgroup *cgroup);

/*
 * Remove groups whose owner is gone (kills what is in them first), of every build of ours; or of this one only and
 * where there are no more than a few, which takes no time. Returns how many were removed. Never fails.
 */
int pyi_cgroup_sweep(const struct pyi_facts *facts);
int pyi_cgroup_sweep_few(const struct pyi_facts *facts);

#endif
