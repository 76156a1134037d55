/* SPDX-License-Identifier: MIT */
/* Note, signal, limits, stage, swap, settle; and what is done about one that was cut off. See reload.h. */
#include "super/reload_commit.h"

#include <errno.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "base/err.h"
#include "base/fault.h"
#include "base/log.h"
#include "base/util.h"
#include "kernel/bpf.h"
#include "kernel/cgroup_limits.h"
#include "kernel/sys.h"
#include "plan/plan.h"
#include "policy/policy.h"
#include "super/event_log.h"
#include "super/named.h"
#include "super/policy_store.h"
#include "super/registry.h"
#include "super/reload.h"
#include "super/reload_files.h"

enum { LOCK_TIMEOUT_MS = 10000, SETTLE_LOOK_MS = 2 };

void pyi_limits_from_abi(const struct pyi_abi_limits *from, struct pyi_limits *to)
{
	*to = (struct pyi_limits){
		.memory_bytes = from->memory_bytes,
		.cpu_time_ms = from->cpu_time_ms,
		.wall_time_ms = from->wall_time_ms,
		.output_bytes = from->output_bytes,
		.tmp_bytes = from->tmp_bytes,
		.cpu_permille = from->cpu_permille,
		.pids = from->pids,
		.open_files = from->open_files,
		.numa = from->numa,
	};
}

void pyi_limits_to_abi(const struct pyi_limits *from, struct pyi_abi_limits *to)
{
	*to = (struct pyi_abi_limits){
		.memory_bytes = from->memory_bytes,
		.cpu_time_ms = from->cpu_time_ms,
		.wall_time_ms = from->wall_time_ms,
		.output_bytes = from->output_bytes,
		.tmp_bytes = from->tmp_bytes,
		.cpu_permille = from->cpu_permille,
		.pids = from->pids,
		.open_files = from->open_files,
		.numa = from->numa,
	};
}

static int open_bpf(const struct pyi_abi_sandbox *sandbox, struct pyi_bpf **ret_bpf, struct pyi_err *err)
{
	*ret_bpf = NULL;
	return sandbox->flags & PYI_SANDBOX_HAS_BPF ? pyi_bpf_open_again(ret_bpf, err) : 0;
}

static int change_limits(const struct pyi_abi_sandbox *sandbox, const struct pyi_abi_limits *from,
			 const struct pyi_abi_limits *to, struct pyi_err *err)
{
	struct pyi_cgroup_limits of = {
		.init_pid = sandbox->init_pid,
		.name = sandbox->group,
		.init_counts = sandbox->flags & PYI_SANDBOX_INIT_COUNTS,
		.has_rlimits = sandbox->flags & PYI_SANDBOX_RLIMITS,
	};
	struct pyi_limits was, is;

	pyi_limits_from_abi(from, &was);
	pyi_limits_from_abi(to, &is);
	return pyi_cgroup_limits_change(&of, &was, &is, err);
}

/* The entry becomes what was noted. */
static void take_note(struct pyi_abi_sandbox *sandbox)
{
	const struct pyi_abi_reload *note = &sandbox->reload;

	sandbox->generation = note->generation;
	sandbox->limits = note->limits;
	memcpy(sandbox->policy_digest, note->policy_digest, sizeof(sandbox->policy_digest));
	memcpy(sandbox->policy_name, note->policy_name, sizeof(sandbox->policy_name));
}

static void forget_note(struct pyi_abi_sandbox *sandbox)
{
	memset(&sandbox->reload, 0, sizeof(sandbox->reload));
	if (sandbox->state == PYI_STATE_HOT_RELOAD)
		sandbox->state = PYI_STATE_RUNNING;
}

