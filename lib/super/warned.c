/* SPDX-License-Identifier: MIT */
/*
 * See warned.h. Of a variable only the name is told: its value may be a secret. A path in a record may be a lie of a
 * guest with several threads: so it is a claim.
 */
#include "super/warned.h"

#include <limits.h>
#include <stdio.h>

#include "policy/policy.h"
#include "report/asked_verdict.h"
#include "super/event_stream.h"
#include "super/outcome_event.h"
#include "super/steps.h"

bool pyi_warned_wants_trace(const struct pyi_run *run)
{
	const struct pyi_facts *facts = &run->facts;

	/* A sandbox with a name may live for long: what it did would not all find room. */
	if (run->options->mode != PYI_MODE_DEV || run->options->hooks || !facts->is_root ||
	    !facts->bpf_lsm.errnum || facts->bpf_cgroup.errnum || facts->cgroup.errnum ||
	    !facts->cgroup_v2_dir[0])
		return false;
	for (size_t i = 0; i < run->policy->n_fs; i++)
		if (run->policy->fs[i].verdict == PYI_WARN)
			return true;
	return false;
}

void pyi_warned_tell_env(struct pyi_run *run)
{
	for (size_t i = 0; i < run->plan->n_env_warnings; i++) {
		const struct pyi_env_warning *warning = &run->plan->env_warnings[i];
		char rule[256], file[PATH_MAX];
		struct pyi_denial denial = {
			.rule = rule, .op = (char *)"env", .target = warning->name, .is_warning = true
		};

		snprintf(rule, sizeof(rule), "env: warn %s", warning->rule->name);
		denial.file = pyi_outcome_format_origin(&warning->rule->from, file, sizeof(file));
		(void)pyi_result_add_denial(&run->result, &denial);
		if (run->options->hooks)
			pyi_event_stream_warned(run->options->hooks->events, &denial);
	}
}

static void tell(struct pyi_run *run, const struct pyi_asked *asked,
		 const struct pyi_asked_verdict *verdict)
{
	char file[PATH_MAX], at[PATH_MAX];
	struct pyi_denial denial = { .rule = verdict->rule,
				     .op = (char *)(asked->kind == PYI_ASKED_EXEC    ? "exec"
						    : asked->kind == PYI_ASKED_WRITE ? "write"
										     : "open"),
				     .target = asked->real ? asked->real : asked->path,
				     .at_us = asked->time_us,
				     .is_warning = true,
				     .is_claim = true };

	if (verdict->from)
		denial.file = pyi_outcome_format_origin(verdict->from, file, sizeof(file));
	if (asked->at_file) {
		snprintf(at, sizeof(at), "%s:%u", asked->at_file, asked->at_line);
		denial.at = at;
	}
	(void)pyi_result_add_denial(&run->result, &denial);
}

void pyi_warned_tell(struct pyi_run *run)
{
	for (size_t i = 0; i < run->asked.n; i++) {
		const struct pyi_asked *asked = &run->asked.v[i];
		struct pyi_asked_verdict verdict;

		if (!asked->path || (asked->kind != PYI_ASKED_READ &&
				     asked->kind != PYI_ASKED_WRITE && asked->kind != PYI_ASKED_EXEC))
			continue;
		if (pyi_asked_judge(run->plan, asked, &verdict))
			break;
		if (verdict.outcome == PYI_ASKED_WARNED)
			tell(run, asked, &verdict);
		pyi_asked_verdict_release(&verdict);
	}
	run->result.denials_dropped += run->asked.lost;
}
