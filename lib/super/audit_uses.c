/* SPDX-License-Identifier: MIT */
/*
 * From the records of an audit to uses; see audit_uses.h.
 *
 * The host is looked at after the run: what is gone was made by the run, and is a matter of its directory; what cannot
 * be granted to anybody is left out. Paths come from the guest: they are walked as those of a policy are.
 */
#include "super/audit_uses.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>

#include "base/err.h"
#include "base/util.h"
#include "kernel/resolve_walk.h"
#include "super/program_file.h"
#include "super/steps.h"

enum { LOOK_BACK = 16 }; /* records */

/* One thing asked for, any number of times. */
struct asking {
	const struct pyi_asked *first;
	const char *path;
	unsigned int access;
	bool needs_dir;
	bool is_pair; /* it was looked at, and then opened: so imports go through directories */
	size_t order;
	uint64_t count;
};

void pyi_audit_uses_release(struct pyi_audit_uses *uses)
{
	for (size_t i = 0; i < uses->n_texts; i++)
		free(uses->texts[i]);
	free(uses->texts);
	free(uses->paths);
	free(uses->addresses);
	*uses = (struct pyi_audit_uses){ .paths = NULL };
}

static bool is_one_of(const char *const *words, size_t n, const char *word)
{
	for (size_t i = 0; i < n; i++)
		if (!strcmp(words[i], word))
			return true;
	return false;
}

/* Calls that change a directory's entries. */
static bool changes_dir(const char *call)
{
	static const char *const calls[] = { "mkdir",	 "mkdirat", "rmdir",	"unlink",
					     "unlinkat", "rename",  "renameat", "renameat2",
					     "link",	 "linkat",  "symlink",	"symlinkat",
					     "mknod",	 "mknodat" };

	return is_one_of(calls, PYI_ARRAY_SIZE(calls), call);
}

static bool is_within(const char *path, const char *top)
{
	size_t len = strlen(top);

	return !strncmp(path, top, len) && (!path[len] || path[len] == '/');
}

/* What a command may read and execute without being granted it. */
static bool is_runtime(const struct pyi_run *run, const char *path, unsigned int access)
{
	if (run->options->guest != PYI_GUEST_COMMAND || access & PYI_WRITE)
		return false;
	for (size_t i = 0; pyi_command_runtime_paths[i]; i++)
		if (is_within(path, pyi_command_runtime_paths[i]))
			return true;
	return false;
}

/* Did it get a file of the host's that the sandbox does not have anyhow? */
static bool is_of_interest(const struct pyi_run *run, const struct pyi_asked *asked)
{
	return asked->kind <= PYI_ASKED_EXEC && !asked->error && asked->path &&
	       pyi_audit_shows(&run->audit, asked->path);
}

/* Was the last thing this thread did to look at the same path? */
static bool is_pair(const struct pyi_asked_list *asked, size_t i)
{
	const struct pyi_asked *a = &asked->v[i];

	for (size_t j = i, n = 0; j-- > 0 && n < LOOK_BACK; n++) {
		const struct pyi_asked *before = &asked->v[j];

		if (before->pid == a->pid && before->tid == a->tid)
			return before->kind == PYI_ASKED_LOOK && before->path &&
			       !strcmp(before->path, a->path);
	}
	return false;
}

static struct asking asking_of(const struct pyi_asked_list *list, size_t order)
{
	const struct pyi_asked *asked = &list->v[order];
	static const unsigned int access[] = {
		[PYI_ASKED_READ] = PYI_READ,
		[PYI_ASKED_WRITE] = PYI_WRITE,
		[PYI_ASKED_LOOK] = 0,
		[PYI_ASKED_EXEC] = PYI_EXEC,
	};

	return (struct asking){ .first = asked,
				.path = asked->path,
				.access = access[asked->kind],
				/* A rule for the file itself would have it made before the guest starts. */
				.needs_dir = changes_dir(asked->call) || asked->is_new,
				.is_pair = asked->kind == PYI_ASKED_READ && is_pair(list, order),
				.order = order,
				.count = 1 };
}

