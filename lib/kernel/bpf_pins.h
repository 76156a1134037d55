/* SPDX-License-Identifier: MIT */
/*
 * The pins of the BPF programs and maps: opening what is there, loading what is not. Shared by bpf.c (rows and
 * assignments), bpf_load.c and bpf_probe.c.
 */
#ifndef PYI_KERNEL_BPF_PINS_H
#define PYI_KERNEL_BPF_PINS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "bpf.digest.h"

struct pyi_bpf_contracts;
struct pyi_err;
struct pyi_fact;
struct pyi_plan;

/*
 * One set of programs belongs to one build, one parent cgroup and one BPF file system; two on the
 * same parent would deny each other's sandboxes. So pins are in a directory "BUILD-PARENT" (the
 * cgroup's id), the parent's name has the build in it, and where programs that our BPF file system
 * knows nothing of are attached to it already (each mount of one is a world of its own, a container's
 * for instance), the next name is taken: "pyisolate-BUILD-1".
 */
#define PYI_BPFFS	      "/sys/fs/bpf"
#define PYI_PINS_TOP	      PYI_BPFFS "/pyisolate"
#define PYI_PINS_ABI	      PYI_PINS_TOP "/v1"
#define PYI_PARENT	      "pyisolate" /* without programs: v1, and where BPF cannot be used */
#define PYI_BPF_PARENT_PREFIX PYI_PARENT "-"
#define PYI_BPF_PARENT	      PYI_BPF_PARENT_PREFIX PYI_BPF_BUILD

enum { PYI_PINS_NAME_MAX = 48, PYI_BPF_PARENTS_MAX = 8 };

/* What to say where check_top says -EACCES. */
#define PYI_PINS_FOREIGN "'" PYI_PINS_TOP "' is not root's alone: remove it"

/*
 * 0 when the top directory can have been filled by root only, -ENOENT, or -EACCES: where the file system is mounted for
 * everyone, as mount(8) does it, another user may have made it first.
 */
int pyi_bpf_pins_check_top(void);

/* The same, and its descriptor, owned by the caller; -1 and errno. */
int pyi_bpf_pins_open_top(void);

/* The name of the directory below PYI_PINS_ABI. */
void pyi_bpf_pins_name(uint64_t parent_cgroup, char name[PYI_PINS_NAME_MAX]);

struct pyi_bpf_maps {
	int lock; /* the directory, locked: while somebody holds it the programs stay attached */
	int assignments;
	int stats;
	int net_rows;
	int net_use; /* opened when it is first needed; so are the next two */
	int contract_code;
	int contract_state;
	int event_more; /* these two when there is an event */
	int event_paths;
	int rings;  /* of named sandboxes */
	int bodies; /* these where the LSM programs are loaded, else -1 */
	int arena;
	int lsm_errnum; /* why they are not, 0 when they are */
	char lsm_detail[96];
};

#define PYI_BPF_MAPS_INIT { -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, 0, "" }

void pyi_bpf_maps_close(struct pyi_bpf_maps *maps);

/* The maps of an open struct pyi_bpf. */
struct pyi_bpf;
struct pyi_bpf_maps *pyi_bpf_maps_of(struct pyi_bpf *bpf);

/* Is there a BPF file system? */
bool pyi_bpf_fs_is_there(void);

/* Mount one if there is none; 0 or -errno. */
int pyi_bpf_fs_mount(void);

/*
 * Open the maps of our build's pins for this cgroup (fd of its directory, id). -ENOENT: none are there; -ESTALE: they
 * are incomplete, or not all programs are attached; else the errno of bpf(2). No message.
 */
int pyi_bpf_pins_open(int parent_fd, uint64_t parent_cgroup, struct pyi_bpf_maps *ret_maps);

/* Open what only a sandbox with network needs. 0 or -errno. */
int pyi_bpf_pins_open_net(struct pyi_bpf_maps *maps);

struct pyi_bpf_net;
struct pyi_limits;

/*
 * The row of a sandbox with network: made with its limits, done with, read. 0 or -errno. With a limit it outlives the
 * sandbox for as long as the kernel may try to send what a dead process left in its sockets.
 */
int pyi_bpf_net_put(struct pyi_bpf_maps *maps, int v2_fd, uint64_t cgroup_id,
		    const struct pyi_limits *limits);
void pyi_bpf_net_end(struct pyi_bpf_maps *maps, uint64_t cgroup_id);
int pyi_bpf_net_get(struct pyi_bpf_maps *maps, uint64_t cgroup_id, struct pyi_bpf_net *ret_net);

/* Open what only the events need. 0 or -errno. */
int pyi_bpf_pins_open_events(struct pyi_bpf_maps *maps);
int pyi_bpf_pins_open_rings(struct pyi_bpf_maps *maps);

struct pyi_abi_event;
struct pyi_abi_event_more;
struct pyi_bpf_event;

/* more, path: NULL where there is none. bpf_events.c. */
void pyi_bpf_event_from_abi(const struct pyi_abi_event *from, const struct pyi_abi_event_more *more,
			    const char *path, struct pyi_bpf_event *to);

