/* SPDX-License-Identifier: (MIT OR GPL-2.0-only) */
/* Addresses: the rows that allow them, and the decision; shared by the cgroup programs and the LSM programs. */
#ifndef PYI_NET_BPF_H
#define PYI_NET_BPF_H

#include <bpf/bpf_endian.h>

#include "contract.bpf.h"
#include "subject.bpf.h"

#define AF_INET	    2
#define AF_INET6    10
#define SOCK_STREAM 1
#define SOCK_DGRAM  2
#define IPPROTO_TCP 6
#define IPPROTO_UDP 17

#define LOOPBACK4   0x7f000001

/* PYI_NET_ROWS_MAX rows for each of 1024 sandboxes with the longest of lists; most have a handful. */
struct {
	__uint(type, BPF_MAP_TYPE_LPM_TRIE);
	__uint(max_entries, 1 << 20);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, struct pyi_abi_net_key);
	__type(value, struct pyi_abi_net_value);
} net_rows SEC(".maps");

/* An address as the rows have it. */
struct target {
	__u32 addr[4]; /* network order */
	__u16 port;    /* host order */
	__u8 use;
	__u8 family;
	__u8 event;   /* PYI_EV_* */
	__u8 is_part; /* there is another question about the same call: contracts wait for that */
};

/* The range that allows it, or NULL. */
static __always_inline const struct pyi_abi_net_range *find_range(const struct subject *who,
								  const struct target *to)
{
	struct pyi_abi_net_key key = { .prefix_len = PYI_ABI_BODY_BITS + 128 };
	const struct pyi_abi_net_value *row;

	__builtin_memcpy(key.body, &who->body, sizeof(key.body));
	__builtin_memcpy(key.addr, to->addr, sizeof(key.addr));
	row = bpf_map_lookup_elem(&net_rows, &key);
	if (!row)
		return 0;
	for (__u32 i = 0; i < PYI_ABI_RANGES; i++) {
		const struct pyi_abi_net_range *r = &row->ranges[i];

		if (i >= row->n)
			break;
		if (r->uses & to->use && to->port >= r->port_min && to->port <= r->port_max)
			return r;
	}
	return 0;
}

static __always_inline __u8 proto_of(const struct target *to)
{
	return to->use & (PYI_USE_CONNECT_TCP | PYI_USE_BIND_TCP) ? 1 : 2;
}

/* After the rules: what the contracts say of it. 0, or as contract_judge(). */
static __always_inline __u8 ask_contracts(const struct subject *who, const struct target *to,
					  int is_allowed)
{
	struct contract_event e = { .cgroup = who->cgroup, .body = who->body };

	if (!(who->flags & PYI_ASSIGN_CONTRACTS) || (is_allowed && to->is_part))
		return 0;
	e.events = is_allowed ? PYI_EV_BIT(to->event) : PYI_EV_BIT(PYI_EV_NET_DENIED);
	e.protos = proto_of(to);
	e.port = to->port;
	__builtin_memcpy(e.addr, to->addr, sizeof(e.addr));
	return (__u8)contract_judge(&e);
}

/* The same of a socket that is made, which has no address. */
static __always_inline __u8 ask_about_socket(const struct subject *who, int is_allowed)
{
	struct contract_event e = { .cgroup = who->cgroup, .body = who->body };

	if (!(who->flags & PYI_ASSIGN_CONTRACTS))
		return 0;
	e.events = PYI_EV_BIT(is_allowed ? PYI_EV_SOCKET : PYI_EV_NET_DENIED);
	return (__u8)contract_judge(&e);
}

static __always_inline void record_target(const struct subject *who, const struct target *to,
					  int is_warning, __u16 rule, __u8 contract)
{
	struct pyi_abi_event event = { .contract = contract };

	event.op = to->use & (PYI_USE_CONNECT_TCP | PYI_USE_CONNECT_UDP) ? PYI_EVENT_CONNECT
									 : PYI_EVENT_BIND;
	event.proto = proto_of(to);
	event.is_warning = (__u8)is_warning;
	event.family = to->family;
	event.port = to->port;
	event.rule = rule;
	event.era = era_of(who);
	event.pid = current_pid();
	__builtin_memcpy(event.addr, to->addr, sizeof(event.addr));
	record(who->cgroup, &event, 0);
}

#endif
