/* SPDX-License-Identifier: MIT */
/*
 * Where our groups can be: the mounted hierarchies, our own place in them, and below which directory a group can be
 * made with which controllers. Everything is found by trying; the answers go into the facts.
 *
 * On v2 a directory that holds processes cannot give controllers to directories below it, except the real root. So
 * for a user whose own group was delegated the directory may be our own group or one above it; and where we are the
 * only process in our own group (a container's entry point, systemd-run with Delegate=yes), we step down into a leaf
 * beside our parent directory first.
 */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/buf.h"
#include "base/err.h"
#include "base/fault.h"
#include "base/io.h"
#include "base/util.h"
#include "kernel/bpf_pins.h"
#include "kernel/cgroup.h"
#include "plan/facts.h"

#define OUR_LEAF "pyisolate-self"

enum { DIR_MAX = 256, TABLE_MAX = 4 << 20 };

enum controller {
	MEMORY,
	PIDS,
	CPU,
	CPUACCT,
	FREEZER,
	N_CONTROLLERS,
	V2 = N_CONTROLLERS,
	N_HIERARCHIES
};

static const char *const names[N_CONTROLLERS] = { "memory", "pids", "cpu", "cpuacct", "freezer" };

struct hierarchy {
	char mount[DIR_MAX]; /* "" when it is not mounted */
	char root[DIR_MAX];  /* which group is seen at the mount point */
	char own[DIR_MAX];   /* our own group as a directory, "" when it cannot be seen */
	bool is_root;	     /* who asks */
	const char *parent;  /* what ours is called here */
};

/* Is `word` one of the comma-separated words of `list`? */
static bool list_has(const char *list, const char *word, char separator)
{
	size_t len = strlen(word);

	for (const char *p = list; p; p = strchr(p, separator) ? strchr(p, separator) + 1 : NULL)
		if (strncmp(p, word, len) == 0 && (p[len] == separator || p[len] == '\0'))
			return true;
	return false;
}

/* Undo the octal escapes of mountinfo, in place. */
static void unescape(char *s)
{
	char *out = s;

	while (*s) {
		if (s[0] == '\\' && s[1] >= '0' && s[1] <= '3' && s[2] >= '0' && s[2] <= '7' &&
		    s[3] >= '0' && s[3] <= '7') {
			*out++ = (char)((s[1] - '0') * 64 + (s[2] - '0') * 8 + (s[3] - '0'));
			s += 4;
		} else {
			*out++ = *s++;
		}
	}
	*out = '\0';
}

/* One line of /proc/self/mountinfo (proc_pid_mountinfo(5)). The first mount of a hierarchy counts. */
static void read_mount_line(char *line, struct hierarchy *all)
{
	char *dash = strstr(line, " - "), *save = NULL, *root, *mount, *type, *options;

	if (!dash || !strstr(dash, " - cgroup"))
		return;
	*dash = '\0';
	strtok_r(line, " ", &save);
	strtok_r(NULL, " ", &save);
	strtok_r(NULL, " ", &save);
	root = strtok_r(NULL, " ", &save);
	mount = strtok_r(NULL, " ", &save);
	type = strtok_r(dash + 3, " ", &save);
	strtok_r(NULL, " ", &save);
	options = strtok_r(NULL, " ", &save);
	if (!root || !mount || !type || !options)
		return;
	unescape(root);
	unescape(mount);
	if (strlen(root) >= DIR_MAX || strlen(mount) >= DIR_MAX - 32)
		return;
	for (int i = 0; i < N_HIERARCHIES; i++) {
		bool match = i == V2 ? strcmp(type, "cgroup2") == 0
				     : strcmp(type, "cgroup") == 0 && list_has(options, names[i], ',');

		if (!match || all[i].mount[0])
			continue;
		snprintf(all[i].mount, DIR_MAX, "%s", mount);
		snprintf(all[i].root, DIR_MAX, "%s", root);
	}
}

/* Our path in a hierarchy, as seen below its mount point. */
static void set_own(struct hierarchy *h, const char *path)
{
	size_t len = strcmp(h->root, "/") == 0 ? 0 : strlen(h->root);

	if (!h->mount[0] || strncmp(path, h->root, len) != 0 ||
	    (len && path[len] && path[len] != '/') || strncmp(path, "/..", 3) == 0)
		return;
	path += len;
	if (strcmp(path, "/") == 0)
		path = "";
	if (snprintf(h->own, DIR_MAX, "%s%s", h->mount, path) >= DIR_MAX - 32)
		h->own[0] = '\0';
}

