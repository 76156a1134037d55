/* SPDX-License-Identifier: MIT */
/* See kernel_events.h. */
#include "report/kernel_events.h"

#include <stddef.h>

#include "base/json.h"

/* The members of each kind; NULL: it has none. Those in "_ms" are kept in microseconds. */
static const struct {
	const char *name;
	const char *count, *amount, *limit;
	bool is_time;
} kinds[PYI_N_KERNEL_EVENTS] = {
	[PYI_MEM_KILL] = { "MEM_KILL", "kills", "peak_bytes", "limit_bytes", false },
	[PYI_CPU_THROTTLE] = { "CPU_THROTTLE", "periods", "throttled_us", "limit_permille", false },
	[PYI_CPU_QUOTA] = { "CPU_QUOTA", NULL, "cpu_ms", "limit_ms", true },
	[PYI_NET_LIMIT] = { "NET_LIMIT", "dropped_packets", "bytes", "limit_bytes", false },
	[PYI_PIDS_MAX] = { "PIDS_MAX", "refused", NULL, "limit", false },
};

void pyi_kernel_events_note(struct pyi_kernel_events *events, enum pyi_kernel_event_kind kind,
			    const struct pyi_kernel_event *event)
{
	struct pyi_kernel_event *to = &events->v[kind];
	uint64_t at_us = to->is_set ? to->at_us : event->at_us;

	*to = *event;
	to->is_set = true;
	to->at_us = at_us;
}

const char *pyi_kernel_event_name(enum pyi_kernel_event_kind kind)
{
	return kinds[kind].name;
}

void pyi_kernel_event_print_members(enum pyi_kernel_event_kind kind,
				    const struct pyi_kernel_event *event, struct pyi_json *json)
{
	if (kinds[kind].count)
		pyi_json_u64(json, kinds[kind].count, event->count);
	if (kinds[kind].is_time)
		pyi_json_ms(json, kinds[kind].amount, event->amount);
	else if (kinds[kind].amount)
		pyi_json_u64(json, kinds[kind].amount, event->amount);
	if (kinds[kind].is_time)
		pyi_json_ms(json, kinds[kind].limit, event->limit);
	else if (event->limit)
		pyi_json_u64(json, kinds[kind].limit, event->limit);
	else
		pyi_json_null(json, kinds[kind].limit);
}

static void print_event(struct pyi_json *json, enum pyi_kernel_event_kind kind,
			const struct pyi_kernel_event *event)
{
	pyi_json_object(json, NULL);
	pyi_json_ms(json, "at_ms", event->at_us);
	pyi_json_string(json, "kind", kinds[kind].name);
	pyi_kernel_event_print_members(kind, event, json);
	pyi_json_end_object(json);
}

void pyi_kernel_events_print_json(const struct pyi_kernel_events *events, struct pyi_json *json)
{
	bool is_done[PYI_N_KERNEL_EVENTS] = { false };

	pyi_json_array(json, "events");
	for (;;) {
		int first = -1;

		for (int i = 0; i < PYI_N_KERNEL_EVENTS; i++)
			if (events->v[i].is_set && !is_done[i] &&
			    (first < 0 || events->v[i].at_us < events->v[first].at_us))
				first = i;
		if (first < 0)
			break;
		is_done[first] = true;
		print_event(json, (enum pyi_kernel_event_kind)first, &events->v[first]);
	}
	pyi_json_end_array(json);
}
