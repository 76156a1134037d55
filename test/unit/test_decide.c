/* SPDX-License-Identifier: MIT */
/* Which rule decides; what is printed is read back as the same policy; what every template keeps shut. */
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
#include "test/unit/policy_helper.h"

static const char example[] = "version: 1\n"
			      "extends: stdlib.readonly\n"
			      "on_violation: kill\n"
			      "fs:\n"
			      "  - read: /srv/data/*.parquet\n"
			      "  - deny: /srv/data/private\n"
			      "  - write: /srv/out//./x/\n"
			      "net:\n"
			      "  - connect: API.example.com:443\n"
			      "  - deny: 169.254.0.0/16:*\n"
			      "  - bind: 127.0.0.1:8080\n"
			      "exec:  [{allow: /usr/bin/git}]\n"
			      "env:   [{pass: LANG}, {set: \"TZ=UTC\"}]\n"
			      "imports: [math, json]\n"
			      "limits: {memory: 256MiB, cpu: 50%, cpu_time: 10s, wall_time: 30s, pids: 16,\n"
			      "         open_files: 64, output: 10MiB, tmp: 64MiB}\n";

/* --------------------------------------------------------------------------------------------------- decisions */

static void decides(const struct pyi_policy *p, const char *path, unsigned int access,
		    enum pyi_verdict want, int line)
{
	const struct pyi_fs_rule *rule = NULL;
	enum pyi_verdict got = pyi_policy_decide_fs(p, path, access, &rule);

	if (got != want || (rule ? (int)rule->from.line : 0) != line)
		fail_msg("%s (%u): verdict %d by line %u", path, access, got,
			 rule ? rule->from.line : 0);
}

static void test_decide_fs(void **state)
{
	_cleanup_policy struct pyi_policy *p = parse("version: 1\nfs:\n"
						     "  - deny: /data/private\n"      /* 3 */
						     "  - read: /data\n"	      /* 4 */
						     "  - write: /data/out\n"	      /* 5 */
						     "  - warn: /data/odd*\n"	      /* 6 */
						     "  - deny: /**/*.key\n"	      /* 7 */
						     "  - exec: /opt/tool\n"	      /* 8 */
						     "  - deny: /data/odd/really\n"); /* 9 */

	decides(p, "/data", PYI_READ, PYI_ALLOW, 4);
	decides(p, "/data/x", PYI_READ, PYI_ALLOW, 4);
	decides(p, "/data/x", PYI_WRITE, PYI_DENY, 0);
	decides(p, "/data/x", PYI_EXEC, PYI_DENY, 0);
	decides(p, "/database", PYI_READ, PYI_DENY, 0);
	decides(p, "/data/out/y", PYI_WRITE, PYI_ALLOW, 5);
	decides(p, "/data/private", PYI_READ, PYI_DENY, 3);
	decides(p, "/data/private/deep/er", PYI_READ, PYI_DENY, 3);
	decides(p, "/data/private2", PYI_READ, PYI_ALLOW, 4);
	decides(p, "/data/odd", PYI_READ, PYI_WARN, 6);
	decides(p, "/data/odder/x", PYI_WRITE, PYI_WARN, 6);
	decides(p, "/data/odd/really/x", PYI_READ, PYI_DENY, 9);
	decides(p, "/data/out/my.key", PYI_READ, PYI_DENY, 7);
	decides(p, "/data/my.key/inside", PYI_READ, PYI_DENY, 7);
	decides(p, "/opt/tool", PYI_EXEC, PYI_ALLOW, 8);
	decides(p, "/opt/tool", PYI_READ, PYI_ALLOW, 8);
	decides(p, "/opt", PYI_READ, PYI_DENY, 0);
	decides(p, "/etc/passwd", PYI_READ, PYI_DENY, 0);
}

static void decides_net(const struct pyi_policy *p, enum pyi_net_op op, enum pyi_net_proto proto,
			const char *ip, int port, enum pyi_verdict want, int line)
{
	uint8_t addr[16] = { [10] = 0xff, [11] = 0xff };
	const struct pyi_net_rule *rule = NULL;
	enum pyi_verdict got;

	if (inet_pton(AF_INET, ip, addr + 12) != 1)
		assert_int_equal(inet_pton(AF_INET6, ip, addr), 1);
	got = pyi_policy_decide_net(p, op, proto, NULL, addr, (uint16_t)port, &rule);
	if (got != want || (rule ? (int)rule->from.line : 0) != line)
		fail_msg("%s:%d: verdict %d by line %u", ip, port, got, rule ? rule->from.line : 0);
}

