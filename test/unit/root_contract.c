/* SPDX-License-Identifier: MIT */
/*
 * Contracts about files and programs on the real kernel, as root: the LSM programs count, and deny what would break
 * one. Each refusal has a twin that is let through. Skips where the kernel takes no LSM programs.
 */
#include "contract_fixture.h"

static int three_opens(const void *arg)
{
	if (do_open("r/file", O_RDONLY) || do_open("r/file", O_RDONLY))
		return 1;
	return do_open("r/file", O_RDONLY);
}

static void opens_are_counted(void **state)
{
	struct box box;

	open_contract_box(&box, "fs.opens <= 2");
	assert_int_equal(inside(&box, three_opens, NULL), EPERM);
	close_contract_box(&box, 1, PYI_EV_OPEN, 2);
	open_contract_box(&box, "fs.opens <= 3");
	assert_int_equal(inside(&box, three_opens, NULL), 0);
	close_contract_box(&box, 0, PYI_EV_OPEN, 3);
}

static int read_and_write(const void *arg)
{
	if (do_open("w/file", O_RDONLY) || do_open("w/file", O_RDWR))
		return 1;
	return do_open("w/file", O_WRONLY);
}

static void writes_are_counted(void **state)
{
	struct box box;

	open_contract_box(&box, "fs.writes <= 1");
	assert_int_equal(inside(&box, read_and_write, NULL), EPERM);
	close_contract_box(&box, 1, PYI_EV_WRITE, 1);
}

static int make_and_remove(const void *arg)
{
	char from[PATH_MAX], to[PATH_MAX], dir[PATH_MAX];

	at_top("w/new", from);
	at_top("w/newer", to);
	at_top("w/newdir", dir);
	if (do_open("w/new", O_CREAT | O_EXCL | O_WRONLY) || rename(from, to) < 0)
		return 1;
	return mkdir(dir, 0700) < 0 ? errno : 0;
}

static void names_are_counted(void **state)
{
	struct box box;

	open_contract_box(&box, "fs.creates <= 2");
	assert_int_equal(inside(&box, make_and_remove, NULL), EPERM);
	close_contract_box(&box, 1, PYI_EV_CREATE, 2);
	open_contract_box(&box, "fs.creates <= 3 and fs.deletes <= 1");
	assert_int_equal(inside(&box, make_and_remove, NULL), 0);
	close_contract_box(&box, 0, PYI_EV_CREATE, 3);
	open_contract_box(&box, "fs.deletes == 0");
	assert_int_equal(inside(&box, make_and_remove, NULL), 1);
	close_contract_box(&box, 1, PYI_EV_DELETE, 0);
}

static int denied_then_allowed(const void *arg)
{
	if (do_open("hidden/file", O_RDONLY) != EPERM)
		return 1;
	return do_open("r/file", O_RDONLY);
}

static void refusals_are_counted(void **state)
{
	struct box box;

	open_contract_box(&box, "fs.denied <= 1");
	assert_int_equal(inside(&box, denied_then_allowed, NULL), 0);
	assert_int_equal(inside(&box, denied_then_allowed, NULL), EPERM);
	close_contract_box(&box, 2, PYI_EV_FS_DENIED, 2);
}

static int run_twice(const void *arg)
{
	char path[PATH_MAX], *const argv[] = { path, NULL };
	int code = 0;

	at_top("x/true", path);
	for (int i = 0; i < 2; i++) {
		pid_t pid = vfork();

		if (pid == 0) {
			execv(path, argv);
			_exit(errno);
		}
		code = wait_code(pid);
	}
	return code;
}

static void programs_are_counted(void **state)
{
	struct box box;

	open_contract_box(&box, "exec.count <= 1");
	assert_int_equal(inside(&box, run_twice, NULL), EPERM);
	close_contract_box(&box, 1, PYI_EV_EXEC, 1);
	open_contract_box(&box, "exec.count <= 2");
	assert_int_equal(inside(&box, run_twice, NULL), 0);
	close_contract_box(&box, 0, PYI_EV_EXEC, 2);
}

