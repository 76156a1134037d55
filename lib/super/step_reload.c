/* SPDX-License-Identifier: MIT */
/* Another policy while the guest runs: what the supervisor has to do about it. See steps.h and reload.h. */
#include <errno.h>
#include <stdlib.h>

#include "base/log.h"
#include "pyi_abi.h"
#include "super/event_stream.h"
#include "super/steps.h"

/* Has anything been denied by that policy? Events that nobody keeps need none. */
static bool has_events(struct pyi_run *run, const struct pyi_run_era *era)
{
	struct pyi_err unused = { 0 };
	uint64_t total;
	size_t n = 0;

	if (run->bpf && run->cgroup)
		(void)pyi_bpf_events(run->bpf, pyi_cgroup_id(run->cgroup), run->events,
				     PYI_RUN_EVENTS_MAX, &n, &total, &unused);
	for (size_t i = 0; i < n; i++)
		if (run->events[i].era == PYI_ABI_ERA(era->generation))
			return true;
	return false;
}

/* A policy under which nothing was denied is not kept: so there is never one more than there are events. */
static void begin_era(struct pyi_run *run, const struct pyi_run_now *now)
{
	struct pyi_run_era era = { now->generation, now->policy };
	struct pyi_run_era *eras;

	if (run->n_eras && !has_events(run, &run->eras[run->n_eras - 1])) {
		pyi_policy_free(run->eras[run->n_eras - 1].policy);
		run->eras[run->n_eras - 1] = era;
		return;
	}
	eras = reallocarray(run->eras, run->n_eras + 1, sizeof(*eras));
	if (!eras) {
		pyi_log_error("out of memory: denials will be told by the rules before the reload");
		pyi_policy_free(era.policy);
		return;
	}
	run->eras = eras;
	eras[run->n_eras++] = era;
}

static int look(void *arg, struct pyi_limits *ret_limits)
{
	struct pyi_run *run = arg;
	const struct pyi_run_hooks *hooks = run->options->hooks;
	struct pyi_run_now now;
	int ret = hooks->reloaded(hooks->arg, &now);

	if (ret)
		return ret;
	if (run->observer && now.policy->contracts && now.policy->on_violation != PYI_VIOLATION_ERRNO)
		pyi_observer_watch_contracts(run->observer, pyi_now_us());
	begin_era(run, &now);
	run->generation = now.generation;
	pyi_event_stream_state(hooks->events, "running");
	*ret_limits = now.limits;
	return 0;
}

static void retire(void *arg)
{
	struct pyi_run *run = arg;

	/* Where the kernel has no membarrier(2) the rows stay until the end. */
	if (run->bpf && run->cgroup)
		(void)pyi_bpf_retire(run->bpf, pyi_cgroup_id(run->cgroup));
}

void pyi_step_watch_reloads(struct pyi_run *run)
{
	if (run->options->hooks && run->options->hooks->reloaded)
		run->watch.reload = (struct pyi_watch_reload){ look, retire, run };
}

const struct pyi_policy *pyi_step_policy_now(const struct pyi_run *run)
{
	return run->n_eras ? run->eras[run->n_eras - 1].policy : run->policy;
}

void pyi_step_release_reloads(struct pyi_run *run)
{
	for (size_t i = 0; i < run->n_eras; i++)
		pyi_policy_free(run->eras[i].policy);
	free(run->eras);
}
