/* SPDX-License-Identifier: MIT */
/* What the tests of the LSM programs share: a tree of files, a policy about it, children in a group of ours. */
#ifndef PYI_TEST_LSM_FIXTURE_H
#define PYI_TEST_LSM_FIXTURE_H

#include <bpf/bpf.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/sched.h>
#include <sched.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/err.h"
#include "base/util.h"
#include "kernel/bpf.h"
#include "kernel/bpf_pins.h"
#include "kernel/cgroup.h"
#include "kernel/probe.h"
#include "plan/facts.h"
#include "plan/plan.h"
#include "policy/contract.h"
#include "policy/dfa.h"

enum { RULE_DENY = 2, RULE_KEYS = 3, RULE_NO_EXEC = 6 };
enum { BOX_WX = 1, BOX_SYS = 2, BOX_UNARMED = 4 };

static struct pyi_facts facts;
static struct pyi_bpf *bpf;
static char top[64];
static pid_t owner;
static struct pyi_bpf_event events[PYI_BPF_EVENTS_MAX];
static size_t n_events;

struct box {
	struct pyi_cgroup *cgroup;
	uint64_t id;
};

static inline int or_errno(int ret)
{
	return ret < 0 ? errno : 0;
}

static inline int close_or_errno(int fd)
{
	if (fd < 0)
		return errno;
	close(fd);
	return 0;
}

static inline void shell(const char *format, ...)
{
	char command[2048];
	va_list args;

	va_start(args, format);
	vsnprintf(command, sizeof(command), format, args);
	va_end(args);
	if (system(command) != 0)
		print_error("failed: %s\n", command);
}

/* A fresh one for each test. */
static inline void make_tree(void)
{
	shell("rm -rf %s && mkdir -p %s && cd %s && mkdir -p w/sub w/deny w/empty w/up/deny r/empty p x/no hidden "
	      "v/a v/sub v/keep/secret && "
	      "echo text | tee w/file w/deny/file w/sub/file w/sub/x.key w/x.key r/file "
	      "other p/a.out p/a.in hidden/file v/a/file v/sub/file >/dev/null && "
	      "cp $HELPERS/true x/true && cp x/true r/true && "
	      "cp x/true x/no/true && echo '#!'$PWD/x/true >x/script && echo '#!'$PWD/r/true >x/badscript && "
	      "chmod 755 x/script x/badscript",
	      top, top, top);
}

static inline int set_up_lsm(void **state)
{
	struct pyi_err err = { 0 };
	char helpers[PATH_MAX];

	owner = getpid();
	if (!getenv("HELPERS")) {
		snprintf(helpers, sizeof(helpers), "%s",
			 getenv("PYI_HELPERS") ? getenv("PYI_HELPERS") : "build/helper");
		setenv("HELPERS", helpers, 1);
	}
	snprintf(top, sizeof(top), "/var/tmp/pyilsm.%d", owner);
	pyi_probe_run(&facts);
	if (!facts.is_root || facts.bpf_cgroup.errnum || facts.bpf_lsm.errnum)
		return 0;
	if (pyi_bpf_open(&facts, &bpf, &err) < 0) {
		print_error("pyi_bpf_open: %s\n", err.msg);
		return -1;
	}
	pyi_probe_run(&facts);
	return 0;
}

static inline int tear_down_lsm(void **state)
{
	if (getpid() != owner)
		return 0;
	pyi_bpf_free(bpf);
	shell("rm -rf %s", top);
	return 0;
}

static inline void need_lsm(void)
{
	if (!facts.is_root || facts.bpf_cgroup.errnum || facts.bpf_lsm.errnum) {
		print_message("no LSM programs here: %s: %s\n", facts.bpf_lsm.detail,
			      strerror(facts.bpf_lsm.errnum));
		if (getenv("PYI_VM"))
			fail_msg("the virtual machine's kernel must take them");
		skip();
	}
}