static int open_many(const void *arg)
{
	int made = 0;

	for (int i = 0; i < 50; i++)
		made += do_open("r/file", O_RDONLY) == 0;
	return made;
}

static int open_from_four(const void *arg)
{
	pid_t pids[4];
	int made = 0;

	for (int i = 0; i < 4; i++) {
		pids[i] = fork();
		if (pids[i] == 0)
			_exit(open_many(NULL));
	}
	for (int i = 0; i < 4; i++)
		made += wait_code(pids[i]);
	return made;
}

static void exactly_as_many_get_through(void **state)
{
	struct box box;

	open_contract_box(&box, "fs.opens <= 90");
	assert_int_equal(inside(&box, open_from_four, NULL), 90);
	close_box(&box);
	pyi_policy_free(policy);
}

/* ------------------------------------------------------------------------------------------------- by path */

static int two_in_r_one_in_w(const void *arg)
{
	int last;

	if (do_open("r/file", O_RDONLY) || do_open("w/file", O_RDONLY))
		return 1;
	last = do_open("r/file", O_RDONLY);
	return do_open("w/file", O_RDONLY) ? 2 : last;
}

/* What is elsewhere is not counted, and goes on after the contract is broken. */
static void opens_are_counted_by_path(void **state)
{
	struct box box;

	open_contract_box(&box, "fs.opens(\"@/r/**\") <= 1");
	assert_int_equal(inside(&box, two_in_r_one_in_w, NULL), EPERM);
	close_contract_box(&box, 1, PYI_VALUE_SLOTS, 1);
	open_contract_box(&box, "fs.opens(\"@/r\") == 0");
	assert_int_equal(inside(&box, two_in_r_one_in_w, NULL), 1);
	close_contract_box(&box, 1, PYI_EV_OPEN, 0);
	open_contract_box(&box, "fs.opens(\"@/*/f[i]le\") <= 4 and fs.opens(\"@/elsewhere\") == 0");
	assert_int_equal(inside(&box, two_in_r_one_in_w, NULL), 0);
	close_contract_box(&box, 0, PYI_EV_OPEN, 4);
}

/* Several patterns that match the same path each count it. */
static void patterns_overlap(void **state)
{
	struct box box;

	open_contract_box(&box, "fs.opens(\"@/**\") + fs.opens(\"@/r/*\") <= 5");
	assert_int_equal(inside(&box, two_in_r_one_in_w, NULL), 2);
	close_contract_box(&box, 1, PYI_VALUE_SLOTS, 3);
}

static int write_some(const void *arg)
{
	if (do_open("w/file", O_RDONLY) || do_open("w/file", O_WRONLY))
		return 1;
	return do_open("w/file", O_RDWR);
}

static void writes_are_counted_by_path(void **state)
{
	struct box box;

	open_contract_box(&box, "fs.writes(\"@/w/**\") <= 1");
	assert_int_equal(inside(&box, write_some, NULL), EPERM);
	close_contract_box(&box, 1, PYI_VALUE_SLOTS, 1);
}

/* A rename makes one name and removes another: each is counted as what it is. */
static int rename_there(const void *arg)
{
	char from[PATH_MAX], to[PATH_MAX];

	if (do_open("w/a.tmp", O_CREAT | O_EXCL | O_WRONLY))
		return 1;
	at_top("w/a.tmp", from);
	at_top("w/a.done", to);
	if (rename(from, to) < 0)
		return errno;
	return unlink(to) < 0 ? errno + 100 : 0;
}

