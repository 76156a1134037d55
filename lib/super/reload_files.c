/* SPDX-License-Identifier: MIT */
/* See reload_files.h. */
#include "super/reload_files.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/err.h"
#include "base/io.h"
#include "base/util.h"
#include "kernel/resolve.h"
#include "kernel/tree_change.h"
#include "plan/cover.h"
#include "plan/plan.h"
#include "policy/ceiling.h"
#include "policy/dfa.h"
#include "policy/diff.h"
#include "policy/policy.h"
#include "pyi_abi.h"
#include "super/policy_store.h"
#include "super/reload_review.h"
#include "super/steps.h"

static int on_change(const struct pyi_change *change, void *arg)
{
	bool *is_due = arg;

	*is_due = *is_due || change->section == PYI_SECTION_FS;
	return 0;
}

bool pyi_reload_files_are_due(const struct pyi_policy *from, const struct pyi_policy *to)
{
	struct pyi_err unused = { 0 };
	bool is_due = false;

	for (size_t i = 0; i < to->n_fs; i++)
		is_due = is_due || to->fs[i].is_glob;
	return is_due || pyi_policy_diff(from, to, on_change, &is_due, &unused) < 0 || is_due;
}

/* The guest's ids, which the start chose: those of the sandbox's first process. */
static int read_ids(struct pyi_reload_files *files, struct pyi_err *err)
{
	_cleanup_fd int proc_fd = open("/proc", O_PATH | O_DIRECTORY | O_CLOEXEC);
	const char *uid, *gid;
	char name[32], text[2048];

	snprintf(name, sizeof(name), "%d/status", files->sandbox->init_pid);
	if (proc_fd < 0 || pyi_read_at(proc_fd, name, text, sizeof(text)) < 0)
		return pyi_err_set(err, ESRCH, "the sandbox has ended");
	uid = strstr(text, "\nUid:\t");
	gid = strstr(text, "\nGid:\t");
	if (!uid || !gid)
		return pyi_err_set(err, EPROTO, "'/proc/%s' has no ids", name);
	files->uid = (uid_t)strtoul(uid + 6, NULL, 10);
	files->gid = (gid_t)strtoul(gid + 6, NULL, 10);
	return 0;
}

int pyi_reload_files_plan(const struct pyi_reload_files *files, const struct pyi_policy *policy,
			  const struct pyi_names *names, const struct pyi_grants *grants,
			  struct pyi_plan **ret_plan, struct pyi_err *err)
{
	const struct pyi_abi_sandbox *sandbox = files->sandbox;
	const struct pyi_plan_running running = {
		.uid = files->uid,
		.gid = files->gid,
		.mode = sandbox->flags & PYI_SANDBOX_DEV	? PYI_MODE_DEV
			: sandbox->flags & PYI_SANDBOX_HARDENED ? PYI_MODE_HARDENED
								: PYI_MODE_COMPATIBILITY,
		.guest = sandbox->flags & PYI_SANDBOX_COMMAND ? PYI_GUEST_COMMAND : PYI_GUEST_PYTHON,
		.use_bpf_lsm = sandbox->flags & PYI_SANDBOX_LSM,
		.has_network = sandbox->flags & PYI_SANDBOX_NET,
		.grants = grants,
	};

	return pyi_plan_build_reload(policy, &running, names, ret_plan, err);
}

static int resolve(const struct pyi_abi_sandbox *sandbox, const struct pyi_policy *policy,
		   enum pyi_idmap_use use, struct pyi_grants *ret_grants, struct pyi_err *err)
{
	if (sandbox->flags & PYI_SANDBOX_USERNS)
		use = PYI_IDMAP_NONE;
	return pyi_resolve_paths(
		policy, sandbox->flags & PYI_SANDBOX_COMMAND ? pyi_command_runtime_paths : NULL,
		use, ret_grants, err);
}

/*
 * The old policy as it is on the host by now. Where that cannot be said (what it names is gone) the tree counts as
 * made by none, and all of it is made anew.
 */
static int plan_old(struct pyi_reload_files *files, const struct pyi_policy *policy, struct pyi_err *err)
{
	static const struct pyi_policy nothing;
	static const struct pyi_grants no_grants;
	struct pyi_err unused = { 0 };

	if (resolve(files->sandbox, policy, PYI_IDMAP_ASSUME, &files->was, &unused) == 0) {
		/* A file that it would have to make is not there. */
		pyi_resolve_undo(&files->was);
		if (pyi_reload_files_plan(files, policy, NULL, &files->was, &files->from, &unused) == 0)
			return 0;
	}
	return pyi_reload_files_plan(files, &nothing, NULL, &no_grants, &files->from, err);
}

static bool is_denied_by(const struct pyi_grants *grants, const struct pyi_grant *deny)
{
	for (size_t i = 0; i < grants->n; i++)
		if (grants->v[i].verdict == deny->verdict && grants->v[i].access == deny->access &&
		    strcmp(grants->v[i].path, deny->path) == 0)
			return true;
	return false;
}