static int compare_asking(const void *x, const void *y)
{
	const struct asking *a = x, *b = y;
	int c = strcmp(a->path, b->path);

	if (!c)
		c = (int)a->access - (int)b->access;
	if (!c)
		c = (int)a->needs_dir - (int)b->needs_dir;
	if (!c)
		c = (int)a->is_pair - (int)b->is_pair;
	if (!c && a->is_pair && a->first->at_line != b->first->at_line)
		c = a->first->at_line < b->first->at_line ? -1 : 1;
	return c ? c : a->order < b->order ? -1 : a->order > b->order;
}

static int compare_order(const void *x, const void *y)
{
	const struct asking *a = x, *b = y;

	return a->order < b->order ? -1 : a->order > b->order;
}

/* Each once, in the order of time. */
static size_t merge(struct asking *v, size_t n)
{
	size_t merged = 0;

	qsort(v, n, sizeof(*v), compare_asking);
	for (size_t i = 0; i < n; i++) {
		struct asking *last = merged ? &v[merged - 1] : NULL;

		if (last && !strcmp(last->path, v[i].path) && last->access == v[i].access &&
		    last->needs_dir == v[i].needs_dir && last->is_pair == v[i].is_pair &&
		    (!v[i].is_pair || last->first->at_line == v[i].first->at_line))
			last->count++;
		else
			v[merged++] = v[i];
	}
	qsort(v, merged, sizeof(*v), compare_order);
	return merged;
}

/* "job.py" beside the script. */
static const char *short_name(const struct pyi_run *run, const char *file)
{
	const char *dir = run->source.script_dir;

	return file && dir && is_within(file, dir) && file[strlen(dir)] == '/' ? file + strlen(dir) + 1
									       : file;
}

/* ------------------------------------------------------------------------------------------------------- paths */

struct collector {
	const struct pyi_run *run;
	struct pyi_audit_uses *uses;
	size_t cap_paths;
	bool nomem;
};

static void *grow(struct collector *c, void *array, size_t n, size_t *cap, size_t size)
{
	size_t wanted = *cap ? 2 * *cap : 64;
	void *bigger;

	if (n < *cap)
		return array;
	bigger = reallocarray(array, wanted, size);
	if (!bigger)
		c->nomem = true;
	else
		*cap = wanted;
	return bigger;
}

/* Two lists that grow together: each text is the path of one use. */
static void add(struct collector *c, const struct asking *asking, const char *path,
		unsigned int access, bool is_dir, bool needs_dir)
{
	struct pyi_audit_uses *uses = c->uses;
	size_t cap = c->cap_paths;
	char *copy;
	void *grown;

	if (c->nomem || !pyi_audit_shows(&c->run->audit, path) || is_runtime(c->run, path, access))
		return;
	grown = grow(c, uses->paths, uses->n_paths, &cap, sizeof(*uses->paths));
	if (!grown)
		return;
	uses->paths = grown;
	grown = grow(c, uses->texts, uses->n_texts, &c->cap_paths, sizeof(*uses->texts));
	if (!grown)
		return;
	uses->texts = grown;
	copy = strdup(path);
	if (!copy) {
		c->nomem = true;
		return;
	}
	uses->texts[uses->n_texts++] = copy;
	uses->paths[uses->n_paths++] = (struct pyi_suggest_path){
		.path = copy,
		.access = access,
		.is_dir = is_dir,
		.needs_dir = needs_dir,
		.count = asking->count,
		.at_file = short_name(c->run, asking->first->at_file),
		.at_line = asking->first->at_line,
	};
}

/*
 * Made, removed or renamed: its directory must be writable, the nearest one that is still there. `path` is cut to what
 * stands directly in it.
 */
