/* SPDX-License-Identifier: (MIT OR GPL-2.0-only) */
/*
 * How many bytes of files are read and written, for contracts that speak of it. Attached only while a sandbox with such
 * a contract lives (lib/kernel/bpf_bytes.c): every read and write of the host pays for it.
 *
 * The hook that can deny is not told how many bytes it is about. But whatever reads or writes a file by descriptor goes
 * through rw_verify_area(), which is told, and which calls the hook as its last act: so a program at its entry leaves a
 * note with the calling thread, and the hook takes it.
 *
 *	read, write and their kin, aio, splice, copy_file_range   the note says how many bytes
 *	mmap         for writing where others see it: more than any contract allows. To be read: the whole file, once
 *	sendfile into a file   asks for far more than there is, as a rule: EINVAL, and programs read and write instead
 *	FICLONE, FIDEDUPERANGE, fallocate   nobody says how much: EOPNOTSUPP, the same
 *
 * What a call asks for counts, even if it gets less. But reads commonly ask for more than the file has: they count to
 * its end at most, where the file system knows that; what is added at this very moment is not counted.
 *
 * A note belongs to one call: it is taken by the first hook that follows. Where there is none (a kernel that preempts
 * everywhere passes over the program at the entry when it was interrupted on the same CPU): EINTR, "ask again". A
 * thread that never finds one is denied: this kernel is not as it should be.
 *
 * Regular files on mounts of the sandbox count: its standard streams, opened by whoever started it, are on others.
 */
#include "lsm_text.bpf.h"

#define MAY_WRITE	2
#define MAY_READ	4
#define S_IFREG		0100000
#define FS_REQUIRES_DEV 1
#define TMPFS_MAGIC	0x01021994
#define RAMFS_MAGIC	0x858458f6
#define OVERLAYFS_MAGIC 0x794c7630
#define PROT_WRITE	2
#define MAP_SHARED	1 /* MAP_SHARED_VALIDATE has the bit, too */
#define VM_WRITE	2
#define VM_SHARED	8 /* shared, and the file is open for writing */
#define SYS_ioctl	16
#define SYS_sendfile	40
#define SYS_fallocate	285
#define EINTR		4
#define EINVAL		22
#define EOPNOTSUPP	95
#define LONG_LONG_MAX	0x7fffffffffffffffll
#define MISSES_MAX	100

char _license[] SEC("license") = "Dual MIT/GPL";

/* -errno, as deny(). */
#define REFUSAL(errnum)                        \
	({                                     \
		int ret_ = -(errnum);          \
                                               \
		asm volatile("" : "+r"(ret_)); \
		ret_;                          \
	})

struct note {
	__u64 file; /* 0: nothing is noted */
	__u64 count;
	__s64 pos;	    /* -1: it has none */
	__u64 missed;	    /* calls in a row that had no note */
	__u64 left;	    /* what the last read was about: sendfile reads, then writes */
	__u64 mapped_inode; /* the last file that was mapped, and how much of it was counted */
	__u64 mapped_device;
	__u64 mapped_bytes;
};

struct {
	__uint(type, BPF_MAP_TYPE_TASK_STORAGE);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, int);
	__type(value, struct note);
} notes SEC(".maps");

/* Of a sandbox whose bytes are counted? */
static __always_inline int is_watched(struct subject *who)
{
	return enter(who) == JUDGE && who->flags & PYI_ASSIGN_BYTES;
}

static __always_inline struct note *find_note(void)
{
	return bpf_task_storage_get(&notes, bpf_get_current_task_btf(), 0,
				    BPF_LOCAL_STORAGE_GET_F_CREATE);
}

SEC("fentry/rw_verify_area")
int BPF_PROG(bytes_verify, int direction, struct file *file, const long long *pos, unsigned long count)
{
	struct subject who = {};
	struct note *note;
	long long at = -1;

	if (!is_watched(&who))
		return 0;
	note = find_note();
	if (!note)
		return 0;
	note->file = 0;
	/* As it does itself: what it refuses never comes to the hook, and would stay noted. */
	if ((long)count < 0)
		return 0;
	if (pos && (bpf_probe_read_kernel(&at, sizeof(at), pos) < 0 || at < 0 ||
		    count > (unsigned long)(LONG_LONG_MAX - at)))
		return 0;
	note->count = count;
	note->pos = at;
	note->file = (__u64)file;
	return 0;
}

