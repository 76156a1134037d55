/* SPDX-License-Identifier: MIT */
/*
 * Facts about this host, by trying: see probe.h.
 *
 * A version number says nothing about a call that an outer filter, a security module or a sysctl forbids. So each call
 * is made: for real where that is cheap and leaves nothing, else with arguments that make it fail at the last moment.
 * What counts then is *how* it fails: a forbidden call ends with EPERM, EACCES or ENOSYS before it looks at anything.
 *
 * clone3 with CLONE_INTO_CGROUP and a bad descriptor makes all the namespaces it is asked for, comes to the group last,
 * and fails with EBADF: that is how namespaces are tried without a child ever being there.
 */
#include "kernel/probe.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <linux/landlock.h>
#include <linux/mount.h>
#include <linux/sched.h>
#include <linux/seccomp.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/utsname.h>
#include <sys/wait.h>

#include "base/err.h"
#include "base/fault.h"
#include "base/io.h"
#include "base/util.h"
#include "kernel/bpf.h"
#include "kernel/cgroup.h"
#include "kernel/facts_file.h"
#include "kernel/landlock.h"
#include "kernel/perf.h"
#include "kernel/sys.h"
#include "kernel/tree.h"
#include "plan/facts.h"
#include "plan/plan.h"

#ifndef PR_SET_MDWE
#define PR_SET_MDWE 65
#define PR_GET_MDWE 66
#endif

enum {
	BAD_FD = 0x7fffff00, /* open nowhere */
	INSIDE = CLONE_NEWNS | CLONE_NEWPID | CLONE_NEWIPC | CLONE_NEWUTS | CLONE_NEWCGROUP,
};

static void set_fact(struct pyi_fact *fact, int errnum, const char *detail)
{
	fact->errnum = errnum;
	snprintf(fact->detail, sizeof(fact->detail), "%.95s", detail);
}

static bool is_refusal(int errnum)
{
	return errnum == EPERM || errnum == EACCES || errnum == ENOSYS;
}

/* A call with arguments that cannot succeed: which call is refused as such? */
struct attempt {
	const char *name;
	long nr;
	long args[5];
};

#define PTR(p) ((long)(intptr_t)(p))

static const struct attempt namespace_calls[] = {
	{ "clone3", SYS_clone3, { 0, 0 } },
	{ "umount2", SYS_umount2, { 0, 0 } },
	{ "pivot_root", SYS_pivot_root, { 0, 0 } },
};

static const struct attempt mount_calls[] = {
	{ "openat2", SYS_openat2, { -1, 0, 0, 0 } },
	{ "fsopen", SYS_fsopen, { 0, 0 } },
	{ "fsconfig", SYS_fsconfig, { -1, 0, 0, 0, 0 } },
	{ "fsmount", SYS_fsmount, { -1, 0, 0 } },
	{ "open_tree", SYS_open_tree, { -1, 0, OPEN_TREE_CLONE } },
	{ "move_mount", SYS_move_mount, { -1, 0, -1, 0, 0 } },
	{ "mount_setattr", SYS_mount_setattr, { -1, 0, 0, 0, 0 } },
};

static void try_calls(const struct attempt *v, size_t n, struct pyi_fact *fact)
{
	for (size_t i = 0; i < n; i++) {
		const long *a = v[i].args;

		errno = 0;
		if (syscall(v[i].nr, a[0], a[1], a[2], a[3], a[4]) < 0 && is_refusal(errno)) {
			set_fact(fact, errno, v[i].name);
			return;
		}
	}
}

/* See the head of the file. 0: the namespaces of `flags` can be made; else the errno of what cannot. */
static int try_clone(uint64_t flags)
{
	struct clone_args args = {
		.flags = flags | CLONE_INTO_CGROUP | CLONE_VM | CLONE_VFORK,
		.exit_signal = SIGCHLD,
		.cgroup = BAD_FD,
	};

	if (syscall(SYS_clone3, &args, sizeof(args)) == 0)
		_exit(0);
	return errno == EBADF ? 0 : errno;
}

