/* SPDX-License-Identifier: MIT */
/* The contracts of one sandbox in the pinned maps: their code, by body, and what is counted, by cgroup. See bpf.h. */
#include <bpf/bpf.h>
#include <errno.h>
#include <stdbool.h>
#include <string.h>
#include <time.h>

#include "base/err.h"
#include "base/fault.h"
#include "kernel/bpf.h"
#include "kernel/bpf_pins.h"
#include "kernel/bpf_rows.h"
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

static int put_state(struct pyi_bpf_maps *maps, uint64_t cgroup_id, uint64_t flags)
{
	struct pyi_abi_contract_state state = { .broken = 0 };
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	state.start_ns = (uint64_t)now.tv_sec * 1000000000 + (uint64_t)now.tv_nsec;
	return PYI_FAULT(580, ENOSPC)
		       ? -errno
		       : bpf_map_update_elem(maps->contract_state, &cgroup_id, &state, flags);
}

int pyi_bpf_contract_put(struct pyi_bpf_maps *maps, uint64_t cgroup_id, uint64_t body,
			 const struct pyi_plan *plan, struct pyi_err *err)
{
	struct pyi_abi_contract_code code;
	int ret = pyi_bpf_pins_open_contracts(maps);

	if (ret < 0)
		return pyi_err_sys(err, -ret, "cannot open the BPF maps of contracts");
	make_code(plan->contracts, plan->policy->on_violation != PYI_VIOLATION_ERRNO, &code);
	ret = put_state(maps, cgroup_id, BPF_ANY);
	if (ret == 0)
		ret = PYI_FAULT(581, ENOSPC)
			      ? -errno
			      : bpf_map_update_elem(maps->contract_code, &body, &code, BPF_ANY);
	return ret < 0 ? pyi_err_sys(err, -ret, "cannot write the contracts") : 0;
}

static bool is_same_net(const struct pyi_abi_contract_net *a, const struct pyi_abi_contract_net *b)
{
	return memcmp(a->addr, b->addr, sizeof(a->addr)) == 0 &&
	       memcmp(a->mask, b->mask, sizeof(a->mask)) == 0 && a->port_min == b->port_min &&
	       a->port_max == b->port_max && a->protos == b->protos;
}

/* The counter of this pattern: the one it has, or a new one; -ENOSPC when there is none left. */
static int find_slot(struct pyi_abi_contract_code *code, const struct pyi_contract_pattern *pattern)
{
	uint16_t events = (uint16_t)PYI_EV_BIT(pattern->event);
	struct pyi_abi_contract_net net;
	uint8_t slot = 0;

	make_net(pattern, 0, &net);
	for (uint32_t i = 0; i < code->n_nets; i++)
		if (is_same_net(&code->nets[i], &net) && code->slot_events[code->nets[i].slot] == events)
			return code->nets[i].slot;
	while (slot < PYI_CONTRACT_SLOTS && code->slot_events[slot])
		slot++;
	if (slot == PYI_CONTRACT_SLOTS || code->n_nets == PYI_CONTRACT_NETS)
		return -ENOSPC;
	net.slot = slot;
	code->slot_events[slot] = events;
	code->nets[code->n_nets++] = net;
	return slot;
}

/*
 * Counters belong to the sandbox, and what is counted goes on over a reload: so the new code has every pattern that the
 * old one had in the same place, whether its contracts speak of it or not, and new ones in places that nothing was ever
 * counted in.
 */
static int follow(struct pyi_abi_contract_code *code, const struct pyi_plan *plan, struct pyi_err *err)
{
	const struct pyi_contract_set *set = plan->contracts;
	uint8_t places[PYI_CONTRACT_SLOTS] = { 0 };

	code->n_ops = 0;
	code->events = 0;
	memset(code->ops, 0, sizeof(code->ops));
	for (size_t i = 0; set && i < set->n_patterns; i++) {
		int slot = find_slot(code, &set->patterns[i]);

		if (slot < 0)
			return pyi_err_set(err, ENOSPC,
					   "contracts: no counter is left for '%s': a running sandbox can have %d "
					   "patterns in all: spawn it again",
					   set->patterns[i].text, PYI_CONTRACT_SLOTS);
		places[i] = (uint8_t)slot;
	}
	for (size_t i = 0; set && i < set->n; i++)
		code->events |= set->v[i].events;
	for (size_t i = 0; set && i < set->n_ops; i++) {
		struct pyi_abi_contract_op *op = &code->ops[code->n_ops++];

		*op = set->ops[i];
		if (op->field >= PYI_VALUE_SLOTS && op->field < PYI_VALUE_SLOTS + PYI_CONTRACT_SLOTS)
			op->field = (uint8_t)(PYI_VALUE_SLOTS + places[op->field - PYI_VALUE_SLOTS]);
	}
	code->is_final = plan->policy->on_violation != PYI_VIOLATION_ERRNO;
	return 0;
}

int pyi_bpf_contract_follow(struct pyi_bpf_maps *maps, uint64_t cgroup_id, uint64_t old_body,
			    uint64_t body, const struct pyi_plan *plan, struct pyi_err *err)
{
	struct pyi_abi_contract_code code = { 0 };
	int ret = pyi_bpf_pins_open_contracts(maps);

	if (ret < 0)
		return pyi_err_sys(err, -ret, "cannot open the BPF maps of contracts");
	if (bpf_map_lookup_elem(maps->contract_code, &old_body, &code) < 0) {
		if (!plan->contracts)
			return 0;
		memset(&code, 0, sizeof(code));
	}
	ret = follow(&code, plan, err);
	if (ret < 0)
		return ret;
	ret = put_state(maps, cgroup_id, BPF_NOEXIST);
	if (ret == 0 || ret == -EEXIST)
		ret = bpf_map_update_elem(maps->contract_code, &body, &code, BPF_ANY);
	return ret < 0 ? pyi_err_sys(err, -ret, "cannot write the contracts") : 1;
}

void pyi_bpf_contract_remove(struct pyi_bpf_maps *maps,
			     int (*is_due)(uint64_t body, const void *arg), const void *arg)
{
	uint64_t key = 0, next;
	bool first = true, is_due_now = false;

	if (pyi_bpf_pins_open_contracts(maps) < 0)
		return;
	/* One behind the walk: deleting the key it stands on would start it over. */
	for (;;) {
		bool more = bpf_map_get_next_key(maps->contract_code, first ? NULL : &key, &next) == 0;

		if (is_due_now)
			bpf_map_delete_elem(maps->contract_code, &key);
		if (!more)
			return;
		key = next;
		first = false;
		is_due_now = is_due(key, arg) != 0;
	}
}

void pyi_bpf_contract_delete(struct pyi_bpf_maps *maps, const uint64_t *cgroup_ids, size_t n)
{
	struct pyi_bpf_groups groups = { cgroup_ids, n };

	if (!n)
		return;
	pyi_bpf_contract_remove(maps, pyi_bpf_is_of_groups, &groups);
	for (size_t i = 0; i < n && maps->contract_state >= 0; i++)
		bpf_map_delete_elem(maps->contract_state, &cgroup_ids[i]);
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
