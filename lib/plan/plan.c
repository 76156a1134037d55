/* SPDX-License-Identifier: MIT */
/* Building a plan: the order of the steps, and what they share. No step makes a system call. */
#include "plan/plan.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/err.h"
#include "base/util.h"
#include "plan/build.h"
#include "plan/cover.h"
#include "plan/facts.h"
#include "plan/grants.h"
#include "policy/contract.h"
#include "policy/dfa.h"

/*
 * Read and executed by almost every program of a distribution: programs, libraries, the loader's cache, the targets of
 * /etc/alternatives, certificates and time zones. No configuration, no /home, no /root, no /var.
 */
const char *const pyi_command_runtime_paths[] = {
	"/bin",
	"/lib",
	"/lib64",
	"/usr/bin",
	"/usr/lib",
	"/usr/lib64",
	"/usr/libexec",
	"/usr/local/bin",
	"/usr/local/lib",
	"/usr/share",
	"/etc/alternatives",
	"/etc/ld.so.cache",
	"/etc/ssl/certs",
	NULL,
};

const char *pyi_mode_name(enum pyi_mode mode)
{
	static const char *const names[] = {
		[PYI_MODE_DEFAULT] = "default",
		[PYI_MODE_HARDENED] = "hardened",
		[PYI_MODE_COMPATIBILITY] = "compatibility",
		[PYI_MODE_DEV] = "dev",
	};

	return names[mode];
}

static size_t capacity(size_t n)
{
	size_t cap = 8;

	while (cap < n)
		cap *= 2;
	return cap;
}

void *pyi_build_grow(void *array_ptr, size_t *n, size_t size)
{
	char *array = *(char **)array_ptr;

	/* One element more than asked for stays zero: lists of pointers are terminated at any time. */
	if (!array || capacity(*n + 2) != capacity(*n + 1)) {
		array = reallocarray(array, capacity(*n + 2), size);
		if (!array)
			return NULL;
		*(char **)array_ptr = array;
	}
	memset(array + *n * size, 0, 2 * size);
	return array + (*n)++ * size;
}

int pyi_build_warn(struct pyi_build *b, struct pyi_err *err, const char *fmt, ...)
{
	_cleanup_free char *line = NULL;
	char **slot;
	va_list args;
	int len;

	va_start(args, fmt);
	len = vasprintf(&line, fmt, args);
	va_end(args);
	if (len < 0) {
		line = NULL;
		return pyi_err_nomem(err);
	}
	slot = pyi_build_grow(&b->plan->warnings, &b->plan->n_warnings, sizeof(*slot));
	if (!slot)
		return pyi_err_nomem(err);
	*slot = pyi_take_ptr(line);
	return 0;
}

const char *pyi_build_origin(const struct pyi_origin *from, char buf[PYI_ORIGIN_MAX])
{
	const char *file = from->file ? from->file : "policy";

	if (from->line)
		snprintf(buf, PYI_ORIGIN_MAX, "%s:%u", file, from->line);
	else
		snprintf(buf, PYI_ORIGIN_MAX, "%s", file);
	return buf;
}

const char *pyi_access_name(unsigned int access)
{
	switch (access & (PYI_READ | PYI_WRITE | PYI_EXEC)) {
	case 0:
		return "nothing";
	case PYI_READ:
		return "read";
	case PYI_EXEC:
	case PYI_READ | PYI_EXEC:
		return "read exec";
	case PYI_WRITE:
	case PYI_READ | PYI_WRITE:
		return "read write";
	default:
		return "read write exec";
	}
}

int pyi_build_ids(struct pyi_build *b, struct pyi_err *err)
{
	const struct pyi_plan_options *options = b->options;
	const struct pyi_facts *facts = b->facts;
	struct pyi_plan *plan = b->plan;

	if (!facts->is_root) {
		if (options->has_user && (options->uid != facts->uid || options->gid != facts->gid))
			return pyi_err_set(err, EPERM, "--user: only root can choose another user");
		plan->uid = facts->uid;
		plan->gid = facts->gid;
		if (plan->uid != 0)
			return 0;
		if (options->mode == PYI_MODE_HARDENED)
			return pyi_err_set(err, EPERM,
					   "mode hardened never runs a guest as root: run as an ordinary user, or with "
					   "CAP_SYS_ADMIN");
		return pyi_build_warn(
			b, err, "the guest has user id 0 of this container, without capabilities");
	}
	plan->uid = options->has_user ? options->uid : options->default_uid;
	plan->gid = options->has_user ? options->gid : (gid_t)options->default_uid;
	if (!plan->uid || !plan->gid || plan->uid == (uid_t)-1 || plan->gid == (gid_t)-1)
		return pyi_err_set(err, EPERM, "--user: the guest never runs as user or group %s",
				   plan->uid && plan->gid ? "-1" : "0");
	return 0;
}

/* Is there an exec rule? For a command always: the runtime list has some. */
static bool wants_exec(const struct pyi_build *b)
{
	if (b->options->guest == PYI_GUEST_COMMAND)
		return true;
	for (size_t i = 0; i < b->cover->n; i++)
		if (b->cover->v[i].access & PYI_EXEC)
			return true;
	return pyi_build_ceiling_has_exec(b);
}

