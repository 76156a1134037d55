/* SPDX-License-Identifier: MIT */
/* What one policy has and another has not, rule by rule. */
#ifndef PYI_POLICY_DIFF_H
#define PYI_POLICY_DIFF_H

#include <stdbool.h>

struct pyi_buf;
struct pyi_err;
struct pyi_origin;
struct pyi_policy;

enum pyi_section {
	PYI_SECTION_ON_VIOLATION,
	PYI_SECTION_FS, /* exec: as well */
	PYI_SECTION_NET,
	PYI_SECTION_ENV,
	PYI_SECTION_IMPORTS,
	PYI_SECTION_CONTRACTS,
	PYI_SECTION_LIMITS,
	PYI_SECTION_CEILING,
	PYI_N_SECTIONS,
};

/* "fs", "net", ... as in a policy. */
const char *pyi_section_name(enum pyi_section section);

struct pyi_change {
	enum pyi_section section;
	char sign;	  /* '+' only the new one has it, '-' only the old one, '~' another value */
	const char *text; /* "connect 10.0.0.0/8:443", "memory 256MiB -> 128MiB" */
	const char *key;  /* of a limit its name, else NULL */
	const struct pyi_origin *from; /* NULL where a section has none */
};

/*
 * Call fn for each difference, in the order of sections, within one of the texts; the order of rules decides nothing
 * and is no difference. -ENOMEM, else what fn returned when that was not 0, else 0.
 */
int pyi_policy_diff(const struct pyi_policy *from, const struct pyi_policy *to,
		    int (*fn)(const struct pyi_change *change, void *arg), void *arg,
		    struct pyi_err *err);

/* "+ net: connect 10.0.0.0/8:443  (b.yml:4)" and a newline. */
void pyi_change_print(const struct pyi_change *change, struct pyi_buf *out);

#endif
