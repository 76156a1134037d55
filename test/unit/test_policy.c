/* SPDX-License-Identifier: MIT */
/* Policies as text: what is read and what it means, every kind of mistake with its line and its words. */
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

/* Exactly these errors, separated by newlines; the first one is also in err. */
static void refuses_bytes(const char *text, size_t len, const char *want)
{
	_cleanup_errors struct pyi_policy_errors errors = { 0 };
	_cleanup_policy struct pyi_policy *policy = NULL;
	_cleanup_buf struct pyi_buf got = PYI_BUF_INIT;
	struct pyi_err err = { 0 };

	if (!pyi_policy_parse("p.yml", text, len, &policy, &errors, &err))
		fail_msg("accepted:\n%s", text);
	assert_null(policy);
	for (size_t i = 0; i < errors.n; i++)
		pyi_buf_printf(&got, "%s%s", i ? "\n" : "", errors.lines[i]);
	if (strcmp(pyi_buf_str(&got), want) != 0)
		fail_msg("\nfor:\n%.2000s\n got: %s\nwant: %s", text, pyi_buf_str(&got), want);
	assert_int_equal(err.errnum, 22);
	assert_string_equal(err.msg, errors.lines[0]);
}

static void refuses(const char *text, const char *want)
{
	refuses_bytes(text, strlen(text), want);
}

/* A body after `version: 1`, one error in line `line` that holds these words. */
static void refuses_line(const char *body, int line, const char *words)
{
	_cleanup_errors struct pyi_policy_errors errors = { 0 };
	_cleanup_policy struct pyi_policy *policy = NULL;
	_cleanup_free char *text = NULL;
	struct pyi_err err = { 0 };
	char place[32];

	assert_true(asprintf(&text, "version: 1\n%s\n", body) > 0);
	snprintf(place, sizeof(place), "p.yml:%d: ", line);
	if (!pyi_policy_parse("p.yml", text, strlen(text), &policy, &errors, &err))
		fail_msg("accepted:\n%s", text);
	if (errors.n != 1 || strncmp(err.msg, place, strlen(place)) != 0 || !strstr(err.msg, words))
		fail_msg("\nfor:\n%s\n got %zu errors: %s\nwant: %s...%s", text, errors.n, err.msg,
			 place, words);
}

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

static void test_example(void **state)
{
	_cleanup_policy struct pyi_policy *p = parse(example);
	const struct pyi_fs_rule *rule;

	assert_int_equal(p->on_violation, PYI_VIOLATION_KILL);
	rule = fs_rule(p, "/srv/data/*.parquet");
	assert_true(rule->is_glob);
	assert_int_equal(rule->verdict, PYI_ALLOW);
	assert_int_equal(rule->access, PYI_READ);
	assert_string_equal(rule->from.file, "p.yml");
	assert_int_equal(rule->from.line, 5);
	assert_false(rule->from.is_template);
	rule = fs_rule(p, "/srv/data/private");
	assert_false(rule->is_glob);
	assert_int_equal(rule->verdict, PYI_DENY);
	assert_int_equal(rule->access, PYI_READ | PYI_WRITE | PYI_EXEC);
	assert_int_equal(fs_rule(p, "/srv/out/x")->access, PYI_READ | PYI_WRITE);
	assert_int_equal(fs_rule(p, "/usr/bin/git")->access, PYI_READ | PYI_EXEC);
	rule = fs_rule(p, "/usr/share/zoneinfo");
	assert_true(rule->from.is_template);
	assert_string_equal(rule->from.file, "template stdlib.readonly");
	assert_true(rule < fs_rule(p, "/srv/data/private")); /* parents first */

	assert_int_equal(p->n_net, 3);
	assert_string_equal(p->net[0].host, "api.example.com");
	assert_string_equal(p->net[0].text, "API.example.com:443");
	assert_int_equal(p->net[0].ops, PYI_NET_CONNECT);
	assert_int_equal(p->net[0].protos, PYI_NET_TCP);
	assert_int_equal(p->net[1].prefix_len, 112);
	assert_int_equal(p->net[1].ops, PYI_NET_CONNECT | PYI_NET_BIND);
	assert_int_equal(p->net[1].protos, PYI_NET_TCP | PYI_NET_UDP);
	assert_int_equal(p->net[1].port_max, 65535);
	assert_int_equal(p->net[2].ops, PYI_NET_BIND);
	assert_int_equal(p->net[2].port_min, 8080);

	assert_string_equal(p->env[p->n_env - 1].name, "TZ");
	assert_string_equal(p->env[p->n_env - 1].value, "UTC");
	assert_true(p->has_imports);
	assert_int_equal(p->n_imports, 2);
	assert_int_equal(p->limits.memory_bytes, 256 << 20);
	assert_int_equal(p->limits.cpu_permille, 500);
	assert_int_equal(p->limits.cpu_time_ms, 10000);
	assert_int_equal(p->limits.wall_time_ms, 30000);
	assert_int_equal(p->limits.pids, 16);
	assert_int_equal(p->limits.open_files, 64);
	assert_int_equal(p->limits.output_bytes, 10 << 20);
	assert_int_equal(p->limits.tmp_bytes, 64 << 20);
	assert_int_equal(p->n_notes, 0);
}

