/* SPDX-License-Identifier: MIT */
/*
 * The window of a reload, 10,000 times, and 1,000 in the virtual machine: processes of one sandbox, all on one
 * processor, ask again and again for files with long paths, programs and addresses, while another processor swaps
 * policies A, B and C under them. What all three allow is never refused, what none allows never had, and what only A or
 * only B allows comes and goes. Then the swaps are made by a process that is killed at any moment. Where the kernel
 * takes no LSM programs only the addresses are asked for; in the virtual machine everything is, by a kernel that
 * preempts wherever it is.
 */
#include "bpf_fixture.h"

#include <bpf/bpf.h>
#include <limits.h>

#include "base/util.h"
#include "kernel/bpf_pins.h"
#include "policy/dfa.h"
#include "preempt.h"
#include "pyi_abi.h"

enum {
	SWAPS = 10000,
	VM_SWAPS = 1000,
	KILLS = 60,
	VM_KILLS = 15,
	RETIRE_EACH = 10,
	LONG_PATH = 700,
	ROUNDS_MIN = 20,
	WAIT_S = 240
};
enum place { ALWAYS, NEVER, ONLY_A, ONLY_B, N_PLACES };
enum { N_POLICIES = 3, N_GUESTS = 5 };

static const uint16_t ports[N_PLACES] = { 1000, 2000, 3001, 3002 };
static char top[64], files[N_PLACES][LONG_PATH + PATH_MAX], programs[N_PLACES][PATH_MAX];

/* Shared with the guests. */
struct tally {
	unsigned long rounds, refused, had, odd; /* wrongly refused, wrongly had, answers that are neither */
	unsigned long yes[2], no[2];		 /* of ONLY_A and ONLY_B */
};

static struct shared {
	_Atomic int is_done;
	struct tally tallies[N_GUESTS];
} *shared;

static int ask_file(enum place place)
{
	int fd = open(files[place], O_RDONLY | O_CLOEXEC);

	if (fd < 0)
		return errno;
	close(fd);
	return 0;
}

static int ask_program(enum place place)
{
	char *argv[] = { programs[place], NULL };
	pid_t pid = fork();
	int status;

	if (pid == 0) {
		execv(programs[place], argv);
		_exit(errno);
	}
	while (waitpid(pid, &status, 0) < 0)
		;
	/* Where the policy changes in the midst of execve(2) the kernel cannot go back, and kills it. */
	return WIFEXITED(status) ? WEXITSTATUS(status) : EPERM;
}

/* Connecting a UDP socket sends nothing. */
static int ask_address(enum place place)
{
	static int fd = -1;
	struct sockaddr_in to = { .sin_family = AF_INET, .sin_port = htons(ports[place]) };

	if (fd < 0)
		fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	return connect(fd, (const void *)&to, sizeof(to)) < 0 ? errno : 0;
}

static void stay_on(size_t cpu)
{
	cpu_set_t set;

	CPU_ZERO(&set);
	CPU_SET(cpu, &set);
	(void)sched_setaffinity(0, sizeof(set), &set);
}

struct guest {
	const char *what;
	int (*ask)(enum place place);
	struct tally *tally;
};

static int hammer(const void *arg)
{
	const struct guest *guest = arg;
	struct tally *t = guest->tally;

	prctl(PR_SET_PDEATHSIG, SIGKILL); /* of a test that failed */
	stay_on(1);
	while (!shared->is_done) {
		for (int place = 0; place < N_PLACES; place++) {
			int got = guest->ask((enum place)place);

			if (got && got != EPERM)
				t->odd++;
			else if (place == ALWAYS)
				t->refused += got != 0;
			else if (place == NEVER)
				t->had += got == 0;
			else
				(got ? t->no : t->yes)[place - ONLY_A]++;
		}
		t->rounds++;
	}
	return 0;
}

/* ------------------------------------------------------------------------------------------------ the policies */

static bool has_lsm(void)
{
	return !pyi_bpf_maps_of(bpf)->lsm_errnum;
}

static void make_file(enum place place, const char *below)
{
	char *out = files[place], command[2 * PATH_MAX];
	size_t len = (size_t)snprintf(out, PATH_MAX, "%s/%s", top, below);

	(void)mkdir(out, 0755);
	snprintf(programs[place], PATH_MAX, "%s/true", out);
	snprintf(command, sizeof(command), "cp \"${PYI_HELPERS:-build/helper}/true\" %s",
		 programs[place]);
	assert_int_equal(system(command), 0);
	while (len < LONG_PATH) {
		len += (size_t)snprintf(out + len, 128, "/a-directory-with-a-long-name-%03zu", len);
		assert_int_equal(mkdir(out, 0755), 0);
	}
	snprintf(out + len, 16, "/file");
	close(open(out, O_CREAT | O_WRONLY | O_CLOEXEC, 0644));
}

