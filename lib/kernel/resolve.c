/* SPDX-License-Identifier: MIT */
/*
 * From the policy's file rules to grants: real paths with their kind, and the symlinks on the way to them.
 *
 * A rule a person wrote must mean something here: what it names exists, or is made, or the run is refused. A rule of a
 * built-in template is written for many hosts: what is missing or may not be granted is left out.
 */
#include "kernel/resolve.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/magic.h>
#include <linux/mount.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/err.h"
#include "base/fault.h"
#include "base/util.h"
#include "kernel/resolve_glob.h"
#include "kernel/resolve_walk.h"
#include "kernel/tree.h"
#include "plan/grants.h"
#include "plan/plan.h"
#include "policy/policy.h"

enum { DEVICES_MAX = 32, ORIGIN_MAX = PATH_MAX + 32 };

/* May a file system's mounts be id-mapped? Asked once for each. */
struct device {
	dev_t dev;
	bool can_idmap;
};

struct resolver {
	uid_t uid;
	struct pyi_grants *grants;
	size_t cap;
	size_t links_cap;
	size_t tops_cap;
	enum pyi_idmap_use use;
	int userns_fd; /* -1 until it is needed */
	struct device devices[DEVICES_MAX];
	size_t n_devices;
};

/* "policy.yml:7: " or "--allow-read: ". */
static const char *origin(const struct pyi_fs_rule *rule, char buf[ORIGIN_MAX])
{
	if (!rule)
		return "";
	if (rule->from.line)
		snprintf(buf, ORIGIN_MAX, "%s:%u: ", rule->from.file, rule->from.line);
	else
		snprintf(buf, ORIGIN_MAX, "%s: ", rule->from.file);
	return buf;
}

/* Is a rule to be left out quietly where it does not fit this host? What it denies never is. */
static bool is_optional(const struct pyi_fs_rule *rule)
{
	return !rule || (rule->from.is_template && rule->verdict == PYI_ALLOW);
}

static bool is_exhausted(int r)
{
	return r == -ENOMEM || r == -EMFILE || r == -ENFILE;
}

/* Put the rule's origin in front of the error, or forget the error of an optional rule. */
static int refuse(const struct pyi_fs_rule *rule, int r, struct pyi_err *err)
{
	char buf[ORIGIN_MAX];
	size_t len;

	if (is_exhausted(r))
		return r;
	if (is_optional(rule))
		return 0;
	origin(rule, buf);
	len = strlen(buf);
	if (len >= 2)
		buf[len - 2] = '\0'; /* pyi_err_add writes its own ": " */
	return pyi_err_add(err, "%s", buf);
}

/* Room for one more element; the array is a member of the grants, which their owner frees. */
static int grow(void **array, size_t n, size_t *cap, size_t size, struct pyi_err *err)
{
	size_t wanted = *cap ? *cap * 2 : 16;
	void *bigger;

	if (n < *cap)
		return 0;
	bigger = reallocarray(*array, wanted, size);
	if (!bigger)
		return pyi_err_nomem(err);
	*array = bigger;
	*cap = wanted;
	return 0;
}

/* ------------------------------------------------------------------------------------------------- symlinks */

/* Does a target climb out of something it went into ("a/../b")? Inside the sandbox 'a' may not exist. */
static bool climbs_back(const char *target)
{
	bool below = target[0] == '/';

	for (const char *p = target; *p;) {
		size_t len = strcspn(p, "/");

		if (len == 2 && p[0] == '.' && p[1] == '.') {
			if (below)
				return true;
		} else if (len && !(len == 1 && p[0] == '.')) {
			below = true;
		}
		p += len;
		p += strspn(p, "/");
	}
	return false;
}