/* Every mistake of a document is told, each at its place. */
static void test_all_errors(void **state)
{
	refuses("version: 1\n"
		"on_violation: explode\n"
		"fs:\n"
		"  - raed: /a\n"
		"  - read: relative\n"
		"  - read: /x/../y\n"
		"  - /bare\n"
		"net:\n"
		"  - connect: example.com\n"
		"limts: {}\n"
		"limits:\n"
		"  memory: 256MBi\n"
		"  mmeory: 1\n"
		"  pids: 0\n",
		"p.yml:2: on_violation is errno, kill or panic, not 'explode'\n"
		"p.yml:4: unknown key 'raed' in fs, did you mean 'read'?\n"
		"p.yml:5: 'relative' is not an absolute path\n"
		"p.yml:6: '/x/../y': '..' may only begin a relative path: write the path without it\n"
		"p.yml:7: a rule of 'fs' looks like '- read: ...', this is a value\n"
		"p.yml:9: the port is missing: write 'example.com:443', or ':*' for all\n"
		"p.yml:10: unknown key 'limts' in the policy, did you mean 'limits'?\n"
		"p.yml:12: memory: unknown unit 'MBi' in '256MBi', did you mean 'MiB'?\n"
		"p.yml:13: unknown key 'mmeory' in limits, did you mean 'memory'?\n"
		"p.yml:14: pids: '0' is out of range: 1 to 4194304");
}

static void test_not_yaml(void **state)
{
	_cleanup_free char *big = malloc(PYI_POLICY_FILE_MAX + 2);

	refuses("", "p.yml: empty: a policy begins with 'version: 1'");
	refuses("# nothing\n", "p.yml: empty: a policy begins with 'version: 1'");
	refuses("just text\n",
		"p.yml:1: a policy is a map that begins with 'version: 1', this is a value");
	refuses("- a\n", "p.yml:1: a policy is a map that begins with 'version: 1', this is a list");
	refuses("{}", "p.yml:1: 'version: 1' is missing");
	refuses("version: 1\nfs: [\n",
		"p.yml:3: not YAML: did not find expected node content while parsing a flow "
		"node (from line 3)");
	refuses("version: 1\n\tfs: []\n",
		"p.yml:2: not YAML: found a tab character that violates indentation "
		"while scanning a plain scalar (from line 1)");
	refuses("version: 1\n---\nversion: 1\n",
		"p.yml:2: a second document ('---'): a policy is one document");
	refuses_bytes("version: 1\nfs\0: []\n", 19, "p.yml:2: NUL byte: this is not a text file");
	refuses("version: 1\n# caf\xe9\n", "p.yml:2: not UTF-8: byte 0xe9");
	refuses("version: 1\n# \xc0\xaf\n", "p.yml:2: not UTF-8: byte 0xc0");
	refuses("version: 1\n# \xed\xa0\x80\n", "p.yml:2: not UTF-8: byte 0xed");
	refuses("\x7f"
		"ELF\x02\x01\x01",
		"p.yml:1: not YAML: control characters are not allowed");
	refuses("\xff\xfev\0", "p.yml:1: not UTF-8: byte 0xff");
	memset(big, '#', PYI_POLICY_FILE_MAX + 1);
	refuses_bytes(big, PYI_POLICY_FILE_MAX + 1, "p.yml: larger than 1 MiB: this is not a policy");
	memset(big, '[', PYI_POLICY_FILE_MAX);
	refuses_bytes(big, PYI_POLICY_FILE_MAX, "p.yml:1: nested too deeply");
	for (size_t i = 1; i + 1 < PYI_POLICY_FILE_MAX; i += 2)
		memcpy(big + i, "a,", 2);
	refuses_bytes(big, PYI_POLICY_FILE_MAX, "p.yml:1: too many values");
	memset(big, 'a', PYI_POLICY_FILE_MAX);
	refuses_bytes(big, PYI_POLICY_FILE_MAX,
		      "p.yml:1: a policy is a map that begins with 'version: 1', this is a value");
}

