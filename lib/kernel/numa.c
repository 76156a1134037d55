/* SPDX-License-Identifier: MIT */
/* NUMA nodes; see numa.h. */
#include "kernel/numa.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/mempolicy.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/err.h"
#include "base/fault.h"
#include "base/io.h"
#include "base/util.h"
#include "kernel/sys.h"
#include "plan/facts.h"

#define NODES "/sys/devices/system/node/"

enum {
	WORD_BITS = 64,
	NODES_MAX = 1024, /* MAX_NUMNODES of the largest configuration */
	LIST_MAX = 4096,  /* sysfs files have a page */
};

/* "0-3,8,10-11"; the numbers below max as bits. False for what is no list. */
static bool parse_list(const char *text, uint64_t *bits, unsigned long max)
{
	while (*text) {
		char *end;
		unsigned long from = strtoul(text, &end, 10), to = from;

		if (end == text)
			return false;
		if (*end == '-') {
			text = end + 1;
			to = strtoul(text, &end, 10);
			if (end == text)
				return false;
		}
		for (unsigned long i = from; i <= to && i < max; i++)
			bits[i / WORD_BITS] |= UINT64_C(1) << i % WORD_BITS;
		if (*end && *end != ',')
			return false;
		text = end + (*end == ',');
	}
	return true;
}

static bool has_node(const char *file, uint32_t node, char text[LIST_MAX])
{
	uint64_t nodes[NODES_MAX / WORD_BITS] = { 0 };

	return node < NODES_MAX && pyi_read_at(AT_FDCWD, file, text, LIST_MAX) > 0 &&
	       parse_list(text, nodes, NODES_MAX) &&
	       nodes[node / WORD_BITS] & UINT64_C(1) << node % WORD_BITS;
}

int pyi_numa_find(uint32_t node, struct pyi_numa *ret_numa, struct pyi_err *err)
{
	struct pyi_numa numa = { .node = node };
	char text[LIST_MAX], file[64];
	ssize_t n;

	if (pyi_read_at(AT_FDCWD, NODES "online", text, sizeof(text)) <= 0)
		return pyi_err_set(err, ENOENT,
				   "limits: numa: this kernel knows no nodes (there is no '" NODES
				   "online')");
	if (!has_node(NODES "online", node, text))
		return pyi_err_set(err, ENOENT,
				   "limits: numa: there is no node %u: this host has %.200s", node,
				   text);
	if (!has_node(NODES "has_memory", node, text))
		return pyi_err_set(err, ENOENT,
				   "limits: numa: node %u has no memory: take one of %.200s", node,
				   text);
	if (!has_node(NODES "has_cpu", node, text))
		return pyi_err_set(err, ENOENT, "limits: numa: node %u has no CPUs: take one of %.200s",
				   node, text);
	snprintf(file, sizeof(file), NODES "node%u/cpulist", node);
	n = pyi_read_at(AT_FDCWD, file, text, sizeof(text));
	if (n < 0)
		return pyi_err_sys(err, (int)-n, "limits: numa: cannot read '%s'", file);
	if (n == 0 || !parse_list(text, numa.cpus, PYI_CPUS_MAX))
		return pyi_err_set(err, EINVAL, "limits: numa: '%s' is no list of CPUs", file);
	snprintf(numa.cpu_list, sizeof(numa.cpu_list), "%.*s", (int)sizeof(numa.cpu_list) - 1, text);
	*ret_numa = numa;
	return 0;
}

static int bind_cpus(const struct pyi_numa *numa, struct pyi_err *err)
{
	uint64_t now[PYI_CPUS_MAX / WORD_BITS] = { 0 }, some = 0, other = 0;

	if (PYI_FAULT(355, EINVAL) || pyi_sys_sched_setaffinity(numa->cpus, sizeof(numa->cpus)) < 0)
		return pyi_err_sys(
			err, errno,
			"limits: numa: cannot run on the CPUs of node %u (%.100s), which a cpuset may withhold",
			numa->node, numa->cpu_list);
	if (pyi_sys_sched_getaffinity(now, sizeof(now)) < 0)
		return pyi_err_sys(err, errno, "limits: numa: cannot read the CPUs back");
	for (size_t i = 0; i < PYI_ARRAY_SIZE(now); i++) {
		some |= now[i];
		other |= now[i] & ~numa->cpus[i];
	}
	return some && !other ? 0
			      : pyi_err_set(err, EPERM,
					    "limits: numa: the CPUs are not those of node %u as set",
					    numa->node);
}

static int bind_memory(const struct pyi_numa *numa, struct pyi_err *err)
{
	uint64_t nodes[NODES_MAX / WORD_BITS] = { 0 }, now[NODES_MAX / WORD_BITS] = { 0 };
	int mode = MPOL_DEFAULT;

	nodes[numa->node / WORD_BITS] = UINT64_C(1) << numa->node % WORD_BITS;
	/* The kernel counts one bit less than it is told. */
	if (PYI_FAULT(356, EPERM) || pyi_sys_set_mempolicy(MPOL_BIND, nodes, NODES_MAX + 1) < 0)
		return pyi_err_sys(err, errno, "limits: numa: cannot take memory from node %u alone",
				   numa->node);
	if (pyi_sys_get_mempolicy(&mode, now, NODES_MAX + 1) < 0)
		return pyi_err_sys(err, errno, "limits: numa: cannot read the memory policy back");
	return mode == MPOL_BIND && memcmp(nodes, now, sizeof(now)) == 0
		       ? 0
		       : pyi_err_set(err, EPERM,
				     "limits: numa: the memory policy is not that of node %u as set",
				     numa->node);
}

int pyi_numa_bind(const struct pyi_numa *numa, struct pyi_err *err)
{
	int ret = bind_cpus(numa, err);

	return ret ? ret : bind_memory(numa, err);
}
