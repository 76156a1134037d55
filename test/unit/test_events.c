/* SPDX-License-Identifier: MIT */
/* What is said of an event: the policy it was judged by, its place in the guest's code, its line for people. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <string.h>

#include "base/buf.h"
#include "base/utf8.h"
#include "kernel/bpf.h"
#include "kernel/bpf_pins.h"
#include "policy/policy.h"
#include "pyi_abi.h"
#include "report/event_line.h"
#include "super/outcome.h"
#include "super/outcome_event.h"
#include "super/steps.h"

static void test_policy_of_an_era(void **state)
{
	struct pyi_policy first = { 0 }, third = { 0 }, wrapped = { 0 };
	struct pyi_run_era eras[] = { { 3, &third }, { 65537, &wrapped } };

	assert_ptr_equal(pyi_outcome_find_policy(&first, NULL, 0, PYI_ABI_ERA(1)), &first);
	assert_ptr_equal(pyi_outcome_find_policy(&first, eras, 1, PYI_ABI_ERA(1)), &first);
	assert_ptr_equal(pyi_outcome_find_policy(&first, eras, 1, PYI_ABI_ERA(3)), &third);
	/* The second was swapped away before its supervisor looked: no rule rather than another's. */
	assert_null(pyi_outcome_find_policy(&first, eras, 1, PYI_ABI_ERA(2)));
	assert_null(pyi_outcome_find_policy(&first, NULL, 0, PYI_ABI_ERA(2)));
	/* Numbers come again; the latest has it. */
	assert_ptr_equal(pyi_outcome_find_policy(&first, eras, 2, PYI_ABI_ERA(65537)), &wrapped);
}

static void test_no_rule_without_a_policy(void **state)
{
	struct pyi_bpf_event event = { .op = PYI_BPF_CONNECT, .proto = PYI_NET_TCP, .port = 80, .pid = 7 };
	struct pyi_policy policy = { 0 };
	struct pyi_told told;

	event.addr[10] = event.addr[11] = 0xff;
	event.addr[12] = 127;
	event.addr[15] = 1;
	pyi_outcome_tell(&policy, &event, &told);
	assert_string_equal(told.denial.rule, "net: default");
	assert_string_equal(told.denial.target, "127.0.0.1:80");
	assert_null(told.denial.at);
	pyi_outcome_tell(NULL, &event, &told);
	assert_null(told.denial.rule);
	event.contract = 1;
	pyi_outcome_tell(NULL, &event, &told);
	assert_null(told.denial.rule);
	event.op = PYI_BPF_PATH;
	event.contract = 0;
	event.rule = 5;
	pyi_outcome_tell(NULL, &event, &told);
	assert_null(told.denial.rule);
	assert_string_equal(told.denial.target, "?");
	/* An index that the policy does not have. */
	pyi_outcome_tell(&policy, &event, &told);
	assert_null(told.denial.rule);
	event.rule = PYI_BPF_NO_RULE;
	pyi_outcome_tell(NULL, &event, &told);
	assert_string_equal(told.denial.rule, "fs: default");
	event.op = PYI_BPF_DEVICE;
	pyi_outcome_tell(NULL, &event, &told);
	assert_string_equal(told.denial.rule, "sandbox: never");
}

static const char *place(const struct pyi_abi_frame *frame)
{
	static char text[PYI_BPF_AT_MAX];

	memset(text, 'x', sizeof(text));
	pyi_bpf_frame_text(frame, text, sizeof(text));
	for (const char *at = text; *at; at += pyi_utf8_len(at))
		assert_int_not_equal(pyi_utf8_len(at), 0);
	return text;
}