static void names_are_counted_by_path(void **state)
{
	struct box box;

	open_contract_box(&box, "fs.creates(\"@/w/*.done\") == 0");
	assert_int_equal(inside(&box, rename_there, NULL), EPERM);
	close_contract_box(&box, 1, PYI_EV_CREATE, 1);
	open_contract_box(&box, "fs.deletes(\"@/w/*.tmp\") == 0");
	assert_int_equal(inside(&box, rename_there, NULL), EPERM);
	close_contract_box(&box, 1, PYI_EV_DELETE, 0);
	open_contract_box(&box, "fs.deletes(\"@/w/*.done\") == 0");
	assert_int_equal(inside(&box, rename_there, NULL), EPERM + 100);
	close_contract_box(&box, 1, PYI_EV_DELETE, 1);
	open_contract_box(&box, "fs.creates(\"@/w/*.tmp\") <= 1 and fs.creates(\"@/w/*.done\") <= 1 and "
				"fs.deletes(\"@/w/*.tmp\") <= 1 and fs.deletes(\"@/w/*.done\") <= 1");
	assert_int_equal(inside(&box, rename_there, NULL), 0);
	close_contract_box(&box, 0, PYI_EV_DELETE, 2);
}

static int link_there(const void *arg)
{
	char from[PATH_MAX], to[PATH_MAX];

	at_top("w/file", from);
	at_top("w/second", to);
	if (link(from, to) < 0)
		return errno;
	return unlink(to) < 0 ? 1 : 0;
}

static void links_count_as_the_new_name(void **state)
{
	struct box box;

	open_contract_box(&box, "fs.creates(\"@/w/file\") == 0");
	assert_int_equal(inside(&box, link_there, NULL), 0);
	close_contract_box(&box, 0, PYI_EV_CREATE, 1);
	open_contract_box(&box, "fs.creates(\"@/w/second\") == 0");
	assert_int_equal(inside(&box, link_there, NULL), EPERM);
	close_contract_box(&box, 1, PYI_EV_CREATE, 0);
}

static void programs_are_counted_by_path(void **state)
{
	struct box box;

	open_contract_box(&box, "exec.count(\"@/x/true\") <= 1");
	assert_int_equal(inside(&box, run_twice, NULL), EPERM);
	close_contract_box(&box, 1, PYI_VALUE_SLOTS, 1);
	open_contract_box(&box, "exec.count(\"@/w/**\") == 0");
	assert_int_equal(inside(&box, run_twice, NULL), 0);
	close_contract_box(&box, 0, PYI_EV_EXEC, 2);
}

/* A refused path is counted where a pattern has it, though no rule does. */
static void refusals_are_counted_by_path(void **state)
{
	struct box box;

	open_contract_box(&box, "fs.denied(\"@/hidden/**\") <= 1");
	assert_int_equal(inside(&box, denied_then_allowed, NULL), 0);
	assert_int_equal(inside(&box, denied_then_allowed, NULL), EPERM);
	close_contract_box(&box, 2, PYI_VALUE_SLOTS, 2);
	open_contract_box(&box, "fs.denied(\"@/r/**\") == 0");
	assert_int_equal(inside(&box, denied_then_allowed, NULL), 0);
	close_contract_box(&box, 0, PYI_VALUE_SLOTS, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(opens_are_counted),
		cmocka_unit_test(writes_are_counted),
		cmocka_unit_test(names_are_counted),
		cmocka_unit_test(refusals_are_counted),
		cmocka_unit_test(programs_are_counted),
		cmocka_unit_test(exactly_as_many_get_through),
		cmocka_unit_test(opens_are_counted_by_path),
		cmocka_unit_test(patterns_overlap),
		cmocka_unit_test(writes_are_counted_by_path),
		cmocka_unit_test(names_are_counted_by_path),
		cmocka_unit_test(links_count_as_the_new_name),
		cmocka_unit_test(programs_are_counted_by_path),
		cmocka_unit_test(refusals_are_counted_by_path),
	};

	return cmocka_run_group_tests(tests, set_up_lsm, tear_down_lsm);
}
