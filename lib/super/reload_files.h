/* SPDX-License-Identifier: MIT */
/* The files of a reload: what the policies come to on this host, whether it may be, and the changing. See reload.h. */
#ifndef PYI_SUPER_RELOAD_FILES_H
#define PYI_SUPER_RELOAD_FILES_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#include "plan/grants.h"

struct pyi_abi_sandbox;
struct pyi_err;
struct pyi_names;
struct pyi_plan;
struct pyi_policy;
struct pyi_tree_way;

struct pyi_reload_files {
	const struct pyi_abi_sandbox *sandbox;
	const struct pyi_tree_way *way; /* into an ordinary user's; set by the caller before it changes the tree */
	bool is_needed;			/* else nothing below is there */
	uid_t uid;			/* the guest\'s */
	gid_t gid;
	struct pyi_grants grants; /* of the new policy; the plan is made with them */
	struct pyi_grants was;	  /* of the old one */
	struct pyi_plan *from;	  /* the old policy's tree */
	struct pyi_grants either; /* shallow: what one of them grants */
	struct pyi_plan *both;	  /* its tree, while the LSM programs decide; NULL without them */
	const struct pyi_policy *start; /* of the start, borrowed */
	struct pyi_plan *ceiling;	/* and what it was made for */
	struct pyi_grants ceiling_grants;
	const char **kept; /* places that Landlock's domain knows; borrowed from the ceiling */
	size_t n_kept;
};

/* The rules about files differ, or hold patterns, which may match something else by now. */
bool pyi_reload_files_are_due(const struct pyi_policy *from, const struct pyi_policy *to);

/*
 * What is there to be done for another policy than `from`, in a sandbox that `start` is the first one of? Resolves
 * the paths of both; where files are not touched this costs nothing. Makes the files that write rules name: with
 * keep_made false (or on failure) `release` takes them back.
 */
int pyi_reload_files_begin(struct pyi_reload_files *files, const struct pyi_abi_sandbox *sandbox,
			   const char *name, const struct pyi_policy *start,
			   const struct pyi_policy *from, const struct pyi_policy *to,
			   struct pyi_err *err);
void pyi_reload_files_release(struct pyi_reload_files *files, bool keep_made);

/* Is all of the new plan within what the sandbox was made for? The error names the rule. */
int pyi_reload_files_review(const struct pyi_reload_files *files, const struct pyi_plan *plan,
			    struct pyi_err *err);

/* Could the tree be changed from one plan's to the other's? */
int pyi_reload_files_check(const struct pyi_reload_files *files, const struct pyi_plan *from,
			   const struct pyi_plan *to, struct pyi_err *err);

/* Change it. A failure with *has_touched as it was has changed nothing (NULL: not asked). */
int pyi_reload_files_change(const struct pyi_reload_files *files, const struct pyi_plan *from,
			    const struct pyi_plan *to, bool *has_touched, struct pyi_err *err);

/* After a reload that was cut off: make the tree that of the policy `to`, whatever it is now. `way` may be NULL. */
int pyi_reload_files_settle(const struct pyi_abi_sandbox *sandbox, const char *name,
			    const struct pyi_tree_way *way, const struct pyi_policy *from,
			    const struct pyi_policy *to, struct pyi_err *err);

/* The plan of a policy for this sandbox, with its files where grants is not NULL. */
int pyi_reload_files_plan(const struct pyi_reload_files *files, const struct pyi_policy *policy,
			  const struct pyi_names *names, const struct pyi_grants *grants,
			  struct pyi_plan **ret_plan, struct pyi_err *err);

#endif
