/* SPDX-License-Identifier: MIT */
/* Figures of a sandbox from outside; see cgroup_peek.h, proc_pid_mountinfo(5) and cgroups(7). */
#include "kernel/cgroup_peek.h"

#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/io.h"
#include "base/util.h"
#include "kernel/cgroup.h"

enum { TABLE_MAX = 4 << 20 };

static bool has_word(const char *list, const char *word)
{
	size_t len = strlen(word);

	for (; list; list = strchr(list, ',') ? strchr(list, ',') + 1 : NULL)
		if (strncmp(list, word, len) == 0 && (list[len] == ',' || list[len] == '\0'))
			return true;
	return false;
}

/* "36 35 0:28 ROOT DIR options - TYPE SOURCE SUPER": of a hierarchy mounted twice the first one counts. */
static void note_mount(struct pyi_cgroup_mount *to, const char *root, const char *dir)
{
	if (to->dir[0])
		return;
	snprintf(to->dir, sizeof(to->dir), "%s", dir);
	snprintf(to->root, sizeof(to->root), "%s", root);
}

static void read_mount(char *line, struct pyi_cgroup_mounts *mounts)
{
	char root[256], dir[256], type[16], super[256];
	const char *tail = strstr(line, " - ");

	if (!tail || sscanf(line, "%*s %*s %*s %255s %255s", root, dir) != 2 ||
	    sscanf(tail, " - %15s %*s %255s", type, super) != 2)
		return;
	if (strcmp(type, "cgroup2") == 0)
		note_mount(&mounts->v2, root, dir);
	if (strcmp(type, "cgroup") != 0)
		return;
	if (has_word(super, "memory"))
		note_mount(&mounts->memory, root, dir);
	if (has_word(super, "cpuacct"))
		note_mount(&mounts->cpuacct, root, dir);
	if (has_word(super, "pids"))
		note_mount(&mounts->pids, root, dir);
	if (has_word(super, "cpu"))
		note_mount(&mounts->cpu, root, dir);
}

void pyi_cgroup_mounts_find(struct pyi_cgroup_mounts *ret_mounts)
{
	_cleanup_buf struct pyi_buf table = PYI_BUF_INIT;
	char *line, *save = NULL;

	memset(ret_mounts, 0, sizeof(*ret_mounts));
	if (pyi_read_file("/proc/self/mountinfo", TABLE_MAX, &table, NULL) < 0 || !table.data)
		return;
	for (line = strtok_r(table.data, "\n", &save); line; line = strtok_r(NULL, "\n", &save))
		read_mount(line, ret_mounts);
}