static void add_in_dir(struct collector *c, const struct asking *asking)
{
	_cleanup_free char *path = strdup(asking->path);
	_cleanup_free char *joined = NULL;
	char dir[PATH_MAX], real[PATH_MAX];

	if (!path) {
		c->nomem = true;
		return;
	}
	for (;;) {
		char *slash = strrchr(path, '/');
		struct stat st;

		if (slash == path || snprintf(dir, sizeof(dir), "%.*s", (int)(slash - path), path) >=
					     (int)sizeof(dir))
			break;
		if (stat(dir, &st) == 0)
			break;
		*slash = '\0';
	}
	add(c, asking, path, PYI_WRITE, false, true);
	/* And where symbolic links lead. */
	if (strrchr(path, '/') == path || !realpath(dir, real) || !strcmp(real, dir))
		return;
	if (asprintf(&joined, "%s%s", real, strrchr(path, '/')) < 0) {
		joined = NULL;
		c->nomem = true;
		return;
	}
	add(c, asking, joined, PYI_WRITE, false, true);
}

/* What the kernel itself reads of a program: what it says is to run it. */
static void add_interpreters(struct collector *c, const struct asking *asking, const char *path)
{
	char file[PATH_MAX], next[PATH_MAX];

	snprintf(file, sizeof(file), "%s", path);
	for (int i = 0; i < 4 && pyi_program_interpreter(file, next); i++) {
		struct stat st;

		if (stat(next, &st) || !S_ISREG(st.st_mode))
			return;
		add(c, asking, next, PYI_EXEC, false, false);
		if (realpath(next, file) && strcmp(file, next) != 0)
			add(c, asking, file, PYI_EXEC, false, false);
		snprintf(file, sizeof(file), "%s", next);
	}
}

/* Loaded as code by a program of the host, and so to be executed. */
static bool is_library(const char *path)
{
	const char *name = strrchr(path, '/') + 1, *so = strstr(name, ".so");

	return so && so[3 + strspn(so + 3, ".0123456789")] == '\0';
}

/* Is a directory looked through for modules? The innermost frame of the user's says where the import stands. */
static bool is_import(const struct pyi_run *run, const struct pyi_asked *asked)
{
	const char *dir = run->source.script_dir ? run->source.script_dir : run->plan->cwd;
	char line[PYI_SOURCE_LINE_MAX];
	const char *word = line;

	if (run->options->guest != PYI_GUEST_PYTHON)
		return false;
	/* One of the library's own, on behalf of any line. */
	if (!strcmp(asked->path, dir) || !asked->at_file)
		return true;
	if (!pyi_source_line(&run->source, run->options->target, run->plan->cwd, asked->at_file,
			     asked->at_line, line))
		return false;
	word += strspn(word, " \t");
	return !strncmp(word, "import ", 7) || !strncmp(word, "from ", 5);
}

static void add_path(struct collector *c, const struct asking *asking, bool has_exec)
{
	_cleanup_walk struct pyi_walk walk = PYI_WALK_INIT;
	unsigned int access = asking->access;
	char real[PATH_MAX];
	struct pyi_err unused;
	struct stat st;
	bool is_followed;

	if (asking->needs_dir || (access & PYI_WRITE && stat(asking->path, &st) && errno == ENOENT)) {
		add_in_dir(c, asking);
		return;
	}
	if (stat(asking->path, &st) || !realpath(asking->path, real) ||
	    !(S_ISREG(st.st_mode) || S_ISDIR(st.st_mode) || S_ISFIFO(st.st_mode)))
		return;
	/* What an import lists is no use of the directory; what it finds there and reads is listed by itself. */
	if (access == PYI_READ && asking->is_pair && S_ISDIR(st.st_mode) &&
	    is_import(c->run, asking->first))
		access = 0;
	if (access == PYI_READ && has_exec && S_ISREG(st.st_mode) && is_library(asking->path))
		access = PYI_EXEC;
	/* Links of other people's are not followed for a rule: then only where they lead. */
	is_followed = pyi_walk(&walk, asking->path, getuid(), NULL, NULL, &unused) == 0;
	if (is_followed)
		add(c, asking, asking->path, access, S_ISDIR(st.st_mode), false);
	if (!is_followed || strcmp(real, asking->path) != 0)
		add(c, asking, real, access, S_ISDIR(st.st_mode), false);
	if (access & PYI_EXEC && S_ISREG(st.st_mode))
		add_interpreters(c, asking, real);
}

