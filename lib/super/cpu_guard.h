/* SPDX-License-Identifier: MIT */
/*
 * When the kernel's guard over CPU time is put in force (kernel/perf.h). Making it takes milliseconds that a short
 * run need not pay: so it is made beside the running guest, by a thread, and only once the guest has lived for a
 * while. Until then the supervisor's account is the only one. With --require it is made before the guest starts.
 */
#ifndef PYI_SUPER_CPU_GUARD_H
#define PYI_SUPER_CPU_GUARD_H

#include <stdbool.h>
#include <stdint.h>

struct pyi_cgroup;
struct pyi_err;
struct pyi_layer_status;

struct pyi_cpu_guard; /* opaque */

/* Makes nothing yet. The cgroup must outlive it. NULL: no memory. */
struct pyi_cpu_guard *pyi_cpu_guard_new(struct pyi_cgroup *cgroup, uint64_t quota_ms);

/* Make it now. */
int pyi_cpu_guard_make(struct pyi_cpu_guard *guard, struct pyi_err *err);

/* How long after its start a guest is worth it, in microseconds; and the order to begin, which returns at once. */
uint64_t pyi_cpu_guard_delay_us(const struct pyi_cpu_guard *guard);
void pyi_cpu_guard_begin(struct pyi_cpu_guard *guard);

/* Another quota from now on; 0: none. */
void pyi_cpu_guard_set_quota(struct pyi_cpu_guard *guard, uint64_t quota_ms);

/* After the guest's end: waits for the thread. */
void pyi_cpu_guard_end(struct pyi_cpu_guard *guard);

/* And then: a guard that could not be made turns the layer's status to off, with the reason. */
void pyi_cpu_guard_tell(const struct pyi_cpu_guard *guard, struct pyi_layer_status *status);

/* At any time: did the kernel see the quota spent, and send its signals? */
bool pyi_cpu_guard_is_spent(const struct pyi_cpu_guard *guard);

void pyi_cpu_guard_free(struct pyi_cpu_guard *guard);

#endif
