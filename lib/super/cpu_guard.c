/* SPDX-License-Identifier: MIT */
/* The guard over CPU time, made in time; see cpu_guard.h. */
#include "super/cpu_guard.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/err.h"
#include "kernel/perf.h"
#include "plan/layer.h"

/* A run that is shorter than this never pays; nor can it have computed for longer than this on each CPU. */
enum { DELAY_MAX_US = 100000 };

struct pyi_cpu_guard {
	struct pyi_cgroup *cgroup;
	uint64_t quota_ms; /* UINT64_MAX: none; the thread reads it */
	pthread_t thread;
	bool has_thread;
	struct pyi_perf *perf; /* NULL until it is in force; written by the thread */
	struct pyi_err err;    /* the thread's until it is joined */
};

struct pyi_cpu_guard *pyi_cpu_guard_new(struct pyi_cgroup *cgroup, uint64_t quota_ms)
{
	struct pyi_cpu_guard *guard = calloc(1, sizeof(*guard));

	if (guard) {
		guard->cgroup = cgroup;
		guard->quota_ms = quota_ms;
	}
	return guard;
}

int pyi_cpu_guard_make(struct pyi_cpu_guard *guard, struct pyi_err *err)
{
	struct pyi_perf *perf = NULL;
	uint64_t quota_ms = __atomic_load_n(&guard->quota_ms, __ATOMIC_SEQ_CST);
	int ret = pyi_perf_open(guard->cgroup, quota_ms, &perf, err);

	__atomic_store_n(&guard->perf, perf, __ATOMIC_SEQ_CST);
	/* A reload may have set another one meanwhile: either it sees the new perf, or we see the new quota. */
	if (perf && __atomic_load_n(&guard->quota_ms, __ATOMIC_SEQ_CST) != quota_ms)
		pyi_perf_set_quota(perf, __atomic_load_n(&guard->quota_ms, __ATOMIC_SEQ_CST));
	return ret;
}

void pyi_cpu_guard_set_quota(struct pyi_cpu_guard *guard, uint64_t quota_ms)
{
	struct pyi_perf *perf;

	__atomic_store_n(&guard->quota_ms, quota_ms ? quota_ms : UINT64_MAX, __ATOMIC_SEQ_CST);
	perf = __atomic_load_n(&guard->perf, __ATOMIC_SEQ_CST);
	if (perf)
		pyi_perf_set_quota(perf, guard->quota_ms);
}

uint64_t pyi_cpu_guard_delay_us(const struct pyi_cpu_guard *guard)
{
	long n_cpus = sysconf(_SC_NPROCESSORS_ONLN);
	uint64_t us = guard->quota_ms < 3600000 ? guard->quota_ms * 1000 : DELAY_MAX_US;

	/* When it may have used a quarter of its quota at the most. */
	us /= 4 * (uint64_t)(n_cpus < 1 ? 1 : n_cpus);
	return us < DELAY_MAX_US ? us : DELAY_MAX_US;
}

static void *make_beside(void *arg)
{
	struct pyi_cpu_guard *guard = arg;

	(void)pyi_cpu_guard_make(guard, &guard->err);
	return NULL;
}

void pyi_cpu_guard_begin(struct pyi_cpu_guard *guard)
{
	int errnum;

	if (guard->has_thread || __atomic_load_n(&guard->perf, __ATOMIC_ACQUIRE))
		return;
	/* Signals to forward stay blocked in the thread as they are here. */
	errnum = pthread_create(&guard->thread, NULL, make_beside, guard);
	if (errnum)
		pyi_err_sys(&guard->err, errnum, "cannot start a thread");
	else
		guard->has_thread = true;
}

void pyi_cpu_guard_end(struct pyi_cpu_guard *guard)
{
	if (guard->has_thread)
		pthread_join(guard->thread, NULL);
	guard->has_thread = false;
}

void pyi_cpu_guard_tell(const struct pyi_cpu_guard *guard, struct pyi_layer_status *status)
{
	if (!guard->err.errnum)
		return;
	status->state = PYI_LAYER_OFF;
	snprintf(status->why, sizeof(status->why), "%.190s", guard->err.msg);
}

bool pyi_cpu_guard_is_spent(const struct pyi_cpu_guard *guard)
{
	const struct pyi_perf *perf = __atomic_load_n(&guard->perf, __ATOMIC_ACQUIRE);

	return perf && pyi_perf_used_us(perf) / 1000 >= guard->quota_ms;
}

void pyi_cpu_guard_free(struct pyi_cpu_guard *guard)
{
	if (!guard)
		return;
	pyi_cpu_guard_end(guard);
	pyi_perf_free(guard->perf);
	free(guard);
}
