/* SPDX-License-Identifier: MIT */
/* The text of a suggested policy; see suggest.h. What it says of paths is settled in suggest_paths.c. */
#include "report/suggest.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/buf.h"
#include "base/parse.h"
#include "report/suggest_net.h"
#include "report/suggest_paths.h"

enum {
	AT_MAX = 120,
	LEFT_OUT_MAX = 40, /* lines of what is not granted */
	LEFT_OUT_PATH_MAX = 200,
	COUNT_LEN = 32,
	MIB = 1 << 20,
	MEMORY_STEP = 16 * MIB,
	MEMORY_MIN = 64 * MIB,
	CPU_MIN_MS = 2000,
	WALL_MIN_MS = 10000,
	TIME_FACTOR = 4, /* a busy machine is slower */
};

void pyi_suggest_end_line(struct pyi_buf *out, uint64_t count, const char *at_file, unsigned int at_line)
{
	pyi_buf_printf(out, "  # %" PRIu64 " time%s", count, count == 1 ? "" : "s");
	if (at_file) {
		pyi_buf_puts(out, count == 1 ? ", at " : ", first at ");
		pyi_policy_comment(out, at_file, AT_MAX);
		pyi_buf_printf(out, ":%u", at_line);
	}
	pyi_buf_putc(out, '\n');
}

/* What is special in a pattern is none in a name. */
static void print_path(const struct pyi_suggest_rule *rule, struct pyi_buf *out)
{
	struct pyi_buf text = PYI_BUF_INIT;
	size_t plain = rule->is_glob ? (size_t)(strrchr(rule->path, '/') - rule->path) : SIZE_MAX;

	for (size_t i = 0; rule->path[i]; i++) {
		if (i < plain && strchr("*?[", rule->path[i]))
			pyi_buf_printf(&text, "[%c]", rule->path[i]);
		else
			pyi_buf_putc(&text, rule->path[i]);
	}
	pyi_policy_quote(out, pyi_buf_str(&text));
	out->failed = out->failed || text.failed;
	pyi_buf_release(&text);
}

static void print_rule(const struct pyi_suggest_rule *rule, const char *key, struct pyi_buf *out)
{
	pyi_buf_printf(out, "  - %s: ", key);
	print_path(rule, out);
	pyi_suggest_end_line(out, rule->count, rule->at_file, rule->at_line);
}

/* A rule of a flag: nothing else keeps it. */
static bool is_flag(const struct pyi_origin *from)
{
	return !from->line && !from->is_template;
}

static void print_flag_rule(const char *key, const char *value, const struct pyi_origin *from,
			    struct pyi_buf *out)
{
	pyi_buf_printf(out, "  - %s: ", key);
	pyi_policy_quote(out, value);
	pyi_buf_puts(out, "  # ");
	pyi_policy_comment(out, from->file, AT_MAX);
	pyi_buf_putc(out, '\n');
}

static void title(const char *text, bool *has_title, struct pyi_buf *out)
{
	if (!*has_title)
		pyi_buf_puts(out, text);
	*has_title = true;
}

static bool is_exec_only(const struct pyi_fs_rule *rule)
{
	return rule->verdict != PYI_ALLOW && rule->access == PYI_EXEC;
}

static const char *flag_key(const struct pyi_fs_rule *rule)
{
	if (rule->verdict != PYI_ALLOW)
		return rule->verdict == PYI_DENY ? "deny" : "warn";
	return rule->access & PYI_WRITE ? "write" : rule->access & PYI_EXEC ? "exec" : "read";
}

static void print_flag_paths(const struct pyi_suggest *s, bool exec_only, bool *has_title,
			     struct pyi_buf *out)
{
	for (size_t i = 0; i < s->base->n_fs; i++) {
		const struct pyi_fs_rule *rule = &s->base->fs[i];

		if (!is_flag(&rule->from) || is_exec_only(rule) != exec_only)
			continue;
		title(exec_only ? "exec:\n" : "fs:\n", has_title, out);
		print_flag_rule(flag_key(rule), rule->path, &rule->from, out);
	}
}

static void print_paths(const struct pyi_suggest *s, const struct pyi_suggest_rules *rules,
			struct pyi_buf *out)
{
	bool has_title = false;

