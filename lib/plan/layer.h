/* SPDX-License-Identifier: MIT */
/* The enforcement layers, one name each for flags, results, doctor and dry runs. */
#ifndef PYI_PLAN_LAYER_H
#define PYI_PLAN_LAYER_H

enum pyi_layer {
	PYI_LAYER_NAMESPACES,
	PYI_LAYER_IDMAP, /* id-mapped mounts: the guest's files belong to the invoker */
	PYI_LAYER_CGROUP,
	PYI_LAYER_BPF_LSM,
	PYI_LAYER_BPF_CGROUP,
	PYI_LAYER_BPF_PERF,
	PYI_LAYER_LANDLOCK,
	PYI_LAYER_SECCOMP,
	PYI_LAYER_PROCESS, /* no capabilities, no_new_privs, not dumpable, MDWE, rlimits, own session */
	PYI_N_LAYERS,
};

enum pyi_layer_state {
	PYI_LAYER_UNUSED, /* the policy does not need it */
	PYI_LAYER_ON,
	PYI_LAYER_OFF, /* wanted, but missing here; `why` says so */
};

struct pyi_layer_status {
	enum pyi_layer_state state;
	char why[192]; /* for OFF: the reason and what to do; for ON: a detail such as "ABI 7", may be "" */
};

/* "namespaces", "idmap", "cgroup", "bpf-lsm", "bpf-cgroup", "bpf-perf", "landlock", "seccomp", "process". */
const char *pyi_layer_name(enum pyi_layer layer);

/* "unused", "on", "off". */
const char *pyi_layer_state_name(enum pyi_layer_state state);

/* The layer of a name, or -1. */
int pyi_layer_by_name(const char *name);

struct pyi_facts;

/* What it does, in half a line: "an empty root, no view of the host's processes, ...". */
const char *pyi_layer_purpose(enum pyi_layer layer);

/* What the sandbox does without where it is missing. */
const char *pyi_layer_loss(enum pyi_layer layer);

/* What the person at this host can do to get it. */
const char *pyi_layer_advice(enum pyi_layer layer, const struct pyi_facts *facts);

#endif
