/* SPDX-License-Identifier: MIT */
/* The plan as readable text, for --dry-run. Stable: the same plan always prints the same. */
#include "plan/print.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>

#include "base/buf.h"
#include "base/parse.h"
#include "base/util.h"
#include "plan/build.h"
#include "plan/facts.h"
#include "policy/contract.h"
#include "policy/dfa.h"

const char *pyi_op_name(enum pyi_op_kind kind)
{
	static const char *const names[] = {
		[PYI_OP_DIR] = "dir",		[PYI_OP_BIND] = "bind",
		[PYI_OP_MASK_DIR] = "mask-dir", [PYI_OP_MASK_FILE] = "mask-file",
		[PYI_OP_SYMLINK] = "symlink",	[PYI_OP_FILE] = "file",
		[PYI_OP_DEV] = "dev",		[PYI_OP_PROC] = "proc",
		[PYI_OP_TMPFS] = "tmpfs",
	};

	return names[kind];
}

const char *pyi_rlimit_name(int resource)
{
	static const struct {
		int resource;
		const char *name;
	} names[] = {
		{ RLIMIT_CORE, "core" },       { RLIMIT_NOFILE, "nofile" },
		{ RLIMIT_MEMLOCK, "memlock" }, { RLIMIT_MSGQUEUE, "msgqueue" },
		{ RLIMIT_RTPRIO, "rtprio" },   { RLIMIT_NICE, "nice" },
		{ RLIMIT_CPU, "cpu" },	       { RLIMIT_DATA, "data" },
		{ RLIMIT_AS, "as" },	       { RLIMIT_NPROC, "nproc" },
	};

	for (size_t i = 0; i < PYI_ARRAY_SIZE(names); i++)
		if (names[i].resource == resource)
			return names[i].name;
	return "?";
}

const char *pyi_net_use_name(unsigned int bit)
{
	static const char *const names[] = { "connect tcp", "connect udp", "bind tcp", "bind udp" };

	return names[bit];
}

const char *pyi_prefix_text(const uint8_t a[16], uint8_t prefix_len, char buf[PYI_PREFIX_TEXT_MAX])
{
	static const uint8_t v4[12] = { [10] = 0xff, [11] = 0xff };
	char text[PYI_PREFIX_TEXT_MAX / 2 + 8];
	size_t n = 0;

	if (prefix_len >= 96 && !memcmp(a, v4, sizeof(v4))) {
		snprintf(text, sizeof(text), "%u.%u.%u.%u", a[12], a[13], a[14], a[15]);
		prefix_len -= 96;
		if (prefix_len == 32)
			snprintf(buf, PYI_PREFIX_TEXT_MAX, "%s", text);
		else
			snprintf(buf, PYI_PREFIX_TEXT_MAX, "%s/%u", text, prefix_len);
		return buf;
	}
	/* RFC 5952, shortened: only the run of zeros that ends the address, or that stands before its last group. */
	for (unsigned int i = 0; i < 16; i += 2) {
		bool rest_zero = true;

		for (unsigned int j = i; j < 14; j++)
			rest_zero = rest_zero && !a[j];
		if (rest_zero && i < 14) {
			unsigned int last = (unsigned int)a[14] << 8 | a[15];

			n += (size_t)snprintf(text + n, sizeof(text) - n, "%s", i ? ":" : "::");
			if (i)
				n += (size_t)snprintf(text + n, sizeof(text) - n, ":");
			if (last)
				n += (size_t)snprintf(text + n, sizeof(text) - n, "%x", last);
			break;
		}
		n += (size_t)snprintf(text + n, sizeof(text) - n, "%s%x", i ? ":" : "",
				      (unsigned int)a[i] << 8 | a[i + 1]);
	}
	if (prefix_len == 128)
		snprintf(buf, PYI_PREFIX_TEXT_MAX, "%s", text);
	else
		snprintf(buf, PYI_PREFIX_TEXT_MAX, "%s/%u", text, prefix_len);
	return buf;
}

static void put_origin(struct pyi_buf *out, const struct pyi_origin *from)
{
	char buf[PYI_ORIGIN_MAX];

	pyi_buf_puts(out, "  (");
	pyi_buf_printable(out, pyi_build_origin(from, buf));
	pyi_buf_putc(out, ')');
}

static void print_layers(const struct pyi_plan *plan, struct pyi_buf *out)
{
	pyi_buf_puts(out, "layers\n");
	for (int i = 0; i < PYI_N_LAYERS; i++) {
		const struct pyi_layer_status *status = &plan->layers[i];

		pyi_buf_printf(out, "  %-12s%-8s", pyi_layer_name((enum pyi_layer)i),
			       pyi_layer_state_name(status->state));
		pyi_buf_printable(out, status->why);
		while (out->len && out->data[out->len - 1] == ' ')
			out->data[--out->len] = '\0';
		pyi_buf_putc(out, '\n');
	}
}