static void test_decide_net(void **state)
{
	_cleanup_policy struct pyi_policy *p = parse("version: 1\nnet:\n"
						     "  - connect: '*:443'\n"		   /* 3 */
						     "  - connect: 10.0.0.0/8:8000-8100\n" /* 4 */
						     "  - deny: 10.1.0.0/16\n"		   /* 5 */
						     "  - connect: 127.0.0.1:9000\n"	   /* 6 */
						     "  - bind: 127.0.0.0/8:8080\n"	   /* 7 */
						     "  - connect: udp://1.1.1.1:53\n"	   /* 8 */
						     "  - warn: 1.0.0.1:443\n"		   /* 9 */
						     "  - connect: api.example:80\n");	   /* 10 */
	const struct pyi_net_rule *rule;
	static const char *const special[] = {
		"127.0.0.1",
		"127.9.9.9",
		"::1",
		"169.254.169.254",
		"169.254.0.1",
		"fe80::1",
		"100.100.100.200",
		"fd00:ec2::254",
		"0.0.0.0",
		"0.1.2.3",
		"::",
		"::ffff:127.0.0.1",
		"::ffff:169.254.169.254",
		"64:ff9b::7f00:1",
		"2002:7f00:1::",
	};
	enum pyi_net_op c = PYI_NET_CONNECT, b = PYI_NET_BIND;

	decides_net(p, c, PYI_NET_TCP, "93.184.216.34", 443, PYI_ALLOW, 3);
	decides_net(p, c, PYI_NET_TCP, "2606:2800::1", 443, PYI_ALLOW, 3);
	decides_net(p, c, PYI_NET_UDP, "93.184.216.34", 443, PYI_DENY, 0);
	decides_net(p, b, PYI_NET_TCP, "93.184.216.34", 443, PYI_DENY, 0);
	decides_net(p, c, PYI_NET_TCP, "93.184.216.34", 80, PYI_DENY, 0);
	decides_net(p, c, PYI_NET_TCP, "10.2.0.1", 8050, PYI_ALLOW, 4);
	decides_net(p, c, PYI_NET_TCP, "10.2.0.1", 8101, PYI_DENY, 0);
	decides_net(p, c, PYI_NET_TCP, "10.1.0.1", 8050, PYI_DENY, 5);
	decides_net(p, c, PYI_NET_UDP, "10.1.0.1", 9, PYI_DENY, 5);
	decides_net(p, c, PYI_NET_TCP, "127.0.0.1", 9000, PYI_ALLOW, 6);
	decides_net(p, c, PYI_NET_TCP, "::ffff:127.0.0.1", 9000, PYI_ALLOW, 6);
	decides_net(p, b, PYI_NET_TCP, "127.3.0.1", 8080, PYI_ALLOW, 7);
	decides_net(p, c, PYI_NET_UDP, "1.1.1.1", 53, PYI_ALLOW, 8);
	decides_net(p, c, PYI_NET_TCP, "1.1.1.1", 53, PYI_DENY, 0);
	decides_net(p, c, PYI_NET_TCP, "1.0.0.1", 443, PYI_WARN, 9);
	for (size_t i = 0; i < PYI_ARRAY_SIZE(special); i++)
		decides_net(p, c, PYI_NET_TCP, special[i], 443, PYI_DENY, 0);
	assert_int_equal(pyi_policy_decide_net(p, c, PYI_NET_TCP, "API.example", (uint8_t[16]){ 0 },
					       80, &rule),
			 PYI_ALLOW);
	assert_int_equal(rule->from.line, 10);
	assert_int_equal(pyi_policy_decide_net(p, c, PYI_NET_TCP, NULL, (uint8_t[16]){ 0 }, 80, &rule),
			 PYI_DENY);

	/* What a deny of everything says holds for the host's own addresses, too. */
	pyi_policy_free(p);
	p = parse("version: 1\nnet:\n  - deny: '*'\n  - connect: 127.0.0.1:1\n  - connect: 0.0.0.0/0:1\n");
	for (size_t i = 0; i < PYI_ARRAY_SIZE(special); i++)
		decides_net(p, c, PYI_NET_TCP, special[i], 1, PYI_DENY, 3);
}

