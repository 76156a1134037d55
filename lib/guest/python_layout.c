/* SPDX-License-Identifier: MIT */
/*
 * See python_layout.h and bpf/python_abi.h. Offsets are the compiler's, as this file and the interpreter are built from
 * the same headers. Two things no header tells: how the flags of a str are laid out in their word, and where in a
 * thread libc keeps what pthread_setspecific(3) is given; so one of each is made, and looked at.
 */
#define Py_BUILD_CORE
#include "guest/python_layout.h"

#include <Python.h>
#include <internal/pycore_frame.h>
#include <internal/pycore_pystate.h>
#include <internal/pycore_runtime.h>
#include <pthread.h>
#include <stdint.h>
#include <string.h>

#include "python_abi.h"

enum { THREAD_BYTES = 4096, THREAD_STEP = 8, KEYS_IN_THREAD = 32, KEY_BYTES = 16 };

/* The first word of a thread's descriptor is its own address (the x86-64 ABI). */
static char *thread_pointer(void)
{
	char *self;

	__asm__("mov %%fs:0, %0" : "=r"(self));
	return self;
}

/* From the thread pointer to the data of key 0; false where it is not found within the descriptor. */
static bool find_slots(int32_t *ret_offset)
{
	const char *self = thread_pointer();
	static const char mark;
	pthread_key_t key;
	bool found = false;

	if (pthread_key_create(&key, NULL))
		return false;
	if (key < KEYS_IN_THREAD && pthread_setspecific(key, &mark) == 0) {
		for (int32_t at = 0; at < THREAD_BYTES && !found; at += THREAD_STEP) {
			const void *word;

			memcpy(&word, self + at, sizeof(word));
			found = word == &mark;
			if (found)
				*ret_offset = at - (int32_t)key * KEY_BYTES;
		}
		pthread_setspecific(key, NULL);
	}
	pthread_key_delete(key);
	return found;
}

static uint32_t state_word(const PyASCIIObject *text)
{
	uint32_t word;

	memcpy(&word, &text->state, sizeof(word));
	return word;
}

static void find_flags(struct pyi_abi_python *layout)
{
	PyASCIIObject text;

	memset(&text, 0, sizeof(text));
	text.state.kind = 7;
	layout->kind_mask = state_word(&text);
	layout->kind_shift = (uint16_t)__builtin_ctz(layout->kind_mask);
	text.state.kind = 0;
	text.state.ascii = 1;
	layout->ascii_mask = state_word(&text);
	text.state.ascii = 0;
	text.state.compact = 1;
	layout->compact_mask = state_word(&text);
}

void pyi_python_layout(struct pyi_abi_python *ret_layout)
{
	struct pyi_abi_python layout = {
		.runtime = (uintptr_t)&_PyRuntime,
		.code_type = (uintptr_t)&PyCode_Type,
		.tls_state = (int32_t)((char *)&_Py_tss_tstate - thread_pointer()),
		.slot_key = offsetof(_PyRuntimeState, autoTSSkey) + offsetof(Py_tss_t, _key),
		.text_state = offsetof(PyASCIIObject, state),
		.text_length = offsetof(PyASCIIObject, length),
		.text_ascii = sizeof(PyASCIIObject),
		.text_other = sizeof(PyCompactUnicodeObject),
		.state_frame = offsetof(PyThreadState, current_frame),
		.frame_previous = offsetof(_PyInterpreterFrame, previous),
		.frame_code = offsetof(_PyInterpreterFrame, f_executable),
		.frame_instr = offsetof(_PyInterpreterFrame, instr_ptr),
		.object_type = offsetof(PyObject, ob_type),
		.code_name = offsetof(PyCodeObject, co_filename),
		.code_lines = offsetof(PyCodeObject, co_linetable),
		.code_first_line = offsetof(PyCodeObject, co_firstlineno),
		.code_begin = offsetof(PyCodeObject, co_code_adaptive),
		.bytes_size = offsetof(PyVarObject, ob_size),
		.bytes_data = offsetof(PyBytesObject, ob_sval),
	};

	memset(ret_layout, 0, sizeof(*ret_layout));
	find_flags(&layout);
	if (find_slots(&layout.tls_slots))
		*ret_layout = layout;
}

void pyi_python_layout_touch(void)
{
	(void)*(const volatile char *)_PyRuntime.debug_offsets.cookie;
	(void)*(const volatile pthread_key_t *)&_PyRuntime.autoTSSkey._key;
}
