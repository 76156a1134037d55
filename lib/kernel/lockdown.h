/* SPDX-License-Identifier: MIT */
/*
 * The process layer: ids, capabilities, no_new_privs, dumpable, MDWE, rlimits, descriptors. Everything acts on the
 * calling thread, which must be the only one of its process. Nothing here allocates.
 *
 * Order for a process that drops root: pyi_lockdown_bounding (it needs CAP_SETPCAP, which the ids take away),
 * pyi_lockdown_ids, pyi_lockdown_capabilities, pyi_lockdown_no_new_privs.
 */
#ifndef PYI_KERNEL_LOCKDOWN_H
#define PYI_KERNEL_LOCKDOWN_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

struct pyi_err;
struct pyi_rlimit_row;

/*
 * Empty the bounding set and lock the secure bits, so that uid 0 means nothing any more. Needs CAP_SETPCAP; without
 * it nothing happens: such a process relies on no_new_privs alone, as it has no capability to keep.
 */
int pyi_lockdown_bounding(struct pyi_err *err);

/* setgroups(0), setresgid, setresuid; checked afterwards. keep_groups: an ordinary user, who cannot change them. */
int pyi_lockdown_ids(uid_t uid, gid_t gid, bool keep_groups, struct pyi_err *err);

/*
 * Empty the bounding (see above), ambient, inheritable, effective and permitted sets; verified by reading them back.
 */
int pyi_lockdown_capabilities(struct pyi_err *err);

int pyi_lockdown_no_new_privs(struct pyi_err *err);
int pyi_lockdown_not_dumpable(struct pyi_err *err); /* exec resets it: call it again after */
int pyi_lockdown_mdwe(struct pyi_err *err); /* PR_SET_MDWE(PR_MDWE_REFUSE_EXEC_GAIN); exec resets it */

/* A row above the hard limit in force is cut to it: what is stricter already stays. */
int pyi_lockdown_rlimits(const struct pyi_rlimit_row *rows, size_t n, struct pyi_err *err);

/*
 * What an invoker with privileges may have handed down and a guest must not have: a place before everyone else on the
 * CPU (real-time policies, negative nice values), and protection from the out-of-memory killer, under which a guest at
 * its memory limit could not be ended. Without /proc the latter stays as it is.
 */
int pyi_lockdown_priority(struct pyi_err *err);

/* Close every descriptor but 0, 1, 2 and the n kept ones (sorted ascending; negative ones are passed over). */
int pyi_lockdown_fds(const int *keep, size_t n, struct pyi_err *err);

/* Default dispositions for every signal and an empty mask, as a program expects them at start. */
void pyi_lockdown_signals(void);

#endif
