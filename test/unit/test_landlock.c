/* SPDX-License-Identifier: MIT */
/*
 * The Landlock domain in the kernel, as any user: a forked child enters it and tries each action twice, once where it
 * is allowed and once where it is not.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/err.h"
#include "base/util.h"
#include "kernel/landlock.h"
#include "plan/plan.h"

static char top[] = "/tmp/pyi-landlock-XXXXXX";
static uint16_t port_yes, port_no;
static int listen_yes, listen_no;
static int abi;

static struct pyi_net_row net_row = { .n_ranges = 1 };
static struct pyi_landlock_row rows[16];
static struct pyi_plan plan = { .landlock = rows, .net = &net_row, .n_net = 1 };

static char *in_top(const char *name)
{
	static char bufs[8][128];
	static unsigned int next;
	char *buf = bufs[next++ % 8];

	snprintf(buf, sizeof(bufs[0]), "%s/%s", top, name);
	return buf;
}

static void make_file(const char *name, mode_t mode)
{
	_cleanup_fd int fd = open(in_top(name), O_CREAT | O_WRONLY | O_CLOEXEC, mode);

	assert_true(fd >= 0);
	assert_int_equal(write(fd, "data\n", 5), 5);
}

static int listener(uint16_t *ret_port)
{
	struct sockaddr_in sin = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	socklen_t len = sizeof(sin);
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	assert_int_equal(bind(fd, (struct sockaddr *)&sin, len), 0);
	assert_int_equal(listen(fd, 8), 0);
	assert_int_equal(getsockname(fd, (struct sockaddr *)&sin, &len), 0);
	*ret_port = ntohs(sin.sin_port);
	return fd;
}

static int copy_self(const char *name)
{
	_cleanup_fd int in = open("/proc/self/exe", O_RDONLY | O_CLOEXEC);
	_cleanup_fd int out = open(in_top(name), O_CREAT | O_WRONLY | O_CLOEXEC, 0755);
	char buf[65536];
	ssize_t n;

	while ((n = read(in, buf, sizeof(buf))) > 0)
		if (write(out, buf, (size_t)n) != n)
			return -1;
	return n < 0 ? -1 : 0;
}

/* Where this program's loader and libraries are: its copies need them. */
static size_t add_libraries(size_t n)
{
	_cleanup_file FILE *maps = fopen("/proc/self/maps", "re");
	char line[4096];

	while (maps && fgets(line, sizeof(line), maps) && n < PYI_ARRAY_SIZE(rows)) {
		char *path = strchr(line, '/');
		char *end = path ? strrchr(path, '/') : NULL;

		if (!end || !strstr(end, ".so"))
			continue;
		*end = '\0';
		if (!rows[n - 1].path || strcmp(rows[n - 1].path, path))
			rows[n++] = (struct pyi_landlock_row){ strdup(path), PYI_READ | PYI_EXEC,
							       true,	     false,
							       false,	     false };
	}
	return n;
}

static int setup(void **state)
{
	size_t n = 0;

	(void)state;
	abi = pyi_landlock_abi();
	assert_non_null(mkdtemp(top));
	assert_int_equal(mkdir(in_top("ro"), 0755), 0);
	assert_int_equal(mkdir(in_top("rw"), 0755), 0);
	assert_int_equal(mkdir(in_top("rw2"), 0755), 0);
	assert_int_equal(mkdir(in_top("no"), 0755), 0);
	assert_int_equal(mkdir(in_top("own"), 0755), 0);
	make_file("ro/f", 0644);
	make_file("rw/f", 0644);
	make_file("no/f", 0644);
	make_file("one", 0644);
	assert_int_equal(symlink(in_top("no"), in_top("link")), 0);
	assert_int_equal(copy_self("rw/prog"), 0);
	assert_int_equal(copy_self("ro/prog"), 0);
	listen_yes = listener(&port_yes);
	listen_no = listener(&port_no);

	rows[n++] = (struct pyi_landlock_row){ in_top("ro"), PYI_READ | PYI_EXEC,
					       true,	     false,
					       false,	     false };
	rows[n++] = (struct pyi_landlock_row){ in_top("rw"), PYI_READ | PYI_WRITE,
					       true,	     false,
					       false,	     false };
	rows[n++] = (struct pyi_landlock_row){ in_top("rw2"), PYI_READ | PYI_WRITE,
					       true,	      false,
					       false,	      false };
	rows[n++] = (struct pyi_landlock_row){ in_top("own"), PYI_READ | PYI_WRITE,
					       true,	      true,
					       false,	      false };
	rows[n++] = (struct pyi_landlock_row){ in_top("one"), PYI_READ | PYI_WRITE,
					       false,	      true,
					       false,	      false };
	for (size_t i = 0; i < n; i++)
		rows[i].path = strdup(rows[i].path);
	rows[n++] = (struct pyi_landlock_row){
		strdup("/proc/self"), PYI_READ, true, false, false, false
	};
	rows[n++] = (struct pyi_landlock_row){
		strdup("/dev/null"), PYI_READ | PYI_WRITE, false, false, false, false
	};
	plan.n_landlock = add_libraries(n);
	net_row.ranges[0] = (struct pyi_net_range){ .port_min = port_yes,
						    .port_max = port_yes,
						    .ops_protos = 1 };
	return 0;
}

