/* SPDX-License-Identifier: MIT */
/*
 * The sandbox's control group; see cgroup.h. One directory on each hierarchy that is needed, all with the same name.
 * What differs between v1 and v2 is the names of the files; it stands in the tables and small functions below.
 */
#include "kernel/cgroup.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <time.h>

#include "base/err.h"
#include "base/fault.h"
#include "base/io.h"
#include "base/proc.h"
#include "base/util.h"
#include "kernel/cgroup_dir.h"
#include "plan/facts.h"
#include "policy/policy.h"

enum {
	GROUPS_MAX = 6,
	SAME_OWNER_MAX = 10000,	  /* sandboxes of one process, live or not yet removed */
	CPU_PERIOD_US = 100000,	  /* the kernel's default */
	REMOVE_TIMEOUT_MS = 5000, /* killed processes may sit in an uninterruptible wait */
};

struct group {
	char parent[256];
	int fd; /* the directory; holds the owner's lock */
	int join_fd; /* "tasks" on v1, "cgroup.procs" on v2 where clone cannot do it; -1: nothing to join */
	bool is_v2;
};

struct pyi_cgroup {
	char name[PYI_CGROUP_NAME_MAX];
	struct group groups[GROUPS_MAX];
	size_t n;
	uint64_t id;
	/* Where the files of each controller are; NULL where there are none. */
	const struct group *v2, *memory, *pids, *cpu, *cpuacct, *freezer;
};

static void close_group(struct group *group)
{
	pyi_close_fd(&group->join_fd);
	pyi_close_fd(&group->fd);
}

static int open_group(struct pyi_cgroup *cgroup, struct group *group, bool must_join, struct pyi_err *err)
{
	char path[PATH_MAX];

	snprintf(path, sizeof(path), "%s/%s", group->parent, cgroup->name);
	/* A parent that is gone is not made again: on v2 BPF programs were attached to the old one. */
	if (PYI_FAULT(400, ENOSPC) || mkdir(path, 0755) < 0)
		return errno == EEXIST
			       ? -EEXIST
			       : pyi_err_sys(err, errno, "cannot make the control group '%s'", path);
	cgroup->n++;
	group->fd = PYI_FAULT(401, EMFILE) ? -1 : open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (group->fd < 0)
		return pyi_err_sys(err, errno, "cannot open the control group '%s'", path);
	/* Held only by a sweeper in another pid namespace, for whom we look dead: leave it that name. */
	if (PYI_FAULT(402, ENOLCK) || flock(group->fd, LOCK_EX | LOCK_NB) < 0)
		return errno == EWOULDBLOCK ? -EEXIST
					    : pyi_err_sys(err, errno, "cannot lock '%s'", path);
	if (!must_join)
		return 0;
	if (!PYI_FAULT(403, EMFILE))
		group->join_fd = openat(group->fd, group->is_v2 ? "cgroup.procs" : "tasks",
					O_WRONLY | O_CLOEXEC);
	if (group->join_fd < 0)
		return pyi_err_sys(err, errno, "cannot open the process list of '%s'", path);
	return 0;
}

/* The group below `parent`, made if this is the first controller there. NULL on failure or when not there. */
static const struct group *need_group(struct pyi_cgroup *cgroup, const char *parent, bool is_v2,
				      bool must_join, int *ret, struct pyi_err *err)
{
	struct group *group;

	if (*ret < 0 || !parent[0])
		return NULL;
	for (size_t i = 0; i < cgroup->n; i++)
		if (strcmp(cgroup->groups[i].parent, parent) == 0)
			return &cgroup->groups[i];
	group = &cgroup->groups[cgroup->n];
	*group = (struct group){ .fd = -1, .join_fd = -1, .is_v2 = is_v2 };
	snprintf(group->parent, sizeof(group->parent), "%s", parent);
	*ret = open_group(cgroup, group, must_join, err);
	return *ret < 0 ? NULL : group;
}

static int set_value(const struct group *group, const char *file, const char *value, struct pyi_err *err)
{
	int ret = PYI_FAULT(404, EINVAL) ? -errno : pyi_write_at(group->fd, file, value);

	if (ret < 0)
		return pyi_err_sys(err, -ret, "cannot set %s to '%s'", file, value);
	return 0;
}

/* For files that not every kernel is built with. */
static int set_if_there(const struct group *group, const char *file, const char *value,
			struct pyi_err *err)
{
	if (faccessat(group->fd, file, F_OK, 0) < 0)
		return 0;
	return set_value(group, file, value, err);
}