static struct pyi_dfa *make_paths(const char *changing)
{
	char paths[3][PATH_MAX];
	const struct pyi_dfa_rule rules[] = {
		{ paths[0], false, false, PYI_DFA_ALLOW, PYI_READ | PYI_EXEC, 0, 0 },
		{ paths[1], false, false, PYI_DFA_DENY, 7, 1, 0 },
		{ paths[2], false, false, PYI_DFA_ALLOW, PYI_READ | PYI_EXEC, 2, 0 },
	};
	struct pyi_dfa *dfa = NULL;
	struct pyi_err err = { 0 };
	size_t costly;

	snprintf(paths[0], PATH_MAX, "%s/always", top);
	snprintf(paths[1], PATH_MAX, "%s/always/never", top);
	snprintf(paths[2], PATH_MAX, "%s/%s", top, changing);
	assert_int_equal(pyi_dfa_build(rules, PYI_ARRAY_SIZE(rules), &dfa, &costly, &err), 0);
	return dfa;
}

static void make_policies(struct box boxes[N_POLICIES])
{
	static const struct pyi_policy no_policy;
	static const char *const changing[N_POLICIES] = { "a", "b", "neither" };
	static const uint16_t changing_ports[N_POLICIES] = { 3001, 3002, 3003 };

	snprintf(top, sizeof(top), "/var/tmp/pyiwindow.%d", getpid());
	assert_int_equal(mkdir(top, 0755), 0);
	make_file(ALWAYS, "always");
	make_file(NEVER, "always/never");
	make_file(ONLY_A, "a");
	make_file(ONLY_B, "b");
	for (int i = 0; i < N_POLICIES; i++) {
		struct pyi_plan *plan = &boxes[i].plan;

		add_row(&boxes[i], "127.0.0.1", 32, 1000, 1000, C_UDP, false);
		boxes[i].rows[0].n_ranges = 2;
		boxes[i].rows[0].ranges[1] = boxes[i].rows[0].ranges[0];
		boxes[i].rows[0].ranges[1].port_min = boxes[i].rows[0].ranges[1].port_max = changing_ports[i];
		plan->policy = &no_policy;
		plan->guest = PYI_GUEST_COMMAND;
		plan->use_bpf_lsm = has_lsm();
		plan->paths = has_lsm() ? make_paths(changing[i]) : NULL;
	}
}

static void remove_policies(struct box boxes[N_POLICIES])
{
	char command[128];

	for (int i = 0; i < N_POLICIES; i++)
		pyi_dfa_free(boxes[i].plan.paths);
	snprintf(command, sizeof(command), "rm -rf %s", top);
	assert_int_equal(system(command), 0);
}

/* ---------------------------------------------------------------------------------------------------- the swaps */

/* What a reload does, with the policy whose turn it is. */
static const char *reload(uint64_t id, struct box boxes[N_POLICIES], bool is_retired)
{
	static struct pyi_err err;
	const struct pyi_plan *plan;
	uint32_t now;

	if (pyi_bpf_generation(bpf, id, &now) < 0)
		return "no generation";
	plan = &boxes[now % N_POLICIES].plan;
	if (pyi_bpf_stage(bpf, id, now + 1, plan, &err) || pyi_bpf_swap(bpf, id, now + 1, plan, &err))
		return err.msg;
	return is_retired && pyi_bpf_retire(bpf, id) < 0 ? "it cannot retire the old policy" : NULL;
}

static bool have_all_asked(const struct guest *guests, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (guests[i].tally->rounds < ROUNDS_MIN)
			return false;
	return true;
}

/* How many bodies are in the rows of this cgroup? */
static size_t count_bodies(uint64_t id)
{
	struct pyi_abi_net_key key, next;
	uint64_t body, bodies[64];
	bool first = true, is_new;
	size_t n = 0;

	for (; bpf_map_get_next_key(pyi_bpf_maps_of(bpf)->net_rows, first ? NULL : &key, &next) == 0;
	     key = next) {
		first = false;
		memcpy(&body, next.body, sizeof(body));
		is_new = (body & PYI_ABI_BODY_CGROUP) == id;
		for (size_t i = 0; i < n; i++)
			is_new = is_new && bodies[i] != body;
		if (is_new && n < PYI_ARRAY_SIZE(bodies))
			bodies[n++] = body;
	}
	return n;
}

