/* SPDX-License-Identifier: MIT */
/*
 * The rules of a policy as one non-deterministic automaton: a trie of tokens, so that what patterns begin with in
 * common is there once. Private to lib/policy; dfa.c makes it deterministic.
 */
#ifndef PYI_POLICY_NFA_H
#define PYI_POLICY_NFA_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "policy/dfa.h"

enum pyi_edge_kind { PYI_EDGE_FREE, PYI_EDGE_CHAR, PYI_EDGE_ANY, PYI_EDGE_SET };

/*
 * A node may lead back to itself: on every byte but '/', or on every byte. In the second case what it says of a path
 * holds for every longer one.
 */
enum pyi_loop { PYI_LOOP_NONE, PYI_LOOP_COMPONENT, PYI_LOOP_ALL };

enum { PYI_NFA_NODES_MAX = 1 << 22, PYI_NFA_NONE = 0 };

/*
 * How good a rule is in the order of decision, as a number: the smaller one decides. Verdict first, then position.
 * PYI_KEY_NONE: no rule.
 */
#define PYI_KEY_NONE UINT32_MAX

struct pyi_nfa_edge {
	uint8_t kind;
	uint8_t c;    /* of CHAR */
	uint16_t set; /* of SET: index into sets */
	uint32_t to;
	uint32_t next; /* of the same node, 0: last */
};

struct pyi_nfa_node {
	uint32_t edges;				   /* first, 0: none */
	uint8_t loop;				   /* enum pyi_loop */
	uint32_t rule;				   /* that first led here, for messages */
	uint32_t keys[PYI_DFA_ACCESSES];	   /* what a path that ends here gets */
	uint32_t below[PYI_DFA_ACCESSES];	   /* and one that goes on with '/' */
	uint32_t beyond[PYI_DFA_ACCESSES];	   /* the best that can be reached from here */
	uint16_t slots, slots_below, slots_beyond; /* the same for counters: all, not the best */
};

struct pyi_nfa {
	struct pyi_nfa_node *nodes; /* nodes[1] is the start; 0 is none */
	uint32_t n_nodes, cap_nodes;
	struct pyi_nfa_edge *edges; /* 0 is none */
	uint32_t n_edges, cap_edges;
	uint64_t (*sets)[4]; /* bytes of a set, a bit each */
	uint32_t n_sets, cap_sets;
	size_t n_rules;
	uint32_t n_classes;
	uint8_t classes[256];
	uint8_t samples[256]; /* a byte of each class */
};

int pyi_nfa_build(const struct pyi_dfa_rule *rules, size_t n, struct pyi_nfa *ret_nfa,
		  struct pyi_err *err);
void pyi_nfa_release(struct pyi_nfa *nfa);

uint8_t pyi_nfa_key_verdict(uint32_t key);
uint16_t pyi_nfa_key_rule(uint32_t key);

static inline bool pyi_nfa_set_has(const uint64_t set[4], uint8_t c)
{
	return set[c / 64] >> (c % 64) & 1;
}

#endif
