/* SPDX-License-Identifier: MIT */
/* The process layer: ids, capabilities, no_new_privs, dumpable, MDWE, rlimits, descriptors. */
#ifndef PYI_KERNEL_LOCKDOWN_H
#define PYI_KERNEL_LOCKDOWN_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

struct pyi_err;
struct pyi_rlimit_row;

/* setgroups(0), setresgid, setresuid; checked afterwards. keep_groups: an ordinary user in a user namespace. */
int pyi_lockdown_ids(uid_t uid, gid_t gid, bool keep_groups, struct pyi_err *err);

/* Empty the bounding, ambient, inheritable, effective and permitted sets; verified by reading them back. */
int pyi_lockdown_capabilities(struct pyi_err *err);

int pyi_lockdown_no_new_privs(struct pyi_err *err);
int pyi_lockdown_not_dumpable(struct pyi_err *err);	/* exec resets it: call it again after */
int pyi_lockdown_mdwe(struct pyi_err *err);		/* PR_SET_MDWE(PR_MDWE_REFUSE_EXEC_GAIN) */
int pyi_lockdown_rlimits(const struct pyi_rlimit_row *rows, size_t n, struct pyi_err *err);

/* Close every descriptor but 0, 1, 2 and the n kept ones (sorted ascending). */
int pyi_lockdown_fds(const int *keep, size_t n, struct pyi_err *err);

/* Default dispositions for every signal and an empty mask, as a program expects them at start. */
void pyi_lockdown_signals(void);

#endif
