/* SPDX-License-Identifier: MIT */
/* Process identity: a pid alone may be recycled, a pid with its start time is not. */
#ifndef PYI_BASE_PROC_H
#define PYI_BASE_PROC_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

struct pyi_proc {
	pid_t pid;
	uint64_t start_ticks; /* field 22 of /proc/PID/stat: clock ticks since boot */
};

/* The identity of a live process; -ESRCH when there is none, -ENOENT without /proc. 0 on success. */
int pyi_proc_identify(pid_t pid, struct pyi_proc *ret_proc);

/* Is this very process still there (not a zombie, not another with its pid)? */
bool pyi_proc_is_alive(const struct pyi_proc *proc);

/* The state letter of /proc/PID/stat ('R', 'S', 'T', ...); 0 when there is no such process. */
char pyi_proc_state(pid_t pid);

#endif
