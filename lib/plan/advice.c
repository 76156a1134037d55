/* SPDX-License-Identifier: MIT */
/* What each layer is for, what is lost without it, and what to do about it: shared by the planner and doctor. */
#include "plan/facts.h"
#include "plan/layer.h"

static const struct {
	const char *purpose;
	const char *loss;
	const char *as_root;
	const char *as_user;
} texts[PYI_N_LAYERS] = {
	[PYI_LAYER_NAMESPACES] = {
		"an empty root with only what is granted, no view of other processes, no network",
		"the guest sees the host's file names and processes, and has no /tmp of its own",
		"allow CAP_SYS_ADMIN, clone, unshare and mount in this container",
		"set sysctl kernel.unprivileged_userns_clone=1 and kernel.apparmor_restrict_unprivileged_userns=0, "
		"or run as root",
	},
	[PYI_LAYER_IDMAP] = {
		"granted files are used as the invoker, what the guest writes belongs to the invoker",
		"the guest opens only what other users may, and cannot write to the invoker's directories",
		"keep granted paths on a file system with id-mapped mounts (ext4, xfs, btrfs, tmpfs)",
		"nothing: an ordinary user's ids map one to one",
	},
	[PYI_LAYER_CGROUP] = {
		"memory, CPU and process limits that hold for the sandbox as a whole",
		"limits hold for each process alone",
		"mount a writable cgroup hierarchy at /sys/fs/cgroup",
		"run inside 'systemd-run --user --scope -p Delegate=yes', or as root",
	},
	[PYI_LAYER_BPF_LSM] = {
		"patterns and denies that hold for new files too, denials recorded with their rule",
		"patterns hold for what exists when the sandbox starts",
		"boot with 'bpf' in the lsm= list (Linux 6.12)",
		"run as root",
	},
	[PYI_LAYER_BPF_CGROUP] = {
		"the network allow-list: each connect, bind and send is checked",
		"no network rule can be enforced",
		"allow CAP_BPF and CAP_NET_ADMIN, and mount cgroup v2",
		"run as root",
	},
	[PYI_LAYER_BPF_PERF] = {
		"CPU time counted and signalled in the kernel, whatever keeps the supervisor",
		"CPU time is watched by the supervisor alone",
		"allow CAP_PERFMON",
		"run as root",
	},
	[PYI_LAYER_LANDLOCK] = {
		"a ceiling on files, ports and signals that nothing inside can lift",
		"mounts alone keep files apart",
		"boot with 'landlock' in the lsm= list (Linux 5.13)",
		"boot with 'landlock' in the lsm= list (Linux 5.13)",
	},
	[PYI_LAYER_SECCOMP] = {
		"an allow-list of system calls: what could undo the other layers is out",
		"every system call reaches the kernel",
		"use a kernel with CONFIG_SECCOMP_FILTER",
		"use a kernel with CONFIG_SECCOMP_FILTER",
	},
	[PYI_LAYER_PROCESS] = {
		"no capabilities, no_new_privs, not dumpable, no memory both written and executed, own session",
		"memory that the guest has written can be executed",
		"use Linux 6.3 or newer, and let the container call prctl",
		"use Linux 6.3 or newer, and let the container call prctl",
	},
};

const char *pyi_layer_purpose(enum pyi_layer layer)
{
	return texts[layer].purpose;
}

const char *pyi_layer_loss(enum pyi_layer layer)
{
	return texts[layer].loss;
}

const char *pyi_layer_advice(enum pyi_layer layer, const struct pyi_facts *facts)
{
	return facts->is_root || facts->uid == 0 ? texts[layer].as_root : texts[layer].as_user;
}
