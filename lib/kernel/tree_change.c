/* SPDX-License-Identifier: MIT */
/* See tree_change.h. From the host's side: what is to be done, the mounts for it, and the child that does it. */
#include "kernel/tree_change.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/err.h"
#include "base/fault.h"
#include "base/io.h"
#include "base/util.h"
#include "kernel/mount.h"
#include "kernel/sys.h"
#include "kernel/tree.h"
#include "kernel/tree_swap.h"
#include "kernel/tree_units.h"
#include "kernel/tree_walk.h"
#include "plan/plan.h"

/* A pidfd of init, opened first: then the parent that /proc tells is that of this very process. */
static int open_init(const struct pyi_tree_change *change, int *ret_fd, struct pyi_err *err)
{
	_cleanup_fd int fd = pyi_sys_pidfd_open(change->init_pid);
	_cleanup_fd int proc_fd = open("/proc", O_PATH | O_DIRECTORY | O_CLOEXEC);
	char name[32], text[512] = "";
	const char *after;

	snprintf(name, sizeof(name), "%d/stat", change->init_pid);
	if (fd >= 0 && proc_fd >= 0)
		(void)pyi_read_at(proc_fd, name, text, sizeof(text));
	after = strrchr(text, ')');
	/* ") S PPID" */
	if (fd < 0 || !after || strlen(after) < 5 || strtol(after + 4, NULL, 10) != change->supervisor_pid)
		return pyi_err_set(err, ESRCH, "the sandbox has ended");
	*ret_fd = pyi_take_fd(&fd);
	return 0;
}

/* A descriptor for each mount: as many as there may be. */
static void raise_limit(void)
{
	struct rlimit limit;

	if (getrlimit(RLIMIT_NOFILE, &limit) == 0) {
		limit.rlim_cur = limit.rlim_max;
		(void)setrlimit(RLIMIT_NOFILE, &limit);
	}
}

static int prepare_op(const struct pyi_tree *tree, const struct pyi_op *op, int *ret_fd,
		      struct pyi_err *err)
{
	_cleanup_fd int source_fd = -1;
	struct stat st;
	int ret = pyi_tree_check_path(op->path, err);

	if (ret == 0)
		ret = pyi_tree_open_source(tree, op->source, &source_fd, &st, err);
	if (ret == 0 && op->is_dir != (bool)S_ISDIR(st.st_mode))
		ret = pyi_err_set(err, ESTALE, "it was replaced at this moment");
	if (ret == 0)
		ret = pyi_mount_clone(source_fd, pyi_tree_attrs(op->access),
				      op->idmap ? tree->idmap_fd : -1, ret_fd, err);
	return ret ? pyi_err_add(err, "cannot bring '%s' into the sandbox", op->path) : 0;
}

/* Everything that is of the host, before anything of the sandbox is touched. */
static int prepare(const struct pyi_tree_change *change, struct pyi_tree_swap *swap,
		   const struct pyi_tree_units *units, struct pyi_err *err)
{
	struct pyi_tree tree = { .plan = change->to, .idmap_fd = -1, .root_fd = -1, .ruleset_fd = -1 };
	_cleanup_fd int idmap_fd = -1;
	_cleanup_fd int host_fd = open("/", O_PATH | O_DIRECTORY | O_CLOEXEC);
	size_t n = 0;
	int ret = 0;

	if (host_fd < 0)
		return pyi_err_sys(err, errno, "cannot open the root");
	tree.host_fd = host_fd;
	for (size_t i = 0; i < units->n; i++)
		n += units->v[i].n_to;
	swap->mount_fds = calloc(n + 1, sizeof(*swap->mount_fds));
	if (!swap->mount_fds)
		return pyi_err_nomem(err);
	for (size_t i = 0; i < units->n && ret == 0; i++) {
		for (size_t k = 0; k < units->v[i].n_to && ret == 0; k++) {
			const struct pyi_op *op = &units->v[i].to[k];
			int *slot = &swap->mount_fds[swap->n_mount_fds++];

			*slot = -1;
			if (op->kind != PYI_OP_BIND)
				continue;
			if (op->idmap && idmap_fd < 0) {
				ret = pyi_tree_idmap_open(change->to, change->owner_uid,
							  change->owner_gid, &idmap_fd, err);
				tree.idmap_fd = idmap_fd;
			}
			if (ret == 0)
				ret = prepare_op(&tree, op, slot, err);
		}
	}
	return ret;
}

static int change_tree(const struct pyi_tree_change *change, const struct pyi_tree_units *units,
		       const struct pyi_tree_mounts *mounts, int init_fd, struct pyi_err *err)
{
	struct pyi_tree_swap swap = {
		.change = change, .units = units, .mounts = mounts, .init_fd = init_fd
	};
	int ret;

	raise_limit();
	ret = prepare(change, &swap, units, err);
	if (ret || change->check_only)
		return ret;
	return pyi_tree_swap_run(&swap, err);
}

/* The child writes its error as it is, or one that is none. */
static int wait_for_child(pid_t pid, int fd, struct pyi_err *err)
{
	struct pyi_err said;
	ssize_t n = pyi_read_full(fd, &said, sizeof(said));

	while (waitpid(pid, NULL, 0) < 0 && errno == EINTR)
		;
	if (n != (ssize_t)sizeof(said))
		return pyi_err_set(err, ECHILD, "the process that changes the file tree was killed");
	return said.errnum ? pyi_err_set(err, said.errnum, "%s", said.msg) : 0;
}

static int fork_child(const struct pyi_tree_change *change, const struct pyi_tree_units *units,
		      const struct pyi_tree_mounts *mounts, int init_fd, struct pyi_err *err)
{
	struct pyi_err failed = { 0 };
	sigset_t all, old;
	int ends[2], ret;
	pid_t pid;

	if (PYI_FAULT(260, EMFILE) || pipe2(ends, O_CLOEXEC) < 0)
		return pyi_err_sys(err, errno, "cannot make a pipe");
	sigfillset(&all);
	sigprocmask(SIG_BLOCK, &all, &old);
	pid = PYI_FAULT(261, EAGAIN) ? -1 : fork();
	if (pid == 0) {
		close(ends[0]);
		/* SIGPIPE is blocked: whoever asked may be gone, and the work is done all the same. */
		if (change_tree(change, units, mounts, init_fd, &failed) == 0)
			failed = (struct pyi_err){ .errnum = 0 };
		(void)pyi_write_all(ends[1], &failed, sizeof(failed));
		_exit(0);
	}
	ret = pid < 0 ? pyi_err_sys(err, errno, "cannot fork") : 0;
	close(ends[1]);
	if (ret == 0)
		ret = wait_for_child(pid, ends[0], err);
	close(ends[0]);
	sigprocmask(SIG_SETMASK, &old, NULL);
	return ret;
}

int pyi_tree_change(const struct pyi_tree_change *change, size_t *ret_n, struct pyi_err *err)
{
	struct pyi_tree_mounts mounts = { 0 };
	struct pyi_tree_units units = { 0 };
	_cleanup_fd int init_fd = -1;
	int ret = open_init(change, &init_fd, err);

	if (ret == 0)
		ret = pyi_tree_mounts_read(change->init_pid, &mounts, err);
	if (ret == 0)
		ret = pyi_tree_units_find(change->from, change->to, change->init_pid, &mounts,
					  &units, err);
	*ret_n = ret == 0 ? units.n : 0;
	if (ret == 0 && units.n)
		ret = fork_child(change, &units, &mounts, init_fd, err);
	pyi_tree_units_release(&units);
	pyi_tree_mounts_release(&mounts);
	return ret;
}
