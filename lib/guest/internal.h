/* SPDX-License-Identifier: MIT */
/* What the files of lib/guest share. */
#ifndef PYI_GUEST_INTERNAL_H
#define PYI_GUEST_INTERNAL_H

#include <linux/filter.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "guest/guest.h"
#include "kernel/seccomp.h"
#include "wire/report_msg.h"

struct pyi_err;

/*
 * A spec as read: `spec` points into the mapping and the arrays. The text is followed by a NUL in the mapping.
 * pyi_guest_spec_release frees and unmaps; the guest itself keeps it to its end.
 */
struct pyi_guest_spec_map {
	struct pyi_guest_spec spec;
	struct pyi_seccomp seccomp;
	const void *map; /* read-only pages of the memfd: the memory is not the guest's */
	size_t map_len;
	char **strings; /* backing of spec.args and spec.imports */
};

/* Check the seals, map and parse. -EINVAL for whatever pyi_guest_spec_write would not have written. */
int pyi_guest_spec_read(int fd, struct pyi_guest_spec_map *ret_map, struct pyi_err *err);
void pyi_guest_spec_release(struct pyi_guest_spec_map *map);

/* Once, before the interpreter starts: name services that a static program can use. */
void pyi_guest_static_init(void);

/* What this thread's next dlerror() says: the format has one %s, for the name. */
void pyi_guest_dl_fail(const char *format, const char *name) __attribute__((format(printf, 1, 0)));

/* Make the interpreter ready. No file is opened and no thread made. For an image: nothing depends on this process. */
int pyi_guest_python_start(bool for_image, struct pyi_err *err);

/* Allocators and thread stacks follow the process's limits. Part of a start; again in a restored process. */
void pyi_guest_fit_limits(void);

/* All that is the same in every guest: the interpreter, our helper module, builtins. A part of each image. */
int pyi_guest_make_common(bool for_image, struct pyi_err *err);

/* An exception is set: print it, and the error that says which step failed. */
int pyi_guest_python_error(struct pyi_err *err, const char *what);

/* In a restored guest: what the builder's memory has that is another's, or stale, becomes this process's own. */
int pyi_image_mend(struct pyi_err *err);

/* And the time zone: the only part of it that looks up a path. */
int pyi_image_mend_time_zone(struct pyi_err *err);

/* In the builder: what pyi_image_mend will need. */
int pyi_image_mend_prepare(struct pyi_err *err);

/* EROFS makes a PermissionError. 0, or -1. */
int pyi_guest_map_errno(void);

/* Everything of ours is loaded: the garbage collector leaves it aside. */
void pyi_guest_python_freeze(void);
void pyi_guest_python_end(void); /* before Py_FinalizeEx */

/* Memory is full and an exception has to be shown: make room. Under RLIMIT_DATA only; once. */
void pyi_guest_release_reserve(void);

/*
 * The report pipe. pyi_guest_report_open moves it out of the way of the user's own descriptors; the others do nothing
 * before it or once the guest's code has closed it. With the thread attached to the interpreter, except the error.
 */
void pyi_guest_report_open(int fd);
void pyi_guest_report_error(const struct pyi_err *err);
void pyi_guest_report_ready(void); /* and whether it came from an image, or why not */

/* The stage ends now; told with the report that all is ready. */
void pyi_guest_report_stage(enum pyi_guest_stage stage);
void pyi_guest_report_script(const char *path, const char *shown); /* `shown` is kept */
void pyi_guest_report_uncaught(void); /* the exception that is set now; it stays set */

/* From now on each OSError raised is told to the supervisor. 0, or -1 with a Python exception set. */
int pyi_guest_report_oserrors(void);

#endif
