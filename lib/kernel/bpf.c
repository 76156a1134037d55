/* SPDX-License-Identifier: MIT */
/* Rows, assignments and events of one sandbox in the pinned maps; see bpf.h. */
#include "kernel/bpf.h"

#include <assert.h>
#include <bpf/bpf.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/err.h"
#include "base/fault.h"
#include "base/util.h"
#include "kernel/bpf_pins.h"
#include "kernel/bpf_rows.h"
#include "kernel/cgroup.h"
#include "kernel/probe.h"
#include "kernel/run_dir.h"
#include "plan/facts.h"
#include "plan/plan.h"
#include "pyi_abi.h"

static_assert((int)PYI_EV_MAX == (int)PYI_BPF_COUNTERS, "counters");

struct pyi_bpf {
	int v2_fd; /* our parent cgroup */
	uint64_t parent_cgroup;
	struct pyi_bpf_maps maps;
	struct pyi_abi_assignment assignment; /* of the sandbox that was assigned last */
	struct pyi_abi_python python;
	/* The rows put last: a supervisor takes back its own without a walk through everybody's. */
	uint64_t own_body;
	struct pyi_abi_net_key *own_keys; /* owned */
	size_t n_own;
};

void pyi_bpf_free(struct pyi_bpf *bpf)
{
	if (!bpf)
		return;
	pyi_bpf_maps_close(&bpf->maps);
	pyi_close_fd(&bpf->v2_fd);
	free(bpf->own_keys);
	free(bpf);
}

