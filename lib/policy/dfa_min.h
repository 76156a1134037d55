/* SPDX-License-Identifier: MIT */
/* Which states of a draft are equal? Private to lib/policy. */
#ifndef PYI_POLICY_DFA_MIN_H
#define PYI_POLICY_DFA_MIN_H

#include <stdint.h>

struct pyi_draft;

/*
 * Put the states into blocks of equals: ret_blocks[state] (n_states elements, the caller's), *ret_n of them. 0 or
 * -ENOMEM. On the way the draft learns which states are sinks.
 */
int pyi_dfa_find_equals(struct pyi_draft *draft, uint32_t *ret_blocks, uint32_t *ret_n);

#endif
