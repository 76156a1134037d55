/* SPDX-License-Identifier: MIT */
/*
 * Walking a path with a descriptor in hand: each component is opened beneath the one before (O_PATH, O_NOFOLLOW), so
 * what was looked at is what is stepped into, whatever happens to the names meanwhile. Later users of the path open it
 * with RESOLVE_NO_SYMLINKS: if somebody has put a link there since, they fail instead of following it.
 */
#include "kernel/resolve_walk.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/err.h"
#include "base/fault.h"
#include "base/util.h"
#include "kernel/sys.h"

struct walker {
	struct pyi_walk *walk;
	const char *asked; /* for messages */
	uid_t uid;
	pyi_walk_link_fn *on_link;
	void *data;
	unsigned int n_links;
	int fd;			 /* where we are */
	size_t len;		 /* of walk->path; 0 at the root */
	char todo[2 * PATH_MAX]; /* what is left, without leading slash */
};

void pyi_walk_release(struct pyi_walk *walk)
{
	pyi_close_fd(&walk->fd);
	pyi_close_fd(&walk->parent_fd);
}

/* Without any symlink the path is its own real path: one system call. */
static bool walk_straight(struct pyi_walk *walk, const char *path)
{
	_cleanup_fd int fd = pyi_sys_openat2(AT_FDCWD, path, O_PATH | O_CLOEXEC, RESOLVE_NO_SYMLINKS);
	size_t len = strlen(path);

	if (fd < 0 || len >= sizeof(walk->path) || fstat(fd, &walk->st) < 0)
		return false;
	memcpy(walk->path, path, len + 1);
	walk->fd = pyi_take_fd(&fd);
	return true;
}

static int go_to_root(struct walker *w, struct pyi_err *err)
{
	pyi_close_fd(&w->fd);
	w->len = 0;
	w->walk->path[0] = '\0';
	if (!PYI_FAULT(801, EMFILE))
		w->fd = open("/", O_PATH | O_DIRECTORY | O_CLOEXEC);
	return w->fd < 0 ? pyi_err_sys(err, errno, "cannot open '/'") : 0;
}

/* The next component of what is left into name; false when nothing is left. */
static bool next_component(struct walker *w, char name[NAME_MAX + 1], bool *ret_is_long)
{
	size_t skip = strspn(w->todo, "/");
	size_t len = strcspn(w->todo + skip, "/");

	*ret_is_long = len > NAME_MAX;
	if (!len || *ret_is_long)
		return *ret_is_long;
	memcpy(name, w->todo + skip, len);
	name[len] = '\0';
	memmove(w->todo, w->todo + skip + len, strlen(w->todo + skip + len) + 1);
	return true;
}

static int push(struct walker *w, const char *name, struct pyi_err *err)
{
	size_t len = strlen(name);

	if (w->len + len + 2 > sizeof(w->walk->path))
		return pyi_err_set(err, ENAMETOOLONG, "'%.128s...' is too long", w->asked);
	w->walk->path[w->len] = '/';
	memcpy(w->walk->path + w->len + 1, name, len + 1);
	w->len += len + 1;
	return 0;
}

static int go_up(struct walker *w, struct pyi_err *err)
{
	int fd = openat(w->fd, "..", O_PATH | O_DIRECTORY | O_CLOEXEC);

	if (fd < 0)
		return pyi_err_sys(err, errno, "cannot look at '%s'", w->asked);
	pyi_close_fd(&w->fd);
	w->fd = fd;
	while (w->len && w->walk->path[--w->len] != '/')
		;
	w->walk->path[w->len] = '\0';
	return 0;
}

/* link_fd is the link itself, path its real path. What it says comes before what is left. */
static int follow(struct walker *w, const char *name, int link_fd, const struct stat *st,
		  struct pyi_err *err)
{
	char target[PATH_MAX], path[PATH_MAX + NAME_MAX + 2], rest[sizeof(w->todo)];
	ssize_t len;
	int r;

