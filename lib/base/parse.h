/* SPDX-License-Identifier: MIT */
/* Numbers with units, as they stand in policies and flags. */
#ifndef PYI_BASE_PARSE_H
#define PYI_BASE_PARSE_H

#include <stddef.h>
#include <stdint.h>

struct pyi_err;

/* "256MiB", "10MB", "4096", "1.5GiB": KiB MiB GiB TiB and K M G T are powers of 1024, kB MB GB TB powers of 1000. */
int pyi_parse_size(const char *text, uint64_t *ret_bytes, struct pyi_err *err);

/* "30s", "1.5s", "200ms", "2m", "1h", "3d": a unit is required. At least 1 ms. */
int pyi_parse_duration(const char *text, uint64_t *ret_ms, struct pyi_err *err);

/* The same, and a bare number is seconds, as with timeout(1). */
int pyi_parse_timeout(const char *text, uint64_t *ret_ms, struct pyi_err *err);

/* "50%", "150%" of one CPU, or a number of CPUs such as "1.5". In thousandths of one CPU, at least 10 (1 %). */
int pyi_parse_cpu(const char *text, uint32_t *ret_permille, struct pyi_err *err);

/* A decimal number from min to max, nothing else. */
int pyi_parse_u64(const char *text, uint64_t min, uint64_t max, uint64_t *ret_value,
		  struct pyi_err *err);

/*
 * The nearest of n words to `word`, by edit distance, for "did you mean '%s'"; NULL when none is near.
 */
const char *pyi_parse_nearest(const char *word, const char *const *words, size_t n);

/* The reverse of the parsers, for people: "256MiB", "1.5s", "50%". buf must hold 32 bytes; returns buf. */
const char *pyi_format_size(uint64_t bytes, char *buf);
const char *pyi_format_duration(uint64_t ms, char *buf);
const char *pyi_format_cpu(uint32_t permille, char *buf);

#endif
