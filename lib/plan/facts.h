/* SPDX-License-Identifier: MIT */
/*
 * What this host can do, as plain data. lib/kernel/probe.c fills it by trying things, never from version numbers;
 * the planner reads it; `doctor` prints it; tests write their own.
 */
#ifndef PYI_PLAN_FACTS_H
#define PYI_PLAN_FACTS_H

#include <limits.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/cpu.h"

/* errnum 0: works. Otherwise the errno with which the host refused it. */
struct pyi_fact {
	int errnum;
	char detail[96]; /* what was found or which call failed, e.g. "landlock_create_ruleset" */
};

enum pyi_cgroup_kind {
	PYI_CGROUP_NONE,   /* no writable hierarchy */
	PYI_CGROUP_V2,	   /* controllers on the unified hierarchy */
	PYI_CGROUP_HYBRID, /* controllers on v1, a v2 hierarchy without controllers beside them */
	PYI_CGROUP_V1,	   /* v1 controllers only */
};

enum { PYI_CPUS_MAX = 8192 }; /* NR_CPUS of the largest configuration */

/* A NUMA node that a sandbox is bound to. */
struct pyi_numa {
	uint32_t node;
	char cpu_list[256]; /* as the kernel prints it, perhaps cut: for people */
	uint64_t cpus[PYI_CPUS_MAX / 64];
};

struct pyi_facts {
	uid_t uid; /* of the invoker: real ids */
	gid_t gid;
	bool is_root;		     /* euid 0 with CAP_SYS_ADMIN in this user namespace */
	char release[65];	     /* uname -r, for people only */
	uint32_t cpu[PYI_CPU_WORDS]; /* base/cpu.h; all 0 and "" where they were not asked for: */
	char boot[40];		     /* /proc/sys/kernel/random/boot_id */

	struct pyi_fact userns; /* an ordinary user may make user namespaces; 0 for root too when they work */
	struct pyi_fact namespaces; /* mount, pid, ipc, uts, net, cgroup: as root, or inside a user namespace */
	struct pyi_fact mount_api; /* open_tree, move_mount, mount_setattr */
	struct pyi_fact idmap;	   /* id-mapped mounts (root only) */

	enum pyi_cgroup_kind cgroup_kind;
	struct pyi_fact cgroup; /* a group can be made below cgroup_v2_dir (and the v1 directories) */
	char cgroup_v2_dir[256]; /* parent of our groups on v2, "" if none: "/sys/fs/cgroup/unified/pyisolate" */
	char cgroup_memory_dir[256]; /* where each controller's files are (= cgroup_v2_dir on v2), "" if missing */
	char cgroup_pids_dir[256];
	char cgroup_cpu_dir[256];
	char cgroup_cpuacct_dir[256];
	char cgroup_freezer_dir[256];
	bool cgroup_is_shared; /* all of these are below the tops of their hierarchies, for every run */
	bool clone_into_cgroup;

	struct pyi_fact bpf_cgroup; /* cgroup programs load and attach (root) */
	struct pyi_fact bpf_lsm;
	struct pyi_fact bpf_perf;
	unsigned int n_bytes_sandboxes; /* whose bytes of files are counted now; pyi_bpf_probe_all */
	bool bytes_are_counted;		/* the programs for that are attached */

	struct pyi_fact landlock;
	int landlock_abi; /* 0: none */
	struct pyi_fact seccomp;
	struct pyi_fact mdwe; /* PR_SET_MDWE */
};

#endif
