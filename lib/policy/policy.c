/* SPDX-License-Identifier: MIT */
/* The policy's memory, and the errors, notes and conflicts that gather while one is read. */
#include "policy/policy.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/buf.h"
#include "base/util.h"
#include "policy/contract.h"
#include "policy/internal.h"

static void free_strings(char **v, size_t n)
{
	for (size_t i = 0; i < n; i++)
		free(v[i]);
	free(v);
}

void pyi_policy_free(struct pyi_policy *p)
{
	if (!p)
		return;
	for (size_t i = 0; i < p->n_fs; i++) {
		free(p->fs[i].path);
		free(p->fs[i].from.file);
	}
	for (size_t i = 0; i < p->n_net; i++) {
		free(p->net[i].host);
		free(p->net[i].text);
		free(p->net[i].from.file);
	}
	for (size_t i = 0; i < p->n_env; i++) {
		free(p->env[i].name);
		free(p->env[i].value);
		free(p->env[i].from.file);
	}
	for (size_t i = 0; i < PYI_N_LIMITS; i++)
		free(p->limit_from[i].file);
	free(p->fs);
	free(p->net);
	free(p->env);
	pyi_contract_set_free(p->contracts);
	pyi_policy_free(p->ceiling);
	free_strings(p->imports, p->n_imports);
	free_strings(p->notes, p->n_notes);
	free(p->name);
	free(p);
}

void pyi_policy_errors_release(struct pyi_policy_errors *errors)
{
	free_strings(errors->lines, errors->n);
	*errors = (struct pyi_policy_errors){ .lines = NULL };
}

/* Capacity is the next power of two, so it need not be kept anywhere. */
void *pyi_loader_grow(struct pyi_loader *l, void *array, size_t n, size_t size)
{
	void *grown;

	if (n & (n - 1) || (array && !n))
		return array;
	grown = reallocarray(array, n ? 2 * n : 1, size);
	if (!grown)
		l->nomem = true;
	return grown;
}

static char *make_line(const struct pyi_source *source, const char *fmt, va_list ap)
{
	_cleanup_free char *message = NULL;
	char *line = NULL;

	if (vasprintf(&message, fmt, ap) < 0) {
		message = NULL;
		return NULL;
	}
	if (!source->file)
		return pyi_take_ptr(message);
	if (source->line && source->column)
		return asprintf(&line, "%s:%u:%u: %s", source->file, source->line, source->column,
				message) < 0
			       ? NULL
			       : line;
	if (source->line)
		return asprintf(&line, "%s:%u: %s", source->file, source->line, message) < 0 ? NULL
											     : line;
	return asprintf(&line, "%s: %s", source->file, message) < 0 ? NULL : line;
}

static void add_line(struct pyi_loader *l, char ***v, size_t *n, char *line)
{
	char **grown = line ? pyi_loader_grow(l, *v, *n, sizeof(**v)) : NULL;

	if (!grown) {
		l->nomem = true;
		free(line);
		return;
	}
	*v = grown;
	(*v)[(*n)++] = line;
}

void pyi_loader_error(struct pyi_loader *l, const struct pyi_source *source, const char *fmt, ...)
{
	va_list ap;

	if (l->errors.n >= PYI_ERRORS_MAX) {
		if (l->errors.n == PYI_ERRORS_MAX)
			add_line(l, &l->errors.lines, &l->errors.n,
				 strdup("too many errors: the rest is not shown"));
		return;
	}
	va_start(ap, fmt);
	add_line(l, &l->errors.lines, &l->errors.n, make_line(source, fmt, ap));
	va_end(ap);
}

void pyi_loader_note(struct pyi_loader *l, const struct pyi_source *source, const char *fmt, ...)
{
	va_list ap;

	if (l->policy->n_notes >= PYI_ERRORS_MAX)
		return;
	va_start(ap, fmt);
	add_line(l, &l->policy->notes, &l->policy->n_notes, make_line(source, fmt, ap));
	va_end(ap);
}

/* ----------------------------------------------------------------------------------------------------- conflicts */

void pyi_loader_begin(struct pyi_loader *l)
{
	l->doc_fs = l->policy->n_fs;
	l->doc_net = l->policy->n_net;
	l->doc_env = l->policy->n_env;
}

static void print_place(const struct pyi_origin *from, struct pyi_buf *out)
{
	pyi_buf_puts(out, from->file);
	if (from->line)
		pyi_buf_printf(out, ":%u", from->line);
}

static void conflict(struct pyi_loader *l, const char *what, const struct pyi_origin *deny,
		     const struct pyi_origin *allow)
{
	struct pyi_source source = { .file = deny->file, .line = deny->line };
	_cleanup_buf struct pyi_buf place = PYI_BUF_INIT;

	print_place(allow, &place);
	pyi_loader_error(l, &source, "'%.200s' is both allowed (%s) and denied", what,
			 pyi_buf_str(&place));
}

static int compare_fs(const void *a, const void *b)
{
	const struct pyi_fs_rule *x = *(const struct pyi_fs_rule *const *)a;
	const struct pyi_fs_rule *y = *(const struct pyi_fs_rule *const *)b;
	int order = strcmp(x->path, y->path);

	return order ? order : (x > y) - (x < y);
}

