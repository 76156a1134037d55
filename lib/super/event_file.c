/* SPDX-License-Identifier: MIT */
/*
 * See event_file.h. Two requests are under way at most: a poll of the ring that stays, and one write. The io_uring is
 * made when there is a ring to wait for; before that, and where none can be had, writes are made here and now.
 */
#include "super/event_file.h"

#include <errno.h>
#include <fcntl.h>
#include <liburing.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/err.h"
#include "base/fault.h"
#include "base/io.h"
#include "base/util.h"
#include "super/event_log.h"
#include "super/logfile.h"

enum { ENTRIES = 8 };
enum { TAG_POLL = 1, TAG_WRITE, TAG_CANCEL };

struct pyi_event_file {
	int dir_fd;
	int fd;
	char name[PYI_LOG_NAME_MAX];
	struct io_uring uring;
	bool has_uring;
	bool tried_uring;
	int wait_fd; /* -1: none */
	bool is_polling;
	struct pyi_buf writing; /* what the write under way is of */
	size_t written;
	bool is_writing;
};

static int open_new(const struct pyi_event_file *file)
{
	return PYI_FAULT(950, ENOSPC)
		       ? -1
		       : openat(file->dir_fd, file->name,
				O_WRONLY | O_APPEND | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0600);
}

static void old_name(const struct pyi_event_file *file, char name[PYI_LOG_NAME_MAX + 2])
{
	snprintf(name, PYI_LOG_NAME_MAX + 2, "%s.1", file->name);
}

int pyi_event_file_new(const char *dir, const char *name, struct pyi_event_file **ret_file,
		       struct pyi_err *err)
{
	struct pyi_event_file *file = calloc(1, sizeof(*file));
	char old[PYI_LOG_NAME_MAX + 2];
	int ret = 0;

	if (!file)
		return pyi_err_nomem(err);
	file->fd = file->wait_fd = -1;
	snprintf(file->name, sizeof(file->name), "%.64s" PYI_EVENT_LOG_SUFFIX, name);
	old_name(file, old);
	file->dir_fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (file->dir_fd >= 0) {
		(void)unlinkat(file->dir_fd, old, 0);
		(void)unlinkat(file->dir_fd, file->name, 0);
		file->fd = open_new(file);
	}
	if (file->fd < 0) {
		ret = pyi_err_sys(err, errno, "cannot make '%s/%s'", dir, file->name);
		pyi_event_file_free(file, NULL);
		return ret;
	}
	*ret_file = file;
	return 0;
}

/* A file that is full becomes the old one. Where no new one can be had it goes on. */
static void rotate(struct pyi_event_file *file, size_t len)
{
	char old[PYI_LOG_NAME_MAX + 2];
	struct stat st;
	int fd;

	if (fstat(file->fd, &st) < 0 || (uint64_t)st.st_size + len <= PYI_EVENT_LOG_SIZE)
		return;
	old_name(file, old);
	if (renameat(file->dir_fd, file->name, file->dir_fd, old) < 0)
		return;
	fd = open_new(file);
	if (fd < 0) {
		(void)renameat(file->dir_fd, old, file->dir_fd, file->name);
		return;
	}
	close(file->fd);
	file->fd = fd;
}

static struct io_uring_sqe *new_request(struct pyi_event_file *file, uint64_t tag)
{
	struct io_uring_sqe *sqe = io_uring_get_sqe(&file->uring);

	if (sqe)
		io_uring_sqe_set_data64(sqe, tag);
	return sqe;
}

/* Preparing a request clears its tag. */
static void submit(struct pyi_event_file *file, struct io_uring_sqe *sqe, uint64_t tag)
{
	io_uring_sqe_set_data64(sqe, tag);
	(void)io_uring_submit(&file->uring);
}

static void write_on(struct pyi_event_file *file)
{
	struct io_uring_sqe *sqe = new_request(file, TAG_WRITE);
	size_t left = file->writing.len - file->written;

	if (!sqe) {
		(void)pyi_write_all(file->fd, file->writing.data + file->written, left);
		pyi_buf_release(&file->writing);
		file->writing = (struct pyi_buf)PYI_BUF_INIT;
		file->is_writing = false;
		return;
	}
	/* At the end, wherever that is: commands append, too. */
	io_uring_prep_write(sqe, file->fd, file->writing.data + file->written, (unsigned int)left,
			    (__u64)-1);
	submit(file, sqe, TAG_WRITE);
}

