/* SPDX-License-Identifier: MIT */
/*
 * What a guest asks of the kernel, while it runs: BPF programs of this run alone (kernel/trace.h) write records into a
 * ring, the event loop drains it, and the run prints them or keeps them for its end. Root only.
 *
 * A run asks for it with pyi_run_options.keep_asked; after the guest's end the records are in pyi_run.asked.
 */
#ifndef PYI_SUPER_TRACER_H
#define PYI_SUPER_TRACER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "plan/plan.h"

struct pyi_asked_list;
struct pyi_cgroup;
struct pyi_err;

enum { PYI_TRACER_KEPT_MAX = 100000 }; /* records that are kept; the rest is counted as lost */

struct pyi_tracer; /* opaque; NULL is one that never has anything */

/* All of it outlives the tracer. */
struct pyi_tracer_setup {
	const struct pyi_cgroup *cgroup;
	enum pyi_guest_kind guest;
	uint64_t run_start_us; /* CLOCK_MONOTONIC */
	bool keep;	       /* for pyi_tracer_take */
};

/* Before the guest starts; recording begins by itself with the user's code. The caller frees it. */
int pyi_tracer_new(const struct pyi_tracer_setup *setup, struct pyi_tracer **ret_tracer,
		   struct pyi_err *err);
void pyi_tracer_free(struct pyi_tracer *tracer);

/* The guest is gone: fetch what is left. */
void pyi_tracer_end(struct pyi_tracer *tracer);

/* Hand over what was kept; the caller releases it. */
void pyi_tracer_take(struct pyi_tracer *tracer, struct pyi_asked_list *ret_list);

#endif
