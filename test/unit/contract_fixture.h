/* SPDX-License-Identifier: MIT */
/* What the tests of contracts share: a box with one contract, and what became of it. */
#ifndef PYI_TEST_CONTRACT_FIXTURE_H
#define PYI_TEST_CONTRACT_FIXTURE_H

#include "lsm_fixture.h"

#include "policy/contract.h"
#include "policy/policy.h"

static struct pyi_policy *policy; /* of the box that was opened last */

/* A box whose paths are the fixture's and whose only contract is this one; '@' in it is the tree's directory. */
static inline void open_contract_box(struct box *box, const char *contract)
{
	struct pyi_limits limits = { .pids = 64 };
	struct pyi_plan plan = { .use_bpf_lsm = true, .guest = PYI_GUEST_COMMAND };
	struct pyi_err err = { 0 };
	char text[2 * PATH_MAX];
	size_t n;

	need_lsm();
	make_tree();
	n = (size_t)snprintf(text, sizeof(text), "version: 1\ncontracts:\n  - '");
	for (const char *p = contract; *p; p++)
		n += (size_t)(*p == '@' ? snprintf(text + n, sizeof(text) - n, "%s", top)
					: snprintf(text + n, sizeof(text) - n, "%c", *p));
	snprintf(text + n, sizeof(text) - n, "'\n");
	if (pyi_policy_parse("p.yml", text, strlen(text), &policy, NULL, &err))
		fail_msg("%s", err.msg);
	plan.policy = policy;
	plan.contracts = policy->contracts;
	plan.counts_bytes = policy->contracts->v[0].events & PYI_EV_BYTES;
	plan.paths = make_paths(0, policy->contracts);
	if (pyi_cgroup_new(&facts, &limits, &box->cgroup, &err) ||
	    pyi_bpf_assign(bpf, box->id = pyi_cgroup_id(box->cgroup), &plan, &err))
		fail_msg("%s", err.msg);
	assert_int_equal(pyi_bpf_arm(bpf), 0);
	pyi_dfa_free(plan.paths);
}

/* That so many calls were refused by the contract, and each is recorded as its doing. */
static inline void close_contract_box(struct box *box, uint64_t broken, unsigned int counter,
				      uint64_t count)
{
	struct pyi_bpf_contracts contracts = { 0 };
	uint64_t recorded = 0;

	read_events(box);
	for (size_t i = 0; i < n_events; i++)
		recorded += events[i].contract == 1;
	assert_int_equal(pyi_bpf_contracts(bpf, box->id, &contracts), 0);
	assert_int_equal(contracts.broken, broken);
	if (counter < PYI_BPF_COUNTERS)
		assert_int_equal(contracts.counters[counter], count);
	assert_int_equal(recorded, broken);
	close_box(box);
	pyi_policy_free(policy);
	policy = NULL;
}

static inline int at_top(const char *name, char path[PATH_MAX])
{
	return snprintf(path, PATH_MAX, "%s/%s", top, name);
}

static inline int do_open(const char *name, int flags)
{
	char path[PATH_MAX];

	at_top(name, path);
	return close_or_errno(open(path, flags | O_CLOEXEC, 0600));
}

#endif
