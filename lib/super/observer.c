/* SPDX-License-Identifier: MIT */
/*
 * See observer.h. A run of a few milliseconds pays for none of this: the first look is after 20 ms, and what
 * happened before it is in the counters then. The times of what the kernel tells of are its own moments; those of
 * throttling, and of refused forks on v1, are of looks that grow rarer, for nothing tells of them.
 */
#include "super/observer.h"

#include <stdlib.h>

#include "base/err.h"
#include "base/util.h"
#include "kernel/bpf.h"
#include "kernel/cgroup.h"
#include "kernel/cgroup_alarm.h"
#include "plan/plan.h"
#include "report/profile.h"
#include "report/result.h"
#include "super/cpu_guard.h"
#include "super/event_stream.h"
#include "super/watch.h"

enum {
	/* By then packets are dropped, and whatever contracts speak of is denied: only how soon the run ends. */
	NET_LOOK_US = 50000,
	CONTRACT_LOOK_US = 5000,
	FIRST_LOOK_US = 20000,
	LAST_LOOK_US = 5000000, /* the longest between two */
};

struct pyi_observer {
	struct pyi_observer_setup setup;
	struct pyi_cgroup_alarm alarm;
	struct pyi_kernel_events events;
	struct pyi_kernel_events told; /* to the stream */
	struct pyi_profile *profile;   /* NULL: not asked for */
	uint64_t profile_us;	       /* each of these: when it is due; 0: it is not */
	uint64_t look_us;
	uint64_t look_wait_us; /* from one look to the next */
	uint64_t net_us;
	uint64_t contract_us; /* of contracts that end the guest */
	bool has_network;
	struct pyi_bpf_net net;
	uint64_t guard_us;
	struct pyi_cpu_guard *guard; /* NULL: without */
};

static int make_guard(struct pyi_observer *observer, struct pyi_err *err)
{
	const struct pyi_observer_setup *setup = &observer->setup;

	if (!setup->plan->use_bpf_perf)
		return 0;
	observer->guard = pyi_cpu_guard_new(setup->cgroup, setup->plan->limits.cpu_time_ms);
	if (!observer->guard)
		return pyi_err_nomem(err);
	if (setup->must_guard && pyi_cpu_guard_make(observer->guard, err) < 0)
		return pyi_err_add(err, "--require bpf-perf");
	return 0;
}

static int make_profile(struct pyi_observer *observer, struct pyi_err *err)
{
	if (!observer->setup.plan->profile)
		return 0;
	observer->profile = calloc(1, sizeof(*observer->profile));
	if (!observer->profile)
		return pyi_err_nomem(err);
	pyi_profile_init(observer->profile);
	return 0;
}

int pyi_observer_new(const struct pyi_observer_setup *setup, struct pyi_observer **ret_observer,
		     struct pyi_err *err)
{
	struct pyi_observer *observer = calloc(1, sizeof(*observer));
	int ret;

	if (!observer)
		return pyi_err_nomem(err);
	observer->setup = *setup;
	observer->alarm = (struct pyi_cgroup_alarm)PYI_CGROUP_ALARM_INIT;
	observer->has_network = setup->bpf && setup->plan->n_net;
	ret = make_profile(observer, err);
	if (ret == 0)
		ret = make_guard(observer, err);
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
	pyi_cgroup_alarm_close(&observer->alarm);
	free(observer->profile);
	free(observer);
}

void pyi_observer_start(struct pyi_observer *observer, uint64_t now_us)
{
	const struct pyi_plan *plan = observer->setup.plan;
	const struct pyi_limits *limits = &plan->limits;

	/* A guest that dies of its image is started once more. */
	pyi_cgroup_alarm_close(&observer->alarm);
	if (limits->memory_bytes || limits->pids || limits->cpu_permille)
		observer->look_us = now_us + FIRST_LOOK_US;
	observer->look_wait_us = FIRST_LOOK_US;
	if (observer->profile)
		observer->profile_us = now_us;
	if (observer->has_network && limits->net_bytes)
		observer->net_us = now_us + NET_LOOK_US;
	if (observer->setup.bpf && plan->contracts && plan->policy->on_violation != PYI_VIOLATION_ERRNO)
		observer->contract_us = now_us + CONTRACT_LOOK_US;
	if (observer->guard)
		observer->guard_us = now_us + pyi_cpu_guard_delay_us(observer->guard);
}