struct pyi_abi_frame;

/*
 * "job.py:12", "" where there is none. What the guest calls its file is any text: it becomes UTF-8, of a long one the
 * end.
 */
void pyi_bpf_frame_text(const struct pyi_abi_frame *frame, char *buf, size_t size);

/* Open what only a sandbox with contracts needs. 0 or -errno. */
int pyi_bpf_pins_open_contracts(struct pyi_bpf_maps *maps);

/* The contracts of a plan that has some: written, removed, read. 0 or -errno. */
int pyi_bpf_contract_put(struct pyi_bpf_maps *maps, uint64_t cgroup_id, uint64_t body,
			 const struct pyi_plan *plan, struct pyi_err *err);
void pyi_bpf_contract_delete(struct pyi_bpf_maps *maps, const uint64_t *cgroup_ids, size_t n);

/*
 * The contracts of a reload, under its own body; the counters go on. 1: written; 0: there are none, now or before; or
 * -errno with a message.
 */
int pyi_bpf_contract_follow(struct pyi_bpf_maps *maps, uint64_t cgroup_id, uint64_t old_body,
			    uint64_t body, const struct pyi_plan *plan, struct pyi_err *err);

/* Remove the code of all bodies for which `is_due` says so. */
void pyi_bpf_contract_remove(struct pyi_bpf_maps *maps,
			     int (*is_due)(uint64_t body, const void *arg), const void *arg);
int pyi_bpf_contract_get(struct pyi_bpf_maps *maps, uint64_t cgroup_id,
			 struct pyi_bpf_contracts *ret_contracts);

/* How many programs of the first kind of ours are attached to this very cgroup, whoever did it; or -errno. */
int pyi_bpf_count_attached(int parent_fd);

/* Is a loader at work for this cgroup, or has one died on the way? */
bool pyi_bpf_pins_are_in_making(uint64_t parent_cgroup);

/*
 * Load, attach, pin, unless somebody else has by now, and open the maps; clears away what is stale and what is idle.
 * Takes the lock for loaders. lsm: what is known of LSM programs; where they do not load the others go without.
 */
int pyi_bpf_pins_load(int parent_fd, uint64_t parent_cgroup, const struct pyi_fact *lsm,
		      struct pyi_bpf_maps *ret_maps, struct pyi_err *err);

/* The lock of loaders, removers, and whoever puts automatons into the arena. */
int pyi_bpf_pins_lock(int *ret_fd, struct pyi_err *err);

/* Pin fd as dir/KINDNAME. */
int pyi_bpf_pin(const char *dir, const char *kind, const char *name, int fd, struct pyi_err *err);

/* The last line of what the verifier said, for a message; log is changed. */
const char *pyi_bpf_last_line(char *log);

/*
 * Load the LSM programs, attach them to their hooks and pin them and their maps in `dir`. They share the maps whose
 * descriptors are given. bpf_lsm.c.
 */
int pyi_bpf_lsm_load(const char *dir, int parent_fd, const struct pyi_bpf_maps *shared,
		     struct pyi_err *err);

/*
 * The programs that count bytes of files, attached while a sandbox's contracts need them. All under pyi_bpf_pins_lock,
 * which is kept until the assignment that relies on them is written. attach: unless they are. release: if no live
 * sandbox relies on them. count: how many do. bpf_bytes.c.
 */
int pyi_bpf_bytes_attach(struct pyi_bpf_maps *maps, int parent_fd, uint64_t parent_cgroup,
			 struct pyi_err *err);
void pyi_bpf_bytes_release(const struct pyi_bpf_maps *maps, int v2_fd);
unsigned int pyi_bpf_bytes_count(const struct pyi_bpf_maps *maps, int v2_fd);

/* Are they, or some of them? Without the lock: for who only wants to know whether to take it. */
bool pyi_bpf_bytes_are_attached(const struct pyi_bpf_maps *maps);

/* How far below the root of its hierarchy is this cgroup? 0: the root cannot be seen from here. bpf_lsm.c. */
int pyi_bpf_level(int cgroup_fd);

struct pyi_dfa;

/*
 * Find a policy's automaton in the arena, or put it there: *ret_page is where. Under pyi_bpf_pins_lock, and the lock is
 * kept until the assignment that names the page is written. bpf_body.c.
 */
int pyi_bpf_body_put(const struct pyi_bpf_maps *maps, const struct pyi_dfa *dfa, uint32_t *ret_page,
		     struct pyi_err *err);

/*
 * Remove the pins for this cgroup, or all (0); -EBUSY while a sandbox uses them. v2_fd: any directory of the v2
 * hierarchy.
 */
int pyi_bpf_pins_remove(int v2_fd, uint64_t parent_cgroup, struct pyi_err *err);

/* Does a cgroup with this id exist? v2_fd: any directory of the v2 hierarchy. When in doubt, yes. */
bool pyi_bpf_cgroup_exists(int v2_fd, uint64_t cgroup_id);

/* Is the cgroup with this id a child of the other? */
bool pyi_bpf_cgroup_is_below(int v2_fd, uint64_t cgroup_id, uint64_t parent_cgroup);

#endif
