/* SPDX-License-Identifier: MIT */
/*
 * init: pid 1 of the sandbox. See sandbox.h for its part in the whole.
 *
 * It shares the user id with the guest, so what keeps the guest away from it: it is not dumpable (no ptrace, no
 * /proc/1/mem), as pid 1 it gets no signal from inside that it does not ask for, and it acts on none that does not
 * come from outside. All signals stay blocked from clone to its end; it takes them with sigwaitinfo(2).
 */
#include "kernel/init.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/keyctl.h>
#include <linux/seccomp.h>
#include <poll.h>
#include <signal.h>
#include <stddef.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "base/err.h"
#include "base/fault.h"
#include "base/io.h"
#include "base/timing.h"
#include "base/util.h"
#include "kernel/bpf.h"
#include "kernel/cgroup.h"
#include "kernel/lockdown.h"
#include "kernel/mount.h"
#include "kernel/sandbox.h"
#include "kernel/seccomp.h"
#include "kernel/sys.h"
#include "kernel/tree.h"
#include "plan/plan.h"
#include "wire/report_msg.h"

/* What tells an init without a pid namespace that the supervisor is gone: no signal anyone else uses. */
#define DEATH_SIGNAL SIGRTMAX

static const char host_name[] = "pyisolate";

static void mark(const char *stage)
{
	pyi_timing_mark(PYI_TIMING_INIT, stage);
}

struct state {
	const struct pyi_init *init;
	const struct pyi_plan *plan;
	pid_t supervisor; /* 0 from inside a pid namespace: what has no pid there is outside */
	pid_t guest;
	int status_fd;
	int children_fd; /* /proc/thread-self/children, without namespaces */
	int root_fd;	 /* of the tree, until the host's is detached; -1 without */
};

void pyi_init_send(int fd, const struct pyi_status_msg *msg)
{
	(void)pyi_write_all(fd, msg, sizeof(*msg));
}

void pyi_init_send_error(int fd, const struct pyi_err *err)
{
	struct pyi_status_msg msg = { .type = PYI_STATUS_ERROR, .errnum = err->errnum };

	memcpy(msg.text, err->msg, sizeof(msg.text));
	pyi_init_send(fd, &msg);
}

size_t pyi_init_sort_fds(int *fds, size_t n)
{
	size_t kept = 0;

	for (size_t i = 1; i < n; i++)
		for (size_t j = i; j > 0 && fds[j] < fds[j - 1]; j--) {
			int fd = fds[j];

			fds[j] = fds[j - 1];
			fds[j - 1] = fd;
		}
	for (size_t i = 0; i < n; i++)
		if (kept == 0 || fds[kept - 1] != fds[i])
			fds[kept++] = fds[i];
	return kept;
}

/* Die with the supervisor; it may have died before this was said, and then nobody reads the status pipe any more. */
static int tie_to_supervisor(const struct state *state, struct pyi_err *err)
{
	struct pollfd status = { .fd = state->status_fd };
	int signo = state->plan->use_namespaces ? SIGKILL : DEATH_SIGNAL;

	if (PYI_FAULT(110, EINVAL) || prctl(PR_SET_PDEATHSIG, signo, 0, 0, 0) < 0)
		return pyi_err_sys(err, errno, "cannot tie the sandbox to its supervisor");
	if (poll(&status, 1, 0) == 1 && status.revents & POLLERR)
		_exit(1);
	return 0;
}

static int close_inherited(const struct pyi_init *init, struct pyi_err *err)
{
	const struct pyi_sandbox_start *start = init->start;
	int keep[] = { init->status_fd,	 init->self_fd,
		       init->idmap_fd,	 init->ruleset_fd,
		       start->stdio[0],	 start->stdio[1],
		       start->stdio[2],	 start->spec_fd,
		       start->report_fd, start->image_fd,
		       init->netns_fd,	 start->bpf ? pyi_bpf_arm_fd(start->bpf) : -1 };
	size_t n = pyi_init_sort_fds(keep, PYI_ARRAY_SIZE(keep));

	return pyi_lockdown_fds(keep, n, err);
}

/*
 * Our own binary for the guest to execute, as a read-only mount of its own: through /proc/self/exe of the guest leads
 * a way to that mount, and where the invoker owns the binary its permissions would not keep the guest from it.
 * Where the path does not lead to the binary any more (it is being replaced), the one that runs is used as it is:
 * the kernel lets nobody write to a file that is being executed.
 */
static int open_exec(const struct pyi_init *init, struct pyi_tree_extra *ret_extra, int *ret_fd,
		     struct pyi_err *err)
{
	const uint64_t attrs = MOUNT_ATTR_RDONLY | MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV;
	_cleanup_fd int fd = -1;
	struct stat running, found;

