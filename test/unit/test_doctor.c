/* SPDX-License-Identifier: MIT */
/* The doctor's verdict on made-up hosts: grades, and that what is off says why and what to do. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/buf.h"
#include "base/util.h"
#include "plan/facts.h"
#include "report/doctor.h"

static struct pyi_facts full_host(void)
{
	return (struct pyi_facts){
		.is_root = true,
		.release = "6.12.0",
		.cgroup_kind = PYI_CGROUP_V2,
		.cgroup_v2_dir = "/sys/fs/cgroup/p",
		.cgroup_memory_dir = "/sys/fs/cgroup/p",
		.cgroup_pids_dir = "/sys/fs/cgroup/p",
		.cgroup_cpu_dir = "/sys/fs/cgroup/p",
		.cgroup_cpuacct_dir = "/sys/fs/cgroup/p",
		.clone_into_cgroup = true,
		.landlock_abi = 6,
	};
}

static void check_grade(const struct pyi_facts *facts, char want)
{
	_cleanup_buf struct pyi_buf text = PYI_BUF_INIT, json = PYI_BUF_INIT;
	char line[] = "\ngrade ?: ", member[] = "\"grade\":\"?\"";

	assert_int_equal(pyi_doctor_grade(facts), want);
	assert_int_equal(pyi_doctor_can_run(facts), want != 'F');
	pyi_doctor_print(facts, "valid", "", &text);
	pyi_doctor_print_json(facts, "valid", "", &json);
	line[7] = want;
	member[9] = want;
	assert_non_null(strstr(pyi_buf_str(&text), line));
	assert_non_null(strstr(pyi_buf_str(&json), member));
	assert_non_null(
		strstr(pyi_buf_str(&json), want != 'F' ? "\"can_run\":true" : "\"can_run\":false"));
	assert_int_equal(!strstr(pyi_buf_str(&text), "mode by default"), want == 'F');
}

static void test_grades(void **state)
{
	struct pyi_facts facts = full_host();

	check_grade(&facts, 'A');
	/* What this version does not use costs nothing. */
	facts.bpf_lsm.errnum = EPERM;
	facts.bpf_perf.errnum = EPERM;
	check_grade(&facts, 'A');
	facts.mdwe.errnum = EINVAL;
	check_grade(&facts, 'B');
	facts.mdwe.errnum = 0;
	facts.cgroup_pids_dir[0] = '\0';
	check_grade(&facts, 'B');
	facts = full_host();
	facts.bpf_cgroup.errnum = EPERM;
	check_grade(&facts, 'B');
	facts = full_host();
	facts.idmap.errnum = EINVAL;
	check_grade(&facts, 'B');
	facts.seccomp.errnum = EINVAL;
	check_grade(&facts, 'C');
	facts = full_host();
	facts.landlock.errnum = ENOSYS;
	check_grade(&facts, 'C');
	facts = full_host();
	facts.mount_api.errnum = ENOSYS;
	check_grade(&facts, 'D');
	facts.seccomp.errnum = EINVAL;
	check_grade(&facts, 'F');
	facts.seccomp.errnum = 0;
	facts.landlock.errnum = EOPNOTSUPP;
	check_grade(&facts, 'F');
}

static void test_ordinary_user(void **state)
{
	struct pyi_facts facts = full_host();

	facts.is_root = false;
	facts.uid = facts.gid = 1000;
	facts.idmap.errnum = EPERM;
	facts.bpf_cgroup.errnum = EPERM;
	check_grade(&facts, 'B');
	facts.userns.errnum = EPERM;
	check_grade(&facts, 'D');
}

static void test_what_is_off_says_so(void **state)
{
	_cleanup_buf struct pyi_buf text = PYI_BUF_INIT, json = PYI_BUF_INIT;
	struct pyi_facts facts = full_host();

	facts.landlock.errnum = EOPNOTSUPP;
	snprintf(facts.landlock.detail, sizeof(facts.landlock.detail), "landlock_create_ruleset");
	pyi_doctor_print(&facts, "valid", "", &text);
	assert_non_null(strstr(pyi_buf_str(&text), "\noff  landlock"));
	assert_non_null(strstr(pyi_buf_str(&text), "why: landlock_create_ruleset: EOPNOTSUPP\n"));
	assert_non_null(strstr(pyi_buf_str(&text), "what to do: boot with 'landlock'"));
	assert_null(strstr(pyi_buf_str(&text), "(null)"));
	pyi_doctor_print_json(&facts, "valid", "", &json);
	assert_non_null(strstr(pyi_buf_str(&json),
			       "\"landlock\":{\"on\":false,\"detail\":\"landlock_create_ruleset\","
			       "\"errno\":\"EOPNOTSUPP\",\"purpose\":\""));
	assert_non_null(strstr(pyi_buf_str(&json),
			       "\"seccomp\":{\"on\":true,\"detail\":null,\"errno\":null,"));
	assert_null(strstr(pyi_buf_str(&json), "(null)"));
}

/* A host of which nothing could be found out is one where nothing works, and no text is missing. */
static void test_nothing(void **state)
{
	struct pyi_facts facts = { .uid = 1000 };
	struct pyi_fact *const all[] = { &facts.userns,	 &facts.namespaces, &facts.mount_api,
					 &facts.idmap,	 &facts.cgroup,	    &facts.bpf_cgroup,
					 &facts.bpf_lsm, &facts.bpf_perf,   &facts.landlock,
					 &facts.seccomp, &facts.mdwe };
	_cleanup_buf struct pyi_buf text = PYI_BUF_INIT;

	for (size_t i = 0; i < PYI_ARRAY_SIZE(all); i++)
		all[i]->errnum = 524; /* ENOTSUPP: the kernel has errnos that the library has no name for */
	check_grade(&facts, 'F');
	pyi_doctor_print(&facts, "valid", "", &text);
	assert_null(strstr(pyi_buf_str(&text), "(null)"));
	assert_null(strstr(pyi_buf_str(&text), "\non "));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_grades),
		cmocka_unit_test(test_ordinary_user),
		cmocka_unit_test(test_what_is_off_says_so),
		cmocka_unit_test(test_nothing),
	};

	return cmocka_run_group_tests_name("doctor", tests, NULL, NULL);
}
