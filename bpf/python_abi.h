/* SPDX-License-Identifier: (MIT OR GPL-2.0-only) */
/*
 * Where a guest's Python code was: what the user side tells the programs of the interpreter's memory, and what they
 * find there. Fixed width, no holes. See python_frame.bpf.h.
 */
#ifndef PYI_PYTHON_ABI_H
#define PYI_PYTHON_ABI_H

#include <linux/types.h>

/*
 * The interpreter is in our own binary, which is static and not relocated: so addresses of its data, and places of its
 * thread-local variables, are the same in every guest. Offsets are those of members. lib/guest/python_layout.c.
 */
struct pyi_abi_python {
	__u64 runtime; /* of _PyRuntime, which begins with the cookie; 0: the guest is no Python of ours */
	__u64 code_type; /* of PyCode_Type */
	__s32 tls_state; /* from the thread pointer to the state of the thread, if it is attached */
	__s32 tls_slots; /* from the thread pointer to the data of libc's key 0; the next is 16 on */
	__u32 slot_key;	 /* in the runtime: libc's key under which the state is, attached or not */
	__u32 text_state; /* in a str: the flags, */
	__u32 kind_mask;  /* and in them the bytes of a character, */
	__u32 ascii_mask; /* and whether its data follow the smaller head */
	__u32 compact_mask;
	__u16 kind_shift;
	__u16 text_length;
	__u16 text_ascii; /* size of the smaller head, */
	__u16 text_other; /* and of the other */
	__u16 state_frame;
	__u16 frame_previous;
	__u16 frame_code;
	__u16 frame_instr;
	__u16 object_type;
	__u16 code_name; /* of the file */
	__u16 code_lines;
	__u16 code_first_line;
	__u16 code_begin; /* of the instructions */
	__u16 bytes_size;
	__u16 bytes_data;
	__u16 zero;
};

enum { PYI_ABI_FRAME_TEXT = 224 };

/* The name is of the guest's making: any characters, none of them checked. */
struct pyi_abi_frame {
	__s32 line;  /* 0: unknown */
	__u16 bytes; /* of text; 0: no frame was found */
	__u8 width;  /* bytes of a character, of its code point: 1, 2 or 4 */
	__u8 is_cut; /* text is the end of a longer name */
	__u8 text[PYI_ABI_FRAME_TEXT];
};

_Static_assert(sizeof(struct pyi_abi_python) == 80, "Python's layout");
_Static_assert(sizeof(struct pyi_abi_frame) == 8 + PYI_ABI_FRAME_TEXT, "Python's frame");

#endif
