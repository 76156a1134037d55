/* SPDX-License-Identifier: MIT */
/* Attempts of attack.c: sockets, other ABIs, programs, other processes. */
#ifndef PYI_ATTACK_PROCESS_H
#define PYI_ATTACK_PROCESS_H

#include "attack_common.h"

/* ------------------------------------------------------------------------------------------------- sockets */

static int a_socket(int domain, int type, int protocol)
{
	return result(socket(domain, type | SOCK_CLOEXEC, protocol), "a socket");
}

static int a_tcp(void)
{
	return a_socket(AF_INET, SOCK_STREAM, 0);
}

static int a_udp(void)
{
	return a_socket(AF_INET, SOCK_DGRAM, 0);
}

static int a_tcp6(void)
{
	return a_socket(AF_INET6, SOCK_STREAM, 0);
}

static int a_mptcp(void)
{
	return a_socket(AF_INET, SOCK_STREAM, IPPROTO_MPTCP);
}

static int a_raw(void)
{
	return a_socket(AF_INET, SOCK_RAW, IPPROTO_ICMP);
}

static int a_packet(void)
{
	return a_socket(AF_PACKET, SOCK_RAW, 0);
}

static int a_netlink(void)
{
	return a_socket(AF_NETLINK, SOCK_RAW, 0);
}

static int a_vsock(void)
{
	return a_socket(AF_VSOCK, SOCK_STREAM, 0);
}

static int a_alg(void)
{
	return a_socket(AF_ALG, SOCK_SEQPACKET, 0);
}

static int a_unix(void)
{
	return a_socket(AF_UNIX, SOCK_STREAM, 0);
}

static int a_abstract(void)
{
	struct sockaddr_un sun = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	if (fd < 0)
		return refused();
	snprintf(sun.sun_path + 1, sizeof(sun.sun_path) - 1, "attack-%d", (int)getpid());
	return result(bind(fd, (struct sockaddr *)&sun, sizeof(sun)), "an abstract address");
}

/* An end of a datagram pair can be aimed at any Unix socket that has a name. */
static int a_dgram_pair(void)
{
	int fds[2];

	return result(socketpair(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0, fds),
		      "a pair of datagram sockets");
}

static int a_socket_mark(void)
{
	int mark = 1, fds[2];

	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds) < 0)
		return refused();
	return result(setsockopt(fds[0], SOL_SOCKET, SO_MARK, &mark, sizeof(mark)), "a marked socket");
}

static int a_socket_filter(void)
{
	struct sock_filter insn = BPF_STMT(BPF_RET | BPF_K, 0);
	struct sock_fprog prog = { 1, &insn };
	int fds[2];

	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds) < 0)
		return refused();
	return result(setsockopt(fds[0], SOL_SOCKET, SO_ATTACH_FILTER, &prog, sizeof(prog)),
		      "a filtered socket");
}

/* ---------------------------------------------------------------------------------- other ways into the kernel */

static int a_x32(void)
{
	long rc = syscall(0x40000000L | SYS_getpid);

	if (rc < 0 && errno == ENOSYS)
		return not_applicable("this kernel has no x32 calls");
	return result(rc, "an x32 call");
}

static int a_int80(void)
{
	long rc;

	__asm__ volatile("int $0x80" : "=a"(rc) : "a"(20) : "memory", "r8", "r9", "r10", "r11");
	return rc == getpid() ? succeeded("a 32-bit call")
			      : not_applicable("this kernel has no 32-bit calls");
}

/* ---------------------------------------------------------------------------------------------------- exec */

static int exec_fd(int fd, const char *what)
{
	char *const argv[] = { (char *)"attack", (char *)"--hello", NULL };
	char *const envp[] = { NULL };
	pid_t pid = fork();

	if (!pid) {
		syscall(SYS_execveat, fd, "", argv, envp, AT_EMPTY_PATH);
		_exit(errno);
	}
	return hello_or_refused(pid, what);
}

static int a_memfd_exec(void)
{
	int fd = (int)syscall(SYS_memfd_create, "attack", MFD_CLOEXEC);

	if (fd < 0 || copy_self(fd) < 0)
		return refused();
	return exec_fd(fd, "a program from memory");
}

static int a_copy_exec(void)
{
	int fd = make_file(), code;
	pid_t pid;

	if (fd < 0)
		return REFUSED;
	if (copy_self(fd) < 0 || fchmod(fd, 0755) < 0)
		return end_file(fd, refused());
	close(fd);
	pid = fork();
	if (!pid) {
		execl(file_name, "attack", "--hello", (char *)NULL);
		_exit(errno);
	}
	code = hello_or_refused(pid, "a program the guest wrote");
	return end_file(-1, code);
}

