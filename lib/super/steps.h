/* SPDX-License-Identifier: MIT */
/*
 * The steps of one run, in their order; run.c walks them. Each keeps what it made in struct pyi_run, and run_release()
 * of run.c takes all of it back, in reverse order, on every path.
 */
#ifndef PYI_SUPER_STEPS_H
#define PYI_SUPER_STEPS_H

#include <limits.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <termios.h>

#include "base/timing.h"
#include "kernel/bpf.h"
#include "kernel/cgroup.h"
#include "kernel/resolve.h"
#include "kernel/sandbox.h"
#include "kernel/seccomp.h"
#include "plan/facts.h"
#include "plan/grants.h"
#include "report/asked.h"
#include "report/result.h"
#include "super/audit.h"
#include "super/image_cache.h"
#include "super/observer.h"
#include "super/run.h"
#include "super/source.h"
#include "super/tracer.h"
#include "super/watch.h"

enum { PYI_RUN_EVENTS_MAX = PYI_DENIALS_KEPT, PYI_RUN_STDIO = 3 };

/* The policies there were: an event is told by the rules it was judged by, whenever it is read. */
struct pyi_run_era {
	uint32_t generation;
	struct pyi_policy *policy;
};

/* Standard input, output or error as the guest found it. */
struct pyi_run_stdio {
	struct termios terminal;
	bool is_terminal;
	int flags; /* of the open file; negative: there is none */
};

struct pyi_run {
	const struct pyi_run_options *options;
	struct pyi_policy *policy;
	struct pyi_audit audit; /* empty without --audit */
	struct pyi_facts facts;
	bool facts_are_known; /* from an earlier run: what fails may be because of that */
	struct pyi_numa numa; /* where the policy names a node */
	struct pyi_grants grants;
	struct pyi_grants ceiling; /* the files of the policy's, where it has one */
	struct pyi_names names;
	struct pyi_plan *plan;
	struct pyi_source source;
	struct pyi_cgroup *cgroup;
	struct pyi_bpf *bpf;
	struct pyi_seccomp seccomp;
	struct pyi_observer *observer; /* NULL without a cgroup */
	struct pyi_tracer *tracer;     /* NULL: not asked for */
	int trace_fd;		       /* the file that a trace goes to; -1: none */
	bool keeps_warned;	       /* it is traced for what the policy warns of: warned.h */
	struct pyi_asked_list asked;   /* after the guest's end, where it was asked for */
	int image_fd;		       /* -1: the guest starts without */
	bool needs_image;	       /* there was none that would do */
	struct pyi_watch watch;
	struct pyi_sandbox sandbox;
	struct pyi_bpf_event events[PYI_RUN_EVENTS_MAX];
	size_t n_events;
	uint64_t events_total;
	struct pyi_bpf_contracts contracts;
	bool has_contracts;
	struct pyi_cgroup_usage usage;
	bool has_usage;
	bool has_started;
	bool was_planned; /* the hook of that name has agreed */
	struct pyi_run_stdio stdio[PYI_RUN_STDIO];
	uint64_t start_us;
	struct pyi_run_era *eras; /* owned; the first reload and those after it */
	size_t n_eras;
	uint32_t generation; /* of the last reload; 0: there was none */
	struct pyi_result result;
};

/* The supervisor's part of --timings. */
static inline void pyi_step_mark(const char *stage)
{
	pyi_timing_mark(PYI_TIMING_SUPERVISOR, stage);
}

/* Policy, facts and grants become the plan (step_plan.c). */
int pyi_step_plan(struct pyi_run *run, struct pyi_err *err);
int pyi_step_print(struct pyi_run *run, struct pyi_err *err);

/*
 * The host is no longer as an earlier run has found it, perhaps: probe it, and make the plan again. False where that
 * fails: then what has failed before is the error.
 */
bool pyi_step_plan_again(struct pyi_run *run);

/*
 * The image (step_image.c): the one to start from, if any; whether the guest died of it, and is to be started again
 * without; and at the very end its making, where one was missed. None of it can make a run fail.
 */
void pyi_step_image(struct pyi_run *run);
bool pyi_step_drop_image(struct pyi_run *run, const struct pyi_err *failure);
void pyi_step_image_later(const struct pyi_run *run);

/*
 * The directories of ours that this policy would let a guest write into, and so into all guests to come: that of images
 * and, as root, PYI_RUN_DIR. They have to be denied to it. They are made, lest the guest does. Returns how many.
 */
enum { PYI_GUARDED_MAX = 2 };
size_t pyi_step_guarded(const struct pyi_policy *policy, char ret_dirs[PYI_GUARDED_MAX][PATH_MAX]);

/* The cgroup and its BPF rows, then the processes (step_start.c). */
int pyi_step_groups(struct pyi_run *run, struct pyi_err *err);
int pyi_step_start(struct pyi_run *run, int *ret_exec_failed, struct pyi_err *err);

/* Reloads, while it is watched (step_reload.c). */
void pyi_step_watch_reloads(struct pyi_run *run);
const struct pyi_policy *pyi_step_policy_now(const struct pyi_run *run);
void pyi_step_release_reloads(struct pyi_run *run);

/* From the start to the end of the guest, and what is said of it (step_end.c). */
int pyi_step_watch(struct pyi_run *run, struct pyi_err *err);
void pyi_step_outcome(struct pyi_run *run);
void pyi_step_fill_result(struct pyi_run *run);
void pyi_step_log_profile(const struct pyi_run *run);
int pyi_step_write_result(struct pyi_run *run, struct pyi_err *err);

#endif
