/* SPDX-License-Identifier: MIT */
/*
 * The registry of named sandboxes: name → struct pyi_abi_sandbox (bpf/pyi_abi.h), live and ended. For root it is a
 * pinned BPF map, else, and where there is no BPF, files in the state directory; the same calls for both.
 *
 * Theory of operation. Nobody but its supervisor writes the entry of a live sandbox, with two exceptions: who finds
 * the supervisor dead marks the entry lost, and a reload changes what is of the policy. Each change is made under one
 * lock for the whole registry: read, look whose it is, write whole. So of two who claim a name one wins, and an entry
 * is always some supervisor's complete word. Whoever dies holding the lock gives it back by dying.
 *
 * Whose an entry is, is told by pid, start time, pid namespace and boot; a pid that was given out again is a dead
 * owner's. An owner in another pid namespace cannot be looked at and counts as alive.
 *
 * At most PYI_ABI_SANDBOXES entries: when a claim finds no room, the oldest ended ones go.
 */
#ifndef PYI_SUPER_REGISTRY_H
#define PYI_SUPER_REGISTRY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "pyi_abi.h"

struct pyi_err;
struct pyi_registry; /* opaque */

/* With `create` it is made where there is none; without, one that is not there is empty. */
int pyi_registry_open(bool create, struct pyi_registry **ret_registry, struct pyi_err *err);
void pyi_registry_free(struct pyi_registry *registry);

/* "bpf" or "files". */
const char *pyi_registry_kind(const struct pyi_registry *registry);

/* [A-Za-z0-9_-]{1,64}, else -EINVAL with a message. */
int pyi_registry_check_name(const char *name, struct pyi_err *err);

/* The identity of the calling process. */
int pyi_registry_identify_self(struct pyi_abi_identity *ret_identity, struct pyi_err *err);

/* The entry as it stands; -ENOENT with a message. */
int pyi_registry_get(struct pyi_registry *registry, const char *name,
		     struct pyi_abi_sandbox *ret_sandbox, struct pyi_err *err);

/* Does the entry stand for a sandbox that has not ended, and is its supervisor there? */
bool pyi_sandbox_is_live(const struct pyi_abi_sandbox *sandbox);

/* Has it come to one of the ends that its supervisor (or whoever found it lost) writes? */
bool pyi_sandbox_has_ended(const struct pyi_abi_sandbox *sandbox);

/* "running", "completed", ... of enum PYI_STATE_*. */
const char *pyi_sandbox_state_name(uint32_t state);

/*
 * Take a name for sandbox->owner: -EEXIST (with a message) while a live sandbox has it. An ended entry is replaced; its
 * end is kept in `previous`.
 */
int pyi_registry_claim(struct pyi_registry *registry, const char *name,
		       const struct pyi_abi_sandbox *sandbox, struct pyi_err *err);

/*
 * Change the entry if it is still this owner's: fn gets it, under the lock, and what it leaves is written. -ESRCH when
 * the entry is another's or gone.
 */
int pyi_registry_change(struct pyi_registry *registry, const char *name,
			const struct pyi_abi_identity *owner,
			void (*fn)(struct pyi_abi_sandbox *sandbox, void *arg), void *arg,
			struct pyi_err *err);

/*
 * For changes of more than one step: *ret_lock holds the registry's lock until it is closed (waits up to timeout_ms;
 * -ETIMEDOUT), and pyi_registry_put writes an entry under it.
 */
int pyi_registry_lock(struct pyi_registry *registry, int timeout_ms, int *ret_lock, struct pyi_err *err);
int pyi_registry_put(struct pyi_registry *registry, const char *name,
		     const struct pyi_abi_sandbox *sandbox, struct pyi_err *err);

/* Is it the same process? */
bool pyi_registry_is_owner(const struct pyi_abi_sandbox *sandbox, const struct pyi_abi_identity *owner);

/* Mark the entry lost if it has not ended and its owner is dead; *sandbox becomes what stands there now. Did we? */
bool pyi_registry_mark_lost(struct pyi_registry *registry, const char *name,
			    struct pyi_abi_sandbox *sandbox);

/* All entries, in no order. The caller frees both arrays. */
int pyi_registry_list(struct pyi_registry *registry, struct pyi_abi_name **ret_names,
		      struct pyi_abi_sandbox **ret_sandboxes, size_t *ret_n, struct pyi_err *err);

/* Nanoseconds of CLOCK_BOOTTIME. */
unsigned long long pyi_registry_now_ns(void);

#endif
