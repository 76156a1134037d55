/* SPDX-License-Identifier: (MIT OR GPL-2.0-only) */
/*
 * Who is calling, and what is written down about it: shared by the cgroup programs and the LSM programs, which use the
 * same maps.
 */
#ifndef PYI_SUBJECT_BPF_H
#define PYI_SUBJECT_BPF_H

#include <linux/bpf.h>
#include <linux/types.h>

#include <bpf/bpf_helpers.h>

#include "pyi_abi.h"
#include "python_frame.bpf.h"

/* Groups below a sandbox's own are its own business; deeper ones than this are denied. */
#define LEVELS_MAX 16

/* A sandbox each; not preallocated, so an idle host pays nothing. */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 16384);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, __u64);
	__type(value, struct pyi_abi_assignment);
} assignments SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 16384);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, __u64);
	__type(value, struct pyi_abi_stats);
} stats SEC(".maps");

/* As many as sandboxes may have at once that are refused all the time. */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 65536);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, struct pyi_abi_event_key);
	__type(value, struct pyi_abi_event_more);
} event_more SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 65536);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, struct pyi_abi_event_key);
	__type(value, struct pyi_abi_event_path);
} event_paths SEC(".maps");

/* To have one costs its supervisor a wait for all programs of the host; so not each sandbox has. */
struct ring {
	__uint(type, BPF_MAP_TYPE_RINGBUF);
	__uint(max_entries, PYI_ABI_RING);
};

struct {
	__uint(type, BPF_MAP_TYPE_HASH_OF_MAPS);
	__uint(max_entries, 16384);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, __u64);
	__array(values, struct ring);
} rings SEC(".maps");

/* What a new element of event_more is filled with: there is no room for that on the stack. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct pyi_abi_event_more);
} blank SEC(".maps");

/* The caller's assignment, copied; flags are 0 where there is none, or none that is ready. */
struct subject {
	__u64 cgroup;
	__u64 body;
	__u32 flags;
	__u32 paths;
};

/*
 * 1: copied; 0: there is none. See struct pyi_abi_assignment for why it may have to be looked up again; to have to do
 * so a second time takes another two reloads within some nanoseconds.
 */
static __noinline int copy_assignment(__u64 id, struct subject *who)
{
	if (!who)
		return 0;
	for (int i = 0; i < 2; i++) {
		const volatile struct pyi_abi_assignment *a = bpf_map_lookup_elem(&assignments, &id);
		__u32 generation;

		if (!a)
			return 0;
		generation = a->generation;
		if (a->owner != id)
			continue;
		who->body = a->body;
		who->flags = a->flags;
		who->paths = a->paths;
		if (a->owner == id && a->generation == generation &&
		    who->body == PYI_ABI_BODY(id, generation))
			return 1;
	}
	who->flags = 0;
	return 1;
}

/* Who is calling? Its own group as a rule, else the nearest one to the root that is a sandbox's. */
static __noinline int find_subject(struct subject *who)
{
	__u64 id = bpf_get_current_cgroup_id();
	int found;

	if (!who)
		return 0;
	found = copy_assignment(id, who);
	for (int level = 1; !found && level < LEVELS_MAX; level++) {
		id = bpf_get_current_ancestor_cgroup_id(level);
		if (!id)
			break;
		found = copy_assignment(id, who);
	}
	who->cgroup = id;
	if (!found)
		who->flags = 0;
	return found && who->flags & PYI_ASSIGN_READY;
}

static __always_inline __u16 era_of(const struct subject *who)
{
	return (__u16)(who->body >> 48);
}

static __always_inline __s32 current_pid(void)
{
	return (__s32)(bpf_get_current_pid_tgid() >> 32);
}

/* When it is, which thread is calling, and where in its Python code. */
static __always_inline void fill_more(const struct pyi_abi_event *event,
				      const struct pyi_abi_python *python,
				      struct pyi_abi_event_more *more)
{
	more->time_ns = bpf_ktime_get_ns();
	/* Packets come to whoever is running. */
	if (event->pid) {
		more->thread = (__s32)bpf_get_current_pid_tgid();
		python_find_frame(python, &more->frame);
	}
	*(volatile __u32 *)&more->is_written = 1;
}

