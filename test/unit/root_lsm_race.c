/* SPDX-License-Identifier: MIT */
/*
 * The kernel may take the processor from an LSM program in the middle and give it to the next process, which runs the
 * same program: neither may see the other's path. Two processes on one processor, with long paths. Full preemption is
 * what makes that happen; only the virtual machine is asked for it.
 */
#include "lsm_fixture.h"
#include "preempt.h"

enum { LONG_PATH = 700, RACE_SECONDS = 8 };

struct racer {
	bool is_allowed;
	unsigned long *rounds, *wrong; /* shared with the parent */
};

static char long_paths[2][LONG_PATH + PATH_MAX];

static int race(const void *arg)
{
	const struct racer *racer = arg;
	const char *path = long_paths[racer->is_allowed];
	time_t end = time(NULL) + RACE_SECONDS;
	cpu_set_t one;

	CPU_ZERO(&one);
	CPU_SET(0, &one);
	if (sched_setaffinity(0, sizeof(one), &one) < 0)
		return 1;
	while (time(NULL) < end) {
		int errnum = close_or_errno(open(path, O_RDONLY | O_CLOEXEC));

		++*racer->rounds;
		*racer->wrong += racer->is_allowed ? errnum != 0 : errnum != EPERM;
	}
	return 0;
}

/* "w/" or "hidden/" and then one deep path for both. */
static void make_long_path(const char *below, char *out)
{
	size_t len = (size_t)snprintf(out, PATH_MAX, "%s/%s", top, below);

	while (len < LONG_PATH) {
		len += (size_t)snprintf(out + len, 128, "/a-directory-with-a-long-name-%03zu", len);
		if (mkdir(out, 0755) < 0)
			fail_msg("%s: %s", out, strerror(errno));
	}
	snprintf(out + len, 16, "/file");
	assert_int_equal(close_or_errno(open(out, O_CREAT | O_WRONLY | O_CLOEXEC, 0644)), 0);
}

static void long_paths_on_one_processor(void **state)
{
	unsigned long *shared = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS,
				     -1, 0);
	struct clone_args args = { .flags = CLONE_INTO_CGROUP, .exit_signal = SIGCHLD };
	struct racer racers[2];
	struct box box;
	pid_t pids[2];

	need_lsm();
	make_tree();
	make_long_path("hidden", long_paths[0]);
	make_long_path("w", long_paths[1]);
	open_box(&box, 0);
	args.cgroup = (uint64_t)pyi_cgroup_v2_fd(box.cgroup);
	for (int i = 0; i < 2; i++) {
		racers[i] = (struct racer){ i == 1, &shared[2 * i], &shared[2 * i + 1] };
		pids[i] = (pid_t)syscall(SYS_clone3, &args, sizeof(args));
		if (pids[i] == 0)
			_exit(race(&racers[i]));
		assert_true(pids[i] > 0);
	}
	for (int i = 0; i < 2; i++)
		assert_int_equal(wait_code(pids[i]), 0);
	close_box(&box);
	print_message("%lu denied opens, %lu allowed ones\n", shared[0], shared[2]);
	assert_true(shared[0] > 100 && shared[2] > 100);
	assert_int_equal(shared[1], 0);
	assert_int_equal(shared[3], 0);
	munmap(shared, 4096);
}

static void its_kernel_preempts_everywhere(void **state)
{
	set_preemption("full");
}

static void and_then_as_before(void **state)
{
	set_preemption("voluntary");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(its_kernel_preempts_everywhere),
		cmocka_unit_test(long_paths_on_one_processor),
		cmocka_unit_test(and_then_as_before),
	};

	return cmocka_run_group_tests(tests, set_up_lsm, tear_down_lsm);
}
