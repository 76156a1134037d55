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

/* One write per line, so that lines of several processes do not mix. */
static void print_line(const char *fmt, va_list ap)
{
	_cleanup_buf struct pyi_buf line = PYI_BUF_INIT;
	char text[4096];

	if (vsnprintf(text, sizeof(text), fmt, ap) < 0)
		return;
	pyi_buf_puts(&line, "pyisolate: ");
	pyi_buf_printable(&line, text);
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