/* What one of the policies grants and not both deny: the tree while the programs change from one to the other. */
static int plan_both(struct pyi_reload_files *files, const struct pyi_policy *policy, struct pyi_err *err)
{
	const struct pyi_grants *of[] = { &files->was, &files->grants };
	struct pyi_grants *both = &files->either;

	both->v = calloc(files->was.n + files->grants.n + 1, sizeof(*both->v));
	both->tops = calloc(files->was.n_tops + files->grants.n_tops + 1, sizeof(*both->tops));
	if (!both->v || !both->tops)
		return pyi_err_nomem(err);
	for (size_t k = 0; k < PYI_ARRAY_SIZE(of); k++) {
		for (size_t i = 0; i < of[k]->n; i++)
			if (of[k]->v[i].verdict == PYI_ALLOW || is_denied_by(of[!k], &of[k]->v[i]))
				both->v[both->n++] = of[k]->v[i];
		for (size_t i = 0; i < of[k]->n_tops; i++)
			both->tops[both->n_tops++] = of[k]->tops[i];
	}
	return pyi_reload_files_plan(files, policy, NULL, both, &files->both, err);
}

/* The places of the start, and of its ceiling. */
static int plan_ceiling(struct pyi_reload_files *files, const char *name,
			const struct pyi_policy *start, struct pyi_err *err)
{
	const struct pyi_policy *of = pyi_policy_ceiling_files(start) ? start->ceiling : start;
	int ret;

	ret = resolve(files->sandbox, of, PYI_IDMAP_NONE, &files->ceiling_grants, err);
	if (ret == 0) {
		pyi_resolve_undo(&files->ceiling_grants);
		ret = pyi_reload_files_plan(files, of, NULL, &files->ceiling_grants,
					    &files->ceiling, err);
	}
	if (ret == 0) {
		files->kept = calloc(files->ceiling->n_ops + 1, sizeof(*files->kept));
		if (!files->kept)
			ret = pyi_err_nomem(err);
	}
	for (size_t i = 0; ret == 0 && i < files->ceiling->n_ops; i++) {
		const struct pyi_op *op = &files->ceiling->ops[i];

		if (op->kind == PYI_OP_BIND && op->is_dir)
			files->kept[files->n_kept++] = op->path;
	}
	return ret < 0 ? pyi_err_add(err, "the ceiling of sandbox '%s'", name) : 0;
}

int pyi_reload_files_begin(struct pyi_reload_files *files, const struct pyi_abi_sandbox *sandbox,
			   const char *name, const struct pyi_policy *start,
			   const struct pyi_policy *from, const struct pyi_policy *to,
			   struct pyi_err *err)
{
	int ret;

	*files = (struct pyi_reload_files){ .sandbox = sandbox, .start = start };
	if (!(sandbox->flags & PYI_SANDBOX_TREE) || !pyi_reload_files_are_due(from, to))
		return 0;
	ret = read_ids(files, err);
	if (ret == 0)
		ret = resolve(sandbox, to, PYI_IDMAP_ASSUME, &files->grants, err);
	if (ret == 0)
		ret = plan_old(files, from, err);
	if (ret == 0)
		ret = plan_ceiling(files, name, start, err);
	if (ret == 0 && sandbox->flags & PYI_SANDBOX_LSM)
		ret = plan_both(files, to, err);
	files->is_needed = true;
	return ret;
}

void pyi_reload_files_release(struct pyi_reload_files *files, bool keep_made)
{
	if (!keep_made)
		pyi_resolve_undo(&files->grants);
	pyi_plan_free(files->from);
	pyi_plan_free(files->both);
	pyi_plan_free(files->ceiling);
	free(files->kept);
	free(files->either.v);
	free(files->either.tops);
	pyi_grants_release(&files->was);
	pyi_grants_release(&files->grants);
	pyi_grants_release(&files->ceiling_grants);
}

/* What the ceiling allows at a path: all that is said there and above. */
static unsigned int allowed_at(const struct pyi_plan *ceiling, const char *path)
{
	unsigned int access = 0;

	for (size_t i = 0; i < ceiling->n_ops; i++)
		if (ceiling->ops[i].kind == PYI_OP_BIND && pyi_path_is_within(path, ceiling->ops[i].path))
			access |= ceiling->ops[i].access;
	return access;
}

static int refuse(const struct pyi_op *op, unsigned int missing, const char *why, struct pyi_err *err)
{
	const struct pyi_fs_rule *rule = op->rule;
	const char *word = missing & PYI_WRITE ? "write" : missing & PYI_EXEC ? "exec" : "read";
	char place[32] = "";

	if (rule && rule->from.line)
		snprintf(place, sizeof(place), ":%u", rule->from.line);
	return pyi_err_set(err, EPERM,
			   "%s%s: fs: '%s %s' %s: spawn it again with a 'ceiling:' that holds it",
			   rule ? rule->from.file : "the runtime directories", place, word,
			   rule ? rule->path : op->path, why);
}

