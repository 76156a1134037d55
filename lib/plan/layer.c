/* SPDX-License-Identifier: MIT */
/* The names of the enforcement layers, as flags, results, doctor and dry runs write them. */
#include "plan/layer.h"

#include <string.h>

static const char *const layer_names[PYI_N_LAYERS] = {
	[PYI_LAYER_NAMESPACES] = "namespaces", [PYI_LAYER_IDMAP] = "idmap",
	[PYI_LAYER_CGROUP] = "cgroup",	       [PYI_LAYER_BPF_LSM] = "bpf-lsm",
	[PYI_LAYER_BPF_CGROUP] = "bpf-cgroup", [PYI_LAYER_BPF_PERF] = "bpf-perf",
	[PYI_LAYER_LANDLOCK] = "landlock",     [PYI_LAYER_SECCOMP] = "seccomp",
	[PYI_LAYER_PROCESS] = "process",
};

const char *pyi_layer_name(enum pyi_layer layer)
{
	return layer_names[layer];
}

int pyi_layer_by_name(const char *name)
{
	for (int i = 0; i < PYI_N_LAYERS; i++)
		if (!strcmp(layer_names[i], name))
			return i;
	return -1;
}

const char *pyi_layer_state_name(enum pyi_layer_state state)
{
	static const char *const names[] = {
		[PYI_LAYER_UNUSED] = "unused",
		[PYI_LAYER_ON] = "on",
		[PYI_LAYER_OFF] = "off",
	};

	return names[state];
}
