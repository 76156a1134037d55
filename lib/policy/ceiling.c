/* SPDX-License-Identifier: MIT */
/* See ceiling.h: files and limits, and the policy's own ceiling. Addresses are in ceiling_net.c. */
#include "policy/ceiling.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/err.h"
#include "base/util.h"
#include "policy/dfa.h"
#include "policy/dfa_within.h"
#include "policy/internal.h"
#include "policy/limits.h"

const struct pyi_policy *pyi_policy_ceiling_files(const struct pyi_policy *policy)
{
	return policy->ceiling && policy->ceiling->has_ceiling_files ? policy->ceiling : NULL;
}

const struct pyi_policy *pyi_policy_ceiling_net(const struct pyi_policy *policy)
{
	return policy->ceiling && policy->ceiling->has_ceiling_net ? policy->ceiling : NULL;
}

const char *pyi_excess_place(const struct pyi_origin *from, char *buf, size_t size)
{
	buf[0] = '\0';
	if (from && from->file && from->line)
		snprintf(buf, size, " (%.100s:%u)", from->file, from->line);
	else if (from && from->file)
		snprintf(buf, size, " (%.100s)", from->file);
	return buf;
}

/* --------------------------------------------------------------------------------------------------------- files */

struct files {
	const struct pyi_policy *ceiling, *policy;
	pyi_excess_fn each;
	void *arg;
};

static const struct pyi_fs_rule *rule_of(const struct pyi_policy *policy, uint16_t number)
{
	return number < policy->n_fs ? &policy->fs[number] : NULL;
}

/* The rule that allows something and has most in common with this text. */
static const struct pyi_fs_rule *nearest(const struct pyi_policy *ceiling, const char *path)
{
	const struct pyi_fs_rule *best = NULL;
	size_t most = 0;

	for (size_t i = 0; i < ceiling->n_fs; i++) {
		const struct pyi_fs_rule *rule = &ceiling->fs[i];
		size_t n = 0;

		while (path[n] && path[n] == rule->path[n])
			n++;
		if (rule->verdict == PYI_ALLOW && (!best || n > most)) {
			best = rule;
			most = n;
		}
	}
	return best;
}

/* A path for a message: a pattern may match bytes that are no text. */
static void print_path(const char *path, char *buf, size_t size)
{
	size_t n = 0;

	for (; *path && n + 5 < size; path++) {
		unsigned char c = (unsigned char)*path;

		if (c < 0x20 || c >= 0x7f)
			n += (size_t)snprintf(buf + n, size - n, "\\x%02x", c);
		else
			buf[n++] = (char)c;
	}
	buf[n] = '\0';
}

static int on_path(const struct pyi_dfa_excess *found, void *arg)
{
	const struct files *files = arg;
	const struct pyi_fs_rule *rule = rule_of(files->policy, found->rule);
	const struct pyi_fs_rule *by = rule_of(files->ceiling, found->outer_rule);
	const char *verb = found->access & PYI_WRITE  ? "write"
			   : found->access & PYI_EXEC ? "run"
						      : "read";
	struct pyi_excess excess = { .from = rule ? &rule->from : NULL };
	char path[240], place[128];

	print_path(found->path, path, sizeof(path));
	if (rule)
		snprintf(excess.what, sizeof(excess.what), "fs: '%s %.250s'", pyi_fs_rule_key(rule),
			 rule->path);
	else
		snprintf(excess.what, sizeof(excess.what), "fs: what every command may use");
	if (found->verdict != PYI_DFA_DEFAULT && by) {
		snprintf(excess.why, sizeof(excess.why),
			 "it lets %s '%s', which the ceiling denies by '%s %.200s'%s", verb, path,
			 pyi_fs_rule_key(by), by->path,
			 pyi_excess_place(&by->from, place, sizeof(place)));
		snprintf(excess.mend, sizeof(excess.mend), "add '- deny: %.250s' to %s", by->path,
			 by->access == PYI_EXEC ? "exec" : "fs");
		return files->each(&excess, files->arg);
	}
	by = nearest(files->ceiling, rule ? rule->path : found->path);
	if (by)
		snprintf(excess.why, sizeof(excess.why),
			 "it lets %s '%s', which no rule of the ceiling does: the nearest is '%s %.200s'%s",
			 verb, path, pyi_fs_rule_key(by), by->path,
			 pyi_excess_place(&by->from, place, sizeof(place)));
	else
		snprintf(excess.why, sizeof(excess.why),
			 "it lets %s '%s', and the ceiling grants no file", verb, path);
	return files->each(&excess, files->arg);
}

