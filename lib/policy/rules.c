/* SPDX-License-Identifier: MIT */
/*
 * From the text of one rule to a checked rule in the policy. Documents and flags both end here, so a rule means the
 * same wherever it was written.
 */
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/err.h"
#include "base/parse.h"
#include "base/util.h"
#include "policy/internal.h"

enum {
	PIDS_MAX = 4194304,	  /* PID_MAX_LIMIT */
	OPEN_FILES_MIN = 8,	  /* what the interpreter itself needs */
	OPEN_FILES_MAX = 1048576, /* the kernel's default for fs.nr_open */
	MEMORY_MIN = 1 << 20,
	TMP_MIN = 4096,	     /* a page: tmpfs rounds up to it */
	NET_RATE_MIN = 1024, /* less, and a full packet would take minutes */
	NODE_MAX = 1023,     /* MAX_NUMNODES of the largest kernel, less one */
};

static struct pyi_origin *take_origin(struct pyi_loader *l, const struct pyi_source *source,
				      struct pyi_origin *ret)
{
	ret->file = strdup(source->file);
	ret->line = source->line;
	ret->is_template = source->is_template;
	if (!ret->file)
		l->nomem = true;
	return ret;
}

static bool has_room(struct pyi_loader *l, const struct pyi_source *source)
{
	const struct pyi_policy *p = l->policy;

	if (p->n_fs + p->n_net + p->n_env + p->n_imports < PYI_POLICY_RULES_MAX)
		return true;
	pyi_loader_error(l, source, "more than %d rules", PYI_POLICY_RULES_MAX);
	return false;
}

/* What holds for any text that becomes part of the policy: printable again, and one line in messages. */
static bool is_clean(struct pyi_loader *l, const struct pyi_source *source, const char *what,
		     const char *text)
{
	if (!*text) {
		pyi_loader_error(l, source, "%s is empty", what);
		return false;
	}
	if (!pyi_utf8_is_valid(text, strlen(text))) {
		pyi_loader_error(l, source, "%s '%.200s' is not UTF-8", what, text);
		return false;
	}
	for (const char *p = text; *p; p++) {
		if ((unsigned char)*p >= 0x20 && *p != 0x7f)
			continue;
		pyi_loader_error(l, source, "%s '%.200s' holds a control character", what, text);
		return false;
	}
	return true;
}

/* --------------------------------------------------------------------------------------------------------- paths */

/* The directory is a plain path, the text after it may be a pattern: what is special in the first is escaped. */
static void add_dir(struct pyi_buf *out, const char *dir)
{
	if (strcmp(dir, "/") == 0)
		return;
	for (; *dir; dir++) {
		if (strchr("*?[", *dir))
			pyi_buf_printf(out, "[%c]", *dir);
		else
			pyi_buf_putc(out, *dir);
	}
}

static void drop_last(struct pyi_buf *out)
{
	while (out->len && out->data[--out->len] != '/')
		;
	if (out->data)
		out->data[out->len] = '\0';
}

/* Append the components of text. '..' only in front: behind a name it may be a symlink's, which nobody knows yet. */
static const char *add_components(struct pyi_buf *out, const char *text)
{
	bool has_name = *text == '/';

	while (*text) {
		size_t len = strcspn(text, "/");

		if (len == 2 && strncmp(text, "..", 2) == 0) {
			if (has_name)
				return "'..' may only begin a relative path: write the path without it";
			drop_last(out);
		} else if (len && !(len == 1 && *text == '.')) {
			pyi_buf_putc(out, '/');
			pyi_buf_add(out, text, len);
			has_name = true;
		}
		text += len + (text[len] == '/');
	}
	return NULL;
}

char *pyi_rule_path(struct pyi_loader *l, const struct pyi_source *source, const char *text,
		    bool *ret_is_glob)
{
	_cleanup_buf struct pyi_buf out = PYI_BUF_INIT;
	const char *wrong;
	char *path;

	if (!is_clean(l, source, "the path", text))
		return NULL;
	if (*text == '~' && (text[1] == '/' || !text[1])) {
		pyi_loader_error(l, source, "'%s': '~' is not expanded here, write the whole path",
				 text);
		return NULL;
	}
	if (*text != '/' && !source->dir) {
		pyi_loader_error(l, source, "'%s' is not an absolute path", text);
		return NULL;
	}
	if (*text != '/')
		add_dir(&out, source->dir);
	wrong = add_components(&out, text);
	if (!wrong && out.len > PYI_PATH_TEXT_MAX)
		wrong = "a path has at most 4095 bytes";
	if (!out.len)
		pyi_buf_putc(&out, '/');
	if (!wrong && !out.failed)
		wrong = pyi_glob_check(out.data, ret_is_glob);
	if (wrong) {
		pyi_loader_error(l, source, "'%.200s': %s", text, wrong);
		return NULL;
	}
	path = pyi_buf_take(&out);
	l->nomem = l->nomem || !path;
	return path;
}

