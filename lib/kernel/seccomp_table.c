/* SPDX-License-Identifier: MIT */
/*
 * What the system call filter lets pass, as tables. A call that stands in no table is refused: mounting, tracing,
 * loading code into the kernel, keys, System V and POSIX queues, other processes' memory, other namespaces, handles
 * that open files by number, clocks, ids and capabilities, nested filters.
 */
#include "kernel/seccomp_table.h"

#include <asm/ioctls.h>
#include <asm/termbits.h>
#include <asm/unistd.h>
#include <errno.h>
#include <linux/fs.h>
#include <linux/in.h>
#include <linux/in6.h>
#include <linux/prctl.h>
#include <linux/random.h>
#include <linux/sockios.h>
#include <linux/tcp.h>
#include <linux/udp.h>
#include <sys/socket.h>

#include "base/util.h"

#define OK(name)	      { __NR_##name, PYI_SC_ALLOW, 0 }
#define ROW(name, class)      { __NR_##name, PYI_SC_##class, 0 }
#define ARG(name, class, arg) { __NR_##name, PYI_SC_##class, arg }

/* clang-format off */
const struct pyi_sc_row pyi_sc_rows[] = {
	/* Plain work: memory, files that are open already, time, signals, threads. */
	OK(read), OK(write), OK(close), OK(stat), OK(fstat), OK(lstat), OK(poll), OK(lseek),
	OK(mmap), OK(mprotect), OK(munmap), OK(brk), OK(rt_sigaction), OK(rt_sigprocmask),
	OK(rt_sigreturn), OK(pread64), OK(pwrite64), OK(readv), OK(writev), OK(access), OK(pipe),
	OK(select), OK(sched_yield), OK(mremap), OK(msync), OK(mincore), OK(madvise), OK(dup),
	OK(dup2), OK(pause), OK(nanosleep), OK(getitimer), OK(alarm), OK(setitimer), OK(getpid),
	OK(sendfile), OK(recvfrom), OK(recvmsg), OK(shutdown), OK(getsockname), OK(getpeername),
	OK(getsockopt), OK(fork), OK(vfork), OK(exit), OK(wait4), OK(kill), OK(uname), OK(flock),
	OK(fsync), OK(fdatasync), OK(ftruncate), OK(getdents), OK(getcwd), OK(chdir), OK(fchdir),
	OK(rename), OK(rmdir), OK(link), OK(unlink), OK(readlink), OK(umask), OK(gettimeofday),
	OK(getrlimit), OK(getrusage), OK(sysinfo), OK(times), OK(getuid), OK(getgid), OK(geteuid),
	OK(getegid), OK(getppid), OK(getpgrp), OK(getgroups), OK(getresuid), OK(getresgid),
	OK(getpgid), OK(getsid), OK(capget), OK(rt_sigpending), OK(rt_sigtimedwait),
	OK(rt_sigqueueinfo), OK(rt_sigsuspend), OK(sigaltstack), OK(statfs), OK(fstatfs),
	OK(getpriority), OK(sched_getparam), OK(sched_getscheduler), OK(sched_get_priority_max),
	OK(sched_get_priority_min), OK(sched_rr_get_interval), OK(mlock), OK(munlock),
	OK(mlockall), OK(munlockall), OK(arch_prctl), OK(gettid), OK(readahead),
	OK(getxattr), OK(lgetxattr), OK(fgetxattr), OK(listxattr), OK(llistxattr), OK(flistxattr),
	OK(tkill), OK(time), OK(futex), OK(sched_getaffinity), OK(epoll_create), OK(getdents64),
	OK(set_tid_address), OK(restart_syscall), OK(fadvise64), OK(timer_create),
	OK(timer_settime), OK(timer_gettime), OK(timer_getoverrun), OK(timer_delete),
	OK(clock_gettime), OK(clock_getres), OK(clock_nanosleep), OK(exit_group), OK(epoll_wait),
	OK(epoll_ctl), OK(tgkill), OK(get_mempolicy), OK(waitid), OK(ioprio_get), OK(newfstatat),
	OK(unlinkat), OK(renameat), OK(linkat), OK(readlinkat), OK(faccessat), OK(pselect6),
	OK(ppoll), OK(set_robust_list), OK(get_robust_list), OK(splice), OK(tee),
	OK(sync_file_range), OK(epoll_pwait), OK(signalfd), OK(timerfd_create), OK(eventfd),
	OK(fallocate), OK(timerfd_settime), OK(timerfd_gettime), OK(signalfd4), OK(eventfd2),
	OK(epoll_create1), OK(dup3), OK(pipe2), OK(preadv), OK(pwritev), OK(rt_tgsigqueueinfo),
	OK(recvmmsg), OK(getcpu), OK(sched_getattr), OK(getrandom), OK(membarrier), OK(mlock2),
	OK(copy_file_range), OK(preadv2), OK(pwritev2), OK(pkey_mprotect), OK(pkey_alloc),
	OK(pkey_free), OK(statx), OK(rseq), OK(pidfd_send_signal), OK(pidfd_open), OK(close_range),
	OK(faccessat2), OK(epoll_pwait2), OK(futex_waitv), OK(cachestat), OK(map_shadow_stack),
	OK(futex_wake), OK(futex_wait), OK(futex_requeue), OK(mseal),

	/* Never there for the guest: libraries try these first and then do without. */
	ARG(uselib, ERRNO, ENOSYS), ARG(ustat, ERRNO, ENOSYS), ARG(sysfs, ERRNO, ENOSYS),
	ARG(_sysctl, ERRNO, ENOSYS), ARG(create_module, ERRNO, ENOSYS),
	ARG(get_kernel_syms, ERRNO, ENOSYS), ARG(query_module, ERRNO, ENOSYS),
	ARG(nfsservctl, ERRNO, ENOSYS), ARG(getpmsg, ERRNO, ENOSYS), ARG(putpmsg, ERRNO, ENOSYS),
	ARG(afs_syscall, ERRNO, ENOSYS), ARG(tuxcall, ERRNO, ENOSYS), ARG(security, ERRNO, ENOSYS),
	ARG(io_setup, ERRNO, ENOSYS), ARG(io_destroy, ERRNO, ENOSYS),
	ARG(io_getevents, ERRNO, ENOSYS), ARG(io_submit, ERRNO, ENOSYS),
	ARG(io_cancel, ERRNO, ENOSYS), ARG(epoll_ctl_old, ERRNO, ENOSYS),
	ARG(epoll_wait_old, ERRNO, ENOSYS), ARG(remap_file_pages, ERRNO, ENOSYS),
	ARG(vserver, ERRNO, ENOSYS), ARG(mbind, ERRNO, ENOSYS), ARG(set_mempolicy, ERRNO, ENOSYS),
	ARG(io_pgetevents, ERRNO, ENOSYS), ARG(io_uring_setup, ERRNO, ENOSYS),
	ARG(io_uring_enter, ERRNO, ENOSYS), ARG(io_uring_register, ERRNO, ENOSYS),
	ARG(clone3, ERRNO, ENOSYS), ARG(openat2, ERRNO, ENOSYS),
	ARG(process_madvise, ERRNO, ENOSYS), ARG(memfd_secret, ERRNO, ENOSYS),
	ARG(set_mempolicy_home_node, ERRNO, ENOSYS), ARG(statmount, ERRNO, ENOSYS),
	ARG(listmount, ERRNO, ENOSYS), ARG(lsm_get_self_attr, ERRNO, ENOSYS),
	ARG(lsm_list_modules, ERRNO, ENOSYS),

	/* These would slow every process of the host down, or tell of its clock. */
	ARG(adjtimex, ERRNO, EPERM), ARG(sync, ERRNO, EPERM), ARG(clock_adjtime, ERRNO, EPERM),
	ARG(syncfs, ERRNO, EPERM),

	/* Nested domains: what Landlock says when it was not enabled at boot. */
	ARG(landlock_create_ruleset, ERRNO, EOPNOTSUPP), ARG(landlock_add_rule, ERRNO, EOPNOTSUPP),
	ARG(landlock_restrict_self, ERRNO, EOPNOTSUPP),

	/* Modes: what a guest writes as the invoker must never be set-id. */
	ARG(open, OPEN, 1), ARG(mkdir, MODE, 1), ARG(creat, MODE, 1), ROW(symlink, LINK),
	ARG(chmod, CHMOD, 1), ARG(fchmod, CHMOD, 1), ARG(mknod, MKNOD, 1), ARG(openat, OPEN, 2),
	ARG(mkdirat, MODE, 2), ARG(mknodat, MKNOD, 2), ROW(symlinkat, LINK),
	ARG(fchmodat, CHMOD, 2), ARG(renameat2, RENAME2, 4), ARG(fchmodat2, CHMOD, 2),

	/* Landlock does not cover these: without namespaces they reach what is the invoker's. */
	ROW(truncate, OWN), ROW(chown, OWN), ROW(fchown, OWN), ROW(lchown, OWN), ROW(setpgid, OWN),
	ROW(setsid, OWN), ROW(utime, OWN), ROW(setpriority, PRIORITY), ROW(sched_setparam, SELF),
	ROW(sched_setscheduler, SELF), ROW(setxattr, OWN), ROW(lsetxattr, OWN),
	ROW(fsetxattr, OWN), ROW(removexattr, OWN), ROW(lremovexattr, OWN), ROW(fremovexattr, OWN),
	ROW(sched_setaffinity, AFFINITY), ROW(utimes, OWN), ARG(ioprio_set, SELF, 1),
	ROW(inotify_init, OWN), ROW(inotify_add_watch, OWN), ROW(inotify_rm_watch, OWN),
	ROW(fchownat, OWN), ROW(futimesat, OWN), ROW(utimensat, OWN), ROW(inotify_init1, OWN),
	ROW(sched_setattr, SELF),

	/* Limits of oneself. */
	ARG(setrlimit, RLIMIT, 0), ARG(prlimit64, RLIMIT, 1),

	/* Sockets. */
	ROW(socket, SOCKET), ROW(connect, NET), ROW(accept, LISTEN), ARG(sendto, SEND, 3),
	ARG(sendmsg, SEND, 2), ROW(bind, NET), ROW(listen, LISTEN), ROW(socketpair, SOCKETPAIR),
	ROW(setsockopt, SETSOCKOPT), ROW(accept4, LISTEN), ARG(sendmmsg, SEND, 3),

	/* Programs, processes, and calls that are many calls in one. */
	ROW(ioctl, IOCTL), ROW(clone, CLONE), ROW(execve, EXEC), ROW(fcntl, FCNTL),
	ROW(personality, PERSONALITY), ROW(prctl, PRCTL), ROW(memfd_create, NO_EXEC),
	ROW(execveat, EXEC),
};
/* clang-format on */
const size_t pyi_sc_n_rows = PYI_ARRAY_SIZE(pyi_sc_rows);

