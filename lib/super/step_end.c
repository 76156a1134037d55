/* SPDX-License-Identifier: MIT */
/* From the start of the guest to the result record; see steps.h. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <termios.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/err.h"
#include "base/io.h"
#include "base/log.h"
#include "base/util.h"
#include "report/profile.h"
#include "super/logfile.h"
#include "super/outcome.h"
#include "super/steps.h"
#include "super/warned.h"

static bool is_same_setting(const struct termios *a, const struct termios *b)
{
	return a->c_iflag == b->c_iflag && a->c_oflag == b->c_oflag && a->c_cflag == b->c_cflag &&
	       a->c_lflag == b->c_lflag && memcmp(a->c_cc, b->c_cc, sizeof(a->c_cc)) == 0;
}

/*
 * What was lent to the guest is the shell's again afterwards: whatever the guest did to it, and however it ended. The
 * terminal gets back the settings it had; not from the background, where it is someone else's and the kernel would stop
 * us. Open files that we share with others get back their flags: who goes on appending to one, or waits for it, must
 * not find that it no longer appends or waits.
 */
static void restore_stdio(const struct pyi_run *run)
{
	for (int fd = 0; fd < PYI_RUN_STDIO; fd++) {
		const struct pyi_run_stdio *was = &run->stdio[fd];
		int flags = fcntl(fd, F_GETFL);
		struct termios now;
		pid_t group;

		if (was->flags >= 0 && flags >= 0 && flags != was->flags)
			(void)fcntl(fd, F_SETFL, was->flags);
		if (!was->is_terminal || tcgetattr(fd, &now) || is_same_setting(&now, &was->terminal))
			continue;
		group = tcgetpgrp(fd); /* -1: of a terminal that does not control us, which we may set */
		if (group < 0 || group == getpgrp())
			(void)tcsetattr(fd, TCSANOW, &was->terminal);
	}
}

/* Somebody reads the record. */
static bool wants_result(const struct pyi_run *run)
{
	const struct pyi_run_options *options = run->options;

	return options->result_path || options->result_fd >= 0 || options->hooks || options->profile;
}

/* The guest of a sandbox that may live for long: those that start meanwhile shall have an image. */
static int on_ready(void *arg, struct pyi_err *err)
{
	struct pyi_run *run = arg;
	const struct pyi_run_hooks *hooks = run->options->hooks;
	int ret = hooks->ready(hooks->arg, err);

	if (ret == 0)
		pyi_step_image_later(run);
	run->needs_image = false;
	return ret;
}

static int end_trace(struct pyi_run *run, struct pyi_err *err)
{
	int ret = run->tracer ? pyi_tracer_end(run->tracer, run->watch.signal_fd, err) : 0;

	/* Of a guest that died of its image there is nothing yet. */
	pyi_asked_release(&run->asked);
	if (run->tracer)
		pyi_tracer_take(run->tracer, &run->asked);
	return ret;
}

int pyi_step_watch(struct pyi_run *run, struct pyi_err *err)
{
	const struct pyi_report_msg *failure = &run->watch.setup_error;
	int ret;

	run->watch.plan = run->plan;
	run->watch.sandbox = &run->sandbox;
	run->watch.cgroup = run->cgroup;
	run->watch.observer = run->observer;
	run->watch.tracer = run->tracer;
	run->watch.hooks = run->options->hooks;
	run->watch.on_ready = run->options->hooks ? on_ready : NULL;
	run->watch.ready_arg = run;
	pyi_step_watch_reloads(run);
	ret = pyi_watch_run(&run->watch, err);
	pyi_step_mark("end");
	restore_stdio(run);
	if (run->options->hooks)
		pyi_logfile_end_line(run->options->hooks->log);
	if (ret)
		return ret;
	ret = end_trace(run, err);
	if (ret)
		return ret;
	if (run->cgroup)
		run->has_usage = (wants_result(run) || run->options->hooks
					  ? pyi_cgroup_usage(run->cgroup, &run->usage)
					  : pyi_cgroup_refusals(run->cgroup, &run->usage)) == 0;
	if (run->observer)
		pyi_observer_end(run->observer, run->has_usage ? &run->usage : NULL, pyi_now_us());
	if (run->bpf && run->cgroup) {
		ret = pyi_bpf_events(run->bpf, pyi_cgroup_id(run->cgroup), run->events,
				     PYI_RUN_EVENTS_MAX, &run->n_events, &run->events_total, err);
		if (ret)
			return ret;
		run->has_contracts = run->plan->contracts || run->generation;
		if (run->has_contracts)
			ret = pyi_bpf_contracts(run->bpf, pyi_cgroup_id(run->cgroup), &run->contracts);
		if (ret == -ENOENT && !run->plan->contracts) {
			run->has_contracts = false; /* nor had any reload */
			ret = 0;
		}
		if (ret)
			return pyi_err_sys(err, -ret, "cannot read what the contracts counted");
	}
	if (run->watch.hook_error.errnum)
		return pyi_err_set(err, run->watch.hook_error.errnum, "%s", run->watch.hook_error.msg);
	if (run->watch.has_setup_error)
		return pyi_err_set(err, failure->errnum, "cannot start Python: %s", failure->path);
	if (run->watch.was_stopped && !run->watch.is_ready && run->options->guest == PYI_GUEST_PYTHON)
		return pyi_err_set(err, ECANCELED, "the sandbox was stopped before it was running");
	if (run->options->guest == PYI_GUEST_PYTHON && !run->watch.is_ready &&
	    !run->watch.was_killed && !(run->has_usage && run->usage.oom_kills) &&
	    !(run->observer && pyi_observer_cpu_is_spent(run->observer)))
		return pyi_err_set(err, EPROTO, "Python ended before it was ready (%s %d)",
				   WIFSIGNALED(run->watch.wait_status) ? "signal" : "exit code",
				   WIFSIGNALED(run->watch.wait_status)
					   ? WTERMSIG(run->watch.wait_status)
					   : WEXITSTATUS(run->watch.wait_status));
	return 0;
}

