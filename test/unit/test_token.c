/* SPDX-License-Identifier: MIT */
/*
 * A reload's token: the right one, wrong ones and how long they make the next one wait. How long it takes to tell a
 * wrong one says nothing about it: a debugger counts the instructions, wherever the two differ.
 */
#include <errno.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/err.h"
#include "pyi_abi.h"
#include "super/token.h"

static struct pyi_token make_token(const char *text)
{
	struct pyi_token token = { .len = strlen(text) };

	memcpy(token.text, text, token.len);
	return token;
}

static void only_the_right_one_is_taken(void **state)
{
	struct pyi_token right = make_token("the right token of it"),
			 wrong = make_token("the wrong token of it"),
			 part = make_token("the right token of i");
	struct pyi_abi_sandbox sandbox = { 0 };
	struct pyi_err err = { 0 };
	uint64_t now = 1, wait;

	assert_int_equal(pyi_token_check(&sandbox, &right, now, &wait), -ENOKEY);
	assert_int_equal(pyi_token_set(&sandbox, &right, &err), 0);
	assert_int_equal(pyi_token_check(&sandbox, &right, now, &wait), 0);
	for (uint64_t ms = 100; ms <= 200000; ms *= 2) {
		assert_int_equal(pyi_token_check(&sandbox, ms == 100 ? &part : &wrong, now, &wait),
				 -EACCES);
		assert_int_equal(wait, ms < 102400 ? ms : 102400);
		now += wait * 1000000 - 1;
		assert_int_equal(pyi_token_check(&sandbox, &right, now, &wait), -EAGAIN);
		now += 1;
	}
	assert_int_equal(pyi_token_check(&sandbox, &right, now, &wait), 0);
	assert_int_equal(pyi_token_check(&sandbox, &wrong, now, &wait), -EACCES);
	assert_int_equal(wait, 100);
}

/* As long as it was, under another salt: nothing of the token itself is kept. */
static void what_is_kept_is_salted(void **state)
{
	struct pyi_token token = make_token("one and the same token");
	struct pyi_abi_sandbox a = { 0 }, b = { 0 };
	struct pyi_err err = { 0 };

	assert_int_equal(pyi_token_set(&a, &token, &err), 0);
	assert_int_equal(pyi_token_set(&b, &token, &err), 0);
	assert_memory_not_equal(a.token_salt, b.token_salt, sizeof(a.token_salt));
	assert_memory_not_equal(a.token_hash, b.token_hash, sizeof(a.token_hash));
	assert_null(memmem(&a, sizeof(a), token.text, token.len));
}

/* Instructions of the process until it stops itself the next time; -1: it did not. */
static long count_steps(pid_t pid)
{
	long n = 0;
	int status;

	for (;; n++) {
		if (ptrace(PTRACE_SINGLESTEP, pid, NULL, NULL) < 0 ||
		    waitpid(pid, &status, 0) != pid || !WIFSTOPPED(status))
			return -1;
		if (WSTOPSIG(status) == SIGSTOP)
			return n;
	}
}

/* Of a check against a hash that differs in these bits of each byte. */
static long count_check(const uint8_t differs[32])
{
	struct pyi_token token = make_token("one and the same token");
	struct pyi_abi_sandbox sandbox = { 0 };
	struct pyi_err err = { 0 };
	uint64_t wait;
	pid_t pid;
	long n;

	assert_int_equal(pyi_token_set(&sandbox, &token, &err), 0);
	for (int i = 0; i < 32; i++)
		sandbox.token_hash[i] ^= differs[i];
	pid = fork();
	assert_true(pid >= 0);
	if (pid == 0) {
		if (ptrace(PTRACE_TRACEME, 0, NULL, NULL) < 0)
			_exit(1);
		raise(SIGSTOP);
		(void)pyi_token_check(&sandbox, &token, 1, &wait);
		raise(SIGSTOP);
		_exit(0);
	}
	n = waitpid(pid, NULL, 0) == pid ? count_steps(pid) : -1;
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
	return n;
}

static void a_wrong_one_takes_as_long_wherever_it_is_wrong(void **state)
{
	const uint8_t first[32] = { 1 }, last[32] = { [31] = 0x80 };
	uint8_t all[32];
	long n = count_check(first);

	memset(all, 0xff, sizeof(all));
	if (n < 0) {
		print_message("nobody may be traced here\n");
		skip();
	}
	print_message("%ld instructions\n", n);
	assert_true(n > 100);
	assert_int_equal(count_check(last), n);
	assert_int_equal(count_check(all), n);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(only_the_right_one_is_taken),
		cmocka_unit_test(what_is_kept_is_salted),
		cmocka_unit_test(a_wrong_one_takes_as_long_wherever_it_is_wrong),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
