/* SPDX-License-Identifier: MIT */
/*
 * The figures of somebody else's sandbox, by its first process: which groups that is in is told by /proc, where their
 * files are by the mount table. So a sandbox is found that another build or another login session has started.
 */
#ifndef PYI_KERNEL_CGROUP_PEEK_H
#define PYI_KERNEL_CGROUP_PEEK_H

#include <stdbool.h>
#include <sys/types.h>

struct pyi_cgroup_usage;

struct pyi_cgroup_mounts {
	/* Mount point of the hierarchy, "" where there is none; the group that is seen there ("/" as a rule). */
	struct pyi_cgroup_mount {
		char dir[256];
		char root[256];
	} v2, memory, cpuacct, pids, cpu; /* but for the first on v1 */
};

/* Read the mount table. */
void pyi_cgroup_mounts_find(struct pyi_cgroup_mounts *ret_mounts);

/*
 * Descriptors of the directories of these groups, -1 where there is none: of a controller on v1 its own, else that of
 * v2. The caller closes them.
 */
struct pyi_cgroup_dirs {
	int v2_fd, memory_fd, pids_fd, cpu_fd;
	bool memory_is_v1, cpu_is_v1;
};

void pyi_cgroup_dirs_open(const struct pyi_cgroup_mounts *mounts, pid_t pid, const char *name,
			  struct pyi_cgroup_dirs *ret_dirs);
void pyi_cgroup_dirs_close(struct pyi_cgroup_dirs *dirs);

/*
 * CPU time and memory of the groups with this name that the process is in. False when it is in none: it is gone, or its
 * pid is another process's now.
 */
bool pyi_cgroup_peek(const struct pyi_cgroup_mounts *mounts, pid_t pid, const char *name,
		     struct pyi_cgroup_usage *ret_usage);

#endif
