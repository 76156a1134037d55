/* SPDX-License-Identifier: MIT */
/* Patterns of a policy met with the host's tree. Private to the resolver. */
#ifndef PYI_KERNEL_RESOLVE_GLOB_H
#define PYI_KERNEL_RESOLVE_GLOB_H

#include <stddef.h>
#include <sys/types.h>

struct pyi_err;

enum {
	PYI_GLOB_MATCHES_MAX = 4096,   /* of one pattern */
	PYI_GLOB_ENTRIES_MAX = 262144, /* directory entries looked at for one pattern */
	PYI_GLOB_DEPTH_MAX = 64,       /* directories beneath one '**' */
};

/* A path that matches, as the pattern leads to it (symlinks not resolved). 0 or -errno. */
typedef int pyi_glob_match_fn(void *data, const char *path, struct pyi_err *err);

/*
 * Call `match` for each existing path that matches the absolute pattern, and for nothing beneath it. What a match is
 * says pyi_policy_path_matches. A '*' steps into symlinks that root or `uid` owns, a '**' into none. Directories that
 * cannot be read have no matches. Errors: E2BIG when a cap is hit, ENOMEM, or what `match` returned.
 */
int pyi_glob_expand(const char *pattern, uid_t uid, pyi_glob_match_fn *match, void *data,
		    struct pyi_err *err);

/* How many bytes of a pattern come before the first component with a wildcard, without the slash; 0 for the root. */
size_t pyi_glob_fixed_len(const char *pattern);

#endif