static void probe_identity(struct pyi_facts *facts)
{
	struct __user_cap_data_struct caps[2] = { 0 };
	struct utsname name;

	facts->uid = getuid();
	facts->gid = getgid();
	facts->is_root = geteuid() == 0 && pyi_sys_capget(caps) == 0 &&
			 caps[CAP_TO_INDEX(CAP_SYS_ADMIN)].effective & CAP_TO_MASK(CAP_SYS_ADMIN);
	if (uname(&name) == 0)
		snprintf(facts->release, sizeof(facts->release), "%.64s", name.release);
}

static void probe_as_root(struct pyi_facts *facts)
{
	struct mount_attr attr = { .attr_set = MOUNT_ATTR_IDMAP, .userns_fd = BAD_FD };
	int errnum;

	try_calls(namespace_calls, PYI_ARRAY_SIZE(namespace_calls), &facts->namespaces);
	if (!facts->namespaces.errnum) {
		/* Not CLONE_NEWNS: to copy all mounts and drop them takes four times as long as the rest together. */
		errnum = try_clone(INSIDE & ~CLONE_NEWNS);
		facts->clone_into_cgroup = errnum == 0;
		/* A kernel without CLONE_INTO_CGROUP cannot be asked in this way: then the start itself will tell. */
		if (errnum && errnum != EINVAL)
			set_fact(&facts->namespaces, errnum, "clone3 with new namespaces");
	}
	if (!facts->namespaces.errnum) {
		errnum = try_clone(CLONE_NEWUSER);
		if (errnum && errnum != EINVAL)
			set_fact(&facts->userns, errnum, "clone3 with CLONE_NEWUSER");
	} else {
		facts->userns = facts->namespaces;
	}
	try_calls(mount_calls, PYI_ARRAY_SIZE(mount_calls), &facts->mount_api);
	/* With id mapping known and the descriptor bad it is EBADF; EINVAL where the attribute is unknown. */
	if (syscall(SYS_mount_setattr, AT_FDCWD, "/", 0, &attr, sizeof(attr)) < 0 && errno != EBADF)
		set_fact(&facts->idmap, errno, "mount_setattr with MOUNT_ATTR_IDMAP");
	else if (facts->userns.errnum)
		facts->idmap = facts->userns;
}

/* What the child of an ordinary user found, sent back over a pipe. */
struct found {
	struct pyi_fact userns, namespaces, mount_api, landlock;
};

static void write_map(const char *path, const char *text, struct pyi_fact *fact)
{
	_cleanup_fd int fd = -1;

	if (fact->errnum)
		return;
	fd = open(path, O_WRONLY | O_CLOEXEC);
	if (fd < 0 || write(fd, text, strlen(text)) < 0)
		set_fact(fact, errno, path);
}

/* A tmpfs for real: where a security module lets namespaces be made and then forbids mounts, this is where it shows. */
static void try_tmpfs(int *ret_mount_fd, struct pyi_fact *fact)
{
	_cleanup_fd int fs_fd = (int)syscall(SYS_fsopen, "tmpfs", FSOPEN_CLOEXEC);

	if (fs_fd < 0 || syscall(SYS_fsconfig, fs_fd, FSCONFIG_CMD_CREATE, NULL, NULL, 0) < 0) {
		set_fact(fact, errno, fs_fd < 0 ? "fsopen" : "fsconfig");
		return;
	}
	*ret_mount_fd = (int)syscall(SYS_fsmount, fs_fd, FSMOUNT_CLOEXEC, 0);
	if (*ret_mount_fd < 0)
		set_fact(fact, errno, "fsmount");
}

static void try_tree(struct pyi_fact *fact)
{
	struct mount_attr attr = { .attr_set = MOUNT_ATTR_RDONLY };
	_cleanup_fd int tree = (int)syscall(SYS_open_tree, AT_FDCWD, "/",
					    OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC | AT_RECURSIVE);

	if (tree < 0)
		set_fact(fact, errno, "open_tree");
	else if (syscall(SYS_mount_setattr, tree, "", AT_EMPTY_PATH | AT_RECURSIVE, &attr,
			 sizeof(attr)) < 0)
		set_fact(fact, errno, "mount_setattr");
}

