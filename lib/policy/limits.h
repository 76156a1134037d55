/* SPDX-License-Identifier: MIT */
/* The keys of `limits`, and where the value of each stands. Private to lib/policy. */
#ifndef PYI_POLICY_LIMITS_H
#define PYI_POLICY_LIMITS_H

#include <stddef.h>
#include <stdint.h>

struct pyi_limits;

/* From PYI_LIMIT_SHARE on they have 32 bits. */
enum pyi_limit_kind {
	PYI_LIMIT_SIZE,
	PYI_LIMIT_TIME,
	PYI_LIMIT_SHARE,
	PYI_LIMIT_COUNT,
	PYI_LIMIT_NODE, /* a place, no quantity: none is more than another */
};

struct pyi_limit {
	const char *key;
	enum pyi_limit_kind kind;
	size_t offset; /* in struct pyi_limits */
};

/* PYI_N_LIMITS of them (policy.h), in the order of pyi_limit_keys. */
extern const struct pyi_limit pyi_limits_table[];

/* 0: none is set. */
uint64_t pyi_limit_value(const struct pyi_limit *limit, const struct pyi_limits *limits);

/* As a policy has it; "none" for 0. Returns buf, or a literal. */
const char *pyi_limit_format(const struct pyi_limit *limit, uint64_t value, char buf[32]);

#endif
