/* SPDX-License-Identifier: MIT */
/*
 * What the verifier says of every program, and what the kernel made of it, as `bpftool prog` shows it: it is loaded
 * here, with statistics, and may take no more instructions and states than test/vm/verifier.budget gives it (a line
 * each: name, instructions processed, states). A program without a budget is a failure, and so is a budget that is
 * twice what is used: it would hide the next growth. The LSM programs
 * are skipped where the kernel takes none. PYI_VERIFIER_OUT=FILE writes what was seen, as a new budget.
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include <bpf/bpf.h>
#include <bpf/libbpf.h>

#include "bytes.skel.h"
#include "cgroup.skel.h"
#include "lsm.skel.h"
#include "perf.skel.h"
#include "trace_abi.h"

#include "trace.skel.h" /* its table is of what is above */

enum { LOG_BYTES = 1 << 18, BPF_LOG_STATS = 4 };

static FILE *output;

static int silent(enum libbpf_print_level level, const char *format, va_list args)
{
	return 0;
}

/* "processed 2807 insns (limit 1000000) max_states_per_insn 4 total_states 95 peak_states 95 mark_read 8" */
static void read_log(const char *log, unsigned long *ret_insns, unsigned long *ret_states)
{
	const char *at = strstr(log, "processed ");
	const char *states = at ? strstr(at, "total_states ") : NULL;

	*ret_insns = at ? strtoul(at + strlen("processed "), NULL, 10) : 0;
	*ret_states = states ? strtoul(states + strlen("total_states "), NULL, 10) : 0;
}

static int find_budget(const char *program, unsigned long *ret_insns, unsigned long *ret_states)
{
	static const char *const places[] = { "test/vm/verifier.budget",
					      "/opt/src/test/vm/verifier.budget" };
	char line[256], name[64], path[4096];
	FILE *file = NULL;
	int found = 0;

	if (getenv("PYI_TAP_ROOT")) {
		snprintf(path, sizeof(path), "%s/src/test/vm/verifier.budget", getenv("PYI_TAP_ROOT"));
		file = fopen(path, "r");
	}
	for (size_t i = 0; !file && i < 2; i++)
		file = fopen(places[i], "r");
	assert_non_null(file);
	while (!found && fgets(line, sizeof(line), file))
		found = sscanf(line, "%63s %lu %lu", name, ret_insns, ret_states) == 3 &&
			strcmp(name, program) == 0;
	fclose(file);
	return found;
}

static int check_program(const char *set, const struct bpf_program *prog, const char *log)
{
	unsigned long insns, states, max_insns, max_states;
	struct bpf_prog_info info = { 0 };
	uint32_t len = sizeof(info);
	char name[64];

	snprintf(name, sizeof(name), "%s/%s", set, bpf_program__name(prog));
	read_log(log, &insns, &states);
	assert_int_equal(bpf_prog_get_info_by_fd(bpf_program__fd(prog), &info, &len), 0);
	print_message("%-32s %7lu instructions %5lu states; %5u bytes translated, %5u of machine code, %u maps\n",
		      name, insns, states, info.xlated_prog_len, info.jited_prog_len, info.nr_map_ids);
	if (output)
		fprintf(output, "%s %lu %lu\n", name, insns + insns / 4 + 20, states + states / 4 + 5);
	if (!insns) {
		print_error("%s: no statistics\n", name);
		return 1;
	}
	if (!find_budget(name, &max_insns, &max_states)) {
		print_error("%s has no budget\n", name);
		return 1;
	}
	/* The budget is that of one kernel; others count a little differently. */
	if (insns <= max_insns && states <= max_states &&
	    (!getenv("PYI_VM") || max_insns <= 2 * insns + 100))
		return 0;
	print_error("%s: %lu instructions, %lu states; its budget is %lu, %lu\n", name, insns,
		    states, max_insns, max_states);
	return 1;
}

/* Loads an opened object with a log for each program; -errno with what the verifier said last. */
static int load(struct bpf_object *obj, char **logs)
{
	struct bpf_program *prog;
	size_t i = 0;
	int ret;

	bpf_object__for_each_program (prog, obj) {
		logs[i] = calloc(1, LOG_BYTES);
		bpf_program__set_log_buf(prog, logs[i++], LOG_BYTES);
		bpf_program__set_log_level(prog, BPF_LOG_STATS);
	}
	ret = bpf_object__load(obj);
	if (ret == 0)
		return 0;
	return ret;
}

