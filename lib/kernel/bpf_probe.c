/* SPDX-License-Identifier: MIT */
/* What BPF can do on this host, by loading and attaching small programs that change nothing. */
#include <bpf/bpf.h>
#include <bpf/btf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/bpf.h>
#include <linux/perf_event.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/err.h"
#include "base/util.h"
#include "kernel/bpf.h"
#include "kernel/bpf_pins.h"
#include "kernel/cgroup.h"
#include "plan/facts.h"

static void set_fact(struct pyi_fact *fact, int errnum, const char *detail)
{
	fact->errnum = errnum;
	snprintf(fact->detail, sizeof(fact->detail), "%.95s", detail);
}

/* "return VALUE": the fd of the program or -errno. */
static int load_return(enum bpf_prog_type type, enum bpf_attach_type attach, int32_t btf_id, int32_t value)
{
	const struct bpf_insn insns[] = {
		{ .code = BPF_ALU64 | BPF_MOV | BPF_K, .dst_reg = BPF_REG_0, .imm = value },
		{ .code = BPF_JMP | BPF_EXIT },
	};
	LIBBPF_OPTS(bpf_prog_load_opts, opts, .expected_attach_type = attach,
		    .attach_btf_id = (uint32_t)btf_id);

	return bpf_prog_load(type, "pyi_probe", "Dual MIT/GPL", insns, PYI_ARRAY_SIZE(insns), &opts);
}

/* With a descriptor that is none: a call that is not forbidden says EBADF, of a path that it is not there. */
static void try_map_calls(struct pyi_fact *fact)
{
	uint64_t key = 0;

	set_fact(fact, 0, "");
	if (bpf_map_update_elem(-1, &key, &key, BPF_ANY) != -EBADF)
		set_fact(fact, errno, "bpf(BPF_MAP_UPDATE_ELEM)");
	else if (bpf_map_delete_elem(-1, &key) != -EBADF)
		set_fact(fact, errno, "bpf(BPF_MAP_DELETE_ELEM)");
	else if (bpf_obj_get(PYI_BPFFS "/none") != -ENOENT)
		set_fact(fact, errno, "bpf(BPF_OBJ_GET)");
	else if (bpf_obj_pin(-1, PYI_BPFFS "/none") < 0 &&
		 (errno == EPERM || errno == EACCES || errno == ENOSYS))
		set_fact(fact, errno, "bpf(BPF_OBJ_PIN)");
}

/*
 * Load and attach something that allows everything, and is gone when this function returns. Of a kind that we have no
 * program of, so that nobody takes it for another set of ours.
 */
static void try_programs(int parent_fd, struct pyi_fact *fact)
{
	_cleanup_fd int map = -1, prog = -1, link = -1;

	map = bpf_map_create(BPF_MAP_TYPE_HASH, "pyi_probe", 8, 8, 1, NULL);
	if (map < 0) {
		set_fact(fact, -map, "bpf(BPF_MAP_CREATE)");
		return;
	}
	prog = load_return(BPF_PROG_TYPE_CGROUP_SOCK_ADDR, BPF_CGROUP_INET4_GETPEERNAME, 0, 1);
	if (prog < 0) {
		set_fact(fact, -prog, "bpf(BPF_PROG_LOAD)");
		return;
	}
	link = bpf_link_create(prog, parent_fd, BPF_CGROUP_INET4_GETPEERNAME, NULL);
	if (link < 0)
		set_fact(fact, -link, "bpf(BPF_LINK_CREATE)");
}

/* As pyi_bpf_pins_open; where they are there they say what came of the LSM programs. */
static int look_for_pins(struct pyi_facts *facts, int parent_fd, uint64_t parent_cgroup)
{
	struct pyi_bpf_maps maps = PYI_BPF_MAPS_INIT;
	int ret = pyi_bpf_pins_open(parent_fd, parent_cgroup, &maps);

	if (ret == 0)
		set_fact(&facts->bpf_lsm, maps.lsm_errnum, maps.lsm_errnum ? maps.lsm_detail : "loaded");
	pyi_bpf_maps_close(&maps);
	return ret;
}

