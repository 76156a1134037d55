/* SPDX-License-Identifier: MIT */
/*
 * The guest's environment: ours, plus what the policy's rules set or let pass, less what they deny. Sorted by name.
 * What they warn of is let pass in mode dev, and noted; in the others it is denied.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/err.h"
#include "base/util.h"
#include "plan/build.h"

/*
 * Variables that make a loader, a shell or an interpreter run or find other code. A trailing '*' stands for a family.
 */
static const char *const steering[] = {
	"LD_*",	   "PYTHON*",	     "GLIBC_TUNABLES", "GCONV_PATH",
	"LOCPATH", "NLSPATH",	     "BASH_ENV",       "BASH_FUNC_*",
	"ENV",	   "SHELLOPTS",	     "BASHOPTS",       "IFS",
	"PS4",	   "PROMPT_COMMAND", "PERL5*",	       "PERLLIB",
	"RUBYOPT", "RUBYLIB",	     "NODE_*",	       "JAVA_TOOL_OPTIONS",
	"GIT_*",   "TMPDIR",	     "HOSTALIASES",    "RES_OPTIONS",
};

static bool pattern_matches(const char *pattern, const char *name, size_t name_len)
{
	size_t len = strlen(pattern);

	if (len && pattern[len - 1] == '*')
		return name_len >= len - 1 && !strncmp(pattern, name, len - 1);
	return len == name_len && !strncmp(pattern, name, len);
}

static bool is_pattern(const char *text)
{
	size_t len = strlen(text);

	return len && text[len - 1] == '*';
}

/* May this pass rule, which matches the name, pass it? Wide patterns do not pass what steers a loader. */
static bool may_pass(const char *pattern, const char *name, size_t name_len)
{
	if (!is_pattern(pattern))
		return true;
	for (size_t i = 0; i < PYI_ARRAY_SIZE(steering); i++) {
		size_t family = strlen(steering[i]) - (is_pattern(steering[i]) ? 1 : 0);

		if (pattern_matches(steering[i], name, name_len) && strlen(pattern) - 1 < family)
			return false;
	}
	return true;
}

static size_t name_length(const char *entry)
{
	return strcspn(entry, "=");
}

/* The place of a variable in plan->env, or the number of variables. */
static size_t find(const struct pyi_plan *plan, size_t n, const char *name, size_t name_len)
{
	size_t i;

	for (i = 0; i < n; i++)
		if (name_length(plan->env[i]) == name_len && !strncmp(plan->env[i], name, name_len))
			break;
	return i;
}

static int put(struct pyi_plan *plan, size_t *n, const char *name, size_t name_len,
	       const char *value, struct pyi_err *err)
{
	char *entry = NULL, **slot;
	size_t i = find(plan, *n, name, name_len);

	if (asprintf(&entry, "%.*s=%s", (int)name_len, name, value) < 0)
		return pyi_err_nomem(err);
	if (i < *n) {
		free(plan->env[i]);
		plan->env[i] = entry;
		return 0;
	}
	slot = pyi_build_grow(&plan->env, n, sizeof(*slot));
	if (!slot) {
		free(entry);
		return pyi_err_nomem(err);
	}
	*slot = entry;
	return 0;
}

static int pass(struct pyi_build *b, size_t *n, const struct pyi_env_rule *rule, struct pyi_err *err)
{
	const char *const *entry = b->options->environ;
	int r;

	for (; entry && *entry; entry++) {
		size_t len = name_length(*entry);
		const char *const *before = b->options->environ;

		if (!len || (*entry)[len] != '=' || !pattern_matches(rule->name, *entry, len) ||
		    !may_pass(rule->name, *entry, len))
			continue;
		/* The first of two variables with one name is the one getenv finds. */
		while (before < entry &&
		       !(name_length(*before) == len && !strncmp(*before, *entry, len)))
			before++;
		if (before < entry)
			continue;
		r = put(b->plan, n, *entry, len, *entry + len + 1, err);
		if (r)
			return r;
	}
	return 0;
}

