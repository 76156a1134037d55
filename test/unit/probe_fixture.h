/* SPDX-License-Identifier: MIT */
/*
 * What test_probe.c (an ordinary user) and root_probe.c share: take one system call away with a filter, ask for the
 * facts, and look at the one fact that must now be off, with the errno of the filter, and at those that must not be.
 */
#ifndef PYI_TEST_PROBE_FIXTURE_H
#define PYI_TEST_PROBE_FIXTURE_H

#include <errno.h>
#include <linux/audit.h>
#include <linux/bpf.h>
#include <linux/filter.h>
#include <linux/sched.h>
#include <linux/seccomp.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include "kernel/probe.h"
#include "plan/facts.h"

struct denied {
	const char *name;
	long nr;
	long arg0; /* only with this first argument; -1: always */
	int errnum;
	size_t fact;  /* offsetof in struct pyi_facts: must be off with this errno */
	size_t keeps; /* must be on all the same, where it is on without the filter */
};

#define FACT(name) offsetof(struct pyi_facts, name)

static const struct pyi_fact *fact_at(const struct pyi_facts *facts, size_t offset)
{
	return (const struct pyi_fact *)((const char *)facts + offset);
}

static void install(const struct denied *denied)
{
	struct sock_filter insns[] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, (unsigned int)denied->nr, 0, 3),
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, args[0])),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, (unsigned int)denied->arg0, 0,
			 denied->arg0 == -1 ? 0 : 1),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | (unsigned int)denied->errnum),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
	};
	struct sock_fprog prog = { .len = sizeof(insns) / sizeof(insns[0]), .filter = insns };

	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0 ||
	    prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &prog) < 0)
		_exit(99);
}

/* The facts, as a child finds them with that call denied (NULL: with none). */
static void probe_without(const struct denied *denied, struct pyi_facts *ret_facts)
{
	int ends[2], status;
	pid_t pid;

	assert_int_equal(pipe(ends), 0);
	pid = fork();
	assert_true(pid >= 0);
	if (pid == 0) {
		struct pyi_facts facts;

		if (denied)
			install(denied);
		pyi_probe_run(&facts);
		_exit(write(ends[1], &facts, sizeof(facts)) != sizeof(facts));
	}
	close(ends[1]);
	assert_int_equal(read(ends[0], ret_facts, sizeof(*ret_facts)), sizeof(*ret_facts));
	close(ends[0]);
	while (waitpid(pid, &status, 0) < 0)
		;
	assert_int_equal(status, 0);
}

static void check_denied(const struct denied *table, size_t n)
{
	struct pyi_facts normal, facts;

	probe_without(NULL, &normal);
	for (size_t i = 0; i < n; i++) {
		const struct denied *d = &table[i];
		const struct pyi_fact *fact;

		if (fact_at(&normal, d->fact)->errnum) {
			print_message("%s: off here already: %s\n", d->name,
				      fact_at(&normal, d->fact)->detail);
			continue;
		}
		probe_without(d, &facts);
		fact = fact_at(&facts, d->fact);
		if (fact->errnum != d->errnum)
			fail_msg("%s: errno %d instead of %d (%s)", d->name, fact->errnum,
				 d->errnum, fact->detail);
		if (!fact->detail[0])
			fail_msg("%s: not said which call", d->name);
		if (fact_at(&facts, d->keeps)->errnum != fact_at(&normal, d->keeps)->errnum)
			fail_msg("%s: took more away: %s", d->name, fact_at(&facts, d->keeps)->detail);
	}
}

static void print_cost(void)
{
	struct timespec a, b;
	struct pyi_facts facts;
	double best = 1e9;

	for (int i = 0; i < 20; i++) {
		double us;

		clock_gettime(CLOCK_MONOTONIC, &a);
		pyi_probe_run(&facts);
		clock_gettime(CLOCK_MONOTONIC, &b);
		us = (double)(b.tv_sec - a.tv_sec) * 1e6 + (double)(b.tv_nsec - a.tv_nsec) / 1e3;
		best = us < best ? us : best;
	}
	print_message("pyi_probe_run: best of 20 %.0f us\n", best);
}

#endif
