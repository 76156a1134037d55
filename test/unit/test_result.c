/* SPDX-License-Identifier: MIT */
/* The result record: every member, every reason, bytes that are not text, and more denials than are kept. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/buf.h"
#include "report/result.h"

static void test_whole_record(void **state)
{
	_cleanup_buf struct pyi_buf out = PYI_BUF_INIT;
	struct pyi_result result;
	char rule[] = "fs: deny /srv/data/private", file[] = "policy.yml:7", op[] = "open";
	char target[] = "/srv/data/private/x", at[] = "job.py:12";
	char grant[] = "--allow-read /srv";
	struct pyi_denial denial = { .rule = rule,
				     .file = file,
				     .op = op,
				     .target = target,
				     .errnum = EPERM,
				     .at = at,
				     .at_us = 12345,
				     .pid = 7,
				     .thread = 8,
				     .grant = grant,
				     .is_claim = true };

	pyi_result_init(&result);
	result.reason = PYI_REASON_SIGNAL;
	result.exit_code = 137;
	result.signal = 9;
	result.name = "box";
	result.generation = 3;
	memset(result.policy_digest, 'a', 64);
	result.mode = "hardened";
	result.is_audit = true;
	result.has_image = true;
	result.wall_us = 1234567;
	result.cpu_us = 1000;
	result.memory_peak_bytes = 4096;
	result.output_bytes = 17;
	result.denials_dropped = 2;
	pyi_kernel_events_note(&result.events, PYI_PIDS_MAX,
			       &(struct pyi_kernel_event){ .at_us = 9, .count = 1, .limit = 8 });
	result.net = (struct pyi_result_net){ 1, 2, 3, 4, 5, 6 };
	result.layers[PYI_LAYER_LANDLOCK].state = PYI_LAYER_ON;
	snprintf(result.layers[PYI_LAYER_LANDLOCK].why, 192, "ABI 7");
	result.layers[PYI_LAYER_CGROUP].state = PYI_LAYER_OFF;
	assert_int_equal(pyi_result_add_denial(&result, &denial), 0);
	pyi_result_print_json(&result, &out);
	assert_string_equal(
		pyi_buf_str(&out),
		"{\"reason\":\"signal\",\"exit_code\":137,\"signal\":9,\"name\":\"box\",\"generation\":3,"
		"\"policy\":\"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\","
		"\"mode\":\"hardened\",\"audit\":true,\"image\":true,\"wall_ms\":1234.567,\"cpu_ms\":1.000,"
		"\"memory_peak_bytes\":4096,"
		"\"output_bytes\":17,\"counters\":{\"denials\":1,\"warnings\":0,\"events_dropped\":2,"
		"\"net_rx_bytes\":1,\"net_rx_packets\":2,\"net_tx_bytes\":3,\"net_tx_packets\":4,"
		"\"net_dropped_packets\":5,\"net_delayed_packets\":6,\"contracts_broken\":0},"
		"\"events\":[{\"at_ms\":0.009,\"kind\":\"PIDS_MAX\",\"refused\":1,\"limit\":8}],"
		"\"denials\":[{\"rule\":\"fs: deny /srv/data/private\",\"file\":\"policy.yml:7\","
		"\"op\":\"open\",\"path\":\"/srv/data/private/x\",\"errno\":\"EPERM\",\"at\":\"job.py:12\","
		"\"pid\":7,\"thread\":8,\"at_ms\":12.345,\"claim\":true,\"grant\":\"--allow-read /srv\"}],"
		"\"denials_total\":1,\"layers\":{\"namespaces\":{\"state\":\"unused\"},"
		"\"idmap\":{\"state\":\"unused\"},\"cgroup\":{\"state\":\"off\"},"
		"\"bpf-lsm\":{\"state\":\"unused\"},\"bpf-cgroup\":{\"state\":\"unused\"},"
		"\"bpf-perf\":{\"state\":\"unused\"},\"landlock\":{\"state\":\"on\",\"why\":\"ABI 7\"},"
		"\"seccomp\":{\"state\":\"unused\"},\"process\":{\"state\":\"unused\"}},\"error\":null}\n");
	pyi_result_release(&result);
}

static void test_nothing_known(void **state)
{
	_cleanup_buf struct pyi_buf out = PYI_BUF_INIT;
	struct pyi_result result;

	pyi_result_init(&result);
	result.reason = PYI_REASON_SETUP;
	result.exit_code = PYI_EXIT_FAILURE;
	pyi_err_set(&result.error, ENOENT, "cannot open '%s'", "p.yml");
	pyi_result_print_json(&result, &out);
	assert_non_null(strstr(
		pyi_buf_str(&out),
		"\"reason\":\"setup\",\"exit_code\":125,\"signal\":null,"
		"\"name\":null,\"generation\":0,\"policy\":null,\"mode\":null,\"audit\":false,\"image\":false,"));
	assert_non_null(strstr(pyi_buf_str(&out), "\"memory_peak_bytes\":null"));
	assert_non_null(strstr(pyi_buf_str(&out), "\"denials\":[],\"denials_total\":0"));
	assert_non_null(strstr(pyi_buf_str(&out), "\"error\":\"cannot open 'p.yml'\"}\n"));
	pyi_result_release(&result);
	pyi_result_release(&result);
}

/* A guest chooses file names: none of them may break the JSON. */
static void test_hostile_strings(void **state)
{
	_cleanup_buf struct pyi_buf out = PYI_BUF_INIT;
	struct pyi_result result;
	char rule[] = "\"quoted\\", op[] = "open", target[] = "/a\xff\xc0\x80\nb\x1b[2J";
	struct pyi_denial denial = { .rule = rule, .op = op, .target = target, .errnum = 99999 };

	pyi_result_init(&result);
	assert_int_equal(pyi_result_add_denial(&result, &denial), 0);
	pyi_result_print_json(&result, &out);
	assert_null(strchr(pyi_buf_str(&out), '\x1b'));
	assert_null(strchr(pyi_buf_str(&out), '\xff'));
	assert_ptr_equal(strchr(pyi_buf_str(&out), '\n'), pyi_buf_str(&out) + out.len - 1);
	assert_non_null(strstr(pyi_buf_str(&out), "\"rule\":\"\\\"quoted\\\\\",\"file\":null"));
	assert_non_null(strstr(pyi_buf_str(&out), "\"errno\":99999,\"at\":null,\"pid\":null,"
						  "\"thread\":null,\"at_ms\":null}"));
	pyi_result_release(&result);
}

