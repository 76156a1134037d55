/* SPDX-License-Identifier: MIT */
/* Named sandboxes as a table, and as JSON; see sandboxes.h. */
#include "report/sandboxes.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/buf.h"
#include "base/json.h"
#include "base/util.h"

enum { N_COLUMNS = 11, CELL_MAX = 80 };

static const char *const headers[N_COLUMNS] = { "NAME",	   "STATE", "REASON", "EXIT",
						"POLICY",  "GEN",   "CPU",    "MEMORY",
						"DENIALS", "AGE",   "NODE" };

/* Two digits are enough to compare by eye: 850ms, 2.3s, 45s, 12m, 3.5h, 40h, 9d. */
static void put_time(uint64_t ms, char cell[CELL_MAX])
{
	static const struct {
		uint64_t unit_ms;
		char unit;
	} units[] = { { 86400000, 'd' }, { 3600000, 'h' }, { 60000, 'm' }, { 1000, 's' } };
	size_t i;

	for (i = 0; i < PYI_ARRAY_SIZE(units); i++) {
		uint64_t tenths = ms * 10 / units[i].unit_ms;

		/* 36 h before days begin, 90 min before hours do. */
		if (tenths < (units[i].unit == 's' ? 10 : 15))
			continue;
		if (tenths < 100)
			snprintf(cell, CELL_MAX, "%" PRIu64 ".%" PRIu64 "%c", tenths / 10,
				 tenths % 10, units[i].unit);
		else
			snprintf(cell, CELL_MAX, "%" PRIu64 "%c", tenths / 10, units[i].unit);
		return;
	}
	snprintf(cell, CELL_MAX, "%" PRIu64 "ms", ms);
}

static void put_size(uint64_t bytes, char cell[CELL_MAX])
{
	static const char *const units[] = { "B", "KiB", "MiB", "GiB", "TiB" };
	uint64_t tenths = bytes * 10;
	size_t i = 0;

	while (i + 1 < PYI_ARRAY_SIZE(units) && tenths >= 10240) {
		tenths /= 1024;
		i++;
	}
	if (i && tenths < 100)
		snprintf(cell, CELL_MAX, "%" PRIu64 ".%" PRIu64 "%s", tenths / 10, tenths % 10,
			 units[i]);
	else
		snprintf(cell, CELL_MAX, "%" PRIu64 "%s", tenths / 10, units[i]);
}

/* A word: what a user called a file may hold blanks and control characters. */
static void put_word(const char *text, char cell[CELL_MAX])
{
	size_t n = 0;

	for (; text && *text && n < CELL_MAX - 1; text++) {
		unsigned char c = (unsigned char)*text;

		cell[n++] = c <= 0x20 || c >= 0x7f ? '?' : (char)c;
	}
	cell[n] = '\0';
	if (!n)
		snprintf(cell, CELL_MAX, "-");
}

/* Of a path the end says more than the beginning. */
static const char *short_policy(const char *policy)
{
	const char *slash = strrchr(policy, '/');

	return slash && slash[1] ? slash + 1 : policy;
}

static void fill_cells(const struct pyi_sandbox_row *row, char cells[N_COLUMNS][CELL_MAX])
{
	for (size_t i = 0; i < N_COLUMNS; i++)
		snprintf(cells[i], CELL_MAX, "-");
	put_word(row->name, cells[0]);
	put_word(row->state, cells[1]);
	if (row->reason)
		put_word(row->reason, cells[2]);
	if (row->has_exit_code)
		snprintf(cells[3], CELL_MAX, "%d", row->exit_code);
	put_word(short_policy(row->policy), cells[4]);
	snprintf(cells[5], CELL_MAX, "%" PRIu32, row->generation);
	if (row->has_cpu)
		put_time(row->cpu_us / 1000, cells[6]);
	if (row->has_memory)
		put_size(row->memory_bytes, cells[7]);
	if (row->has_denials)
		snprintf(cells[8], CELL_MAX, "%" PRIu64, row->denials);
	put_time(row->age_ms, cells[9]);
	if (row->has_node)
		snprintf(cells[10], CELL_MAX, "%" PRIu32, row->node);
}

static void print_line(char cells[N_COLUMNS][CELL_MAX], const int *widths, struct pyi_buf *out)
{
	for (int i = 0; i < N_COLUMNS; i++) {
		bool is_number = i == 3 || i >= 5;

		if (i == N_COLUMNS - 1)
			pyi_buf_printf(out, "%*s\n", widths[i], cells[i]);
		else
			pyi_buf_printf(out, is_number ? "%*s  " : "%-*s  ", widths[i], cells[i]);
	}
}

