/* SPDX-License-Identifier: MIT */
/*
 * Showing a sandbox's log, and following it; see logfile.h.
 *
 * Following works without a word from the writer: inotify tells of changes in the directory, and a file is the one we
 * read as long as its inode is. When it was rotated we read what is left of the one we hold, then the predecessor if
 * that is yet another one, then the new file. A log that rotates twice between two looks loses what nobody has kept.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdbool.h>
#include <stdio.h>
#include <sys/inotify.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/err.h"
#include "base/io.h"
#include "base/util.h"
#include "super/logfile.h"

/* Where the directory cannot be watched, or a notice was missed, we look that often. */
enum { LOOK_MS = 500 };

struct view {
	int dir_fd;
	int fd; /* of the file being read; -1 */
	struct pyi_logfile_sink sink;
	char name[PYI_LOG_NAME_MAX];
	char old[PYI_LOG_NAME_MAX + 2];
};

/* Everything from where we are. 0 or -errno of the writing. */
static int copy_rest(const struct view *view, int fd)
{
	char data[16384];
	ssize_t n;
	int ret;

	while ((n = read(fd, data, sizeof(data))) > 0) {
		ret = view->sink.put(view->sink.arg, data, (size_t)n);
		if (ret < 0)
			return ret;
	}
	return 0;
}

static int open_log(const struct view *view, const char *name)
{
	return openat(view->dir_fd, name, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
}

static bool is_same_file(int a, int b)
{
	struct stat x, y;

	return fstat(a, &x) == 0 && fstat(b, &y) == 0 && x.st_dev == y.st_dev && x.st_ino == y.st_ino;
}

/* What was added since, whatever was rotated meanwhile. */
static int catch_up(struct view *view)
{
	_cleanup_fd int current = -1, old = -1;
	int ret;

	for (;;) {
		pyi_close_fd(&current);
		pyi_close_fd(&old);
		/* The names first, then the rest of ours: what is renamed from now on shows at the next look. */
		current = open_log(view, view->name);
		old = open_log(view, view->old);
		if (current >= 0 && old >= 0 && is_same_file(current, old))
			continue; /* rotated between the two */
		ret = view->fd >= 0 ? copy_rest(view, view->fd) : 0;
		if (ret < 0 || current < 0 || (view->fd >= 0 && is_same_file(view->fd, current)))
			return ret;
		if (old >= 0 && (view->fd < 0 || !is_same_file(view->fd, old)))
			ret = copy_rest(view, old);
		pyi_close_fd(&view->fd);
		view->fd = pyi_take_fd(&current);
		if (ret < 0)
			return ret;
	}
}

static int follow(struct view *view, const char *dir, int end_fd)
{
	_cleanup_fd int watch_fd = inotify_init1(IN_CLOEXEC | IN_NONBLOCK);
	/* The last one for its errors only: a pipe without a reader has one. */
	struct pollfd pollers[3] = { { end_fd, POLLIN, 0 },
				     { watch_fd, POLLIN, 0 },
				     { view->sink.out_fd, 0, 0 } };
	char notices[4096];
	bool has_ended = false;
	int ret;

	if (watch_fd >= 0)
		(void)inotify_add_watch(watch_fd, dir, IN_MODIFY | IN_CREATE | IN_MOVED_TO);
	for (;;) {
		/* Whether it has ended is asked first, so that the last look comes after its last word. */
		ret = catch_up(view);
		if (ret < 0 || has_ended)
			return ret;
		if (poll(pollers, 3, LOOK_MS) < 0 && errno != EINTR)
			return -errno;
		if (pollers[2].revents & POLLERR)
			return 0;
		has_ended = pollers[0].revents != 0;
		while (watch_fd >= 0 && read(watch_fd, notices, sizeof(notices)) > 0)
			;
	}
}

int pyi_logfile_show_to(const char *dir, const char *name, const char *suffix,
			const struct pyi_logfile_sink *sink, int end_fd, struct pyi_err *err)
{
	struct view view = { .fd = -1, .sink = *sink };
	int ret;

	snprintf(view.name, sizeof(view.name), "%.64s%.8s", name, suffix);
	snprintf(view.old, sizeof(view.old), "%s.1", view.name);
	view.dir_fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (view.dir_fd < 0)
		return pyi_err_sys(err, errno, "cannot open '%s'", dir);
	ret = catch_up(&view);
	if (ret == 0 && view.fd < 0)
		ret = pyi_err_set(err, ENOENT, "the log '%s' is not kept any more", view.name);
	else if (ret == 0 && end_fd >= 0)
		ret = follow(&view, dir, end_fd);
	/* Whoever reads us has had enough: as `tail -f | head` ends. */
	if (ret < 0 && ret != -ENOENT)
		ret = pyi_err_sys(err, -ret, "cannot write the log");
	pyi_close_fd(&view.fd);
	close(view.dir_fd);
	return ret;
}

static int put_to_fd(void *arg, const char *data, size_t len)
{
	const int *fd = arg;

	return pyi_write_all(*fd, data, len);
}

int pyi_logfile_show(const char *dir, const char *name, int out_fd, int end_fd, struct pyi_err *err)
{
	const struct pyi_logfile_sink sink = { put_to_fd, &out_fd, out_fd };

	return pyi_logfile_show_to(dir, name, ".log", &sink, end_fd, err);
}