void pyi_event_file_write(struct pyi_event_file *file, struct pyi_buf *lines)
{
	if (file->is_writing)
		return;
	rotate(file, lines->len);
	if (!file->has_uring) {
		/* A full disk does not stop a guest. */
		(void)pyi_write_all(file->fd, lines->data, lines->len);
		lines->len = 0;
		return;
	}
	/* The two take turns. */
	struct pyi_buf spare = file->writing;

	file->writing = *lines;
	spare.len = 0;
	*lines = spare;
	file->written = 0;
	file->is_writing = true;
	write_on(file);
}

static void make_uring(struct pyi_event_file *file)
{
	if (file->tried_uring)
		return;
	file->tried_uring = true;
	file->has_uring = !PYI_FAULT(951, ENOSYS) && io_uring_queue_init(ENTRIES, &file->uring, 0) == 0;
}

static void poll_on(struct pyi_event_file *file)
{
	struct io_uring_sqe *sqe = file->has_uring ? new_request(file, TAG_POLL) : NULL;

	if (!sqe)
		return;
	io_uring_prep_poll_multishot(sqe, file->wait_fd, POLLIN);
	file->is_polling = true;
	submit(file, sqe, TAG_POLL);
}

void pyi_event_file_wait_for(struct pyi_event_file *file, int fd)
{
	struct io_uring_sqe *sqe;

	if (fd >= 0)
		make_uring(file);
	if (file->is_polling && file->wait_fd >= 0 && (sqe = new_request(file, TAG_CANCEL))) {
		io_uring_prep_cancel64(sqe, TAG_POLL, 0);
		submit(file, sqe, TAG_CANCEL);
		file->is_polling = false;
	}
	file->wait_fd = fd;
	if (fd >= 0)
		poll_on(file);
}

int pyi_event_file_fd(const struct pyi_event_file *file, bool is_busy)
{
	if (file->has_uring)
		return file->uring.ring_fd;
	return is_busy ? -1 : file->wait_fd;
}

/* A part of it, or all, is written; or the disk is full, and then the rest is dropped. */
static void on_written(struct pyi_event_file *file, int n)
{
	if (n > 0)
		file->written += (size_t)n;
	if ((n > 0 && file->written < file->writing.len) || n == -EINTR || n == -EAGAIN) {
		write_on(file);
		return;
	}
	file->is_writing = false;
}

bool pyi_event_file_work(struct pyi_event_file *file)
{
	struct io_uring_cqe *cqe;
	bool has_come = false;

	if (!file->has_uring)
		return file->wait_fd >= 0;
	while (io_uring_peek_cqe(&file->uring, &cqe) == 0) {
		uint64_t tag = io_uring_cqe_get_data64(cqe);
		bool is_last = !(cqe->flags & IORING_CQE_F_MORE);
		int n = cqe->res;

		io_uring_cqe_seen(&file->uring, cqe);
		if (tag == TAG_WRITE) {
			on_written(file, n);
		} else if (tag == TAG_POLL && file->wait_fd >= 0 && n != -ECANCELED) {
			has_come = true;
			if (is_last)
				poll_on(file);
		}
	}
	return has_come;
}

static void finish_write(struct pyi_event_file *file)
{
	struct io_uring_cqe *cqe;

	while (file->is_writing && io_uring_wait_cqe(&file->uring, &cqe) == 0)
		(void)pyi_event_file_work(file);
}

void pyi_event_file_free(struct pyi_event_file *file, struct pyi_buf *rest)
{
	if (!file)
		return;
	finish_write(file);
	if (rest && rest->len) {
		rotate(file, rest->len);
		(void)pyi_write_all(file->fd, rest->data, rest->len);
		rest->len = 0;
	}
	if (file->has_uring)
		io_uring_queue_exit(&file->uring);
	pyi_buf_release(&file->writing);
	pyi_close_fd(&file->fd);
	pyi_close_fd(&file->dir_fd);
	free(file);
}
