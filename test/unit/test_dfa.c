/* SPDX-License-Identifier: MIT */
/* The automaton of path rules, compared with the matcher and the order of decision that it stands for. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

#include "base/err.h"
#include "policy/dfa.h"
#include "policy/policy.h"

static uint32_t seed = 1;

static uint32_t roll(uint32_t n)
{
	seed = seed * 1664525u + 1013904223u;
	return (seed >> 8) % n;
}

/* A few letters, so that patterns and paths meet often. */
static void random_text(char *out, size_t max, bool is_pattern)
{
	static const char *const parts[] = { "a",    "b",  "ab", "c.k", "/a", "/b",    "/",
					     "/c",   "*",  "?",	 "**",	"/*", "/**",   "/**/",
					     "[ab]", "*k", "a*", "*a*", "/?", "[!a]k", "/b*c" };
	size_t len = 1, n = 1 + roll(7);

	strcpy(out, "/");
	for (size_t i = 0; i < n; i++) {
		const char *part = parts[roll(is_pattern ? 21 : 8)];

		if (out[len - 1] == '/' && *part == '/')
			part++;
		/* What the parser refuses: "***". */
		if (strchr(part, '*') && out[len - 1] == '*' && *part == '*')
			continue;
		if (len + strlen(part) + 1 >= max)
			break;
		strcpy(out + len, part);
		len += strlen(part);
	}
	while (len > 1 && out[len - 1] == '/')
		out[--len] = '\0';
}

static void expect_same(const struct pyi_policy *policy, const struct pyi_dfa *dfa, const char *path)
{
	static const uint8_t words[] = {
		[PYI_ALLOW] = PYI_DFA_ALLOW, [PYI_WARN] = PYI_DFA_WARN, [PYI_DENY] = PYI_DFA_DENY
	};
	const struct pyi_dfa_final *final = pyi_dfa_walk(dfa, path);

	for (int a = 0; a < 3; a++) {
		const struct pyi_fs_rule *rule = NULL;
		enum pyi_verdict verdict = pyi_policy_decide_fs(policy, path, 1u << a, &rule);

		if (final->verdicts[a] != (rule ? words[verdict] : PYI_DFA_DEFAULT) ||
		    final->rules[a] != (rule ? rule - policy->fs : PYI_DFA_NO_RULE)) {
			for (size_t i = 0; i < policy->n_fs; i++)
				print_error("%zu: %u %x %s\n", i, policy->fs[i].verdict,
					    policy->fs[i].access, policy->fs[i].path);
			fail_msg("'%s', access %d: verdict %u, rule %u; rule %d expected", path, a,
				 final->verdicts[a], final->rules[a],
				 rule ? (int)(rule - policy->fs) : -1);
		}
	}
}

static void expect_minimal(const struct pyi_policy *policy, const struct pyi_dfa *d)
{
	uint32_t n = d->n_states;
	bool *differ = calloc((size_t)n * n, sizeof(bool)), changed = true;

	for (uint32_t i = 0; i < n; i++)
		for (uint32_t j = 0; j < n; j++)
			for (int a = 0; a < PYI_DFA_ACCESSES; a++)
				differ[i * n + j] |= d->finals[i].verdicts[a] !=
							     d->finals[j].verdicts[a] ||
						     d->finals[i].rules[a] != d->finals[j].rules[a];
	while (changed) {
		changed = false;
		for (uint32_t i = 0; i < n; i++)
			for (uint32_t j = 0; j < n; j++)
				for (uint32_t c = 0; c < d->n_classes && !differ[i * n + j]; c++)
					if (differ[d->next[i * d->n_classes + c] * n +
						   d->next[j * d->n_classes + c]])
						differ[i * n + j] = changed = true;
	}
	for (uint32_t i = 0; i < n; i++)
		for (uint32_t j = 0; j < i; j++)
			if (!differ[i * n + j]) {
				for (size_t k = 0; k < policy->n_fs; k++)
					print_error("%zu: %u %x %s\n", k, policy->fs[k].verdict,
						    policy->fs[k].access, policy->fs[k].path);
				fail_msg("states %u and %u of %u are equal", i, j, n);
			}
	/* And a sink is one. */
	for (uint32_t i = 0; i < n; i++) {
		bool leads_on = false;

		for (uint32_t c = 0; c < d->n_classes; c++)
			leads_on |= d->next[i * d->n_classes + c] != i;
		if (d->finals[i].is_sink)
			assert_false(leads_on);
	}
	free(differ);
}

