/* SPDX-License-Identifier: MIT */
/* UTF-8 (RFC 3629). */
#ifndef PYI_BASE_UTF8_H
#define PYI_BASE_UTF8_H

#include <stddef.h>

/* The length of the sequence at text (never past the terminator), 0 when it is not valid. */
size_t pyi_utf8_len(const char *text);

#endif