void pyi_rule_add_fs(struct pyi_loader *l, const struct pyi_source *source,
		     enum pyi_verdict verdict, unsigned int access, const char *text)
{
	struct pyi_policy *p = l->policy;
	struct pyi_fs_rule rule = { .verdict = verdict, .access = access };
	struct pyi_fs_rule *grown;

	if (!has_room(l, source))
		return;
	rule.path = pyi_rule_path(l, source, text, &rule.is_glob);
	if (!rule.path)
		return;
	grown = pyi_loader_grow(l, p->fs, p->n_fs, sizeof(*p->fs));
	if (!grown) {
		free(rule.path);
		return;
	}
	take_origin(l, source, &rule.from);
	p->fs = grown;
	p->fs[p->n_fs++] = rule;
}

/* ------------------------------------------------------------------------------------------------------- network */

void pyi_rule_add_net(struct pyi_loader *l, const struct pyi_source *source,
		      enum pyi_verdict verdict, unsigned int ops, const char *text)
{
	struct pyi_policy *p = l->policy;
	struct pyi_net_rule rule = { .verdict = verdict, .ops = ops };
	struct pyi_net_rule *grown;
	struct pyi_err err = { 0 };

	if (!has_room(l, source) || !is_clean(l, source, "the address", text))
		return;
	if (pyi_address_parse(text, verdict != PYI_DENY, ops & PYI_NET_BIND, &rule, &err)) {
		l->nomem = l->nomem || err.errnum == ENOMEM;
		pyi_loader_error(l, source, "%s", err.msg);
		return;
	}
	if (!rule.protos)
		rule.protos = verdict == PYI_ALLOW ? PYI_NET_TCP : PYI_NET_TCP | PYI_NET_UDP;
	rule.text = strdup(text);
	grown = rule.text ? pyi_loader_grow(l, p->net, p->n_net, sizeof(*p->net)) : NULL;
	if (!grown) {
		l->nomem = true;
		free(rule.host);
		free(rule.text);
		return;
	}
	take_origin(l, source, &rule.from);
	p->net = grown;
	p->net[p->n_net++] = rule;
}

/* --------------------------------------------------------------------------------------------------- environment */

