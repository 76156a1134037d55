/* SPDX-License-Identifier: MIT */
/* What root_cgroup.c and root_delegation.c share: groups with limits and children in them. */
#ifndef PYI_TEST_CGROUP_FIXTURE_H
#define PYI_TEST_CGROUP_FIXTURE_H

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/sched.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/err.h"
#include "base/proc.h"
#include "kernel/cgroup.h"
#include "kernel/cgroup_dir.h"
#include "plan/facts.h"
#include "policy/policy.h"

static struct pyi_facts facts;

static inline double now_us(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (double)ts.tv_sec * 1e6 + (double)ts.tv_nsec / 1e3;
}

static inline void sleep_ms(int ms)
{
	struct timespec ts = { .tv_sec = ms / 1000, .tv_nsec = ms % 1000 * 1000000L };

	nanosleep(&ts, NULL);
}

static inline int find_facts(void **state)
{
	facts = (struct pyi_facts){ .is_root = geteuid() == 0, .uid = getuid(), .gid = getgid() };
	facts.namespaces.errnum = 0;
	facts.clone_into_cgroup = true;
	pyi_cgroup_find(&facts);
	return 0;
}

/* The same as if there were no v2 hierarchy, where v1 has controllers. */
static inline int find_v1_facts(void **state)
{
	find_facts(state);
	if (!facts.cgroup_memory_dir[0] || strcmp(facts.cgroup_memory_dir, facts.cgroup_v2_dir) == 0) {
		facts.is_root = false;
		snprintf(facts.cgroup.detail, sizeof(facts.cgroup.detail), "no v1 controllers here");
		return 0;
	}
	facts.cgroup_kind = PYI_CGROUP_V1;
	facts.cgroup_v2_dir[0] = '\0';
	return 0;
}

static inline void need_groups(void)
{
	if (!facts.is_root || facts.cgroup_kind == PYI_CGROUP_NONE) {
		print_message("needs root and a control group hierarchy: %s\n", facts.cgroup.detail);
		skip();
	}
}

static inline struct pyi_cgroup *new_group(const struct pyi_limits *limits)
{
	struct pyi_cgroup *cgroup = NULL;
	struct pyi_err err = { 0 };

	if (pyi_cgroup_new(&facts, limits, &cgroup, &err) < 0)
		fail_msg("pyi_cgroup_new: %s", err.msg);
	assert_non_null(cgroup);
	return cgroup;
}

/* A child in the group, born into the v2 one and entering the v1 ones itself, as the sandbox's init does. */
static inline pid_t fork_into(const struct pyi_cgroup *cgroup)
{
	struct clone_args args = { .exit_signal = SIGCHLD };
	int ends[2];
	char byte;
	pid_t pid;

	if (pyi_cgroup_v2_fd(cgroup) >= 0) {
		args.flags = CLONE_INTO_CGROUP;
		args.cgroup = (uint64_t)pyi_cgroup_v2_fd(cgroup);
	}
	assert_int_equal(pipe2(ends, O_CLOEXEC), 0);
	pid = (pid_t)syscall(SYS_clone3, &args, sizeof(args));
	if (pid == 0) {
		if (pyi_cgroup_enter(cgroup) < 0)
			_exit(99);
		close(ends[0]);
		close(ends[1]);
		return 0;
	}
	assert_true(pid > 0);
	close(ends[1]);
	assert_int_equal(read(ends[0], &byte, 1), 0); /* it is in */
	close(ends[0]);
	return pid;
}

static inline int wait_for(pid_t pid)
{
	int status = -1;

	while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
		;
	return status;
}

/* How many entries named "run-PID-..." the parent directories hold. */
static inline int count_left(pid_t pid)
{
	const char *dirs[] = { facts.cgroup_v2_dir,	 facts.cgroup_memory_dir,
			       facts.cgroup_pids_dir,	 facts.cgroup_cpu_dir,
			       facts.cgroup_cpuacct_dir, facts.cgroup_freezer_dir };
	int n = 0;

	for (size_t i = 0; i < 6; i++) {
		DIR *dir = dirs[i][0] ? opendir(dirs[i]) : NULL;
		struct pyi_proc owner;
		struct dirent *entry;

		while (dir && (entry = readdir(dir)))
			n += pyi_cgroup_name_parse(entry->d_name, &owner) && owner.pid == pid;
		if (dir)
			closedir(dir);
	}
	return n;
}

#endif
