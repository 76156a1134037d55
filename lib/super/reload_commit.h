/* SPDX-License-Identifier: MIT */
/* From a checked policy to the one in force; for reload.c. See reload.h for the steps. */
#ifndef PYI_SUPER_RELOAD_COMMIT_H
#define PYI_SUPER_RELOAD_COMMIT_H

#include <stdbool.h>

#include "pyi_abi.h"

struct pyi_err;
struct pyi_plan;
struct pyi_policy;
struct pyi_registry;
struct pyi_reload_files;

struct pyi_reload_job {
	struct pyi_registry *registry;
	const char *name;
	struct pyi_abi_sandbox sandbox; /* as it was when it was checked: another owner or generation is an error */
	const struct pyi_policy *policy;
	const struct pyi_policy *old;
	const struct pyi_plan *plan;
	const struct pyi_reload_files *files;
	bool is_unsettled; /* it has failed, and could not be taken back whole */
};

int pyi_reload_commit(struct pyi_reload_job *job, struct pyi_err *err);

#endif
