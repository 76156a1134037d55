/* SPDX-License-Identifier: MIT */
/*
 * What mounts and Landlock cannot promise. Both are put in place once, before the guest runs: a deny pattern that
 * a new file would match, or a denied path that does not exist yet, cannot be kept inside a directory that the guest
 * writes to. A hook at every open (BPF LSM) could; where there is none, the strict mode refuses such a rule.
 */
#include <errno.h>
#include <fnmatch.h>
#include <stdio.h>
#include <string.h>

#include "base/err.h"
#include "plan/build.h"
#include "plan/cover.h"
#include "plan/facts.h"

enum { PYI_COMPONENT_MAX = 256 };

/* The next component of a path ("/a/b": "a", then "b"); false at the end, or when it is too long to be a name. */
static bool next_component(const char **path, char *ret)
{
	const char *p = *path;
	size_t len;

	while (*p == '/')
		p++;
	len = strcspn(p, "/");
	if (!len || len >= PYI_COMPONENT_MAX)
		return false;
	memcpy(ret, p, len);
	ret[len] = '\0';
	*path = p + len;
	return true;
}

/* Could the pattern match a file, now or later, strictly beneath this directory? In doubt: yes. */
static bool may_match_below(const char *pattern, const char *dir)
{
	char want[PYI_COMPONENT_MAX], have[PYI_COMPONENT_MAX];

	while (next_component(&dir, have)) {
		if (!next_component(&pattern, want))
			return false;
		if (!strcmp(want, "**"))
			return true;
		if (fnmatch(want, have, 0) == FNM_NOMATCH)
			return false;
	}
	return next_component(&pattern, want);
}

static bool is_denying(const struct pyi_build *b, const struct pyi_fs_rule *rule)
{
	return rule->verdict == PYI_DENY || (rule->verdict == PYI_WARN && !b->is_dev);
}

/* Refuse in hardened mode, else warn. */
static int inexact(struct pyi_build *b, const struct pyi_fs_rule *rule, const char *what,
		   struct pyi_err *err)
{
	char origin[PYI_ORIGIN_MAX];

	pyi_build_origin(&rule->from, origin);
	pyi_build_lsm_is_off(b); /* the layer that could hold such a rule */
	/* An audit is no boundary to rely on, unless it is asked to be. */
	if (b->plan->mode == PYI_MODE_HARDENED &&
	    !(b->options->audit && b->options->mode == PYI_MODE_DEFAULT))
		return pyi_err_set(err, EOPNOTSUPP,
				   "%s: %s; use narrower paths, or --mode compatibility to go without it",
				   origin, what);
	return pyi_build_warn(b, err, "%s: %s", origin, what);
}

/* Does a deny of this kind take anything away where that much is granted and the guest may make files? */
static bool matters(const struct pyi_fs_rule *rule, const struct pyi_cover_node *node)
{
	return (node->access & PYI_WRITE) && (node->access & rule->access);
}

static const struct pyi_cover_node *writable_above_pattern(struct pyi_build *b,
							   const struct pyi_fs_rule *rule)
{
	for (size_t i = 0; i < b->cover->n; i++) {
		const struct pyi_cover_node *node = &b->cover->v[i];

		if (matters(rule, node) && node->kind == PYI_PATH_DIR &&
		    may_match_below(rule->path, node->path))
			return node;
	}
	return NULL;
}

static int check_deny_glob(struct pyi_build *b, const struct pyi_fs_rule *rule, struct pyi_err *err)
{
	const struct pyi_cover_node *node = writable_above_pattern(b, rule);
	char what[PYI_ERR_MSG_MAX];

	if (!node)
		return 0;
	snprintf(what, sizeof(what), "'deny: %s' cannot hold for new files in the writable '%s'",
		 rule->path, node->path);
	return inexact(b, rule, what, err);
}

/* A deny of a path that is not there (which the resolver may or may not have put among the grants). */
static int check_deny_missing(struct pyi_build *b, const struct pyi_fs_rule *rule, struct pyi_err *err)
{
	const char *path = rule->path;
	const struct pyi_cover_node *node;
	char what[PYI_ERR_MSG_MAX];

	for (size_t i = 0; i < b->grants->n; i++) {
		if (b->grants->v[i].rule != rule)
			continue;
		if (b->grants->v[i].kind != PYI_PATH_MISSING)
			return 0;
		path = b->grants->v[i].path;
	}
	node = pyi_cover_find(b->cover, path);
	while (node && node->kind == PYI_PATH_MISSING && node->parent != PYI_COVER_NONE)
		node = &b->cover->v[node->parent];
	if (!node || !matters(rule, node))
		return 0;
	snprintf(what, sizeof(what),
		 "'deny: %s' does not exist, and in the writable '%s' the guest could make it",
		 path, node->path);
	return inexact(b, rule, what, err);
}

static int check_write_glob(struct pyi_build *b, const struct pyi_fs_rule *rule, struct pyi_err *err)
{
	char top[PYI_ERR_MSG_MAX], what[PYI_ERR_MSG_MAX];
	size_t len = strcspn(rule->path, "*?[");
	const struct pyi_cover_node *node;

	/* The part before the first component with a wildcard. */
	while (len && rule->path[len - 1] != '/')
		len--;
	if (len > 1)
		len--;
	snprintf(top, sizeof(top), "%.*s", (int)len, rule->path);
	node = pyi_cover_find(b->cover, top);
	if (node && (node->access & PYI_WRITE))
		return 0;
	snprintf(what, sizeof(what),
		 "'write: %s' holds only for files that exist when the sandbox starts", rule->path);
	return inexact(b, rule, what, err);
}

/* Landlock alone cannot take away beneath a path what it allows at the path. */
static int check_without_namespaces(struct pyi_build *b, struct pyi_err *err)
{
	char origin[PYI_ORIGIN_MAX], above[PYI_ORIGIN_MAX];

	for (size_t i = 0; i < b->cover->n; i++) {
		const struct pyi_cover_node *node = &b->cover->v[i];

		if (!(node->above & node->denied) || node->kind == PYI_PATH_MISSING || !node->rule)
			continue;
		return pyi_err_set(
			err, EOPNOTSUPP,
			"%s: 'deny: %s' inside what %s grants needs namespaces, which are missing here (%s)",
			pyi_build_origin(&node->rule->from, origin), node->path,
			node->above_rule ? pyi_build_origin(&node->above_rule->from, above)
					 : "the built-in list",
			b->plan->layers[PYI_LAYER_NAMESPACES].why);
	}
	return 0;
}

int pyi_cover_check_exact(struct pyi_build *b, struct pyi_err *err)
{
	int r = 0;

	if (!b->plan->use_namespaces && !b->plan->use_bpf_lsm)
		r = check_without_namespaces(b, err);
	for (size_t i = 0; i < b->policy->n_fs && !r; i++) {
		const struct pyi_fs_rule *rule = &b->policy->fs[i];

		/* What it denies BPF LSM denies; what it lets write must be brought in first. */
		if (b->plan->use_bpf_lsm && rule->verdict != PYI_ALLOW)
			continue;

		if (is_denying(b, rule))
			r = rule->is_glob ? check_deny_glob(b, rule, err)
					  : check_deny_missing(b, rule, err);
		else if (rule->verdict == PYI_ALLOW && rule->is_glob && (rule->access & PYI_WRITE))
			r = check_write_glob(b, rule, err);
	}
	return r;
}
