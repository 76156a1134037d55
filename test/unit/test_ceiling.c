/* SPDX-License-Identifier: MIT */
/* What a policy grants beyond a ceiling: the comparison, against looking at paths and addresses one by one. */
#include <errno.h>
#include <stdio.h>

#include "base/buf.h"
#include "policy/ceiling.h"
#include "policy/dfa.h"
#include "policy/dfa_within.h"
#include "test/unit/policy_helper.h"

static uint32_t seed = 1;

static uint32_t roll(uint32_t n)
{
	seed = seed * 1664525u + 1013904223u;
	return (seed >> 8) % n;
}

/* ------------------------------------------------------------------------------------------------- one by one */

struct first {
	unsigned int n;
	char text[1600];
};

static int keep_first(const struct pyi_excess *excess, void *arg)
{
	struct first *first = arg;
	char place[64] = "-";

	if (excess->from)
		snprintf(place, sizeof(place), "%s:%u", excess->from->file, excess->from->line);
	if (first->n++ == 0)
		snprintf(first->text, sizeof(first->text), "%s %s|%s|%s", place, excess->what,
			 excess->why, excess->mend);
	return 0;
}

/* `ceiling` and `body` are lists as they stand in a policy, one line each. */
static void check(const char *ceiling, const char *body, bool is_dev, const char *want)
{
	_cleanup_buf struct pyi_buf above = PYI_BUF_INIT, below = PYI_BUF_INIT;
	struct first first = { 0 };
	struct pyi_err err = { 0 };

	pyi_buf_printf(&above, "version: 1\nceiling:\n%s\n", ceiling);
	pyi_buf_printf(&below, "version: 1\n%s\n", body);
	/* The one that has the ceiling must lie in it: where there are limits it has them. */
	if (strstr(ceiling, "limits"))
		pyi_buf_puts(&above, "limits: {memory: 1MiB, cpu: 1%, wall_time: 1s}\n");
	{
		_cleanup_policy struct pyi_policy *a = parse(pyi_buf_str(&above));
		_cleanup_policy struct pyi_policy *b = parse(pyi_buf_str(&below));

		assert_int_equal(pyi_ceiling_compare(a->ceiling, b, is_dev, keep_first, &first, &err),
				 0);
	}
	if (strcmp(first.text, want) != 0)
		fail_msg("ceiling %s, policy %s\n  said %s\nwanted %s", ceiling, body, first.text, want);
}

