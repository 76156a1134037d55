/* SPDX-License-Identifier: MIT */
/* Denials that the BPF programs recorded, in words; see outcome_event.h. */
#include "super/outcome_event.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

#include "kernel/bpf.h"
#include "policy/policy.h"
#include "super/outcome_contract.h"

char *pyi_outcome_format_origin(const struct pyi_origin *from, char *buf, size_t size)
{
	if (from->line)
		snprintf(buf, size, "%s:%u", from->file, from->line);
	else
		snprintf(buf, size, "%s", from->file);
	return buf;
}

void pyi_outcome_format_address(const struct pyi_bpf_event *event, char *buf, size_t size)
{
	static const uint8_t mapped[12] = { [10] = 0xff, [11] = 0xff };
	char text[INET6_ADDRSTRLEN] = "?";

	if (event->op == PYI_BPF_SOCKET) {
		snprintf(buf, size, "%s",
			 event->proto == PYI_NET_TCP   ? "tcp"
			 : event->proto == PYI_NET_UDP ? "udp"
						       : "neither TCP nor UDP");
		return;
	}
	if (memcmp(event->addr, mapped, sizeof(mapped)) == 0) {
		inet_ntop(AF_INET, event->addr + 12, text, sizeof(text));
		snprintf(buf, size, "%s%s:%u", event->proto == PYI_NET_UDP ? "udp://" : "", text,
			 event->port);
	} else {
		inet_ntop(AF_INET6, event->addr, text, sizeof(text));
		snprintf(buf, size, "%s[%s]:%u", event->proto == PYI_NET_UDP ? "udp://" : "", text,
			 event->port);
	}
}

static void tell_rule(struct pyi_told *told, const struct pyi_origin *from)
{
	told->denial.rule = told->rule;
	if (from)
		told->denial.file = pyi_outcome_format_origin(from, told->file, sizeof(told->file));
}

static void tell_contract(const struct pyi_policy *policy, const struct pyi_bpf_event *event,
			  struct pyi_told *told)
{
	const struct pyi_origin *from = NULL;

	if (!policy && event->contract != PYI_BPF_CONTRACT_LOST)
		return;
	pyi_outcome_name_contract(policy, event->contract, told->rule, sizeof(told->rule), &from);
	tell_rule(told, from);
}

static void tell_path(const struct pyi_policy *policy, const struct pyi_bpf_event *event,
		      struct pyi_told *told)
{
	const struct pyi_fs_rule *rule = NULL;

	told->denial.op = (char *)pyi_bpf_hook_name(event->proto);
	told->denial.target = (char *)(event->path[0] ? event->path : "?");
	told->denial.errnum = event->is_warning ? 0 : event->port;
	if (event->contract) {
		tell_contract(policy, event, told);
		return;
	}
	if (event->rule == PYI_BPF_NO_RULE) {
		snprintf(told->rule, sizeof(told->rule), "fs: default");
		tell_rule(told, NULL);
		return;
	}
	if (!policy || event->rule >= policy->n_fs)
		return;
	rule = &policy->fs[event->rule];
	snprintf(told->rule, sizeof(told->rule), "%s: %s %s", rule->access == PYI_EXEC ? "exec" : "fs",
		 rule->verdict == PYI_WARN ? "warn" : "deny", rule->path);
	tell_rule(told, &rule->from);
}

static void tell_net(const struct pyi_policy *policy, const struct pyi_bpf_event *event,
		     struct pyi_told *told)
{
	enum pyi_net_proto proto = event->proto == PYI_NET_UDP ? PYI_NET_UDP : PYI_NET_TCP;
	const struct pyi_net_rule *rule = NULL;

	told->denial.op = (char *)(event->op == PYI_BPF_SOCKET ? "socket"
				   : event->op == PYI_BPF_BIND ? "bind"
							       : "connect");
	told->denial.errnum = event->is_warning ? 0 : EPERM;
	pyi_outcome_format_address(event, told->target, sizeof(told->target));
	told->denial.target = told->target;
	if (event->contract) {
		tell_contract(policy, event, told);
		return;
	}
	if (!policy)
		return;
	if (event->op != PYI_BPF_SOCKET)
		(void)pyi_policy_decide_net(policy, (enum pyi_net_op)event->op, proto, NULL,
					    event->addr, event->port, &rule);
	if (rule)
		snprintf(told->rule, sizeof(told->rule), "net: %s %s",
			 rule->verdict == PYI_WARN ? "warn" : "deny", rule->text);
	else
		snprintf(told->rule, sizeof(told->rule), "net: default");
	tell_rule(told, rule ? &rule->from : NULL);
}

/* Whatever the policy says. */
static void tell_never(const struct pyi_bpf_event *event, struct pyi_told *told)
{
	uint32_t numbers[2];

	snprintf(told->rule, sizeof(told->rule), "sandbox: never");
	tell_rule(told, NULL);
	if (event->op == PYI_BPF_KERNEL) {
		told->denial.op = told->denial.target = (char *)pyi_bpf_surface_name(event->proto);
		told->denial.errnum = event->port;
		return;
	}
	memcpy(numbers, event->addr, sizeof(numbers));
	snprintf(told->target, sizeof(told->target), "%s device %u:%u",
		 event->family == 1 ? "block" : "character", numbers[0], numbers[1]);
	told->denial.op = (char *)"device";
	told->denial.target = told->target;
	told->denial.errnum = EPERM;
}

void pyi_outcome_tell(const struct pyi_policy *policy, const struct pyi_bpf_event *event,
		      struct pyi_told *ret_told)
{
	struct pyi_denial *denial = &ret_told->denial;

	*denial = (struct pyi_denial){
		.is_warning = event->is_warning,
		.pid = event->pid,
		.thread = event->thread,
		.at = event->at[0] ? (char *)event->at : NULL,
	};
	if (event->op == PYI_BPF_PATH)
		tell_path(policy, event, ret_told);
	else if (event->op == PYI_BPF_KERNEL || event->op == PYI_BPF_DEVICE)
		tell_never(event, ret_told);
	else
		tell_net(policy, event, ret_told);
}
