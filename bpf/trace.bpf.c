/* SPDX-License-Identifier: (MIT OR GPL-2.0-only) */
/*
 * What one sandbox asks of the kernel: a record for each system call that names a file, a program or an address, in a
 * ring that its supervisor drains. Programs, maps and ring belong to one run that was asked for a trace, and to its
 * supervisor's descriptors; nothing is pinned. Everybody else's system calls pay for the look at the cgroup, and only
 * while a trace runs.
 *
 * A call is looked at when it is over: by then it has its result, the kernel has read what it was given (so the pages
 * are there), and those that seccomp refused are seen too. What was in the guest's memory is read a second time here:
 * another thread may have changed it. The exception is a successful exec, whose memory is gone by then.
 *
 * Nothing is recorded before the guest's own code: the trace begins when the guest says that it is ready, or, of a
 * command, with its execution.
 */
#include <linux/bpf.h>
#include <linux/types.h>

#include <bpf/bpf_core_read.h>
#include <bpf/bpf_helpers.h>

#include "kernel_types.bpf.h"
#include "python_frame.bpf.h"
#include "trace_abi.h"
#include "trace_path.bpf.h"

#define SYS_WRITE 1
#define S_IFMT	  0170000
#define S_IFSOCK  0140000
#define AF_INET	  2
#define AF_INET6  10

/* Of the run: set before it is loaded. */
const volatile __u64 sandbox;	 /* v2 cgroup id */
const volatile __u32 is_command; /* it begins with an exec, else with the READY record */
const volatile __u32 ready_type; /* the first word of that record, and its size */
const volatile __u64 ready_bytes;
const volatile __u64 wake_bytes; /* the supervisor is woken when so much is in the ring */
const volatile struct pyi_trace_call calls[PYI_TRACE_CALLS];

struct pyi_abi_python python; /* written before it is loaded; not constant, for the verifier's sake */

__u64 lost;	  /* records that found no room */
__u32 is_started; /* it is the guest's own code by now */
__u32 level;	  /* of the sandbox's cgroup, once one of its processes was seen; 0: not yet */

/* Its size is set before it is loaded. */
struct {
	__uint(type, BPF_MAP_TYPE_RINGBUF);
	__uint(max_entries, 4096);
} ring SEC(".maps");

/* Of this sandbox, or of a group below it? */
static __always_inline bool is_inside(void)
{
	if (bpf_get_current_cgroup_id() == sandbox) {
		if (!level)
			level = (__u32)bpf_get_current_task_btf()->cgroups->dfl_cgrp->level;
		return true;
	}
	return level && bpf_get_current_ancestor_cgroup_id((int)level) == sandbox;
}

static __always_inline __u64 argument(const struct pt_regs *regs, __u8 which)
{
	switch (which) {
	case 0:
		return regs->di;
	case 1:
		return regs->si;
	case 2:
		return regs->dx;
	case 3:
		return regs->r10;
	case 4:
		return regs->r8;
	case 5:
		return regs->r9;
	default:
		return 0;
	}
}

static __always_inline void fill(struct trace_buffer *buf, __u16 call, __s64 result)
{
	struct pyi_trace_record *r = &buf->record;

	__builtin_memset(r, 0, sizeof(*r));
	__builtin_memset(&buf->frame, 0, __builtin_offsetof(struct pyi_abi_frame, text));
	r->time_ns = bpf_ktime_get_ns();
	trace_number(&r->pid, &r->tid);
	r->call = call;
	if (result < 0 && result >= -4095)
		r->error = (__s32)-result;
}

/* Behind all else. */
static __always_inline void add_frame(struct trace_buffer *buf)
{
	__u32 at = buf->record.text_bytes + buf->record.base_bytes + buf->record.real_bytes;
	__u32 bytes = buf->frame.bytes + (__u32) __builtin_offsetof(struct pyi_abi_frame, text);

	/* The sum is what the verifier is to see compared. */
	asm volatile("" : "+r"(bytes));
	if (!buf->frame.bytes || bytes > sizeof(buf->frame) || at > TRACE_DATA)
		return;
	if (bpf_probe_read_kernel(buf->data + at, bytes, &buf->frame) == 0)
		buf->record.frame_bytes = (__u16)bytes;
}

