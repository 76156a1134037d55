/* SPDX-License-Identifier: MIT */
/*
 * The system call filter: a table of calls, arguments and specs against the built program, run by a small
 * interpreter of classic BPF; then the same program in forked children that make the calls, x32 and int 0x80 too.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <linux/audit.h>
#include <linux/seccomp.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/err.h"
#include "base/util.h"
#include "kernel/seccomp.h"

enum { SPEC_NONE, SPEC_FULL, SPEC_TCP, SPEC_UDP, SPEC_EXEC, SPEC_KILL, SPEC_BARE, N_SPECS };

static const struct pyi_seccomp_spec specs[N_SPECS] = {
	[SPEC_NONE] = { .namespaces = true },
	[SPEC_FULL] = { .exec = true,
			.net_tcp = true,
			.net_udp = true,
			.net_listen = true,
			.make_links = true,
			.namespaces = true },
	[SPEC_TCP] = { .net_tcp = true, .namespaces = true },
	[SPEC_UDP] = { .net_udp = true, .namespaces = true },
	[SPEC_EXEC] = { .exec = true, .namespaces = true },
	[SPEC_KILL] = { .kill = true, .namespaces = true },
	[SPEC_BARE] = { 0 },
};

#define ALLOW	  SECCOMP_RET_ALLOW
#define KILL	  SECCOMP_RET_KILL_PROCESS
#define E(errnum) (SECCOMP_RET_ERRNO | (errnum))
#define DENY	  E(EPERM)
#define NOPT	  E(ENOPROTOOPT)
#define HIGH	  0x100000000ULL /* what the kernel drops from an int argument */

/* *ret_steps counts instructions run. */
static uint32_t run_filter(const struct pyi_seccomp *f, const struct seccomp_data *data,
			   unsigned int *ret_steps)
{
	uint32_t a = 0;
	size_t pc = 0;

	*ret_steps = 0;
	for (;;) {
		const struct sock_filter *in = &f->insns[pc];
		bool hit;

		assert_true(pc < f->n);
		++*ret_steps;
		switch (in->code) {
		case BPF_LD | BPF_W | BPF_ABS:
			assert_true(in->k + 4 <= sizeof(*data) && in->k % 4 == 0);
			memcpy(&a, (const char *)data + in->k, 4);
			pc++;
			continue;
		case BPF_ALU | BPF_AND | BPF_K:
			a &= in->k;
			pc++;
			continue;
		case BPF_JMP | BPF_JA:
			pc += 1 + in->k;
			continue;
		case BPF_RET | BPF_K:
			return in->k;
		case BPF_JMP | BPF_JEQ | BPF_K:
			hit = a == in->k;
			break;
		case BPF_JMP | BPF_JGE | BPF_K:
			hit = a >= in->k;
			break;
		case BPF_JMP | BPF_JSET | BPF_K:
			hit = a & in->k;
			break;
		default:
			fail_msg("instruction %zu has code %#x", pc, in->code);
			return 0;
		}
		pc += 1 + (hit ? in->jt : in->jf);
	}
}

static void build(unsigned int spec, struct pyi_seccomp *ret_filter)
{
	struct pyi_err err = { 0 };

	assert_int_equal(pyi_seccomp_build(&specs[spec], ret_filter, &err), 0);
}

struct row {
	int nr;
	uint64_t args[6];
	uint32_t want[N_SPECS]; /* 0 (which is KILL_THREAD, never used): as SPEC_NONE */
};

#define ANY(action) { [SPEC_NONE] = (action), [SPEC_KILL] = (action) }
#define REFUSED	    { [SPEC_NONE] = DENY, [SPEC_KILL] = KILL }

