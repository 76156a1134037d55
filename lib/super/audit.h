/* SPDX-License-Identifier: MIT */
/*
 * An audit: a run that is allowed what the invoker may do, and whose every use of it is recorded. It is a policy like
 * any other: behind the policy and the flags comes one more document, made here, that grants the host's tree and the
 * network. So what denies goes on denying, limits hold, and every layer stays that need not be wider.
 */
#ifndef PYI_SUPER_AUDIT_H
#define PYI_SUPER_AUDIT_H

#include <stdbool.h>
#include <stddef.h>

#include "policy/policy.h"

struct pyi_err;
struct pyi_run;

/* The origin of its rules, in messages and records. */
#define PYI_AUDIT_ORIGIN "--audit"

struct pyi_audit {
	struct pyi_policy_flag *flags; /* rules of PYI_AUDIT_ORIGIN; owned */
	size_t n;
	char **paths; /* what is granted of the host, absolute; owned, as all of it */
	size_t n_paths;
	struct pyi_policy *parent; /* the policy alone */
	struct pyi_policy *base;   /* with the flags: what would be in force without the audit */
};

/*
 * What there is of the host now: everything in '/' but the sandbox's own /proc and /dev, and /sys; /run for reading;
 * of /tmp, which stays private, what is in it.
 */
int pyi_audit_init(struct pyi_run *run, struct pyi_err *err);
void pyi_audit_release(struct pyi_audit *audit);

/* Is it one of the host's paths that the audit shows? */
bool pyi_audit_shows(const struct pyi_audit *audit, const char *path);

/* The guest has ended: what it used goes into the result record, and the suggestion into its file. */
int pyi_audit_end(struct pyi_run *run, struct pyi_err *err);

#endif