/* Make the files what the second policy says, whatever they are by now. A sandbox that has ended has none. */
static int settle_files(const char *name, const struct pyi_abi_sandbox *sandbox,
			const struct pyi_tree_way *way, const uint8_t from_digest[32],
			const uint8_t to_digest[32], struct pyi_err *err)
{
	struct pyi_policy *from = NULL, *to = NULL;
	struct pyi_err unused = { 0 };
	int ret = pyi_policy_store_get(name, to_digest, &to, err);

	/* A policy whose text was not written yet has changed nothing. */
	if (ret == 0 && pyi_policy_store_get(name, from_digest, &from, &unused) == 0)
		ret = pyi_reload_files_settle(sandbox, name, way, from, to, err);
	pyi_policy_free(from);
	pyi_policy_free(to);
	return ret == -ESRCH ? 0 : ret;
}

/* Under the lock: the one who noted it is dead. */
static int settle(struct pyi_registry *registry, const char *name, const struct pyi_tree_way *way,
		  struct pyi_abi_sandbox *sandbox, struct pyi_err *err)
{
	const struct pyi_abi_sandbox sandbox_was = *sandbox;
	const struct pyi_abi_reload *note = &sandbox->reload;
	struct pyi_err unused = { 0 };
	struct pyi_err failed = { 0 };
	struct pyi_bpf *bpf = NULL;
	uint32_t generation = 0;
	int ret = open_bpf(sandbox, &bpf, err), files = 0;

	if (ret < 0)
		return ret;
	if (bpf && pyi_bpf_generation(bpf, sandbox->cgroup, &generation) == 0 &&
	    generation == note->generation) {
		take_note(sandbox);
		files = settle_files(name, sandbox, way, sandbox_was.policy_digest,
				     sandbox->policy_digest, &failed);
	} else {
		if (bpf)
			pyi_bpf_unstage(bpf, sandbox->cgroup, note->generation);
		if (!pyi_sandbox_has_ended(sandbox)) {
			(void)change_limits(sandbox, &note->limits, &sandbox->limits, &unused);
			files = settle_files(name, sandbox, way, note->policy_digest,
					     sandbox->policy_digest, &failed);
		}
	}
	/* This was the second try at least. A supervisor has nobody else to tell. */
	if (files < 0)
		pyi_log_error("the files of sandbox '%s' are not all what its policy says: %s",
			      name, failed.msg);
	pyi_bpf_free(bpf);
	forget_note(sandbox);
	return pyi_registry_put(registry, name, sandbox, err);
}

/* Can it be settled with this way, or do its files need one? A dead supervisor's have ended with it. */
static bool may_settle(const struct pyi_abi_sandbox *sandbox, const struct pyi_tree_way *way)
{
	return way || !(sandbox->flags & PYI_SANDBOX_USERNS) || !pyi_sandbox_is_live(sandbox);
}

/* The supervisor does it as soon as nobody else is at work on it. */
static int leave_to_supervisor(struct pyi_registry *registry, const char *name, int timeout_ms,
			       struct pyi_abi_sandbox *sandbox, struct pyi_err *err)
{
	const struct timespec nap = { .tv_nsec = SETTLE_LOOK_MS * 1000000 };
	_cleanup_fd int supervisor_fd = -1;
	int ret = pyi_named_pidfd(sandbox, &supervisor_fd, err);

	/* Who noted it may have been killed before it said so. */
	if (ret == 0 && pyi_sys_pidfd_queue(supervisor_fd, PYI_WATCH_RELOAD_SIGNAL, PYI_WATCH_RELOAD) < 0)
		ret = pyi_err_sys(err, errno, "cannot signal the supervisor of '%s'", name);
	for (int waited_ms = 0; ret == 0 && sandbox->reload.generation; waited_ms += SETTLE_LOOK_MS) {
		if (waited_ms >= timeout_ms)
			return pyi_err_set(
				err, ETIMEDOUT,
				"the supervisor of '%s' has not settled a reload that was cut off",
				name);
		nanosleep(&nap, NULL);
		ret = pyi_registry_get(registry, name, sandbox, err);
	}
	return ret;
}

