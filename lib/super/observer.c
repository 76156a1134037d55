/* SPDX-License-Identifier: MIT */
/* See observer.h. */
#include "super/observer.h"

#include <stdlib.h>

#include "base/err.h"
#include "kernel/bpf.h"
#include "kernel/cgroup.h"
#include "plan/plan.h"
#include "super/cpu_guard.h"
#include "super/watch.h"

/*
 * By then packets are dropped, and whatever contracts speak of is denied: this is only how soon the run ends.
 */
enum { NET_LOOK_US = 50000, CONTRACT_LOOK_US = 5000 };

struct pyi_observer {
	struct pyi_cgroup *cgroup;
	struct pyi_bpf *bpf; /* NULL: nothing to look at there */
	struct pyi_bpf_net net;
	uint64_t net_us;	     /* the next look at it; 0: none */
	uint64_t contract_us;	     /* the next look at contracts that end the guest; 0: none */
	struct pyi_cpu_guard *guard; /* NULL: without */
	uint64_t guard_us;	     /* when it is due; 0: it is made, or never will be */
};

static int make_guard(struct pyi_observer *observer, const struct pyi_plan *plan,
		      struct pyi_cgroup *cgroup, bool must_guard, struct pyi_err *err)
{
	if (!plan->use_bpf_perf)
		return 0;
	observer->guard = pyi_cpu_guard_new(cgroup, plan->limits.cpu_time_ms);
	if (!observer->guard)
		return pyi_err_nomem(err);
	if (must_guard && pyi_cpu_guard_make(observer->guard, err) < 0)
		return pyi_err_add(err, "--require bpf-perf");
	return 0;
}

int pyi_observer_new(const struct pyi_plan *plan, struct pyi_cgroup *cgroup, struct pyi_bpf *bpf,
		     bool must_guard, struct pyi_observer **ret_observer, struct pyi_err *err)
{
	struct pyi_observer *observer = calloc(1, sizeof(*observer));
	int ret;

	if (!observer)
		return pyi_err_nomem(err);
	observer->cgroup = cgroup;
	observer->bpf = plan->n_net ? bpf : NULL;
	observer->net_us = observer->bpf && plan->limits.net_bytes;
	observer->contract_us = bpf && plan->contracts &&
				plan->policy->on_violation != PYI_VIOLATION_ERRNO;
	ret = make_guard(observer, plan, cgroup, must_guard, err);
	if (ret < 0) {
		pyi_observer_free(observer);
		return ret;
	}
	*ret_observer = observer;
	return 0;
}

void pyi_observer_free(struct pyi_observer *observer)
{
	if (!observer)
		return;
	pyi_cpu_guard_free(observer->guard);
	free(observer);
}

void pyi_observer_start(struct pyi_observer *observer, uint64_t now_us)
{
	if (observer->net_us)
		observer->net_us = now_us + NET_LOOK_US;
	if (observer->contract_us)
		observer->contract_us = now_us + CONTRACT_LOOK_US;
	if (observer->guard)
		observer->guard_us = now_us + pyi_cpu_guard_delay_us(observer->guard);
}

uint64_t pyi_observer_due_us(const struct pyi_observer *observer)
{
	return pyi_min_deadline(observer->guard_us,
				pyi_min_deadline(observer->net_us, observer->contract_us));
}

static void look_at_net(struct pyi_observer *observer)
{
	if (observer->bpf)
		(void)pyi_bpf_net(observer->bpf, pyi_cgroup_id(observer->cgroup), &observer->net);
}

static bool is_broken(struct pyi_observer *observer)
{
	struct pyi_bpf_contracts contracts;

	/* Rows that cannot be read are no reason to go on. */
	return pyi_bpf_contracts(observer->bpf, pyi_cgroup_id(observer->cgroup), &contracts) < 0 ||
	       contracts.broken;
}

bool pyi_observer_look(struct pyi_observer *observer, uint64_t now_us, enum pyi_reason *ret_reason)
{
	bool goes_on = true;

	if (observer->net_us && now_us >= observer->net_us) {
		observer->net_us = now_us + NET_LOOK_US;
		look_at_net(observer);
	}
	if (pyi_observer_net_is_spent(observer)) {
		*ret_reason = PYI_REASON_NET_BYTES;
		goes_on = false;
	}
	if (observer->contract_us && now_us >= observer->contract_us) {
		observer->contract_us = now_us + CONTRACT_LOOK_US;
		if (is_broken(observer)) {
			observer->contract_us = 0;
			*ret_reason = PYI_REASON_POLICY;
			goes_on = false;
		}
	}
	if (observer->guard_us && now_us >= observer->guard_us) {
		observer->guard_us = 0;
		pyi_cpu_guard_begin(observer->guard);
	}
	return goes_on;
}

void pyi_observer_end(struct pyi_observer *observer)
{
	if (observer->guard)
		pyi_cpu_guard_end(observer->guard);
	look_at_net(observer);
}

bool pyi_observer_net_is_spent(const struct pyi_observer *observer)
{
	return observer->net.limit_us;
}

bool pyi_observer_cpu_is_spent(const struct pyi_observer *observer)
{
	return observer->guard && pyi_cpu_guard_is_spent(observer->guard);
}

void pyi_observer_tell(const struct pyi_observer *observer, struct pyi_result *result)
{
	const struct pyi_bpf_net *net = &observer->net;

	result->net = (struct pyi_result_net){
		.rx_bytes = net->rx_bytes,
		.rx_packets = net->rx_packets,
		.tx_bytes = net->tx_bytes,
		.tx_packets = net->tx_packets,
		.dropped_packets = net->dropped_packets,
		.delayed_packets = net->delayed_packets,
	};
	if (observer->guard)
		pyi_cpu_guard_tell(observer->guard, &result->layers[PYI_LAYER_BPF_PERF]);
}