/* A start denies them by itself; what is in force here is the policy as it is written. */
static int check_guarded(const struct pyi_policy *policy, struct pyi_err *err)
{
	char dirs[PYI_GUARDED_MAX][PATH_MAX];

	if (!pyi_step_guarded(policy, dirs))
		return 0;
	return pyi_err_set(
		err, EPERM,
		"%s: fs: it lets the guest write to '%s', which other guests start from: add '- deny: %s'",
		policy->name, dirs[0], dirs[0]);
}

struct refusal {
	const struct pyi_policy *policy;
	struct pyi_err *err;
};

static int on_excess(const struct pyi_excess *excess, void *arg)
{
	const struct refusal *refusal = arg;

	return pyi_reload_refuse_excess(excess, refusal->policy, refusal->err);
}

/* By what is written it was within the ceiling; is it where the links of this host lead? */
static int review_paths(const struct pyi_reload_files *files, const struct pyi_policy *policy,
			struct pyi_err *err)
{
	const struct pyi_policy *ceiling = pyi_policy_ceiling_files(files->start);
	struct refusal refusal = { policy, err };
	struct pyi_dfa *inner = NULL, *outer = NULL;
	int ret = 0;

	if (!ceiling)
		return 0;
	ret = pyi_grants_dfa(&files->grants, policy, &inner, err);
	if (ret == 0)
		ret = pyi_grants_dfa(&files->ceiling_grants, ceiling, &outer, err);
	if (ret == 0)
		ret = pyi_ceiling_compare_paths(ceiling, outer, policy, inner,
						files->sandbox->flags & PYI_SANDBOX_DEV, on_excess,
						&refusal, err);
	pyi_dfa_free(inner);
	pyi_dfa_free(outer);
	return ret;
}

int pyi_reload_files_review(const struct pyi_reload_files *files, const struct pyi_plan *plan,
			    struct pyi_err *err)
{
	int ret = files->is_needed ? check_guarded(plan->policy, err) : 0;

	if (!ret && files->is_needed)
		ret = review_paths(files, plan->policy, err);
	if (ret)
		return ret;
	for (size_t i = 0; files->is_needed && i < plan->n_ops; i++) {
		const struct pyi_op *op = &plan->ops[i];
		unsigned int missing;

		if (op->kind != PYI_OP_BIND)
			continue;
		if (op->access & PYI_EXEC && !(files->sandbox->flags & PYI_SANDBOX_EXEC))
			return refuse(op, PYI_EXEC,
				      "needs system calls that the sandbox was started without", err);
		missing = op->access & ~allowed_at(files->ceiling, op->path);
		if (missing)
			return refuse(op, missing,
				      "is outside of the ceiling that the sandbox was started with",
				      err);
	}
	return 0;
}

static int change_tree(const struct pyi_reload_files *files, const struct pyi_plan *from,
		       const struct pyi_plan *to, bool check_only, bool *has_touched,
		       struct pyi_err *err)
{
	struct pyi_tree_change change = {
		.init_pid = files->sandbox->init_pid,
		.supervisor_pid = (pid_t)files->sandbox->owner.pid,
		.way = files->way,
		.from = from,
		.to = to,
		.owner_uid = getuid(),
		.owner_gid = getgid(),
		.kept = files->kept,
		.n_kept = files->n_kept,
		.keeps_paths = files->sandbox->flags & PYI_SANDBOX_LSM,
		.check_only = check_only,
		.has_touched = has_touched,
	};

	return files->is_needed ? pyi_tree_change(&change, err) : 0;
}

int pyi_reload_files_check(const struct pyi_reload_files *files, const struct pyi_plan *from,
			   const struct pyi_plan *to, struct pyi_err *err)
{
	return change_tree(files, from, to, true, NULL, err);
}

int pyi_reload_files_change(const struct pyi_reload_files *files, const struct pyi_plan *from,
			    const struct pyi_plan *to, bool *has_touched, struct pyi_err *err)
{
	return change_tree(files, from, to, false, has_touched, err);
}

int pyi_reload_files_settle(const struct pyi_abi_sandbox *sandbox, const char *name,
			    const struct pyi_tree_way *way, const struct pyi_policy *from,
			    const struct pyi_policy *to, struct pyi_err *err)
{
	struct pyi_reload_files files;
	struct pyi_policy *start = NULL;
	struct pyi_plan *plan = NULL;
	int ret = pyi_policy_store_get(name, NULL, &start, err);

	if (ret < 0)
		return ret;
	ret = pyi_reload_files_begin(&files, sandbox, name, start, from, to, err);
	if (ret == 0 && files.is_needed)
		ret = pyi_reload_files_plan(&files, to, NULL, &files.grants, &plan, err);
	files.way = way;
	if (ret == 0)
		ret = pyi_reload_files_change(&files, files.from, plan, NULL, err);
	pyi_plan_free(plan);
	pyi_reload_files_release(&files, true);
	pyi_policy_free(start);
	return ret;
}
