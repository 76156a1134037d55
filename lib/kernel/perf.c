/* SPDX-License-Identifier: MIT */
/* Perf events on a cgroup, and their program; see perf.h. */
#include "kernel/perf.h"

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <linux/perf_event.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/err.h"
#include "base/fault.h"
#include "base/util.h"
#include "kernel/cgroup.h"
#include "perf.skel.h"
#include "plan/facts.h"
#include "pyi_abi.h"

enum { PERIOD_NS = 1000000 };

/* For the supervisor to end the sandbox in, on each CPU: the SIGKILL of the program is for when it does not. */
static const uint64_t grace_ns = 1500000000;

struct pyi_perf {
	struct perf *skel;
	struct pyi_abi_cpu *row; /* the map's own memory */
	int *events;
	size_t n;
};

static long perf_event_open(struct perf_event_attr *attr, int cgroup_fd, int cpu)
{
	return syscall(SYS_perf_event_open, attr, cgroup_fd, cpu, -1,
		       PERF_FLAG_PID_CGROUP | PERF_FLAG_FD_CLOEXEC);
}

void pyi_perf_probe(struct pyi_facts *facts)
{
	if (facts->bpf_perf.errnum)
		return;
	/* It cannot succeed: EFAULT says that nobody stops it before it looks. */
	if (perf_event_open(NULL, -1, 0) >= 0 || errno == EFAULT)
		return;
	facts->bpf_perf.errnum = errno;
	snprintf(facts->bpf_perf.detail, sizeof(facts->bpf_perf.detail), "perf_event_open");
}

void pyi_perf_free(struct pyi_perf *perf)
{
	if (!perf)
		return;
	for (size_t i = 0; i < perf->n; i++)
		pyi_close_fd(&perf->events[i]);
	free(perf->events);
	if (perf->row)
		munmap(perf->row, (size_t)sysconf(_SC_PAGESIZE));
	perf__destroy(perf->skel);
	free(perf);
}

static int silent(enum libbpf_print_level level, const char *format, va_list args)
{
	return 0;
}

static int load(struct pyi_perf *perf, struct pyi_err *err)
{
	libbpf_print_fn_t old = libbpf_set_print(silent);
	void *row;

	perf->skel = PYI_FAULT(560, EPERM) ? NULL : perf__open_and_load();
	libbpf_set_print(old);
	if (!perf->skel)
		return pyi_err_sys(err, errno, "cannot load the BPF program of perf events");
	row = mmap(NULL, (size_t)sysconf(_SC_PAGESIZE), PROT_READ | PROT_WRITE, MAP_SHARED,
		   bpf_map__fd(perf->skel->maps.cpu), 0);
	if (PYI_FAULT(561, ENOMEM) || row == MAP_FAILED)
		return pyi_err_sys(err, errno, "cannot map the BPF program's quota");
	perf->row = row;
	return 0;
}

/* One disabled event for each CPU that is there; those that come later are left to the supervisor's account. */
static int open_events(struct pyi_perf *perf, int cgroup_fd, struct pyi_err *err)
{
	struct perf_event_attr attr = {
		.size = sizeof(attr),
		.type = PERF_TYPE_SOFTWARE,
		.config = PERF_COUNT_SW_CPU_CLOCK,
		.sample_period = PERIOD_NS,
		.disabled = 1,
	};
	int prog = bpf_program__fd(perf->skel->progs.on_tick);
	long n_cpus = sysconf(_SC_NPROCESSORS_CONF);

	perf->events = calloc(n_cpus < 1 ? 1 : (size_t)n_cpus, sizeof(*perf->events));
	if (!perf->events)
		return pyi_err_nomem(err);
	for (int cpu = 0; cpu < n_cpus; cpu++) {
		int event = PYI_FAULT(562, EMFILE) ? -1 : (int)perf_event_open(&attr, cgroup_fd, cpu);

		if (event < 0 && errno == ENODEV)
			continue;
		if (event < 0)
			return pyi_err_sys(err, errno, "perf_event_open on the control group");
		perf->events[perf->n++] = event;
		if (PYI_FAULT(563, EPERM) || ioctl(event, PERF_EVENT_IOC_SET_BPF, prog) < 0)
			return pyi_err_sys(err, errno, "cannot attach the BPF program to a perf event");
	}
	return 0;
}

static int start(struct pyi_perf *perf, struct pyi_cgroup *cgroup, uint64_t quota_ms, struct pyi_err *err)
{
	struct pyi_cgroup_usage usage = { 0 };

	pyi_perf_set_quota(perf, quota_ms);
	(void)pyi_cgroup_usage(cgroup, &usage);
	__atomic_store_n(&perf->row->used_ns, usage.cpu_us * 1000, __ATOMIC_RELAXED);
	for (size_t i = 0; i < perf->n; i++)
		if (ioctl(perf->events[i], PERF_EVENT_IOC_ENABLE, 0) < 0)
			return pyi_err_sys(err, errno, "cannot start a perf event");
	return 0;
}

int pyi_perf_open(struct pyi_cgroup *cgroup, uint64_t quota_ms, struct pyi_perf **ret_perf,
		  struct pyi_err *err)
{
	struct pyi_perf *perf = calloc(1, sizeof(*perf));
	int ret;

	if (!perf)
		return pyi_err_nomem(err);
	ret = load(perf, err);
	if (ret == 0)
		ret = open_events(perf, pyi_cgroup_v2_fd(cgroup), err);
	if (ret == 0)
		ret = start(perf, cgroup, quota_ms, err);
	if (ret < 0) {
		pyi_perf_free(perf);
		return ret;
	}
	*ret_perf = perf;
	return 0;
}

void pyi_perf_set_quota(struct pyi_perf *perf, uint64_t quota_ms)
{
	long n_cpus = sysconf(_SC_NPROCESSORS_CONF);
	uint64_t quota_ns, kill_ns;

	/* So long a time is none that comes. */
	if (__builtin_mul_overflow(quota_ms, 1000000, &quota_ns) ||
	    __builtin_add_overflow(quota_ns, grace_ns * (uint64_t)(n_cpus < 1 ? 1 : n_cpus), &kill_ns))
		quota_ns = kill_ns = UINT64_MAX;
	__atomic_store_n(&perf->row->kill_ns, kill_ns, __ATOMIC_RELAXED);
	__atomic_store_n(&perf->row->quota_ns, quota_ns, __ATOMIC_RELAXED);
}

uint64_t pyi_perf_used_us(const struct pyi_perf *perf)
{
	return __atomic_load_n(&perf->row->used_ns, __ATOMIC_RELAXED) / 1000;
}
