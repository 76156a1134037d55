/* SPDX-License-Identifier: MIT */
/*
 * Of many uses of paths the few rules that cover them; see suggest_paths.h. Least first: a file by its name, a
 * directory only where it was listed or something was made in it, several files of one kind as a pattern.
 */
#include "report/suggest_paths.h"

#include <stdlib.h>
#include <string.h>

#include "base/utf8.h"
#include "report/suggest.h"

enum {
	GLOB_FROM = 3, /* files of one directory with one ending */
	DIR_FROM = 64, /* files of one directory, whatever they are called */
	ENDING_MAX = 16,
	PATH_TEXT_MAX = 4000, /* a policy takes 4095 bytes, and some characters are escaped */
};

void pyi_suggest_rules_release(struct pyi_suggest_rules *rules)
{
	for (size_t i = 0; i < rules->n; i++)
		free(rules->v[i].path);
	free(rules->v);
	rules->v = NULL;
	rules->n = 0;
}

static bool is_within(const char *path, const char *top)
{
	size_t len = strlen(top);

	return !strncmp(path, top, len) && (!path[len] || path[len] == '/');
}

/* "/" and "/etc": what no suggestion opens as a whole. */
static bool is_wide(const char *path)
{
	return !strchr(path + 1, '/');
}

static bool has_wildcard(const char *path)
{
	return strpbrk(path, "*?[") != NULL;
}

/* As the kernel names what was opened; another spelling would be another path to the rules. */
static bool is_clean(const char *path)
{
	size_t len = strlen(path);

	return !strstr(path, "//") && !strstr(path, "/./") && !strstr(path, "/../") &&
	       (len < 2 || path[len - 1] != '/') && (len < 2 || strcmp(path + len - 2, "/.") != 0) &&
	       (len < 3 || strcmp(path + len - 3, "/..") != 0);
}

/* Can a policy say it? The loader takes UTF-8 without control characters. */
static bool is_sayable(const char *path)
{
	size_t len = strlen(path), n;

	if (len * (has_wildcard(path) ? 3 : 1) > PATH_TEXT_MAX || !is_clean(path))
		return false;
	for (; *path; path += n) {
		n = pyi_utf8_len(path);
		if (!n || (unsigned char)*path < 0x20 || *path == 0x7f)
			return false;
	}
	return true;
}

static bool is_own(const struct pyi_suggest *s, const char *path)
{
	for (const char *const *own = s->own; own && *own; own++)
		if (is_within(path, *own))
			return true;
	return false;
}

/* Does the policy that is extended settle this already? What it denies a run can have had only by an older file. */
static bool is_settled(const struct pyi_suggest *s, const char *path, unsigned int access)
{
	static const unsigned int bits[] = { PYI_READ, PYI_WRITE, PYI_EXEC };
	const struct pyi_fs_rule *rule = NULL;
	bool is_allowed = true;

	for (size_t i = 0; i < sizeof(bits) / sizeof(bits[0]); i++) {
		enum pyi_verdict verdict;

		if (!(access & bits[i]))
			continue;
		verdict = pyi_policy_decide_fs(s->base, path, bits[i], &rule);
		if (rule && verdict == PYI_DENY)
			return true;
		is_allowed = is_allowed && verdict != PYI_DENY;
	}
	return is_allowed;
}

static void cut_last(char *path)
{
	char *slash = strrchr(path, '/');

	slash[slash == path] = '\0';
}

/* What is written or run must be read. */
static unsigned int access_of(const struct pyi_suggest_path *use)
{
	return use->access | PYI_READ;
}

bool pyi_suggest_wants_path(const struct pyi_suggest *s, const struct pyi_suggest_path *use)
{
	if (use->path[0] != '/' || is_own(s, use->path) || is_settled(s, use->path, access_of(use)))
		return false;
	/* Directories of the root: there are such in every sandbox, or nothing says that it matters. */
	return use->access || !use->is_dir || !is_wide(use->path);
}

/* What one use asks for. False: nothing. */
static bool rule_of(const struct pyi_suggest *s, const struct pyi_suggest_path *use, size_t order,
		    struct pyi_suggest_rule *rule)
{
	unsigned int access = use->access;

