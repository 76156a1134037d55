/* SPDX-License-Identifier: MIT */
/* From uses to a suggested policy: what it lists and leaves out, and that no name can make it say another thing. */
#include <arpa/inet.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/buf.h"
#include "base/err.h"
#include "base/util.h"
#include "policy/policy.h"
#include "report/suggest.h"
#include "test/unit/policy_helper.h"

#define N(array) (sizeof(array) / sizeof((array)[0]))

static const char *const own[] = { "/tmp", "/proc", "/dev", "/etc/passwd", NULL };

/* The lines behind the heading, and the text loads. */
static char *suggest_from(struct pyi_suggest *s, const char *parent_text, const char *base_text,
			  struct pyi_policy **ret_policy)
{
	struct pyi_policy *parent = parse(parent_text), *base = parse(base_text);
	struct pyi_buf out = PYI_BUF_INIT;
	struct pyi_err err = { 0 };
	struct pyi_policy *made = NULL;
	char *text;

	s->parent = parent;
	s->base = base;
	s->own = own;
	pyi_suggest_print(s, &out);
	assert_false(out.failed);
	text = pyi_buf_take(&out);
	if (pyi_policy_parse("suggested.yml", text, strlen(text), &made, NULL, &err))
		fail_msg("%s\n%s", err.msg, text);
	if (ret_policy)
		*ret_policy = made;
	else
		pyi_policy_free(made);
	pyi_policy_free(parent);
	pyi_policy_free(base);
	memmove(text, strchr(text, '\n') + 1, strlen(strchr(text, '\n') + 1) + 1);
	return text;
}

static void gives(struct pyi_suggest_path *paths, size_t n, const char *base, const char *want)
{
	struct pyi_suggest s = { .paths = paths, .n_paths = n };
	_cleanup_free char *text = suggest_from(&s, "version: 1\n", base, NULL);

	assert_string_equal(text, want);
}

static void test_least(void **state)
{
	struct pyi_suggest_path paths[] = {
		{ "/srv/in/b.txt", PYI_READ, .count = 1, .at_file = "job.py", .at_line = 9 },
		{ "/srv/in/a.csv", PYI_READ, .count = 2, .at_file = "job.py", .at_line = 7 },
		{ "/srv/in/a.csv", PYI_READ, .count = 10 },
		{ "/tmp/scratch", PYI_WRITE, .count = 1 },
		{ "/proc/self/status", PYI_READ, .count = 1 },
		{ "/etc/passwd", PYI_READ, .count = 1 },
		{ "/etc/passwd-", PYI_READ, .count = 1 },
		{ "/srv/granted/x", PYI_READ, .count = 1 },
		{ "/srv/granted/y", PYI_WRITE, .count = 1 },
		{ "/srv/denied/y", PYI_READ, .count = 1 },
		{ "/usr/bin/git", PYI_EXEC, .count = 1 },
		{ "/srv/seen", 0, .count = 4 },
	};

	gives(paths, N(paths), "version: 1\nfs:\n  - read: /srv/granted\n  - deny: /srv/denied\n",
	      "version: 1\n"
	      "fs:\n"
	      "  - read: \"/etc/passwd-\"  # 1 time\n"
	      "  - write: \"/srv/granted/y\"  # 1 time\n"
	      "  - read: \"/srv/in/a.csv\"  # 12 times, first at job.py:7\n"
	      "  - read: \"/srv/in/b.txt\"  # 1 time, at job.py:9\n"
	      "  - read: \"/srv/seen\"  # 4 times\n"
	      "  - exec: \"/usr/bin/git\"  # 1 time\n");
}

static void test_directories(void **state)
{
	struct pyi_suggest_path paths[] = {
		{ "/srv/list", PYI_READ, .is_dir = true, .count = 1 },
		{ "/srv/list/a", PYI_READ, .count = 1 },
		{ "/srv/list/deep/b", PYI_READ, .count = 1, .at_file = "j.py", .at_line = 1 },
		{ "/srv/list/deep/c", PYI_WRITE, .count = 1 },
		{ "/srv/list-other", PYI_READ, .count = 1 },
		{ "/srv/out/new", PYI_WRITE, .needs_dir = true, .count = 3 },
		{ "/srv/out/old", PYI_READ, .count = 1 },
		{ "/etc", PYI_READ, .is_dir = true, .count = 1 },
		{ "/", PYI_READ, .is_dir = true, .count = 1 },
		{ "/etc/made", PYI_WRITE, .needs_dir = true, .count = 1 },
		{ "/made", PYI_WRITE, .needs_dir = true, .count = 1 },
		{ "/srv", 0, .is_dir = true, .count = 1 },
		{ "/opt/app", 0, .is_dir = true, .count = 1 },
		{ "/srv/a", 0, .is_dir = true, .count = 1 },
		{ "/srv/a-b", 0, .count = 1 },
		{ "/srv/a/b", 0, .count = 1 },
	};

	gives(paths, N(paths), "version: 1\n",
	      "version: 1\n"
	      "fs:\n"
	      "  - read: \"/srv/a-b\"  # 1 time\n"
	      "  - read: \"/srv/a/b\"  # 1 time\n"
	      "  - read: \"/srv/list\"  # 3 times\n"
	      "  - read: \"/srv/list-other\"  # 1 time\n"
	      "  - write: \"/srv/list/deep/c\"  # 1 time\n"
	      "  - write: \"/srv/out\"  # 4 times\n"
	      "# Not granted; add what is needed:\n"
	      "#   read / (a whole directory of the root)  # 1 time\n"
	      "#   read /etc (a whole directory of the root)  # 1 time\n"
	      "#   write /etc/made (a whole directory of the root)  # 1 time\n"
	      "#   write /made (a whole directory of the root)  # 1 time\n"
	      "#   read /opt/app (a directory, only looked at)  # 1 time\n");
}

