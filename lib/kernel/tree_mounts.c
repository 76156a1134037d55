/* SPDX-License-Identifier: MIT */
/* See tree_mounts.h. The format is proc_pid_mountinfo(5): id parent major:minor root path ... */
#include "kernel/tree_mounts.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/err.h"
#include "base/io.h"
#include "base/util.h"
#include "plan/cover.h"

enum { TEXT_MAX = 64 << 20 };

void pyi_tree_mounts_release(struct pyi_tree_mounts *mounts)
{
	for (size_t i = 0; i < mounts->n; i++)
		free(mounts->v[i].path);
	free(mounts->v);
	*mounts = (struct pyi_tree_mounts){ 0 };
}

/* Blanks and backslashes stand as three octal digits. In place. */
static void unescape(char *text)
{
	char *to = text;

	for (const char *p = text; *p;) {
		if (p[0] == '\\' && p[1] >= '0' && p[1] <= '3' && p[2] >= '0' && p[2] <= '7' &&
		    p[3] >= '0' && p[3] <= '7') {
			*to++ = (char)((p[1] - '0') << 6 | (p[2] - '0') << 3 | (p[3] - '0'));
			p += 4;
		} else {
			*to++ = *p++;
		}
	}
	*to = '\0';
}

static int compare(const void *x, const void *y)
{
	const struct pyi_tree_mount *a = x, *b = y;
	int order = pyi_path_compare(a->path, b->path);

	/* Of those at one path the later made is above. */
	return order ? order : a->id < b->id ? -1 : a->id > b->id;
}

/* One line; *own_device is the device of "/", which is always the first one. */
static int parse_line(char *line, char **own_device, struct pyi_tree_mount *mount)
{
	char *fields[5], *rest = NULL;

	for (size_t i = 0; i < PYI_ARRAY_SIZE(fields); i++) {
		fields[i] = strtok_r(i ? NULL : line, " ", &rest);
		if (!fields[i])
			return -EPROTO;
	}
	unescape(fields[3]);
	unescape(fields[4]);
	if (!*own_device && strcmp(fields[4], "/") == 0)
		*own_device = fields[2];
	*mount = (struct pyi_tree_mount){
		.path = strdup(fields[4]),
		.id = (int)strtol(fields[0], NULL, 10),
		.parent = (int)strtol(fields[1], NULL, 10),
		.is_place = *own_device && strcmp(*own_device, fields[2]) == 0 &&
			    strcmp(fields[3], fields[4]) == 0 && fields[4][1],
	};
	return mount->path ? 0 : -ENOMEM;
}

static int parse(char *text, struct pyi_tree_mounts *mounts)
{
	char *own_device = NULL, *rest = NULL;
	size_t cap = 0;
	int ret = 0;

	for (char *line = strtok_r(text, "\n", &rest); line && ret == 0;
	     line = strtok_r(NULL, "\n", &rest)) {
		if (mounts->n == cap) {
			struct pyi_tree_mount *more;

			cap = cap ? cap * 2 : 64;
			more = reallocarray(mounts->v, cap, sizeof(*more));
			if (!more)
				return -ENOMEM;
			mounts->v = more;
		}
		ret = parse_line(line, &own_device, &mounts->v[mounts->n]);
		mounts->n += ret == 0;
	}
	return ret;
}

static int compare_parents(const void *x, const void *y)
{
	return *(const int *)x - *(const int *)y;
}

static int count_children(struct pyi_tree_mounts *mounts)
{
	_cleanup_free int *parents = calloc(mounts->n + 1, sizeof(*parents));

	if (!parents)
		return -ENOMEM;
	for (size_t i = 0; i < mounts->n; i++)
		parents[i] = mounts->v[i].parent;
	qsort(parents, mounts->n, sizeof(*parents), compare_parents);
	for (size_t i = 0; i < mounts->n; i++) {
		const int *found = bsearch(&mounts->v[i].id, parents, mounts->n, sizeof(*parents),
					   compare_parents);

		mounts->v[i].has_children = found != NULL;
	}
	return 0;
}

int pyi_tree_mounts_read(int fd, struct pyi_tree_mounts *ret_mounts, struct pyi_err *err)
{
	_cleanup_buf struct pyi_buf text = PYI_BUF_INIT;
	struct pyi_tree_mounts mounts = { 0 };
	int ret = pyi_read_all(fd, TEXT_MAX, &text);

	if (ret == 0)
		ret = text.len ? parse(text.data, &mounts) : -ESRCH;
	if (ret == 0)
		ret = count_children(&mounts);
	if (ret < 0) {
		pyi_tree_mounts_release(&mounts);
		return pyi_err_sys(err, -ret, "cannot read what is mounted in the sandbox");
	}
	qsort(mounts.v, mounts.n, sizeof(*mounts.v), compare);
	*ret_mounts = mounts;
	return 0;
}

const struct pyi_tree_mount *pyi_tree_mounts_find(const struct pyi_tree_mounts *mounts, const char *path)
{
	size_t low = 0, high = mounts->n;

	while (low < high) {
		size_t mid = low + (high - low) / 2;

		if (pyi_path_compare(mounts->v[mid].path, path) <= 0)
			low = mid + 1;
		else
			high = mid;
	}
	return low && strcmp(mounts->v[low - 1].path, path) == 0 ? &mounts->v[low - 1] : NULL;
}
