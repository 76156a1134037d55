/* SPDX-License-Identifier: MIT */
/*
 * Numbers with units. Everything is integer arithmetic on decimal digits: no locale, no exponents, no signs, no
 * hexadecimal, no rounding that depends on the libc, and a value that does not fit is an error, never cut.
 */
#include "base/parse.h"

#include <errno.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "base/err.h"
#include "base/util.h"

enum {
	FRACTION_DIGITS_MAX = 9,
	NEAREST_LEN_MAX = 64,
	FORMAT_LEN = 32, /* what callers provide */
};

/* A decimal number before its unit: value / 10^decimals. */
struct decimal {
	uint64_t value;
	unsigned int decimals;
};

struct unit {
	const char *name;
	uint64_t factor;
};

static const struct unit size_units[] = {
	{ "", 1 },
	{ "B", 1 },
	{ "KiB", UINT64_C(1) << 10 },
	{ "MiB", UINT64_C(1) << 20 },
	{ "GiB", UINT64_C(1) << 30 },
	{ "TiB", UINT64_C(1) << 40 },
	{ "K", UINT64_C(1) << 10 },
	{ "M", UINT64_C(1) << 20 },
	{ "G", UINT64_C(1) << 30 },
	{ "T", UINT64_C(1) << 40 },
	{ "kB", UINT64_C(1000) },
	{ "MB", UINT64_C(1000000) },
	{ "GB", UINT64_C(1000000000) },
	{ "TB", UINT64_C(1000000000000) },
};

static const struct unit duration_units[] = {
	{ "ms", 1 }, { "s", 1000 }, { "m", 60000 }, { "h", 3600000 }, { "d", 86400000 },
};

static const struct unit cpu_units[] = { { "%", 10 }, { "", 1000 } };

static bool is_digit(char c)
{
	return c >= '0' && c <= '9';
}

/* The digits at the start of text; *ret_rest is what follows them. */
static int parse_decimal(const char *text, struct decimal *ret, const char **ret_rest,
			 struct pyi_err *err)
{
	const char *p = text;
	struct decimal d = { 0, 0 };
	bool has_digit = false;

	for (; is_digit(*p); p++, has_digit = true) {
		if (__builtin_mul_overflow(d.value, 10, &d.value) ||
		    __builtin_add_overflow(d.value, (uint64_t)(*p - '0'), &d.value))
			return pyi_err_set(err, ERANGE, "'%.64s' is too large", text);
	}
	if (!has_digit)
		return pyi_err_set(err, EINVAL, "'%.64s' is not a number", text);
	if (*p == '.') {
		p++;
		if (!is_digit(*p))
			return pyi_err_set(err, EINVAL, "'%.64s' has no digit after the point", text);
		for (; is_digit(*p); p++) {
			if (++d.decimals > FRACTION_DIGITS_MAX)
				return pyi_err_set(err, EINVAL, "'%.64s' has more than %d decimals",
						   text, FRACTION_DIGITS_MAX);
			if (__builtin_mul_overflow(d.value, 10, &d.value) ||
			    __builtin_add_overflow(d.value, (uint64_t)(*p - '0'), &d.value))
				return pyi_err_set(err, ERANGE, "'%.64s' is too large", text);
		}
	}
	*ret = d;
	*ret_rest = p;
	return 0;
}

static int unknown_unit(const char *text, const char *name, const struct unit *units, size_t n,
			struct pyi_err *err)
{
	const char *names[PYI_ARRAY_SIZE(size_units)];
	const char *near;
	size_t n_names = 0;

	for (size_t i = 0; i < n; i++)
		if (*units[i].name)
			names[n_names++] = units[i].name;
	if (!*name)
		return pyi_err_set(err, EINVAL, "'%.64s' needs a unit, such as '%.40s%s'", text,
				   text, names[1]);
	near = pyi_parse_nearest(name, names, n_names);
	if (near)
		return pyi_err_set(err, EINVAL, "unknown unit '%.32s' in '%.64s', did you mean '%s'?",
				   name, text, near);
	return pyi_err_set(err, EINVAL, "unknown unit '%.32s' in '%.64s'", name, text);
}

