/* SPDX-License-Identifier: MIT */
/* What is checked before a reload; see reload.h. The commit is in reload_commit.c. */
#include "super/reload.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>

#include "base/err.h"
#include "base/util.h"
#include "kernel/tree_way.h"
#include "plan/plan.h"
#include "policy/policy.h"
#include "pyi_abi.h"
#include "super/door.h"
#include "super/event_log.h"
#include "super/named.h"
#include "super/policy_store.h"
#include "super/registry.h"
#include "super/reload_commit.h"
#include "super/reload_files.h"
#include "super/reload_review.h"
#include "super/token.h"

enum { SETTLE_TIMEOUT_MS = 5000, TRIES_MAX = 20 };

struct attempt {
	const struct pyi_reload_request *request;
	int result;
	uint64_t wait_ms;
	uint32_t failures;
};

/* Under the registry's lock, so that of two wrong ones at the same time the second waits too. */
static void try_token(struct pyi_abi_sandbox *sandbox, void *arg)
{
	struct attempt *attempt = arg;
	uint32_t before = sandbox->token_failures;

	if (attempt->request->is_one_of_many)
		sandbox->token_failures = 0;
	attempt->result = pyi_token_check(sandbox, attempt->request->token, pyi_registry_now_ns(),
					  &attempt->wait_ms);
	if (attempt->request->is_one_of_many && attempt->result)
		sandbox->token_failures = before;
	attempt->failures = sandbox->token_failures;
}

static int authorize(struct pyi_registry *registry, const char *name,
		     const struct pyi_abi_sandbox *sandbox,
		     const struct pyi_reload_request *request, struct pyi_err *err)
{
	struct attempt attempt = { .request = request };
	int ret = pyi_registry_change(registry, name, &sandbox->owner, try_token, &attempt, err);

	if (ret < 0)
		return ret;
	switch (attempt.result) {
	case 0:
		return 0;
	case -ENOKEY:
		return pyi_err_set(
			err, EACCES,
			"PolicyAuthError: sandbox '%s' was started without --token-file, so it cannot be "
			"reloaded, by its owner and root neither: stop it and spawn it with one",
			name);
	case -EAGAIN:
		return pyi_err_set(err, EACCES,
				   "PolicyAuthError: there were wrong tokens for sandbox '%s': the next one is looked "
				   "at in %" PRIu64 " ms",
				   name, attempt.wait_ms);
	default:
		break;
	}
	if (!request->is_one_of_many)
		pyi_event_log_token(name, attempt.wait_ms, attempt.failures);
	return pyi_err_set(err, EACCES,
			   "PolicyAuthError: that is not the token of sandbox '%s'; the next one is looked at in "
			   "%" PRIu64 " ms",
			   name, attempt.wait_ms);
}

static int check_state(const char *name, const struct pyi_abi_sandbox *sandbox, struct pyi_err *err)
{
	if (sandbox->state == PYI_STATE_RUNNING || sandbox->state == PYI_STATE_HOT_RELOAD)
		return 0;
	if (pyi_sandbox_has_ended(sandbox))
		return pyi_err_set(err, ESRCH, "sandbox '%s' has ended", name);
	return pyi_err_set(err, EBUSY, "sandbox '%s' is %s", name,
			   sandbox->state == PYI_STATE_QUOTA_EXCEEDED ? "being ended for a limit"
								      : "not running yet: try again");
}

/* From the plan to the commit. */
static int review_plan(struct pyi_reload_job *job, const struct pyi_reload_request *request,
		       struct pyi_err *err)
{
	const struct pyi_reload_files *files = job->files;
	int ret = pyi_reload_review_sockets(job->plan, job->sandbox.flags, err);

	if (ret == 0)
		ret = pyi_reload_files_review(files, job->plan, err);
	if (ret == 0 && request->dry_run)
		return pyi_reload_files_check(files, files->from, job->plan, err);
	return ret ? ret : pyi_reload_commit(job, err);
}

