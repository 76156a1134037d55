/* SPDX-License-Identifier: MIT */
/* Clearing away what supervisors left that were killed. */
#ifndef PYI_SUPER_NAMED_SWEEP_H
#define PYI_SUPER_NAMED_SWEEP_H

/* Control groups without an owner, with what is in them, and BPF rows without a group. Never fails. */
void pyi_named_sweep(void);

#endif
