/* SPDX-License-Identifier: MIT */
/* See tree_change.h. From the host's side: what is to be done, the mounts for it, and the child that does it. */
#include "kernel/tree_change.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/prctl.h>
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
#include "kernel/tree_mounts.h"
#include "kernel/tree_swap.h"
#include "kernel/tree_units.h"
#include "kernel/tree_walk.h"
#include "kernel/tree_way.h"
#include "plan/plan.h"

enum { STACK_BYTES = 512 << 10 };

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
	struct pyi_err unused = { 0 };
	struct stat st;
	int ret = pyi_tree_check_path(op->path, err);

	if (ret == 0)
		ret = pyi_tree_open_source(tree, op->source, &source_fd, &st, err);
	if (ret == 0 && op->is_dir != (bool)S_ISDIR(st.st_mode))
		ret = pyi_err_set(err, ESTALE, "it was replaced at this moment");
	if (ret)
		return pyi_err_add(err, "cannot bring '%s' into the sandbox", op->path);
	if (op->idmap && tree->idmap_fd >= 0 &&
	    pyi_mount_clone(source_fd, pyi_tree_attrs(op->access), tree->idmap_fd, ret_fd, &unused) == 0)
		return 0;
	/* Not every file system has id-mapped mounts: as at a start, the guest has the rights of others then. */
	ret = pyi_mount_clone(source_fd, pyi_tree_attrs(op->access), -1, ret_fd, err);
	return ret ? pyi_err_add(err, "cannot bring '%s' into the sandbox", op->path) : 0;
}

/* Everything that is of the host, before anything of the sandbox is touched. */
static int prepare(const struct pyi_tree_change *change, struct pyi_tree_swap *swap, int host_fd,
		   const struct pyi_tree_units *units, struct pyi_idmap_holder *holder,
		   struct pyi_err *err)
{
	struct pyi_tree tree = {
		.plan = change->to, .host_fd = host_fd, .idmap_fd = -1, .root_fd = -1, .ruleset_fd = -1
	};
	_cleanup_fd int idmap_fd = -1;
	struct pyi_err unused = { 0 };
	bool has_tried = false;
	size_t n = 0;
	int ret = 0;

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
			if (op->idmap && !has_tried) {
				has_tried = true;
				if (pyi_tree_idmap_begin(change->to, change->owner_uid, change->owner_gid,
							 holder, &idmap_fd, &unused) == 0)
					tree.idmap_fd = idmap_fd;
			}
			ret = prepare_op(&tree, op, slot, err);
		}
	}
	return ret;
}

/* What is known of the sandbox, and its descriptors. */
struct look {
	struct pyi_tree_roots roots;
	struct pyi_tree_mounts mounts;
	struct pyi_tree_units units;
	int ns_fd; /* what leads into the mount namespace */
};
#define LOOK_INIT ((struct look){ .roots = { -1, -1 }, .ns_fd = -1 })

static void release(struct look *look)
{
	pyi_tree_units_release(&look->units);
	pyi_tree_mounts_release(&look->mounts);
	pyi_close_fd(&look->roots.host_fd);
	pyi_close_fd(&look->roots.sandbox_fd);
	pyi_close_fd(&look->ns_fd);
}

static int find_units(const struct pyi_tree_change *change, struct look *look, int mountinfo_fd,
		      struct pyi_err *err)
{
	int ret = pyi_tree_mounts_read(mountinfo_fd, &look->mounts, err);

	return ret ? ret
		   : pyi_tree_units_find(change->from, change->to, &look->roots, &look->mounts,
					 &look->units, err);
}

