/* SPDX-License-Identifier: MIT */
/*
 * What is looked at while a guest runs, beside the limits that end it: it tells the event loop when it wants to look
 * next, and after the end what it has seen goes into the result record.
 */
#ifndef PYI_SUPER_OBSERVER_H
#define PYI_SUPER_OBSERVER_H

#include <stdbool.h>
#include <stdint.h>

#include "report/result.h"

struct pyi_bpf;
struct pyi_cgroup;
struct pyi_cgroup_usage;
struct pyi_err;
struct pyi_event_stream;
struct pyi_plan;

struct pyi_observer; /* opaque */

/* All of it outlives the observer. Times here are microseconds of CLOCK_MONOTONIC. */
struct pyi_observer_setup {
	const struct pyi_plan *plan;
	struct pyi_cgroup *cgroup;
	struct pyi_bpf *bpf; /* NULL without BPF rows */
	uint64_t run_start_us;
	struct pyi_event_stream *stream; /* told of what is seen, as it is; NULL */
	bool must_guard; /* the kernel's guard over CPU time is made now, and where it cannot be that is an error */
};

/* Before the guest starts. */
int pyi_observer_new(const struct pyi_observer_setup *setup, struct pyi_observer **ret_observer,
		     struct pyi_err *err);
void pyi_observer_free(struct pyi_observer *observer);

/* The guest has started. */
void pyi_observer_start(struct pyi_observer *observer, uint64_t now_us);

/* When it is to be called; 0: not at all. */
uint64_t pyi_observer_due_us(const struct pyi_observer *observer);

/* Look at what is due. False: the sandbox is to end, for *ret_reason. */
bool pyi_observer_look(struct pyi_observer *observer, uint64_t now_us, enum pyi_reason *ret_reason);

/* Another quota of CPU time, 0 for none. */
void pyi_observer_set_cpu_time(struct pyi_observer *observer, uint64_t quota_ms);

/* A reload may have brought contracts whose breach ends the guest. */
void pyi_observer_watch_contracts(struct pyi_observer *observer, uint64_t now_us);

/* Poll for this one as well (-1: none): when it is readable, pyi_observer_alarm is to be called. */
int pyi_observer_fd(const struct pyi_observer *observer);
void pyi_observer_alarm(struct pyi_observer *observer, uint64_t now_us);

/* Look at everything, now: something has happened. */
void pyi_observer_sample(struct pyi_observer *observer, uint64_t now_us);

/* The guest is gone, and this is what it has used (NULL: unknown): nothing changes any more. */
void pyi_observer_end(struct pyi_observer *observer, const struct pyi_cgroup_usage *usage,
		      uint64_t now_us);

/* At any time: did the kernel see the CPU time spent, and send its signals? */
bool pyi_observer_cpu_is_spent(const struct pyi_observer *observer);

/* After the end: did it send and receive all it may? */
bool pyi_observer_net_is_spent(const struct pyi_observer *observer);

/* After the end: add to a result whose layers are those of the plan. */
void pyi_observer_tell(const struct pyi_observer *observer, struct pyi_result *result);

#endif
