/* SPDX-License-Identifier: MIT */
/* Facts about this host, by trying. */
#ifndef PYI_KERNEL_PROBE_H
#define PYI_KERNEL_PROBE_H

struct pyi_facts;

/*
 * What `run` needs; cheap (no fork as root, no BPF load when pins are there). Never fails: what cannot be found out is
 * a fact with an errno.
 */
void pyi_probe_run(struct pyi_facts *ret_facts);

/* All of it, for `doctor`: loads BPF programs, makes and removes namespaces and a cgroup. */
void pyi_probe_all(struct pyi_facts *ret_facts);

#endif