int pyi_ceiling_compare_paths(const struct pyi_policy *ceiling, const struct pyi_dfa *outer,
			      const struct pyi_policy *policy, const struct pyi_dfa *inner,
			      bool is_dev, pyi_excess_fn each, void *arg, struct pyi_err *err)
{
	struct files files = { ceiling, policy, each, arg };
	int ret = pyi_dfa_within(inner, outer, is_dev, on_path, &files, err);

	return ret == -E2BIG ? pyi_err_add(err, "the files of the policy and of its ceiling") : ret;
}

static int compare_files(const struct pyi_policy *ceiling, const struct pyi_policy *policy,
			 bool is_dev, pyi_excess_fn each, void *arg, struct pyi_err *err)
{
	struct pyi_dfa *inner = NULL, *outer = NULL;
	int ret = pyi_dfa_of_policy(policy, &inner, err);

	if (!ret)
		ret = pyi_dfa_of_policy(ceiling, &outer, err);
	if (!ret)
		ret = pyi_ceiling_compare_paths(ceiling, outer, policy, inner, is_dev, each, arg, err);
	pyi_dfa_free(inner);
	pyi_dfa_free(outer);
	return ret;
}

/* -------------------------------------------------------------------------------------------------------- limits */

static int compare_limits(const struct pyi_policy *ceiling, const struct pyi_policy *policy,
			  pyi_excess_fn each, void *arg)
{
	int ret = 0;

	for (size_t i = 0; i < PYI_N_LIMITS && !ret; i++) {
		const struct pyi_limit *limit = &pyi_limits_table[i];
		uint64_t most = pyi_limit_value(limit, &ceiling->limits);
		uint64_t value = pyi_limit_value(limit, &policy->limits);
		struct pyi_excess excess = { .from = value ? &policy->limit_from[i] : NULL };
		char is[32], at_most[32], place[128];
		const char *text = pyi_limit_format(limit, most, at_most);

		if (!most || (value && value <= most))
			continue;
		if (value)
			snprintf(excess.what, sizeof(excess.what), "limits: '%s: %s'", limit->key,
				 pyi_limit_format(limit, value, is));
		else
			snprintf(excess.what, sizeof(excess.what), "limits: no '%s'", limit->key);
		snprintf(excess.why, sizeof(excess.why), "the most is %s%s", text,
			 pyi_excess_place(&ceiling->limit_from[i], place, sizeof(place)));
		snprintf(excess.mend, sizeof(excess.mend), "%s '%s: %s' %s limits",
			 value ? "make it" : "add", limit->key, text, value ? "in" : "to");
		ret = each(&excess, arg);
	}
	return ret;
}

int pyi_ceiling_compare(const struct pyi_policy *ceiling, const struct pyi_policy *policy,
			bool is_dev, pyi_excess_fn each, void *arg, struct pyi_err *err)
{
	int ret = 0;

	if (ceiling->has_ceiling_files)
		ret = compare_files(ceiling, policy, is_dev, each, arg, err);
	if (!ret && ceiling->has_ceiling_net)
		ret = pyi_ceiling_compare_net(ceiling, policy, is_dev, each, arg, err);
	return ret ? ret : compare_limits(ceiling, policy, each, arg);
}

/* --------------------------------------------------------------------------------------- the policy's own ceiling */

static int on_own(const struct pyi_excess *excess, void *arg)
{
	struct pyi_loader *l = arg;
	struct pyi_source source = { .file = excess->from ? excess->from->file : l->policy->name,
				     .line = excess->from ? excess->from->line : 0 };

	pyi_loader_error(l, &source,
			 "%s is outside of the policy's own 'ceiling:', which must hold all that the policy grants: "
			 "%s: %s",
			 excess->what, excess->why,
			 excess->mend[0] ? excess->mend : "narrow it, or widen the ceiling");
	return l->errors.n > PYI_ERRORS_MAX;
}

void pyi_ceiling_check(struct pyi_loader *l)
{
	const struct pyi_policy *p = l->policy;
	struct pyi_source source = { .file = p->name };
	struct pyi_err err = { 0 };
	int ret;

	/* A rule that was not taken has no path, and the errors are there already. */
	if (!p->ceiling || l->errors.n)
		return;
	/* What `warn` lets through is for one mode only, and is nothing to be granted. */
	ret = pyi_ceiling_compare(p->ceiling, p, false, on_own, l, &err);
	if (ret == -ENOMEM)
		l->nomem = true;
	else if (ret < 0)
		pyi_loader_error(l, &source, "%s", err.msg);
}