/* What the end was: reason, exit code, denials, and the lines that explain it. */
void pyi_step_outcome(struct pyi_run *run)
{
	struct pyi_outcome_input input = {
		.plan = run->plan,
		.watch = &run->watch,
		.usage = run->has_usage ? &run->usage : NULL,
		.cpu_is_spent = run->observer && pyi_observer_cpu_is_spent(run->observer),
		.net_is_spent = run->observer && pyi_observer_net_is_spent(run->observer),
		.script_dir = run->source.script_dir,
		.events = run->events,
		.n_events = run->n_events,
		.events_total = run->events_total,
		.contracts = run->has_contracts ? &run->contracts : NULL,
		.eras = run->eras,
		.n_eras = run->n_eras,
		.start_us = run->start_us,
	};

	pyi_outcome_decide(&input, &run->result);
	if (run->keeps_warned)
		pyi_warned_tell(run);
	pyi_outcome_explain(&input, &run->result);
}

void pyi_step_fill_result(struct pyi_run *run)
{
	const struct pyi_policy *policy = pyi_step_policy_now(run);
	struct pyi_result *result = &run->result;
	size_t i;

	result->generation = run->generation ? run->generation : 1;
	result->name = run->options->hooks ? run->options->hooks->name : NULL;
	if (policy) {
		for (i = 0; i < sizeof(policy->digest); i++)
			snprintf(result->policy_digest + 2 * i, 3, "%02x", policy->digest[i]);
	}
	if (run->plan) {
		result->mode = pyi_mode_name(run->plan->mode);
		memcpy(result->layers, run->plan->layers, sizeof(result->layers));
	}
	result->is_audit = run->options->audit;
	result->wants_profile = run->options->profile;
	if (run->observer)
		pyi_observer_tell(run->observer, result);
	else if (result->reason == PYI_REASON_CPU_TIME)
		/* Without a cgroup it was RLIMIT_CPU. */
		pyi_kernel_events_note(
			&result->events, PYI_CPU_QUOTA,
			&(struct pyi_kernel_event){ .at_us = pyi_now_us() - run->start_us,
						    .amount = result->cpu_us,
						    .limit = run->plan->limits.cpu_time_ms * 1000 });
	result->has_image = run->watch.has_image;
	result->wall_us = pyi_now_us() - run->start_us;
}

void pyi_step_log_profile(const struct pyi_run *run)
{
	_cleanup_buf struct pyi_buf table = PYI_BUF_INIT;
	char *line, *save = NULL;

	if (!run->options->profile || !run->has_started)
		return;
	if (!run->result.profile) {
		pyi_log_note("profile: there is none without a control group: %s",
			     run->plan->layers[PYI_LAYER_CGROUP].why);
		return;
	}
	pyi_profile_print(run->result.profile, &table);
	for (line = table.data ? strtok_r(table.data, "\n", &save) : NULL; line;
	     line = strtok_r(NULL, "\n", &save))
		pyi_log_note("profile: %s", line);
}

int pyi_step_write_result(struct pyi_run *run, struct pyi_err *err)
{
	const struct pyi_run_options *options = run->options;
	_cleanup_buf struct pyi_buf out = PYI_BUF_INIT;
	int ret = 0;

	if (!wants_result(run))
		return 0;
	pyi_result_print_json(&run->result, &out);
	if (out.failed)
		return pyi_err_nomem(err);
	if (options->result_path)
		ret = pyi_replace_file(options->result_path, out.data, out.len, err);
	if (!ret && options->result_fd >= 0) {
		ret = pyi_write_all(options->result_fd, out.data, out.len);
		if (ret)
			return pyi_err_sys(err, -ret, "cannot write the result to descriptor %d",
					   options->result_fd);
	}
	return ret;
}