	*rule = (struct pyi_suggest_rule){ .is_dir = use->is_dir || !strcmp(use->path, "/"),
					   .count = use->count ? use->count : 1,
					   .order = order,
					   .at_file = use->at_file,
					   .at_line = use->at_line };
	if (!pyi_suggest_wants_path(s, use))
		return false;
	/* To see a file is to be granted it; of a directory that is too much. */
	rule->access = access_of(use);
	rule->path = strdup(use->path);
	if (!rule->path)
		return true;
	/* A pattern for writing is exact only with BPF LSM: its directory is on every host. */
	if (access & PYI_WRITE && (use->needs_dir || (has_wildcard(use->path) && !use->is_dir)) &&
	    !is_wide(use->path)) {
		char *whole = strrchr(rule->path, '/');

		*whole = '\0';
		if (is_wide(rule->path)) {
			*whole = '/'; /* the file alone, then: it is there when the sandbox starts */
			if (use->needs_dir)
				rule->fate = PYI_SUGGEST_WIDE;
		} else {
			rule->is_dir = true;
		}
	} else if (use->needs_dir) {
		rule->fate = PYI_SUGGEST_WIDE;
	}
	if (!access && rule->is_dir)
		rule->fate = PYI_SUGGEST_LOOKED;
	else if (rule->is_dir && is_wide(rule->path))
		rule->fate = PYI_SUGGEST_WIDE;
	if (!is_sayable(rule->path))
		rule->fate = PYI_SUGGEST_ODD;
	return true;
}

static int compare(const void *x, const void *y)
{
	const struct pyi_suggest_rule *a = x, *b = y;
	int c = strcmp(a->path, b->path);

	if (c)
		return c;
	if (a->fate != b->fate)
		return a->fate < b->fate ? -1 : 1;
	return a->order < b->order ? -1 : a->order > b->order;
}

/* The later one goes into the earlier one. */
static void merge(struct pyi_suggest_rule *into, struct pyi_suggest_rule *from)
{
	into->count += from->count;
	into->access |= from->access;
	into->is_dir = into->is_dir || from->is_dir;
	if (from->order < into->order) {
		into->order = from->order;
		into->at_file = from->at_file;
		into->at_line = from->at_line;
	}
	free(from->path);
	from->path = NULL;
}

static void drop_merged(struct pyi_suggest_rules *rules)
{
	size_t n = 0;

	for (size_t i = 0; i < rules->n; i++)
		if (rules->v[i].path)
			rules->v[n++] = rules->v[i];
	rules->n = n;
}

/* The same path twice is one rule. */
static void merge_same(struct pyi_suggest_rules *rules)
{
	struct pyi_suggest_rule *last = NULL;

	for (size_t i = 0; i < rules->n; i++) {
		struct pyi_suggest_rule *rule = &rules->v[i];

		if (last && !strcmp(last->path, rule->path) && last->fate == rule->fate)
			merge(last, rule);
		else
			last = rule;
	}
	drop_merged(rules);
}

/* The granted directory at or above `path`, by its path, that gives this access; NULL. */
static struct pyi_suggest_rule *find_above(struct pyi_suggest_rules *rules,
					   const struct pyi_suggest_rule *rule)
{
	char *path = strdup(rule->path);
	struct pyi_suggest_rule *found = NULL;

	while (path && !found && path[0] && path[1]) {
		struct pyi_suggest_rule key = { .path = path }; /* fate 0, order 0: before all of this path */
		size_t low = 0, high = rules->n;

		while (low < high) {
			size_t mid = low + (high - low) / 2;

			if (compare(&rules->v[mid], &key) < 0)
				low = mid + 1;
			else
				high = mid;
		}
		/* Not itself; a rule that was merged away keeps its place, and its path, until all are done. */
		if (low < rules->n && &rules->v[low] != rule && !strcmp(rules->v[low].path, path) &&
		    rules->v[low].fate == PYI_SUGGEST_GRANT && rules->v[low].is_dir &&
		    !(rule->access & ~rules->v[low].access))
			found = &rules->v[low];
		cut_last(path);
	}
	free(path);
	return found;
}

/* What a granted directory covers needs no rule of its own. */
static void merge_beneath(struct pyi_suggest_rules *rules)
{
	for (size_t i = rules->n; i-- > 0;) {
		struct pyi_suggest_rule *rule = &rules->v[i];
		struct pyi_suggest_rule *above;

		if (rule->fate != PYI_SUGGEST_GRANT && rule->fate != PYI_SUGGEST_LOOKED)
			continue;
		above = find_above(rules, rule);
		if (!above)
			continue;
		/* In reverse order: nothing beneath this one is looked at again, but its place is searched. */
		above->count += rule->count;
		if (rule->order < above->order) {
			above->order = rule->order;
			above->at_file = rule->at_file;
			above->at_line = rule->at_line;
		}
		rule->count = 0;
	}
	for (size_t i = 0; i < rules->n; i++)
		if (!rules->v[i].count) {
			free(rules->v[i].path);
			rules->v[i].path = NULL;
		}
	drop_merged(rules);
}

/* A directory that was only looked at is there when something beneath it is. */
static void drop_looked(struct pyi_suggest_rules *rules)
{
	for (size_t i = 0; i < rules->n; i++) {
		struct pyi_suggest_rule *rule = &rules->v[i];
		size_t len = strlen(rule->path);

		if (rule->fate != PYI_SUGGEST_LOOKED)
			continue;
		/* Names such as "a-b" sort between "a" and what is in it. */
		for (size_t j = i + 1; j < rules->n && !strncmp(rules->v[j].path, rule->path, len); j++)
			if (rules->v[j].path[len] == '/' && rules->v[j].fate == PYI_SUGGEST_GRANT) {
				rule->count = 0;
				break;
			}
	}
	for (size_t i = 0; i < rules->n; i++)
		if (!rules->v[i].count) {
			free(rules->v[i].path);
			rules->v[i].path = NULL;
		}
	drop_merged(rules);
}

