/* SPDX-License-Identifier: MIT */
/*
 * Real sandboxes on the running kernel, with plans written by hand: what the guest is, how it is signalled, reaped and
 * ended, and that nothing is left. Root; an ordinary user is a child with uid 65534.
 */
#include "test/unit/sandbox_fixture.h"

static void test_identity(void **state)
{
	struct fixture f = fixture_new();

	assert_int_equal(fixture_sh(&f, "id -u; id -g; id -G; umask; pwd; hostname; echo $0 $$ $FOO"),
			 0);
	assert_string_equal(f.out, "60001\n60002\n60002\n0022\n/tmp\npyisolate\nsh 2 bar\n");
	assert_int_equal(
		fixture_sh(&f, "grep -E '^(Cap|NoNewPrivs|Uid|Gid|Groups|SigBlk|SigIgn)' /proc/self/status"),
		0);
	assert_string_equal(f.out,
			    "Uid:\t60001\t60001\t60001\t60001\nGid:\t60002\t60002\t60002\t60002\n"
			    "Groups:\t \nSigBlk:\t0000000000000000\nSigIgn:\t0000000000000000\n"
			    "CapInh:\t0000000000000000\nCapPrm:\t0000000000000000\nCapEff:\t0000000000000000\n"
			    "CapBnd:\t0000000000000000\nCapAmb:\t0000000000000000\nNoNewPrivs:\t1\n");
	fixture_end(&f);
}

static void test_init_is_out_of_reach(void **state)
{
	struct fixture f = fixture_new();

	assert_int_equal(fixture_sh(&f, "for s in KILL STOP TERM INT CHLD SEGV USR1 RTMAX; do kill -$s 1; done; "
					"sleep 0.05; ls /proc | grep -c '^1$'; cat /proc/1/status; "
					"ls /proc/1/fd; cat /proc/1/mem; echo here"),
			 0);
	assert_string_equal(f.out, "0\nhere\n");
	fixture_end(&f);
}

/* The three stdio descriptors in any order, and no other descriptor of the supervisor, whatever its flags. */
static void test_descriptors(void **state)
{
	struct fixture f = fixture_new();
	int leak = open("/etc/passwd", O_RDONLY), dir;

	assert_true(leak > 2 && dup2(leak, 77) == 77);
	assert_int_equal(fixture_sh(&f, "cd /proc/self/fd; echo *"), 0);
	assert_string_equal(f.out, "0 1 2 3\n"); /* 3: the shell's own, of the directory */
	f.start.stdio[0] = -1;
	f.start.stdio[2] = -1;
	assert_int_equal(
		fixture_sh(&f, "[ -e /proc/$$/fd/0 ] || [ -e /proc/$$/fd/2 ] || echo closed"), 0);
	assert_string_equal(f.out, "closed\n");
	close(leak);
	close(77);
	dir = open("/", O_RDONLY | O_DIRECTORY);
	f.start.stdio[0] = dir;
	assert_int_equal(fixture_sh(&f, "true"), -EISDIR);
	close(dir);
	fixture_end(&f);
}

static void test_exit_and_signals(void **state)
{
	struct fixture f = fixture_new();
	static const int signals[] = { SIGHUP,	SIGINT,	 SIGQUIT,  SIGTERM,
				       SIGUSR1, SIGUSR2, SIGWINCH, SIGXCPU };
	char script[160], expected[16];

	assert_int_equal(fixture_sh(&f, "exit 42"), 42 << 8);
	assert_int_equal(fixture_sh(&f, "kill -SEGV $$") & 0x7f, SIGSEGV);
	for (size_t i = 0; i < PYI_ARRAY_SIZE(signals); i++) {
		snprintf(script, sizeof(script),
			 "trap 'echo got %d; exit 7' %d; echo ready; "
			 "while :; do sleep 0.02; done",
			 signals[i], signals[i]);
		snprintf(expected, sizeof(expected), "got %d\n", signals[i]);
		assert_int_equal(fixture_begin(&f, script), 0);
		fixture_expect_line(&f, "ready\n");
		assert_int_equal(pyi_sandbox_signal(&f.sandbox, signals[i]), 0);
		assert_int_equal(fixture_finish(&f), 7 << 8);
		assert_string_equal(f.out, expected);
	}
	assert_int_equal(fixture_begin(&f, "echo ready; sleep 100"), 0);
	fixture_expect_line(&f, "ready\n");
	assert_int_equal(pyi_sandbox_signal(&f.sandbox, SIGKILL), 0);
	assert_int_equal(fixture_finish(&f), -ECHILD); /* init went with it */
	fixture_end(&f);
}