static int set_memory(const struct group *group, uint64_t bytes, struct pyi_err *err)
{
	char value[32];
	int ret;

	snprintf(value, sizeof(value), "%" PRIu64, bytes);
	if (group->is_v2) {
		ret = set_value(group, "memory.max", value, err);
		if (ret == 0)
			ret = set_if_there(group, "memory.swap.max", "0", err);
		/* A process that loses a thread or a helper to the OOM killer is not worth going on with. */
		return ret < 0 ? ret : set_if_there(group, "memory.oom.group", "1", err);
	}
	/* memsw counts memory and swap together: the same value leaves no room for swap. */
	ret = set_value(group, "memory.limit_in_bytes", value, err);
	return ret < 0 ? ret : set_if_there(group, "memory.memsw.limit_in_bytes", value, err);
}

static int set_cpu(const struct group *group, uint32_t permille, struct pyi_err *err)
{
	uint64_t quota = (uint64_t)permille * CPU_PERIOD_US / 1000;
	char value[64];
	int ret;

	if (quota < 1000)
		quota = 1000; /* the kernel takes no less */
	if (group->is_v2) {
		snprintf(value, sizeof(value), "%" PRIu64 " %d", quota, CPU_PERIOD_US);
		return set_value(group, "cpu.max", value, err);
	}
	snprintf(value, sizeof(value), "%d", CPU_PERIOD_US);
	ret = set_value(group, "cpu.cfs_period_us", value, err);
	snprintf(value, sizeof(value), "%" PRIu64, quota);
	return ret < 0 ? ret : set_value(group, "cpu.cfs_quota_us", value, err);
}

static int set_pids(const struct group *group, uint64_t pids, struct pyi_err *err)
{
	char value[32];

	snprintf(value, sizeof(value), "%" PRIu64, pids);
	return set_value(group, "pids.max", value, err);
}

static void close_and_remove(struct pyi_cgroup *cgroup, int timeout_ms)
{
	for (size_t i = 0; i < cgroup->n; i++)
		(void)pyi_cgroup_dir_remove(cgroup->groups[i].parent, cgroup->name, timeout_ms);
	for (size_t i = 0; i < cgroup->n; i++)
		close_group(&cgroup->groups[i]);
	cgroup->n = 0;
}

static int make_groups(struct pyi_cgroup *cgroup, const struct pyi_facts *facts,
		       const struct pyi_limits *limits, bool is_measured, bool all, struct pyi_err *err)
{
	const char *v2 = facts->cgroup_v2_dir;
	bool only_v1 = !v2[0];
	int ret = 0;

#define NEED(dir) need_group(cgroup, dir, false, true, &ret, err)
	cgroup->v2 = need_group(cgroup, v2, true, !facts->clone_into_cgroup, &ret, err);
	if (all || is_measured || limits->memory_bytes)
		cgroup->memory = NEED(facts->cgroup_memory_dir);
	if (all || limits->pids)
		cgroup->pids = NEED(facts->cgroup_pids_dir);
	if (all || limits->cpu_permille)
		cgroup->cpu = NEED(facts->cgroup_cpu_dir);
	if (only_v1) {
		/* v2 counts CPU time and freezes without any controller; v1 needs these for it. */
		cgroup->cpuacct = NEED(facts->cgroup_cpuacct_dir);
		cgroup->freezer = NEED(facts->cgroup_freezer_dir);
	}
#undef NEED
	if (ret < 0)
		return ret;
	if (!cgroup->n)
		return pyi_err_set(err, EOPNOTSUPP, "no control group hierarchy can be used here");
	return 0;
}

static int set_limits(const struct pyi_cgroup *cgroup, const struct pyi_facts *facts,
		      const struct pyi_limits *limits, struct pyi_err *err)
{
	uint64_t own = facts->namespaces.errnum == 0 ? 1 : 0;
	int ret = 0;

	if (cgroup->memory && limits->memory_bytes)
		ret = set_memory(cgroup->memory, limits->memory_bytes, err);
	if (ret == 0 && cgroup->pids && limits->pids)
		ret = set_pids(cgroup->pids, limits->pids + own, err);
	if (ret == 0 && cgroup->cpu && limits->cpu_permille)
		ret = set_cpu(cgroup->cpu, limits->cpu_permille, err);
	return ret;
}