	print_flag_paths(s, false, &has_title, out);
	for (size_t i = 0; i < rules->n; i++) {
		const struct pyi_suggest_rule *rule = &rules->v[i];

		if (rule->fate != PYI_SUGGEST_GRANT)
			continue;
		title("fs:\n", &has_title, out);
		if (rule->access & PYI_WRITE)
			print_rule(rule, "write", out);
		if (rule->access & PYI_EXEC)
			print_rule(rule, "exec", out);
		if (!(rule->access & (PYI_WRITE | PYI_EXEC)))
			print_rule(rule, "read", out);
	}
	has_title = false;
	print_flag_paths(s, true, &has_title, out);
}

static void print_net(struct pyi_suggest *s, struct pyi_buf *out)
{
	bool has_title = false;

	for (size_t i = 0; i < s->base->n_net; i++) {
		const struct pyi_net_rule *rule = &s->base->net[i];

		if (!is_flag(&rule->from))
			continue;
		title("net:\n", &has_title, out);
		print_flag_rule(rule->verdict == PYI_DENY   ? "deny"
				: rule->verdict == PYI_WARN ? "warn"
				: rule->ops == PYI_NET_BIND ? "bind"
							    : "connect",
				rule->text, &rule->from, out);
	}
	pyi_suggest_print_addresses(s, &has_title, out);
}

static void print_env(const struct pyi_suggest *s, struct pyi_buf *out)
{
	bool has_title = false;

	for (size_t i = 0; i < s->base->n_env; i++) {
		const struct pyi_env_rule *rule = &s->base->env[i];
		struct pyi_buf text = PYI_BUF_INIT;

		if (!is_flag(&rule->from))
			continue;
		title("env:\n", &has_title, out);
		pyi_buf_puts(&text, rule->name);
		if (rule->kind == PYI_ENV_SET)
			pyi_buf_printf(&text, "=%s", rule->value);
		print_flag_rule(rule->kind == PYI_ENV_SET    ? "set"
				: rule->kind == PYI_ENV_PASS ? "pass"
							     : "deny",
				pyi_buf_str(&text), &rule->from, out);
		out->failed = out->failed || text.failed;
		pyi_buf_release(&text);
	}
}

static uint64_t up_to(uint64_t value, uint64_t step)
{
	return (value + step - 1) / step * step;
}

static void print_limit(const char *key, const char *value, const char *measured, bool *has_title,
			struct pyi_buf *out)
{
	title("limits:\n", has_title, out);
	pyi_buf_printf(out, "  %s: %s%s%s\n", key, value, measured ? "  # measured: " : "",
		       measured ? measured : "");
}

/* Room above what was measured, and no more than there was. */
static uint64_t headroom(uint64_t wanted, uint64_t had)
{
	return had && had <= wanted ? 0 : wanted;
}

static void print_measured(const struct pyi_suggest *s, bool *has_title, struct pyi_buf *out)
{
	const struct pyi_limits *had = &s->base->limits;
	uint64_t cpu_ms = s->cpu_us / 1000 + 1, wall_ms = s->wall_us / 1000 + 1, value;
	char text[32], measured[32];

	value = 2 * up_to(s->memory_peak_bytes, MEMORY_STEP);
	value = headroom(value < MEMORY_MIN ? MEMORY_MIN : value, had->memory_bytes);
	if (s->memory_peak_bytes && value)
		print_limit("memory", pyi_format_size(value, text),
			    pyi_format_size(up_to(s->memory_peak_bytes, MIB), measured), has_title,
			    out);
	value = up_to(TIME_FACTOR * cpu_ms, 1000);
	value = headroom(value < CPU_MIN_MS ? CPU_MIN_MS : value, had->cpu_time_ms);
	if (s->cpu_us && value)
		print_limit("cpu_time", pyi_format_duration(value, text),
			    pyi_format_duration(cpu_ms, measured), has_title, out);
	value = up_to(TIME_FACTOR * wall_ms, 1000);
	value = headroom(value < WALL_MIN_MS ? WALL_MIN_MS : value, had->wall_time_ms);
	if (s->wall_us && value)
		print_limit("wall_time", pyi_format_duration(value, text),
			    pyi_format_duration(wall_ms, measured), has_title, out);
}

static const char *format_count(uint64_t count, char *buf)
{
	snprintf(buf, COUNT_LEN, "%" PRIu64, count);
	return buf;
}