static int compare_target(const struct pyi_net_rule *x, const struct pyi_net_rule *y)
{
	int order = (x->host != NULL) - (y->host != NULL);

	if (!order)
		order = x->host ? strcmp(x->host, y->host) : memcmp(x->addr, y->addr, sizeof(x->addr));
	if (!order)
		order = x->prefix_len - y->prefix_len;
	if (!order)
		order = x->port_min - y->port_min;
	return order ? order : x->port_max - y->port_max;
}

static int compare_net(const void *a, const void *b)
{
	const struct pyi_net_rule *x = *(const struct pyi_net_rule *const *)a;
	const struct pyi_net_rule *y = *(const struct pyi_net_rule *const *)b;
	int order = compare_target(x, y);

	return order ? order : (x > y) - (x < y);
}

static int compare_env(const void *a, const void *b)
{
	const struct pyi_env_rule *x = *(const struct pyi_env_rule *const *)a;
	const struct pyi_env_rule *y = *(const struct pyi_env_rule *const *)b;
	int order = strcmp(x->name, y->name);

	return order ? order : (x > y) - (x < y);
}

/* Pointers to the elements [begin, end) of an array, sorted. */
static void *sorted(struct pyi_loader *l, const void *array, size_t begin, size_t end, size_t size,
		    int (*compare)(const void *, const void *))
{
	const void **v = reallocarray(NULL, end - begin + 1, sizeof(*v));

	if (!v) {
		l->nomem = true;
		return NULL;
	}
	for (size_t i = begin; i < end; i++)
		v[i - begin] = (const char *)array + i * size;
	qsort(v, end - begin, sizeof(*v), compare);
	return v;
}

/*
 * Of a run of rules about one path, each bit that is denied may not be allowed as well. One error for a run is enough.
 */
static void check_fs(struct pyi_loader *l)
{
	size_t n = l->policy->n_fs - l->doc_fs, end;
	_cleanup_free const struct pyi_fs_rule **v = sorted(
		l, l->policy->fs, l->doc_fs, l->policy->n_fs, sizeof(l->policy->fs[0]), compare_fs);

	for (size_t i = 0; v && i < n; i = end) {
		const struct pyi_fs_rule *deny = NULL, *allow = NULL;

		for (end = i; end < n && strcmp(v[end]->path, v[i]->path) == 0; end++) {
			/* Exec's own deny leaves what is only read or written alone. */
			bool is_deny = v[end]->verdict == PYI_DENY;

			if (is_deny &&
			    (!deny || (deny->access & PYI_EXEC && !(deny->access & PYI_READ))))
				deny = v[end];
		}
		for (size_t k = i; k < end && deny; k++) {
			unsigned int own = v[k]->access & (PYI_WRITE | PYI_EXEC);

			if (v[k]->verdict == PYI_ALLOW && !allow && (own ? own : PYI_READ) & deny->access)
				allow = v[k];
		}
		if (deny && allow)
			conflict(l, deny->path, &deny->from, &allow->from);
	}
}

static void check_net(struct pyi_loader *l)
{
	size_t n = l->policy->n_net - l->doc_net, end;
	_cleanup_free const struct pyi_net_rule **v = sorted(l, l->policy->net, l->doc_net,
							     l->policy->n_net,
							     sizeof(l->policy->net[0]), compare_net);

	for (size_t i = 0; v && i < n; i = end) {
		unsigned int denied = 0;
		const struct pyi_net_rule *deny = NULL;

		for (end = i; end < n && compare_target(v[end], v[i]) == 0; end++) {
			if (v[end]->verdict != PYI_DENY)
				continue;
			deny = v[end];
			denied |= deny->protos;
		}
		for (size_t k = i; k < end && deny; k++) {
			if (v[k]->verdict != PYI_ALLOW || !(v[k]->protos & denied))
				continue;
			conflict(l, v[k]->text, &deny->from, &v[k]->from);
			break;
		}
	}
}

static void check_env(struct pyi_loader *l)
{
	size_t n = l->policy->n_env - l->doc_env, end;
	_cleanup_free const struct pyi_env_rule **v = sorted(l, l->policy->env, l->doc_env,
							     l->policy->n_env,
							     sizeof(l->policy->env[0]), compare_env);

	for (size_t i = 0; v && i < n; i = end) {
		const struct pyi_env_rule *deny = NULL, *allow = NULL;

		for (end = i; end < n && strcmp(v[end]->name, v[i]->name) == 0; end++) {
			if (v[end]->kind == PYI_ENV_DENY)
				deny = v[end];
			else if (v[end]->kind != PYI_ENV_WARN)
				allow = v[end];
		}
		if (deny && allow)
			conflict(l, deny->name, &deny->from, &allow->from);
	}
}

void pyi_loader_end(struct pyi_loader *l)
{
	if (l->nomem)
		return; /* a rule may lack its origin */
	check_fs(l);
	check_net(l);
	check_env(l);
}