uint64_t pyi_observer_due_us(const struct pyi_observer *observer)
{
	const uint64_t due[] = { observer->guard_us, observer->net_us, observer->contract_us,
				 observer->look_us, observer->profile_us };
	uint64_t first = 0;

	for (size_t i = 0; i < PYI_ARRAY_SIZE(due); i++)
		first = pyi_min_deadline(first, due[i]);
	return first;
}

int pyi_observer_fd(const struct pyi_observer *observer)
{
	return observer->alarm.epoll_fd;
}

static void note(struct pyi_observer *observer, enum pyi_kernel_event_kind kind,
		 const struct pyi_kernel_event *event)
{
	bool is_new = !observer->events.v[kind].is_set;

	pyi_kernel_events_note(&observer->events, kind, event);
	if (!is_new)
		return;
	observer->told.v[kind] = *event;
	pyi_event_stream_kernel(observer->setup.stream, kind, event);
}

static void note_usage(struct pyi_observer *observer, const struct pyi_cgroup_usage *usage, uint64_t at_us)
{
	const struct pyi_limits *limits = &observer->setup.plan->limits;
	uint64_t quota_us = limits->cpu_time_ms * 1000;

	if (usage->oom_kills)
		note(observer, PYI_MEM_KILL,
		     &(struct pyi_kernel_event){ .at_us = at_us,
						 .count = usage->oom_kills,
						 .amount = usage->memory_peak_bytes,
						 .limit = limits->memory_bytes });
	if (usage->throttled_periods)
		note(observer, PYI_CPU_THROTTLE,
		     &(struct pyi_kernel_event){ .at_us = at_us,
						 .count = usage->throttled_periods,
						 .amount = usage->throttled_us,
						 .limit = limits->cpu_permille });
	if (usage->pids_refused)
		note(observer, PYI_PIDS_MAX,
		     &(struct pyi_kernel_event){
			     .at_us = at_us, .count = usage->pids_refused, .limit = limits->pids });
	if (quota_us && (usage->cpu_us >= quota_us || pyi_observer_cpu_is_spent(observer)))
		note(observer, PYI_CPU_QUOTA,
		     &(struct pyi_kernel_event){
			     .at_us = at_us, .amount = usage->cpu_us, .limit = quota_us });
}

static void look_at_net(struct pyi_observer *observer)
{
	const struct pyi_observer_setup *setup = &observer->setup;
	const struct pyi_bpf_net *net = &observer->net;

	if (!observer->has_network ||
	    pyi_bpf_net(setup->bpf, pyi_cgroup_id(setup->cgroup), &observer->net) < 0 || !net->limit_us)
		return;
	note(observer, PYI_NET_LIMIT,
	     &(struct pyi_kernel_event){ .at_us = net->limit_us - setup->run_start_us,
					 .count = net->dropped_packets,
					 .amount = net->rx_bytes + net->tx_bytes,
					 .limit = setup->plan->limits.net_bytes });
}

static void add_sample(struct pyi_observer *observer, const struct pyi_cgroup_usage *usage,
		       uint64_t now_us)
{
	struct pyi_profile_sample sample = {
		.at_us = now_us - observer->setup.run_start_us,
		.cpu_us = usage->cpu_us,
		.memory_bytes = usage->memory_bytes,
	};

	pyi_profile_add(observer->profile, &sample);
	if (usage->memory_peak_bytes > observer->profile->memory_peak_bytes)
		observer->profile->memory_peak_bytes = usage->memory_peak_bytes;
	observer->profile_us = now_us + observer->profile->interval_us;
}

