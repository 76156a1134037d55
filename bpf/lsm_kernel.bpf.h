/* SPDX-License-Identifier: (MIT OR GPL-2.0-only) */
/* What no sandbox needs of the kernel, and other processes. */
#ifndef PYI_LSM_KERNEL_BPF_H
#define PYI_LSM_KERNEL_BPF_H

#include "lsm_common.bpf.h"

#define REFUSES(hook, surface)                  \
	SEC("lsm/" #hook)                       \
	int BPF_PROG(on_##hook)                 \
	{                                       \
		return refuse_surface(surface); \
	}

REFUSES(sb_mount, PYI_SURFACE_MOUNT)
REFUSES(sb_umount, PYI_SURFACE_MOUNT)
REFUSES(sb_remount, PYI_SURFACE_MOUNT)
REFUSES(sb_pivotroot, PYI_SURFACE_MOUNT)
REFUSES(move_mount, PYI_SURFACE_MOUNT)
REFUSES(path_chroot, PYI_SURFACE_MOUNT)
REFUSES(bpf, PYI_SURFACE_BPF)
REFUSES(perf_event_open, PYI_SURFACE_PERF)
REFUSES(kernel_module_request, PYI_SURFACE_MODULE)
REFUSES(kernel_read_file, PYI_SURFACE_MODULE)
REFUSES(kernel_load_data, PYI_SURFACE_MODULE)
REFUSES(key_alloc, PYI_SURFACE_KEY)
REFUSES(key_permission, PYI_SURFACE_KEY)
REFUSES(uring_override_creds, PYI_SURFACE_IO_URING)
REFUSES(uring_sqpoll, PYI_SURFACE_IO_URING)
REFUSES(uring_cmd, PYI_SURFACE_IO_URING)
REFUSES(userns_create, PYI_SURFACE_USERNS)

/* Is the process in this sandbox, or in a group below its own? */
static __always_inline int is_inside(struct task_struct *task, __u64 sandbox)
{
	struct cgroup *group = BPF_CORE_READ(task, cgroups, dfl_cgrp);
	int depth = BPF_CORE_READ(group, level);

	for (int level = 1; level < LEVELS_MAX; level++) {
		struct cgroup *above = 0;

		if (level > depth)
			break;
		bpf_core_read(&above, sizeof(above), &group->ancestors[level]);
		if (above && BPF_CORE_READ(above, kn, id) == sandbox)
			return 1;
	}
	return 0;
}

static __always_inline int check_other(struct task_struct *other, __u8 surface)
{
	struct subject who = {};
	enum entry entry = enter(&who);

	if (entry == PASS || (entry == JUDGE && is_inside(other, who.cgroup)))
		return 0;
	record_surface(who.cgroup, surface);
	return deny();
}

SEC("lsm/ptrace_access_check")
int BPF_PROG(on_ptrace_access, struct task_struct *child)
{
	return check_other(child, PYI_SURFACE_PTRACE);
}

SEC("lsm/ptrace_traceme")
int BPF_PROG(on_ptrace_traceme, struct task_struct *tracer)
{
	return check_other(tracer, PYI_SURFACE_PTRACE);
}

SEC("lsm/task_kill")
int BPF_PROG(on_task_kill, struct task_struct *target)
{
	return check_other(target, PYI_SURFACE_SIGNAL);
}

#endif
