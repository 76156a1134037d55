/* SPDX-License-Identifier: MIT */
/*
 * What the policy warns of and the BPF programs cannot tell: uses of files and programs where there are no LSM
 * programs, from the records of the tracer, which a run in mode `dev` then has; and variables, which the plan knows.
 */
#ifndef PYI_SUPER_WARNED_H
#define PYI_SUPER_WARNED_H

#include <stdbool.h>

struct pyi_run;

/* Is it to be traced for that? The facts of the host are known. */
bool pyi_warned_wants_trace(const struct pyi_run *run);

/* The guest was started: each variable that it has by a rule that warns goes into the result record and the events. */
void pyi_warned_tell_env(struct pyi_run *run);

/* The guest has ended: each use goes into the result record. */
void pyi_warned_tell(struct pyi_run *run);

#endif
