/* SPDX-License-Identifier: (MIT OR GPL-2.0-only) */
/*
 * Paths, for programs that may not call the kernel's own function for them (it is for LSM programs): the text that a
 * call was given, and the names of the directory that it starts from, by a walk from the dentry up to the root of the
 * calling process. As d_path(3) of the kernel does it, but without its locks: a rename in that moment may show.
 */
#ifndef PYI_TRACE_PATH_BPF_H
#define PYI_TRACE_PATH_BPF_H

#include <linux/bpf.h>
#include <linux/types.h>

#include <bpf/bpf_core_read.h>
#include <bpf/bpf_helpers.h>
#include <stdbool.h>

#include "kernel_types.bpf.h"
#include "trace_abi.h"

#define TRACE_CWD    (-100) /* AT_FDCWD */
#define TRACE_EXECVE 59
#define TRACE_DEPTH  512 /* steps up; of names there is room for fewer */

extern int bpf_iter_num_new(struct bpf_iter_num *it, int start, int end)
	__attribute__((section(".ksyms")));
extern int *bpf_iter_num_next(struct bpf_iter_num *it) __attribute__((section(".ksyms")));
extern void bpf_iter_num_destroy(struct bpf_iter_num *it) __attribute__((section(".ksyms")));

/* A record in the making. The text is at the start of data; base and real have half of what is behind it, at most. */
enum { TRACE_DATA = PYI_TRACE_TEXT + 2 * PYI_TRACE_NAMES };

struct trace_buffer {
	struct pyi_trace_record record;
	char data[TRACE_DATA + sizeof(struct pyi_abi_frame)];
	struct pyi_abi_frame frame; /* here until it is known where in data it comes */
};

enum { TRACE_AT_EXIT, TRACE_AT_EXEC, TRACE_BUFFERS };

/* A tracepoint's program is not preempted; and each of the two has its own. */
struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, TRACE_BUFFERS);
	__type(key, __u32);
	__type(value, struct trace_buffer);
} buffers SEC(".maps");

static __always_inline struct trace_buffer *trace_buffer_of(__u32 which)
{
	return bpf_map_lookup_elem(&buffers, &which);
}

/* Numbers of the calling thread as the innermost pid namespace that it is in has them. */
static __always_inline __s32 number_of(struct pid *pid)
{
	__u32 level = BPF_CORE_READ(pid, level);
	__s32 number = 0;

	/* struct upid begins with it. */
	bpf_probe_read_kernel(&number, sizeof(number),
			      (const char *)pid + bpf_core_field_offset(struct pid, numbers) +
				      level * (__u64)bpf_core_type_size(struct upid));
	return number;
}

static __always_inline void trace_number(__s32 *pid, __s32 *tid)
{
	struct task_struct *task = bpf_get_current_task_btf();

	*tid = number_of(BPF_CORE_READ(task, thread_pid));
	*pid = number_of(BPF_CORE_READ(task, group_leader, thread_pid));
}

/* An open file of the calling process; NULL: there is none. */
static __noinline struct file *trace_file(int fd)
{
	struct task_struct *task = bpf_get_current_task_btf();
	struct fdtable *table = BPF_CORE_READ(task, files, fdt);
	struct file *file = NULL, **files;

	if (fd < 0 || (__u32)fd >= BPF_CORE_READ(table, max_fds))
		return NULL;
	files = BPF_CORE_READ(table, fd);
	bpf_probe_read_kernel(&file, sizeof(file), files + fd);
	return file;
}

static __always_inline void trace_text(struct trace_buffer *buf, const char *text)
{
	long n = bpf_probe_read_user_str(buf->data, PYI_TRACE_TEXT, text);

	if (n > 0 && n <= PYI_TRACE_TEXT)
		buf->record.text_bytes = (__u16)n;
	else
		buf->record.marks |= PYI_TRACE_UNREAD;
}

static __always_inline void trace_kernel_text(struct trace_buffer *buf, const char *text)
{
	long n = bpf_probe_read_kernel_str(buf->data, PYI_TRACE_TEXT, text);

	if (n > 0 && n <= PYI_TRACE_TEXT)
		buf->record.text_bytes = (__u16)n;
	else
		buf->record.marks |= PYI_TRACE_UNREAD;
}

enum { WALK_DONE, WALK_ON, WALK_CUT, WALK_OUT };

struct walk {
	struct dentry *dentry, *root_dentry;
	struct vfsmount *mnt, *root_mnt;
	__u32 at; /* in data */
	__u32 end;
};

