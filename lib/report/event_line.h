/* SPDX-License-Identifier: MIT */
/* A line of NAME.events (super/event_log.h) for people. */
#ifndef PYI_REPORT_EVENT_LINE_H
#define PYI_REPORT_EVENT_LINE_H

#include <stddef.h>

struct pyi_buf;

/*
 * From one JSON object without its newline, all of whose members are plain values:
 *
 *	2026-11-22T09:30:01.123Z  DENIED  connect 127.0.0.1:81  EPERM  by net: default  at job.py:12  in 4711/4712
 *	2026-11-22T09:30:01.123Z  STATE  state=running  pid=4700
 *
 * What is none of ours is copied as it is. Texts stay escaped as they are in JSON: they may be a guest's, and go to a
 * terminal.
 */
void pyi_event_line_print(const char *line, size_t len, struct pyi_buf *out);

#endif
