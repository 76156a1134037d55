/* SPDX-License-Identifier: MIT */
/* Named sandboxes as a table, as JSON and as metrics: every column and member, and names that are not text. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <string.h>

#include "base/buf.h"
#include "report/prometheus.h"
#include "report/sandboxes.h"

static const struct pyi_sandbox_row live = {
	.name = "web",
	.state = "running",
	.policy = "/etc/policies/web \"1\".yml",
	.digest = "ab",
	.generation = 3,
	.has_cpu = true,
	.cpu_us = 1234567,
	.has_memory = true,
	.memory_bytes = 5 << 20,
	.memory_peak_bytes = 300 << 20,
	.has_denials = true,
	.denials = 7,
	.age_ms = 5400000,
	.ran_ms = 5400000,
	.started_unix_ms = 1700000000123,
	.pid = 42,
	.cgroup = 99,
	.memory_limit_bytes = 1 << 30,
	.pids = 64,
};

static const struct pyi_sandbox_row ended = {
	.name = "job-1",
	.state = "cancelled",
	.has_ended = true,
	.reason = "memory",
	.has_exit_code = true,
	.exit_code = 137,
	.signal = 9,
	.policy = "",
	.generation = 1,
	.has_cpu = true,
	.cpu_us = 4,
	.age_ms = 2000,
	.ran_ms = 1500,
	.started_unix_ms = 1700000000000,
	.ended_unix_ms = 1700000001500,
	.pid = 43,
	.has_node = true,
	.node = 1,
};

static const struct pyi_sandbox_row lost = {
	.name = "x", .state = "lost", .has_ended = true, .policy = "d\xff\n", .generation = 1
};

static void test_table(void **state)
{
	const struct pyi_sandbox_row rows[] = { live, ended, lost };
	_cleanup_buf struct pyi_buf out = PYI_BUF_INIT;

	pyi_sandboxes_print(rows, 3, &out);
	assert_string_equal(
		pyi_buf_str(&out),
		"NAME   STATE      REASON  EXIT  POLICY       GEN   CPU  MEMORY  DENIALS   AGE  NODE\n"
		"web    running    -          -  web?\"1\".yml    3  1.2s  5.0MiB        7  1.5h     -\n"
		"job-1  cancelled  memory   137  -              1   0ms       -        -  2.0s     1\n"
		"x      lost       -          -  d??            1     -       -        -   0ms     -\n");
}

static void test_empty_table(void **state)
{
	_cleanup_buf struct pyi_buf out = PYI_BUF_INIT;

	pyi_sandboxes_print(NULL, 0, &out);
	assert_string_equal(pyi_buf_str(&out),
			    "NAME  STATE  REASON  EXIT  POLICY  GEN  CPU  MEMORY  DENIALS  AGE  NODE\n");
}

static void check_time(uint64_t ms, const char *want)
{
	struct pyi_sandbox_row row = live;
	_cleanup_buf struct pyi_buf out = PYI_BUF_INIT;
	const char *last;

	row.age_ms = ms;
	pyi_sandboxes_print(&row, 1, &out);
	last = strrchr(pyi_buf_str(&out), '\n') - strlen("     -") - strlen(want);
	assert_memory_equal(last, want, strlen(want));
	assert_int_equal(last[-1], ' ');
}

static void test_times(void **state)
{
	check_time(0, "0ms");
	check_time(999, "999ms");
	check_time(1000, "1.0s");
	check_time(59999, "59s");
	check_time(89999, "89s");
	check_time(90000, "1.5m");
	check_time(3600000, "60m");
	check_time(5400000, "1.5h");
	check_time(86400000, "24h");
	check_time(36ull * 3600 * 1000, "1.5d");
	check_time(400ull * 86400 * 1000, "400d");
}

static void test_json(void **state)
{
	const struct pyi_sandbox_row rows[] = { ended, lost };
	_cleanup_buf struct pyi_buf one = PYI_BUF_INIT, all = PYI_BUF_INIT;

	pyi_sandboxes_print_json(&live, 1, true, &one);
	assert_string_equal(
		pyi_buf_str(&one),
		"{\"name\":\"web\",\"state\":\"running\",\"reason\":null,\"exit_code\":null,\"signal\":null,"
		"\"policy_name\":\"/etc/policies/web \\\"1\\\".yml\",\"policy\":\"ab\",\"generation\":3,"
		"\"cpu_ms\":1234.567,\"memory_bytes\":5242880,\"memory_peak_bytes\":314572800,\"denials\":7,"
		"\"age_ms\":5400000,\"ran_ms\":5400000,\"started_unix_ms\":1700000000123,"
		"\"ended_unix_ms\":null,\"pid\":42,\"cgroup\":99,\"limits\":{\"memory_bytes\":1073741824,"
		"\"cpu_permille\":null,\"cpu_time_ms\":null,\"wall_time_ms\":null,\"pids\":64,"
		"\"open_files\":null,\"output_bytes\":null,\"tmp_bytes\":null,\"numa\":null}}\n");
	pyi_sandboxes_print_json(rows, 2, false, &all);
	assert_non_null(strstr(pyi_buf_str(&all), "{\"sandboxes\":[{\"name\":\"job-1\","));
	assert_non_null(
		strstr(pyi_buf_str(&all), "\"reason\":\"memory\",\"exit_code\":137,\"signal\":9,"));
	assert_non_null(strstr(pyi_buf_str(&all), "\"policy_name\":\"d\\ufffd\\n\""));
	assert_non_null(strstr(pyi_buf_str(&all), "\"pid\":null"));
	assert_non_null(strstr(pyi_buf_str(&all), "\"numa\":1}"));
}

/* Families come once each, with HELP and TYPE before their samples; nothing has a timestamp. */
static void test_prometheus(void **state)
{
	const struct pyi_sandbox_row rows[] = { live, ended, lost };
	_cleanup_buf struct pyi_buf out = PYI_BUF_INIT;
	const char *text;

	pyi_prometheus_print(rows, 3, &out);
	text = pyi_buf_str(&out);
	assert_non_null(strstr(text, "# HELP pyisolate_sandboxes "));
	assert_non_null(strstr(text, "# TYPE pyisolate_sandboxes gauge\n"));
	assert_non_null(strstr(text, "\npyisolate_sandboxes{state=\"running\"} 1\n"));
	assert_non_null(strstr(text, "\npyisolate_sandboxes{state=\"completed\"} 0\n"));
	assert_non_null(strstr(text, "\npyisolate_sandboxes{state=\"lost\"} 1\n"));
	assert_non_null(strstr(text, "# TYPE pyisolate_sandbox_cpu_seconds_total counter\n"
				     "pyisolate_sandbox_cpu_seconds_total{name=\"web\"} 1.234567\n"
				     "pyisolate_sandbox_cpu_seconds_total{name=\"job-1\"} 0.000004\n"));
	assert_non_null(strstr(text, "pyisolate_sandbox_info{name=\"web\",state=\"running\",reason=\"\","
				     "policy=\"/etc/policies/web \\\"1\\\".yml\"} 1\n"));
	assert_non_null(strstr(text, "policy=\"d\xef\xbf\xbd\\n\"} 1\n"));
	assert_non_null(strstr(text, "pyisolate_sandbox_exit_code{name=\"job-1\"} 137\n"));
	assert_non_null(
		strstr(text, "pyisolate_sandbox_start_time_seconds{name=\"web\"} 1700000000.123\n"));
	assert_non_null(strstr(text, "\npyisolate_sandbox_numa_node{name=\"job-1\"} 1\n"));
	assert_null(strstr(text, "pyisolate_sandbox_numa_node{name=\"web\"}"));
	assert_null(strstr(text, "pyisolate_sandbox_exit_code{name=\"web\"}"));
	assert_null(strstr(text, "pyisolate_sandbox_memory_bytes{name=\"job-1\"}"));
	assert_int_equal(text[out.len - 1], '\n');
}

/* With nothing to tell there are still the families that have no name, so that a query finds zeros. */
static void test_prometheus_empty(void **state)
{
	_cleanup_buf struct pyi_buf out = PYI_BUF_INIT;

	pyi_prometheus_print(NULL, 0, &out);
	assert_non_null(strstr(pyi_buf_str(&out), "\npyisolate_sandboxes{state=\"running\"} 0\n"));
	assert_null(strstr(pyi_buf_str(&out), "name="));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_table),	   cmocka_unit_test(test_empty_table),
		cmocka_unit_test(test_times),	   cmocka_unit_test(test_json),
		cmocka_unit_test(test_prometheus), cmocka_unit_test(test_prometheus_empty),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
