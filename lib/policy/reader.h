/* SPDX-License-Identifier: MIT */
/* Walking a document's tree, with a complaint and its place for what is not as it should be; for schema.c. */
#ifndef PYI_POLICY_READER_H
#define PYI_POLICY_READER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "policy/internal.h"

struct pyi_reader {
	struct pyi_loader *loader;
	struct pyi_source source; /* line: of the node being read */
	const struct pyi_tree *tree;
	bool is_old;	 /* version 0.1 or 1.0 of the first releases */
	bool in_ceiling; /* `limits` are those of the ceiling */
};

const struct pyi_node *pyi_reader_node(const struct pyi_reader *r, uint32_t i);

/* This node is being read: messages tell its line. */
void pyi_reader_at(struct pyi_reader *r, uint32_t i);

/* "a list", "a value", ... for messages. */
const char *pyi_reader_kind_name(const struct pyi_node *node);

/* "unknown key 'X' in WHERE", with the nearest of the names. */
void pyi_reader_unknown_key(struct pyi_reader *r, const char *key, const char *where,
			    const char *const *names, size_t n);

/* Keys that are not plain values (false), and keys given twice. */
bool pyi_reader_check_keys(struct pyi_reader *r, uint32_t map);

/* The value's text, or NULL after an error. */
const char *pyi_reader_scalar(struct pyi_reader *r, const char *key, uint32_t value);

#endif