static void test_place(void **state)
{
	struct pyi_abi_frame frame = { .line = 12, .bytes = 6, .width = 1, .text = "job.py" };
	const uint16_t two[] = { 0x4f8b, 'x', 0xd800, 0 };
	const uint32_t four[] = { 0x1f600, 0xffffffff };

	assert_string_equal(place(&frame), "job.py:12");
	frame.is_cut = 1;
	assert_string_equal(place(&frame), "...job.py:12");
	frame.line = -1;
	assert_string_equal(place(&frame), "...job.py");
	frame.text[0] = 0xe9;
	assert_string_equal(place(&frame), "...\xc3\xa9ob.py");
	frame = (struct pyi_abi_frame){ .line = 1, .bytes = sizeof(two), .width = 2 };
	memcpy(frame.text, two, sizeof(two));
	assert_string_equal(place(&frame), "\xe4\xbe\x8bx\xef\xbf\xbd\xef\xbf\xbd:1");
	frame = (struct pyi_abi_frame){ .line = INT32_MAX, .bytes = sizeof(four), .width = 4 };
	memcpy(frame.text, four, sizeof(four));
	assert_string_equal(place(&frame), "\xf0\x9f\x98\x80\xef\xbf\xbd:2147483647");
	frame = (struct pyi_abi_frame){ .line = 1, .bytes = sizeof(frame.text), .width = 1, .is_cut = 1 };
	memset(frame.text, 0xff, sizeof(frame.text));
	assert_int_equal(strlen(place(&frame)), 3 + 2 * sizeof(frame.text) + 2);
	/* What no program of ours writes. */
	frame.bytes++;
	assert_string_equal(place(&frame), "");
	frame = (struct pyi_abi_frame){ .line = 1, .bytes = 4, .width = 3, .text = "abcd" };
	assert_string_equal(place(&frame), "");
	frame = (struct pyi_abi_frame){ .line = 1 };
	assert_string_equal(place(&frame), "");
}

static void expect_line(const char *json, const char *want)
{
	_cleanup_buf struct pyi_buf out = PYI_BUF_INIT;

	pyi_event_line_print(json, strlen(json), &out);
	assert_string_equal(pyi_buf_str(&out), want);
}

static void test_line(void **state)
{
	expect_line("{\"time_ms\":1763803801123.456,\"event\":\"STATE\",\"state\":\"running\",\"pid\":7}",
		    "2025-11-22T09:30:01.123Z  STATE  state=running  pid=7\n");
	expect_line("{\"time_ms\":0.000,\"event\":\"DENIED\",\"number\":3,\"rule\":\"net: default\","
		    "\"file\":null,\"op\":\"connect\",\"address\":\"127.0.0.1:81\",\"errno\":\"EPERM\","
		    "\"at\":\"a \\\"b\\\\\",\"pid\":1,\"thread\":2}",
		    "1970-01-01T00:00:00.000Z  DENIED  connect 127.0.0.1:81  EPERM  by net: default  "
		    "at a \\\"b\\\\  in 1/2\n");
	expect_line("{\"time_ms\":0.000,\"event\":\"WARNED\",\"rule\":null,\"file\":null,\"op\":\"open\","
		    "\"path\":\"/x\",\"errno\":null,\"at\":null,\"pid\":null,\"thread\":null}",
		    "1970-01-01T00:00:00.000Z  WARNED  open /x  by a policy that is gone\n");
	/* Not ours, or torn: as it is. */
	expect_line("", "\n");
	expect_line("hello", "hello\n");
	expect_line("{\"time_ms\":1,\"event\":\"STA", "{\"time_ms\":1,\"event\":\"STA\n");
	expect_line("{\"a\":1}", "{\"a\":1}\n");
	expect_line("{\"event\":\"X\\", "{\"event\":\"X\\\n");
	expect_line("{\"a\":{\"event\":\"X\"}}", "{\"a\":{\"event\":\"X\"}}\n");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_policy_of_an_era),
		cmocka_unit_test(test_no_rule_without_a_policy),
		cmocka_unit_test(test_place),
		cmocka_unit_test(test_line),
	};

	return cmocka_run_group_tests_name("events", tests, NULL, NULL);
}
