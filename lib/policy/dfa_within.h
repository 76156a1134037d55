/* SPDX-License-Identifier: MIT */
/*
 * Does one automaton allow a path that another does not? Decided for all paths at once, by walking the two side by
 * side; whatever the patterns look like, the answer is exact. Pure.
 */
#ifndef PYI_POLICY_DFA_WITHIN_H
#define PYI_POLICY_DFA_WITHIN_H

#include <stdbool.h>
#include <stdint.h>

#include "policy/dfa.h"

enum {
	PYI_WITHIN_PAIRS_MAX = 1 << 18, /* states side by side: 5 MiB of memory */
	PYI_WITHIN_PATH_MAX = 4096,	/* PATH_MAX */
};

/* One rule of the inner automaton that allows too much. */
struct pyi_dfa_excess {
	uint8_t access; /* PYI_READ, PYI_WRITE or PYI_EXEC: what it allows and the outer one does not, */
	uint16_t rule; /* the rule that allows it, */
	uint8_t verdict; /* and what the outer one says: PYI_DFA_DEFAULT, or PYI_DFA_DENY (or _WARN) */
	uint16_t outer_rule;		/* by this rule; PYI_DFA_NO_RULE for the default */
	char path[PYI_WITHIN_PATH_MAX]; /* a shortest path; terminated */
};

/*
 * Calls `each` once for each rule of `inner` that allows (with_warned: or warns of) a path for reading, writing or
 * executing that `outer` does not allow, in the order of the paths' lengths; a value of it other than 0 ends the walk
 * and is returned. Paths are those that a kernel gives: absolute, without empty, '.' and '..' components. -E2BIG when
 * the two are too intricate to be compared, -ENOMEM.
 */
int pyi_dfa_within(const struct pyi_dfa *inner, const struct pyi_dfa *outer, bool with_warned,
		   int (*each)(const struct pyi_dfa_excess *excess, void *arg), void *arg,
		   struct pyi_err *err);

#endif