static const struct row rows[] = {
	{ SYS_read, { 0 }, ANY(ALLOW) },
	{ SYS_futex, { 0 }, ANY(ALLOW) },
	{ SYS_mmap, { 0, 4096, 7 }, ANY(ALLOW) },
	{ SYS_exit_group, { 0 }, ANY(ALLOW) },
	{ SYS_mseal, { 0 }, ANY(ALLOW) },
	{ SYS_clone3, { 0 }, ANY(E(ENOSYS)) },
	{ SYS_openat2, { 0 }, ANY(E(ENOSYS)) },
	{ SYS_io_uring_setup, { 0 }, ANY(E(ENOSYS)) },
	{ 463, { 0 }, ANY(E(ENOSYS)) },
	{ 9999, { 0 }, ANY(E(ENOSYS)) },
	{ SYS_landlock_create_ruleset, { 0 }, ANY(E(EOPNOTSUPP)) },
	{ SYS_mount, { 0 }, REFUSED },
	{ SYS_umount2, { 0 }, REFUSED },
	{ SYS_open_tree, { 0 }, REFUSED },
	{ SYS_move_mount, { 0 }, REFUSED },
	{ SYS_fsopen, { 0 }, REFUSED },
	{ SYS_fsmount, { 0 }, REFUSED },
	{ SYS_mount_setattr, { 0 }, REFUSED },
	{ SYS_pivot_root, { 0 }, REFUSED },
	{ SYS_chroot, { 0 }, REFUSED },
	{ SYS_unshare, { 0 }, REFUSED },
	{ SYS_setns, { 0 }, REFUSED },
	{ SYS_ptrace, { 0 }, REFUSED },
	{ SYS_process_vm_readv, { 0 }, REFUSED },
	{ SYS_process_vm_writev, { 0 }, REFUSED },
	{ SYS_pidfd_getfd, { 0 }, REFUSED },
	{ SYS_kcmp, { 0 }, REFUSED },
	{ SYS_bpf, { 0 }, REFUSED },
	{ SYS_perf_event_open, { 0 }, REFUSED },
	{ SYS_userfaultfd, { 0 }, REFUSED },
	{ SYS_keyctl, { 0 }, REFUSED },
	{ SYS_add_key, { 0 }, REFUSED },
	{ SYS_request_key, { 0 }, REFUSED },
	{ SYS_open_by_handle_at, { 0 }, REFUSED },
	{ SYS_name_to_handle_at, { 0 }, REFUSED },
	{ SYS_kexec_load, { 0 }, REFUSED },
	{ SYS_init_module, { 0 }, REFUSED },
	{ SYS_finit_module, { 0 }, REFUSED },
	{ SYS_reboot, { 0 }, REFUSED },
	{ SYS_swapon, { 0 }, REFUSED },
	{ SYS_acct, { 0 }, REFUSED },
	{ SYS_quotactl, { 0 }, REFUSED },
	{ SYS_syslog, { 0 }, REFUSED },
	{ SYS_fanotify_init, { 0 }, REFUSED },
	{ SYS_seccomp, { 1 }, REFUSED },
	{ SYS_shmget, { 0 }, REFUSED },
	{ SYS_shmat, { 0 }, REFUSED },
	{ SYS_semget, { 0 }, REFUSED },
	{ SYS_msgget, { 0 }, REFUSED },
	{ SYS_mq_open, { 0 }, REFUSED },
	{ SYS_vmsplice, { 0 }, REFUSED },
	{ SYS_modify_ldt, { 0 }, REFUSED },
	{ SYS_iopl, { 0 }, REFUSED },
	{ SYS_clock_settime, { 0 }, REFUSED },
	{ SYS_setuid, { 0 }, REFUSED },
	{ SYS_setgroups, { 0 }, REFUSED },
	{ SYS_capset, { 0 }, REFUSED },

	/* exec and what stands beside it */
	{ SYS_execve, { 0 }, { DENY, ALLOW, DENY, DENY, ALLOW, KILL, DENY } },
	{ SYS_execveat, { 0 }, { DENY, ALLOW, DENY, DENY, ALLOW, KILL, DENY } },
	{ SYS_memfd_create, { 0 }, { ALLOW, DENY, ALLOW, ALLOW, DENY, ALLOW, ALLOW } },
	{ SYS_symlink, { 0 }, { DENY, ALLOW, DENY, DENY, DENY, DENY, DENY } },
	{ SYS_symlinkat, { 0 }, { DENY, ALLOW, DENY, DENY, DENY, DENY, DENY } },

	/* clone: threads and processes, no namespaces */
	{ SYS_clone, { 0x3d0f00 }, ANY(ALLOW) },
	{ SYS_clone, { SIGCHLD }, ANY(ALLOW) },
	{ SYS_clone, { CLONE_VM | CLONE_VFORK | SIGCHLD }, ANY(ALLOW) },
	{ SYS_clone, { CLONE_NEWUSER }, REFUSED },
	{ SYS_clone, { CLONE_NEWNS | SIGCHLD }, REFUSED },
	{ SYS_clone, { CLONE_NEWNET | SIGCHLD }, REFUSED },
	{ SYS_clone, { CLONE_NEWPID | HIGH }, REFUSED },
	{ SYS_clone, { CLONE_NEWCGROUP }, REFUSED },
	{ SYS_clone, { CLONE_NEWUTS }, REFUSED },
	{ SYS_clone, { CLONE_NEWIPC }, REFUSED },
	{ SYS_clone, { CLONE_PARENT }, REFUSED },

	/* sockets */
	{ SYS_socket, { AF_INET, SOCK_STREAM, 0 }, { DENY, ALLOW, ALLOW, DENY, DENY, KILL, DENY } },
	{ SYS_socket,
	  { AF_INET6 | HIGH, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, IPPROTO_TCP },
	  { DENY, ALLOW, ALLOW, DENY, DENY, KILL, DENY } },
	{ SYS_socket,
	  { AF_INET, SOCK_STREAM, IPPROTO_MPTCP },
	  { DENY, E(EPROTONOSUPPORT), E(EPROTONOSUPPORT), DENY, DENY, KILL, DENY } },
	{ SYS_socket,
	  { AF_INET, SOCK_STREAM, IPPROTO_SCTP },
	  { DENY, E(EPROTONOSUPPORT), E(EPROTONOSUPPORT), DENY, DENY, KILL, DENY } },
	{ SYS_socket, { AF_INET, SOCK_DGRAM, 0 }, { DENY, ALLOW, DENY, ALLOW, DENY, DENY, DENY } },
	{ SYS_socket,
	  { AF_INET6, SOCK_DGRAM | SOCK_CLOEXEC, IPPROTO_UDP },
	  { DENY, ALLOW, DENY, ALLOW, DENY, DENY, DENY } },
	{ SYS_socket,
	  { AF_INET, SOCK_DGRAM, IPPROTO_ICMP },
	  { DENY, E(EPROTONOSUPPORT), DENY, E(EPROTONOSUPPORT), DENY, DENY, DENY } },
	{ SYS_socket, { AF_INET, SOCK_RAW, IPPROTO_RAW }, REFUSED },
	{ SYS_socket, { AF_INET, SOCK_SEQPACKET, 0 }, REFUSED },
	{ SYS_socket, { AF_UNIX, SOCK_STREAM, 0 }, ANY(DENY) },
	{ SYS_socket, { AF_NETLINK, SOCK_RAW, 0 }, ANY(DENY) },
	{ SYS_socket, { AF_PACKET, SOCK_RAW, 0 }, { [SPEC_NONE] = E(EAFNOSUPPORT), [SPEC_KILL] = KILL } },
	{ SYS_socket, { AF_VSOCK, SOCK_STREAM, 0 }, { [SPEC_NONE] = E(EAFNOSUPPORT), [SPEC_KILL] = KILL } },
	{ SYS_socket,
	  { 38 /* AF_ALG */, SOCK_SEQPACKET, 0 },
	  { [SPEC_NONE] = E(EAFNOSUPPORT), [SPEC_KILL] = KILL } },
	{ SYS_socketpair, { AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0 }, ANY(ALLOW) },
	{ SYS_socketpair, { AF_UNIX, SOCK_SEQPACKET, 0 }, ANY(ALLOW) },
	{ SYS_socketpair, { AF_UNIX, SOCK_DGRAM, 0 }, REFUSED },
	{ SYS_connect, { 0 }, { DENY, ALLOW, ALLOW, ALLOW, DENY, KILL, DENY } },
	{ SYS_listen, { 0 }, { DENY, ALLOW, DENY, DENY, DENY, KILL, DENY } },
	{ SYS_sendto, { 3, 0, 0, MSG_NOSIGNAL }, ANY(ALLOW) },
	{ SYS_sendto, { 3, 0, 0, MSG_FASTOPEN }, REFUSED },
	{ SYS_sendmsg, { 3, 0, MSG_FASTOPEN }, REFUSED },
	{ SYS_sendmmsg, { 3, 0, 1, MSG_FASTOPEN }, REFUSED },
	{ SYS_setsockopt, { 3, SOL_SOCKET, SO_REUSEADDR }, ANY(ALLOW) },
	{ SYS_setsockopt, { 3, SOL_SOCKET, SO_MARK }, ANY(E(ENOPROTOOPT)) },
	{ SYS_setsockopt, { 3, SOL_SOCKET, SO_BINDTODEVICE }, ANY(E(ENOPROTOOPT)) },
	{ SYS_setsockopt, { 3, SOL_SOCKET, SO_ATTACH_FILTER }, ANY(E(ENOPROTOOPT)) },
	{ SYS_setsockopt, { 3, IPPROTO_TCP, TCP_NODELAY }, { NOPT, ALLOW, ALLOW, ALLOW, NOPT, NOPT, NOPT } },
	{ SYS_setsockopt, { 3, IPPROTO_TCP, TCP_ULP }, ANY(E(ENOPROTOOPT)) },
	{ SYS_setsockopt, { 3, IPPROTO_TCP, TCP_FASTOPEN_CONNECT }, ANY(E(ENOPROTOOPT)) },
	{ SYS_setsockopt, { 3, IPPROTO_IPV6, IPV6_V6ONLY }, { NOPT, ALLOW, ALLOW, ALLOW, NOPT, NOPT, NOPT } },
	{ SYS_setsockopt, { 3, IPPROTO_IPV6, IPV6_ADDRFORM }, ANY(E(ENOPROTOOPT)) },
	{ SYS_setsockopt, { 3, IPPROTO_SCTP, 1 }, ANY(E(ENOPROTOOPT)) },

	/* terminals */
	{ SYS_ioctl, { 0, TCGETS }, ANY(ALLOW) },
	{ SYS_ioctl, { 0, TIOCGWINSZ | HIGH }, ANY(ALLOW) },
	{ SYS_ioctl, { 0, TIOCSTI }, REFUSED },
	{ SYS_ioctl, { 0, TIOCSTI | HIGH }, REFUSED },
	{ SYS_ioctl, { 0, 0x541c /* TIOCLINUX */ }, REFUSED },
	{ SYS_ioctl, { 0, 0xdeadbeef }, ANY(E(ENOTTY)) },
	{ SYS_fcntl, { 0, F_SETFL }, ANY(ALLOW) },
	{ SYS_fcntl, { 0, F_SETLEASE }, ANY(DENY) },

	/* prctl, personality */
	{ SYS_prctl, { PR_SET_NAME }, ANY(ALLOW) },
	{ SYS_prctl, { PR_SET_NO_NEW_PRIVS, 1 }, ANY(ALLOW) },
	{ SYS_prctl, { PR_SET_DUMPABLE, 0 }, REFUSED },
	{ SYS_prctl, { PR_SET_DUMPABLE | HIGH, 1 }, REFUSED },
	{ SYS_prctl, { PR_SET_SECCOMP, 2 }, REFUSED },
	{ SYS_prctl, { PR_SET_PTRACER }, REFUSED },
	{ SYS_prctl, { PR_SET_MM }, REFUSED },
	{ SYS_personality, { 0xffffffff }, ANY(ALLOW) },
	{ SYS_personality, { 0x0040000 /* ADDR_NO_RANDOMIZE */ }, REFUSED },

	/* set-id files and devices */
	{ SYS_chmod, { 0, 0755 }, { ALLOW, ALLOW, ALLOW, ALLOW, ALLOW, ALLOW, DENY } },
	{ SYS_chmod, { 0, 04755 }, REFUSED },
	{ SYS_fchmod, { 0, 02755 }, REFUSED },
	{ SYS_fchmodat, { 0, 0, 06755 }, REFUSED },
	{ SYS_fchmodat2, { 0, 0, 04755 }, REFUSED },
	{ SYS_fchmodat2, { 0, 0, 01755 }, { ALLOW, ALLOW, ALLOW, ALLOW, ALLOW, ALLOW, DENY } },
	{ SYS_open, { 0, O_RDONLY, 04755 }, ANY(ALLOW) },
	{ SYS_open, { 0, O_CREAT | O_WRONLY, 04755 }, REFUSED },
	{ SYS_openat, { 0, 0, O_CREAT | O_WRONLY, 0666 }, ANY(ALLOW) },
	{ SYS_openat, { 0, 0, O_CREAT | O_WRONLY, 02755 }, REFUSED },
	{ SYS_openat, { 0, 0, O_TMPFILE | O_WRONLY, 04755 }, REFUSED },
	{ SYS_openat, { 0, 0, O_RDONLY | O_DIRECTORY, 04755 }, ANY(ALLOW) },
	{ SYS_creat, { 0, 04755 }, REFUSED },
	{ SYS_mkdir, { 0, 0777 }, ANY(ALLOW) },
	{ SYS_mkdirat, { 0, 0, 02777 }, REFUSED },
	{ SYS_mknod, { 0, S_IFIFO | 0600 }, ANY(ALLOW) },
	{ SYS_mknodat, { 0, 0, 0600 }, ANY(ALLOW) },
	{ SYS_mknodat, { 0, 0, S_IFCHR | 0600 }, REFUSED },
	{ SYS_mknod, { 0, S_IFBLK | 0600 }, REFUSED },
	{ SYS_mknod, { 0, S_IFREG | 04755 }, REFUSED },
	{ SYS_renameat2, { 0, 0, 0, 0, 1 }, ANY(ALLOW) },
	{ SYS_renameat2, { 0, 0, 0, 0, 4 }, REFUSED },

	/* without namespaces: nothing that Landlock leaves open */
	{ SYS_openat, { 0, 0, O_RDONLY | O_TRUNC }, { ALLOW, ALLOW, ALLOW, ALLOW, ALLOW, ALLOW, DENY } },
	{ SYS_openat, { 0, 0, O_ACCMODE | O_TRUNC }, { ALLOW, ALLOW, ALLOW, ALLOW, ALLOW, ALLOW, DENY } },
	{ SYS_openat, { 0, 0, O_WRONLY | O_TRUNC | O_CREAT, 0666 }, ANY(ALLOW) },
	{ SYS_openat, { 0, 0, O_RDWR | O_TRUNC | O_CREAT, 04666 }, REFUSED },
	{ SYS_truncate, { 0 }, { ALLOW, ALLOW, ALLOW, ALLOW, ALLOW, ALLOW, DENY } },
	{ SYS_utimensat, { 0 }, { ALLOW, ALLOW, ALLOW, ALLOW, ALLOW, ALLOW, DENY } },
	{ SYS_setxattr, { 0 }, { ALLOW, ALLOW, ALLOW, ALLOW, ALLOW, ALLOW, DENY } },
	{ SYS_chown, { 0 }, { ALLOW, ALLOW, ALLOW, ALLOW, ALLOW, ALLOW, DENY } },
	{ SYS_setsid, { 0 }, { ALLOW, ALLOW, ALLOW, ALLOW, ALLOW, ALLOW, DENY } },
	{ SYS_inotify_add_watch, { 0 }, { ALLOW, ALLOW, ALLOW, ALLOW, ALLOW, ALLOW, DENY } },
	{ SYS_setpriority, { 0, 77 }, { ALLOW, ALLOW, ALLOW, ALLOW, ALLOW, ALLOW, DENY } },
	{ SYS_setpriority, { 2, 0 }, { ALLOW, ALLOW, ALLOW, ALLOW, ALLOW, ALLOW, DENY } },
	{ SYS_setpriority, { 0, HIGH }, ANY(ALLOW) },
	{ SYS_sched_setaffinity, { 77 }, { ALLOW, ALLOW, ALLOW, ALLOW, ALLOW, ALLOW, DENY } },
	{ SYS_sched_setaffinity, { 0 }, ANY(ALLOW) },
	{ SYS_prlimit64, { 0 }, ANY(ALLOW) },
	{ SYS_prlimit64, { 77 }, REFUSED },
	{ SYS_prlimit64, { 77, RLIMIT_CORE }, REFUSED },
	{ SYS_prlimit64, { 0, RLIMIT_CORE, 0 }, ANY(ALLOW) },
	{ SYS_prlimit64, { 0, RLIMIT_CORE, 0x1000 }, ANY(SECCOMP_RET_ERRNO) },
	{ SYS_prlimit64, { 0, RLIMIT_CORE, HIGH }, ANY(SECCOMP_RET_ERRNO) },
	{ SYS_prlimit64, { 0, RLIMIT_NOFILE, 0x1000 }, ANY(ALLOW) },
	{ SYS_setrlimit, { RLIMIT_CORE, 0x1000 }, ANY(SECCOMP_RET_ERRNO) },
	{ SYS_setrlimit, { RLIMIT_NOFILE, 0x1000 }, ANY(ALLOW) },
};

