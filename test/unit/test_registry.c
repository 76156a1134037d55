/* SPDX-License-Identifier: MIT */
/*
 * The registry of named sandboxes, in files: who gets a name, who may change an entry, who counts as alive, what goes
 * when it is full. The command line tests take the map through the same.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/err.h"
#include "super/registry.h"
#include "super/registry_files.h"
#include "super/state_dir.h"
#include "super/token.h"

static char top[] = "/tmp/pyitest.XXXXXX";

static int make_dir(void **state)
{
	char run[64];

	if (!mkdtemp(top))
		return -1;
	snprintf(run, sizeof(run), "%s/run", top);
	return setenv("PYISOLATE_RUN_DIR", run, 1);
}

static int remove_dir(void **state)
{
	char command[128];
	int status;
	pid_t pid;

	snprintf(command, sizeof(command), "%s", top);
	pid = fork();
	if (pid == 0) {
		execlp("rm", "rm", "-rf", command, NULL);
		_exit(1);
	}
	return waitpid(pid, &status, 0) == pid && status == 0 ? 0 : -1;
}

static struct pyi_registry *open_registry(void)
{
	struct pyi_registry *registry = NULL;
	struct pyi_err err = { 0 };

	assert_int_equal(pyi_registry_open(true, &registry, &err), 0);
	assert_string_equal(pyi_registry_kind(registry), "files");
	return registry;
}

static struct pyi_abi_sandbox mine(void)
{
	struct pyi_abi_sandbox sandbox = { .state = PYI_STATE_INIT, .generation = 1 };
	struct pyi_err err = { 0 };

	assert_int_equal(pyi_registry_identify_self(&sandbox.owner, &err), 0);
	return sandbox;
}

static void set_state(struct pyi_abi_sandbox *sandbox, void *arg)
{
	sandbox->state = *(uint32_t *)arg;
	sandbox->end.exit_code = 7;
	sandbox->end.end_ns = pyi_registry_now_ns();
}

static void test_names(void **state)
{
	static const char *const bad[] = { "",	 "-a",	"a b",	    "a/b", ".",
					   "..", "a.b", "\xc3\xa9", "a\n" };
	char longest[66];

	memset(longest, 'x', sizeof(longest));
	longest[65] = '\0';
	assert_int_equal(pyi_registry_check_name(longest, NULL), -EINVAL);
	longest[64] = '\0';
	assert_int_equal(pyi_registry_check_name(longest, NULL), 0);
	assert_int_equal(pyi_registry_check_name("_a-Z09", NULL), 0);
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		assert_int_equal(pyi_registry_check_name(bad[i], NULL), -EINVAL);
}

static void test_claims(void **state)
{
	struct pyi_registry *registry = open_registry();
	struct pyi_abi_sandbox sandbox = mine(), other = mine(), seen;
	uint32_t completed = PYI_STATE_COMPLETED, running = PYI_STATE_RUNNING;
	struct pyi_err err = { 0 };

	assert_int_equal(pyi_registry_get(registry, "a", &seen, &err), -ENOENT);
	assert_int_equal(pyi_registry_claim(registry, "a", &sandbox, &err), 0);
	assert_int_equal(pyi_registry_claim(registry, "a", &sandbox, &err), -EEXIST);
	assert_non_null(strstr(err.msg, "sandbox 'a' already"));
	assert_int_equal(pyi_registry_get(registry, "a", &seen, &err), 0);
	assert_true(pyi_sandbox_is_live(&seen));
	/* Only its owner changes it. */
	other.owner.start_ticks++;
	assert_int_equal(pyi_registry_change(registry, "a", &other.owner, set_state, &running, &err),
			 -ESRCH);
	assert_int_equal(pyi_registry_change(registry, "b", &sandbox.owner, set_state, &running, &err),
			 -ESRCH);
	assert_false(pyi_registry_mark_lost(registry, "a", &seen));
	assert_int_equal(
		pyi_registry_change(registry, "a", &sandbox.owner, set_state, &completed, &err), 0);
	/* An ended one gives way, and its end is known to who waits for it. */
	assert_int_equal(pyi_registry_claim(registry, "a", &sandbox, &err), 0);
	assert_int_equal(pyi_registry_get(registry, "a", &seen, &err), 0);
	assert_int_equal(seen.state, PYI_STATE_INIT);
	assert_int_equal(seen.previous.pid, sandbox.owner.pid);
	assert_int_equal(seen.previous.exit_code, 7);
	pyi_registry_free(registry);
}