/* ------------------------------------------------------------------------------------------- print and read back */

static void assert_same(const struct pyi_policy *a, const struct pyi_policy *b)
{
	assert_int_equal(a->on_violation, b->on_violation);
	assert_int_equal(a->n_fs, b->n_fs);
	for (size_t i = 0; i < a->n_fs; i++) {
		assert_int_equal(a->fs[i].verdict, b->fs[i].verdict);
		assert_int_equal(a->fs[i].access, b->fs[i].access);
		assert_int_equal(a->fs[i].is_glob, b->fs[i].is_glob);
		assert_string_equal(a->fs[i].path, b->fs[i].path);
	}
	assert_int_equal(a->n_net, b->n_net);
	for (size_t i = 0; i < a->n_net; i++) {
		assert_int_equal(a->net[i].verdict, b->net[i].verdict);
		assert_int_equal(a->net[i].ops, b->net[i].ops);
		assert_int_equal(a->net[i].protos, b->net[i].protos);
		assert_int_equal(!a->net[i].host, !b->net[i].host);
		if (a->net[i].host)
			assert_string_equal(a->net[i].host, b->net[i].host);
		assert_memory_equal(a->net[i].addr, b->net[i].addr, 16);
		assert_int_equal(a->net[i].prefix_len, b->net[i].prefix_len);
		assert_int_equal(a->net[i].port_min, b->net[i].port_min);
		assert_int_equal(a->net[i].port_max, b->net[i].port_max);
	}
	assert_int_equal(a->n_env, b->n_env);
	for (size_t i = 0; i < a->n_env; i++) {
		assert_int_equal(a->env[i].kind, b->env[i].kind);
		assert_string_equal(a->env[i].name, b->env[i].name);
		assert_int_equal(!a->env[i].value, !b->env[i].value);
		if (a->env[i].value)
			assert_string_equal(a->env[i].value, b->env[i].value);
	}
	assert_int_equal(a->has_imports, b->has_imports);
	assert_int_equal(a->n_imports, b->n_imports);
	for (size_t i = 0; i < a->n_imports; i++)
		assert_string_equal(a->imports[i], b->imports[i]);
	assert_memory_equal(&a->limits, &b->limits, sizeof(a->limits));
	assert_memory_equal(a->digest, b->digest, sizeof(a->digest));
}

static void round_trip(const struct pyi_policy *p)
{
	for (int with_origins = 0; with_origins < 2; with_origins++) {
		_cleanup_buf struct pyi_buf text = PYI_BUF_INIT;
		_cleanup_policy struct pyi_policy *again = NULL;

		pyi_policy_print(p, with_origins, &text);
		again = parse(pyi_buf_str(&text));
		assert_same(p, again);
		assert_int_equal(again->n_notes, 0);
	}
}

static void test_round_trip(void **state)
{
	_cleanup_policy struct pyi_policy *p = parse(example);

	round_trip(p);
	pyi_policy_free(p);
	p = parse("version: 1\nfs:\n"
		  "  - read: ['/a: b', '/c #d', '/\"q\"', '/\\back', '/\xe2\x80\xa8\xef\xbb\xbf', '/-', "
		  "'/\xf0\x9f\x90\x8d', '/{}']\n  - warn: /w*\nexec: [{deny: /p}, {warn: /q}]\n"
		  "net: [{deny: 'tcp://*'}, {warn: 'udp://[2001:db8::]/33:1-2'}, {deny: '[::]'}, {bind: 'h:0'}]\n"
		  "env: [{set: \"A= \\\"\\n\\t\\r\\e:#'\\N{x\"}]\nimports: []\n"
		  "limits: {wall_time: 1.234s, cpu: 12.3%, memory: 1048577}\n");
	round_trip(p);
}

