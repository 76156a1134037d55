/* SPDX-License-Identifier: MIT */
/* Profiles and kernel events: bounds, order, text. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <string.h>

#include "base/buf.h"
#include "base/json.h"
#include "report/kernel_events.h"
#include "report/profile.h"

static struct pyi_profile profile;

static void fill(size_t n)
{
	pyi_profile_init(&profile);
	for (size_t i = 0; i < n; i++)
		pyi_profile_add(&profile, &(struct pyi_profile_sample){ .at_us = i * 20000,
									.cpu_us = i * 10000,
									.memory_bytes = i << 20 });
}

static const uint64_t day_us = 86400ull * 1000000;

static void test_bound(void **state)
{
	fill(PYI_PROFILE_SAMPLES);
	assert_int_equal(profile.n, PYI_PROFILE_SAMPLES);
	assert_int_equal(profile.interval_us, PYI_PROFILE_INTERVAL_US);
	/* A day of it, as it asks for its samples. */
	for (uint64_t at_us = profile.v[profile.n - 1].at_us; at_us < day_us; at_us += profile.interval_us)
		pyi_profile_add(&profile,
				&(struct pyi_profile_sample){ .at_us = at_us + profile.interval_us,
							      .memory_bytes = at_us });
	assert_true(profile.n <= PYI_PROFILE_SAMPLES && profile.n > PYI_PROFILE_SAMPLES / 2);
	assert_int_equal(profile.v[0].at_us, 0);
	for (size_t i = 1; i < profile.n; i++)
		assert_true(profile.v[i].at_us > profile.v[i - 1].at_us);
	assert_true(profile.interval_us > day_us / PYI_PROFILE_SAMPLES &&
		    profile.interval_us < 4 * day_us / PYI_PROFILE_SAMPLES);
	assert_true(profile.peak.memory_bytes > day_us / 10 * 9);
}

static size_t count_lines(const char *text)
{
	size_t n = 0;

	for (; *text; text++)
		n += *text == '\n';
	return n;
}

static void test_table(void **state)
{
	static const size_t sizes[] = { 0, 1, 2, 3, 10, 11, 12, 100, PYI_PROFILE_SAMPLES };
	static const size_t lines[] = { 0, 0, 3, 4, 11, 12, 12, 12, 12 };

	for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
		_cleanup_buf struct pyi_buf out = PYI_BUF_INIT;

		fill(sizes[i]);
		pyi_profile_print(&profile, &out);
		assert_int_equal(count_lines(pyi_buf_str(&out)), lines[i]);
	}
}

static void test_table_text(void **state)
{
	_cleanup_buf struct pyi_buf out = PYI_BUF_INIT;

	fill(3);
	pyi_profile_print(&profile, &out);
	assert_string_equal(
		pyi_buf_str(&out),
		"     at ms    CPU %     CPU ms   memory MiB\n"
		"        20       50       10.0          1.0\n"
		"        40       50       20.0          2.0\n"
		"peak 2.0 MiB of memory (2.0 at 40 ms), 20.0 ms of CPU, 3 samples 20 ms apart\n");
}

static void test_json(void **state)
{
	_cleanup_buf struct pyi_buf out = PYI_BUF_INIT;
	struct pyi_json json;

	fill(2);
	pyi_json_init(&json, &out);
	pyi_json_object(&json, NULL);
	pyi_profile_print_json(&profile, &json);
	pyi_json_end_object(&json);
	assert_string_equal(pyi_buf_str(&out),
			    "{\"profile\":{\"interval_ms\":20.000,\"memory_peak_bytes\":1048576,"
			    "\"samples\":[[0.000,0.000,0],[20.000,10.000,1048576]]}}");
}

static void test_events(void **state)
{
	_cleanup_buf struct pyi_buf out = PYI_BUF_INIT;
	struct pyi_kernel_events events = { 0 };
	struct pyi_json json;

	pyi_kernel_events_note(&events, PYI_MEM_KILL,
			       &(struct pyi_kernel_event){ .at_us = 5000, .count = 1, .amount = 7 });
	pyi_kernel_events_note(&events, PYI_PIDS_MAX,
			       &(struct pyi_kernel_event){ .at_us = 1500, .count = 1, .limit = 8 });
	/* Seen again: the time stays, the figures grow. */
	pyi_kernel_events_note(&events, PYI_PIDS_MAX,
			       &(struct pyi_kernel_event){ .at_us = 9000, .count = 3, .limit = 8 });
	pyi_kernel_events_note(&events, PYI_CPU_QUOTA,
			       &(struct pyi_kernel_event){ .at_us = 2000, .amount = 1, .limit = 2000 });
	pyi_json_init(&json, &out);
	pyi_json_object(&json, NULL);
	pyi_kernel_events_print_json(&events, &json);
	pyi_json_end_object(&json);
	assert_string_equal(pyi_buf_str(&out),
			    "{\"events\":[{\"at_ms\":1.500,\"kind\":\"PIDS_MAX\",\"refused\":3,\"limit\":8},"
			    "{\"at_ms\":2.000,\"kind\":\"CPU_QUOTA\",\"cpu_ms\":0.001,\"limit_ms\":2.000},"
			    "{\"at_ms\":5.000,\"kind\":\"MEM_KILL\",\"kills\":1,\"peak_bytes\":7,"
			    "\"limit_bytes\":null}]}");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_bound),	   cmocka_unit_test(test_table),
		cmocka_unit_test(test_table_text), cmocka_unit_test(test_json),
		cmocka_unit_test(test_events),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
