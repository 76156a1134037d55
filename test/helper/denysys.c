/* SPDX-License-Identifier: MIT */
/*
 * denysys [-e ERRNO] RULE,RULE... -- COMMAND...: run a command under an outer seccomp filter in which the named system
 * calls fail, as they would on a host that lacks what they do. Tests take layers away with it, one at a time.
 *
 *	NAME			every call of it
 *	NAME:VALUE		only when its first argument (low 32 bits) is VALUE: a number, or a name of the table
 *				below without its prefix: prctl:SET_MDWE, seccomp:SET_MODE_FILTER, bpf:PROG_LOAD
 *	NAME:+BITS		only when the first argument has one of the bits: unshare:+NEWUSER, clone:+NEWNS+NEWPID
 *	...=ERRNO		with this errno instead of that of -e (default EPERM)
 *
 * The arguments of clone3 lie in memory, which a filter cannot read: deny it with ENOSYS and callers use clone.
 */
#include <errno.h>
#include <linux/audit.h>
#include <linux/bpf.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sched.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#ifndef PR_SET_MDWE
#define PR_SET_MDWE 65
#endif

struct name {
	const char *name;
	unsigned long value;
};

#define SYS(n) { #n, __NR_##n }
static const struct name syscalls[] = { SYS(access),
					SYS(bind),
					SYS(bpf),
					SYS(capset),
					SYS(chdir),
					SYS(chroot),
					SYS(clone),
					SYS(clone3),
					SYS(close_range),
					SYS(connect),
					SYS(dup2),
					SYS(dup3),
					SYS(epoll_create1),
					SYS(epoll_ctl),
					SYS(epoll_wait),
					SYS(eventfd2),
					SYS(execve),
					SYS(execveat),
					SYS(fchown),
					SYS(fcntl),
					SYS(fork),
					SYS(fsconfig),
					SYS(fsmount),
					SYS(fsopen),
					SYS(fstat),
					SYS(ftruncate),
					SYS(getdents64),
					SYS(getrandom),
					SYS(ioctl),
					SYS(io_uring_setup),
					SYS(kill),
					SYS(landlock_add_rule),
					SYS(landlock_create_ruleset),
					SYS(landlock_restrict_self),
					SYS(lseek),
					SYS(madvise),
					SYS(memfd_create),
					SYS(mkdir),
					SYS(mkdirat),
					SYS(mknod),
					SYS(mknodat),
					SYS(mmap),
					SYS(mount),
					SYS(mount_setattr),
					SYS(move_mount),
					SYS(mprotect),
					SYS(newfstatat),
					SYS(open),
					SYS(openat),
					SYS(openat2),
					SYS(open_tree),
					SYS(perf_event_open),
					SYS(pidfd_open),
					SYS(pidfd_send_signal),
					SYS(pipe),
					SYS(pipe2),
					SYS(pivot_root),
					SYS(poll),
					SYS(ppoll),
					SYS(prctl),
					SYS(prlimit64),
					SYS(read),
					SYS(rename),
					SYS(renameat),
					SYS(renameat2),
					SYS(rmdir),
					SYS(rt_sigaction),
					SYS(rt_sigprocmask),
					SYS(seccomp),
					SYS(setgid),
					SYS(setgroups),
					SYS(setns),
					SYS(setresgid),
					SYS(setresuid),
					SYS(setrlimit),
					SYS(setsid),
					SYS(setuid),
					SYS(signalfd4),
					SYS(socket),
					SYS(socketpair),
					SYS(stat),
					SYS(statfs),
					SYS(statx),
					SYS(symlink),
					SYS(symlinkat),
					SYS(timerfd_create),
					SYS(timerfd_settime),
					SYS(umount2),
					SYS(unlink),
					SYS(unlinkat),
					SYS(unshare),
					SYS(vfork),
					SYS(wait4),
					SYS(waitid),
					SYS(write),
					SYS(writev) };

/* What may stand after the colon. */
#define PR(n) { #n, PR_##n }
#define CL(n) { #n, CLONE_##n }
static const struct name values[] = { PR(CAPBSET_DROP),
				      PR(CAP_AMBIENT),
				      PR(SET_DUMPABLE),
				      PR(SET_MDWE),
				      PR(SET_NO_NEW_PRIVS),
				      PR(SET_PDEATHSIG),
				      PR(SET_SECCOMP),
				      PR(SET_NAME),
				      PR(SET_CHILD_SUBREAPER),
				      PR(SET_KEEPCAPS),
				      PR(SET_SECUREBITS),
				      CL(NEWUSER),
				      CL(NEWNS),
				      CL(NEWPID),
				      CL(NEWIPC),
				      CL(NEWUTS),
				      CL(NEWNET),
				      CL(NEWCGROUP),
				      { "SET_MODE_FILTER", SECCOMP_SET_MODE_FILTER },
				      { "PROG_LOAD", BPF_PROG_LOAD },
				      { "MAP_CREATE", BPF_MAP_CREATE },
				      { "PROG_ATTACH", BPF_PROG_ATTACH },
				      { "LINK_CREATE", BPF_LINK_CREATE },
				      { "OBJ_GET", BPF_OBJ_GET },
				      { "OBJ_PIN", BPF_OBJ_PIN },
				      { "MAP_UPDATE_ELEM", BPF_MAP_UPDATE_ELEM } };

