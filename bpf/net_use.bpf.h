/* SPDX-License-Identifier: (MIT OR GPL-2.0-only) */
/*
 * How much a sandbox sends and receives, and what is too much or too fast; part of the cgroup programs. A packet
 * belongs to the sandbox that its socket was made in. Only a sandbox with network rules has a row; one without has
 * no sockets and never gets here. A TCP socket outlives its process while there is something left to send: with a
 * limit its row stays until that is over, and without a row there is nothing to hold.
 *
 * Of several CPUs that count at the same time none may get past the limit, so the row has a lock. The rate is a
 * bucket that holds a second's worth, kept as the time until which it is paid for: a packet may pass when that is
 * not in the future, and moves it on by its own length. So in any t seconds at most rate * (t + 1) bytes and one
 * packet pass.
 */
#ifndef PYI_NET_USE_BPF_H
#define PYI_NET_USE_BPF_H

#define NET_LEVELS_MAX 16
#define SECOND_NS      1000000000ull

/* A sandbox with network each, and for some minutes those that have ended and had a limit. */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 65536);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, __u64);
	__type(value, struct pyi_abi_net_use);
} net_use SEC(".maps");

enum { NET_PASS, NET_OVER_LIMIT, NET_TOO_FAST };

static __always_inline struct pyi_abi_net_use *find_net_use(struct __sk_buff *skb)
{
	__u64 id = bpf_skb_cgroup_id(skb);
	struct pyi_abi_net_use *use = bpf_map_lookup_elem(&net_use, &id);

	for (int level = 1; !use && level < NET_LEVELS_MAX; level++) {
		id = bpf_skb_ancestor_cgroup_id(skb, level);
		if (!id)
			break;
		use = bpf_map_lookup_elem(&net_use, &id);
	}
	return use;
}

/* The verdict, and what it does to the row. Under its lock. */
static __always_inline int charge(struct pyi_abi_net_use *use, __u64 bytes, __u64 now)
{
	__u64 used = use->rx_bytes + use->tx_bytes;

	if (use->limit_bytes && (used >= use->limit_bytes || bytes > use->limit_bytes - used)) {
		use->dropped_packets++;
		if (!use->limit_ns)
			use->limit_ns = now;
		return NET_OVER_LIMIT;
	}
	if (use->rate_bytes) {
		if (use->paid_ns + SECOND_NS < now)
			use->paid_ns = now - SECOND_NS;
		if (use->paid_ns > now) {
			use->delayed_packets++;
			return NET_TOO_FAST;
		}
		use->paid_ns += bytes * SECOND_NS / use->rate_bytes;
	}
	return NET_PASS;
}

static __always_inline int count_packet(struct __sk_buff *skb, int is_sent)
{
	__u64 bytes = skb->len, packets = skb->gso_segs ? skb->gso_segs : 1, now;
	struct pyi_abi_net_use *use = find_net_use(skb);
	int verdict;

	if (!use)
		return NET_PASS;
	now = bpf_ktime_get_ns();
	bpf_spin_lock(&use->lock);
	verdict = charge(use, bytes, now);
	if (verdict == NET_PASS && is_sent) {
		use->tx_bytes += bytes;
		use->tx_packets += packets;
	} else if (verdict == NET_PASS) {
		use->rx_bytes += bytes;
		use->rx_packets += packets;
	}
	bpf_spin_unlock(&use->lock);
	return verdict;
}

/*
 * 0 drops and the call fails with EPERM. 2 drops as a full queue does: TCP slows down and tries again, of a datagram
 * nobody is told.
 */
SEC("cgroup_skb/egress")
int on_egress(struct __sk_buff *skb)
{
	switch (count_packet(skb, 1)) {
	case NET_PASS:
		return 1;
	case NET_OVER_LIMIT:
		return 0;
	default:
		return 2;
	}
}

#endif