static int new_cgroup(const struct pyi_facts *facts, const struct pyi_limits *limits,
		      bool is_measured, bool all, struct pyi_cgroup **ret_cgroup, struct pyi_err *err)
{
	struct pyi_cgroup *cgroup = calloc(1, sizeof(*cgroup));
	struct pyi_proc self;
	struct stat st;
	int ret;

	if (!cgroup)
		return pyi_err_nomem(err);
	ret = pyi_proc_identify(getpid(), &self);
	if (ret < 0) {
		free(cgroup);
		return pyi_err_sys(err, -ret, "cannot read '/proc/%d/stat'", getpid());
	}
	for (unsigned int n = 0; n < SAME_OWNER_MAX; n++) {
		pyi_cgroup_name(&self, n, cgroup->name);
		ret = make_groups(cgroup, facts, limits, is_measured, all, err);
		if (ret != -EEXIST)
			break;
		/* Another sandbox of this process, or a leftover on one hierarchy only: take the next name. */
		close_and_remove(cgroup, 0);
		ret = pyi_err_set(err, EEXIST, "too many control groups of process %d", getpid());
	}
	if (ret == 0)
		ret = set_limits(cgroup, facts, limits, err);
	/* kernfs: the inode number of a v2 directory is the id that BPF programs see. */
	if (ret == 0 && cgroup->v2 && fstat(cgroup->v2->fd, &st) < 0)
		ret = pyi_err_sys(err, errno, "cannot identify the control group");
	if (ret < 0) {
		close_and_remove(cgroup, 100);
		free(cgroup);
		return ret;
	}
	cgroup->id = cgroup->v2 ? (uint64_t)st.st_ino : 0;
	*ret_cgroup = cgroup;
	return 0;
}

int pyi_cgroup_new(const struct pyi_facts *facts, const struct pyi_limits *limits,
		   struct pyi_cgroup **ret_cgroup, struct pyi_err *err)
{
	return new_cgroup(facts, limits, false, false, ret_cgroup, err);
}

int pyi_cgroup_new_measured(const struct pyi_facts *facts, const struct pyi_limits *limits,
			    struct pyi_cgroup **ret_cgroup, struct pyi_err *err)
{
	return new_cgroup(facts, limits, true, false, ret_cgroup, err);
}

int pyi_cgroup_new_full(const struct pyi_facts *facts, const struct pyi_limits *limits,
			struct pyi_cgroup **ret_cgroup, struct pyi_err *err)
{
	return new_cgroup(facts, limits, false, true, ret_cgroup, err);
}

int pyi_cgroup_memory_fd(const struct pyi_cgroup *cgroup, bool *ret_is_v2)
{
	*ret_is_v2 = cgroup->memory && cgroup->memory->is_v2;
	return cgroup->memory ? cgroup->memory->fd : -1;
}

int pyi_cgroup_pids_fd(const struct pyi_cgroup *cgroup, bool *ret_is_v2)
{
	*ret_is_v2 = cgroup->pids && cgroup->pids->is_v2;
	return cgroup->pids ? cgroup->pids->fd : -1;
}

int pyi_cgroup_v2_fd(const struct pyi_cgroup *cgroup)
{
	return cgroup->v2 ? cgroup->v2->fd : -1;
}

uint64_t pyi_cgroup_id(const struct pyi_cgroup *cgroup)
{
	return cgroup->id;
}

const char *pyi_cgroup_dir_name(const struct pyi_cgroup *cgroup)
{
	return cgroup->name;
}

int pyi_cgroup_enter(const struct pyi_cgroup *cgroup)
{
	for (size_t i = 0; i < cgroup->n; i++) {
		ssize_t n;

		if (cgroup->groups[i].join_fd < 0)
			continue;
		do
			n = PYI_FAULT(405, ENOMEM) ? -1 : write(cgroup->groups[i].join_fd, "0", 1);
		while (n < 0 && errno == EINTR);
		if (n < 0)
			return -errno;
	}
	return 0;
}

int pyi_cgroup_add(struct pyi_cgroup *cgroup, int pid, struct pyi_err *err)
{
	char value[16];

	snprintf(value, sizeof(value), "%d", pid);
	for (size_t i = 0; i < cgroup->n; i++) {
		const struct group *group = &cgroup->groups[i];
		int ret;

		if (group->join_fd < 0)
			continue;
		ret = pyi_write_at(group->fd, group->is_v2 ? "cgroup.procs" : "tasks", value);
		if (ret < 0)
			return pyi_err_sys(err, -ret, "cannot move process %d into '%s/%s'", pid,
					   group->parent, cgroup->name);
	}
	return 0;
}

