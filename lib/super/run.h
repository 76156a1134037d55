/* SPDX-License-Identifier: MIT */
/*
 * One run, from checked options to the exit code: policy → facts → grants → plan → cgroup, BPF rows →
 * sandbox → watch → result. The only way through the code, for the embedded Python and for `-- CMD` alike.
 */
#ifndef PYI_SUPER_RUN_H
#define PYI_SUPER_RUN_H

#include <stdbool.h>
#include <stdint.h>

#include "guest/guest.h"
#include "plan/plan.h"
#include "policy/policy.h"

struct pyi_run_options {
	const char *policy; /* --policy, NULL: "defaults" */
	const struct pyi_policy_flag *flags;
	size_t n_flags;
	enum pyi_mode mode;
	uint32_t required_layers;
	bool has_user;
	uid_t uid;
	gid_t gid;
	const char *cwd;
	const char *result_path; /* --result */
	int result_fd;		 /* --result-fd, -1 */
	bool dry_run;
	bool json; /* with --dry-run */

	enum pyi_guest_kind guest;
	enum pyi_guest_source source;
	const char *target; /* code, module, script path; NULL for stdin and commands */
	char *const *args;  /* the guest's own; for a command argv with the command first */
	size_t n_args;
};

/* The exit code of DESIGN 8. Prints its one line itself when something fails. */
int pyi_run(const struct pyi_run_options *options);

#endif
