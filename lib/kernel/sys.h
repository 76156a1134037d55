/* SPDX-License-Identifier: MIT */
/*
 * System calls that the C library does not wrap, or wraps with more than the call (its setresuid and its like also
 * signal other threads, which a freshly cloned child must not try). Each returns as syscall(2): -1 and errno.
 */
#ifndef PYI_KERNEL_SYS_H
#define PYI_KERNEL_SYS_H

#include <linux/capability.h>
#include <linux/openat2.h>
#include <linux/sched.h>
#include <signal.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/syscall.h>
#include <sys/types.h>
#include <unistd.h>

/* As fork(2) in what the child sees: no CLONE_VM. The child must not rely on the C library's idea of its own tid. */
static inline pid_t pyi_sys_clone3(struct clone_args *args)
{
	return (pid_t)syscall(SYS_clone3, args, sizeof(*args));
}

static inline int pyi_sys_openat2(int dir_fd, const char *path, uint64_t flags, uint64_t resolve)
{
	struct open_how how = { .flags = flags, .resolve = resolve };

	return (int)syscall(SYS_openat2, dir_fd, path, &how, sizeof(how));
}

static inline int pyi_sys_pidfd_send_signal(int pidfd, int signo)
{
	return (int)syscall(SYS_pidfd_send_signal, pidfd, signo, NULL, 0);
}

/* With a value, as sigqueue(3). */
static inline int pyi_sys_pidfd_queue(int pidfd, int signo, uint64_t value)
{
	siginfo_t info = { .si_signo = signo, .si_code = SI_QUEUE };

	info.si_pid = getpid();
	info.si_uid = getuid();
	info.si_value.sival_ptr = (void *)(uintptr_t)value;
	return (int)syscall(SYS_pidfd_send_signal, pidfd, signo, &info, 0);
}

/* Of the calling thread; the library's wrappers have a fixed size of the mask, or need libnuma. */
static inline int pyi_sys_sched_setaffinity(const uint64_t *cpus, size_t size)
{
	return (int)syscall(SYS_sched_setaffinity, 0, size, cpus);
}

static inline int pyi_sys_sched_getaffinity(uint64_t *ret_cpus, size_t size)
{
	return (int)syscall(SYS_sched_getaffinity, 0, size, ret_cpus);
}

static inline int pyi_sys_set_mempolicy(int mode, const uint64_t *nodes, unsigned long n_bits)
{
	return (int)syscall(SYS_set_mempolicy, mode, nodes, n_bits);
}

static inline int pyi_sys_get_mempolicy(int *ret_mode, uint64_t *ret_nodes, unsigned long n_bits)
{
	return (int)syscall(SYS_get_mempolicy, ret_mode, ret_nodes, n_bits, NULL, 0UL);
}

static inline int pyi_sys_unshare(unsigned long flags)
{
	return (int)syscall(SYS_unshare, flags);
}

static inline int pyi_sys_setns(int fd, int kinds)
{
	return (int)syscall(SYS_setns, fd, kinds);
}

/* Without the C library's handlers; by clone(2), which outer filters let through where they refuse clone3. */
static inline pid_t pyi_sys_fork(void)
{
	return (pid_t)syscall(SYS_clone, SIGCHLD, NULL, NULL, NULL, NULL);
}

static inline int pyi_sys_pidfd_open(pid_t pid)
{
	return (int)syscall(SYS_pidfd_open, pid, 0);
}

static inline int pyi_sys_pivot_root(const char *new_root, const char *put_old)
{
	return (int)syscall(SYS_pivot_root, new_root, put_old);
}

static inline int pyi_sys_setgroups(size_t n, const gid_t *groups)
{
	return (int)syscall(SYS_setgroups, n, groups);
}

static inline int pyi_sys_setresgid(gid_t rgid, gid_t egid, gid_t sgid)
{
	return (int)syscall(SYS_setresgid, rgid, egid, sgid);
}

static inline int pyi_sys_setresuid(uid_t ruid, uid_t euid, uid_t suid)
{
	return (int)syscall(SYS_setresuid, ruid, euid, suid);
}

/* Version 3 of the capability interface: two words of 32 bits. */
static inline int pyi_sys_capget(struct __user_cap_data_struct data[2])
{
	struct __user_cap_header_struct header = { .version = _LINUX_CAPABILITY_VERSION_3 };

	return (int)syscall(SYS_capget, &header, data);
}

static inline int pyi_sys_capset(const struct __user_cap_data_struct data[2])
{
	struct __user_cap_header_struct header = { .version = _LINUX_CAPABILITY_VERSION_3 };

	return (int)syscall(SYS_capset, &header, data);
}

#endif