static __noinline int submit(struct trace_buffer *buf)
{
	__u64 bytes, flags;

	if (!buf)
		return 0;
	add_frame(buf);
	bytes = sizeof(buf->record) + buf->record.text_bytes + buf->record.base_bytes +
		buf->record.real_bytes + buf->record.frame_bytes;
	if (bytes > sizeof(*buf))
		bytes = sizeof(*buf);
	flags = bpf_ringbuf_query(&ring, BPF_RB_AVAIL_DATA) >= wake_bytes ? BPF_RB_FORCE_WAKEUP
									  : BPF_RB_NO_WAKEUP;
	if (bpf_ringbuf_output(&ring, buf, bytes, flags) != 0)
		__sync_fetch_and_add(&lost, 1);
	return 0;
}

/* A path, from the directory that it starts from if it is not absolute. */
static __noinline int record_path(struct trace_buffer *buf, const char *text, int dir, __s64 opened,
				  bool drop_empty)
{
	if (!buf)
		return 0;
	trace_text(buf, text);
	if (drop_empty && buf->record.text_bytes == 1)
		return 0;
	if (buf->record.text_bytes && buf->data[0] != '/')
		trace_base(buf, dir);
	if (opened >= 0)
		trace_real(buf, (int)opened);
	return submit(buf);
}

static __always_inline void record_paths(struct trace_buffer *buf,
					 const volatile struct pyi_trace_call *call,
					 const struct pt_regs *regs, __s64 result)
{
	__s64 opened = call->shape == PYI_TRACE_OPEN ? result : -1;
	int dir = call->dir == PYI_TRACE_NO_ARGUMENT ? TRACE_CWD : (int)argument(regs, call->dir);

	if (call->flags != PYI_TRACE_NO_ARGUMENT)
		buf->record.flags = argument(regs, call->flags);
	if (call->flags_at && bpf_probe_read_user(&buf->record.flags, sizeof(buf->record.flags),
						  (const void *)buf->record.flags) < 0)
		buf->record.flags = 0;
	record_path(buf, (const char *)argument(regs, call->path), dir, opened, call->drop_empty);
	if (call->path2 == PYI_TRACE_NO_ARGUMENT)
		return;
	dir = call->dir2 == PYI_TRACE_NO_ARGUMENT ? TRACE_CWD : (int)argument(regs, call->dir2);
	buf->record.marks = PYI_TRACE_SECOND;
	buf->record.text_bytes = buf->record.base_bytes = buf->record.real_bytes = 0;
	record_path(buf, (const char *)argument(regs, call->path2), dir, -1, false);
}

static __always_inline struct sock *socket_of(int fd, struct pyi_trace_record *r)
{
	struct file *file = trace_file(fd);
	struct socket *socket;
	struct sock *sk;

	if (!file || (BPF_CORE_READ(file, f_inode, i_mode) & S_IFMT) != S_IFSOCK)
		return NULL;
	socket = BPF_CORE_READ(file, private_data);
	sk = BPF_CORE_READ(socket, sk);
	r->type = (__u16)BPF_CORE_READ(socket, type);
	r->proto = (__u8)BPF_CORE_READ(sk, sk_protocol);
	return sk;
}

/* The address that it is bound to, as bind(2) would have been given it. */
static __always_inline void record_own_address(struct trace_buffer *buf, int fd)
{
	struct sock *sk = socket_of(fd, &buf->record);
	struct sockaddr_in6 in6 = { 0 };
	struct {
		struct sockaddr_in in;
		__u64 zero;
	} in = { 0 };

	if (!sk)
		return;
	in6.family = BPF_CORE_READ(sk, __sk_common.skc_family);
	in6.port = __builtin_bswap16(BPF_CORE_READ(sk, __sk_common.skc_num));
	if (in6.family == AF_INET) {
		in.in.family = in6.family;
		in.in.port = in6.port;
		in.in.address = BPF_CORE_READ(sk, __sk_common.skc_rcv_saddr);
		__builtin_memcpy(buf->data, &in, sizeof(in));
		buf->record.text_bytes = sizeof(in);
		return;
	}
	BPF_CORE_READ_INTO(&in6.address, sk, __sk_common.skc_v6_rcv_saddr);
	__builtin_memcpy(buf->data, &in6, sizeof(in6));
	buf->record.text_bytes = in6.family == AF_INET6 ? sizeof(in6) : sizeof(in6.family);
}

