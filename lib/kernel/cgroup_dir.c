/* SPDX-License-Identifier: MIT */
/* One group directory: names, killing, removing; see cgroup_dir.h. */
#include "kernel/cgroup_dir.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>

#include "base/buf.h"
#include "base/io.h"
#include "base/util.h"

enum {
	PROCS_MAX = 1 << 20, /* bytes of one process list */
	DEPTH_MAX = 16, /* groups below one of ours; the guest can make none, so this is for leftovers only */
};

static uint64_t now_ms(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000 + (uint64_t)ts.tv_nsec / 1000000;
}

static void sleep_us(long us)
{
	struct timespec ts = { .tv_nsec = us * 1000 };

	nanosleep(&ts, NULL);
}

void pyi_cgroup_name(const struct pyi_proc *owner, unsigned int n, char name[PYI_CGROUP_NAME_MAX])
{
	if (n)
		snprintf(name, PYI_CGROUP_NAME_MAX, "run-%d-%" PRIu64 "-%u", owner->pid,
			 owner->start_ticks, n);
	else
		snprintf(name, PYI_CGROUP_NAME_MAX, "run-%d-%" PRIu64, owner->pid, owner->start_ticks);
}

/* A decimal number without sign; *end is set behind it. */
static bool parse_number(const char *s, uint64_t max, uint64_t *ret, const char **end)
{
	uint64_t v = 0;

	if (*s < '0' || *s > '9')
		return false;
	for (; *s >= '0' && *s <= '9'; s++) {
		uint64_t digit = (uint64_t)(*s - '0');

		if (v > (max - digit) / 10)
			return false;
		v = v * 10 + digit;
	}
	*ret = v;
	*end = s;
	return true;
}

bool pyi_cgroup_name_parse(const char *name, struct pyi_proc *ret_owner)
{
	uint64_t pid, start, n;

	if (strncmp(name, "run-", 4) != 0 || !parse_number(name + 4, INT32_MAX, &pid, &name) ||
	    *name != '-' || !parse_number(name + 1, UINT64_MAX, &start, &name))
		return false;
	if (*name && (*name != '-' || !parse_number(name + 1, UINT32_MAX, &n, &name) || *name))
		return false;
	if (pid == 0)
		return false;
	*ret_owner = (struct pyi_proc){ .pid = (pid_t)pid, .start_ticks = start };
	return true;
}

bool pyi_cgroup_dir_is_populated(int dir_fd)
{
	char text[256];
	ssize_t len = pyi_read_at(dir_fd, "cgroup.events", text, sizeof(text));

	if (len > 0)
		return strstr(text, "populated 1") != NULL;
	/* v1 has no events file: a process list that starts with a digit is not empty. */
	len = pyi_read_at(dir_fd, "cgroup.procs", text, sizeof(text));
	return len > 0;
}

/* One pass over the process list: how many were found. */
static size_t kill_listed(int dir_fd)
{
	_cleanup_buf struct pyi_buf list = PYI_BUF_INIT;
	_cleanup_fd int fd = openat(dir_fd, "cgroup.procs", O_RDONLY | O_CLOEXEC);
	size_t n = 0;

	if (fd < 0 || pyi_read_all(fd, PROCS_MAX, &list) < 0)
		return 0;
	for (const char *p = pyi_buf_str(&list); *p;) {
		uint64_t pid;

		if (!parse_number(p, INT32_MAX, &pid, &p))
			break;
		if (*p == '\n')
			p++;
		/* 0 is a process of another pid namespace; 1 and ourselves can only stand here by mistake. */
		if (pid > 1 && (pid_t)pid != getpid()) {
			kill((pid_t)pid, SIGKILL);
			n++;
		}
	}
	return n;
}

void pyi_cgroup_dir_kill(int dir_fd)
{
	uint64_t end;

	if (pyi_write_at(dir_fd, "cgroup.kill", "1") == 0)
		return;
	/* v1: what is frozen does not die (the file is there in the freezer's hierarchy only). */
	(void)pyi_write_at(dir_fd, "freezer.state", "THAWED");
	/* Without cgroup.kill a fork bomb outruns the list unless it can no longer fork. */
	(void)pyi_write_at(dir_fd, "pids.max", "0");
	end = now_ms() + 2000;
	while (kill_listed(dir_fd) && now_ms() < end)
		sleep_us(500);
}

bool pyi_cgroup_dir_wait_empty(int dir_fd, int timeout_ms)
{
	_cleanup_fd int events = openat(dir_fd, "cgroup.events", O_RDONLY | O_CLOEXEC);
	uint64_t end = now_ms() + (uint64_t)timeout_ms;

	while (pyi_cgroup_dir_is_populated(dir_fd)) {
		uint64_t now = now_ms();
		struct pollfd pfd = { .fd = events, .events = POLLPRI };

		if (now >= end)
			return false;
		if (events < 0) {
			sleep_us(500);
			continue;
		}
		/* The event that matters may fall between the read above and poll: never sleep long. */
		poll(&pfd, 1, end - now < 5 ? (int)(end - now) : 5);
	}
	return true;
}

/* Groups below `fd`, deepest first. */
static void remove_below(int fd, int depth)
{
	_cleanup_fd int dup_fd = openat(fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *dir = dup_fd >= 0 && depth < DEPTH_MAX ? fdopendir(dup_fd) : NULL;
	struct dirent *entry;

	if (!dir)
		return;
	dup_fd = -1;
	while ((entry = readdir(dir))) {
		_cleanup_fd int sub = -1;

		if (entry->d_type != DT_DIR || entry->d_name[0] == '.')
			continue;
		sub = openat(fd, entry->d_name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
		if (sub >= 0)
			remove_below(sub, depth + 1);
		unlinkat(fd, entry->d_name, AT_REMOVEDIR);
	}
	closedir(dir);
}

int pyi_cgroup_dir_remove(const char *parent, const char *name, int timeout_ms)
{
	_cleanup_fd int parent_fd = open(parent, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	uint64_t end = now_ms() + (uint64_t)timeout_ms;
	long wait_us = 50;

	if (parent_fd < 0)
		return errno == ENOENT ? 0 : -errno;
	for (;;) {
		_cleanup_fd int fd = -1;

		if (unlinkat(parent_fd, name, AT_REMOVEDIR) == 0 || errno == ENOENT)
			return 0;
		if (errno != EBUSY && errno != ENOTEMPTY)
			return -errno;
		if (now_ms() >= end)
			return -EBUSY;
		fd = openat(parent_fd, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
		if (fd >= 0)
			remove_below(fd, 0);
		/* Dying processes leave the group a moment after they are gone from its list. */
		sleep_us(wait_us);
		if (wait_us < 5000)
			wait_us *= 2;
	}
}
