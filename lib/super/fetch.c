/* SPDX-License-Identifier: MIT */
/* Attempts, the delays between them, and what is said at the end; see fetch.h. */
#include "super/fetch.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "base/err.h"
#include "base/util.h"
#include "super/fetch_attempt.h"

enum { FIRST_DELAY_MS = 250, LAST_DELAY_MS = 8000 };

/* What a verdict means, and what can be done about it. */
struct meaning {
	const char *word;
	const char *says; /* before the detail; "" where that says it all */
	const char *next;
	bool may_pass;
};

static const struct meaning meanings[] = {
	{ "name", "", "see that the name is right", false },
	{ "resolver", "", "see that the host's name server answers", true },
	{ "plain", "http:// to another host is not encrypted: ",
	  "use https://, or --insecure-http where the way is safe", false },
	{ "connect", "no connection: ", "see that the server runs", true },
	{ "cut", "the server has cut the connection", "see that the server runs", true },
	{ "timeout", "no whole answer in time", "--timeout gives it more", true },
	{ "short", "the answer is not whole: ", "look at the server", true },
	{ "server", "the server says ", "look at the server", true },
	{ "status", "the server says ", "see that the URL is right and needs no login", false },
	{ "store", "the certificates that are trusted: ",
	  "see that SSL_CERT_FILE is a file of PEM certificates", false },
	{ "certificate", "its certificate is not accepted: ",
	  "see that the name is right; SSL_CERT_FILE can name a file with its issuer's", false },
	{ "tls", "no TLS with that server: ", "see that it speaks https there", false },
	{ "redirect", "it redirects elsewhere, which is not followed: ",
	  "give that address if you trust it", false },
	{ "loop", "it goes round in ", "look at the server", false },
	{ "length",
	  "the server does not say how long the policy is, so a part of it could pass for the whole",
	  "let it send Content-Length", false },
	{ "large", "the answer is larger than a policy may be: ", "1 MiB is the limit", false },
	{ "encoding",
	  "the answer is packed, which was not asked for: ", "let the server send it as it is", false },
	{ "http", "no proper answer: ", "see that it is a web server", false },
	{ "sandbox", "the fetcher's sandbox: ", "'pyisolate doctor' says what this host has", false },
};

static const struct meaning *find_meaning(const char *word)
{
	for (size_t i = 0; i < PYI_ARRAY_SIZE(meanings); i++)
		if (strcmp(word, meanings[i].word) == 0)
			return &meanings[i];
	return NULL;
}

/* Where certificates are that this host trusts: Debian's place, then Red Hat's, then BSD's. */
static int open_store(int *ret_fd, struct pyi_err *err)
{
	static const char *const places[] = { "/etc/ssl/certs/ca-certificates.crt",
					      "/etc/pki/tls/certs/ca-bundle.crt", "/etc/ssl/cert.pem" };
	const char *chosen = getenv("SSL_CERT_FILE");
	bool is_chosen = chosen && chosen[0];
	_cleanup_fd int fd = -1;
	struct stat st;

	for (size_t i = 0; i < (is_chosen ? 1 : PYI_ARRAY_SIZE(places)) && fd < 0; i++)
		fd = open(is_chosen ? chosen : places[i], O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
	if (fd < 0 && is_chosen)
		return pyi_err_sys(err, errno, "cannot open '%.200s', which SSL_CERT_FILE names",
				   chosen);
	if (fd < 0)
		return pyi_err_set(err, ENOENT,
				   "this host has no store of certificates, '%s': install ca-certificates, or "
				   "let SSL_CERT_FILE name one",
				   places[0]);
	if (fstat(fd, &st) < 0 || !S_ISREG(st.st_mode))
		return pyi_err_set(err, EINVAL,
				   "the store of certificates%s%.200s is not a regular file",
				   is_chosen ? " " : "", is_chosen ? chosen : "");
	*ret_fd = pyi_take_fd(&fd);
	return 0;
}

static void pause_for(uint32_t attempt)
{
	uint64_t ms = FIRST_DELAY_MS;
	struct timespec left;

	while (attempt-- > 0 && ms < LAST_DELAY_MS)
		ms *= 2;
	left = (struct timespec){ .tv_sec = (time_t)(ms / 1000), .tv_nsec = (long)(ms % 1000) * 1000000 };
	while (nanosleep(&left, &left) < 0 && errno == EINTR)
		;
}

static int complain(const struct pyi_fetch_request *request, const struct pyi_fetch_verdict *verdict,
		    uint32_t n_attempts, struct pyi_err *err)
{
	const struct meaning *meaning = find_meaning(verdict->word);
	char tries[48] = "";

	if (n_attempts > 1)
		snprintf(tries, sizeof(tries), " (%u attempts)", n_attempts);
	/* Only a guest that was taken over says what we do not know. */
	if (!meaning)
		return pyi_err_set(err, EPROTO,
				   "cannot fetch '%s': the fetcher talks nonsense: nothing has changed",
				   request->url.shown);
	return pyi_err_set(err, EIO, "cannot fetch '%s': %s%s%s: %s", request->url.shown,
			   meaning->says, verdict->detail, tries, meaning->next);
}

/* For the next If-None-Match: only what is safe in a header. */
static void take_etag(const char *detail, char ret_etag[PYI_FETCH_ETAG_MAX + 1])
{
	size_t len = strlen(detail);

	ret_etag[0] = '\0';
	if (len > PYI_FETCH_ETAG_MAX || strpbrk(detail, " ?"))
		return;
	memcpy(ret_etag, detail, len + 1);
}

int pyi_fetch(const struct pyi_fetch_request *request, struct pyi_fetch_answer *ret_answer,
	      struct pyi_err *err)
{
	struct pyi_fetch_verdict verdict = { .word = "" };
	const struct meaning *meaning;
	_cleanup_fd int ca_fd = -1;
	uint32_t n = 0;
	int ret = 0;

	if (request->url.is_tls)
		ret = open_store(&ca_fd, err);
	if (ret < 0)
		return pyi_err_add(err, "cannot fetch '%s'", request->url.shown);
	for (;;) {
		if (ca_fd >= 0)
			lseek(ca_fd, 0, SEEK_SET);
		ret = pyi_fetch_attempt(request, ca_fd, &verdict, err);
		if (ret < 0)
			return pyi_err_add(err, "cannot fetch '%s'", request->url.shown);
		meaning = find_meaning(verdict.word);
		if (!meaning || !meaning->may_pass || n == request->retries)
			break;
		pyi_buf_release(&verdict.body);
		pause_for(n++);
	}
	if (strcmp(verdict.word, "body") == 0) {
		take_etag(verdict.detail, ret_answer->etag);
		ret_answer->is_unchanged = false;
		ret_answer->text = verdict.body;
		return 0;
	}
	pyi_buf_release(&verdict.body);
	if (strcmp(verdict.word, "same") == 0 && request->etag) {
		ret_answer->is_unchanged = true;
		return 0;
	}
	return complain(request, &verdict, n + 1, err);
}
