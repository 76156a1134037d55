/* SPDX-License-Identifier: MIT */
/*
 * What the BPF LSM programs are to know of paths: everything the sandbox's tree brings in, the policy's rules by the
 * real paths they lead to, and its patterns as they are, each with the number of its rule. One automaton of all that.
 *
 * The programs see paths as the guest does, and a path is bound where it is on the host: so what rules name is what
 * they see, but for symlinks, which are followed before.
 */
#include <errno.h>
#include <string.h>

#include "base/err.h"
#include "base/util.h"
#include "plan/build.h"
#include "plan/cover.h"
#include "policy/contract.h"
#include "policy/dfa.h"

struct rules {
	struct pyi_dfa_rule *v;
	size_t n;
	char **texts; /* patterns and parents that are nowhere else */
	size_t n_texts;
};

static void rules_release(struct rules *rules)
{
	for (size_t i = 0; i < rules->n_texts; i++)
		free(rules->texts[i]);
	free(rules->texts);
	free(rules->v);
}

static int add(struct rules *rules, struct pyi_dfa_rule rule, struct pyi_err *err)
{
	struct pyi_dfa_rule *slot = pyi_build_grow(&rules->v, &rules->n, sizeof(*slot));

	if (!slot)
		return pyi_err_nomem(err);
	*slot = rule;
	return 0;
}

/* Keep a text until the automaton is made. */
static const char *keep(struct rules *rules, char *text, struct pyi_err *err)
{
	char **slot = text ? pyi_build_grow(&rules->texts, &rules->n_texts, sizeof(*slot)) : NULL;

	if (!slot) {
		free(text);
		pyi_err_nomem(err);
		return NULL;
	}
	return *slot = text;
}

static uint16_t number_of(const struct pyi_build *b, const struct pyi_fs_rule *rule)
{
	size_t i = rule ? (size_t)(rule - b->policy->fs) : PYI_DFA_NO_RULE;

	return (uint16_t)(i < PYI_DFA_NO_RULE ? i : PYI_DFA_NO_RULE);
}

static uint8_t verdict_of(const struct pyi_build *b, enum pyi_verdict verdict)
{
	if (verdict == PYI_ALLOW)
		return PYI_DFA_ALLOW;
	return verdict == PYI_WARN && b->is_dev ? PYI_DFA_WARN : PYI_DFA_DENY;
}

/* What the sandbox has of its own. */
static int add_own(struct pyi_build *b, struct rules *rules, struct pyi_err *err)
{
	static const char *const devices[] = { "/dev/full", "/dev/null", "/dev/random",
					       "/dev/urandom", "/dev/zero" };
	int r = 0;

	for (size_t i = 0; i < b->plan->n_ops && !r; i++) {
		const struct pyi_op *op = &b->plan->ops[i];
		struct pyi_dfa_rule rule = { .path = op->path,
					     .verdict = PYI_DFA_ALLOW,
					     .access = (uint8_t)op->access,
					     .number = PYI_DFA_NO_RULE };

		if (op->kind == PYI_OP_PROC)
			rule.access = PYI_READ;
		else if (op->kind == PYI_OP_FILE || op->kind == PYI_OP_DEV)
			rule.is_exact = true;
		else if (op->kind != PYI_OP_TMPFS)
			continue;
		r = add(rules, rule, err);
	}
	if (b->plan->use_namespaces || r)
		return r;
	/* Without a tree of its own: the host's devices, and of /proc what Landlock leaves. */
	r = add(rules,
		(struct pyi_dfa_rule){ .path = "/proc",
				       .verdict = PYI_DFA_ALLOW,
				       .access = PYI_READ,
				       .number = PYI_DFA_NO_RULE },
		err);
	for (size_t i = 0; i < PYI_ARRAY_SIZE(devices) && !r; i++)
		r = add(rules,
			(struct pyi_dfa_rule){ .path = devices[i],
					       .is_exact = true,
					       .verdict = PYI_DFA_ALLOW,
					       .access = PYI_READ | PYI_WRITE,
					       .number = PYI_DFA_NO_RULE },
			err);
	return r;
}