static int teardown(void **state)
{
	char command[128];
	pid_t pid;

	(void)state;
	snprintf(command, sizeof(command), "%s", top);
	pid = fork();
	if (!pid) {
		execl("/bin/rm", "rm", "-rf", command, (char *)NULL);
		_exit(1);
	}
	waitpid(pid, NULL, 0);
	for (size_t i = 0; i < plan.n_landlock; i++)
		free(rows[i].path);
	return 0;
}

/* ------------------------------------------------------------------------- actions: 0 or an errno */

static int act_open(const char *name, int flags)
{
	int fd = open(in_top(name), flags | O_CLOEXEC, 0644);

	if (fd < 0)
		return errno;
	close(fd);
	return 0;
}

static int result(int rc)
{
	return rc < 0 ? errno : 0;
}

static int act_connect(uint16_t port)
{
	struct sockaddr_in sin = { .sin_family = AF_INET,
				   .sin_port = htons(port),
				   .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	_cleanup_fd int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	return result(connect(fd, (struct sockaddr *)&sin, sizeof(sin)));
}

static int act_bind(void)
{
	struct sockaddr_in sin = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	_cleanup_fd int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	return result(bind(fd, (struct sockaddr *)&sin, sizeof(sin)));
}

static int act_exec(const char *name)
{
	pid_t pid = fork();
	int status;

	if (!pid) {
		execl(in_top(name), "child", "--exit", (char *)NULL);
		_exit(errno);
	}
	waitpid(pid, &status, 0);
	return WIFEXITED(status) ? WEXITSTATUS(status) : 255;
}

static int act_exec_fd(int fd)
{
	char *const argv[] = { (char *)"child", (char *)"--exit", NULL };
	char *const envp[] = { NULL };
	pid_t pid = fork();
	int status;

	if (!pid) {
		syscall(SYS_execveat, fd, "", argv, envp, AT_EMPTY_PATH);
		_exit(errno);
	}
	waitpid(pid, &status, 0);
	return WIFEXITED(status) ? WEXITSTATUS(status) : 255;
}

static pid_t outsider;
static char abstract_name[32];

static int act_abstract(void)
{
	struct sockaddr_un sun = { .sun_family = AF_UNIX };
	_cleanup_fd int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	memcpy(sun.sun_path + 1, abstract_name, strlen(abstract_name));
	return result(connect(
		fd, (struct sockaddr *)&sun,
		(socklen_t)(offsetof(struct sockaddr_un, sun_path) + 1 + strlen(abstract_name))));
}

/* ------------------------------------------------------------------------------------------ tests */

#define CHECK(expr, want)                                                                        \
	do {                                                                                     \
		int got_ = (expr);                                                               \
		if (got_ != (want)) {                                                            \
			fprintf(stderr, "%s:%d: %s is %d (%s), wanted %d\n", __FILE__, __LINE__, \
				#expr, got_, strerror(got_), (want));                            \
			bad++;                                                                   \
		}                                                                                \
	} while (0)

/* `inside` false: the twin, where everything must work. */
static int files_child(bool inside)
{
	int no = inside ? EACCES : 0;
	int bad = 0;

	CHECK(act_open("ro/f", O_RDONLY), 0);
	CHECK(act_open("ro/f", O_WRONLY), no);
	CHECK(act_open("ro", O_RDONLY | O_DIRECTORY), 0);
	CHECK(act_open("no/f", O_RDONLY), no);
	CHECK(act_open("link/f", O_RDONLY), no);
	CHECK(act_open("no", O_RDONLY | O_DIRECTORY), no);
	CHECK(act_open("rw/f", O_RDWR), 0);
	CHECK(act_open("rw/new", O_RDWR | O_CREAT), 0);
	CHECK(act_open("no/new", O_RDWR | O_CREAT), no);
	CHECK(act_open("one", O_RDWR), 0);
	CHECK(result(mkdir(in_top("rw/dir"), 0755)), 0);
	CHECK(result(mkdir(in_top("ro/dir"), 0755)), no);
	CHECK(result(truncate(in_top("ro/f"), 3)), abi >= 3 ? no : 0);
	CHECK(result(truncate(in_top("rw/f"), 3)), 0);
	CHECK(result(symlink("x", in_top("rw/sym"))), no);
	CHECK(result(symlink("x", in_top("own/sym"))), 0);
	CHECK(result(mkfifo(in_top("rw/fifo"), 0600)), no);
	CHECK(result(mkfifo(in_top("own/fifo"), 0600)), 0);
	CHECK(result(rename(in_top("rw/new"), in_top("rw2/new"))), 0);
	CHECK(result(link(in_top("no/f"), in_top("rw/stolen"))), inside ? EXDEV : 0);
	CHECK(result(unlink(in_top("rw2/new"))), 0);
	CHECK(result(rename(in_top("no/f"), in_top("no/g"))), no);
	CHECK(open("/proc/self/status", O_RDONLY | O_CLOEXEC) >= 0 ? 0 : errno, 0);
	CHECK(open("/proc/1/status", O_RDONLY | O_CLOEXEC) >= 0 ? 0 : errno, no);
	CHECK(open("/dev/null", O_WRONLY | O_CLOEXEC) >= 0 ? 0 : errno, 0);
	if (geteuid() == 0) {
		CHECK(result(mknod(in_top("own/chr"), S_IFCHR | 0600, 0x103)), no);
		CHECK(result(mknod(in_top("own/blk"), S_IFBLK | 0600, 0x103)), no);
	}
	return bad;
}

static int exec_child(bool inside)
{
	_cleanup_fd int self = open("/proc/self/exe", O_RDONLY | O_CLOEXEC);
	int no = inside ? EACCES : 42;
	int bad = 0;

	CHECK(act_exec("ro/prog"), 42);
	CHECK(act_exec("rw/prog"), no);
	/* The descriptor that was named beforehand, or an unnamed one. */
	CHECK(act_exec_fd(self), 42);
	return bad;
}

/* Landlock does not keep a memfd from exec: that is why the system call filter refuses memfd_create with exec. */
static int memfd_child(bool inside)
{
	_cleanup_fd int fd = (int)syscall(SYS_memfd_create, "x", 0);
	_cleanup_fd int self = open(in_top("ro/prog"), O_RDONLY | O_CLOEXEC);
	char buf[65536];
	ssize_t n;
	int bad = 0;

	(void)inside;
	while ((n = read(self, buf, sizeof(buf))) > 0)
		if (write(fd, buf, (size_t)n) != n)
			return 99;
	CHECK(act_exec_fd(fd), 42);
	return bad;
}

static int net_child(bool inside)
{
	int no = inside && abi >= 4 ? EACCES : 0;
	int bad = 0;

	CHECK(act_connect(port_yes), 0);
	CHECK(act_connect(port_no), no);
	CHECK(act_bind(), no);
	return bad;
}

static int scope_child(bool inside)
{
	int no = inside && abi >= 6 ? EPERM : 0;
	int bad = 0;

	CHECK(result(kill(outsider, 0)), no);
	CHECK(result(kill(getpid(), 0)), 0);
	CHECK(act_abstract(), no);
	return bad;
}

static void run_both(int (*fn)(bool))
{
	if (abi < 1)
		skip();
	/* Inside first: the twin changes the tree. */
	for (int outside = 0; outside < 2; outside++) {
		pid_t pid = fork();
		int status;

		if (!pid) {
			_cleanup_fd int self = open("/proc/self/exe", O_PATH | O_CLOEXEC);
			struct pyi_err err = { 0 };

			if (!outside && (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) ||
					 pyi_landlock_apply(&plan, abi, self, &err))) {
				fprintf(stderr, "%s\n", err.msg);
				_exit(100);
			}
			_exit(fn(!outside));
		}
		assert_int_equal(waitpid(pid, &status, 0), pid);
		assert_true(WIFEXITED(status));
		assert_int_equal(WEXITSTATUS(status), 0);
	}
}

static void remove_made(void)
{
	static const char *const made[] = { "rw/new",	"rw2/new",   "own/sym",
					    "own/fifo", "rw/stolen", "own/chr",
					    "own/blk",	"rw/sym",    "rw/fifo" };

	for (size_t i = 0; i < PYI_ARRAY_SIZE(made); i++)
		(void)unlink(in_top(made[i]));
	(void)rmdir(in_top("rw/dir"));
	(void)rmdir(in_top("ro/dir"));
}

static void test_files(void **state)
{
	(void)state;
	for (int outside = 0; outside < 2; outside++) {
		int status;
		pid_t pid;

		remove_made();
		pid = fork();
		if (!pid) {
			struct pyi_err err = { 0 };

			if (abi < 1)
				_exit(0);
			if (!outside && (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) ||
					 pyi_landlock_apply(&plan, abi, -1, &err))) {
				fprintf(stderr, "%s\n", err.msg);
				_exit(100);
			}
			_exit(files_child(!outside));
		}
		assert_int_equal(waitpid(pid, &status, 0), pid);
		assert_true(WIFEXITED(status));
		assert_int_equal(WEXITSTATUS(status), 0);
	}
}

