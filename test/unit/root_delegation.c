/* SPDX-License-Identifier: MIT */
/* Control groups of ordinary users, in cgroup v2 directories that root gave them. Run by root, who does the giving. */
#include "cgroup_fixture.h"

/* Beside our groups, not in them: there the LSM programs, if another test has loaded them, know no such group. */
static const char *above(const char *dir)
{
	static char base[256];

	snprintf(base, sizeof(base), "%.*s", (int)sizeof(base) - 1, dir);
	*strrchr(base, '/') = '\0';
	return base;
}

/* An ordinary user in a group that was given to it. */
static void delegated_to_a_user(void **state)
{
	char name[PYI_CGROUP_NAME_MAX], top[340], inner[360], procs[400];
	struct pyi_proc self;
	int status;
	pid_t pid;

	need_groups();
	if (!facts.cgroup_v2_dir[0])
		skip();
	assert_int_equal(pyi_proc_identify(getpid(), &self), 0);
	pyi_cgroup_name(&self, 9999, name); /* a live owner's, so that nobody sweeps it */
	snprintf(top, sizeof(top), "%s/%s", above(facts.cgroup_v2_dir), name);
	snprintf(inner, sizeof(inner), "%s/user", top);
	assert_int_equal(mkdir(top, 0755), 0);
	assert_int_equal(mkdir(inner, 0755), 0);
	for (int i = 0; i < 2; i++) {
		static const char *const files[] = { "", "/cgroup.procs", "/cgroup.subtree_control",
						     "/cgroup.threads" };

		for (int k = 0; k < 4; k++) {
			snprintf(procs, sizeof(procs), "%s%s", i ? inner : top, files[k]);
			assert_int_equal(chown(procs, 54321, 54321), 0);
		}
	}
	pid = fork();
	if (pid == 0) {
		struct pyi_limits limits = { .pids = 4, .memory_bytes = 32 << 20 };
		struct pyi_facts mine = { .uid = 54321, .gid = 54321, .clone_into_cgroup = true };
		struct pyi_cgroup *cgroup;
		struct pyi_err err = { 0 };
		FILE *f;

		snprintf(procs, sizeof(procs), "%s/cgroup.procs", inner);
		f = fopen(procs, "w");
		if (!f || fputs("0", f) < 0 || fclose(f) != 0 || setgid(54321) < 0 || setuid(54321) < 0)
			_exit(1);
		pyi_cgroup_find(&mine);
		if (mine.cgroup.errnum || strncmp(mine.cgroup_v2_dir, top, strlen(top)) != 0) {
			print_error("found '%s' %s\n", mine.cgroup_v2_dir, mine.cgroup.detail);
			_exit(2);
		}
		/* On pure v2 the controllers come along: the group above ours holds no process. */
		if (facts.cgroup_kind == PYI_CGROUP_V2 &&
		    strcmp(mine.cgroup_memory_dir, mine.cgroup_v2_dir) != 0)
			_exit(5);
		if (pyi_cgroup_new(&mine, &limits, &cgroup, &err) < 0) {
			print_error("%s\n", err.msg);
			_exit(3);
		}
		pid = fork_into(cgroup);
		if (pid == 0)
			for (;;)
				pause();
		pyi_cgroup_kill(cgroup);
		if (!WIFSIGNALED(wait_for(pid)))
			_exit(4);
		pyi_cgroup_free(cgroup);
		_exit(0);
	}
	status = wait_for(pid);
	assert_int_equal(status, 0);
	assert_int_equal(pyi_cgroup_dir_remove(above(facts.cgroup_v2_dir), name, 1000), 0);

	/* The twin: a user to whom nothing was given. */
	pid = fork();
	if (pid == 0) {
		struct pyi_facts mine = { .uid = 54321, .gid = 54321 };

		if (setgid(54321) < 0 || setuid(54321) < 0)
			_exit(1);
		pyi_cgroup_find(&mine);
		_exit(mine.cgroup_kind == PYI_CGROUP_NONE && mine.cgroup.errnum == EACCES ? 0 : 2);
	}
	assert_int_equal(wait_for(pid), 0);
}

/*
 * Delegated on v2 with us as the only process in it, as systemd-run does: we step down into a leaf,
 * because a group that holds processes gives no controllers.
 */
static void alone_in_a_delegated_group(void **state)
{
	static const char *const files[] = { "", "/cgroup.procs", "/cgroup.subtree_control",
					     "/cgroup.threads" };
	char name[PYI_CGROUP_NAME_MAX], top[340], path[400];
	struct pyi_proc self;
	pid_t pid;

	need_groups();
	if (facts.cgroup_kind != PYI_CGROUP_V2)
		skip();
	assert_int_equal(pyi_proc_identify(getpid(), &self), 0);
	pyi_cgroup_name(&self, 9998, name);
	snprintf(top, sizeof(top), "%s/%s", above(facts.cgroup_v2_dir), name);
	assert_int_equal(mkdir(top, 0755), 0);
	for (int k = 0; k < 4; k++) {
		snprintf(path, sizeof(path), "%s%s", top, files[k]);
		assert_int_equal(chown(path, 54321, 54321), 0);
	}
	pid = fork();
	if (pid == 0) {
		struct pyi_limits limits = { .pids = 4, .memory_bytes = 32 << 20 };
		struct pyi_facts mine = { .uid = 54321, .gid = 54321, .clone_into_cgroup = true };
		struct pyi_cgroup *cgroup;
		struct pyi_err err = { 0 };
		FILE *f;

		snprintf(path, sizeof(path), "%s/cgroup.procs", top);
		f = fopen(path, "w");
		if (!f || fputs("0", f) < 0 || fclose(f) != 0 || setgid(54321) < 0 || setuid(54321) < 0)
			_exit(1);
		pyi_cgroup_find(&mine);
		if (mine.cgroup.errnum || strcmp(mine.cgroup_memory_dir, mine.cgroup_v2_dir) != 0) {
			print_error("found '%s' %s\n", mine.cgroup_v2_dir, mine.cgroup.detail);
			_exit(2);
		}
		if (pyi_cgroup_new(&mine, &limits, &cgroup, &err) < 0) {
			print_error("%s\n", err.msg);
			_exit(3);
		}
		pid = fork_into(cgroup);
		if (pid == 0) {
			volatile char *p = malloc(128 << 20);

			for (size_t i = 0; p && i < 128 << 20; i += 4096)
				p[i] = 1;
			_exit(0);
		}
		if (!WIFSIGNALED(wait_for(pid)))
			_exit(4);
		pyi_cgroup_free(cgroup);
		_exit(0);
	}
	assert_int_equal(wait_for(pid), 0);
	assert_int_equal(pyi_cgroup_dir_remove(above(facts.cgroup_v2_dir), name, 1000), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(delegated_to_a_user, find_facts),
		cmocka_unit_test_setup(alone_in_a_delegated_group, find_facts),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
