/* SPDX-License-Identifier: MIT */
/*
 * Contracts: whatever the mode, each is enforced or the run refused. Where nothing can happen that a contract speaks of
 * (no network is granted, and it is about the network), it holds without anybody's help.
 */
#include <errno.h>

#include "base/err.h"
#include "plan/build.h"
#include "policy/contract.h"

static int refuse(const struct pyi_contract *contract, uint32_t missing, struct pyi_err *err)
{
	bool is_lsm = missing & (PYI_EV_FS_ALL | PYI_EV_EXEC_ALL);
	char origin[PYI_ORIGIN_MAX];

	return pyi_err_set(err, EOPNOTSUPP,
			   "%s: contract '%.300s' cannot be enforced: %s counted by the %s layer, which does "
			   "not do so in this version: take it out, or forbid by rules",
			   pyi_build_origin(&contract->from, origin), contract->text,
			   missing & PYI_EV_FS_ALL     ? "files are"
			   : missing & PYI_EV_EXEC_ALL ? "programs are"
						       : "connections are",
			   pyi_layer_name(is_lsm ? PYI_LAYER_BPF_LSM : PYI_LAYER_BPF_CGROUP));
}

int pyi_build_contracts(struct pyi_build *b, struct pyi_err *err)
{
	const struct pyi_contract_set *set = b->policy->contracts;

	for (size_t i = 0; set && i < set->n; i++)
		if (set->v[i].events & ~PYI_EV_COUNTED)
			return refuse(&set->v[i], set->v[i].events & ~PYI_EV_COUNTED, err);
	if (set && b->plan->n_net)
		b->plan->contracts = set;
	return 0;
}