static void try_landlock(struct pyi_fact *fact)
{
	/* Without capabilities the kernel looks at the descriptor only if no_new_privs is set. */
	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
		set_fact(fact, errno, "prctl(PR_SET_NO_NEW_PRIVS)");
	else if (syscall(SYS_landlock_restrict_self, BAD_FD, 0) < 0 && is_refusal(errno))
		set_fact(fact, errno, "landlock_restrict_self");
}

/* In the child. `inside`: it has namespaces of its own. */
static void look_inside(struct found *found, bool inside, bool has_userns, uid_t uid, gid_t gid)
{
	char text[64];
	int mount_fd = -1;

	if (inside) {
		if (has_userns) {
			write_map("/proc/self/setgroups", "deny", &found->userns);
			snprintf(text, sizeof(text), "%u %u 1", uid, uid);
			write_map("/proc/self/uid_map", text, &found->userns);
			snprintf(text, sizeof(text), "%u %u 1", gid, gid);
			write_map("/proc/self/gid_map", text, &found->userns);
		}
		if (!found->userns.errnum) {
			try_calls(namespace_calls, PYI_ARRAY_SIZE(namespace_calls), &found->namespaces);
			try_calls(mount_calls, PYI_ARRAY_SIZE(mount_calls), &found->mount_api);
			if (!found->mount_api.errnum)
				try_tmpfs(&mount_fd, &found->namespaces);
			if (!found->mount_api.errnum)
				try_tree(&found->mount_api);
		}
	}
	try_landlock(&found->landlock);
}

/* Run look_inside in a child with these namespaces; errno of the clone, or 0. */
static int ask_child(uint64_t flags, struct found *found)
{
	struct clone_args args = { .flags = flags, .exit_signal = SIGCHLD };
	uid_t uid = geteuid();
	gid_t gid = getegid();
	int ends[2], status;
	ssize_t n;
	pid_t pid;

	if (pipe2(ends, O_CLOEXEC) < 0)
		return errno;
	pid = pyi_sys_clone3(&args);
	/* Where clone3 is refused there are no namespaces for us; everything else can still be asked. */
	if (pid < 0 && !flags)
		pid = fork();
	if (pid < 0) {
		int errnum = errno;

		close(ends[0]);
		close(ends[1]);
		return errnum;
	}
	if (pid == 0) {
		look_inside(found, flags != 0, flags & CLONE_NEWUSER, uid, gid);
		_exit(write(ends[1], found, sizeof(*found)) != sizeof(*found));
	}
	close(ends[1]);
	n = pyi_read_full(ends[0], found, sizeof(*found));
	close(ends[0]);
	while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
		;
	return n == sizeof(*found) ? 0 : EIO;
}

static void probe_as_user(struct pyi_facts *facts)
{
	struct found found = { 0 };
	int errnum = ask_child(CLONE_NEWUSER | INSIDE, &found);

	if (errnum) {
		found = (struct found){ 0 };
		set_fact(&found.namespaces, errnum, "clone3 with new namespaces");
		errnum = try_clone(CLONE_NEWUSER);
		if (errnum)
			set_fact(&found.userns, errnum, "clone3 with CLONE_NEWUSER");
		(void)ask_child(0, &found);
	}
	if (found.userns.errnum && !found.namespaces.errnum)
		found.namespaces = found.userns;
	if (found.namespaces.errnum && !found.mount_api.errnum)
		found.mount_api = found.namespaces;
	facts->userns = found.userns;
	facts->namespaces = found.namespaces;
	facts->mount_api = found.mount_api;
	facts->landlock = found.landlock;
	facts->clone_into_cgroup = try_clone(0) == 0;
	set_fact(&facts->idmap, EPERM, "only root can map ids");
}

static void probe_landlock(struct pyi_facts *facts)
{
	int abi = pyi_landlock_abi();

	facts->landlock_abi = 0;
	if (abi < 0) {
		set_fact(&facts->landlock, -abi, "landlock_create_ruleset");
		return;
	}
	if (syscall(SYS_landlock_add_rule, BAD_FD, LANDLOCK_RULE_PATH_BENEATH, NULL, 0) < 0 &&
	    is_refusal(errno))
		set_fact(&facts->landlock, errno, "landlock_add_rule");
	else if (facts->is_root && syscall(SYS_landlock_restrict_self, BAD_FD, 0) < 0 &&
		 is_refusal(errno))
		set_fact(&facts->landlock, errno, "landlock_restrict_self");
	if (facts->landlock.errnum)
		return;
	facts->landlock_abi = abi;
	snprintf(facts->landlock.detail, sizeof(facts->landlock.detail), "ABI %d", abi);
}

