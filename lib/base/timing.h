/* SPDX-License-Identifier: MIT */
/*
 * Where the time of a start goes: marks of the monotonic clock, each at the end of a stage, by the supervisor and by
 * the processes it forks up to their exec. They stand in one shared page that is only there when asked for; else a
 * mark is a load and a branch. What is executed has no way to the page: what a guest says of its own stages, the
 * supervisor enters, between the marks before and after.
 */
#ifndef PYI_BASE_TIMING_H
#define PYI_BASE_TIMING_H

#include <stddef.h>
#include <stdint.h>

enum pyi_timing_who { PYI_TIMING_SUPERVISOR, PYI_TIMING_INIT, PYI_TIMING_GUEST };

struct pyi_timing_page;
extern struct pyi_timing_page *pyi_cached_timing_page; /* NULL: off */

/* From here on marks are kept. Where there is no memory for them they are not. */
void pyi_timing_start(void);

void pyi_timing_add(enum pyi_timing_who who, const char *stage);

/* A stage that another process says has ended at this time. Kept if it lies after all marks so far, and not ahead. */
void pyi_timing_add_at(enum pyi_timing_who who, const char *stage, uint64_t ns);

/* The stage that ends now. `stage` is a string constant. */
static inline void pyi_timing_mark(enum pyi_timing_who who, const char *stage)
{
	if (pyi_cached_timing_page)
		pyi_timing_add(who, stage);
}

struct pyi_timing {
	uint64_t ns; /* CLOCK_MONOTONIC; the first one of all is the start */
	uint64_t took_ns; /* since the same process's mark before, or since the mark it was forked after */
	enum pyi_timing_who who;
	const char *stage;
};

/* The marks so far, in the order of time. Returns how many, at most max. */
size_t pyi_timing_get(struct pyi_timing *ret, size_t max);

#endif
