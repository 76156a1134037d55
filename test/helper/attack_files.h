/* SPDX-License-Identifier: MIT */
/* Attempts of attack.c: filters and terminals, ids, files others will trust, exhausting /tmp. */
#ifndef PYI_ATTACK_FILES_H
#define PYI_ATTACK_FILES_H

#include "attack_common.h"

/* -------------------------------------------------------------------------------------------- blinding us */

static int install_filter(unsigned int operation, unsigned long flags, const char *what)
{
	struct sock_filter insn = BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW);
	struct sock_fprog prog = { 1, &insn };

	prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
	return result(syscall(SYS_seccomp, operation, flags, &prog), what);
}

static int a_seccomp_listener(void)
{
	return install_filter(SECCOMP_SET_MODE_FILTER, SECCOMP_FILTER_FLAG_NEW_LISTENER,
			      "a listener of our own");
}

static int a_seccomp_filter(void)
{
	return install_filter(SECCOMP_SET_MODE_FILTER, 0, "a filter of our own");
}

static int a_prctl_seccomp(void)
{
	struct sock_filter insn = BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW);
	struct sock_fprog prog = { 1, &insn };

	prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
	return result(prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &prog), "a filter of our own");
}

static int a_undumpable(void)
{
	return result(prctl(PR_SET_DUMPABLE, 0, 0, 0, 0), "nobody can look at us");
}

static int a_dumpable(void)
{
	return result(prctl(PR_SET_DUMPABLE, 1, 0, 0, 0), "everybody can look at us");
}

static int a_syscall_dispatch(void)
{
	static char selector;

	return result(prctl(PR_SET_SYSCALL_USER_DISPATCH, PR_SYS_DISPATCH_ON, 0, 0, &selector),
		      "system calls are intercepted");
}

/* -------------------------------------------------------------------------------------------- terminals */

/* On a terminal of our own where there is one, else on standard input. */
static int on_terminal(unsigned long request, void *arg, const char *what)
{
	int master = posix_openpt(O_RDWR | O_NOCTTY | O_CLOEXEC), fd = STDIN_FILENO;
	pid_t pid = fork();

	if (!pid) {
		char name[64];

		setsid();
		if (master >= 0 && grantpt(master) == 0 && unlockpt(master) == 0 &&
		    ptsname_r(master, name, sizeof(name)) == 0)
			fd = open(name, O_RDWR | O_CLOEXEC);
		_exit(ioctl(fd, request, arg) < 0 ? errno : HELLO);
	}
	return hello_or_refused(pid, what);
}

static int a_tiocsti(void)
{
	char byte = 'x';

	return on_terminal(TIOCSTI, &byte, "a key press of our own");
}

/* The upper half of the request is dropped by the kernel and must not hide it from a filter. */
static int a_tiocsti_high(void)
{
	char byte = 'x';

	return on_terminal(TIOCSTI | 0x100000000UL, &byte, "a key press of our own");
}

static int a_tiocsetd(void)
{
	int discipline = 0;

	return on_terminal(TIOCSETD, &discipline, "another line discipline");
}

static int a_tioclinux(void)
{
	char subcode = 2;

	return gate(ioctl(STDIN_FILENO, 0x541c, &subcode), "the console's selection");
}

static int a_vhangup(void)
{
	return result(syscall(SYS_vhangup), "the terminal was hung up");
}

/* -------------------------------------------------------------------------------------- ids and capabilities */

static int a_setuid(void)
{
	return result(syscall(SYS_setuid, 0), "user 0");
}

static int a_setresuid(void)
{
	return result(syscall(SYS_setresuid, getuid(), getuid(), getuid()), "the ids were set");
}

static int a_setgroups(void)
{
	gid_t group = 0;

	return result(syscall(SYS_setgroups, 1, &group), "group 0");
}

static int a_capset(void)
{
	struct __user_cap_header_struct header = { .version = _LINUX_CAPABILITY_VERSION_3 };
	struct __user_cap_data_struct data[2];

	if (syscall(SYS_capget, &header, data) < 0)
		return refused();
	return result(syscall(SYS_capset, &header, data), "the capabilities were set");
}

static int a_raise_limit(void)
{
	struct rlimit limit;

	if (getrlimit(RLIMIT_MSGQUEUE, &limit) < 0)
		return refused();
	limit.rlim_max++;
	return result(setrlimit(RLIMIT_MSGQUEUE, &limit), "a limit was raised");
}

static int a_nice(void)
{
	return result(setpriority(PRIO_PROCESS, 0, -20), "a higher priority");
}

static int a_realtime(void)
{
	struct sched_param param = { .sched_priority = 1 };

	return result(sched_setscheduler(0, SCHED_FIFO, &param), "real-time priority");
}

/* ------------------------------------------------------------------------------ files that others will trust */

static int a_fchmod_suid(void)
{
	int fd = make_file();

	return fd < 0 ? REFUSED : end_file(fd, result(fchmod(fd, 04755), "a set-uid file"));
}

static int a_chmod_sgid(void)
{
	int fd = make_file();

	return fd < 0 ? REFUSED : end_file(fd, result(chmod(file_name, 02755), "a set-gid file"));
}

static int a_fchmodat2_suid(void)
{
	int fd = make_file();

	return fd < 0 ? REFUSED
		      : end_file(fd, result(syscall(452, AT_FDCWD, file_name, 04755, 0),
					    "a set-uid file"));
}

static int a_open_suid(void)
{
	int fd;

	if (!free_name())
		return REFUSED;
	fd = open(file_name, O_CREAT | O_EXCL | O_WRONLY | O_CLOEXEC, 04755);
	return end_file(fd, result(fd, "a set-uid file"));
}

