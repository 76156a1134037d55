/* SPDX-License-Identifier: MIT */
/* The resolver in a directory of its own, as any user. What only root can try is in root_resolve.c. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/err.h"
#include "base/util.h"
#include "kernel/resolve.h"
#include "plan/grants.h"
#include "plan/plan.h"
#include "policy/policy.h"

static char top[PATH_MAX];
static char file_name[] = "p.yml";
static struct pyi_grants grants;
static struct pyi_err err;

static char *in_top(const char *name)
{
	static char bufs[16][PATH_MAX];
	static unsigned int next;
	char *buf = bufs[next++ % 16];

	snprintf(buf, sizeof(bufs[0]), "%.2000s/%s", top, name);
	return buf;
}

static void make_dir(const char *name)
{
	assert_int_equal(mkdir(in_top(name), 0755), 0);
}

static void make_file(const char *name)
{
	int fd = open(in_top(name), O_CREAT | O_WRONLY | O_CLOEXEC, 0644);

	assert_true(fd >= 0);
	close(fd);
}

static void make_link(const char *target, const char *name)
{
	assert_int_equal(symlink(target, in_top(name)), 0);
}

static int setup(void **state)
{
	char dir[] = "/tmp/pyi-resolve-XXXXXX";

	(void)state;
	assert_non_null(mkdtemp(dir));
	assert_non_null(realpath(dir, top));
	make_dir("d");
	make_dir("d/sub");
	make_dir("d/sub/deep");
	make_file("d/a.txt");
	make_file("d/b.txt");
	make_file("d/.hidden.txt");
	make_file("d/c.csv");
	make_file("d/sub/e.txt");
	make_file("d/sub/deep/f.txt");
	make_link("d", "rel");
	make_link(in_top("d/sub"), "abs");
	make_link("rel/sub", "chain");
	make_link("d/sub/../a.txt", "climb");
	make_link("../d/a.txt", "d/up");
	make_link("loop2", "loop1");
	make_link("loop1", "loop2");
	make_link("nowhere", "dangling");
	make_link("../../..", "d/sub/out");
	assert_int_equal(mkfifo(in_top("fifo"), 0600), 0);
	return 0;
}

static int teardown(void **state)
{
	pid_t pid = fork();

	(void)state;
	if (!pid) {
		execl("/bin/rm", "rm", "-rf", top, (char *)NULL);
		_exit(1);
	}
	waitpid(pid, NULL, 0);
	return 0;
}

static struct pyi_fs_rule rule(unsigned int access, char *path)
{
	return (struct pyi_fs_rule){ .verdict = access ? PYI_ALLOW : PYI_DENY,
				     .access = access ? access : PYI_READ | PYI_WRITE | PYI_EXEC,
				     .path = path,
				     .is_glob = path[strcspn(path, "*?[")],
				     .from = { file_name, 7, false } };
}

static int resolve(struct pyi_fs_rule *rules, size_t n)
{
	struct pyi_policy policy = { .fs = rules, .n_fs = n };

	pyi_grants_release(&grants);
	memset(&err, 0, sizeof(err));
	return pyi_resolve_paths(&policy, NULL, PYI_IDMAP_NONE, &grants, &err);
}

static int resolve_one(unsigned int access, char *path)
{
	static struct pyi_fs_rule r;

	r = rule(access, path);
	return resolve(&r, 1);
}

static void assert_grant(size_t i, const char *path, enum pyi_path_kind kind)
{
	assert_true(i < grants.n);
	assert_string_equal(grants.v[i].path, path);
	assert_int_equal(grants.v[i].kind, kind);
}

static void assert_link(size_t i, const char *path, const char *target)
{
	assert_true(i < grants.n_links);
	assert_string_equal(grants.links[i].path, path);
	assert_string_equal(grants.links[i].target, target);
}

static void test_plain(void **state)
{
	(void)state;
	assert_int_equal(resolve_one(PYI_READ, in_top("d/a.txt")), 0);
	assert_int_equal(grants.n, 1);
	assert_grant(0, in_top("d/a.txt"), PYI_PATH_FILE);
	assert_true(grants.v[0].exact);
	assert_int_equal(grants.n_links, 0);
	assert_int_equal(resolve_one(PYI_READ, in_top("d")), 0);
	assert_grant(0, in_top("d"), PYI_PATH_DIR);
	assert_int_equal(resolve_one(PYI_READ, in_top("fifo")), 0);
	assert_grant(0, in_top("fifo"), PYI_PATH_OTHER);
	assert_int_equal(resolve_one(PYI_READ, strcpy(in_top(""), "/")), 0);
	assert_grant(0, "/", PYI_PATH_DIR);
}

static void test_links(void **state)
{
	(void)state;
	assert_int_equal(resolve_one(PYI_READ, in_top("rel/a.txt")), 0);
	assert_grant(0, in_top("d/a.txt"), PYI_PATH_FILE);
	assert_int_equal(grants.n_links, 1);
	assert_link(0, in_top("rel"), "d");

	assert_int_equal(resolve_one(PYI_READ, in_top("abs/e.txt")), 0);
	assert_grant(0, in_top("d/sub/e.txt"), PYI_PATH_FILE);
	assert_link(0, in_top("abs"), in_top("d/sub"));

	assert_int_equal(resolve_one(PYI_READ, in_top("chain/e.txt")), 0);
	assert_grant(0, in_top("d/sub/e.txt"), PYI_PATH_FILE);
	assert_int_equal(grants.n_links, 2);
	assert_link(0, in_top("chain"), "rel/sub");
	assert_link(1, in_top("rel"), "d");

	/* a target that leaves what it entered is made to work without it */
	assert_int_equal(resolve_one(PYI_READ, in_top("climb")), 0);
	assert_grant(0, in_top("d/a.txt"), PYI_PATH_FILE);
	assert_link(0, in_top("climb"), in_top("d/a.txt"));
	assert_int_equal(resolve_one(PYI_READ, in_top("d/up")), 0);
	assert_grant(0, in_top("d/a.txt"), PYI_PATH_FILE);
	assert_link(0, in_top("d/up"), "../d/a.txt");

	assert_int_equal(resolve_one(PYI_READ, in_top("loop1")), -ELOOP);
	assert_non_null(strstr(err.msg, "p.yml:7: "));
	assert_int_equal(resolve_one(PYI_READ, in_top("dangling")), -ENOENT);
	assert_int_equal(resolve_one(PYI_READ, in_top("d/a.txt/x")), -ENOTDIR);
}