static void same_as_the_matcher(void **state)
{
	enum { RULES = 12, TEXT = 64 };
	static char texts[RULES][TEXT];
	struct pyi_fs_rule rules[RULES];
	struct pyi_policy policy = { .fs = rules };
	size_t minimal = 0;

	for (int round = 0; round < 3000; round++) {
		struct pyi_dfa *dfa = NULL;
		struct pyi_err err = { 0 };

		policy.n_fs = 1 + roll(RULES - 1);
		for (size_t i = 0; i < policy.n_fs; i++) {
			random_text(texts[i], TEXT, roll(3) > 0);
			rules[i] = (struct pyi_fs_rule){
				.verdict = (enum pyi_verdict)roll(3),
				.access = (unsigned int[]){ 1, 3, 5, 7, 4 }[roll(5)],
				.path = texts[i],
				.is_glob = strpbrk(texts[i], "*?[") != NULL,
			};
		}
		assert_int_equal(pyi_dfa_of_policy(&policy, &dfa, &err), 0);
		for (int i = 0; i < 200; i++) {
			char path[TEXT];

			random_text(path, TEXT, false);
			expect_same(&policy, dfa, path);
		}
		if (dfa->n_states < 80 && ++minimal < 400)
			expect_minimal(&policy, dfa);
		pyi_dfa_free(dfa);
	}
	assert_true(minimal > 100);
}

static struct pyi_dfa *build(const struct pyi_dfa_rule *rules, size_t n)
{
	struct pyi_dfa *dfa = NULL;
	struct pyi_err err = { 0 };
	size_t costly;

	if (pyi_dfa_build(rules, n, &dfa, &costly, &err))
		fail_msg("%s", err.msg);
	return dfa;
}

static void exact_rules_and_lists(void **state)
{
	const struct pyi_dfa_rule rules[] = {
		{ "/", false, true, PYI_DFA_ALLOW, PYI_DFA_LIST, PYI_DFA_NO_RULE, 0 },
		{ "/srv", false, true, PYI_DFA_ALLOW, PYI_DFA_LIST, PYI_DFA_NO_RULE, 0 },
		{ "/srv/a*b", false, false, PYI_DFA_ALLOW, PYI_READ, 0, 0 },
		{ "/srv/d", false, false, PYI_DFA_ALLOW, PYI_READ | PYI_WRITE, 1, 0 },
		{ "/srv/d/**/*.key", true, false, PYI_DFA_DENY, 7, 2, 0 },
	};
	struct pyi_dfa *dfa = build(rules, 5);

	assert_int_equal(pyi_dfa_walk(dfa, "/")->verdicts[3], PYI_DFA_ALLOW);
	assert_int_equal(pyi_dfa_walk(dfa, "/")->verdicts[0], PYI_DFA_DEFAULT);
	assert_int_equal(pyi_dfa_walk(dfa, "/srv")->verdicts[3], PYI_DFA_ALLOW);
	assert_int_equal(pyi_dfa_walk(dfa, "/srv/x")->verdicts[3], PYI_DFA_DEFAULT);
	/* A star in a name is a star. */
	assert_int_equal(pyi_dfa_walk(dfa, "/srv/a*b/c")->verdicts[0], PYI_DFA_ALLOW);
	assert_int_equal(pyi_dfa_walk(dfa, "/srv/axb")->verdicts[0], PYI_DFA_DEFAULT);
	assert_int_equal(pyi_dfa_walk(dfa, "/srv/d/x/y")->rules[1], 1);
	assert_int_equal(pyi_dfa_walk(dfa, "/srv/d/x/y.key")->verdicts[1], PYI_DFA_DENY);
	assert_int_equal(pyi_dfa_walk(dfa, "/srv/d/x/y.key/z")->rules[0], 2);
	assert_true(pyi_dfa_walk(dfa, "/srv/d/x.key/")->is_sink);
	assert_false(pyi_dfa_walk(dfa, "/srv/d/x/")->is_sink);
	assert_true(pyi_dfa_walk(dfa, "/srv/a*b/")->is_sink);
	pyi_dfa_free(dfa);
}

