/* SPDX-License-Identifier: MIT */
/* Facts about this host, by trying. */
#ifndef PYI_KERNEL_PROBE_H
#define PYI_KERNEL_PROBE_H

#include <stdbool.h>

struct pyi_facts;

/*
 * What `run` needs; cheap (no fork as root, no BPF load when pins are there). Never fails: what cannot be found out is
 * a fact with an errno.
 */
void pyi_probe_run(struct pyi_facts *ret_facts);

/*
 * The same from what an earlier run has found, where that still holds (facts_file.h). What is only thought to be there
 * may fail when it is used: then forget the file, and probe.
 */
void pyi_probe_run_known(struct pyi_facts *ret_facts, bool *ret_was_known);

/* All of it, for `doctor`: loads BPF programs, makes and removes namespaces and a cgroup. */
void pyi_probe_all(struct pyi_facts *ret_facts);

#endif
