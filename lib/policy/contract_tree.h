/* SPDX-License-Identifier: MIT */
/* One contract while it is read: the tree between parser, checks, printer and compiler. Not for other folders. */
#ifndef PYI_POLICY_CONTRACT_TREE_H
#define PYI_POLICY_CONTRACT_TREE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "contract_abi.h"

struct pyi_buf;

enum {
	PYI_CONTRACT_TEXT_MAX = 512,  /* bytes of one contract */
	PYI_CONTRACT_DEPTH_MAX = 16,  /* parentheses and `not` */
	PYI_CONTRACT_NODES_MAX = 160, /* what 512 bytes can hold in practice */
	PYI_CONTRACT_NAMES_MAX = 24,  /* names of counters */
};

enum pyi_contract_kind {
	PYI_CONTRACT_NUMBER,
	PYI_CONTRACT_FIELD,
	PYI_CONTRACT_ADD,
	PYI_CONTRACT_SUB,
	PYI_CONTRACT_MUL,
	PYI_CONTRACT_LT,
	PYI_CONTRACT_LE,
	PYI_CONTRACT_GT,
	PYI_CONTRACT_GE,
	PYI_CONTRACT_EQ,
	PYI_CONTRACT_NE,
	PYI_CONTRACT_NOT,
	PYI_CONTRACT_AND,
	PYI_CONTRACT_OR,
};

enum pyi_contract_unit { PYI_UNIT_COUNT, PYI_UNIT_BYTES, PYI_UNIT_TIME };

struct pyi_contract_node {
	uint8_t kind; /* enum pyi_contract_kind */
	uint8_t unit; /* of a number as written: enum pyi_contract_unit */
	uint8_t field; /* place in `values`; of a counter with a pattern PYI_VALUE_SLOTS + slot, see below */
	uint8_t pattern; /* 1 + index into the tree's patterns; 0: none */
	uint16_t a;	 /* operands */
	uint16_t b;
	uint16_t offset; /* in the text: of a binary operation its sign */
	int64_t number;
};

/* A pattern as written. */
struct pyi_contract_string {
	uint8_t event;
	uint16_t offset;
	char *text; /* owned */
};

/*
 * Until the patterns have slots (pyi_contract_patterns), `field` of a counter with one is PYI_VALUE_SLOTS plus the
 * pattern's index in this tree.
 */
struct pyi_contract_tree {
	struct pyi_contract_node v[PYI_CONTRACT_NODES_MAX];
	uint16_t n;
	uint16_t root;
	struct pyi_contract_string patterns[PYI_CONTRACT_SLOTS];
	size_t n_patterns;
};

/* What is wrong and where. */
struct pyi_contract_error {
	size_t offset; /* in the text, bytes */
	char msg[320];
};

/* A counter, or another value a contract may name. */
struct pyi_contract_field {
	const char *name;
	uint8_t field;
	uint8_t unit;
	bool takes_path; /* may have a pattern: a path */
	bool takes_address;
	uint32_t events;     /* what changes it; 0: nothing that happens */
	const char *instead; /* nothing counts it: what to use instead */
};

extern const struct pyi_contract_field pyi_contract_fields[];
extern const size_t pyi_n_contract_fields;

/* The entry of a place in `values`, NULL for slots. */
const struct pyi_contract_field *pyi_contract_field_at(unsigned int field);

void pyi_contract_tree_release(struct pyi_contract_tree *tree);

/* Read a text. 0, -EINVAL with *error, -ENOMEM. The tree must be zeroed. */
int pyi_contract_parse(const char *text, struct pyi_contract_tree *tree,
		       struct pyi_contract_error *error);

/* Types and units, overflow, what is always or never true. 0 or -EINVAL with *error. */
int pyi_contract_check(const struct pyi_contract_tree *tree, struct pyi_contract_error *error);

/* PYI_EV_* bits of what the contract speaks of. */
uint32_t pyi_contract_events(const struct pyi_contract_tree *tree);

/* Does it hold? Straight from the tree, for the checks and as the reference for the byte code. */
bool pyi_contract_holds(const struct pyi_contract_tree *tree, const int64_t values[PYI_VALUES]);

/* The normalised text; patterns[i] is that of tree->patterns[i]. */
void pyi_contract_print(const struct pyi_contract_tree *tree, const char *const *patterns,
			struct pyi_buf *out);

/* A comparison as "sum of coef * value + constant, compared with 0". False: it leaves the range of numbers. */
struct pyi_contract_sum {
	int64_t coef[PYI_VALUES];
	int64_t constant;
};

bool pyi_contract_sum(const struct pyi_contract_tree *tree, uint16_t comparison,
		      struct pyi_contract_sum *ret);

/* Operations it takes, and they themselves: ops[start..]; contract and events stand in each. */
size_t pyi_contract_size(const struct pyi_contract_tree *tree);
void pyi_contract_compile(const struct pyi_contract_tree *tree, uint8_t contract, uint32_t events,
			  struct pyi_abi_contract_op *ops, size_t start);

#endif