/* 0: our pins are for this parent, or none are and it is free; -EEXIST: another's programs are attached to it. */
static int look_at_parent(struct pyi_facts *facts, bool *ret_is_loaded)
{
	_cleanup_fd int parent = open(facts->cgroup_v2_dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	struct stat st;
	int ret, n;

	if (parent < 0 || fstat(parent, &st) < 0) {
		set_fact(&facts->bpf_cgroup, errno, facts->cgroup_v2_dir);
		return 0;
	}
	ret = look_for_pins(facts, parent, (uint64_t)st.st_ino);
	*ret_is_loaded = ret == 0;
	if (ret == 0 || ret == -ESTALE)
		return 0;
	if (ret != -ENOENT) {
		set_fact(&facts->bpf_cgroup, -ret,
			 ret == -EACCES ? PYI_PINS_FOREIGN : "the pins in '" PYI_PINS_ABI "'");
		return 0;
	}
	n = pyi_bpf_count_attached(parent);
	if (n > 0 && pyi_bpf_pins_are_in_making((uint64_t)st.st_ino))
		return 0; /* ours in a moment: pyi_bpf_open waits, or clears away what a dead loader left */
	if (n > 0) {
		/* Was it finished since we looked? */
		ret = look_for_pins(facts, parent, (uint64_t)st.st_ino);
		*ret_is_loaded = ret == 0;
		return ret == 0 || ret == -ESTALE ? 0 : -EEXIST;
	}
	if (n < 0)
		set_fact(&facts->bpf_cgroup, -n, "bpf(BPF_PROG_QUERY)");
	else
		try_programs(parent, &facts->bpf_cgroup);
	return 0;
}

static int silent(enum libbpf_print_level level, const char *format, va_list args)
{
	return 0;
}

/* An LSM program that allows, attached to a hook that is called seldom. */
static void try_lsm(struct pyi_fact *fact)
{
	libbpf_print_fn_t old = libbpf_set_print(silent);
	int id = libbpf_find_vmlinux_btf_id("path_chroot", BPF_LSM_MAC);
	_cleanup_fd int prog = -1, link = -1;

	libbpf_set_print(old);
	if (id < 0) {
		set_fact(fact, -id, "the kernel's BTF has no LSM hooks");
		return;
	}
	prog = load_return(BPF_PROG_TYPE_LSM, BPF_LSM_MAC, id, 0);
	if (prog < 0) {
		set_fact(fact, -prog, "bpf(BPF_PROG_LOAD) of an LSM program");
		return;
	}
	link = bpf_raw_tracepoint_open(NULL, prog);
	if (link < 0)
		set_fact(fact, -link, "bpf(BPF_RAW_TRACEPOINT_OPEN) of an LSM program");
}

void pyi_bpf_probe(struct pyi_facts *facts)
{
	bool is_loaded = false;
	char name[64];

	if (!facts->cgroup_v2_dir[0]) {
		set_fact(&facts->bpf_cgroup, EOPNOTSUPP, "no cgroup v2 hierarchy");
		return;
	}
	try_map_calls(&facts->bpf_cgroup);
	for (int i = 1; !facts->bpf_cgroup.errnum && look_at_parent(facts, &is_loaded) == -EEXIST; i++) {
		if (i == PYI_BPF_PARENTS_MAX) {
			set_fact(&facts->bpf_cgroup, EBUSY, "the programs of other BPF file systems");
			return;
		}
		snprintf(name, sizeof(name), PYI_BPF_PARENT "-%d", i);
		pyi_cgroup_find_named(facts, name);
		if (!facts->cgroup_v2_dir[0])
			set_fact(&facts->bpf_cgroup, EOPNOTSUPP, "no cgroup v2 hierarchy");
	}
	if (is_loaded)
		set_fact(&facts->bpf_cgroup, 0, "loaded");
	else if (!facts->bpf_lsm.errnum)
		try_lsm(&facts->bpf_lsm);
}

/* An event on our parent cgroup, never enabled. */
static void try_perf(const char *v2_dir, struct pyi_fact *fact)
{
	struct perf_event_attr attr = {
		.size = sizeof(attr),
		.type = PERF_TYPE_SOFTWARE,
		.config = PERF_COUNT_SW_CPU_CLOCK,
		.sample_period = 1000000,
		.disabled = 1,
	};
	_cleanup_fd int dir = open(v2_dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	_cleanup_fd int event = -1, prog = -1;

	if (dir < 0) {
		set_fact(fact, EOPNOTSUPP, "no cgroup v2 hierarchy");
		return;
	}
	event = (int)syscall(SYS_perf_event_open, &attr, dir, 0, -1,
			     PERF_FLAG_PID_CGROUP | PERF_FLAG_FD_CLOEXEC);
	if (event < 0) {
		set_fact(fact, errno, "perf_event_open");
		return;
	}
	prog = load_return(BPF_PROG_TYPE_PERF_EVENT, 0, 0, 0);
	if (prog < 0)
		set_fact(fact, -prog, "bpf(BPF_PROG_LOAD) of a perf event program");
	else if (ioctl(event, PERF_EVENT_IOC_SET_BPF, prog) < 0)
		set_fact(fact, errno, "ioctl(PERF_EVENT_IOC_SET_BPF)");
	else
		set_fact(fact, 0, "");
}

/* Without the lock: only to be shown. */
static void look_at_bytes(struct pyi_bpf *bpf, struct pyi_facts *facts)
{
	_cleanup_fd int v2_fd = open(facts->cgroup_v2_dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	const struct pyi_bpf_maps *maps = pyi_bpf_maps_of(bpf);

	facts->bytes_are_counted = pyi_bpf_bytes_are_attached(maps);
	if (facts->bytes_are_counted && v2_fd >= 0)
		facts->n_bytes_sandboxes = pyi_bpf_bytes_count(maps, v2_fd);
}

void pyi_bpf_probe_all(struct pyi_facts *facts)
{
	struct pyi_bpf *bpf = NULL;
	struct pyi_err err = { 0 };

	if (!facts->bpf_cgroup.errnum && pyi_bpf_open(facts, &bpf, &err) < 0)
		set_fact(&facts->bpf_cgroup, err.errnum, err.msg);
	if (bpf)
		look_at_bytes(bpf, facts);
	pyi_bpf_free(bpf);
	if (!facts->bpf_cgroup.errnum)
		pyi_bpf_probe(facts); /* what came of the LSM programs */
	try_perf(facts->cgroup_v2_dir, &facts->bpf_perf);
}