/* What is counted is counted by every pattern that matches, whatever the rules say of the path. */
static void counters_as_the_matcher(void **state)
{
	enum { RULES = 8, TEXT = 64 };
	static char texts[RULES][TEXT];
	size_t counted = 0;

	for (int round = 0; round < 2000; round++) {
		struct pyi_dfa_rule rules[RULES] = { 0 };
		size_t n = 1 + roll(RULES - 1);
		struct pyi_dfa *dfa;

		for (size_t i = 0; i < n; i++) {
			random_text(texts[i], TEXT, roll(3) > 0);
			rules[i] = (struct pyi_dfa_rule){
				.path = texts[i],
				.is_glob = strpbrk(texts[i], "*?[") != NULL,
				.verdict = (uint8_t)(PYI_DFA_ALLOW + roll(3)),
				.access = (uint8_t)(roll(2) ? PYI_READ : 0),
				.number = (uint16_t)i,
				.slots = (uint16_t)(roll(4) ? 1u << roll(PYI_DFA_SLOTS) : 0),
			};
		}
		dfa = build(rules, n);
		for (int k = 0; k < 100; k++) {
			char path[TEXT];
			uint16_t want = 0;

			random_text(path, TEXT, false);
			for (size_t i = 0; i < n; i++) {
				struct pyi_fs_rule one = { .access = PYI_READ,
							   .path = texts[i],
							   .is_glob = rules[i].is_glob };
				struct pyi_policy alone = { .fs = &one, .n_fs = 1 };
				const struct pyi_fs_rule *by = NULL;

				pyi_policy_decide_fs(&alone, path, PYI_READ, &by);
				want |= by ? rules[i].slots : 0;
			}
			assert_int_equal(pyi_dfa_walk(dfa, path)->slots, want);
			counted += want != 0;
		}
		pyi_dfa_free(dfa);
	}
	assert_true(counted > 1000);
}

static void nothing_is_denied(void **state)
{
	struct pyi_dfa *dfa = build(NULL, 0);

	assert_int_equal(pyi_dfa_walk(dfa, "/x")->verdicts[0], PYI_DFA_DEFAULT);
	assert_int_equal(pyi_dfa_walk(dfa, "/x")->rules[0], PYI_DFA_NO_RULE);
	pyi_dfa_free(dfa);
}

static double now_ms(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (double)ts.tv_sec * 1e3 + (double)ts.tv_nsec / 1e6;
}