static void test_yaml_extras(void **state)
{
	_cleanup_policy struct pyi_policy *bom = NULL;
	struct pyi_err err;

	refuses_line("fs: &rules []", 2, "anchors ('&name') and tags ('!name') are not taken");
	refuses_line("fs: &rules\n  - read: /a\nexec: *rules", 2, "anchors");
	refuses_line("fs: *rules", 2, "aliases ('*name') are not taken");
	refuses_line("limits: {pids: !!int \"3\"}", 2, "tags");
	refuses_line("fs: []\nnet: []\nfs: []", 4, "duplicate key 'fs', first in line 2");
	refuses_line("limits: {pids: 3, memory: 1GiB, pids: 4}", 2, "duplicate key 'pids'");
	refuses_line("? [a]\n: b", 2, "a key is a list");
	refuses_line("fs:\n  - ? {a: b}\n    : c", 3, "a key of 'fs' is a map");
	refuses_line("fs:\n  - read: {a: b}", 3, "'read' needs a value, this is a map");
	refuses_line("fs:\n  - read:", 3, "'read' needs a value, this is nothing");
	refuses_line("fs:\n  - {}", 3, "a rule of 'fs' looks like '- read: ...'");
	refuses_line("fs:\n  - read: /a\n    deny: /b", 4, "a rule of 'fs' has one key");
	refuses_line("fs:", 2, "'fs' needs a list of rules ('[]' for none), this is nothing");
	refuses_line("fs: /srv", 2, "'fs' needs a list of rules ('[]' for none), this is a value");
	refuses_line("limits: 3", 2, "'limits' needs a map");
	refuses_line("imports: math", 2, "'imports' needs a list of modules");
	refuses_line("extends: [a, b]", 2, "'extends' needs a value, this is a list");
	refuses_line("fs:\n  - read: \"/a\\0b\"", 3, "NUL byte");
	refuses("version: 2\n", "p.yml:1: version '2' is not known: this tool reads version 1");
	refuses("fs: []\n", "p.yml:1: 'version: 1' is missing");
	/* A byte order mark in front is what some editors leave. */
	assert_int_equal(pyi_policy_parse("p.yml", "\xef\xbb\xbfversion: 1\n", 14, &bom, NULL, &err), 0);
}

static void test_paths(void **state)
{
	_cleanup_policy struct pyi_policy *p = parse(
		"version: 1\nfs:\n  - read: [/a/./b//c/, /, '/x y/\xc3\xa9', '/g/[!a]/**']\n");

	fs_rule(p, "/a/b/c");
	fs_rule(p, "/");
	fs_rule(p, "/x y/\xc3\xa9");
	assert_true(fs_rule(p, "/g/[!a]/**")->is_glob);
	refuses_line("fs:\n  - read: ''", 3, "the path is empty");
	refuses_line("fs:\n  - read: ~/data", 3, "'~' is not expanded");
	refuses_line("fs:\n  - read: '~'", 3, "'~' is not expanded");
	refuses_line("fs:\n  - read: \"/a\\nb\"", 3, "holds a control character");
	refuses_line("fs:\n  - read: /a/[b", 3, "'[' without ']'");
	refuses_line("fs:\n  - read: /a/***", 3, "'***' means nothing");
	refuses_line("fs:\n  - deny: /..", 3, "'..' may only begin");

	_cleanup_free char *text = malloc(6000);
	int n = sprintf(text, "version: 1\nfs:\n  - read: /");

	memset(text + n, 'a', 5000);
	text[n + 5000] = '\0';
	_cleanup_errors struct pyi_policy_errors errors = { 0 };
	_cleanup_policy struct pyi_policy *none = NULL;
	struct pyi_err err = { 0 };

	assert_int_not_equal(pyi_policy_parse("p.yml", text, strlen(text), &none, &errors, &err), 0);
	assert_non_null(strstr(err.msg, "at most 4095 bytes"));
}

