/* SPDX-License-Identifier: MIT */
/*
 * All path rules of a policy as one minimal automaton over bytes. Walking a path through it costs one table look-up a
 * byte, however many rules there are; what it ends in says for reading, writing and executing which rule decides. The
 * BPF programs walk the same table (see pyi_abi.h), `policy check` makes it to find out whether it can be made.
 *
 * It answers as pyi_policy_decide_fs does, rule for rule: deny > warn > allow > default, and of several rules with the
 * same verdict the first.
 */
#ifndef PYI_POLICY_DFA_H
#define PYI_POLICY_DFA_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct pyi_err;
struct pyi_policy;

enum {
	PYI_DFA_STATES_MAX = 65535, /* a state is a u16 */
	PYI_DFA_NO_RULE = 0xffff,   /* the sandbox's own, or none */
	PYI_DFA_ACCESSES = 4,	    /* read, write, exec (bits of enum PYI_READ...), and list */
	PYI_DFA_SLOTS = 16,	    /* counters of contracts */
	PYI_DFA_LIST = 1 << 3,	    /* a directory's entries may be listed, nothing else */
};

/* What a state says about one access. */
enum { PYI_DFA_DEFAULT, PYI_DFA_ALLOW, PYI_DFA_WARN, PYI_DFA_DENY };

struct pyi_dfa_rule {
	const char *path; /* borrowed; absolute */
	bool is_glob;	  /* else every byte stands for itself */
	bool is_exact;	  /* the path alone, not what is below it */
	uint8_t verdict;  /* PYI_DFA_ALLOW, _WARN or _DENY */
	uint8_t access;	  /* PYI_READ | PYI_WRITE | PYI_EXEC | PYI_DFA_LIST */
	uint16_t number;  /* of the rule in its policy, PYI_DFA_NO_RULE */
	uint16_t slots; /* counters of contracts that count the path, a bit each: of all rules that match */
};

struct pyi_dfa_final {
	uint8_t verdicts[PYI_DFA_ACCESSES];
	uint16_t rules[PYI_DFA_ACCESSES]; /* PYI_DFA_NO_RULE where the default decides */
	uint16_t slots;			  /* of every rule that matches */
	bool is_sink;			  /* every longer path ends here too */
};

/* State 0 is the one nothing leads out of and everything is denied in. */
struct pyi_dfa {
	uint32_t n_states;
	uint32_t n_classes;
	uint16_t start;
	uint8_t classes[256];	      /* byte to class */
	uint16_t *next;		      /* [state * n_classes + class] */
	struct pyi_dfa_final *finals; /* [state] */
};

/*
 * *ret_dfa is the caller's: pyi_dfa_free. -E2BIG when it would have too many states (or take too long to make): then
 * *ret_costly is the index of the rule that most of them are for, and the message names its pattern.
 */
int pyi_dfa_build(const struct pyi_dfa_rule *rules, size_t n_rules, struct pyi_dfa **ret_dfa,
		  size_t *ret_costly, struct pyi_err *err);
void pyi_dfa_free(struct pyi_dfa *dfa);

/* The same for the rules of a policy alone; the message of -E2BIG begins with the rule's file and line. */
int pyi_dfa_of_policy(const struct pyi_policy *policy, struct pyi_dfa **ret_dfa, struct pyi_err *err);

const struct pyi_dfa_final *pyi_dfa_walk(const struct pyi_dfa *dfa, const char *path);

#endif
