/* SPDX-License-Identifier: MIT */
/* Denials that the BPF programs recorded, but for those about addresses; see outcome_kernel.h. */
#include "super/outcome_kernel.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>

#include "kernel/bpf.h"
#include "policy/policy.h"
#include "report/result.h"

void pyi_outcome_add_path(const struct pyi_bpf_event *event, const struct pyi_fs_rule *rule,
			  const char *contract, const char *file, const char *at,
			  struct pyi_result *result)
{
	struct pyi_denial denial = { .op = (char *)pyi_bpf_hook_name(event->proto),
				     .target = (char *)(event->path[0] ? event->path : "?"),
				     .errnum = event->port,
				     .is_warning = event->is_warning,
				     .file = (char *)file,
				     .at = (char *)at };
	char text[PATH_MAX + 32] = "fs: default";

	if (rule)
		snprintf(text, sizeof(text), "%s: %s %s", rule->access == PYI_EXEC ? "exec" : "fs",
			 rule->verdict == PYI_WARN ? "warn" : "deny", rule->path);
	denial.rule = contract ? (char *)contract : text;
	(void)pyi_result_add_denial(result, &denial);
}

void pyi_outcome_add_surface(const struct pyi_bpf_event *event, struct pyi_result *result)
{
	const char *surface = pyi_bpf_surface_name(event->proto);
	struct pyi_denial denial = { .rule = (char *)"sandbox: never",
				     .op = (char *)surface,
				     .target = (char *)surface,
				     .errnum = event->port };

	(void)pyi_result_add_denial(result, &denial);
}

void pyi_outcome_add_device(const struct pyi_bpf_event *event, struct pyi_result *result)
{
	struct pyi_denial denial = { .rule = (char *)"sandbox: never",
				     .op = (char *)"device",
				     .errnum = EPERM };
	uint32_t numbers[2];
	char target[64];

	memcpy(numbers, event->addr, sizeof(numbers));
	snprintf(target, sizeof(target), "%s device %u:%u",
		 event->family == 1 ? "block" : "character", numbers[0], numbers[1]);
	denial.target = target;
	(void)pyi_result_add_denial(result, &denial);
}
