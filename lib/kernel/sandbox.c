/* SPDX-License-Identifier: MIT */
/* The supervisor's side of the start; see sandbox.h for the whole. */
#include "kernel/sandbox.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/auxv.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>

#include "base/err.h"
#include "base/fault.h"
#include "base/io.h"
#include "base/timing.h"
#include "base/util.h"
#include "kernel/cgroup.h"
#include "kernel/idmap.h"
#include "kernel/init.h"
#include "kernel/landlock.h"
#include "kernel/netns.h"
#include "kernel/sys.h"
#include "kernel/tree.h"
#include "plan/plan.h"
#include "wire/report_msg.h"

enum { START_TIMEOUT_MS = 60000, FIRST_FREE_FD = 3 };

/* What one start needs until it has succeeded or failed. */
struct starting {
	const struct pyi_sandbox_start *start;
	struct pyi_init init;
	char self_path[PATH_MAX];
	struct pyi_netns netns;
	bool new_netns; /* none could be lent: the clone makes one */
	int go_fd;	/* write end */
	int status_fd;	/* read end */
};

static int check(const struct pyi_sandbox_start *start, struct pyi_err *err)
{
	static const char *const names[] = { "stdin", "stdout", "stderr" };
	const struct pyi_plan *plan = start->plan;
	struct stat st;

	if (plan->uid == 0)
		return pyi_err_set(err, EINVAL, "the guest must not run as root");
	if (plan->guest == PYI_GUEST_COMMAND ? !start->argv || !start->argv[0] : start->spec_fd < 0)
		return pyi_err_set(err, EINVAL, "there is nothing to execute");
	if (!plan->use_namespaces && !plan->use_landlock)
		return pyi_err_set(err, ENOSYS,
				   "neither namespaces nor Landlock: there would be no sandbox");
	for (int i = 0; i < 3; i++) {
		if (start->stdio[i] < 0)
			continue;
		if (fstat(start->stdio[i], &st) < 0)
			return pyi_err_sys(err, errno, "cannot use %s", names[i]);
		/* openat(0, "..") would lead out of the tree */
		if (S_ISDIR(st.st_mode))
			return pyi_err_set(err, EISDIR, "%s is a directory", names[i]);
	}
	return 0;
}

/* Keep a descriptor of ours off 0, 1 and 2, where a caller with closed stdio would get it. */
static int raise_fd(int *fd)
{
	int high;

	if (*fd < 0)
		return -1;
	if (*fd >= FIRST_FREE_FD)
		return 0;
	high = fcntl(*fd, F_DUPFD_CLOEXEC, FIRST_FREE_FD);
	close(*fd);
	*fd = high;
	return high < 0 ? -1 : 0;
}

static int make_pipe(int *ret_read, int *ret_write)
{
	int ends[2];

	if (pipe2(ends, O_CLOEXEC) < 0)
		return -1;
	*ret_read = ends[0];
	*ret_write = ends[1];
	return raise_fd(ret_read) < 0 || raise_fd(ret_write) < 0 ? -1 : 0;
}

/* Our own binary, which is what the Python guest executes. */
static int open_self(struct starting *starting, struct pyi_err *err)
{
	const char *path = "/proc/self/exe";
	ssize_t len;

	if (!PYI_FAULT(100, EMFILE))
		starting->init.self_fd = open(path, O_PATH | O_CLOEXEC);
	len = readlink(path, starting->self_path, sizeof(starting->self_path) - 1);
	if (len > 0) {
		starting->self_path[len] = '\0';
		starting->init.self_path = starting->self_path;
	}
	if (starting->init.self_fd < 0 && errno == ENOENT) { /* no proc: by the name we were executed with */
		path = (const char *)getauxval(AT_EXECFN);
		if (path)
			starting->init.self_fd = open(path, O_PATH | O_CLOEXEC);
		starting->init.self_path = path;
	}
	if (raise_fd(&starting->init.self_fd) < 0)
		return pyi_err_sys(err, errno, "cannot open pyisolate's own binary '%s'",
				   path ? path : "");
	return 0;
}