/* A regular file, by a path of the sandbox's own. */
static __always_inline int is_counted(struct file *file)
{
	struct vfsmount *mnt = file->f_path.mnt;
	struct mount *mount = (struct mount *)((char *)mnt - bpf_core_field_offset(struct mount, mnt));
	struct mnt_namespace *of_mount;
	enum kind kind;

	if ((file->f_inode->i_mode & S_IFMT) != S_IFREG)
		return 0;
	kind = classify(file->f_path.dentry, mnt);
	if (kind == NO_PATH || kind == BEHIND_ANOTHER)
		return 0;
	/* One that was taken out of the tree is in none. */
	of_mount = BPF_CORE_READ(mount, mnt_ns);
	return !of_mount || of_mount == BPF_CORE_READ(bpf_get_current_task_btf(), nsproxy, mnt_ns);
}

/* May its size be believed? Not that of what is made up as it is read, nor what another machine may change. */
static __always_inline int has_size(struct inode *inode)
{
	unsigned long magic = inode->i_sb->s_magic;

	return magic == TMPFS_MAGIC || magic == RAMFS_MAGIC || magic == OVERLAYFS_MAGIC ||
	       inode->i_sb->s_type->fs_flags & FS_REQUIRES_DEV;
}

/* What a read can be about. */
static __always_inline __u64 clip(struct file *file, __u64 count, __s64 pos)
{
	struct inode *inode = file->f_inode;
	__s64 size = inode->i_size;

	if (pos < 0 || !has_size(inode))
		return count;
	if (pos >= size)
		return 0;
	return count < (__u64)(size - pos) ? count : (__u64)(size - pos);
}

static __noinline __u8 ask(const struct subject *who, __u32 event, __u64 bytes)
{
	struct contract_event e = { .events = PYI_EV_BIT(event) };

	if (!who || !bytes)
		return 0;
	e.cgroup = who->cgroup;
	e.body = who->body;
	e.bytes = bytes < PYI_CONTRACT_VALUE_MAX ? bytes : PYI_CONTRACT_VALUE_MAX;
	return (__u8)contract_judge(&e);
}

/* Does a contract speak of it? When that cannot be told, one does. */
static __always_inline int is_limited(const struct subject *who, __u32 event)
{
	__u64 body = who->body;
	const struct pyi_abi_contract_code *code = bpf_map_lookup_elem(&contract_code, &body);

	return !code || code->events & PYI_EV_BIT(event);
}

static __always_inline void record_break(const struct subject *who, const struct room *room,
					 __u8 hook, __u8 need, __u8 contract)
{
	struct pyi_abi_event event = { .op = PYI_EVENT_PATH,
				       .proto = hook,
				       .family = need,
				       .port = EPERM,
				       .rule = PYI_EVENT_NO_RULE,
				       .contract = contract };

	event.pid = current_pid();
	event.era = era_of(who);
	record(who->cgroup, &event, room ? room->path : 0);
}

static __always_inline int refuse(const struct subject *who, struct path *path, __u8 hook,
				  __u8 need, __u8 contract)
{
	struct room *room = claim_room();

	if (room && !put_path(room, path))
		room->path[0] = '\0';
	record_break(who, room, hook, need, contract);
	if (room)
		leave_room(room);
	return deny();
}

static __always_inline __u64 current_call(void)
{
	struct pt_regs *regs = (struct pt_regs *)bpf_task_pt_regs(bpf_get_current_task_btf());

	return regs->orig_ax;
}

