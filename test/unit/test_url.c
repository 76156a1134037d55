/* SPDX-License-Identifier: MIT */
/* URLs of policies: their parts, what is shown of them, what is refused. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "base/err.h"
#include "base/url.h"

static void test_is(void **state)
{
	assert_true(pyi_url_is("https://h/p"));
	assert_true(pyi_url_is("HTTP://h"));
	assert_true(pyi_url_is("ftp://h"));
	assert_false(pyi_url_is("policy.yml"));
	assert_false(pyi_url_is("./https://h"));
	assert_false(pyi_url_is("https:/h"));
	assert_false(pyi_url_is("://h"));
	assert_false(pyi_url_is("a/b://c"));
}

static void splits(const char *text, bool is_tls, const char *host, uint16_t port,
		   const char *target, const char *shown)
{
	struct pyi_err err = { 0 };
	struct pyi_url url;

	if (pyi_url_parse(text, &url, &err))
		fail_msg("'%s': %s", text, err.msg);
	assert_int_equal(url.is_tls, is_tls);
	assert_string_equal(url.host, host);
	assert_int_equal(url.port, port);
	assert_string_equal(url.target, target);
	assert_string_equal(url.shown, shown);
}

static void test_parts(void **state)
{
	splits("https://h", true, "h", 443, "/", "https://h");
	splits("http://h/", false, "h", 80, "/", "http://h/");
	splits("HTTPS://Example.COM:8443/a/b.yml", true, "example.com", 8443, "/a/b.yml",
	       "HTTPS://Example.COM:8443/a/b.yml");
	splits("https://h?a=b", true, "h", 443, "/?a=b", "https://h?...");
	splits("https://h/p?key=secret&x", true, "h", 443, "/p?key=secret&x", "https://h/p?...");
	splits("http://[::1]:8080/p", false, "::1", 8080, "/p", "http://[::1]:8080/p");
	splits("http://127.0.0.1:1/p:2/@3", false, "127.0.0.1", 1, "/p:2/@3",
	       "http://127.0.0.1:1/p:2/@3");
}

static void refuses(const char *text, const char *why)
{
	struct pyi_err err = { 0 };
	struct pyi_url url;

	if (!pyi_url_parse(text, &url, &err))
		fail_msg("'%s' was accepted", text);
	if (!strstr(err.msg, why))
		fail_msg("'%s': \"%s\" does not say \"%s\"", text, err.msg, why);
	if (strstr(err.msg, "secret"))
		fail_msg("'%s': the message tells the secret", text);
}

static void test_refused(void **state)
{
	char longer[PYI_URL_MAX + 2] = "https://h/", shown[PYI_URL_SHOWN_MAX + 1];

	refuses("ftp://h/p", "begins with https://");
	refuses("https:/h", "begins with https://");
	refuses("https://", "names no host");
	refuses("https:///p", "names no host");
	refuses("https://:80/p", "names no host");
	refuses("https://me:secret@h/p", "password is not taken");
	refuses("https://secret@h/p", "password is not taken");
	refuses("https://secret%40x@h", "password is not taken");
	refuses("https://h:0/p", "port");
	refuses("https://h:/p", "port");
	refuses("https://h:65536/p", "port");
	refuses("https://h:80x/p", "port");
	refuses("https://h:123456789/p", "port");
	refuses("https://[::1/p", "brackets");
	refuses("https://[::1]x/p", "character");
	refuses("https://h%41/p", "character");
	refuses("https://h/p q", "a space is %20");
	refuses("https://h/p\tq", "a space is %20");
	refuses("https://h/p\r\nX: y", "a space is %20");
	refuses("https://h\\evil/p", "a space is %20");
	refuses("https://m\xc3\xbcnchen/p", "a space is %20");
	refuses("https://h/p#worker", "'#'");
	memset(longer + 10, 'a', sizeof(longer) - 11);
	longer[sizeof(longer) - 1] = '\0';
	refuses(longer, "2048 bytes");
	longer[sizeof(longer) - 2] = '\0';
	snprintf(shown, sizeof(shown), "%.296s...", longer);
	splits(longer, true, "h", 443, longer + 9, shown);
}

static void test_long_host(void **state)
{
	char text[512], host[256];

	snprintf(text, sizeof(text), "https://%0254d/p", 1);
	refuses(text, "names no host");
	snprintf(host, sizeof(host), "%0253d", 1);
	snprintf(text, sizeof(text), "https://%s/p", host);
	splits(text, true, host, 443, "/p", text);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_is),
		cmocka_unit_test(test_parts),
		cmocka_unit_test(test_refused),
		cmocka_unit_test(test_long_host),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