static void test_exec(void **state)
{
	(void)state;
	run_both(exec_child);
	run_both(memfd_child);
}

static void test_net(void **state)
{
	(void)state;
	run_both(net_child);
}

/* More ports than get a rule each: the right is left to BPF. Up to the limit it is not. */
static void test_many_ports(void **state)
{
	struct pyi_net_range old = net_row.ranges[0];

	(void)state;
	if (abi < 4)
		skip();
	net_row.ranges[0].port_min = 0;
	net_row.ranges[0].port_max = 65535;
	for (int step = 0; step < 2; step++) {
		pid_t pid = fork();
		int status;

		if (!pid) {
			struct pyi_err err = { 0 };
			int bad = 0;

			prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
			if (pyi_landlock_apply(&plan, abi, -1, &err))
				_exit(100);
			CHECK(act_connect(port_no), step ? EACCES : 0);
			CHECK(act_bind(), EACCES);
			_exit(bad);
		}
		assert_int_equal(waitpid(pid, &status, 0), pid);
		assert_int_equal(status, 0);
		net_row.ranges[0].port_min = 1;
		net_row.ranges[0].port_max = 1023;
	}
	net_row.ranges[0] = old;
}

static void test_scopes(void **state)
{
	struct sockaddr_un sun = { .sun_family = AF_UNIX };
	_cleanup_fd int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	(void)state;
	outsider = getpid();
	snprintf(abstract_name, sizeof(abstract_name), "pyi-%d", (int)outsider);
	memcpy(sun.sun_path + 1, abstract_name, strlen(abstract_name));
	assert_int_equal(
		bind(fd, (struct sockaddr *)&sun,
		     (socklen_t)(offsetof(struct sockaddr_un, sun_path) + 1 + strlen(abstract_name))),
		0);
	assert_int_equal(listen(fd, 4), 0);
	run_both(scope_child);
}

