/* SPDX-License-Identifier: MIT */
/*
 * The final access of each granted path. Grants are put in tree order (a parent directly before all beneath it), then
 * one walk hands access down: what is above is kept, more may be added, a deny takes everything beneath it away.
 */
#include "plan/cover.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/err.h"
#include "base/util.h"
#include "plan/build.h"

/* The byte after which a path component ends sorts before all others, so that "/a/b" comes before "/a-b". */
static unsigned int order(char c)
{
	return c == '\0' ? 0 : c == '/' ? 1 : (unsigned char)c + 1u;
}

int pyi_path_compare(const char *a, const char *b)
{
	while (*a && *a == *b) {
		a++;
		b++;
	}
	return (int)order(*a) - (int)order(*b);
}

static int compare_grant(const void *x, const void *y)
{
	const struct pyi_grant *const *a = x, *const *b = y;
	int c = pyi_path_compare((*a)->path, (*b)->path);

	/* At one path: the policy's rules in their order, our own list last. */
	if (c)
		return c;
	if (!(*a)->rule != !(*b)->rule)
		return (*a)->rule ? -1 : 1;
	if ((*a)->rule != (*b)->rule)
		return (*a)->rule < (*b)->rule ? -1 : 1;
	return *a < *b ? -1 : *a > *b;
}

bool pyi_path_is_within(const char *path, const char *top)
{
	size_t len = strlen(top);

	if (len == 1 && top[0] == '/')
		return true;
	return !strncmp(path, top, len) && (path[len] == '\0' || path[len] == '/');
}

void pyi_cover_free(struct pyi_cover *cover)
{
	if (!cover)
		return;
	free(cover->v);
	free(cover);
}

static int nearest_above(const struct pyi_cover *cover, int from, const char *path)
{
	while (from != PYI_COVER_NONE && !pyi_path_is_within(path, cover->v[from].path))
		from = cover->v[from].parent;
	return from;
}

const struct pyi_cover_node *pyi_cover_find(const struct pyi_cover *cover, const char *path)
{
	size_t low = 0, high = cover->n;
	int i;

	while (low < high) {
		size_t mid = low + (high - low) / 2;

		if (pyi_path_compare(cover->v[mid].path, path) <= 0)
			low = mid + 1;
		else
			high = mid;
	}
	i = nearest_above(cover, (int)low - 1, path);
	return i == PYI_COVER_NONE ? NULL : &cover->v[i];
}

bool pyi_cover_has_below(const struct pyi_cover *cover, const char *path)
{
	for (size_t i = 0; i < cover->n; i++)
		if (cover->v[i].access && strcmp(cover->v[i].path, path) != 0 &&
		    pyi_path_is_within(cover->v[i].path, path))
			return true;
	return false;
}

/* What the rules at one path say: union of what they allow; a deny (or warn, outside dev) wins over all of it. */
static int add_grant(struct pyi_build *b, struct pyi_cover_node *node,
		     const struct pyi_grant *grant, struct pyi_err *err)
{
	char origin[PYI_ORIGIN_MAX];

	node->can_idmap = node->can_idmap || grant->can_idmap;
	if (grant->verdict == PYI_WARN && b->is_dev) {
		/* It opens no more than it must. */
		node->access |= grant->access == PYI_EXEC ? PYI_READ | PYI_EXEC : PYI_READ;
		if (!node->rule)
			node->rule = grant->rule;
		if (b->plan->use_bpf_lsm || b->options->trace)
			return 0;
		return pyi_build_warn(
			b, err, "%s: 'warn: %s' is let through without a record of each use",
			grant->rule ? pyi_build_origin(&grant->rule->from, origin) : "", grant->path);
	}
	if (grant->verdict != PYI_ALLOW) {
		if (!node->denied || !node->rule)
			node->rule = grant->rule;
		node->denied |= grant->access;
		return 0;
	}
	node->access |= grant->access;
	if (!node->rule)
		node->rule = grant->rule;
	return 0;
}

/* The sandbox has its own of these; the host's would show its processes and devices. */
static const char *const own_trees[] = { "/proc", "/dev" };

int pyi_cover_check_grant(const struct pyi_grant *grant, struct pyi_err *err)
{
	char origin[PYI_ORIGIN_MAX];

	if (grant->verdict != PYI_ALLOW || grant->kind == PYI_PATH_MISSING)
		return grant->verdict == PYI_ALLOW;
	for (size_t i = 0; i < PYI_ARRAY_SIZE(own_trees); i++) {
		bool is_proc = !strcmp(own_trees[i], "/proc");

		if (!(is_proc ? pyi_path_is_within(grant->path, own_trees[i])
			      : !strcmp(grant->path, own_trees[i])))
			continue;
		if (!grant->rule || grant->rule->from.is_template)
			return 1;
		return pyi_err_set(err, EPERM, "%s: '%s' cannot be granted: the sandbox has its own %s",
				   pyi_build_origin(&grant->rule->from, origin), grant->path,
				   own_trees[i]);
	}
	if (strcmp(grant->path, "/") != 0)
		return 0;
	return pyi_err_set(err, EPERM,
			   "%s: '/' cannot be granted as a whole: name the directories that are needed",
			   grant->rule ? pyi_build_origin(&grant->rule->from, origin) : "");
}