	*ret_extra = (struct pyi_tree_extra){ -1, -1 };
	*ret_fd = init->self_fd;
	if (init->self_fd < 0 || !init->self_path || !init->start->plan->use_namespaces)
		return 0;
	fd = open(init->self_path, O_PATH | O_CLOEXEC);
	if (fd < 0 || fstat(fd, &found) < 0 || fstat(init->self_fd, &running) < 0 ||
	    found.st_dev != running.st_dev || found.st_ino != running.st_ino)
		return 0;
	if (pyi_mount_clone(fd, attrs, -1, ret_fd, err) < 0)
		return pyi_err_add(err, "cannot make pyisolate itself read-only for the guest");
	*ret_extra = (struct pyi_tree_extra){ *ret_fd, pyi_take_fd(&fd) };
	return 0;
}

static int enter_namespaces(struct state *state, const struct pyi_tree_extra *extra, struct pyi_err *err)
{
	const struct pyi_tree_setup setup = {
		.plan = state->plan,
		.idmap_fd = state->init->idmap_fd,
		.ruleset_fd = state->init->ruleset_fd,
		.landlock_abi = state->init->start->landlock_abi,
		.extra = *extra,
	};

	/* After the groups were entered, so that they are the root of what the guest sees. */
	if (PYI_FAULT(111, EPERM) || pyi_sys_unshare(CLONE_NEWCGROUP) < 0)
		return pyi_err_sys(err, errno, "cannot make a cgroup namespace");
	if (PYI_FAULT(112, EPERM) || sethostname(host_name, sizeof(host_name) - 1) < 0)
		return pyi_err_sys(err, errno, "cannot set the host name of the sandbox");
	return pyi_tree_build(&setup, &state->root_fd, err);
}

static int prepare(struct state *state, int *ret_exec_fd, struct pyi_err *err)
{
	const struct pyi_init *init = state->init;
	struct pyi_cgroup *cgroup = init->start->cgroup;
	struct pyi_tree_extra extra;
	char byte;
	int ret;

	ret = tie_to_supervisor(state, err);
	if (ret)
		return ret;
	if (pyi_read_full(init->go_fd, &byte, 1) != 1)
		_exit(1); /* the supervisor gave up, and knows why */
	mark("clone3");
	ret = cgroup ? pyi_cgroup_enter(cgroup) : 0;
	if (ret)
		return pyi_err_sys(err, -ret, "cannot enter the control group");
	mark("enter cgroup");
	ret = pyi_lockdown_priority(err);
	if (ret == 0)
		ret = close_inherited(init, err);
	if (ret)
		return ret;
	if (PYI_FAULT(113, EPERM) || setsid() < 0)
		return pyi_err_sys(err, errno, "cannot make a session for the sandbox");
	/*
	 * A session keyring of our own instead of the invoker's. It can fail for want of quota; what counts is that
	 * the guest's filter has no keyctl(2).
	 */
	(void)syscall(SYS_keyctl, KEYCTL_JOIN_SESSION_KEYRING, NULL);
	ret = open_exec(init, &extra, ret_exec_fd, err);
	if (ret)
		return ret;
	mark("descriptors, session");
	if (state->plan->use_namespaces) {
		ret = enter_namespaces(state, &extra, err);
		pyi_close_fd(&extra.place_fd);
		return ret;
	}
	if (PYI_FAULT(114, EINVAL) || prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) < 0)
		return pyi_err_sys(err, errno, "cannot collect the guest's orphans");
	state->children_fd = open("/proc/thread-self/children", O_RDONLY | O_CLOEXEC);
	if (state->plan->cwd && (PYI_FAULT(115, ENOENT) || chdir(state->plan->cwd) < 0))
		return pyi_err_sys(err, errno, "cannot enter '%s'", state->plan->cwd);
	return 0;
}

/* All that init still does; anything else ends it, and the sandbox with it. */
static int install_filter(struct pyi_err *err)
{
	static const unsigned short allowed[] = {
		SYS_read,  SYS_write, SYS_pread64, SYS_rt_sigtimedwait, SYS_restart_syscall,
		SYS_wait4, SYS_kill,  SYS_exit,	   SYS_exit_group,	SYS_clock_gettime,
	};
	enum { N_MAX = PYI_ARRAY_SIZE(allowed) };
	/* The clock is the last, for --timings, where it takes a system call. */
	const size_t n_allowed = pyi_cached_timing_page ? N_MAX : N_MAX - 1;
	struct sock_filter insns[N_MAX + 6];
	size_t n = 0;

	insns[n++] = (struct sock_filter)BPF_STMT(BPF_LD | BPF_W | BPF_ABS,
						  offsetof(struct seccomp_data, arch));
	insns[n++] = (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, AUDIT_ARCH_X86_64, 1, 0);
	insns[n++] = (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_KILL_PROCESS);
	insns[n++] = (struct sock_filter)BPF_STMT(BPF_LD | BPF_W | BPF_ABS,
						  offsetof(struct seccomp_data, nr));
	for (size_t i = 0; i < n_allowed; i++)
		insns[n++] = (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, allowed[i],
							  (unsigned char)(n_allowed - i), 0);
	insns[n++] = (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_KILL_PROCESS);
	insns[n++] = (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW);
	return pyi_seccomp_install(insns, n, err);
}

