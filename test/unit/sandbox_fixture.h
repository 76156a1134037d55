/* SPDX-License-Identifier: MIT */
/* A plan written by hand, a sandbox started from it, its output and its end; for the tests that run real sandboxes. */
#ifndef PYI_TEST_SANDBOX_FIXTURE_H
#define PYI_TEST_SANDBOX_FIXTURE_H

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
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

#include <cmocka.h>

#include "base/err.h"
#include "base/io.h"
#include "base/util.h"
#include "kernel/landlock.h"
#include "kernel/sandbox.h"
#include "plan/plan.h"
#include "wire/report_msg.h"

/* A literal where an argv, an environment or a plan wants a string it may own. */
#define S(text) ((char *)(text))

enum { FIXTURE_BASE = 16, FIXTURE_EXTRA = 8, FIXTURE_TIMEOUT_S = 30 };

struct fixture {
	struct pyi_plan plan;
	struct pyi_op ops[FIXTURE_BASE + FIXTURE_EXTRA];
	size_t n_base, n_extra; /* ops of every sandbox, then those of the test */
	char links[3][64];
	struct pyi_sandbox_start start;
	struct pyi_sandbox sandbox;
	struct pyi_err err;
	int exec_failed;
	int in_fd, out_fd;  /* our ends */
	char out[65536];    /* what came since the last expected line */
	size_t mounts, fds; /* counted at the beginning */
};

static inline size_t fixture_count_mounts(void)
{
	_cleanup_file FILE *file = fopen("/proc/self/mountinfo", "re");
	_cleanup_free char *line = NULL;
	size_t n = 0, size = 0;

	/* Network namespaces that are lent stay for the next one. */
	while (file && getline(&line, &size, file) > 0)
		n += !strstr(line, " /run/pyisolate/net/");
	return n;
}

static inline size_t fixture_count_fds(void)
{
	DIR *dir = opendir("/proc/self/fd");
	size_t n = 0;

	while (dir && readdir(dir))
		n++;
	if (dir)
		closedir(dir);
	return n;
}

static inline void fixture_base_op(struct fixture *f, struct pyi_op op)
{
	f->ops[f->n_base++] = op;
}

/* The host's /usr, what its /bin and /lib are, three devices, a proc, a /tmp of 1 MiB, /etc with one file. */
static inline struct fixture fixture_new(void)
{
	static const char *const links[] = { "/bin", "/lib", "/lib64" };
	static const char *const devices[] = { "/dev/null", "/dev/zero", "/dev/urandom" };
	static char *env[] = { S("PATH=/nonexistent:/usr/bin:/usr/sbin"), S("FOO=bar"), NULL };
	static char *true_argv[] = { S("true"), NULL };
	struct fixture f = { .in_fd = -1, .out_fd = -1 };

	fixture_base_op(&f, (struct pyi_op){ .kind = PYI_OP_BIND,
					     .path = S("/usr"),
					     .source = S("/usr"),
					     .is_dir = true,
					     .access = PYI_READ | PYI_EXEC });
	for (size_t i = 0; i < PYI_ARRAY_SIZE(links); i++) {
		static char texts[PYI_ARRAY_SIZE(links)][64];
		ssize_t len = readlink(links[i], texts[i], sizeof(texts[i]) - 1);

		if (len > 0)
			fixture_base_op(&f, (struct pyi_op){ .kind = PYI_OP_SYMLINK,
							     .path = S(links[i]),
							     .text = texts[i] });
	}
	for (size_t i = 0; i < PYI_ARRAY_SIZE(devices); i++)
		fixture_base_op(&f, (struct pyi_op){ .kind = PYI_OP_DEV,
						     .path = S(devices[i]),
						     .source = S(devices[i]) });
	fixture_base_op(&f, (struct pyi_op){ .kind = PYI_OP_PROC, .path = S("/proc") });
	fixture_base_op(
		&f, (struct pyi_op){ .kind = PYI_OP_TMPFS, .path = S("/tmp"), .size_bytes = 1 << 20 });
	fixture_base_op(&f, (struct pyi_op){ .kind = PYI_OP_FILE,
					     .path = S("/etc/hosts"),
					     .text = S("ours\n") });
	f.plan = (struct pyi_plan){ .guest = PYI_GUEST_COMMAND,
				    .use_namespaces = true,
				    .use_seccomp = true,
				    .exec = true,
				    .uid = 60001,
				    .gid = 60002,
				    .env = env,
				    .cwd = S("/tmp") };
	f.start = (struct pyi_sandbox_start){ .argv = true_argv,
					      .stdio = { STDIN_FILENO, STDOUT_FILENO, -2 },
					      .spec_fd = -1,
					      .report_fd = -1,
					      .image_fd = -1 };
	f.sandbox = PYI_SANDBOX_INIT;
	f.mounts = fixture_count_mounts();
	f.fds = fixture_count_fds();
	umask(0022);
	alarm(FIXTURE_TIMEOUT_S);
	return f;
}

