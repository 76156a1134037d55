/* SPDX-License-Identifier: MIT */
/*
 * A JSON writer over a buffer. Commas and nesting are kept by the writer; bytes that are not UTF-8 are written as
 * U+FFFD, control characters escaped. `key` is NULL inside an array and at the top.
 */
#ifndef PYI_BASE_JSON_H
#define PYI_BASE_JSON_H

#include <stdbool.h>
#include <stdint.h>

struct pyi_buf;

struct pyi_json {
	struct pyi_buf *out; /* borrowed */
	bool need_comma;
};

void pyi_json_init(struct pyi_json *json, struct pyi_buf *out);
void pyi_json_object(struct pyi_json *json, const char *key);
void pyi_json_end_object(struct pyi_json *json);
void pyi_json_array(struct pyi_json *json, const char *key);
void pyi_json_end_array(struct pyi_json *json);
void pyi_json_string(struct pyi_json *json, const char *key, const char *value); /* NULL is written as null */
void pyi_json_u64(struct pyi_json *json, const char *key, uint64_t value);
void pyi_json_i64(struct pyi_json *json, const char *key, int64_t value);
void pyi_json_ms(struct pyi_json *json, const char *key,
		 uint64_t microseconds); /* as milliseconds with 3 decimals */
void pyi_json_bool(struct pyi_json *json, const char *key, bool value);
void pyi_json_null(struct pyi_json *json, const char *key);

#endif
