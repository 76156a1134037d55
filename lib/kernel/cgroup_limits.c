/* SPDX-License-Identifier: MIT */
/* See cgroup_limits.h, and cgroup.c for the same at the start. */
#include "kernel/cgroup_limits.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/err.h"
#include "base/fault.h"
#include "base/io.h"
#include "base/parse.h"
#include "base/util.h"
#include "kernel/cgroup_peek.h"
#include "policy/policy.h"

enum {
	CPU_PERIOD_US = 100000,
	VALUE_MAX = 64,
	UNDO_MAX = 8,
	PASSES_MAX = 16, /* over processes that go on forking */
	PROCS_MAX = 1 << 20,
};

/* A file that was written, with what was in it. */
struct undo {
	int dir_fd;
	const char *file;
	char old[VALUE_MAX];
};

struct change {
	const struct pyi_cgroup_limits *of;
	struct pyi_cgroup_dirs dirs;
	struct undo undo[UNDO_MAX];
	size_t n;
};

static int write_value(struct change *c, int dir_fd, const char *file, const char *value,
		       struct pyi_err *err)
{
	struct undo *undo = &c->undo[c->n];
	int ret;

	*undo = (struct undo){ dir_fd, file, "" };
	ret = (int)pyi_read_at(dir_fd, file, undo->old, sizeof(undo->old));
	if (ret >= 0)
		ret = PYI_FAULT(470, EINVAL) ? -errno : pyi_write_at(dir_fd, file, value);
	if (ret == -EBUSY && strncmp(file, "memory", 6) == 0)
		return pyi_err_set(err, EBUSY, "limits: memory: more than that is in use");
	if (ret < 0)
		return pyi_err_sys(err, -ret, "limits: cannot set %s to '%s'", file, value);
	c->n++;
	return 0;
}

static void undo_all(struct change *c)
{
	while (c->n--)
		(void)pyi_write_at(c->undo[c->n].dir_fd, c->undo[c->n].file, c->undo[c->n].old);
	c->n = 0;
}

static int no_group(const char *what, struct pyi_err *err)
{
	return pyi_err_set(err, EOPNOTSUPP,
			   "limits: %s: the sandbox has no control group for it: spawn it with this limit",
			   what);
}

/* An OOM kill would be the answer to a limit below what is in use. */
static int check_room(int dir_fd, const char *file, uint64_t bytes, struct pyi_err *err)
{
	char text[VALUE_MAX], now[32], wanted[32];
	uint64_t used = 0;

	if (bytes && pyi_read_at(dir_fd, file, text, sizeof(text)) > 0)
		used = strtoull(text, NULL, 10);
	if (used <= bytes || !bytes)
		return 0;
	return pyi_err_set(err, EBUSY, "limits: memory: %s is less than the %s in use",
			   pyi_format_size(bytes, wanted), pyi_format_size(used, now));
}

static int set_memory(struct change *c, uint64_t from, uint64_t to, struct pyi_err *err)
{
	static const char *const v1[] = { "memory.limit_in_bytes", "memory.memsw.limit_in_bytes" };
	bool raises = !to || (from && to > from);
	int fd = c->dirs.memory_fd, ret;
	char value[VALUE_MAX];

	if (fd < 0)
		return no_group("memory", err);
	ret = check_room(fd, c->dirs.memory_is_v1 ? "memory.usage_in_bytes" : "memory.current", to, err);
	if (ret < 0)
		return ret;
	snprintf(value, sizeof(value), "%" PRIu64, to);
	if (!c->dirs.memory_is_v1)
		return write_value(c, fd, "memory.max", to ? value : "max", err);
	/* The second may never be the smaller one. */
	for (int i = 0; i < 2 && ret == 0; i++) {
		const char *file = v1[raises ? 1 - i : i];

		if (faccessat(fd, file, F_OK, 0) == 0)
			ret = write_value(c, fd, file, to ? value : "-1", err);
	}
	return ret;
}

static int set_pids(struct change *c, uint32_t to, struct pyi_err *err)
{
	char value[VALUE_MAX];

	if (c->dirs.pids_fd < 0)
		return no_group("pids", err);
	snprintf(value, sizeof(value), "%" PRIu64, (uint64_t)to + c->of->init_counts);
	return write_value(c, c->dirs.pids_fd, "pids.max", to ? value : "max", err);
}

static int set_cpu(struct change *c, uint32_t permille, struct pyi_err *err)
{
	uint64_t quota = (uint64_t)permille * CPU_PERIOD_US / 1000;
	char value[VALUE_MAX];
	int ret;

	if (c->dirs.cpu_fd < 0)
		return no_group("cpu", err);
	if (quota < 1000)
		quota = 1000; /* the kernel takes no less */
	if (!c->dirs.cpu_is_v1) {
		snprintf(value, sizeof(value), "%" PRIu64 " %d", quota, CPU_PERIOD_US);
		return write_value(c, c->dirs.cpu_fd, "cpu.max", permille ? value : "max 100000", err);
	}
	snprintf(value, sizeof(value), "%d", CPU_PERIOD_US);
	ret = write_value(c, c->dirs.cpu_fd, "cpu.cfs_period_us", value, err);
	snprintf(value, sizeof(value), "%" PRIu64, quota);
	return ret < 0 ? ret
		       : write_value(c, c->dirs.cpu_fd, "cpu.cfs_quota_us", permille ? value : "-1",
				     err);
}