/* False: there is none, as with send on a connected socket. */
static __always_inline bool record_address(struct trace_buffer *buf,
					   const volatile struct pyi_trace_call *call,
					   const struct pt_regs *regs)
{
	__u64 address = argument(regs, call->path), bytes = argument(regs, call->flags);
	struct {
		__u64 name;
		__u32 bytes;
	} message = { 0 };

	if (call->shape == PYI_TRACE_MESSAGE) {
		if (bpf_probe_read_user(&message, sizeof(message), (const void *)address) < 0)
			return false;
		address = message.name;
		bytes = message.bytes;
	}
	if (!address || !bytes)
		return false;
	socket_of((int)regs->di, &buf->record);
	if (bytes > PYI_TRACE_ADDRESS)
		bytes = PYI_TRACE_ADDRESS;
	if (bpf_probe_read_user(buf->data, bytes, (const void *)address) < 0)
		buf->record.marks = PYI_TRACE_UNREAD;
	else
		buf->record.text_bytes = (__u16)bytes;
	return true;
}

static __always_inline void record_call(const volatile struct pyi_trace_call *call,
					const struct pt_regs *regs, __u16 number, __s64 result)
{
	struct trace_buffer *buf;

	if (call->shape == PYI_TRACE_EXEC && result == 0)
		return;
	buf = trace_buffer_of(TRACE_AT_EXIT);
	if (!buf)
		return;
	fill(buf, number, result);
	python_find_frame(&python, &buf->frame);
	switch (call->shape) {
	case PYI_TRACE_CHDIR:
		if (result) {
			record_paths(buf, call, regs, result);
			return;
		}
		trace_base(buf, TRACE_CWD);
		break;
	case PYI_TRACE_PATH:
	case PYI_TRACE_OPEN:
	case PYI_TRACE_EXEC:
		record_paths(buf, call, regs, result);
		return;
	case PYI_TRACE_FD:
		trace_base(buf, (int)argument(regs, call->path));
		break;
	case PYI_TRACE_SOCKET:
		buf->record.flags = (__u32)regs->di | regs->si << 32;
		break;
	case PYI_TRACE_LISTEN:
		record_own_address(buf, (int)regs->di);
		break;
	default:
		if (!record_address(buf, call, regs))
			return;
		break;
	}
	submit(buf);
}

/* Is this the record by which the guest says that the user's code is next? Who forges it is in that code. */
static __always_inline void look_for_ready(const struct pt_regs *regs, __s64 result)
{
	__u32 type = 0;

	if (is_command || regs->orig_ax != SYS_WRITE || regs->dx != ready_bytes ||
	    result != (__s64)ready_bytes)
		return;
	if (bpf_probe_read_user(&type, sizeof(type), (const void *)regs->si) == 0 && type == ready_type)
		is_started = 1;
}

SEC("tp_btf/sys_exit")
int trace_call(__u64 *ctx)
{
	const volatile struct pyi_trace_call *call;
	struct pt_regs *regs;
	__u64 number;

	if (!is_inside())
		return 0;
	regs = (struct pt_regs *)ctx[0];
	number = regs->orig_ax;
	if (!is_started) {
		look_for_ready(regs, (__s64)ctx[1]);
		return 0;
	}
	if (number >= PYI_TRACE_CALLS)
		return 0;
	call = &calls[number];
	if (call->shape != PYI_TRACE_NONE)
		record_call(call, regs, (__u16)number, (__s64)ctx[1]);
	return 0;
}

/* It has succeeded: the memory that held its path is gone, but the kernel has a copy. */
SEC("tp_btf/sched_process_exec")
int trace_exec(__u64 *ctx)
{
	struct linux_binprm *bprm = (struct linux_binprm *)ctx[2];
	struct trace_buffer *buf;

	if (!is_inside())
		return 0;
	if (is_command)
		is_started = 1;
	if (!is_started)
		return 0;
	buf = trace_buffer_of(TRACE_AT_EXEC);
	if (!buf)
		return 0;
	fill(buf, TRACE_EXECVE, 0);
	trace_kernel_text(buf, bprm->filename);
	if (buf->record.text_bytes && buf->data[0] != '/')
		trace_base(buf, TRACE_CWD);
	trace_real_file(buf, bprm->file);
	submit(buf);
	return 0;
}

char _license[] SEC("license") = "Dual MIT/GPL";
