/* SPDX-License-Identifier: MIT */
/* Where things are in the memory of a Python guest, for the BPF programs that say which line was refused something. */
#ifndef PYI_GUEST_PYTHON_LAYOUT_H
#define PYI_GUEST_PYTHON_LAYOUT_H

struct pyi_abi_python;

/*
 * This binary's, and so that of every guest that executes it. Some microseconds; changes nothing. All zero where libc
 * cannot be asked.
 */
void pyi_python_layout(struct pyi_abi_python *ret_layout);

/* For the guest, before the user's code: touches what programs read, for they cannot wait for a page to be read in. */
void pyi_python_layout_touch(void);

#endif