/* Whoever started the supervisor may have told it to ignore any signal, SIGCHLD included. */
static void test_ignored_signals(void **state)
{
	struct fixture f = fixture_new();

	for (int signo = 1; signo < NSIG; signo++)
		signal(signo, SIG_IGN);
	assert_int_equal(fixture_sh(&f, "(exit 7); exit $?"), 7 << 8);
	assert_int_equal(
		fixture_begin(&f, "trap 'exit 9' TERM; echo ready; while :; do sleep 0.02; done"), 0);
	fixture_expect_line(&f, "ready\n");
	assert_int_equal(pyi_sandbox_signal(&f.sandbox, SIGTERM), 0);
	assert_int_equal(fixture_finish(&f), 9 << 8);
	for (int signo = 1; signo < NSIG; signo++)
		signal(signo, SIG_DFL);
	fixture_end(&f);
}

static void test_stop_and_continue(void **state)
{
	struct fixture f = fixture_new();
	struct pyi_status_msg msg;

	assert_int_equal(fixture_begin(&f, "echo ready; read x; echo $x"), 0);
	fixture_expect_line(&f, "ready\n");
	assert_int_equal(pyi_sandbox_signal(&f.sandbox, SIGTSTP), 0);
	assert_int_equal(pyi_read_full(f.sandbox.status_fd, &msg, sizeof(msg)), sizeof(msg));
	assert_int_equal(msg.type, PYI_STATUS_STOPPED);
	assert_int_equal(pyi_sandbox_signal(&f.sandbox, SIGCONT), 0);
	fixture_input(&f, "done\n");
	assert_int_equal(fixture_finish(&f), 0);
	assert_string_equal(f.out, "done\n");
	fixture_end(&f);
}

static void test_orphans_end_with_the_guest(void **state)
{
	struct fixture f = fixture_new();

	/* The pipe's end of file comes only when every holder is gone. */
	assert_int_equal(
		fixture_sh(&f, "(setsid sleep 100 &) ; (setsid sh -c 'sleep 100 & sleep 100' &); sleep 0.1; exit 3"),
		3 << 8);
	fixture_end(&f);
}

static void test_exec_failures(void **state)
{
	struct fixture f = fixture_new();
	char *missing[] = { S("no-such-program"), NULL }, *denied[] = { S("/usr"), NULL },
	     *empty[] = { S(""), NULL };

	f.start.argv = missing;
	assert_int_equal(fixture_start(&f), -ENOENT);
	assert_int_equal(f.exec_failed, 1);
	assert_non_null(strstr(f.err.msg, "no-such-program"));
	f.start.argv = denied;
	assert_int_equal(fixture_start(&f), -EACCES);
	assert_int_equal(f.exec_failed, 1);
	f.start.argv = empty;
	assert_int_equal(fixture_start(&f), -ENOENT);
	f.start.argv = NULL;
	assert_int_equal(fixture_start(&f), -EINVAL);
	assert_int_equal(f.exec_failed, 0);
	f.plan.uid = 0;
	f.start.argv = missing;
	assert_int_equal(fixture_start(&f), -EINVAL);
	fixture_end(&f);
}

/* The supervisor is killed while the guest runs, and while it starts, at many different moments. */
static void test_death_of_the_supervisor(void **state)
{
	for (int delay_us = -1; delay_us < 3000; delay_us += delay_us < 0 ? 1 : 150) {
		int ends[2], status;
		pid_t pid;
		char byte;

		assert_int_equal(pipe(ends), 0);
		pid = fork();
		if (pid == 0) {
			struct fixture f = fixture_new();

			close(ends[0]);
			f.start.stdio[1] = ends[1];
			f.start.argv = (char *[]){ S("sh"), S("-c"),
						   S("echo; sleep 100 & setsid sleep 100"), NULL };
			fixture_start(&f);
			for (;;)
				pause();
		}
		close(ends[1]);
		if (delay_us < 0)
			assert_int_equal(read(ends[0], &byte, 1), 1);
		else
			usleep((useconds_t)delay_us);
		kill(pid, SIGKILL);
		assert_int_equal(waitpid(pid, &status, 0), pid);
		/* Every process that was to come of it holds this pipe open. */
		fixture_expect_eof(ends[0]);
	}
}

