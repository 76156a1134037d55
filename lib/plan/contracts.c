/* SPDX-License-Identifier: MIT */
/*
 * Contracts: whatever the mode, each is enforced or the run refused. Where nothing can happen that a contract speaks of
 * (no network is granted, and it is about the network), it holds without anybody's help.
 */
#include <errno.h>

#include "base/err.h"
#include "plan/build.h"
#include "policy/contract.h"

static int check(struct pyi_build *b, size_t i, struct pyi_err *err)
{
	const struct pyi_contract *contract = &b->policy->contracts->v[i];
	const struct pyi_layer_status *lsm = &b->plan->layers[PYI_LAYER_BPF_LSM];
	char origin[PYI_ORIGIN_MAX];

	if (!(contract->events & PYI_EV_LSM))
		return 0;
	if (b->plan->use_bpf_lsm)
		return 0;
	pyi_build_lsm_is_off(b);
	return pyi_err_set(
		err, EOPNOTSUPP,
		"%s: contract '%.300s' cannot be enforced: %s counted by the %s layer (%s): %s",
		pyi_build_origin(&contract->from, origin), contract->text,
		contract->events & (PYI_EV_FS_ALL | PYI_EV_BYTES) ? "files are" : "programs are",
		pyi_layer_name(PYI_LAYER_BPF_LSM), lsm->why,
		pyi_layer_advice(PYI_LAYER_BPF_LSM, b->facts));
}

int pyi_build_contracts(struct pyi_build *b, struct pyi_err *err)
{
	const struct pyi_contract_set *set = b->policy->contracts;

	for (size_t i = 0; set && i < set->n; i++) {
		int r = check(b, i, err);

		if (r)
			return r;
		if (set->v[i].events & PYI_EV_BYTES)
			b->plan->counts_bytes = true;
	}
	if (set && (b->plan->n_net || b->plan->use_bpf_lsm))
		b->plan->contracts = set;
	return 0;
}
