/* SPDX-License-Identifier: MIT */
/*
 * Find a policy by name or path, follow its `extends`, put parents before children and the flags last.
 *
 * A document is read once, through one descriptor: what was checked is what is used, whatever happens to the file
 * meanwhile. Only regular files are read, opened without blocking, so a name that leads to a pipe or a device cannot
 * hold the command up.
 */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/digest.h"
#include "base/err.h"
#include "base/io.h"
#include "base/parse.h"
#include "base/util.h"
#include "policy/internal.h"

#define SITE_DIR "/etc/pyisolate/policy"

enum { TEMPLATES_NAMES_MAX = 64 };

struct document {
	char *file;	      /* for messages */
	char *dir;	      /* real directory of relative paths; NULL for a built-in template */
	const char *built_in; /* name of the template it is, NULL for a file */
	bool is_foreign;      /* came from another host */
	dev_t dev;
	ino_t ino;
	struct pyi_tree tree;
};

struct chain {
	struct pyi_loader loader;
	struct document docs[PYI_POLICY_DEPTH_MAX]; /* child first */
	unsigned int n;
	char *block; /* of the first: FILE#NAME */
};

static void release_chain(struct chain *c)
{
	for (unsigned int i = 0; i < c->n; i++) {
		pyi_tree_release(&c->docs[i].tree);
		free(c->docs[i].file);
		free(c->docs[i].dir);
	}
	free(c->block);
	pyi_policy_errors_release(&c->loader.errors);
	pyi_policy_free(c->loader.policy);
}

static const struct pyi_template *find_template(const char *name)
{
	for (size_t i = 0; i < pyi_n_templates; i++)
		if (strcmp(pyi_templates[i].name, name) == 0)
			return &pyi_templates[i];
	return NULL;
}

static bool has_suffix(const char *text, const char *suffix)
{
	size_t len = strlen(text), n = strlen(suffix);

	return len >= n && strcmp(text + len - n, suffix) == 0;
}

static bool is_path(const char *ref)
{
	return strchr(ref, '/') || has_suffix(ref, ".yml") || has_suffix(ref, ".yaml");
}

/* Directory of a file as a real path, so that '..' in a rule means what the file system means by it. */
static char *real_dir(const char *path)
{
	const char *slash = strrchr(path, '/');
	_cleanup_free char *dir = NULL;

	if (!slash)
		return realpath(".", NULL);
	dir = strndup(path, slash == path ? 1 : (size_t)(slash - path));
	return dir ? realpath(dir, NULL) : NULL;
}

/* 1: read; 0: there is no such file; -1: an error was reported. */
static int read_file(struct pyi_loader *l, const struct pyi_source *asker, const char *path,
		     struct pyi_buf *ret_text, struct document *doc)
{
	struct stat st;
	_cleanup_fd int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
	int r;

	if (fd < 0 && errno == ENOENT)
		return 0;
	if (fd < 0 || fstat(fd, &st)) {
		pyi_loader_error(l, asker, "cannot open '%s': %s", path, strerror(errno));
		return -1;
	}
	if (!S_ISREG(st.st_mode)) {
		pyi_loader_error(l, asker, "'%s' is not a regular file", path);
		return -1;
	}
	r = pyi_read_all(fd, PYI_POLICY_FILE_MAX, ret_text);
	if (r) {
		if (r == -EFBIG)
			pyi_loader_error(l, asker,
					 "'%s' is larger than 1 MiB: this is not a policy", path);
		else
			pyi_loader_error(l, asker, "cannot read '%s': %s", path, strerror(-r));
		return -1;
	}
	doc->dev = st.st_dev;
	doc->ino = st.st_ino;
	doc->dir = real_dir(path);
	return 1;
}

