/* SPDX-License-Identifier: MIT */
/*
 * Uses of files and programs that the policy warns of, where the BPF LSM programs cannot tell of them: from the records
 * of the tracer, which a run in mode `dev` then has.
 */
#ifndef PYI_SUPER_WARNED_H
#define PYI_SUPER_WARNED_H

#include <stdbool.h>

struct pyi_run;

/* Is it to be traced for that? The facts of the host are known. */
bool pyi_warned_wants_trace(const struct pyi_run *run);

/* The guest has ended: each use goes into the result record. */
void pyi_warned_tell(struct pyi_run *run);

#endif