static inline void fixture_op(struct fixture *f, struct pyi_op op)
{
	assert_true(f->n_extra < FIXTURE_EXTRA);
	f->ops[f->n_base + f->n_extra++] = op;
}

/* Start what start.argv says, with stdio as it stands. After a failure nothing may be left. */
static inline int fixture_start(struct fixture *f)
{
	static int null_fd = -1;
	struct pyi_sandbox_start start = f->start;
	int ret, status;

	if (null_fd < 0)
		null_fd = open("/dev/null", O_RDWR | O_CLOEXEC);
	if (start.stdio[2] == -2)
		start.stdio[2] = getenv("V") ? STDERR_FILENO : null_fd;
	f->plan.ops = f->ops;
	f->plan.n_ops = f->n_base + f->n_extra;
	start.plan = &f->plan;
	memset(&f->err, 0, sizeof(f->err));
	ret = pyi_sandbox_start(&start, &f->sandbox, &f->exec_failed, &f->err);
	if (ret) {
		assert_int_equal(waitpid(-1, &status, WNOHANG), -1);
		assert_int_equal(ret, -f->err.errnum);
		assert_true(f->err.msg[0] != '\0');
	}
	return ret;
}

/* Start `sh -c script` with pipes at both ends. 0 or -errno. */
static inline int fixture_begin(struct fixture *f, const char *script)
{
	char *argv[] = { S("sh"), S("-c"), S(script), NULL };
	struct pyi_sandbox_start saved = f->start;
	int in[2], out[2], ret;

	assert_int_equal(pipe2(in, O_CLOEXEC) | pipe2(out, O_CLOEXEC), 0);
	f->start.argv = argv;
	if (f->start.stdio[0] == STDIN_FILENO)
		f->start.stdio[0] = in[0];
	f->start.stdio[1] = out[1];
	ret = fixture_start(f);
	f->start = saved;
	close(in[0]);
	close(out[1]);
	f->in_fd = in[1];
	f->out_fd = out[0];
	if (ret) {
		pyi_close_fd(&f->in_fd);
		pyi_close_fd(&f->out_fd);
		if (getenv("V"))
			fprintf(stderr, "start: %s\n", f->err.msg);
	}
	return ret;
}

static inline void fixture_input(struct fixture *f, const char *text)
{
	assert_int_equal(pyi_write_all(f->in_fd, text, strlen(text)), 0);
}

static inline void fixture_expect_line(struct fixture *f, const char *line)
{
	char found[256];
	size_t len = strlen(line);

	assert_int_equal(pyi_read_full(f->out_fd, found, len), len);
	assert_memory_equal(found, line, len);
}

/* Read the output to its end, then the guest's. Its wait status, or -ECHILD when init said nothing. */
static inline int fixture_finish(struct fixture *f)
{
	struct pyi_status_msg msg = { 0 };
	ssize_t n = pyi_read_full(f->out_fd, f->out, sizeof(f->out) - 1);

	assert_true(n >= 0);
	f->out[n] = '\0';
	pyi_close_fd(&f->in_fd);
	pyi_close_fd(&f->out_fd);
	n = pyi_read_full(f->sandbox.status_fd, &msg, sizeof(msg));
	pyi_sandbox_release(&f->sandbox);
	if (n != (ssize_t)sizeof(msg))
		return -ECHILD;
	assert_int_equal(msg.type, PYI_STATUS_EXITED);
	return msg.wait_status;
}