static const char *format_node(uint64_t node_plus_1, char *buf)
{
	return format_count(node_plus_1 - 1, buf);
}

/* Limits of flags, where no smaller one is suggested. */
static void print_limits(const struct pyi_suggest *s, struct pyi_buf *out)
{
	const struct pyi_limits *now = &s->base->limits, *was = &s->parent->limits;
	struct pyi_buf measured = PYI_BUF_INIT;
	bool has_title = true, has_any = false;
	char text[32];

	print_measured(s, &has_title, &measured);
	out->failed = out->failed || measured.failed;
#define FLAG_LIMIT(member, key, format)                                                                 \
	if (now->member && now->member != was->member && !strstr(pyi_buf_str(&measured), "  " key ":")) \
	print_limit(key, format(now->member, text), NULL, &has_any, out)
	FLAG_LIMIT(memory_bytes, "memory", pyi_format_size);
	FLAG_LIMIT(cpu_time_ms, "cpu_time", pyi_format_duration);
	FLAG_LIMIT(wall_time_ms, "wall_time", pyi_format_duration);
	FLAG_LIMIT(cpu_permille, "cpu", pyi_format_cpu);
	FLAG_LIMIT(pids, "pids", format_count);
	FLAG_LIMIT(open_files, "open_files", format_count);
	FLAG_LIMIT(numa, "numa", format_node);
	FLAG_LIMIT(output_bytes, "output", pyi_format_size);
	FLAG_LIMIT(tmp_bytes, "tmp", pyi_format_size);
	FLAG_LIMIT(net_bytes, "net_bytes", pyi_format_size);
	FLAG_LIMIT(net_rate, "net_rate", pyi_format_size);
#undef FLAG_LIMIT
	if (measured.len)
		title("limits:\n", &has_any, out);
	pyi_buf_puts(out, pyi_buf_str(&measured));
	pyi_buf_release(&measured);
}

static void print_left_out(const struct pyi_suggest_rules *rules, struct pyi_buf *out)
{
	static const char *const why[] = {
		[PYI_SUGGEST_LOOKED] = "a directory, only looked at",
		[PYI_SUGGEST_WIDE] = "a whole directory of the root",
		[PYI_SUGGEST_ODD] = "a name that no policy can say",
	};
	size_t n = 0;

	for (size_t i = 0; i < rules->n; i++) {
		const struct pyi_suggest_rule *rule = &rules->v[i];

		if (rule->fate == PYI_SUGGEST_GRANT)
			continue;
		if (n++ == LEFT_OUT_MAX)
			break;
		if (n == 1)
			pyi_buf_puts(out, "# Not granted; add what is needed:\n");
		pyi_buf_printf(out, "#   %s ", rule->access & PYI_WRITE ? "write" : "read");
		pyi_policy_comment(out, rule->path, LEFT_OUT_PATH_MAX);
		pyi_buf_printf(out, " (%s)", why[rule->fate]);
		pyi_suggest_end_line(out, rule->count, rule->at_file, rule->at_line);
	}
	if (n > LEFT_OUT_MAX)
		pyi_buf_puts(out, "#   and more\n");
}

void pyi_suggest_print(struct pyi_suggest *s, struct pyi_buf *out)
{
	struct pyi_suggest_rules rules = { .v = NULL };

	out->failed = out->failed || !pyi_suggest_reduce(s, &rules);
	pyi_buf_puts(out,
		     "# Suggested from one run by 'pyisolate run --suggest': read it before you use it.\n");
	if (s->note) {
		pyi_buf_puts(out, "# ");
		pyi_policy_comment(out, s->note, LEFT_OUT_PATH_MAX);
		pyi_buf_putc(out, '\n');
	}
	if (s->lost)
		pyi_buf_printf(out, "# %" PRIu64 " calls were not recorded: it may not be complete.\n",
			       s->lost);
	pyi_buf_puts(out, "version: 1\n");
	if (s->extends) {
		pyi_buf_puts(out, "extends: ");
		pyi_policy_quote(out, s->extends);
		pyi_buf_putc(out, '\n');
	}
	if (!out->failed) {
		print_paths(s, &rules, out);
		print_net(s, out);
		print_env(s, out);
		print_limits(s, out);
		print_left_out(&rules, out);
	}
	pyi_suggest_rules_release(&rules);
}
