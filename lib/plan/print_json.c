/* SPDX-License-Identifier: MIT */
/* The plan as one JSON object, for --dry-run --json. */
#include <string.h>

#include "base/buf.h"
#include "base/json.h"
#include "plan/build.h"
#include "plan/facts.h"
#include "plan/print.h"
#include "policy/contract.h"
#include "policy/dfa.h"

static void print_access(struct pyi_json *json, unsigned int access)
{
	pyi_json_array(json, "access");
	if (access & PYI_READ)
		pyi_json_string(json, NULL, "read");
	if (access & PYI_WRITE)
		pyi_json_string(json, NULL, "write");
	if (access & PYI_EXEC)
		pyi_json_string(json, NULL, "exec");
	pyi_json_end_array(json);
}

static void print_origin(struct pyi_json *json, const struct pyi_origin *from)
{
	char buf[PYI_ORIGIN_MAX];

	pyi_json_string(json, "rule", pyi_build_origin(from, buf));
}

static void print_layers(const struct pyi_plan *plan, struct pyi_json *json)
{
	pyi_json_object(json, "layers");
	for (int i = 0; i < PYI_N_LAYERS; i++) {
		pyi_json_object(json, pyi_layer_name((enum pyi_layer)i));
		pyi_json_string(json, "state", pyi_layer_state_name(plan->layers[i].state));
		if (plan->layers[i].why[0])
			pyi_json_string(json, "why", plan->layers[i].why);
		pyi_json_end_object(json);
	}
	pyi_json_end_object(json);
}

static void print_tree(const struct pyi_plan *plan, struct pyi_json *json)
{
	pyi_json_array(json, "tree");
	for (size_t i = 0; i < plan->n_ops; i++) {
		const struct pyi_op *op = &plan->ops[i];

		pyi_json_object(json, NULL);
		pyi_json_string(json, "op", pyi_op_name(op->kind));
		pyi_json_string(json, "path", op->path);
		if (op->kind == PYI_OP_BIND) {
			print_access(json, op->access);
			pyi_json_bool(json, "idmap", op->idmap);
		}
		if (op->kind == PYI_OP_TMPFS)
			pyi_json_u64(json, "size_bytes", op->size_bytes);
		if (op->text)
			pyi_json_string(json, op->kind == PYI_OP_SYMLINK ? "target" : "text", op->text);
		if (op->rule)
			print_origin(json, &op->rule->from);
		pyi_json_end_object(json);
	}
	pyi_json_end_array(json);
}

static void print_landlock(const struct pyi_plan *plan, struct pyi_json *json)
{
	pyi_json_array(json, "landlock");
	for (size_t i = 0; i < plan->n_landlock; i++) {
		pyi_json_object(json, NULL);
		pyi_json_string(json, "path", plan->landlock[i].path);
		print_access(json, plan->landlock[i].access);
		pyi_json_bool(json, "directory", plan->landlock[i].is_dir);
		pyi_json_bool(json, "list", plan->landlock[i].may_list);
		pyi_json_bool(json, "special_files", plan->landlock[i].may_make_special);
		pyi_json_end_object(json);
	}
	pyi_json_end_array(json);
}

static void print_ceiling(const struct pyi_plan *plan, struct pyi_json *json)
{
	if (!plan->n_ceiling && plan->may_tcp == plan->net_tcp && plan->may_udp == plan->net_udp &&
	    plan->may_listen == plan->net_listen)
		return;
	pyi_json_object(json, "ceiling");
	pyi_json_array(json, "files");
	for (size_t i = 0; i < plan->n_ceiling; i++) {
		pyi_json_object(json, NULL);
		pyi_json_string(json, "path", plan->ceiling[i].path);
		print_access(json, plan->ceiling[i].access);
		pyi_json_bool(json, "directory", plan->ceiling[i].is_dir);
		pyi_json_bool(json, "what_matches", plan->ceiling[i].is_place);
		pyi_json_end_object(json);
	}
	pyi_json_end_array(json);
	pyi_json_bool(json, "tcp", plan->may_tcp);
	pyi_json_bool(json, "udp", plan->may_udp);
	pyi_json_bool(json, "listen", plan->may_listen);
	pyi_json_end_object(json);
}

static void print_net(const struct pyi_plan *plan, struct pyi_json *json)
{
	char prefix[PYI_PREFIX_TEXT_MAX];

	pyi_json_array(json, "net");
	for (size_t i = 0; i < plan->n_net; i++) {
		const struct pyi_net_row *row = &plan->net[i];

		pyi_json_object(json, NULL);
		pyi_json_string(json, "prefix", pyi_prefix_text(row->addr, row->prefix_len, prefix));
		pyi_json_array(json, "allow");
		for (unsigned int j = 0; j < row->n_ranges; j++) {
			const struct pyi_net_range *range = &row->ranges[j];

			pyi_json_object(json, NULL);
			pyi_json_u64(json, "port_min", range->port_min);
			pyi_json_u64(json, "port_max", range->port_max);
			pyi_json_array(json, "for");
			for (unsigned int bit = 0; bit < 4; bit++)
				if (range->ops_protos & (1 << bit))
					pyi_json_string(json, NULL, pyi_net_use_name(bit));
			pyi_json_end_array(json);
			pyi_json_bool(json, "warn", range->is_warn);
			print_origin(json, &plan->policy->net[range->rule].from);
			pyi_json_end_object(json);
		}
		pyi_json_end_array(json);
		pyi_json_end_object(json);
	}
	pyi_json_end_array(json);
}

