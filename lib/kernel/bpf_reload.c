/* SPDX-License-Identifier: MIT */
/* The policy of a running sandbox is replaced: staged, swapped, retired; see bpf.h. */
#include <bpf/bpf.h>
#include <errno.h>
#include <linux/membarrier.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/err.h"
#include "base/fault.h"
#include "base/util.h"
#include "kernel/bpf.h"
#include "kernel/bpf_pins.h"
#include "kernel/bpf_rows.h"
#include "plan/plan.h"
#include "pyi_abi.h"

struct due {
	uint64_t cgroup_id;
	uint32_t generation;
};

int pyi_bpf_generation(struct pyi_bpf *bpf, uint64_t cgroup_id, uint32_t *ret_generation)
{
	struct pyi_abi_assignment assignment;
	int ret = bpf_map_lookup_elem(pyi_bpf_maps_of(bpf)->assignments, &cgroup_id, &assignment);

	if (ret == 0)
		*ret_generation = assignment.generation;
	return ret;
}

int pyi_bpf_stage(struct pyi_bpf *bpf, uint64_t cgroup_id, uint32_t generation,
		  const struct pyi_plan *plan, struct pyi_err *err)
{
	struct pyi_bpf_maps *maps = pyi_bpf_maps_of(bpf);
	_cleanup_free struct pyi_abi_net_key *keys = NULL;
	size_t n = 0;
	int ret = pyi_bpf_rows_put(maps, PYI_ABI_BODY(cgroup_id, generation), plan, &keys, &n, err);

	if (ret == 0)
		ret = pyi_bpf_contract_follow(maps, cgroup_id, PYI_ABI_BODY(cgroup_id, generation - 1),
					      PYI_ABI_BODY(cgroup_id, generation), plan, err);
	if (ret < 0)
		pyi_bpf_rows_take_back(maps, keys, n);
	return ret < 0 ? ret : 0;
}

int pyi_bpf_swap(struct pyi_bpf *bpf, uint64_t cgroup_id, uint32_t generation,
		 const struct pyi_plan *plan, struct pyi_err *err)
{
	struct pyi_bpf_maps *maps = pyi_bpf_maps_of(bpf);
	struct pyi_abi_assignment assignment;
	_cleanup_fd int lock = -1;
	int ret = bpf_map_lookup_elem(maps->assignments, &cgroup_id, &assignment);

	if (ret == 0 && assignment.generation != generation - 1)
		return pyi_err_set(err, EBUSY, "another reload was faster");
	/* Once there were some, there is code in every body: what they count goes on. */
	if (plan->contracts)
		assignment.flags |= PYI_ASSIGN_CONTRACTS;
	/* What else the flags say was decided when it was started. */
	assignment.flags &= ~(uint32_t)(PYI_ASSIGN_TCP | PYI_ASSIGN_UDP);
	assignment.flags |= (plan->net_tcp ? PYI_ASSIGN_TCP : 0) | (plan->net_udp ? PYI_ASSIGN_UDP : 0);
	assignment.body = PYI_ABI_BODY(cgroup_id, generation);
	assignment.generation = generation;
	if (ret == 0 && plan->paths) {
		ret = pyi_bpf_pins_lock(&lock, err);
		if (ret == 0)
			ret = pyi_bpf_body_put(maps, plan->paths, &assignment.paths, err);
		if (ret < 0)
			return ret;
	}
	/* One that is gone is not made again: its sandbox has ended. */
	if (ret == 0)
		ret = PYI_FAULT(575, ENOSPC) ? -errno
					     : bpf_map_update_elem(maps->assignments, &cgroup_id,
								   &assignment, BPF_EXIST);
	if (ret == -ENOENT)
		return pyi_err_set(err, ESRCH, "it has ended");
	return ret < 0 ? pyi_err_sys(err, -ret, "cannot write the BPF assignment") : 0;
}

static int is_generation(uint64_t body, const void *arg)
{
	const struct due *due = arg;

	return body == PYI_ABI_BODY(due->cgroup_id, due->generation);
}

void pyi_bpf_unstage(struct pyi_bpf *bpf, uint64_t cgroup_id, uint32_t generation)
{
	struct due due = { cgroup_id, generation };

	pyi_bpf_rows_remove(pyi_bpf_maps_of(bpf), is_generation, &due);
	pyi_bpf_contract_remove(pyi_bpf_maps_of(bpf), is_generation, &due);
}

/* The numbers go round; half of the circle behind the one in force is its past. */
static int is_earlier(uint64_t body, const void *arg)
{
	const struct due *due = arg;
	uint16_t age = (uint16_t)((due->generation - 1) - (uint32_t)(body >> 48));

	return (body & PYI_ABI_BODY_CGROUP) == due->cgroup_id && age > 0 && age < 0x8000;
}

int pyi_bpf_retire(struct pyi_bpf *bpf, uint64_t cgroup_id)
{
	struct due due = { .cgroup_id = cgroup_id };
	int ret = pyi_bpf_generation(bpf, cgroup_id, &due.generation);

	if (ret < 0)
		return ret;
	/* A program that has looked the assignment up before the swap runs to its end first: membarrier(2), RCU. */
	if (PYI_FAULT(576, ENOSYS) || syscall(SYS_membarrier, MEMBARRIER_CMD_GLOBAL, 0, 0) < 0)
		return -errno;
	pyi_bpf_rows_remove(pyi_bpf_maps_of(bpf), is_earlier, &due);
	pyi_bpf_contract_remove(pyi_bpf_maps_of(bpf), is_earlier, &due);
	return 0;
}