static void probe_seccomp(struct pyi_facts *facts)
{
	static const uint32_t actions[] = { SECCOMP_RET_KILL_PROCESS, SECCOMP_RET_ERRNO };

	for (size_t i = 0; i < PYI_ARRAY_SIZE(actions); i++) {
		uint32_t action = actions[i];

		if (syscall(SYS_seccomp, SECCOMP_GET_ACTION_AVAIL, 0, &action) < 0) {
			set_fact(&facts->seccomp, errno, "seccomp(SECCOMP_GET_ACTION_AVAIL)");
			return;
		}
	}
	/* No filter at address 0: EFAULT when filters can be had. */
	if (syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, SECCOMP_FILTER_FLAG_TSYNC, NULL) < 0 &&
	    errno != EFAULT)
		set_fact(&facts->seccomp, errno, "seccomp(SECCOMP_SET_MODE_FILTER)");
}

static void probe_mdwe(struct pyi_facts *facts)
{
	int bits = prctl(PR_GET_MDWE, 0, 0, 0, 0);

	if (bits < 0)
		set_fact(&facts->mdwe, errno, "prctl(PR_GET_MDWE)");
	/* What is set already changes nothing. */
	else if (prctl(PR_SET_MDWE, bits, 0, 0, 0) < 0)
		set_fact(&facts->mdwe, errno, "prctl(PR_SET_MDWE)");
}

/* Is BPF one of the security modules that are active? Whether programs load is for pyi_bpf_probe_all to try. */
static void probe_lsm_list(struct pyi_facts *facts)
{
	char list[256], *word, *save = NULL;
	ssize_t n = pyi_read_at(AT_FDCWD, "/sys/kernel/security/lsm", list, sizeof(list));

	if (n < 0) {
		set_fact(&facts->bpf_lsm, (int)-n, "/sys/kernel/security/lsm");
		return;
	}
	for (word = strtok_r(list, ",", &save); word; word = strtok_r(NULL, ",", &save))
		if (strcmp(word, "bpf") == 0)
			return;
	set_fact(&facts->bpf_lsm, EOPNOTSUPP, "'bpf' is not in the kernel's lsm= list");
}

/* In the build for tests alone: a layer that the plan is to do without. */
static void leave_out(const char *layer, struct pyi_fact *fact)
{
	(void)layer;
	if (PYI_LEFT_OUT(layer))
		set_fact(fact, EPERM, "left out");
}

/* What is the same for all runs until the next boot, unless somebody changes the host. */
static void probe_host(struct pyi_facts *facts)
{
	if (facts->is_root)
		probe_as_root(facts);
	else
		probe_as_user(facts);
	if (!facts->landlock.errnum)
		probe_landlock(facts);
	probe_seccomp(facts);
	probe_mdwe(facts);
	pyi_cgroup_find(facts);
}

static void probe_programs(struct pyi_facts *facts)
{
	leave_out("namespaces", &facts->namespaces);
	leave_out("process", &facts->mdwe);
	if (facts->is_root) {
		probe_lsm_list(facts);
		pyi_bpf_probe(facts);
		leave_out("bpf-lsm", &facts->bpf_lsm);
		leave_out("bpf-cgroup", &facts->bpf_cgroup);
		if (facts->bpf_cgroup.errnum)
			pyi_cgroup_find(facts); /* a parent without programs, then */
		set_fact(&facts->bpf_perf, facts->bpf_cgroup.errnum,
			 facts->bpf_cgroup.errnum ? "bpf" : "");
		pyi_perf_probe(facts);
	} else {
		set_fact(&facts->bpf_cgroup, EPERM, "only root can load BPF programs");
		facts->bpf_lsm = facts->bpf_perf = facts->bpf_cgroup;
	}
}