/* A whole run: its wait status, or -errno of the start. Its output is in f->out. */
static inline int fixture_sh(struct fixture *f, const char *script)
{
	int ret = fixture_begin(f, script);

	return ret ? ret : fixture_finish(f);
}

/* As before the test: no process, mount or descriptor more. */
static inline void fixture_end(struct fixture *f)
{
	int status;

	assert_int_equal(waitpid(-1, &status, WNOHANG), -1);
	assert_int_equal(fixture_count_mounts(), f->mounts);
	assert_in_range(fixture_count_fds(), f->fds, f->fds + 1); /* /dev/null stays */
	alarm(0);
}

/* Every writer of a pipe is gone within ten seconds. */
static inline void fixture_expect_eof(int fd)
{
	char buf[256];

	alarm(10);
	while (read(fd, buf, sizeof(buf)) > 0)
		;
	alarm(0);
	close(fd);
}

static inline void fixture_file(const char *dir, const char *name, const char *text, mode_t mode,
				uid_t owner)
{
	char path[256];
	_cleanup_fd int fd = -1;

	snprintf(path, sizeof(path), "%s/%s", dir, name);
	fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	assert_true(fd >= 0);
	assert_int_equal(pyi_write_all(fd, text, strlen(text)), 0);
	assert_int_equal(fchmod(fd, mode), 0);
	if (geteuid() == 0)
		assert_int_equal(fchown(fd, owner, owner), 0);
}

static inline void fixture_bind(struct fixture *f, const char *path, unsigned int access,
				bool is_dir, bool idmap)
{
	fixture_op(f, (struct pyi_op){ .kind = PYI_OP_BIND,
				       .path = S(path),
				       .source = S(path),
				       .access = access,
				       .is_dir = is_dir,
				       .idmap = idmap });
}

/* A directory anyone may write to, with a directory "secret" and a file "key" that are to be denied. */
static inline void fixture_secrets(char *base, uid_t owner)
{
	char dir[64];

	assert_non_null(mkdtemp(base));
	assert_int_equal(chmod(base, 0777), 0);
	snprintf(dir, sizeof(dir), "%s/secret", base);
	assert_int_equal(mkdir(dir, 0777), 0);
	assert_int_equal(chmod(dir, 0777), 0);
	fixture_file(dir, "x", "secret\n", 0666, owner);
	fixture_file(base, "key", "secret\n", 0666, owner);
	assert_int_equal(chown(base, owner, owner), 0);
	assert_int_equal(chown(dir, owner, owner), 0);
}

/* Remove a directory of a test, which lies in /var/tmp. */
static inline void fixture_remove(const char *path)
{
	pid_t pid;
	int status;

	assert_true(strncmp(path, "/var/tmp/pyi-test-", 18) == 0);
	pid = fork();
	if (pid == 0) {
		execl("/bin/rm", "rm", "-rf", "--one-file-system", path, (char *)NULL);
		_exit(127);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
}

/* Run a test in a child of its own, after `prepare`. An assertion there is a failure here. */
static inline void fixture_in_child(int (*prepare)(void), CMUnitTestFunction body)
{
	pid_t pid = fork();
	int status;

	if (pid == 0) {
		const struct CMUnitTest tests[] = { { .name = "in a child", .test_func = body } };

		cmocka_set_test_filter(NULL);
		if (prepare())
			_exit(126);
		_exit(cmocka_run_group_tests(tests, NULL, NULL));
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
}

/* A real ordinary user. */
static inline int fixture_become_user(void)
{
	return setgroups(0, NULL) || setgid(65534) || setuid(65534);
}

/*
 * A mount namespace of the tests' own, so that nobody else's mounts are counted, and only the tests that match a
 * filter, if there is one.
 */
static inline int fixture_main(const char *filter)
{
	if (unshare(CLONE_NEWNS) || mount(NULL, "/", NULL, MS_PRIVATE | MS_REC, NULL)) {
		perror("unshare");
		return -1;
	}
	cmocka_set_test_filter(filter);
	return 0;
}

#endif
