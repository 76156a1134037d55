/* SPDX-License-Identifier: MIT */
/* From what was seen to what is said: reason, exit code, denials, and the line that names the missing grant. */
#ifndef PYI_SUPER_OUTCOME_H
#define PYI_SUPER_OUTCOME_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct pyi_bpf_contracts;
struct pyi_bpf_event;
struct pyi_cgroup_usage;
struct pyi_plan;
struct pyi_policy;
struct pyi_run_era;
struct pyi_result;
struct pyi_watch;

struct pyi_outcome_input {
	const struct pyi_plan *plan;
	const struct pyi_watch *watch;
	const struct pyi_cgroup_usage *usage; /* NULL without a cgroup */
	bool cpu_is_spent;		      /* the kernel has seen it so, and sent its signals */
	bool net_is_spent;		      /* packets were dropped because of net_bytes */
	const char *script_dir; /* of a script, for refused imports beside it; NULL otherwise */
	const struct pyi_bpf_event *events; /* network denials */
	size_t n_events;
	unsigned long long events_total;
	const struct pyi_bpf_contracts *contracts; /* NULL: the policy has none */
	const struct pyi_run_era *eras; /* the policies of reloads; before the first that of the plan */
	size_t n_eras;
	uint64_t start_us; /* of the run, CLOCK_MONOTONIC */
};

/* The policy of this era: of a reload, or the first; NULL where it is not known. */
const struct pyi_policy *pyi_outcome_find_policy(const struct pyi_policy *first,
						 const struct pyi_run_era *eras, size_t n_eras,
						 uint16_t era);

/* Fills reason, exit_code, signal, denials and figures of an initialised result. */
void pyi_outcome_decide(const struct pyi_outcome_input *input, struct pyi_result *result);

/* One line for a limit or a kill; for an uncaught error about something not granted, the line that names the flag. */
void pyi_outcome_explain(const struct pyi_outcome_input *input, const struct pyi_result *result);

#endif