static int a_openat2_suid(void)
{
	uint64_t how[3] = { O_CREAT | O_EXCL | O_WRONLY, 04755, 0 };
	int fd;

	if (!free_name())
		return REFUSED;
	fd = (int)syscall(SYS_openat2, AT_FDCWD, file_name, how, sizeof(how));
	return end_file(fd, result(fd, "a set-uid file"));
}

static int a_creat_suid(void)
{
	int fd;

	if (!free_name())
		return REFUSED;
	fd = (int)syscall(SYS_creat, file_name, 06755);
	return end_file(fd, result(fd, "a set-uid file"));
}

static int a_mknod(mode_t mode, dev_t dev, const char *what)
{
	if (!free_name())
		return REFUSED;
	return end_file(-1, result(mknod(file_name, mode, dev), what));
}

static int a_mknod_char(void)
{
	return a_mknod(S_IFCHR | 0666, makedev(1, 1), "the machine's memory as a file");
}

static int a_mknod_block(void)
{
	return a_mknod(S_IFBLK | 0666, makedev(8, 0), "a disk as a file");
}

static int a_mknod_suid(void)
{
	return a_mknod(S_IFREG | 04755, 0, "a set-uid file");
}

static int a_chown(void)
{
	int fd = make_file();

	return fd < 0 ? REFUSED
		      : end_file(fd, result(fchown(fd, 12345, 12345), "a file of somebody else"));
}

static int a_whiteout(void)
{
	char target[sizeof(file_name) + 1];
	int fd = make_file(), code;

	if (fd < 0)
		return REFUSED;
	snprintf(target, sizeof(target), "%s2", file_name);
	code = result(syscall(SYS_renameat2, AT_FDCWD, file_name, AT_FDCWD, target, RENAME_WHITEOUT),
		      "a device");
	unlink(target);
	return end_file(fd, code);
}

static int a_file_capability(void)
{
	/* version 2, cap_sys_admin */
	uint32_t value[5] = { 0x02000001, 1U << 21, 0, 0, 0 };
	int fd = make_file();

	return fd < 0 ? REFUSED
		      : end_file(fd,
				 result(fsetxattr(fd, "security.capability", value, sizeof(value), 0),
					"a file with capabilities"));
}

static int a_trusted_xattr(void)
{
	int fd = make_file();

	return fd < 0 ? REFUSED
		      : end_file(fd, result(fsetxattr(fd, "trusted.attack", "x", 1, 0),
					    "a trusted attribute"));
}

static int a_lease(void)
{
	int fd = make_file();

	return fd < 0 ? REFUSED : end_file(fd, result(fcntl(fd, F_SETLEASE, F_WRLCK), "a lease"));
}

/* ------------------------------------------------------------------------------------- the host's own files */

static int a_core_pattern(void)
{
	return opens("/proc/sys/kernel/core_pattern", O_WRONLY);
}

static int a_sysrq(void)
{
	return opens("/proc/sysrq-trigger", O_WRONLY);
}

static int a_kallsyms(void)
{
	return opens("/proc/kallsyms", O_RDONLY);
}

static int a_init_environ(void)
{
	return opens("/proc/1/environ", O_RDONLY);
}

static int a_kmsg(void)
{
	return opens("/dev/kmsg", O_WRONLY);
}

static int a_sysfs(void)
{
	return opens("/sys/kernel", O_RDONLY | O_DIRECTORY);
}

static int a_shadow(void)
{
	return opens("/proc/self/root/etc/shadow", O_RDONLY);
}

static int a_passwd_write(void)
{
	return opens("/etc/passwd", O_WRONLY);
}

static int a_ptmx(void)
{
	return opens("/dev/ptmx", O_RDWR | O_NOCTTY);
}

static int a_write_root(void)
{
	int fd = open("/attack-was-here", O_CREAT | O_EXCL | O_WRONLY | O_CLOEXEC, 0600);

	if (fd >= 0)
		unlink("/attack-was-here");
	return result(fd, "a file in the root directory");
}

/* ------------------------------------------------------------------------------------------- exhausting /tmp */

enum { FILL_BYTES = 256 << 20, FILL_INODES = 50000 };

static int a_tmp_fill(void)
{
	static char block[1 << 20];
	int fd = make_file();

	if (fd < 0)
		return REFUSED;
	memset(block, 1, sizeof(block));
	for (size_t i = 0; i < FILL_BYTES / sizeof(block); i++)
		if (write(fd, block, sizeof(block)) != (ssize_t)sizeof(block))
			return end_file(fd, refused());
	return end_file(fd, succeeded("256 MiB in /tmp"));
}

/* Holes cost nothing; filling them must be what is limited. */
static int a_tmp_sparse(void)
{
	int fd = make_file();

	if (fd < 0)
		return REFUSED;
	if (ftruncate(fd, 1LL << 32) < 0 || fallocate(fd, 0, 0, FILL_BYTES) < 0)
		return end_file(fd, refused());
	return end_file(fd, succeeded("a sparse file, then filled"));
}

static int a_tmp_inodes(void)
{
	char dir[] = "/tmp/attack-XXXXXX", path[64];
	unsigned int n = 0;
	int errnum = 0;

	if (!mkdtemp(dir))
		return refused();
	for (; n < FILL_INODES && !errnum; n++) {
		int fd;

		snprintf(path, sizeof(path), "%s/%u", dir, n);
		fd = open(path, O_CREAT | O_WRONLY | O_CLOEXEC, 0600);
		if (fd < 0)
			errnum = errno;
		else
			close(fd);
	}
	while (n--) {
		snprintf(path, sizeof(path), "%s/%u", dir, n);
		unlink(path);
	}
	rmdir(dir);
	errno = errnum;
	return errnum ? refused() : succeeded("50,000 files in /tmp");
}

#endif