/* Without any map yet. */
static int open_parent(const struct pyi_facts *facts, struct pyi_bpf **ret_bpf, struct pyi_err *err)
{
	struct pyi_bpf *bpf;
	struct stat st;
	int ret;

	if (!facts->cgroup_v2_dir[0])
		return pyi_err_set(err, EOPNOTSUPP,
				   "BPF programs need a cgroup v2 hierarchy, and none can be written");
	bpf = calloc(1, sizeof(*bpf));
	if (!bpf)
		return pyi_err_nomem(err);
	bpf->maps = (struct pyi_bpf_maps)PYI_BPF_MAPS_INIT;
	bpf->v2_fd = open(facts->cgroup_v2_dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (bpf->v2_fd < 0 || fstat(bpf->v2_fd, &st) < 0) {
		ret = pyi_err_sys(err, errno, "cannot open '%s'", facts->cgroup_v2_dir);
		pyi_bpf_free(bpf);
		return ret;
	}
	bpf->parent_cgroup = (uint64_t)st.st_ino;
	*ret_bpf = bpf;
	return 0;
}

int pyi_bpf_pins_open_top(void)
{
	int fd = pyi_run_dir_open(PYI_PINS_TOP);

	if (fd < 0 && (errno == EPERM || errno == ELOOP || errno == ENOTDIR))
		errno = EACCES;
	return fd;
}

int pyi_bpf_pins_check_top(void)
{
	_cleanup_fd int fd = pyi_bpf_pins_open_top();

	return fd < 0 ? -errno : 0;
}

int pyi_bpf_open(const struct pyi_facts *facts, struct pyi_bpf **ret_bpf, struct pyi_err *err)
{
	struct pyi_bpf *bpf;
	int ret = open_parent(facts, &bpf, err);

	if (ret < 0)
		return ret;
	ret = PYI_FAULT(500, EPERM) ? -errno
				    : pyi_bpf_pins_open(bpf->v2_fd, bpf->parent_cgroup, &bpf->maps);
	if (ret == -ENOENT || ret == -ESTALE)
		ret = pyi_bpf_pins_load(bpf->v2_fd, bpf->parent_cgroup, &facts->bpf_lsm, &bpf->maps,
					err);
	else if (ret == -EACCES)
		pyi_err_set(err, EACCES, PYI_PINS_FOREIGN);
	else if (ret < 0)
		pyi_err_sys(err, -ret, "cannot open the pins in '" PYI_PINS_ABI "'");
	if (ret < 0) {
		pyi_bpf_free(bpf);
		return ret;
	}
	*ret_bpf = bpf;
	return 0;
}

int pyi_bpf_open_again(struct pyi_bpf **ret_bpf, struct pyi_err *err)
{
	struct pyi_facts facts = { .is_root = geteuid() == 0 };
	struct pyi_bpf *bpf;
	int ret;

	pyi_cgroup_find(&facts);
	ret = open_parent(&facts, &bpf, err);
	if (ret == 0) {
		ret = pyi_bpf_pins_open(bpf->v2_fd, bpf->parent_cgroup, &bpf->maps);
		if (ret == 0) {
			*ret_bpf = bpf;
			return 0;
		}
		pyi_bpf_free(bpf);
	}
	/* Another parent than the usual one, or pins that are gone: as a run would look for them. */
	pyi_probe_run(&facts);
	return pyi_bpf_open(&facts, ret_bpf, err);
}

struct pyi_bpf_maps *pyi_bpf_maps_of(struct pyi_bpf *bpf)
{
	return &bpf->maps;
}

void pyi_bpf_set_python(struct pyi_bpf *bpf, const struct pyi_abi_python *python)
{
	bpf->python = *python;
}

static int put_rows(struct pyi_bpf *bpf, uint64_t body, const struct pyi_plan *plan, struct pyi_err *err)
{
	free(bpf->own_keys);
	bpf->own_body = body;
	return pyi_bpf_rows_put(&bpf->maps, body, plan, &bpf->own_keys, &bpf->n_own, err);
}

static int write_assignment(struct pyi_bpf *bpf, const struct pyi_abi_assignment *assignment,
			    struct pyi_err *err)
{
	int ret = PYI_FAULT(502, ENOSPC)
			  ? -errno
			  : bpf_map_update_elem(bpf->maps.assignments, &assignment->owner,
						assignment, BPF_ANY);

	return ret < 0 ? pyi_err_sys(err, -ret, "cannot write the BPF assignment") : 0;
}

/* The assignment as it is to be, and what it names in place. */
static int complete(struct pyi_bpf *bpf, struct pyi_abi_assignment *assignment,
		    const struct pyi_plan *plan, struct pyi_err *err)
{
	_cleanup_fd int lock = -1;
	int ret = 0;

	assignment->flags = PYI_ASSIGN_READY | (plan->net_tcp ? PYI_ASSIGN_TCP : 0) |
			    (plan->net_udp ? PYI_ASSIGN_UDP : 0) |
			    (plan->contracts ? PYI_ASSIGN_CONTRACTS : 0);
	if (plan->use_bpf_lsm) {
		if (bpf->maps.lsm_errnum)
			return pyi_err_set(
				err, bpf->maps.lsm_errnum,
				"the bpf-lsm layer cannot be used (%s); from now on runs do without it",
				bpf->maps.lsm_detail);
		assignment->flags |= (plan->mdwe ? PYI_ASSIGN_WX : 0) |
				     (plan->guest == PYI_GUEST_PYTHON ? PYI_ASSIGN_SELF : 0);
		ret = pyi_bpf_pins_lock(&lock, err);
		if (ret == 0)
			ret = pyi_bpf_body_put(&bpf->maps, plan->paths, &assignment->paths, err);
		if (ret == 0 && plan->counts_bytes) {
			assignment->flags |= PYI_ASSIGN_BYTES;
			ret = pyi_bpf_bytes_attach(&bpf->maps, bpf->v2_fd, bpf->parent_cgroup, err);
		}
	}
	if (ret == 0)
		ret = write_assignment(bpf, assignment, err);
	if (ret < 0 && assignment->flags & PYI_ASSIGN_BYTES)
		pyi_bpf_bytes_release(&bpf->maps, bpf->v2_fd);
	return ret;
}

int pyi_bpf_assign(struct pyi_bpf *bpf, uint64_t cgroup_id, const struct pyi_plan *plan,
		   struct pyi_err *err)
{
	struct pyi_abi_assignment assignment = { .body = PYI_ABI_BODY(cgroup_id, 1),
						 .generation = 1,
						 .owner = cgroup_id };
	_cleanup_free struct pyi_abi_stats *stats = NULL;
	int ret;

	if (!pyi_bpf_cgroup_is_below(bpf->v2_fd, cgroup_id, bpf->parent_cgroup))
		return pyi_err_set(
			err, EINVAL,
			"the control group is not below the one the BPF programs are attached to");
	stats = calloc(1, sizeof(*stats));
	if (!stats)
		return pyi_err_nomem(err);
	if (plan->guest == PYI_GUEST_PYTHON)
		stats->python = bpf->python;
	/*
	 * Not ready at first, which denies: if we die before the rows are complete, the assignment of a cgroup that
	 * is gone leads the next sweep to them.
	 */
	ret = bpf_map_update_elem(bpf->maps.stats, &cgroup_id, stats, BPF_ANY);
	if (ret < 0)
		pyi_err_sys(err, -ret, "cannot write the BPF statistics");
	if (ret == 0 && plan->n_net)
		ret = write_assignment(bpf, &assignment, err);
	if (ret == 0 && plan->n_net) {
		ret = pyi_bpf_net_put(&bpf->maps, bpf->v2_fd, cgroup_id, &plan->limits);
		if (ret < 0)
			pyi_err_sys(err, -ret, "cannot write the row for the network's limits");
	}
	if (ret == 0)
		ret = put_rows(bpf, assignment.body, plan, err);
	if (ret == 0 && plan->contracts)
		ret = pyi_bpf_contract_put(&bpf->maps, cgroup_id, assignment.body, plan, err);
	if (ret == 0)
		ret = complete(bpf, &assignment, plan, err);
	if (ret < 0)
		pyi_bpf_unassign(bpf, cgroup_id);
	bpf->assignment = assignment;
	return ret;
}

int pyi_bpf_arm_fd(const struct pyi_bpf *bpf)
{
	return bpf->maps.assignments;
}

int pyi_bpf_arm(const struct pyi_bpf *bpf)
{
	struct pyi_abi_assignment armed = bpf->assignment;

	armed.flags |= PYI_ASSIGN_ARMED;
	return PYI_FAULT(503, EPERM)
		       ? -errno
		       : bpf_map_update_elem(bpf->maps.assignments, &armed.owner, &armed, BPF_EXIST);
}

static void delete_rows(struct pyi_bpf *bpf, const uint64_t *ids, size_t n_ids)
{
	struct pyi_bpf_groups groups = { ids, n_ids };

	pyi_bpf_rows_remove(&bpf->maps, pyi_bpf_is_of_groups, &groups);
}

/* The events and the paths in them. */
static void delete_stats(struct pyi_bpf *bpf, uint64_t cgroup_id)
{
	struct pyi_abi_event_key key = { .cgroup = cgroup_id };
	struct pyi_abi_stats stats;

	if (bpf_map_lookup_elem(bpf->maps.stats, &cgroup_id, &stats) == 0 && stats.total &&
	    pyi_bpf_pins_open_events(&bpf->maps) == 0) {
		for (; key.index < stats.total && key.index < PYI_ABI_EVENTS; key.index++) {
			bpf_map_delete_elem(bpf->maps.event_more, &key);
			bpf_map_delete_elem(bpf->maps.event_paths, &key);
		}
	}
	bpf_map_delete_elem(bpf->maps.stats, &cgroup_id);
}

/* The last sandbox whose bytes were counted takes the programs along. */
static void release_bytes(struct pyi_bpf *bpf)
{
	_cleanup_fd int lock = -1;
	struct pyi_err err;

	if (pyi_bpf_bytes_are_attached(&bpf->maps) && pyi_bpf_pins_lock(&lock, &err) == 0)
		pyi_bpf_bytes_release(&bpf->maps, bpf->v2_fd);
}

void pyi_bpf_unassign(struct pyi_bpf *bpf, uint64_t cgroup_id)
{
	struct pyi_abi_assignment assignment;

	if (bpf_map_lookup_elem(bpf->maps.assignments, &cgroup_id, &assignment) == 0) {
		/* The flags tell what there is, but for who stopped half-way and for what reloads have left. */
		bool may_have_all = !(assignment.flags & PYI_ASSIGN_READY) || assignment.generation > 1;
		bool is_own = bpf->n_own && bpf->own_body == assignment.body;
		bool has_net = is_own || may_have_all ||
			       assignment.flags & (PYI_ASSIGN_TCP | PYI_ASSIGN_UDP);

		if (is_own) {
			pyi_bpf_rows_take_back(&bpf->maps, bpf->own_keys, bpf->n_own);
			bpf->n_own = 0;
		} else if (has_net) {
			delete_rows(bpf, &cgroup_id, 1);
		}
		if (has_net)
			pyi_bpf_net_end(&bpf->maps, cgroup_id);
		if (may_have_all || assignment.flags & PYI_ASSIGN_CONTRACTS)
			pyi_bpf_contract_delete(&bpf->maps, &cgroup_id, 1);
		bpf_map_delete_elem(bpf->maps.assignments, &cgroup_id);
		if (assignment.flags & PYI_ASSIGN_BYTES)
			release_bytes(bpf);
	}
	delete_stats(bpf, cgroup_id);
}

int pyi_bpf_net(struct pyi_bpf *bpf, uint64_t cgroup_id, struct pyi_bpf_net *ret_net)
{
	return pyi_bpf_net_get(&bpf->maps, cgroup_id, ret_net);
}

int pyi_bpf_contracts(struct pyi_bpf *bpf, uint64_t cgroup_id, struct pyi_bpf_contracts *ret_contracts)
{
	return pyi_bpf_contract_get(&bpf->maps, cgroup_id, ret_contracts);
}

/* The keys of a map whose cgroups are gone. */
static size_t find_dead(struct pyi_bpf *bpf, int map_fd, uint64_t *ids, size_t max)
{
	uint64_t key = 0, next;
	bool first = true;
	size_t n = 0;

	while (n < max && bpf_map_get_next_key(map_fd, first ? NULL : &key, &next) == 0) {
		if (!pyi_bpf_cgroup_exists(bpf->v2_fd, next))
			ids[n++] = next;
		key = next;
		first = false;
	}
	return n;
}

int pyi_bpf_sweep(struct pyi_bpf *bpf)
{
	enum { AT_ONCE = 1024 };
	uint64_t ids[AT_ONCE];
	size_t n, removed;

	n = removed = find_dead(bpf, bpf->maps.assignments, ids, AT_ONCE);
	if (n)
		delete_rows(bpf, ids, n);
	pyi_bpf_contract_delete(&bpf->maps, ids, n);
	/* Assignments last: should we die, they still lead to the rows. */
	for (size_t i = 0; i < n; i++)
		pyi_bpf_net_end(&bpf->maps, ids[i]);
	for (size_t i = 0; i < n; i++)
		bpf_map_delete_elem(bpf->maps.assignments, &ids[i]);
	if (pyi_bpf_pins_open_rings(&bpf->maps) == 0) {
		uint32_t count = (uint32_t)find_dead(bpf, bpf->maps.rings, ids, AT_ONCE);

		/* In one call: the kernel waits once. */
		if (count)
			(void)bpf_map_delete_batch(bpf->maps.rings, ids, &count, NULL);
	}
	n = find_dead(bpf, bpf->maps.stats, ids, AT_ONCE);
	/* Who died before the assignment has left contracts without one. */
	pyi_bpf_contract_delete(&bpf->maps, ids, n);
	for (size_t i = 0; i < n; i++)
		delete_stats(bpf, ids[i]);
	release_bytes(bpf);
	return (int)removed;
}

int pyi_bpf_unload(struct pyi_err *err)
{
	struct pyi_facts facts = { .is_root = true };
	_cleanup_fd int v2_fd = -1;
	int ret;

	pyi_cgroup_find(&facts);
	pyi_cgroup_sweep(&facts);
	v2_fd = open(facts.cgroup_v2_dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	ret = pyi_bpf_pins_remove(v2_fd, 0, err);
	if (ret < 0)
		return ret;
	/* These refuse, as they should, while there is anything in them. */
	pyi_cgroup_remove_parents(&facts);
	return 0;
}
