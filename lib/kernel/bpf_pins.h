/* SPDX-License-Identifier: MIT */
/*
 * The pins of the BPF programs and maps: opening what is there, loading what is not. Shared by bpf.c (rows and
 * assignments), bpf_load.c and bpf_probe.c.
 */
#ifndef PYI_KERNEL_BPF_PINS_H
#define PYI_KERNEL_BPF_PINS_H

#include <stdbool.h>
#include <stdint.h>

struct pyi_err;

#define PYI_BPFFS "/sys/fs/bpf"
#define PYI_PINS_TOP PYI_BPFFS "/pyisolate"
#define PYI_PINS PYI_PINS_TOP "/v1"

struct pyi_bpf_maps {
	int assignments;
	int stats;
	int net_rows;
};

#define PYI_BPF_MAPS_INIT { -1, -1, -1 }

void pyi_bpf_maps_close(struct pyi_bpf_maps *maps);

/* Is there a BPF file system? */
bool pyi_bpf_fs_is_there(void);

/*
 * Open the maps of the pins, if they are ours and attached to this very cgroup. -ENOENT: none are there; -ESTALE:
 * others are there, or a loader died half-way; else the errno of bpf(2). No message.
 */
int pyi_bpf_pins_open(uint64_t parent_cgroup, struct pyi_bpf_maps *ret_maps);

/* Load, attach to this cgroup (an fd of its directory), pin; clears away what is stale. Takes the lock. */
int pyi_bpf_pins_load(int parent_fd, uint64_t parent_cgroup, struct pyi_err *err);

/* Remove all pins. Takes the lock. */
int pyi_bpf_pins_remove(int v2_fd, struct pyi_err *err);

/* Does a cgroup with this id exist? v2_fd: any directory of the v2 hierarchy. When in doubt, yes. */
bool pyi_bpf_cgroup_exists(int v2_fd, uint64_t cgroup_id);

#endif