static void test_table(void **state)
{
	struct pyi_seccomp f;
	unsigned int steps;

	(void)state;
	for (unsigned int s = 0; s < N_SPECS; s++) {
		build(s, &f);
		for (size_t i = 0; i < PYI_ARRAY_SIZE(rows); i++) {
			struct seccomp_data data = { .nr = rows[i].nr, .arch = AUDIT_ARCH_X86_64 };
			uint32_t want = rows[i].want[s] ? rows[i].want[s] : rows[i].want[SPEC_NONE];
			uint32_t got;

			memcpy(data.args, rows[i].args, sizeof(data.args));
			got = run_filter(&f, &data, &steps);
			if (got != want)
				fail_msg("row %zu (call %d), spec %u: %#x, wanted %#x", i,
					 rows[i].nr, s, got, want);
		}
	}
}

static void test_other_abis(void **state)
{
	static const uint32_t arches[] = { AUDIT_ARCH_I386, AUDIT_ARCH_AARCH64, 0, UINT32_MAX };
	struct pyi_seccomp f;
	unsigned int steps;

	(void)state;
	build(SPEC_FULL, &f);
	for (int nr = 0; nr < 600; nr++) {
		struct seccomp_data data = { .nr = nr | 0x40000000, .arch = AUDIT_ARCH_X86_64 };

		assert_int_equal(run_filter(&f, &data, &steps), KILL);
		data.nr = nr;
		for (size_t i = 0; i < PYI_ARRAY_SIZE(arches); i++) {
			data.arch = arches[i];
			assert_int_equal(run_filter(&f, &data, &steps), KILL);
		}
	}
	assert_int_equal(
		run_filter(&f, &(struct seccomp_data){ .nr = -1, .arch = AUDIT_ARCH_X86_64 }, &steps),
		KILL);
}

