/* SPDX-License-Identifier: MIT */
/* Named sandboxes as metrics; see prometheus.h and Prometheus's "exposition formats". */
#include "report/prometheus.h"

#include <inttypes.h>
#include <string.h>

#include "base/buf.h"
#include "base/utf8.h"
#include "base/util.h"
#include "report/sandboxes.h"

/* A label's value: backslash, quote and newline are escaped, what is not UTF-8 becomes U+FFFD. */
static void put_value(struct pyi_buf *out, const char *text)
{
	while (*text) {
		size_t len = pyi_utf8_len(text);

		if (*text == '\\' || *text == '"')
			pyi_buf_printf(out, "\\%c", *text);
		else if (*text == '\n')
			pyi_buf_puts(out, "\\n");
		else if (!len)
			pyi_buf_puts(out, "\xef\xbf\xbd");
		else
			pyi_buf_add(out, text, len);
		text += len ? len : 1;
	}
}

static void put_head(struct pyi_buf *out, const char *name, const char *type, const char *help)
{
	pyi_buf_printf(out, "# HELP %s %s\n# TYPE %s %s\n", name, help, name, type);
}

static void put_states(const struct pyi_sandbox_row *rows, size_t n, struct pyi_buf *out)
{
	static const char *const states[] = { "init",		"bootstrapped",
					      "running",	"hot_reload",
					      "quota_exceeded", "completed",
					      "cancelled",	"lost" };

	put_head(out, "pyisolate_sandboxes", "gauge",
		 "Named sandboxes by state; the last three are ends.");
	for (size_t i = 0; i < PYI_ARRAY_SIZE(states); i++) {
		size_t count = 0;

		for (size_t k = 0; k < n; k++)
			count += strcmp(rows[k].state, states[i]) == 0;
		pyi_buf_printf(out, "pyisolate_sandboxes{state=\"%s\"} %zu\n", states[i], count);
	}
}

static void put_info(const struct pyi_sandbox_row *rows, size_t n, struct pyi_buf *out)
{
	if (n)
		put_head(out, "pyisolate_sandbox_info", "gauge",
			 "What a sandbox is: always 1. The reason is that of its end.");
	for (size_t i = 0; i < n; i++) {
		pyi_buf_puts(out, "pyisolate_sandbox_info{name=\"");
		put_value(out, rows[i].name);
		pyi_buf_printf(out, "\",state=\"%s\",reason=\"%s\",policy=\"", rows[i].state,
			       rows[i].reason ? rows[i].reason : "");
		put_value(out, rows[i].policy);
		pyi_buf_puts(out, "\"} 1\n");
	}
}

/* One value of a row, as text; false where it has none. */
typedef bool get_fn(const struct pyi_sandbox_row *row, struct pyi_buf *out);

static bool get_cpu(const struct pyi_sandbox_row *row, struct pyi_buf *out)
{
	pyi_buf_printf(out, "%" PRIu64 ".%06u", row->cpu_us / 1000000,
		       (unsigned int)(row->cpu_us % 1000000));
	return row->has_cpu;
}

static bool get_memory(const struct pyi_sandbox_row *row, struct pyi_buf *out)
{
	pyi_buf_printf(out, "%" PRIu64, row->memory_bytes);
	return row->has_memory && !row->has_ended;
}

static bool get_memory_peak(const struct pyi_sandbox_row *row, struct pyi_buf *out)
{
	pyi_buf_printf(out, "%" PRIu64, row->memory_peak_bytes);
	return row->memory_peak_bytes != 0;
}

static bool get_memory_limit(const struct pyi_sandbox_row *row, struct pyi_buf *out)
{
	pyi_buf_printf(out, "%" PRIu64, row->memory_limit_bytes);
	return row->memory_limit_bytes != 0;
}

static bool get_denials(const struct pyi_sandbox_row *row, struct pyi_buf *out)
{
	pyi_buf_printf(out, "%" PRIu64, row->denials);
	return row->has_denials;
}

static bool get_generation(const struct pyi_sandbox_row *row, struct pyi_buf *out)
{
	pyi_buf_printf(out, "%" PRIu32, row->generation);
	return true;
}

static bool get_node(const struct pyi_sandbox_row *row, struct pyi_buf *out)
{
	pyi_buf_printf(out, "%" PRIu32, row->node);
	return row->has_node;
}

static void put_seconds(uint64_t ms, struct pyi_buf *out)
{
	pyi_buf_printf(out, "%" PRIu64 ".%03u", ms / 1000, (unsigned int)(ms % 1000));
}

static bool get_start(const struct pyi_sandbox_row *row, struct pyi_buf *out)
{
	put_seconds(row->started_unix_ms, out);
	return true;
}

static bool get_end(const struct pyi_sandbox_row *row, struct pyi_buf *out)
{
	put_seconds(row->ended_unix_ms, out);
	return row->has_ended;
}

static bool get_exit_code(const struct pyi_sandbox_row *row, struct pyi_buf *out)
{
	pyi_buf_printf(out, "%d", row->exit_code);
	return row->has_ended && row->has_exit_code;
}

static const struct family {
	const char *name;
	const char *type;
	const char *help;
	get_fn *get;
} families[] = {
	{ "pyisolate_sandbox_cpu_seconds_total", "counter",
	  "CPU time used by all processes of the sandbox.", get_cpu },
	{ "pyisolate_sandbox_memory_bytes", "gauge", "Memory in use, of live sandboxes.", get_memory },
	{ "pyisolate_sandbox_memory_peak_bytes", "gauge", "The most memory that was in use.",
	  get_memory_peak },
	{ "pyisolate_sandbox_memory_limit_bytes", "gauge", "The memory limit, where there is one.",
	  get_memory_limit },
	{ "pyisolate_sandbox_denials_total", "counter",
	  "Denied actions; of a live sandbox those that the BPF programs count.", get_denials },
	{ "pyisolate_sandbox_generation", "gauge", "Generation of the policy; a reload raises it.",
	  get_generation },
	{ "pyisolate_sandbox_numa_node", "gauge",
	  "The NUMA node, of sandboxes that are bound to one.", get_node },
	{ "pyisolate_sandbox_start_time_seconds", "gauge", "Start, in Unix time.", get_start },
	{ "pyisolate_sandbox_end_time_seconds", "gauge", "End, in Unix time, of ended sandboxes.",
	  get_end },
	{ "pyisolate_sandbox_exit_code", "gauge", "Exit code of ended sandboxes.", get_exit_code },
};

static void put_family(const struct family *family, const struct pyi_sandbox_row *rows, size_t n,
		       struct pyi_buf *out)
{
	bool has_head = false;

	for (size_t i = 0; i < n; i++) {
		_cleanup_buf struct pyi_buf value = PYI_BUF_INIT;

		if (!family->get(&rows[i], &value))
			continue;
		if (!has_head)
			put_head(out, family->name, family->type, family->help);
		has_head = true;
		pyi_buf_printf(out, "%s{name=\"", family->name);
		put_value(out, rows[i].name);
		pyi_buf_printf(out, "\"} %s\n", pyi_buf_str(&value));
		out->failed |= value.failed;
	}
}

void pyi_prometheus_print(const struct pyi_sandbox_row *rows, size_t n, struct pyi_buf *out)
{
	put_states(rows, n, out);
	put_info(rows, n, out);
	for (size_t i = 0; i < PYI_ARRAY_SIZE(families); i++)
		put_family(&families[i], rows, n, out);
}
