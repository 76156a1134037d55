/* SPDX-License-Identifier: MIT */
/*
 * The policies of named sandboxes, as text: what each was started with, and what is in force. Files in the state
 * directory (super/state_dir.h), "policy/NAME.start" and "policy/NAME.DIGEST"; who reads one compares its digest with
 * that of the registry's entry. A reload writes its own before it swaps and removes the old one afterwards, so that
 * there is always one for what is in force. Beside them is "policy/NAME.door" (door.h).
 */
#ifndef PYI_SUPER_POLICY_STORE_H
#define PYI_SUPER_POLICY_STORE_H

#include <stdint.h>

struct pyi_err;
struct pyi_policy;

/* At the start; whatever an earlier sandbox of this name has left goes. */
int pyi_policy_store_begin(const char *name, const struct pyi_policy *policy, struct pyi_err *err);

/* Add the policy of a reload. This and the next but one under the registry's lock. */
int pyi_policy_store_add(const char *name, const struct pyi_policy *policy, struct pyi_err *err);

/* The one that it was started with (digest NULL), or the one with this digest. The caller frees it. */
int pyi_policy_store_get(const char *name, const uint8_t digest[32], struct pyi_policy **ret_policy,
			 struct pyi_err *err);

/* Remove all but that of the start and this one (and the events). */
void pyi_policy_store_keep(const char *name, const uint8_t digest[32]);

/* The sandbox is gone. */
void pyi_policy_store_remove(const char *name);

#endif