static void test_missing(void **state)
{
	struct pyi_fs_rule r = rule(PYI_READ, in_top("d/none"));
	struct stat st;

	(void)state;
	assert_int_equal(resolve(&r, 1), -ENOENT);
	assert_non_null(strstr(err.msg, "p.yml:7: "));
	assert_non_null(strstr(err.msg, "d/none' does not exist"));
	r.from.is_template = true;
	assert_int_equal(resolve(&r, 1), 0);
	assert_int_equal(grants.n, 0);

	assert_int_equal(resolve_one(0, in_top("rel/none/x")), 0); /* deny */
	assert_grant(0, in_top("d/none/x"), PYI_PATH_MISSING);
	assert_int_equal(grants.n_links, 0);

	assert_int_equal(resolve_one(PYI_READ | PYI_WRITE, in_top("rel/new")), 0);
	assert_grant(0, in_top("d/new"), PYI_PATH_FILE);
	assert_true(grants.v[0].was_made);
	assert_int_equal(stat(in_top("d/new"), &st), 0);
	assert_int_equal(st.st_mode & 07000, 0);
	pyi_resolve_undo(&grants);
	assert_int_equal(stat(in_top("d/new"), &st), -1);

	/* what has been written to is not taken back */
	assert_int_equal(resolve_one(PYI_READ | PYI_WRITE, in_top("d/new")), 0);
	assert_int_equal(truncate(in_top("d/new"), 1), 0);
	pyi_resolve_undo(&grants);
	assert_int_equal(stat(in_top("d/new"), &st), 0);
	assert_int_equal(resolve_one(PYI_READ | PYI_WRITE, in_top("d/new")), 0);
	assert_false(grants.v[0].was_made);
	unlink(in_top("d/new"));

	assert_int_equal(resolve_one(PYI_READ | PYI_WRITE, in_top("d/none/new")), -ENOENT);
	/* through a dangling link: where it points to */
	assert_int_equal(resolve_one(PYI_READ | PYI_WRITE, in_top("dangling")), 0);
	assert_grant(0, in_top("nowhere"), PYI_PATH_FILE);
	pyi_resolve_undo(&grants);

	/* a later error takes back what an earlier rule made */
	struct pyi_fs_rule two[2] = { rule(PYI_READ | PYI_WRITE, in_top("d/new")),
				      rule(PYI_READ, in_top("no")) };

	assert_int_equal(resolve(two, 2), -ENOENT);
	assert_int_equal(stat(in_top("d/new"), &st), -1);
}

