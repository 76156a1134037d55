/* SPDX-License-Identifier: MIT */
/*
 * Rules and paths, a line each: "a/srv" allows to read, "w.." to write, "x.." to execute, "d.." denies, "e.." denies
 * executing, "!.." warns; "p/.." is a path. What the automaton says of each path is what the matcher and the order of
 * decision say.
 */
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "policy/dfa.h"
#include "policy/internal.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { RULES_MAX = 12, PATHS_MAX = 24 };

static void expect(int is_so)
{
	if (!is_so)
		abort();
}

static int add_rule(struct pyi_fs_rule *rule, char *line)
{
	static const char kinds[] = "awxde!";
	static const struct pyi_fs_rule forms[] = {
		{ PYI_ALLOW, PYI_READ, NULL, false, { 0 } },
		{ PYI_ALLOW, PYI_READ | PYI_WRITE, NULL, false, { 0 } },
		{ PYI_ALLOW, PYI_READ | PYI_EXEC, NULL, false, { 0 } },
		{ PYI_DENY, PYI_READ | PYI_WRITE | PYI_EXEC, NULL, false, { 0 } },
		{ PYI_DENY, PYI_EXEC, NULL, false, { 0 } },
		{ PYI_WARN, PYI_READ | PYI_WRITE | PYI_EXEC, NULL, false, { 0 } },
	};
	const char *kind = strchr(kinds, *line);

	if (!*line || !kind || line[1] != '/' || strlen(line + 1) > PYI_PATH_TEXT_MAX)
		return 0;
	*rule = forms[kind - kinds];
	rule->path = line + 1;
	return !pyi_glob_check(rule->path, &rule->is_glob);
}

static void compare(const struct pyi_policy *policy, const struct pyi_dfa *dfa, const char *path)
{
	static const uint8_t words[] = { PYI_DFA_ALLOW, PYI_DFA_WARN, PYI_DFA_DENY };
	const struct pyi_dfa_final *final = pyi_dfa_walk(dfa, path);

	for (int a = 0; a < 3; a++) {
		const struct pyi_fs_rule *rule = NULL;
		enum pyi_verdict verdict = pyi_policy_decide_fs(policy, path, 1u << a, &rule);

		expect(final->verdicts[a] == (rule ? words[verdict] : PYI_DFA_DEFAULT));
		expect(final->rules[a] == (rule ? rule - policy->fs : PYI_DFA_NO_RULE));
	}
}

/* With a counter for each rule: it counts the paths that its rule alone decides. */
static void compare_counters(const struct pyi_policy *policy, const char *const *paths, size_t n_paths)
{
	struct pyi_dfa_rule rules[RULES_MAX];
	struct pyi_dfa *dfa = NULL;
	size_t costly;

	for (size_t i = 0; i < policy->n_fs; i++)
		rules[i] = (struct pyi_dfa_rule){ .path = policy->fs[i].path,
						  .is_glob = policy->fs[i].is_glob,
						  .verdict = PYI_DFA_DENY,
						  .access = i % 2 ? PYI_READ : 0,
						  .number = (uint16_t)i,
						  .slots = (uint16_t)(1u << i) };
	if (pyi_dfa_build(rules, policy->n_fs, &dfa, &costly, NULL))
		return;
	for (size_t k = 0; k < n_paths; k++)
		for (size_t i = 0; i < policy->n_fs; i++) {
			struct pyi_fs_rule one = policy->fs[i];
			struct pyi_policy alone = { .fs = &one, .n_fs = 1 };
			const struct pyi_fs_rule *by = NULL;

			one.access = PYI_READ;
			pyi_policy_decide_fs(&alone, paths[k], PYI_READ, &by);
			expect((pyi_dfa_walk(dfa, paths[k])->slots >> i & 1) == (by != NULL));
		}
	pyi_dfa_free(dfa);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char *text = malloc(size + 1), *line, *rest;
	struct pyi_fs_rule rules[RULES_MAX];
	struct pyi_policy policy = { .fs = rules };
	const char *paths[PATHS_MAX];
	struct pyi_dfa *dfa = NULL;
	size_t n_paths = 0;
	struct pyi_err *none = NULL;

	if (!text)
		return 0;
	memcpy(text, data, size);
	text[size] = '\0';
	for (line = strtok_r(text, "\n", &rest); line; line = strtok_r(NULL, "\n", &rest)) {
		if (*line == 'p' && line[1] == '/' && n_paths < PATHS_MAX)
			paths[n_paths++] = line + 1;
		else if (policy.n_fs < RULES_MAX)
			policy.n_fs += (size_t)add_rule(&rules[policy.n_fs], line);
	}
	for (size_t i = 0; i < policy.n_fs; i++)
		rules[i].from = (struct pyi_origin){ .file = (char *)"fuzz", .line = 1 };
	if (!pyi_dfa_of_policy(&policy, &dfa, none))
		for (size_t i = 0; i < n_paths; i++)
			compare(&policy, dfa, paths[i]);
	compare_counters(&policy, paths, n_paths);
	pyi_dfa_free(dfa);
	free(text);
	return 0;
}