/*
 * Terminals (line settings, which the supervisor puts back; not input, nor what would stay on the invoker's: its size,
 * stopped output, exclusive use), sockets, pipes, file clones, random numbers. Device drivers have thousands more; none
 * of them is for a guest.
 */
const uint32_t pyi_sc_ioctls[] = {
	FIONREAD,    FIONBIO,	   FIOASYNC,  FIOCLEX,	    FIONCLEX,	     TIOCOUTQ,
	TCGETS,	     TCSETS,	   TCSETSW,   TCSETSF,	    TCGETS2,	     TCSETS2,
	TCSETSW2,    TCSETSF2,	   TCGETA,    TCSBRK,	    TCSBRKP,	     TCFLSH,
	TIOCGWINSZ,  TIOCGPGRP,	   TIOCSPGRP, TIOCGSID,	    TIOCGPTN,	     TIOCSPTLCK,
	TIOCGPTPEER, TIOCNOTTY,	   FICLONE,   FICLONERANGE, FS_IOC_GETFLAGS, FS_IOC_GETVERSION,
	SIOCATMARK,  RNDGETENTCNT,
};
const size_t pyi_sc_n_ioctls = PYI_ARRAY_SIZE(pyi_sc_ioctls);

/* Typing into the invoker's terminal, taking it over, sending the console elsewhere. */
const uint32_t pyi_sc_ioctls_hostile[] = {
	TIOCSTI, TIOCLINUX, TIOCSETD, TIOCCONS, TIOCSCTTY, TIOCSSERIAL, TIOCVHANGUP,
};
const size_t pyi_sc_n_ioctls_hostile = PYI_ARRAY_SIZE(pyi_sc_ioctls_hostile);