static void files(void **state)
{
	check("  fs: [{read: /srv}]", "fs: [{read: /srv/a}]", false, "");
	check("  fs: [{read: /srv}]", "fs: [{write: /srv/a}]", false,
	      "p.yml:2 fs: 'write /srv/a'|it lets write '/srv/a', which no rule of the ceiling does: the nearest is "
	      "'read /srv' (p.yml:3)|");
	check("  fs: []", "fs: [{read: /srv}]", false,
	      "p.yml:2 fs: 'read /srv'|it lets read '/srv', and the ceiling grants no file|");
	/* patterns */
	check("  fs: [{read: '/srv/*.txt'}]", "fs: [{read: '/srv/a*.txt'}, {read: '/srv/b.txt/c'}]",
	      false, "");
	check("  fs: [{read: '/srv/*.txt'}]", "fs: [{read: '/srv/a*'}]", false,
	      "p.yml:2 fs: 'read /srv/a*'|it lets read '/srv/a', which no rule of the ceiling does: the nearest is "
	      "'read /srv/*.txt' (p.yml:3)|");
	check("  fs: [{read: '/srv/**'}]", "fs: [{read: '/srv/*/x/**'}]", false, "");
	check("  fs: [{read: '/srv/*'}]", "fs: [{read: /srv}]", false,
	      "p.yml:2 fs: 'read /srv'|it lets read '/srv', which no rule of the ceiling does: the nearest is "
	      "'read /srv/*' (p.yml:3)|");
	/* two rules of the ceiling together hold one of the policy */
	check("  fs: [{read: '/srv/[a-m]*'}, {read: '/srv/[!a-m]*'}]", "fs: [{read: '/srv/*'}]",
	      false, "");
	check("  fs: [{read: '/srv/[a-m]*'}, {read: '/srv/[!a-n]*'}]", "fs: [{read: '/srv/*'}]", false,
	      "p.yml:2 fs: 'read /srv/*'|it lets read '/srv/n', which no rule of the ceiling does: the nearest is "
	      "'read /srv/[a-m]*' (p.yml:3)|");
	/* No path has an empty component, nor one that is '.' or '..'. */
	check("  fs: [{read: '/srv/?*/b'}]", "fs: [{read: '/srv/*/b'}]", false, "");
	check("  fs: [{read: '/srv/[!.]*'}, {read: '/srv/.?*'}]", "fs: [{read: '/srv/*'}]", false, "");
	/* denies */
	check("  fs: [{read: /srv}, {deny: /srv/no}]", "fs: [{read: /srv}]", false,
	      "p.yml:2 fs: 'read /srv'|it lets read '/srv/no', which the ceiling denies by 'deny /srv/no' (p.yml:3)|"
	      "add '- deny: /srv/no' to fs");
	check("  fs: [{read: /srv}, {deny: /srv/no}]", "fs: [{read: /srv}, {deny: /srv/no}]", false, "");
	check("  fs: [{read: /srv}, {deny: /srv/no}]", "fs: [{read: /srv}, {deny: '/srv/n*'}]",
	      false, "");
	check("  fs: [{read: /srv}, {deny: '/srv/**/*.key'}]",
	      "fs: [{read: /srv}, {deny: '/srv/*.key'}]", false,
	      "p.yml:2 fs: 'read /srv'|it lets read '/srv/a/.key', which the ceiling denies by "
	      "'deny /srv/**/*.key' (p.yml:3)|add '- deny: /srv/**/*.key' to fs");
	check("  fs: [{exec: /bin}]\n  exec: [{deny: /bin/su}]", "fs: [{exec: /bin}]", false,
	      "p.yml:2 fs: 'exec /bin'|it lets run '/bin/su', which the ceiling denies by 'deny /bin/su' (p.yml:4)|"
	      "add '- deny: /bin/su' to exec");
	check("  fs: [{exec: /bin}]\n  exec: [{deny: /bin/su}]",
	      "fs: [{exec: /bin}]\nexec: [{deny: /bin/su}]", false, "");
	check("  fs: [{exec: /bin}]\n  exec: [{deny: /bin/su}]", "fs: [{read: /bin}]", false, "");
	/* what is warned of is let through in mode dev alone */
	check("  fs: [{read: /srv}]", "fs: [{warn: /etc}]", false, "");
	check("  fs: [{read: /srv}]", "fs: [{warn: /etc}]", true,
	      "p.yml:2 fs: 'warn /etc'|it lets write '/etc', which no rule of the ceiling does: the nearest is "
	      "'read /srv' (p.yml:3)|");
	/* nothing is said of files */
	check("  net: []", "fs: [{read: /etc}]", false, "");
}

