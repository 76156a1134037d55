/* SPDX-License-Identifier: MIT */
/*
 * A growable byte string, always terminated. Appending after a failed allocation does nothing: check `failed` once
 * at the end (pyi_buf_take does).
 */
#ifndef PYI_BASE_BUF_H
#define PYI_BASE_BUF_H

#include <stdbool.h>
#include <stddef.h>

struct pyi_buf {
	char *data; /* owned; NULL while empty */
	size_t len; /* bytes without the terminator */
	size_t cap;
	bool failed; /* an allocation failed; the content is not to be used */
};

#define PYI_BUF_INIT { .data = NULL }
#define _cleanup_buf __attribute__((cleanup(pyi_buf_release)))

void pyi_buf_release(struct pyi_buf *buf);
void pyi_buf_add(struct pyi_buf *buf, const void *data, size_t len);
void pyi_buf_puts(struct pyi_buf *buf, const char *s);
void pyi_buf_putc(struct pyi_buf *buf, char c);
void pyi_buf_printf(struct pyi_buf *buf, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/*
 * A string for a terminal: control characters as \xNN. Bytes from 0x80 on pass (UTF-8 names), except the C1 controls in
 * their UTF-8 form, which some terminals obey.
 */
void pyi_buf_printable(struct pyi_buf *buf, const char *s);

/* Hand over the bytes (the caller frees them); NULL when an allocation failed. Never NULL for an empty buffer. */
char *pyi_buf_take(struct pyi_buf *buf);

/* The content as a C string, "" while empty. Valid until the next change. */
const char *pyi_buf_str(const struct pyi_buf *buf);

#endif
