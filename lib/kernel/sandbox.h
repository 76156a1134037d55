/* SPDX-License-Identifier: MIT */
/*
 * Start one sandbox: walk the plan.
 *
 * Theory of operation. Three processes:
 *
 *	supervisor	the caller, outside, keeps its privileges; holds the pidfd of init and the pipes' other ends
 *	init		pid 1 of the sandbox, cloned straight into the cgroup and the namespaces. It waits for `go`
 *			(the supervisor has by then written the id maps and the v1 groups), builds the tree, forks the
 *			guest, locks itself down as well, then only forwards signals, reaps, and reports the guest's end
 *			on the status pipe. Runs our code only, never executes anything.
 *	guest		pid 2: locks itself down and executes: our own binary through an inherited fd (Python), or
 *			the command. Everything of the lock-down that must outlive that exec is done before it; what
 *			exec resets (dumpable, MDWE) or would forbid it (seccomp for Python without exec rules) the
 *			guest does itself before the first line of user code.
 *
 * If the supervisor dies, init gets SIGKILL (PR_SET_PDEATHSIG, plus a hang-up check on the status pipe for the race),
 * and with init the whole pid namespace. Without namespaces (Landlock and seccomp alone) there is no init: the
 * guest is a direct child in the same three steps, and what it forks is ended through its process group.
 * init forwards SIGHUP INT QUIT TERM USR1 USR2 WINCH CONT TSTP to the guest.
 */
#ifndef PYI_KERNEL_SANDBOX_H
#define PYI_KERNEL_SANDBOX_H

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

struct pyi_cgroup;
struct pyi_err;
struct pyi_plan;
struct pyi_seccomp;

struct pyi_sandbox_start {
	const struct pyi_plan *plan;
	struct pyi_cgroup *cgroup;	/* NULL without */
	int landlock_abi;
	int stdio[3];			/* become 0, 1, 2 of the guest; -1: closed */
	int spec_fd;			/* Python: the guest spec (memfd), becomes PYI_GUEST_SPEC_FD; -1 for a command */
	int report_fd;			/* write end of the report pipe, becomes PYI_GUEST_REPORT_FD; -1 for a command */
	char *const *argv;		/* of a command; NULL for Python */
	const struct pyi_seccomp *seccomp;	/* installed before a command's exec; NULL for Python, which does it itself */
	uid_t owner_uid;		/* the invoker's, whom idmapped files belong to */
	gid_t owner_gid;
};

/* Descriptors the Python guest starts with. */
enum { PYI_GUEST_SPEC_FD = 3, PYI_GUEST_REPORT_FD = 4 };

struct pyi_sandbox {
	pid_t pid;		/* init, or the guest itself without namespaces; in the supervisor's pid namespace */
	int pidfd;
	int status_fd;		/* read end: struct pyi_status_msg records; end of file when init is gone */
};

/*
 * Returns when the guest has been forked and its exec has succeeded (or failed: then nothing is left and *err says
 * what; errnum ENOENT / EACCES of a command's exec with *ret_exec_failed set, for exit codes 127 and 126).
 */
int pyi_sandbox_start(const struct pyi_sandbox_start *start, struct pyi_sandbox *ret_sandbox,
		      int *ret_exec_failed, struct pyi_err *err);

/* Send a signal for the guest (SIGKILL ends init and so everything). 0 or -errno. */
int pyi_sandbox_signal(const struct pyi_sandbox *sandbox, int signo);

void pyi_sandbox_release(struct pyi_sandbox *sandbox);

#endif
