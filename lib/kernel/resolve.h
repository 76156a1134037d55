/* SPDX-License-Identifier: MIT */
/* The policy's paths and names met with this host. */
#ifndef PYI_KERNEL_RESOLVE_H
#define PYI_KERNEL_RESOLVE_H

#include <stdbool.h>

struct pyi_err;
struct pyi_grants;
struct pyi_names;
struct pyi_policy;

/*
 * Expand globs (at most 4,096 matches a rule), follow symlinks whose owner is root or the invoker (another's is
 * refused), find kinds. A missing path: an error for a read or exec rule that a user wrote (file:line), skipped for a
 * template's rule; for a write rule whose directory exists an empty file is made, mode 0666 less the umask, owned by
 * the invoker (marked was_made, so that a refused run can take it back with pyi_resolve_undo).
 * `extra` (NULL or NULL-terminated) are host paths granted read+exec where they exist: the runtime list of `-- CMD`.
 */
int pyi_resolve_paths(const struct pyi_policy *policy, const char *const *extra, bool want_idmap,
		      struct pyi_grants *ret_grants, struct pyi_err *err);

/* Remove the empty files pyi_resolve_paths made, if they are still empty; for a run that did not start. */
void pyi_resolve_undo(const struct pyi_grants *grants);

/* Ask the host's resolver for each host name of the net rules; one that has no address is an error with file:line. */
int pyi_resolve_names(const struct pyi_policy *policy, struct pyi_names *ret_names, struct pyi_err *err);

#endif