static int prepare(struct starting *starting, struct pyi_err *err)
{
	const struct pyi_sandbox_start *start = starting->start;
	const struct pyi_plan *plan = start->plan;
	bool need_idmap = false;
	int ret = 0;

	if (plan->guest == PYI_GUEST_PYTHON)
		ret = open_self(starting, err);
	for (size_t i = 0; i < plan->n_ops; i++)
		need_idmap |= plan->ops[i].kind == PYI_OP_BIND && plan->ops[i].idmap;
	if (ret == 0 && need_idmap && plan->use_namespaces) {
		ret = pyi_tree_idmap_open(plan, start->owner_uid, start->owner_gid,
					  &starting->init.idmap_fd, err);
		if (ret == 0 && raise_fd(&starting->init.idmap_fd) < 0)
			ret = pyi_err_sys(err, errno, "cannot keep the id map");
	}
	if (ret == 0 && start->can_reload && plan->use_landlock && plan->use_namespaces) {
		ret = pyi_landlock_begin(plan, start->landlock_abi, &starting->init.ruleset_fd, err);
		if (ret == 0 && raise_fd(&starting->init.ruleset_fd) < 0)
			ret = pyi_err_sys(err, errno, "cannot keep the Landlock ruleset");
	}
	if (ret)
		return ret;
	if (PYI_FAULT(101, EMFILE) || make_pipe(&starting->init.go_fd, &starting->go_fd) < 0 ||
	    PYI_FAULT(102, EMFILE) || make_pipe(&starting->status_fd, &starting->init.status_fd) < 0)
		return pyi_err_sys(err, errno, "cannot make a pipe to the sandbox");
	starting->init.theirs[0] = starting->go_fd;
	starting->init.theirs[1] = starting->status_fd;
	return 0;
}

/*
 * Where an outer filter refuses clone3 with ENOSYS (those of container engines do) there are no namespaces for us, and
 * a fork does: init enters its groups itself.
 */
static int fork_init(struct starting *starting, struct pyi_sandbox *sandbox, struct pyi_err *err)
{
	int errnum;

	sandbox->pid = pyi_sys_fork();
	if (sandbox->pid == 0)
		pyi_init_main(&starting->init);
	if (sandbox->pid < 0)
		return pyi_err_sys(err, errno, "cannot make the sandbox's first process (fork)");
	sandbox->pidfd = pyi_sys_pidfd_open(sandbox->pid);
	if (sandbox->pidfd >= 0)
		return 0;
	errnum = errno;
	kill(sandbox->pid, SIGKILL);
	waitpid(sandbox->pid, NULL, 0);
	return pyi_err_sys(err, errnum, "cannot watch the sandbox's first process (pidfd_open)");
}

/* Clone init, straight into everything it is to be in. */
static int clone_init(struct starting *starting, struct pyi_sandbox *sandbox, struct pyi_err *err)
{
	const struct pyi_plan *plan = starting->start->plan;
	struct pyi_cgroup *cgroup = starting->start->cgroup;
	int cgroup_fd = cgroup ? pyi_cgroup_v2_fd(cgroup) : -1;
	struct clone_args args = {
		.flags = CLONE_PIDFD,
		.pidfd = (uint64_t)(uintptr_t)&sandbox->pidfd,
		.exit_signal = 0, /* the pidfd tells; and where SIGCHLD is ignored its zombie stays for us */
	};

	if (plan->use_namespaces)
		args.flags |= CLONE_NEWNS | CLONE_NEWPID | CLONE_NEWIPC | CLONE_NEWUTS;
	if (plan->use_namespaces && plan->use_userns)
		args.flags |= CLONE_NEWUSER;
	if (starting->new_netns)
		args.flags |= CLONE_NEWNET;
	if (cgroup_fd >= 0) {
		args.flags |= CLONE_INTO_CGROUP;
		args.cgroup = (uint64_t)cgroup_fd;
	}
	sandbox->pid = PYI_FAULT(103, ENOSPC) ? -1 : pyi_sys_clone3(&args);
	if (sandbox->pid == 0)
		pyi_init_main(&starting->init);
	if (sandbox->pid < 0 && errno == ENOSYS && !plan->use_namespaces)
		return fork_init(starting, sandbox, err);
	if (sandbox->pid < 0)
		return pyi_err_sys(err, errno, "cannot make the sandbox's %s (clone3)",
				   plan->use_namespaces ? "namespaces" : "first process");
	return 0;
}

/* An ordinary user's namespace: one id each, the same inside and outside. */
static int write_maps(const struct pyi_plan *plan, pid_t pid, struct pyi_err *err)
{
	int ret = pyi_idmap_write_one(pid, "uid_map", plan->uid, plan->uid, err);

	if (ret == 0)
		ret = pyi_idmap_write(pid, "setgroups", "deny", err);
	if (ret == 0)
		ret = pyi_idmap_write_one(pid, "gid_map", plan->gid, plan->gid, err);
	return ret;
}

/* Init waits, and is dumpable still. A sandbox without a way in has the files of its start until its end. */
static void open_way(struct pyi_sandbox *sandbox)
{
	struct pyi_tree_way *way = &sandbox->way;
	char path[64];

	snprintf(path, sizeof(path), "/proc/%d/ns/user", sandbox->pid);
	way->user_fd = PYI_FAULT(106, EACCES) ? -1 : open(path, O_RDONLY | O_CLOEXEC);
	snprintf(path, sizeof(path), "/proc/%d/ns/mnt", sandbox->pid);
	way->mnt_fd = way->user_fd < 0 ? -1 : open(path, O_RDONLY | O_CLOEXEC);
	if (way->mnt_fd < 0)
		pyi_tree_way_close(way);
}