/* Letters, digits and '_', not a digit first; with `can_end_in_star` a '*' last (or alone). */
static bool is_env_name(const char *name, size_t len, bool can_end_in_star)
{
	for (size_t i = 0; i < len; i++) {
		char c = name[i];

		if ((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_' ||
		    (i && c >= '0' && c <= '9'))
			continue;
		if (can_end_in_star && c == '*' && i + 1 == len)
			continue;
		return false;
	}
	return len > 0;
}

void pyi_rule_add_env(struct pyi_loader *l, const struct pyi_source *source, int kind, const char *text)
{
	struct pyi_policy *p = l->policy;
	struct pyi_env_rule rule = { .kind = kind };
	struct pyi_env_rule *grown;
	const char *equals = kind == PYI_ENV_SET ? strchr(text, '=') : NULL;
	size_t len = equals ? (size_t)(equals - text) : strlen(text);

	if (!has_room(l, source))
		return;
	if (kind == PYI_ENV_SET && !equals) {
		pyi_loader_error(l, source, "'%.200s' is not NAME=VALUE", text);
		return;
	}
	if (!is_env_name(text, len, kind != PYI_ENV_SET)) {
		pyi_loader_error(l, source, "'%.*s' is not the name of a variable%s",
				 (int)(len > 200 ? 200 : len), text,
				 strchr(text, '=') && kind != PYI_ENV_SET ? " (use 'set' for a value)"
									  : "");
		return;
	}
	if (strlen(text) > PYI_ENV_TEXT_MAX || !pyi_utf8_is_valid(text, strlen(text))) {
		pyi_loader_error(l, source, "the value of '%.*s' is too long or not UTF-8",
				 (int)(len > 200 ? 200 : len), text);
		return;
	}
	rule.name = strndup(text, len);
	rule.value = equals ? strdup(equals + 1) : NULL;
	grown = rule.name && (!equals || rule.value)
			? pyi_loader_grow(l, p->env, p->n_env, sizeof(*p->env))
			: NULL;
	if (!grown) {
		l->nomem = true;
		free(rule.name);
		free(rule.value);
		return;
	}
	take_origin(l, source, &rule.from);
	p->env = grown;
	p->env[p->n_env++] = rule;
}

/* ------------------------------------------------------------------------------------------------------- imports */

void pyi_rule_add_import(struct pyi_loader *l, const struct pyi_source *source, const char *text)
{
	struct pyi_policy *p = l->policy;
	const char *dot = strchr(text, '.');
	char **grown;

	if (!has_room(l, source) || !is_clean(l, source, "the module's name", text))
		return;
	if (dot && dot != text) {
		pyi_loader_error(l, source,
				 "'%.200s': imports name top-level modules, did you mean '%.*s'?",
				 text, (int)(dot - text > 200 ? 200 : dot - text), text);
		return;
	}
	for (const char *c = text; *c; c++) {
		bool is_letter = (*c >= 'a' && *c <= 'z') || (*c >= 'A' && *c <= 'Z') || *c == '_';

		/* Python takes letters beyond ASCII as well; they are let through. */
		if (is_letter || (unsigned char)*c >= 0x80 || (c != text && *c >= '0' && *c <= '9'))
			continue;
		pyi_loader_error(l, source, "'%.200s' is not the name of a module", text);
		return;
	}
	for (size_t i = 0; i < p->n_imports; i++)
		if (strcmp(p->imports[i], text) == 0)
			return;
	grown = pyi_loader_grow(l, p->imports, p->n_imports, sizeof(*p->imports));
	if (!grown)
		return;
	p->imports = grown;
	p->imports[p->n_imports] = strdup(text);
	if (p->imports[p->n_imports])
		p->n_imports++;
	else
		l->nomem = true;
}

/* -------------------------------------------------------------------------------------------------------- limits */

static int parse_size_from(const char *text, uint64_t min, uint64_t *ret, struct pyi_err *err)
{
	uint64_t bytes = 0;
	int r = pyi_parse_size(text, &bytes, err);
	char buf[32];

	if (r)
		return r;
	if (bytes < min)
		return pyi_err_set(err, ERANGE, "'%.64s' is too small: at least %s%s", text,
				   pyi_format_size(min, buf),
				   min > 1 ? " (is a unit missing, as in '64MiB'?)" : "");
	*ret = bytes;
	return 0;
}

/* A size, with or without "/s". */
static int parse_rate(const char *text, uint64_t *ret, struct pyi_err *err)
{
	size_t len = strlen(text);
	char size[64];

	if (len > 2 && strcmp(text + len - 2, "/s") == 0)
		len -= 2;
	if (len >= sizeof(size))
		return pyi_err_set(err, EINVAL, "'%.64s' is no size", text);
	memcpy(size, text, len);
	size[len] = '\0';
	return parse_size_from(size, NET_RATE_MIN, ret, err);
}

static int parse_count(const char *text, uint64_t min, uint64_t max, uint32_t *ret, struct pyi_err *err)
{
	uint64_t v = 0;
	int r = pyi_parse_u64(text, min, max, &v, err);

	if (!r)
		*ret = (uint32_t)v;
	return r;
}

static int parse_node(const char *text, uint32_t *ret, struct pyi_err *err)
{
	uint32_t node = 0;
	int r = parse_count(text, 0, NODE_MAX, &node, err);

	if (!r)
		*ret = node + 1;
	return r;
}

static int parse_share(const char *text, uint32_t *ret, struct pyi_err *err)
{
	uint64_t ms;

	if (pyi_parse_duration(text, &ms, NULL) == 0)
		return pyi_err_set(
			err, EINVAL,
			"'%.64s' is a duration: cpu is a share such as '50%%', cpu_time the total",
			text);
	return pyi_parse_cpu(text, ret, err);
}

void pyi_rule_set_limit(struct pyi_loader *l, const struct pyi_source *source, const char *key,
			const char *text)
{
	struct pyi_limits *limits = &l->policy->limits;
	struct pyi_err err = { 0 };
	size_t i = 0;
	int r;

	if (strcmp(key, "memory") == 0)
		r = parse_size_from(text, MEMORY_MIN, &limits->memory_bytes, &err);
	else if (strcmp(key, "cpu") == 0)
		r = parse_share(text, &limits->cpu_permille, &err);
	else if (strcmp(key, "cpu_time") == 0)
		r = pyi_parse_duration(text, &limits->cpu_time_ms, &err);
	else if (strcmp(key, "wall_time") == 0)
		r = pyi_parse_duration(text, &limits->wall_time_ms, &err);
	else if (strcmp(key, "pids") == 0)
		r = parse_count(text, 1, PIDS_MAX, &limits->pids, &err);
	else if (strcmp(key, "open_files") == 0)
		r = parse_count(text, OPEN_FILES_MIN, OPEN_FILES_MAX, &limits->open_files, &err);
	else if (strcmp(key, "output") == 0)
		r = parse_size_from(text, 1, &limits->output_bytes, &err);
	else if (strcmp(key, "net_bytes") == 0)
		r = parse_size_from(text, 1, &limits->net_bytes, &err);
	else if (strcmp(key, "net_rate") == 0)
		r = parse_rate(text, &limits->net_rate, &err);
	else if (strcmp(key, "numa") == 0)
		r = parse_node(text, &limits->numa, &err);
	else
		r = parse_size_from(text, TMP_MIN, &limits->tmp_bytes, &err);
	if (r) {
		pyi_loader_error(l, source, "%s: %s", key, err.msg);
		return;
	}
	while (strcmp(key, pyi_limit_keys[i]) != 0)
		i++;
	free(l->policy->limit_from[i].file); /* of a parent */
	take_origin(l, source, &l->policy->limit_from[i]);
}
