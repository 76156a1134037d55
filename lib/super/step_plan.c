/* SPDX-License-Identifier: MIT */
/* From the options to the plan; see steps.h. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/err.h"
#include "base/io.h"
#include "base/log.h"
#include "base/util.h"
#include "kernel/facts_file.h"
#include "kernel/numa.h"
#include "kernel/probe.h"
#include "kernel/sys.h"
#include "super/steps.h"
#include "super/warned.h"

/* Ids of guests started by root: one per supervisor, so that no two live sandboxes share one. */
enum { GUEST_UID_BASE = 0x70000000, GUEST_UID_SPAN = 0x400000 };

/* May this process, and a command of the same user, change the limits of the guest's? */
static bool may_set_rlimits(void)
{
	struct __user_cap_data_struct data[2] = { { 0 } };

	return pyi_sys_capget(data) == 0 && data[0].effective & 1u << CAP_SYS_RESOURCE;
}

static void log_plan(const struct pyi_run *run)
{
	size_t i;

	for (i = 0; i < run->policy->n_notes; i++)
		pyi_log_verbose("%s", run->policy->notes[i]);
	for (i = 0; i < run->plan->n_warnings; i++)
		pyi_log_verbose("%s", run->plan->warnings[i]);
}

/* As pyi_policy_load, with the rules of an audit; and the guest can write to nothing that other guests start from. */
static int load_policy(struct pyi_run *run, struct pyi_err *err)
{
	const struct pyi_run_options *options = run->options;
	_cleanup_free struct pyi_policy_flag *flags = NULL;
	struct pyi_policy_more audit;
	char dirs[PYI_GUARDED_MAX][PATH_MAX];
	size_t n = options->n_flags, n_dirs;
	int ret = options->audit ? pyi_audit_init(run, err) : 0;

	if (ret)
		return ret;
	audit = (struct pyi_policy_more){ PYI_AUDIT_ORIGIN, run->audit.flags, run->audit.n };
	ret = pyi_policy_load_with(options->policy, options->flags, n, &audit, &run->policy, NULL, err);
	n_dirs = ret ? 0 : pyi_step_guarded(run->policy, dirs);
	if (!n_dirs)
		return ret;
	flags = calloc(n + n_dirs, sizeof(*flags));
	if (!flags)
		return pyi_err_nomem(err);
	if (n)
		memcpy(flags, options->flags, n * sizeof(*flags));
	for (size_t i = 0; i < n_dirs; i++)
		flags[n + i] = (struct pyi_policy_flag){ "deny-write", dirs[i] };
	pyi_policy_free(run->policy);
	run->policy = NULL;
	return pyi_policy_load_with(options->policy, flags, n + n_dirs, &audit, &run->policy, NULL, err);
}

static bool wants_trace(const struct pyi_run_options *options)
{
	return options->trace || options->keep_asked;
}

static int build_plan(struct pyi_run *run, struct pyi_err *err)
{
	const struct pyi_run_options *options = run->options;
	_cleanup_free char *cwd = getcwd(NULL, 0);
	struct pyi_plan_options plan_options = {
		.mode = options->mode,
		.guest = options->guest,
		.profile = options->profile,
		.trace = wants_trace(options) || run->keeps_warned,
		.audit = options->audit,
		.required_layers = options->required_layers,
		.has_user = options->has_user,
		.uid = options->uid,
		.gid = options->gid,
		.default_uid = GUEST_UID_BASE + (uid_t)getpid() % GUEST_UID_SPAN,
		.cwd = options->cwd,
		.invoker_cwd = cwd ? cwd : "/",
		.environ = (const char *const *)environ,
		.home = getenv("HOME"),
		.limits_by_group = options->hooks && options->hooks->can_reload && !may_set_rlimits(),
		.numa = run->policy->limits.numa ? &run->numa : NULL,
		.ceiling = pyi_policy_ceiling_files(run->policy) ? &run->ceiling : NULL,
	};

	return pyi_plan_build(run->policy, &plan_options, &run->facts, &run->grants, &run->names,
			      &run->plan, err);
}

/* A sandbox with a name has told others of its plan by the time when anything can fail: there is no second one. */
static void probe(struct pyi_run *run)
{
	if (run->options->hooks || run->options->dry_run)
		pyi_probe_run(&run->facts);
	else
		pyi_probe_run_known(&run->facts, &run->facts_are_known);
}

int pyi_step_plan(struct pyi_run *run, struct pyi_err *err)
{
	bool is_command = run->options->guest == PYI_GUEST_COMMAND;
	int ret;

	ret = load_policy(run, err);
	if (!ret && run->policy->limits.numa)
		ret = pyi_numa_find(run->policy->limits.numa - 1, &run->numa, err);
	if (ret)
		return ret;
	pyi_step_mark("policy");
	probe(run);
	pyi_step_mark("probe");
	if (wants_trace(run->options) && !run->facts.is_root)
		return pyi_err_set(err, EPERM,
				   "what a guest asks of the kernel is recorded by BPF programs, which only "
				   "root may load: run it as root, or without the trace");
	run->keeps_warned = pyi_warned_wants_trace(run);
	ret = pyi_resolve_paths(run->policy, is_command ? pyi_command_runtime_paths : NULL,
				run->facts.is_root ? PYI_IDMAP_TRY : PYI_IDMAP_NONE, &run->grants, err);
	if (!ret && pyi_policy_ceiling_files(run->policy))
		ret = pyi_resolve_paths(run->policy->ceiling, NULL, PYI_IDMAP_NONE, &run->ceiling, err);
	if (!ret)
		ret = pyi_resolve_check_counted(run->policy, err);
	if (!ret)
		ret = pyi_resolve_names(run->policy, &run->names, err);
	pyi_step_mark("resolve");
	if (!ret)
		ret = build_plan(run, err);
	pyi_step_mark("plan");
	if (!ret)
		log_plan(run);
	return ret;
}

bool pyi_step_plan_again(struct pyi_run *run)
{
	struct pyi_err unused = { 0 };

	run->facts_are_known = false;
	pyi_facts_forget();
	pyi_probe_run(&run->facts);
	pyi_plan_free(run->plan);
	run->plan = NULL;
	return build_plan(run, &unused) == 0;
}

int pyi_step_print(struct pyi_run *run, struct pyi_err *err)
{
	_cleanup_buf struct pyi_buf out = PYI_BUF_INIT;
	int ret;

	if (run->options->json)
		pyi_plan_print_json(run->plan, &out);
	else
		pyi_plan_print(run->plan, &out);
	if (out.failed)
		return pyi_err_nomem(err);
	ret = pyi_write_all(STDOUT_FILENO, out.data, out.len);
	return ret ? pyi_err_sys(err, -ret, "cannot write the plan") : 0;
}