/*
 * Not among them: PR_SET_SECCOMP (a nested filter could hide calls from us), PR_SET_DUMPABLE (blinds whoever watches,
 * or undoes what we set), PR_SET_PTRACER, PR_SET_MM, securebits and capabilities, syscall user dispatch.
 */
const uint32_t pyi_sc_prctls[] = {
	PR_SET_PDEATHSIG,
	PR_GET_PDEATHSIG,
	PR_GET_DUMPABLE,
	PR_GET_KEEPCAPS,
	PR_SET_NAME,
	PR_GET_NAME,
	PR_GET_SECCOMP,
	PR_CAPBSET_READ,
	PR_GET_SECUREBITS,
	PR_SET_TIMERSLACK,
	PR_GET_TIMERSLACK,
	PR_SET_CHILD_SUBREAPER,
	PR_GET_CHILD_SUBREAPER,
	PR_SET_NO_NEW_PRIVS,
	PR_GET_NO_NEW_PRIVS,
	PR_GET_TID_ADDRESS,
	PR_SET_THP_DISABLE,
	PR_GET_THP_DISABLE,
	PR_GET_SPECULATION_CTRL,
	PR_SET_MDWE,
	PR_GET_MDWE,
	PR_SET_VMA,
	PR_GET_AUXV,
};
const size_t pyi_sc_n_prctls = PYI_ARRAY_SIZE(pyi_sc_prctls);

