/* SPDX-License-Identifier: MIT */
/*
 * One run, from checked options to the exit code; see run.h, and steps.h for the steps.
 *
 * The supervisor itself keeps its privileges and its own view of the host; what it holds while the guest runs is the
 * pidfd, two pipes, the cgroup and the BPF rows.
 */
#include "super/run.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/mman.h>

#include "base/err.h"
#include "base/log.h"
#include "base/timing.h"
#include "base/util.h"
#include "super/event_stream.h"
#include "super/steps.h"
#include "super/warned.h"

enum { TIMINGS_MAX = 128, PROBES_AGAIN = 3 };

static const struct pyi_watch fresh_watch = { .signal_fd = -1, .report_fd = -1, .out_fds = { -1, -1 } };

/* What pyi_step_groups and all after it have made. */
static void release_guest(struct pyi_run *run)
{
	if (run->options->hooks)
		pyi_event_stream_detach(run->options->hooks->events);
	if (run->bpf && run->cgroup)
		pyi_bpf_unassign(run->bpf, pyi_cgroup_id(run->cgroup));
	pyi_observer_free(run->observer);
	pyi_tracer_free(run->tracer);
	pyi_cgroup_free(run->cgroup);
	pyi_bpf_free(run->bpf);
	run->observer = NULL;
	run->tracer = NULL;
	run->cgroup = NULL;
	run->bpf = NULL;
	pyi_close_fd(&run->watch.report_fd);
	pyi_close_fd(&run->watch.signal_fd);
	pyi_close_fd(&run->watch.out_fds[0]);
	pyi_close_fd(&run->watch.out_fds[1]);
	pyi_watch_release(&run->watch);
	pyi_sandbox_release(&run->sandbox);
}

static void run_release(struct pyi_run *run)
{
	if (!run->has_started)
		pyi_resolve_undo(&run->grants);
	release_guest(run);
	pyi_asked_release(&run->asked);
	pyi_close_fd(&run->trace_fd);
	pyi_close_fd(&run->image_fd);
	pyi_source_release(&run->source);
	pyi_step_release_reloads(run);
	pyi_plan_free(run->plan);
	pyi_names_release(&run->names);
	pyi_grants_release(&run->grants);
	pyi_grants_release(&run->ceiling);
	pyi_policy_free(run->policy);
	pyi_audit_release(&run->audit);
}

/* Nothing without --timings. */
static void log_timings(void)
{
	static const char *const who[] = { "supervisor", "init", "guest" };
	struct pyi_timing marks[TIMINGS_MAX];
	size_t n = pyi_timing_get(marks, TIMINGS_MAX);

	if (n)
		pyi_log_note("timing: 0 us is %.6f s of CLOCK_MONOTONIC", (double)marks[0].ns / 1e9);
	for (size_t i = 1; i < n; i++)
		pyi_log_note("timing: %7.1f us  +%7.1f  %s: %s",
			     (double)(marks[i].ns - marks[0].ns) / 1e3,
			     (double)marks[i].took_ns / 1e3, who[marks[i].who], marks[i].stage);
}

static struct pyi_run_view view_of(const struct pyi_run *run)
{
	return (struct pyi_run_view){
		.policy = run->policy,
		.plan = run->plan,
		.cgroup = run->cgroup,
		.has_bpf = run->bpf && run->cgroup,
		.init_pid = run->sandbox.pid,
		.way = &run->sandbox.way,
	};
}

static int tell_planned(struct pyi_run *run, struct pyi_err *err)
{
	const struct pyi_run_hooks *hooks = run->options->hooks;
	struct pyi_run_view view = view_of(run);
	int ret = hooks ? hooks->planned(hooks->arg, &view, err) : 0;

	run->was_planned = ret == 0;
	return ret;
}

static int tell_started(struct pyi_run *run, struct pyi_err *err)
{
	const struct pyi_run_hooks *hooks = run->options->hooks;
	struct pyi_run_view view = view_of(run);
	int ret = hooks ? hooks->started(hooks->arg, &view, err) : 0;

	/* Python says itself when it is ready; of a command the kernel has said so. */
	if (hooks && ret == 0 && run->options->guest == PYI_GUEST_COMMAND)
		ret = hooks->ready(hooks->arg, err);
	return ret;
}

