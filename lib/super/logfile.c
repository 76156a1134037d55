/* SPDX-License-Identifier: MIT */
/* Writing a sandbox's log, and clearing away old ones; see logfile.h. */
#include "super/logfile.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/err.h"
#include "base/fault.h"
#include "base/io.h"
#include "base/util.h"

static int open_new(struct pyi_logfile *log)
{
	return PYI_FAULT(920, ENOSPC)
		       ? -1
		       : openat(log->dir_fd, log->name,
				O_WRONLY | O_APPEND | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
}

static void old_name(const struct pyi_logfile *log, char name[PYI_LOG_NAME_MAX + 2])
{
	snprintf(name, PYI_LOG_NAME_MAX + 2, "%s.1", log->name);
}

int pyi_logfile_create(const char *dir, const char *name, uint64_t size_max,
		       struct pyi_logfile *ret_log, struct pyi_err *err)
{
	struct pyi_logfile log = { .fd = -1, .size_max = size_max };
	char old[PYI_LOG_NAME_MAX + 2];
	int ret = 0;

	log.dir_fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (log.dir_fd < 0)
		return pyi_err_sys(err, errno, "cannot open '%s'", dir);
	snprintf(log.name, sizeof(log.name), "%.64s.log", name);
	old_name(&log, old);
	if ((unlinkat(log.dir_fd, old, 0) < 0 && errno != ENOENT) ||
	    (unlinkat(log.dir_fd, log.name, 0) < 0 && errno != ENOENT))
		ret = pyi_err_sys(err, errno, "cannot remove the old log '%s/%s'", dir, log.name);
	if (ret == 0) {
		log.fd = open_new(&log);
		if (log.fd < 0)
			ret = pyi_err_sys(err, errno, "cannot make the log '%s/%s'", dir, log.name);
	}
	if (ret < 0) {
		pyi_logfile_release(&log);
		return ret;
	}
	*ret_log = log;
	return 0;
}

void pyi_logfile_release(struct pyi_logfile *log)
{
	pyi_close_fd(&log->fd);
	pyi_close_fd(&log->dir_fd);
}

int pyi_logfile_take_stderr(struct pyi_logfile *log)
{
	if (dup3(log->fd, STDERR_FILENO, 0) < 0)
		return -errno;
	log->on_stderr = true;
	return 0;
}

static void rotate(struct pyi_logfile *log)
{
	char old[PYI_LOG_NAME_MAX + 2];
	_cleanup_fd int fd = -1;

	old_name(log, old);
	if (renameat(log->dir_fd, log->name, log->dir_fd, old) < 0)
		return;
	fd = open_new(log);
	if (fd < 0) {
		/* Back again, so that what can still be written has a place. */
		(void)renameat(log->dir_fd, old, log->dir_fd, log->name);
		return;
	}
	if (log->on_stderr)
		(void)dup3(fd, STDERR_FILENO, 0);
	close(log->fd);
	log->fd = pyi_take_fd(&fd);
}

void pyi_logfile_write(struct pyi_logfile *log, const void *data, size_t len)
{
	const char *from = data;
	struct stat st;

	if (!len)
		return;
	log->in_line = from[len - 1] != '\n';

	/* By its true size: the supervisor's own lines go there too. */
	if (fstat(log->fd, &st) == 0 && st.st_size > 0 && (uint64_t)st.st_size + len > log->size_max) {
		rotate(log);
		/* Where no new file can be had, nothing more is kept. */
		if (fstat(log->fd, &st) == 0 && (uint64_t)st.st_size + len > log->size_max) {
			log->dropped += len;
			return;
		}
	}
	if (pyi_write_all(log->fd, from, len) < 0) {
		log->dropped += len;
		log->in_line = true; /* a part may have been written */
	}
}

void pyi_logfile_end_line(struct pyi_logfile *log)
{
	if (log->in_line)
		pyi_logfile_write(log, "\n", 1);
}

struct old_log {
	struct timespec time;
	char name[PYI_LOG_NAME_MAX];
};

static int compare_time(const void *a, const void *b)
{
	const struct timespec *x = &((const struct old_log *)a)->time;
	const struct timespec *y = &((const struct old_log *)b)->time;

	if (x->tv_sec != y->tv_sec)
		return x->tv_sec < y->tv_sec ? -1 : 1;
	return x->tv_nsec < y->tv_nsec ? -1 : x->tv_nsec > y->tv_nsec;
}

static bool is_log(const char *name)
{
	size_t len = strlen(name);

	return len >= 5 && len < PYI_LOG_NAME_MAX && strcmp(name + len - 4, ".log") == 0;
}

/* All NAME.log of the directory; the caller frees. */
static size_t list_logs(DIR *dir, struct old_log **ret_logs)
{
	struct old_log *logs = NULL, *more;
	struct dirent *entry;
	size_t n = 0, cap = 0;

	while ((entry = readdir(dir))) {
		struct stat st;

		if (!is_log(entry->d_name))
			continue;
		if (n == cap) {
			cap = cap ? cap * 2 : 256;
			more = reallocarray(logs, cap, sizeof(*logs));
			if (!more)
				break;
			logs = more;
		}
		if (fstatat(dirfd(dir), entry->d_name, &st, AT_SYMLINK_NOFOLLOW) < 0)
			continue;
		logs[n].time = st.st_mtim;
		snprintf(logs[n++].name, PYI_LOG_NAME_MAX, "%s", entry->d_name);
	}
	*ret_logs = logs;
	return n;
}

static size_t count_logs(DIR *dir)
{
	struct dirent *entry;
	size_t n = 0;

	while ((entry = readdir(dir)))
		n += is_log(entry->d_name);
	rewinddir(dir);
	return n;
}

/* What happened to the sandbox whose log is removed (event_log.h). */
static void remove_events(DIR *dir, const char *log)
{
	static const char *const endings[] = { ".events", ".events.1" };
	char name[PYI_LOG_NAME_MAX + 8];

	for (size_t i = 0; i < PYI_ARRAY_SIZE(endings); i++) {
		snprintf(name, sizeof(name), "%.*s%s", (int)strlen(log) - 4, log, endings[i]);
		unlinkat(dirfd(dir), name, 0);
	}
}

void pyi_logfile_trim(const char *path, bool (*is_live)(const char *name, void *arg), void *arg)
{
	_cleanup_free struct old_log *logs = NULL;
	DIR *dir = opendir(path);
	size_t n, n_gone = 0;

	if (!dir)
		return;
	/* Seldom: a quarter more than are kept, so that the sorting is not done at each start. */
	if (count_logs(dir) < PYI_LOGS_KEPT + PYI_LOGS_KEPT / 4) {
		closedir(dir);
		return;
	}
	n = list_logs(dir, &logs);
	if (n)
		qsort(logs, n, sizeof(*logs), compare_time);
	for (size_t i = 0; i < n && n - n_gone > PYI_LOGS_KEPT; i++) {
		char name[PYI_LOG_NAME_MAX + 2];

		snprintf(name, sizeof(name), "%.*s", (int)strlen(logs[i].name) - 4, logs[i].name);
		if (is_live(name, arg))
			continue;
		unlinkat(dirfd(dir), logs[i].name, 0);
		snprintf(name, sizeof(name), "%s.1", logs[i].name);
		unlinkat(dirfd(dir), name, 0);
		remove_events(dir, logs[i].name);
		n_gone++;
	}
	closedir(dir);
}