/* A number and one of the units, as a whole number of the smallest one, rounded down. */
static int parse_with_unit(const char *text, const struct unit *units, size_t n, uint64_t *ret,
			   struct pyi_err *err)
{
	struct decimal d;
	const char *rest;
	unsigned __int128 product;
	int r;

	r = parse_decimal(text, &d, &rest, err);
	if (r)
		return r;
	for (size_t i = 0; i < n; i++) {
		if (strcmp(rest, units[i].name) != 0)
			continue;
		if (d.decimals && units[i].factor == 1)
			return pyi_err_set(err, EINVAL, "'%.64s' is not a whole number", text);
		product = (unsigned __int128)d.value * units[i].factor;
		for (unsigned int k = 0; k < d.decimals; k++)
			product /= 10;
		/* Signed 64-bit is what rlimits, cgroup files and timers can hold. */
		if (product > INT64_MAX)
			return pyi_err_set(err, ERANGE, "'%.64s' is too large", text);
		*ret = (uint64_t)product;
		return 0;
	}
	return unknown_unit(text, rest, units, n, err);
}

int pyi_parse_size(const char *text, uint64_t *ret_bytes, struct pyi_err *err)
{
	return parse_with_unit(text, size_units, PYI_ARRAY_SIZE(size_units), ret_bytes, err);
}

int pyi_parse_duration(const char *text, uint64_t *ret_ms, struct pyi_err *err)
{
	uint64_t ms = 0;
	int r;

	r = parse_with_unit(text, duration_units, PYI_ARRAY_SIZE(duration_units), &ms, err);
	if (r)
		return r;
	if (ms == 0)
		return pyi_err_set(err, ERANGE, "'%.64s' is too short: at least 1ms", text);
	*ret_ms = ms;
	return 0;
}

int pyi_parse_timeout(const char *text, uint64_t *ret_ms, struct pyi_err *err)
{
	char seconds[32];
	int n = snprintf(seconds, sizeof(seconds), "%ss", text);

	if (n > 0 && n < (int)sizeof(seconds) && pyi_parse_duration(seconds, ret_ms, NULL) == 0)
		return 0;
	return pyi_parse_duration(text, ret_ms, err);
}

int pyi_parse_cpu(const char *text, uint32_t *ret_permille, struct pyi_err *err)
{
	uint64_t permille = 0;
	int r;

	r = parse_with_unit(text, cpu_units, PYI_ARRAY_SIZE(cpu_units), &permille, err);
	if (r)
		return r;
	if (permille < 10)
		return pyi_err_set(err, ERANGE, "'%.64s' is too small: at least 1%%", text);
	if (permille > 1000 * 4096)
		return pyi_err_set(err, ERANGE, "'%.64s' is too large: at most 4096 CPUs", text);
	*ret_permille = (uint32_t)permille;
	return 0;
}

int pyi_parse_u64(const char *text, uint64_t min, uint64_t max, uint64_t *ret_value, struct pyi_err *err)
{
	struct decimal d;
	const char *rest;
	int r;

	r = parse_decimal(text, &d, &rest, err);
	if (r)
		return r;
	if (d.decimals || *rest)
		return pyi_err_set(err, EINVAL, "'%.64s' is not a whole number", text);
	if (d.value < min || d.value > max)
		return pyi_err_set(err, ERANGE, "'%.64s' is out of range: %" PRIu64 " to %" PRIu64,
				   text, min, max);
	*ret_value = d.value;
	return 0;
}

static char lower(char c)
{
	return c >= 'A' && c <= 'Z' ? (char)(c - 'A' + 'a') : c;
}