static void test_conflicts(void **state)
{
	refuses_line("fs:\n  - read: /a\n  - read: /b\n  - deny: /a/", 5,
		     "'/a' is both allowed (p.yml:3) and denied");
	refuses_line("fs:\n  - deny: /a\n  - write: /a", 3, "'/a' is both allowed (p.yml:4) and denied");
	refuses_line("fs: [{exec: /bin/x}]\nexec: [{deny: /bin/x}]", 3,
		     "both allowed (p.yml:2) and denied");
	refuses_line("fs:\n  - deny: /u\nexec: [{allow: /u}]", 3, "both allowed (p.yml:4)");
	refuses_line("net:\n  - connect: a.example:443\n  - deny: a.example:443", 4,
		     "'a.example:443' is both allowed");
	refuses_line("net:\n  - connect: udp://10.0.0.1:53\n  - deny: udp://10.0.0.1:53", 4,
		     "is both allowed");
	refuses_line("env: [{pass: A}, {deny: A}]", 2, "'A' is both allowed (p.yml:2) and denied");

	/* A file that may be read and not executed; other protocols; a parent's grant that a child takes back. */
	_cleanup_policy struct pyi_policy *p = parse(
		"version: 1\nextends: write-db\nfs:\n  - read: /u\n"
		"  - deny: /var/lib/pyisolate/db\nexec:\n  - deny: /u\nnet:\n"
		"  - connect: a.example:1\n  - deny: udp://a.example:1\n"
		"  - deny: a.example:2\n");
	const struct pyi_fs_rule *rule;

	assert_int_equal(pyi_policy_decide_fs(p, "/u", PYI_READ, &rule), PYI_ALLOW);
	assert_int_equal(pyi_policy_decide_fs(p, "/u", PYI_EXEC, &rule), PYI_DENY);
	assert_string_equal(rule->path, "/u");
	assert_int_equal(pyi_policy_decide_fs(p, "/var/lib/pyisolate/db/x", PYI_READ, &rule), PYI_DENY);
	assert_int_equal(rule->from.line, 5);
}

