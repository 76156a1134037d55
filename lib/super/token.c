/* SPDX-License-Identifier: MIT */
/* See token.h. */
#include "super/token.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <string.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/digest.h"
#include "base/err.h"
#include "base/fault.h"
#include "base/io.h"
#include "base/util.h"
#include "pyi_abi.h"

enum { WAIT_FIRST_MS = 100, WAIT_DOUBLINGS = 10 };

static int check_mode(int fd, const char *path, struct pyi_err *err)
{
	struct stat st;

	if (fstat(fd, &st) < 0)
		return pyi_err_sys(err, errno, "cannot read the token in '%s'", path);
	if (S_ISREG(st.st_mode) && st.st_mode & 007)
		return pyi_err_set(err, EPERM, "others may read the token in '%s': chmod 600 it", path);
	return 0;
}

int pyi_token_read(const char *path, struct pyi_token *ret_token, struct pyi_err *err)
{
	_cleanup_fd int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY);
	ssize_t n;
	int ret;

	memset(ret_token, 0, sizeof(*ret_token));
	if (fd < 0)
		return pyi_err_sys(err, errno, "cannot open the token file '%s'", path);
	ret = check_mode(fd, path, err);
	if (ret < 0)
		return ret;
	n = pyi_read_full(fd, ret_token->text, sizeof(ret_token->text) - 1);
	if (n < 0)
		return pyi_err_sys(err, (int)-n, "cannot read the token in '%s'", path);
	ret_token->len = strcspn(ret_token->text, "\r\n");
	if (ret_token->len >= PYI_TOKEN_MIN && ret_token->len <= PYI_TOKEN_MAX)
		return 0;
	pyi_token_forget(ret_token);
	return pyi_err_set(err, EINVAL, "a token has %d to %d bytes on one line: that in '%s' has not",
			   PYI_TOKEN_MIN, PYI_TOKEN_MAX, path);
}

void pyi_token_forget(struct pyi_token *token)
{
	explicit_bzero(token, sizeof(*token));
}

static void hash(const uint8_t salt[16], const struct pyi_token *token, uint8_t ret_hash[32])
{
	static const char what[] = "pyisolate reload token";
	char text[sizeof(what) + 16 + PYI_TOKEN_MAX];

	memcpy(text, what, sizeof(what));
	memcpy(text + sizeof(what), salt, 16);
	memcpy(text + sizeof(what) + 16, token->text, token->len);
	pyi_digest(text, sizeof(what) + 16 + token->len, ret_hash);
	explicit_bzero(text, sizeof(text));
}

int pyi_token_set(struct pyi_abi_sandbox *sandbox, const struct pyi_token *token, struct pyi_err *err)
{
	if (PYI_FAULT(971, ENOSYS) || getrandom(sandbox->token_salt, sizeof(sandbox->token_salt), 0) !=
					      (ssize_t)sizeof(sandbox->token_salt))
		return pyi_err_sys(err, errno, "cannot get random bytes for the token");
	hash(sandbox->token_salt, token, sandbox->token_hash);
	sandbox->flags |= PYI_SANDBOX_HAS_TOKEN;
	return 0;
}

/* In a time that does not depend on where they differ. */
static bool is_same(const uint8_t a[32], const uint8_t b[32])
{
	volatile uint8_t difference = 0;

	for (int i = 0; i < 32; i++)
		difference = (uint8_t)(difference | (a[i] ^ b[i]));
	return difference == 0;
}

int pyi_token_check(struct pyi_abi_sandbox *sandbox, const struct pyi_token *token, uint64_t now_ns,
		    uint64_t *ret_wait_ms)
{
	uint32_t doublings = sandbox->token_failures;
	uint8_t got[32];

	*ret_wait_ms = 0;
	if (!(sandbox->flags & PYI_SANDBOX_HAS_TOKEN))
		return -ENOKEY;
	if (now_ns < sandbox->token_wait_ns) {
		*ret_wait_ms = (sandbox->token_wait_ns - now_ns) / 1000000 + 1;
		return -EAGAIN;
	}
	hash(sandbox->token_salt, token, got);
	if (is_same(got, sandbox->token_hash)) {
		sandbox->token_failures = 0;
		return 0;
	}
	if (doublings > WAIT_DOUBLINGS)
		doublings = WAIT_DOUBLINGS;
	*ret_wait_ms = (uint64_t)WAIT_FIRST_MS << doublings;
	sandbox->token_wait_ns = now_ns + *ret_wait_ms * 1000000;
	sandbox->token_failures++;
	return -EACCES;
}