static int check_all(const char *set, struct bpf_object *obj, char **logs)
{
	struct bpf_program *prog;
	int bad = 0;
	size_t i = 0;

	bpf_object__for_each_program (prog, obj)
		bad += check_program(set, prog, logs[i++]);
	return bad;
}

static void cgroup_programs(void **state)
{
	struct cgroup *skel;
	char *logs[64] = { 0 };
	int ret;

	if (geteuid() != 0)
		skip();
	libbpf_set_print(silent);
	skel = cgroup__open();
	assert_non_null(skel);
	ret = load(skel->obj, logs);
	if (ret == -EPERM)
		skip();
	assert_int_equal(ret, 0);
	assert_int_equal(check_all("cgroup", skel->obj, logs), 0);
	cgroup__destroy(skel);
	for (size_t i = 0; i < 64; i++)
		free(logs[i]);
}

static void perf_programs(void **state)
{
	struct perf *skel;
	char *logs[64] = { 0 };
	int ret;

	if (geteuid() != 0)
		skip();
	libbpf_set_print(silent);
	skel = perf__open();
	assert_non_null(skel);
	ret = load(skel->obj, logs);
	if (ret == -EPERM)
		skip();
	assert_int_equal(ret, 0);
	assert_int_equal(check_all("perf", skel->obj, logs), 0);
	perf__destroy(skel);
	for (size_t i = 0; i < 64; i++)
		free(logs[i]);
}

static void trace_programs(void **state)
{
	struct trace *skel;
	char *logs[64] = { 0 };
	int ret;

	if (geteuid() != 0)
		skip();
	libbpf_set_print(silent);
	skel = trace__open();
	assert_non_null(skel);
	ret = load(skel->obj, logs);
	if (ret == -EPERM)
		skip();
	assert_int_equal(ret, 0);
	assert_int_equal(check_all("trace", skel->obj, logs), 0);
	trace__destroy(skel);
	for (size_t i = 0; i < 64; i++)
		free(logs[i]);
}

/* Of a kind that not every kernel takes; the machine's must. */
static void check_optional(const char *set, struct bpf_object *obj)
{
	char *logs[64] = { 0 };
	int ret;

	assert_non_null(obj);
	ret = load(obj, logs);
	if (ret && !getenv("PYI_VM")) {
		print_message("this kernel takes no LSM programs: %s\n", strerror(-ret));
		skip();
	}
	/* The last one with a log is the one that was refused. */
	for (size_t i = 63; ret && i < 64; i--)
		if (logs[i] && logs[i][0]) {
			print_error("program %zu: %.3000s\n", i, logs[i]);
			break;
		}
	assert_int_equal(ret, 0);
	assert_int_equal(check_all(set, obj, logs), 0);
	for (size_t i = 0; i < 64; i++)
		free(logs[i]);
}

static void lsm_programs(void **state)
{
	struct lsm *skel;

	if (geteuid() != 0)
		skip();
	libbpf_set_print(silent);
	skel = lsm__open();
	/* As on a host: with the level unknown a look of a few instructions would be a helper's. */
	if (skel)
		skel->rodata->parent_level = 1;
	check_optional("lsm", skel ? skel->obj : NULL);
	lsm__destroy(skel);
}

static void bytes_programs(void **state)
{
	struct bytes *skel;

	if (geteuid() != 0)
		skip();
	libbpf_set_print(silent);
	skel = bytes__open();
	if (skel)
		skel->rodata->parent_level = 1;
	check_optional("bytes", skel ? skel->obj : NULL);
	bytes__destroy(skel);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(cgroup_programs), cmocka_unit_test(perf_programs),
		cmocka_unit_test(trace_programs),  cmocka_unit_test(lsm_programs),
		cmocka_unit_test(bytes_programs),
	};
	int ret;

	if (getenv("PYI_VERIFIER_OUT"))
		output = fopen(getenv("PYI_VERIFIER_OUT"), "w");
	ret = cmocka_run_group_tests(tests, NULL, NULL);
	if (output)
		fclose(output);
	return ret;
}
