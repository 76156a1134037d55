/* SPDX-License-Identifier: MIT */
/* The guest's side of the start: lock down, wait for the gate or leave that to our own binary, execute. See init.h. */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <string.h>
#include <sys/prctl.h>

#include "base/err.h"
#include "base/fault.h"
#include "base/io.h"
#include "base/timing.h"
#include "base/util.h"
#include "kernel/init.h"
#include "kernel/landlock.h"
#include "kernel/lockdown.h"
#include "kernel/numa.h"
#include "kernel/sandbox.h"
#include "kernel/seccomp.h"
#include "kernel/sys.h"
#include "plan/plan.h"
#include "wire/report_msg.h"

enum { FIRST_HIGH_FD = 10 }; /* above every number that has a meaning for the guest */

static const char default_path[] = "/usr/local/bin:/usr/bin:/bin";

/* Descriptors while they are put in order. */
struct fds {
	int stdio[3];
	int spec;
	int report;
	int image;
	int ruleset;
	int exec;
	int gate;
	int fail;
};

static int move_up(int *fd, struct pyi_err *err)
{
	int high;

	if (*fd < 0)
		return 0;
	high = PYI_FAULT(150, EMFILE) ? -1 : fcntl(*fd, F_DUPFD_CLOEXEC, FIRST_HIGH_FD);
	if (high < 0)
		return pyi_err_sys(err, errno, "cannot duplicate a descriptor");
	*fd = high;
	return 0;
}

static int put(int fd, int number, struct pyi_err *err)
{
	if (fd < 0) {
		close(number);
		return 0;
	}
	if (PYI_FAULT(151, EMFILE) || dup2(fd, number) < 0)
		return pyi_err_sys(err, errno, "cannot put descriptor %d in place", number);
	return 0;
}

/*
 * 0 to 2 as given, 3 to 5 and 8 for Python, what is needed until the exec above them, nothing else. Everything is
 * moved up first: any of them may sit on a number that another one is to get.
 */
static int order_fds(struct fds *fds, struct pyi_err *err)
{
	int *all[] = { &fds->fail,     &fds->gate, &fds->exec,	 &fds->stdio[0], &fds->stdio[1],
		       &fds->stdio[2], &fds->spec, &fds->report, &fds->image,	 &fds->ruleset };
	int keep[7], ret = 0;
	size_t n;

	for (size_t i = 0; ret == 0 && i < PYI_ARRAY_SIZE(all); i++)
		ret = move_up(all[i], err);
	for (int i = 0; ret == 0 && i < 3; i++)
		ret = put(fds->stdio[i], i, err);
	if (ret == 0)
		ret = put(fds->spec, PYI_GUEST_SPEC_FD, err);
	if (ret == 0)
		ret = put(fds->report, PYI_GUEST_REPORT_FD, err);
	if (ret == 0)
		ret = put(fds->image, PYI_GUEST_IMAGE_FD, err);
	if (ret == 0 && fds->exec >= 0)
		ret = put(fds->gate, PYI_GUEST_GATE_FD, err);
	if (ret)
		return ret;
	keep[0] = fds->spec < 0 ? -1 : PYI_GUEST_SPEC_FD;
	keep[1] = fds->report < 0 ? -1 : PYI_GUEST_REPORT_FD;
	keep[2] = fds->image < 0 ? -1 : PYI_GUEST_IMAGE_FD;
	keep[3] = fds->exec;
	keep[4] = fds->exec < 0 ? fds->gate : PYI_GUEST_GATE_FD;
	keep[5] = fds->fail;
	keep[6] = fds->ruleset;
	n = pyi_init_sort_fds(keep, PYI_ARRAY_SIZE(keep));
	return pyi_lockdown_fds(keep, n, err);
}

/*
 * Landlock comes while the capabilities are still there, because its rows are opened by path and may lie below a
 * directory that the guest cannot search. The limits come last: they are the guest's, not ours.
 */
static int lock_down(const struct pyi_init *init, const struct fds *fds, struct pyi_err *err)
{
	const struct pyi_sandbox_start *start = init->start;
	const struct pyi_plan *plan = start->plan;
	int ret;

	ret = pyi_lockdown_no_new_privs(err);
	if (ret == 0 && plan->use_landlock && fds->ruleset >= 0)
		ret = pyi_landlock_end(plan, start->landlock_abi, fds->ruleset, fds->exec, err);
	else if (ret == 0 && plan->use_landlock)
		ret = pyi_landlock_apply(plan, start->landlock_abi, fds->exec, err);
	if (ret == 0)
		ret = pyi_lockdown_bounding(err);
	if (ret == 0)
		ret = pyi_lockdown_ids(plan->uid, plan->gid, !init->is_root, err);
	if (ret == 0)
		ret = pyi_lockdown_capabilities(err);
	if (ret == 0)
		ret = pyi_lockdown_rlimits(plan->rlimits, plan->n_rlimits, err);
	if (ret == 0 && plan->numa)
		ret = pyi_numa_bind(plan->numa, err);
	/* The change of ids clears it. With a pid namespace the death of init is enough, without one this is needed. */
	if (ret == 0 && (PYI_FAULT(152, EINVAL) || prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0) < 0))
		ret = pyi_err_sys(err, errno, "cannot tie the guest to its init");
	return ret;
}

