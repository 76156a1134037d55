/* SPDX-License-Identifier: MIT */
/* Where in the guest's Python an event was, as text; see bpf_pins.h. */
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include "kernel/bpf.h"
#include "kernel/bpf_pins.h"
#include "pyi_abi.h"

enum { REPLACEMENT = 0xfffd, CODE_POINT_MAX = 0x10ffff };

static size_t put_utf8(uint32_t c, char *to)
{
	if (c < 0x80) {
		to[0] = (char)c;
		return 1;
	}
	if (c < 0x800) {
		to[0] = (char)(0xc0 | c >> 6);
		to[1] = (char)(0x80 | (c & 0x3f));
		return 2;
	}
	if (c < 0x10000) {
		to[0] = (char)(0xe0 | c >> 12);
		to[1] = (char)(0x80 | (c >> 6 & 0x3f));
		to[2] = (char)(0x80 | (c & 0x3f));
		return 3;
	}
	to[0] = (char)(0xf0 | c >> 18);
	to[1] = (char)(0x80 | (c >> 12 & 0x3f));
	to[2] = (char)(0x80 | (c >> 6 & 0x3f));
	to[3] = (char)(0x80 | (c & 0x3f));
	return 4;
}

static uint32_t character(const struct pyi_abi_frame *frame, size_t at)
{
	uint32_t c = 0;

	/* Little-endian, as the guest's is. */
	memcpy(&c, frame->text + at, frame->width);
	return !c || c > CODE_POINT_MAX || (c >= 0xd800 && c < 0xe000) ? REPLACEMENT : c;
}

void pyi_bpf_frame_text(const struct pyi_abi_frame *frame, char *buf, size_t size)
{
	enum { UTF8_MAX = 4, LINE_MAX = 16 };
	static const char cut[] = "...";
	size_t n = 0;

	buf[0] = '\0';
	if (!frame->bytes || frame->bytes > sizeof(frame->text) || size < LINE_MAX + sizeof(cut) ||
	    (frame->width != 1 && frame->width != 2 && frame->width != 4))
		return;
	if (frame->is_cut)
		n = (size_t)snprintf(buf, size, "%s", cut);
	for (size_t at = 0; at + frame->width <= frame->bytes && n + UTF8_MAX + LINE_MAX < size;
	     at += frame->width)
		n += put_utf8(character(frame, at), buf + n);
	if (frame->line > 0)
		snprintf(buf + n, size - n, ":%d", frame->line);
	else
		buf[n] = '\0';
}