static void test_globs(void **state)
{
	(void)state;
	assert_int_equal(resolve_one(PYI_READ, in_top("d/*.txt")), 0);
	assert_int_equal(grants.n, 3);
	assert_grant(0, in_top("d/.hidden.txt"), PYI_PATH_FILE);
	assert_grant(1, in_top("d/a.txt"), PYI_PATH_FILE);
	assert_grant(2, in_top("d/b.txt"), PYI_PATH_FILE);
	assert_false(grants.v[0].exact);

	assert_int_equal(resolve_one(PYI_READ, in_top("re?/[ab].txt")), 0);
	assert_int_equal(grants.n, 2);
	assert_grant(0, in_top("d/a.txt"), PYI_PATH_FILE);
	assert_link(0, in_top("rel"), "d");

	assert_int_equal(resolve_one(PYI_READ, in_top("d/**/*.txt")), 0);
	assert_int_equal(grants.n, 5);
	assert_grant(3, in_top("d/sub/deep/f.txt"), PYI_PATH_FILE);
	assert_grant(4, in_top("d/sub/e.txt"), PYI_PATH_FILE);

	assert_int_equal(resolve_one(PYI_READ, in_top("d/*/deep")), 0);
	assert_int_equal(grants.n, 1);
	assert_grant(0, in_top("d/sub/deep"), PYI_PATH_DIR);
	assert_int_equal(resolve_one(PYI_READ, in_top("d/*/deep/nope")), 0);
	assert_int_equal(grants.n, 0);

	/* one file by two names is one grant */
	assert_int_equal(resolve_one(PYI_READ, in_top("d/[au]*")), 0);
	assert_int_equal(grants.n, 1);
	assert_grant(0, in_top("d/a.txt"), PYI_PATH_FILE);

	/* links that lead nowhere or round and round are no matches; the fixed part must exist */
	assert_int_equal(resolve_one(PYI_READ, in_top("loop*")), 0);
	assert_int_equal(grants.n, 0);
	assert_int_equal(resolve_one(PYI_READ, in_top("no/*.txt")), -ENOENT);
	assert_int_equal(resolve_one(0, in_top("no/*.txt")), 0);
	assert_int_equal(resolve_one(0, in_top("d/**/f.txt")), 0);
	assert_grant(0, in_top("d/sub/deep/f.txt"), PYI_PATH_FILE);
	assert_int_equal(grants.v[0].verdict, PYI_DENY);
}

static void test_caps(void **state)
{
	char name[64];

	(void)state;
	make_dir("many");
	for (unsigned int i = 0; i < 4097; i++) {
		snprintf(name, sizeof(name), "many/%u", i);
		make_file(name);
	}
	assert_int_equal(resolve_one(PYI_READ, in_top("many/*")), -E2BIG);
	assert_non_null(strstr(err.msg, "p.yml:7: "));
	assert_non_null(strstr(err.msg, "4096"));
	assert_int_equal(unlink(in_top("many/4096")), 0);
	assert_int_equal(resolve_one(PYI_READ, in_top("many/*")), 0);
	assert_int_equal(grants.n, 4096);

	strcpy(name, "n");
	make_dir(name);
	for (unsigned int i = 0; i < 28; i++)
		make_dir(strcat(name, "/n"));
	assert_int_equal(resolve_one(PYI_READ, in_top("n/**/x")), 0);
	assert_int_equal(grants.n, 0);
	assert_int_equal(rename(in_top("n"), in_top("m")), 0);
	strcpy(name, "n");
	make_dir(name);
	for (unsigned int i = 0; i < 28; i++)
		make_dir(strcat(name, "/n"));
	assert_int_equal(rename(in_top("m"), in_top(strcat(name, "/m"))), 0);
	strcpy(name, "o");
	make_dir(name);
	for (unsigned int i = 0; i < 28; i++)
		make_dir(strcat(name, "/o"));
	assert_int_equal(rename(in_top("n"), in_top(strcat(name, "/n"))), 0);
	assert_int_equal(resolve_one(PYI_READ, in_top("o/**/x")), -E2BIG);
}

static void test_order(void **state)
{
	struct pyi_fs_rule rules[] = {
		rule(PYI_READ, in_top("d/sub/e.txt")),
		rule(PYI_READ, in_top("d/sub")),
		rule(PYI_READ, in_top("d/a.txt")),
		rule(PYI_READ | PYI_EXEC, in_top("d")),
		rule(0, in_top("d/sub-")),
		rule(PYI_READ, in_top("d")),
	};

	(void)state;
	assert_int_equal(resolve(rules, PYI_ARRAY_SIZE(rules)), 0);
	assert_int_equal(grants.n, 6);
	assert_grant(0, in_top("d"), PYI_PATH_DIR);
	assert_ptr_equal(grants.v[0].rule, &rules[3]);
	assert_ptr_equal(grants.v[1].rule, &rules[5]);
	assert_grant(2, in_top("d/a.txt"), PYI_PATH_FILE);
	assert_grant(3, in_top("d/sub"), PYI_PATH_DIR);
	assert_grant(4, in_top("d/sub/e.txt"), PYI_PATH_FILE);
	assert_grant(5, in_top("d/sub-"), PYI_PATH_MISSING);
}