static int collect_paths(struct collector *c, struct pyi_err *err)
{
	const struct pyi_asked_list *asked = &c->run->asked;
	_cleanup_free struct asking *v = calloc(asked->n + 1, sizeof(*v));
	bool has_exec = false;
	size_t n = 0;

	if (!v)
		return pyi_err_nomem(err);
	for (size_t i = 0; i < asked->n; i++)
		if (is_of_interest(c->run, &asked->v[i])) {
			v[n] = asking_of(asked, i);
			has_exec = has_exec || v[n].access == PYI_EXEC;
			n++;
		}
	n = merge(v, n);
	for (size_t i = 0; i < n; i++)
		add_path(c, &v[i], has_exec);
	return c->nomem ? pyi_err_nomem(err) : 0;
}

/* --------------------------------------------------------------------------------------------------- addresses */

/* The name of the policy that this address was resolved from, NULL. */
static const char *name_of(const struct pyi_run *run, const uint8_t addr[16])
{
	for (size_t i = 0; i < run->names.n; i++)
		for (size_t j = 0; j < run->names.v[i].n_addrs; j++)
			if (!memcmp(run->names.v[i].addrs[j], addr, 16))
				return run->names.v[i].name;
	return NULL;
}

/* A peer that refuses, or is still being asked, was reached; what the sandbox denied was not. */
static bool is_let_through(const struct pyi_asked *asked)
{
	return (asked->family == AF_INET || asked->family == AF_INET6) && asked->proto &&
	       asked->error != EPERM && asked->error != EACCES && asked->error != EAFNOSUPPORT;
}

static int collect_addresses(struct collector *c, struct pyi_err *err)
{
	const struct pyi_asked_list *asked = &c->run->asked;
	struct pyi_audit_uses *uses = c->uses;

	uses->addresses = calloc(asked->n + 1, sizeof(*uses->addresses));
	if (!uses->addresses)
		return pyi_err_nomem(err);
	for (size_t i = 0; i < asked->n; i++) {
		const struct pyi_asked *a = &asked->v[i];
		struct pyi_suggest_address *use = &uses->addresses[uses->n_addresses];
		bool is_bind = a->kind == PYI_ASKED_BIND;

		/* Listening is bound before. */
		if ((a->kind != PYI_ASKED_CONNECT && a->kind != PYI_ASKED_SEND && !is_bind) ||
		    !is_let_through(a) || !strcmp(a->call, "listen"))
			continue;
		*use = (struct pyi_suggest_address){ .op = is_bind ? PYI_NET_BIND : PYI_NET_CONNECT,
						     .proto = (enum pyi_net_proto)a->proto,
						     .name = is_bind ? NULL : name_of(c->run, a->addr),
						     .port = a->port,
						     .count = 1,
						     .at_file = short_name(c->run, a->at_file),
						     .at_line = a->at_line };
		memcpy(use->addr, a->addr, sizeof(use->addr));
		uses->n_addresses++;
	}
	return 0;
}

int pyi_audit_uses_collect(const struct pyi_run *run, struct pyi_audit_uses *ret_uses,
			   struct pyi_err *err)
{
	struct collector c = { .run = run, .uses = ret_uses };
	int ret;

	*ret_uses = (struct pyi_audit_uses){ .paths = NULL };
	ret = collect_paths(&c, err);
	return ret ? ret : collect_addresses(&c, err);
}
