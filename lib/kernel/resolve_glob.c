/* SPDX-License-Identifier: MIT */
/*
 * Expanding a pattern: component by component up to the first '**', then every directory beneath. Names are compared
 * by the policy's own matcher, one component at a time, so that what is granted here is what `policy why` says.
 */
#include "kernel/resolve_glob.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/err.h"
#include "base/util.h"
#include "kernel/resolve_walk.h"
#include "policy/policy.h"

struct expansion {
	const char *pattern;
	uid_t uid;
	pyi_glob_match_fn *match;
	void *data;
	unsigned int n_matches;
	unsigned int n_entries;
};

static void close_dir(DIR **dir)
{
	if (*dir)
		closedir(*dir);
	*dir = NULL;
}
#define _cleanup_dir __attribute__((cleanup(close_dir)))

static int expand(struct expansion *e, const char *shown, const char *rest, unsigned int depth,
		  struct pyi_err *err);

size_t pyi_glob_fixed_len(const char *pattern)
{
	size_t len = strcspn(pattern, "*?[");

	while (len && pattern[len] != '/')
		len--;
	return len;
}

static int found(struct expansion *e, const char *path, struct pyi_err *err)
{
	if (++e->n_matches > PYI_GLOB_MATCHES_MAX)
		return pyi_err_set(err, E2BIG,
				   "'%s' matches more than %d paths: grant the directory instead",
				   e->pattern, PYI_GLOB_MATCHES_MAX);
	return e->match(e->data, path, err);
}

static int too_deep(const struct expansion *e, struct pyi_err *err)
{
	return pyi_err_set(err, E2BIG, "'%s' leads through more than %d directories, one in the other",
			   e->pattern, PYI_GLOB_DEPTH_MAX);
}

/* "/a" and "b" to "/a/b"; false when it does not fit, which no existing path does not. */
static bool join(char *buf, const char *dir, const char *name)
{
	int len = snprintf(buf, PATH_MAX, "%s/%s", dir, name);

	return len > 0 && len < PATH_MAX;
}

/* The directory a path leads to, for reading; NULL (and 0) when there is none that could be read. */
static int open_dir(struct expansion *e, const char *path, DIR **ret_dir, struct pyi_err *err)
{
	_cleanup_walk struct pyi_walk walk = PYI_WALK_INIT;
	struct pyi_err unused;
	int fd;

	*ret_dir = NULL;
	if (pyi_walk(&walk, *path ? path : "/", e->uid, NULL, NULL, &unused) < 0 || walk.fd < 0)
		return 0;
	if (!S_ISDIR(walk.st.st_mode))
		return 0;
	fd = openat(walk.fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0)
		return errno == EMFILE || errno == ENFILE || errno == ENOMEM
			       ? pyi_err_sys(err, errno, "cannot open '%s'", path)
			       : 0;
	*ret_dir = fdopendir(fd);
	if (!*ret_dir) {
		close(fd);
		return pyi_err_nomem(err);
	}
	return 0;
}

/* The next entry but "." and ".."; NULL at the end. */
static int next_entry(struct expansion *e, DIR *dir, const struct dirent **ret_entry, struct pyi_err *err)
{
	for (;;) {
		const struct dirent *entry = readdir(dir);

		*ret_entry = entry;
		if (!entry)
			return 0;
		if (++e->n_entries > PYI_GLOB_ENTRIES_MAX)
			return pyi_err_set(err, E2BIG,
					   "'%s' leads to more than %d directory entries: use a narrower pattern, or "
					   "grant the directory",
					   e->pattern, PYI_GLOB_ENTRIES_MAX);
		if (strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0)
			return 0;
	}
}

static bool is_real_dir(DIR *dir, const struct dirent *entry)
{
	struct stat st;

	if (entry->d_type != DT_UNKNOWN)
		return entry->d_type == DT_DIR;
	return fstatat(dirfd(dir), entry->d_name, &st, AT_SYMLINK_NOFOLLOW) == 0 && S_ISDIR(st.st_mode);
}

/* '**' is in what is left of the pattern: look at everything beneath, until a whole path matches. */
static int expand_deep(struct expansion *e, const char *shown, unsigned int depth, struct pyi_err *err)
{
	_cleanup_dir DIR *dir = NULL;
	const struct dirent *entry;
	char path[PATH_MAX];
	int r = open_dir(e, shown, &dir, err);

	if (depth > PYI_GLOB_DEPTH_MAX)
		return too_deep(e, err);
	while (!r && dir) {
		r = next_entry(e, dir, &entry, err);
		if (r || !entry)
			break;
		if (!join(path, shown, entry->d_name))
			continue;
		if (pyi_policy_path_matches(e->pattern, path))
			r = found(e, path, err);
		else if (is_real_dir(dir, entry))
			r = expand_deep(e, path, depth + 1, err);
	}
	return r;
}

static bool exists(const struct expansion *e, const char *path)
{
	_cleanup_walk struct pyi_walk walk = PYI_WALK_INIT;
	struct pyi_err unused;

	return pyi_walk(&walk, path, e->uid, NULL, NULL, &unused) == 0 && walk.fd >= 0;
}

/* One name that fits the component: it matches, or leads on. */
static int expand_name(struct expansion *e, const char *shown, const char *name, const char *rest,
		       unsigned int depth, struct pyi_err *err)
{
	char path[PATH_MAX];

	if (!join(path, shown, name))
		return 0;
	if (*rest)
		return expand(e, path, rest, depth + 1, err);
	return exists(e, path) ? found(e, path, err) : 0;
}

/* `rest` is the pattern from here, with its leading slash; `shown` the path so far, "" for the root. */
static int expand(struct expansion *e, const char *shown, const char *rest, unsigned int depth,
		  struct pyi_err *err)
{
	size_t len = strcspn(rest + 1, "/");
	char component[NAME_MAX + 2], name[NAME_MAX + 2];
	_cleanup_dir DIR *dir = NULL;
	const struct dirent *entry;
	int r;

	if (len > NAME_MAX)
		return 0;
	memcpy(component, rest, len + 1);
	component[len + 1] = '\0';
	rest += len + 1;
	if (strstr(component, "**"))
		return expand_deep(e, shown, 0, err);
	if (depth > PYI_GLOB_DEPTH_MAX)
		return too_deep(e, err);
	if (!component[strcspn(component, "*?[")])
		return expand_name(e, shown, component + 1, rest, depth, err);
	r = open_dir(e, shown, &dir, err);
	while (!r && dir) {
		r = next_entry(e, dir, &entry, err);
		if (r || !entry)
			break;
		name[0] = '/';
		memcpy(name + 1, entry->d_name, strlen(entry->d_name) + 1);
		if (pyi_policy_path_matches(component, name))
			r = expand_name(e, shown, entry->d_name, rest, depth, err);
	}
	return r;
}

int pyi_glob_expand(const char *pattern, uid_t uid, pyi_glob_match_fn *match, void *data,
		    struct pyi_err *err)
{
	struct expansion e = { .pattern = pattern, .uid = uid, .match = match, .data = data };
	size_t len = pyi_glob_fixed_len(pattern);
	char shown[PATH_MAX];

	if (len >= sizeof(shown))
		return pyi_err_set(err, ENAMETOOLONG, "'%.128s...' is too long", pattern);
	memcpy(shown, pattern, len);
	shown[len] = '\0';
	return expand(&e, shown, pattern + len, 0, err);
}
