/* SPDX-License-Identifier: MIT */
/* SHA-256 of bytes in memory (FIPS 180-4), for names of policies and bodies. Keys and sealing are in lib/seal. */
#ifndef PYI_BASE_DIGEST_H
#define PYI_BASE_DIGEST_H

#include <stddef.h>
#include <stdint.h>

enum { PYI_DIGEST_LEN = 32 };

/* Cannot fail: it allocates nothing and reads no configuration. */
void pyi_digest(const void *data, size_t len, uint8_t ret_digest[PYI_DIGEST_LEN]);

/* In lower-case hexadecimal, terminated. */
void pyi_digest_hex(const uint8_t digest[PYI_DIGEST_LEN], char ret_text[2 * PYI_DIGEST_LEN + 1]);

#endif
