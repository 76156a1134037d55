/* SPDX-License-Identifier: MIT */
/* A JSON writer (RFC 8259); see json.h. */
#include "base/json.h"

#include <inttypes.h>
#include <string.h>

#include "base/buf.h"
#include "base/utf8.h"

void pyi_json_init(struct pyi_json *json, struct pyi_buf *out)
{
	json->out = out;
	json->need_comma = false;
}

static void put_string(struct pyi_buf *out, const char *text)
{
	const unsigned char *s = (const unsigned char *)text;

	pyi_buf_putc(out, '"');
	while (*s) {
		size_t n = pyi_utf8_len((const char *)s);

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
		} else if (*s == 0xc2 && s[1] < 0xa0) {
			/* C1: a terminal that shows the text takes U+009B for the start of a command. */
			pyi_buf_printf(out, "\\u%04x", s[1]);
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
