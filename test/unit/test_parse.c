/* SPDX-License-Identifier: MIT */
/* Sizes, durations, CPU shares and suggestions: what is read, what is refused and with which words. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/err.h"
#include "base/parse.h"
#include "base/util.h"

typedef int (*parser)(const char *text, uint64_t *ret, struct pyi_err *err);

static int parse_cpu64(const char *text, uint64_t *ret, struct pyi_err *err)
{
	uint32_t permille = 0;
	int r = pyi_parse_cpu(text, &permille, err);

	*ret = permille;
	return r;
}

static void accepts(parser parse, const char *text, uint64_t want)
{
	struct pyi_err err = { 0 };
	uint64_t got = 12345;

	if (parse(text, &got, &err))
		fail_msg("'%s': %s", text, err.msg);
	assert_int_equal(got, want);
}

static void refuses(parser parse, const char *text, const char *message)
{
	struct pyi_err err = { 0 };
	uint64_t got = 12345;

	if (!parse(text, &got, &err))
		fail_msg("'%s' was accepted", text);
	if (!strstr(err.msg, message))
		fail_msg("'%s': \"%s\" does not say \"%s\"", text, err.msg, message);
	if (parse != parse_cpu64)
		assert_int_equal(got, 12345);
}

static void test_size(void **state)
{
	accepts(pyi_parse_size, "0", 0);
	accepts(pyi_parse_size, "4096", 4096);
	accepts(pyi_parse_size, "4096B", 4096);
	accepts(pyi_parse_size, "256MiB", 256 << 20);
	accepts(pyi_parse_size, "256M", 256 << 20);
	accepts(pyi_parse_size, "10MB", 10000000);
	accepts(pyi_parse_size, "3kB", 3000);
	accepts(pyi_parse_size, "3K", 3072);
	accepts(pyi_parse_size, "1.5GiB", UINT64_C(3) << 29);
	accepts(pyi_parse_size, "2TB", UINT64_C(2000000000000));
	accepts(pyi_parse_size, "2T", UINT64_C(2) << 40);
	accepts(pyi_parse_size, "0.1KiB", 102);
	accepts(pyi_parse_size, "9223372036854775807", INT64_MAX);
	refuses(pyi_parse_size, "", "is not a number");
	refuses(pyi_parse_size, "MiB", "is not a number");
	refuses(pyi_parse_size, "-1", "is not a number");
	refuses(pyi_parse_size, "+1", "is not a number");
	refuses(pyi_parse_size, " 1", "is not a number");
	refuses(pyi_parse_size, ".5MiB", "is not a number");
	refuses(pyi_parse_size, "1.", "no digit after the point");
	refuses(pyi_parse_size, "1.5", "is not a whole number");
	refuses(pyi_parse_size, "1.1234567891MiB", "decimals");
	refuses(pyi_parse_size, "0x10", "unknown unit 'x10'");
	refuses(pyi_parse_size, "1e9", "unknown unit 'e9'");
	refuses(pyi_parse_size, "256 MiB", "did you mean 'MiB'?");
	refuses(pyi_parse_size, "256mib", "did you mean 'MiB'?");
	refuses(pyi_parse_size, "256MBi", "unknown unit 'MBi'");
	refuses(pyi_parse_size, "10parsecs", "unknown unit 'parsecs' in '10parsecs'");
	refuses(pyi_parse_size, "9223372036854775808", "too large");
	refuses(pyi_parse_size, "99999999999999999999", "too large");
	refuses(pyi_parse_size, "9999999999TiB", "too large");
}

static void test_duration(void **state)
{
	accepts(pyi_parse_duration, "30s", 30000);
	accepts(pyi_parse_duration, "1.5s", 1500);
	accepts(pyi_parse_duration, "200ms", 200);
	accepts(pyi_parse_duration, "2m", 120000);
	accepts(pyi_parse_duration, "1h", 3600000);
	accepts(pyi_parse_duration, "3d", 259200000);
	accepts(pyi_parse_duration, "0.001s", 1);
	refuses(pyi_parse_duration, "30", "'30' needs a unit, such as '30s'");
	refuses(pyi_parse_duration, "0s", "too short");
	refuses(pyi_parse_duration, "0.0001s", "too short");
	refuses(pyi_parse_duration, "0.5ms", "not a whole number");
	refuses(pyi_parse_duration, "1w", "unknown unit 'w'");
	refuses(pyi_parse_duration, "30S", "did you mean 's'?");
	refuses(pyi_parse_duration, "nan", "is not a number");
	refuses(pyi_parse_duration, "inf", "is not a number");
	refuses(pyi_parse_duration, "99999999999999999d", "too large");
}

static void test_cpu(void **state)
{
	accepts(parse_cpu64, "50%", 500);
	accepts(parse_cpu64, "150%", 1500);
	accepts(parse_cpu64, "12.5%", 125);
	accepts(parse_cpu64, "1%", 10);
	accepts(parse_cpu64, "1.5", 1500);
	accepts(parse_cpu64, "2", 2000);
	accepts(parse_cpu64, "0.25", 250);
	refuses(parse_cpu64, "0", "too small");
	refuses(parse_cpu64, "0.5%", "too small");
	refuses(parse_cpu64, "50 %", "did you mean '%'?");
	refuses(parse_cpu64, "1000000", "at most 4096 CPUs");
	refuses(parse_cpu64, "half", "is not a number");
}

static void test_u64(void **state)
{
	struct pyi_err err = { 0 };
	uint64_t v = 7;

	assert_int_equal(pyi_parse_u64("64", 1, 100, &v, &err), 0);
	assert_int_equal(v, 64);
	assert_int_equal(pyi_parse_u64("18446744073709551615", 0, UINT64_MAX, &v, &err), 0);
	assert_true(v == UINT64_MAX);
	v = 7;
	assert_int_equal(pyi_parse_u64("0", 1, 100, &v, &err), -ERANGE);
	assert_string_equal(err.msg, "'0' is out of range: 1 to 100");
	assert_int_equal(pyi_parse_u64("101", 1, 100, &v, &err), -ERANGE);
	assert_int_equal(pyi_parse_u64("18446744073709551616", 0, UINT64_MAX, &v, &err), -ERANGE);
	assert_int_equal(pyi_parse_u64("1.0", 1, 100, &v, &err), -EINVAL);
	assert_int_equal(pyi_parse_u64("1x", 1, 100, &v, &err), -EINVAL);
	assert_int_equal(pyi_parse_u64("-1", 1, 100, &v, &err), -EINVAL);
	assert_int_equal(pyi_parse_u64("", 1, 100, &v, &err), -EINVAL);
	assert_int_equal(v, 7);
}

static void test_nearest(void **state)
{
	static const char *const keys[] = { "read", "write",  "exec",	  "deny",
					    "warn", "memory", "wall_time" };
	size_t n = PYI_ARRAY_SIZE(keys);

	assert_string_equal(pyi_parse_nearest("raed", keys, n), "read");
	assert_string_equal(pyi_parse_nearest("READ", keys, n), "read");
	assert_string_equal(pyi_parse_nearest("writes", keys, n), "write");
	assert_string_equal(pyi_parse_nearest("memroy", keys, n), "memory");
	assert_string_equal(pyi_parse_nearest("walltime", keys, n), "wall_time");
	assert_null(pyi_parse_nearest("banana", keys, n));
	assert_null(pyi_parse_nearest("", keys, n));
	assert_null(pyi_parse_nearest("x", keys, 0));
	/* Longer than the cap: no suggestion, no overrun. */
	char longest[4096];

	memset(longest, 'r', sizeof(longest));
	longest[sizeof(longest) - 1] = '\0';
	assert_null(pyi_parse_nearest(longest, keys, n));
}

