/* SPDX-License-Identifier: MIT */
/*
 * What happened to a live named sandbox by commands from outside: one JSON object on a line each, in
 * "policy/NAME.events" of the state directory. Members: time_ms (Unix), event, pid and uid of the command, then those
 * of the event. At 256 KiB the file is put aside as NAME.events-old; both go with the sandbox.
 */
#ifndef PYI_SUPER_EVENT_LOG_H
#define PYI_SUPER_EVENT_LOG_H

#include <stdint.h>

struct pyi_buf;
struct pyi_err;

/* Swapped: {"generation", "old", "new"}, the last two digests in hex. */
void pyi_event_log_reload(const char *name, uint32_t generation, const uint8_t old_digest[32],
			  const uint8_t new_digest[32]);

/* A wrong token: {"wait_ms", "failures"}. */
void pyi_event_log_token(const char *name, uint64_t wait_ms, uint32_t failures);

/* All of them, oldest first; nothing where there is none. */
int pyi_event_log_read(const char *name, struct pyi_buf *out, struct pyi_err *err);

#endif