void pyi_observer_sample(struct pyi_observer *observer, uint64_t now_us)
{
	struct pyi_cgroup_usage usage;

	if (pyi_cgroup_usage(observer->setup.cgroup, &usage) < 0)
		return;
	note_usage(observer, &usage, now_us - observer->setup.run_start_us);
	if (observer->profile && now_us >= observer->profile_us)
		add_sample(observer, &usage, now_us);
}

void pyi_observer_alarm(struct pyi_observer *observer, uint64_t now_us)
{
	pyi_cgroup_alarm_take(&observer->alarm);
	pyi_observer_sample(observer, now_us);
}

/* Is there something that only a look can find? */
static bool must_look_on(const struct pyi_observer *observer)
{
	const struct pyi_limits *limits = &observer->setup.plan->limits;
	const struct pyi_kernel_event *events = observer->events.v;

	return (limits->cpu_permille && !events[PYI_CPU_THROTTLE].is_set) ||
	       (limits->pids && !observer->alarm.tells_pids && !events[PYI_PIDS_MAX].is_set);
}

/* The first one sets up the alarm. */
static void look(struct pyi_observer *observer, uint64_t now_us)
{
	if (observer->look_wait_us == FIRST_LOOK_US)
		pyi_cgroup_alarm_open(observer->setup.cgroup, &observer->alarm);
	pyi_observer_sample(observer, now_us);
	observer->look_us = 0;
	observer->look_wait_us *= 2;
	if (observer->look_wait_us > LAST_LOOK_US)
		observer->look_wait_us = LAST_LOOK_US;
	if (must_look_on(observer))
		observer->look_us = now_us + observer->look_wait_us;
}

static bool is_broken(struct pyi_observer *observer)
{
	const struct pyi_observer_setup *setup = &observer->setup;
	struct pyi_bpf_contracts contracts;

	/* Rows that cannot be read are no reason to go on. */
	return pyi_bpf_contracts(setup->bpf, pyi_cgroup_id(setup->cgroup), &contracts) < 0 ||
	       contracts.broken;
}

/* May it go on, or is it to end for *ret_reason? */
static bool look_at_rows(struct pyi_observer *observer, uint64_t now_us, enum pyi_reason *ret_reason)
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
	return goes_on;
}

bool pyi_observer_look(struct pyi_observer *observer, uint64_t now_us, enum pyi_reason *ret_reason)
{
	if (observer->guard_us && now_us >= observer->guard_us) {
		observer->guard_us = 0;
		pyi_cpu_guard_begin(observer->guard);
	}
	if (observer->look_us && now_us >= observer->look_us)
		look(observer, now_us);
	if (observer->profile_us && now_us >= observer->profile_us)
		pyi_observer_sample(observer, now_us);
	return look_at_rows(observer, now_us, ret_reason);
}

void pyi_observer_set_cpu_time(struct pyi_observer *observer, uint64_t quota_ms)
{
	if (observer->guard)
		pyi_cpu_guard_set_quota(observer->guard, quota_ms);
}

void pyi_observer_watch_contracts(struct pyi_observer *observer, uint64_t now_us)
{
	if (observer->setup.bpf && !observer->contract_us)
		observer->contract_us = now_us + CONTRACT_LOOK_US;
}

void pyi_observer_end(struct pyi_observer *observer, const struct pyi_cgroup_usage *usage, uint64_t now_us)
{
	if (observer->guard)
		pyi_cpu_guard_end(observer->guard);
	if (usage)
		note_usage(observer, usage, now_us - observer->setup.run_start_us);
	if (usage && observer->profile)
		add_sample(observer, usage, now_us);
	look_at_net(observer);
	for (int i = 0; i < PYI_N_KERNEL_EVENTS; i++) {
		const struct pyi_kernel_event *event = &observer->events.v[i];

		if (event->is_set && event->count != observer->told.v[i].count)
			pyi_event_stream_kernel(observer->setup.stream,
						(enum pyi_kernel_event_kind)i, event);
	}
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
	result->events = observer->events;
	result->profile = observer->profile;
	if (observer->guard)
		pyi_cpu_guard_tell(observer->guard, &result->layers[PYI_LAYER_BPF_PERF]);
}
