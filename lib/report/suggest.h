/* SPDX-License-Identifier: MIT */
/*
 * From what a guest did to the least policy that would have let it: a document of version 1 that the loader takes, each
 * line with how often and where it was asked for. Pure: the caller has looked at the files (lib/super/suggest.h).
 *
 * What is in it cannot be chosen freely by the guest: paths and names are quoted as in a printed policy, comments hold
 * printable characters only, and what a policy cannot say (control characters, bytes that are not UTF-8) is left out
 * and named in a comment.
 */
#ifndef PYI_REPORT_SUGGEST_H
#define PYI_REPORT_SUGGEST_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "policy/policy.h"

struct pyi_buf;

/* One use of a path; the same path may come any number of times, in the order of time. */
struct pyi_suggest_path {
	const char *path;    /* absolute and clean; borrowed */
	unsigned int access; /* PYI_READ, PYI_WRITE, PYI_EXEC; 0: only looked at */
	bool is_dir;
	bool needs_dir; /* to be written: by making, removing or renaming it in its directory */
	uint64_t count;
	const char *at_file; /* of the first; NULL: unknown; borrowed */
	unsigned int at_line;
};

struct pyi_suggest_address {
	enum pyi_net_op op;
	enum pyi_net_proto proto;
	const char *name; /* the name of the policy that led to it, NULL; borrowed */
	uint8_t addr[16];
	uint16_t port;
	uint64_t count;
	const char *at_file;
	unsigned int at_line;
	size_t order; /* not the caller's */
};

struct pyi_suggest {
	const char *extends; /* what the document extends: a template's name or a path; NULL: nothing */
	const struct pyi_policy *parent; /* that policy alone */
	const struct pyi_policy *base; /* with the flags: their rules are listed, and what it allows is not */
	const char *const *own; /* NULL-terminated: paths every sandbox has, with all beneath them; NULL: none */
	struct pyi_suggest_path *paths; /* put in another order */
	size_t n_paths;
	struct pyi_suggest_address *addresses; /* the same */
	size_t n_addresses;
	uint64_t memory_peak_bytes; /* 0: unknown, and no limit is suggested */
	uint64_t cpu_us;
	uint64_t wall_us;
	uint64_t lost;	  /* records that there were and are not here */
	const char *note; /* a line at the beginning: how the run ended; NULL: none */
};

/* Is it a use of what the base does not grant, and no sandbox has? */
bool pyi_suggest_wants_path(const struct pyi_suggest *suggest, const struct pyi_suggest_path *use);
bool pyi_suggest_wants_address(const struct pyi_suggest *suggest, const struct pyi_suggest_address *use);

/* As in a policy: "udp://192.0.2.1:53", "example.com:443". */
void pyi_suggest_format_address(const struct pyi_suggest_address *use, char *buf, size_t size);

/* The document; out->failed when memory ran out. */
void pyi_suggest_print(struct pyi_suggest *suggest, struct pyi_buf *out);

#endif
