/* SPDX-License-Identifier: MIT */
/* Which rule decides: deny > warn > allow > default (deny), whatever the order of the rules. */
#include <string.h>
#include <strings.h>

#include "policy/internal.h"
#include "policy/netblock.h"

/* The weight of a verdict among matching rules. */
static int weight(enum pyi_verdict verdict)
{
	return verdict == PYI_DENY ? 3 : verdict == PYI_WARN ? 2 : 1;
}

static bool covers(const struct pyi_fs_rule *rule, const char *path)
{
	size_t len;

	if (rule->is_glob || strcmp(rule->path, "/") == 0)
		return pyi_policy_path_matches(rule->path, path);
	len = strlen(rule->path);
	return strncmp(rule->path, path, len) == 0 && (!path[len] || path[len] == '/');
}

enum pyi_verdict pyi_policy_decide_fs(const struct pyi_policy *policy, const char *path,
				      unsigned int access, const struct pyi_fs_rule **ret_rule)
{
	const struct pyi_fs_rule *best = NULL;

	for (size_t i = 0; i < policy->n_fs; i++) {
		const struct pyi_fs_rule *rule = &policy->fs[i];

		if (best && weight(rule->verdict) <= weight(best->verdict))
			continue;
		if (rule->access & access && covers(rule, path))
			best = rule;
	}
	*ret_rule = best;
	return best ? best->verdict : PYI_DENY;
}

const char *pyi_policy_fs_rule_word(const struct pyi_fs_rule *rule)
{
	if (rule->verdict != PYI_ALLOW)
		return rule->verdict == PYI_DENY ? "deny" : "warn";
	return rule->access & PYI_WRITE ? "write" : rule->access & PYI_EXEC ? "exec" : "read";
}

static bool names_address(const struct pyi_net_rule *rule, const char *host, const uint8_t addr[16])
{
	if (rule->host)
		return host && strcasecmp(rule->host, host) == 0;
	return pyi_net_rule_covers(rule, addr);
}

enum pyi_verdict pyi_policy_decide_net(const struct pyi_policy *policy, enum pyi_net_op op,
				       enum pyi_net_proto proto, const char *host,
				       const uint8_t addr[16], uint16_t port,
				       const struct pyi_net_rule **ret_rule)
{
	const struct pyi_net_rule *best = NULL;

	for (size_t i = 0; i < policy->n_net; i++) {
		const struct pyi_net_rule *rule = &policy->net[i];

		if (best && weight(rule->verdict) <= weight(best->verdict))
			continue;
		if (!(rule->ops & op) || !(rule->protos & proto) || port < rule->port_min ||
		    port > rule->port_max)
			continue;
		if (names_address(rule, host, addr))
			best = rule;
	}
	*ret_rule = best;
	return best ? best->verdict : PYI_DENY;
}
