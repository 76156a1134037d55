/* SPDX-License-Identifier: MIT */
/* See trace.h. */
#include "kernel/trace.h"

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <stdlib.h>

#include "base/err.h"
#include "base/fault.h"
#include "base/util.h"
#include "kernel/trace_calls.h"
#include "report/asked.h"
#include "trace.skel.h"
#include "wire/report_msg.h"

struct pyi_trace {
	struct trace *skel;
	struct ring_buffer *ring;
	uint64_t start_us;
	uint64_t dropped; /* records that there was no memory for */
	void (*each)(struct pyi_asked *asked, void *arg);
	void *arg;
};

static int silent(enum libbpf_print_level level, const char *format, va_list args)
{
	return 0;
}

static int on_record(void *arg, void *data, size_t size)
{
	struct pyi_trace *trace = arg;
	struct pyi_asked asked;

	if (pyi_trace_decode(data, size, trace->start_us, &asked) == 0)
		trace->each(&asked, trace->arg);
	else
		trace->dropped++;
	return 0;
}

static int load(struct pyi_trace *trace, const struct pyi_trace_setup *setup, struct pyi_err *err)
{
	struct trace *skel = trace->skel;
	int ret;

	skel->rodata->sandbox = setup->cgroup_id;
	skel->rodata->is_command = setup->is_command;
	skel->rodata->ready_type = PYI_REPORT_READY;
	skel->rodata->ready_bytes = sizeof(struct pyi_report_msg);
	skel->rodata->wake_bytes = PYI_TRACE_WAKE_BYTES;
	if (setup->python)
		skel->bss->python = *setup->python;
	pyi_trace_calls((struct pyi_trace_call *)skel->rodata->calls);
	ret = bpf_map__set_max_entries(skel->maps.ring, PYI_TRACE_RING_BYTES);
	if (ret == 0)
		ret = PYI_FAULT(570, EPERM) ? -errno : trace__load(skel);
	if (ret < 0)
		return pyi_err_sys(err, -ret, "cannot load the BPF programs of a trace");
	ret = PYI_FAULT(571, EPERM) ? -errno : trace__attach(skel);
	if (ret < 0)
		return pyi_err_sys(err, -ret, "cannot attach the BPF programs of a trace");
	trace->ring = PYI_FAULT(572, ENOMEM)
			      ? NULL
			      : ring_buffer__new(bpf_map__fd(skel->maps.ring), on_record, trace, NULL);
	if (!trace->ring)
		return pyi_err_sys(err, errno, "cannot map the ring of a trace");
	return 0;
}

int pyi_trace_open(const struct pyi_trace_setup *setup, struct pyi_trace **ret_trace, struct pyi_err *err)
{
	libbpf_print_fn_t old = libbpf_set_print(silent);
	struct pyi_trace *trace = calloc(1, sizeof(*trace));
	int ret;

	if (trace)
		trace->skel = trace__open();
	if (!trace || !trace->skel) {
		ret = pyi_err_nomem(err);
	} else {
		trace->start_us = setup->start_us;
		ret = load(trace, setup, err);
	}
	libbpf_set_print(old);
	if (ret < 0) {
		pyi_trace_free(trace);
		return ret;
	}
	*ret_trace = trace;
	return 0;
}

void pyi_trace_free(struct pyi_trace *trace)
{
	if (!trace)
		return;
	ring_buffer__free(trace->ring);
	trace__destroy(trace->skel);
	free(trace);
}

int pyi_trace_fd(const struct pyi_trace *trace)
{
	return ring_buffer__epoll_fd(trace->ring);
}

int pyi_trace_take(struct pyi_trace *trace, size_t max,
		   void (*each)(struct pyi_asked *asked, void *arg), void *arg)
{
	trace->each = each;
	trace->arg = arg;
	return ring_buffer__consume_n(trace->ring, max);
}

/* A program that would run while it runs already, on the same CPU, is passed over by the kernel. */
static uint64_t misses(const struct bpf_program *prog)
{
	struct bpf_prog_info info = { 0 };
	uint32_t size = sizeof(info);

	return bpf_prog_get_info_by_fd(bpf_program__fd(prog), &info, &size) ? 0 : info.recursion_misses;
}

uint64_t pyi_trace_lost(const struct pyi_trace *trace)
{
	return __atomic_load_n(&trace->skel->bss->lost, __ATOMIC_RELAXED) + trace->dropped +
	       misses(trace->skel->progs.trace_call) + misses(trace->skel->progs.trace_exec);
}
