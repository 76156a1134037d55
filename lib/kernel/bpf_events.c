/* SPDX-License-Identifier: MIT */
/* What the programs refused, from their structs to ours: the events that are kept, and those of a ring; see bpf.h. */
#include <assert.h>
#include <bpf/bpf.h>
#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/err.h"
#include "base/util.h"
#include "kernel/bpf.h"
#include "kernel/bpf_pins.h"
#include "plan/plan.h"
#include "pyi_abi.h"

static_assert((int)PYI_ABI_EVENTS == (int)PYI_BPF_EVENTS_MAX, "events kept");
static_assert((int)PYI_EVENT_NO_RULE == (int)PYI_BPF_NO_RULE, "no rule");
static_assert((int)PYI_CONTRACT_LOST == (int)PYI_BPF_CONTRACT_LOST, "contract");
static_assert((int)PYI_EVENT_CONNECT == (int)PYI_NET_CONNECT && (int)PYI_EVENT_BIND == (int)PYI_NET_BIND,
	      "operations");
static_assert((int)PYI_EVENT_SOCKET == (int)PYI_BPF_SOCKET && (int)PYI_EVENT_DEVICE == (int)PYI_BPF_DEVICE,
	      "operations");

static_assert((int)PYI_EVENT_PATH == (int)PYI_BPF_PATH && (int)PYI_EVENT_KERNEL == (int)PYI_BPF_KERNEL,
	      "operations");
static_assert((int)PYI_PATH_READ == (int)PYI_READ && (int)PYI_PATH_WRITE == (int)PYI_WRITE &&
		      (int)PYI_PATH_EXEC == (int)PYI_EXEC,
	      "access");
static_assert((int)PYI_ABI_EVENT_PATH == (int)PYI_BPF_PATH_MAX, "paths of events");

const char *pyi_bpf_hook_name(unsigned int hook)
{
	static const char *const names[] = {
		[PYI_HOOK_OPEN] = "open",	  [PYI_HOOK_CREATE] = "create",
		[PYI_HOOK_UNLINK] = "unlink",	  [PYI_HOOK_MKDIR] = "mkdir",
		[PYI_HOOK_RMDIR] = "rmdir",	  [PYI_HOOK_SYMLINK] = "symlink",
		[PYI_HOOK_LINK] = "link",	  [PYI_HOOK_RENAME] = "rename",
		[PYI_HOOK_TRUNCATE] = "truncate", [PYI_HOOK_CHMOD] = "chmod",
		[PYI_HOOK_CHOWN] = "chown",	  [PYI_HOOK_EXEC] = "exec",
		[PYI_HOOK_MAP] = "map",		  [PYI_HOOK_READ] = "read",
		[PYI_HOOK_WRITE] = "write",
	};

	return hook < PYI_ARRAY_SIZE(names) && names[hook] ? names[hook] : "?";
}

const char *pyi_bpf_surface_name(unsigned int surface)
{
	static const char *const names[] = {
		[PYI_SURFACE_MEMORY] = "memory",     [PYI_SURFACE_PTRACE] = "ptrace",
		[PYI_SURFACE_SIGNAL] = "signal",     [PYI_SURFACE_MOUNT] = "mount",
		[PYI_SURFACE_BPF] = "bpf",	     [PYI_SURFACE_PERF] = "perf",
		[PYI_SURFACE_MODULE] = "module",     [PYI_SURFACE_KEY] = "key",
		[PYI_SURFACE_IO_URING] = "io_uring", [PYI_SURFACE_USERNS] = "userns",
	};

	return surface < PYI_ARRAY_SIZE(names) && names[surface] ? names[surface] : "?";
}

void pyi_bpf_event_from_abi(const struct pyi_abi_event *from, const struct pyi_abi_event_more *more,
			    const char *path, struct pyi_bpf_event *to)
{
	*to = (struct pyi_bpf_event){
		.op = from->op,
		.proto = from->proto,
		.is_warning = from->is_warning,
		.family = from->family,
		.port = from->port,
		.rule = from->rule,
		.pid = from->pid,
		.contract = from->contract,
		.era = from->era,
	};
	memcpy(to->addr, from->addr, sizeof(to->addr));
	if (path)
		snprintf(to->path, sizeof(to->path), "%.*s", PYI_ABI_EVENT_PATH - 1, path);
	if (!more || !more->is_written)
		return;
	to->time_us = more->time_ns / 1000;
	to->thread = more->thread;
	pyi_bpf_frame_text(&more->frame, to->at, sizeof(to->at));
}

static void read_event(const struct pyi_bpf_maps *maps, const struct pyi_abi_event_key *key,
		       const struct pyi_abi_event *from, struct pyi_bpf_event *to)
{
	struct pyi_abi_event_more more = { 0 };
	struct pyi_abi_event_path path;
	bool has_path;

	if (bpf_map_lookup_elem(maps->event_more, key, &more) < 0)
		more.is_written = 0;
	has_path = from->op == PYI_EVENT_PATH &&
		   bpf_map_lookup_elem(maps->event_paths, key, &path) == 0;
	pyi_bpf_event_from_abi(from, &more, has_path ? path.text : NULL, to);
}

int pyi_bpf_events(struct pyi_bpf *bpf, uint64_t cgroup_id, struct pyi_bpf_event *events,
		   size_t max, size_t *ret_n, uint64_t *ret_total, struct pyi_err *err)
{
	_cleanup_free struct pyi_abi_stats *stats = calloc(1, sizeof(*stats));
	struct pyi_bpf_maps *maps = pyi_bpf_maps_of(bpf);
	struct pyi_abi_event_key key = { .cgroup = cgroup_id };
	int ret;

	if (!stats)
		return pyi_err_nomem(err);
	ret = bpf_map_lookup_elem(maps->stats, &cgroup_id, stats);
	if (ret == 0 && stats->total)
		ret = pyi_bpf_pins_open_events(maps);
	if (ret < 0 && ret != -ENOENT)
		return pyi_err_sys(err, -ret, "cannot read the BPF events");
	/* An event with no op is being written at this moment: it and what follows come with the next call. */
	for (; key.index < PYI_ABI_EVENTS && key.index < max && key.index < stats->total &&
	       stats->events[key.index].op;
	     key.index++)
		read_event(maps, &key, &stats->events[key.index], &events[key.index]);
	*ret_n = key.index;
	*ret_total = stats->total;
	return 0;
}

uint64_t pyi_bpf_events_lost(struct pyi_bpf *bpf, uint64_t cgroup_id)
{
	_cleanup_free struct pyi_abi_stats *stats = calloc(1, sizeof(*stats));

	return stats && bpf_map_lookup_elem(pyi_bpf_maps_of(bpf)->stats, &cgroup_id, stats) == 0
		       ? stats->lost
		       : 0;
}
