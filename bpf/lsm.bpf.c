/* SPDX-License-Identifier: (MIT OR GPL-2.0-only) */
/*
 * The LSM programs: one a hook, for all sandboxes. Each asks first whether the caller is below our control group (all
 * others pass at once), then for the assignment of its sandbox; a group of ours without one is denied everything. What
 * a path may be used for is said by the policy's automaton (lsm_path.bpf.h), what an address may, by its rows
 * (net.bpf.h). Some things no sandbox needs, and they have no rule (lsm_kernel.bpf.h).
 *
 * The hooks are called again and again by processes that try to be faster than they are: what a program looked up once
 * it uses to its end, and an address or path is the kernel's own copy.
 */
#define PROT_WRITE 2
#define PROT_EXEC  4
#define VM_EXEC	   4

#include "lsm_files.bpf.h"
#include "lsm_kernel.bpf.h"
#include "lsm_rename.bpf.h"
#include "lsm_sockets.bpf.h"

char _license[] SEC("license") = "Dual MIT/GPL";
