/* SPDX-License-Identifier: MIT */
/*
 * The file system rules of a policy, met with the host's files: globs expanded, symlinks followed, existence and
 * kind known. lib/kernel/resolve.c makes it, the planner reads it (so that the planner itself needs no system call).
 */
#ifndef PYI_PLAN_GRANTS_H
#define PYI_PLAN_GRANTS_H

#include <stdbool.h>
#include <stddef.h>

#include "policy/policy.h"

enum pyi_path_kind { PYI_PATH_MISSING, PYI_PATH_FILE, PYI_PATH_DIR, PYI_PATH_OTHER };

struct pyi_grant {
	enum pyi_verdict verdict;
	unsigned int access;
	char *path; /* real path: absolute, no symlink in it; owned */
	enum pyi_path_kind kind;
	bool can_idmap; /* its file system takes id-mapped mounts (false where that was not asked) */
	bool was_made;	/* an empty file made for a write rule (see pyi_resolve_paths) */
	bool exact;	/* false: a glob that may match more later */
	const struct pyi_fs_rule *rule; /* borrowed from the policy; NULL for the built-in runtime list of `-- CMD` */
};

struct pyi_link { /* a symlink met on the way to a granted path; made again inside */
	char *path;
	char *target;
};

/* Where the fixed part of a pattern leads: what stands before the first component with a wildcard. */
struct pyi_glob_top {
	const struct pyi_fs_rule *rule;
	char *path; /* real; "/" for a pattern that begins with one; owned */
	enum pyi_path_kind kind;
	bool can_grant; /* with the rule's access: no file system that is nobody's */
	bool can_idmap;
};

struct pyi_grants {
	struct pyi_grant *v; /* sorted by path, parents before children */
	size_t n;
	struct pyi_link *links;
	size_t n_links;
	struct pyi_glob_top *tops; /* of every pattern, in the policy's order */
	size_t n_tops;
};

void pyi_grants_release(struct pyi_grants *grants);

/* The pattern behind the real path of its fixed part, in which what is special is no wildcard. The caller frees it. */
char *pyi_grants_pattern(const struct pyi_glob_top *top);

struct pyi_dfa;
struct pyi_err;

/*
 * The rules of the policy that these are of, by the real paths they lead to, as one automaton (policy/dfa.h) with the
 * rules' numbers. As pyi_dfa_build; -E2BIG with the rule's place.
 */
int pyi_grants_dfa(const struct pyi_grants *grants, const struct pyi_policy *policy,
		   struct pyi_dfa **ret_dfa, struct pyi_err *err);

#endif