static void test_short(void **state)
{
	struct pyi_seccomp f;
	unsigned int steps;

	(void)state;
	for (unsigned int s = 0; s < N_SPECS; s++) {
		build(s, &f);
		assert_true(f.n > 100 && f.n < 800);
		for (int nr = 0; nr < 600; nr++) {
			struct seccomp_data data = { .nr = nr, .arch = AUDIT_ARCH_X86_64 };

			(void)run_filter(&f, &data, &steps);
			assert_true(steps <= 80);
			if (nr == SYS_read || nr == SYS_write || nr == SYS_futex || nr == SYS_mmap)
				assert_true(steps <= 16);
		}
	}
}

/* A guest that is bound to CPUs stays there, and does not die of asking; whether it asks for itself or another. */
static void test_keeps_cpus(void **state)
{
	for (unsigned int bits = 0; bits < 8; bits++) {
		struct pyi_seccomp_spec spec = { .keeps_cpus = bits & 1,
						 .kill = bits & 2,
						 .namespaces = bits & 4 };
		struct seccomp_data data = { .nr = SYS_sched_setaffinity, .arch = AUDIT_ARCH_X86_64 };
		struct pyi_seccomp f;
		struct pyi_err err = { 0 };
		unsigned int steps;

		assert_int_equal(pyi_seccomp_build(&spec, &f, &err), 0);
		assert_int_equal(run_filter(&f, &data, &steps), spec.keeps_cpus ? DENY : ALLOW);
		data.args[0] = 77;
		if (spec.keeps_cpus)
			assert_int_equal(run_filter(&f, &data, &steps), DENY);
		data.nr = SYS_sched_getaffinity;
		assert_int_equal(run_filter(&f, &data, &steps), ALLOW);
		data.nr = SYS_set_mempolicy;
		assert_int_equal(run_filter(&f, &data, &steps), E(ENOSYS));
		data.nr = SYS_mbind;
		assert_int_equal(run_filter(&f, &data, &steps), E(ENOSYS));
	}
}

