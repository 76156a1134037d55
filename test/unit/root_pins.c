/* SPDX-License-Identifier: MIT */
/*
 * The pins of the BPF programs, as root: loaders that are killed at any moment, two at a time, pins that are stale,
 * programs somebody detached, removal while they are in use. Only our own build's pins are touched.
 */
#include <bpf/bpf.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/err.h"
#include "kernel/bpf.h"
#include "kernel/bpf_pins.h"
#include "kernel/cgroup.h"
#include "plan/facts.h"
#include "plan/plan.h"
#include "policy/policy.h"
#include "pyi_abi.h"

static struct pyi_facts facts;
static int parent_fd = -1;
static uint64_t parent_id;

/* A file of our pins. */
static const char *pin(const char *file)
{
	static char path[200];
	char name[PYI_PINS_NAME_MAX];

	pyi_bpf_pins_name(parent_id, name);
	snprintf(path, sizeof(path), PYI_PINS_ABI "/%s/%s", name, file);
	return path;
}

static void sleep_us(long us)
{
	struct timespec ts = { .tv_sec = us / 1000000, .tv_nsec = us % 1000000 * 1000 };

	nanosleep(&ts, NULL);
}

static int set_up(void **state)
{
	struct stat st;

	facts = (struct pyi_facts){ .is_root = geteuid() == 0, .clone_into_cgroup = true };
	if (!facts.is_root)
		return 0;
	pyi_cgroup_find(&facts);
	pyi_bpf_probe(&facts);
	if (!facts.bpf_cgroup.errnum)
		parent_fd = open(facts.cgroup_v2_dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (parent_fd >= 0 && fstat(parent_fd, &st) == 0)
		parent_id = (uint64_t)st.st_ino;
	return 0;
}

static void need_bpf(void)
{
	if (parent_fd < 0)
		skip();
}

/* Other tests may be using them at this moment. */
static void remove_pins(void)
{
	struct pyi_err err = { 0 };
	int ret = -EBUSY;

	for (int i = 0; i < 300 && ret == -EBUSY; i++) {
		ret = pyi_bpf_pins_remove(parent_fd, parent_id, &err);
		if (ret == -EBUSY)
			sleep_us(50000);
	}
	if (ret == -EBUSY) {
		print_message("somebody keeps using the programs\n");
		skip();
	}
	if (ret < 0)
		fail_msg("%s", err.msg);
}

static struct pyi_bpf *open_pins(void)
{
	struct pyi_bpf *bpf = NULL;
	struct pyi_err err = { 0 };

	if (pyi_bpf_open(&facts, &bpf, &err) < 0)
		fail_msg("%s", err.msg);
	return bpf;
}

static int count_leftovers(void)
{
	DIR *dir = opendir(PYI_PINS_ABI);
	struct dirent *entry;
	int n = 0;

	while (dir && (entry = readdir(dir)))
		n += strncmp(entry->d_name, "tmp-", 4) == 0;
	if (dir)
		closedir(dir);
	return n;
}

static uint32_t count_attached(void)
{
	uint32_t n = 0;

	assert_int_equal(bpf_prog_query(parent_fd, BPF_CGROUP_INET4_CONNECT, 0, NULL, NULL, &n), 0);
	return n;
}

static void a_killed_loader_leaves_nothing_that_matters(void **state)
{
	/* In the virtual machine programs take seconds to load and to unload, so there it is killed less often. */
	const int step = getenv("PYI_VM") ? 6 : 1;

	need_bpf();
	for (int i = 0; i < 24; i += step) {
		struct pyi_bpf *bpf;
		pid_t pid;
		int status;

		remove_pins();
		pid = fork();
		if (pid == 0) {
			struct pyi_err err;

			_exit(pyi_bpf_open(&facts, &bpf, &err) < 0);
		}
		sleep_us(i * 700);
		kill(pid, SIGKILL);
		while (waitpid(pid, &status, 0) < 0)
			;
		bpf = open_pins();
		/* What the dead one attached is gone: a second set would deny what the first allows. */
		assert_int_equal(count_attached(), 1);
		assert_int_equal(count_leftovers(), 0);
		pyi_bpf_free(bpf);
	}
}

static void loaders_at_the_same_time_load_once(void **state)
{
	pid_t pids[6];

	need_bpf();
	remove_pins();
	for (int i = 0; i < 6; i++) {
		pids[i] = fork();
		if (pids[i] == 0) {
			struct pyi_bpf *bpf;
			struct pyi_err err = { 0 };

			if (pyi_bpf_open(&facts, &bpf, &err) < 0) {
				print_error("%s\n", err.msg);
				_exit(1);
			}
			_exit(0);
		}
	}
	for (int i = 0; i < 6; i++) {
		int status = -1;

		while (waitpid(pids[i], &status, 0) < 0)
			;
		assert_int_equal(status, 0);
	}
	assert_int_equal(count_attached(), 1);
}

static void in_use_is_not_removed(void **state)
{
	struct pyi_bpf *bpf;
	struct pyi_err err = { 0 };

	need_bpf();
	bpf = open_pins();
	assert_int_equal(pyi_bpf_pins_remove(parent_fd, parent_id, &err), -EBUSY);
	print_message("%s\n", err.msg);
	assert_int_equal(count_attached(), 1);
	pyi_bpf_free(bpf);
}

static void a_live_assignment_keeps_the_pins(void **state)
{
	struct pyi_limits limits = { 0 };
	struct pyi_plan plan = { 0 };
	struct pyi_cgroup *cgroup;
	struct pyi_bpf *bpf;
	struct pyi_err err = { 0 };
	uint64_t id;

	need_bpf();
	bpf = open_pins();
	assert_int_equal(pyi_cgroup_new(&facts, &limits, &cgroup, &err), 0);
	id = pyi_cgroup_id(cgroup);
	assert_int_equal(pyi_bpf_assign(bpf, id, &plan, &err), 0);
	pyi_bpf_free(bpf); /* as a supervisor that dies */
	assert_int_equal(pyi_bpf_pins_remove(parent_fd, parent_id, &err), -EBUSY);
	pyi_cgroup_free(cgroup);
	bpf = open_pins();
	pyi_bpf_sweep(bpf);
	pyi_bpf_free(bpf);
	remove_pins();
}

static void detached_programs_are_noticed(void **state)
{
	struct pyi_bpf *bpf;
	int link;

	need_bpf();
	remove_pins();
	bpf = open_pins();
	pyi_bpf_free(bpf);
	link = bpf_obj_get(pin("link_on_connect4"));
	assert_true(link >= 0);
	assert_int_equal(bpf_link_detach(link), 0);
	close(link);
	assert_int_equal(count_attached(), 0);
	bpf = open_pins();
	assert_int_equal(count_attached(), 1);
	pyi_bpf_free(bpf);
}

static void incomplete_pins_are_replaced(void **state)
{
	struct pyi_bpf *bpf;

	need_bpf();
	remove_pins();
	bpf = open_pins();
	pyi_bpf_free(bpf);
	assert_int_equal(unlink(pin("net_rows")), 0);
	bpf = open_pins();
	assert_int_equal(access(pin("net_rows"), F_OK), 0);
	pyi_bpf_free(bpf);
}

static void another_cgroup_is_refused(void **state)
{
	struct pyi_plan plan = { 0 };
	struct pyi_bpf *bpf;
	struct pyi_err err = { 0 };
	struct stat st;

	need_bpf();
	bpf = open_pins();
	/* The parent itself is not below the parent. */
	assert_int_equal(fstat(parent_fd, &st), 0);
	assert_int_equal(pyi_bpf_assign(bpf, (uint64_t)st.st_ino, &plan, &err), -EINVAL);
	assert_int_equal(pyi_bpf_assign(bpf, 0x123456789abcdefULL, &plan, &err), -EINVAL);
	print_message("%s\n", err.msg);
	pyi_bpf_free(bpf);
}

static void the_verifier_takes_the_programs(void **state)
{
	struct timespec a, b;
	struct pyi_bpf *bpf;

	need_bpf();
	remove_pins();
	clock_gettime(CLOCK_MONOTONIC, &a);
	bpf = open_pins();
	clock_gettime(CLOCK_MONOTONIC, &b);
	print_message("loaded, attached and pinned in %.1f ms\n",
		      (double)(b.tv_sec - a.tv_sec) * 1e3 + (double)(b.tv_nsec - a.tv_nsec) / 1e6);
	pyi_bpf_free(bpf);
}

/*
 * In a mount namespace with a BPF file system of its own, as in a container: the programs of the host's
 * one are attached to the usual parent, so another is taken, and both work.
 */
static void another_bpf_file_system_has_its_own_parent(void **state)
{
	struct pyi_bpf *bpf;
	int status;
	pid_t pid;

	need_bpf();
	bpf = open_pins();
	pid = fork();
	if (pid == 0) {
		struct pyi_facts mine = { .is_root = true, .clone_into_cgroup = true };
		struct pyi_limits limits = { 0 };
		struct pyi_plan plan = { 0 };
		struct pyi_cgroup *cgroup;
		struct pyi_bpf *other;
		struct pyi_err err = { 0 };
		bool ok;

		if (unshare(CLONE_NEWNS) < 0 || mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0 ||
		    mount("bpf", PYI_BPFFS, "bpf", 0, "mode=0700") < 0)
			_exit(1);
		pyi_cgroup_find(&mine);
		pyi_bpf_probe(&mine);
		if (mine.bpf_cgroup.errnum || strcmp(mine.cgroup_v2_dir, facts.cgroup_v2_dir) == 0)
			_exit(2);
		if (pyi_bpf_open(&mine, &other, &err) < 0 ||
		    pyi_cgroup_new(&mine, &limits, &cgroup, &err) < 0) {
			print_error("%s\n", err.msg);
			_exit(3);
		}
		ok = pyi_bpf_assign(other, pyi_cgroup_id(cgroup), &plan, &err) == 0;
		/* Nor does that one take itself for a stranger. */
		pyi_bpf_probe(&mine);
		ok = ok && !mine.bpf_cgroup.errnum && strcmp(mine.bpf_cgroup.detail, "loaded") == 0;
		pyi_bpf_unassign(other, pyi_cgroup_id(cgroup));
		pyi_cgroup_free(cgroup);
		_exit(ok ? 0 : 4);
	}
	while (waitpid(pid, &status, 0) < 0)
		;
	assert_int_equal(status, 0);
	assert_int_equal(count_attached(), 1);
	pyi_bpf_free(bpf);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_verifier_takes_the_programs),
		cmocka_unit_test(a_killed_loader_leaves_nothing_that_matters),
		cmocka_unit_test(loaders_at_the_same_time_load_once),
		cmocka_unit_test(in_use_is_not_removed),
		cmocka_unit_test(a_live_assignment_keeps_the_pins),
		cmocka_unit_test(detached_programs_are_noticed),
		cmocka_unit_test(incomplete_pins_are_replaced),
		cmocka_unit_test(another_cgroup_is_refused),
		cmocka_unit_test(another_bpf_file_system_has_its_own_parent),
	};

	return cmocka_run_group_tests(tests, set_up, NULL);
}
