/* SPDX-License-Identifier: MIT */
/* Attempts of attack.c: what holds the sandbox: our BPF pins, maps and links, its control group, its supervisor. */
#ifndef PYI_ATTACK_PINS_H
#define PYI_ATTACK_PINS_H

#include "attack_common.h"

#include <dirent.h>
#include <limits.h>

#define BPFFS "/sys/fs/bpf"

static long sys_bpf(int cmd, union bpf_attr *attr)
{
	return syscall(SYS_bpf, cmd, attr, sizeof(*attr));
}

/* --------------------------------------------------------------------------------------------------------- pins */

/* The pinned map of this name in any of our directories, or -1. What is there is learnt as a guest would learn it. */
static int open_pin(const char *name)
{
	static const char top[] = BPFFS "/pyisolate/v1";
	DIR *dir = opendir(top);
	struct dirent *entry;
	int fd = -1;

	if (!dir)
		return -1;
	errno = ENOENT;
	while (fd < 0 && (entry = readdir(dir))) {
		char path[PATH_MAX];
		union bpf_attr attr = { .pathname = (uintptr_t)path };

		if (entry->d_name[0] == '.')
			continue;
		snprintf(path, sizeof(path), "%s/%s/%s", top, entry->d_name, name);
		errno = 0;
		fd = (int)sys_bpf(BPF_OBJ_GET, &attr);
	}
	closedir(dir);
	return fd;
}

static int a_pin_open(void)
{
	return result(open_pin("assignments"), "the pinned map of assignments");
}

/* Of a key that nobody has: whoever gets an answer about the key could have written another one's. */
static int a_pin_write(void)
{
	static char key[64], value[4096];
	int fd = open_pin("assignments");
	union bpf_attr attr = {
		.map_fd = (uint32_t)fd,
		.key = (uintptr_t)key,
		.value = (uintptr_t)value,
		.flags = BPF_EXIST,
	};

	memset(key, 0xff, sizeof(key));
	return fd < 0 ? refused() : gate(sys_bpf(BPF_MAP_UPDATE_ELEM, &attr), "the map was written to");
}

static int a_pin_list(void)
{
	return opens(BPFFS "/pyisolate/v1", O_RDONLY | O_DIRECTORY);
}

/* Whether it may be removed is asked before whether it is empty, which it is not. */
static int a_pin_remove(void)
{
	long rc = rmdir(BPFFS "/pyisolate/v1");

	if (rc < 0 && errno == ENOENT)
		return refused();
	return gate(rc, "our pins could be removed");
}

static int a_pin_make(void)
{
	static const char dir[] = BPFFS "/attack-dir";
	long rc = mkdir(dir, 0700);

	if (rc == 0)
		rmdir(dir);
	return result(rc, "a directory among the pins");
}

static int a_bpffs_umount(void)
{
	return result(umount2(BPFFS, MNT_DETACH), "the BPF file system was unmounted");
}

/* ------------------------------------------------------------------------------------------------ maps and links */

static int by_id(int next, int get)
{
	union bpf_attr attr = { .start_id = 0 };
	uint32_t id;

	if (sys_bpf(next, &attr) < 0)
		return -1;
	id = attr.next_id;
	memset(&attr, 0, sizeof(attr));
	attr.map_id = id; /* the first member for links and programs as well */
	return (int)sys_bpf(get, &attr);
}

static int a_map_by_id(void)
{
	return result(by_id(BPF_MAP_GET_NEXT_ID, BPF_MAP_GET_FD_BY_ID), "a map by its number");
}

static int a_prog_by_id(void)
{
	return result(by_id(BPF_PROG_GET_NEXT_ID, BPF_PROG_GET_FD_BY_ID), "a program by its number");
}

static int a_link_by_id(void)
{
	return result(by_id(BPF_LINK_GET_NEXT_ID, BPF_LINK_GET_FD_BY_ID), "a link by its number");
}

