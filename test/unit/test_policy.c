/* SPDX-License-Identifier: MIT */
/* Policies: what is read and what it means, every kind of mistake with its line and words, the printed form, decisions. */
#include <arpa/inet.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/buf.h"
#include "base/err.h"
#include "base/util.h"
#include "policy/policy.h"

static void free_policy(struct pyi_policy **policy)
{
	pyi_policy_free(*policy);
}
#define _cleanup_policy __attribute__((cleanup(free_policy)))
#define _cleanup_errors __attribute__((cleanup(pyi_policy_errors_release)))

static struct pyi_policy *parse(const char *text)
{
	struct pyi_policy *policy = NULL;
	struct pyi_err err = { 0 };

	if (pyi_policy_parse("p.yml", text, strlen(text), &policy, NULL, &err))
		fail_msg("%s\n%s", err.msg, text);
	return policy;
}

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

static const struct pyi_fs_rule *fs_rule(const struct pyi_policy *p, const char *path)
{
	for (size_t i = 0; i < p->n_fs; i++)
		if (strcmp(p->fs[i].path, path) == 0)
			return &p->fs[i];
	fail_msg("no rule for '%s'", path);
	return NULL;
}

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

/* ------------------------------------------------------------------------------------------------------ files */

static char dir[64];

static int make_dir(void **state)
{
	strcpy(dir, "/tmp/pyi-policy-XXXXXX");
	return mkdtemp(dir) && !chdir(dir) ? 0 : -1;
}

static int remove_dir(void **state)
{
	char command[128];

	if (chdir("/"))
		return -1;
	snprintf(command, sizeof(command), "%s/", dir);
	for (const char *const *f =
		     (const char *const[]){ "a.yml", "b.yml", "sub/c.yml", "sub", "fifo.yml",
					    "big.yml", "x[1]/d.yml", "x[1]", "l0.yml", "l1.yml",
					    "l2.yml", "l3.yml", "l4.yml", "l5.yml", "l6.yml",
					    "l7.yml", "l8.yml", NULL };
	     *f; f++) {
		char path[256];

		snprintf(path, sizeof(path), "%s%s", command, *f);
		remove(path);
	}
	return rmdir(dir);
}

static void put(const char *name, const char *text)
{
	FILE *f = fopen(name, "w");

	assert_non_null(f);
	fputs(text, f);
	fclose(f);
}

static struct pyi_policy *load(const char *ref, const struct pyi_policy_flag *flags, size_t n)
{
	struct pyi_policy *p = NULL;
	struct pyi_err err = { 0 };

	if (pyi_policy_load(ref, flags, n, &p, NULL, &err))
		fail_msg("%s", err.msg);
	return p;
}

static void load_fails(const char *ref, const char *want)
{
	_cleanup_policy struct pyi_policy *p = NULL;
	struct pyi_err err = { 0 };

	if (!pyi_policy_load(ref, NULL, 0, &p, NULL, &err))
		fail_msg("'%s' was loaded", ref);
	if (strcmp(err.msg, want) != 0)
		fail_msg("\n got: %s\nwant: %s", err.msg, want);
}