/* Thousands of rules are one table, made in no time; the bound is ten times what it takes, for a busy machine. */
static void ten_thousand_rules(void **state)
{
	enum { N = 10000, TEXT = 64 };
	char(*texts)[TEXT] = calloc(N, TEXT);
	struct pyi_fs_rule *rules = calloc(N, sizeof(*rules));
	struct pyi_policy policy = { .fs = rules, .n_fs = N };
	static const char *const forms[] = { "/srv/data/p%05d", "/srv/%05d/*.x",
					     "/srv/data/p%05d/**/cache", "/home/u%d/x" };

	for (size_t form = 0; form < 4; form++) {
		struct pyi_dfa *dfa = NULL;
		struct pyi_err err = { 0 };
		double start;

		for (int i = 0; i < N; i++) {
			snprintf(texts[i], TEXT, forms[form], i);
			rules[i] = (struct pyi_fs_rule){ .access = PYI_READ,
							 .path = texts[i],
							 .is_glob = strchr(texts[i], '*') != NULL };
		}
		rules[N - 1].verdict = PYI_DENY;
		start = now_ms();
		if (form == 2) { /* every rule needs six states of its own */
			assert_int_equal(pyi_dfa_of_policy(&policy, &dfa, &err), -E2BIG);
			continue;
		}
		assert_int_equal(pyi_dfa_of_policy(&policy, &dfa, &err), 0);
		print_message("%s: %u states, %u classes, %.0f ms\n", forms[form], dfa->n_states,
			      dfa->n_classes, now_ms() - start);
		assert_true(now_ms() - start < 2000);
		for (int i = 0; i < N; i += 371) {
			char path[TEXT + 16];

			snprintf(path, sizeof(path), "%s/x", texts[i]);
			expect_same(&policy, dfa, path);
			expect_same(&policy, dfa, texts[i]);
		}
		pyi_dfa_free(dfa);
	}
	free(texts);
	free(rules);
}

static void many_patterns_anywhere(void **state)
{
	enum { N = 40, TEXT = 64 };
	static char texts[N + 1][TEXT];
	struct pyi_fs_rule rules[N + 1];
	struct pyi_policy policy = { .fs = rules, .n_fs = N + 1 };
	struct pyi_dfa *dfa = NULL;
	struct pyi_err err = { 0 };

	for (int i = 0; i < N; i++) {
		snprintf(texts[i], TEXT, "/**/.secret%d", i);
		rules[i] = (struct pyi_fs_rule){
			.verdict = PYI_DENY, .access = 7, .path = texts[i], .is_glob = true
		};
	}
	strcpy(texts[N], "/srv");
	rules[N] = (struct pyi_fs_rule){ .access = 3, .path = texts[N] };
	assert_int_equal(pyi_dfa_of_policy(&policy, &dfa, &err), 0);
	print_message("%u states\n", dfa->n_states);
	expect_same(&policy, dfa, "/srv/a/.secret12/b/.secret3");
	expect_same(&policy, dfa, "/srv/a/.secret1/b/.secret39");
	expect_same(&policy, dfa, "/srv/a/secret1");
	pyi_dfa_free(dfa);
}

static void the_costly_pattern_is_named(void **state)
{
	char stars[] = "/srv/**a????????????????????";
	struct pyi_fs_rule rules[] = {
		{ .access = 3, .path = (char *)"/tmp", .from = { (char *)"p.yml", 2, false } },
		{ .access = 1,
		  .path = (char *)"/srv/*.x",
		  .is_glob = true,
		  .from = { (char *)"p.yml", 3, false } },
		{ .access = 7,
		  .verdict = PYI_DENY,
		  .path = stars,
		  .is_glob = true,
		  .from = { (char *)"p.yml", 4, false } },
		{ .access = 1,
		  .path = (char *)"/**/c/**/d",
		  .is_glob = true,
		  .from = { (char *)"p.yml", 5, false } },
	};
	struct pyi_policy policy = { .fs = rules, .n_fs = 4 };
	struct pyi_dfa *dfa = NULL;
	struct pyi_err err = { 0 };
	double start = now_ms();

	assert_int_equal(pyi_dfa_of_policy(&policy, &dfa, &err), -E2BIG);
	print_message("%s (after %.0f ms)\n", err.msg, now_ms() - start);
	assert_non_null(strstr(err.msg, "p.yml:4: "));
	assert_non_null(strstr(err.msg, stars));
	assert_non_null(strstr(err.msg, "65535 states"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(same_as_the_matcher),
		cmocka_unit_test(exact_rules_and_lists),
		cmocka_unit_test(counters_as_the_matcher),
		cmocka_unit_test(nothing_is_denied),
		cmocka_unit_test(ten_thousand_rules),
		cmocka_unit_test(many_patterns_anywhere),
		cmocka_unit_test(the_costly_pattern_is_named),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
