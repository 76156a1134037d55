/* SPDX-License-Identifier: MIT */
/* The file of event_stream.h, and what waits for its writes and for the sandbox's ring: io_uring, where it is there. */
#ifndef PYI_SUPER_EVENT_FILE_H
#define PYI_SUPER_EVENT_FILE_H

#include <stdbool.h>

struct pyi_buf;
struct pyi_err;
struct pyi_event_file; /* opaque */

int pyi_event_file_new(const char *dir, const char *name, struct pyi_event_file **ret_file,
		       struct pyi_err *err);

/* Writes `rest`, and waits until all is written. */
void pyi_event_file_free(struct pyi_event_file *file, struct pyi_buf *rest);

/* Begin to write what is in *lines, which is empty then; if the last write goes on nothing happens. */
void pyi_event_file_write(struct pyi_event_file *file, struct pyi_buf *lines);

/* Wait for this descriptor, too, until another is named; -1: none. */
void pyi_event_file_wait_for(struct pyi_event_file *file, int fd);

/* Poll this one for reading; -1: there is nothing to wait for. is_busy: what is waited for need not be said. */
int pyi_event_file_fd(const struct pyi_event_file *file, bool is_busy);

/* It is readable, or not: put in order what has come. Was it the descriptor that is waited for? */
bool pyi_event_file_work(struct pyi_event_file *file);

#endif