static void swap_many(uint64_t id, struct box boxes[N_POLICIES], const struct guest *guests, size_t n)
{
	const unsigned int swaps = getenv("PYI_VM") ? VM_SWAPS : SWAPS;
	time_t end = time(NULL) + WAIT_S;
	uint32_t last = 0;

	for (unsigned int i = 1; i <= swaps || !have_all_asked(guests, n); i++) {
		const char *why = reload(id, boxes, i % RETIRE_EACH == 0);

		if (why)
			fail_msg("swap %u: %s", i, why);
		if (time(NULL) > end)
			fail_msg("%u swaps in %d s", i, WAIT_S);
	}
	assert_int_equal(pyi_bpf_generation(bpf, id, &last), 0);
	assert_true(last > swaps);
	print_message("%u swaps in %ld s\n", last - 1, (long)(time(NULL) - (end - WAIT_S)));
}

/* The swapper dies anywhere; the next one clears away what that one staged, as a reload does. */
static void swap_and_be_killed(uint64_t id, struct box boxes[N_POLICIES])
{
	const int kills = getenv("PYI_VM") ? VM_KILLS : KILLS;
	uint32_t before, now;

	assert_int_equal(pyi_bpf_generation(bpf, id, &before), 0);
	for (int i = 0; i < kills; i++) {
		pid_t pid = fork();
		int status;

		assert_true(pid >= 0);
		if (pid == 0) {
			while (!reload(id, boxes, true))
				;
			_exit(1);
		}
		usleep((useconds_t)(i * 7919 % 40000 + (getenv("PYI_VM") ? 20000 : 0)));
		kill(pid, SIGKILL);
		assert_int_equal(waitpid(pid, &status, 0), pid);
		assert_true(WIFSIGNALED(status));
		assert_int_equal(pyi_bpf_generation(bpf, id, &now), 0);
		pyi_bpf_unstage(bpf, id, now + 1);
		assert_int_equal(pyi_bpf_retire(bpf, id), 0);
		assert_int_equal(count_bodies(id), 1);
	}
	assert_true(now > before);
	print_message("%u swaps by %d that were killed\n", now - before, kills);
}

static pid_t start_guest(const struct box *box, const struct guest *guest)
{
	struct clone_args args = { .flags = CLONE_INTO_CGROUP,
				   .exit_signal = SIGCHLD,
				   .cgroup = (uint64_t)pyi_cgroup_v2_fd(box->cgroup) };
	pid_t pid = (pid_t)syscall(SYS_clone3, &args, sizeof(args));

	assert_true(pid >= 0);
	if (pid == 0)
		_exit(hammer(guest));
	return pid;
}

static int check_tally(const struct guest *guest)
{
	const struct tally *t = guest->tally;

	print_message("%s: %lu rounds, wrongly refused %lu, wrongly had %lu, odd %lu; "
		      "of A %lu yes, %lu no, of B %lu yes, %lu no\n",
		      guest->what, t->rounds, t->refused, t->had, t->odd, t->yes[0], t->no[0],
		      t->yes[1], t->no[1]);
	return t->refused || t->had || t->odd || !t->yes[0] || !t->no[0] || !t->yes[1] || !t->no[1];
}

static void no_decision_that_neither_policy_gives(void **state)
{
	struct box boxes[N_POLICIES] = { 0 };
	struct guest guests[N_GUESTS] = {
		{ .what = "addresses", .ask = ask_address },
		{ .what = "addresses", .ask = ask_address },
		{ .what = "files", .ask = ask_file },
		{ .what = "files", .ask = ask_file },
		{ .what = "programs", .ask = ask_program },
	};
	size_t n_guests = 2;
	pid_t pids[N_GUESTS];
	int wrong = 0;

	need_bpf();
	if (has_lsm())
		n_guests = N_GUESTS;
	else if (getenv("PYI_VM"))
		fail_msg("the virtual machine's kernel must take LSM programs");
	shared = mmap(NULL, sizeof(*shared), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	assert_ptr_not_equal(shared, MAP_FAILED);
	make_policies(boxes);
	open_box(&boxes[0]);
	if (has_lsm())
		assert_int_equal(pyi_bpf_arm(bpf), 0);
	for (size_t i = 0; i < n_guests; i++) {
		guests[i].tally = &shared->tallies[i];
		pids[i] = start_guest(&boxes[0], &guests[i]);
	}
	stay_on(0);
	swap_many(pyi_cgroup_id(boxes[0].cgroup), boxes, guests, n_guests);
	swap_and_be_killed(pyi_cgroup_id(boxes[0].cgroup), boxes);
	shared->is_done = 1;
	for (size_t i = 0; i < n_guests; i++) {
		assert_int_equal(waitpid(pids[i], NULL, 0), pids[i]);
		wrong += check_tally(&guests[i]);
	}
	close_box(&boxes[0]);
	remove_policies(boxes);
	munmap(shared, sizeof(*shared));
	assert_int_equal(wrong, 0);
}

/* What the virtual machine was booted with took effect. */
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
		cmocka_unit_test(no_decision_that_neither_policy_gives),
		cmocka_unit_test(and_then_as_before),
	};

	return cmocka_run_group_tests(tests, set_up, tear_down);
}