static void test_format(void **state)
{
	char buf[32];

	assert_string_equal(pyi_format_size(256 << 20, buf), "256MiB");
	assert_string_equal(pyi_format_size(1536, buf), "1536");
	assert_string_equal(pyi_format_size(UINT64_C(3) << 29, buf), "1536MiB");
	assert_string_equal(pyi_format_size(0, buf), "0");
	assert_string_equal(pyi_format_size(UINT64_MAX, buf), "18446744073709551615");
	assert_string_equal(pyi_format_duration(200, buf), "200ms");
	assert_string_equal(pyi_format_duration(1500, buf), "1.5s");
	assert_string_equal(pyi_format_duration(1050, buf), "1.05s");
	assert_string_equal(pyi_format_duration(1001, buf), "1.001s");
	assert_string_equal(pyi_format_duration(30000, buf), "30s");
	assert_string_equal(pyi_format_duration(120000, buf), "2m");
	assert_string_equal(pyi_format_duration(86400000, buf), "1d");
	assert_string_equal(pyi_format_cpu(500, buf), "50%");
	assert_string_equal(pyi_format_cpu(125, buf), "12.5%");
	assert_string_equal(pyi_format_cpu(1500, buf), "150%");
}

/* What is printed is read back as the same number. */
static void test_round_trip(void **state)
{
	struct pyi_err err;
	char buf[32];

	srandom(1);
	for (int i = 0; i < 20000; i++) {
		uint64_t v = (uint64_t)random() << (random() % 24), got = 0;
		uint32_t permille = 10 + (uint32_t)random() % 4000000, got32 = 0;

		assert_int_equal(pyi_parse_size(pyi_format_size(v, buf), &got, &err), 0);
		assert_true(got == v);
		v = v / 4 + 1;
		assert_int_equal(pyi_parse_duration(pyi_format_duration(v, buf), &got, &err), 0);
		assert_true(got == v);
		assert_int_equal(pyi_parse_cpu(pyi_format_cpu(permille, buf), &got32, &err), 0);
		assert_int_equal(got32, permille);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_size),	   cmocka_unit_test(test_duration),
		cmocka_unit_test(test_cpu),	   cmocka_unit_test(test_u64),
		cmocka_unit_test(test_nearest),	   cmocka_unit_test(test_format),
		cmocka_unit_test(test_round_trip),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
