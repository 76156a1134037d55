/* SPDX-License-Identifier: MIT */
/*
 * What contracts count by path, met with this host. The kernel names a file by where it is, not by the symbolic links
 * that led there: a pattern below a link would count nothing, and is refused with the pattern to write instead.
 */
#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>

#include "base/err.h"
#include "base/util.h"
#include "kernel/resolve.h"
#include "policy/contract.h"
#include "policy/policy.h"

/* Whether the counter is about the name itself, which may be a link, and not about what is opened through it. */
static bool is_about_name(const struct pyi_contract_pattern *pattern)
{
	return pattern->event == PYI_EV_CREATE || pattern->event == PYI_EV_DELETE;
}

/* How much of the pattern is a path that links could be in: whole components before the first wildcard. */
static size_t fixed_length(const struct pyi_contract_pattern *pattern)
{
	const char *text = pattern->text;
	size_t len = pattern->is_glob ? strcspn(text, "*?[") : strlen(text);

	if (!pattern->is_glob && !is_about_name(pattern))
		return len;
	while (len > 1 && text[len - 1] != '/')
		len--;
	return len > 1 ? len - 1 : len;
}

static const struct pyi_contract *contract_of(const struct pyi_contract_set *set, size_t slot)
{
	for (size_t i = 0; i < set->n_ops; i++)
		if (set->ops[i].field == PYI_VALUE_SLOTS + slot)
			return &set->v[set->ops[i].contract];
	return NULL;
}

static int check(const struct pyi_contract_set *set, size_t slot, struct pyi_err *err)
{
	const struct pyi_contract_pattern *pattern = &set->patterns[slot];
	const struct pyi_contract *contract = contract_of(set, slot);
	char path[PATH_MAX], real[PATH_MAX];
	size_t len = fixed_length(pattern);

	if (!contract || len >= sizeof(path))
		return 0;
	memcpy(path, pattern->text, len);
	path[len] = '\0';
	/* What is not there cannot lead elsewhere: the nearest that is. */
	while (!realpath(path, real)) {
		char *slash = strrchr(path, '/');

		if (!slash || slash == path)
			return 0;
		*slash = '\0';
	}
	if (strcmp(path, real) == 0)
		return 0;
	return pyi_err_set(err, EINVAL,
			   "%s:%u: contract '%.200s' counts nothing below '%.200s', which is a symbolic link to "
			   "'%.200s': write \"%.200s%.200s\"",
			   contract->from.file, contract->from.line, contract->text, path, real,
			   real, pattern->text + strlen(path));
}

int pyi_resolve_check_counted(const struct pyi_policy *policy, struct pyi_err *err)
{
	const struct pyi_contract_set *set = policy->contracts;

	for (size_t i = 0; set && i < set->n_patterns; i++) {
		int r = set->patterns[i].is_path ? check(set, i, err) : 0;

		if (r)
			return r;
	}
	return 0;
}
