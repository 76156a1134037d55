/* SPDX-License-Identifier: MIT */
/*
 * Path patterns: examples, agreement with fnmatch(3) on random patterns, with a slow and obvious matcher where
 * '**' comes in, and a bound on the time that hostile patterns take.
 */
#include <fnmatch.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

#include "base/util.h"
#include "policy/internal.h"

static void covers(const char *pattern, const char *path)
{
	if (!pyi_policy_path_matches(pattern, path))
		fail_msg("'%s' does not cover '%s'", pattern, path);
}

static void covers_not(const char *pattern, const char *path)
{
	if (pyi_policy_path_matches(pattern, path))
		fail_msg("'%s' covers '%s'", pattern, path);
}

static void test_literal(void **state)
{
	covers("/srv/data", "/srv/data");
	covers("/srv/data", "/srv/data/a/b");
	covers_not("/srv/data", "/srv/database");
	covers_not("/srv/data", "/srv/dat");
	covers_not("/srv/data", "/srv");
	covers_not("/srv/data", "/");
	covers("/", "/");
	covers("/", "/etc/passwd");
	covers_not("/", "etc");
	covers_not("/a", "a");
}

static void test_star(void **state)
{
	covers("/srv/*.csv", "/srv/a.csv");
	covers("/srv/*.csv", "/srv/.csv");
	covers("/srv/*.csv", "/srv/a.csv/inside");
	covers_not("/srv/*.csv", "/srv/a.csv.bak");
	covers_not("/srv/*.csv", "/srv/sub/a.csv");
	covers("/srv/*/x", "/srv/sub/x");
	covers_not("/srv/*/x", "/srv/sub/sub/x");
	covers("/home/*/.cache", "/home/ann/.cache/pip");
	covers("/srv/?", "/srv/a");
	covers_not("/srv/?", "/srv/ab");
	covers_not("/srv?data", "/srv/data");
	covers("/a*b*c", "/aXbYbZc");
	covers_not("/a*b*c", "/aXbYbZ");
}

static void test_set(void **state)
{
	covers("/v[0-9]", "/v7");
	covers_not("/v[0-9]", "/vx");
	covers("/v[!0-9]", "/vx");
	covers("/v[^0-9]", "/vx");
	covers_not("/v[!0-9]", "/v7");
	covers("/v[]x]", "/v]");
	covers("/v[!]x]", "/va");
	covers_not("/v[!]x]", "/v]");
	covers("/v[a-]", "/v-");
	covers("/v[[]1]", "/v[1]");
	covers("/v[*]", "/v*");
	covers_not("/v[*]", "/vv");
	covers("/v[?]", "/v?");
	/* A set never matches the border between components. */
	covers_not("/v[!a]w", "/v/w");
	covers_not("/v[.-0]w", "/v/w");
	/* Without its end '[' is a letter. */
	covers("/v[ab", "/v[ab");
	covers("/v\\*", "/v\\anything");
}

static void test_deep(void **state)
{
	covers("/srv/**", "/srv/a");
	covers("/srv/**", "/srv/a/b/c");
	covers_not("/srv/**", "/srv");
	covers_not("/srv/**", "/srva");
	covers("/srv/**/x", "/srv/x");
	covers("/srv/**/x", "/srv/a/x");
	covers("/srv/**/x", "/srv/a/b/x");
	covers("/srv/**/x", "/srv/a/b/x/below");
	covers_not("/srv/**/x", "/srv/a/bx");
	covers_not("/srv/**/x", "/srvx");
	covers("/srv/**.csv", "/srv/a/b.csv");
	covers("/srv/a**z", "/srv/abc/xyz");
	covers("/**/secret", "/secret");
	covers("/**/secret", "/home/ann/secret");
	covers("/**/.git/**", "/src/x/.git/config");
	covers_not("/**/.git/**", "/src/x/.git");
	covers("/a/**/b/**/c", "/a/b/c");
	covers("/a/**/b/**/c", "/a/1/2/b/3/b/4/c");
	covers_not("/a/**/b/**/c", "/a/1/2/c/3/b/4");
	covers("/**", "/anything");
}

