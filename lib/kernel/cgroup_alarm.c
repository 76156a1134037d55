/* SPDX-License-Identifier: MIT */
/*
 * Notice of what a cgroup's limits have done. The *.events files raise EPOLLPRI with each change; v1's memory
 * controller has an eventfd that is told of each time it runs out of memory (cgroup-v1/memory.rst, 10); v1 tells
 * nobody of a refused fork.
 */
#include "kernel/cgroup_alarm.h"

#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "base/io.h"
#include "base/util.h"
#include "kernel/cgroup.h"

/* Edge-triggered: a file that has changed stays so until it is read, and nobody reads it through this descriptor. */
static void add(struct pyi_cgroup_alarm *alarm, int i, uint32_t events)
{
	struct epoll_event event = { .events = events | EPOLLET };

	if (alarm->fds[i] >= 0 && epoll_ctl(alarm->epoll_fd, EPOLL_CTL_ADD, alarm->fds[i], &event) < 0)
		pyi_close_fd(&alarm->fds[i]);
}

static void open_events(struct pyi_cgroup_alarm *alarm, int i, int dir, const char *file)
{
	char text[512];

	/* Changes count from the first reading on. */
	alarm->fds[i] = openat(dir, file, O_RDONLY | O_CLOEXEC);
	if (alarm->fds[i] >= 0)
		(void)!read(alarm->fds[i], text, sizeof(text));
	add(alarm, i, EPOLLPRI);
}

static void open_v1_memory(struct pyi_cgroup_alarm *alarm, int dir)
{
	char text[32];

	alarm->fds[1] = openat(dir, "memory.oom_control", O_RDONLY | O_CLOEXEC);
	alarm->fds[0] = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	snprintf(text, sizeof(text), "%d %d", alarm->fds[0], alarm->fds[1]);
	if (alarm->fds[0] < 0 || alarm->fds[1] < 0 ||
	    pyi_write_at(dir, "cgroup.event_control", text) < 0)
		return;
	add(alarm, 0, EPOLLIN);
}

void pyi_cgroup_alarm_open(const struct pyi_cgroup *cgroup, struct pyi_cgroup_alarm *ret_alarm)
{
	bool memory_is_v2, pids_is_v2;
	int memory = pyi_cgroup_memory_fd(cgroup, &memory_is_v2);
	int pids = pyi_cgroup_pids_fd(cgroup, &pids_is_v2);

	*ret_alarm = (struct pyi_cgroup_alarm)PYI_CGROUP_ALARM_INIT;
	if (memory < 0 && !pids_is_v2)
		return;
	ret_alarm->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
	if (ret_alarm->epoll_fd < 0)
		return;
	if (memory >= 0 && memory_is_v2)
		open_events(ret_alarm, 0, memory, "memory.events");
	else if (memory >= 0)
		open_v1_memory(ret_alarm, memory);
	if (pids_is_v2)
		open_events(ret_alarm, 2, pids, "pids.events");
	ret_alarm->tells_pids = ret_alarm->fds[2] >= 0;
}

void pyi_cgroup_alarm_take(const struct pyi_cgroup_alarm *alarm)
{
	struct epoll_event events[3];

	(void)epoll_wait(alarm->epoll_fd, events, 3, 0);
}

void pyi_cgroup_alarm_close(struct pyi_cgroup_alarm *alarm)
{
	for (int i = 0; i < 3; i++)
		pyi_close_fd(&alarm->fds[i]);
	pyi_close_fd(&alarm->epoll_fd);
}
