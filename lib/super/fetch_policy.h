/* SPDX-License-Identifier: MIT */
/* A policy by its URL: fetched, or as it was the last time where the server says that nothing has changed. */
#ifndef PYI_SUPER_FETCH_POLICY_H
#define PYI_SUPER_FETCH_POLICY_H

#include <stdbool.h>

#include "super/fetch.h"

struct pyi_err;
struct pyi_policy;

struct pyi_fetched_policy {
	struct pyi_policy *policy;	/* its name and its rules' origins are the URL as shown */
	bool is_unchanged;		/* since it was kept the last time */
	struct pyi_fetch_answer answer; /* to keep */
};

/*
 * request->url and ->etag are filled in here. It may extend templates, not files. The caller releases *ret_fetched, on
 * failure too. Needs root, see fetch.h; an ordinary user is told what to do instead.
 */
int pyi_fetch_policy(const char *url, struct pyi_fetch_request *request,
		     struct pyi_fetched_policy *ret_fetched, struct pyi_err *err);

/* It is in force: remember it for the next time. */
int pyi_fetch_policy_keep(const char *url, const struct pyi_fetched_policy *fetched,
			  struct pyi_err *err);

void pyi_fetch_policy_release(struct pyi_fetched_policy *fetched);

#endif
