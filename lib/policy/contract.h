/* SPDX-License-Identifier: MIT */
/*
 * The contracts of a policy, checked and compiled: what `contracts:` of the effective policy comes to. Plain data;
 * the byte code and its evaluator are those of bpf/contract_abi.h.
 */
#ifndef PYI_POLICY_CONTRACT_H
#define PYI_POLICY_CONTRACT_H

#include <stddef.h>
#include <stdint.h>

#include "contract_abi.h"
#include "policy/policy.h"

struct pyi_buf;

struct pyi_contract {
	char *text;	 /* normalised; parses to the same contract */
	uint32_t events; /* bits of PYI_EV_*: when it is evaluated */
	struct pyi_origin from;
};

/* A counter with a pattern, such as net.connects("10.0.0.0/8:443"). */
struct pyi_contract_pattern {
	uint8_t event; /* PYI_EV_*: what it counts */
	char *text;    /* normalised */
	bool is_path;  /* a path as in fs rules (is_glob: with wildcards), else an address */
	bool is_glob;
	struct pyi_net_rule net; /* of an address: addr, prefix_len, protos and ports */
};

struct pyi_contract_set {
	struct pyi_contract *v;
	size_t n;
	struct pyi_contract_pattern patterns[PYI_CONTRACT_SLOTS]; /* by slot */
	size_t n_patterns;
	struct pyi_abi_contract_op ops[PYI_CONTRACT_OPS];
	size_t n_ops;
};

/* "net.connects", "time.elapsed", ...; NULL when there is nothing at this place of `values` (slots have no name). */
const char *pyi_contract_field_name(unsigned int field);

/* One operation as text, without a newline: "net.connects <= 3, else broken". */
void pyi_contract_print_op(const struct pyi_contract_set *set, size_t i, struct pyi_buf *out);

void pyi_contract_set_free(struct pyi_contract_set *set);

#endif
