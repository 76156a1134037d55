/* SPDX-License-Identifier: MIT */
/* Attempts of attack.c: mounts, namespaces, the kernel's large interfaces. */
#ifndef PYI_ATTACK_KERNEL_H
#define PYI_ATTACK_KERNEL_H

#include "attack_common.h"

/* ---------------------------------------------------------------------------------- mounts and namespaces */

static int a_mount(void)
{
	return result(mount("none", "/tmp", "tmpfs", 0, NULL), "a file system was mounted");
}

static int a_umount(void)
{
	return result(umount2("/proc", MNT_DETACH), "/proc was unmounted");
}

static int a_remount(void)
{
	return result(mount(NULL, "/", NULL, MS_REMOUNT | MS_BIND, NULL), "the root was mounted again");
}

static int a_bind(void)
{
	return result(mount("/", "/tmp", NULL, MS_BIND, NULL), "the root was mounted elsewhere");
}

static int a_fsopen(void)
{
	return result(syscall(SYS_fsopen, "tmpfs", 0), "a file system context");
}

static int a_open_tree(void)
{
	return result(syscall(SYS_open_tree, AT_FDCWD, "/", OPEN_TREE_CLONE),
		      "a copy of the root's mount");
}

static int a_fspick(void)
{
	return result(syscall(SYS_fspick, AT_FDCWD, "/proc", 0), "the super block of /proc");
}

static int a_mount_setattr(void)
{
	struct mount_attr attr = { .attr_clr = MOUNT_ATTR_NOEXEC };

	return result(syscall(SYS_mount_setattr, AT_FDCWD, "/proc", 0, &attr, sizeof(attr)),
		      "a mount's attributes were changed");
}

static int a_move_mount(void)
{
	return gate(syscall(SYS_move_mount, AT_FDCWD, "/nowhere", AT_FDCWD, "/nowhere", 0),
		    "move_mount looked");
}

static int a_attach_mount(void)
{
	int fs = (int)syscall(SYS_fsopen, "tmpfs", 0), tree;

	if (fs < 0 || syscall(SYS_fsconfig, fs, FSCONFIG_CMD_CREATE, NULL, NULL, 0) < 0)
		return refused();
	tree = (int)syscall(SYS_fsmount, fs, 0, 0);
	if (tree < 0)
		return refused();
	return result(syscall(SYS_move_mount, tree, "", AT_FDCWD, "/tmp", MOVE_MOUNT_F_EMPTY_PATH),
		      "a file system was attached");
}

static int a_pivot_root(void)
{
	return gate(syscall(SYS_pivot_root, "/nowhere", "/nowhere"), "pivot_root looked");
}

static int a_chroot(void)
{
	return result(chroot("/"), "a new root");
}

static int a_unshare_user(void)
{
	return result(unshare(CLONE_NEWUSER), "a user namespace");
}

static int a_unshare_mount(void)
{
	return result(unshare(CLONE_NEWNS), "a mount namespace");
}

static int a_unshare_net(void)
{
	return result(unshare(CLONE_NEWNET), "a network namespace");
}

static int a_setns(void)
{
	int fd = open("/proc/self/ns/uts", O_RDONLY | O_CLOEXEC);

	return fd < 0 ? refused() : result(setns(fd, 0), "a namespace was entered");
}

static int a_setns_pidfd(void)
{
	int fd = (int)syscall(SYS_pidfd_open, getppid(), 0);

	return fd < 0 ? refused()
		      : result(setns(fd, CLONE_NEWUTS), "the parent's namespace was entered");
}

static int a_clone_newuser(void)
{
	return clone_with(CLONE_NEWUSER, "a child in a user namespace");
}

static int a_clone_newns(void)
{
	return clone_with(CLONE_NEWNS, "a child in a mount namespace");
}

static int a_clone_newpid(void)
{
	return clone_with(CLONE_NEWPID, "a child in a pid namespace");
}

static int a_clone_newnet(void)
{
	return clone_with(CLONE_NEWNET, "a child in a network namespace");
}

static int a_clone_parent(void)
{
	return clone_with(CLONE_PARENT, "a child of somebody else");
}

static int a_clone3_newuser(void)
{
	struct clone_args args = { .flags = CLONE_NEWUSER, .exit_signal = SIGCHLD };
	long pid = syscall(SYS_clone3, &args, sizeof(args));

	if (!pid)
		_exit(0);
	if (pid > 0)
		wait_for((pid_t)pid);
	return result(pid, "a child in a user namespace");
}

static int a_sethostname(void)
{
	return result(sethostname("owned", 5), "the host has a new name");
}

/* ------------------------------------------------------------------------------ the kernel's big interfaces */

static int a_bpf_map(void)
{
	union bpf_attr attr = {
		.map_type = BPF_MAP_TYPE_ARRAY, .key_size = 4, .value_size = 4, .max_entries = 1
	};

	return result(syscall(SYS_bpf, BPF_MAP_CREATE, &attr, sizeof(attr)), "a BPF map");
}

