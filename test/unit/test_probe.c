/* SPDX-License-Identifier: MIT */
/* The facts an ordinary user finds, with system calls taken away one at a time. */
#include "probe_fixture.h"

static void need_user(void)
{
	if (geteuid() == 0) {
		print_message("for an ordinary user; root has root_probe\n");
		skip();
	}
}

static void each_denied_call_is_noticed(void **state)
{
	static const struct denied table[] = {
		{ "clone3", SYS_clone3, -1, ENOSYS, FACT(namespaces), FACT(landlock) },
		{ "clone3", SYS_clone3, -1, EPERM, FACT(userns), FACT(seccomp) },
		{ "pivot_root", SYS_pivot_root, -1, EPERM, FACT(namespaces), FACT(userns) },
		{ "umount2", SYS_umount2, -1, EPERM, FACT(namespaces), FACT(userns) },
		{ "fsopen", SYS_fsopen, -1, EPERM, FACT(mount_api), FACT(namespaces) },
		{ "fsconfig", SYS_fsconfig, -1, EPERM, FACT(mount_api), FACT(namespaces) },
		{ "fsmount", SYS_fsmount, -1, ENOSYS, FACT(mount_api), FACT(namespaces) },
		{ "open_tree", SYS_open_tree, -1, ENOSYS, FACT(mount_api), FACT(namespaces) },
		{ "move_mount", SYS_move_mount, -1, ENOSYS, FACT(mount_api), FACT(namespaces) },
		{ "mount_setattr", SYS_mount_setattr, -1, ENOSYS, FACT(mount_api), FACT(namespaces) },
		{ "landlock_create_ruleset", SYS_landlock_create_ruleset, -1, ENOSYS,
		  FACT(landlock), FACT(seccomp) },
		{ "landlock_add_rule", SYS_landlock_add_rule, -1, EPERM, FACT(landlock),
		  FACT(namespaces) },
		{ "landlock_restrict_self", SYS_landlock_restrict_self, -1, EPERM, FACT(landlock),
		  FACT(namespaces) },
		{ "seccomp", SYS_seccomp, -1, EPERM, FACT(seccomp), FACT(landlock) },
		{ "seccomp", SYS_seccomp, SECCOMP_SET_MODE_FILTER, ENOSYS, FACT(seccomp), FACT(mdwe) },
		{ "PR_SET_MDWE", SYS_prctl, 65, EINVAL, FACT(mdwe), FACT(seccomp) },
		{ "PR_GET_MDWE", SYS_prctl, 66, EINVAL, FACT(mdwe), FACT(seccomp) },
	};

	need_user();
	check_denied(table, sizeof(table) / sizeof(table[0]));
}

static void what_is_for_root_only_is_off(void **state)
{
	struct pyi_facts facts;

	need_user();
	pyi_probe_run(&facts);
	assert_false(facts.is_root);
	assert_int_equal(facts.uid, getuid());
	assert_int_equal(facts.idmap.errnum, EPERM);
	assert_int_equal(facts.bpf_cgroup.errnum, EPERM);
	assert_true(facts.release[0] != 0);
	pyi_probe_all(&facts);
	assert_int_equal(facts.bpf_lsm.errnum, EPERM);
	print_cost();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(each_denied_call_is_noticed),
		cmocka_unit_test(what_is_for_root_only_is_off),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
