/* SPDX-License-Identifier: MIT */
/*
 * One NUMA node: which CPUs it has, and binding a process to them and to its memory. See sched_setaffinity(2),
 * set_mempolicy(2), and Documentation/admin-guide/mm/numa_memory_policy.rst of the kernel.
 */
#ifndef PYI_KERNEL_NUMA_H
#define PYI_KERNEL_NUMA_H

#include <stdint.h>

struct pyi_err;
struct pyi_numa;

/* A node with CPUs and memory; what is not there is -ENOENT with a list of those that are. */
int pyi_numa_find(uint32_t node, struct pyi_numa *ret_numa, struct pyi_err *err);

/*
 * The calling thread and all it starts run on these CPUs alone and get their memory from this node alone. Both are read
 * back. A cpuset narrows the CPUs further; one that holds none of them is an error. Needs no privilege, and so keeps
 * nobody who may make the same calls: the system call filter takes them away (pyi_seccomp_spec.keeps_cpus).
 */
int pyi_numa_bind(const struct pyi_numa *numa, struct pyi_err *err);

#endif
