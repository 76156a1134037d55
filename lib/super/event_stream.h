/* SPDX-License-Identifier: MIT */
/*
 * The supervisor's side of NAME.events (event_log.h): what it knows itself is written when it happens, and the denials
 * are drained from the sandbox's ring while the guest runs. Only named sandboxes have one.
 *
 * Nothing here waits: waiting and writing are io_uring's, whose descriptor the event loop polls; where there is no
 * io_uring the loop polls the ring, and the file is written to directly. However fast a guest is refused, the draining
 * takes a fifth of a CPU at most; what the ring had no room for meanwhile is counted, and said.
 */
#ifndef PYI_SUPER_EVENT_STREAM_H
#define PYI_SUPER_EVENT_STREAM_H

#include <stdint.h>

#include "report/kernel_events.h"

struct pyi_bpf;
struct pyi_err;
struct pyi_policy;

struct pyi_event_stream; /* opaque */

/* Begin the file, in this directory; that of an earlier sandbox of the name goes. */
int pyi_event_stream_new(const char *dir, const char *name, struct pyi_event_stream **ret_stream,
			 struct pyi_err *err);

/* Writes what is left. NULL is fine, here and below. */
void pyi_event_stream_free(struct pyi_event_stream *stream);

void pyi_event_stream_state(struct pyi_event_stream *stream, const char *state);
void pyi_event_stream_kernel(struct pyi_event_stream *stream, enum pyi_kernel_event_kind kind,
			     const struct pyi_kernel_event *event);

/* Something that was let through at the start, before there is anybody to record it. */
struct pyi_denial;
void pyi_event_stream_warned(struct pyi_event_stream *stream, const struct pyi_denial *denial);

/*
 * Denials of this cgroup from now on. Where there can be no ring those that the kernel keeps are told at the end.
 * find_policy: by which events of this era were judged, NULL when unknown.
 */
struct pyi_event_source {
	struct pyi_bpf *bpf;
	uint64_t cgroup;
	const struct pyi_policy *(*find_policy)(void *arg, uint16_t era);
	void *arg;
};

void pyi_event_stream_attach(struct pyi_event_stream *stream, const struct pyi_event_source *source);

/* The guest is gone: the rest of its denials, and what was lost of them; then it is detached. */
void pyi_event_stream_detach(struct pyi_event_stream *stream);

/* For the event loop: poll this one for reading (-1: none), and call _work then, or when it is due (0: it is not). */
int pyi_event_stream_fd(const struct pyi_event_stream *stream);
uint64_t pyi_event_stream_due_us(const struct pyi_event_stream *stream);
void pyi_event_stream_work(struct pyi_event_stream *stream, uint64_t now_us);

#endif