static void test_network_denial(void **state)
{
	_cleanup_buf struct pyi_buf out = PYI_BUF_INIT;
	struct pyi_result result;
	char rule[] = "net: default", op[] = "connect", target[] = "[::1]:80";
	struct pyi_denial denial = {
		.rule = rule, .op = op, .target = target, .errnum = EPERM, .is_warning = true
	};

	pyi_result_init(&result);
	assert_int_equal(pyi_result_add_denial(&result, &denial), 0);
	assert_int_equal(result.denials_total, 0);
	assert_int_equal(result.warnings_total, 1);
	pyi_result_print_json(&result, &out);
	assert_non_null(strstr(pyi_buf_str(&out), "\"op\":\"connect\",\"address\":\"[::1]:80\","
						  "\"errno\":\"EPERM\",\"at\":null,\"pid\":null,\"thread\":null,"
						  "\"at_ms\":null,\"warning\":true}"));
	pyi_result_release(&result);
}

static void test_denials_are_capped(void **state)
{
	struct pyi_result result;
	char rule[] = "fs: default", op[] = "open", target[32];
	struct pyi_denial denial = { .rule = rule, .op = op, .target = target, .errnum = EACCES };

	pyi_result_init(&result);
	for (int i = 0; i < 1000; i++) {
		snprintf(target, sizeof(target), "/f%d", i);
		assert_int_equal(pyi_result_add_denial(&result, &denial), 0);
	}
	assert_int_equal(result.n_denials, PYI_DENIALS_KEPT);
	assert_int_equal(result.denials_total, 1000);
	assert_string_equal(result.denials[99].target, "/f99");
	pyi_result_release(&result);
}

static void test_names(void **state)
{
	for (int i = PYI_REASON_EXITED; i <= PYI_REASON_SETUP; i++)
		assert_non_null(pyi_reason_name((enum pyi_reason)i));
	for (int i = 0; i < PYI_N_LAYERS; i++)
		assert_int_equal(pyi_layer_by_name(pyi_layer_name((enum pyi_layer)i)), i);
	assert_int_equal(pyi_layer_by_name("apparmor"), -1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_whole_record),	   cmocka_unit_test(test_nothing_known),
		cmocka_unit_test(test_hostile_strings),	   cmocka_unit_test(test_network_denial),
		cmocka_unit_test(test_denials_are_capped), cmocka_unit_test(test_names),
	};

	return cmocka_run_group_tests_name("result", tests, NULL, NULL);
}