/* Root's: from outside. */
static int look_in(const struct pyi_tree_change *change, struct look *look, struct pyi_err *err)
{
	_cleanup_fd int mountinfo_fd = -1;
	char path[64];
	int ret = open_init(change, &look->ns_fd, err);

	if (ret)
		return ret;
	look->roots.host_fd = open("/", O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (look->roots.host_fd < 0)
		return pyi_err_sys(err, errno, "cannot open the root");
	snprintf(path, sizeof(path), "/proc/%d/root", change->init_pid);
	look->roots.sandbox_fd = open(path, O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (look->roots.sandbox_fd >= 0) {
		snprintf(path, sizeof(path), "/proc/%d/mountinfo", change->init_pid);
		mountinfo_fd = open(path, O_RDONLY | O_CLOEXEC);
	}
	return mountinfo_fd < 0 ? pyi_err_sys(err, errno, "cannot open '%s'", path)
				: find_units(change, look, mountinfo_fd, err);
}

/*
 * An ordinary user's, in the child: all rights in the sandbox's user namespace come with entering it. The host's mounts
 * can be cloned where that namespace owns the copy of them, as at the start; what is mounted in the sandbox is seen
 * from within. In the end we are at the host's copy.
 */
static int enter_and_look(const struct pyi_tree_change *change, struct look *look, struct pyi_err *err)
{
	_cleanup_fd int home_fd = -1, mountinfo_fd = -1;
	_cleanup_fd int proc_fd = open("/proc", O_PATH | O_DIRECTORY | O_CLOEXEC);

	if (PYI_FAULT(271, EPERM) || pyi_sys_setns(change->way->user_fd, CLONE_NEWUSER) < 0)
		return pyi_err_sys(err, errno, "cannot enter the sandbox's user namespace");
	if (PYI_FAULT(272, ENOSPC) || pyi_sys_unshare(CLONE_NEWNS) < 0)
		return pyi_err_sys(err, errno, "cannot copy the host's mounts");
	look->roots.host_fd = open("/", O_PATH | O_DIRECTORY | O_CLOEXEC);
	home_fd = openat(proc_fd, "self/ns/mnt", O_RDONLY | O_CLOEXEC);
	if (look->roots.host_fd < 0 || home_fd < 0)
		return pyi_err_sys(err, errno, "cannot open the copy of the host's mounts");
	if (pyi_sys_setns(change->way->mnt_fd, CLONE_NEWNS) < 0)
		return pyi_err_sys(err, errno, "cannot enter the sandbox's mount namespace");
	look->roots.sandbox_fd = open("/", O_PATH | O_DIRECTORY | O_CLOEXEC);
	mountinfo_fd = openat(proc_fd, "self/mountinfo", O_RDONLY | O_CLOEXEC);
	look->ns_fd = fcntl(change->way->mnt_fd, F_DUPFD_CLOEXEC, 0);
	if (look->roots.sandbox_fd < 0 || mountinfo_fd < 0 || look->ns_fd < 0)
		return pyi_err_sys(err, errno, "cannot look at the sandbox's mounts");
	if (PYI_FAULT(273, EPERM) || pyi_sys_setns(home_fd, CLONE_NEWNS) < 0)
		return pyi_err_sys(err, errno, "cannot go back to the host's mounts");
	return find_units(change, look, mountinfo_fd, err);
}

/* In the child. */
static int change_tree(const struct pyi_tree_change *change, struct look *look, struct pyi_err *err)
{
	struct pyi_tree_swap swap = { .change = change, .units = &look->units, .mounts = &look->mounts };
	int ret = change->way ? enter_and_look(change, look, err) : 0;
	struct pyi_idmap_holder holder;

	if (ret || !look->units.n)
		return ret;
	raise_limit();
	holder.pid = -1;
	swap.ns_fd = look->ns_fd;
	ret = prepare(change, &swap, look->roots.host_fd, &look->units, &holder, err);
	if (ret == 0 && !change->check_only)
		ret = pyi_tree_swap_run(&swap, err);
	pyi_tree_idmap_end(&holder);
	free(swap.mount_fds);
	return ret;
}

/* For the child, which runs in our memory; it fills in `failed` at its end. */
struct job {
	const struct pyi_tree_change *change;
	struct look *look;
	struct pyi_err failed;
	bool is_done;
};

static int run_job(void *arg)
{
	struct look own = LOOK_INIT; /* with descriptors that are ours alone */
	struct job *job = arg;

	if (change_tree(job->change, job->change->way ? &own : job->look, &job->failed) == 0)
		job->failed = (struct pyi_err){ .errnum = 0 };
	release(&own);
	job->is_done = true;
	return 0;
}

/*
 * We stand still until it has ended, and it goes on if we are killed: vfork(2), but on a stack of its own, which lets
 * it do more than execute something. A copy of our memory would take longer than all it does. The memory is not
 * dumpable from when it enters a user namespace on, and is again what it was when it is ours alone.
 */
static int run_child(struct job *job, struct pyi_err *err)
{
	char *stack = PYI_FAULT(260, ENOMEM) ? MAP_FAILED
					     : mmap(NULL, STACK_BYTES, PROT_READ | PROT_WRITE,
						    MAP_PRIVATE | MAP_ANONYMOUS | MAP_STACK, -1, 0);
	int dumpable = prctl(PR_GET_DUMPABLE, 0, 0, 0, 0);
	sigset_t all, old;
	pid_t pid;

	if (stack == MAP_FAILED)
		return pyi_err_nomem(err);
	sigfillset(&all);
	sigprocmask(SIG_BLOCK, &all, &old);
	pid = PYI_FAULT(261, EAGAIN)
		      ? -1
		      : clone(run_job, stack + STACK_BYTES, CLONE_VM | CLONE_VFORK | SIGCHLD, job);
	if (pid < 0)
		pyi_err_sys(err, errno, "cannot fork");
	while (pid > 0 && waitpid(pid, NULL, 0) < 0 && errno == EINTR)
		;
	if (dumpable == 1)
		(void)prctl(PR_SET_DUMPABLE, 1, 0, 0, 0);
	sigprocmask(SIG_SETMASK, &old, NULL);
	munmap(stack, STACK_BYTES);
	if (pid < 0)
		return -err->errnum;
	if (!job->is_done)
		return pyi_err_set(err, ECHILD, "the process that changes the file tree was killed");
	return job->failed.errnum ? pyi_err_set(err, job->failed.errnum, "%s", job->failed.msg) : 0;
}

int pyi_tree_change(const struct pyi_tree_change *change, struct pyi_err *err)
{
	struct look look = LOOK_INIT;
	struct job job = { .change = change, .look = &look };
	int ret = 0;

	if (!change->way)
		ret = look_in(change, &look, err);
	else if (change->way->user_fd < 0)
		ret = pyi_err_set(err, ESRCH, "the sandbox has ended");
	if (ret == 0 && (change->way || look.units.n))
		ret = run_child(&job, err);
	release(&look);
	return ret;
}
