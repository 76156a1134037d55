/* SPDX-License-Identifier: MIT */
/*
 * Control groups on the real kernel, as root: limits hold, figures are read, everything can be killed, frozen and
 * removed, and what a killed owner left is swept. Skips when it is not run as root.
 */
#include "cgroup_fixture.h"

#include "base/io.h"

static void names_are_parsed(void **state)
{
	struct pyi_proc owner = { .pid = 4711, .start_ticks = 123456789012345ULL }, got;
	static const char *const bad[] = { "run-",
					   "run-1",
					   "run-1-",
					   "run--1-2",
					   "run-0-5",
					   "run-1-2-",
					   "run-1-2-x",
					   "run-1-2x",
					   "run-99999999999-1",
					   "run-1-99999999999999999999",
					   "walk-1-2",
					   "",
					   "run- 1-2",
					   "run-1-2-3-4" };
	char name[PYI_CGROUP_NAME_MAX];

	for (unsigned int n = 0; n < 3; n++) {
		pyi_cgroup_name(&owner, n, name);
		assert_true(pyi_cgroup_name_parse(name, &got));
		assert_int_equal(got.pid, owner.pid);
		assert_true(got.start_ticks == owner.start_ticks);
	}
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		assert_false(pyi_cgroup_name_parse(bad[i], &got));
}

static void facts_are_found(void **state)
{
	struct stat st;

	need_groups();
	print_message("%s; v2 '%s' memory '%s' pids '%s' cpu '%s'\n", facts.cgroup.detail,
		      facts.cgroup_v2_dir, facts.cgroup_memory_dir, facts.cgroup_pids_dir,
		      facts.cgroup_cpu_dir);
	assert_int_equal(facts.cgroup.errnum, 0);
	if (facts.cgroup_v2_dir[0])
		assert_int_equal(stat(facts.cgroup_v2_dir, &st), 0);
	if (facts.cgroup_kind == PYI_CGROUP_V1)
		return;
	if (facts.cgroup_kind == PYI_CGROUP_V2)
		assert_string_equal(facts.cgroup_memory_dir, facts.cgroup_v2_dir);
	else
		assert_string_not_equal(facts.cgroup_memory_dir, facts.cgroup_v2_dir);
}

static void memory_limit_kills(void **state)
{
	struct pyi_limits limits = { .memory_bytes = 32 << 20 };
	struct pyi_cgroup_usage usage;
	struct pyi_cgroup *cgroup;
	int status;
	pid_t pid;

	need_groups();
	if (!facts.cgroup_memory_dir[0])
		skip();
	cgroup = new_group(&limits);
	pid = fork_into(cgroup);
	if (pid == 0) {
		volatile char *p = malloc(128 << 20);

		for (size_t i = 0; p && i < 128 << 20; i += 4096)
			p[i] = 1;
		_exit(0);
	}
	status = wait_for(pid);
	assert_true(WIFSIGNALED(status));
	assert_int_equal(WTERMSIG(status), SIGKILL);
	assert_int_equal(pyi_cgroup_usage(cgroup, &usage), 0);
	assert_true(usage.oom_kills >= 1);
	assert_in_range(usage.memory_peak_bytes, 24 << 20, 33 << 20);

	/* The twin: the same below the limit. */
	pid = fork_into(cgroup);
	if (pid == 0) {
		volatile char *p = malloc(8 << 20);

		for (size_t i = 0; p && i < 8 << 20; i += 4096)
			p[i] = 1;
		_exit(7);
	}
	status = wait_for(pid);
	assert_true(WIFEXITED(status));
	assert_int_equal(WEXITSTATUS(status), 7);
	pyi_cgroup_free(cgroup);
	assert_int_equal(count_left(getpid()), 0);
}

/* What stands in the group's file, if the kernel has it; else what is wanted. */
static void assert_value(int fd, const char *file, const char *want)
{
	char text[64];

	if (faccessat(fd, file, F_OK, 0) == 0) {
		assert_true(pyi_read_at(fd, file, text, sizeof(text)) > 0);
		assert_string_equal(text, want);
	}
}

