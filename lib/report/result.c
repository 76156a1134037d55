/* SPDX-License-Identifier: MIT */
/*
 * The result record. Strings in it come from the guest and from file names, so they may hold any byte: the JSON
 * writer turns what is not UTF-8 into U+FFFD and escapes control characters.
 */
#include "report/result.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/json.h"
#include "report/profile.h"

const char *pyi_reason_name(enum pyi_reason reason)
{
	static const char *const names[] = {
		[PYI_REASON_EXITED] = "exited",	      [PYI_REASON_EXCEPTION] = "exception",
		[PYI_REASON_SIGNAL] = "signal",	      [PYI_REASON_WALL_TIME] = "wall_time",
		[PYI_REASON_CPU_TIME] = "cpu_time",   [PYI_REASON_MEMORY] = "memory",
		[PYI_REASON_PIDS] = "pids",	      [PYI_REASON_OUTPUT] = "output",
		[PYI_REASON_POLICY] = "policy",	      [PYI_REASON_PANIC] = "panic",
		[PYI_REASON_SETUP] = "setup",	      [PYI_REASON_STOPPED] = "stopped",
		[PYI_REASON_NET_BYTES] = "net_bytes",
	};

	return names[reason];
}

void pyi_result_init(struct pyi_result *result)
{
	memset(result, 0, sizeof(*result));
}

static void denial_release(struct pyi_denial *denial)
{
	free(denial->rule);
	free(denial->file);
	free(denial->op);
	free(denial->target);
	free(denial->at);
	free(denial->grant);
	memset(denial, 0, sizeof(*denial));
}

void pyi_result_release(struct pyi_result *result)
{
	for (uint32_t i = 0; i < result->n_denials; i++)
		denial_release(&result->denials[i]);
	result->n_denials = 0;
}

static int copy_string(const char *from, char **to)
{
	if (!from)
		return 0;
	*to = strdup(from);
	return *to ? 0 : -ENOMEM;
}

int pyi_result_add_denial(struct pyi_result *result, const struct pyi_denial *denial)
{
	struct pyi_denial copy = {
		.errnum = denial->errnum,
		.is_warning = denial->is_warning,
		.is_claim = denial->is_claim,
		.at_us = denial->at_us,
		.pid = denial->pid,
		.thread = denial->thread,
	};

	if (denial->is_warning)
		result->warnings_total++;
	else
		result->denials_total++;
	if (result->n_denials == PYI_DENIALS_KEPT)
		return 0;
	if (copy_string(denial->rule, &copy.rule) || copy_string(denial->file, &copy.file) ||
	    copy_string(denial->op, &copy.op) || copy_string(denial->target, &copy.target) ||
	    copy_string(denial->at, &copy.at) || copy_string(denial->grant, &copy.grant)) {
		denial_release(&copy);
		return -ENOMEM;
	}
	result->denials[result->n_denials++] = copy;
	return 0;
}

bool pyi_denial_is_network(const char *op)
{
	static const char *const ops[] = { "connect", "bind", "sendmsg", "sendto", "socket" };

	for (size_t i = 0; op && i < sizeof(ops) / sizeof(ops[0]); i++)
		if (!strcmp(op, ops[i]))
			return true;
	return false;
}

static void print_number(struct pyi_json *json, const char *key, int value)
{
	if (value)
		pyi_json_i64(json, key, value);
	else
		pyi_json_null(json, key);
}

void pyi_denial_print_members(const struct pyi_denial *denial, struct pyi_json *json)
{
	const char *name = denial->errnum > 0 ? strerrorname_np(denial->errnum) : NULL;

	pyi_json_string(json, "rule", denial->rule);
	pyi_json_string(json, "file", denial->file);
	pyi_json_string(json, "op", denial->op);
	pyi_json_string(json,
			pyi_denial_is_network(denial->op)	   ? "address"
			: denial->op && !strcmp(denial->op, "env") ? "variable"
								   : "path",
			denial->target);
	if (name || denial->errnum <= 0)
		pyi_json_string(json, "errno", name);
	else
		pyi_json_i64(json, "errno", denial->errnum);
	pyi_json_string(json, "at", denial->at);
	print_number(json, "pid", denial->pid);
	print_number(json, "thread", denial->thread);
}

