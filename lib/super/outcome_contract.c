/* SPDX-License-Identifier: MIT */
/* See outcome_contract.h. */
#include "super/outcome_contract.h"

#include <stdio.h>
#include <string.h>

#include "base/log.h"
#include "kernel/bpf.h"
#include "plan/plan.h"
#include "policy/contract.h"
#include "report/result.h"
#include "super/outcome.h"

static const char rule_prefix[] = "contract: ";

void pyi_outcome_name_contract(const struct pyi_policy *policy, unsigned int contract, char *buf,
			       size_t size, const struct pyi_origin **ret_from)
{
	const struct pyi_contract_set *set = policy ? policy->contracts : NULL;

	*ret_from = NULL;
	if (!set || !contract || contract > set->n) {
		snprintf(buf, size, "%stheir rows are gone from the kernel", rule_prefix);
		return;
	}
	snprintf(buf, size, "%s%s", rule_prefix, set->v[contract - 1].text);
	*ret_from = &set->v[contract - 1].from;
}

bool pyi_outcome_is_contract(const struct pyi_outcome_input *input)
{
	return input->contracts && input->contracts->broken &&
	       input->plan->policy->on_violation != PYI_VIOLATION_ERRNO;
}

void pyi_outcome_count_contracts(const struct pyi_outcome_input *input, struct pyi_result *result)
{
	uint32_t counted = PYI_EV_NET_ALL | (input->plan->use_bpf_lsm ? PYI_EV_LSM : 0);

	if (!input->plan->counts_bytes)
		counted &= ~PYI_EV_BYTES;
	if (!input->contracts)
		return;
	result->contracts_broken = input->contracts->broken;
	result->n_counters = 0;
	for (unsigned int i = 0; i < PYI_BPF_COUNTERS && i < PYI_COUNTERS_MAX; i++)
		if (counted & PYI_EV_BIT(i))
			result->counters[result->n_counters++] = (struct pyi_counter){
				pyi_contract_field_name(i), input->contracts->counters[i]
			};
	if (!pyi_outcome_is_contract(input))
		return;
	result->reason = input->plan->policy->on_violation == PYI_VIOLATION_PANIC ? PYI_REASON_PANIC
										  : PYI_REASON_POLICY;
	result->exit_code = PYI_EXIT_POLICY;
}

void pyi_outcome_explain_contracts(const struct pyi_outcome_input *input, const struct pyi_result *result)
{
	const struct pyi_denial *denial = NULL;
	bool is_end = pyi_outcome_is_contract(input);
	char more[64] = "";

	if (!input->contracts || !input->contracts->broken)
		return;
	for (uint32_t i = 0; i < result->n_denials && !denial; i++)
		if (result->denials[i].rule &&
		    strncmp(result->denials[i].rule, rule_prefix, strlen(rule_prefix)) == 0)
			denial = &result->denials[i];
	if (input->contracts->broken > 1)
		snprintf(more, sizeof(more), ", the first of %llu times",
			 (unsigned long long)input->contracts->broken);
	/* A hundred other denials came before it. */
	if (!denial) {
		pyi_log_error("a contract was broken%s%s", more, is_end ? ": the guest was ended" : "");
		return;
	}
	(is_end ? pyi_log_error : pyi_log_note)(
		"contract '%s' (%s) was broken by %s '%s'%s%s%s%s",
		denial->rule + strlen(rule_prefix), denial->file ? denial->file : "?", denial->op,
		denial->target, denial->at ? " at " : "", denial->at ? denial->at : "", more,
		is_end ? ": the guest was ended (on_violation)" : "");
}