static void print_op(const struct pyi_op *op, struct pyi_buf *out)
{
	char size[32];

	pyi_buf_printf(out, "  %-12s", pyi_op_name(op->kind));
	pyi_buf_printable(out, op->path);
	if (op->kind == PYI_OP_BIND)
		pyi_buf_printf(out, "  %s%s", pyi_access_name(op->access), op->idmap ? " idmap" : "");
	if (op->kind == PYI_OP_TMPFS)
		pyi_buf_printf(out, "  %s", pyi_format_size(op->size_bytes, size));
	if (op->kind == PYI_OP_SYMLINK) {
		pyi_buf_puts(out, " -> ");
		pyi_buf_printable(out, op->text);
	}
	if (op->rule)
		put_origin(out, &op->rule->from);
	pyi_buf_putc(out, '\n');
	if (op->kind != PYI_OP_FILE)
		return;
	for (const char *line = op->text; *line;) {
		size_t len = strcspn(line, "\n");

		pyi_buf_puts(out, "    | ");
		pyi_buf_add(out, line, len);
		pyi_buf_putc(out, '\n');
		line += len + (line[len] == '\n');
	}
}

static void print_landlock(const struct pyi_plan *plan, struct pyi_buf *out)
{
	if (!plan->use_landlock)
		return;
	pyi_buf_puts(out, "landlock\n");
	for (size_t i = 0; i < plan->n_landlock; i++) {
		const struct pyi_landlock_row *row = &plan->landlock[i];

		pyi_buf_puts(out, "  ");
		pyi_buf_printable(out, row->path);
		pyi_buf_printf(out, "%s  %s%s\n", row->is_dir && strcmp(row->path, "/") != 0 ? "/" : "",
			       row->may_list ? "list" : pyi_access_name(row->access),
			       row->may_make_special ? " special" : "");
	}
}

static void print_ceiling(const struct pyi_plan *plan, struct pyi_buf *out)
{
	if (plan->n_ceiling)
		pyi_buf_puts(out, "ceiling\n");
	for (size_t i = 0; i < plan->n_ceiling; i++) {
		const struct pyi_landlock_row *row = &plan->ceiling[i];

		pyi_buf_puts(out, "  ");
		pyi_buf_printable(out, row->path);
		pyi_buf_printf(out, "%s  %s%s\n", row->is_dir ? "/" : "",
			       pyi_access_name(row->access), row->is_place ? " (what matches)" : "");
	}
	if (plan->may_tcp != plan->net_tcp || plan->may_udp != plan->net_udp ||
	    plan->may_listen != plan->net_listen)
		pyi_buf_printf(out, "sockets     for a reload:%s%s%s\n", plan->may_tcp ? " tcp" : "",
			       plan->may_udp ? " udp" : "", plan->may_listen ? " listen" : "");
}

static void print_net(const struct pyi_plan *plan, struct pyi_buf *out)
{
	char prefix[PYI_PREFIX_TEXT_MAX];

	pyi_buf_printf(out, "network%s\n",
		       plan->n_net	 ? ""
		       : plan->own_netns ? "  none: an empty namespace"
					 : "  none");
	for (size_t i = 0; i < plan->n_net; i++) {
		const struct pyi_net_row *row = &plan->net[i];

		pyi_prefix_text(row->addr, row->prefix_len, prefix);
		if (!row->n_ranges)
			pyi_buf_printf(out, "  %-20s nothing\n", prefix);
		for (unsigned int j = 0; j < row->n_ranges; j++) {
			const struct pyi_net_range *range = &row->ranges[j];

			pyi_buf_printf(out, "  %-20s", prefix);
			for (unsigned int bit = 0; bit < 4; bit++)
				if (range->ops_protos & (1 << bit))
					pyi_buf_printf(out, " %s", pyi_net_use_name(bit));
			if (range->port_min == range->port_max)
				pyi_buf_printf(out, " port %u", range->port_min);
			else if (range->port_min || range->port_max != 65535)
				pyi_buf_printf(out, " ports %u-%u", range->port_min, range->port_max);
			if (range->is_warn)
				pyi_buf_puts(out, " with a warning");
			put_origin(out, &plan->policy->net[range->rule].from);
			pyi_buf_putc(out, '\n');
		}
	}
}

static void print_contracts(const struct pyi_plan *plan, struct pyi_buf *out)
{
	const struct pyi_contract_set *set = plan->contracts;
	size_t op = 0;

	if (set)
		pyi_buf_puts(out, "contracts\n");
	for (size_t i = 0; set && i < set->n; i++) {
		pyi_buf_puts(out, "  ");
		pyi_buf_printable(out, set->v[i].text);
		put_origin(out, &set->v[i].from);
		pyi_buf_putc(out, '\n');
		for (; op < set->n_ops && set->ops[op].contract == i; op++) {
			pyi_buf_printf(out, "    %2zu  ", op);
			pyi_contract_print_op(set, op, out);
			pyi_buf_putc(out, '\n');
		}
	}
}