static const struct name errnos[] = { { "EPERM", EPERM },   { "ENOENT", ENOENT },
				      { "EINTR", EINTR },   { "EIO", EIO },
				      { "EAGAIN", EAGAIN }, { "ENOMEM", ENOMEM },
				      { "EACCES", EACCES }, { "EBUSY", EBUSY },
				      { "EEXIST", EEXIST }, { "EINVAL", EINVAL },
				      { "ENFILE", ENFILE }, { "EMFILE", EMFILE },
				      { "ENOSPC", ENOSPC }, { "EROFS", EROFS },
				      { "ENOSYS", ENOSYS }, { "EOPNOTSUPP", EOPNOTSUPP },
				      { "EDQUOT", EDQUOT }, { "ENODEV", ENODEV } };

static struct sock_filter insns[1024];
static unsigned short n_insns;

static void die(const char *what, const char *which)
{
	fprintf(stderr, "denysys: %s '%s'\n", what, which);
	exit(99);
}

static unsigned long look_up(const struct name *table, size_t n, const char *word, const char *what)
{
	char *end;
	unsigned long value = strtoul(word, &end, 0);

	if (*word && !*end)
		return value;
	for (size_t i = 0; i < n; i++)
		if (strcmp(table[i].name, word) == 0)
			return table[i].value;
	die(what, word);
	return 0;
}

#define LOOK_UP(table, word, what) look_up(table, sizeof(table) / sizeof((table)[0]), word, what)

static void emit(unsigned short code, unsigned char jt, unsigned char jf, unsigned long k)
{
	if (n_insns >= sizeof(insns) / sizeof(insns[0]))
		die("too many rules", "");
	insns[n_insns++] = (struct sock_filter){ code, jt, jf, (unsigned int)k };
}

static void add_rule(char *rule, unsigned int errnum)
{
	char *equals = strchr(rule, '=');
	char *colon;

	if (equals) {
		*equals = '\0';
		errnum = (unsigned int)LOOK_UP(errnos, equals + 1, "no such errno");
	}
	colon = strchr(rule, ':');
	if (colon)
		*colon++ = '\0';
	emit(BPF_LD | BPF_W | BPF_ABS, 0, 0, offsetof(struct seccomp_data, nr));
	emit(BPF_JMP | BPF_JEQ | BPF_K, 0, colon ? 3 : 1,
	     LOOK_UP(syscalls, rule, "no such system call"));
	if (colon) {
		unsigned long value = 0;
		int is_bits = *colon == '+';

		if (is_bits) {
			for (char *bit = strtok(colon, "+"); bit; bit = strtok(NULL, "+"))
				value |= LOOK_UP(values, bit, "no such flag");
		} else {
			value = LOOK_UP(values, colon, "no such value");
		}
		emit(BPF_LD | BPF_W | BPF_ABS, 0, 0, offsetof(struct seccomp_data, args[0]));
		emit(BPF_JMP | (is_bits ? BPF_JSET : BPF_JEQ) | BPF_K, 0, 1, value);
	}
	emit(BPF_RET | BPF_K, 0, 0, SECCOMP_RET_ERRNO | (errnum & SECCOMP_RET_DATA));
}

int main(int argc, char **argv)
{
	struct sock_fprog prog = { .filter = insns };
	unsigned int errnum = EPERM;
	int i = 1;

	if (i + 1 < argc && strcmp(argv[i], "-e") == 0) {
		errnum = (unsigned int)LOOK_UP(errnos, argv[i + 1], "no such errno");
		i += 2;
	}
	if (i + 2 >= argc || strcmp(argv[i + 1], "--") != 0)
		die("usage: denysys [-e ERRNO] RULE,RULE... -- COMMAND...", "");
	emit(BPF_LD | BPF_W | BPF_ABS, 0, 0, offsetof(struct seccomp_data, arch));
	emit(BPF_JMP | BPF_JEQ | BPF_K, 1, 0, AUDIT_ARCH_X86_64);
	emit(BPF_RET | BPF_K, 0, 0, SECCOMP_RET_ALLOW);
	for (char *end, *rule = strtok_r(argv[i], ",", &end); rule; rule = strtok_r(NULL, ",", &end))
		add_rule(rule, errnum);
	emit(BPF_RET | BPF_K, 0, 0, SECCOMP_RET_ALLOW);
	prog.len = n_insns;

	/* execve may itself be denied: everything is ready before the filter is. */
	if (geteuid() != 0 && prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0)
		die("cannot set no_new_privs", strerror(errno));
	if (prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &prog) != 0)
		die("cannot install the filter", strerror(errno));
	execvp(argv[i + 2], argv + i + 2);
	die("cannot execute", argv[i + 2]);
	return 99;
}