static void test_patterns(void **state)
{
	struct pyi_suggest_path paths[] = {
		{ "/srv/d/c.csv", PYI_READ, .count = 1, .at_file = "j.py", .at_line = 3 },
		{ "/srv/d/a.csv", PYI_READ, .count = 1 },
		{ "/srv/d/b.csv", PYI_READ, .count = 1 },
		{ "/srv/d/sub/x.csv", PYI_READ, .count = 1 },
		{ "/srv/d/a.txt", PYI_READ, .count = 1 },
		{ "/srv/d/b.txt", PYI_READ, .count = 1 },
		{ "/srv/d/.csv", PYI_READ, .count = 1 },
		{ "/srv/o/1.log", PYI_WRITE, .count = 1 },
		{ "/srv/o/2.log", PYI_WRITE, .count = 1 },
		{ "/srv/o/3.log", PYI_WRITE, .count = 1 },
		{ "/etc/a.conf", PYI_READ, .count = 1 },
		{ "/etc/b.conf", PYI_READ, .count = 1 },
		{ "/etc/c.conf", PYI_READ, .count = 1 },
		{ "/srv/x[1]/a.t", PYI_READ, .count = 1 },
		{ "/srv/x[1]/b.t", PYI_READ, .count = 1 },
		{ "/srv/x[1]/c.t", PYI_READ, .count = 1 },
	};

	gives(paths, N(paths), "version: 1\n",
	      "version: 1\n"
	      "fs:\n"
	      "  - read: \"/etc/a.conf\"  # 1 time\n"
	      "  - read: \"/etc/b.conf\"  # 1 time\n"
	      "  - read: \"/etc/c.conf\"  # 1 time\n"
	      "  - read: \"/srv/d/*.csv\"  # 3 times, first at j.py:3\n"
	      "  - read: \"/srv/d/.csv\"  # 1 time\n"
	      "  - read: \"/srv/d/a.txt\"  # 1 time\n"
	      "  - read: \"/srv/d/b.txt\"  # 1 time\n"
	      "  - read: \"/srv/d/sub/x.csv\"  # 1 time\n"
	      "  - write: \"/srv/o/1.log\"  # 1 time\n"
	      "  - write: \"/srv/o/2.log\"  # 1 time\n"
	      "  - write: \"/srv/o/3.log\"  # 1 time\n"
	      "  - read: \"/srv/x[[]1]/*.t\"  # 3 times\n");
}

static void test_many(void **state)
{
	enum { MANY = 200 };
	static char names[MANY][32];
	struct pyi_suggest_path paths[MANY];

	for (int i = 0; i < MANY; i++) {
		snprintf(names[i], sizeof(names[i]), "/srv/many/%03d.x%d", i, i % 100);
		paths[i] = (struct pyi_suggest_path){ names[i], PYI_READ, .count = 1 };
	}
	gives(paths, MANY, "version: 1\n", "version: 1\nfs:\n  - read: \"/srv/many\"  # 200 times\n");
}

