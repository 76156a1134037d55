/* SPDX-License-Identifier: MIT */
/* Which image the guest starts from, and what becomes of the image afterwards; see steps.h and image_cache.h. */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/err.h"
#include "base/log.h"
#include "base/util.h"
#include "kernel/run_dir.h"
#include "super/steps.h"

static struct pyi_image_wish wish_of(const struct pyi_run_options *options)
{
	return (struct pyi_image_wish){
		.preload = options->preload,
		.n_preload = options->n_preload,
		.max_age_ms = options->image_age_ms,
	};
}

void pyi_step_image(struct pyi_run *run)
{
	const struct pyi_image_wish wish = wish_of(run->options);
	struct pyi_err err = { 0 };

	if (run->options->guest != PYI_GUEST_PYTHON || run->options->no_image)
		return;
	if (run->facts_are_known) {
		pyi_image_know_cpu(run->facts.cpu);
		pyi_image_know_boot(run->facts.boot);
	}
	if (pyi_image_find(&wish, &run->image_fd, &err) == 0) {
		pyi_step_mark("image");
		return;
	}
	pyi_log_verbose("no image is used: %s", err.msg);
	run->needs_image = true;
}

/*
 * Did the guest die of its image? Pages are not checked, and something outside may forbid what the restorer does. It
 * was not ready, so nothing of the user's has run and nothing of stdin has been read: it can be started again without.
 * Not where a signal was forwarded to it, or one came that nobody's fault makes.
 */
static bool has_failed(const struct pyi_run *run)
{
	static const int faults[] = { SIGSEGV, SIGBUS, SIGILL, SIGFPE, SIGABRT, SIGTRAP, SIGSYS };
	const struct pyi_watch *watch = &run->watch;

	if (run->image_fd < 0 || watch->is_ready || watch->was_killed || watch->was_signalled ||
	    !watch->has_exited)
		return false;
	if (!WIFSIGNALED(watch->wait_status))
		return true;
	for (size_t i = 0; i < PYI_ARRAY_SIZE(faults); i++)
		if (WTERMSIG(watch->wait_status) == faults[i])
			return true;
	return false;
}

bool pyi_step_drop_image(struct pyi_run *run, const struct pyi_err *failure)
{
	const struct pyi_image_wish wish = wish_of(run->options);

	if (!has_failed(run))
		return false;
	pyi_log_verbose("the image is of no use: %s: starting again without", failure->msg);
	pyi_image_discard(&wish, run->image_fd, failure->msg);
	pyi_close_fd(&run->image_fd);
	return true;
}

void pyi_step_image_later(const struct pyi_run *run)
{
	const struct pyi_image_wish wish = wish_of(run->options);
	struct pyi_err err = { 0 };

	if (!run->needs_image || !run->watch.is_ready)
		return;
	if (pyi_image_make_later(&wish, &err))
		pyi_log_verbose("no image is made: %s", err.msg);
	else
		pyi_log_verbose("an image for the next runs is being made");
}

/* ------------------------------------------------------------------------------------------- guarding what is ours */

static bool may_write(const struct pyi_policy *policy)
{
	for (size_t i = 0; i < policy->n_fs; i++)
		if (policy->fs[i].verdict != PYI_DENY && (policy->fs[i].access & PYI_WRITE))
			return true;
	return false;
}

/* Is `file` in this directory for a guest to write? Then *ret_dir is what the directory is really called. */
static bool is_open(const struct pyi_policy *policy, const char *dir, const char *file,
		    char ret_dir[PATH_MAX])
{
	const struct pyi_fs_rule *rule = NULL;
	char path[PATH_MAX + PYI_IMAGE_FILE_LEN];

	if (!realpath(dir, ret_dir))
		return false;
	snprintf(path, sizeof(path), "%s/%s", ret_dir, file);
	return pyi_policy_decide_fs(policy, path, PYI_WRITE, &rule) != PYI_DENY;
}

size_t pyi_step_guarded(const struct pyi_policy *policy, char ret_dirs[PYI_GUARDED_MAX][PATH_MAX])
{
	const struct pyi_image_wish wish = { .max_age_ms = UINT64_MAX };
	struct pyi_image_place place;
	_cleanup_fd int dir_fd = -1;
	size_t n = 0;

	if (!may_write(policy))
		return 0;
	if (pyi_image_place_find(&wish, &place, NULL) == 0) {
		/* One that is not there yet the guest could make: so it has to be there. */
		(void)pyi_image_dir_open(place.dir, true, &dir_fd, NULL);
		n += is_open(policy, place.dir, place.file, ret_dirs[n]);
	}
	if (geteuid() == 0) {
		(void)mkdir(PYI_RUN_DIR, 0700);
		n += is_open(policy, PYI_RUN_DIR, "facts", ret_dirs[n]);
	}
	return n;
}