/* 1: it was another one before; 0: it was this, or the process is gone. */
static int set_process(pid_t pid, int resource, const struct rlimit *to)
{
	struct rlimit now;

	if (prlimit(pid, resource, NULL, &now) < 0)
		return errno == ESRCH ? 0 : -errno;
	if (now.rlim_cur == to->rlim_cur && now.rlim_max == to->rlim_max)
		return 0;
	if (PYI_FAULT(471, EPERM) || prlimit(pid, resource, to, NULL) < 0)
		return errno == ESRCH ? 0 : -errno;
	return 1;
}

/* Once over all processes but our own; how many had another one, or -errno. */
static int set_processes(const struct change *c, int resource, const struct rlimit *to)
{
	_cleanup_buf struct pyi_buf list = PYI_BUF_INIT;
	int dir_fd = c->dirs.v2_fd >= 0 ? c->dirs.v2_fd : c->dirs.memory_fd;
	_cleanup_fd int fd = openat(dir_fd, "cgroup.procs", O_RDONLY | O_CLOEXEC);
	char *line, *save = NULL;
	int n = 0, ret;

	ret = fd < 0 ? -errno : pyi_read_all(fd, PROCS_MAX, &list);
	if (ret < 0 || !list.data)
		return ret;
	for (line = strtok_r(list.data, "\n", &save); line; line = strtok_r(NULL, "\n", &save)) {
		pid_t pid = (pid_t)strtol(line, NULL, 10);

		ret = pid > 0 && pid != c->of->init_pid ? set_process(pid, resource, to) : 0;
		if (ret < 0)
			return ret;
		n += ret;
	}
	return n;
}

/* A process that is forked meanwhile has its parent's: so again, until there is none that had another one. */
static int set_rlimit(const struct change *c, int resource, const struct rlimit *to,
		      const char *what, struct pyi_err *err)
{
	int ret = 1;

	if (!c->of->has_rlimits)
		return 0;
	if (c->dirs.v2_fd < 0 && c->dirs.memory_fd < 0)
		return no_group(what, err);
	for (int i = 0; i < PASSES_MAX && ret > 0; i++)
		ret = set_processes(c, resource, to);
	if (ret == -EPERM)
		return pyi_err_set(err, EPERM,
				   "limits: %s: changing the limit of a process takes CAP_SYS_RESOURCE",
				   what);
	return ret < 0 ? pyi_err_sys(err, -ret, "limits: %s: cannot change that of a process", what)
		       : 0;
}

static struct rlimit rlimit_of(int resource, const struct pyi_limits *limits)
{
	uint64_t ms = limits->cpu_time_ms, bytes = limits->memory_bytes;
	uint64_t seconds = ms / 1000 + (ms % 1000 != 0);

	if (resource == RLIMIT_CPU)
		return ms ? (struct rlimit){ seconds, seconds + 1 }
			  : (struct rlimit){ RLIM_INFINITY, RLIM_INFINITY };
	return bytes ? (struct rlimit){ bytes, bytes }
		     : (struct rlimit){ RLIM_INFINITY, RLIM_INFINITY };
}

static int change_all(struct change *c, const struct pyi_limits *from, const struct pyi_limits *to,
		      struct pyi_err *err)
{
	struct rlimit data = rlimit_of(RLIMIT_DATA, to), cpu = rlimit_of(RLIMIT_CPU, to);
	int ret = 0;

	if (from->memory_bytes != to->memory_bytes)
		ret = set_memory(c, from->memory_bytes, to->memory_bytes, err);
	if (ret == 0 && from->pids != to->pids)
		ret = set_pids(c, to->pids, err);
	if (ret == 0 && from->cpu_permille != to->cpu_permille)
		ret = set_cpu(c, to->cpu_permille, err);
	if (ret == 0 && from->memory_bytes != to->memory_bytes)
		ret = set_rlimit(c, RLIMIT_DATA, &data, "memory", err);
	/* The supervisor's account of it is that of a group. */
	if (ret == 0 && from->cpu_time_ms != to->cpu_time_ms && c->dirs.v2_fd < 0 &&
	    c->dirs.memory_fd < 0)
		ret = no_group("cpu_time", err);
	if (ret == 0 && from->cpu_time_ms != to->cpu_time_ms)
		ret = set_rlimit(c, RLIMIT_CPU, &cpu, "cpu_time", err);
	return ret;
}

static void take_back(struct change *c, const struct pyi_limits *from, const struct pyi_limits *to)
{
	struct rlimit data = rlimit_of(RLIMIT_DATA, from), cpu = rlimit_of(RLIMIT_CPU, from);
	struct pyi_err unused = { 0 };

	undo_all(c);
	if (from->memory_bytes != to->memory_bytes)
		(void)set_rlimit(c, RLIMIT_DATA, &data, "memory", &unused);
	if (from->cpu_time_ms != to->cpu_time_ms)
		(void)set_rlimit(c, RLIMIT_CPU, &cpu, "cpu_time", &unused);
}

int pyi_cgroup_limits_change(const struct pyi_cgroup_limits *of, const struct pyi_limits *from,
			     const struct pyi_limits *to, struct pyi_err *err)
{
	struct change c = { .of = of };
	struct pyi_cgroup_mounts mounts;
	int ret;

	if (from->memory_bytes == to->memory_bytes && from->pids == to->pids &&
	    from->cpu_permille == to->cpu_permille && from->cpu_time_ms == to->cpu_time_ms)
		return 0;
	pyi_cgroup_mounts_find(&mounts);
	pyi_cgroup_dirs_open(&mounts, of->init_pid, of->name, &c.dirs);
	ret = change_all(&c, from, to, err);
	if (ret < 0)
		take_back(&c, from, to);
	pyi_cgroup_dirs_close(&c.dirs);
	return ret;
}