static void test_templates(void **state)
{
	static const char *const names[] = { "compute-only", "defaults",    "ml",
					     "ml-inference", "readonly-fs", "stdlib.readonly",
					     "web_scraper",  "write-db" };

	for (size_t i = 0; i < PYI_ARRAY_SIZE(names); i++) {
		_cleanup_policy struct pyi_policy *p = load(names[i], NULL, 0);
		const struct pyi_fs_rule *rule;

		round_trip(p);
		assert_true(p->limits.memory_bytes && p->limits.pids);
		/* Whatever a template grants, it is never these. */
		assert_int_equal(pyi_policy_decide_fs(p, "/etc/shadow", PYI_READ, &rule), PYI_DENY);
		assert_int_equal(pyi_policy_decide_fs(p, "/home/.ssh/id_rsa", PYI_READ, &rule),
				 PYI_DENY);
		assert_int_equal(pyi_policy_decide_fs(p, "/home/ann/x", PYI_READ, &rule), PYI_DENY);
		assert_int_equal(pyi_policy_decide_fs(p, "/usr/bin/python3", PYI_WRITE, &rule),
				 PYI_DENY);
		assert_int_equal(pyi_policy_decide_fs(p, "/usr/bin/python3", PYI_EXEC, &rule), PYI_DENY);
		assert_true(!p->n_net == (strcmp(names[i], "web_scraper") != 0));
	}
	assert_int_equal(pyi_n_templates, PYI_ARRAY_SIZE(names));
}

static void test_digest(void **state)
{
	_cleanup_policy struct pyi_policy *a = parse("version: 1\nfs: [{read: /a}]\n");
	_cleanup_policy struct pyi_policy *b = parse("# same\nversion: 1\nnet: []\nfs:\n - read: //a/\n");
	_cleanup_policy struct pyi_policy *c = parse("version: 1\nfs: [{write: /a}]\n");

	assert_memory_equal(a->digest, b->digest, 32);
	assert_memory_not_equal(a->digest, c->digest, 32);
}

/* A file's name is printed as a comment: it must not end it. */
static void test_hostile_name(void **state)
{
	_cleanup_policy struct pyi_policy *p = NULL;
	_cleanup_buf struct pyi_buf out = PYI_BUF_INIT;
	static const char text[] = "version: 1\nfs: [{read: /a}]\n";
	struct pyi_err err;

	assert_int_equal(
		pyi_policy_parse("x\nfs: [{write: /}] #", text, sizeof(text) - 1, &p, NULL, &err), 0);
	pyi_policy_print(p, true, &out);
	assert_non_null(strstr(out.data, "\"/a\"  # x?fs: [{write: /}] #:2\n"));
}

static void test_many_rules(void **state)
{
	_cleanup_buf struct pyi_buf text = PYI_BUF_INIT;
	_cleanup_errors struct pyi_policy_errors errors = { 0 };
	_cleanup_policy struct pyi_policy *p = NULL;
	struct pyi_err err = { 0 };

	pyi_buf_puts(&text, "version: 1\nimports: [");
	for (int i = 0; i < 5000; i++)
		pyi_buf_printf(&text, "m%d,", i);
	pyi_buf_puts(&text, "]\nfs:\n- read: [");
	for (int i = 0; i < PYI_POLICY_RULES_MAX - 5000; i++)
		pyi_buf_printf(&text, "/%x,", i);
	pyi_buf_puts(&text, "]\n");
	p = parse(text.data);
	assert_int_equal(p->n_fs, PYI_POLICY_RULES_MAX - 5000);
	pyi_policy_free(p);
	p = NULL;
	pyi_buf_puts(&text, "- read: [/x,/y,/z]\n");
	assert_int_not_equal(pyi_policy_parse("p.yml", text.data, text.len, &p, &errors, &err), 0);
	assert_string_equal(err.msg, "p.yml:5: more than 65536 rules");
	assert_int_equal(errors.n, 3);
	pyi_policy_errors_release(&errors);

	/* The list of errors is cut, and says so. */
	text.len = 0;
	pyi_buf_puts(&text, "version: 1\nfs:\n");
	for (int i = 0; i < 500; i++)
		pyi_buf_puts(&text, "- bad\n");
	assert_int_not_equal(pyi_policy_parse("p.yml", text.data, text.len, &p, &errors, &err), 0);
	assert_int_equal(errors.n, 101);
	assert_string_equal(errors.lines[100], "too many errors: the rest is not shown");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_decide_fs),  cmocka_unit_test(test_decide_net),
		cmocka_unit_test(test_round_trip), cmocka_unit_test(test_templates),
		cmocka_unit_test(test_digest),	   cmocka_unit_test(test_hostile_name),
		cmocka_unit_test(test_many_rules),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
