/* SPDX-License-Identifier: MIT */
/* What the resolver made for the planner: released, and its rules as an automaton. */
#include "plan/grants.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/err.h"
#include "plan/plan.h"
#include "policy/dfa.h"

void pyi_grants_release(struct pyi_grants *grants)
{
	for (size_t i = 0; i < grants->n; i++)
		free(grants->v[i].path);
	for (size_t i = 0; i < grants->n_links; i++) {
		free(grants->links[i].path);
		free(grants->links[i].target);
	}
	for (size_t i = 0; i < grants->n_tops; i++)
		free(grants->tops[i].path);
	free(grants->tops);
	free(grants->v);
	free(grants->links);
	memset(grants, 0, sizeof(*grants));
}

void pyi_names_release(struct pyi_names *names)
{
	for (size_t i = 0; i < names->n; i++) {
		free(names->v[i].name);
		free(names->v[i].addrs);
	}
	free(names->v);
	memset(names, 0, sizeof(*names));
}

char *pyi_grants_pattern(const struct pyi_glob_top *top)
{
	size_t len = strcspn(top->rule->path, "*?[");
	_cleanup_buf struct pyi_buf out = PYI_BUF_INIT;

	while (len && top->rule->path[len] != '/')
		len--;
	for (const char *p = strcmp(top->path, "/") != 0 ? top->path : ""; *p; p++) {
		if (strchr("*?[", *p))
			pyi_buf_printf(&out, "[%c]", *p);
		else
			pyi_buf_putc(&out, *p);
	}
	pyi_buf_puts(&out, top->rule->path + len);
	return pyi_buf_take(&out);
}

static struct pyi_dfa_rule rule_of(const struct pyi_policy *policy, const struct pyi_fs_rule *rule,
				   enum pyi_verdict verdict, unsigned int access, const char *path)
{
	static const uint8_t verdicts[] = {
		[PYI_ALLOW] = PYI_DFA_ALLOW, [PYI_WARN] = PYI_DFA_WARN, [PYI_DENY] = PYI_DFA_DENY
	};

	return (struct pyi_dfa_rule){ .path = path,
				      .verdict = verdicts[verdict],
				      .access = (uint8_t)access,
				      .number = rule ? (uint16_t)(rule - policy->fs) : PYI_DFA_NO_RULE };
}

int pyi_grants_dfa(const struct pyi_grants *grants, const struct pyi_policy *policy,
		   struct pyi_dfa **ret_dfa, struct pyi_err *err)
{
	size_t n = 0, n_texts = 0, costly = 0;
	struct pyi_dfa_rule *rules = calloc(grants->n + grants->n_tops + 1, sizeof(*rules));
	char **texts = calloc(grants->n_tops + 1, sizeof(*texts));
	int r = rules && texts ? 0 : pyi_err_nomem(err);

	/* What a pattern matches now the pattern says itself. */
	for (size_t i = 0; i < grants->n && !r; i++) {
		const struct pyi_grant *grant = &grants->v[i];

		if ((grant->rule && grant->rule->is_glob) ||
		    (grant->verdict == PYI_ALLOW && grant->kind == PYI_PATH_MISSING))
			continue;
		rules[n++] = rule_of(policy, grant->rule, grant->verdict, grant->access, grant->path);
	}
	for (size_t i = 0; i < grants->n_tops && !r; i++) {
		const struct pyi_fs_rule *rule = grants->tops[i].rule;

		texts[n_texts] = pyi_grants_pattern(&grants->tops[i]);
		if (!texts[n_texts]) {
			r = pyi_err_nomem(err);
			break;
		}
		rules[n] = rule_of(policy, rule, rule->verdict, rule->access, texts[n_texts++]);
		rules[n++].is_glob = true;
	}
	if (!r)
		r = pyi_dfa_build(rules, n, ret_dfa, &costly, err);
	if (r == -E2BIG && n && rules[costly].number != PYI_DFA_NO_RULE)
		pyi_err_add(err, "%s:%u", policy->fs[rules[costly].number].from.file,
			    policy->fs[rules[costly].number].from.line);
	for (size_t i = 0; i < n_texts; i++)
		free(texts[i]);
	free(texts);
	free(rules);
	return r;
}
