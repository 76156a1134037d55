/* SPDX-License-Identifier: MIT */
/* May this policy follow that one in a running sandbox? Pure. */
#ifndef PYI_SUPER_RELOAD_REVIEW_H
#define PYI_SUPER_RELOAD_REVIEW_H

#include <stdint.h>

struct pyi_buf;
struct pyi_err;
struct pyi_plan;
struct pyi_policy;

/*
 * Writes all differences to `changes`, also when one of them is refused: the first that cannot change while the sandbox
 * runs is the error, with the place it comes from. `start` is the policy of its start, whose ceiling holds for all that
 * follow; `flags` are PYI_SANDBOX_* of its entry.
 */
int pyi_reload_review(const struct pyi_policy *start, const struct pyi_policy *from,
		      const struct pyi_policy *to, uint32_t flags, struct pyi_buf *changes,
		      struct pyi_err *err);

/* Is an address of one of the policy's names one that the ceiling of the start denies? */
struct pyi_names;
int pyi_reload_review_names(const struct pyi_policy *start, const struct pyi_policy *to,
			    const struct pyi_names *names, uint32_t flags, struct pyi_err *err);

/* -EPERM: this is too much for the ceiling of the start. */
struct pyi_excess;
int pyi_reload_refuse_excess(const struct pyi_excess *excess, const struct pyi_policy *policy,
			     struct pyi_err *err);

/* Does the plan need sockets that the sandbox was started without (PYI_SANDBOX_* flags of its entry)? */
int pyi_reload_review_sockets(const struct pyi_plan *plan, uint32_t flags, struct pyi_err *err);

#endif
