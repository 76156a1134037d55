/* SPDX-License-Identifier: MIT */
/*
 * The user namespace of id-mapped mounts (mount_setattr(2), MOUNT_ATTR_IDMAP): it maps exactly one user and one group.
 * Its inner ids are those on disk, its outer ones those the host's kernel sees: a file of the invoker appears as the
 * guest's, and what the guest makes is stored as the invoker's. Every other owner has no id in the mount: shown as
 * the overflow id, never the guest's own, readable by the bits for others and not writable at all.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>

#include "base/err.h"
#include "base/fault.h"
#include "base/util.h"
#include "kernel/idmap.h"
#include "kernel/sys.h"
#include "kernel/tree.h"
#include "plan/plan.h"

int pyi_idmap_write(pid_t pid, const char *name, const char *text, struct pyi_err *err)
{
	_cleanup_fd int fd = -1;
	char path[64];
	size_t len = strlen(text);

	snprintf(path, sizeof(path), "/proc/%d/%s", pid, name);
	if (!PYI_FAULT(220, EACCES))
		fd = open(path, O_WRONLY | O_CLOEXEC | O_NOFOLLOW);
	/* One write: the kernel takes a map whole or not at all. */
	if (fd < 0 || PYI_FAULT(221, EPERM) || write(fd, text, len) != (ssize_t)len)
		return pyi_err_sys(err, errno, "cannot write the %s of a new user namespace", name);
	return 0;
}

int pyi_idmap_write_one(pid_t pid, const char *name, unsigned int inside, unsigned int outside,
			struct pyi_err *err)
{
	char text[64];

	snprintf(text, sizeof(text), "%u %u 1\n", inside, outside);
	return pyi_idmap_write(pid, name, text, err);
}

/*
 * The child that holds the namespace open until somebody else does. It ends with us, or is killed. It runs in our
 * memory, which is cheaper than a copy, on a stack of its own: nothing here fails, and so nothing writes errno.
 */
static int hold(void *arg)
{
	const pid_t *parent = arg;

	prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0);
	while (getppid() == *parent) /* it may have died before the line above */
		poll(NULL, 0, 1000);
	return 0;
}

static int open_ns(const struct pyi_plan *plan, unsigned int owner_uid, unsigned int owner_gid,
		   pid_t pid, int *ret_fd, struct pyi_err *err)
{
	char path[64];
	int fd = -1;
	int ret = pyi_idmap_write_one(pid, "uid_map", owner_uid, plan->uid, err);

	if (ret == 0)
		ret = pyi_idmap_write_one(pid, "gid_map", owner_gid, plan->gid, err);
	if (ret)
		return ret;
	snprintf(path, sizeof(path), "/proc/%d/ns/user", pid);
	fd = PYI_FAULT(223, EACCES) ? -1 : open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return pyi_err_sys(err, errno, "cannot open the user namespace for id-mapped mounts");
	*ret_fd = fd;
	return 0;
}

int pyi_tree_idmap_begin(const struct pyi_plan *plan, unsigned int owner_uid, unsigned int owner_gid,
			 struct pyi_idmap_holder *holder, int *ret_fd, struct pyi_err *err)
{
	_cleanup_fd int pidfd = -1;
	int ret;

	holder->parent = getpid();
	/* Without a signal at its end: nobody's SIGCHLD handler need know. */
	holder->pid = PYI_FAULT(222, ENOSPC) ? -1
					     : clone(hold, holder->stack + sizeof(holder->stack),
						     CLONE_VM | CLONE_NEWUSER | CLONE_PIDFD,
						     &holder->parent, &pidfd);
	if (holder->pid < 0)
		return pyi_err_sys(err, errno, "cannot make a user namespace for id-mapped mounts");
	ret = open_ns(plan, owner_uid, owner_gid, holder->pid, ret_fd, err);
	pyi_sys_pidfd_send_signal(pidfd, SIGKILL);
	return ret;
}

void pyi_tree_idmap_end(struct pyi_idmap_holder *holder)
{
	siginfo_t info;

	while (holder->pid > 0 && waitid(P_PID, (id_t)holder->pid, &info, WEXITED | __WALL) < 0 &&
	       errno == EINTR)
		;
	holder->pid = -1;
}

int pyi_tree_idmap_open(const struct pyi_plan *plan, unsigned int owner_uid, unsigned int owner_gid,
			int *ret_fd, struct pyi_err *err)
{
	struct pyi_idmap_holder holder;
	int ret = pyi_tree_idmap_begin(plan, owner_uid, owner_gid, &holder, ret_fd, err);

	pyi_tree_idmap_end(&holder);
	return ret;
}