static void test_addresses(void **state)
{
	static const struct {
		const char *text, *canonical;
	} good[] = {
		{ "example.com:443", "example.com:443" },
		{ "Example.COM.:443", "example.com:443" },
		{ "my_host:1-65535", "my_host:1-65535" },
		{ "tcp://10.1.2.3:80", "10.1.2.3:80" },
		{ "udp://10.1.2.3:53", "udp://10.1.2.3:53" },
		{ "10.0.0.0/8:*", "10.0.0.0/8:*" },
		{ "0.0.0.0/0:443", "0.0.0.0/0:443" },
		{ "*:443", "*:443" },
		{ "[::1]:443", "[::1]:443" },
		{ "[2001:DB8::]/32:8000-8100", "[2001:db8::]/32:8000-8100" },
		{ "[2001:db8::/32]:1", "[2001:db8::]/32:1" },
		{ "[2000::]/3:443", "[2000::]/3:443" },
		{ "[::ffff:10.1.2.3]:80", "10.1.2.3:80" },
		{ "3com.com:80", "3com.com:80" },
	};
	static const struct {
		const char *text, *words;
	} bad[] = {
		{ "", "is empty" },
		{ "example.com", "the port is missing" },
		{ "[::1]", "the port is missing" },
		{ "::1:443", "stands in brackets" },
		{ "[::1:443", "'[' without ']'" },
		{ "[::1]443", "is not ':PORT'" },
		{ "[fe80::1%eth0]:1", "not an IPv6 address" },
		{ "[::]/0:1", "has IPv4 addresses in it" },
		{ "10.0.0.1/8:1", "did you mean '10.0.0.0/8'?" },
		{ "10.0.0.0/33:1", "out of range: 0 to 32" },
		{ "[2001:db8::1]/64:1", "did you mean '[2001:db8::]/64'?" },
		{ "127.1:80", "not an IPv4 address" },
		{ "0x7f000001:80", "not an IPv4 address" },
		{ "2130706433:80", "not an IPv4 address" },
		{ "010.0.0.1:80", "not an IPv4 address" },
		{ "1.2.3.4.5:80", "not an IPv4 address" },
		{ "*.example.com:443", "take no '*'" },
		{ "https://example.com:443", "only tcp:// and udp://" },
		{ "a..b:1", "neither a host name nor an address" },
		{ ".a:1", "neither a host name nor an address" },
		{ "a b:1", "neither a host name nor an address" },
		{ ":443", "the host is missing" },
		{ "a:0", "port: '0' is out of range" },
		{ "a:65536", "port: '65536' is out of range" },
		{ "a:9-8", "runs backwards" },
		{ "a:https", "port: 'https' is not a number" },
		{ "a:", "port: '' is not a number" },
		{ "example.com/8:1", "is not a prefix" },
	};
	char body[300];

	for (size_t i = 0; i < PYI_ARRAY_SIZE(good); i++) {
		_cleanup_buf struct pyi_buf out = PYI_BUF_INIT;
		_cleanup_policy struct pyi_policy *p = NULL;

		snprintf(body, sizeof(body), "version: 1\nnet:\n  - connect: '%s'\n", good[i].text);
		p = parse(body);
		pyi_policy_print(p, false, &out);
		snprintf(body, sizeof(body), "connect: \"%s\"\n", good[i].canonical);
		if (!strstr(out.data, body))
			fail_msg("'%s' became\n%s", good[i].text, out.data);
	}
	for (size_t i = 0; i < PYI_ARRAY_SIZE(bad); i++) {
		snprintf(body, sizeof(body), "net:\n  - connect: '%s'", bad[i].text);
		refuses_line(body, 3, bad[i].words);
	}
	/* A deny needs no port, and bind may ask for any. */
	_cleanup_policy struct pyi_policy *p = parse(
		"version: 1\nnet: [{deny: 10.0.0.0/8}, {bind: '127.0.0.1:0'}]\n");

	assert_int_equal(p->net[0].port_max, 65535);
	assert_int_equal(p->net[1].port_max, 0);
}

static void test_env_imports_limits(void **state)
{
	_cleanup_policy struct pyi_policy *p = parse(
		"version: 1\nenv: [{pass: 'LC_*'}, {pass: '*'}, {deny: AWS_*}, "
		"{set: \"A=x=y\\n\\tz\"}, {set: B=}]\nimports: []\n");

	assert_string_equal(p->env[0].name, "LC_*");
	assert_string_equal(p->env[3].value, "x=y\n\tz");
	assert_string_equal(p->env[4].value, "");
	assert_true(p->has_imports);
	assert_int_equal(p->n_imports, 0);
	refuses_line("env: [{pass: A=B}]", 2, "not the name of a variable (use 'set' for a value)");
	refuses_line("env: [{pass: A*B}]", 2, "not the name of a variable");
	refuses_line("env: [{set: A}]", 2, "is not NAME=VALUE");
	refuses_line("env: [{set: =B}]", 2, "not the name of a variable");
	refuses_line("env: [{set: 1A=B}]", 2, "not the name of a variable");
	refuses_line("env: [{let: A}]", 2, "unknown key 'let' in env");
	refuses_line("imports: [os.path]", 2, "did you mean 'os'?");
	refuses_line("imports: [a-b]", 2, "not the name of a module");
	refuses_line("limits: {memory: 256}", 2, "is a unit missing");
	refuses_line("limits: {cpu: 10s}", 2, "cpu is a share such as '50%', cpu_time the total");
	refuses_line("limits: {wall_time: 30}", 2, "'30' needs a unit");
	refuses_line("limits: {open_files: 2}", 2, "out of range");
	refuses_line("limits: {numa: 1024}", 2, "out of range");
	refuses_line("limits: {numa: 0-1}", 2, "numa: ");
	refuses_line("limits: {output: 0}", 2, "too small");
	refuses_line("limits: {wall: 3s}", 2, "unknown key 'wall' in limits");
	refuses_line("memory: 1GiB", 2, "'memory' belongs into 'limits: {memory: ...}'");
	refuses_line("cpu: 50%", 2, "'cpu' belongs into 'limits: {cpu: ...}'");
}

