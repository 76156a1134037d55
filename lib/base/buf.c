/* SPDX-License-Identifier: MIT */
/* A growable byte string; see buf.h. */
#include "base/buf.h"

#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void pyi_buf_release(struct pyi_buf *buf)
{
	free(buf->data);
	*buf = (struct pyi_buf)PYI_BUF_INIT;
}

/* Room for `more` bytes and the terminator. */
static bool reserve(struct pyi_buf *buf, size_t more)
{
	size_t need, cap;
	char *data;

	if (buf->failed || more > SIZE_MAX / 4 - buf->len) {
		buf->failed = true;
		return false;
	}
	need = buf->len + more + 1;
	if (need <= buf->cap)
		return true;
	cap = buf->cap ? buf->cap : 64;
	while (cap < need)
		cap *= 2;
	data = realloc(buf->data, cap);
	if (!data) {
		buf->failed = true;
		return false;
	}
	buf->data = data;
	buf->cap = cap;
	return true;
}

void pyi_buf_add(struct pyi_buf *buf, const void *data, size_t len)
{
	if (!reserve(buf, len))
		return;
	if (len)
		memcpy(buf->data + buf->len, data, len);
	buf->len += len;
	buf->data[buf->len] = '\0';
}

void pyi_buf_puts(struct pyi_buf *buf, const char *s)
{
	pyi_buf_add(buf, s, strlen(s));
}

void pyi_buf_putc(struct pyi_buf *buf, char c)
{
	pyi_buf_add(buf, &c, 1);
}

void pyi_buf_printf(struct pyi_buf *buf, const char *fmt, ...)
{
	va_list ap;
	int n;

	va_start(ap, fmt);
	n = vsnprintf(NULL, 0, fmt, ap);
	va_end(ap);
	if (n < 0 || !reserve(buf, (size_t)n))
		return;
	va_start(ap, fmt);
	vsnprintf(buf->data + buf->len, (size_t)n + 1, fmt, ap);
	va_end(ap);
	buf->len += (size_t)n;
}

void pyi_buf_printable(struct pyi_buf *buf, const char *s)
{
	for (size_t i = 0; s[i]; i++) {
		unsigned char c = (unsigned char)s[i];
		unsigned char next = (unsigned char)s[i + 1];

		if (c < 0x20 || c == 0x7f) {
			pyi_buf_printf(buf, "\\x%02x", c);
		} else if (c == 0xc2 && next >= 0x80 && next < 0xa0) {
			pyi_buf_printf(buf, "\\u%04x", next);
			i++;
		} else {
			pyi_buf_putc(buf, (char)c);
		}
	}
}

char *pyi_buf_take(struct pyi_buf *buf)
{
	char *data;

	if (!reserve(buf, 0)) {
		pyi_buf_release(buf);
		return NULL;
	}
	data = buf->data;
	data[buf->len] = '\0';
	*buf = (struct pyi_buf)PYI_BUF_INIT;
	return data;
}

const char *pyi_buf_str(const struct pyi_buf *buf)
{
	return buf->data ? buf->data : "";
}
