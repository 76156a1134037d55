/* SPDX-License-Identifier: MIT */
/* A pattern as a list of tokens: what the matcher (glob.c) and the automaton (nfa.c) are both made from. */
#ifndef PYI_POLICY_GLOB_H
#define PYI_POLICY_GLOB_H

#include <stdbool.h>
#include <stdint.h>

#include "policy/internal.h"

enum pyi_token_kind {
	PYI_TOKEN_CHAR,
	PYI_TOKEN_ANY,	     /* ? */
	PYI_TOKEN_SET,	     /* [..] */
	PYI_TOKEN_STAR,	     /* * */
	PYI_TOKEN_DEEP,	     /* ** */
	PYI_TOKEN_DEEP_DIR,  /* **, '/': nothing, or anything that ends in '/' */
	PYI_TOKEN_DEEP_LOOP, /* the state inside the one before */
};

struct pyi_token {
	uint8_t kind;
	uint8_t c;    /* of CHAR */
	uint16_t set; /* of SET: offset of '[' in the pattern */
};

enum { PYI_TOKENS_MAX = PYI_PATH_TEXT_MAX + 1 };

struct pyi_tokens {
	const char *pattern; /* borrowed */
	struct pyi_token v[PYI_TOKENS_MAX];
	unsigned int n;
};

/* False when the pattern is longer than any the parser lets through. */
bool pyi_tokens_read(const char *pattern, struct pyi_tokens *ret_tokens);

/* Does the set that begins at this '[' hold the byte? Never '/'. */
bool pyi_token_set_has(const char *set, unsigned char c);

#endif
