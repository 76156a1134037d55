/* SPDX-License-Identifier: MIT */
/* What an earlier run has found out about this host. */
#ifndef PYI_KERNEL_FACTS_FILE_H
#define PYI_KERNEL_FACTS_FILE_H

struct pyi_facts;

/*
 * Fill in what was kept, if it was this binary, with the same ids, capabilities and namespaces and since the last boot,
 * that found it. ids, is_root and release must be there already. 0 or -errno; then *facts is as it was. Root.
 */
int pyi_facts_recall(struct pyi_facts *facts);

/* Keep them for the next run, if they may be kept. Never fails: the next run probes, then. Root. */
void pyi_facts_keep(const struct pyi_facts *facts);

/* The next run probes. */
void pyi_facts_forget(void);

#endif