static void print_limits(const struct pyi_plan *plan, struct pyi_buf *out)
{
	const struct pyi_limits *limits = &plan->limits;
	char buf[32];

	pyi_buf_puts(out, "limits\n");
	if (limits->memory_bytes)
		pyi_buf_printf(out, "  %-12s%s\n", "memory", pyi_format_size(limits->memory_bytes, buf));
	if (limits->cpu_permille)
		pyi_buf_printf(out, "  %-12s%s\n", "cpu", pyi_format_cpu(limits->cpu_permille, buf));
	if (limits->cpu_time_ms)
		pyi_buf_printf(out, "  %-12s%s\n", "cpu_time",
			       pyi_format_duration(limits->cpu_time_ms, buf));
	if (limits->wall_time_ms)
		pyi_buf_printf(out, "  %-12s%s\n", "wall_time",
			       pyi_format_duration(limits->wall_time_ms, buf));
	if (limits->pids)
		pyi_buf_printf(out, "  %-12s%u\n", "pids", limits->pids);
	pyi_buf_printf(out, "  %-12s%u\n", "open_files", limits->open_files);
	if (limits->output_bytes)
		pyi_buf_printf(out, "  %-12s%s\n", "output", pyi_format_size(limits->output_bytes, buf));
	pyi_buf_printf(out, "  %-12s%s\n", "tmp", pyi_format_size(limits->tmp_bytes, buf));
	if (limits->net_bytes)
		pyi_buf_printf(out, "  %-12s%s\n", "net_bytes", pyi_format_size(limits->net_bytes, buf));
	if (limits->net_rate)
		pyi_buf_printf(out, "  %-12s%s\n", "net_rate", pyi_format_size(limits->net_rate, buf));
	if (plan->numa)
		pyi_buf_printf(out, "  %-12snode %u, CPUs %s\n", "numa", plan->numa->node,
			       plan->numa->cpu_list);
	pyi_buf_puts(out, "rlimits\n");
	for (size_t i = 0; i < plan->n_rlimits; i++) {
		const struct pyi_rlimit_row *row = &plan->rlimits[i];

		pyi_buf_printf(out, "  %-12s%" PRIu64, pyi_rlimit_name(row->resource), row->soft);
		if (row->hard != row->soft)
			pyi_buf_printf(out, " then %" PRIu64, row->hard);
		pyi_buf_putc(out, '\n');
	}
}

void pyi_plan_print(const struct pyi_plan *plan, struct pyi_buf *out)
{
	pyi_buf_printf(out, "guest       %s as %u:%u in ",
		       plan->guest == PYI_GUEST_PYTHON ? "python" : "command", plan->uid, plan->gid);
	pyi_buf_printable(out, plan->cwd);
	pyi_buf_puts(out, "\npolicy      ");
	pyi_buf_printable(out, plan->policy->name ? plan->policy->name : "-");
	pyi_buf_printf(out, "\nmode        %s\n", pyi_mode_name(plan->mode));
	print_layers(plan, out);
	if (plan->n_ops)
		pyi_buf_puts(out, "tree\n");
	for (size_t i = 0; i < plan->n_ops; i++)
		print_op(&plan->ops[i], out);
	print_landlock(plan, out);
	print_ceiling(plan, out);
	if (plan->paths)
		pyi_buf_printf(out, "paths       automaton of %u states, %u byte classes\n",
			       plan->paths->n_states, plan->paths->n_classes);
	print_net(plan, out);
	print_contracts(plan, out);
	print_limits(plan, out);
	pyi_buf_printf(out, "exec        %s\nmdwe        %s\n",
		       plan->exec ? "as granted" : "refused", plan->mdwe ? "on" : "off");
	pyi_buf_puts(out, "environment\n");
	for (char **entry = plan->env; *entry; entry++) {
		pyi_buf_puts(out, "  ");
		pyi_buf_printable(out, *entry);
		pyi_buf_putc(out, '\n');
	}
	if (plan->n_warnings || plan->n_env_warnings)
		pyi_buf_puts(out, "warnings\n");
	for (size_t i = 0; i < plan->n_env_warnings; i++) {
		const struct pyi_env_warning *warning = &plan->env_warnings[i];

		pyi_buf_printf(out, "  env: '%s' is let through by 'warn %s' (", warning->name,
			       warning->rule->name);
		pyi_buf_printable(out, warning->rule->from.file);
		if (warning->rule->from.line)
			pyi_buf_printf(out, ":%u", warning->rule->from.line);
		pyi_buf_puts(out, ")\n");
	}
	for (size_t i = 0; i < plan->n_warnings; i++) {
		pyi_buf_puts(out, "  ");
		pyi_buf_printable(out, plan->warnings[i]);
		pyi_buf_putc(out, '\n');
	}
}
