/* SPDX-License-Identifier: MIT */
/*
 * Clearing away the groups of dead owners. An owner is dead when its pid and start time are no longer those of a live
 * process, and nobody holds the lock that each owner has on its directories: the lock keeps an owner in another pid
 * namespace, whose pid means nothing here, from being taken for dead.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/proc.h"
#include "base/util.h"
#include "kernel/bpf_pins.h"
#include "kernel/cgroup.h"
#include "kernel/cgroup_dir.h"
#include "plan/facts.h"

enum { FEW = 16 };

static bool sweep_one(const char *parent, int parent_fd, const char *name)
{
	_cleanup_fd int fd = -1;
	struct pyi_proc owner;

	if (!pyi_cgroup_name_parse(name, &owner))
		return false;
	/* The lock first: with many sandboxes about, that is much less work than to read about each owner. */
	fd = openat(parent_fd, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (fd < 0 || flock(fd, LOCK_EX | LOCK_NB) < 0 || pyi_proc_is_alive(&owner))
		return false;
	if (pyi_cgroup_dir_is_populated(fd)) {
		pyi_cgroup_dir_kill(fd);
		(void)pyi_cgroup_dir_wait_empty(fd, 2000);
	}
	return pyi_cgroup_dir_remove(parent, name, 1000) == 0;
}

/* How many groups are in a directory of a control group file system: it has a link more for each. */
static unsigned long count_groups(int fd)
{
	struct stat st;

	return fstat(fd, &st) < 0 || st.st_nlink < 2 ? ULONG_MAX : st.st_nlink - 2;
}

static int sweep_at_most(const char *parent, unsigned long max)
{
	_cleanup_fd int fd = open(parent, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	struct dirent *entry;
	int removed = 0;
	DIR *dir;

	unsigned long n = fd < 0 ? 0 : count_groups(fd);

	if (!n || n > max)
		return 0;
	dir = fdopendir(fd);
	if (!dir)
		return 0;
	fd = -1;
	while ((entry = readdir(dir))) {
		if (strncmp(entry->d_name, "run-", 4) == 0)
			removed += sweep_one(parent, dirfd(dir), entry->d_name);
	}
	closedir(dir);
	return removed;
}

static int sweep_parent(const char *parent)
{
	return sweep_at_most(parent, ULONG_MAX);
}

static int sweep_few(const char *parent)
{
	return sweep_at_most(parent, FEW);
}

/* fn for each "pyisolate" and "pyisolate-BUILD" of the v2 hierarchy, our own among them. Sum of what it returns. */
static int each_build(const struct pyi_facts *facts, int (*fn)(const char *base, const char *name))
{
	char base[sizeof(facts->cgroup_v2_dir)];
	struct dirent *entry;
	int sum = 0;
	char *slash;
	DIR *dir;

	memcpy(base, facts->cgroup_v2_dir, sizeof(base));
	slash = strrchr(base, '/');
	if (!slash)
		return 0;
	*slash = '\0';
	dir = opendir(base);
	if (!dir)
		return 0;
	while ((entry = readdir(dir)))
		if (strncmp(entry->d_name, PYI_BPF_PARENT_PREFIX, strlen(PYI_BPF_PARENT_PREFIX)) == 0 ||
		    strcmp(entry->d_name, PYI_PARENT) == 0)
			sum += fn(base, entry->d_name);
	closedir(dir);
	return sum;
}

static int sweep_build(const char *base, const char *name)
{
	char path[512];

	snprintf(path, sizeof(path), "%s/%s", base, name);
	return sweep_parent(path);
}

static int remove_build(const char *base, const char *name)
{
	char path[512];

	snprintf(path, sizeof(path), "%s/%s", base, name);
	return rmdir(path) == 0;
}

/* Run fn for the directories of the facts but the v2 one, each once. */
static int each_other(const struct pyi_facts *facts, int (*fn)(const char *dir))
{
	/* The freezer first, so that what is killed by way of the others can die. */
	const char *dirs[] = { facts->cgroup_v2_dir,	 facts->cgroup_freezer_dir,
			       facts->cgroup_memory_dir, facts->cgroup_pids_dir,
			       facts->cgroup_cpu_dir,	 facts->cgroup_cpuacct_dir };
	int sum = 0;

	for (size_t i = 1; i < PYI_ARRAY_SIZE(dirs); i++) {
		size_t j = 0;

		while (j < i && strcmp(dirs[i], dirs[j]) != 0)
			j++;
		if (j == i && dirs[i][0])
			sum += fn(dirs[i]);
	}
	return sum;
}

int pyi_cgroup_sweep_few(const struct pyi_facts *facts)
{
	int removed = facts->cgroup_v2_dir[0] ? sweep_few(facts->cgroup_v2_dir) : 0;

	return removed + each_other(facts, sweep_few);
}

int pyi_cgroup_sweep(const struct pyi_facts *facts)
{
	int removed = 0;

	/* v2 first: cgroup.kill there ends what the v1 groups of the same sandbox hold. */
	if (facts->is_root)
		removed += each_build(facts, sweep_build);
	else if (facts->cgroup_v2_dir[0])
		removed += sweep_parent(facts->cgroup_v2_dir);
	return removed + each_other(facts, sweep_parent);
}

static int remove_one(const char *dir)
{
	return rmdir(dir) == 0;
}

void pyi_cgroup_remove_parents(const struct pyi_facts *facts)
{
	(void)each_build(facts, remove_build);
	(void)each_other(facts, remove_one);
}
