/* SPDX-License-Identifier: MIT */
/* See reader.h. */
#include "policy/reader.h"

#include <stdlib.h>
#include <string.h>

#include "base/parse.h"
#include "base/util.h"

const struct pyi_node *pyi_reader_node(const struct pyi_reader *r, uint32_t i)
{
	return &r->tree->nodes[i];
}

void pyi_reader_at(struct pyi_reader *r, uint32_t i)
{
	r->source.line = pyi_reader_node(r, i)->line;
}

const char *pyi_reader_kind_name(const struct pyi_node *node)
{
	if (node->is_null)
		return "nothing";
	if (node->kind == PYI_NODE_MAP && !node->first)
		return "an empty map";
	return node->kind == PYI_NODE_SCALAR ? "a value"
	       : node->kind == PYI_NODE_LIST ? "a list"
					     : "a map";
}

void pyi_reader_unknown_key(struct pyi_reader *r, const char *key, const char *where,
			    const char *const *names, size_t n)
{
	const char *near = pyi_parse_nearest(key, names, n);

	if (near)
		pyi_loader_error(r->loader, &r->source,
				 "unknown key '%.64s' in %s, did you mean '%s'?", key, where, near);
	else
		pyi_loader_error(r->loader, &r->source, "unknown key '%.64s' in %s", key, where);
}

static int compare_keys(const void *a, const void *b)
{
	const struct pyi_node *const *x = a, *const *y = b;
	int order = strcmp((*x)->text, (*y)->text);

	return order ? order : ((*x)->line > (*y)->line) - ((*x)->line < (*y)->line);
}

/* Keys that are not plain values, and keys given twice. Sorted, for a map may have 100,000 of them. */
bool pyi_reader_check_keys(struct pyi_reader *r, uint32_t map)
{
	_cleanup_free const struct pyi_node **keys = NULL;
	size_t n = 0;

	for (uint32_t k = pyi_reader_node(r, map)->first; k;
	     k = pyi_reader_node(r, pyi_reader_node(r, k)->next)->next) {
		if (pyi_reader_node(r, k)->kind == PYI_NODE_SCALAR) {
			n++;
			continue;
		}
		pyi_reader_at(r, k);
		pyi_loader_error(r->loader, &r->source, "a key is %s",
				 pyi_reader_kind_name(pyi_reader_node(r, k)));
		return false;
	}
	keys = reallocarray(NULL, n + 1, sizeof(keys[0]));
	if (!keys) {
		r->loader->nomem = true;
		return false;
	}
	n = 0;
	for (uint32_t k = pyi_reader_node(r, map)->first; k;
	     k = pyi_reader_node(r, pyi_reader_node(r, k)->next)->next)
		keys[n++] = pyi_reader_node(r, k);
	qsort(keys, n, sizeof(keys[0]), compare_keys);
	for (size_t i = 1; i < n; i++) {
		if (strcmp(keys[i]->text, keys[i - 1]->text) != 0)
			continue;
		r->source.line = keys[i]->line;
		pyi_loader_error(r->loader, &r->source, "duplicate key '%.64s', first in line %u",
				 keys[i]->text, keys[i - 1]->line);
	}
	return true;
}

/* The value's text, or NULL after an error. */
const char *pyi_reader_scalar(struct pyi_reader *r, const char *key, uint32_t value)
{
	const struct pyi_node *node = pyi_reader_node(r, value);

	pyi_reader_at(r, value);
	if (node->kind == PYI_NODE_SCALAR && !node->is_null)
		return node->text;
	pyi_loader_error(r->loader, &r->source, "'%s' needs a value, this is %s", key,
			 pyi_reader_kind_name(node));
	return NULL;
}