static void test_files(void **state)
{
	char path[128], name[32], text[64];
	const struct pyi_fs_rule *rule;
	_cleanup_policy struct pyi_policy *p = NULL;

	put("a.yml", "version: 1\nfs: [{read: data}, {deny: ./data/x}]\nlimits: {pids: 5}\n");
	assert_int_equal(mkdir("sub", 0755), 0);
	put("sub/c.yml", "version: 1\nextends: ../a.yml\nfs: [{read: ../other}, {write: own}]\n");
	p = load("sub/c.yml", NULL, 0);
	assert_string_equal(p->name, "sub/c.yml");
	assert_int_equal(p->n_fs, 4);
	snprintf(path, sizeof(path), "%s/data", dir);
	assert_string_equal(p->fs[0].path, path);
	assert_string_equal(p->fs[0].from.file, "sub/../a.yml");
	snprintf(path, sizeof(path), "%s/other", dir);
	assert_string_equal(p->fs[2].path, path);
	snprintf(path, sizeof(path), "%s/sub/own", dir);
	assert_string_equal(p->fs[3].path, path);
	assert_int_equal(p->limits.pids, 5);

	/* A directory whose name looks like a pattern is still only a name. */
	assert_int_equal(mkdir("x[1]", 0755), 0);
	put("x[1]/d.yml", "version: 1\nfs: [{read: in}]\n");
	pyi_policy_free(p);
	p = load("x[1]/d.yml", NULL, 0);
	snprintf(path, sizeof(path), "%s/x[1]/in", dir);
	assert_int_equal(pyi_policy_decide_fs(p, path, PYI_READ, &rule), PYI_ALLOW);
	snprintf(path, sizeof(path), "%s/x1/in", dir);
	assert_int_equal(pyi_policy_decide_fs(p, path, PYI_READ, &rule), PYI_DENY);

	load_fails("gone.yml", "cannot open 'gone.yml': No such file or directory");
	load_fails("./sub", "'./sub' is not a regular file");
	assert_int_equal(mkfifo("fifo.yml", 0600), 0);
	load_fails("fifo.yml", "'fifo.yml' is not a regular file");
	load_fails("/dev/zero", "'/dev/zero' is not a regular file");
	load_fails("compute_only", "no template 'compute_only', did you mean 'compute-only'? (a file's "
				   "path has a '/')");
	load_fails("", "no template '' (a file's path has a '/' or ends in .yml)");
	put("big.yml", "version: 1\n");
	assert_int_equal(truncate("big.yml", PYI_POLICY_FILE_MAX + 1), 0);
	load_fails("big.yml", "'big.yml' is larger than 1 MiB: this is not a policy");

	put("a.yml", "version: 1\nextends: b.yml\n");
	put("b.yml", "version: 1\n\nextends: ./a.yml\n");
	load_fails("a.yml", "b.yml:3: 'extends: ./a.yml' goes in a circle");
	put("b.yml", "version: 1\nextends: ./b.yml\n");
	load_fails("b.yml", "b.yml:2: 'extends: ./b.yml' goes in a circle");
	put("b.yml", "version: 1\nextends: defalts\n");
	load_fails("a.yml",
		   "b.yml:2: no template 'defalts', did you mean 'defaults'? (a file's path has a '/')");
	put("b.yml", "version: 1\nextends: gone.yml\n");
	load_fails("a.yml", "b.yml:2: cannot open 'gone.yml': No such file or directory");

	/* Eight documents are taken, nine are not. */
	for (int i = 0; i < 9; i++) {
		snprintf(name, sizeof(name), "l%d.yml", i);
		snprintf(text, sizeof(text),
			 i < 8 ? "version: 1\nextends: l%d.yml\n" : "version: 1\n", i + 1);
		put(name, text);
	}
	pyi_policy_free(p);
	p = load("l1.yml", NULL, 0);
	load_fails("l0.yml", "l7.yml:2: 'extends' goes over more than 8 documents");

	put("a.yml", "version: 0.1\nsandboxes:\n  one: {mem: 64MiB}\n  two: {mem: 128MiB}\n");
	pyi_policy_free(p);
	p = load("a.yml#two", NULL, 0);
	assert_int_equal(p->limits.memory_bytes, 128 << 20);
	load_fails("a.yml#six", "a.yml:3: 'sandboxes' has no 'six'");
	load_fails("l8.yml#six", "l8.yml: there is no 'sandboxes' block to take 'six' from");
}

static void test_errors_of_chain(void **state)
{
	_cleanup_errors struct pyi_policy_errors errors = { 0 };
	_cleanup_policy struct pyi_policy *p = NULL;
	struct pyi_policy_flag flags[] = { { "memory", "lots" }, { "alow-read", "/x" } };
	struct pyi_err err = { 0 };

	put("a.yml", "version: 1\nextends: b.yml\nfs: [{read: a/../b}]\n");
	put("b.yml", "version: 1\nlimits: {pids: many}\n");
	assert_int_equal(pyi_policy_load("./a.yml", flags, 2, &p, &errors, &err), -22);
	assert_int_equal(errors.n, 4);
	assert_string_equal(errors.lines[0], "./b.yml:2: pids: 'many' is not a number");
	assert_string_equal(
		errors.lines[1],
		"./a.yml:3: 'a/../b': '..' may only begin a relative path: write the path without it");
	assert_string_equal(errors.lines[2], "--memory: memory: 'lots' is not a number");
	assert_string_equal(errors.lines[3],
			    "--alow-read: no such flag of a policy, did you mean --allow-read");
}