/* The same pid is not the same process: start time, boot. One in another pid namespace cannot be looked at. */
static void test_dead_owners(void **state)
{
	struct pyi_registry *registry = open_registry();
	struct pyi_abi_sandbox recycled = mine(), booted = mine(), elsewhere = mine(), seen;
	struct pyi_err err = { 0 };

	recycled.owner.start_ticks--;
	booted.owner.boot ^= 1;
	elsewhere.owner.pid_ns ^= 1;
	elsewhere.owner.pid = INT_MAX;
	assert_false(pyi_sandbox_is_live(&recycled));
	assert_false(pyi_sandbox_is_live(&booted));
	assert_true(pyi_sandbox_is_live(&elsewhere));
	assert_int_equal(pyi_registry_claim(registry, "dead", &recycled, &err), 0);
	assert_true(pyi_registry_mark_lost(registry, "dead", &seen));
	assert_int_equal(seen.state, PYI_STATE_LOST);
	assert_false(pyi_registry_mark_lost(registry, "dead", &seen));
	assert_int_equal(pyi_registry_claim(registry, "dead", &booted, &err), 0);
	assert_int_equal(pyi_registry_claim(registry, "dead", &elsewhere, &err), 0);
	assert_int_equal(pyi_registry_claim(registry, "dead", &recycled, &err), -EEXIST);
	pyi_registry_free(registry);
}

/* Sixteen at once: one wins. Each child lives until all have tried. */
static void test_race(void **state)
{
	enum { N = 16 };
	int go[2], told[2], winners = 0;
	pid_t pids[N];
	char byte;

	assert_int_equal(pipe(go), 0);
	assert_int_equal(pipe(told), 0);
	for (int i = 0; i < N; i++) {
		pids[i] = fork();
		if (pids[i] == 0) {
			struct pyi_registry *registry = NULL;
			struct pyi_abi_sandbox sandbox = { .state = PYI_STATE_INIT };
			int ret;

			close(go[1]);
			(void)!read(go[0], &byte, 1); /* the end of file starts all of them */
			ret = pyi_registry_identify_self(&sandbox.owner, NULL);
			if (ret == 0)
				ret = pyi_registry_open(true, &registry, NULL);
			if (ret == 0)
				ret = pyi_registry_claim(registry, "race", &sandbox, NULL);
			byte = ret == 0 ? 'w' : ret == -EEXIST ? 'l' : '?';
			(void)!write(told[1], &byte, 1);
			pause();
		}
	}
	close(go[0]);
	close(go[1]);
	for (int i = 0; i < N; i++) {
		assert_int_equal(read(told[0], &byte, 1), 1);
		assert_int_not_equal(byte, '?');
		winners += byte == 'w';
	}
	for (int i = 0; i < N; i++) {
		kill(pids[i], SIGKILL);
		waitpid(pids[i], NULL, 0);
	}
	assert_int_equal(winners, 1);
	close(told[0]);
	close(told[1]);
}

/* Full: those that ended first go, and a live one never. */
static void test_eviction(void **state)
{
	struct pyi_registry *registry = open_registry();
	struct pyi_abi_sandbox sandbox = mine(), seen;
	struct pyi_abi_name *names = NULL;
	struct pyi_abi_sandbox *all = NULL;
	struct pyi_state_dir dir;
	char path[PATH_MAX];
	struct pyi_err err = { 0 };
	size_t n, live = 0;
	int fd;

	assert_int_equal(pyi_registry_claim(registry, "live", &sandbox, &err), 0);
	sandbox.state = PYI_STATE_COMPLETED;
	sandbox.end.end_ns = 2;
	assert_int_equal(pyi_registry_claim(registry, "late", &sandbox, &err), 0);
	sandbox.end.end_ns = 1;
	assert_int_equal(pyi_registry_claim(registry, "early", &sandbox, &err), 0);
	assert_int_equal(pyi_state_dir_find(false, &dir, &err), 0);
	assert_int_equal(pyi_state_dir_below(&dir, "sandboxes", false, path, &err), 0);
	fd = open(path, O_RDONLY | O_DIRECTORY);
	for (int i = 0; i < PYI_ABI_SANDBOXES; i++) {
		char name[32];

		snprintf(name, sizeof(name), "%s-%d", i % 2 ? "e" : "l", i);
		assert_int_equal(linkat(fd, i % 2 ? "early" : "late", fd, name, 0), 0);
	}
	close(fd);
	sandbox = mine();
	assert_int_equal(pyi_registry_claim(registry, "new", &sandbox, &err), 0);
	assert_int_equal(pyi_registry_get(registry, "live", &seen, &err), 0);
	assert_int_equal(pyi_registry_get(registry, "late", &seen, &err), 0);
	assert_int_equal(pyi_registry_list(registry, &names, &all, &n, &err), 0);
	for (size_t i = 0; i < n; i++)
		live += pyi_sandbox_is_live(&all[i]);
	assert_true(n < PYI_ABI_SANDBOXES);
	assert_true(live >= 2);
	free(names);
	free(all);
	pyi_registry_free(registry);
}

