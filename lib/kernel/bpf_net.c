/* SPDX-License-Identifier: MIT */
/* What a sandbox with network has sent and received, and its limits: the rows of net_use. See bpf.h. */
#include <bpf/bpf.h>
#include <errno.h>
#include <linux/bpf.h>
#include <stdbool.h>
#include <time.h>

#include "base/err.h"
#include "base/fault.h"
#include "kernel/bpf.h"
#include "kernel/bpf_pins.h"
#include "policy/policy.h"
#include "pyi_abi.h"

enum { SWEEP_EVERY = 64 };

/* TCP gives up on a socket without a process after some two minutes of trying. */
static const uint64_t linger_ns = 600ull * 1000000000;

static uint64_t now_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000000000 + (uint64_t)now.tv_nsec;
}

/* One row of a cgroup that is gone: seen so for the first time, or for long enough. True: it is to go. */
static bool has_lingered(int map, uint64_t cgroup_id, uint64_t now, bool is_full)
{
	struct pyi_abi_net_use use = { 0 };

	if (bpf_map_lookup_elem_flags(map, &cgroup_id, &use, BPF_F_LOCK) < 0)
		return false;
	if (use.ended_ns)
		return now - use.ended_ns >= linger_ns || (is_full && !use.limit_ns);
	use.ended_ns = now;
	(void)bpf_map_update_elem(map, &cgroup_id, &use, BPF_EXIST | BPF_F_LOCK);
	return false;
}

/* is_full: those that never got near their limit need not linger. */
static void sweep(int map, int v2_fd, bool is_full)
{
	uint64_t key = 0, next, now = now_ns();
	bool first = true, is_due = false;

	/* One behind the walk: deleting the key it stands on would start it over. */
	for (;;) {
		bool more = bpf_map_get_next_key(map, first ? NULL : &key, &next) == 0;

		if (is_due)
			bpf_map_delete_elem(map, &key);
		if (!more)
			return;
		key = next;
		first = false;
		is_due = !pyi_bpf_cgroup_exists(v2_fd, key) && has_lingered(map, key, now, is_full);
	}
}

int pyi_bpf_net_put(struct pyi_bpf_maps *maps, int v2_fd, uint64_t cgroup_id,
		    const struct pyi_limits *limits)
{
	struct pyi_abi_net_use use = { .limit_bytes = limits->net_bytes, .rate_bytes = limits->net_rate };
	int ret = pyi_bpf_pins_open_net(maps);

	if (ret < 0)
		return ret;
	if (cgroup_id % SWEEP_EVERY == 0)
		sweep(maps->net_use, v2_fd, false);
	ret = PYI_FAULT(570, ENOSPC) ? -errno
				     : bpf_map_update_elem(maps->net_use, &cgroup_id, &use, BPF_ANY);
	if (ret != -E2BIG)
		return ret;
	sweep(maps->net_use, v2_fd, false); /* all that is dead is marked now */
	sweep(maps->net_use, v2_fd, true);
	return bpf_map_update_elem(maps->net_use, &cgroup_id, &use, BPF_ANY);
}

void pyi_bpf_net_end(struct pyi_bpf_maps *maps, uint64_t cgroup_id)
{
	struct pyi_abi_net_use use = { 0 };

	if (pyi_bpf_pins_open_net(maps) == 0 &&
	    bpf_map_lookup_elem(maps->net_use, &cgroup_id, &use) == 0 && !use.limit_bytes &&
	    !use.rate_bytes)
		bpf_map_delete_elem(maps->net_use, &cgroup_id);
}

int pyi_bpf_net_get(struct pyi_bpf_maps *maps, uint64_t cgroup_id, struct pyi_bpf_net *ret_net)
{
	struct pyi_abi_net_use use = { 0 };
	int ret = pyi_bpf_pins_open_net(maps);

	if (ret == 0)
		ret = bpf_map_lookup_elem_flags(maps->net_use, &cgroup_id, &use, BPF_F_LOCK);
	if (ret < 0)
		return ret;
	*ret_net = (struct pyi_bpf_net){
		.rx_bytes = use.rx_bytes,
		.rx_packets = use.rx_packets,
		.tx_bytes = use.tx_bytes,
		.tx_packets = use.tx_packets,
		.dropped_packets = use.dropped_packets,
		.delayed_packets = use.delayed_packets,
		.limit_us = use.limit_ns / 1000,
	};
	return 0;
}
