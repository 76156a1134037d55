/* SPDX-License-Identifier: MIT */
/*
 * The log of a named sandbox: NAME.log in a directory of the user's own, mode 0600, and its predecessor NAME.log.1.
 * When a write would take it past its size it becomes the predecessor and a new one begins, so the two together never
 * hold more than twice that. What does not fit on the disk is dropped: a full disk does not stop a guest.
 */
#ifndef PYI_SUPER_LOGFILE_H
#define PYI_SUPER_LOGFILE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct pyi_err;

enum {
	PYI_LOG_SIZE_DEFAULT = 1 << 20,
	PYI_LOG_SIZE_MIN = 4096,
	PYI_LOG_NAME_MAX = 80, /* "NAME.log.1" */
	PYI_LOGS_KEPT = 1024,  /* of ended sandboxes, live ones apart */
};

struct pyi_logfile {
	int dir_fd;
	int fd;
	bool on_stderr; /* descriptor 2 is the log as well */
	uint64_t size_max;
	uint64_t dropped; /* bytes */
	bool in_line;	  /* what was written last has no newline */
	char name[PYI_LOG_NAME_MAX];
};

#define PYI_LOGFILE_INIT { .dir_fd = -1, .fd = -1 }

/* Begin a new one; that of an earlier sandbox of this name goes. dir: the directory's path. */
int pyi_logfile_create(const char *dir, const char *name, uint64_t size_max,
		       struct pyi_logfile *ret_log, struct pyi_err *err);

/* Append, rotating where it is time. */
void pyi_logfile_write(struct pyi_logfile *log, const void *data, size_t len);

/* End a line that the guest began, before we write our own. */
void pyi_logfile_end_line(struct pyi_logfile *log);

/* From now on what this process has to say on stderr goes to the log. 0 or -errno. */
int pyi_logfile_take_stderr(struct pyi_logfile *log);

void pyi_logfile_release(struct pyi_logfile *log);

/*
 * Remove the oldest logs where there are many more than PYI_LOGS_KEPT. is_live(name): a log that is still written to
 * and stays.
 */
void pyi_logfile_trim(const char *dir, bool (*is_live)(const char *name, void *arg), void *arg);

/*
 * Write both files to a descriptor, the older one first. With `end_fd` ≥ 0 follow: go on with what is added, over
 * rotations, until that descriptor is readable (the supervisor's pidfd) and all is written. -ENOENT: there is no log.
 */
int pyi_logfile_show(const char *dir, const char *name, int out_fd, int end_fd, struct pyi_err *err);

/*
 * The same of NAME and this suffix (at most 8 bytes), to a function that returns 0 or -errno. Following ends as well
 * when nobody can read any more what is written to `out_fd`: put() may have nothing to say for long.
 */
struct pyi_logfile_sink {
	int (*put)(void *arg, const char *data, size_t len);
	void *arg;
	int out_fd;
};

int pyi_logfile_show_to(const char *dir, const char *name, const char *suffix,
			const struct pyi_logfile_sink *sink, int end_fd, struct pyi_err *err);

#endif
