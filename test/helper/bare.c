/* SPDX-License-Identifier: MIT */
/*
 * The least that a start like ours can cost: the system calls that it cannot do without, and nothing else. A control
 * group on the v2 hierarchy and on v1's memory and pids where they are, the namespaces, a tmpfs for a root with a
 * /proc, the way back closed, ids and capabilities dropped, Landlock, a seccomp filter of the size of ours, two
 * executions of a small static program, and all of it away again. No network namespace, policy, messages, image,
 * interpreter, no look at the host. Needs root. As `bare guest` it is what is started in the end.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <linux/filter.h>
#include <linux/landlock.h>
#include <linux/sched.h>
#include <linux/seccomp.h>
#include <sched.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

enum { N_INSNS = 375, GUEST_ID = 65534, GROUPS = 3 };

static const char *const parents[GROUPS][2] = {
	{ "/sys/fs/cgroup/unified", "/sys/fs/cgroup" }, /* v2 */
	{ "/sys/fs/cgroup/memory", NULL },
	{ "/sys/fs/cgroup/pids", NULL },
};

static char groups[GROUPS][128];
static int tasks[GROUPS] = { -1, -1, -1 };

static void must(const char *what, long ret)
{
	if (ret >= 0)
		return;
	fprintf(stderr, "bare: %s: %s\n", what, strerror(errno));
	_exit(1);
}

static bool has_file(const char *dir, const char *name)
{
	char path[256];

	snprintf(path, sizeof(path), "%s/%s", dir, name);
	return access(path, F_OK) == 0;
}

static void make_groups(void)
{
	for (int i = 0; i < GROUPS; i++) {
		for (int j = 0; j < 2 && parents[i][j] && !groups[i][0]; j++)
			if (has_file(parents[i][j], i ? "tasks" : "cgroup.controllers"))
				snprintf(groups[i], sizeof(groups[i]), "%s/bare-%d", parents[i][j],
					 getpid());
		if (!groups[i][0])
			continue;
		must("mkdir", mkdir(groups[i], 0755));
		if (i) {
			int fd = open(groups[i], O_PATH | O_CLOEXEC);

			tasks[i] = openat(fd, "tasks", O_WRONLY | O_CLOEXEC);
			must("tasks", tasks[i]);
			close(fd);
		} else {
			tasks[i] = open(groups[i], O_PATH | O_CLOEXEC);
		}
	}
}

static void mount_at(const char *type, int dir_fd, const char *path)
{
	int fs = (int)syscall(SYS_fsopen, type, FSOPEN_CLOEXEC);
	int fd;

	must("fsopen", fs);
	must("fsconfig", syscall(SYS_fsconfig, fs, FSCONFIG_CMD_CREATE, NULL, NULL, 0));
	fd = (int)syscall(SYS_fsmount, fs, FSMOUNT_CLOEXEC, MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV);
	must("fsmount", fd);
	must("move_mount", syscall(SYS_move_mount, fd, "", dir_fd, path, MOVE_MOUNT_F_EMPTY_PATH));
	must("fchdir", fchdir(fd));
	close(fs);
}

static void build_tree(void)
{
	must("private", mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL));
	mount_at("tmpfs", AT_FDCWD, "/tmp");
	must("mkdir", mkdir("proc", 0755));
	must("pivot_root", syscall(SYS_pivot_root, ".", "."));
	mount_at("proc", AT_FDCWD, "/proc");
	must("chdir", chdir("/"));
}

static void lock_down(void)
{
	struct __user_cap_header_struct header = { .version = _LINUX_CAPABILITY_VERSION_3 };
	struct __user_cap_data_struct none[2] = { { 0 } };
	struct landlock_ruleset_attr attr = { .handled_access_fs = LANDLOCK_ACCESS_FS_WRITE_FILE };
	static struct sock_filter insns[N_INSNS];
	struct sock_fprog program = { .len = N_INSNS, .filter = insns };
	int ruleset;

	must("no_new_privs", prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0));
	ruleset = (int)syscall(SYS_landlock_create_ruleset, &attr, sizeof(attr), 0);
	if (ruleset >= 0)
		must("landlock", syscall(SYS_landlock_restrict_self, ruleset, 0));
	must("setgroups", syscall(SYS_setgroups, 0, NULL));
	must("setresgid", syscall(SYS_setresgid, GUEST_ID, GUEST_ID, GUEST_ID));
	must("setresuid", syscall(SYS_setresuid, GUEST_ID, GUEST_ID, GUEST_ID));
	must("capset", syscall(SYS_capset, &header, none));
	/* Short for every number that there is, all of which the kernel tries first, as a search tree is. */
	insns[0] = (struct sock_filter)BPF_STMT(BPF_LD | BPF_W | BPF_ABS, 0);
	insns[1] = (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JGE | BPF_K, 100000, 1, 0);
	insns[2] = (struct sock_filter)BPF_STMT(BPF_JMP | BPF_JA | BPF_K, N_INSNS - 4);
	for (unsigned int i = 3; i < N_INSNS - 1; i++)
		insns[i] = (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, 100000 + i, 0, 0);
	insns[N_INSNS - 1] = (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW);
	must("seccomp", syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, 0, &program));
}

static _Noreturn void init(int self)
{
	static char name[] = "bare", guest[] = "guest";
	char *argv[] = { name, guest, NULL }, *env[] = { NULL };
	int status = 1;
	pid_t pid;

	for (int i = 1; i < GROUPS; i++)
		if (tasks[i] >= 0)
			must("enter a group", write(tasks[i], "0", 1));
	build_tree();
	pid = fork();
	must("fork", pid);
	if (pid == 0) {
		lock_down();
		syscall(SYS_execveat, self, "", argv, env, AT_EMPTY_PATH);
		must("exec", -1);
	}
	must("umount", umount2(".", MNT_DETACH));
	while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
		;
	_exit(status ? 1 : 0);
}

int main(int argc, char **argv)
{
	struct clone_args args = { .flags = CLONE_NEWNS | CLONE_NEWPID | CLONE_NEWIPC | CLONE_NEWUTS,
				   .exit_signal = SIGCHLD };
	int self, status = 1;
	pid_t pid;

	if (argc > 1 && strcmp(argv[1], "guest") == 0)
		_exit(0);
	self = open("/proc/self/exe", O_PATH | O_CLOEXEC);
	must("open", self);
	make_groups();
	if (tasks[0] >= 0) {
		args.flags |= CLONE_INTO_CGROUP;
		args.cgroup = (uint64_t)tasks[0];
	}
	pid = (pid_t)syscall(SYS_clone3, &args, sizeof(args));
	must("clone3", pid);
	if (pid == 0)
		init(self);
	while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
		;
	for (int i = 0; i < GROUPS; i++)
		if (groups[i][0])
			must("rmdir", rmdir(groups[i]));
	_exit(status ? 1 : 0);
}