/* One line of /proc/self/cgroup: "ID:controllers:path" (cgroups(7)). */
static void read_own_line(char *line, struct hierarchy *all)
{
	char *list = strchr(line, ':'), *path = list ? strchr(list + 1, ':') : NULL;

	if (!path)
		return;
	list++;
	*path++ = '\0';
	for (int i = 0; i < N_HIERARCHIES; i++)
		if (i == V2 ? !*list : list_has(list, names[i], ','))
			set_own(&all[i], path);
}

static int each_line(const char *file, void (*fn)(char *line, struct hierarchy *all),
		     struct hierarchy *all)
{
	_cleanup_buf struct pyi_buf text = PYI_BUF_INIT;
	char *line, *save = NULL;
	int ret = pyi_read_file(file, TABLE_MAX, &text, NULL);

	if (ret < 0 || !text.data)
		return ret < 0 ? ret : -ENOENT;
	for (line = strtok_r(text.data, "\n", &save); line; line = strtok_r(NULL, "\n", &save))
		fn(line, all);
	return 0;
}

/* Our parent directory below `base`: made if need be, writable. 0 or -errno; *ret_made: it was not there before. */
static int make_parent(const char *base, const char *name, char parent[DIR_MAX], bool *ret_made)
{
	if (snprintf(parent, DIR_MAX, "%s/%s", base, name) >= DIR_MAX)
		return -ENAMETOOLONG;
	*ret_made = false;
	if (PYI_FAULT(410, EROFS))
		return -errno;
	/* There already, as a rule; and asking is less work for the kernel than trying to make it. */
	if (faccessat(AT_FDCWD, parent, W_OK | X_OK, AT_EACCESS) == 0)
		return 0;
	if (errno == ENOENT)
		*ret_made = mkdir(parent, 0755) == 0;
	if (*ret_made || errno == EEXIST) /* by us, or by another one meanwhile */
		return faccessat(AT_FDCWD, parent, W_OK | X_OK, AT_EACCESS) < 0 ? -errno : 0;
	return -errno;
}

static int find_v1(const struct hierarchy *h, bool is_root, char ret_dir[DIR_MAX])
{
	const char *bases[2] = { is_root ? h->mount : h->own, h->own };
	int ret = -ENOENT;
	bool made;

	for (int i = 0; i < 2; i++) {
		char parent[DIR_MAX] = ""; /* all of it is copied */

		if (!bases[i][0])
			continue;
		ret = make_parent(bases[i], PYI_PARENT, parent, &made);
		if (ret == 0) {
			memcpy(ret_dir, parent, DIR_MAX);
			return 0;
		}
	}
	return ret;
}

/* Which of memory, pids, cpu a file such as cgroup.controllers lists, as bits. */
static unsigned int read_controllers(const char *dir, const char *file)
{
	_cleanup_fd int fd = open(dir, O_PATH | O_DIRECTORY | O_CLOEXEC);
	unsigned int bits = 0;
	char text[512];

	if (fd < 0 || pyi_read_at(fd, file, text, sizeof(text)) <= 0)
		return 0;
	for (int i = MEMORY; i <= CPU; i++)
		if (list_has(text, names[i], ' '))
			bits |= 1u << i;
	return bits;
}

/* Give the controllers in `want` to the directories below `dir`. One by one: one that is refused keeps no other out. */
static void enable(const char *dir, unsigned int want)
{
	_cleanup_fd int fd = open(dir, O_PATH | O_DIRECTORY | O_CLOEXEC);

	for (int i = MEMORY; i <= CPU && fd >= 0; i++) {
		char value[16];

		snprintf(value, sizeof(value), "+%s", names[i]);
		/* What could not be had shows when the file is read again. */
		if (want & 1u << i && !PYI_FAULT(411, EBUSY))
			(void)pyi_write_at(fd, "cgroup.subtree_control", value);
	}
}

/*
 * Does it hold processes that keep it from giving controllers away? It must not even be tried then:
 * pids and cpu would be let through and make it the root of a threaded subtree, in which no process
 * can be put. The real root may do both.
 */