static int review(struct pyi_registry *registry, const char *name,
		  const struct pyi_abi_sandbox *sandbox, const struct pyi_reload_request *request,
		  const struct pyi_policy *old, struct pyi_reload_answer *answer, struct pyi_err *err)
{
	struct pyi_reload_files files = { .is_needed = false };
	struct pyi_reload_job job = {
		.registry = registry,
		.name = name,
		.sandbox = *sandbox,
		.policy = request->policy,
		.old = old,
		.files = &files,
	};
	struct pyi_tree_way way = PYI_TREE_WAY_NONE;
	struct pyi_policy *start = NULL;
	struct pyi_plan *plan = NULL;
	int ret = pyi_policy_store_get(name, NULL, &start, err);

	if (ret == 0)
		ret = pyi_reload_review(start, old, request->policy, sandbox->flags,
					&answer->changes, err);
	if (ret == 0)
		ret = pyi_reload_files_begin(&files, sandbox, name, start, old, request->policy, err);
	if (ret == 0)
		ret = pyi_reload_files_plan(&files, request->policy, request->names,
					    files.is_needed ? &files.grants : NULL, &plan, err);
	if (ret == 0 && files.is_needed && sandbox->flags & PYI_SANDBOX_USERNS) {
		ret = pyi_door_ask(name, request->token, &way, err);
		files.way = &way;
	}
	job.plan = plan;
	if (ret == 0 && request->names)
		ret = pyi_reload_review_names(start, request->policy, request->names,
					      sandbox->flags, err);
	if (ret == 0)
		ret = review_plan(&job, request, err);
	pyi_plan_free(plan);
	pyi_reload_files_release(&files, ret == 0 && !request->dry_run);
	pyi_policy_free(start);
	pyi_tree_way_close(&way);
	return ret;
}

/* The policy in force, and the entry that says so. A reload that is faster may take the text away in between. */
static int find_policy(struct pyi_registry *registry, const char *name, struct pyi_abi_sandbox *sandbox,
		       struct pyi_policy **ret_policy, struct pyi_err *err)
{
	int ret = pyi_reload_settle(registry, name, NULL, SETTLE_TIMEOUT_MS, sandbox, err);

	for (int i = 0; ret == 0 && i < TRIES_MAX; i++) {
		struct pyi_abi_sandbox now;

		ret = pyi_policy_store_get(name, sandbox->policy_digest, ret_policy, err);
		if (ret == 0 ||
		    pyi_reload_settle(registry, name, NULL, SETTLE_TIMEOUT_MS, &now, err) < 0 ||
		    now.generation == sandbox->generation)
			break;
		*sandbox = now;
		ret = 0;
	}
	return ret;
}

int pyi_reload(struct pyi_registry *registry, const char *name, const struct pyi_reload_request *request,
	       struct pyi_reload_answer *ret_answer, struct pyi_err *err)
{
	struct pyi_abi_sandbox sandbox;
	struct pyi_policy *old = NULL;
	int ret = pyi_named_find(registry, name, &sandbox, err);

	if (ret == 0)
		ret = check_state(name, &sandbox, err);
	if (ret == 0)
		ret = authorize(registry, name, &sandbox, request, err);
	if (ret == 0)
		ret = find_policy(registry, name, &sandbox, &old, err);
	if (ret < 0)
		return ret;
	ret_answer->generation = sandbox.generation + 1;
	memcpy(ret_answer->old_digest, sandbox.policy_digest, sizeof(ret_answer->old_digest));
	memcpy(ret_answer->new_digest, request->policy->digest, sizeof(ret_answer->new_digest));
	if (request->keeps_same && memcmp(ret_answer->old_digest, ret_answer->new_digest,
					  sizeof(ret_answer->old_digest)) == 0) {
		ret_answer->generation = sandbox.generation;
		ret_answer->is_kept = true;
		pyi_policy_free(old);
		return 0;
	}
	ret = review(registry, name, &sandbox, request, old, ret_answer, err);
	pyi_policy_free(old);
	if (ret == 0 && !request->dry_run)
		pyi_event_log_reload(name, ret_answer->generation, ret_answer->old_digest,
				     ret_answer->new_digest);
	return ret;
}