static void test_old_spellings(void **state)
{
	_cleanup_policy struct pyi_policy *p = parse("version: 0.1\n"
						     "defaults:\n"
						     "  net: none\n"
						     "  mem: 64MiB\n"
						     "  cpu: 200ms\n"
						     "sandboxes:\n"
						     "  guest:\n"
						     "    fs:\n"
						     "      - allow: \"/srv/data/**/*.csv\"\n"
						     "      - deny: \"/srv/data/private/**\"\n"
						     "    net:\n"
						     "      - connect: [\"127.0.0.1:6379\"]\n"
						     "      - tcp: 10.2.0.1:80\n"
						     "    mem: 128MiB\n");
	static const char *const notes[] = {
		"p.yml:2: what 'defaults' holds now stands at the top level",
		"p.yml:3: 'net: none' is now 'net: []'",
		"p.yml:4: 'mem' is now 'limits: {memory: 64MiB}'",
		"p.yml:5: 'cpu' is now 'limits: {cpu_time: 200ms}'",
		"p.yml:1: 'version: 0.1' is now 'version: 1'",
		"p.yml:7: 'sandboxes' is now a file for each policy: using 'guest'",
		"p.yml:9: 'allow' in 'fs' is now 'write'",
		"p.yml:13: 'tcp' in 'net' is now 'connect'",
		"p.yml:14: 'mem' is now 'limits: {memory: 128MiB}'",
	};

	assert_int_equal(p->n_notes, PYI_ARRAY_SIZE(notes));
	for (size_t i = 0; i < PYI_ARRAY_SIZE(notes); i++)
		assert_string_equal(p->notes[i], notes[i]);
	assert_int_equal(p->limits.memory_bytes, 128 << 20);
	assert_int_equal(p->limits.cpu_time_ms, 200);
	assert_int_equal(fs_rule(p, "/srv/data/**/*.csv")->access, PYI_READ | PYI_WRITE);
	assert_int_equal(p->net[0].port_min, 6379);
	assert_int_equal(p->net[1].ops, PYI_NET_CONNECT);
	pyi_policy_free(p);
	p = parse("version: 1\ncpu_ms: 1500\n");
	assert_int_equal(p->limits.cpu_time_ms, 1500);
	pyi_policy_free(p);
	p = parse("version: 1\nlimits: {mem: 2GiB, cpu_ms: 10}\n");
	assert_true(p->limits.memory_bytes == UINT64_C(2) << 30);

	refuses_line("fs: readonly", 2, "'readonly' is no longer known");
	refuses_line("sandboxes: {a: {}, b: {}}", 2,
		     "has 2 policies: choose one with 'p.yml#NAME', such as '#a'");
	refuses_line("sandboxes: {a: {fs: [{raed: /x}]}}", 2, "did you mean 'read'?");
	refuses_line("sandboxes: {}", 2, "'sandboxes' needs a map of names");
	refuses_line("defaults: []", 2, "'defaults' needs a map, this is a list");
	refuses_line("cpu_ms: lots", 2, "cpu_time: 'lotsms' is not a number");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_example),	      cmocka_unit_test(test_all_errors),
		cmocka_unit_test(test_not_yaml),      cmocka_unit_test(test_yaml_extras),
		cmocka_unit_test(test_paths),	      cmocka_unit_test(test_conflicts),
		cmocka_unit_test(test_addresses),     cmocka_unit_test(test_env_imports_limits),
		cmocka_unit_test(test_old_spellings),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
