/* SPDX-License-Identifier: MIT */
/*
 * The kernel's own guard over a sandbox's CPU time (bpf/perf.bpf.c): a perf event for each CPU on the cgroup, and
 * the program that counts its ticks and sends the signals. Root, cgroup v2.
 *
 * The first such event of the whole machine waits 5 to 10 ms for a grace period, in the kernel and not to be
 * interrupted, so it has no place on the way to the guest's start. Ticks undercount what sleeps often (by less than
 * one tick a wake-up): the cgroup's own account says what was used, this one acts while the supervisor cannot.
 */
#ifndef PYI_KERNEL_PERF_H
#define PYI_KERNEL_PERF_H

#include <stdint.h>

struct pyi_cgroup;
struct pyi_err;
struct pyi_facts;

struct pyi_perf; /* opaque: descriptors; all of it goes when they are closed */

/*
 * Put the guard in force: what the cgroup has used so far counts. Touches nothing but the cgroup's descriptors, so a
 * second thread may do it. The caller frees it.
 */
int pyi_perf_open(struct pyi_cgroup *cgroup, uint64_t quota_ms, struct pyi_perf **ret_perf,
		  struct pyi_err *err);
void pyi_perf_free(struct pyi_perf *perf);

/* A new quota, for what was used and what will be. */
void pyi_perf_set_quota(struct pyi_perf *perf, uint64_t quota_ms);

/* What the ticks say was used. */
uint64_t pyi_perf_used_us(const struct pyi_perf *perf);

/* Fill facts->bpf_perf without opening an event: does anybody forbid the call? */
void pyi_perf_probe(struct pyi_facts *facts);

#endif