static int let_go(struct starting *starting, struct pyi_sandbox *sandbox, struct pyi_err *err)
{
	const struct pyi_plan *plan = starting->start->plan;
	int ret = 0;

	if (plan->use_namespaces && plan->use_userns)
		ret = write_maps(plan, sandbox->pid, err);
	if (ret)
		return ret;
	if (plan->use_namespaces && plan->use_userns && starting->start->can_reload)
		open_way(sandbox);
	/* SIGPIPE is blocked here: an init that is gone shows in what is read next. */
	if (PYI_FAULT(104, EPIPE) || (write(starting->go_fd, "", 1) != 1 && errno != EPIPE))
		return pyi_err_sys(err, errno, "cannot let the sandbox go");
	return 0;
}

static int64_t now_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

/* A file system that does not answer must not hold the supervisor for ever. */
static int wait_for_record(int fd, struct pyi_err *err)
{
	int64_t deadline = now_ms() + START_TIMEOUT_MS, left;
	struct pollfd poller = { .fd = fd, .events = POLLIN };
	int n;

	do {
		left = deadline - now_ms();
		n = PYI_FAULT(105, ENOMEM) ? -1 : poll(&poller, 1, left > 0 ? (int)left : 0);
	} while (n < 0 && errno == EINTR);
	if (n < 0)
		return pyi_err_sys(err, errno, "cannot wait for the sandbox");
	if (n == 0)
		return pyi_err_set(err, ETIMEDOUT, "the sandbox did not start within %d s",
				   START_TIMEOUT_MS / 1000);
	return 0;
}

/* How an init ended that said nothing. The process stays to be reaped by pyi_sandbox_release. */
static int silent_end(const struct pyi_sandbox *sandbox, struct pyi_err *err)
{
	siginfo_t info = { 0 };

	pyi_sys_pidfd_send_signal(sandbox->pidfd, SIGKILL);
	while (waitid(P_PID, (id_t)sandbox->pid, &info, WEXITED | WNOWAIT | __WALL) < 0 && errno == EINTR)
		;
	if (info.si_code == CLD_EXITED)
		return pyi_err_set(err, ECHILD, "the sandbox ended while it started (status %d)",
				   info.si_status);
	return pyi_err_set(err, ECHILD, "the sandbox was ended by signal %d while it started%s",
			   info.si_status,
			   info.si_status == SIGKILL ? ": perhaps its memory limit is too small" : "");
}

static int wait_for_start(struct starting *starting, struct pyi_sandbox *sandbox,
			  int *ret_exec_failed, struct pyi_err *err)
{
	struct pyi_status_msg msg;
	int ret;

	ret = wait_for_record(sandbox->status_fd, err);
	if (ret)
		return ret;
	if (pyi_read_full(sandbox->status_fd, &msg, sizeof(msg)) != (ssize_t)sizeof(msg))
		return silent_end(sandbox, err);
	switch (msg.type) {
	case PYI_STATUS_STARTED:
		if (!starting->start->plan->use_namespaces)
			sandbox->group = msg.pid;
		return 0;
	case PYI_STATUS_EXEC_FAILED:
		*ret_exec_failed = 1;
		break;
	case PYI_STATUS_ERROR:
		break;
	default:
		return pyi_err_set(err, EPROTO, "the sandbox sent record %u while it started", msg.type);
	}
	msg.text[sizeof(msg.text) - 1] = '\0';
	return pyi_err_set(err, msg.errnum, "%s", msg.text);
}

/*
 * The kernel gives /proc/PID of a process that is not dumpable to root, and then an ordinary user could not write the
 * maps of his own child: so the child is cloned from a dumpable one.
 */
static int clone_dumpable(struct starting *starting, struct pyi_sandbox *sandbox, struct pyi_err *err)
{
	bool need = starting->start->plan->use_userns && prctl(PR_GET_DUMPABLE, 0, 0, 0, 0) != 1;
	int ret;

	if (need && prctl(PR_SET_DUMPABLE, 1, 0, 0, 0) < 0)
		return pyi_err_sys(err, errno, "cannot make the process dumpable");
	ret = clone_init(starting, sandbox, err);
	if (need)
		prctl(PR_SET_DUMPABLE, 0, 0, 0, 0);
	return ret;
}

