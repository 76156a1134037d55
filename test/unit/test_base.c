/* SPDX-License-Identifier: MIT */
/* lib/base: error value, buffer, JSON writer, files, process identity. */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/buf.h"
#include "base/err.h"
#include "base/io.h"
#include "base/json.h"
#include "base/proc.h"
#include "base/timing.h"
#include "base/util.h"

static void test_err(void **state)
{
	struct pyi_err err = { 0 };
	char big[2 * PYI_ERR_MSG_MAX];

	assert_int_equal(pyi_err_set(&err, ENOENT, "no '%s'", "x"), -ENOENT);
	assert_string_equal(err.msg, "no 'x'");
	assert_int_equal(pyi_err_add(&err, "policy '%s'", "p"), -ENOENT);
	assert_string_equal(err.msg, "policy 'p': no 'x'");
	assert_int_equal(pyi_err_sys(&err, EPERM, "mount"), -EPERM);
	assert_string_equal(err.msg, "mount: Operation not permitted");
	assert_int_equal(pyi_err_set(NULL, EIO, "nobody reads this"), -EIO);
	memset(big, 'a', sizeof(big) - 1);
	big[sizeof(big) - 1] = '\0';
	pyi_err_set(&err, EIO, "%s", big);
	assert_int_equal(strlen(err.msg), PYI_ERR_MSG_MAX - 1);
	pyi_err_add(&err, "%s", big);
	assert_int_equal(strlen(err.msg), PYI_ERR_MSG_MAX - 1);
}

static void test_buf(void **state)
{
	_cleanup_buf struct pyi_buf buf = PYI_BUF_INIT;
	_cleanup_free char *taken = NULL;
	int i;

	assert_string_equal(pyi_buf_str(&buf), "");
	for (i = 0; i < 1000; i++)
		pyi_buf_printf(&buf, "%d,", i);
	assert_int_equal(buf.len, strlen(buf.data));
	taken = pyi_buf_take(&buf);
	assert_memory_equal(taken, "0,1,2,", 6);
	assert_null(buf.data);
	free(pyi_buf_take(&buf));
}

static void test_json(void **state)
{
	_cleanup_buf struct pyi_buf buf = PYI_BUF_INIT;
	struct pyi_json json;

	pyi_json_init(&json, &buf);
	pyi_json_object(&json, NULL);
	pyi_json_string(&json, "a", "q\"\\\n\x01\xc2\x9b\xc2\xa0\xc3\xa4\xff\xed\xa0\x80");
	pyi_json_array(&json, "l");
	pyi_json_u64(&json, NULL, UINT64_MAX);
	pyi_json_i64(&json, NULL, -5);
	pyi_json_object(&json, NULL);
	pyi_json_end_object(&json);
	pyi_json_end_array(&json);
	pyi_json_ms(&json, "t", 1234567);
	pyi_json_bool(&json, "b", false);
	pyi_json_string(&json, "n", NULL);
	pyi_json_end_object(&json);
	assert_string_equal(
		buf.data,
		"{\"a\":\"q\\\"\\\\\\n\\u0001\\u009b\xc2\xa0\xc3\xa4\\ufffd\\ufffd\\ufffd\\ufffd\","
		"\"l\":[18446744073709551615,-5,{}],\"t\":1234.567,\"b\":false,\"n\":null}");
}

static void test_files(void **state)
{
	_cleanup_buf struct pyi_buf buf = PYI_BUF_INIT;
	char dir[] = "/tmp/pyi-base-XXXXXX", path[64];
	struct pyi_err err = { 0 };

	assert_non_null(mkdtemp(dir));
	snprintf(path, sizeof(path), "%s/f", dir);
	assert_int_equal(pyi_replace_file(path, "one", 3, &err), 0);
	assert_int_equal(pyi_replace_file(path, "second", 6, &err), 0);
	assert_int_equal(pyi_read_file(path, 6, &buf, &err), 0);
	assert_string_equal(buf.data, "second");
	assert_int_equal(pyi_read_file(path, 5, &buf, &err), -EFBIG);
	assert_int_equal(pyi_replace_file("/nonexistent/f", "x", 1, &err), -ENOENT);
	assert_non_null(strstr(err.msg, "'/nonexistent/f'"));
	/* a name that is a directory cannot be replaced, and leaves nothing beside it */
	assert_int_equal(unlink(path), 0);
	assert_int_equal(mkdir(path, 0700), 0);
	assert_true(pyi_replace_file(path, "x", 1, &err) < 0);
	assert_int_equal(rmdir(path), 0);
	assert_int_equal(rmdir(dir), 0);
}

static void test_proc(void **state)
{
	struct pyi_proc self, child;
	pid_t pid;

	assert_int_equal(pyi_proc_identify(getpid(), &self), 0);
	assert_true(self.start_ticks > 0);
	assert_true(pyi_proc_is_alive(&self));
	self.start_ticks++;
	assert_false(pyi_proc_is_alive(&self));
	pid = fork();
	assert_true(pid >= 0);
	if (pid == 0) {
		pause();
		_exit(0);
	}
	assert_int_equal(pyi_proc_identify(pid, &child), 0);
	kill(pid, SIGKILL);
	assert_int_equal(waitpid(pid, NULL, 0), pid);
	assert_false(pyi_proc_is_alive(&child));
}

static void test_timing(void **state)
{
	struct pyi_timing got[200];
	pid_t pid;
	size_t n;

	assert_int_equal(pyi_timing_get(got, 200), 0);
	pyi_timing_mark(PYI_TIMING_SUPERVISOR, "off");
	assert_int_equal(pyi_timing_get(got, 200), 0);
	pyi_timing_start();
	pyi_timing_mark(PYI_TIMING_SUPERVISOR, "one");
	pid = fork();
	if (pid == 0) {
		usleep(2000);
		pyi_timing_mark(PYI_TIMING_INIT, "two");
		_exit(0);
	}
	assert_true(pid > 0);
	assert_int_equal(waitpid(pid, NULL, 0), pid);
	pyi_timing_mark(PYI_TIMING_SUPERVISOR, "three");
	n = pyi_timing_get(got, 200);
	assert_int_equal(n, 4);
	assert_string_equal(got[1].stage, "one");
	assert_string_equal(got[2].stage, "two");
	assert_int_equal(got[2].who, PYI_TIMING_INIT);
	assert_int_equal(got[2].took_ns, got[2].ns - got[1].ns);
	assert_true(got[2].took_ns >= 2000000);
	assert_int_equal(got[3].took_ns, got[3].ns - got[1].ns);
	for (int i = 0; i < 1000; i++) /* more than there is room for: dropped */
		pyi_timing_mark(PYI_TIMING_SUPERVISOR, "more");
	assert_in_range(pyi_timing_get(got, 200), 5, 200);
	assert_int_equal(pyi_timing_get(got, 2), 2);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_err),  cmocka_unit_test(test_buf),
		cmocka_unit_test(test_json), cmocka_unit_test(test_files),
		cmocka_unit_test(test_proc), cmocka_unit_test(test_timing),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