static void print_contracts(const struct pyi_plan *plan, struct pyi_json *json)
{
	const struct pyi_contract_set *set = plan->contracts;
	size_t op = 0;

	if (!set)
		return;
	pyi_json_array(json, "contracts");
	for (size_t i = 0; i < set->n; i++) {
		pyi_json_object(json, NULL);
		pyi_json_string(json, "contract", set->v[i].text);
		pyi_json_array(json, "code");
		for (; op < set->n_ops && set->ops[op].contract == i; op++) {
			_cleanup_buf struct pyi_buf text = PYI_BUF_INIT;

			pyi_contract_print_op(set, op, &text);
			pyi_json_string(json, NULL, pyi_buf_str(&text));
		}
		pyi_json_end_array(json);
		print_origin(json, &set->v[i].from);
		pyi_json_end_object(json);
	}
	pyi_json_end_array(json);
}

static void print_limit(struct pyi_json *json, const char *key, uint64_t value)
{
	if (value)
		pyi_json_u64(json, key, value);
	else
		pyi_json_null(json, key);
}

static void print_limits(const struct pyi_plan *plan, struct pyi_json *json)
{
	const struct pyi_limits *limits = &plan->limits;

	pyi_json_object(json, "limits");
	print_limit(json, "memory_bytes", limits->memory_bytes);
	print_limit(json, "cpu_permille", limits->cpu_permille);
	print_limit(json, "cpu_time_ms", limits->cpu_time_ms);
	print_limit(json, "wall_time_ms", limits->wall_time_ms);
	print_limit(json, "pids", limits->pids);
	print_limit(json, "open_files", limits->open_files);
	print_limit(json, "output_bytes", limits->output_bytes);
	print_limit(json, "tmp_bytes", limits->tmp_bytes);
	print_limit(json, "net_bytes", limits->net_bytes);
	print_limit(json, "net_rate_bytes", limits->net_rate);
	pyi_json_end_object(json);
	pyi_json_object(json, "rlimits");
	for (size_t i = 0; i < plan->n_rlimits; i++) {
		pyi_json_array(json, pyi_rlimit_name(plan->rlimits[i].resource));
		pyi_json_u64(json, NULL, plan->rlimits[i].soft);
		pyi_json_u64(json, NULL, plan->rlimits[i].hard);
		pyi_json_end_array(json);
	}
	pyi_json_end_object(json);
	if (!plan->numa)
		return;
	pyi_json_object(json, "numa");
	pyi_json_u64(json, "node", plan->numa->node);
	pyi_json_string(json, "cpus", plan->numa->cpu_list);
	pyi_json_end_object(json);
}

void pyi_plan_print_json(const struct pyi_plan *plan, struct pyi_buf *out)
{
	struct pyi_json json;

	pyi_json_init(&json, out);
	pyi_json_object(&json, NULL);
	pyi_json_string(&json, "guest", plan->guest == PYI_GUEST_PYTHON ? "python" : "command");
	pyi_json_string(&json, "policy", plan->policy->name);
	pyi_json_string(&json, "mode", pyi_mode_name(plan->mode));
	pyi_json_u64(&json, "uid", plan->uid);
	pyi_json_u64(&json, "gid", plan->gid);
	pyi_json_string(&json, "cwd", plan->cwd);
	print_layers(plan, &json);
	pyi_json_bool(&json, "user_namespace", plan->use_userns);
	pyi_json_bool(&json, "empty_network", plan->own_netns);
	print_tree(plan, &json);
	print_landlock(plan, &json);
	print_ceiling(plan, &json);
	if (plan->paths) {
		pyi_json_object(&json, "paths");
		pyi_json_u64(&json, "states", plan->paths->n_states);
		pyi_json_u64(&json, "classes", plan->paths->n_classes);
		pyi_json_end_object(&json);
	}
	print_net(plan, &json);
	print_contracts(plan, &json);
	print_limits(plan, &json);
	pyi_json_bool(&json, "exec", plan->exec);
	pyi_json_bool(&json, "mdwe", plan->mdwe);
	pyi_json_array(&json, "environment");
	for (char **entry = plan->env; *entry; entry++)
		pyi_json_string(&json, NULL, *entry);
	pyi_json_end_array(&json);
	pyi_json_array(&json, "environment_warned");
	for (size_t i = 0; i < plan->n_env_warnings; i++)
		pyi_json_string(&json, NULL, plan->env_warnings[i].name);
	pyi_json_end_array(&json);
	pyi_json_array(&json, "warnings");
	for (size_t i = 0; i < plan->n_warnings; i++)
		pyi_json_string(&json, NULL, plan->warnings[i]);
	pyi_json_end_array(&json);
	pyi_json_end_object(&json);
	pyi_buf_putc(out, '\n');
}
