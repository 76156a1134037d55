/* SPDX-License-Identifier: (MIT OR GPL-2.0-only) */
/* Paths: from the kernel's path to its text (lsm_text.bpf.h), through the policy's automaton, to a verdict. */
#ifndef PYI_LSM_PATH_BPF_H
#define PYI_LSM_PATH_BPF_H

#include "lsm_text.bpf.h"

#define __arena __attribute__((address_space(1)))

/* The automatons of all policies; see struct pyi_abi_paths. */
struct {
	__uint(type, BPF_MAP_TYPE_ARENA);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, PYI_ABI_ARENA_PAGES);
	__ulong(map_extra, PYI_ABI_ARENA_ADDRESS);
} arena SEC(".maps");

/* For the user side alone: which automatons are in the arena. */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 16384);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, struct pyi_abi_body_key);
	__type(value, struct pyi_abi_body);
} bodies SEC(".maps");

/* One question: may `need` be had of the path in the room? */
struct question {
	struct subject who;
	__u8 hook;
	__u8 need; /* PYI_PATH_* */
	__u8 is_dir;
	__u8 is_warned;
	__u8 is_part; /* there is another question about the same call: contracts wait for that */
	__u8 zero;
	__u16 slots; /* of contracts, that count this path: struct contract_event */
	__u16 gone;
};

/* ------------------------------------------------------------------------------------------------ the automaton */

typedef const struct pyi_abi_paths __arena *paths_ptr;

static __always_inline paths_ptr paths_of(__u32 page)
{
	return (paths_ptr)(unsigned long)(page * (__u32)PYI_ABI_PAGE);
}

static __always_inline __u32 next_state(__u32 page, __u32 state, __u8 byte)
{
	paths_ptr p = paths_of(page);
	const __u16 __arena *rows = (const __u16 __arena *)((const char __arena *)p + sizeof(*p) +
							    8UL * p->n_states);

	return rows[state * p->n_classes + p->classes[byte]];
}

static __always_inline __u64 final_of(__u32 page, __u32 state)
{
	paths_ptr p = paths_of(page);

	return ((const __u64 __arena *)((const char __arena *)p + sizeof(*p)))[state];
}

/* The counters of contracts that count paths which lead here. */
static __always_inline __u16 slots_of(__u32 page, __u32 state)
{
	paths_ptr p = paths_of(page);
	const __u16 __arena *slots = (const __u16 __arena *)((const char __arena *)p + sizeof(*p) +
							     8UL * p->n_states +
							     2UL * p->n_states * p->n_classes);

	return p->has_slots ? slots[state] : 0;
}

/* The state the text in the room leads to. */
static __noinline __u32 walk(const struct room *room, __u32 page)
{
	__u32 state, chunk;

	asm volatile("" ::"r"(&arena)); /* the verifier wants to see which one it is */
	if (!room || !page)
		return 0;
	state = paths_of(page)->start;
	bpf_for(chunk, 0, CHUNKS)
	{
		const char *text = &room->path[(chunk < CHUNKS ? chunk : CHUNKS - 1) * CHUNK];

		for (int i = 0; i < CHUNK; i++) {
			if (!text[i])
				return state;
			state = next_state(page, state, (__u8)text[i]);
		}
	}
	return 0;
}

/* What happens when this is allowed. */
static __always_inline __u32 events_of(const struct question *q)
{
	switch (q->hook) {
	case PYI_HOOK_OPEN:
		return PYI_EV_BIT(PYI_EV_OPEN) |
		       (q->need & PYI_PATH_WRITE ? PYI_EV_BIT(PYI_EV_WRITE) : 0);
	case PYI_HOOK_TRUNCATE:
		return PYI_EV_BIT(PYI_EV_WRITE);
	case PYI_HOOK_CREATE:
	case PYI_HOOK_MKDIR:
	case PYI_HOOK_SYMLINK:
	case PYI_HOOK_LINK:
		return PYI_EV_BIT(PYI_EV_CREATE);
	case PYI_HOOK_UNLINK:
	case PYI_HOOK_RMDIR:
		return PYI_EV_BIT(PYI_EV_DELETE);
	case PYI_HOOK_RENAME:
		return PYI_EV_BIT(PYI_EV_CREATE) | PYI_EV_BIT(PYI_EV_DELETE);
	case PYI_HOOK_EXEC:
		return PYI_EV_BIT(PYI_EV_EXEC);
	default:
		return 0;
	}
}

/* After the rules: what the contracts say of it. 0, or as contract_judge(). */
static __always_inline __u8 ask_contracts_path(const struct question *q, int is_allowed)
{
	struct contract_event e = {
		.cgroup = q->who.cgroup, .body = q->who.body, .slots = q->slots, .gone = q->gone
	};

	if (!(q->who.flags & PYI_ASSIGN_CONTRACTS) || (is_allowed && q->is_part))
		return 0;
	if (is_allowed)
		e.events = events_of(q);
	else
		e.events = PYI_EV_BIT(q->hook == PYI_HOOK_EXEC || q->hook == PYI_HOOK_MAP
					      ? PYI_EV_EXEC_DENIED
					      : PYI_EV_FS_DENIED);
	return e.events ? (__u8)contract_judge(&e) : 0;
}