/* ---------------------------------------------------------------------------------- in the kernel */

/* Every combination of the spec fits, and is a program that the kernel takes. */
static void test_all_specs(void **state)
{
	(void)state;
	for (unsigned int bits = 0; bits < 256; bits++) {
		struct pyi_seccomp_spec spec = {
			.exec = bits & 1,
			.net_tcp = bits & 2,
			.net_udp = bits & 4,
			.kill = bits & 8,
			.make_links = bits & 16,
			.namespaces = bits & 32,
			.net_listen = bits & 64,
			.keeps_cpus = bits & 128,
		};
		struct pyi_seccomp f;
		struct pyi_err err = { 0 };
		int status;
		pid_t pid;

		assert_int_equal(pyi_seccomp_build(&spec, &f, &err), 0);
		pid = fork();
		if (!pid) {
			prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
			_exit(pyi_seccomp_install(f.insns, f.n, &err) ? 1 : 0);
		}
		assert_int_equal(waitpid(pid, &status, 0), pid);
		assert_int_equal(status, 0);
	}
}

static void quiet_exit(int code)
{
	syscall(SYS_exit_group, code);
}

/* Run fn under the filter in a child: its exit code, or -signal. */
static int in_child(unsigned int spec, int (*fn)(void))
{
	struct pyi_err err = { 0 };
	struct pyi_seccomp f;
	int status;
	pid_t pid;

	build(spec, &f);
	pid = fork();
	assert_true(pid >= 0);
	if (!pid) {
		if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0))
			quiet_exit(101);
		if (pyi_seccomp_install(f.insns, f.n, &err))
			quiet_exit(102);
		quiet_exit(fn());
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	return WIFEXITED(status) ? WEXITSTATUS(status) : -WTERMSIG(status);
}

