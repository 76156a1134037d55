/* SPDX-License-Identifier: MIT */
/* The address of a document on a web server, taken apart. */
#ifndef PYI_BASE_URL_H
#define PYI_BASE_URL_H

#include <stdbool.h>
#include <stdint.h>

struct pyi_err;

enum { PYI_URL_MAX = 2048, PYI_URL_HOST_MAX = 253, PYI_URL_SHOWN_MAX = 300 };

struct pyi_url {
	bool is_tls;			 /* https */
	char host[PYI_URL_HOST_MAX + 1]; /* lower case; an IPv6 address without its brackets */
	uint16_t port;
	char target[PYI_URL_MAX + 1]; /* path and query, as they are sent; begins with '/' */
	/* For people: as written, but of a query, which may hold a secret, and a long path only that there is more. */
	char shown[PYI_URL_SHOWN_MAX + 1];
};

/* Does it begin as a URL does: letters, then "://"? */
bool pyi_url_is(const char *text);

/*
 * http:// and https:// with ASCII alone. Refused: user names and passwords (everybody can read a command line; the
 * message holds none of it), fragments, white space and control characters, ports that are none. Pure.
 */
int pyi_url_parse(const char *text, struct pyi_url *ret_url, struct pyi_err *err);

#endif