/* With a descriptor that is none. */
static int a_link_detach(void)
{
	union bpf_attr attr = { .link_detach.link_fd = (uint32_t)-1 };

	return gate(sys_bpf(BPF_LINK_DETACH, &attr), "a link could be detached");
}

static int a_link_update(void)
{
	union bpf_attr attr = { .link_update = { .link_fd = (uint32_t)-1, .new_prog_fd = (uint32_t)-1 } };

	return gate(sys_bpf(BPF_LINK_UPDATE, &attr), "a link could be given another program");
}

static int a_prog_detach(void)
{
	union bpf_attr attr = { .target_fd = (uint32_t)-1, .attach_type = BPF_CGROUP_INET4_CONNECT };

	return gate(sys_bpf(BPF_PROG_DETACH, &attr), "a program could be detached");
}

/* ------------------------------------------------------------------------------------------------ control groups */

/* Out of the group, and out of everything that is keyed by it. */
static int a_leave_group(void)
{
	int fd = open("/sys/fs/cgroup/cgroup.procs", O_WRONLY | O_CLOEXEC);

	if (fd < 0 && errno == ENOENT)
		fd = open("/sys/fs/cgroup/unified/cgroup.procs", O_WRONLY | O_CLOEXEC);
	return result(fd, "the list of processes of the root group");
}

static int a_make_group(void)
{
	const char *dir = access("/sys/fs/cgroup/unified", F_OK) == 0
				  ? "/sys/fs/cgroup/unified/attack-group"
				  : "/sys/fs/cgroup/attack-group";
	long rc = mkdir(dir, 0700);

	if (rc == 0)
		rmdir(dir);
	return result(rc, "a control group");
}

/* ---------------------------------------------------------------------------------------------------- supervisor */

/* The parent of a process, and whether its name begins with `comm`. 0: it cannot be seen. */
static pid_t parent_of(pid_t pid, const char *comm, bool *ret_is)
{
	char path[64], text[256] = "";
	const char *begin, *end;
	ssize_t n = -1;
	int fd;

	snprintf(path, sizeof(path), "/proc/%d/stat", (int)pid);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd >= 0) {
		n = read(fd, text, sizeof(text) - 1);
		close(fd);
	}
	begin = n > 0 ? strchr(text, '(') : NULL;
	end = begin ? strrchr(text, ')') : NULL;
	*ret_is = end && strncmp(begin + 1, comm, strlen(comm)) == 0;
	return end ? (pid_t)strtol(end + 4, NULL, 10) : 0;
}

/* Inside, the supervisor: the last of us on the way up. Outside, the parent's parent. 0: nobody that can be seen. */
static pid_t above(void)
{
	pid_t pid = getppid(), found = 0;
	bool is_ours;

	for (int i = 0; pid > 1 && i < 16; i++) {
		pid_t parent = parent_of(pid, "pyisolate", &is_ours);

		if (is_ours || (i == 1 && !found))
			found = pid;
		pid = parent;
	}
	if (!found)
		errno = ESRCH;
	return found;
}

static int a_supervisor_ptrace(void)
{
	pid_t pid = above();
	long rc = pid ? ptrace(PTRACE_SEIZE, pid, NULL, NULL) : -1;

	if (!rc)
		ptrace(PTRACE_DETACH, pid, NULL, NULL);
	return result(rc, "the supervisor is traced");
}

static int a_supervisor_signal(void)
{
	pid_t pid = above();

	return result(pid ? kill(pid, 0) : -1, "the supervisor can be signalled");
}

static int a_supervisor_mem(void)
{
	char path[64];
	pid_t pid = above();

	snprintf(path, sizeof(path), "/proc/%d/mem", (int)pid);
	return pid ? opens(path, O_RDWR) : refused();
}

static int a_supervisor_fd(void)
{
	pid_t pid = above();
	int fd = pid ? (int)syscall(SYS_pidfd_open, pid, 0) : -1;

	return result(fd < 0 ? -1 : syscall(SYS_pidfd_getfd, fd, 0, 0),
		      "a descriptor of the supervisor");
}

#endif
