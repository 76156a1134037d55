/* SPDX-License-Identifier: MIT */
/*
 * What each granted path comes to when all rules about it and about the paths above it are put together:
 * deny > warn > allow, whatever their order. Private to lib/plan, but for the order of paths.
 */
#ifndef PYI_PLAN_COVER_H
#define PYI_PLAN_COVER_H

#include <stdbool.h>
#include <stddef.h>

#include "plan/grants.h"

struct pyi_build;
struct pyi_err;

enum { PYI_COVER_NONE = -1 };

struct pyi_cover_node {
	const char *path; /* borrowed from the grants */
	enum pyi_path_kind kind;
	unsigned int access; /* final: what is allowed here or above, less what is denied here or above */
	unsigned int above;  /* final access of the nearest node above */
	unsigned int denied; /* here or above; with PYI_READ in it nothing is left (is_hidden) */
	bool can_idmap;
	const struct pyi_fs_rule *rule; /* that denies, else the first that allows; NULL: the built-in list */
	const struct pyi_fs_rule *above_rule;
	int parent; /* index of the nearest node above, PYI_COVER_NONE */
};

/* Must this path not be seen at all? A deny of exec alone only takes that away. */
static inline bool pyi_cover_is_hidden(const struct pyi_cover_node *node)
{
	return node->denied & PYI_READ;
}

struct pyi_cover {
	struct pyi_cover_node *v; /* in tree order: a parent, then all beneath it */
	size_t n;
};

/*
 * Build it. Refuses what cannot be: '/', the sandbox's own /proc and /dev, and (where the mode wants it exact) denies
 * and write globs that may match more once the guest runs.
 */
int pyi_cover_build(struct pyi_build *b, struct pyi_err *err);
void pyi_cover_free(struct pyi_cover *cover);

/*
 * 1: leave this grant out; 0: keep it; -errno. A template is written for many hosts, so what it may not have is left
 * out; a user is told.
 */
int pyi_cover_check_grant(const struct pyi_grant *grant, struct pyi_err *err);

/* The nearest node at or above a path, NULL when there is none. */
const struct pyi_cover_node *pyi_cover_find(const struct pyi_cover *cover, const char *path);

/* Is something granted beneath this path (so that it exists inside as a directory)? */
bool pyi_cover_has_below(const struct pyi_cover *cover, const char *path);

/* Tree order: a directory directly before all that is beneath it. As strcmp. */
int pyi_path_compare(const char *a, const char *b);

/* Is `path` the same as `top` or beneath it? */
bool pyi_path_is_within(const char *path, const char *top);

/* Directories inside writable grants that must not be renamed, in tree order; pins.c. Owned. */
struct pyi_pins {
	char **v;
	size_t n;
};

int pyi_pins_build(const struct pyi_cover *cover, struct pyi_pins *ret_pins, struct pyi_err *err);
void pyi_pins_release(struct pyi_pins *pins);

/* Checks what rules about paths cannot promise once the guest runs; cover_exact.c. */
int pyi_cover_check_exact(struct pyi_build *b, struct pyi_err *err);

#endif