static int build(struct pyi_build *b, struct pyi_err *err)
{
	int r;

	r = pyi_build_ids(b, err);
	if (!r)
		r = pyi_build_net(b, err);
	if (!r)
		r = pyi_build_layers(b, err);
	if (!r)
		r = pyi_build_contracts(b, err);
	if (!r)
		r = pyi_build_rlimits(b, err);
	if (!r)
		r = pyi_cover_build(b, err);
	if (r)
		return r;
	b->plan->exec = wants_exec(b);
	r = pyi_build_tree(b, err);
	if (!r)
		r = pyi_build_landlock(b, err);
	if (!r)
		r = pyi_build_ceiling(b, err);
	if (!r)
		r = pyi_build_paths(b, err);
	if (!r)
		r = pyi_build_cwd(b, err);
	if (!r)
		r = pyi_build_env(b, err);
	return r;
}

int pyi_plan_build(const struct pyi_policy *policy, const struct pyi_plan_options *options,
		   const struct pyi_facts *facts, const struct pyi_grants *grants,
		   const struct pyi_names *names, struct pyi_plan **ret_plan, struct pyi_err *err)
{
	static const struct pyi_grants no_grants;
	static const struct pyi_names no_names;
	struct pyi_build b = {
		.policy = policy,
		.options = options,
		.facts = facts,
		.grants = grants ? grants : &no_grants,
		.names = names ? names : &no_names,
		.plan = calloc(1, sizeof(*b.plan)),
		.is_dev = options->mode == PYI_MODE_DEV,
	};
	int r;

	if (!b.plan)
		return pyi_err_nomem(err);
	b.plan->policy = policy;
	b.plan->guest = options->guest;
	r = build(&b, err);
	pyi_cover_free(b.cover);
	free(b.tops);
	if (r) {
		pyi_plan_free(b.plan);
		return r;
	}
	*ret_plan = b.plan;
	return 0;
}

/* What the LSM programs count was settled at the start, with the files. */
static int check_reload_contracts(const struct pyi_policy *policy, struct pyi_err *err)
{
	const struct pyi_contract_set *set = policy->contracts;
	char origin[PYI_ORIGIN_MAX];

	for (size_t i = 0; set && i < set->n; i++)
		if (set->v[i].events & PYI_EV_LSM)
			return pyi_err_set(err, EOPNOTSUPP,
					   "%s: contract '%.300s' is about files or programs, and cannot be part of "
					   "a reload: spawn the sandbox again",
					   pyi_build_origin(&set->v[i].from, origin), set->v[i].text);
	return 0;
}

/* As at a start, on a host that has what it had then. */
static int build_files(struct pyi_build *b, const struct pyi_plan_running *running, struct pyi_err *err)
{
	int r;

	b->plan->uid = running->uid;
	b->plan->gid = running->gid;
	b->plan->use_namespaces = true;
	b->plan->own_netns = !running->has_network;
	b->plan->use_bpf_lsm = running->use_bpf_lsm;
	b->plan->layers[PYI_LAYER_IDMAP].state = PYI_LAYER_ON;
	r = pyi_cover_build(b, err);
	if (!r)
		r = pyi_build_tree(b, err);
	if (!r)
		r = pyi_build_paths(b, err);
	return r;
}

int pyi_plan_build_reload(const struct pyi_policy *policy, const struct pyi_plan_running *running,
			  const struct pyi_names *names, struct pyi_plan **ret_plan, struct pyi_err *err)
{
	static const struct pyi_names no_names;
	static const struct pyi_facts facts = { .is_root = true };
	const struct pyi_plan_options options = { .mode = running->mode, .guest = running->guest };
	struct pyi_build b = {
		.policy = policy,
		.options = &options,
		.facts = &facts,
		.grants = running->grants,
		.names = names ? names : &no_names,
		.plan = calloc(1, sizeof(*b.plan)),
		.is_dev = running->mode == PYI_MODE_DEV,
	};
	int r = 0;

	if (!b.plan)
		return pyi_err_nomem(err);
	b.plan->policy = policy;
	b.plan->mode = running->mode;
	b.plan->guest = running->guest;
	b.plan->limits = policy->limits;
	/* Without names a tree alone is asked for: what it was is in the kernel. */
	if (names)
		r = pyi_build_net(&b, err);
	if (!r)
		r = check_reload_contracts(policy, err);
	if (!r)
		r = pyi_build_contracts(&b, err);
	if (!r && running->grants)
		r = build_files(&b, running, err);
	pyi_cover_free(b.cover);
	free(b.tops);
	if (r) {
		pyi_plan_free(b.plan);
		return r;
	}
	*ret_plan = b.plan;
	return 0;
}

void pyi_plan_free(struct pyi_plan *plan)
{
	if (!plan)
		return;
	for (size_t i = 0; i < plan->n_ops; i++) {
		free(plan->ops[i].path);
		free(plan->ops[i].source);
		free(plan->ops[i].text);
	}
	for (size_t i = 0; i < plan->n_landlock; i++)
		free(plan->landlock[i].path);
	for (char **entry = plan->env; entry && *entry; entry++)
		free(*entry);
	for (size_t i = 0; i < plan->n_warnings; i++)
		free(plan->warnings[i]);
	for (size_t i = 0; i < plan->n_ceiling; i++)
		free(plan->ceiling[i].path);
	free(plan->ceiling);
	free(plan->ops);
	pyi_dfa_free(plan->paths);
	free(plan->landlock);
	free(plan->net);
	free(plan->rlimits);
	free(plan->env);
	for (size_t i = 0; i < plan->n_env_warnings; i++)
		free(plan->env_warnings[i].name);
	free(plan->env_warnings);
	free(plan->warnings);
	free(plan->cwd);
	free(plan);
}
