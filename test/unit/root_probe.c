/* SPDX-License-Identifier: MIT */
/* The facts root finds, with system calls taken away one at a time. */
#include "probe_fixture.h"

static void need_root(void)
{
	if (geteuid() != 0)
		skip();
}

static void each_denied_call_is_noticed(void **state)
{
	static const struct denied table[] = {
		{ "clone3", SYS_clone3, -1, ENOSYS, FACT(namespaces), FACT(landlock) },
		{ "clone3", SYS_clone3, -1, EPERM, FACT(userns), FACT(bpf_cgroup) },
		{ "pivot_root", SYS_pivot_root, -1, EPERM, FACT(namespaces), FACT(mount_api) },
		{ "umount2", SYS_umount2, -1, EPERM, FACT(namespaces), FACT(mount_api) },
		{ "openat2", SYS_openat2, -1, ENOSYS, FACT(mount_api), FACT(namespaces) },
		{ "fsopen", SYS_fsopen, -1, EPERM, FACT(mount_api), FACT(namespaces) },
		{ "fsconfig", SYS_fsconfig, -1, EPERM, FACT(mount_api), FACT(namespaces) },
		{ "fsmount", SYS_fsmount, -1, ENOSYS, FACT(mount_api), FACT(namespaces) },
		{ "open_tree", SYS_open_tree, -1, ENOSYS, FACT(mount_api), FACT(namespaces) },
		{ "move_mount", SYS_move_mount, -1, ENOSYS, FACT(mount_api), FACT(namespaces) },
		{ "mount_setattr", SYS_mount_setattr, -1, ENOSYS, FACT(mount_api), FACT(namespaces) },
		{ "mount_setattr", SYS_mount_setattr, -1, EPERM, FACT(idmap), FACT(namespaces) },
		{ "landlock_create_ruleset", SYS_landlock_create_ruleset, -1, EOPNOTSUPP,
		  FACT(landlock), FACT(seccomp) },
		{ "landlock_add_rule", SYS_landlock_add_rule, -1, EPERM, FACT(landlock),
		  FACT(namespaces) },
		{ "landlock_restrict_self", SYS_landlock_restrict_self, -1, EPERM, FACT(landlock),
		  FACT(namespaces) },
		{ "seccomp", SYS_seccomp, -1, EPERM, FACT(seccomp), FACT(landlock) },
		{ "seccomp", SYS_seccomp, SECCOMP_SET_MODE_FILTER, ENOSYS, FACT(seccomp), FACT(mdwe) },
		{ "PR_SET_MDWE", SYS_prctl, 65, EINVAL, FACT(mdwe), FACT(seccomp) },
		{ "bpf", SYS_bpf, -1, EPERM, FACT(bpf_cgroup), FACT(cgroup) },
		{ "bpf", SYS_bpf, -1, ENOSYS, FACT(bpf_cgroup), FACT(cgroup) },
		{ "BPF_MAP_UPDATE_ELEM", SYS_bpf, BPF_MAP_UPDATE_ELEM, EPERM, FACT(bpf_cgroup),
		  FACT(cgroup) },
		{ "BPF_OBJ_GET", SYS_bpf, BPF_OBJ_GET, EPERM, FACT(bpf_cgroup), FACT(cgroup) },
	};

	need_root();
	check_denied(table, sizeof(table) / sizeof(table[0]));
}

static void without_access_to_it_there_is_no_group(void **state)
{
	static const struct denied denied = { "faccessat2", SYS_faccessat2, -1,
					      EPERM,	    FACT(cgroup),   FACT(seccomp) };
	struct pyi_facts normal, facts;

	need_root();
	probe_without(NULL, &normal);
	if (normal.cgroup_kind == PYI_CGROUP_NONE)
		skip();
	probe_without(&denied, &facts);
	assert_int_equal(facts.cgroup_kind, PYI_CGROUP_NONE);
	assert_int_equal(facts.cgroup.errnum, EPERM);
	assert_string_equal(facts.cgroup_v2_dir, "");
	assert_int_equal(facts.bpf_cgroup.errnum, EOPNOTSUPP);
}

static void without_bpf_the_group_has_no_programs(void **state)
{
	static const struct denied denied = { "bpf", SYS_bpf,	       -1,
					      EPERM, FACT(bpf_cgroup), FACT(cgroup) };
	struct pyi_facts normal, facts;

	need_root();
	probe_without(NULL, &normal);
	if (normal.bpf_cgroup.errnum)
		skip();
	probe_without(&denied, &facts);
	assert_true(facts.cgroup_v2_dir[0] != 0);
	assert_string_not_equal(facts.cgroup_v2_dir, normal.cgroup_v2_dir);
}

static void everything_tried_agrees(void **state)
{
	struct pyi_facts run, all;

	need_root();
	pyi_probe_run(&run);
	pyi_probe_all(&all);
	assert_int_equal(run.namespaces.errnum, all.namespaces.errnum);
	assert_int_equal(run.mount_api.errnum, all.mount_api.errnum);
	assert_int_equal(run.idmap.errnum, all.idmap.errnum);
	assert_int_equal(run.cgroup.errnum, all.cgroup.errnum);
	assert_int_equal(run.bpf_cgroup.errnum, all.bpf_cgroup.errnum);
	assert_int_equal(run.landlock_abi, all.landlock_abi);
	assert_string_equal(run.cgroup_v2_dir, all.cgroup_v2_dir);
	print_message("lsm: %s (%s), perf: %s (%s)\n", strerror(all.bpf_lsm.errnum),
		      all.bpf_lsm.detail, strerror(all.bpf_perf.errnum), all.bpf_perf.detail);
	print_cost();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(each_denied_call_is_noticed),
		cmocka_unit_test(without_access_to_it_there_is_no_group),
		cmocka_unit_test(without_bpf_the_group_has_no_programs),
		cmocka_unit_test(everything_tried_agrees),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