/* The number behind `key` and a space in a "key number" file, or of the whole file with key NULL; 0 when not there. */
static uint64_t read_value(const struct group *group, const char *file, const char *key)
{
	char text[4096], *line, *save = NULL;

	if (!group || pyi_read_at(group->fd, file, text, sizeof(text)) <= 0)
		return 0;
	if (!key)
		return strtoull(text, NULL, 10);
	for (line = strtok_r(text, "\n", &save); line; line = strtok_r(NULL, "\n", &save)) {
		size_t len = strlen(key);

		if (strncmp(line, key, len) == 0 && line[len] == ' ')
			return strtoull(line + len + 1, NULL, 10);
	}
	return 0;
}

int pyi_cgroup_refusals(struct pyi_cgroup *cgroup, struct pyi_cgroup_usage *ret_usage)
{
	const struct group *memory = cgroup->memory;
	struct pyi_cgroup_usage usage = { 0 };

	if (memory)
		usage.oom_kills = read_value(
			memory, memory->is_v2 ? "memory.events" : "memory.oom_control", "oom_kill");
	usage.pids_refused = read_value(cgroup->pids, "pids.events", "max");
	*ret_usage = usage;
	return 0;
}

int pyi_cgroup_usage(struct pyi_cgroup *cgroup, struct pyi_cgroup_usage *ret_usage)
{
	const struct group *memory = cgroup->memory;
	struct pyi_cgroup_usage usage;

	(void)pyi_cgroup_refusals(cgroup, &usage);
	if (cgroup->v2)
		usage.cpu_us = read_value(cgroup->v2, "cpu.stat", "usage_usec");
	else
		usage.cpu_us = read_value(cgroup->cpuacct, "cpuacct.usage", NULL) / 1000;
	if (memory && memory->is_v2) {
		usage.memory_peak_bytes = read_value(memory, "memory.peak", NULL);
		usage.memory_bytes = read_value(memory, "memory.current", NULL);
	} else if (memory) {
		usage.memory_peak_bytes = read_value(memory, "memory.max_usage_in_bytes", NULL);
		usage.memory_bytes = read_value(memory, "memory.usage_in_bytes", NULL);
	}
	usage.throttled_periods = read_value(cgroup->cpu, "cpu.stat", "nr_throttled");
	if (cgroup->cpu && cgroup->cpu->is_v2)
		usage.throttled_us = read_value(cgroup->cpu, "cpu.stat", "throttled_usec");
	else
		usage.throttled_us = read_value(cgroup->cpu, "cpu.stat", "throttled_time") / 1000;
	*ret_usage = usage;
	return 0;
}

void pyi_cgroup_kill(struct pyi_cgroup *cgroup)
{
	/* Every process of the sandbox is in every group: one is enough, and v2 (the first) does it at once. */
	if (cgroup->freezer)
		(void)pyi_cgroup_freeze(cgroup, false);
	if (cgroup->n)
		pyi_cgroup_dir_kill(cgroup->groups[0].fd);
}

/* The freezer works in the background: wait until it says what we asked for, a second at most. */
static int wait_frozen(const struct group *group, bool frozen)
{
	const char *file = group->is_v2 ? "cgroup.events" : "freezer.state";
	const char *want = group->is_v2 ? (frozen ? "frozen 1" : "frozen 0")
					: (frozen ? "FROZEN" : "THAWED");
	struct timespec pause = { .tv_nsec = 1000000 };
	char text[256];

	for (int i = 0; i < 1000; i++) {
		if (pyi_read_at(group->fd, file, text, sizeof(text)) < 0)
			return -EIO;
		if (strstr(text, want))
			return 0;
		nanosleep(&pause, NULL);
	}
	return -ETIMEDOUT;
}

int pyi_cgroup_freeze(struct pyi_cgroup *cgroup, bool frozen)
{
	int ret;

	if (cgroup->v2) {
		ret = pyi_write_at(cgroup->v2->fd, "cgroup.freeze", frozen ? "1" : "0");
		if (ret == 0)
			return wait_frozen(cgroup->v2, frozen);
	}
	if (!cgroup->freezer)
		return -EOPNOTSUPP;
	ret = pyi_write_at(cgroup->freezer->fd, "freezer.state", frozen ? "FROZEN" : "THAWED");
	return ret < 0 ? ret : wait_frozen(cgroup->freezer, frozen);
}

void pyi_cgroup_free(struct pyi_cgroup *cgroup)
{
	if (!cgroup)
		return;
	if (cgroup->n && pyi_cgroup_dir_is_populated(cgroup->groups[0].fd)) {
		pyi_cgroup_kill(cgroup);
		(void)pyi_cgroup_dir_wait_empty(cgroup->groups[0].fd, REMOVE_TIMEOUT_MS);
	}
	close_and_remove(cgroup, REMOVE_TIMEOUT_MS);
	free(cgroup);
}
