/* SPDX-License-Identifier: (MIT OR GPL-2.0-only) */
/*
 * The text of a path, and which files have one. The text is the sandbox's own view (d_path of the calling process),
 * which is what rules are about.
 *
 * It needs room. LSM programs may be preempted in the middle, and the next process on the same CPU runs the same
 * program: so each CPU has eight rooms, and a program takes one that is free. None free, a path that does not fit,
 * anything that cannot be told: denied.
 */
#ifndef PYI_LSM_TEXT_BPF_H
#define PYI_LSM_TEXT_BPF_H

#include "lsm_common.bpf.h"

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

#endif
