/* SPDX-License-Identifier: MIT */
/*
 * Watch one running sandbox until it is gone: forward signals, enforce wall time, CPU time and output, collect what
 * init and the guest report.
 */
#ifndef PYI_SUPER_WATCH_H
#define PYI_SUPER_WATCH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "plan/plan.h"
#include "report/result.h"
#include "wire/report_msg.h"

struct pyi_cgroup;
struct pyi_err;
struct pyi_observer;
struct pyi_run_hooks;
struct pyi_sandbox;
struct pyi_tracer;

/*
 * How a supervisor is asked to end its sandbox: SIGTERM queued with this in the upper half of its value, and in the
 * lower one the milliseconds that the guest gets between SIGTERM and SIGKILL. Any other SIGTERM is only forwarded.
 */
#define PYI_WATCH_STOP ((uint64_t)0x70797374 << 32)

/* What a reload changes while the sandbox runs; see reload.h. */
struct pyi_watch_reload {
	/* New limits in *ret_limits: 0. -EAGAIN: it is being made, look again soon. -ENOENT: there is none. */
	int (*look)(void *arg, struct pyi_limits *ret_limits);
	/* Some time later: remove what is not in force any more. */
	void (*retire)(void *arg);
	void *arg;
};

enum { PYI_WATCH_OSERRORS_MAX = 256 }; /* kept of what the guest reports; the rest is counted */

struct pyi_watch {
	/* set by the caller */
	const struct pyi_plan *plan;
	struct pyi_sandbox *sandbox;
	struct pyi_cgroup *cgroup;     /* NULL without */
	struct pyi_observer *observer; /* NULL without a cgroup */
	struct pyi_tracer *tracer;     /* NULL: not asked for */
	int signal_fd;		       /* the signals to forward, blocked in this process */
	int report_fd;		       /* -1 for a command; read end, non-blocking */
	int out_fds[2]; /* read ends of the guest's stdout and stderr; -1 where it writes itself */
	uint64_t start_us;		   /* CLOCK_MONOTONIC */
	const struct pyi_run_hooks *hooks; /* NULL without; its log takes the output */
	/* Called when the guest is in the user's code; NULL: not. A refusal ends everything. */
	int (*on_ready)(void *arg, struct pyi_err *err);
	void *ready_arg;
	struct pyi_watch_reload reload; /* look NULL: cannot be reloaded */

	struct pyi_limits limits; /* in force: the plan's, then those of a reload */

	/* what was seen */
	bool has_exited; /* init told the guest's end */
	int wait_status;
	uint64_t cpu_us; /* of the guest, from rusage, for hosts without cgroups */
	uint64_t max_rss_bytes;
	uint64_t output_bytes;
	bool was_killed; /* by us, for `kill_reason` */
	enum pyi_reason kill_reason;
	bool was_stopped;	   /* somebody asked for its end */
	struct pyi_err hook_error; /* on_ready refused: everything was killed */
	bool was_signalled;	   /* a signal was forwarded */
	bool is_ready;		   /* the guest reached the user's code */
	bool has_image;		   /* from an image */
	bool has_setup_error;	   /* it said before that why it could not */
	struct pyi_report_msg setup_error;
	bool has_uncaught;
	struct pyi_report_msg uncaught;
	struct pyi_report_msg *oserrors; /* owned */
	size_t n_oserrors;
	uint64_t oserrors_total;
};

/* 0 when the sandbox is gone. An error here is one of this machine's (no memory, no timer): everything was killed. */
int pyi_watch_run(struct pyi_watch *watch, struct pyi_err *err);
void pyi_watch_release(struct pyi_watch *watch);

/* The earlier of two times, where 0 is none. */
uint64_t pyi_min_deadline(uint64_t a, uint64_t b);

/* Microseconds of CLOCK_MONOTONIC. */
uint64_t pyi_now_us(void);

#endif