SEC("lsm/file_permission")
int BPF_PROG(bytes_permission, struct file *file, int mask)
{
	__u32 event = mask & MAY_WRITE ? PYI_EV_BYTES_WRITTEN : PYI_EV_BYTES_READ;
	__u8 hook = mask & MAY_WRITE ? PYI_HOOK_WRITE : PYI_HOOK_READ;
	__u8 need = mask & MAY_WRITE ? PYI_PATH_WRITE : PYI_PATH_READ;
	struct subject who = {};
	struct note *note;
	__u64 call, count;
	int is_noted;
	__u8 contract;

	if (!(mask & (MAY_READ | MAY_WRITE)) || !is_watched(&who))
		return 0;
	note = find_note();
	is_noted = note && note->file == (__u64)file;
	if (note)
		note->file = 0;
	if (!is_counted(file) || is_self(&who, file, 0))
		return 0;
	call = current_call();
	if (!note || !is_noted || call == SYS_ioctl || call == SYS_fallocate) {
		if (!is_limited(&who, event))
			return 0;
		if (call == SYS_ioctl || call == SYS_fallocate)
			return REFUSAL(EOPNOTSUPP);
		if (note && note->missed++ < MISSES_MAX)
			return REFUSAL(EINTR);
		return refuse(&who, &file->f_path, hook, need, PYI_CONTRACT_LOST);
	}
	note->missed = 0;
	count = note->count;
	if (event == PYI_EV_BYTES_READ) {
		count = clip(file, count, note->pos);
		note->left = count;
	} else if (call == SYS_sendfile) {
		if (is_limited(&who, event))
			return REFUSAL(EINVAL);
		count = count < note->left ? count : note->left;
	}
	contract = ask(&who, event, count);
	return contract ? refuse(&who, &file->f_path, hook, need, contract) : 0;
}

/* Each part of a program or library is mapped by itself: a file that is mapped again right away counts once. */
static __always_inline __u64 not_yet_mapped(struct note *note, struct inode *inode)
{
	__u64 size = inode->i_size > 0 ? (__u64)inode->i_size : 0, before = 0;

	if (!note)
		return size;
	if (note->mapped_inode == inode->i_ino && note->mapped_device == inode->i_sb->s_dev)
		before = note->mapped_bytes;
	note->mapped_inode = inode->i_ino;
	note->mapped_device = inode->i_sb->s_dev;
	note->mapped_bytes = size > before ? size : before;
	return size > before ? size - before : 0;
}

SEC("lsm/mmap_file")
int BPF_PROG(bytes_map, struct file *file, unsigned long asked, unsigned long prot, unsigned long flags)
{
	struct subject who = {};
	struct note *note;
	__u8 contract;

	if (!file || !is_watched(&who) || !is_counted(file) || is_self(&who, file, 0))
		return 0;
	if (flags & MAP_SHARED && prot & PROT_WRITE && file->f_mode & FMODE_WRITE) {
		contract = ask(&who, PYI_EV_BYTES_WRITTEN, PYI_CONTRACT_VALUE_MAX);
		if (contract)
			return refuse(&who, &file->f_path, PYI_HOOK_MAP, PYI_PATH_WRITE, contract);
	}
	note = find_note();
	contract = ask(&who, PYI_EV_BYTES_READ, not_yet_mapped(note, file->f_inode));
	if (!contract)
		return 0;
	if (note)
		note->mapped_inode = 0;
	return refuse(&who, &file->f_path, PYI_HOOK_MAP, PYI_PATH_READ, contract);
}

SEC("lsm/file_mprotect")
int BPF_PROG(bytes_protect, struct vm_area_struct *vma, unsigned long asked, unsigned long prot)
{
	struct subject who = {};
	struct file *file;
	__u8 contract;

	if (!(prot & PROT_WRITE) || !(vma->vm_flags & VM_SHARED) || vma->vm_flags & VM_WRITE ||
	    !is_watched(&who))
		return 0;
	file = vma->vm_file;
	if (!file || !is_counted(file))
		return 0;
	contract = ask(&who, PYI_EV_BYTES_WRITTEN, PYI_CONTRACT_VALUE_MAX);
	if (!contract)
		return 0;
	record_break(&who, 0, PYI_HOOK_MAP, PYI_PATH_WRITE, contract); /* the kernel gives no path here */
	return deny();
}
