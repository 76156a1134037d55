/* SPDX-License-Identifier: MIT */
/*
 * Limits of one process. They hold in every mode and stand in for the cgroup where there is none, as far as they can:
 * a limit per process is not a limit for the sandbox.
 */
#include <errno.h>
#include <sys/resource.h>

#include "base/err.h"
#include "plan/build.h"
#include "plan/facts.h"

enum {
	PYI_DEFAULT_OPEN_FILES = 1024,
	PYI_MEMLOCK_BYTES = 64 << 10,
};

static const uint64_t default_tmp_bytes = 64 << 20;

/* Address space that is reserved but not used: allocators and thread stacks take some before the first byte. */
static const uint64_t address_space_slack = 2ULL << 30;

static int add(struct pyi_build *b, int resource, uint64_t soft, uint64_t hard, struct pyi_err *err)
{
	struct pyi_rlimit_row *row = pyi_build_grow(&b->plan->rlimits, &b->plan->n_rlimits,
						    sizeof(*row));

	if (!row)
		return pyi_err_nomem(err);
	*row = (struct pyi_rlimit_row){ .resource = resource, .soft = soft, .hard = hard };
	return 0;
}

/* Where the sandbox may get other limits while it runs, and we may not give its processes theirs. */
static bool is_by_group(const struct pyi_build *b)
{
	return b->options->limits_by_group && b->plan->layers[PYI_LAYER_CGROUP].state == PYI_LAYER_ON;
}

static int add_memory(struct pyi_build *b, struct pyi_err *err)
{
	uint64_t bytes = b->plan->limits.memory_bytes;
	int r;

	if (!bytes || is_by_group(b))
		return 0;
	/*
	 * An allocation that cannot fit fails with ENOMEM and becomes a MemoryError, where the cgroup alone would only
	 * kill. Private writable memory counts, untouched too (getrlimit(2), since Linux 4.7).
	 */
	r = add(b, RLIMIT_DATA, bytes, bytes, err);
	if (r || b->plan->layers[PYI_LAYER_CGROUP].state == PYI_LAYER_ON)
		return r;
	/* Shared anonymous memory is not in RLIMIT_DATA. Commands may reserve any amount they never touch. */
	if (b->options->guest == PYI_GUEST_PYTHON && bytes < UINT64_MAX - address_space_slack)
		return add(b, RLIMIT_AS, bytes + address_space_slack, bytes + address_space_slack, err);
	return 0;
}

static int add_processes(struct pyi_build *b, struct pyi_err *err)
{
	const struct pyi_plan *plan = b->plan;

	if (!plan->limits.pids || plan->layers[PYI_LAYER_CGROUP].state == PYI_LAYER_ON)
		return 0;
	/* It counts processes of one user id in one user namespace: only where that is the sandbox's own. */
	if (!plan->use_userns && !b->facts->is_root)
		return pyi_build_warn(b, err,
				      "limits: pids: %u is not enforced without the cgroup layer",
				      plan->limits.pids);
	/* The sandbox's init is one more process of that user. */
	return add(b, RLIMIT_NPROC, (uint64_t)plan->limits.pids + 1,
		   (uint64_t)plan->limits.pids + 1, err);
}

int pyi_build_rlimits(struct pyi_build *b, struct pyi_err *err)
{
	struct pyi_limits *limits = &b->plan->limits;
	int r;

	*limits = b->policy->limits;
	if (!limits->open_files)
		limits->open_files = PYI_DEFAULT_OPEN_FILES;
	if (!limits->tmp_bytes)
		limits->tmp_bytes = default_tmp_bytes;
	/* 0 would still start a handler that core_pattern pipes to, outside and as root; 1 does not (core(5)). */
	r = add(b, RLIMIT_CORE, 1, 1, err);
	if (!r)
		r = add(b, RLIMIT_NOFILE, limits->open_files, limits->open_files, err);
	if (!r)
		r = add(b, RLIMIT_MEMLOCK, PYI_MEMLOCK_BYTES, PYI_MEMLOCK_BYTES, err);
	if (!r)
		r = add(b, RLIMIT_MSGQUEUE, 0, 0, err);
	if (!r)
		r = add(b, RLIMIT_RTPRIO, 0, 0, err);
	if (!r)
		r = add(b, RLIMIT_NICE, 0, 0, err);
	if (!r && limits->cpu_time_ms && !is_by_group(b)) {
		/* Whole seconds, per process; the supervisor watches the sum to the millisecond. */
		uint64_t seconds = limits->cpu_time_ms / 1000 + (limits->cpu_time_ms % 1000 != 0);

		r = add(b, RLIMIT_CPU, seconds, seconds + 1, err);
	}
	if (!r)
		r = add_memory(b, err);
	if (!r)
		r = add_processes(b, err);
	b->plan->numa = b->options->numa;
	if (!r && b->plan->numa && !b->plan->use_seccomp)
		r = pyi_build_warn(
			b, err, "limits: numa: without the seccomp layer the guest can leave the node");
	return r;
}