	snprintf(path, sizeof(path), "%s/%s", w->walk->path, name);
	if (st->st_uid != 0 && st->st_uid != w->uid)
		return pyi_err_set(
			err, EPERM,
			"'%s' is a symlink of user %u: only those of root and of user %u are followed",
			path, (unsigned int)st->st_uid, (unsigned int)w->uid);
	if (++w->n_links > PYI_WALK_LINKS_MAX)
		return pyi_err_set(err, ELOOP, "'%s' leads through more than %d symlinks", w->asked,
				   PYI_WALK_LINKS_MAX);
	len = PYI_FAULT(802, EACCES) ? -1 : readlinkat(link_fd, "", target, sizeof(target));
	if (len < 0)
		return pyi_err_sys(err, errno, "cannot read the symlink '%s'", path);
	if (len == sizeof(target))
		return pyi_err_set(err, ENAMETOOLONG, "the symlink '%.128s' is too long", path);
	target[len] = '\0';
	if (w->on_link) {
		r = w->on_link(w->data, path, target, err);
		if (r)
			return r;
	}
	memcpy(rest, w->todo, sizeof(rest));
	r = snprintf(w->todo, sizeof(w->todo), "%s%s", target, rest);
	if (r < 0 || (size_t)r >= sizeof(w->todo))
		return pyi_err_set(err, ENAMETOOLONG, "'%.128s' is too long", w->asked);
	return target[0] == '/' ? go_to_root(w, err) : 0;
}

/* The component is not there: keep what is left as it is written; 0. */
static int missing(struct walker *w, const char *name, struct pyi_err *err)
{
	char next[NAME_MAX + 1];
	bool is_long;
	int r = push(w, name, err);

	if (!r && !w->todo[strspn(w->todo, "/")])
		w->walk->parent_fd = pyi_take_fd(&w->fd);
	while (!r && next_component(w, next, &is_long)) {
		if (is_long)
			return pyi_err_set(err, ENAMETOOLONG, "'%.128s...' is too long", w->asked);
		/* Nobody can say what '..' of something missing is. */
		if (!strcmp(next, ".."))
			return pyi_err_set(err, ENOENT, "'%s' does not exist", w->walk->path);
		if (strcmp(next, ".") != 0)
			r = push(w, next, err);
	}
	return r;
}

/* One component. 1: go on; 0: the walk has ended at something missing; -errno. */
static int step(struct walker *w, const char *name, struct pyi_err *err)
{
	_cleanup_fd int fd = -1;
	struct stat st;
	int r;

	if (!strcmp(name, "."))
		return 1;
	if (!strcmp(name, "..")) {
		r = go_up(w, err);
		return r ? r : 1;
	}
	if (!PYI_FAULT(803, EACCES))
		fd = openat(w->fd, name, O_PATH | O_NOFOLLOW | O_CLOEXEC);
	if (fd < 0 && errno == ENOENT)
		return missing(w, name, err);
	if (fd < 0 || fstat(fd, &st) < 0)
		return pyi_err_sys(err, errno, "cannot look at '%s/%s'", w->walk->path, name);
	if (S_ISLNK(st.st_mode)) {
		r = follow(w, name, fd, &st, err);
		return r ? r : 1;
	}
	r = push(w, name, err);
	if (r)
		return r;
	pyi_close_fd(&w->fd);
	w->fd = pyi_take_fd(&fd);
	if (!S_ISDIR(st.st_mode) && w->todo[strspn(w->todo, "/")])
		return pyi_err_set(err, ENOTDIR, "'%s' is not a directory", w->walk->path);
	return 1;
}

int pyi_walk(struct pyi_walk *walk, const char *path, uid_t uid, pyi_walk_link_fn *on_link,
	     void *data, struct pyi_err *err)
{
	struct walker w = {
		.walk = walk, .asked = path, .uid = uid, .on_link = on_link, .data = data, .fd = -1
	};
	char name[NAME_MAX + 1];
	bool is_long;
	int r;

	if (path[0] != '/' || strlen(path) >= PATH_MAX)
		return pyi_err_set(err, ENAMETOOLONG,
				   "'%.128s' is not an absolute path of at most %d bytes", path,
				   PATH_MAX - 1);
	if (walk_straight(walk, path))
		return 0;
	memcpy(w.todo, path, strlen(path) + 1);
	r = go_to_root(&w, err);
	if (r)
		return r;
	r = 1;
	while (r > 0 && next_component(&w, name, &is_long))
		r = is_long ? pyi_err_set(err, ENAMETOOLONG, "'%.128s...' is too long", path)
			    : step(&w, name, err);
	if (r > 0 && fstat(w.fd, &walk->st) < 0)
		r = pyi_err_sys(err, errno, "cannot look at '%s'", path);
	if (r > 0) {
		walk->fd = pyi_take_fd(&w.fd);
		if (!w.len)
			memcpy(walk->path, "/", 2);
	}
	pyi_close_fd(&w.fd);
	return r < 0 ? r : 0;
}
