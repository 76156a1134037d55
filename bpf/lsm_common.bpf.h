/* SPDX-License-Identifier: (MIT OR GPL-2.0-only) */
/* What every LSM program begins and ends with: is the caller one of ours, and how a refusal is said. */
#ifndef PYI_LSM_COMMON_BPF_H
#define PYI_LSM_COMMON_BPF_H

#include "kernel_types.bpf.h"
#include "net.bpf.h"

#include <bpf/bpf_core_read.h>
#include <bpf/bpf_tracing.h>

#define EPERM 1
#define EXDEV 18

/* The cgroup that all sandboxes are below; filled when the programs are loaded. */
struct {
	__uint(type, BPF_MAP_TYPE_CGROUP_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, __u32);
} parent SEC(".maps");

/* -errno, in a way that the verifier can follow: it does not believe what compilers make of a condition. */
static __always_inline int deny(void)
{
	int ret = -EPERM;

	asm volatile("" : "+r"(ret));
	return ret;
}

static __always_inline int deny_crossing(void)
{
	int ret = -EXDEV;

	asm volatile("" : "+r"(ret));
	return ret;
}

enum entry { PASS, JUDGE, REFUSE };

/*
 * PASS: not a sandbox's, or one whose tree is still being made. REFUSE: in our part of the tree, without a policy. What
 * is not ours pays for one look.
 */
static __always_inline enum entry enter(struct subject *who)
{
	if (bpf_current_task_under_cgroup(&parent, 0) != 1)
		return PASS;
	if (!find_subject(who))
		return REFUSE;
	return who->flags & PYI_ASSIGN_ARMED ? JUDGE : PASS;
}

/*
 * Our own binary, which the supervisor has the guest execute first: known from then on by its inode. A guest that
 * executes it again gains nothing.
 */
static __always_inline int is_self(const struct subject *who, struct file *file, int may_learn)
{
	__u64 cgroup = who->cgroup, inode = file->f_inode->i_ino, device = file->f_inode->i_sb->s_dev;
	struct pyi_abi_stats *s;

	if (!(who->flags & PYI_ASSIGN_SELF))
		return 0;
	s = bpf_map_lookup_elem(&stats, &cgroup);
	if (!s)
		return 0;
	if (may_learn && __sync_val_compare_and_swap(&s->self_inode, 0, inode) == 0)
		*(volatile __u64 *)&s->self_device = device;
	return s->self_inode == inode && s->self_device == device;
}

static __noinline void record_surface(__u64 cgroup, __u8 surface)
{
	struct pyi_abi_event event = {
		.op = PYI_EVENT_KERNEL, .proto = surface, .port = EPERM, .rule = PYI_EVENT_NO_RULE
	};

	event.pid = current_pid();
	record(cgroup, &event, 0);
}

/* For what no sandbox may do, whatever its policy says. */
static __always_inline int refuse_surface(__u8 surface)
{
	struct subject who = {};

	if (enter(&who) == PASS)
		return 0;
	record_surface(who.cgroup, surface);
	return deny();
}

#endif
