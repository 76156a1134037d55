/* SPDX-License-Identifier: MIT */
/* See event_line.h. The lines are our own writer's, so they are looked through, not parsed. */
#include "report/event_line.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/buf.h"

enum { MEMBERS_MAX = 24 };

struct text {
	const char *at;
	size_t len;
};

struct member {
	struct text key;
	struct text value; /* a string without its quotes */
	bool is_null;
};

struct object {
	struct member v[MEMBERS_MAX];
	size_t n;
};

/* What is between quotes; NULL where there is no end of it. */
static const char *read_string(const char *at, const char *end, struct text *ret_text)
{
	const char *from = ++at;

	for (; at < end && *at != '"'; at++)
		if (*at == '\\')
			at++;
	if (at >= end)
		return NULL;
	*ret_text = (struct text){ from, (size_t)(at - from) };
	return at + 1;
}

static const char *read_value(const char *at, const char *end, struct member *member)
{
	const char *from = at;

	if (at < end && *at == '"')
		return read_string(at, end, &member->value);
	while (at < end && *at != ',' && *at != '}')
		at++;
	member->value = (struct text){ from, (size_t)(at - from) };
	member->is_null = member->value.len == 4 && memcmp(from, "null", 4) == 0;
	return at < end ? at : NULL;
}

static bool read_object(const char *line, size_t len, struct object *object)
{
	const char *at = line, *end = line + len;

	if (len < 2 || *at != '{')
		return false;
	while (at && at < end && *at != '}' && object->n < MEMBERS_MAX) {
		struct member *member = &object->v[object->n];

		at++;
		if (at >= end || *at != '"')
			return false;
		at = read_string(at, end, &member->key);
		if (!at || at >= end || *at != ':')
			return false;
		at = read_value(at + 1, end, member);
		object->n++;
	}
	return at == end - 1;
}

static const struct text *find(const struct object *object, const char *key)
{
	for (size_t i = 0; i < object->n; i++) {
		const struct member *member = &object->v[i];

		if (member->key.len == strlen(key) && memcmp(member->key.at, key, member->key.len) == 0)
			return member->is_null ? NULL : &member->value;
	}
	return NULL;
}

static void add(struct pyi_buf *out, const char *before, const struct text *text, const char *after)
{
	if (!text)
		return;
	pyi_buf_puts(out, before);
	pyi_buf_add(out, text->at, text->len);
	pyi_buf_puts(out, after);
}

static bool is_one_of(const struct text *key, const char *const *names)
{
	for (; *names; names++)
		if (key->len == strlen(*names) && memcmp(key->at, *names, key->len) == 0)
			return true;
	return false;
}

static void print_time(const struct text *text, struct pyi_buf *out)
{
	char number[32] = "", day[32] = "?";
	unsigned long long ms;
	struct tm tm;
	time_t s;

	if (text && text->len < sizeof(number))
		memcpy(number, text->at, text->len);
	ms = strtoull(number, NULL, 10);
	s = (time_t)(ms / 1000);
	if (gmtime_r(&s, &tm))
		strftime(day, sizeof(day), "%Y-%m-%dT%H:%M:%S", &tm);
	pyi_buf_printf(out, "%s.%03lluZ", day, ms % 1000);
}

static void print_denial(const struct object *object, struct pyi_buf *out)
{
	const struct text *target = find(object, "address");
	const struct text *variable = find(object, "variable");
	const struct text *rule = find(object, "rule");

	add(out, "  ", find(object, "op"), "");
	add(out, " ", target ? target : variable ? variable : find(object, "path"), "");
	add(out, "  ", find(object, "errno"), "");
	if (rule)
		add(out, "  by ", rule, "");
	else
		pyi_buf_puts(out, "  by a policy that is gone");
	add(out, " (", find(object, "file"), ")");
	add(out, "  at ", find(object, "at"), "");
	add(out, "  in ", find(object, "pid"), "");
	add(out, "/", find(object, "thread"), "");
}

static void print_members(const struct object *object, struct pyi_buf *out)
{
	static const char *const first[] = { "time_ms", "event", NULL };

	for (size_t i = 0; i < object->n; i++) {
		const struct member *member = &object->v[i];

		if (is_one_of(&member->key, first) || member->is_null)
			continue;
		pyi_buf_puts(out, "  ");
		pyi_buf_add(out, member->key.at, member->key.len);
		add(out, "=", &member->value, "");
	}
}

void pyi_event_line_print(const char *line, size_t len, struct pyi_buf *out)
{
	struct object object = { .n = 0 };
	const struct text *event;

	event = read_object(line, len, &object) ? find(&object, "event") : NULL;
	if (!event) {
		pyi_buf_add(out, line, len);
		pyi_buf_putc(out, '\n');
		return;
	}
	print_time(find(&object, "time_ms"), out);
	add(out, "  ", event, "");
	if (find(&object, "op"))
		print_denial(&object, out);
	else
		print_members(&object, out);
	pyi_buf_putc(out, '\n');
}