static void unknown_template(struct pyi_loader *l, const struct pyi_source *asker, const char *name)
{
	const char *names[TEMPLATES_NAMES_MAX], *near;
	size_t n = 0;

	for (; n < pyi_n_templates && n < TEMPLATES_NAMES_MAX; n++)
		names[n] = pyi_templates[n].name;
	near = pyi_parse_nearest(name, names, n);
	if (near)
		pyi_loader_error(l, asker,
				 "no template '%.100s', did you mean '%s'? (a file's path has a '/')",
				 name, near);
	else
		pyi_loader_error(l, asker,
				 "no template '%.100s' (a file's path has a '/' or ends in .yml)",
				 name);
}

static bool is_template_name(const char *name)
{
	return *name && *name != '.' && strlen(name) <= 64 &&
	       !name[strspn(name, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-")];
}

/* The text of a template: the site's own before the built-in, unless a site's own asks for what it replaces. */
static bool read_template(struct chain *c, const struct pyi_source *asker, const char *name,
			  bool built_in_only, struct pyi_buf *ret_text, struct document *doc)
{
	const struct pyi_template *t = find_template(name);
	char path[sizeof(SITE_DIR) + 80];
	int r = 0;

	if (!is_template_name(name)) {
		unknown_template(&c->loader, asker, name);
		return false;
	}
	if (!built_in_only) {
		snprintf(path, sizeof(path), SITE_DIR "/%s.yml", name);
		r = read_file(&c->loader, asker, path, ret_text, doc);
	}
	if (r < 0)
		return false;
	if (r > 0) {
		doc->file = strdup(path);
		return true;
	}
	if (!t) {
		unknown_template(&c->loader, asker, name);
		return false;
	}
	pyi_buf_add(ret_text, t->text, t->len);
	doc->built_in = t->name;
	return asprintf(&doc->file, "template %s", name) >= 0;
}

static bool is_in_chain(const struct chain *c, const struct document *doc)
{
	for (unsigned int i = 0; i < c->n; i++) {
		const struct document *other = &c->docs[i];

		if (doc->built_in ? doc->built_in == other->built_in
				  : !other->built_in && doc->dev == other->dev && doc->ino == other->ino)
			return true;
	}
	return false;
}

/* `extends` of a file names paths relative to that file, as it was written: for messages people recognise. */
static char *join_beside(const char *file, const char *ref)
{
	const char *slash = strrchr(file, '/');
	char *path = NULL;

	if (*ref == '/' || !slash)
		return strdup(ref);
	return asprintf(&path, "%.*s/%s", (int)(slash - file), file, ref) < 0 ? NULL : path;
}

static bool add_document(struct chain *c, const struct pyi_source *asker, const char *ref,
			 const struct document *child)
{
	struct pyi_loader *l = &c->loader;
	_cleanup_buf struct pyi_buf text = PYI_BUF_INIT;
	struct document doc = { .file = NULL };
	struct pyi_source source = { 0 };
	bool is_ok;

	if (is_path(ref)) {
		int r;

		doc.file = child ? join_beside(child->file, ref) : strdup(ref);
		r = doc.file ? read_file(l, asker, doc.file, &text, &doc) : -1;
		if (r == 0)
			pyi_loader_error(l, asker, "cannot open '%s': %s", doc.file, strerror(ENOENT));
		is_ok = r > 0;
	} else {
		/* SITE_DIR/ml.yml may extend ml: the one it replaces. */
		char own[sizeof(SITE_DIR) + 80];

		snprintf(own, sizeof(own), SITE_DIR "/%.64s.yml", ref);
		is_ok = read_template(c, asker, ref,
				      child && child->file && strcmp(child->file, own) == 0, &text,
				      &doc);
	}
	l->nomem = l->nomem || text.failed || (is_ok && !doc.file);
	if (is_ok && is_in_chain(c, &doc)) {
		pyi_loader_error(l, asker, "'extends: %.200s' goes in a circle", ref);
		is_ok = false;
	}
	if (!is_ok || l->nomem) {
		free(doc.file);
		free(doc.dir);
		return false;
	}
	c->docs[c->n++] = doc;
	source = (struct pyi_source){ .file = doc.file };
	return pyi_tree_parse(l, &source, pyi_buf_str(&text), text.len, &c->docs[c->n - 1].tree);
}

/* Read the documents from child to the last parent, then their rules from the last parent to the child. */
static void read_chain(struct chain *c)
{
	struct pyi_loader *l = &c->loader;

	for (unsigned int i = c->n - 1; i < c->n; i = c->n - 1) {
		const struct document *doc = &c->docs[i];
		struct pyi_source asker = { .file = doc->file };
		const char *parent = pyi_schema_peek(&doc->tree, "extends", &asker.line);

		if (!parent)
			break;
		if (c->n == PYI_POLICY_DEPTH_MAX) {
			pyi_loader_error(l, &asker, "'extends' goes over more than %d documents",
					 PYI_POLICY_DEPTH_MAX);
			break;
		}
		if (doc->built_in && is_path(parent)) {
			pyi_loader_error(l, &asker, "a template extends templates only");
			break;
		}
		if (doc->is_foreign && is_path(parent)) {
			pyi_loader_error(l, &asker,
					 "'extends: %.200s' names a file: a policy from a URL extends "
					 "templates only",
					 parent);
			break;
		}
		if (!add_document(c, &asker, parent, doc))
			break;
	}
	for (unsigned int i = c->n; i-- > 0;) {
		const struct document *doc = &c->docs[i];
		struct pyi_source source = {
			.file = doc->file,
			.is_template = doc->built_in != NULL,
			.dir = doc->dir,
		};

		if (doc->tree.n >= 2)
			pyi_schema_read(l, &source, &doc->tree, i == 0 ? c->block : NULL);
	}
}

/* Rules that only forbid exec stand in a section of their own: behind the others, as in the printed policy. */
static void settle_order(struct pyi_policy *p)
{
	size_t n = 0, k = 0;
	struct pyi_fs_rule *behind;

	for (size_t i = 0; i < p->n_fs; i++)
		n += p->fs[i].access == PYI_EXEC;
	if (!n)
		return;
	behind = reallocarray(NULL, n, sizeof(*behind));
	if (!behind)
		return; /* the order decides nothing */
	n = 0;
	for (size_t i = 0; i < p->n_fs; i++) {
		if (p->fs[i].access == PYI_EXEC)
			behind[n++] = p->fs[i];
		else
			p->fs[k++] = p->fs[i];
	}
	memcpy(p->fs + k, behind, n * sizeof(*behind));
	free(behind);
}

/* Hand over policy and errors, or say the first of them. */
static int finish(struct chain *c, struct pyi_policy **ret_policy, struct pyi_policy_errors *errors,
		  struct pyi_err *err)
{
	struct pyi_loader *l = &c->loader;
	_cleanup_buf struct pyi_buf text = PYI_BUF_INIT;

	if (errors)
		*errors = (struct pyi_policy_errors){ .lines = NULL };
	if (!l->nomem)
		pyi_ceiling_check(l);
	if (l->nomem)
		return pyi_err_nomem(err);
	if (l->errors.n) {
		pyi_err_set(err, EINVAL, "%s", l->errors.lines[0]);
		if (errors) {
			*errors = l->errors;
			l->errors = (struct pyi_policy_errors){ .lines = NULL };
		}
		return -EINVAL;
	}
	settle_order(l->policy);
	pyi_policy_print(l->policy, false, &text);
	if (text.failed)
		return pyi_err_nomem(err);
	pyi_digest(text.data, text.len, l->policy->digest);
	*ret_policy = pyi_take_ptr(l->policy);
	return 0;
}

/* FILE#NAME takes one policy of a file of the first releases. */
static char *split_block(struct chain *c, const char *ref)
{
	const char *hash = strrchr(ref, '#');
	char *file;

	if (!hash || !hash[1] || is_path(hash))
		return strdup(ref);
	file = strndup(ref, (size_t)(hash - ref));
	if (!file || !is_path(file)) {
		free(file);
		return strdup(ref);
	}
	c->block = strdup(hash + 1);
	c->loader.nomem = c->loader.nomem || !c->block;
	return file;
}

/* "defaults" as it is built in, loaded before it was asked for; given away once. */
static struct pyi_policy *cached_ready;

/* The administrator may have put another one in its place. */
static bool is_built_in(void)
{
	return access(SITE_DIR "/defaults.yml", F_OK) < 0 && errno == ENOENT;
}

int pyi_policy_make_ready(struct pyi_err *err)
{
	return is_built_in() ? pyi_policy_load(NULL, NULL, 0, &cached_ready, NULL, err) : 0;
}

static bool is_ready(const char *ref, size_t n_flags)
{
	return cached_ready && !n_flags && (!ref || strcmp(ref, cached_ready->name) == 0) &&
	       is_built_in();
}

int pyi_policy_load(const char *ref, const struct pyi_policy_flag *flags, size_t n_flags,
		    struct pyi_policy **ret_policy, struct pyi_policy_errors *errors,
		    struct pyi_err *err)
{
	return pyi_policy_load_with(ref, flags, n_flags, NULL, ret_policy, errors, err);
}

int pyi_policy_load_with(const char *ref, const struct pyi_policy_flag *flags, size_t n_flags,
			 const struct pyi_policy_more *more, struct pyi_policy **ret_policy,
			 struct pyi_policy_errors *errors, struct pyi_err *err)
{
	__attribute__((cleanup(release_chain))) struct chain c = { .n = 0 };
	struct pyi_source asker = { .file = NULL };
	_cleanup_free char *cwd = NULL;
	_cleanup_free char *file = NULL;

	if (is_ready(ref, n_flags + (more ? more->n_flags : 0))) {
		if (errors)
			*errors = (struct pyi_policy_errors){ .lines = NULL };
		*ret_policy = pyi_take_ptr(cached_ready);
		return 0;
	}
	c.loader.policy = calloc(1, sizeof(*c.loader.policy));
	if (!c.loader.policy)
		return pyi_err_nomem(err);
	file = split_block(&c, ref ? ref : "defaults");
	c.loader.policy->name = strdup(ref ? ref : n_flags ? "flags" : "defaults");
	if (!file || !c.loader.policy->name)
		return pyi_err_nomem(err);
	if (add_document(&c, &asker, file, NULL))
		read_chain(&c);
	if (n_flags) {
		cwd = realpath(".", NULL); /* NULL when it is gone: relative paths are then refused */
		pyi_flags_read(&c.loader, flags, n_flags, cwd, NULL);
	}
	if (more)
		pyi_flags_read(&c.loader, more->flags, more->n_flags, NULL, more->origin);
	return finish(&c, ret_policy, errors, err);
}

static int parse_text(const char *file, bool is_foreign, const char *text, size_t len,
		      struct pyi_policy **ret_policy, struct pyi_policy_errors *errors,
		      struct pyi_err *err)
{
	__attribute__((cleanup(release_chain))) struct chain c = { .n = 0 };
	struct pyi_source source = { .file = file };

	c.loader.policy = calloc(1, sizeof(*c.loader.policy));
	if (!c.loader.policy)
		return pyi_err_nomem(err);
	c.loader.policy->name = strdup(file);
	c.docs[0].file = strdup(file);
	c.docs[0].is_foreign = is_foreign;
	c.n = 1;
	if (!c.loader.policy->name || !c.docs[0].file)
		return pyi_err_nomem(err);
	if (pyi_tree_parse(&c.loader, &source, text, len, &c.docs[0].tree))
		read_chain(&c);
	return finish(&c, ret_policy, errors, err);
}

int pyi_policy_parse(const char *file, const char *text, size_t len, struct pyi_policy **ret_policy,
		     struct pyi_policy_errors *errors, struct pyi_err *err)
{
	return parse_text(file, false, text, len, ret_policy, errors, err);
}

int pyi_policy_parse_foreign(const char *file, const char *text, size_t len,
			     struct pyi_policy **ret_policy, struct pyi_err *err)
{
	return parse_text(file, true, text, len, ret_policy, NULL, err);
}