static void memory_limit_leaves_no_swap(void **state)
{
	struct pyi_limits limits = { .memory_bytes = 32 << 20 };
	struct pyi_cgroup *cgroup;
	bool is_v2;
	int fd;

	need_groups();
	if (!facts.cgroup_memory_dir[0])
		skip();
	cgroup = new_group(&limits);
	fd = pyi_cgroup_memory_fd(cgroup, &is_v2);
	assert_value(fd, is_v2 ? "memory.max" : "memory.limit_in_bytes", "33554432");
	assert_value(fd, is_v2 ? "memory.swap.max" : "memory.memsw.limit_in_bytes",
		     is_v2 ? "0" : "33554432");
	/* Whoever loses a process to the lack of memory loses all. */
	assert_value(fd, "memory.oom.group", "1");
	pyi_cgroup_free(cgroup);
	assert_int_equal(count_left(getpid()), 0);
}

static void pids_limit_refuses(void **state)
{
	struct pyi_limits limits = { .pids = 8 };
	struct pyi_cgroup_usage usage;
	struct pyi_cgroup *cgroup;
	int status;
	pid_t pid;

	need_groups();
	if (!facts.cgroup_pids_dir[0])
		skip();
	cgroup = new_group(&limits);
	pid = fork_into(cgroup);
	if (pid == 0) {
		int n = 0;

		for (; n < 100; n++) {
			pid_t child = fork();

			if (child == 0)
				pause();
			if (child < 0)
				break;
		}
		/* This process stands for init: 8 more fit. */
		_exit(errno == EAGAIN ? n : 98);
	}
	status = wait_for(pid);
	assert_true(WIFEXITED(status));
	assert_int_equal(WEXITSTATUS(status), 8);
	assert_int_equal(pyi_cgroup_usage(cgroup, &usage), 0);
	assert_true(usage.pids_refused >= 1);
	pyi_cgroup_free(cgroup);
	assert_int_equal(count_left(getpid()), 0);
}

static void cpu_limit_throttles(void **state)
{
	struct pyi_limits limits = { .cpu_permille = 200 };
	struct pyi_cgroup_usage usage = { 0 };
	struct pyi_cgroup *cgroup;
	uint64_t used;
	pid_t pid;

	need_groups();
	if (!facts.cgroup_cpu_dir[0])
		skip();
	cgroup = new_group(&limits);
	/* On a machine so busy that we do not get our share there is nothing to throttle: try again. */
	for (int i = 0; i < 20; i++) {
		pid = fork_into(cgroup);
		if (pid == 0) {
			double end = now_us() + 300e3;

			while (now_us() < end)
				;
			_exit(0);
		}
		used = usage.cpu_us;
		assert_int_equal(wait_for(pid), 0);
		assert_int_equal(pyi_cgroup_usage(cgroup, &usage), 0);
		assert_true(usage.cpu_us - used < 150000);
		if (usage.throttled_us)
			break;
	}
	print_message("200 of 1000: %llu us used, %llu us throttled\n",
		      (unsigned long long)usage.cpu_us, (unsigned long long)usage.throttled_us);
	assert_true(usage.throttled_us > 0);
	pyi_cgroup_free(cgroup);
}

static void kill_ends_a_tree(void **state)
{
	struct pyi_limits limits = { .pids = 64 };
	struct pyi_cgroup *cgroup;
	int status;
	pid_t pid;

	need_groups();
	cgroup = new_group(&limits);
	pid = fork_into(cgroup);
	if (pid == 0) {
		setsid();
		signal(SIGTERM, SIG_IGN);
		for (;;)
			if (fork() < 0)
				sleep_ms(1);
	}
	sleep_ms(50);
	pyi_cgroup_kill(cgroup);
	status = wait_for(pid);
	assert_true(WIFSIGNALED(status));
	assert_true(pyi_cgroup_v2_fd(cgroup) < 0 ||
		    pyi_cgroup_dir_wait_empty(pyi_cgroup_v2_fd(cgroup), 2000));
	pyi_cgroup_free(cgroup);
	assert_int_equal(count_left(getpid()), 0);
}