void pyi_sandboxes_print(const struct pyi_sandbox_row *rows, size_t n, struct pyi_buf *out)
{
	char cells[N_COLUMNS][CELL_MAX];
	int widths[N_COLUMNS];

	for (int i = 0; i < N_COLUMNS; i++)
		widths[i] = (int)strlen(headers[i]);
	for (size_t k = 0; k < n; k++) {
		fill_cells(&rows[k], cells);
		for (int i = 0; i < N_COLUMNS; i++)
			if ((int)strlen(cells[i]) > widths[i])
				widths[i] = (int)strlen(cells[i]);
	}
	for (int i = 0; i < N_COLUMNS; i++)
		snprintf(cells[i], CELL_MAX, "%s", headers[i]);
	print_line(cells, widths, out);
	for (size_t k = 0; k < n; k++) {
		fill_cells(&rows[k], cells);
		print_line(cells, widths, out);
	}
}

static void put_number(struct pyi_json *json, const char *key, bool is_known, uint64_t value)
{
	if (is_known)
		pyi_json_u64(json, key, value);
	else
		pyi_json_null(json, key);
}

static void print_limits(struct pyi_json *json, const struct pyi_sandbox_row *row)
{
	const struct {
		const char *key;
		uint64_t value;
	} limits[] = {
		{ "memory_bytes", row->memory_limit_bytes },
		{ "cpu_permille", row->cpu_permille },
		{ "cpu_time_ms", row->cpu_time_ms },
		{ "wall_time_ms", row->wall_time_ms },
		{ "pids", row->pids },
		{ "open_files", row->open_files },
		{ "output_bytes", row->output_bytes },
		{ "tmp_bytes", row->tmp_bytes },
	};

	pyi_json_object(json, "limits");
	for (size_t i = 0; i < PYI_ARRAY_SIZE(limits); i++)
		put_number(json, limits[i].key, limits[i].value != 0, limits[i].value);
	put_number(json, "numa", row->has_node, row->node);
	pyi_json_end_object(json);
}

static void print_object(struct pyi_json *json, const struct pyi_sandbox_row *row)
{
	pyi_json_object(json, NULL);
	pyi_json_string(json, "name", row->name);
	pyi_json_string(json, "state", row->state);
	pyi_json_string(json, "reason", row->reason);
	if (row->has_exit_code)
		pyi_json_i64(json, "exit_code", row->exit_code);
	else
		pyi_json_null(json, "exit_code");
	put_number(json, "signal", row->signal != 0, (uint64_t)row->signal);
	pyi_json_string(json, "policy_name", row->policy);
	pyi_json_string(json, "policy", row->digest);
	pyi_json_u64(json, "generation", row->generation);
	if (row->has_cpu)
		pyi_json_ms(json, "cpu_ms", row->cpu_us);
	else
		pyi_json_null(json, "cpu_ms");
	put_number(json, "memory_bytes", row->has_memory && !row->has_ended, row->memory_bytes);
	put_number(json, "memory_peak_bytes", row->memory_peak_bytes != 0, row->memory_peak_bytes);
	put_number(json, "denials", row->has_denials, row->denials);
	pyi_json_u64(json, "age_ms", row->age_ms);
	pyi_json_u64(json, "ran_ms", row->ran_ms);
	pyi_json_u64(json, "started_unix_ms", row->started_unix_ms);
	put_number(json, "ended_unix_ms", row->ended_unix_ms != 0, row->ended_unix_ms);
	put_number(json, "pid", !row->has_ended, (uint64_t)row->pid);
	put_number(json, "cgroup", row->cgroup != 0, row->cgroup);
	print_limits(json, row);
	pyi_json_end_object(json);
}

void pyi_sandboxes_print_json(const struct pyi_sandbox_row *rows, size_t n, bool alone,
			      struct pyi_buf *out)
{
	struct pyi_json json;

	pyi_json_init(&json, out);
	if (alone) {
		print_object(&json, &rows[0]);
	} else {
		pyi_json_object(&json, NULL);
		pyi_json_array(&json, "sandboxes");
		for (size_t i = 0; i < n; i++)
			print_object(&json, &rows[i]);
		pyi_json_end_array(&json);
		pyi_json_end_object(&json);
	}
	pyi_buf_putc(out, '\n');
}
