/* SPDX-License-Identifier: MIT */
/* The contracts of one sandbox in the pinned maps: their code, by body, and what is counted, by cgroup. See bpf.h. */
#include <bpf/bpf.h>
#include <errno.h>
#include <string.h>
#include <time.h>

#include "base/err.h"
#include "base/fault.h"
#include "kernel/bpf.h"
#include "kernel/bpf_pins.h"
#include "plan/plan.h"
#include "policy/contract.h"
#include "pyi_abi.h"

/* A prefix with its mask, as the programs compare it. */
static void make_net(const struct pyi_contract_pattern *pattern, uint8_t slot,
		     struct pyi_abi_contract_net *ret)
{
	const struct pyi_net_rule *from = &pattern->net;
	uint8_t mask[16];

	for (unsigned int i = 0; i < sizeof(mask); i++) {
		unsigned int bits = from->prefix_len > 8 * i ? from->prefix_len - 8 * i : 0;

		mask[i] = bits >= 8 ? 0xff : (uint8_t)(0xff00 >> bits);
	}
	*ret = (struct pyi_abi_contract_net){
		.port_min = from->port_min,
		.port_max = from->port_max,
		.slot = slot,
		.protos = (uint8_t)from->protos,
	};
	memcpy(ret->addr, from->addr, sizeof(ret->addr));
	memcpy(ret->mask, mask, sizeof(ret->mask));
}

static void make_code(const struct pyi_contract_set *set, bool is_final,
		      struct pyi_abi_contract_code *ret)
{
	memset(ret, 0, sizeof(*ret));
	ret->is_final = is_final;
	ret->n_ops = (uint32_t)set->n_ops;
	memcpy(ret->ops, set->ops, set->n_ops * sizeof(set->ops[0]));
	for (size_t i = 0; i < set->n; i++)
		ret->events |= set->v[i].events;
	for (size_t i = 0; i < set->n_patterns; i++) {
		ret->slot_events[i] = (uint16_t)PYI_EV_BIT(set->patterns[i].event);
		if (!set->patterns[i].is_path)
			make_net(&set->patterns[i], (uint8_t)i, &ret->nets[ret->n_nets++]);
	}
}

int pyi_bpf_contract_put(struct pyi_bpf_maps *maps, uint64_t cgroup_id, uint64_t body,
			 const struct pyi_plan *plan, struct pyi_err *err)
{
	struct pyi_abi_contract_code code;
	struct pyi_abi_contract_state state = { .broken = 0 };
	struct timespec now;
	int ret = pyi_bpf_pins_open_contracts(maps);

	if (ret < 0)
		return pyi_err_sys(err, -ret, "cannot open the BPF maps of contracts");
	make_code(plan->contracts, plan->policy->on_violation != PYI_VIOLATION_ERRNO, &code);
	clock_gettime(CLOCK_MONOTONIC, &now);
	state.start_ns = (uint64_t)now.tv_sec * 1000000000 + (uint64_t)now.tv_nsec;
	ret = PYI_FAULT(580, ENOSPC)
		      ? -errno
		      : bpf_map_update_elem(maps->contract_state, &cgroup_id, &state, BPF_ANY);
	if (ret == 0)
		ret = PYI_FAULT(581, ENOSPC)
			      ? -errno
			      : bpf_map_update_elem(maps->contract_code, &body, &code, BPF_ANY);
	return ret < 0 ? pyi_err_sys(err, -ret, "cannot write the contracts") : 0;
}

void pyi_bpf_contract_delete(struct pyi_bpf_maps *maps, uint64_t cgroup_id, uint64_t body)
{
	if (pyi_bpf_pins_open_contracts(maps) < 0)
		return;
	bpf_map_delete_elem(maps->contract_code, &body);
	bpf_map_delete_elem(maps->contract_state, &cgroup_id);
}

int pyi_bpf_contract_get(struct pyi_bpf_maps *maps, uint64_t cgroup_id,
			 struct pyi_bpf_contracts *ret_contracts)
{
	struct pyi_abi_contract_state state;
	int ret = pyi_bpf_pins_open_contracts(maps);

	if (ret == 0)
		ret = bpf_map_lookup_elem_flags(maps->contract_state, &cgroup_id, &state, BPF_F_LOCK);
	if (ret < 0)
		return ret;
	ret_contracts->broken = state.broken;
	ret_contracts->broken_by = state.broken_by;
	for (unsigned int i = 0; i < PYI_BPF_COUNTERS; i++)
		ret_contracts->counters[i] = (uint64_t)state.values[i];
	return 0;
}
