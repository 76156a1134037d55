/* SPDX-License-Identifier: MIT */
/* Denials of paths, devices and the kernel's surface, as the BPF programs saw them: their word, not the guest's. */
#ifndef PYI_SUPER_OUTCOME_KERNEL_H
#define PYI_SUPER_OUTCOME_KERNEL_H

struct pyi_bpf_event;
struct pyi_fs_rule;
struct pyi_result;

/*
 * `contract` or `rule` decided (both NULL: the default), it stands at `file`, and the guest was at `at` (NULL where
 * that is unknown).
 */
void pyi_outcome_add_path(const struct pyi_bpf_event *event, const struct pyi_fs_rule *rule,
			  const char *contract, const char *file, const char *at,
			  struct pyi_result *result);

/* What no policy can allow: mounts, other processes, ... */
void pyi_outcome_add_surface(const struct pyi_bpf_event *event, struct pyi_result *result);

void pyi_outcome_add_device(const struct pyi_bpf_event *event, struct pyi_result *result);

#endif