static __noinline int record_path(const struct room *room, const struct question *q, __u16 rule,
				  __u16 errnum, __u8 contract)
{
	struct pyi_abi_event event = { .op = PYI_EVENT_PATH, .contract = contract };

	if (!q)
		return 0;
	event.proto = q->hook;
	event.family = q->need;
	event.is_warning = q->is_warned;
	event.port = errnum;
	event.rule = rule;
	event.pid = current_pid();
	event.era = era_of(&q->who);
	return record(q->who.cgroup, &event, room ? room->path : 0);
}

/* 1: allowed, perhaps with a warning. */
static __noinline int judge(const struct room *room, struct question *q, __u64 final)
{
	__u16 rule = PYI_EVENT_NO_RULE, warn_rule = PYI_EVENT_NO_RULE;
	int refused = 0, warned = 0;
	__u8 contract;

	if (!q)
		return 0;
	for (int a = 0; a < 3; a++) {
		__u32 verdict = final >> (2 * a) & 3;

		if (!(q->need & 1 << a))
			continue;
		if (a == 0 && q->is_dir && verdict == PYI_FINAL_DEFAULT &&
		    (final >> PYI_FINAL_LIST_SHIFT & 3) == PYI_FINAL_ALLOW)
			continue;
		if (verdict == PYI_FINAL_WARN) {
			warned = 1;
			warn_rule = (__u16)(final >> (PYI_FINAL_RULE_SHIFT + 16 * a));
		} else if (verdict != PYI_FINAL_ALLOW) {
			if (!refused && verdict == PYI_FINAL_DENY)
				rule = (__u16)(final >> (PYI_FINAL_RULE_SHIFT + 16 * a));
			refused = 1;
		}
	}
	contract = ask_contracts_path(q, !refused);
	q->is_warned = !refused && warned && !contract;
	if (refused || warned || contract)
		record_path(room, q, refused ? rule : warn_rule, EPERM, contract);
	return !refused && !contract;
}

/* The last word on a call whose parts the rules allow. */
static __always_inline int settle(const struct room *room, struct question *q)
{
	__u8 contract;

	q->is_part = 0;
	contract = ask_contracts_path(q, 1);
	if (!contract)
		return 0;
	record_path(room, q, PYI_EVENT_NO_RULE, EPERM, contract);
	return deny();
}

static __always_inline int ask(const struct room *room, struct question *q)
{
	__u32 state = walk(room, q->who.paths);

	q->slots = q->gone = slots_of(q->who.paths, state);
	return judge(room, q, final_of(q->who.paths, state));
}

/* ------------------------------------------------------------------------------------------------- what is asked */

static __always_inline int is_cgroup_fs(struct dentry *dentry)
{
	unsigned long magic = dentry->d_sb->s_magic;

	return magic == CGROUP_MAGIC || magic == CGROUP2_MAGIC;
}

static __always_inline int refuse_path(struct room *room, const struct question *q, int ret)
{
	if (room)
		room->path[0] = '\0';
	record_path(room, q, PYI_EVENT_NO_RULE, EPERM, ask_contracts_path(q, 0));
	return ret;
}

/* A file, or what a path leads to. */
static __always_inline int check_path(struct path *path, struct question *q)
{
	struct room *room = claim_room();
	int ret;

	if (!room)
		return refuse_path(0, q, deny());
	if (!put_path(room, path) || (q->need & PYI_PATH_WRITE && is_cgroup_fs(path->dentry)))
		ret = refuse_path(room, q, deny());
	else
		ret = ask(room, q) ? 0 : deny();
	leave_room(room);
	return ret;
}

/* How every question about a name in a directory begins: a room to judge it in, which the caller leaves; or 0, *ret. */
static __always_inline struct room *begin_name(struct path *dir, struct question *q, int *ret)
{
	enum entry entry = enter(&q->who);
	struct room *room;
	enum kind kind;

	*ret = 0;
	if (entry == PASS)
		return 0;
	kind = classify(dir->dentry, dir->mnt);
	if (entry == REFUSE || kind == NEVER || is_cgroup_fs(dir->dentry)) {
		*ret = refuse_path(0, q, deny());
		return 0;
	}
	if (kind == BEHIND_ANOTHER)
		return 0;
	room = claim_room();
	if (!room)
		*ret = refuse_path(0, q, deny());
	return room;
}

/* A name that is made or removed. */
static __always_inline int check_name(struct path *dir, struct dentry *name, __u8 hook)
{
	struct question q = { .hook = hook, .need = PYI_PATH_WRITE };
	int ret;
	struct room *room = begin_name(dir, &q, &ret);

	if (!room)
		return ret;
	if (!put_name(room, dir, name))
		ret = refuse_path(room, &q, deny());
	else
		ret = ask(room, &q) ? 0 : deny();
	leave_room(room);
	return ret;
}

/* A change to what is at a path. */
static __always_inline int check_change(struct path *path, __u8 hook)
{
	struct question q = { .hook = hook, .need = PYI_PATH_WRITE };
	enum entry entry = enter(&q.who);
	enum kind kind;

	if (entry == PASS)
		return 0;
	kind = classify(path->dentry, path->mnt);
	if (entry == REFUSE || kind == NEVER)
		return refuse_path(0, &q, deny());
	return kind == BY_PATH ? check_path(path, &q) : 0;
}

#endif
