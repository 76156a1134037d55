/* SPDX-License-Identifier: (MIT OR GPL-2.0-only) */
/*
 * Which line of Python is the calling thread in? For programs that run in its context, as it makes a system call:
 *
 *	thread pointer → state of the thread → frames, innermost first → code → file's name, table of lines
 *
 * All of it is the guest's memory: it can forge it, and take it away. So nothing that is read is believed further than
 * that the next read may fail: reads never fault, walks are bounded by numbers of ours, and the answer is text that is
 * shown and never acted on. The line is found here and now, not by the supervisor later: by then the guest has moved
 * on, or is gone.
 *
 * A thread that has let go of the interpreter, as it does around every call that may wait, is known only by libc's key.
 * The frames of the standard library (<frozen ...>) are passed over: what a user wants to know is which line of theirs
 * it was. Where there is none, it is the innermost of the library's.
 */
#ifndef PYI_PYTHON_FRAME_BPF_H
#define PYI_PYTHON_FRAME_BPF_H

#include <linux/bpf.h>
#include <linux/types.h>
#include <stddef.h>

#include <bpf/bpf_core_read.h>
#include <bpf/bpf_helpers.h>

#include "python_abi.h"

enum {
	PYTHON_FRAMES_MAX = 64,
	PYTHON_TABLE_MAX = 1 << 15, /* bytes of a table of lines; that is thousands of lines of one function */
	PYTHON_PART = 128, /* of it are read at once */
	PYTHON_KEYS = 32,  /* that libc keeps in the thread itself */
};

#define PYTHON_COOKIE 0x7970677562656478ull /* "xdebugpy" */
#define PYTHON_FROZEN 0x206e657a6f72663cull /* "<frozen " */

/* The kernel's; the offsets are put in when the program is loaded. */
struct thread_struct___python {
	unsigned long fsbase;
} __attribute__((preserve_access_index));

struct task_struct___python {
	struct thread_struct___python thread;
} __attribute__((preserve_access_index));

struct python_name {
	__u64 data;
	__u64 length;
	__u32 width;
	__u32 is_frozen;
};

struct python_walk {
	const struct pyi_abi_python *layout;
	__u64 frame;
	__u64 code; /* 0: none was found yet */
	__u64 instr;
	struct python_name name;
};

/*
 * Where we are in a table of lines. It lies behind the part of the table that is being read, where the name goes
 * afterwards; not on the stack: there the verifier keeps count of each number's range, and goes through the loop until
 * it has seen them all.
 */
struct python_lines {
	__u64 table;
	__u32 size;
	__u32 target; /* of the instruction, from the first one on, in bytes */
	__u32 end;    /* of what the entry that is being read is about */
	__s32 line;
	__u32 value; /* of a number that is being read */
	__u8 shift;
	__u8 wants_number;
	__u8 has_line;
	__u8 zero;
};

_Static_assert(PYTHON_PART + sizeof(struct python_lines) <= PYI_ABI_FRAME_TEXT,
	       "a part of the table has room where the name goes");
_Static_assert((offsetof(struct pyi_abi_frame, text) + PYTHON_PART) % 8 == 0, "and is aligned");

struct python_room {
	struct pyi_abi_frame *out;
};

static __always_inline __u64 python_word(__u64 address)
{
	__u64 word = 0;

	return bpf_probe_read_user(&word, sizeof(word), (const void *)address) ? 0 : word;
}

static __always_inline int python_read_name(const struct pyi_abi_python *at, __u64 text,
					    struct python_name *name)
{
	__u32 state = 0;

	if (!text || bpf_probe_read_user(&state, sizeof(state), (const void *)(text + at->text_state)))
		return 0;
	name->length = python_word(text + at->text_length);
	name->width = (state & at->kind_mask) >> at->kind_shift;
	name->data = text + (state & at->ascii_mask ? at->text_ascii : at->text_other);
	name->is_frozen = name->width == 1 && name->length > sizeof(__u64) &&
			  python_word(name->data) == PYTHON_FROZEN;
	return name->length && state & at->compact_mask;
}

/* A frame further out. 1: this is the one. */
static long python_look(__u32 i, struct python_walk *walk)
{
	const struct pyi_abi_python *at = walk->layout;
	__u64 frame = walk->frame, code, instr;
	struct python_name name = {};

	if (!frame)
		return 1;
	code = python_word(frame + at->frame_code);
	instr = python_word(frame + at->frame_instr);
	walk->frame = python_word(frame + at->frame_previous);
	/* Not every frame is Python's: where C has called it there is one without code. */
	if (!code || python_word(code + at->object_type) != at->code_type)
		return 0;
	if (!python_read_name(at, python_word(code + at->code_name), &name))
		return 0;
	if (name.is_frozen && walk->code)
		return 0;
	walk->code = code;
	walk->instr = instr;
	walk->name = name;
	return !name.is_frozen;
}

static __always_inline struct python_lines *python_lines_of(struct pyi_abi_frame *out)
{
	return (struct python_lines *)(void *)(out->text + PYTHON_PART);
}

