/* SPDX-License-Identifier: MIT */
/* The automaton between its two steps: deterministic (dfa_subset.c), not yet minimal (dfa.c). Private to lib/policy. */
#ifndef PYI_POLICY_DFA_DRAFT_H
#define PYI_POLICY_DFA_DRAFT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "policy/dfa.h"

struct pyi_err;
struct pyi_nfa;

enum {
	PYI_DRAFT_STATES_MAX = 2 * PYI_DFA_STATES_MAX, /* before equal ones are made one */
	PYI_DRAFT_STEPS_MAX = 1 << 22,
	PYI_DRAFT_WORK_MAX = 1 << 24, /* members of all sets that were looked at */
};

struct pyi_draft_state {
	uint32_t first; /* of its members in the pool */
	uint32_t n;
	uint32_t keys[PYI_DFA_ACCESSES];
	uint16_t slots;
	bool is_sink;
};

/* What leads on; what does not leads to state 0. */
struct pyi_draft_step {
	uint32_t from;
	uint32_t to;
	uint8_t class;
};

struct pyi_draft {
	uint32_t n_classes;
	struct pyi_draft_state *states; /* 0: the dead one; 1: the start */
	uint32_t n_states, cap_states;
	struct pyi_draft_step *steps; /* by state; none from sinks */
	uint32_t n_steps, cap_steps;
	uint32_t *pool;
	uint32_t n_pool, cap_pool;
	uint32_t *slots; /* hash table of states */
	uint32_t n_slots;
};

/* -E2BIG: *ret_costly is the rule that most of the members are for. */
int pyi_draft_build(const struct pyi_nfa *nfa, struct pyi_draft *ret_draft, size_t *ret_costly,
		    struct pyi_err *err);
void pyi_draft_release(struct pyi_draft *draft);

#endif