static int add_link(void *data, const char *path, const char *target, struct pyi_err *err)
{
	_cleanup_walk struct pyi_walk walk = PYI_WALK_INIT;
	struct resolver *res = data;
	struct pyi_grants *g = res->grants;
	struct pyi_err unused;
	struct pyi_link *link;

	/* Links of the host's processes ("/proc/self", "/dev/stdin"): the sandbox has its own. */
	if (!strncmp(path, "/proc/", 6) || (!strncmp(path, "/dev/", 5) && !strncmp(target, "/proc/", 6)))
		return 0;
	for (size_t i = 0; i < g->n_links; i++)
		if (!strcmp(g->links[i].path, path))
			return 0;
	if (grow((void **)&g->links, g->n_links, &res->links_cap, sizeof(*g->links), err))
		return -ENOMEM;
	if (climbs_back(target) && pyi_walk(&walk, path, res->uid, NULL, NULL, &unused) == 0)
		target = walk.path;
	link = &g->links[g->n_links];
	link->path = strdup(path);
	link->target = strdup(target);
	if (!link->path || !link->target) {
		free(link->path);
		free(link->target);
		return pyi_err_nomem(err);
	}
	g->n_links++;
	return 0;
}

/* ------------------------------------------------------------------------------------- what may be granted */

struct kernel_fs {
	uint32_t magic;
	bool may_read;
	const char *what;
};

/* Files that are not data but the kernel's controls. */
static const struct kernel_fs kernel_fs[] = {
	{ PROC_SUPER_MAGIC, false, "it is the host's /proc, and the sandbox has its own" },
	{ BPF_FS_MAGIC, false, "it holds BPF programs and maps" },
	{ DEBUGFS_MAGIC, false, "it is the kernel's debugging interface" },
	{ TRACEFS_MAGIC, false, "it is the kernel's tracing interface" },
	{ SECURITYFS_MAGIC, false, "it controls the kernel's security modules" },
	{ EFIVARFS_MAGIC, false, "it holds the firmware's variables" },
	{ BINFMTFS_MAGIC, false, "it controls how programs are started" },
	{ NSFS_MAGIC, false, "it is a namespace" },
	{ SYSFS_MAGIC, true, "it controls the kernel and its devices" },
	{ CGROUP_SUPER_MAGIC, true, "it controls the host's control groups" },
	{ CGROUP2_SUPER_MAGIC, true, "it controls the host's control groups" },
	{ DEVPTS_SUPER_MAGIC, false, "it holds other people's terminals" },
};

static int check_file_system(const struct pyi_walk *walk, unsigned int access, struct pyi_err *err)
{
	struct statfs fs;

	if (PYI_FAULT(804, EACCES) || fstatfs(walk->fd, &fs) < 0)
		return pyi_err_sys(err, errno, "cannot look at the file system of '%s'", walk->path);
	for (size_t i = 0; i < PYI_ARRAY_SIZE(kernel_fs); i++) {
		if ((uint32_t)fs.f_type != kernel_fs[i].magic)
			continue;
		if (kernel_fs[i].may_read && !(access & ~(unsigned int)PYI_READ))
			return 0;
		return pyi_err_set(err, EPERM, "'%s' cannot be granted%s: %s", walk->path,
				   kernel_fs[i].may_read ? " for writing" : "", kernel_fs[i].what);
	}
	return 0;
}

/* 1: the sandbox has its own of it, nothing to grant. */
static int check_special(const struct pyi_walk *walk, struct pyi_err *err)
{
	static const char *const own[] = { "/dev/null", "/dev/zero", "/dev/full", "/dev/random",
					   "/dev/urandom" };
	mode_t mode = walk->st.st_mode;

	if (S_ISREG(mode) || S_ISDIR(mode) || S_ISFIFO(mode))
		return 0;
	if (S_ISSOCK(mode))
		return pyi_err_set(err, EPERM,
				   "'%s' is a socket: no sandbox may connect to Unix sockets",
				   walk->path);
	for (size_t i = 0; S_ISCHR(mode) && i < PYI_ARRAY_SIZE(own); i++)
		if (!strcmp(walk->path, own[i]))
			return 1;
	return pyi_err_set(err, EPERM,
			   "'%s' is a device: a sandbox has null, zero, full, random and urandom, no others",
			   walk->path);
}

/* ------------------------------------------------------------------------------------------- id-mapped mounts */

