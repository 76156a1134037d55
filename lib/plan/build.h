/* SPDX-License-Identifier: MIT */
/*
 * What the parts of the planner share while one plan is built. Private to lib/plan.
 */
#ifndef PYI_PLAN_BUILD_H
#define PYI_PLAN_BUILD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "plan/plan.h"

struct pyi_cover;
struct pyi_err;
struct pyi_facts;
struct pyi_grant;
struct pyi_grants;
struct pyi_names;

struct pyi_build {
	const struct pyi_policy *policy;
	const struct pyi_plan_options *options;
	const struct pyi_facts *facts;
	const struct pyi_grants *grants; /* never NULL here */
	const struct pyi_names *names;	 /* never NULL here */
	struct pyi_plan *plan;		 /* what is being built; owned by the caller */
	struct pyi_cover *cover;	 /* effective access by path; owned by the caller */
	struct pyi_grant *tops; /* directories that patterns for writing need; owned by the caller */
	uint32_t needed; /* layers (1 << enum pyi_layer) that this policy cannot do without */
	bool is_dev;	 /* rules marked `warn` let through */
};

/* One more element at the end of a growing array of a struct; NULL when out of memory. The new element is zeroed. */
void *pyi_build_grow(void *array_ptr, size_t *n, size_t size);

/* Add a formatted line to plan->warnings. */
int pyi_build_warn(struct pyi_build *b, struct pyi_err *err, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));

/* "policy.yml:7", or the flag's name. buf is returned. */
enum { PYI_ORIGIN_MAX = 512 };
const char *pyi_build_origin(const struct pyi_origin *from, char buf[PYI_ORIGIN_MAX]);

/* "read", "write", "exec", "read and exec", ... as in a policy. */
const char *pyi_access_name(unsigned int access);

/* The steps, in order. Each 0 or -errno. */
int pyi_build_ids(struct pyi_build *b, struct pyi_err *err);
int pyi_build_net(struct pyi_build *b, struct pyi_err *err);
int pyi_build_contracts(struct pyi_build *b, struct pyi_err *err);
int pyi_build_layers(struct pyi_build *b, struct pyi_err *err);

/* What the ceiling lets a reload grant: sockets of which kinds, programs? */
int pyi_build_ceiling_net(struct pyi_build *b, struct pyi_err *err);
bool pyi_build_ceiling_has_exec(const struct pyi_build *b);

/* BPF LSM is wanted and missing: OFF, with the reason. */
void pyi_build_lsm_is_off(struct pyi_build *b);

int pyi_build_tree(struct pyi_build *b, struct pyi_err *err);
int pyi_build_landlock(struct pyi_build *b, struct pyi_err *err);
int pyi_build_ceiling(struct pyi_build *b, struct pyi_err *err);
int pyi_build_paths(struct pyi_build *b, struct pyi_err *err);
int pyi_build_cwd(struct pyi_build *b, struct pyi_err *err);
int pyi_build_rlimits(struct pyi_build *b, struct pyi_err *err);
int pyi_build_env(struct pyi_build *b, struct pyi_err *err);

#endif
