/* SPDX-License-Identifier: MIT */
/*
 * SHA-256 through libcrypto's low-level calls. The EVP interface would first set up the library: it reads the host's
 * openssl.cnf and loads a provider, which costs more than all else that is done with a policy before a start.
 */
#define OPENSSL_SUPPRESS_DEPRECATED
#include "base/digest.h"

#include <openssl/sha.h>

void pyi_digest(const void *data, size_t len, uint8_t ret_digest[PYI_DIGEST_LEN])
{
	SHA256_CTX ctx;

	SHA256_Init(&ctx);
	SHA256_Update(&ctx, data, len);
	SHA256_Final(ret_digest, &ctx);
}

void pyi_digest_hex(const uint8_t digest[PYI_DIGEST_LEN], char ret_text[2 * PYI_DIGEST_LEN + 1])
{
	static const char digits[] = "0123456789abcdef";

	for (int i = 0; i < PYI_DIGEST_LEN; i++) {
		ret_text[2 * i] = digits[digest[i] >> 4];
		ret_text[2 * i + 1] = digits[digest[i] & 15];
	}
	ret_text[2 * PYI_DIGEST_LEN] = '\0';
}
