/* SPDX-License-Identifier: MIT */
/* The system calls that a trace tells of, and what a record of one says. Pure. */
#ifndef PYI_KERNEL_TRACE_CALLS_H
#define PYI_KERNEL_TRACE_CALLS_H

#include <stddef.h>
#include <stdint.h>

#include "trace_abi.h"

struct pyi_asked;

/* The table by which the programs know what is where; calls[number of a system call]. */
void pyi_trace_calls(struct pyi_trace_call calls[PYI_TRACE_CALLS]);

/*
 * What one record of the ring says; its times begin at start_us (CLOCK_MONOTONIC). 0: *ret_asked is the caller's to
 * clear; -EPROTO: it is none; -ENOMEM.
 */
int pyi_trace_decode(const void *data, size_t size, uint64_t start_us, struct pyi_asked *ret_asked);

#endif
