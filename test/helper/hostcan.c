/* SPDX-License-Identifier: MIT */
/*
 * hostcan FEATURE [ARG]: does this kernel have it? Exit 0 or 1. It asks the kernel itself, so that a test's skips do
 * not depend on the tool under test.
 *
 *	landlock	a ruleset can be made; prints the ABI
 *	idmap DIR	id-mapped mounts of the file system that holds DIR (root)
 *	bpf-cgroup	a cgroup program loads (root)
 *	bpf-lsm		an LSM program for file_open loads (root); needs the kernel's BTF
 *	into-cgroup DIR	clone3 with CLONE_INTO_CGROUP into this cgroup v2 directory
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/bpf.h>
#include <linux/mount.h>
#include <linux/sched.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

static int landlock(void)
{
	long abi = syscall(__NR_landlock_create_ruleset, NULL, 0, 1);

	if (abi <= 0)
		return 1;
	printf("%ld\n", abi);
	return 0;
}

/* A user namespace held open by a child that waits for its end of the pipe to close. */
static int make_userns(pid_t *ret_pid, int *ret_pipe)
{
	struct clone_args args = { .flags = CLONE_NEWUSER, .exit_signal = SIGCHLD };
	char path[64];
	int pipes[2], fd;
	pid_t pid;

	if (pipe(pipes) != 0)
		return -1;
	pid = (pid_t)syscall(__NR_clone3, &args, sizeof(args));
	if (pid < 0)
		return -1;
	if (pid == 0) {
		char byte;

		close(pipes[1]);
		_exit(read(pipes[0], &byte, 1) != 0);
	}
	close(pipes[0]);
	for (int i = 0; i < 2; i++) {
		snprintf(path, sizeof(path), "/proc/%d/%s_map", (int)pid, i ? "gid" : "uid");
		fd = open(path, O_WRONLY | O_CLOEXEC);
		if (fd < 0 || write(fd, "0 1000 1", 8) != 8)
			perror(path);
		close(fd);
	}
	*ret_pid = pid;
	*ret_pipe = pipes[1];
	snprintf(path, sizeof(path), "/proc/%d/ns/user", (int)pid);
	return open(path, O_RDONLY | O_CLOEXEC);
}

static int idmap(const char *dir)
{
	struct mount_attr attr = { .attr_set = MOUNT_ATTR_IDMAP };
	int tree, userns, end = -1, result = 1;
	pid_t pid = -1;

	tree = (int)syscall(__NR_open_tree, AT_FDCWD, dir, OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC);
	userns = make_userns(&pid, &end);
	if (tree >= 0 && userns >= 0) {
		attr.userns_fd = (uint64_t)userns;
		if (syscall(__NR_mount_setattr, tree, "", AT_EMPTY_PATH, &attr, sizeof(attr)) == 0)
			result = 0;
	}
	close(end);
	if (pid > 0)
		waitpid(pid, NULL, 0);
	return result;
}

static int load(uint32_t type, uint32_t attach, uint32_t btf_id)
{
	struct bpf_insn insns[] = {
		{ .code = BPF_ALU64 | BPF_MOV | BPF_K,
		  .dst_reg = 0,
		  .imm = type == BPF_PROG_TYPE_LSM ? 0 : 1 },
		{ .code = BPF_JMP | BPF_EXIT },
	};
	union bpf_attr attr;

	memset(&attr, 0, sizeof(attr));
	attr.prog_type = type;
	attr.expected_attach_type = attach;
	attr.attach_btf_id = btf_id;
	attr.insns = (uint64_t)(uintptr_t)insns;
	attr.insn_cnt = 2;
	attr.license = (uint64_t)(uintptr_t)"GPL";
	return syscall(__NR_bpf, BPF_PROG_LOAD, &attr, sizeof(attr)) < 0;
}

/*
 * Any BTF id will do: a kernel without LSM programs refuses with EPERM, EINVAL or E2BIG at once, one with them says
 * that type 1 is no LSM hook. The list of active LSMs is what decides whether such a program would run.
 */
static int bpf_lsm(void)
{
	char list[512] = "";
	int fd = open("/sys/kernel/security/lsm", O_RDONLY | O_CLOEXEC);
	ssize_t n = fd < 0 ? -1 : read(fd, list, sizeof(list) - 1);

	if (n <= 0)
		return 1;
	for (char *word = strtok(list, ",\n"); word; word = strtok(NULL, ",\n"))
		if (strcmp(word, "bpf") == 0)
			return load(BPF_PROG_TYPE_LSM, BPF_LSM_MAC, 1) && errno == EPERM;
	return 1;
}

static int into_cgroup(const char *dir)
{
	struct clone_args args = { .flags = CLONE_INTO_CGROUP, .exit_signal = SIGCHLD };
	int fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	pid_t pid;

	if (fd < 0)
		return 1;
	args.cgroup = (uint64_t)fd;
	pid = (pid_t)syscall(__NR_clone3, &args, sizeof(args));
	if (pid == 0)
		_exit(0);
	return pid < 0 || waitpid(pid, NULL, 0) != pid;
}

int main(int argc, char **argv)
{
	const char *feature = argc > 1 ? argv[1] : "";
	const char *arg = argc > 2 ? argv[2] : "/";

	if (strcmp(feature, "landlock") == 0)
		return landlock();
	if (strcmp(feature, "idmap") == 0)
		return idmap(arg);
	if (strcmp(feature, "bpf-cgroup") == 0)
		return load(BPF_PROG_TYPE_CGROUP_SOCK_ADDR, BPF_CGROUP_INET4_CONNECT, 0);
	if (strcmp(feature, "bpf-lsm") == 0)
		return bpf_lsm();
	if (strcmp(feature, "into-cgroup") == 0)
		return into_cgroup(arg);
	fprintf(stderr, "hostcan: no such feature '%s'\n", feature);
	return 99;
}
