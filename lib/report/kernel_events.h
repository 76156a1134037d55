/* SPDX-License-Identifier: MIT */
/* What the kernel did to a sandbox because of its limits: of each kind the first time and the last figures. */
#ifndef PYI_REPORT_KERNEL_EVENTS_H
#define PYI_REPORT_KERNEL_EVENTS_H

#include <stdbool.h>
#include <stdint.h>

struct pyi_json;

enum pyi_kernel_event_kind {
	PYI_MEM_KILL, /* count: processes killed; amount: peak; limit: both in bytes */
	PYI_CPU_THROTTLE, /* count: periods of 100 ms; amount: microseconds; limit: thousandths of a CPU */
	PYI_CPU_QUOTA, /* amount and limit: microseconds of CPU */
	PYI_NET_LIMIT, /* count: packets dropped; amount: that passed; limit: both in bytes */
	PYI_PIDS_MAX,  /* count: forks refused; limit: processes and threads */
	PYI_N_KERNEL_EVENTS,
};

struct pyi_kernel_event {
	bool is_set;
	uint64_t at_us; /* since the start of the run: when it was first seen */
	uint64_t count;
	uint64_t amount;
	uint64_t limit;
};

struct pyi_kernel_events {
	struct pyi_kernel_event v[PYI_N_KERNEL_EVENTS];
};

/* The first one of a kind says when; the figures are those of the last one. */
void pyi_kernel_events_note(struct pyi_kernel_events *events, enum pyi_kernel_event_kind kind,
			    const struct pyi_kernel_event *event);

const char *pyi_kernel_event_name(enum pyi_kernel_event_kind kind);

/* The figures of one, into the object being written. */
void pyi_kernel_event_print_members(enum pyi_kernel_event_kind kind,
				    const struct pyi_kernel_event *event, struct pyi_json *json);

/* A member "events" of the object being written: an array in the order of time. */
void pyi_kernel_events_print_json(const struct pyi_kernel_events *events, struct pyi_json *json);

#endif
