/* SPDX-License-Identifier: MIT */
/*
 * The token that lets somebody reload a sandbox. It comes from a file; what is kept of it, in the registry's entry,
 * is SHA-256 of a random salt and the token. It stands between people and tools of one user: whoever may write that
 * user's registry (the user, root) could do without it.
 *
 * Each wrong one makes the next one wait: 100 ms, and twice as long each time, up to 100 s. The time is in the entry,
 * so it holds for all commands together. A right one is not looked at before it is over either.
 */
#ifndef PYI_SUPER_TOKEN_H
#define PYI_SUPER_TOKEN_H

#include <stddef.h>
#include <stdint.h>

struct pyi_abi_sandbox;
struct pyi_err;

enum { PYI_TOKEN_MIN = 16, PYI_TOKEN_MAX = 4096 };

struct pyi_token {
	char text[PYI_TOKEN_MAX + 2];
	size_t len; /* 0: none */
};

/* The file's first line. One that others may read is refused, and so is one shorter than 16 bytes. */
int pyi_token_read(const char *path, struct pyi_token *ret_token, struct pyi_err *err);

/* Overwrite it. */
void pyi_token_forget(struct pyi_token *token);

/* Keep its hash under a new salt. */
int pyi_token_set(struct pyi_abi_sandbox *sandbox, const struct pyi_token *token, struct pyi_err *err);

/*
 * 0: it is the one. -ENOKEY: the sandbox has none; -EAGAIN: it is too soon (*ret_wait_ms says how long); -EACCES: it is
 * not. The entry's count and time are brought up to date; it is the caller's to be written.
 */
int pyi_token_check(struct pyi_abi_sandbox *sandbox, const struct pyi_token *token, uint64_t now_ns,
		    uint64_t *ret_wait_ms);

#endif