/* Everything but the status pipe, the exec pipe and the list of children is closed, the guest's stdio above all. */
static int drop_fds(const struct state *state, int gate_fd, int exec_fd, struct pyi_err *err)
{
	int keep[] = { state->status_fd, state->children_fd, state->init->netns_fd, gate_fd, exec_fd };
	size_t n = pyi_init_sort_fds(keep, PYI_ARRAY_SIZE(keep));
	int fd;

	/* A pipe of ours may be on 0 to 2, where the caller had them closed. */
	for (fd = 0; fd <= STDERR_FILENO; fd++) {
		bool is_kept = false;

		for (size_t i = 0; i < n; i++)
			is_kept |= keep[i] == fd;
		if (!is_kept)
			close(fd);
	}
	return pyi_lockdown_fds(keep, n, err);
}

static int lock_down(const struct state *state, struct pyi_err *err)
{
	const struct pyi_plan *plan = state->plan;
	int ret;

	ret = pyi_lockdown_bounding(err);
	if (ret == 0)
		ret = pyi_lockdown_ids(plan->uid, plan->gid, !state->init->is_root, err);
	if (ret == 0)
		ret = pyi_lockdown_capabilities(err);
	if (ret == 0)
		ret = pyi_lockdown_no_new_privs(err);
	if (ret == 0)
		ret = pyi_lockdown_not_dumpable(err);
	if (ret == 0)
		ret = tie_to_supervisor(state, err); /* the change of ids has cut it */
	if (ret == 0 && plan->use_seccomp)
		ret = install_filter(err);
	return ret;
}

_Noreturn static void fail(const struct state *state, const struct pyi_err *err)
{
	/* The guest, if there is one, waits at the gate: its end of file comes with our end. */
	pyi_init_send_error(state->status_fd, err);
	_exit(1);
}

/* Fork the guest, lock down, let it go. Returns the fd that tells about its exec. */
static int start_guest(struct state *state, int exec_fd)
{
	/* Where our own binary is judged it is asked twice: before its exec, and when it is ready. */
	const size_t n_times = exec_fd >= 0 && state->init->start->bpf ? 2 : 1;
	int gate[2], fate[2];
	struct pyi_err err = { 0 };

	if (PYI_FAULT(116, EMFILE) || pipe2(gate, O_CLOEXEC) < 0 || PYI_FAULT(117, EMFILE) ||
	    pipe2(fate, O_CLOEXEC) < 0) {
		pyi_err_sys(&err, errno, "cannot make a pipe");
		fail(state, &err);
	}
	state->guest = PYI_FAULT(118, EAGAIN) ? -1 : pyi_sys_fork();
	if (state->guest == 0) {
		close(gate[1]);
		close(fate[0]);
		pyi_enter_guest(state->init, exec_fd, gate[0], fate[1]);
	}
	if (state->guest < 0) {
		pyi_err_sys(&err, errno, "cannot fork the guest");
		fail(state, &err);
	}
	mark("fork");
	/* Before the programs are armed: from then on nobody here mounts anything. */
	if (state->root_fd >= 0 && pyi_tree_detach(state->root_fd, &err))
		fail(state, &err);
	mark("old root");
	/* The guest waits at the gate: from its first own step on it is judged, and so are we. */
	if (state->init->start->bpf && pyi_bpf_arm(state->init->start->bpf) < 0) {
		pyi_err_sys(&err, errno, "cannot arm the BPF LSM programs");
		fail(state, &err);
	}
	if (drop_fds(state, gate[1], fate[0], &err) || lock_down(state, &err))
		fail(state, &err);
	mark("lock-down");
	/* EPIPE (its signal is blocked): the guest has failed before the gate, and has said why. */
	if ((PYI_FAULT(119, EIO) || write(gate[1], "\0", n_times) != (ssize_t)n_times) &&
	    errno != EPIPE) {
		pyi_err_sys(&err, errno, "cannot open the gate for the guest");
		fail(state, &err);
	}
	return fate[0];
}

/* The guest's exec has happened, or there is a record that says why not. */
static void report_start(const struct state *state, int fate_fd)
{
	struct pyi_status_msg msg;
	ssize_t n = pyi_read_full(fate_fd, &msg, sizeof(msg));

	if (n == (ssize_t)sizeof(msg)) {
		pyi_init_send(state->status_fd, &msg);
		_exit(1);
	}
	mark("guest's exec");
	msg = (struct pyi_status_msg){ .type = PYI_STATUS_STARTED, .pid = state->guest };
	pyi_init_send(state->status_fd, &msg);
}