static void test_network_namespace(void **state)
{
	struct fixture f = fixture_new();

	f.plan.own_netns = true;
	assert_int_equal(fixture_sh(&f, "tail -n +3 /proc/self/net/dev | grep -c ."), 0);
	assert_string_equal(f.out, "1\n"); /* lo, down */
	fixture_end(&f);
}

static void no_namespaces(struct fixture *f)
{
	static struct pyi_landlock_row rows[] = {
		{ .path = S("/usr"), .access = PYI_READ | PYI_EXEC, .is_dir = true },
		{ .path = S("/proc"), .access = PYI_READ, .is_dir = true },
		{ .path = S("/dev"), .access = PYI_READ | PYI_WRITE, .is_dir = true },
		{ .path = S("/etc/ld.so.cache"), .access = PYI_READ },
	};

	f->plan.use_namespaces = false;
	f->plan.use_userns = false;
	f->plan.use_landlock = true;
	f->plan.landlock = rows;
	f->plan.n_landlock = PYI_ARRAY_SIZE(rows);
	f->start.landlock_abi = pyi_landlock_abi();
}

static void check_without_namespaces(struct fixture *f)
{
	char expected[64];

	no_namespaces(f);
	snprintf(expected, sizeof(expected), "%u\nsh\n", f->plan.uid);
	assert_int_equal(
		fixture_sh(f, "id -u; cat /etc/passwd; ls /root; touch /var/tmp/pyi-x; "
			      "grep -E '^Cap(Eff|Prm)' /proc/self/status | grep -v 0000000000000000; echo $0"),
		0);
	assert_string_equal(f->out, expected);
	assert_int_equal(fixture_sh(f, "(sleep 100 &); (setsid sleep 100 &); sleep 0.1; exit 5"),
			 5 << 8);
	assert_int_equal(fixture_sh(f, "kill -9 $PPID; echo still here"), 0);
	assert_string_equal(f->out, "still here\n"); /* Landlock's scope for signals */
	assert_int_equal(
		fixture_begin(f, "trap 'echo got; exit 7' INT; echo ready; while :; do sleep 0.02; done"),
		0);
	fixture_expect_line(f, "ready\n");
	assert_int_equal(pyi_sandbox_signal(&f->sandbox, SIGINT), 0);
	assert_int_equal(fixture_finish(f), 7 << 8);
	assert_int_equal(fixture_begin(f, "echo ready; sleep 100 & sleep 100"), 0);
	fixture_expect_line(f, "ready\n");
	assert_int_equal(pyi_sandbox_signal(&f->sandbox, SIGKILL), 0);
	fixture_finish(f);
}

static void test_without_namespaces(void **state)
{
	struct fixture f = fixture_new();

	check_without_namespaces(&f);
	fixture_end(&f);
}

static void test_supervisor_death_without_namespaces(void **state)
{
	int ends[2], status;
	char byte;
	pid_t pid;

	assert_int_equal(pipe(ends), 0);
	pid = fork();
	if (pid == 0) {
		struct fixture f = fixture_new();

		close(ends[0]);
		no_namespaces(&f);
		f.start.stdio[1] = ends[1];
		f.start.argv = (char *[]){ S("sh"), S("-c"),
					   S("(setsid sleep 100 &); sleep 100 & echo; wait"), NULL };
		fixture_start(&f);
		for (;;)
			pause();
	}
	close(ends[1]);
	assert_int_equal(read(ends[0], &byte, 1), 1);
	kill(pid, SIGKILL);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	fixture_expect_eof(ends[0]);
}

static void ordinary_user(void **state)
{
	struct fixture f = fixture_new();

	f.plan.uid = f.plan.gid = 65534;
	f.plan.use_userns = true;
	assert_int_equal(fixture_sh(&f, "id -u; id -g; cat /proc/self/uid_map /proc/self/gid_map; "
					"grep -E '^Cap(Eff|Prm|Bnd)' /proc/self/status; ls -A /; "
					"touch /x /usr/x /etc/x; chmod 777 / /etc; mkdir /tmp/d && echo x >/tmp/d/x; "
					"cut -d' ' -f5 /proc/self/mountinfo | sort | tr '\\n' ' '"),
			 0);
	assert_string_equal(
		f.out,
		"65534\n65534\n     65534      65534          1\n     65534      65534          1\n"
		"CapPrm:\t0000000000000000\nCapEff:\t0000000000000000\nCapBnd:\t0000000000000000\n"
		"bin\ndev\netc\nlib\nlib64\nproc\ntmp\nusr\n"
		"/ /dev/null /dev/urandom /dev/zero /proc /tmp /usr ");
	assert_int_equal(fixture_sh(&f, "kill -9 1; cat /proc/1/environ; echo here"), 0);
	assert_string_equal(f.out, "here\n");
	check_without_namespaces(&f);
	fixture_end(&f);
}

