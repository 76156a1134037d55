/* SPDX-License-Identifier: (MIT OR GPL-2.0-only) */
/*
 * The clock over one sandbox's CPU time: runs at each tick of a perf event that is opened on the sandbox's cgroup, one
 * per CPU, so it ticks only while something of the sandbox is running, and costs nobody else anything. Program and maps
 * belong to one sandbox and to its supervisor's descriptors; nothing is pinned.
 *
 * A signal can be sent only to the process that is ticking. That ends whatever goes on computing; what sleeps is the
 * supervisor's.
 */
#include <linux/bpf.h>
#include <linux/bpf_perf_event.h>
#include <linux/types.h>

#include <bpf/bpf_helpers.h>

#include "pyi_abi.h"

#define SIGKILL 9
#define SIGXCPU 24

/* Mapped by the supervisor, who writes the quota and reads what was used without a system call. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__uint(map_flags, BPF_F_MMAPABLE);
	__type(key, __u32);
	__type(value, struct pyi_abi_cpu);
} cpu SEC(".maps");

/* Processes that have had their SIGXCPU. One that is forgotten gets another. */
struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, 256);
	__type(key, __u32);
	__type(value, __u8);
} told SEC(".maps");

/* What this CPU's event had counted at its last tick. */
struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, __u64);
} counted SEC(".maps");

/* Time that went by since the last tick here. A tick that comes late, on a busy host, stands for all that were due. */
static __u64 since_last_tick(struct bpf_perf_event_data *ctx)
{
	struct bpf_perf_event_value now;
	__u32 zero = 0;
	__u64 *last = bpf_map_lookup_elem(&counted, &zero), used;

	if (!last || bpf_perf_prog_read_value(ctx, &now, sizeof(now)) < 0)
		return ctx->sample_period;
	used = now.counter - *last;
	*last = now.counter;
	return used;
}

SEC("perf_event")
int on_tick(struct bpf_perf_event_data *ctx)
{
	__u32 zero = 0, process = (__u32)(bpf_get_current_pid_tgid() >> 32);
	struct pyi_abi_cpu *row = bpf_map_lookup_elem(&cpu, &zero);
	__u64 used;
	__u8 one = 1;

	if (!row)
		return 0;
	used = since_last_tick(ctx);
	used += __sync_fetch_and_add(&row->used_ns, used);
	if (used >= row->kill_ns)
		bpf_send_signal(SIGKILL);
	else if (used >= row->quota_ns && bpf_map_update_elem(&told, &process, &one, BPF_NOEXIST) == 0 &&
		 bpf_send_signal(SIGXCPU) < 0)
		bpf_map_delete_elem(&told, &process); /* busy: with the next tick */
	return 0;
}

char _license[] SEC("license") = "Dual MIT/GPL";
