/* SPDX-License-Identifier: MIT */
/*
 * The operations that make the sandbox's file tree. First what every sandbox has of its own (/tmp, /proc, /dev, a few
 * files of /etc), each left out where a rule speaks of that very path; then symlinks met on the way to granted paths;
 * then the granted paths, parents first, with an empty file or directory over what is denied inside them, and with
 * the directories above that held in their places.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/err.h"
#include "base/util.h"
#include "plan/build.h"
#include "plan/cover.h"
#include "plan/facts.h"

/* Add an operation; strings are copied, NULL stays NULL. */
static struct pyi_op *add_op(struct pyi_build *b, enum pyi_op_kind kind, const char *path,
			     const char *source, const char *text, struct pyi_err *err)
{
	struct pyi_op *op = pyi_build_grow(&b->plan->ops, &b->plan->n_ops, sizeof(*op));

	if (op) {
		op->kind = kind;
		op->path = strdup(path);
		op->source = source ? strdup(source) : NULL;
		op->text = text ? strdup(text) : NULL;
	}
	if (!op || !op->path || (source && !op->source) || (text && !op->text)) {
		pyi_err_nomem(err);
		return NULL;
	}
	return op;
}

/* Does a rule say what is at this path (a grant at or above it, a deny, a symlink of the host)? Then it is not ours. */
static bool is_taken(const struct pyi_build *b, const char *path)
{
	const struct pyi_cover_node *node = pyi_cover_find(b->cover, path);

	if (node && (node->access || pyi_cover_is_hidden(node)))
		return true;
	for (size_t i = 0; i < b->grants->n_links; i++)
		if (pyi_path_is_within(path, b->grants->links[i].path))
			return true;
	return false;
}

static int add_own_trees(struct pyi_build *b, struct pyi_err *err)
{
	static const char *const nodes[] = { "/dev/full", "/dev/null", "/dev/random",
					     "/dev/urandom", "/dev/zero" };
	static const char *const links[][2] = {
		{ "/dev/fd", "/proc/self/fd" },
		{ "/dev/stdin", "/proc/self/fd/0" },
		{ "/dev/stdout", "/proc/self/fd/1" },
		{ "/dev/stderr", "/proc/self/fd/2" },
		/* sem_open(3), shm_open(3): locks and queues of Python's multiprocessing. */
		{ "/dev/shm", "/tmp" },
	};
	struct pyi_op *op;

	if (!is_taken(b, "/tmp")) {
		op = add_op(b, PYI_OP_TMPFS, "/tmp", NULL, NULL, err);
		if (!op)
			return -ENOMEM;
		op->access = PYI_READ | PYI_WRITE;
		op->size_bytes = b->plan->limits.tmp_bytes;
	}
	if (!is_taken(b, "/proc") && !add_op(b, PYI_OP_PROC, "/proc", NULL, NULL, err))
		return -ENOMEM;
	for (size_t i = 0; i < PYI_ARRAY_SIZE(nodes); i++) {
		op = is_taken(b, nodes[i]) ? NULL
					   : add_op(b, PYI_OP_DEV, nodes[i], nodes[i], NULL, err);
		if (op)
			op->access = PYI_READ | PYI_WRITE;
		else if (!is_taken(b, nodes[i]))
			return -ENOMEM;
	}
	for (size_t i = 0; i < PYI_ARRAY_SIZE(links); i++)
		if (!is_taken(b, links[i][0]) &&
		    !add_op(b, PYI_OP_SYMLINK, links[i][0], NULL, links[i][1], err))
			return -ENOMEM;
	return 0;
}

/* The file of the host that an audit shows there; its own stands over it as it does without the audit. */
static bool is_shown(const struct pyi_build *b, const char *path)
{
	const struct pyi_cover_node *node = pyi_cover_find(b->cover, path);

	return b->options->audit && node && node->access && !pyi_cover_is_hidden(node) &&
	       !strcmp(node->path, path) && node->kind == PYI_PATH_FILE && node->rule &&
	       node->rule->from.is_template;
}

static int add_file(struct pyi_build *b, const char *path, const char *text, struct pyi_err *err)
{
	struct pyi_op *op;

	if (is_taken(b, path) && !is_shown(b, path))
		return 0;
	op = add_op(b, PYI_OP_FILE, path, NULL, text, err);
	if (!op)
		return -ENOMEM;
	op->access = PYI_READ;
	return 0;
}

