/* SPDX-License-Identifier: MIT */
/*
 * A policy from a web server.
 *
 * Theory of operation. What comes from a network is parsed by nobody who has privileges: each attempt is a run of the
 * embedded Python (guest/_pyisolate_fetch.py) in a sandbox of its own, by pyi_run in a child process, with a policy
 * that allows connections to the addresses and the port of the URL and nothing else. No file is granted; the store of
 * certificates is its standard input, opened here. Its standard output is a verdict from a closed list, then the body;
 * both are taken for what a stranger wrote: capped, checked, and no byte of them is printed unseen. Its wall time is
 * the timeout, so that nothing that a server does (or leaves) makes it longer.
 *
 *	fetch.c		attempts, delays between them, what is said at the end
 *	fetch_attempt.c	one attempt: the child, its policy, the pipes
 *	fetch_store.c	what the last fetch of an address gave, beside the registry, for "not modified"
 *
 * The child goes with its parent: it asks for SIGTERM at the parent's death, and ends the sandbox as for any SIGTERM.
 */
#ifndef PYI_SUPER_FETCH_H
#define PYI_SUPER_FETCH_H

#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/url.h"

struct pyi_err;

enum { PYI_FETCH_ETAG_MAX = 256 };

struct pyi_fetch_request {
	struct pyi_url url;
	const char *etag;     /* of what is there already; NULL: none */
	uint64_t timeout_ms;  /* of one attempt, from name to last byte */
	uint32_t retries;     /* further attempts, after failures that may pass */
	bool allows_any_http; /* else http:// reaches loopback addresses only */
};

struct pyi_fetch_answer {
	bool is_unchanged; /* since the etag: no text */
	struct pyi_buf text;
	char etag[PYI_FETCH_ETAG_MAX + 1]; /* "" without; visible ASCII */
};

/*
 * One message names the URL, why it failed, how often, and what can be done. The caller releases the text. Needs root:
 * the rules of a sandbox's network are BPF programs.
 */
int pyi_fetch(const struct pyi_fetch_request *request, struct pyi_fetch_answer *ret_answer,
	      struct pyi_err *err);

#endif
