/* SPDX-License-Identifier: MIT */
/* The process layer: each step in a child of its own, looked at through /proc and by trying what must fail. */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <sched.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdint.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>

#include <cmocka.h>

#include "base/err.h"
#include "base/util.h"
#include "kernel/lockdown.h"
#include "kernel/sys.h"
#include "plan/plan.h"

/* A child that says where it failed: its exit status is the line, modulo 251 and never 0. */
#define CHECK(cond)                                                                             \
	do {                                                                                    \
		if (!(cond)) {                                                                  \
			fprintf(stderr, "%s:%d: %s: %s\n", __FILE__, __LINE__, #cond, err.msg); \
			_exit(1 + __LINE__ % 251);                                              \
		}                                                                               \
	} while (0)

static struct pyi_err err;

static int in_child(void (*body)(void))
{
	int status;
	pid_t pid = fork();

	assert_true(pid >= 0);
	if (pid == 0) {
		body();
		_exit(0);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

/* The value of a line of /proc/self/status, as a hexadecimal number. */
static unsigned long long status_hex(const char *name)
{
	_cleanup_file FILE *file = fopen("/proc/self/status", "re");
	char line[256];

	while (file && fgets(line, sizeof(line), file))
		if (strncmp(line, name, strlen(name)) == 0 && line[strlen(name)] == ':')
			return strtoull(line + strlen(name) + 1, NULL, 16);
	return ULLONG_MAX;
}

static void drop_all(void)
{
	CHECK(pyi_lockdown_bounding(&err) == 0);
	CHECK(pyi_lockdown_ids(60123, 60124, false, &err) == 0);
	CHECK(pyi_lockdown_capabilities(&err) == 0);
	CHECK(pyi_lockdown_no_new_privs(&err) == 0);
	CHECK(getuid() == 60123 && geteuid() == 60123 && getgid() == 60124 && getegid() == 60124);
	CHECK(getgroups(0, NULL) == 0);
	CHECK(status_hex("CapInh") == 0 && status_hex("CapPrm") == 0 && status_hex("CapEff") == 0);
	CHECK(status_hex("CapBnd") == 0 && status_hex("CapAmb") == 0);
	CHECK(status_hex("NoNewPrivs") == 1);
	CHECK(setuid(0) < 0 && setgid(0) < 0 && pyi_sys_setgroups(0, NULL) < 0);
}

static void test_drop(void **state)
{
	if (geteuid() != 0)
		skip();
	assert_int_equal(in_child(drop_all), 0);
}

/* The change of ids takes them as well; here there is none, as for an ordinary user in a namespace of his own. */
static void drop_capabilities(void)
{
	CHECK(pyi_lockdown_capabilities(&err) == 0);
	CHECK(status_hex("CapInh") == 0 && status_hex("CapPrm") == 0 && status_hex("CapEff") == 0);
	CHECK(status_hex("CapBnd") == 0 && status_hex("CapAmb") == 0);
	CHECK(getuid() == 0);
}

static void test_capabilities(void **state)
{
	if (geteuid() != 0)
		skip();
	assert_int_equal(in_child(drop_capabilities), 0);
}

static void drop_again_as_ordinary_user(void)
{
	/* Without a capability to begin with: nothing to drop, nothing fails; groups stay. */
	CHECK(pyi_lockdown_ids(65534, 65534, false, &err) == 0);
	CHECK(pyi_lockdown_ids(65534, 65534, true, &err) == 0);
	CHECK(pyi_lockdown_capabilities(&err) == 0);
	CHECK(status_hex("CapEff") == 0 && status_hex("CapPrm") == 0);
	CHECK(pyi_lockdown_ids(0, 65534, true, &err) == -EPERM);
	CHECK(pyi_lockdown_ids(65534, 65534, false, &err) == -EPERM); /* setgroups */
	CHECK(pyi_lockdown_ids((uid_t)-1, 65534, true, &err) == -EINVAL);
}

static void test_ordinary(void **state)
{
	if (geteuid() != 0)
		skip();
	assert_int_equal(in_child(drop_again_as_ordinary_user), 0);
}

static void rlimits(void)
{
	struct pyi_rlimit_row rows[] = {
		{ .resource = RLIMIT_NOFILE, .soft = 32, .hard = 64 },
		{ .resource = RLIMIT_CORE, .soft = 0, .hard = 0 },
		{ .resource = RLIMIT_FSIZE, .soft = RLIM_INFINITY, .hard = RLIM_INFINITY },
	};
	struct rlimit limit;

	CHECK(pyi_lockdown_rlimits(rows, PYI_ARRAY_SIZE(rows), &err) == 0);
	CHECK(getrlimit(RLIMIT_NOFILE, &limit) == 0 && limit.rlim_cur == 32 && limit.rlim_max == 64);
	CHECK(getrlimit(RLIMIT_CORE, &limit) == 0 && limit.rlim_max == 0);

	/* A row above the hard limit in force is cut to it, privileged or not. */
	rows[0].soft = rows[0].hard = 1000;
	CHECK(pyi_lockdown_rlimits(rows, 1, &err) == 0);
	CHECK(getrlimit(RLIMIT_NOFILE, &limit) == 0 && limit.rlim_cur == 64 && limit.rlim_max == 64);

	rows[0].resource = 4711;
	CHECK(pyi_lockdown_rlimits(rows, 1, &err) == -EINVAL);
}

static void test_rlimits(void **state)
{
	assert_int_equal(in_child(rlimits), 0);
}

static void priority(void)
{
	const struct sched_param param = { .sched_priority = 1 };
	_cleanup_fd int fd = open("/proc/self/oom_score_adj", O_RDWR | O_CLOEXEC);
	char score[16] = "";

	CHECK(sched_setscheduler(0, SCHED_RR, &param) == 0);
	CHECK(pyi_lockdown_priority(&err) == 0);
	CHECK(sched_getscheduler(0) == SCHED_OTHER);
	CHECK(setpriority(PRIO_PROCESS, 0, -5) == 0);
	CHECK(write(fd, "-500", 4) == 4 || errno == EACCES); /* root without CAP_SYS_RESOURCE */
	CHECK(pyi_lockdown_priority(&err) == 0);
	CHECK(getpriority(PRIO_PROCESS, 0) == 0);
	CHECK(pread(fd, score, sizeof(score) - 1, 0) > 0 && strcmp(score, "0\n") == 0);

	/* What makes us less important stays. */
	CHECK(setpriority(PRIO_PROCESS, 0, 7) == 0);
	CHECK(pwrite(fd, "300", 3, 0) == 3);
	CHECK(pyi_lockdown_priority(&err) == 0);
	CHECK(getpriority(PRIO_PROCESS, 0) == 7);
	memset(score, 0, sizeof(score));
	CHECK(pread(fd, score, sizeof(score) - 1, 0) > 0 && strcmp(score, "300\n") == 0);
}

static void test_priority(void **state)
{
	if (geteuid() != 0)
		skip();
	assert_int_equal(in_child(priority), 0);
}

static bool is_open(int fd)
{
	return fcntl(fd, F_GETFD) >= 0;
}

static void fds(void)
{
	const int keep[] = { -1, 3, 7, 8, 20 };
	const int wrong[] = { 20, 7 };

	for (int fd = 3; fd < 40; fd++)
		CHECK(dup2(STDERR_FILENO, fd) == fd);
	CHECK(pyi_lockdown_fds(keep, PYI_ARRAY_SIZE(keep), &err) == 0);
	for (int fd = 3; fd < 40; fd++)
		CHECK(is_open(fd) == (fd == 3 || fd == 7 || fd == 8 || fd == 20));
	CHECK(is_open(0) && is_open(1) && is_open(2));
	CHECK(pyi_lockdown_fds(wrong, PYI_ARRAY_SIZE(wrong), &err) == -EINVAL);
	CHECK(pyi_lockdown_fds(NULL, 0, &err) == 0);
	CHECK(!is_open(3) && is_open(2));
}

static void test_fds(void **state)
{
	assert_int_equal(in_child(fds), 0);
}

static void signals(void)
{
	sigset_t set;
	struct sigaction action;

	sigfillset(&set);
	sigprocmask(SIG_BLOCK, &set, NULL);
	signal(SIGPIPE, SIG_IGN);
	signal(SIGHUP, SIG_IGN);
	pyi_lockdown_signals();
	CHECK(sigprocmask(SIG_SETMASK, NULL, &set) == 0);
	for (int signo = 1; signo < NSIG; signo++)
		CHECK(sigismember(&set, signo) <= 0);
	CHECK(sigaction(SIGPIPE, NULL, &action) == 0 && action.sa_handler == SIG_DFL);
	CHECK(sigaction(SIGHUP, NULL, &action) == 0 && action.sa_handler == SIG_DFL);
	CHECK(status_hex("SigIgn") == 0 && status_hex("SigCgt") == 0 && status_hex("SigBlk") == 0);
}

static void test_signals(void **state)
{
	assert_int_equal(in_child(signals), 0);
}

static void flags(void)
{
	void *page;

	CHECK(pyi_lockdown_not_dumpable(&err) == 0);
	CHECK(prctl(PR_GET_DUMPABLE, 0, 0, 0, 0) == 0);
	CHECK(pyi_lockdown_mdwe(&err) == 0);
	page = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	CHECK(page != MAP_FAILED);
	CHECK(mprotect(page, 4096, PROT_READ | PROT_EXEC) < 0 && errno == EACCES);
	CHECK(mmap(NULL, 4096, PROT_READ | PROT_WRITE | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1,
		   0) == MAP_FAILED);
}

static void test_flags(void **state)
{
	assert_int_equal(in_child(flags), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_drop),	 cmocka_unit_test(test_capabilities),
		cmocka_unit_test(test_ordinary), cmocka_unit_test(test_rlimits),
		cmocka_unit_test(test_priority), cmocka_unit_test(test_fds),
		cmocka_unit_test(test_signals),	 cmocka_unit_test(test_flags),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
