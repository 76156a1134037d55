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

/*
 * The cgroup that all sandboxes are below, and how far it is from the root of the hierarchy; put in when the programs
 * are loaded. Level 0: it cannot be told (in a cgroup namespace), and a helper is asked about the map.
 */
const volatile __u64 parent_id;
const volatile int parent_level;

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

/*
 * Is the caller below it? All that others pay for a program of ours besides the call, so: no helper, no map. Most are
 * told by their own depth. For the rest, what their ancestor at that depth is. The verifier lets nobody read from an
 * array of pointers that has no end; but the place of one is that of a struct which begins with such a pointer.
 */
static __always_inline int is_ours(void)
{
	struct cgroup *group = bpf_get_current_task_btf()->cgroups->dfl_cgrp;
	const struct sock_cgroup_data *place;

	if (!parent_level)
		return bpf_current_task_under_cgroup(&parent, 0) == 1;
	if (group->level < parent_level)
		return 0;
	place = bpf_rdonly_cast((char *)group + bpf_core_field_offset(struct cgroup, ancestors) +
					sizeof(void *) * parent_level -
					bpf_core_field_offset(struct sock_cgroup_data, cgroup),
				bpf_core_type_id_kernel(struct sock_cgroup_data));
	return place->cgroup->kn->id == parent_id;
}

enum entry { PASS, JUDGE, REFUSE };

/*
 * PASS: not a sandbox's, or one whose tree is still being made. REFUSE: in our part of the tree, without a policy. What
 * is not ours is told first.
 */
static __always_inline enum entry enter(struct subject *who)
{
	if (!is_ours())
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