static int errno_of(long rc)
{
	return rc < 0 ? errno : 0;
}

static int call_mount(void)
{
	return errno_of(syscall(SYS_mount, "none", "/", "tmpfs", 0, NULL));
}

static int call_clone_newuser(void)
{
	long rc = syscall(SYS_clone, CLONE_NEWUSER | SIGCHLD, 0, 0, 0, 0);

	if (!rc)
		quiet_exit(0);
	return errno_of(rc);
}

static int call_fork(void)
{
	pid_t pid = fork();
	int status;

	if (!pid)
		quiet_exit(7);
	return pid > 0 && waitpid(pid, &status, 0) == pid && WEXITSTATUS(status) == 7 ? 0 : errno;
}

static int call_int80(void)
{
	long rc;

	/* 20 is getpid there, writev here */
	__asm__ volatile("int $0x80" : "=a"(rc) : "a"(20) : "memory", "r8", "r9", "r10", "r11");
	return 0;
}

static int call_x32(void)
{
	return errno_of(syscall(0x40000000 | SYS_getpid));
}

static int call_nested(void)
{
	struct sock_filter allow = BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW);
	struct sock_fprog prog = { 1, &allow };

	return errno_of(prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &prog));
}

static int call_sockets(void)
{
	int pair[2];

	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair))
		return errno;
	if (write(pair[0], "x", 1) != 1 || send(pair[1], "x", 1, MSG_NOSIGNAL) != 1)
		return 99;
	return errno_of(socket(AF_INET, SOCK_STREAM, 0));
}