/* By trying, on a copy of the mount that is never attached: only the file system knows. */
static bool try_idmap(struct resolver *res, const struct pyi_walk *walk)
{
	struct mount_attr attr = { .attr_set = MOUNT_ATTR_IDMAP };
	_cleanup_fd int tree_fd = -1;
	struct pyi_err unused;

	if (res->userns_fd < 0) {
		/* Any mapping will do. */
		struct pyi_plan plan = { .uid = 65534, .gid = 65534 };

		if (pyi_tree_idmap_open(&plan, res->uid, getgid(), &res->userns_fd, &unused) < 0)
			return false;
	}
	tree_fd = (int)syscall(SYS_open_tree, walk->fd, "",
			       AT_EMPTY_PATH | OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC);
	if (tree_fd < 0)
		return false;
	attr.userns_fd = (uint64_t)res->userns_fd;
	return syscall(SYS_mount_setattr, tree_fd, "", AT_EMPTY_PATH, &attr, sizeof(attr)) == 0;
}

static bool can_idmap(struct resolver *res, const struct pyi_walk *walk)
{
	bool can;

	if (res->use != PYI_IDMAP_TRY)
		return res->use == PYI_IDMAP_ASSUME;
	for (size_t i = 0; i < res->n_devices; i++)
		if (res->devices[i].dev == walk->st.st_dev)
			return res->devices[i].can_idmap;
	can = try_idmap(res, walk);
	if (res->n_devices < DEVICES_MAX)
		res->devices[res->n_devices++] = (struct device){ walk->st.st_dev, can };
	return can;
}

/* ------------------------------------------------------------------------------------------------------ grants */

static enum pyi_path_kind kind_of(const struct pyi_walk *walk)
{
	return walk->fd < 0		   ? PYI_PATH_MISSING
	       : S_ISDIR(walk->st.st_mode) ? PYI_PATH_DIR
	       : S_ISREG(walk->st.st_mode) ? PYI_PATH_FILE
					   : PYI_PATH_OTHER;
}

static int add_grant(struct resolver *res, const struct pyi_fs_rule *rule, unsigned int access,
		     const struct pyi_walk *walk, bool was_made, bool from_glob, struct pyi_err *err)
{
	struct pyi_grants *g = res->grants;
	struct pyi_grant *grant;
	bool is_allow = !rule || rule->verdict == PYI_ALLOW;

	if (grow((void **)&g->v, g->n, &res->cap, sizeof(*g->v), err))
		return -ENOMEM;
	grant = &g->v[g->n];
	*grant = (struct pyi_grant){
		.verdict = rule ? rule->verdict : PYI_ALLOW,
		.access = access,
		.path = strdup(walk->path),
		.kind = kind_of(walk),
		.was_made = was_made,
		.exact = !from_glob,
		.rule = rule,
	};
	if (!grant->path)
		return pyi_err_nomem(err);
	if (is_allow && rule && walk->fd >= 0)
		grant->can_idmap = can_idmap(res, walk);
	g->n++;
	return 0;
}

/* An empty file for a write rule, so that the file alone need be granted and not its directory. */
static int make_file(struct pyi_walk *walk, struct pyi_err *err)
{
	const char *name = strrchr(walk->path, '/') + 1;
	int fd = -1;

	if (!PYI_FAULT(805, ENOSPC))
		fd = openat(walk->parent_fd, name,
			    O_CREAT | O_EXCL | O_WRONLY | O_NOFOLLOW | O_CLOEXEC, 0666);
	if (fd < 0 || fstat(fd, &walk->st) < 0) {
		int errnum = errno;

		pyi_close_fd(&fd);
		return pyi_err_sys(err, errnum,
				   "cannot make '%s' (a write rule for a file that does not exist)",
				   walk->path);
	}
	walk->fd = fd;
	return 0;
}

static int add_missing(struct resolver *res, const struct pyi_fs_rule *rule, struct pyi_walk *walk,
		       struct pyi_err *err)
{
	int r;

