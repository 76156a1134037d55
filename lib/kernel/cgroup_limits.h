/* SPDX-License-Identifier: MIT */
/*
 * Other limits for a sandbox that runs: those of its control groups, and of each process what repeats them
 * (RLIMIT_DATA, RLIMIT_CPU). Whoever may write its groups may do so, from any process.
 */
#ifndef PYI_KERNEL_CGROUP_LIMITS_H
#define PYI_KERNEL_CGROUP_LIMITS_H

#include <stdbool.h>
#include <sys/types.h>

struct pyi_err;
struct pyi_limits;

struct pyi_cgroup_limits {
	pid_t init_pid;	  /* the sandbox's first process */
	const char *name; /* of its groups; "" for none */
	bool has_rlimits; /* its processes have RLIMIT_DATA or RLIMIT_CPU as well */
	bool init_counts; /* it is in its groups too: one more process than `pids` */
};

/*
 * From one set of limits to another: memory, pids, cpu, cpu_time (the processes' part of it); the others are the
 * supervisor's or cannot change. All of them, or on failure none. A limit that was none at the start, where that
 * means that there is no group for it, is an error, and so is less memory than is in use. Changing RLIMIT_* takes
 * CAP_SYS_RESOURCE.
 */
int pyi_cgroup_limits_change(const struct pyi_cgroup_limits *of, const struct pyi_limits *from,
			     const struct pyi_limits *to, struct pyi_err *err);

#endif