static size_t dir_len(const char *path)
{
	return (size_t)(strrchr(path, '/') - path);
}

/* "csv" of "/data/a.csv"; NULL when there is none that says something. */
static const char *ending_of(const char *path)
{
	const char *name = strrchr(path, '/') + 1, *dot = strrchr(name, '.');
	size_t len;

	if (!dot || dot == name)
		return NULL;
	len = strspn(dot + 1, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-");
	return len && len <= ENDING_MAX && !dot[1 + len] ? dot + 1 : NULL;
}

/* A file in a directory that may be granted. Patterns are for reading: for writing few hosts have them. */
static bool can_gather(const struct pyi_suggest_rule *rule, bool by_ending)
{
	size_t len = dir_len(rule->path);

	return rule->fate == PYI_SUGGEST_GRANT && !rule->is_dir && !rule->is_glob &&
	       (by_ending ? rule->access == PYI_READ : !(rule->access & PYI_EXEC)) && len &&
	       memchr(rule->path + 1, '/', len - 1);
}

static bool is_beside(const struct pyi_suggest_rule *a, const struct pyi_suggest_rule *b)
{
	size_t len = dir_len(a->path);

	return dir_len(b->path) == len && !memcmp(a->path, b->path, len);
}

static bool is_alike(const struct pyi_suggest_rule *a, const struct pyi_suggest_rule *b, bool by_ending)
{
	const char *x = ending_of(a->path), *y = ending_of(b->path);

	return can_gather(b, by_ending) && a->access == b->access && is_beside(a, b) &&
	       (!by_ending || (x && y && !strcmp(x, y)));
}

/* All files like the first one become one rule; false: out of memory. */
static bool gather(struct pyi_suggest_rules *rules, size_t i, size_t end, bool by_ending, size_t from)
{
	struct pyi_suggest_rule *first = &rules->v[i];
	const char *ending = ending_of(first->path);
	size_t n = 0, len = dir_len(first->path);
	char *path;

	if (by_ending && !ending)
		return true;
	for (size_t j = i; j < end; j++)
		n += rules->v[j].path && is_alike(first, &rules->v[j], by_ending);
	if (n < from)
		return true;
	path = malloc(len + sizeof("/*.") + ENDING_MAX);
	if (!path)
		return false;
	memcpy(path, first->path, len);
	path[len] = '\0';
	for (size_t j = i + 1; j < end; j++)
		if (rules->v[j].path && is_alike(first, &rules->v[j], by_ending))
			merge(first, &rules->v[j]);
	if (by_ending) {
		memcpy(path + len, "/*.", 3);
		memcpy(path + len + 3, ending, strlen(ending) + 1);
		first->is_glob = true;
	} else {
		first->is_dir = true;
	}
	free(first->path);
	first->path = path;
	return true;
}

static bool gather_all(struct pyi_suggest_rules *rules, bool by_ending, size_t from)
{
	for (size_t i = 0; i < rules->n; i++)
		if (rules->v[i].path && can_gather(&rules->v[i], by_ending)) {
			size_t end = i + 1;

			/* The range is found among paths that are there. */
			while (end < rules->n &&
			       (!rules->v[end].path || !strncmp(rules->v[end].path, rules->v[i].path,
								dir_len(rules->v[i].path) + 1)))
				end++;
			if (!gather(rules, i, end, by_ending, from))
				return false;
		}
	drop_merged(rules);
	return true;
}

bool pyi_suggest_reduce(struct pyi_suggest *s, struct pyi_suggest_rules *ret_rules)
{
	*ret_rules = (struct pyi_suggest_rules){ .v = calloc(s->n_paths + 1, sizeof(*ret_rules->v)) };
	if (!ret_rules->v)
		return false;
	for (size_t i = 0; i < s->n_paths; i++) {
		struct pyi_suggest_rule rule;

		if (!rule_of(s, &s->paths[i], i, &rule))
			continue;
		if (!rule.path)
			return false;
		ret_rules->v[ret_rules->n++] = rule;
	}
	qsort(ret_rules->v, ret_rules->n, sizeof(*ret_rules->v), compare);
	merge_same(ret_rules);
	merge_beneath(ret_rules);
	if (!gather_all(ret_rules, false, DIR_FROM) || !gather_all(ret_rules, true, GLOB_FROM))
		return false;
	qsort(ret_rules->v, ret_rules->n, sizeof(*ret_rules->v), compare);
	merge_same(ret_rules);
	merge_beneath(ret_rules);
	drop_looked(ret_rules);
	return true;
}