static void test_flags(void **state)
{
	static const struct pyi_policy_flag flags[] = {
		{ "allow-read", "data" },
		{ "allow-write", "/out/" },
		{ "deny-read", "/out/x" },
		{ "allow-run", "/usr/bin/git" },
		{ "deny-run", "/usr/bin/perl" },
		{ "allow-net", "example.com:443" },
		{ "allow-net", "bind:[::1]:80" },
		{ "allow-net", "udp://8.8.8.8:53" },
		{ "allow-net", "bind:80" },
		{ "deny-net", "10.0.0.0/8" },
		{ "allow-env", "HOME" },
		{ "deny-env", "AWS_*" },
		{ "env", "A=B" },
		{ "memory", "1GiB" },
		{ "memory", "2GiB" },
		{ "cpu", "150%" },
		{ "cpu-time", "3s" },
		{ "timeout", "1.5s" },
		{ "pids", "7" },
		{ "open-files", "99" },
		{ "output", "1kB" },
		{ "tmp", "8MiB" },
	};
	_cleanup_policy struct pyi_policy *p = load(NULL, flags, PYI_ARRAY_SIZE(flags));
	char path[128];

	assert_string_equal(p->name, "flags");
	snprintf(path, sizeof(path), "%s/data", dir);
	assert_string_equal(p->fs[0].path, path);
	assert_string_equal(p->fs[0].from.file, "--allow-read");
	assert_int_equal(p->fs[0].from.line, 0);
	assert_int_equal(fs_rule(p, "/out")->access, PYI_READ | PYI_WRITE);
	assert_int_equal(fs_rule(p, "/out/x")->verdict, PYI_DENY);
	assert_int_equal(fs_rule(p, "/usr/bin/perl")->access, PYI_EXEC);
	assert_ptr_equal(fs_rule(p, "/usr/bin/perl"), &p->fs[p->n_fs - 1]);
	assert_int_equal(p->n_net, 5);
	assert_int_equal(p->net[1].ops, PYI_NET_BIND);
	assert_int_equal(p->net[2].protos, PYI_NET_UDP);
	assert_string_equal(p->net[3].host, "bind"); /* a host of that name, port 80 */
	assert_int_equal(p->net[4].verdict, PYI_DENY);
	assert_true(p->limits.memory_bytes == UINT64_C(2) << 30);
	assert_int_equal(p->limits.cpu_permille, 1500);
	assert_int_equal(p->limits.cpu_time_ms, 3000);
	assert_int_equal(p->limits.wall_time_ms, 1500);
	assert_int_equal(p->limits.pids, 7);
	assert_int_equal(p->limits.open_files, 99);
	assert_int_equal(p->limits.output_bytes, 1000);
	assert_int_equal(p->limits.tmp_bytes, 8 << 20);
	/* What the template says and no flag does stays. */
	assert_string_equal(p->env[0].name, "LANG");

	static const struct {
		struct pyi_policy_flag flag[2];
		const char *want;
	} bad[] = {
		{ { { "allow-run", "git" } },
		  "--allow-run: 'git' has no slash: give the program's path, such as /usr/bin/git" },
		{ { { "allow-read", "" } }, "--allow-read: the path is empty" },
		{ { { "allow-read", "a\xff" } }, "--allow-read: the path 'a\xff' is not UTF-8" },
		{ { { "allow-read", "x/../../y" } },
		  "--allow-read: 'x/../../y': '..' may only begin a relative path: write the path without it" },
		{ { { "deny-net", "bind:1.2.3.4:5" } },
		  "--deny-net: a denied address is denied to bind as well: write it without 'bind:'" },
		{ { { "allow-read", "/a" }, { "deny-write", "/a" } },
		  "--deny-write: '/a' is both allowed (--allow-read) and denied" },
		{ { { "timeout", "5" } }, "--timeout: wall_time: '5' needs a unit, such as '5s'" },
	};

	for (size_t i = 0; i < PYI_ARRAY_SIZE(bad); i++) {
		_cleanup_policy struct pyi_policy *none = NULL;
		struct pyi_err err = { 0 };

		assert_int_not_equal(pyi_policy_load(NULL, bad[i].flag, bad[i].flag[1].name ? 2 : 1,
						     &none, NULL, &err),
				     0);
		assert_string_equal(err.msg, bad[i].want);
	}
}

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
	p = parse("version: 1\nfs:\n  - read: ['/a: b', '/c #d', '/\"q\"', '/\\back', '/\xe2\x80\xa8\xef\xbb\xbf', '/-', "
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
		assert_int_equal(pyi_policy_decide_fs(p, "/root/.ssh/id_rsa", PYI_READ, &rule),
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
		cmocka_unit_test(test_example),
		cmocka_unit_test(test_all_errors),
		cmocka_unit_test(test_not_yaml),
		cmocka_unit_test(test_yaml_extras),
		cmocka_unit_test(test_paths),
		cmocka_unit_test(test_conflicts),
		cmocka_unit_test(test_addresses),
		cmocka_unit_test(test_env_imports_limits),
		cmocka_unit_test(test_old_spellings),
		cmocka_unit_test_setup_teardown(test_files, make_dir, remove_dir),
		cmocka_unit_test_setup_teardown(test_errors_of_chain, make_dir, remove_dir),
		cmocka_unit_test_setup_teardown(test_flags, make_dir, remove_dir),
		cmocka_unit_test(test_decide_fs),
		cmocka_unit_test(test_decide_net),
		cmocka_unit_test(test_round_trip),
		cmocka_unit_test(test_templates),
		cmocka_unit_test(test_digest),
		cmocka_unit_test(test_hostile_name),
		cmocka_unit_test(test_many_rules),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
