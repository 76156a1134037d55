/* SPDX-License-Identifier: MIT */
/* A JSON writer (RFC 8259); see json.h. */
#include "base/json.h"

#include <inttypes.h>
#include <string.h>

#include "base/buf.h"

void pyi_json_init(struct pyi_json *json, struct pyi_buf *out)
{
	json->out = out;
	json->need_comma = false;
}

/* The length of the UTF-8 sequence at s (never past the terminator), 0 when it is not valid (RFC 3629). */
static size_t utf8_len(const unsigned char *s)
{
	size_t n, i;

	if (s[0] < 0x80)
		return 1;
	if (s[0] >= 0xc2 && s[0] <= 0xdf)
		n = 2;
	else if (s[0] >= 0xe0 && s[0] <= 0xef)
		n = 3;
	else if (s[0] >= 0xf0 && s[0] <= 0xf4)
		n = 4;
	else
		return 0;
	for (i = 1; i < n; i++)
		if ((s[i] & 0xc0) != 0x80)
			return 0;
	if ((s[0] == 0xe0 && s[1] < 0xa0) || (s[0] == 0xed && s[1] > 0x9f) ||
	    (s[0] == 0xf0 && s[1] < 0x90) || (s[0] == 0xf4 && s[1] > 0x8f))
		return 0;
	return n;
}

static void put_string(struct pyi_buf *out, const char *text)
{
	const unsigned char *s = (const unsigned char *)text;

	pyi_buf_putc(out, '"');
	while (*s) {
		size_t n = utf8_len(s);

		if (n == 0) {
			pyi_buf_puts(out, "\\ufffd");
			n = 1;
		} else if (*s == '"' || *s == '\\') {
			pyi_buf_putc(out, '\\');
			pyi_buf_putc(out, (char)*s);
		} else if (*s == '\n') {
			pyi_buf_puts(out, "\\n");
		} else if (*s == '\t') {
			pyi_buf_puts(out, "\\t");
		} else if (*s < 0x20 || *s == 0x7f) {
			pyi_buf_printf(out, "\\u%04x", *s);
		} else {
			pyi_buf_add(out, s, n);
		}
		s += n;
	}
	pyi_buf_putc(out, '"');
}

static void start_value(struct pyi_json *json, const char *key)
{
	if (json->need_comma)
		pyi_buf_putc(json->out, ',');
	json->need_comma = true;
	if (key) {
		put_string(json->out, key);
		pyi_buf_putc(json->out, ':');
	}
}

static void open_group(struct pyi_json *json, const char *key, char c)
{
	start_value(json, key);
	pyi_buf_putc(json->out, c);
	json->need_comma = false;
}

static void close_group(struct pyi_json *json, char c)
{
	pyi_buf_putc(json->out, c);
	json->need_comma = true;
}

void pyi_json_object(struct pyi_json *json, const char *key)
{
	open_group(json, key, '{');
}

void pyi_json_end_object(struct pyi_json *json)
{
	close_group(json, '}');
}

void pyi_json_array(struct pyi_json *json, const char *key)
{
	open_group(json, key, '[');
}

void pyi_json_end_array(struct pyi_json *json)
{
	close_group(json, ']');
}

void pyi_json_string(struct pyi_json *json, const char *key, const char *value)
{
	if (!value) {
		pyi_json_null(json, key);
		return;
	}
	start_value(json, key);
	put_string(json->out, value);
}

void pyi_json_u64(struct pyi_json *json, const char *key, uint64_t value)
{
	start_value(json, key);
	pyi_buf_printf(json->out, "%" PRIu64, value);
}

void pyi_json_i64(struct pyi_json *json, const char *key, int64_t value)
{
	start_value(json, key);
	pyi_buf_printf(json->out, "%" PRId64, value);
}

void pyi_json_ms(struct pyi_json *json, const char *key, uint64_t microseconds)
{
	start_value(json, key);
	pyi_buf_printf(json->out, "%" PRIu64 ".%03u", microseconds / 1000,
		       (unsigned int)(microseconds % 1000));
}

void pyi_json_bool(struct pyi_json *json, const char *key, bool value)
{
	start_value(json, key);
	pyi_buf_puts(json->out, value ? "true" : "false");
}

void pyi_json_null(struct pyi_json *json, const char *key)
{
	start_value(json, key);
	pyi_buf_puts(json->out, "null");
}