static void put_address(struct pyi_buf *out, const uint8_t a[16])
{
	static const uint8_t v4[12] = { [10] = 0xff, [11] = 0xff };

	if (!memcmp(a, v4, sizeof(v4))) {
		pyi_buf_printf(out, "%u.%u.%u.%u", a[12], a[13], a[14], a[15]);
		return;
	}
	for (unsigned int i = 0; i < 16; i += 2)
		pyi_buf_printf(out, "%s%x", i ? ":" : "", (unsigned int)a[i] << 8 | a[i + 1]);
}

/* A name stands in /etc/hosts if a rule lets the guest use it: resolving others would tell what the policy denies. */
static bool is_name_allowed(const struct pyi_build *b, const char *name)
{
	for (size_t i = 0; i < b->policy->n_net; i++) {
		const struct pyi_net_rule *rule = &b->policy->net[i];

		if (rule->host && !strcasecmp(rule->host, name) &&
		    (rule->verdict == PYI_ALLOW || (rule->verdict == PYI_WARN && b->is_dev)))
			return true;
	}
	return false;
}

static int add_hosts(struct pyi_build *b, struct pyi_err *err)
{
	_cleanup_buf struct pyi_buf text = PYI_BUF_INIT;

	if (b->plan->own_netns)
		return 0;
	pyi_buf_puts(&text, "127.0.0.1 localhost\n::1 localhost\n");
	for (size_t i = 0; i < b->names->n; i++) {
		const struct pyi_resolved_name *name = &b->names->v[i];

		/* The line above says it all about this one. */
		if (!strcasecmp(name->name, "localhost") || !is_name_allowed(b, name->name))
			continue;
		for (size_t j = 0; j < name->n_addrs; j++) {
			put_address(&text, name->addrs[j]);
			pyi_buf_printf(&text, " %s\n", name->name);
		}
	}
	if (text.failed)
		return pyi_err_nomem(err);
	return add_file(b, "/etc/hosts", pyi_buf_str(&text), err);
}

static int add_own_files(struct pyi_build *b, struct pyi_err *err)
{
	char text[256];
	int r;

	snprintf(text, sizeof(text), "sandbox:x:%u:%u:sandbox:/tmp:/bin/sh\n%s", b->plan->uid,
		 b->plan->gid,
		 b->plan->uid == 65534 ? "" : "nobody:x:65534:65534:nobody:/:/usr/sbin/nologin\n");
	r = add_file(b, "/etc/passwd", text, err);
	if (r)
		return r;
	snprintf(text, sizeof(text), "sandbox:x:%u:\n%s", b->plan->gid,
		 b->plan->gid == 65534 ? "" : "nogroup:x:65534:\n");
	r = add_file(b, "/etc/group", text, err);
	if (r)
		return r;
	return add_hosts(b, err);
}

static bool is_own_path(const struct pyi_plan *plan, size_t n_own, const char *path)
{
	for (size_t i = 0; i < n_own; i++)
		if (!strcmp(plan->ops[i].path, path))
			return true;
	return false;
}

/* A symlink inside a granted directory is there already, one inside a denied one must not be. */
static int add_links(struct pyi_build *b, struct pyi_err *err)
{
	size_t n_own = b->plan->n_ops;

	for (size_t i = 0; i < b->grants->n_links; i++) {
		const struct pyi_link *link = &b->grants->links[i];
		const struct pyi_cover_node *node = pyi_cover_find(b->cover, link->path);

		if ((node && (node->access || pyi_cover_is_hidden(node))) ||
		    is_own_path(b->plan, n_own, link->path))
			continue;
		if (!add_op(b, PYI_OP_SYMLINK, link->path, NULL, link->target, err))
			return -ENOMEM;
	}
	return 0;
}

static int add_mask(struct pyi_build *b, const struct pyi_cover_node *node, struct pyi_err *err)
{
	struct pyi_op *op;

	/* Nothing to hide: it is not there, or no directory above brings it in. */
	if (node->kind == PYI_PATH_MISSING || !node->above)
		return 0;
	op = add_op(b, node->kind == PYI_PATH_DIR ? PYI_OP_MASK_DIR : PYI_OP_MASK_FILE, node->path,
		    NULL, NULL, err);
	if (!op)
		return -ENOMEM;
	op->rule = node->rule;
	op->is_dir = node->kind == PYI_PATH_DIR;
	return 0;
}

/* What the built-in list brings in belongs to the system and is readable by all. */
static bool wants_idmap(const struct pyi_build *b, const struct pyi_cover_node *node)
{
	return node->can_idmap && node->rule &&
	       b->plan->layers[PYI_LAYER_IDMAP].state != PYI_LAYER_UNUSED && !b->facts->idmap.errnum;
}

