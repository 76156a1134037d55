/* SPDX-License-Identifier: MIT */
/*
 * What servers gave: for each URL the last policy that came into force, with its ETag, in the directory "fetched" of
 * the state directory (state_dir.h; nobody else can look). So that a server that says "not modified" need not send it
 * again, to sandboxes that were not there the last time too. At most 64 are kept.
 */
#ifndef PYI_SUPER_FETCH_STORE_H
#define PYI_SUPER_FETCH_STORE_H

#include "super/fetch.h"

/* `url` as it was written. -ENOENT without a message when there is none, or it is damaged. The caller releases text. */
int pyi_fetch_store_get(const char *url, struct pyi_fetch_answer *ret_answer, struct pyi_err *err);

/* Keep it; without an ETag forget what there was. */
int pyi_fetch_store_put(const char *url, const struct pyi_fetch_answer *answer, struct pyi_err *err);

#endif