int pyi_reload_settle(struct pyi_registry *registry, const char *name, const struct pyi_tree_way *way,
		      int timeout_ms, struct pyi_abi_sandbox *ret_sandbox, struct pyi_err *err)
{
	struct pyi_abi_sandbox sandbox;
	_cleanup_fd int lock = -1;
	int ret = pyi_registry_get(registry, name, &sandbox, err);

	if (ret == 0 && sandbox.reload.generation && !may_settle(&sandbox, way)) {
		ret = leave_to_supervisor(registry, name, timeout_ms, &sandbox, err);
	} else if (ret == 0 && sandbox.reload.generation) {
		ret = pyi_registry_lock(registry, timeout_ms, &lock, err);
		if (ret == 0)
			ret = pyi_registry_get(registry, name, &sandbox, err);
		if (ret == 0 && sandbox.reload.generation)
			ret = settle(registry, name, way, &sandbox, err);
	}
	if (ret == 0 && ret_sandbox)
		*ret_sandbox = sandbox;
	return ret;
}

static int come_between(const struct pyi_reload_job *job, struct pyi_err *err)
{
	return pyi_err_set(err, EAGAIN,
			   "another reload of '%s' came in between: nothing was changed, try again",
			   job->name);
}

/* Is it still the sandbox that was checked, in the state it was? */
static int check_again(const struct pyi_reload_job *job, const struct pyi_abi_sandbox *now,
		       struct pyi_err *err)
{
	if (!pyi_registry_is_owner(now, &job->sandbox.owner) || pyi_sandbox_has_ended(now))
		return pyi_err_set(err, ESRCH, "sandbox '%s' has ended", job->name);
	if (now->state != PYI_STATE_RUNNING)
		return pyi_err_set(err, EBUSY, "sandbox '%s' is being ended", job->name);
	return now->generation == job->sandbox.generation ? 0 : come_between(job, err);
}

static int check_programs(struct pyi_bpf *bpf, const struct pyi_abi_sandbox *sandbox, struct pyi_err *err)
{
	uint32_t generation;

	if (!bpf)
		return 0;
	if (pyi_bpf_generation(bpf, sandbox->cgroup, &generation) < 0)
		return pyi_err_set(
			err, ENOENT,
			"its network rules are another build's of pyisolate: reload it with that");
	return generation == sandbox->generation
		       ? 0
		       : pyi_err_set(err, EBUSY, "its rules are of generation %u, its entry of %u",
				     generation, sandbox->generation);
}

static void note_reload(const struct pyi_reload_job *job, struct pyi_abi_sandbox *sandbox)
{
	struct pyi_abi_reload *note = &sandbox->reload;

	*note = (struct pyi_abi_reload){ .generation = sandbox->generation + 1 };
	pyi_limits_to_abi(&job->policy->limits, &note->limits);
	/* These have defaults, and cannot change. */
	note->limits.open_files = sandbox->limits.open_files;
	note->limits.tmp_bytes = sandbox->limits.tmp_bytes;
	memcpy(note->policy_digest, job->policy->digest, sizeof(note->policy_digest));
	snprintf(note->policy_name, sizeof(note->policy_name), "%s", job->policy->name);
	sandbox->state = PYI_STATE_HOT_RELOAD;
}

/* Everything that can fail, with its way back. */
static int put_in_force(struct pyi_reload_job *job, struct pyi_bpf *bpf,
			const struct pyi_abi_sandbox *sandbox, struct pyi_err *err)
{
	const struct pyi_abi_reload *note = &sandbox->reload;
	const struct pyi_reload_files *files = job->files;
	struct pyi_err unused = { 0 };
	bool has_touched = false;
	int ret;

	ret = PYI_FAULT(981, EIO) ? pyi_err_sys(err, errno, "cannot change the limits")
				  : change_limits(sandbox, &sandbox->limits, &note->limits, err);
	if (ret < 0)
		return ret;
	/* Where programs decide about files, all that either policy needs is there while they change over. */
	ret = pyi_reload_files_change(files, files->from, files->both ? files->both : job->plan,
				      &has_touched, err);
	if (ret == 0 && bpf) {
		ret = PYI_FAULT(982, EIO)
			      ? pyi_err_sys(err, errno, "cannot stage the rules")
			      : pyi_bpf_stage(bpf, sandbox->cgroup, note->generation, job->plan, err);
		if (ret == 0) {
			ret = PYI_FAULT(983, EIO) ? pyi_err_sys(err, errno, "cannot swap the rules")
						  : pyi_bpf_swap(bpf, sandbox->cgroup,
								 note->generation, job->plan, err);
			if (ret < 0)
				pyi_bpf_unstage(bpf, sandbox->cgroup, note->generation);
		}
	}
	if (ret < 0) {
		(void)change_limits(sandbox, &note->limits, &sandbox->limits, &unused);
		job->is_unsettled = has_touched &&
				    settle_files(job->name, sandbox, files->way, note->policy_digest,
						 sandbox->policy_digest, &unused) < 0;
	}
	return ret;
}