/* Each failure leaves the caller unrestricted and says which path. */
static void test_refusals(void **state)
{
	struct pyi_landlock_row row = rows[0];
	struct pyi_plan one = { .landlock = &row, .n_landlock = 1 };
	struct pyi_err err = { 0 };

	(void)state;
	assert_int_equal(pyi_landlock_apply(&one, 0, -1, &err), -ENOSYS);
	if (abi < 1)
		skip();
	row.path = in_top("missing");
	assert_int_equal(pyi_landlock_apply(&one, abi, -1, &err), -ENOENT);
	assert_non_null(strstr(err.msg, "missing"));
	row.path = in_top("link");
	assert_int_equal(pyi_landlock_apply(&one, abi, -1, &err), -ELOOP);
	row.path = in_top("one");
	assert_int_equal(pyi_landlock_apply(&one, abi, -1, &err), -ENOTDIR);
	row.path = in_top("rw");
	row.is_dir = false;
	assert_int_equal(pyi_landlock_apply(&one, abi, -1, &err), -EISDIR);
	assert_int_equal(act_open("no", O_RDONLY | O_DIRECTORY), 0);
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_refusals),   cmocka_unit_test(test_files),
		cmocka_unit_test(test_exec),	   cmocka_unit_test(test_net),
		cmocka_unit_test(test_many_ports), cmocka_unit_test(test_scopes),
	};

	if (argc > 1 && !strcmp(argv[1], "--exit"))
		return 42;
	return cmocka_run_group_tests(tests, setup, teardown);
}
