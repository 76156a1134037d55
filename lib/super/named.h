/* SPDX-License-Identifier: MIT */
/* What the commands do with named sandboxes: wait for one, stop it, list them all. */
#ifndef PYI_SUPER_NAMED_H
#define PYI_SUPER_NAMED_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct pyi_abi_sandbox;
struct pyi_err;
struct pyi_registry;
struct pyi_sandbox_row;

/* -EEXIST with a message while a live sandbox has the name; else 0, now. */
int pyi_named_check_free(struct pyi_registry *registry, const char *name, struct pyi_err *err);

/*
 * A pidfd of the supervisor, which is the one the entry names: checked after the opening, so that it is never another
 * process with the same pid. -ESRCH when it is gone.
 */
int pyi_named_pidfd(const struct pyi_abi_sandbox *sandbox, int *ret_fd, struct pyi_err *err);

/*
 * Read the entry; one whose supervisor died is marked lost, and what it left (control group, BPF rows) is cleared away.
 */
int pyi_named_find(struct pyi_registry *registry, const char *name,
		   struct pyi_abi_sandbox *ret_sandbox, struct pyi_err *err);

/* Wait for the end; its exit code in *ret_code. -ESRCH with a message when it was lost. */
int pyi_named_wait(struct pyi_registry *registry, const char *name, int *ret_code, struct pyi_err *err);

/*
 * SIGTERM for the guest, SIGKILL after timeout_ms; returns when the supervisor is gone. One that does not answer is
 * killed, and its guest with it. *ret_was_live false: it had ended before.
 */
int pyi_named_stop(struct pyi_registry *registry, const char *name, uint64_t timeout_ms,
		   bool *ret_was_live, struct pyi_err *err);

/*
 * All sandboxes, or (name not NULL) one, as rows for report/sandboxes.h: the live ones by name, then the ended ones,
 * the latest first. Dead supervisors' are marked lost first. Figures of live ones are read from their control groups.
 * The caller frees *ret_rows.
 */
int pyi_named_rows(struct pyi_registry *registry, const char *name,
		   struct pyi_sandbox_row **ret_rows, size_t *ret_n, struct pyi_err *err);

#endif