static void wait_for_gate(int gate_fd)
{
	char byte;

	/* End of file: init failed and says so itself, or is dead. */
	if (pyi_read_full(gate_fd, &byte, 1) != 1)
		_exit(1);
}

static const char *path_variable(char *const *env)
{
	for (; env && *env; env++)
		if (strncmp(*env, "PATH=", 5) == 0)
			return *env + 5;
	return default_path;
}

/* As execvpe(3) does, but without a shell for files it cannot execute. Returns the errno to report. */
static int exec_command(char *const *argv, char *const *env)
{
	const char *name = argv[0], *dir = path_variable(env), *end;
	size_t len, name_len = strlen(name);
	int found = ENOENT;
	char path[PATH_MAX];

	if (!name_len)
		return ENOENT;
	if (strchr(name, '/')) {
		execve(name, argv, env);
		return errno;
	}
	for (;; dir = end + 1) {
		end = strchrnul(dir, ':');
		len = (size_t)(end - dir);
		/* An empty entry would be the working directory, which the sandboxed code may be able to write to. */
		if (len && len + 1 + name_len < sizeof(path)) {
			memcpy(path, dir, len);
			path[len] = '/';
			memcpy(path + len + 1, name, name_len + 1);
			execve(path, argv, env);
			if (errno != ENOENT && errno != ENOTDIR && errno != EACCES)
				return errno;
			/*
			 * EACCES is also what a directory that is not granted says. It is the answer only if a file
			 * is there.
			 */
			if (errno == EACCES && faccessat(AT_FDCWD, path, F_OK, AT_SYMLINK_NOFOLLOW) == 0)
				found = EACCES;
		}
		if (!*end)
			return found;
	}
}

_Noreturn static void fail(int fd, enum pyi_status_type type, const struct pyi_err *err)
{
	struct pyi_status_msg msg = { .type = type, .errnum = err->errnum };

	memcpy(msg.text, err->msg, sizeof(msg.text));
	pyi_init_send(fd, &msg);
	_exit(1);
}

_Noreturn void pyi_enter_guest(const struct pyi_init *init, int exec_fd, int gate_fd, int fail_fd)
{
	const struct pyi_sandbox_start *start = init->start;
	char *const guest_argv[] = { (char[]){ PYI_GUEST_ARGV0 }, NULL };
	struct fds fds = { .spec = start->spec_fd,
			   .report = start->report_fd,
			   .image = start->image_fd,
			   .ruleset = init->ruleset_fd,
			   .exec = exec_fd,
			   .gate = gate_fd,
			   .fail = fail_fd };
	struct pyi_err err = { 0 };
	int ret;

	memcpy(fds.stdio, start->stdio, sizeof(fds.stdio));
	if (PYI_FAULT(153, EPERM) || setpgid(0, 0) < 0) {
		pyi_err_sys(&err, errno, "cannot make a process group for the guest");
		fail(fail_fd, PYI_STATUS_ERROR, &err);
	}
	ret = order_fds(&fds, &err);
	if (ret)
		fail(fail_fd, PYI_STATUS_ERROR, &err);
	pyi_timing_mark(PYI_TIMING_GUEST, "descriptors");
	ret = lock_down(init, &fds, &err);
	if (ret)
		fail(fds.fail, PYI_STATUS_ERROR, &err);
	pyi_timing_mark(PYI_TIMING_GUEST, "lock-down");
	/* Our own binary waits there itself, when it is ready. But where execs are judged it shall be armed by then. */
	if (fds.exec < 0 || start->bpf) {
		wait_for_gate(fds.exec < 0 ? fds.gate : PYI_GUEST_GATE_FD);
		pyi_timing_mark(PYI_TIMING_GUEST, "gate");
	}
	pyi_lockdown_signals();
	if (start->seccomp) {
		ret = pyi_seccomp_install(start->seccomp->insns, start->seccomp->n, &err);
		if (ret)
			fail(fds.fail, PYI_STATUS_ERROR, &err);
	}
	pyi_timing_mark(PYI_TIMING_GUEST, "signals, seccomp");
	if (fds.exec < 0) {
		ret = PYI_FAULT(154, ENOMEM) ? errno : exec_command(start->argv, start->plan->env);
		pyi_err_sys(&err, ret, "cannot execute '%s'", start->argv[0]);
		fail(fds.fail, PYI_STATUS_EXEC_FAILED, &err);
	}
	if (!PYI_FAULT(155, ENOMEM))
		execveat(fds.exec, "", guest_argv, start->plan->env, AT_EMPTY_PATH);
	if (errno == EACCES)
		pyi_err_set(&err, EACCES,
			    "user %u may not execute pyisolate itself: make it readable and executable "
			    "for everyone",
			    start->plan->uid);
	else
		pyi_err_sys(&err, errno, "cannot execute pyisolate as the guest");
	fail(fds.fail, PYI_STATUS_ERROR, &err);
}
