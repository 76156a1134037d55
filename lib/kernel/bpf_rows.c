/* SPDX-License-Identifier: MIT */
/* See bpf_rows.h. */
#include "kernel/bpf_rows.h"

#include <assert.h>
#include <bpf/bpf.h>
#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "base/err.h"
#include "base/fault.h"
#include "base/util.h"
#include "kernel/bpf_pins.h"
#include "plan/plan.h"
#include "pyi_abi.h"

static_assert((int)PYI_ABI_RANGES == (int)PYI_NET_RANGES_MAX, "ranges of a row");

static void make_row(const struct pyi_net_row *row, uint64_t body, struct pyi_abi_net_key *key,
		     struct pyi_abi_net_value *value)
{
	*key = (struct pyi_abi_net_key){ .prefix_len = PYI_ABI_BODY_BITS + row->prefix_len };
	memcpy(key->body, &body, sizeof(key->body));
	memcpy(key->addr, row->addr, sizeof(key->addr));
	*value = (struct pyi_abi_net_value){ .n = row->n_ranges };
	for (size_t i = 0; i < row->n_ranges; i++) {
		const struct pyi_net_range *from = &row->ranges[i];

		value->ranges[i] = (struct pyi_abi_net_range){
			.port_min = from->port_min,
			.port_max = from->port_max,
			.uses = from->ops_protos,
			.is_warn = from->is_warn,
			.rule = from->rule,
		};
	}
}

int pyi_bpf_rows_put(const struct pyi_bpf_maps *maps, uint64_t body, const struct pyi_plan *plan,
		     struct pyi_abi_net_key **ret_keys, size_t *ret_n, struct pyi_err *err)
{
	struct pyi_abi_net_key *keys;

	*ret_keys = NULL;
	*ret_n = 0;
	if (!plan->n_net)
		return 0;
	keys = *ret_keys = calloc(plan->n_net, sizeof(*keys));
	if (!keys)
		return pyi_err_nomem(err);
	for (size_t i = 0; i < plan->n_net; i++) {
		struct pyi_abi_net_value value;
		int ret;

		if (plan->net[i].n_ranges > PYI_NET_RANGES_MAX || plan->net[i].prefix_len > 128)
			return pyi_err_set(err, EINVAL, "a network row is malformed");
		make_row(&plan->net[i], body, &keys[i], &value);
		*ret_n = i + 1;
		ret = PYI_FAULT(501, ENOSPC)
			      ? -errno
			      : bpf_map_update_elem(maps->net_rows, &keys[i], &value, BPF_ANY);
		if (ret < 0)
			return pyi_err_sys(err, -ret, "cannot write a network row");
	}
	return 0;
}

void pyi_bpf_rows_take_back(const struct pyi_bpf_maps *maps, const struct pyi_abi_net_key *keys, size_t n)
{
	for (size_t i = 0; i < n; i++)
		bpf_map_delete_elem(maps->net_rows, &keys[i]);
}

/*
 * A trie has no other order than its own, so this walks all of it; where a row is deleted under the walk, the walk
 * starts over, hence first the keys, then the deleting.
 */
void pyi_bpf_rows_remove(const struct pyi_bpf_maps *maps,
			 int (*is_due)(uint64_t body, const void *arg), const void *arg)
{
	_cleanup_free struct pyi_abi_net_key *found = NULL;
	struct pyi_abi_net_key key, next;
	size_t n = 0, cap = 0;
	bool first = true;

	while (bpf_map_get_next_key(maps->net_rows, first ? NULL : &key, &next) == 0) {
		uint64_t body;

		first = false;
		key = next;
		memcpy(&body, key.body, sizeof(body));
		if (!is_due(body, arg))
			continue;
		if (n == cap) {
			struct pyi_abi_net_key *more;

			cap = cap ? cap * 2 : 64;
			more = reallocarray(found, cap, sizeof(*found));
			if (!more)
				break; /* the next sweep finds the rest: the assignment is still there */
			found = more;
		}
		found[n++] = key;
	}
	pyi_bpf_rows_take_back(maps, found, n);
}

int pyi_bpf_is_of_groups(uint64_t body, const void *arg)
{
	const struct pyi_bpf_groups *groups = arg;

	for (size_t i = 0; i < groups->n; i++)
		if (groups->ids[i] == (body & PYI_ABI_BODY_CGROUP))
			return 1;
	return 0;
}
