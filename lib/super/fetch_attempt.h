/* SPDX-License-Identifier: MIT */
/* One attempt to fetch a document; see fetch.h. */
#ifndef PYI_SUPER_FETCH_ATTEMPT_H
#define PYI_SUPER_FETCH_ATTEMPT_H

#include "base/buf.h"

struct pyi_err;
struct pyi_fetch_request;

enum { PYI_FETCH_DETAIL_MAX = 300 };

struct pyi_fetch_verdict {
	char word[16];
	char detail[PYI_FETCH_DETAIL_MAX + 1]; /* printable ASCII from the guest, one line from us */
	struct pyi_buf body;
};

/*
 * The words: those of guest/_pyisolate_fetch.py, and of our own "name" and "resolver" (the host has no address, or
 * nobody says so), "plain" (http to elsewhere), "timeout", "sandbox" (there was none, or it failed). ca_fd is the store
 * of certificates, -1 for none. The caller releases the body. Negative: not even that could be found out.
 */
int pyi_fetch_attempt(const struct pyi_fetch_request *request, int ca_fd,
		      struct pyi_fetch_verdict *ret_verdict, struct pyi_err *err);

#endif