static bool holds_processes(const char *dir)
{
	_cleanup_fd int fd = open(dir, O_PATH | O_DIRECTORY | O_CLOEXEC);
	char text[64];

	if (fd < 0 || faccessat(fd, "cgroup.type", F_OK, 0) < 0)
		return false;
	return pyi_read_at(fd, "cgroup.procs", text, sizeof(text)) != 0;
}

/* Are we the only process of this group? */
static bool is_alone_in(int dir_fd)
{
	char text[64], want[16];

	snprintf(want, sizeof(want), "%d", getpid());
	return pyi_read_at(dir_fd, "cgroup.procs", text, sizeof(text)) > 0 && strcmp(text, want) == 0;
}

static int step_down(const char *base)
{
	_cleanup_fd int fd = open(base, O_PATH | O_DIRECTORY | O_CLOEXEC);

	if (fd < 0 || !is_alone_in(fd))
		return -EBUSY;
	if (mkdirat(fd, OUR_LEAF, 0755) < 0 && errno != EEXIST)
		return -errno;
	return pyi_write_at(fd, OUR_LEAF "/cgroup.procs", "0");
}

/* The controllers that groups below base/pyisolate can have, as bits, after doing what we may to get them. */
static unsigned int get_controllers(const char *base, const char *parent, bool is_own)
{
	unsigned int got = read_controllers(parent, "cgroup.subtree_control");
	unsigned int all = read_controllers(base, "cgroup.controllers"), missing = all & ~got;

	if (!missing)
		return got;
	missing = all & ~read_controllers(base, "cgroup.subtree_control");
	if (missing && (!holds_processes(base) || (is_own && step_down(base) == 0)))
		enable(base, missing);
	enable(parent, read_controllers(parent, "cgroup.controllers") & ~got);
	return read_controllers(parent, "cgroup.subtree_control");
}

/* Clone and moving need write access to the process list of the group that is above both places. */
static bool may_move_below(const char *base)
{
	char path[PATH_MAX];

	snprintf(path, sizeof(path), "%s/cgroup.procs", base);
	return faccessat(AT_FDCWD, path, W_OK, AT_EACCESS) == 0;
}

static unsigned int count_bits(unsigned int bits)
{
	return (unsigned int)__builtin_popcount(bits);
}

/*
 * Try `base`; keep it in ret_dir if it gives more than what was found so far (-1: nothing yet). Says whether there is
 * no point in looking further.
 */
static bool try_v2(const char *base, const struct hierarchy *h, int *best, char ret_dir[DIR_MAX],
		   unsigned int *ret_bits, int *ret_err)
{
	char parent[DIR_MAX] = ""; /* all of it is copied */
	unsigned int bits;
	bool made = false;
	int ret;

	if (!may_move_below(base)) {
		*ret_err = -errno;
		return false;
	}
	ret = make_parent(base, h->parent, parent, &made);
	if (ret < 0) {
		*ret_err = ret;
		return false;
	}
	bits = get_controllers(base, parent, strcmp(base, h->own) == 0);
	if ((int)count_bits(bits) > *best) {
		if (*best >= 0)
			rmdir(ret_dir); /* fails, as it should, when somebody uses it */
		*best = (int)count_bits(bits);
		memcpy(ret_dir, parent, DIR_MAX);
		*ret_bits = bits;
	} else if (made) {
		rmdir(parent);
	}
	/* All that the hierarchy can give at all: on a hybrid host that is nothing, and the first place is right. */
	return count_bits(bits) == 3 || bits == read_controllers(h->mount, "cgroup.controllers");
}

static int find_v2(const struct hierarchy *h, char ret_dir[DIR_MAX], unsigned int *ret_bits)
{
	int best = -1, ret = -ENOENT;
	char base[DIR_MAX];

	*ret_bits = 0;
	if (h->is_root && try_v2(h->mount, h, &best, ret_dir, ret_bits, &ret))
		return 0;
	/* Our own group, then those above it as far as they are ours. */
	snprintf(base, sizeof(base), "%s", h->own);
	while (strlen(base) > strlen(h->mount)) {
		if (try_v2(base, h, &best, ret_dir, ret_bits, &ret))
			return 0;
		*strrchr(base, '/') = '\0';
	}
	if (!h->is_root && h->own[0] && try_v2(h->mount, h, &best, ret_dir, ret_bits, &ret))
		return 0;
	return best >= 0 ? 0 : ret;
}

