/* SPDX-License-Identifier: MIT */
/*
 * The ceiling of a policy: what its own rules, and those of whatever policy a reload puts in its place, must lie in.
 * A rule is compared with the rules of the ceiling by what is written; that the paths are those of the same files is
 * for the planner to see.
 */
#include <string.h>
#include <strings.h>

#include "policy/internal.h"
#include "policy/netblock.h"

const struct pyi_policy *pyi_policy_ceiling_files(const struct pyi_policy *policy)
{
	return policy->ceiling && policy->ceiling->has_ceiling_files ? policy->ceiling : NULL;
}

const struct pyi_policy *pyi_policy_ceiling_net(const struct pyi_policy *policy)
{
	return policy->ceiling && policy->ceiling->has_ceiling_net ? policy->ceiling : NULL;
}

/* The part of a pattern before the component with the first wildcard; the whole of a path. */
static size_t fixed_len(const struct pyi_fs_rule *rule)
{
	size_t len = rule->is_glob ? strcspn(rule->path, "*?[") : strlen(rule->path);

	while (rule->is_glob && len && rule->path[len] != '/')
		len--;
	return len;
}

static bool is_within(const struct pyi_fs_rule *rule, const char *top)
{
	size_t len = strlen(top), fixed = fixed_len(rule);

	if (len == 1)
		return true;
	return fixed >= len && strncmp(rule->path, top, len) == 0 &&
	       (fixed == len || rule->path[len] == '/');
}

bool pyi_ceiling_holds_fs(const struct pyi_policy *ceiling, const struct pyi_fs_rule *rule)
{
	unsigned int access = 0;

	for (size_t i = 0; i < ceiling->n_fs; i++)
		if (is_within(rule, ceiling->fs[i].path))
			access |= ceiling->fs[i].access;
	return !(rule->access & ~access);
}

static bool holds_address(const struct pyi_net_rule *outer, const struct pyi_net_rule *rule)
{
	if (outer->host || rule->host)
		return outer->host && rule->host && strcasecmp(outer->host, rule->host) == 0;
	if (outer->prefix_len == rule->prefix_len &&
	    memcmp(outer->addr, rule->addr, sizeof(rule->addr)) == 0)
		return true;
	return outer->prefix_len <= rule->prefix_len && pyi_net_rule_covers(outer, rule->addr);
}

bool pyi_ceiling_holds_net(const struct pyi_policy *ceiling, const struct pyi_net_rule *rule)
{
	for (size_t i = 0; i < ceiling->n_net; i++) {
		const struct pyi_net_rule *outer = &ceiling->net[i];

		if (!(rule->ops & ~outer->ops) && !(rule->protos & ~outer->protos) &&
		    outer->port_min <= rule->port_min && rule->port_max <= outer->port_max &&
		    holds_address(outer, rule))
			return true;
	}
	return false;
}

static void outside(struct pyi_loader *l, const struct pyi_origin *from, const char *section,
		    const char *key, const char *text)
{
	struct pyi_source source = { .file = from->file, .line = from->line };

	pyi_loader_error(l, &source,
			 "%s: '%s %.200s' is outside of the policy's own 'ceiling:', which must hold all that the "
			 "policy grants",
			 section, key, text);
}

void pyi_ceiling_check(struct pyi_loader *l)
{
	const struct pyi_policy *p = l->policy;
	const struct pyi_policy *files = pyi_policy_ceiling_files(p), *net = pyi_policy_ceiling_net(p);

	for (size_t i = 0; files && i < files->n_fs; i++) {
		const struct pyi_fs_rule *rule = &files->fs[i];
		struct pyi_source source = { .file = rule->from.file, .line = rule->from.line };

		if (rule->is_glob)
			pyi_loader_error(l, &source,
					 "ceiling: '%.200s' is a pattern: a ceiling names files and directories",
					 rule->path);
	}
	/* What `warn` lets through is for one mode only, and is nothing to be granted. */
	for (size_t i = 0; files && i < p->n_fs; i++)
		if (p->fs[i].verdict == PYI_ALLOW && !pyi_ceiling_holds_fs(files, &p->fs[i]))
			outside(l, &p->fs[i].from, "fs", pyi_fs_rule_key(&p->fs[i]), p->fs[i].path);
	for (size_t i = 0; net && i < p->n_net; i++)
		if (p->net[i].verdict == PYI_ALLOW && !pyi_ceiling_holds_net(net, &p->net[i]))
			outside(l, &p->net[i].from, "net", pyi_net_rule_key(&p->net[i]), p->net[i].text);
}
