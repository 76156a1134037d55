/* SPDX-License-Identifier: MIT */
/*
 * The BPF programs that trace one sandbox (bpf/trace.bpf.c): loaded for one run, attached to the kernel's tracepoints
 * of system calls and exec, with a ring of their own. Nothing is pinned: all of it goes when the descriptors are
 * closed, with the process if need be. Root; a kernel with BTF and open-coded iterators (6.4).
 *
 * While it is there each system call of every process of the machine goes the kernel's longer way, and pays for a look
 * at its cgroup.
 */
#ifndef PYI_KERNEL_TRACE_H
#define PYI_KERNEL_TRACE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct pyi_abi_python;
struct pyi_asked;
struct pyi_err;

struct pyi_trace; /* opaque */

/* How many bytes of the ring have to be filled until pyi_trace_fd is readable; less is fetched by who looks. */
enum { PYI_TRACE_RING_BYTES = 4 << 20, PYI_TRACE_WAKE_BYTES = 1 << 20 };

struct pyi_trace_setup {
	uint64_t cgroup_id; /* v2 */
	bool is_command; /* tell of it from its exec on, else from when the guest says that it is ready */
	/* Where the guest's Python keeps its frames; NULL: records have no lines. Copied. */
	const struct pyi_abi_python *python;
	uint64_t start_us; /* times of records begin here; CLOCK_MONOTONIC */
};

/* The caller frees it. */
int pyi_trace_open(const struct pyi_trace_setup *setup, struct pyi_trace **ret_trace,
		   struct pyi_err *err);
void pyi_trace_free(struct pyi_trace *trace);

/* To poll for. */
int pyi_trace_fd(const struct pyi_trace *trace);

/*
 * Take at most max records out of the ring; each is handed to `each`, who has to clear it. Returns how many, fewer when
 * the ring is empty, or -errno.
 */
int pyi_trace_take(struct pyi_trace *trace, size_t max,
		   void (*each)(struct pyi_asked *asked, void *arg), void *arg);

/* Records that found no room in the ring, so far. */
uint64_t pyi_trace_lost(const struct pyi_trace *trace);

#endif