static int commit_locked(struct pyi_reload_job *job, struct pyi_bpf *bpf, int supervisor_fd,
			 struct pyi_err *err)
{
	struct pyi_abi_sandbox before, sandbox;
	struct pyi_err unused = { 0 };
	int ret = pyi_registry_get(job->registry, job->name, &before, err);

	if (ret == 0 && before.reload.generation)
		ret = may_settle(&before, job->files->way)
			      ? settle(job->registry, job->name, job->files->way, &before, err)
			      : come_between(job, err);
	if (ret == 0)
		ret = check_again(job, &before, err);
	if (ret == 0)
		ret = check_programs(bpf, &before, err);
	if (ret == 0)
		ret = pyi_policy_store_add(job->name, job->policy, err);
	if (ret < 0)
		return ret;
	sandbox = before;
	note_reload(job, &sandbox);
	ret = pyi_registry_put(job->registry, job->name, &sandbox, err);
	if (ret < 0)
		return ret;
	pyi_event_log_state(job->name, pyi_sandbox_state_name(sandbox.state), sandbox.owner.pid);
	/* Before anything changes: from now on it looks, and settles what we might leave. */
	if (PYI_FAULT(980, EPERM) ||
	    pyi_sys_pidfd_queue(supervisor_fd, PYI_WATCH_RELOAD_SIGNAL, PYI_WATCH_RELOAD) < 0)
		ret = pyi_err_sys(err, errno, "cannot signal the supervisor of '%s'", job->name);
	else
		ret = put_in_force(job, bpf, &sandbox, err);
	if (ret < 0) {
		/* With the note left standing the supervisor, or the next command, tries to take it back once more. */
		if (!job->is_unsettled) {
			(void)pyi_registry_put(job->registry, job->name, &before, &unused);
			pyi_event_log_state(job->name, pyi_sandbox_state_name(before.state),
					    before.owner.pid);
		}
		return ret;
	}
	/* It is in force; what is left to do takes away what no policy grants any more. */
	if (job->files->both) {
		ret = pyi_reload_files_change(job->files, job->files->both, job->plan, NULL, err);
		if (ret < 0)
			return ret;
	}
	if (PYI_FAULT(984, EIO))
		return pyi_err_sys(err, errno, "cannot write the entry of '%s'", job->name);
	take_note(&sandbox);
	forget_note(&sandbox);
	ret = pyi_registry_put(job->registry, job->name, &sandbox, err);
	if (ret == 0)
		pyi_policy_store_keep(job->name, sandbox.policy_digest);
	return ret;
}

int pyi_reload_commit(struct pyi_reload_job *job, struct pyi_err *err)
{
	_cleanup_fd int supervisor_fd = -1, lock = -1;
	struct pyi_bpf *bpf = NULL;
	int ret = pyi_named_pidfd(&job->sandbox, &supervisor_fd, err);

	if (ret < 0)
		return pyi_err_add(err, "sandbox '%s'", job->name);
	ret = PYI_FAULT(988, EIO) ? pyi_err_sys(err, errno, "cannot open the maps")
				  : open_bpf(&job->sandbox, &bpf, err);
	if (ret == 0)
		ret = pyi_registry_lock(job->registry, LOCK_TIMEOUT_MS, &lock, err);
	if (ret == 0)
		ret = commit_locked(job, bpf, supervisor_fd, err);
	pyi_bpf_free(bpf);
	return ret;
}