static void addresses(void **state)
{
	check("  net: [{connect: '10.0.0.0/8:80-90'}]", "net: [{connect: '10.1.0.0/16:80'}]", false, "");
	check("  net: [{connect: '10.0.0.0/8:80-90'}]", "net: [{connect: '10.1.0.0/16:90-91'}]", false,
	      "p.yml:2 net: 'connect 10.1.0.0/16:90-91'|it lets connect to 10.1.0.0:91, which no rule of the ceiling "
	      "does: the nearest is 'connect 10.0.0.0/8:80-90' (p.yml:3)|");
	/* halves */
	check("  net: [{connect: '10.0.0.0/9:80'}, {connect: '10.128.0.0/9:80'}]",
	      "net: [{connect: '10.0.0.0/8:80'}]", false, "");
	check("  net: [{connect: '10.0.0.0/8:1-80'}, {connect: '10.0.0.0/8:81-99'}]",
	      "net: [{connect: '10.0.0.0/8:*'}, {deny: '10.0.0.0/8:100-65535'}, {deny: '10.0.0.0/8:0'}]",
	      false, "");
	/* denies */
	check("  net: [{connect: '10.0.0.0/8:*'}, {deny: '10.2.0.0/16:25'}]",
	      "net: [{connect: '10.0.0.0/8:*'}]", false,
	      "p.yml:2 net: 'connect 10.0.0.0/8:*'|it lets connect to 10.2.0.0:25, which the ceiling denies by "
	      "'deny 10.2.0.0/16:25' (p.yml:3)|add '- deny: 10.2.0.0/16:25' to net");
	check("  net: [{connect: '10.0.0.0/8:*'}, {deny: '10.2.0.0/16:25'}]",
	      "net: [{connect: '10.0.0.0/8:*'}, {deny: '10.2.0.0/16:*'}]", false, "");
	check("  net: [{connect: '10.0.0.0/8:*'}, {deny: '10.2.0.0/16:25'}]",
	      "net: [{connect: '10.0.0.0/8:*'}, {deny: '10.2.0.0/17:*'}]", false,
	      "p.yml:2 net: 'connect 10.0.0.0/8:*'|it lets connect to 10.2.128.0:25, which the ceiling denies by "
	      "'deny 10.2.0.0/16:25' (p.yml:3)|add '- deny: 10.2.0.0/16:25' to net");
	/* all addresses are not those of this host */
	check("  net: [{connect: '*:*'}]", "net: [{connect: '0.0.0.0/0:80'}]", false, "");
	check("  net: [{connect: '*:*'}]", "net: [{connect: '127.0.0.1:80'}]", false,
	      "p.yml:2 net: 'connect 127.0.0.1:80'|it lets connect to 127.0.0.1:80, which no rule of the ceiling does: "
	      "the nearest is 'connect *:*' (p.yml:3)|");
	/* names are names */
	check("  net: [{connect: 'a.example:*'}, {deny: 'a.example:25'}]",
	      "net: [{connect: 'a.example:24-26'}]", false,
	      "p.yml:2 net: 'connect a.example:24-26'|it lets connect to a.example:25, which the ceiling denies by "
	      "'deny a.example:25' (p.yml:3)|add '- deny: a.example:25' to net");
	check("  net: [{connect: '*:*'}]", "net: [{connect: 'a.example:80'}]", false,
	      "p.yml:2 net: 'connect a.example:80'|it lets connect to a.example:80, which no rule of the ceiling does: "
	      "the nearest is 'connect *:*' (p.yml:3)|");
	check("  net: []", "net: [{connect: 'udp://10.0.0.1:53'}]", false,
	      "p.yml:2 net: 'connect udp://10.0.0.1:53'|it lets connect to udp://10.0.0.1:53, and the ceiling grants "
	      "no network|");
	check("  net: [{connect: '10.0.0.1:53'}]", "net: [{bind: '10.0.0.1:53'}]", false,
	      "p.yml:2 net: 'bind 10.0.0.1:53'|it lets bind 10.0.0.1:53, which no rule of the ceiling does: the "
	      "nearest is 'connect 10.0.0.1:53' (p.yml:3)|");
	check("  net: []", "net: [{warn: '10.0.0.1:53'}]", false, "");
	check("  net: []", "net: [{warn: '10.0.0.1:53'}]", true,
	      "p.yml:2 net: 'warn 10.0.0.1:53'|it lets connect to 10.0.0.1:53, and the ceiling grants no network|");
}

static void names(void **state)
{
	_cleanup_policy struct pyi_policy *a = parse(
		"version: 1\nceiling:\n  net:\n    - connect: 'a.example:*'\n    - deny: '10.0.0.0/8:25'\n");
	_cleanup_policy struct pyi_policy *b = parse("version: 1\nnet:\n  - connect: 'a.example:1-99'\n");
	const uint8_t bad[16] = { [10] = 0xff, 0xff, 10, 0, 0, 7 },
		      good[16] = { [10] = 0xff, 0xff, 11, 0, 0, 7 };
	struct first first = { 0 };
	struct pyi_err err = { 0 };

	assert_int_equal(pyi_ceiling_compare(a->ceiling, b, false, keep_first, &first, &err), 0);
	assert_int_equal(pyi_ceiling_compare_name(a->ceiling, b, false, "a.example", good,
						  keep_first, &first, &err),
			 0);
	assert_int_equal(pyi_ceiling_compare_name(a->ceiling, b, false, "b.example", bad,
						  keep_first, &first, &err),
			 0);
	assert_int_equal(first.n, 0);
	assert_int_equal(pyi_ceiling_compare_name(a->ceiling, b, false, "A.example", bad,
						  keep_first, &first, &err),
			 0);
	assert_string_equal(first.text,
			    "p.yml:3 net: 'connect a.example:1-99'|it lets connect to 10.0.0.7:25 (an address "
			    "of A.example), which the ceiling denies by 'deny 10.0.0.0/8:25' (p.yml:5)|"
			    "add '- deny: 10.0.0.0/8:25' to net");
}

