/* SPDX-License-Identifier: MIT */
/*
 * attack NAME: one raw attempt to leave or weaken a sandbox, in C and without any library between it and the kernel.
 *
 * Prints "succeeded: ..." and exits 0 if the attempt worked, "refused: ERRNO" and exits 1 if it was refused, exits 3
 * with a reason where it does not apply. A filter that kills the process is a refusal too. `attack --list` names every
 * attempt with a description; those marked with '*' in the table need a condition and are not listed. Whatever works
 * outside leaves nothing behind: files are removed, namespaces and mounts die with the process. Where a call that
 * works would do harm, it is made with arguments that the kernel refuses only after the privilege has been checked.
 */
#include "attack_files.h"
#include "attack_kernel.h"
#include "attack_pins.h"
#include "attack_process.h"

/* --------------------------------------------------------------------------------------------------- table */

struct attempt {
	const char *name; /* with a leading '*': not listed */
	int (*run)(void);
	const char *what;
};

/* clang-format off */
static const struct attempt attempts[] = {
	{ "mount", a_mount, "mount a file system" },
	{ "umount", a_umount, "unmount /proc" },
	{ "remount", a_remount, "mount the root again, writable" },
	{ "bind", a_bind, "mount the root elsewhere" },
	{ "fsopen", a_fsopen, "new mount API: a file system context" },
	{ "fspick", a_fspick, "new mount API: change a super block" },
	{ "open-tree", a_open_tree, "new mount API: copy a mount" },
	{ "mount-setattr", a_mount_setattr, "new mount API: change a mount" },
	{ "move-mount", a_move_mount, "new mount API: attach a mount" },
	{ "attach-mount", a_attach_mount, "new mount API: a new file system, attached" },
	{ "pivot-root", a_pivot_root, "exchange the root" },
	{ "chroot", a_chroot, "change the root" },
	{ "unshare-user", a_unshare_user, "become root in a user namespace" },
	{ "unshare-mount", a_unshare_mount, "a mount namespace" },
	{ "unshare-net", a_unshare_net, "a network namespace" },
	{ "setns", a_setns, "enter a namespace by its file" },
	{ "setns-pidfd", a_setns_pidfd, "enter a namespace by a process" },
	{ "clone-newuser", a_clone_newuser, "clone into a user namespace" },
	{ "clone-newns", a_clone_newns, "clone into a mount namespace" },
	{ "clone-newpid", a_clone_newpid, "clone into a pid namespace" },
	{ "clone-newnet", a_clone_newnet, "clone into a network namespace" },
	{ "clone-parent", a_clone_parent, "make a child of init" },
	{ "clone3-newuser", a_clone3_newuser, "clone3, whose flags no filter can see" },
	{ "sethostname", a_sethostname, "rename the host" },
	{ "bpf-map", a_bpf_map, "make a BPF map" },
	{ "bpf-prog", a_bpf_prog, "load a BPF program" },
	{ "perf-event-open", a_perf_event_open, "open a perf event" },
	{ "userfaultfd", a_userfaultfd, "hold the kernel at a page fault" },
	{ "io-uring", a_io_uring, "make calls that no filter sees" },
	{ "aio", a_aio, "the old asynchronous calls" },
	{ "keyctl", a_keyctl, "look at the user's keyring" },
	{ "add-key", a_add_key, "add a key" },
	{ "request-key", a_request_key, "ask for a key" },
	{ "open-by-handle", a_handle, "open a file by its number" },
	{ "kexec", a_kexec, "load another kernel" },
	{ "init-module", a_init_module, "load a kernel module" },
	{ "finit-module", a_finit_module, "load a kernel module from a file" },
	{ "delete-module", a_delete_module, "remove a kernel module" },
	{ "reboot", a_reboot, "reboot" },
	{ "swapon", a_swapon, "add swap" },
	{ "quotactl", a_quotactl, "change quotas" },
	{ "syslog", a_syslog, "read the kernel's log" },
	{ "fanotify", a_fanotify, "watch every file" },
	{ "personality", a_personality, "switch address randomisation off" },
	{ "modify-ldt", a_modify_ldt, "change segment descriptors" },
	{ "iopl", a_iopl, "reach the machine's ports" },
	{ "ioperm", a_ioperm, "reach one of the machine's ports" },
	{ "clock-settime", a_clock_settime, "set the clock" },
	{ "vmsplice", a_vmsplice, "give pages to a pipe" },
	{ "remap-file-pages", a_remap_file_pages, "an obsolete call" },
	{ "tcp", a_tcp, "a TCP socket without a net rule" },
	{ "tcp6", a_tcp6, "a TCP socket over IPv6 without a net rule" },
	{ "udp", a_udp, "a UDP socket without a net rule" },
	{ "mptcp", a_mptcp, "a multipath TCP socket" },
	{ "raw", a_raw, "a raw socket" },
	{ "packet", a_packet, "a packet socket" },
	{ "netlink", a_netlink, "a netlink socket" },
	{ "vsock", a_vsock, "a socket to the hypervisor" },
	{ "alg", a_alg, "a socket to the kernel's ciphers" },
	{ "unix", a_unix, "a Unix socket" },
	{ "abstract", a_abstract, "an abstract Unix address" },
	{ "dgram-pair", a_dgram_pair, "a datagram pair, which can be aimed elsewhere" },
	{ "socket-mark", a_socket_mark, "mark a socket" },
	{ "socket-filter", a_socket_filter, "attach a filter to a socket" },
	{ "x32", a_x32, "a call of the x32 ABI" },
	{ "int80", a_int80, "a 32-bit call" },
	{ "memfd-exec", a_memfd_exec, "execute a program from memory" },
	{ "copy-exec", a_copy_exec, "execute a program the guest wrote" },
	{ "*shell", a_shell, "execute a shell (the built-in list of `--` grants it)" },
	{ "*rwx", a_rwx, "a page that can be written and executed (without an exec before)" },
	{ "ptrace-parent", a_ptrace_parent, "trace the parent" },
	{ "ptrace-child", a_ptrace_child, "trace a child" },
	{ "vm-readv", a_vm_readv, "read another process's memory" },
	{ "vm-writev", a_vm_writev, "write another process's memory" },
	{ "pidfd-getfd", a_pidfd_getfd, "take another process's descriptor" },
	{ "kcmp", a_kcmp, "compare kernel addresses" },
	{ "process-madvise", a_process_madvise, "advise another process's memory" },
	{ "parent-mem", a_parent_mem, "open the parent's memory" },
	{ "parent-root", a_parent_root, "open the parent's root" },
	{ "parent-fds", a_parent_fds, "list the parent's descriptors" },
	{ "signal-parent", a_signal_parent, "signal the parent" },
	{ "prlimit-parent", a_prlimit_parent, "read the parent's limits" },
	{ "shm", a_shm, "System V shared memory" },
	{ "sem", a_sem, "System V semaphores" },
	{ "msg", a_msg, "System V messages" },
	{ "mq", a_mq, "POSIX message queues" },
	{ "seccomp-listener", a_seccomp_listener, "a nested listener, which sees calls first" },
	{ "seccomp-filter", a_seccomp_filter, "a nested filter" },
	{ "prctl-seccomp", a_prctl_seccomp, "a nested filter, the old way" },
	{ "undumpable", a_undumpable, "become invisible to who watches" },
	{ "dumpable", a_dumpable, "become visible to everybody" },
	{ "syscall-dispatch", a_syscall_dispatch, "intercept one's own system calls" },
	{ "tiocsti", a_tiocsti, "type into the terminal" },
	{ "tiocsti-high", a_tiocsti_high, "the same with an upper bit set" },
	{ "tiocsetd", a_tiocsetd, "change the line discipline" },
	{ "tioclinux", a_tioclinux, "read or paste the console's selection" },
	{ "vhangup", a_vhangup, "hang the terminal up" },
	{ "setuid", a_setuid, "become root" },
	{ "setresuid", a_setresuid, "set ids" },
	{ "setgroups", a_setgroups, "join groups" },
	{ "capset", a_capset, "set capabilities" },
	{ "raise-limit", a_raise_limit, "raise a limit" },
	{ "nice", a_nice, "raise the priority" },
	{ "realtime", a_realtime, "real-time priority" },
	{ "fchmod-suid", a_fchmod_suid, "make a file set-uid" },
	{ "chmod-sgid", a_chmod_sgid, "make a file set-gid" },
	{ "fchmodat2-suid", a_fchmodat2_suid, "make a file set-uid with the newest call" },
	{ "open-suid", a_open_suid, "open with mode 04755" },
	{ "openat2-suid", a_openat2_suid, "openat2, whose mode no filter can see" },
	{ "creat-suid", a_creat_suid, "creat with mode 06755" },
	{ "mknod-char", a_mknod_char, "make a character device" },
	{ "mknod-block", a_mknod_block, "make a block device" },
	{ "mknod-suid", a_mknod_suid, "mknod a set-uid file" },
	{ "chown", a_chown, "give a file away" },
	{ "whiteout", a_whiteout, "make a device by renaming" },
	{ "file-capability", a_file_capability, "give a file capabilities" },
	{ "trusted-xattr", a_trusted_xattr, "set a trusted attribute" },
	{ "lease", a_lease, "keep others from opening a file" },
	{ "core-pattern", a_core_pattern, "have the kernel run a program" },
	{ "sysrq", a_sysrq, "press the magic key" },
	{ "kallsyms", a_kallsyms, "read kernel addresses" },
	{ "init-environ", a_init_environ, "read the environment of process 1" },
	{ "kmsg", a_kmsg, "write to the kernel's log" },
	{ "sysfs", a_sysfs, "look at the kernel's objects" },
	{ "shadow", a_shadow, "read passwords through /proc/self/root" },
	{ "passwd-write", a_passwd_write, "write the list of users" },
	{ "ptmx", a_ptmx, "make a terminal" },
	{ "write-root", a_write_root, "write to the root directory" },
	{ "tmp-fill", a_tmp_fill, "fill /tmp" },
	{ "tmp-sparse", a_tmp_sparse, "fill the holes of a sparse file" },
	{ "tmp-inodes", a_tmp_inodes, "50,000 empty files" },
	{ "pin-list", a_pin_list, "list our BPF pins" },
	{ "pin-open", a_pin_open, "open a pinned map" },
	{ "pin-write", a_pin_write, "write to a pinned map" },
	{ "pin-remove", a_pin_remove, "remove our pins" },
	{ "pin-make", a_pin_make, "make a directory among the pins" },
	{ "bpffs-umount", a_bpffs_umount, "unmount the BPF file system" },
	{ "map-by-id", a_map_by_id, "open a BPF map by its number" },
	{ "prog-by-id", a_prog_by_id, "open a BPF program by its number" },
	{ "link-by-id", a_link_by_id, "open a BPF link by its number" },
	{ "link-detach", a_link_detach, "detach a BPF link" },
	{ "link-update", a_link_update, "give a BPF link another program" },
	{ "prog-detach", a_prog_detach, "detach a BPF program from a group" },
	{ "leave-group", a_leave_group, "leave the control group" },
	{ "make-group", a_make_group, "make a control group" },
	{ "supervisor-ptrace", a_supervisor_ptrace, "trace the supervisor" },
	{ "supervisor-signal", a_supervisor_signal, "signal the supervisor" },
	{ "supervisor-mem", a_supervisor_mem, "open the supervisor's memory" },
	{ "supervisor-fd", a_supervisor_fd, "take a descriptor of the supervisor" },
};
/* clang-format on */

int main(int argc, char **argv)
{
	const char *name = argc > 1 ? argv[1] : "";

	setvbuf(stdout, NULL, _IOLBF, 0);
	if (!strcmp(name, "--hello"))
		return HELLO;
	for (size_t i = 0; i < sizeof(attempts) / sizeof(attempts[0]); i++) {
		const struct attempt *a = &attempts[i];
		bool is_hidden = a->name[0] == '*';

		if (!strcmp(name, "--list") && !is_hidden)
			printf("%s\t%s\n", a->name, a->what);
		else if (!strcmp(name, a->name + is_hidden))
			return a->run();
	}
	if (!strcmp(name, "--list"))
		return 0;
	fprintf(stderr, "usage: attack NAME | --list\n");
	return 2;
}