/* What is not of this version is an error where it is asked for, and no entry where all are. */
static void test_damaged(void **state)
{
	struct pyi_registry *registry = open_registry();
	struct pyi_abi_sandbox sandbox = mine();
	struct pyi_state_dir dir;
	char path[PATH_MAX + 32];
	struct pyi_err err = { 0 };
	int fd;

	assert_int_equal(pyi_state_dir_find(false, &dir, &err), 0);
	snprintf(path, sizeof(path), "%s/sandboxes/damaged", dir.path);
	fd = open(path, O_WRONLY | O_CREAT, 0600);
	assert_int_equal(write(fd, "x", 1), 1);
	close(fd);
	assert_int_equal(pyi_registry_get(registry, "damaged", &sandbox, &err), -EPROTO);
	assert_non_null(strstr(err.msg, "remove it"));
	sandbox = mine();
	assert_int_equal(pyi_registry_claim(registry, "damaged", &sandbox, &err), -EPROTO);
	/* Of the right length, and something else. */
	assert_int_equal(pyi_registry_claim(registry, "other", &sandbox, &err), 0);
	snprintf(path, sizeof(path), "%s/sandboxes/other", dir.path);
	fd = open(path, O_WRONLY);
	assert_int_equal(write(fd, "x", 1), 1);
	close(fd);
	assert_int_equal(pyi_registry_get(registry, "other", &sandbox, &err), -EPROTO);
	pyi_registry_free(registry);
}

static void test_state_dir(void **state)
{
	struct pyi_state_dir dir;
	struct pyi_err err = { 0 };
	char open_to_all[64], run[64];

	snprintf(run, sizeof(run), "%s", getenv("PYISOLATE_RUN_DIR"));
	snprintf(open_to_all, sizeof(open_to_all), "%s/open", top);
	assert_int_equal(mkdir(open_to_all, 0755), 0);
	setenv("PYISOLATE_RUN_DIR", open_to_all, 1);
	assert_int_equal(pyi_state_dir_find(true, &dir, &err), -EPERM);
	setenv("PYISOLATE_RUN_DIR", "relative", 1);
	assert_int_equal(pyi_state_dir_find(true, &dir, &err), -EINVAL);
	setenv("PYISOLATE_RUN_DIR", "/nonexistent/x", 1);
	assert_int_equal(pyi_state_dir_find(false, &dir, &err), -ENOENT);
	if (geteuid() != 0) {
		unsetenv("PYISOLATE_RUN_DIR");
		setenv("XDG_RUNTIME_DIR", top, 1);
		assert_int_equal(pyi_state_dir_find(true, &dir, &err), 0);
		assert_false(dir.is_chosen);
		assert_memory_equal(dir.path, top, strlen(top));
	}
	setenv("PYISOLATE_RUN_DIR", run, 1);
}

/* What is kept of a token says neither what it is nor that two sandboxes have the same. */
static void test_token(void **state)
{
	static const char text[] = "a token that two of them have";
	struct pyi_abi_sandbox a = { .flags = 0 }, b = { .flags = 0 };
	struct pyi_token token = { .len = strlen(text) };
	const struct pyi_token none = { .len = 0 };
	struct pyi_err err = { 0 };
	uint64_t wait_ms;

	memcpy(token.text, text, sizeof(text));
	assert_int_equal(pyi_token_set(&a, &token, &err), 0);
	assert_int_equal(pyi_token_set(&b, &token, &err), 0);
	assert_memory_not_equal(a.token_hash, b.token_hash, sizeof(a.token_hash));
	assert_int_equal(pyi_token_check(&a, &token, 1, &wait_ms), 0);
	assert_int_equal(pyi_token_check(&b, &token, 1, &wait_ms), 0);
	/* Each byte of what is kept counts. */
	for (size_t i = 0; i < sizeof(a.token_hash); i++) {
		b = a;
		b.token_hash[i] ^= 1;
		assert_int_equal(pyi_token_check(&b, &token, 1, &wait_ms), -EACCES);
	}
	pyi_token_forget(&token);
	assert_memory_equal(&token, &none, sizeof(token));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_names),	    cmocka_unit_test(test_claims),
		cmocka_unit_test(test_dead_owners), cmocka_unit_test(test_race),
		cmocka_unit_test(test_damaged),	    cmocka_unit_test(test_state_dir),
		cmocka_unit_test(test_eviction),    cmocka_unit_test(test_token),
	};

	return cmocka_run_group_tests(tests, make_dir, remove_dir);
}