/*
 * The host is not, or no longer, as the plan has it: `doctor --unload` takes away programs and groups that are idle,
 * and who has another BPF file system may load programs for the same parent group at the same time (EBUSY).
 */
static bool may_have_changed(const struct pyi_run *run, int error)
{
	return run->facts_are_known || error == -ENOENT || error == -ENODEV || error == -EBUSY;
}

/*
 * From the cgroup to the guest's end. There is another start for what could not be done on a host that has changed
 * since it was probed, and a second one for a guest that dies of its image before the user's code.
 */
static int run_guest(struct pyi_run *run, struct pyi_err *err)
{
	int n_probed_again = 0;
	bool was_told = false;
	int exec_failed = 0;
	int ret;

	for (;;) {
		ret = pyi_step_groups(run, err);
		if (!ret)
			ret = pyi_step_start(run, &exec_failed, err);
		if (ret && !exec_failed && n_probed_again < PROBES_AGAIN && may_have_changed(run, ret)) {
			n_probed_again++;
			release_guest(run);
			run->watch = fresh_watch;
			if (pyi_step_plan_again(run))
				continue;
		}
		if (exec_failed)
			run->result.exit_code = err->errnum == ENOENT ? PYI_EXIT_NOT_FOUND
								      : PYI_EXIT_CANNOT_EXEC;
		if (!ret)
			ret = tell_started(run, err);
		if (!ret && !was_told)
			pyi_warned_tell_env(run);
		was_told = was_told || !ret;
		if (!ret)
			ret = pyi_step_watch(run, err);
		if (!ret || !pyi_step_drop_image(run, err))
			return ret;
		release_guest(run);
		run->watch = fresh_watch;
	}
}

/* Everything up to the guest's end. A negative return has its line in *err. */
static int run_steps(struct pyi_run *run, struct pyi_err *err)
{
	int ret;

	ret = pyi_step_plan(run, err);
	if (ret)
		return ret;
	if (run->options->dry_run)
		return pyi_step_print(run, err);
	if (run->options->guest == PYI_GUEST_PYTHON)
		ret = pyi_source_read(run->options, &run->source, err);
	if (!ret)
		ret = tell_planned(run, err);
	if (!ret)
		pyi_step_image(run);
	pyi_step_mark("image");
	if (!ret)
		ret = run_guest(run, err);
	if (!ret)
		pyi_step_outcome(run);
	if (!ret && run->options->audit)
		ret = pyi_audit_end(run, err);
	return ret;
}

/* All zero. Most of it is room for events that never come: pages of the kernel's, which cost nothing until then. */
static struct pyi_run *run_new(void)
{
	void *run = mmap(NULL, sizeof(struct pyi_run), PROT_READ | PROT_WRITE,
			 MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	return run == MAP_FAILED ? NULL : run;
}

int pyi_run(const struct pyi_run_options *options)
{
	struct pyi_run *run = run_new();
	struct pyi_err err = { 0 };
	int exit_code;
	int ret;

	if (!run) {
		pyi_log_error("out of memory");
		return PYI_EXIT_FAILURE;
	}
	run->options = options;
	run->start_us = pyi_now_us();
	run->image_fd = -1;
	run->trace_fd = -1;
	run->watch = fresh_watch;
	run->sandbox = PYI_SANDBOX_INIT;
	pyi_result_init(&run->result);

	ret = run_steps(run, &err);
	if (ret) {
		run->result.reason = PYI_REASON_SETUP;
		if (!run->result.exit_code)
			run->result.exit_code = PYI_EXIT_FAILURE;
		run->result.error = err;
		pyi_log_error("%s", err.msg);
	}
	pyi_step_fill_result(run);
	pyi_step_log_profile(run);
	exit_code = run->result.exit_code;
	if (!options->dry_run && pyi_step_write_result(run, &err)) {
		pyi_log_error("%s", err.msg);
		exit_code = PYI_EXIT_FAILURE;
	}
	pyi_timing_mark(PYI_TIMING_SUPERVISOR, "result");
	run_release(run);
	if (options->hooks && run->was_planned)
		options->hooks->ended(options->hooks->arg, &run->result);
	pyi_result_release(&run->result);
	pyi_timing_mark(PYI_TIMING_SUPERVISOR, "release");
	log_timings();
	pyi_step_image_later(run);
	munmap(run, sizeof(*run));
	return exit_code;
}
