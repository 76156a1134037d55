/* SPDX-License-Identifier: MIT */
/*
 * Directories that must stay where they are. What a rule takes away inside a writable directory is covered by a mount,
 * and a mount goes where its directory goes: a guest that may rename a directory above it could move the covered path
 * aside and make another one under the old name, for something outside to read or run later. The kernel refuses to
 * rename or remove what something is mounted on, so each directory between the writable grant and the covered path
 * becomes a mount of its own.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/err.h"
#include "plan/build.h"
#include "plan/cover.h"

/* Does this node take something away from a directory above it that can be written? */
static bool takes_away(const struct pyi_cover_node *node)
{
	if (!(node->above & PYI_WRITE) || node->kind == PYI_PATH_MISSING)
		return false;
	return pyi_cover_is_hidden(node) || node->access != node->above;
}

static int add(struct pyi_pins *pins, const char *path, size_t len)
{
	char **v;

	/* Neighbours in tree order share most of what is above them. */
	for (size_t i = pins->n; i > 0 && pins->n - i < 8; i--)
		if (!strncmp(pins->v[i - 1], path, len) && !pins->v[i - 1][len])
			return 0;
	v = pyi_build_grow(&pins->v, &pins->n, sizeof(*v));
	if (!v)
		return -ENOMEM;
	*v = strndup(path, len);
	return *v ? 0 : -ENOMEM;
}

static int add_above(const struct pyi_cover *cover, const struct pyi_cover_node *node,
		     struct pyi_pins *pins)
{
	const struct pyi_cover_node *top = &cover->v[node->parent];
	size_t top_len;
	int r = 0;

	/* Up to the directory that is mounted anyway: the last one whose access differs from what is above it. */
	while (top->access == top->above && top->parent != PYI_COVER_NONE)
		top = &cover->v[top->parent];
	top_len = top->path[1] ? strlen(top->path) : 0;
	for (const char *p = strchr(node->path + top_len + 1, '/'); p && !r; p = strchr(p + 1, '/'))
		r = add(pins, node->path, (size_t)(p - node->path));
	return r;
}

static int compare(const void *x, const void *y)
{
	return pyi_path_compare(*(char *const *)x, *(char *const *)y);
}

int pyi_pins_build(const struct pyi_cover *cover, struct pyi_pins *ret_pins, struct pyi_err *err)
{
	struct pyi_pins pins = { 0 };
	size_t kept = 0;

	for (size_t i = 0; i < cover->n; i++) {
		const struct pyi_cover_node *node = &cover->v[i];

		if (!takes_away(node) || node->parent == PYI_COVER_NONE)
			continue;
		if (add_above(cover, node, &pins)) {
			pyi_pins_release(&pins);
			return pyi_err_nomem(err);
		}
	}
	if (pins.n)
		qsort(pins.v, pins.n, sizeof(*pins.v), compare);
	for (size_t i = 0; i < pins.n; i++) {
		if (kept && !strcmp(pins.v[kept - 1], pins.v[i]))
			free(pins.v[i]);
		else
			pins.v[kept++] = pins.v[i];
	}
	pins.n = kept;
	*ret_pins = pins;
	return 0;
}

void pyi_pins_release(struct pyi_pins *pins)
{
	for (size_t i = 0; i < pins->n; i++)
		free(pins->v[i]);
	free(pins->v);
	*pins = (struct pyi_pins){ 0 };
}