static void free_kills_what_is_left(void **state)
{
	struct pyi_limits limits = { .pids = 64, .memory_bytes = 64 << 20, .cpu_permille = 1000 };
	struct pyi_cgroup *cgroup;
	pid_t pid;

	need_groups();
	cgroup = new_group(&limits);
	pid = fork_into(cgroup);
	if (pid == 0)
		for (;;)
			pause();
	pyi_cgroup_free(cgroup);
	assert_int_equal(count_left(getpid()), 0);
	assert_true(WIFSIGNALED(wait_for(pid)));
	pyi_cgroup_free(NULL);
}

static void freeze_stops_and_continues(void **state)
{
	struct pyi_limits limits = { .pids = 4 };
	volatile uint64_t *count = mmap(NULL, 4096, PROT_READ | PROT_WRITE,
					MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	struct pyi_cgroup *cgroup;
	uint64_t before;
	pid_t pid;

	need_groups();
	cgroup = new_group(&limits);
	pid = fork_into(cgroup);
	if (pid == 0)
		for (;; sleep_ms(1))
			++*count;
	while (*count < 3)
		sleep_ms(1);
	assert_int_equal(pyi_cgroup_freeze(cgroup, true), 0);
	before = *count;
	sleep_ms(50);
	assert_true(*count == before);
	assert_int_equal(pyi_cgroup_freeze(cgroup, false), 0);
	sleep_ms(50);
	assert_true(*count > before);
	/* A frozen group can be killed and removed. */
	assert_int_equal(pyi_cgroup_freeze(cgroup, true), 0);
	pyi_cgroup_free(cgroup);
	assert_true(WIFSIGNALED(wait_for(pid)));
	assert_int_equal(count_left(getpid()), 0);
	munmap((void *)count, 4096);
}

static void several_of_one_owner(void **state)
{
	struct pyi_limits limits = { .pids = 4 };
	struct pyi_cgroup *v[3];

	need_groups();
	for (int i = 0; i < 3; i++)
		v[i] = new_group(&limits);
	if (facts.cgroup_v2_dir[0]) {
		assert_true(pyi_cgroup_id(v[0]) != 0);
		assert_true(pyi_cgroup_id(v[0]) != pyi_cgroup_id(v[1]));
	}
	for (int i = 0; i < 3; i++)
		pyi_cgroup_free(v[i]);
	assert_int_equal(count_left(getpid()), 0);
}

static void sweep_after_sigkill(void **state)
{
	struct pyi_limits limits = { .pids = 16, .memory_bytes = 64 << 20 };
	struct pyi_cgroup *mine;
	int fds[2], status;
	pid_t owner, inner = 0;

	need_groups();
	mine = new_group(&limits);
	assert_int_equal(pipe(fds), 0);
	owner = fork();
	if (owner == 0) {
		struct pyi_cgroup *cgroup;
		pid_t pid;

		prctl(PR_SET_PDEATHSIG, SIGKILL);
		cgroup = new_group(&limits);
		pid = fork_into(cgroup);
		if (pid == 0) {
			close_range(3, ~0U, 0);
			for (;;)
				pause();
		}
		if (write(fds[1], &pid, sizeof(pid)) != sizeof(pid))
			_exit(1);
		for (;;)
			pause();
	}
	close(fds[1]);
	assert_int_equal(read(fds[0], &inner, sizeof(inner)), sizeof(inner));
	assert_true(count_left(owner) >= 1);
	pyi_cgroup_sweep(&facts);
	assert_true(count_left(owner) >= 1); /* a live owner's stays */
	kill(owner, SIGKILL);
	status = wait_for(owner);
	assert_true(WIFSIGNALED(status));
	assert_int_equal(kill(inner, 0), 0);
	/* Another invocation on this host may do it before us, or be at it: what counts is that it goes. */
	for (int i = 0; i < 100 && (pyi_cgroup_sweep(&facts) > 0 || count_left(owner)); i++)
		sleep_ms(5);
	assert_int_equal(count_left(owner), 0);
	for (int i = 0; i < 200 && kill(inner, 0) == 0; i++) {
		char stat[64];
		FILE *f;

		/* Nobody may reap it here but pid 1: a zombie is dead enough. */
		snprintf(stat, sizeof(stat), "/proc/%d/stat", inner);
		f = fopen(stat, "r");
		if (!f || (fscanf(f, "%*d (%*[^)]) %63s", stat) == 1 && stat[0] == 'Z')) {
			if (f)
				fclose(f);
			break;
		}
		fclose(f);
		assert_true(i < 199);
		sleep_ms(5);
	}
	assert_true(count_left(getpid()) >= 1); /* ours was not touched */
	pyi_cgroup_free(mine);
	close(fds[0]);
}

static void a_lock_protects_from_sweep(void **state)
{
	char path[400];
	int fd;

	need_groups();
	/* As an owner in another pid namespace looks from here: no such process, but the lock is held. */
	snprintf(path, sizeof(path), "%s/run-1999999999-1",
		 facts.cgroup_v2_dir[0] ? facts.cgroup_v2_dir : facts.cgroup_memory_dir);
	assert_int_equal(mkdir(path, 0755), 0);
	fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	assert_true(fd >= 0);
	assert_int_equal(flock(fd, LOCK_EX), 0);
	pyi_cgroup_sweep(&facts);
	assert_int_equal(access(path, F_OK), 0);
	close(fd);
	for (int i = 0; i < 100 && access(path, F_OK) == 0; i++) {
		pyi_cgroup_sweep(&facts);
		sleep_ms(5);
	}
	assert_true(access(path, F_OK) < 0);
}

static void failure_leaves_nothing(void **state)
{
	struct pyi_limits limits = { .pids = 4, .memory_bytes = 32 << 20 };
	struct pyi_cgroup *cgroup = NULL;
	struct pyi_facts broken;
	struct pyi_err err = { 0 };

	need_groups();
	broken = facts;
	snprintf(broken.cgroup_pids_dir, sizeof(broken.cgroup_pids_dir), "/proc/self");
	assert_true(pyi_cgroup_new(&broken, &limits, &cgroup, &err) < 0);
	print_message("%s\n", err.msg);
	assert_null(cgroup);
	assert_int_equal(count_left(getpid()), 0);
}

static void cost_of_it(void **state)
{
	struct pyi_limits limits = { .pids = 16, .memory_bytes = 256 << 20, .cpu_permille = 1000 };
	double best_new = 1e9, best_enter = 1e9, best_free = 1e9, best_find = 1e9, *shared;

	need_groups();
	shared = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	for (int i = 0; i < 30; i++) {
		struct pyi_facts again = facts;
		struct pyi_cgroup *cgroup;
		double t = now_us();
		pid_t pid;

		pyi_cgroup_find(&again);
		best_find = now_us() - t < best_find ? now_us() - t : best_find;
		t = now_us();
		cgroup = new_group(&limits);
		best_new = now_us() - t < best_new ? now_us() - t : best_new;
		pid = fork();
		if (pid == 0) {
			t = now_us();
			pyi_cgroup_enter(cgroup);
			*shared = now_us() - t;
			_exit(0);
		}
		wait_for(pid);
		best_enter = *shared < best_enter ? *shared : best_enter;
		t = now_us();
		pyi_cgroup_free(cgroup);
		best_free = now_us() - t < best_free ? now_us() - t : best_free;
	}
	print_message("best of 30, us: find %.0f, new %.0f, enter %.0f, free %.0f\n", best_find,
		      best_new, best_enter, best_free);
}

#define BOTH(fn)                                         \
	cmocka_unit_test_setup(fn, find_facts),          \
	{                                                \
		"v1_" #fn, fn, find_v1_facts, NULL, NULL \
	}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(names_are_parsed),
		BOTH(facts_are_found),
		BOTH(memory_limit_kills),
		BOTH(memory_limit_leaves_no_swap),
		BOTH(pids_limit_refuses),
		BOTH(cpu_limit_throttles),
		BOTH(kill_ends_a_tree),
		BOTH(free_kills_what_is_left),
		BOTH(freeze_stops_and_continues),
		BOTH(several_of_one_owner),
		BOTH(sweep_after_sigkill),
		BOTH(a_lock_protects_from_sweep),
		BOTH(failure_leaves_nothing),
		BOTH(cost_of_it),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