/*
 * A byte of the table (Objects/locations.md of CPython): entries, one after the other, each for some instructions; only
 * the first byte of an entry has the highest bit. It says how many, and how the line differs from the entry's before:
 * by 0, 1 or 2, or by a number that follows, six bits at a time, the lowest ones first, its sign in its own lowest bit.
 */
static long python_read_lines(__u32 i, struct python_room *room)
{
	struct python_lines *lines = python_lines_of(room->out);
	__u32 at = i & (PYTHON_PART - 1), rest;
	__u8 byte, code;

	if (!at) {
		rest = lines->size - i;
		if (rest > PYTHON_PART)
			rest = PYTHON_PART;
		/* Whole parts would be read beyond the end of the table, perhaps of what can be read. */
		if (bpf_probe_read_user(room->out->text, rest, (const void *)(lines->table + i)))
			return 1;
	}
	byte = room->out->text[at];
	if (byte & 0x80) {
		if (lines->target < lines->end)
			return 1;
		code = byte >> 3 & 15;
		lines->end += ((byte & 7) + 1u) * 2;
		lines->has_line = code != 15;
		lines->wants_number = code == 13 || code == 14;
		lines->value = 0;
		lines->shift = 0;
		if (code >= 10 && code <= 12)
			lines->line += code - 10;
	} else if (lines->wants_number) {
		lines->value |= (byte & 63u) << (lines->shift & 31);
		lines->shift += 6;
		if (!(byte & 64)) {
			lines->wants_number = 0;
			lines->line += lines->value & 1 ? -(__s32)(lines->value >> 1)
							: (__s32)(lines->value >> 1);
		}
	}
	return 0;
}

/* The line of an instruction of this code; 0 where it cannot be told. */
static __always_inline __s32 python_find_line(const struct pyi_abi_python *at, __u64 code,
					      __u64 instr, struct pyi_abi_frame *out)
{
	__u64 table = python_word(code + at->code_lines), size,
	      offset = instr - (code + at->code_begin);
	struct python_lines *lines = python_lines_of(out);
	struct python_room room = { .out = out };

	size = python_word(table + at->bytes_size);
	if (!table || offset > 1u << 30)
		return 0;
	lines->table = table + at->bytes_data;
	lines->size = size < PYTHON_TABLE_MAX ? (__u32)size : PYTHON_TABLE_MAX;
	lines->target = (__u32)offset;
	if (bpf_probe_read_user(&lines->line, sizeof(lines->line),
				(const void *)(code + at->code_first_line)))
		return 0;
	bpf_loop(lines->size, python_read_lines, &room, 0);
	return lines->target < lines->end && lines->has_line && lines->line > 0 ? lines->line : 0;
}

/* The end of the name is what tells files apart. */
static __always_inline void python_copy_name(const struct python_name *name, struct pyi_abi_frame *out)
{
	__u64 length = name->length, from = name->data;
	__u32 bytes, most = PYI_ABI_FRAME_TEXT / 4;

	if (name->width == 1)
		most = PYI_ABI_FRAME_TEXT;
	else if (name->width == 2)
		most = PYI_ABI_FRAME_TEXT / 2;
	else if (name->width != 4)
		return;
	if (length > most) {
		from += (length - most) * name->width;
		length = most;
		out->is_cut = 1;
	}
	bytes = (__u32)length * name->width;
	if (bytes > PYI_ABI_FRAME_TEXT)
		return;
	if (bpf_probe_read_user(out->text, bytes, (const void *)from))
		return;
	out->width = (__u8)name->width;
	out->bytes = (__u16)bytes;
}

/* The state of the calling thread, 0. */
static __always_inline __u64 python_find_state(const struct pyi_abi_python *at)
{
	struct task_struct___python *task = (void *)bpf_get_current_task();
	__u64 thread = BPF_CORE_READ(task, thread.fsbase), state;
	__u32 key = PYTHON_KEYS;

	/* Another program, executed by the guest? */
	if (!at->runtime || python_word(at->runtime) != PYTHON_COOKIE)
		return 0;
	state = python_word(thread + at->tls_state);
	if (state)
		return state;
	if (bpf_probe_read_user(&key, sizeof(key), (const void *)(at->runtime + at->slot_key)) ||
	    key >= PYTHON_KEYS)
		return 0;
	return python_word(thread + at->tls_slots + key * 16ull);
}

/*
 * Fill in *out, which was all zero. Not static: so it is verified once for a program, and not for each way to it. Of
 * the caller's 512 bytes of stack it takes some 250.
 */
__noinline int python_find_frame(const struct pyi_abi_python *layout, struct pyi_abi_frame *out)
{
	struct python_walk walk = {};
	__u64 state;

	if (!layout || !out)
		return 0;
	if (!bpf_core_enum_value_exists(enum bpf_func_id, BPF_FUNC_loop))
		return 0; /* a kernel before 5.17 */
	state = python_find_state(layout);
	if (!state)
		return 0;
	walk.layout = layout;
	walk.frame = python_word(state + layout->state_frame);
	bpf_loop(PYTHON_FRAMES_MAX, python_look, &walk, 0);
	if (!walk.code)
		return 0;
	out->line = python_find_line(layout, walk.code, walk.instr, out);
	__builtin_memset(out->text, 0, sizeof(out->text));
	python_copy_name(&walk.name, out);
	return 0;
}

#endif