static void limits(void **state)
{
	check("  limits: {memory: 64MiB}", "limits: {memory: 64MiB, pids: 9}", false, "");
	check("  limits: {memory: 64MiB}", "limits: {memory: 65MiB}", false,
	      "p.yml:2 limits: 'memory: 65MiB'|the most is 64MiB (p.yml:3)|make it 'memory: 64MiB' in limits");
	check("  limits: {cpu: 50%}", "limits: {pids: 9}", false,
	      "- limits: no 'cpu'|the most is 50% (p.yml:3)|add 'cpu: 50%' to limits");
	check("  limits: {wall_time: 30s}", "limits: {wall_time: 1m}", false,
	      "p.yml:2 limits: 'wall_time: 1m'|the most is 30s (p.yml:3)|make it 'wall_time: 30s' in limits");
}

/* ------------------------------------------------------------------------------------------------------ at random */

static const char *const parts[] = { "a",  "b",	  "ab", "c.k",	 "/a",	 "/b",	 "/",	 "/c",
				     "*",  "?",	  "**", "/*",	 "/**",	 "/**/", "[ab]", "*k",
				     "a*", "*a*", "/?", "[!a]k", "/b*c", "." };

static void random_text(char *out, size_t max, bool is_pattern)
{
	size_t len = 1, n = 1 + roll(6);

	strcpy(out, "/");
	for (size_t i = 0; i < n; i++) {
		const char *part = parts[roll(is_pattern ? 21 : 8)];

		if (!is_pattern && roll(12) == 0)
			part = ".";
		if (out[len - 1] == '/' && *part == '/')
			part++;
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

static bool is_clean(const char *path)
{
	size_t len = strlen(path);

	return !strstr(path, "//") && !strstr(path, "/./") && !strstr(path, "/../") &&
	       (len < 2 || strcmp(path + len - 2, "/.") != 0) &&
	       (len < 3 || strcmp(path + len - 3, "/..") != 0);
}

enum { RULES = 5 };

struct random_policy {
	struct pyi_policy policy;
	struct pyi_fs_rule rules[RULES];
	char texts[RULES][64];
};

static void make_policy(struct random_policy *p, bool is_ceiling)
{
	static const struct {
		enum pyi_verdict verdict;
		unsigned int access;
	} forms[] = { { PYI_ALLOW, PYI_READ },
		      { PYI_ALLOW, PYI_READ | PYI_WRITE },
		      { PYI_ALLOW, PYI_READ | PYI_EXEC },
		      { PYI_DENY, PYI_READ | PYI_WRITE | PYI_EXEC },
		      { PYI_DENY, PYI_EXEC },
		      { PYI_WARN, PYI_READ | PYI_WRITE | PYI_EXEC } };

	p->policy = (struct pyi_policy){ .fs = p->rules, .n_fs = 1 + roll(RULES) };
	for (size_t i = 0; i < p->policy.n_fs; i++) {
		size_t form = roll(is_ceiling ? 5 : 6);

		/* A ceiling is wide, or all is too much for it. */
		if (is_ceiling && i == 0) {
			form = 1;
			strcpy(p->texts[0], roll(2) ? "/a*" : "/**");
		} else {
			random_text(p->texts[i], sizeof(p->texts[i]), true);
		}
		p->rules[i] = (struct pyi_fs_rule){ .verdict = forms[form].verdict,
						    .access = forms[form].access,
						    .path = p->texts[i],
						    .is_glob = strpbrk(p->texts[i], "*?[") != NULL,
						    .from = { .file = (char *)"p.yml",
							      .line = (unsigned int)i } };
	}
}

struct found {
	const struct pyi_policy *ceiling, *policy;
	bool is_dev;
	unsigned int rules, n;
};

static bool is_granted(const struct pyi_policy *policy, const char *path, unsigned int access,
		       bool is_dev, const struct pyi_fs_rule **ret_rule)
{
	enum pyi_verdict verdict = pyi_policy_decide_fs(policy, path, access, ret_rule);

	return *ret_rule && (verdict == PYI_ALLOW || (verdict == PYI_WARN && is_dev));
}

static int on_found(const struct pyi_dfa_excess *excess, void *arg)
{
	struct found *found = arg;
	const struct pyi_fs_rule *by = NULL;

	assert_true(excess->path[0] == '/' && is_clean(excess->path));
	assert_true(is_granted(found->policy, excess->path, excess->access, found->is_dev, &by));
	assert_ptr_equal(by, &found->policy->fs[excess->rule]);
	assert_false(is_granted(found->ceiling, excess->path, excess->access, false, &by));
	found->rules |= 1u << excess->rule;
	found->n++;
	return 0;
}

static void paths_at_random(void **state)
{
	static struct random_policy inner, outer;
	unsigned int within = 0, beyond = 0, seen = 0;

	for (int i = 0; i < 3000; i++) {
		struct pyi_dfa *a = NULL, *b = NULL;
		struct pyi_err err = { 0 };
		struct found found = { &outer.policy, &inner.policy, roll(3) == 0, 0, 0 };

		make_policy(&inner, false);
		make_policy(&outer, true);
		assert_int_equal(pyi_dfa_of_policy(&inner.policy, &a, &err), 0);
		assert_int_equal(pyi_dfa_of_policy(&outer.policy, &b, &err), 0);
		assert_int_equal(pyi_dfa_within(a, b, found.is_dev, on_found, &found, &err), 0);
		within += !found.n;
		beyond += found.n != 0;
		for (int k = 0; k < 60; k++) {
			const struct pyi_fs_rule *rule = NULL, *by = NULL;
			unsigned int access = 1u << roll(3);
			char path[64];

			random_text(path, sizeof(path), false);
			if (!is_clean(path) ||
			    !is_granted(&inner.policy, path, access, found.is_dev, &rule) ||
			    is_granted(&outer.policy, path, access, false, &by))
				continue;
			seen++;
			if (!(found.rules >> (rule - inner.rules) & 1))
				fail_msg("'%s' of '%s' was not found", path, rule->path);
		}
		pyi_dfa_free(a);
		pyi_dfa_free(b);
	}
	print_message("%u within, %u beyond, %u paths too much\n", within, beyond, seen);
	assert_true(within > 100 && beyond > 100 && seen > 1000);
}

static void add_net(struct pyi_buf *out, bool is_ceiling, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		unsigned int len = 28 + roll(5), low = roll(8);
		bool is_deny = roll(3) == 0;

		pyi_buf_printf(out, "%s- %s: '%s10.0.0.%u/%u:%u-%u'\n", is_ceiling ? "    " : "  ",
			       is_deny	 ? "deny"
			       : roll(4) ? "connect"
					 : "bind",
			       roll(5) ? "" : "udp://", roll(16) & (0xfu << (32 - len) & 0xf), len,
			       1 + low, 1 + low + roll(9 - low));
	}
}

static int count(const struct pyi_excess *excess, void *arg)
{
	unsigned int *n = arg;

	assert_non_null(excess->from);
	(*n)++;
	return 0;
}

/* Is there an address and a port that one grants and the other does not? */
static bool is_beyond(const struct pyi_policy *ceiling, const struct pyi_policy *policy)
{
	uint8_t addr[16] = { [10] = 0xff, 0xff, 10 };

	for (unsigned int bits = 0; bits < 4 * 16 * 11; bits++) {
		enum pyi_net_op op = bits & 1 ? PYI_NET_BIND : PYI_NET_CONNECT;
		enum pyi_net_proto proto = bits & 2 ? PYI_NET_UDP : PYI_NET_TCP;
		const struct pyi_net_rule *rule;
		uint16_t port = (uint16_t)(bits / 64);

		addr[15] = bits / 4 % 16;
		if (pyi_policy_decide_net(policy, op, proto, NULL, addr, port, &rule) == PYI_ALLOW &&
		    pyi_policy_decide_net(ceiling, op, proto, NULL, addr, port, &rule) != PYI_ALLOW)
			return true;
	}
	return false;
}

static void addresses_at_random(void **state)
{
	unsigned int within = 0, beyond = 0;

	for (int i = 0; i < 1500; i++) {
		_cleanup_buf struct pyi_buf above = PYI_BUF_INIT, below = PYI_BUF_INIT;
		struct pyi_policy *a = NULL, *b = NULL;
		struct pyi_err err = { 0 };
		unsigned int n = 0;

		pyi_buf_puts(&above, "version: 1\nceiling:\n  net:\n    - connect: '10.0.0.0/28:1-9'\n");
		add_net(&above, true, 1 + roll(4));
		pyi_buf_puts(&below, "version: 1\nnet:\n");
		add_net(&below, false, 1 + roll(4));
		/* The same address allowed and denied in one document is refused. */
		if (pyi_policy_parse("a", pyi_buf_str(&above), above.len, &a, NULL, &err) == 0 &&
		    pyi_policy_parse("b", pyi_buf_str(&below), below.len, &b, NULL, &err) == 0) {
			assert_int_equal(pyi_ceiling_compare(a->ceiling, b, false, count, &n, &err), 0);
			if (is_beyond(a->ceiling, b) != (n != 0))
				fail_msg("%u were told of\n%s%s", n, pyi_buf_str(&above),
					 pyi_buf_str(&below));
			within += !n;
			beyond += n != 0;
		}
		pyi_policy_free(a);
		pyi_policy_free(b);
	}
	print_message("%u within, %u beyond\n", within, beyond);
	assert_true(within > 100 && beyond > 100);
}

/* ------------------------------------------------------------------------------------------------------- as text */

static void printed_again(void **state)
{
	static const char text[] = "version: 1\nceiling:\n  fs:\n    - read: '/srv/*.txt'\n"
				   "    - deny: /srv/no.txt\n  exec:\n    - deny: /srv/x\n"
				   "  net:\n    - connect: '10.0.0.0/8:*'\n    - deny: '10.1.0.0/16:25'\n"
				   "  limits: {memory: 1GiB, net_rate: 2MiB}\n"
				   "limits: {memory: 1MiB, net_rate: 1MiB}\n";
	_cleanup_policy struct pyi_policy *p = parse(text);
	_cleanup_buf struct pyi_buf out = PYI_BUF_INIT;
	struct pyi_policy *again = NULL;
	struct pyi_err err = { 0 };

	pyi_policy_print(p, true, &out);
	if (pyi_policy_parse_printed("again", pyi_buf_str(&out), out.len, &again, &err))
		fail_msg("%s\n%s", err.msg, pyi_buf_str(&out));
	assert_memory_equal(again->digest, p->digest, sizeof(p->digest));
	assert_int_equal(again->ceiling->n_fs, 3);
	assert_string_equal(again->ceiling->fs[1].from.file, "p.yml");
	assert_int_equal(again->ceiling->fs[1].from.line, 5);
	assert_int_equal(again->ceiling->limit_from[0].line, 11);
	assert_string_equal(again->limit_from[9].file, "p.yml");
	assert_int_equal(again->limit_from[9].line, 12);
	pyi_policy_free(again);
}

/* Ten thousand plain rules on both sides are no more than the files they name. */
static void many_rules(void **state)
{
	enum { N = 10000 };
	struct pyi_policy policy = { .fs = calloc(N, sizeof(*policy.fs)), .n_fs = N };
	struct pyi_dfa *dfa = NULL;
	struct pyi_err err = { 0 };
	struct found found = { &policy, &policy, false, 0, 0 };

	assert_non_null(policy.fs);
	for (unsigned int i = 0; i < N; i++) {
		policy.fs[i].access = PYI_READ;
		assert_true(asprintf(&policy.fs[i].path, "/srv/%u/%u", i % 97, i) > 0);
	}
	assert_int_equal(pyi_dfa_of_policy(&policy, &dfa, &err), 0);
	assert_int_equal(pyi_dfa_within(dfa, dfa, false, on_found, &found, &err), 0);
	assert_int_equal(found.n, 0);
	pyi_dfa_free(dfa);
	for (unsigned int i = 0; i < N; i++)
		free(policy.fs[i].path);
	free(policy.fs);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(files),	   cmocka_unit_test(addresses),
		cmocka_unit_test(names),	   cmocka_unit_test(limits),
		cmocka_unit_test(paths_at_random), cmocka_unit_test(addresses_at_random),
		cmocka_unit_test(printed_again),   cmocka_unit_test(many_rules),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