static void test_never(void **state)
{
	static const struct {
		const char *path;
		unsigned int access;
		int want;
	} cases[] = {
		{ "/proc", PYI_READ, -EPERM },
		{ "/proc/self/mem", PYI_READ, -EPERM },
		{ "/proc/*/environ", PYI_READ, 0 },
		{ "/sys/devices/system/cpu", PYI_READ, 0 },
		{ "/sys/devices/system/cpu", PYI_READ | PYI_WRITE, -EPERM },
		{ "/sys/kernel", PYI_READ | PYI_EXEC, -EPERM },
	};

	(void)state;
	for (size_t i = 0; i < PYI_ARRAY_SIZE(cases); i++) {
		char *path = strcpy(in_top(""), cases[i].path);

		assert_int_equal(resolve_one(cases[i].access, path), cases[i].want);
		if (cases[i].want)
			assert_non_null(strstr(err.msg, "cannot be granted"));
		else if (path[1] == 'p')
			assert_int_equal(grants.n, 0);
	}
	assert_int_equal(resolve_one(PYI_READ | PYI_WRITE, strcpy(in_top(""), "/dev/null")), 0);
	assert_int_equal(grants.n, 0);
	assert_int_equal(resolve_one(PYI_READ, strcpy(in_top(""), "/dev/tty")), -EPERM);
}

/* A file by its descriptor: the file itself, and none of the links of the host's /proc. */
static void test_descriptor(void **state)
{
	char path[64];
	int fd = open(in_top("d/a.txt"), O_RDONLY | O_CLOEXEC);

	(void)state;
	assert_true(fd >= 0);
	snprintf(path, sizeof(path), "/dev/fd/%d", fd);
	assert_int_equal(resolve_one(PYI_READ, path), 0);
	assert_int_equal(grants.n, 1);
	assert_grant(0, in_top("d/a.txt"), PYI_PATH_FILE);
	assert_int_equal(grants.n_links, 0);
	close(fd);
}

static void test_extra(void **state)
{
	const char *extra[] = { in_top("d"), in_top("none"), in_top("abs"), in_top("loop1"), NULL };
	struct pyi_policy policy = { 0 };

	(void)state;
	pyi_grants_release(&grants);
	assert_int_equal(pyi_resolve_paths(&policy, extra, PYI_IDMAP_TRY, &grants, &err), 0);
	assert_int_equal(grants.n, 2);
	assert_grant(0, in_top("d"), PYI_PATH_DIR);
	assert_grant(1, in_top("d/sub"), PYI_PATH_DIR);
	assert_int_equal(grants.v[0].access, PYI_READ | PYI_EXEC);
	assert_null(grants.v[0].rule);
	assert_false(grants.v[0].can_idmap);
	assert_link(0, in_top("abs"), in_top("d/sub"));
}

static struct pyi_net_rule net_rule(char *host)
{
	return (struct pyi_net_rule){ .verdict = PYI_ALLOW, .host = host, .from = { file_name, 9, false } };
}

static void test_names(void **state)
{
	static char localhost[] = "localhost", numeric[] = "127.0.0.1", none[] = "no-such-name.invalid";
	struct pyi_net_rule rules[] = { net_rule(localhost), net_rule(NULL), net_rule(localhost),
					net_rule(numeric) };
	struct pyi_policy policy = { .net = rules, .n_net = 4 };
	static const uint8_t v4[16] = { [10] = 0xff, [11] = 0xff, [12] = 127, [15] = 1 };
	static const uint8_t v6[16] = { [15] = 1 };
	struct pyi_names names = { 0 };
	unsigned int seen = 0;

	(void)state;
	assert_int_equal(pyi_resolve_names(&policy, &names, &err), 0);
	assert_int_equal(names.n, 2);
	assert_string_equal(names.v[0].name, "localhost");
	for (size_t i = 0; i < names.v[0].n_addrs; i++)
		seen += !memcmp(names.v[0].addrs[i], v4, 16) || !memcmp(names.v[0].addrs[i], v6, 16);
	assert_true(seen >= 1 && seen == names.v[0].n_addrs);
	assert_int_equal(names.v[1].n_addrs, 1);
	assert_memory_equal(names.v[1].addrs[0], v4, 16);
	pyi_names_release(&names);

	rules[2].host = none;
	assert_true(pyi_resolve_names(&policy, &names, &err) < 0);
	assert_non_null(strstr(err.msg, "p.yml:9: "));
	assert_non_null(strstr(err.msg, none));
	assert_int_equal(names.n, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_plain),	cmocka_unit_test(test_links),
		cmocka_unit_test(test_missing), cmocka_unit_test(test_globs),
		cmocka_unit_test(test_caps),	cmocka_unit_test(test_order),
		cmocka_unit_test(test_never),	cmocka_unit_test(test_descriptor),
		cmocka_unit_test(test_extra),	cmocka_unit_test(test_names),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