static void test_check(void **state)
{
	bool is_glob;

	assert_null(pyi_glob_check("/plain/path", &is_glob));
	assert_false(is_glob);
	assert_null(pyi_glob_check("/a/*", &is_glob));
	assert_true(is_glob);
	assert_null(pyi_glob_check("/a/[!]a-z]**", &is_glob));
	assert_non_null(pyi_glob_check("/a/***", &is_glob));
	assert_non_null(pyi_glob_check("/a/[b", &is_glob));
	assert_non_null(pyi_glob_check("/a/[b/c]", &is_glob));
	assert_non_null(pyi_glob_check("/a/[[:alpha:]]", &is_glob));
	assert_non_null(pyi_glob_check("/a/[z-a]", &is_glob));
	assert_non_null(pyi_glob_check("/a/[\xc3\xa9]", &is_glob));
}

/* ------------------------------------------------------------------------------------------ against fnmatch(3) */

static char pick(const char *from)
{
	return from[(size_t)random() % strlen(from)];
}

/* A set that POSIX, glibc and we read alike: ascending ranges of letters, no '/', no '[' in it. */
static size_t random_set(char *p)
{
	size_t n = 0;

	p[n++] = '[';
	if (random() % 3 == 0)
		p[n++] = pick("!^");
	for (long k = random() % 3; k >= 0; k--) {
		if (random() % 3 == 0) {
			memcpy(p + n, "a-c", 3);
			n += 3;
		} else {
			p[n++] = pick("abcd.");
		}
	}
	p[n++] = ']';
	return n;
}

static void random_pattern(char *p, bool with_deep)
{
	size_t n = 0;

	p[n++] = '/';
	for (long k = random() % 9; k > 0; k--) {
		bool after_star = p[n - 1] == '*', after_slash = p[n - 1] == '/';
		long what = random() % 12;

		if (what < 5) {
			p[n++] = pick("abc.");
		} else if (what < 7 && !after_slash) {
			p[n++] = '/';
		} else if (what < 9 && !after_star) {
			p[n++] = '*';
		} else if (what == 9) {
			p[n++] = '?';
		} else if (what == 10) {
			n += random_set(p + n);
		} else if (with_deep && !after_star) {
			p[n++] = '*';
			p[n++] = '*';
		}
	}
	while (n > 1 && p[n - 1] == '/')
		n--;
	p[n] = '\0';
}

static void random_path(char *p)
{
	size_t n = 0;

	p[n++] = '/';
	for (long k = random() % 10; k > 0; k--) {
		p[n] = p[n - 1] == '/' ? pick("abc.]") : pick("abc.//-");
		n++;
	}
	while (n > 1 && p[n - 1] == '/')
		n--;
	p[n] = '\0';
}

/* The path itself or something above it, by this matcher. */
static bool any_prefix(const char *pattern, const char *path,
		       bool (*matches)(const char *, const char *))
{
	char prefix[64];

	if (strcmp(pattern, "/") == 0)
		return true;
	for (size_t i = 1; i <= strlen(path); i++) {
		if (path[i] && path[i] != '/')
			continue;
		memcpy(prefix, path, i);
		prefix[i] = '\0';
		if (matches(pattern, prefix))
			return true;
	}
	return false;
}

static bool by_fnmatch(const char *pattern, const char *path)
{
	return fnmatch(pattern, path, FNM_PATHNAME | FNM_NOESCAPE) == 0;
}

