/* SPDX-License-Identifier: MIT */
/*
 * Another policy for a named sandbox that runs.
 *
 * Theory of operation. No daemon: the command does it, under the registry's lock, in steps that can be cut off after
 * any of them:
 *
 *	check	token; what changes, rule by rule; what cannot change in a running sandbox is refused in words
 *	note	the entry gets the state HOT_RELOAD and, in `reload`, what it is to become
 *	signal	the supervisor is told to look at its entry until that is settled, and then applies the limits it keeps
 *	limits	control groups and process limits; all of them or none
 *	stage	the complete new body, under the number of the next generation
 *	swap	one update of the assignment: from here on the new policy is in force
 *	settle	the entry becomes what was noted
 *
 * The lock goes with its holder. Whoever gets it and finds a note that is not settled (the supervisor looks within
 * milliseconds, and of an ordinary user's sandbox it alone does it) asks the assignment which generation is in force:
 * the new one, then the entry becomes what was noted; else limits and rows are taken back. Without BPF there is no
 * swap, and settling is what counts.
 *
 * Bodies that are not in force any more are removed by the supervisor, after a grace period.
 */
#ifndef PYI_SUPER_RELOAD_H
#define PYI_SUPER_RELOAD_H

#include <signal.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"

struct pyi_abi_sandbox;
struct pyi_err;
struct pyi_limits;
struct pyi_names;
struct pyi_policy;
struct pyi_registry;
struct pyi_token;
struct pyi_tree_way;

/*
 * How a supervisor is told of a reload: this signal, queued with this in the upper half of its value. A guest never
 * sees it. It is not that of PYI_WATCH_STOP, because of two that are pending the kernel keeps the first.
 */
#define PYI_WATCH_RELOAD_SIGNAL SIGWINCH
#define PYI_WATCH_RELOAD	((uint64_t)0x7079726c << 32)

struct pyi_reload_request {
	const struct pyi_policy *policy;
	const struct pyi_names *names; /* its host names, resolved */
	const struct pyi_token *token;
	bool dry_run;
	bool is_one_of_many; /* a token that does not match is no attempt at this one */
	bool keeps_same;     /* one that has this policy already keeps its generation */
};

struct pyi_reload_answer {
	uint32_t generation; /* now in force; with dry_run the one it would be */
	bool is_kept;	     /* keeps_same, and it was so */
	uint8_t old_digest[32];
	uint8_t new_digest[32];
	struct pyi_buf changes; /* a line each */
};

/*
 * 0: it is in force (dry_run: it could be). -EACCES: "PolicyAuthError: ..."; else nothing has changed, and the message
 * says why. The answer's changes are filled in as soon as they are known; the caller releases them.
 */
int pyi_reload(struct pyi_registry *registry, const char *name, const struct pyi_reload_request *request,
	       struct pyi_reload_answer *ret_answer, struct pyi_err *err);

/*
 * Settle a reload that was cut off, if there is one and nobody is at work on it: waits timeout_ms for the lock
 * (-ETIMEDOUT). Where it takes a way into the sandbox's files that we have not (NULL), its supervisor is told to, and
 * waited for. *ret_sandbox (may be NULL) is the entry afterwards.
 */
int pyi_reload_settle(struct pyi_registry *registry, const char *name, const struct pyi_tree_way *way,
		      int timeout_ms, struct pyi_abi_sandbox *ret_sandbox, struct pyi_err *err);

/* An entry's limits, and the other way round. */
struct pyi_abi_limits;
void pyi_limits_from_abi(const struct pyi_abi_limits *from, struct pyi_limits *to);
void pyi_limits_to_abi(const struct pyi_limits *from, struct pyi_abi_limits *to);

#endif
