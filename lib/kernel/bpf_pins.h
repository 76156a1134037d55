/* SPDX-License-Identifier: MIT */
/*
 * The pins of the BPF programs and maps: opening what is there, loading what is not. Shared by bpf.c (rows and
 * assignments), bpf_load.c and bpf_probe.c.
 */
#ifndef PYI_KERNEL_BPF_PINS_H
#define PYI_KERNEL_BPF_PINS_H

#include <stdbool.h>
#include <stdint.h>

#include "cgroup.digest.h"

struct pyi_err;

/* Two builds whose programs differ live side by side: each has its own pins and its own parent cgroup. */
#define PYI_BPFFS "/sys/fs/bpf"
#define PYI_PINS_TOP PYI_BPFFS "/pyisolate"
#define PYI_PINS_ABI PYI_PINS_TOP "/v1"
#define PYI_PINS PYI_PINS_ABI "/" PYI_BPF_BUILD_cgroup
#define PYI_PARENT "pyisolate"	/* without programs: v1, and where BPF cannot be used */
#define PYI_BPF_PARENT_PREFIX PYI_PARENT "-"
#define PYI_BPF_PARENT PYI_BPF_PARENT_PREFIX PYI_BPF_BUILD_cgroup

struct pyi_bpf_maps {
	int lock;	/* the directory, locked: while somebody holds it the programs stay attached */
	int assignments;
	int stats;
	int net_rows;
};

#define PYI_BPF_MAPS_INIT { -1, -1, -1, -1 }

void pyi_bpf_maps_close(struct pyi_bpf_maps *maps);

/* Is there a BPF file system? */
bool pyi_bpf_fs_is_there(void);

/*
 * Open the maps of our build's pins, if its programs are attached to this very cgroup (fd of its directory, id).
 * -ENOENT: none are there; -ESTALE: they are incomplete, detached or another cgroup's; else the errno of bpf(2). No
 * message.
 */
int pyi_bpf_pins_open(int parent_fd, uint64_t parent_cgroup, struct pyi_bpf_maps *ret_maps);

/* Load, attach, pin; clears away what is stale and what idle other builds left. Takes the lock for loaders. */
int pyi_bpf_pins_load(int parent_fd, uint64_t parent_cgroup, struct pyi_err *err);

/*
 * Remove the pins of our build, or of all; -EBUSY, and nothing is removed, while a sandbox uses them.
 * v2_fd: any directory of the v2 hierarchy.
 */
int pyi_bpf_pins_remove(int v2_fd, bool all, struct pyi_err *err);

/* Does a cgroup with this id exist? v2_fd: any directory of the v2 hierarchy. When in doubt, yes. */
bool pyi_bpf_cgroup_exists(int v2_fd, uint64_t cgroup_id);

/* Is the cgroup with this id a child of the other? */
bool pyi_bpf_cgroup_is_below(int v2_fd, uint64_t cgroup_id, uint64_t parent_cgroup);

#endif
