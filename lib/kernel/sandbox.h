/* SPDX-License-Identifier: MIT */
/*
 * Start one sandbox: walk the plan.
 *
 * Theory of operation. Three processes:
 *
 *	supervisor	the caller, outside, keeps its privileges; holds the pidfd of init and the pipes' other ends
 *	init		pid 1 of the sandbox, cloned straight into the cgroup and the namespaces. It waits for `go`
 *			(the supervisor has by then written the id maps), enters the v1 groups, builds the tree, forks
 *			the guest, detaches the host's tree, locks itself down as well (ids, capabilities, a filter of
 *			eight system calls), opens the gate for the guest, then only forwards signals, reaps, and
 *			reports the guest's end on the status pipe. Runs our code only, never executes anything. No
 *			Landlock: it opens nothing any more, and must be able to signal the guest's domain.
 *	guest		pid 2: locks itself down, waits for the gate and executes the command; or executes our own
 *			binary through an inherited fd (Python), which takes its image and then waits for the gate:
 *			nothing of the user's is looked at before it is open. Everything of the lock-down that must
 *			outlive that exec is done before it; what exec resets (dumpable, MDWE) or would forbid it
 *			(seccomp for Python without exec rules) the guest does itself before the first line of user
 *			code.
 *
 * init leads a session of its own, the guest a process group in it: so the guest can be stopped by SIGTSTP (an orphaned
 * group could not) and can get no controlling terminal.
 *
 * If the supervisor dies, init gets SIGKILL (PR_SET_PDEATHSIG, plus a hang-up check on the status pipe for the race),
 * and with init the whole pid namespace. Without namespaces (Landlock and seccomp alone) init is there too, as an
 * ordinary process and subreaper: when the guest ends, or the supervisor dies, it kills the guest's process group and
 * whatever was reparented to it; if it is itself killed, the guest gets SIGKILL and the supervisor kills the group.
 *
 * init forwards SIGHUP INT QUIT WINCH CONT TSTP XCPU to the guest's process group and SIGTERM USR1 USR2 to the guest
 * alone, and only what was sent from outside the sandbox.
 */
#ifndef PYI_KERNEL_SANDBOX_H
#define PYI_KERNEL_SANDBOX_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "kernel/tree_way.h"

struct pyi_bpf;
struct pyi_cgroup;
struct pyi_err;
struct pyi_plan;
struct pyi_seccomp;

struct pyi_sandbox_start {
	const struct pyi_plan *plan;
	struct pyi_cgroup *cgroup; /* NULL without */
	const struct pyi_bpf *bpf; /* to arm the LSM programs with when the tree is made; NULL without them */
	int landlock_abi;
	bool can_reload; /* its tree may change later: Landlock is told of the places too, and of the ceiling */
	int stdio[3]; /* become 0, 1, 2 of the guest; -1: closed */
	int spec_fd; /* Python: the guest spec (memfd), becomes PYI_GUEST_SPEC_FD; -1 for a command */
	int report_fd; /* write end of the report pipe, becomes PYI_GUEST_REPORT_FD; -1 for a command */
	int image_fd; /* an image, open for reading, becomes PYI_GUEST_IMAGE_FD; -1: the guest starts normally */
	char *const *argv;		   /* of a command; NULL for Python */
	const struct pyi_seccomp *seccomp; /* before a command's exec; NULL for Python, which does it itself */
	uid_t owner_uid;		   /* the invoker's, whom idmapped files belong to */
	gid_t owner_gid;
};

/* Descriptors the Python guest starts with. */
enum {
	PYI_GUEST_SPEC_FD = 3,
	PYI_GUEST_REPORT_FD = 4,
	PYI_GUEST_IMAGE_FD = 5,
	PYI_GUEST_GATE_FD = 8, /* 6 and 7: see guest/image_train.h */
};

/* argv[0] with which it is executed; main() hands over to pyi_guest_main at once when it sees it. */
#define PYI_GUEST_ARGV0 "pyisolate-guest"

struct pyi_sandbox {
	pid_t pid; /* init, in the supervisor's pid namespace; not reaped before pyi_sandbox_release */
	int pidfd;     /* of init: readable when everything is gone */
	int status_fd; /* read end: struct pyi_status_msg records; end of file when init is gone */
	pid_t group;   /* without namespaces: the guest's process group; else 0 */
	int netns_fd;  /* keeps the network namespace that was lent to it; -1 without */
	struct pyi_tree_way way; /* with can_reload, of an ordinary user's */
};
#define PYI_SANDBOX_INIT       \
	((struct pyi_sandbox){ \
		.pid = -1, .pidfd = -1, .status_fd = -1, .netns_fd = -1, .way = { -1, -1 } })

/*
 * Returns when the guest has been forked and its exec has succeeded (or failed: then nothing is left and *err says
 * what; errnum ENOENT / EACCES of a command's exec with *ret_exec_failed set, for exit codes 127 and 126).
 *
 * Root, or an ordinary user with plan->use_userns, or with neither namespaces nor another user's ids. Refuses to start
 * a guest with uid 0, and stdio that is a directory (a way out of the tree). All descriptors stay the caller's.
 * The calling process must have one thread; its signals are blocked for the time of the call.
 */
int pyi_sandbox_start(const struct pyi_sandbox_start *start, struct pyi_sandbox *ret_sandbox,
		      int *ret_exec_failed, struct pyi_err *err);

/* Send a signal for the guest (SIGKILL ends init and so everything). 0 or -errno. */
int pyi_sandbox_signal(const struct pyi_sandbox *sandbox, int signo);

/* End what still runs, reap it, close the descriptors. Nothing happens to a sandbox whose pid is not positive. */
void pyi_sandbox_release(struct pyi_sandbox *sandbox);

#endif