static int add_bind(struct pyi_build *b, const struct pyi_cover_node *node, struct pyi_err *err)
{
	struct pyi_op *op;

	if (node->access == node->above)
		return 0;
	op = add_op(b, PYI_OP_BIND, node->path, node->path, NULL, err);
	if (!op)
		return -ENOMEM;
	op->access = node->access;
	op->is_dir = node->kind == PYI_PATH_DIR;
	op->rule = node->rule;
	op->idmap = wants_idmap(b, node);
	return 0;
}

/* A pinned directory is mounted on itself, as what is mounted above it is. */
static int add_pin(struct pyi_build *b, const char *path, struct pyi_err *err)
{
	const struct pyi_cover_node *node = pyi_cover_find(b->cover, path);
	struct pyi_op *op;

	/* Mounted already, for its own access. */
	if (!strcmp(node->path, path) && node->access != node->above)
		return 0;
	op = add_op(b, PYI_OP_BIND, path, path, NULL, err);
	if (!op)
		return -ENOMEM;
	op->access = node->access;
	op->is_dir = true;
	op->rule = node->rule;
	op->idmap = wants_idmap(b, node);
	return 0;
}

static int add_granted(struct pyi_build *b, struct pyi_err *err)
{
	struct pyi_pins pins = { 0 };
	size_t next = 0;
	int r = pyi_pins_build(b->cover, &pins, err);

	for (size_t i = 0; i < b->cover->n && !r; i++) {
		const struct pyi_cover_node *node = &b->cover->v[i];

		while (!r && next < pins.n && pyi_path_compare(pins.v[next], node->path) < 0)
			r = add_pin(b, pins.v[next++], err);
		if (!r)
			r = pyi_cover_is_hidden(node) ? add_mask(b, node, err) : add_bind(b, node, err);
	}
	pyi_pins_release(&pins);
	return r;
}

int pyi_build_tree(struct pyi_build *b, struct pyi_err *err)
{
	int r;

	if (!b->plan->use_namespaces)
		return 0;
	r = add_own_trees(b, err);
	if (!r && !b->options->audit)
		r = add_own_files(b, err);
	if (!r)
		r = add_links(b, err);
	if (!r)
		r = add_granted(b, err);
	/* Over those of the host. */
	if (!r && b->options->audit)
		r = add_own_files(b, err);
	return r;
}

/* Is there a directory at this path inside, as far as can be told without looking? */
static bool is_dir_inside(const struct pyi_build *b, const char *path)
{
	static const char *const own[] = { "/", "/tmp", "/dev", "/etc", "/proc" };
	const struct pyi_cover_node *node = pyi_cover_find(b->cover, path);

	if (node && pyi_cover_is_hidden(node))
		return false;
	if (node && node->access)
		return strcmp(node->path, path) != 0 || node->kind == PYI_PATH_DIR;
	for (size_t i = 0; i < PYI_ARRAY_SIZE(own) && b->plan->use_namespaces; i++)
		if (!strcmp(own[i], path))
			return true;
	return pyi_cover_has_below(b->cover, path);
}

static bool is_clean_path(const char *path)
{
	return path[0] == '/' && !strstr(path, "//") && !strstr(path, "/./") &&
	       !strstr(path, "/../") && (path[1] == '\0' || path[strlen(path) - 1] != '/');
}

int pyi_build_cwd(struct pyi_build *b, struct pyi_err *err)
{
	const struct pyi_plan_options *options = b->options;
	const char *cwd = b->plan->use_namespaces && is_dir_inside(b, "/tmp") ? "/tmp" : "/";

	if (options->cwd) {
		if (!is_clean_path(options->cwd))
			return pyi_err_set(err, EINVAL, "--cwd: '%s' is not a plain absolute path",
					   options->cwd);
		if (!is_dir_inside(b, options->cwd))
			return pyi_err_set(
				err, ENOENT,
				"--cwd: '%s' does not exist inside the sandbox: --allow-read %s grants it",
				options->cwd, options->cwd);
		cwd = options->cwd;
	} else if (options->invoker_cwd && is_clean_path(options->invoker_cwd) &&
		   is_dir_inside(b, options->invoker_cwd)) {
		cwd = options->invoker_cwd;
	}
	b->plan->cwd = strdup(cwd);
	return b->plan->cwd ? 0 : pyi_err_nomem(err);
}
