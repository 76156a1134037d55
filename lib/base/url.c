/* SPDX-License-Identifier: MIT */
/* URLs; see url.h. */
#include "base/url.h"

#include <errno.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "base/err.h"
#include "base/parse.h"

#define LETTERS "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
#define DIGITS	"0123456789"

enum { HTTP_PORT = 80, HTTPS_PORT = 443 };

bool pyi_url_is(const char *text)
{
	size_t n = strspn(text, LETTERS);

	return n > 0 && strncmp(text + n, "://", 3) == 0;
}

/* What a terminal, a header or a log could take for something else has no place in a URL. */
static bool is_clean(const char *text)
{
	for (; *text; text++)
		if (*text <= ' ' || *text > '~' || *text == '\\' || *text == '"')
			return false;
	return true;
}

static int parse_port(const char *text, size_t len, struct pyi_url *url, struct pyi_err *err)
{
	char digits[8];
	uint64_t port;

	if (len == 0 || len >= sizeof(digits))
		return pyi_err_set(err, EINVAL, "the port in the URL is none");
	memcpy(digits, text, len);
	digits[len] = '\0';
	if (pyi_parse_u64(digits, 1, UINT16_MAX, &port, err))
		return pyi_err_add(err, "the port in the URL");
	url->port = (uint16_t)port;
	return 0;
}

/* "host", "host:port", "[address]:port": len bytes of text. */
static int parse_authority(const char *text, size_t len, struct pyi_url *url, struct pyi_err *err)
{
	bool is_bracketed = len > 0 && text[0] == '[';
	const char *host = text + is_bracketed;
	size_t n = strspn(host, is_bracketed ? "abcdefABCDEF" DIGITS ":." : LETTERS DIGITS "._-");
	const char *after = host + n;

	if (memchr(text, '@', len))
		return pyi_err_set(
			err, EINVAL,
			"a URL with a user name or password is not taken: others can read the command line "
			"(let the server know this host by its address, or fetch the policy yourself)");
	if (n == 0 || n > PYI_URL_HOST_MAX)
		return pyi_err_set(err, EINVAL, "the URL names no host");
	if (is_bracketed && *after++ != ']')
		return pyi_err_set(err, EINVAL, "the address in the URL's brackets is none");
	for (size_t i = 0; i < n; i++)
		url->host[i] = (char)(host[i] >= 'A' && host[i] <= 'Z' ? host[i] + 'a' - 'A' : host[i]);
	url->host[n] = '\0';
	if (after == text + len)
		return 0;
	if (*after != ':')
		return pyi_err_set(err, EINVAL, "the URL's host has a character that names have not");
	return parse_port(after + 1, (size_t)(text + len - after - 1), url, err);
}

static void show(const char *text, struct pyi_url *url)
{
	static const char more[] = "...";
	size_t len = strcspn(text, "?");
	bool has_query = text[len] != '\0';
	size_t room = PYI_URL_SHOWN_MAX - sizeof(more);

	if (len > room)
		snprintf(url->shown, sizeof(url->shown), "%.*s%s", (int)room, text, more);
	else
		snprintf(url->shown, sizeof(url->shown), "%.*s%s%s", (int)len, text,
			 has_query ? "?" : "", has_query ? more : "");
}

int pyi_url_parse(const char *text, struct pyi_url *ret_url, struct pyi_err *err)
{
	struct pyi_url url = { .is_tls = strncasecmp(text, "https://", 8) == 0 };
	const char *authority = text + (url.is_tls ? 8 : 7);
	const char *target;
	int ret;

	if (strlen(text) > PYI_URL_MAX)
		return pyi_err_set(err, ENAMETOOLONG, "a URL has %d bytes at most", PYI_URL_MAX);
	if (!url.is_tls && strncasecmp(text, "http://", 7) != 0)
		return pyi_err_set(err, EINVAL, "a policy's URL begins with https:// (or http://)");
	if (!is_clean(text))
		return pyi_err_set(err, EINVAL,
				   "the URL has a character that URLs have not: a space is %%20 there");
	if (strchr(text, '#'))
		return pyi_err_set(err, EINVAL, "the URL has a '#', which no server is told of");
	url.port = url.is_tls ? HTTPS_PORT : HTTP_PORT;
	target = authority + strcspn(authority, "/?");
	ret = parse_authority(authority, (size_t)(target - authority), &url, err);
	if (ret)
		return ret;
	snprintf(url.target, sizeof(url.target), "%s%.*s", *target == '/' ? "" : "/",
		 PYI_URL_MAX - 1, target);
	show(text, &url);
	*ret_url = url;
	return 0;
}