/* Open the directory of a group, if it is the one of this name. */
static int open_group(const struct pyi_cgroup_mount *mount, const char *group, const char *name)
{
	const char *last = strrchr(group, '/');
	size_t len = strlen(mount->root);
	char path[PATH_MAX];

	if (!mount->dir[0] || !last || strcmp(last + 1, name) != 0)
		return -1;
	if (len > 1) {
		if (strncmp(group, mount->root, len) != 0 || group[len] != '/')
			return -1;
		group += len;
	}
	if (snprintf(path, sizeof(path), "%s%s", mount->dir, group) >= (int)sizeof(path))
		return -1;
	return open(path, O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
}

static uint64_t read_number(int dir_fd, const char *file, const char *key)
{
	char text[4096], *line;

	if (dir_fd < 0 || pyi_read_at(dir_fd, file, text, sizeof(text)) <= 0)
		return 0;
	line = key ? strstr(text, key) : text;
	return line ? strtoull(line + (key ? strlen(key) : 0), NULL, 10) : 0;
}

/* One line of /proc/PID/cgroup: "0::/group" of v2, "4:memory:/group" of v1. */
static bool read_group(const struct pyi_cgroup_mounts *mounts, char *line, const char *name,
		       struct pyi_cgroup_usage *usage)
{
	char *kinds = strchr(line, ':'), *group = kinds ? strchr(kinds + 1, ':') : NULL;
	const struct pyi_cgroup_mount *mount = NULL;
	_cleanup_fd int fd = -1;

	if (!group)
		return false;
	kinds++;
	*group++ = '\0';
	if (!kinds[0])
		mount = &mounts->v2;
	else if (has_word(kinds, "memory"))
		mount = &mounts->memory;
	else if (has_word(kinds, "cpuacct"))
		mount = &mounts->cpuacct;
	fd = mount ? open_group(mount, group, name) : -1;
	if (fd < 0)
		return false;
	if (mount == &mounts->v2) {
		usage->cpu_us = read_number(fd, "cpu.stat", "usage_usec ");
		if (!mounts->memory.dir[0]) {
			usage->memory_bytes = read_number(fd, "memory.current", NULL);
			usage->memory_peak_bytes = read_number(fd, "memory.peak", NULL);
		}
	} else if (mount == &mounts->memory) {
		usage->memory_bytes = read_number(fd, "memory.usage_in_bytes", NULL);
		usage->memory_peak_bytes = read_number(fd, "memory.max_usage_in_bytes", NULL);
	} else if (!usage->cpu_us) {
		usage->cpu_us = read_number(fd, "cpuacct.usage", NULL) / 1000;
	}
	return true;
}

bool pyi_cgroup_peek(const struct pyi_cgroup_mounts *mounts, pid_t pid, const char *name,
		     struct pyi_cgroup_usage *ret_usage)
{
	char path[64], text[8192], *line, *save = NULL;
	bool found = false;

	memset(ret_usage, 0, sizeof(*ret_usage));
	snprintf(path, sizeof(path), "/proc/%d/cgroup", (int)pid);
	if (!name[0] || pyi_read_at(AT_FDCWD, path, text, sizeof(text)) <= 0)
		return false;
	for (line = strtok_r(text, "\n", &save); line; line = strtok_r(NULL, "\n", &save))
		found |= read_group(mounts, line, name, ret_usage);
	return found;
}

/* One line of /proc/PID/cgroup, as read_group. */
static void open_line(const struct pyi_cgroup_mounts *mounts, char *line, const char *name,
		      struct pyi_cgroup_dirs *dirs)
{
	char *kinds = strchr(line, ':'), *group = kinds ? strchr(kinds + 1, ':') : NULL;

	if (!group)
		return;
	kinds++;
	*group++ = '\0';
	if (!kinds[0])
		dirs->v2_fd = open_group(&mounts->v2, group, name);
	if (has_word(kinds, "memory"))
		dirs->memory_fd = open_group(&mounts->memory, group, name);
	if (has_word(kinds, "pids"))
		dirs->pids_fd = open_group(&mounts->pids, group, name);
	if (has_word(kinds, "cpu"))
		dirs->cpu_fd = open_group(&mounts->cpu, group, name);
}

/* A controller that is not on v1 is on v2, if this file is there. */
static void take_v2(const struct pyi_cgroup_dirs *dirs, const char *file, int *fd)
{
	if (*fd < 0 && dirs->v2_fd >= 0 && faccessat(dirs->v2_fd, file, F_OK, 0) == 0)
		*fd = fcntl(dirs->v2_fd, F_DUPFD_CLOEXEC, 0);
}

void pyi_cgroup_dirs_open(const struct pyi_cgroup_mounts *mounts, pid_t pid, const char *name,
			  struct pyi_cgroup_dirs *ret_dirs)
{
	char path[64], text[8192], *line, *save = NULL;

	*ret_dirs = (struct pyi_cgroup_dirs){ .v2_fd = -1, .memory_fd = -1, .pids_fd = -1, .cpu_fd = -1 };
	snprintf(path, sizeof(path), "/proc/%d/cgroup", (int)pid);
	if (!name[0] || pyi_read_at(AT_FDCWD, path, text, sizeof(text)) <= 0)
		return;
	for (line = strtok_r(text, "\n", &save); line; line = strtok_r(NULL, "\n", &save))
		open_line(mounts, line, name, ret_dirs);
	ret_dirs->memory_is_v1 = ret_dirs->memory_fd >= 0;
	ret_dirs->cpu_is_v1 = ret_dirs->cpu_fd >= 0;
	take_v2(ret_dirs, "memory.max", &ret_dirs->memory_fd);
	take_v2(ret_dirs, "pids.max", &ret_dirs->pids_fd);
	take_v2(ret_dirs, "cpu.max", &ret_dirs->cpu_fd);
}

void pyi_cgroup_dirs_close(struct pyi_cgroup_dirs *dirs)
{
	pyi_close_fd(&dirs->v2_fd);
	pyi_close_fd(&dirs->memory_fd);
	pyi_close_fd(&dirs->pids_fd);
	pyi_close_fd(&dirs->cpu_fd);
}
