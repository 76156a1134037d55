/* SPDX-License-Identifier: MIT */
/* Lines on stderr; see log.h. */
#include "base/log.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/io.h"

static enum pyi_log_level level = PYI_LOG_NORMAL;

void pyi_log_set_level(enum pyi_log_level new_level)
{
	level = new_level;
}

enum pyi_log_level pyi_log_get_level(void)
{
	return level;
}

/*
 * One write per line, so that lines of several processes do not mix. Bytes from 0x80 on pass (UTF-8 names), except
 * the C1 controls in their UTF-8 form, which some terminals obey.
 */
static void print_line(const char *fmt, va_list ap)
{
	_cleanup_buf struct pyi_buf line = PYI_BUF_INIT;
	char text[4096];
	size_t i;

	if (vsnprintf(text, sizeof(text), fmt, ap) < 0)
		return;
	pyi_buf_puts(&line, "pyisolate: ");
	for (i = 0; text[i]; i++) {
		unsigned char c = (unsigned char)text[i];
		unsigned char next = (unsigned char)text[i + 1];

		if (c < 0x20 || c == 0x7f) {
			pyi_buf_printf(&line, "\\x%02x", c);
		} else if (c == 0xc2 && next >= 0x80 && next < 0xa0) {
			pyi_buf_printf(&line, "\\u%04x", next);
			i++;
		} else {
			pyi_buf_putc(&line, (char)c);
		}
	}
	pyi_buf_putc(&line, '\n');
	if (!line.failed)
		(void)pyi_write_all(STDERR_FILENO, line.data, line.len);
}

void pyi_log_error(const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	print_line(fmt, ap);
	va_end(ap);
}

void pyi_log_note(const char *fmt, ...)
{
	va_list ap;

	if (level < PYI_LOG_NORMAL)
		return;
	va_start(ap, fmt);
	print_line(fmt, ap);
	va_end(ap);
}

void pyi_log_verbose(const char *fmt, ...)
{
	va_list ap;

	if (level < PYI_LOG_VERBOSE)
		return;
	va_start(ap, fmt);
	print_line(fmt, ap);
	va_end(ap);
}
