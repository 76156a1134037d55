/* SPDX-License-Identifier: (MIT OR GPL-2.0-only) */
/*
 * The contracts of the caller's sandbox, for every program that sees something happen. What a rule refuses is reported
 * too (PYI_EV_*_DENIED): that does not change its fate, but contracts may speak of it.
 */
#ifndef PYI_CONTRACT_BPF_H
#define PYI_CONTRACT_BPF_H

#include <linux/bpf.h>
#include <linux/types.h>

#include <bpf/bpf_helpers.h>

#include "pyi_abi.h"

/* A sandbox with contracts each. */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 16384);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, __u64);
	__type(value, struct pyi_abi_contract_code);
} contract_code SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 16384);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, __u64);
	__type(value, struct pyi_abi_contract_state);
} contract_state SEC(".maps");

/* What is happening. */
struct contract_event {
	__u64 cgroup;
	__u64 body;
	__u32 events; /* PYI_EV_BIT()s */
	__u32 slots; /* paths: the patterns that count this one, a bit each, whatever they count of it */
	__u32 gone;    /* and what is deleted, where it has another name: a rename */
	__u32 addr[4]; /* of network events that have one */
	__u16 port;
	__u8 protos; /* 1 TCP, 2 UDP; 0: there is no address */
	__u8 zero;
	__u64 bytes; /* of PYI_EV_BYTES, one of which is the only event then; at most PYI_CONTRACT_VALUE_MAX */
};

/* Count, or take back: `step` is 1 or -1. */
static __always_inline void contract_count(struct pyi_abi_contract_state *state, __u32 events, __s64 step)
{
	volatile struct pyi_abi_contract_scratch *s = &state->scratch;

#pragma clang loop unroll(disable)
	for (__u32 i = 0; i < PYI_EV_MAX; i++)
		if (events >> i & 1)
			state->values[i] += step;
#pragma clang loop unroll(disable)
	for (__u32 i = 0; i < PYI_CONTRACT_SLOTS; i++)
		if (s->slots >> i & 1)
			state->values[PYI_VALUE_SLOTS + i] += step;
}

/* The counters with an address that count this. */
static __always_inline void contract_match(const struct pyi_abi_contract_code *code,
					   struct pyi_abi_contract_state *state,
					   const struct contract_event *e)
{
	volatile struct pyi_abi_contract_scratch *s = &state->scratch;

#pragma clang loop unroll(disable)
	for (__u32 i = 0; i < PYI_CONTRACT_NETS; i++) {
		const struct pyi_abi_contract_net *net = &code->nets[i];
		__u32 slot = net->slot & (PYI_CONTRACT_SLOTS - 1), differs;

		if (i >= code->n_nets)
			break;
		differs = ((e->addr[0] ^ net->addr[0]) & net->mask[0]) |
			  ((e->addr[1] ^ net->addr[1]) & net->mask[1]) |
			  ((e->addr[2] ^ net->addr[2]) & net->mask[2]) |
			  ((e->addr[3] ^ net->addr[3]) & net->mask[3]);
		if (!differs && code->slot_events[slot] & e->events && net->protos & e->protos &&
		    e->port >= net->port_min && e->port <= net->port_max)
			s->slots |= 1u << slot;
	}
}

/* The counters with a path that count this. */
static __always_inline void contract_match_paths(const struct pyi_abi_contract_code *code,
						 struct pyi_abi_contract_state *state,
						 const struct contract_event *e)
{
	volatile struct pyi_abi_contract_scratch *s = &state->scratch;

#pragma clang loop unroll(disable)
	for (__u32 i = 0; i < PYI_CONTRACT_SLOTS; i++) {
		__u32 counts = code->slot_events[i] & e->events;
		__u32 slots = counts & PYI_EV_BIT(PYI_EV_DELETE) ? e->gone : e->slots;

		if (counts && slots >> i & 1)
			s->slots |= 1u << i;
	}
}

static __always_inline __s64 *contract_bytes(struct pyi_abi_contract_state *state, __u32 events)
{
	return &state->values[PYI_EV_BYTES_WRITTEN + (events >> PYI_EV_BYTES_READ & 1)];
}

/* 0, or 1 + the contract that forbids it. Under the lock. */
static __always_inline __u32 contract_decide(const struct pyi_abi_contract_code *code,
					     struct pyi_abi_contract_state *state,
					     const struct contract_event *e, __s64 elapsed_ms)
{
	volatile struct pyi_abi_contract_scratch *s = &state->scratch;
	__s64 *bytes = contract_bytes(state, e->events), before = *bytes;
	__u32 events = e->events & ~PYI_EV_BYTES, broken;

	if (code->is_final && state->broken_by) {
		state->broken++;
		return state->broken_by;
	}
	s->slots = 0;
	if (e->slots | e->gone)
		contract_match_paths(code, state, e);
	if (e->protos)
		contract_match(code, state, e);
	state->values[PYI_VALUE_ELAPSED] = elapsed_ms;
	state->values[PYI_VALUE_PORT] = e->port;
	contract_count(state, events, 1);
	/* Once it is too large nothing more is added; without a branch, for the verifier's sake. */
	*bytes = before + ((__s64)e->bytes & (before - PYI_CONTRACT_VALUE_MAX) >> 63);
	broken = (__u32)(pyi_contract_eval(code, state->values, e->events, s) + 1);
	if (!broken)
		return 0;
	if (!(e->events & PYI_EV_DENIALS))
		contract_count(state, events, -1);
	*bytes = before;
	state->broken++;
	if (!state->broken_by)
		state->broken_by = broken;
	return broken;
}

/*
 * For a sandbox with PYI_ASSIGN_CONTRACTS: 0 when its contracts allow this, which is counted then; else what
 * pyi_abi_event.contract is to say. The caller denies and records it. Not static: so it is verified once for a program,
 * and not for each way to it.
 */
__noinline __u32 contract_judge(const struct contract_event *asked)
{
	const struct pyi_abi_contract_code *code;
	struct pyi_abi_contract_state *state;
	struct contract_event e;
	__s64 elapsed_ms = 0;
	__u64 now;
	__u32 ret;

	if (!asked)
		return PYI_CONTRACT_LOST;
	e = *asked;
	code = bpf_map_lookup_elem(&contract_code, &e.body);
	state = bpf_map_lookup_elem(&contract_state, &e.cgroup);
	if (!code || !state)
		return PYI_CONTRACT_LOST;
	now = bpf_ktime_get_ns();
	if (now > state->start_ns)
		elapsed_ms = (__s64)((now - state->start_ns) / 1000000);
	bpf_spin_lock(&state->lock);
	ret = contract_decide(code, state, &e, elapsed_ms);
	bpf_spin_unlock(&state->lock);
	return ret;
}

#endif