/*
 * A pattern for writing means files that are not there yet, too: with BPF LSM its directory is brought in as a whole,
 * and each use of what is in it is judged by the pattern.
 */
static int find_tops(struct pyi_build *b, size_t *ret_n, struct pyi_err *err)
{
	const struct pyi_grants *grants = b->grants;
	struct pyi_err unused = { 0 };

	*ret_n = 0;
	b->tops = calloc(grants->n_tops + 1, sizeof(*b->tops));
	if (!b->tops)
		return pyi_err_nomem(err);
	for (size_t i = 0; i < grants->n_tops && b->plan->use_bpf_lsm; i++) {
		const struct pyi_glob_top *top = &grants->tops[i];
		struct pyi_grant grant = { .verdict = PYI_ALLOW,
					   .access = PYI_READ | PYI_WRITE,
					   .path = top->path,
					   .kind = top->kind,
					   .can_idmap = top->can_idmap,
					   .rule = top->rule };

		if (top->rule->verdict == PYI_ALLOW && top->rule->access & PYI_WRITE && top->can_grant &&
		    top->kind == PYI_PATH_DIR && !pyi_cover_check_grant(&grant, &unused))
			b->tops[(*ret_n)++] = grant;
	}
	return 0;
}

static int sort_grants(struct pyi_build *b, const struct pyi_grant ***ret_sorted, size_t *ret_n,
		       struct pyi_err *err)
{
	const struct pyi_grants *grants = b->grants;
	_cleanup_free const struct pyi_grant **sorted = NULL;
	size_t n = 0, n_tops;
	int r = find_tops(b, &n_tops, err);

	if (r)
		return r;
	sorted = calloc(grants->n + n_tops + 1, sizeof(const struct pyi_grant *));
	if (!sorted)
		return pyi_err_nomem(err);
	for (size_t i = 0; i < n_tops; i++)
		sorted[n++] = &b->tops[i];
	for (size_t i = 0; i < grants->n; i++) {
		r = pyi_cover_check_grant(&grants->v[i], err);
		if (r < 0)
			return r;
		if (!r)
			sorted[n++] = &grants->v[i];
	}
	qsort(sorted, n, sizeof(*sorted), compare_grant);
	*ret_sorted = pyi_take_ptr(sorted);
	*ret_n = n;
	return 0;
}

/* Hand down what is above. */
static int settle(struct pyi_build *b, struct pyi_cover *cover, struct pyi_cover_node *node,
		  struct pyi_err *err)
{
	const struct pyi_cover_node *above = node->parent == PYI_COVER_NONE ? NULL
									    : &cover->v[node->parent];
	char origin[PYI_ORIGIN_MAX], above_origin[PYI_ORIGIN_MAX];

	if (above && pyi_cover_is_hidden(above)) {
		if (node->access && !pyi_cover_is_hidden(node) && node->rule &&
		    !node->rule->from.is_template && above->rule) {
			int r = pyi_build_warn(b, err, "%s: '%s' is not granted: %s denies '%s'",
					       pyi_build_origin(&node->rule->from, origin), node->path,
					       pyi_build_origin(&above->rule->from, above_origin),
					       above->path);

			if (r)
				return r;
		}
		node->rule = above->rule;
	}
	/* A rule that only takes away says nothing of the file system: it is the one of what is above. */
	if (!node->access && above)
		node->can_idmap = above->can_idmap;
	node->above = above ? above->access : 0;
	node->above_rule = above ? above->rule : NULL;
	node->denied |= above ? above->denied : 0;
	/* Of programs alone, or all of it: there is no deny of reading that leaves writing. */
	node->access = (node->access | node->above) & ~node->denied;
	return 0;
}

int pyi_cover_build(struct pyi_build *b, struct pyi_err *err)
{
	_cleanup_free const struct pyi_grant **sorted = NULL;
	struct pyi_cover *cover;
	size_t n = 0;
	int r;

	cover = b->cover = calloc(1, sizeof(*cover));
	if (!cover)
		return pyi_err_nomem(err);
	r = sort_grants(b, &sorted, &n, err);
	if (r)
		return r;
	for (size_t i = 0; i < n;) {
		struct pyi_cover_node node = { .path = sorted[i]->path, .kind = sorted[i]->kind };
		struct pyi_cover_node *slot;

		for (; i < n && !strcmp(sorted[i]->path, node.path); i++) {
			r = add_grant(b, &node, sorted[i], err);
			if (r)
				return r;
		}
		node.parent = nearest_above(cover, (int)cover->n - 1, node.path);
		r = settle(b, cover, &node, err);
		if (r)
			return r;
		slot = pyi_build_grow(&cover->v, &cover->n, sizeof(*slot));
		if (!slot)
			return pyi_err_nomem(err);
		*slot = node;
	}
	return pyi_cover_check_exact(b, err);
}