static void test_as_fnmatch(void **state)
{
	char pattern[64], path[64];
	int n_matches = 0;

	srandom(20);
	for (int i = 0; i < 400000; i++) {
		bool want;

		random_pattern(pattern, false);
		random_path(path);
		want = any_prefix(pattern, path, by_fnmatch);
		n_matches += want;
		if (pyi_policy_path_matches(pattern, path) != want)
			fail_msg("'%s' on '%s': fnmatch says %d", pattern, path, want);
	}
	assert_in_range(n_matches, 10000, 390000);
}

/* The obvious recursive reading of the rules; sets by fnmatch. */
static bool slow(const char *p, const char *s)
{
	char set[64];

	if (!*p)
		return !*s;
	if (p[0] == '*' && p[1] == '*') {
		/* At the start of a component, before '/': no component at all is fine, too. */
		if (p[-1] == '/' && p[2] == '/' && slow(p + 3, s))
			return true;
		for (;; s++) {
			if (slow(p + 2, s))
				return true;
			if (!*s)
				return false;
		}
	}
	if (*p == '*') {
		for (;; s++) {
			if (slow(p + 1, s))
				return true;
			if (!*s || *s == '/')
				return false;
		}
	}
	if (!*s)
		return false;
	if (*p == '[') {
		size_t len = strcspn(p + 2, "]") + 3;

		memcpy(set, p, len);
		set[len] = '\0';
		return *s != '/' && fnmatch(set, (char[]){ *s, '\0' }, 0) == 0 && slow(p + len, s + 1);
	}
	return (*p == '?' ? *s != '/' : *p == *s) && slow(p + 1, s + 1);
}

static void test_as_slow(void **state)
{
	char pattern[64], path[64];
	int n_deep = 0;

	srandom(21);
	for (int i = 0; i < 400000; i++) {
		bool want;

		random_pattern(pattern, true);
		random_path(path);
		want = any_prefix(pattern, path, slow);
		n_deep += want && strstr(pattern, "**");
		if (pyi_policy_path_matches(pattern, path) != want)
			fail_msg("'%s' on '%s': the slow matcher says %d", pattern, path, want);
	}
	assert_in_range(n_deep, 5000, 390000);
}

/* Stars that make backtracking matchers take longer than the universe has. */
static void test_cost(void **state)
{
	_cleanup_free char *pattern = calloc(1, PYI_PATH_TEXT_MAX + 2);
	_cleanup_free char *path = calloc(1, PYI_PATH_TEXT_MAX + 1);
	clock_t start = clock();

	memset(path, 'a', PYI_PATH_TEXT_MAX);
	path[0] = '/';
	pattern[0] = '/';
	for (int i = 0; i < 1000; i++)
		memcpy(pattern + 1 + 4 * i, i % 2 ? "**/a" : "a**a", 4);
	pattern[4001] = 'b';
	covers_not(pattern, path);
	for (int i = 1; i < PYI_PATH_TEXT_MAX; i++)
		pattern[i] = i % 2 ? '*' : 'a';
	pattern[PYI_PATH_TEXT_MAX - 1] = 'b';
	covers_not(pattern, path);
	for (int i = 8; i < PYI_PATH_TEXT_MAX; i += 8)
		path[i] = '/';
	covers_not(pattern, path);
	assert_in_range((clock() - start) / (CLOCKS_PER_SEC / 1000), 0, 3000);

	/* The longest that is taken, and one more: that is no pattern at all. */
	memset(pattern, 'a', PYI_PATH_TEXT_MAX);
	pattern[0] = '/';
	memset(path, 'a', PYI_PATH_TEXT_MAX);
	path[0] = '/';
	covers(pattern, path);
	pattern[PYI_PATH_TEXT_MAX] = 'a';
	covers_not(pattern, path);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_literal), cmocka_unit_test(test_star),
		cmocka_unit_test(test_set),	cmocka_unit_test(test_deep),
		cmocka_unit_test(test_check),	cmocka_unit_test(test_as_fnmatch),
		cmocka_unit_test(test_as_slow), cmocka_unit_test(test_cost),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