/* The policy of a box: paths below the tree, and what any process needs; and what contracts count (NULL: nothing). */
static inline struct pyi_dfa *make_paths(unsigned int flags, const struct pyi_contract_set *counted)
{
	static const struct {
		const char *path;
		bool is_glob, is_exact;
		uint8_t verdict, access;
	} rules[] = {
		{ "w", false, false, PYI_DFA_ALLOW, PYI_READ | PYI_WRITE },
		{ "r", false, false, PYI_DFA_ALLOW, PYI_READ },
		{ "w/**/deny", true, false, PYI_DFA_DENY, 7 },
		{ "w/**/*.key", true, false, PYI_DFA_DENY, 7 },
		{ "p/*.out", true, false, PYI_DFA_ALLOW, PYI_READ | PYI_WRITE },
		{ "x", false, false, PYI_DFA_ALLOW, PYI_READ | PYI_EXEC },
		{ "x/no", false, false, PYI_DFA_DENY, PYI_EXEC },
		{ "v", false, false, PYI_DFA_ALLOW, PYI_READ | PYI_WRITE },
		{ "v/keep/secret", false, false, PYI_DFA_DENY, 7 },
		{ "", false, true, PYI_DFA_ALLOW, PYI_DFA_LIST },
		{ "/proc", false, false, PYI_DFA_ALLOW, PYI_READ },
		{ "/dev/null", false, false, PYI_DFA_ALLOW, PYI_READ | PYI_WRITE },
		{ "/sys", false, false, PYI_DFA_ALLOW, PYI_READ | PYI_WRITE },
	};
	struct pyi_dfa_rule out[PYI_ARRAY_SIZE(rules) + PYI_CONTRACT_SLOTS];
	static char paths[PYI_ARRAY_SIZE(rules)][PATH_MAX];
	struct pyi_dfa *dfa = NULL;
	struct pyi_err err = { 0 };
	size_t costly, n = PYI_ARRAY_SIZE(rules) - (flags & BOX_SYS ? 0 : 1);

	for (size_t i = 0; i < n; i++) {
		bool is_below = rules[i].path[0] != '/';

		snprintf(paths[i], PATH_MAX, "%s%s%s", is_below ? top : "",
			 is_below && rules[i].path[0] ? "/" : "", rules[i].path);
		out[i] = (struct pyi_dfa_rule){ paths[i],
						rules[i].is_glob,
						rules[i].is_exact,
						rules[i].verdict,
						rules[i].access,
						(uint16_t)i,
						0 };
	}
	for (size_t i = 0; counted && i < counted->n_patterns; i++)
		out[n++] = (struct pyi_dfa_rule){ .path = counted->patterns[i].text,
						  .is_glob = counted->patterns[i].is_glob,
						  .number = PYI_DFA_NO_RULE,
						  .slots = (uint16_t)(1u << i) };
	assert_int_equal(pyi_dfa_build(out, n, &dfa, &costly, &err), 0);
	return dfa;
}

static inline void open_box(struct box *box, unsigned int flags)
{
	static const struct pyi_policy no_policy;
	struct pyi_plan plan = { .policy = &no_policy,
				 .use_bpf_lsm = true,
				 .mdwe = flags & BOX_WX,
				 .guest = PYI_GUEST_COMMAND };
	struct pyi_limits limits = { .pids = 64 };
	struct pyi_err err = { 0 };

	plan.paths = make_paths(flags, NULL);
	if (pyi_cgroup_new(&facts, &limits, &box->cgroup, &err) ||
	    pyi_bpf_assign(bpf, box->id = pyi_cgroup_id(box->cgroup), &plan, &err))
		fail_msg("%s", err.msg);
	if (!(flags & BOX_UNARMED))
		assert_int_equal(pyi_bpf_arm(bpf), 0);
	pyi_dfa_free(plan.paths);
}

static inline void close_box(struct box *box)
{
	pyi_bpf_unassign(bpf, box->id);
	pyi_cgroup_free(box->cgroup);
}

static inline int wait_code(pid_t pid)
{
	int status;

	while (waitpid(pid, &status, 0) < 0)
		;
	return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

/* What fn returns in a process of the box, which must fit an exit code. */
static inline int inside(const struct box *box, int (*fn)(const void *), const void *arg)
{
	struct clone_args args = { .flags = CLONE_INTO_CGROUP, .exit_signal = SIGCHLD };
	pid_t pid;

	args.cgroup = (uint64_t)pyi_cgroup_v2_fd(box->cgroup);
	pid = (pid_t)syscall(SYS_clone3, &args, sizeof(args));
	if (pid == 0)
		_exit(fn(arg));
	assert_true(pid > 0);
	return wait_code(pid);
}

/* In a mount namespace of its own, for what it changes. */
static inline int outside(int (*fn)(const void *), const void *arg)
{
	pid_t pid = fork();

	if (pid == 0) {
		if (unshare(CLONE_NEWNS) < 0 || system("mount --make-rprivate / 2>/dev/null") != 0)
			_exit(255);
		_exit(fn(arg));
	}
	return wait_code(pid);
}

static inline void read_events(const struct box *box)
{
	struct pyi_err err = { 0 };
	uint64_t total;

	memset(events, 0, sizeof(events));
	assert_int_equal(
		pyi_bpf_events(bpf, box->id, events, PYI_BPF_EVENTS_MAX, &n_events, &total, &err), 0);
}

#endif
