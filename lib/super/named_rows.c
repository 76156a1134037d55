/* SPDX-License-Identifier: MIT */
/* Named sandboxes as rows for people and programs, and clearing away after dead supervisors; see named.h. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/digest.h"
#include "base/err.h"
#include "base/util.h"
#include "kernel/bpf.h"
#include "kernel/cgroup.h"
#include "kernel/cgroup_peek.h"
#include "kernel/probe.h"
#include "plan/facts.h"
#include "report/sandboxes.h"
#include "super/named.h"
#include "super/named_sweep.h"
#include "super/policy_store.h"
#include "super/registry.h"
#include "super/reload.h"

/* What is needed once for all rows. */
struct sources {
	struct pyi_cgroup_mounts mounts;
	struct pyi_bpf *bpf; /* NULL without */
	bool tried_bpf;
	uint64_t now_ns;
	uint64_t now_unix_ms;
};

static void init_sources(struct sources *sources)
{
	struct timespec now;

	memset(sources, 0, sizeof(*sources));
	pyi_cgroup_mounts_find(&sources->mounts);
	sources->now_ns = pyi_registry_now_ns();
	clock_gettime(CLOCK_REALTIME, &now);
	sources->now_unix_ms = (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

/* The programs' counters: only where a live sandbox has some, so that looking loads nothing. */
static void read_denials(struct sources *sources, const struct pyi_abi_sandbox *sandbox,
			 struct pyi_sandbox_row *row)
{
	struct pyi_bpf_event event;
	struct pyi_err unused = { 0 };
	size_t n;

	if (!(sandbox->flags & PYI_SANDBOX_HAS_BPF))
		return;
	if (!sources->tried_bpf) {
		sources->tried_bpf = true;
		(void)pyi_bpf_open_again(&sources->bpf, &unused);
	}
	row->has_denials = sources->bpf && pyi_bpf_events(sources->bpf, sandbox->cgroup, &event, 1,
							  &n, &row->denials, &unused) == 0;
}

static void fill_live(struct sources *sources, const struct pyi_abi_sandbox *sandbox,
		      struct pyi_sandbox_row *row)
{
	struct pyi_cgroup_usage usage;

	row->ran_ms = row->age_ms;
	if (pyi_cgroup_peek(&sources->mounts, sandbox->init_pid, sandbox->group, &usage)) {
		row->has_cpu = true;
		row->cpu_us = usage.cpu_us;
		row->has_memory = usage.memory_bytes != 0;
		row->memory_bytes = usage.memory_bytes;
		row->memory_peak_bytes = usage.memory_peak_bytes;
	}
	read_denials(sources, sandbox, row);
}

static void fill_ended(const struct sources *sources, const struct pyi_abi_sandbox *sandbox,
		       struct pyi_sandbox_row *row)
{
	const struct pyi_abi_end *end = &sandbox->end;

	row->has_ended = true;
	row->ended_unix_ms = sources->now_unix_ms - (sources->now_ns - end->end_ns) / 1000000;
	row->ran_ms = (end->end_ns - sandbox->start_ns) / 1000000;
	if (sandbox->state == PYI_STATE_LOST)
		return;
	row->reason = pyi_reason_name((enum pyi_reason)end->reason);
	row->has_exit_code = true;
	row->exit_code = end->exit_code;
	row->signal = end->signal;
	row->has_cpu = true;
	row->cpu_us = end->cpu_us;
	row->has_memory = end->memory_peak_bytes != 0;
	row->memory_bytes = row->memory_peak_bytes = end->memory_peak_bytes;
	row->has_denials = true;
	row->denials = end->denials;
}

static void fill_row(struct sources *sources, const char *name,
		     const struct pyi_abi_sandbox *sandbox, struct pyi_sandbox_row *row)
{
	const struct pyi_abi_limits *limits = &sandbox->limits;

	*row = (struct pyi_sandbox_row){
		.state = pyi_sandbox_state_name(sandbox->state),
		.generation = sandbox->generation,
		.age_ms = (sources->now_ns - sandbox->start_ns) / 1000000,
		.pid = sandbox->owner.pid,
		.cgroup = sandbox->cgroup,
		.memory_limit_bytes = limits->memory_bytes,
		.cpu_time_ms = limits->cpu_time_ms,
		.wall_time_ms = limits->wall_time_ms,
		.output_bytes = limits->output_bytes,
		.tmp_bytes = limits->tmp_bytes,
		.cpu_permille = limits->cpu_permille,
		.pids = limits->pids,
		.open_files = limits->open_files,
		.has_node = limits->numa != 0,
		.node = limits->numa - 1,
	};
	row->started_unix_ms = sources->now_unix_ms - row->age_ms;
	snprintf(row->name, sizeof(row->name), "%s", name);
	snprintf(row->policy, sizeof(row->policy), "%.63s", sandbox->policy_name);
	pyi_digest_hex(sandbox->policy_digest, row->digest);
	if (pyi_sandbox_has_ended(sandbox))
		fill_ended(sources, sandbox, row);
	else
		fill_live(sources, sandbox, row);
}

/* The live ones by name, then the ended ones, the latest first. */
static int compare_rows(const void *a, const void *b)
{
	const struct pyi_sandbox_row *x = a, *y = b;

	if (x->has_ended != y->has_ended)
		return x->has_ended ? 1 : -1;
	if (x->has_ended && x->ended_unix_ms != y->ended_unix_ms)
		return x->ended_unix_ms > y->ended_unix_ms ? -1 : 1;
	return strcmp(x->name, y->name);
}

static int list_all(struct pyi_registry *registry, struct pyi_abi_name **ret_names,
		    struct pyi_abi_sandbox **ret_sandboxes, size_t *ret_n, struct pyi_err *err)
{
	int ret = pyi_registry_list(registry, ret_names, ret_sandboxes, ret_n, err);
	bool found_lost = false;

	for (size_t i = 0; ret == 0 && i < *ret_n; i++) {
		struct pyi_abi_sandbox *sandbox = &(*ret_sandboxes)[i];
		struct pyi_err unused = { 0 };

		if (sandbox->reload.generation)
			(void)pyi_reload_settle(registry, (*ret_names)[i].text, NULL, 0, sandbox,
						&unused);
		if (!pyi_sandbox_has_ended(sandbox) && !pyi_sandbox_is_live(sandbox) &&
		    pyi_registry_mark_lost(registry, (*ret_names)[i].text, sandbox)) {
			pyi_policy_store_remove((*ret_names)[i].text);
			found_lost = true;
		}
	}
	if (found_lost)
		pyi_named_sweep();
	return ret;
}

static int get_one(struct pyi_registry *registry, const char *name, struct pyi_abi_name **ret_names,
		   struct pyi_abi_sandbox **ret_sandboxes, size_t *ret_n, struct pyi_err *err)
{
	*ret_names = calloc(1, sizeof(**ret_names));
	*ret_sandboxes = calloc(1, sizeof(**ret_sandboxes));
	*ret_n = 1;
	if (!*ret_names || !*ret_sandboxes)
		return pyi_err_nomem(err);
	snprintf((*ret_names)->text, sizeof((*ret_names)->text), "%s", name);
	return pyi_named_find(registry, name, *ret_sandboxes, err);
}

int pyi_named_rows(struct pyi_registry *registry, const char *name,
		   struct pyi_sandbox_row **ret_rows, size_t *ret_n, struct pyi_err *err)
{
	_cleanup_free struct pyi_abi_sandbox *sandboxes = NULL;
	_cleanup_free struct pyi_abi_name *names = NULL;
	struct pyi_sandbox_row *rows;
	struct sources sources;
	size_t n = 0;
	int ret;

	if (name)
		ret = get_one(registry, name, &names, &sandboxes, &n, err);
	else
		ret = list_all(registry, &names, &sandboxes, &n, err);
	if (ret < 0)
		return ret;
	rows = calloc(n + 1, sizeof(*rows));
	if (!rows)
		return pyi_err_nomem(err);
	init_sources(&sources);
	for (size_t i = 0; i < n; i++)
		fill_row(&sources, names[i].text, &sandboxes[i], &rows[i]);
	pyi_bpf_free(sources.bpf);
	qsort(rows, n, sizeof(*rows), compare_rows);
	*ret_rows = rows;
	*ret_n = n;
	return 0;
}

void pyi_named_sweep(void)
{
	struct pyi_err unused = { 0 };
	struct pyi_bpf *bpf = NULL;
	struct pyi_facts facts;

	pyi_probe_run(&facts);
	(void)pyi_cgroup_sweep(&facts);
	if (facts.is_root && !facts.bpf_cgroup.errnum && pyi_bpf_open(&facts, &bpf, &unused) == 0)
		(void)pyi_bpf_sweep(bpf);
	pyi_bpf_free(bpf);
}
