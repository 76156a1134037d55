/* SPDX-License-Identifier: MIT */
/* The policy's paths and names met with this host. */
#ifndef PYI_KERNEL_RESOLVE_H
#define PYI_KERNEL_RESOLVE_H

#include <stdbool.h>

struct pyi_err;
struct pyi_grants;
struct pyi_names;
struct pyi_policy;

enum pyi_idmap_use {
	PYI_IDMAP_NONE,	  /* it does not matter: none does */
	PYI_IDMAP_TRY,	  /* find out by trying; root */
	PYI_IDMAP_ASSUME, /* all do: who mounts it will see */
};

/*
 * Expand globs (at most 4,096 matches a rule, 64 directories deep below '**', into no symlink there), follow symlinks
 * whose owner is root or the invoker (another's is refused; a pattern passes it over), find kinds.
 *
 * A missing path: an error for a read or exec rule that a user wrote (file:line), skipped for a template's rule; for
 * a user's write rule whose directory exists an empty file is made, mode 0666 less the umask, owned by the invoker
 * (marked was_made, so that a refused run can take it back with pyi_resolve_undo). What is denied is kept as
 * PYI_PATH_MISSING. A pattern without matches grants nothing; the part before its first wildcard must exist.
 *
 * Never granted: /proc and the like (BPF, debug, trace, security, EFI, binfmt, pts file systems), sockets, devices;
 * never for writing: /sys and control groups. An error for a user's rule, left out for a template's and a pattern's.
 * The five devices that every sandbox has (null, zero, full, random, urandom) may be named and add nothing. '/' and
 * /dev as a whole are the planner's to refuse.
 *
 * `extra` (NULL or NULL-terminated) are host paths granted read+exec where they exist: the runtime list of `-- CMD`.
 * use: does each rule's file system take id-mapped mounts?
 * *ret_grants is the caller's: pyi_grants_release. Made files are taken back on failure.
 */
int pyi_resolve_paths(const struct pyi_policy *policy, const char *const *extra,
		      enum pyi_idmap_use use, struct pyi_grants *ret_grants, struct pyi_err *err);

/* Remove the empty files pyi_resolve_paths made, if they are still empty; for a run that did not start. */
void pyi_resolve_undo(const struct pyi_grants *grants);

/*
 * Ask /etc/hosts and DNS for each host name of the net rules, once for each name; one that has no address, or more than
 * 64, is an error with file:line. Waits as long as resolv.conf says. *ret_names is the caller's: pyi_names_release.
 */
int pyi_resolve_names(const struct pyi_policy *policy, struct pyi_names *ret_names, struct pyi_err *err);

/* No path that the policy's contracts count may lead through a symbolic link: -EINVAL, file:line and the real one. */
int pyi_resolve_check_counted(const struct pyi_policy *policy, struct pyi_err *err);

#endif