/* A name cannot become another line, another rule or another pattern. */
static void test_names(void **state)
{
	static const char *const names[] = {
		"/srv/\"quoted\"",
		"/srv/it's",
		"/srv/back\\slash",
		"/srv/# no comment",
		"/srv/a: b",
		"/srv/- item",
		"/srv/*star",
		"/srv/que?st",
		"/srv/[set]",
		"/srv/]",
		"/srv/&anchor",
		"/srv/!tag",
		"/srv/%directive",
		"/srv/{a: b}",
		"/srv/ lead",
		"/srv/trail ",
		"/srv/\xc3\xa4\xe2\x82\xac",
		"/srv/\xf0\x9f\x98\x80",
		"/srv/\xc2\x85nel",
		"/srv/\xe2\x80\xa8ls",
		"/srv/\xef\xbb\xbf"
		"bom",
		"/srv/\xe2\x80\xae"
		"rtl",
		"/srv/~",
		"/srv/...x",
	};
	struct pyi_suggest_path paths[2 * N(names)];
	struct pyi_suggest s = { .paths = paths, .n_paths = N(paths) };
	struct pyi_policy *made = NULL;
	_cleanup_free char *text = NULL;

	for (size_t i = 0; i < N(names); i++) {
		paths[2 * i] = (struct pyi_suggest_path){ names[i], PYI_READ, .count = 1,
							  .at_file = "a\n  - read: /etc\n#",
							  .at_line = 1 };
		paths[2 * i + 1] = (struct pyi_suggest_path){ names[i], PYI_EXEC, .count = 1 };
	}
	text = suggest_from(&s, "version: 1\n", "version: 1\n", &made);
	assert_int_equal(made->n_fs, N(names));
	for (size_t i = 0; i < N(names); i++) {
		const struct pyi_fs_rule *rule;

		if (pyi_policy_decide_fs(made, names[i], PYI_EXEC, &rule) != PYI_ALLOW)
			fail_msg("'%s' is not granted\n%s", names[i], text);
	}
	assert_null(strstr(text, "\n  - read: /etc"));
	pyi_policy_free(made);
}

static void test_odd_names(void **state)
{
	struct pyi_suggest_path paths[] = {
		{ "/srv/new\n  - read: /etc", PYI_READ, .count = 1 },
		{ "/srv/tab\t", PYI_READ, .count = 1 },
		{ "/srv/\xff", PYI_READ, .count = 1 },
		{ "/srv/out/\xff", PYI_WRITE, .needs_dir = true, .count = 1 },
		{ "/srv/a/../b", PYI_READ, .count = 1 },
		{ "relative", PYI_READ, .count = 1 },
		{ "/srv/o/x*", PYI_WRITE, .count = 1 },
	};

	gives(paths, N(paths), "version: 1\n",
	      "version: 1\n"
	      "fs:\n"
	      "  - write: \"/srv/o\"  # 1 time\n"
	      "  - write: \"/srv/out\"  # 1 time\n"
	      "# Not granted; add what is needed:\n"
	      "#   read /srv/a/../b (a name that no policy can say)  # 1 time\n"
	      "#   read /srv/new?  - read: /etc (a name that no policy can say)  # 1 time\n"
	      "#   read /srv/tab? (a name that no policy can say)  # 1 time\n"
	      "#   read /srv/? (a name that no policy can say)  # 1 time\n");
}

static struct pyi_suggest_address address(enum pyi_net_op op, enum pyi_net_proto proto,
					  const char *text, uint16_t port)
{
	struct pyi_suggest_address use = { .op = op, .proto = proto, .port = port, .count = 1 };

	if (inet_pton(AF_INET6, text, use.addr) != 1) {
		memset(use.addr, 0, 10);
		use.addr[10] = use.addr[11] = 0xff;
		assert_int_equal(inet_pton(AF_INET, text, use.addr + 12), 1);
	}
	return use;
}

static void test_addresses(void **state)
{
	struct pyi_suggest_address uses[24] = {
		address(PYI_NET_CONNECT, PYI_NET_TCP, "127.0.0.1", 80),
		address(PYI_NET_CONNECT, PYI_NET_TCP, "127.0.0.1", 80),
		address(PYI_NET_CONNECT, PYI_NET_UDP, "192.0.2.1", 53),
		address(PYI_NET_CONNECT, PYI_NET_UDP, "192.0.2.1", 0),
		address(PYI_NET_BIND, PYI_NET_TCP, "127.0.0.1", 0),
		address(PYI_NET_BIND, PYI_NET_TCP, "::", 8080),
		address(PYI_NET_CONNECT, PYI_NET_TCP, "2001:db8::1", 443),
		address(PYI_NET_CONNECT, PYI_NET_TCP, "192.0.2.9", 8443),
		address(PYI_NET_CONNECT, PYI_NET_TCP, "192.0.2.9", 443),
		address(PYI_NET_CONNECT, PYI_NET_TCP, "198.51.100.1", 25),
	};
	struct pyi_suggest s = { .addresses = uses, .n_addresses = 10 };
	struct pyi_policy *made = NULL;
	_cleanup_free char *text = NULL;

	uses[7].name = uses[8].name = "example.com";
	uses[7].at_file = "n.py";
	uses[7].at_line = 5;
	for (uint16_t i = 0; i < 12; i++)
		uses[s.n_addresses++] = address(PYI_NET_CONNECT, PYI_NET_TCP, "203.0.113.1",
						(uint16_t)(1000 + 7 * i));
	text = suggest_from(&s, "version: 1\n",
			    "version: 1\nnet:\n  - connect: example.com:443\n  - deny: 198.51.100.0/24:*\n",
			    &made);
	assert_string_equal(text, "version: 1\n"
				  "net:\n"
				  "  - connect: \"example.com:8443\"  # 1 time, at n.py:5\n"
				  "  - connect: \"127.0.0.1:80\"  # 2 times\n"
				  "  - connect: \"203.0.113.1:1000-1077\"  # 12 times\n"
				  "  - connect: \"[2001:db8::1]:443\"  # 1 time\n"
				  "  - connect: \"udp://192.0.2.1:53\"  # 1 time\n"
				  "  - bind: \"[::]:8080\"  # 1 time\n"
				  "  - bind: \"127.0.0.1:0\"  # 1 time\n");
	pyi_policy_free(made);
}