static void print_denial(struct pyi_json *json, const struct pyi_denial *denial)
{
	pyi_json_object(json, NULL);
	pyi_denial_print_members(denial, json);
	if (denial->at_us)
		pyi_json_ms(json, "at_ms", denial->at_us);
	else
		pyi_json_null(json, "at_ms");
	if (denial->is_warning)
		pyi_json_bool(json, "warning", true);
	if (denial->is_claim)
		pyi_json_bool(json, "claim", true);
	if (denial->grant)
		pyi_json_string(json, "grant", denial->grant);
	pyi_json_end_object(json);
}

static void print_layers(struct pyi_json *json, const struct pyi_layer_status *layers)
{
	pyi_json_object(json, "layers");
	for (int i = 0; i < PYI_N_LAYERS; i++) {
		pyi_json_object(json, pyi_layer_name((enum pyi_layer)i));
		pyi_json_string(json, "state", pyi_layer_state_name(layers[i].state));
		if (layers[i].why[0])
			pyi_json_string(json, "why", layers[i].why);
		pyi_json_end_object(json);
	}
	pyi_json_end_object(json);
}

static void print_net(struct pyi_json *json, const struct pyi_result_net *net)
{
	pyi_json_u64(json, "net_rx_bytes", net->rx_bytes);
	pyi_json_u64(json, "net_rx_packets", net->rx_packets);
	pyi_json_u64(json, "net_tx_bytes", net->tx_bytes);
	pyi_json_u64(json, "net_tx_packets", net->tx_packets);
	pyi_json_u64(json, "net_dropped_packets", net->dropped_packets);
	pyi_json_u64(json, "net_delayed_packets", net->delayed_packets);
}

void pyi_result_print_json(const struct pyi_result *result, struct pyi_buf *out)
{
	struct pyi_json json;

	pyi_json_init(&json, out);
	pyi_json_object(&json, NULL);
	pyi_json_string(&json, "reason", pyi_reason_name(result->reason));
	pyi_json_i64(&json, "exit_code", result->exit_code);
	if (result->signal)
		pyi_json_i64(&json, "signal", result->signal);
	else
		pyi_json_null(&json, "signal");
	pyi_json_string(&json, "name", result->name);
	pyi_json_u64(&json, "generation", result->generation);
	pyi_json_string(&json, "policy", result->policy_digest[0] ? result->policy_digest : NULL);
	pyi_json_string(&json, "mode", result->mode);
	pyi_json_bool(&json, "audit", result->is_audit);
	pyi_json_bool(&json, "image", result->has_image);
	pyi_json_ms(&json, "wall_ms", result->wall_us);
	pyi_json_ms(&json, "cpu_ms", result->cpu_us);
	if (result->memory_peak_bytes)
		pyi_json_u64(&json, "memory_peak_bytes", result->memory_peak_bytes);
	else
		pyi_json_null(&json, "memory_peak_bytes");
	pyi_json_u64(&json, "output_bytes", result->output_bytes);
	pyi_json_object(&json, "counters");
	pyi_json_u64(&json, "denials", result->denials_total);
	pyi_json_u64(&json, "warnings", result->warnings_total);
	pyi_json_u64(&json, "events_dropped", result->denials_dropped);
	print_net(&json, &result->net);
	pyi_json_u64(&json, "contracts_broken", result->contracts_broken);
	for (uint32_t i = 0; i < result->n_counters; i++)
		pyi_json_u64(&json, result->counters[i].name, result->counters[i].value);
	pyi_json_end_object(&json);
	pyi_kernel_events_print_json(&result->events, &json);
	if (result->profile)
		pyi_profile_print_json(result->profile, &json);
	else if (result->wants_profile)
		pyi_json_null(&json, "profile");
	pyi_json_array(&json, "denials");
	for (uint32_t i = 0; i < result->n_denials; i++)
		print_denial(&json, &result->denials[i]);
	pyi_json_end_array(&json);
	pyi_json_u64(&json, "denials_total", result->denials_total);
	print_layers(&json, result->layers);
	pyi_json_string(&json, "error", result->error.msg[0] ? result->error.msg : NULL);
	pyi_json_end_object(&json);
	pyi_buf_putc(out, '\n');
}