static size_t min3(size_t a, size_t b, size_t c)
{
	size_t m = a < b ? a : b;

	return m < c ? m : c;
}

/* Insertions, deletions, replacements and swaps of neighbours, letters compared without case. */
static size_t edit_distance(const char *a, size_t n, const char *b, size_t m)
{
	size_t rows[3][NEAREST_LEN_MAX + 1];
	size_t *before = rows[0], *last = rows[1], *now = rows[2];

	for (size_t j = 0; j <= m; j++)
		last[j] = j;
	for (size_t i = 1; i <= n; i++) {
		size_t *spare = before;

		now[0] = i;
		for (size_t j = 1; j <= m; j++) {
			bool same = lower(a[i - 1]) == lower(b[j - 1]);

			now[j] = min3(last[j] + 1, now[j - 1] + 1, last[j - 1] + !same);
			if (i > 1 && j > 1 && lower(a[i - 1]) == lower(b[j - 2]) &&
			    lower(a[i - 2]) == lower(b[j - 1]) && before[j - 2] + 1 < now[j])
				now[j] = before[j - 2] + 1;
		}
		before = last;
		last = now;
		now = spare;
	}
	return last[m];
}

const char *pyi_parse_nearest(const char *word, const char *const *words, size_t n)
{
	size_t len = strnlen(word, NEAREST_LEN_MAX + 1);
	const char *best = NULL;
	size_t best_distance = 0;

	if (len == 0 || len > NEAREST_LEN_MAX)
		return NULL;
	for (size_t i = 0; i < n; i++) {
		size_t m = strnlen(words[i], NEAREST_LEN_MAX + 1);
		size_t longer = m > len ? m : len;
		size_t distance, limit = longer < 3 ? 1 : (longer + 2) / 3;

		if (m == 0 || m > NEAREST_LEN_MAX)
			continue;
		distance = edit_distance(word, len, words[i], m);
		/* A word that shares nothing with the other is not near it, however short both are. */
		if (distance > limit || distance >= longer)
			continue;
		if (!best || distance < best_distance) {
			best = words[i];
			best_distance = distance;
		}
	}
	return best;
}

const char *pyi_format_size(uint64_t bytes, char *buf)
{
	static const char *const names[] = { "", "KiB", "MiB", "GiB", "TiB" };
	size_t i = 0;

	while (bytes && bytes % 1024 == 0 && i + 1 < PYI_ARRAY_SIZE(names)) {
		bytes /= 1024;
		i++;
	}
	snprintf(buf, FORMAT_LEN, "%" PRIu64 "%s", bytes, names[i]);
	return buf;
}

const char *pyi_format_duration(uint64_t ms, char *buf)
{
	static const struct unit whole[] = {
		{ "d", 86400000 }, { "h", 3600000 }, { "m", 60000 }, { "s", 1000 }
	};
	unsigned int frac = (unsigned int)(ms % 1000), width = 3;

	if (ms < 1000) {
		snprintf(buf, FORMAT_LEN, "%ums", frac);
		return buf;
	}
	if (frac) {
		for (; frac % 10 == 0; width--)
			frac /= 10;
		snprintf(buf, FORMAT_LEN, "%" PRIu64 ".%0*us", ms / 1000, (int)width, frac);
		return buf;
	}
	for (size_t i = 0; i < PYI_ARRAY_SIZE(whole); i++) {
		if (ms % whole[i].factor)
			continue;
		snprintf(buf, FORMAT_LEN, "%" PRIu64 "%s", ms / whole[i].factor, whole[i].name);
		break;
	}
	return buf;
}

const char *pyi_format_cpu(uint32_t permille, char *buf)
{
	if (permille % 10)
		snprintf(buf, FORMAT_LEN, "%" PRIu32 ".%" PRIu32 "%%", permille / 10, permille % 10);
	else
		snprintf(buf, FORMAT_LEN, "%" PRIu32 "%%", permille / 10);
	return buf;
}