static void test_limits(void **state)
{
	struct pyi_suggest s = { .memory_peak_bytes = 100 << 20, .cpu_us = 1500000, .wall_us = 2000000 };
	_cleanup_free char *text = suggest_from(&s, "version: 1\n", "version: 1\n", NULL);
	_cleanup_free char *small = NULL;

	assert_string_equal(text, "version: 1\n"
				  "limits:\n"
				  "  memory: 224MiB  # measured: 100MiB\n"
				  "  cpu_time: 7s  # measured: 1.501s\n"
				  "  wall_time: 10s  # measured: 2.001s\n");
	/* No more than there was: the parent's stay, a flag's is listed. */
	small = suggest_from(
		&s, "version: 1\nlimits: {memory: 150MiB}\n",
		"version: 1\nlimits: {memory: 150MiB, cpu_time: 3s, pids: 1024, numa: 0}\n", NULL);
	assert_string_equal(small, "version: 1\n"
				   "limits:\n"
				   "  cpu_time: 3s\n"
				   "  pids: 1024\n"
				   "  numa: 0\n"
				   "  wall_time: 10s  # measured: 2.001s\n");
}

/* Rules of flags stand nowhere else: they are listed. */
static void test_flags(void **state)
{
	static const struct pyi_policy_flag flags[] = {
		{ "allow-read", "/srv/flag" },
		{ "deny-run", "/srv/flag/x" },
		{ "allow-net", "bind:127.0.0.1:1" },
		{ "allow-env", "LANG" },
		{ "env", "A=b \"c\"" },
		{ "memory", "1GiB" },
	};
	struct pyi_policy *parent = load("compute-only", NULL, 0),
			  *base = load("compute-only", flags, N(flags)), *made = NULL;
	struct pyi_suggest_path path = { "/srv/flag/y", PYI_READ, .count = 1 };
	struct pyi_suggest s = { .extends = "compute-only",
				 .parent = parent,
				 .base = base,
				 .note = "it ended with exit code 3",
				 .lost = 2,
				 .paths = &path,
				 .n_paths = 1 };
	_cleanup_buf struct pyi_buf out = PYI_BUF_INIT;
	struct pyi_err err = { 0 };

	pyi_suggest_print(&s, &out);
	assert_string_equal(pyi_buf_str(&out),
			    "# Suggested from one run by 'pyisolate run --suggest': read it before you use it.\n"
			    "# it ended with exit code 3\n"
			    "# 2 calls were not recorded: it may not be complete.\n"
			    "version: 1\n"
			    "extends: \"compute-only\"\n"
			    "fs:\n"
			    "  - read: \"/srv/flag\"  # --allow-read\n"
			    "exec:\n"
			    "  - deny: \"/srv/flag/x\"  # --deny-run\n"
			    "net:\n"
			    "  - bind: \"127.0.0.1:1\"  # --allow-net\n"
			    "env:\n"
			    "  - pass: \"LANG\"  # --allow-env\n"
			    "  - set: \"A=b \\\"c\\\"\"  # --env\n"
			    "limits:\n"
			    "  memory: 1GiB\n");
	if (pyi_policy_parse("s.yml", out.data, out.len, &made, NULL, &err))
		fail_msg("%s", err.msg);
	/* The two come to the same. */
	assert_memory_equal(made->digest, base->digest, sizeof(made->digest));
	pyi_policy_free(made);
	pyi_policy_free(base);
	pyi_policy_free(parent);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_least),	  cmocka_unit_test(test_directories),
		cmocka_unit_test(test_patterns),  cmocka_unit_test(test_many),
		cmocka_unit_test(test_names),	  cmocka_unit_test(test_odd_names),
		cmocka_unit_test(test_addresses), cmocka_unit_test(test_limits),
		cmocka_unit_test(test_flags),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
