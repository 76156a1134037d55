/* SPDX-License-Identifier: MIT */
/*
 * What a guest asks of the kernel, while it runs: BPF programs of this run alone (kernel/trace.h) write records into a
 * ring, the event loop drains it, and the run prints them or keeps them for its end. Root only.
 *
 * A run asks for it with pyi_run_options.trace, or keep_asked; with the latter the records are in pyi_run.asked after
 * the guest's end. Recording begins by itself with the user's code.
 *
 * Neither the guest nor who reads the trace can hold up the supervisor or make it grow: where the reader is slow the
 * ring fills up, and what finds no room in it is counted and told of.
 */
#ifndef PYI_SUPER_TRACER_H
#define PYI_SUPER_TRACER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "plan/plan.h"

struct pyi_abi_python;
struct pyi_asked_list;
struct pyi_cgroup;
struct pyi_err;

enum { PYI_TRACER_KEPT_MAX = 100000 }; /* records that are kept; the rest is counted as lost */

struct pyi_tracer; /* opaque */

/* All of it outlives the tracer. Times are microseconds of CLOCK_MONOTONIC. */
struct pyi_tracer_setup {
	const struct pyi_plan *plan;
	const struct pyi_cgroup *cgroup;
	const struct pyi_abi_python *python; /* as in pyi_trace_setup; copied */
	uint64_t run_start_us;
	bool keep;	  /* for pyi_tracer_take */
	bool print;	  /* a line each to out_fd */
	bool json;	  /* an object each instead */
	int out_fd;	  /* may be anything that can be polled, or a file */
	const char *path; /* of out_fd, for messages; NULL: it is stderr, and lines begin as ours do */
};

/* Before the guest starts. The caller frees it. */
int pyi_tracer_new(const struct pyi_tracer_setup *setup, struct pyi_tracer **ret_tracer,
		   struct pyi_err *err);
void pyi_tracer_free(struct pyi_tracer *tracer);

/* When it wants to look next. */
uint64_t pyi_tracer_due_us(const struct pyi_tracer *tracer);
void pyi_tracer_look(struct pyi_tracer *tracer, uint64_t now_us);

/* To poll for reading (then pyi_tracer_look) and for writing (then pyi_tracer_write); -1: not now. */
int pyi_tracer_ring_fd(const struct pyi_tracer *tracer);
int pyi_tracer_out_fd(const struct pyi_tracer *tracer);
void pyi_tracer_write(struct pyi_tracer *tracer);

/*
 * The guest is gone: fetch and write what is left, and say how much was lost. Waits for the reader until a signal
 * arrives at signal_fd. An error if the trace could not be written whole.
 */
int pyi_tracer_end(struct pyi_tracer *tracer, int signal_fd, struct pyi_err *err);

/* Hand over what was kept; the caller releases it. */
void pyi_tracer_take(struct pyi_tracer *tracer, struct pyi_asked_list *ret_list);

#endif