/* The clone takes place in the empty network namespace, where one can be had, so that the child is in it at once. */
static int clone_in_netns(struct starting *starting, struct pyi_sandbox *sandbox, struct pyi_err *err)
{
	const struct pyi_plan *plan = starting->start->plan;
	struct pyi_netns *netns = &starting->netns;
	bool wanted = plan->use_namespaces && plan->own_netns;
	struct pyi_err unused;
	int ret;

	if (!wanted || !starting->init.is_root || !pyi_netns_enter(netns))
		starting->new_netns = wanted;
	pyi_timing_mark(PYI_TIMING_SUPERVISOR, "network namespace");
	starting->init.netns_fd = netns->lease_fd;
	ret = clone_dumpable(starting, sandbox, err);
	sandbox->netns_fd = pyi_take_fd(&netns->lease_fd);
	return pyi_netns_leave(netns, ret ? &unused : err) ? -EPERM : ret;
}

static int run_start(struct starting *starting, struct pyi_sandbox *sandbox, int *ret_exec_failed,
		     struct pyi_err *err)
{
	int ret = prepare(starting, err);

	pyi_timing_mark(PYI_TIMING_SUPERVISOR, "id map, pipes");
	if (ret == 0)
		ret = clone_in_netns(starting, sandbox, err);
	if (ret)
		return ret;
	pyi_timing_mark(PYI_TIMING_SUPERVISOR, "clone3");
	sandbox->status_fd = pyi_take_fd(&starting->status_fd);
	/* Our copies of init's ends: without them the end of init is an end of file. */
	pyi_close_fd(&starting->init.go_fd);
	pyi_close_fd(&starting->init.status_fd);
	ret = let_go(starting, sandbox, err);
	if (ret == 0)
		ret = wait_for_start(starting, sandbox, ret_exec_failed, err);
	return ret;
}

int pyi_sandbox_start(const struct pyi_sandbox_start *start, struct pyi_sandbox *ret_sandbox,
		      int *ret_exec_failed, struct pyi_err *err)
{
	struct starting starting = {
		.start = start,
		.init = { .start = start,
			  .go_fd = -1,
			  .status_fd = -1,
			  .self_fd = -1,
			  .idmap_fd = -1,
			  .ruleset_fd = -1,
			  .netns_fd = -1 },
		.netns = PYI_NETNS_INIT,
		.go_fd = -1,
		.status_fd = -1,
	};
	struct pyi_sandbox sandbox = PYI_SANDBOX_INIT;
	sigset_t all, old;
	int ret;

	*ret_exec_failed = 0;
	starting.init.is_root = geteuid() == 0 && !start->plan->use_userns;
	ret = check(start, err);
	if (ret)
		return ret;
	/* From here to its end init has every signal blocked, and none of our handlers runs in it. */
	sigfillset(&all);
	if (sigprocmask(SIG_BLOCK, &all, &old) < 0)
		return pyi_err_sys(err, errno, "cannot block signals");
	ret = run_start(&starting, &sandbox, ret_exec_failed, err);
	pyi_close_fd(&starting.init.go_fd);
	pyi_close_fd(&starting.init.status_fd);
	pyi_close_fd(&starting.init.self_fd);
	pyi_close_fd(&starting.init.idmap_fd);
	pyi_close_fd(&starting.init.ruleset_fd);
	pyi_close_fd(&starting.go_fd);
	pyi_close_fd(&starting.status_fd);
	pyi_close_fd(&starting.netns.home_fd);
	if (ret)
		pyi_sandbox_release(&sandbox);
	else
		*ret_sandbox = sandbox;
	sigprocmask(SIG_SETMASK, &old, NULL);
	return ret;
}

int pyi_sandbox_signal(const struct pyi_sandbox *sandbox, int signo)
{
	if (sandbox->pid <= 0)
		return -ESRCH;
	if (signo == SIGKILL && sandbox->group > 0)
		kill(-sandbox->group, SIGKILL);
	return pyi_sys_pidfd_send_signal(sandbox->pidfd, signo) < 0 ? -errno : 0;
}

void pyi_sandbox_release(struct pyi_sandbox *sandbox)
{
	siginfo_t info = { 0 };

	if (sandbox->pid <= 0) {
		if (sandbox->pid < 0) /* a clone that failed */
			pyi_close_fd(&sandbox->netns_fd);
		return;
	}
	pyi_sys_pidfd_send_signal(sandbox->pidfd, SIGKILL);
	while (waitid(P_PID, (id_t)sandbox->pid, &info, WEXITED | __WALL) < 0 && errno == EINTR)
		;
	/* An init that ended by itself has ended the group first; one that was killed could not. */
	if (sandbox->group > 0 && info.si_code != CLD_EXITED)
		kill(-sandbox->group, SIGKILL);
	pyi_close_fd(&sandbox->pidfd);
	pyi_close_fd(&sandbox->status_fd);
	pyi_close_fd(&sandbox->netns_fd);
	pyi_tree_way_close(&sandbox->way);
	*sandbox = PYI_SANDBOX_INIT;
}