/* A step up; its name goes into data. */
static __noinline int step_up(struct trace_buffer *buf, struct walk *walk)
{
	struct dentry *parent, *dentry;
	struct mount *mount, *above;
	struct vfsmount *mnt;
	__u32 at;
	long n;

	if (!buf || !walk)
		return WALK_CUT;
	dentry = walk->dentry;
	mnt = walk->mnt;
	if (dentry == walk->root_dentry && mnt == walk->root_mnt)
		return WALK_DONE;
	parent = BPF_CORE_READ(dentry, d_parent);
	if (dentry == BPF_CORE_READ(mnt, mnt_root) || dentry == parent) {
		mount = (void *)((char *)mnt - bpf_core_field_offset(struct mount, mnt));
		above = BPF_CORE_READ(mount, mnt_parent);
		if (!above || above == mount)
			return WALK_OUT;
		walk->dentry = BPF_CORE_READ(mount, mnt_mountpoint);
		walk->mnt = (void *)((char *)above + bpf_core_field_offset(struct mount, mnt));
		return WALK_ON;
	}
	at = walk->at;
	if (at > walk->end || at > TRACE_DATA - PYI_TRACE_NAME)
		return WALK_CUT;
	n = bpf_probe_read_kernel_str(buf->data + at, PYI_TRACE_NAME,
				      BPF_CORE_READ(dentry, d_name.name));
	if (n <= 0)
		return WALK_CUT;
	walk->at = at + (__u32)n;
	walk->dentry = parent;
	return WALK_ON;
}

/*
 * The names of a path (addresses of a dentry and a vfsmount), from where data is filled on. Returns how many bytes they
 * take, or -WALK_CUT or -WALK_OUT. Not static: so it is verified once for a program.
 */
__noinline int trace_walk(struct trace_buffer *buf, __u64 dentry, __u64 mnt)
{
	struct task_struct *task = bpf_get_current_task_btf();
	struct walk walk = { .dentry = (void *)dentry, .mnt = (void *)mnt };
	int state = WALK_ON, step;
	__u32 begin;

	if (!buf || !dentry || !mnt)
		return -WALK_CUT;
	begin = buf->record.text_bytes + buf->record.base_bytes;
	walk.root_dentry = BPF_CORE_READ(task, fs, root.dentry);
	walk.root_mnt = BPF_CORE_READ(task, fs, root.mnt);
	walk.at = begin;
	walk.end = begin + PYI_TRACE_NAMES - PYI_TRACE_NAME;
	bpf_for(step, 0, TRACE_DEPTH)
	{
		state = step_up(buf, &walk);
		if (state != WALK_ON)
			break;
	}
	return state == WALK_DONE  ? (int)(walk.at - begin)
	       : state == WALK_OUT ? -WALK_OUT
				   : -WALK_CUT;
}

/* The directory that a relative path starts from, or the file of a descriptor. */
static __noinline int trace_base(struct trace_buffer *buf, int dir)
{
	struct task_struct *task = bpf_get_current_task_btf();
	struct dentry *dentry;
	struct vfsmount *mnt;
	struct file *file;
	int n;

	if (!buf)
		return 0;
	if (dir == TRACE_CWD) {
		dentry = BPF_CORE_READ(task, fs, pwd.dentry);
		mnt = BPF_CORE_READ(task, fs, pwd.mnt);
	} else {
		file = trace_file(dir);
		dentry = file ? BPF_CORE_READ(file, f_path.dentry) : NULL;
		mnt = file ? BPF_CORE_READ(file, f_path.mnt) : NULL;
	}
	n = trace_walk(buf, (__u64)dentry, (__u64)mnt);
	if (n >= 0)
		buf->record.base_bytes = (__u16)n;
	else
		buf->record.marks |= n == -WALK_OUT ? PYI_TRACE_BASE_OUT : PYI_TRACE_BASE_LOST;
	return 0;
}

/* The path that a file was opened by, symbolic links resolved. */
static __noinline int trace_real_file(struct trace_buffer *buf, struct file *file)
{
	int n;

	if (!buf || !file)
		return 0;
	n = trace_walk(buf, (__u64)BPF_CORE_READ(file, f_path.dentry),
		       (__u64)BPF_CORE_READ(file, f_path.mnt));
	if (n >= 0)
		buf->record.real_bytes = (__u16)n;
	else
		buf->record.marks |= PYI_TRACE_REAL_LOST;
	return 0;
}

static __always_inline void trace_real(struct trace_buffer *buf, int fd)
{
	trace_real_file(buf, trace_file(fd));
}

#endif