	if (!rule)
		return 0;
	if (rule->verdict != PYI_ALLOW)
		return add_grant(res, rule, rule->access, walk, false, false, err);
	if (is_optional(rule))
		return 0;
	if (!(rule->access & PYI_WRITE))
		return refuse(rule, pyi_err_set(err, ENOENT, "'%s' does not exist", walk->path), err);
	if (walk->parent_fd < 0)
		return refuse(rule,
			      pyi_err_set(err, ENOENT,
					  "'%s' does not exist, nor does its directory", walk->path),
			      err);
	r = make_file(walk, err);
	return r ? refuse(rule, r, err) : add_grant(res, rule, rule->access, walk, true, false, err);
}

/* One path of a rule, or of the built-in list (rule NULL). */
static int add_path(struct resolver *res, const struct pyi_fs_rule *rule, unsigned int access,
		    const char *path, bool from_glob, struct pyi_err *err)
{
	_cleanup_walk struct pyi_walk walk = PYI_WALK_INIT;
	bool is_allow = !rule || rule->verdict == PYI_ALLOW;
	int r = pyi_walk(&walk, path, res->uid, is_allow ? add_link : NULL, res, err);

	/* What lies behind a match that cannot be followed is a matter for rules that name it. */
	if (r && from_glob && !is_exhausted(r))
		return 0;
	/* Where the invoker may not look the guest may not either, but it is denied all the same. */
	if (r == -EACCES && !is_allow)
		r = snprintf(walk.path, sizeof(walk.path), "%s", path) < 0 ? -EIO : 0;
	if (r)
		return refuse(rule, r, err);
	if (walk.fd < 0)
		return from_glob ? 0 : add_missing(res, rule, &walk, err);
	if (is_allow) {
		r = check_file_system(&walk, access, err);
		if (!r)
			r = check_special(&walk, err);
		/* A pattern means the files that can be had; a name means this one. */
		if (r == 1 || (r == -EPERM && from_glob))
			return 0;
		if (r)
			return refuse(rule, r, err);
	}
	return add_grant(res, rule, access, &walk, false, from_glob, err);
}

struct match {
	struct resolver *res;
	const struct pyi_fs_rule *rule;
};

static int add_match(void *data, const char *path, struct pyi_err *err)
{
	struct match *match = data;

	return add_path(match->res, match->rule, match->rule->access, path, true, err);
}

static int add_top(struct resolver *res, const struct pyi_fs_rule *rule,
		   const struct pyi_walk *walk, struct pyi_err *err)
{
	struct pyi_grants *g = res->grants;
	struct pyi_glob_top top = { .rule = rule, .kind = kind_of(walk) };
	struct pyi_err unused;

	if (grow((void **)&g->tops, g->n_tops, &res->tops_cap, sizeof(*g->tops), err))
		return -ENOMEM;
	if (rule->verdict == PYI_ALLOW && walk->fd >= 0) {
		top.can_grant = check_file_system(walk, rule->access, &unused) == 0;
		top.can_idmap = can_idmap(res, walk);
	}
	top.path = strdup(walk->path);
	if (!top.path)
		return pyi_err_nomem(err);
	g->tops[g->n_tops++] = top;
	return 0;
}

/* Where a pattern begins must exist: else it is a mistake that would go unseen. */
static int check_fixed_part(struct resolver *res, const struct pyi_fs_rule *rule, struct pyi_err *err)
{
	_cleanup_walk struct pyi_walk walk = PYI_WALK_INIT;
	size_t len = pyi_glob_fixed_len(rule->path);
	_cleanup_free char *top = len ? strndup(rule->path, len) : strdup("/");
	int r;

	if (!top)
		return pyi_err_nomem(err);
	r = pyi_walk(&walk, top, res->uid, rule->verdict == PYI_ALLOW ? add_link : NULL, res, err);
	if (r)
		return refuse(rule, r, err);
	if (walk.fd < 0 && rule->verdict == PYI_ALLOW)
		return refuse(rule, pyi_err_set(err, ENOENT, "'%s' does not exist", top), err);
	return add_top(res, rule, &walk, err);
}

