/* SPDX-License-Identifier: MIT */
/* Policies as files: chains of extends, relative paths, what is no file; and flags as the last document. */
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
#include "test/unit/policy_helper.h"

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
		{ "net-bytes", "10MiB" },
		{ "net-rate", "64KiB/s" },
		{ "numa", "0" },
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
	assert_int_equal(p->limits.net_bytes, 10 << 20);
	assert_int_equal(p->limits.net_rate, 64 << 10);
	assert_int_equal(p->limits.numa, 1);
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

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_files, make_dir, remove_dir),
		cmocka_unit_test_setup_teardown(test_errors_of_chain, make_dir, remove_dir),
		cmocka_unit_test_setup_teardown(test_flags, make_dir, remove_dir),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
