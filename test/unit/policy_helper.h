/* SPDX-License-Identifier: MIT */
/* What the tests of policies share. */
#ifndef TEST_UNIT_POLICY_HELPER_H
#define TEST_UNIT_POLICY_HELPER_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/err.h"
#include "policy/policy.h"

static inline void free_policy(struct pyi_policy **policy)
{
	pyi_policy_free(*policy);
}
#define _cleanup_policy __attribute__((cleanup(free_policy)))
#define _cleanup_errors __attribute__((cleanup(pyi_policy_errors_release)))

static inline struct pyi_policy *parse(const char *text)
{
	struct pyi_policy *policy = NULL;
	struct pyi_err err = { 0 };

	if (pyi_policy_parse("p.yml", text, strlen(text), &policy, NULL, &err))
		fail_msg("%s\n%s", err.msg, text);
	return policy;
}

static inline const struct pyi_fs_rule *fs_rule(const struct pyi_policy *p, const char *path)
{
	for (size_t i = 0; i < p->n_fs; i++)
		if (strcmp(p->fs[i].path, path) == 0)
			return &p->fs[i];
	fail_msg("no rule for '%s'", path);
	return NULL;
}

static inline struct pyi_policy *load(const char *ref, const struct pyi_policy_flag *flags, size_t n)
{
	struct pyi_policy *p = NULL;
	struct pyi_err err = { 0 };

	if (pyi_policy_load(ref, flags, n, &p, NULL, &err))
		fail_msg("%s", err.msg);
	return p;
}

#endif
