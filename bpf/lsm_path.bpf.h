/* SPDX-License-Identifier: (MIT OR GPL-2.0-only) */
/*
 * Paths: from the kernel's path to its text, through the policy's automaton, to a verdict. The text is the sandbox's
 * own view (d_path of the calling process), which is what rules are about.
 *
 * The text needs room. LSM programs may be preempted in the middle, and the next process on the same CPU runs the same
 * program: so each CPU has eight rooms, and a program takes one that is free. None free, a path that does not fit,
 * anything that cannot be told: denied.
 */
#ifndef PYI_LSM_PATH_BPF_H
#define PYI_LSM_PATH_BPF_H

#include "lsm_common.bpf.h"

#define __arena		 __attribute__((address_space(1)))

#define FMODE_READ	 0x1
#define FMODE_WRITE	 0x2
#define FMODE_EXEC_FLAG	 0x20 /* in f_flags: it is opened to be executed */
#define S_IFMT		 0170000
#define S_IFDIR		 0040000
#define S_IFCHR		 0020000
#define S_IFBLK		 0060000
#define SB_NOUSER	 (1UL << 31)
#define MNT_NS_INTERNAL	 (-22L)
#define BPF_FS_MAGIC	 0xcafe4a11
#define NSFS_MAGIC	 0x6e736673
#define CGROUP_MAGIC	 0x27e0eb
#define CGROUP2_MAGIC	 0x63677270
#define DEBUGFS_MAGIC	 0x64626720
#define TRACEFS_MAGIC	 0x74726163
#define SECURITYFS_MAGIC 0x73636673
#define HUGETLBFS_MAGIC	 0x958458f6

enum {
	ROOMS = 8,
	PATH_BYTES = 4096,
	NAME_BYTES = 256,
	CHUNK = 64,
	CHUNKS = (PATH_BYTES + NAME_BYTES) / CHUNK + 1,
	DELETED_LEN = 10, /* of " (deleted)" */
};

struct room {
	char path[(CHUNKS + 1) * CHUNK];
	__u32 busy;
	__u32 zero;
};

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, ROOMS);
	__type(key, __u32);
	__type(value, struct room);
} rooms SEC(".maps");

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

static __always_inline struct room *claim_room(void)
{
	for (__u32 i = 0; i < ROOMS; i++) {
		__u32 key = i;
		struct room *room = bpf_map_lookup_elem(&rooms, &key);

		if (!room)
			return 0;
		if (__sync_val_compare_and_swap(&room->busy, 0, 1) == 0)
			return room;
	}
	return 0;
}

static __always_inline void leave_room(struct room *room)
{
	(void)__sync_fetch_and_and(&room->busy, 0);
}

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

/* --------------------------------------------------------------------------------------------- the text of a path */

/* "/a/b (deleted)" is what d_path says of a file without a name: it is judged by the name it had. */
static __noinline int cut_deleted(struct room *room, __u32 len)
{
	static const char text[DELETED_LEN + 1] = " (deleted)";
	__u32 at = len - 1 - DELETED_LEN;

	if (!room || at >= PATH_BYTES)
		return 0;
	for (int i = 0; i < DELETED_LEN; i++)
		if (room->path[at + i] != text[i])
			return 0;
	room->path[at] = '\0';
	return 0;
}

/* The text of a path; 0 when there is none that can be judged. */
static __always_inline __u32 put_path(struct room *room, struct path *path)
{
	struct dentry *dentry = path->dentry;
	int len = bpf_path_d_path(path, room->path, PATH_BYTES);

	if (len < 2 || len > PATH_BYTES || room->path[0] != '/')
		return 0;
	/* Asked afterwards: a name once gone does not come back. */
	if (!dentry->d_hash.pprev && dentry->d_parent != dentry)
		cut_deleted(room, (__u32)len);
	return (__u32)len;
}

/* The text of a name in a directory. */
static __always_inline __u32 put_name(struct room *room, struct path *dir, struct dentry *name)
{
	__u32 len = put_path(room, dir), at = len == 2 ? 0 : len - 1;
	const unsigned char *text = name->d_name.name;

	if (!len)
		return 0;
	at &= PATH_BYTES - 1;
	room->path[at] = '/';
	return bpf_probe_read_kernel_str(&room->path[at + 1], NAME_BYTES, text) > 1;
}

/* ------------------------------------------------------------------------------------------ files that have no path */

enum kind { BY_PATH, NO_PATH, BEHIND_ANOTHER, NEVER };

/*
 * Pipes, memory files, descriptors of processes: by the file system they are on, never by name. What an overlay opens
 * behind a file that was judged already is on a mount that no process can reach. And some file systems are nobody's.
 */
static __always_inline enum kind classify(struct dentry *dentry, struct vfsmount *mnt)
{
	struct super_block *sb = dentry->d_sb;
	struct mount *mount = (struct mount *)((char *)mnt - bpf_core_field_offset(struct mount, mnt));
	unsigned long magic = sb->s_magic;

	if (magic == BPF_FS_MAGIC || magic == NSFS_MAGIC || magic == DEBUGFS_MAGIC ||
	    magic == TRACEFS_MAGIC || magic == SECURITYFS_MAGIC)
		return NEVER;
	if (sb->s_flags & SB_NOUSER)
		return NO_PATH;
	if ((long)BPF_CORE_READ(mount, mnt_ns) == MNT_NS_INTERNAL)
		return magic == HUGETLBFS_MAGIC ? NO_PATH : BEHIND_ANOTHER;
	return BY_PATH;
}

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
