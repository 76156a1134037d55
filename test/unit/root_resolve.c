/* SPDX-License-Identifier: MIT */
/* The resolver as root: other people's symlinks, and which file systems take id-mapped mounts. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/err.h"
#include "base/util.h"
#include "kernel/resolve.h"
#include "plan/grants.h"
#include "policy/policy.h"

static char top[] = "/tmp/pyi-resolve-XXXXXX";
static char link_path[PATH_MAX], pattern[PATH_MAX], sys_path[] = "/sys/devices/system/cpu";
static char file_name[] = "p.yml";
static struct pyi_grants grants;
static struct pyi_err err;

static int setup(void **state)
{
	(void)state;
	if (geteuid() != 0) {
		fprintf(stderr, "root is needed\n");
		return -1;
	}
	assert_non_null(mkdtemp(top));
	snprintf(link_path, sizeof(link_path), "%s/theirs", top);
	snprintf(pattern, sizeof(pattern), "%s/the*", top);
	assert_int_equal(symlink("/etc/shadow", link_path), 0);
	assert_int_equal(lchown(link_path, 12345, 12345), 0);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	pyi_grants_release(&grants);
	unlink(link_path);
	rmdir(top);
	return 0;
}

static int resolve(struct pyi_fs_rule *rule, bool want_idmap)
{
	struct pyi_policy policy = { .fs = rule, .n_fs = 1 };

	pyi_grants_release(&grants);
	return pyi_resolve_paths(&policy, NULL, want_idmap ? PYI_IDMAP_TRY : PYI_IDMAP_NONE,
				 &grants, &err);
}

/* Somebody else's link must not decide what is granted. */
static void test_foreign_link(void **state)
{
	struct pyi_fs_rule rule = { .verdict = PYI_ALLOW,
				    .access = PYI_READ,
				    .path = link_path,
				    .from = { file_name, 7, false } };

	(void)state;
	assert_int_equal(resolve(&rule, false), -EPERM);
	assert_non_null(strstr(err.msg, "symlink of user 12345"));
	rule.from.is_template = true;
	assert_int_equal(resolve(&rule, false), 0);
	assert_int_equal(grants.n, 0);
	rule.verdict = PYI_DENY; /* what a template denies is not forgotten */
	assert_int_equal(resolve(&rule, false), -EPERM);
	rule.verdict = PYI_ALLOW;
	rule.from.is_template = false;
	rule.path = pattern;
	rule.is_glob = true;
	assert_int_equal(resolve(&rule, false), 0);
	assert_int_equal(grants.n, 0);
}

static void test_idmap(void **state)
{
	struct pyi_fs_rule rule = {
		.verdict = PYI_ALLOW, .access = PYI_READ, .path = top, .from = { file_name, 7, false }
	};

	(void)state;
	assert_int_equal(resolve(&rule, true), 0);
	assert_int_equal(grants.n, 1);
	assert_true(grants.v[0].can_idmap);
	assert_int_equal(resolve(&rule, false), 0);
	assert_false(grants.v[0].can_idmap);
	rule.path = sys_path; /* sysfs takes none */
	assert_int_equal(resolve(&rule, true), 0);
	assert_int_equal(grants.n, 1);
	assert_false(grants.v[0].can_idmap);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_foreign_link),
		cmocka_unit_test(test_idmap),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
