/* SPDX-License-Identifier: MIT */
/* Marks of the clock in a shared page; see timing.h. */
#include "base/timing.h"

#include <stdatomic.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <time.h>

enum { MARKS_MAX = 120, N_WHO = PYI_TIMING_GUEST + 1 };

struct mark {
	_Atomic uint64_t ns; /* 0: not written yet */
	const char *stage;
	enum pyi_timing_who who;
};

struct pyi_timing_page {
	_Atomic size_t n;
	struct mark marks[MARKS_MAX];
};

struct pyi_timing_page *pyi_cached_timing_page;

static uint64_t now_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000000000U + (uint64_t)now.tv_nsec;
}

void pyi_timing_start(void)
{
	void *page = mmap(NULL, sizeof(struct pyi_timing_page), PROT_READ | PROT_WRITE,
			  MAP_SHARED | MAP_ANONYMOUS, -1, 0);

	if (page == MAP_FAILED)
		return;
	pyi_cached_timing_page = page;
	pyi_timing_add(PYI_TIMING_SUPERVISOR, "start");
}

static void add(enum pyi_timing_who who, const char *stage, uint64_t ns)
{
	struct pyi_timing_page *page = pyi_cached_timing_page;
	size_t i = atomic_fetch_add(&page->n, 1);

	if (i >= MARKS_MAX)
		return;
	page->marks[i].stage = stage;
	page->marks[i].who = who;
	atomic_store(&page->marks[i].ns, ns);
}

void pyi_timing_add(enum pyi_timing_who who, const char *stage)
{
	add(who, stage, now_ns());
}

void pyi_timing_add_at(enum pyi_timing_who who, const char *stage, uint64_t ns)
{
	struct pyi_timing_page *page = pyi_cached_timing_page;
	size_t marks = page ? atomic_load(&page->n) : 0;

	if (!marks || ns > now_ns())
		return;
	for (size_t i = 0; i < marks && i < MARKS_MAX; i++)
		if (page->marks[i].who == who && atomic_load(&page->marks[i].ns) > ns)
			return;
	add(who, stage, ns);
}

static int by_time(const void *a, const void *b)
{
	const struct pyi_timing *x = a, *y = b;

	return (x->ns > y->ns) - (x->ns < y->ns);
}

size_t pyi_timing_get(struct pyi_timing *ret, size_t max)
{
	struct pyi_timing_page *page = pyi_cached_timing_page;
	uint64_t last[N_WHO] = { 0 };
	size_t n = 0, marks = page ? atomic_load(&page->n) : 0;

	for (size_t i = 0; i < marks && i < MARKS_MAX && n < max; i++) {
		uint64_t ns = atomic_load(&page->marks[i].ns);

		if (ns)
			ret[n++] = (struct pyi_timing){ ns, 0, page->marks[i].who, page->marks[i].stage };
	}
	if (n)
		qsort(ret, n, sizeof(*ret), by_time);
	for (size_t i = 0; i < n; i++) {
		enum pyi_timing_who who = ret[i].who;

		/* A process begins where its parent was last seen. */
		if (!last[who])
			last[who] = i ? last[who ? who - 1 : 0] : ret[0].ns;
		ret[i].took_ns = last[who] && ret[i].ns > last[who] ? ret[i].ns - last[who] : 0;
		last[who] = ret[i].ns;
	}
	return n;
}