static void describe(struct pyi_facts *facts, int ret)
{
	static const char *const kinds[] = {
		[PYI_CGROUP_V2] = "v2",
		[PYI_CGROUP_HYBRID] = "v1 controllers beside v2",
		[PYI_CGROUP_V1] = "v1",
	};
	size_t len;

	if (facts->cgroup_kind == PYI_CGROUP_NONE) {
		facts->cgroup.errnum = ret < 0 ? -ret : ENOENT;
		snprintf(facts->cgroup.detail, sizeof(facts->cgroup.detail),
			 "no control group hierarchy %s",
			 ret == -ENOENT ? "is mounted" : "can be written");
		return;
	}
	snprintf(facts->cgroup.detail, sizeof(facts->cgroup.detail), "%s:%s%s%s",
		 kinds[facts->cgroup_kind], facts->cgroup_memory_dir[0] ? " memory" : "",
		 facts->cgroup_pids_dir[0] ? " pids" : "", facts->cgroup_cpu_dir[0] ? " cpu" : "");
	len = strlen(facts->cgroup.detail);
	if (facts->cgroup.detail[len - 1] == ':')
		snprintf(facts->cgroup.detail + len, sizeof(facts->cgroup.detail) - len,
			 " no controllers");
}

/* Not below a group of our own, which is another one for other runs. */
static bool is_at_top(const char *dir, const struct hierarchy *h)
{
	size_t len = strlen(h->mount);

	return !dir[0] ||
	       (strncmp(dir, h->mount, len) == 0 && dir[len] == '/' && !strchr(dir + len + 1, '/'));
}

void pyi_cgroup_find(struct pyi_facts *facts)
{
	/* Where programs are attached, a sandbox that cannot be assigned would be denied everything. */
	pyi_cgroup_find_named(facts, facts->is_root && !facts->bpf_cgroup.errnum ? PYI_BPF_PARENT
										 : PYI_PARENT);
}

void pyi_cgroup_find_named(struct pyi_facts *facts, const char *v2_parent)
{
	char *dirs[N_CONTROLLERS] = {
		[MEMORY] = facts->cgroup_memory_dir,   [PIDS] = facts->cgroup_pids_dir,
		[CPU] = facts->cgroup_cpu_dir,	       [CPUACCT] = facts->cgroup_cpuacct_dir,
		[FREEZER] = facts->cgroup_freezer_dir,
	};
	struct hierarchy all[N_HIERARCHIES] = { [V2] = { .is_root = facts->is_root,
							 .parent = v2_parent } };
	unsigned int v2_bits = 0;
	bool any_v1 = false;
	int ret, one;

	facts->cgroup_kind = PYI_CGROUP_NONE;
	facts->cgroup.errnum = 0;
	facts->cgroup_v2_dir[0] = '\0';
	for (int i = 0; i < N_CONTROLLERS; i++)
		dirs[i][0] = '\0';
	ret = each_line("/proc/self/mountinfo", read_mount_line, all);
	if (ret == 0)
		ret = each_line("/proc/self/cgroup", read_own_line, all);
	if (ret < 0) {
		describe(facts, ret);
		return;
	}
	ret = all[V2].mount[0] ? find_v2(&all[V2], facts->cgroup_v2_dir, &v2_bits) : -ENOENT;
	for (int i = 0; i < N_CONTROLLERS; i++) {
		if (i <= CPU && v2_bits & 1u << i) {
			snprintf(dirs[i], DIR_MAX, "%s", facts->cgroup_v2_dir);
			continue;
		}
		if (!all[i].mount[0])
			continue;
		one = find_v1(&all[i], facts->is_root, dirs[i]);
		any_v1 |= one == 0;
		if (one < 0 && ret == -ENOENT)
			ret = one;
	}
	facts->cgroup_is_shared = is_at_top(facts->cgroup_v2_dir, &all[V2]);
	for (int i = 0; i < N_CONTROLLERS; i++)
		facts->cgroup_is_shared &= is_at_top(dirs[i],
						     &all[i <= CPU && v2_bits & 1u << i ? V2 : i]);
	if (facts->cgroup_v2_dir[0])
		facts->cgroup_kind = any_v1 ? PYI_CGROUP_HYBRID : PYI_CGROUP_V2;
	else if (any_v1)
		facts->cgroup_kind = PYI_CGROUP_V1;
	describe(facts, ret);
}