static bool is_denied(const struct pyi_build *b, const char *entry)
{
	for (size_t i = 0; i < b->policy->n_env; i++) {
		const struct pyi_env_rule *rule = &b->policy->env[i];

		if ((rule->kind == PYI_ENV_DENY || (rule->kind == PYI_ENV_WARN && !b->is_dev)) &&
		    pattern_matches(rule->name, entry, name_length(entry)))
			return true;
	}
	return false;
}

static void drop_denied(struct pyi_build *b, size_t *n)
{
	size_t kept = 0;

	for (size_t i = 0; i < *n; i++) {
		char *entry = b->plan->env[i];

		if (is_denied(b, entry))
			free(entry);
		else
			b->plan->env[kept++] = entry;
	}
	for (size_t i = kept; i < *n; i++)
		b->plan->env[i] = NULL;
	*n = kept;
}

/* Those that the guest has only because the mode lets them through: of each the first rule that warns. */
static int note_warned(struct pyi_build *b, size_t n, struct pyi_err *err)
{
	struct pyi_plan *plan = b->plan;

	for (size_t i = 0; i < n && b->is_dev; i++)
		for (size_t j = 0; j < b->policy->n_env; j++) {
			const struct pyi_env_rule *rule = &b->policy->env[j];
			struct pyi_env_warning *warning;

			if (rule->kind != PYI_ENV_WARN ||
			    !pattern_matches(rule->name, plan->env[i], name_length(plan->env[i])))
				continue;
			warning = pyi_build_grow(&plan->env_warnings, &plan->n_env_warnings,
						 sizeof(*warning));
			if (!warning)
				return pyi_err_nomem(err);
			warning->name = strndup(plan->env[i], name_length(plan->env[i]));
			warning->rule = rule;
			if (!warning->name)
				return pyi_err_nomem(err);
			break;
		}
	return 0;
}

static int compare_entry(const void *x, const void *y)
{
	return strcmp(*(char *const *)x, *(char *const *)y);
}

int pyi_build_env(struct pyi_build *b, struct pyi_err *err)
{
	/* Without namespaces there is no private /tmp to live in. */
	const char *home = b->plan->use_namespaces ? "/tmp" : "/nonexistent";
	const char *const ours[][2] = {
		{ "PATH", "/usr/local/bin:/usr/bin:/bin" },
		{ "HOME", home },
		{ "USER", "sandbox" },
		{ "LOGNAME", "sandbox" },
		{ "LANG", "C.UTF-8" },
		{ "TMPDIR", "/tmp" },
	};
	size_t n = 0;
	int r = 0;

	for (size_t i = 0; i < PYI_ARRAY_SIZE(ours) && !r; i++)
		if (b->plan->use_namespaces || strcmp(ours[i][0], "TMPDIR") != 0)
			r = put(b->plan, &n, ours[i][0], strlen(ours[i][0]), ours[i][1], err);
	for (size_t i = 0; i < b->policy->n_env && !r; i++)
		if (b->policy->env[i].kind == PYI_ENV_PASS ||
		    (b->policy->env[i].kind == PYI_ENV_WARN && b->is_dev))
			r = pass(b, &n, &b->policy->env[i], err);
	for (size_t i = 0; i < b->policy->n_env && !r; i++)
		if (b->policy->env[i].kind == PYI_ENV_SET)
			r = put(b->plan, &n, b->policy->env[i].name, strlen(b->policy->env[i].name),
				b->policy->env[i].value, err);
	if (r)
		return r;
	drop_denied(b, &n);
	if (n)
		qsort(b->plan->env, n, sizeof(b->plan->env[0]), compare_entry);
	r = note_warned(b, n, err);
	if (r)
		return r;
	if (!pyi_build_grow(&b->plan->env, &n, sizeof(b->plan->env[0])))
		return pyi_err_nomem(err);
	return 0;
}
