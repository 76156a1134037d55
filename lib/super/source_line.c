/* SPDX-License-Identifier: MIT */
/* A line of the program or of one of its modules; see source.h. */
#include <limits.h>
#include <stdio.h>
#include <string.h>

#include "base/io.h"
#include "base/util.h"
#include "super/source.h"

enum { MODULE_BYTES_MAX = 1 << 20 };

static bool take_line(const char *text, size_t len, unsigned int number, char ret[PYI_SOURCE_LINE_MAX])
{
	const char *end = text + len;

	while (number > 1 && text < end) {
		const char *newline = memchr(text, '\n', (size_t)(end - text));

		if (!newline)
			return false;
		text = newline + 1;
		number--;
	}
	if (!number || text >= end)
		return false;
	len = strcspn(text, "\r\n");
	snprintf(ret, PYI_SOURCE_LINE_MAX, "%.*s", (int)(len < INT_MAX ? len : INT_MAX), text);
	return true;
}

static bool line_of_file(const char *path, unsigned int number, char ret[PYI_SOURCE_LINE_MAX])
{
	_cleanup_fd int fd = pyi_open_regular(path);
	_cleanup_buf struct pyi_buf text = PYI_BUF_INIT;

	if (fd < 0 || pyi_read_all(fd, MODULE_BYTES_MAX, &text) || text.failed)
		return false;
	return take_line(pyi_buf_str(&text), text.len, number, ret);
}

bool pyi_source_line(const struct pyi_source *source, const char *target, const char *cwd,
		     const char *file, unsigned int number, char ret[PYI_SOURCE_LINE_MAX])
{
	char path[PATH_MAX];

	if (!strcmp(file, "<string>") || !strcmp(file, "<stdin>") || (target && !strcmp(file, target)))
		return take_line(pyi_buf_str(&source->text), source->text.len, number, ret);
	if (snprintf(path, sizeof(path), "%s%s%s", *file == '/' ? "" : cwd, *file == '/' ? "" : "/",
		     file) >= (int)sizeof(path))
		return false;
	return line_of_file(path, number, ret);
}