static int call_setid(void)
{
	char name[] = "/tmp/pyi-seccomp-XXXXXX";
	int fd = mkstemp(name);
	int a, b, c;

	if (fd < 0)
		return 99;
	a = errno_of(fchmod(fd, 04755));
	b = errno_of(chmod(name, 02755));
	c = errno_of(fchmod(fd, 0755));
	unlink(name);
	return a == EPERM && b == EPERM && c == 0 ? 0 : 98;
}

static int call_pthread_clone3(void)
{
	return errno_of(syscall(SYS_clone3, NULL, 0));
}

static void test_real(void **state)
{
	(void)state;
	assert_int_equal(in_child(SPEC_NONE, call_mount), EPERM);
	assert_int_equal(in_child(SPEC_KILL, call_mount), -SIGSYS);
	assert_int_equal(in_child(SPEC_NONE, call_clone_newuser), EPERM);
	assert_int_equal(in_child(SPEC_NONE, call_fork), 0);
	assert_int_equal(in_child(SPEC_NONE, call_nested), EPERM);
	assert_int_equal(in_child(SPEC_NONE, call_sockets), EPERM);
	assert_int_equal(in_child(SPEC_TCP, call_sockets), 0);
	assert_int_equal(in_child(SPEC_KILL, call_sockets), -SIGSYS);
	assert_int_equal(in_child(SPEC_NONE, call_setid), 0);
	assert_int_equal(in_child(SPEC_KILL, call_pthread_clone3), ENOSYS);
	assert_int_equal(in_child(SPEC_FULL, call_x32), -SIGSYS);
	assert_int_equal(in_child(SPEC_FULL, call_int80), -SIGSYS);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_table),	  cmocka_unit_test(test_other_abis),
		cmocka_unit_test(test_short),	  cmocka_unit_test(test_keeps_cpus),
		cmocka_unit_test(test_all_specs), cmocka_unit_test(test_real),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