static int a_shell(void)
{
	pid_t pid = fork();

	if (!pid) {
		execl("/bin/sh", "sh", "-c", "exit 42", (char *)NULL);
		_exit(errno);
	}
	return hello_or_refused(pid, "a shell");
}

/* A page that can be written and executed; exec takes the rule against it away, so that this is for Python guests. */
static int a_rwx(void)
{
	void *page = mmap(NULL, 4096, PROT_READ | PROT_WRITE | PROT_EXEC,
			  MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	return page == MAP_FAILED ? refused() : succeeded("a page that can be written and executed");
}

/* ------------------------------------------------------------------------------------------- other processes */

static int a_ptrace_parent(void)
{
	long rc = ptrace(PTRACE_SEIZE, getppid(), NULL, NULL);

	if (!rc)
		ptrace(PTRACE_DETACH, getppid(), NULL, NULL);
	return result(rc, "the parent is traced");
}

static int a_ptrace_child(void)
{
	pid_t pid = sleeper();

	return end_sleeper(pid, ptrace(PTRACE_SEIZE, pid, NULL, NULL), "a child is traced");
}

static int vm_copy(long call)
{
	static char here[16], there[16];
	struct iovec local = { here, sizeof(here) }, remote = { there, sizeof(there) };
	pid_t pid = sleeper();

	return end_sleeper(pid, syscall(call, pid, &local, 1, &remote, 1, 0),
			   "another process's memory");
}

static int a_vm_readv(void)
{
	return vm_copy(SYS_process_vm_readv);
}

static int a_vm_writev(void)
{
	return vm_copy(SYS_process_vm_writev);
}

static int a_pidfd_getfd(void)
{
	pid_t pid = sleeper();
	int fd = (int)syscall(SYS_pidfd_open, pid, 0);

	return end_sleeper(pid, fd < 0 ? -1 : syscall(SYS_pidfd_getfd, fd, 0, 0),
			   "another process's descriptor");
}

static int a_kcmp(void)
{
	pid_t pid = sleeper();

	return end_sleeper(pid, syscall(SYS_kcmp, getpid(), pid, 0, 0, 0),
			   "an order of kernel addresses");
}

static int a_process_madvise(void)
{
	return gate(syscall(SYS_process_madvise, -1, NULL, 0, 0, 0), "process_madvise looked");
}

static int a_parent_mem(void)
{
	char path[64];

	snprintf(path, sizeof(path), "/proc/%d/mem", (int)getppid());
	return opens(path, O_RDONLY);
}

static int a_parent_root(void)
{
	char path[64];

	snprintf(path, sizeof(path), "/proc/%d/root", (int)getppid());
	return opens(path, O_RDONLY | O_DIRECTORY);
}

static int a_parent_fds(void)
{
	char path[64];

	snprintf(path, sizeof(path), "/proc/%d/fd", (int)getppid());
	return opens(path, O_RDONLY | O_DIRECTORY);
}

static int a_signal_parent(void)
{
	return result(kill(getppid(), 0), "the parent can be signalled");
}

static int a_prlimit_parent(void)
{
	struct rlimit limit;

	return result(prlimit(getppid(), RLIMIT_NOFILE, NULL, &limit), "the parent's limits");
}

static int a_shm(void)
{
	int id = (int)syscall(SYS_shmget, IPC_PRIVATE, 4096, 0600);

	if (id >= 0)
		syscall(SYS_shmctl, id, IPC_RMID, NULL);
	return result(id, "shared memory");
}

static int a_sem(void)
{
	int id = (int)syscall(SYS_semget, IPC_PRIVATE, 1, 0600);

	if (id >= 0)
		syscall(SYS_semctl, id, 0, IPC_RMID, NULL);
	return result(id, "a semaphore");
}

static int a_msg(void)
{
	int id = (int)syscall(SYS_msgget, IPC_PRIVATE, 0600);

	if (id >= 0)
		syscall(SYS_msgctl, id, IPC_RMID, NULL);
	return result(id, "a message queue");
}

static int a_mq(void)
{
	long fd = syscall(SYS_mq_open, "attack-queue", O_RDWR | O_CREAT, 0600, NULL);

	if (fd >= 0)
		syscall(SYS_mq_unlink, "attack-queue");
	return result(fd, "a POSIX message queue");
}

#endif