static void test_ordinary_user(void **state)
{
	fixture_in_child(fixture_become_user, ordinary_user);
}

static int close_stdio(void)
{
	return close(0) || close(1);
}

/* A supervisor without stdin and stdout: its own pipes must not become the guest's. */
static void without_stdio(void **state)
{
	struct fixture f = fixture_new();

	f.start.stdio[0] = -1;
	f.start.stdio[1] = -1;
	assert_int_equal(fixture_start(&f), 0);
	pyi_sandbox_release(&f.sandbox);
	f.start.stdio[1] = STDOUT_FILENO;
	assert_int_equal(
		fixture_sh(&f, "for i in 0 3 4 5 6 7 8 9; do [ -e /proc/$$/fd/$i ] && echo $i; done; echo x"),
		0);
	assert_string_equal(f.out, "x\n");
}

static void test_without_stdio(void **state)
{
	fixture_in_child(close_stdio, without_stdio);
}

/* What init keeps: three pipe ends, no file of the guest, a filter, no capability. */
static void test_init_is_locked_down(void **state)
{
	struct fixture f = fixture_new();
	char path[64], line[256];
	FILE *file;
	DIR *dir;
	int n_fds = 0, n_good = 0;

	assert_int_equal(fixture_begin(&f, "echo ready; read x"), 0);
	fixture_expect_line(&f, "ready\n");
	snprintf(path, sizeof(path), "/proc/%d/fd", f.sandbox.pid);
	dir = opendir(path);
	assert_non_null(dir);
	while (readdir(dir))
		n_fds++;
	closedir(dir);
	assert_int_equal(n_fds, 2 + 3);
	snprintf(path, sizeof(path), "/proc/%d/status", f.sandbox.pid);
	file = fopen(path, "re");
	assert_non_null(file);
	while (fgets(line, sizeof(line), file)) {
		static const char *const good[] = {
			"Uid:\t60001\t60001\t60001\t60001\n",
			"Gid:\t60002\t60002\t60002\t60002\n",
			"CapInh:\t0000000000000000\n",
			"CapPrm:\t0000000000000000\n",
			"CapEff:\t0000000000000000\n",
			"CapBnd:\t0000000000000000\n",
			"CapAmb:\t0000000000000000\n",
			"NoNewPrivs:\t1\n",
			"Seccomp:\t2\n",
		};

		for (size_t i = 0; i < PYI_ARRAY_SIZE(good); i++)
			n_good += strcmp(line, good[i]) == 0;
	}
	fclose(file);
	assert_int_equal(n_good, 9);
	fixture_input(&f, "\n");
	assert_int_equal(fixture_finish(&f), 0);
	fixture_end(&f);
}

static void test_no_layer_at_all(void **state)
{
	struct fixture f = fixture_new();

	/* Neither wall: no sandbox. */
	f.plan.use_namespaces = false;
	assert_int_equal(fixture_start(&f), -ENOSYS);
	fixture_end(&f);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_identity),
		cmocka_unit_test(test_init_is_out_of_reach),
		cmocka_unit_test(test_descriptors),
		cmocka_unit_test(test_exit_and_signals),
		cmocka_unit_test(test_ignored_signals),
		cmocka_unit_test(test_stop_and_continue),
		cmocka_unit_test(test_orphans_end_with_the_guest),
		cmocka_unit_test(test_exec_failures),
		cmocka_unit_test(test_death_of_the_supervisor),
		cmocka_unit_test(test_network_namespace),
		cmocka_unit_test(test_without_namespaces),
		cmocka_unit_test(test_supervisor_death_without_namespaces),
		cmocka_unit_test(test_ordinary_user),
		cmocka_unit_test(test_without_stdio),
		cmocka_unit_test(test_init_is_locked_down),
		cmocka_unit_test(test_no_layer_at_all),
	};

	if (geteuid() != 0) {
		fprintf(stderr, "1..0 # SKIP needs root\n");
		return 0;
	}
	return fixture_main(getenv("T")) ? 1 : cmocka_run_group_tests(tests, NULL, NULL);
}
