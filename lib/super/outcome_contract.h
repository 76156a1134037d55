/* SPDX-License-Identifier: MIT */
/* What is said of contracts at the end of a run; part of outcome.h. */
#ifndef PYI_SUPER_OUTCOME_CONTRACT_H
#define PYI_SUPER_OUTCOME_CONTRACT_H

#include <stdbool.h>
#include <stddef.h>

struct pyi_origin;
struct pyi_outcome_input;
struct pyi_policy;
struct pyi_result;

/* The rule of a denial, "contract: net.connects <= 3"; *ret_from is where it was written, NULL when unknown. */
void pyi_outcome_name_contract(const struct pyi_policy *policy, unsigned int contract, char *buf,
			       size_t size, const struct pyi_origin **ret_from);

/* Was a contract broken, and is that the end of a guest of this policy? */
bool pyi_outcome_is_contract(const struct pyi_outcome_input *input);

/* The counters, and the verdict where a broken contract ends the guest, whatever it did until it was gone. */
void pyi_outcome_count_contracts(const struct pyi_outcome_input *input, struct pyi_result *result);

/* One line when one was broken. After the denials are in the result. */
void pyi_outcome_explain_contracts(const struct pyi_outcome_input *input,
				   const struct pyi_result *result);

#endif
