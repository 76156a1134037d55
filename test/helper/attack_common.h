/* SPDX-License-Identifier: MIT */
/* What the attempts of attack.c share: results, a file of our own, children. */
#ifndef PYI_ATTACK_COMMON_H
#define PYI_ATTACK_COMMON_H

#include <errno.h>
#include <fcntl.h>
#include <linux/audit.h>
#include <linux/bpf.h>
#include <linux/capability.h>
#include <linux/filter.h>
#include <linux/fs.h>
#include <linux/io_uring.h>
#include <linux/keyctl.h>
#include <linux/mount.h>
#include <linux/perf_event.h>
#include <linux/sched.h>
#include <linux/seccomp.h>
#include <linux/userfaultfd.h>
#include <netinet/in.h>
#include <sched.h>
#include <signal.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/fanotify.h>
#include <sys/ioctl.h>
#include <sys/ipc.h>
#include <sys/klog.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/personality.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <sys/xattr.h>
#include <termios.h>
#include <time.h>
#include <unistd.h>

enum { SUCCEEDED = 0, REFUSED = 1, NOT_APPLICABLE = 3, HELLO = 42 };

/* ------------------------------------------------------------------------------------------------- results */

static int succeeded(const char *what)
{
	printf("succeeded: %s\n", what);
	return SUCCEEDED;
}

static int refused(void)
{
	const char *name = strerrorname_np(errno);

	printf("refused: %s\n", name ? name : "?");
	return REFUSED;
}

static int not_applicable(const char *why)
{
	printf("not applicable: %s\n", why);
	return NOT_APPLICABLE;
}

static int result(long rc, const char *what)
{
	return rc < 0 ? refused() : succeeded(what);
}

/* For calls that must not really work: any error that is not about privilege means that the way was open. */
static int gate(long rc, const char *what)
{
	if (rc < 0 && (errno == EPERM || errno == EACCES || errno == ENOSYS))
		return refused();
	return succeeded(what);
}

/* --------------------------------------------------------------------------------------------------- files */

static char file_name[] = "/tmp/attack-XXXXXX";

/* A file of our own, open for reading and writing; -1 after printing why not. */
static int make_file(void)
{
	int fd = mkostemp(file_name, O_CLOEXEC);

	if (fd < 0)
		refused();
	return fd;
}

static int end_file(int fd, int code)
{
	close(fd);
	unlink(file_name);
	return code;
}

/* A name that is free. */
static bool free_name(void)
{
	int fd = make_file();

	if (fd < 0)
		return false;
	end_file(fd, 0);
	return true;
}

static int copy_self(int out)
{
	char buf[65536];
	int in = open("/proc/self/exe", O_RDONLY | O_CLOEXEC);
	ssize_t n = -1;

	while (in >= 0 && (n = read(in, buf, sizeof(buf))) > 0)
		if (write(out, buf, (size_t)n) != n)
			return -1;
	if (in >= 0)
		close(in);
	return n < 0 ? -1 : 0;
}

static int opens(const char *path, int flags)
{
	int fd = open(path, flags | O_CLOEXEC);

	return result(fd, path);
}

/* ------------------------------------------------------------------------------------------------ children */

static int wait_for(pid_t pid)
{
	int status;

	while (waitpid(pid, &status, __WALL) < 0)
		if (errno != EINTR)
			return -1;
	return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

static int hello_or_refused(pid_t pid, const char *what)
{
	int code = pid < 0 ? -1 : wait_for(pid);

	if (code == HELLO)
		return succeeded(what);
	if (pid >= 0 && code >= 0)
		errno = code;
	return refused();
}

static int clone_with(unsigned long flags, const char *what)
{
	long pid = syscall(SYS_clone, flags | SIGCHLD, NULL, NULL, NULL, NULL);

	if (!pid)
		_exit(0);
	if (pid > 0 && !(flags & CLONE_PARENT))
		wait_for((pid_t)pid);
	return result(pid, what);
}

/* A child that sleeps until it is killed. */
static pid_t sleeper(void)
{
	pid_t pid = fork();

	if (!pid) {
		prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0);
		pause();
		_exit(0);
	}
	return pid;
}

static int end_sleeper(pid_t pid, long rc, const char *what)
{
	int errnum = errno;

	kill(pid, SIGKILL);
	wait_for(pid);
	errno = errnum;
	return result(rc, what);
}

#endif