static int add_rule(struct resolver *res, const struct pyi_fs_rule *rule, struct pyi_err *err)
{
	struct match match = { res, rule };
	int r;

	if (!rule->is_glob)
		return add_path(res, rule, rule->access, rule->path, false, err);
	r = check_fixed_part(res, rule, err);
	if (r)
		return r;
	r = pyi_glob_expand(rule->path, res->uid, add_match, &match, err);
	/* Too many matches is an error for a template too: what it means cannot be had here. */
	if (r == -E2BIG) {
		char buf[ORIGIN_MAX];
		struct pyi_err cause = *err;

		return pyi_err_set(err, E2BIG, "%s%s", origin(rule, buf), cause.msg);
	}
	return r;
}

/* ------------------------------------------------------------------------------------------------------- order */

/* As the planner has it: a directory directly before what is in it, so '/' sorts before every other byte. */
static int compare_paths(const char *a, const char *b)
{
	while (*a && *a == *b) {
		a++;
		b++;
	}
	if (*a == *b)
		return 0;
	if (!*a || !*b)
		return *a ? 1 : -1;
	if (*a == '/' || *b == '/')
		return *a == '/' ? -1 : 1;
	return (unsigned char)*a < (unsigned char)*b ? -1 : 1;
}

static int compare_grants(const void *x, const void *y)
{
	const struct pyi_grant *a = x, *b = y;
	int r = compare_paths(a->path, b->path);

	if (r || a->rule == b->rule)
		return r;
	if (!a->rule || !b->rule)
		return a->rule ? -1 : 1;
	return a->rule < b->rule ? -1 : 1; /* one array: the policy's own order */
}

static int compare_links(const void *x, const void *y)
{
	return compare_paths(((const struct pyi_link *)x)->path, ((const struct pyi_link *)y)->path);
}

/* Sorted, and once each: several matches of a pattern may lead to one file. */
static void put_in_order(struct pyi_grants *g)
{
	size_t n = 0;

	if (g->n)
		qsort(g->v, g->n, sizeof(*g->v), compare_grants);
	if (g->n_links)
		qsort(g->links, g->n_links, sizeof(*g->links), compare_links);
	for (size_t i = 0; i < g->n; i++) {
		if (n && g->v[n - 1].rule == g->v[i].rule && !strcmp(g->v[n - 1].path, g->v[i].path)) {
			free(g->v[i].path);
			continue;
		}
		g->v[n++] = g->v[i];
	}
	g->n = n;
}

int pyi_resolve_paths(const struct pyi_policy *policy, const char *const *extra,
		      enum pyi_idmap_use use, struct pyi_grants *ret_grants, struct pyi_err *err)
{
	struct pyi_grants grants = { 0 };
	struct resolver res = { .uid = getuid(), .grants = &grants, .use = use, .userns_fd = -1 };
	int r = 0;

	for (size_t i = 0; i < policy->n_fs && !r; i++)
		r = add_rule(&res, &policy->fs[i], err);
	for (size_t i = 0; extra && extra[i] && !r; i++)
		r = add_path(&res, NULL, PYI_READ | PYI_EXEC, extra[i], false, err);
	pyi_close_fd(&res.userns_fd);
	if (r) {
		pyi_resolve_undo(&grants);
		pyi_grants_release(&grants);
		return r;
	}
	put_in_order(&grants);
	*ret_grants = grants;
	return 0;
}

void pyi_resolve_undo(const struct pyi_grants *grants)
{
	for (size_t i = 0; i < grants->n; i++) {
		_cleanup_walk struct pyi_walk walk = PYI_WALK_INIT;
		const struct pyi_grant *grant = &grants->v[i];
		_cleanup_free char *dir = NULL;
		struct pyi_err unused;
		struct stat st;
		char *slash;

		if (!grant->was_made)
			continue;
		dir = strdup(grant->path);
		slash = dir ? strrchr(dir, '/') : NULL;
		if (!slash)
			continue;
		*slash = '\0';
		if (pyi_walk(&walk, *dir ? dir : "/", getuid(), NULL, NULL, &unused) < 0 || walk.fd < 0)
			continue;
		if (fstatat(walk.fd, slash + 1, &st, AT_SYMLINK_NOFOLLOW) == 0 &&
		    S_ISREG(st.st_mode) && !st.st_size)
			(void)unlinkat(walk.fd, slash + 1, 0);
	}
}
