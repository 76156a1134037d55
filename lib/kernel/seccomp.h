/* SPDX-License-Identifier: MIT */
/*
 * The system call filter: an allow-list for x86-64; other arches and x32 numbers kill the process. It is built once,
 * as data, by the supervisor (pure), and installed by whoever must live under it.
 *
 * Two kinds of refusal. What no honest program tries is answered with EPERM, or ends the process with `kill`. What
 * programs try and do without (clone3, openat2, io_uring, netlink, symlinks, a terminal's ioctl, ...) gets the errno
 * they expect and never kills.
 */
#ifndef PYI_KERNEL_SECCOMP_H
#define PYI_KERNEL_SECCOMP_H

#include <linux/filter.h>
#include <stdbool.h>
#include <stddef.h>

struct pyi_err;

enum { PYI_SECCOMP_MAX = 1024 }; /* instructions */

struct pyi_seccomp_spec {
	bool exec; /* execve and execveat; then no memfd_create, which Landlock cannot keep from exec */
	bool net_tcp; /* socket(AF_INET or AF_INET6, SOCK_STREAM) and its kin */
	bool net_udp;
	bool net_listen; /* some rule allows binding a TCP port: listen(2) without bind(2) takes one unasked */
	bool kill; /* on_violation kill or panic: forbidden calls end the process with SIGSYS */
	bool keeps_cpus; /* no sched_setaffinity; set_mempolicy and mbind there are for nobody */
	bool make_links; /* symlink(2): only where Landlock keeps them out of granted directories */
	bool namespaces; /* the guest has mount and pid namespaces of its own. Without them what Landlock does
				   not cover is refused here: changes of mode, owner, times and xattrs, inotify,
				   leaving the process group, priorities and affinity of other processes */
};

struct pyi_seccomp {
	struct sock_filter insns[PYI_SECCOMP_MAX];
	size_t n;
};

/* Build the filter. Pure. */
int pyi_seccomp_build(const struct pyi_seccomp_spec *spec, struct pyi_seccomp *ret_filter,
		      struct pyi_err *err);

/*
 * Install it on the calling process, all threads (SECCOMP_FILTER_FLAG_TSYNC); no_new_privs must be set. Its last
 * system call: nothing the filter refuses can be done afterwards, another filter included (seccomp(2)).
 */
int pyi_seccomp_install(const struct sock_filter *insns, size_t n, struct pyi_err *err);

#endif