/* Kill our own children, by the kernel's list of them. Blocks on none. */
static void kill_children(const struct state *state)
{
	char list[4096];
	ssize_t len = state->children_fd < 0 ? 0 : pread(state->children_fd, list, sizeof(list), 0);
	pid_t pid = 0;

	for (ssize_t i = 0; i < len; i++) {
		if (list[i] >= '0' && list[i] <= '9') {
			pid = pid * 10 + (list[i] - '0');
		} else {
			if (pid > 1)
				kill(pid, SIGKILL);
			pid = 0;
		}
	}
}

/*
 * Without a pid namespace: end what the guest leaves behind. Orphans come to us, so after each one reaped there may be
 * new children; each round kills all there are, so waiting never blocks on a live one.
 */
static void end_group(const struct state *state)
{
	int options = __WALL | (state->children_fd < 0 ? WNOHANG : 0);
	pid_t pid;

	kill(-state->guest, SIGKILL);
	kill(state->guest, SIGKILL); /* before it made its group */
	do {
		kill_children(state);
		pid = wait4(-1, NULL, options, NULL);
	} while (pid > 0 || (pid < 0 && errno == EINTR));
}

_Noreturn static void finish(const struct state *state, int wait_status, const struct rusage *usage)
{
	struct pyi_status_msg msg = {
		.type = PYI_STATUS_EXITED,
		.pid = state->guest,
		.wait_status = wait_status,
		.user_us = (uint64_t)usage->ru_utime.tv_sec * 1000000 + (uint64_t)usage->ru_utime.tv_usec,
		.system_us = (uint64_t)usage->ru_stime.tv_sec * 1000000 + (uint64_t)usage->ru_stime.tv_usec,
		.max_rss_bytes = (uint64_t)usage->ru_maxrss * 1024,
	};

	/* With a pid namespace the kernel kills all the rest when we end. */
	if (!state->plan->use_namespaces)
		end_group(state);
	pyi_init_send(state->status_fd, &msg);
	_exit(0);
}

static void reap(const struct state *state)
{
	struct pyi_status_msg stopped = { .type = PYI_STATUS_STOPPED, .pid = state->guest };
	struct rusage usage;
	int status;
	pid_t pid;

	while ((pid = wait4(-1, &status, WNOHANG | WUNTRACED | __WALL, &usage)) > 0) {
		if (pid != state->guest)
			continue;
		if (!WIFSTOPPED(status))
			finish(state, status, &usage);
		stopped.wait_status = status;
		pyi_init_send(state->status_fd, &stopped);
	}
}

/* What comes from a terminal goes to the whole group, as it would without us. */
static void forward(const struct state *state, int signo)
{
	switch (signo) {
	case SIGHUP:
	case SIGINT:
	case SIGQUIT:
	case SIGWINCH:
	case SIGCONT:
	case SIGTSTP:
	case SIGXCPU:
		if (kill(-state->guest, signo) == 0)
			break;
		__attribute__((fallthrough)); /* the guest went to another group */
	case SIGTERM:
	case SIGUSR1:
	case SIGUSR2:
		kill(state->guest, signo);
		break;
	default:
		break;
	}
}

_Noreturn static void loop(const struct state *state)
{
	struct rusage none = { 0 };
	siginfo_t info;
	sigset_t all;
	int signo;

	sigfillset(&all);
	for (;;) {
		signo = sigwaitinfo(&all, &info);
		if (signo == SIGCHLD)
			reap(state);
		else if (signo == DEATH_SIGNAL && !state->plan->use_namespaces)
			finish(state, SIGKILL, &none);
		else if (signo > 0 && info.si_pid == state->supervisor)
			forward(state, signo);
	}
}

_Noreturn void pyi_init_main(const struct pyi_init *init)
{
	struct state state = {
		.init = init,
		.plan = init->start->plan,
		.supervisor = getppid(),
		.guest = -1,
		.status_fd = init->status_fd,
		.children_fd = -1,
		.root_fd = -1,
	};
	const struct sigaction by_default = { .sa_handler = SIG_DFL };
	struct pyi_err err = { 0 };
	int exec_fd = -1, fate_fd;

	/* Where the invoker ignores it (nohup-like launchers do) the kernel would tell nobody of the guest's end. */
	sigaction(SIGCHLD, &by_default, NULL);
	close(init->theirs[0]);
	close(init->theirs[1]);
	if (prepare(&state, &exec_fd, &err))
		fail(&state, &err);
	mark("tree");
	fate_fd = start_guest(&state, exec_fd);
	report_start(&state, fate_fd);
	loop(&state);
}
