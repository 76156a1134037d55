/* SPDX-License-Identifier: MIT */
/* Named sandboxes as a table, and as JSON. */
#ifndef PYI_REPORT_SANDBOXES_H
#define PYI_REPORT_SANDBOXES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "report/result.h"

struct pyi_buf;

struct pyi_sandbox_row {
	char name[72];
	const char *state; /* as pyisolate-stats(1) has it: "running", "completed", ... */
	bool has_ended;
	const char *reason; /* pyi_reason_name; NULL while it lives and when it was lost */
	bool has_exit_code; /* the guest's, or ours for it */
	int exit_code;
	int signal; /* 0: none */
	char policy[64];
	char digest[65];
	uint32_t generation;
	bool has_cpu;
	uint64_t cpu_us;
	bool has_memory;
	uint64_t memory_bytes;	    /* now; of an ended one the peak */
	uint64_t memory_peak_bytes; /* 0: unknown */
	bool has_denials;
	uint64_t denials;
	uint64_t age_ms; /* since its start */
	uint64_t ran_ms; /* from start to end, or until now */
	uint64_t started_unix_ms;
	uint64_t ended_unix_ms; /* 0: lives */
	int pid;		/* of the supervisor */
	uint64_t cgroup;	/* 0: none */
	/* limits, 0: none */
	uint64_t memory_limit_bytes, cpu_time_ms, wall_time_ms, output_bytes, tmp_bytes;
	uint32_t cpu_permille, pids, open_files;
	bool has_node; /* it was started with --numa */
	uint32_t node;
};

/*
 * A header and a line for each: NAME STATE REASON EXIT POLICY GEN CPU MEMORY DENIALS AGE NODE, separated by at least
 * two blanks, none of them empty ("-" where there is nothing to say), none with a blank in it.
 */
void pyi_sandboxes_print(const struct pyi_sandbox_row *rows, size_t n, struct pyi_buf *out);

/*
 * {"sandboxes": [...]}, or with `alone` the object of rows[0] by itself; a newline. Members of an object, always
 * present (readers must ignore those they do not know): see pyisolate-stats(1).
 */
void pyi_sandboxes_print_json(const struct pyi_sandbox_row *rows, size_t n, bool alone,
			      struct pyi_buf *out);

#endif
