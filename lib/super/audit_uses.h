/* SPDX-License-Identifier: MIT */
/* What a guest asked for and got, each thing once, met with the files of the host as they are after the run. */
#ifndef PYI_SUPER_AUDIT_USES_H
#define PYI_SUPER_AUDIT_USES_H

#include <stddef.h>

#include "report/suggest.h"

struct pyi_err;
struct pyi_run;

struct pyi_audit_uses {
	struct pyi_suggest_path *paths; /* in the order of time */
	size_t n_paths;
	struct pyi_suggest_address *addresses; /* the same */
	size_t n_addresses;
	char **texts; /* paths that are nowhere else; owned, as the arrays */
	size_t n_texts;
};

int pyi_audit_uses_collect(const struct pyi_run *run, struct pyi_audit_uses *ret_uses,
			   struct pyi_err *err);
void pyi_audit_uses_release(struct pyi_audit_uses *uses);

#endif
