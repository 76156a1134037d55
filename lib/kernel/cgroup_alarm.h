/* SPDX-License-Identifier: MIT */
/* A descriptor that becomes readable when the kernel acts on a cgroup's limits: out of memory, fork refused. */
#ifndef PYI_KERNEL_CGROUP_ALARM_H
#define PYI_KERNEL_CGROUP_ALARM_H

#include <stdbool.h>

struct pyi_cgroup_alarm {
	int epoll_fd; /* wait for POLLIN here, then call pyi_cgroup_alarm_take; -1: nothing gives notice */
	int fds[3];
	bool tells_pids; /* of forks that are refused */
};

#define PYI_CGROUP_ALARM_INIT { -1, { -1, -1, -1 }, false }

struct pyi_cgroup;

/* Nothing is an error: where the kernel gives no notice, the counters at the end tell all the same. */
void pyi_cgroup_alarm_open(const struct pyi_cgroup *cgroup, struct pyi_cgroup_alarm *ret_alarm);
void pyi_cgroup_alarm_take(const struct pyi_cgroup_alarm *alarm);
void pyi_cgroup_alarm_close(struct pyi_cgroup_alarm *alarm);

#endif
