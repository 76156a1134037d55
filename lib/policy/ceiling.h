/* SPDX-License-Identifier: MIT */
/*
 * What a policy grants beyond a ceiling, the `ceiling` of a policy: fs, net and limits as far as they were given. Of
 * each rule that is too much there is an example, and what to do.
 *
 * Files are compared as automata and addresses cell by cell, for each access: what the new policy's rules allow less
 * what they deny has to lie in what the ceiling's allow less what they deny. By what is written: symbolic links and
 * names of hosts are met with the host elsewhere: by pyi_grants_dfa (plan/grants.h) and pyi_ceiling_compare_name.
 */
#ifndef PYI_POLICY_CEILING_H
#define PYI_POLICY_CEILING_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct pyi_dfa;
struct pyi_err;
struct pyi_net_rule;
struct pyi_origin;
struct pyi_policy;

enum { PYI_EXCESS_WHAT_MAX = 320, PYI_EXCESS_WHY_MAX = 640, PYI_EXCESS_MEND_MAX = 320 };

struct pyi_excess {
	const struct pyi_origin *from; /* of the rule that is too much; NULL: there is none to name */
	char what[PYI_EXCESS_WHAT_MAX]; /* "fs: 'read /srv'" */
	char why[PYI_EXCESS_WHY_MAX]; /* "it lets read '/srv/x', which the ceiling denies by 'deny /srv/x' (p.yml:9)" */
	char mend[PYI_EXCESS_MEND_MAX]; /* what would do: "add '- deny: /srv/x' to fs"; "": nothing that simple */
};

/* Other than 0 ends the comparison, which returns it. */
typedef int (*pyi_excess_fn)(const struct pyi_excess *excess, void *arg);

/*
 * Calls `each` for every rule of `policy` that grants too much: files, addresses, limits. is_dev: rules that warn
 * grant, too. -E2BIG when the two cannot be compared, -ENOMEM.
 */
int pyi_ceiling_compare(const struct pyi_policy *ceiling, const struct pyi_policy *policy,
			bool is_dev, pyi_excess_fn each, void *arg, struct pyi_err *err);

/* The files alone, of automata whose rules bear the numbers of those of the two policies (others are nobody's). */
int pyi_ceiling_compare_paths(const struct pyi_policy *ceiling, const struct pyi_dfa *outer,
			      const struct pyi_policy *policy, const struct pyi_dfa *inner,
			      bool is_dev, pyi_excess_fn each, void *arg, struct pyi_err *err);

/* The addresses alone: part of pyi_ceiling_compare. */
int pyi_ceiling_compare_net(const struct pyi_policy *ceiling, const struct pyi_policy *policy,
			    bool is_dev, pyi_excess_fn each, void *arg, struct pyi_err *err);

/*
 * One address of a name: is it one that the policy's rules about that name grant, and the ceiling denies? Calls `each`
 * for the first of such rules.
 */
int pyi_ceiling_compare_name(const struct pyi_policy *ceiling, const struct pyi_policy *policy,
			     bool is_dev, const char *name, const uint8_t addr[16],
			     pyi_excess_fn each, void *arg, struct pyi_err *err);

/* " (policy.yml:7)", "" without an origin. */
const char *pyi_excess_place(const struct pyi_origin *from, char *buf, size_t size);

#endif
