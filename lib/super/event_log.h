/* SPDX-License-Identifier: MIT */
/*
 * What happened to a named sandbox: one JSON object on a line each, in NAME.events beside its log (logfile.h), written
 * by its supervisor (event_stream.h) and by commands from outside. Each begins with time_ms (Unix, with 3 decimals)
 * and event:
 *
 *	STATE			{state, pid}: it is in this state from now on; pid is the supervisor's
 *	DENIED, WARNED, CONTRACT_BROKEN
 *				{number, rule, file, op, path (or address, or variable), errno, at, pid, thread}:
 *				as in the result record, but number, which counts them from 0 on (null: a variable,
 *				that it was started with)
 *	EVENTS_LOST		{count, total}: so many of these, more than before, came faster than they
 *				could be taken
 *	MEM_KILL, CPU_THROTTLE, CPU_QUOTA, NET_LIMIT, PIDS_MAX
 *				{figures}: as in the result record, when it was first seen, and at the end if
 *				there was more
 *	POLICY_HOTLOAD		{pid, uid, generation, old, new}: a command swapped the policy; two digests
 *	POLICY_AUTH_FAILED	{pid, uid, wait_ms, failures}: a command had the wrong token
 *
 * At PYI_EVENT_LOG_SIZE the file becomes NAME.events.1, and that one goes.
 */
#ifndef PYI_SUPER_EVENT_LOG_H
#define PYI_SUPER_EVENT_LOG_H

#include <stdint.h>

struct pyi_buf;
struct pyi_err;
struct pyi_json;

#define PYI_EVENT_LOG_SUFFIX ".events"

enum { PYI_EVENT_LOG_SIZE = 1 << 20 };

/* Begin an object in *out, with the time (microseconds of Unix; 0: now) and its name; the caller ends it. */
void pyi_event_begin(struct pyi_json *json, struct pyi_buf *out, uint64_t unix_us, const char *event);

/* Each of these by a command; what cannot be written is not an error of what happened. */
void pyi_event_log_reload(const char *name, uint32_t generation, const uint8_t old_digest[32],
			  const uint8_t new_digest[32]);
void pyi_event_log_token(const char *name, uint64_t wait_ms, uint32_t failures);
void pyi_event_log_state(const char *name, const char *state, int pid);

#endif