/* One of the first; what belongs to it is there before the event itself is there to be read. */
static __always_inline struct pyi_abi_event_more *keep(const struct pyi_abi_event_key *key,
						       __u64 number, struct pyi_abi_stats *s,
						       const struct pyi_abi_event *from,
						       const char *path)
{
	struct pyi_abi_event_more *more;
	struct pyi_abi_event *to;
	__u32 zero = 0;

	/* Not key->index: older verifiers do not know what half a word on the stack is. */
	if (number >= PYI_ABI_EVENTS)
		return 0;
	if (path)
		bpf_map_update_elem(&event_paths, key, path, BPF_ANY);
	more = bpf_map_lookup_elem(&blank, &zero);
	if (more && bpf_map_update_elem(&event_more, key, more, BPF_ANY) == 0) {
		more = bpf_map_lookup_elem(&event_more, key);
		if (more)
			fill_more(from, &s->python, more);
	} else {
		more = 0;
	}
	to = &s->events[number];
	to->proto = from->proto;
	to->is_warning = from->is_warning;
	to->family = from->family;
	to->port = from->port;
	to->rule = from->rule;
	to->pid = from->pid;
	to->contract = from->contract;
	to->era = from->era;
	__builtin_memcpy(to->addr, from->addr, sizeof(to->addr));
	/* Last: a reader takes an event whose op is not 0 for written. */
	*(volatile __u8 *)&to->op = from->op;
	return more;
}

static __always_inline void fill_record(struct pyi_abi_record *to, __u64 number,
					struct pyi_abi_stats *s, const struct pyi_abi_event *from,
					const struct pyi_abi_event_more *more)
{
	to->number = number;
	to->lost = s->lost;
	to->event = *from;
	if (more) {
		to->more = *more;
		return;
	}
	__builtin_memset(&to->more, 0, sizeof(to->more));
	fill_more(from, &s->python, &to->more);
}

/* Into the ring of a sandbox that has one. */
static __always_inline void stream(const struct pyi_abi_event_key *key, __u64 number,
				   struct pyi_abi_stats *s, const struct pyi_abi_event *from,
				   const struct pyi_abi_event_more *more, const char *path)
{
	void *ring = bpf_map_lookup_elem(&rings, &key->cgroup);
	struct pyi_abi_record_path *with_path;
	struct pyi_abi_record *to;

	if (!ring)
		return;
	if (path) {
		with_path = bpf_ringbuf_reserve(ring, sizeof(*with_path), 0);
		if (!with_path) {
			__sync_fetch_and_add(&s->lost, 1);
			return;
		}
		if (bpf_probe_read_kernel_str(with_path->path.text, sizeof(with_path->path.text),
					      path) < 0)
			with_path->path.text[0] = '\0';
		fill_record(&with_path->record, number, s, from, more);
		bpf_ringbuf_submit(with_path, 0);
		return;
	}
	to = bpf_ringbuf_reserve(ring, sizeof(*to), 0);
	if (!to) {
		__sync_fetch_and_add(&s->lost, 1);
		return;
	}
	fill_record(to, number, s, from, more);
	bpf_ringbuf_submit(to, 0);
}

/* `path`: of PYI_ABI_EVENT_PATH bytes or more, terminated; 0: the event has none. */
static __noinline int record(__u64 cgroup, const struct pyi_abi_event *from, const char *path)
{
	struct pyi_abi_stats *s = bpf_map_lookup_elem(&stats, &cgroup);
	struct pyi_abi_event_key key = { .cgroup = cgroup };
	__u64 number;

	if (!s || !from)
		return 0;
	if (from->is_warning)
		__sync_fetch_and_add(&s->warnings, 1);
	number = __sync_fetch_and_add(&s->total, 1);
	key.index = number < PYI_ABI_EVENTS ? (__u32)number : PYI_ABI_EVENTS;
	stream(&key, number, s, from, keep(&key, number, s, from, path), path);
	return 0;
}

#endif
