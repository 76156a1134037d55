/* SPDX-License-Identifier: MIT */
/*
 * A policy's rules and a ceiling's, and paths, a line each: "a/srv" allows to read, "w.." to write, "x.." to execute,
 * "d.." denies, "e.." denies executing, "!.." warns; behind a "c" the same for the ceiling; "p/.." is a path. What the
 * comparison says is too much the matcher says, too, and where it says nothing no path is.
 */
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "policy/dfa.h"
#include "policy/dfa_within.h"
#include "policy/internal.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { RULES_MAX = 8, PATHS_MAX = 24 };

struct both {
	const struct pyi_policy *policy, *ceiling;
	bool is_dev;
	unsigned int told; /* rules that are too much, a bit each */
};

static void expect(int is_so)
{
	if (!is_so)
		abort();
}

static bool is_clean(const char *path)
{
	size_t len = strlen(path);

	return path[0] == '/' && !strstr(path, "//") && !strstr(path, "/./") &&
	       !strstr(path, "/../") && (len == 1 || path[len - 1] != '/') &&
	       (len < 2 || strcmp(path + len - 2, "/.") != 0) &&
	       (len < 3 || strcmp(path + len - 3, "/..") != 0);
}

static bool is_granted(const struct pyi_policy *policy, const char *path, unsigned int access,
		       bool is_dev, const struct pyi_fs_rule **ret_rule)
{
	enum pyi_verdict verdict = pyi_policy_decide_fs(policy, path, access, ret_rule);

	return *ret_rule && (verdict == PYI_ALLOW || (verdict == PYI_WARN && is_dev));
}

static int on_excess(const struct pyi_dfa_excess *excess, void *arg)
{
	struct both *both = arg;
	const struct pyi_fs_rule *by = NULL;

	expect(is_clean(excess->path));
	expect(is_granted(both->policy, excess->path, excess->access, both->is_dev, &by));
	expect(by == &both->policy->fs[excess->rule]);
	expect(!is_granted(both->ceiling, excess->path, excess->access, false, &by));
	expect(excess->outer_rule == (by ? by - both->ceiling->fs : PYI_DFA_NO_RULE));
	expect(!(both->told & 1u << excess->rule));
	both->told |= 1u << excess->rule;
	return 0;
}

static void compare(struct both *both, const struct pyi_dfa *inner, const struct pyi_dfa *outer,
		    const char *const *paths, size_t n_paths)
{
	both->told = 0;
	if (pyi_dfa_within(inner, outer, both->is_dev, on_excess, both, NULL))
		return;
	for (size_t i = 0; i < n_paths; i++)
		for (unsigned int access = PYI_READ; access <= PYI_EXEC && is_clean(paths[i]);
		     access <<= 1) {
			const struct pyi_fs_rule *rule = NULL, *by = NULL;

			if (is_granted(both->policy, paths[i], access, both->is_dev, &rule) &&
			    !is_granted(both->ceiling, paths[i], access, false, &by))
				expect(both->told >> (rule - both->policy->fs) & 1);
		}
}

static bool add_rule(struct pyi_policy *policy, char *line)
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
	struct pyi_fs_rule *rule = &policy->fs[policy->n_fs];

	if (!*line || !kind || line[1] != '/' || strlen(line + 1) > PYI_PATH_TEXT_MAX ||
	    policy->n_fs == RULES_MAX)
		return false;
	*rule = forms[kind - kinds];
	rule->path = line + 1;
	rule->from = (struct pyi_origin){ .file = (char *)"fuzz", .line = 1 };
	return !pyi_glob_check(rule->path, &rule->is_glob);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char *text = malloc(size + 1), *line, *rest;
	struct pyi_fs_rule rules[RULES_MAX], above[RULES_MAX];
	struct pyi_policy policy = { .fs = rules }, ceiling = { .fs = above };
	struct both both = { &policy, &ceiling, false, 0 };
	struct pyi_dfa *inner = NULL, *outer = NULL;
	const char *paths[PATHS_MAX];
	size_t n_paths = 0;

	if (!text)
		return 0;
	memcpy(text, data, size);
	text[size] = '\0';
	for (line = strtok_r(text, "\n", &rest); line; line = strtok_r(NULL, "\n", &rest)) {
		if (*line == 'p' && line[1] == '/' && n_paths < PATHS_MAX)
			paths[n_paths++] = line + 1;
		else if (*line == 'c')
			ceiling.n_fs += add_rule(&ceiling, line + 1);
		else
			policy.n_fs += add_rule(&policy, line);
	}
	if (!pyi_dfa_of_policy(&policy, &inner, NULL) && !pyi_dfa_of_policy(&ceiling, &outer, NULL)) {
		compare(&both, inner, outer, paths, n_paths);
		both.is_dev = true;
		compare(&both, inner, outer, paths, n_paths);
	}
	pyi_dfa_free(inner);
	pyi_dfa_free(outer);
	free(text);
	return 0;
}