static int a_bpf_prog(void)
{
	struct bpf_insn insns[] = { { .code = BPF_ALU64 | BPF_MOV | BPF_K },
				    { .code = BPF_JMP | BPF_EXIT } };
	union bpf_attr attr = { .prog_type = BPF_PROG_TYPE_SOCKET_FILTER,
				.insn_cnt = 2,
				.insns = (uintptr_t)insns,
				.license = (uintptr_t)"GPL" };

	return result(syscall(SYS_bpf, BPF_PROG_LOAD, &attr, sizeof(attr)), "a BPF program");
}

static int a_perf_event_open(void)
{
	struct perf_event_attr attr = { .type = PERF_TYPE_SOFTWARE,
					.size = sizeof(attr),
					.config = PERF_COUNT_SW_CPU_CLOCK };

	return result(syscall(SYS_perf_event_open, &attr, 0, -1, -1, 0), "a perf event");
}

static int a_userfaultfd(void)
{
	return result(syscall(SYS_userfaultfd, O_CLOEXEC), "a userfaultfd");
}

static int a_io_uring(void)
{
	struct io_uring_params params = { 0 };

	return result(syscall(SYS_io_uring_setup, 4, &params), "a ring");
}

static int a_aio(void)
{
	unsigned long context = 0;

	return result(syscall(SYS_io_setup, 4, &context), "an aio context");
}

static int a_keyctl(void)
{
	return result(syscall(SYS_keyctl, KEYCTL_GET_KEYRING_ID, KEY_SPEC_USER_KEYRING, 1),
		      "the user's keyring");
}

static int a_add_key(void)
{
	return result(syscall(SYS_add_key, "user", "attack", "x", 1, KEY_SPEC_PROCESS_KEYRING), "a key");
}

static int a_request_key(void)
{
	return gate(syscall(SYS_request_key, "user", "attack-no-such-key", NULL, 0),
		    "request_key looked");
}

static int a_handle(void)
{
	struct {
		struct file_handle head;
		unsigned char bytes[128];
	} handle = { .head.handle_bytes = 128 };
	int mount_id, root;

	if (name_to_handle_at(AT_FDCWD, "/tmp", &handle.head, &mount_id, 0) < 0)
		return refused();
	root = open("/tmp", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	return result(open_by_handle_at(root, &handle.head, O_RDONLY), "a file by its number");
}

static int a_kexec(void)
{
	return gate(syscall(SYS_kexec_load, 0, 0, NULL, ~0UL), "kexec_load looked");
}

static int a_init_module(void)
{
	static char zeros[4096];

	return gate(syscall(SYS_init_module, zeros, sizeof(zeros), ""), "init_module looked");
}

/* Our own binary is no module, but the kernel reads it to see. */
static int a_finit_module(void)
{
	int fd = open("/proc/self/exe", O_RDONLY | O_CLOEXEC);

	return fd < 0 ? refused() : gate(syscall(SYS_finit_module, fd, "", 0), "finit_module looked");
}

static int a_delete_module(void)
{
	return gate(syscall(SYS_delete_module, "attack_no_such_module", O_NONBLOCK),
		    "delete_module looked");
}

static int a_reboot(void)
{
	return gate(syscall(SYS_reboot, 0, 0, 0, NULL), "reboot looked");
}

static int a_swapon(void)
{
	return gate(syscall(SYS_swapon, "/nowhere", 0), "swapon looked");
}

static int a_quotactl(void)
{
	return gate(syscall(SYS_quotactl, 0x80000600 /* Q_SYNC */, "/nowhere", 0, NULL),
		    "quotactl looked");
}

static int a_syslog(void)
{
	char buf[64];

	return result(klogctl(3, buf, sizeof(buf)), "the kernel's log");
}

static int a_fanotify(void)
{
	return result(fanotify_init(FAN_CLASS_NOTIF, O_RDONLY), "a fanotify group");
}

static int a_personality(void)
{
	return result(personality(ADDR_NO_RANDOMIZE), "addresses are no longer random");
}

static int a_modify_ldt(void)
{
	char buf[64];

	return result(syscall(SYS_modify_ldt, 0, buf, sizeof(buf)), "the local descriptor table");
}

static int a_iopl(void)
{
	return result(syscall(SYS_iopl, 3), "the machine's ports");
}

static int a_ioperm(void)
{
	return result(syscall(SYS_ioperm, 0x80, 1, 1), "one of the machine's ports");
}

static int a_clock_settime(void)
{
	struct timespec bad = { .tv_sec = -1, .tv_nsec = -1 };

	return gate(syscall(SYS_clock_settime, CLOCK_REALTIME, &bad), "clock_settime looked");
}

static int a_vmsplice(void)
{
	char byte = 'x';
	struct iovec iov = { &byte, 1 };
	int fds[2];

	if (pipe2(fds, O_CLOEXEC) < 0)
		return refused();
	return result(vmsplice(fds[1], &iov, 1, 0), "pages were given to a pipe");
}

static int a_remap_file_pages(void)
{
	return gate(syscall(SYS_remap_file_pages, 0, 0, 0, 0, 0), "remap_file_pages looked");
}

#endif
