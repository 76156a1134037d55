/* SPDX-License-Identifier: MIT */
/*
 * The programs that count bytes of files (bpf/bytes.bpf.c): attached while a sandbox lives whose contracts speak of it,
 * one set for all of them, pinned among the others. Everything here is done under pyi_bpf_pins_lock, and the assignment
 * that relies on the set is written under the same hold of it: so who finds no live assignment with PYI_ASSIGN_BYTES
 * may take the set away. A loader that dies half-way leaves an incomplete set, which nobody can rely on yet; the next
 * one, or the next sweep, removes it.
 */
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/err.h"
#include "base/fault.h"
#include "base/util.h"
#include "bytes.skel.h"
#include "kernel/bpf_pins.h"
#include "pyi_abi.h"

enum { LOG_BYTES = 1 << 20 };

/* Links of all programs; the hook that denies comes last, when what it relies on is there. */
static const char *const pins[] = { "link_bytes_verify", "link_bytes_map", "link_bytes_protect",
				    "link_bytes_permission" };

static int silent(enum libbpf_print_level level, const char *format, va_list args)
{
	return 0;
}

static size_t count_pins(int dir_fd)
{
	size_t n = 0;

	for (size_t i = 0; i < PYI_ARRAY_SIZE(pins); i++)
		n += faccessat(dir_fd, pins[i], F_OK, 0) == 0;
	return n;
}

static void unpin_all(int dir_fd)
{
	for (size_t i = PYI_ARRAY_SIZE(pins); i-- > 0;)
		unlinkat(dir_fd, pins[i], 0);
}

static int share(struct bytes *skel, struct pyi_bpf_maps *shared)
{
	int ret = pyi_bpf_pins_open_contracts(shared);

	if (ret == 0)
		ret = pyi_bpf_pins_open_events(shared);
	if (ret == 0)
		ret = pyi_bpf_pins_open_rings(shared);
	if (ret == 0)
		ret = bpf_map__reuse_fd(skel->maps.assignments, shared->assignments);
	if (ret == 0)
		ret = bpf_map__reuse_fd(skel->maps.stats, shared->stats);
	if (ret == 0)
		ret = bpf_map__reuse_fd(skel->maps.net_rows, shared->net_rows);
	if (ret == 0)
		ret = bpf_map__reuse_fd(skel->maps.event_more, shared->event_more);
	if (ret == 0)
		ret = bpf_map__reuse_fd(skel->maps.event_paths, shared->event_paths);
	if (ret == 0)
		ret = bpf_map__reuse_fd(skel->maps.rings, shared->rings);
	if (ret == 0)
		ret = bpf_map__reuse_fd(skel->maps.contract_code, shared->contract_code);
	if (ret == 0)
		ret = bpf_map__reuse_fd(skel->maps.contract_state, shared->contract_state);
	return ret;
}

static int attach_and_pin(struct bytes *skel, const char *dir, struct pyi_err *err)
{
	for (size_t i = 0; i < PYI_ARRAY_SIZE(pins); i++) {
		const char *name = pins[i] + sizeof("link_") - 1;
		struct bpf_program *prog = bpf_object__find_program_by_name(skel->obj, name);
		struct bpf_link *link = PYI_FAULT(525, EPERM) ? NULL : bpf_program__attach(prog);
		int ret;

		if (!link)
			return pyi_err_sys(err, errno, "cannot attach '%s'",
					   bpf_program__section_name(prog));
		ret = pyi_bpf_pin(dir, "link_", name, bpf_link__fd(link), err);
		bpf_link__destroy(link);
		if (ret < 0)
			return ret;
	}
	return 0;
}

int pyi_bpf_bytes_attach(struct pyi_bpf_maps *maps, int parent_fd, uint64_t parent_cgroup,
			 struct pyi_err *err)
{
	_cleanup_free char *log = calloc(1, LOG_BYTES);
	LIBBPF_OPTS(bpf_object_open_opts, opts, .kernel_log_buf = log, .kernel_log_size = LOG_BYTES);
	char name[PYI_PINS_NAME_MAX], dir[128];
	libbpf_print_fn_t old;
	struct bytes *skel;
	uint32_t zero = 0;
	int ret;

	if (count_pins(maps->lock) == PYI_ARRAY_SIZE(pins))
		return 0;
	if (!log)
		return pyi_err_nomem(err);
	unpin_all(maps->lock);
	pyi_bpf_pins_name(parent_cgroup, name);
	snprintf(dir, sizeof(dir), PYI_PINS_ABI "/%s", name);
	old = libbpf_set_print(silent);
	skel = bytes__open_opts(&opts);
	ret = skel ? share(skel, maps) : -errno;
	if (ret == 0) {
		skel->rodata->parent_id = parent_cgroup;
		skel->rodata->parent_level = pyi_bpf_level(parent_fd);
		ret = PYI_FAULT(526, EPERM) ? -errno : bytes__load(skel);
	}
	if (ret < 0)
		ret = pyi_err_sys(err, -ret, "contracts: bytes of files cannot be counted here%s%.120s",
				  log[0] ? ": " : "", log[0] ? pyi_bpf_last_line(log) : "");
	else if (bpf_map_update_elem(bpf_map__fd(skel->maps.parent), &zero, &parent_fd, BPF_ANY) < 0)
		ret = pyi_err_sys(err, errno, "cannot name the control group to the BPF programs");
	else
		ret = attach_and_pin(skel, dir, err);
	if (ret < 0)
		unpin_all(maps->lock);
	bytes__destroy(skel);
	libbpf_set_print(old);
	return ret;
}

bool pyi_bpf_bytes_are_attached(const struct pyi_bpf_maps *maps)
{
	return count_pins(maps->lock) > 0;
}

unsigned int pyi_bpf_bytes_count(const struct pyi_bpf_maps *maps, int v2_fd)
{
	struct pyi_abi_assignment assignment;
	uint64_t key = 0, next;
	unsigned int n = 0;
	bool first = true;

	while (bpf_map_get_next_key(maps->assignments, first ? NULL : &key, &next) == 0) {
		key = next;
		first = false;
		n += bpf_map_lookup_elem(maps->assignments, &key, &assignment) == 0 &&
		     assignment.flags & PYI_ASSIGN_BYTES && pyi_bpf_cgroup_exists(v2_fd, key);
	}
	return n;
}

void pyi_bpf_bytes_release(const struct pyi_bpf_maps *maps, int v2_fd)
{
	if (pyi_bpf_bytes_are_attached(maps) && !pyi_bpf_bytes_count(maps, v2_fd))
		unpin_all(maps->lock);
}