/* *ret_kept: what may be kept of it. */
static void probe_all(struct pyi_facts *facts, struct pyi_facts *ret_kept)
{
	for (int i = 0; i < 2; i++) {
		*facts = (struct pyi_facts){ 0 };
		probe_identity(facts);
		probe_host(facts);
		*ret_kept = *facts;
		probe_programs(facts);
		/* The parent of all groups was there: somebody unloads in this moment, and it is to be made again. */
		if (!facts->cgroup_v2_dir[0] ||
		    (facts->bpf_cgroup.errnum != ENOENT && facts->bpf_cgroup.errnum != ENODEV))
			return;
	}
}

void pyi_probe_run(struct pyi_facts *ret_facts)
{
	struct pyi_facts unused;

	probe_all(ret_facts, &unused);
}

void pyi_probe_run_known(struct pyi_facts *ret_facts, bool *ret_was_known)
{
	struct pyi_facts kept;

	*ret_facts = (struct pyi_facts){ 0 };
	probe_identity(ret_facts);
	*ret_was_known = ret_facts->is_root && pyi_facts_recall(ret_facts) == 0;
	if (*ret_was_known) {
		probe_programs(ret_facts);
		if (!ret_facts->bpf_cgroup.errnum && !ret_facts->bpf_perf.errnum)
			return;
		/* What is missing now may be missing because the groups are somewhere else by now. */
		*ret_was_known = false;
		pyi_facts_forget();
	}
	probe_all(ret_facts, &kept);
	if (ret_facts->is_root && !ret_facts->bpf_cgroup.errnum && !ret_facts->bpf_perf.errnum)
		pyi_facts_keep(&kept);
}

/* As root: an id-mapped tmpfs for real, in a mount namespace of its own. */
static void try_idmap(struct pyi_facts *facts)
{
	struct pyi_plan plan = { .uid = 65534, .gid = 65534 };
	struct mount_attr attr = { .attr_set = MOUNT_ATTR_IDMAP };
	_cleanup_fd int userns = -1, mount_fd = -1;
	struct pyi_err err = { 0 };
	int ret = pyi_tree_idmap_open(&plan, facts->uid, facts->gid, &userns, &err);

	if (ret < 0) {
		set_fact(&facts->idmap, -ret, err.msg);
		return;
	}
	try_tmpfs(&mount_fd, &facts->idmap);
	if (facts->idmap.errnum)
		return;
	attr.userns_fd = (uint64_t)userns;
	if (syscall(SYS_mount_setattr, mount_fd, "", AT_EMPTY_PATH, &attr, sizeof(attr)) < 0)
		set_fact(&facts->idmap, errno, "mount_setattr with MOUNT_ATTR_IDMAP");
}

static void try_group(struct pyi_facts *facts)
{
	struct pyi_limits limits = { .memory_bytes = 64 << 20, .pids = 8, .cpu_permille = 1000 };
	struct pyi_cgroup *cgroup = NULL;
	struct pyi_err err = { 0 };
	int ret = pyi_cgroup_new(facts, &limits, &cgroup, &err);

	if (ret < 0)
		set_fact(&facts->cgroup, -ret, err.msg);
	pyi_cgroup_free(cgroup);
}

void pyi_probe_all(struct pyi_facts *ret_facts)
{
	struct pyi_facts *facts = ret_facts;
	struct found found = { 0 };

	pyi_probe_run(facts);
	if (facts->is_root && !facts->namespaces.errnum) {
		int errnum = ask_child(INSIDE | CLONE_NEWNET, &found);

		if (errnum)
			set_fact(&found.namespaces, errnum, "clone3 with new namespaces");
		facts->namespaces = found.namespaces;
		if (!facts->mount_api.errnum)
			facts->mount_api = found.mount_api;
	} else if (!facts->namespaces.errnum) {
		int errnum = try_clone(CLONE_NEWUSER | CLONE_NEWNET);

		if (errnum)
			set_fact(&facts->namespaces, errnum, "clone3 with CLONE_NEWNET");
	}
	if (facts->is_root && !facts->idmap.errnum)
		try_idmap(facts);
	if (!facts->cgroup.errnum)
		try_group(facts);
	if (facts->is_root) {
		pyi_bpf_probe_all(facts);
		if (facts->bpf_cgroup.errnum)
			pyi_cgroup_find(facts);
	}
}