static int add_granted(struct pyi_build *b, struct rules *rules, struct pyi_err *err)
{
	int r = 0;

	for (size_t i = 0; i < b->grants->n && !r; i++) {
		const struct pyi_grant *grant = &b->grants->v[i];
		const struct pyi_cover_node *node = pyi_cover_find(b->cover, grant->path);

		/* What is not brought in is not allowed either. */
		if (grant->verdict == PYI_ALLOW && (!node || strcmp(node->path, grant->path) != 0))
			continue;
		r = add(rules,
			(struct pyi_dfa_rule){ .path = grant->path,
					       .verdict = verdict_of(b, grant->verdict),
					       .access = (uint8_t)grant->access,
					       .number = number_of(b, grant->rule) },
			err);
	}
	return r;
}

static int add_patterns(struct pyi_build *b, struct rules *rules, struct pyi_err *err)
{
	int r = 0;

	for (size_t i = 0; i < b->grants->n_tops && !r; i++) {
		const struct pyi_glob_top *top = &b->grants->tops[i];
		const char *pattern = keep(rules, pyi_grants_pattern(top), err);

		if (!pattern)
			return -ENOMEM;
		r = add(rules,
			(struct pyi_dfa_rule){ .path = pattern,
					       .is_glob = true,
					       .verdict = verdict_of(b, top->rule->verdict),
					       .access = (uint8_t)top->rule->access,
					       .number = number_of(b, top->rule) },
			err);
	}
	return r;
}

/* Directories on the way to all that: they are the sandbox's own and may be listed. */
static int add_parents(struct pyi_build *b, struct rules *rules, struct pyi_err *err)
{
	struct pyi_dfa_rule list = { .path = "/",
				     .is_exact = true,
				     .verdict = PYI_DFA_ALLOW,
				     .access = PYI_DFA_LIST,
				     .number = PYI_DFA_NO_RULE };
	const char *last = "";
	int r = add(rules, list, err);

	for (size_t i = 0; i < b->plan->n_ops && !r; i++) {
		const char *path = b->plan->ops[i].path;
		const struct pyi_cover_node *node = pyi_cover_find(b->cover, path);

		/* Inside what is granted the rules say what may be listed. */
		if (node && node->access && strcmp(node->path, path) != 0)
			continue;
		for (const char *p = strchr(path + 1, '/'); p && !r; p = strchr(p + 1, '/')) {
			/* Neighbours have their parents in common. */
			if (!strncmp(last, path, (size_t)(p - path) + 1))
				continue;
			list.path = keep(rules, strndup(path, (size_t)(p - path)), err);
			r = list.path ? add(rules, list, err) : -ENOMEM;
		}
		last = path;
	}
	return r;
}

/* What contracts count by path. The automaton says of each path which counters that are. */
static int add_counted(struct pyi_build *b, struct rules *rules, struct pyi_err *err)
{
	const struct pyi_contract_set *set = b->policy->contracts;
	int r = 0;

	for (size_t i = 0; set && i < set->n_patterns && !r; i++) {
		if (!set->patterns[i].is_path)
			continue;
		r = add(rules,
			(struct pyi_dfa_rule){ .path = set->patterns[i].text,
					       .is_glob = set->patterns[i].is_glob,
					       .number = PYI_DFA_NO_RULE,
					       .slots = (uint16_t)(1u << i) },
			err);
	}
	return r;
}

int pyi_build_paths(struct pyi_build *b, struct pyi_err *err)
{
	struct rules rules = { 0 };
	char origin[PYI_ORIGIN_MAX];
	size_t costly = 0;
	int r;

	if (!b->plan->use_bpf_lsm)
		return 0;
	r = add_own(b, &rules, err);
	if (!r)
		r = add_granted(b, &rules, err);
	if (!r)
		r = add_patterns(b, &rules, err);
	if (!r && b->plan->use_namespaces)
		r = add_parents(b, &rules, err);
	if (!r)
		r = add_counted(b, &rules, err);
	if (!r)
		r = pyi_dfa_build(rules.v, rules.n, &b->plan->paths, &costly, err);
	if (r == -E2BIG && rules.v[costly].number != PYI_DFA_NO_RULE)
		pyi_err_add(err, "%s",
			    pyi_build_origin(&b->policy->fs[rules.v[costly].number].from, origin));
	rules_release(&rules);
	return r;
}