/* No filters, marks, devices, groups to join, transparent sockets, upper-layer protocols: buffers, times, options. */
static const uint32_t socket_options[] = {
	SO_REUSEADDR, SO_BROADCAST, SO_SNDBUF,	  SO_RCVBUF,	  SO_KEEPALIVE, SO_OOBINLINE,
	SO_PRIORITY,  SO_LINGER,    SO_REUSEPORT, SO_PASSCRED,	  SO_RCVLOWAT,	SO_SNDLOWAT,
	SO_RCVTIMEO,  SO_SNDTIMEO,  SO_TIMESTAMP, SO_TIMESTAMPNS, SO_RXQ_OVFL,	SO_DONTROUTE,
};
static const uint32_t ip_options[] = {
	IP_TOS,		  IP_TTL,
	IP_PKTINFO,	  IP_MTU_DISCOVER,
	IP_RECVERR,	  IP_RECVTTL,
	IP_RECVTOS,	  IP_BIND_ADDRESS_NO_PORT,
	IP_MULTICAST_TTL, IP_MULTICAST_LOOP,
};
static const uint32_t ipv6_options[] = {
	IPV6_V6ONLY,	  IPV6_UNICAST_HOPS, IPV6_MULTICAST_HOPS, IPV6_MULTICAST_LOOP,
	IPV6_RECVPKTINFO, IPV6_MTU_DISCOVER, IPV6_RECVERR,	  IPV6_TCLASS,
	IPV6_RECVTCLASS,  IPV6_RECVHOPLIMIT, IPV6_DONTFRAG,
};
static const uint32_t tcp_options[] = {
	TCP_NODELAY,  TCP_MAXSEG,	TCP_CORK,	   TCP_KEEPIDLE,     TCP_KEEPINTVL,
	TCP_KEEPCNT,  TCP_SYNCNT,	TCP_LINGER2,	   TCP_DEFER_ACCEPT, TCP_WINDOW_CLAMP,
	TCP_QUICKACK, TCP_USER_TIMEOUT, TCP_NOTSENT_LOWAT,
};
static const uint32_t udp_options[] = { UDP_CORK, UDP_SEGMENT, UDP_GRO };

const struct pyi_sc_sockopts pyi_sc_sockopts[] = {
	{ SOL_SOCKET, socket_options, PYI_ARRAY_SIZE(socket_options) },
	{ IPPROTO_TCP, tcp_options, PYI_ARRAY_SIZE(tcp_options) },
	{ IPPROTO_IP, ip_options, PYI_ARRAY_SIZE(ip_options) },
	{ IPPROTO_IPV6, ipv6_options, PYI_ARRAY_SIZE(ipv6_options) },
	{ IPPROTO_UDP, udp_options, PYI_ARRAY_SIZE(udp_options) },
};
const size_t pyi_sc_n_sockopts = PYI_ARRAY_SIZE(pyi_sc_sockopts);
