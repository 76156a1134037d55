/* SPDX-License-Identifier: MIT */
/* See diff.h. Each section becomes a sorted list of canonical texts; two lists are walked side by side. */
#include "policy/diff.h"

#include <errno.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/err.h"
#include "base/parse.h"
#include "base/util.h"
#include "policy/contract.h"
#include "policy/internal.h"
#include "policy/limits.h"

struct item {
	char *text; /* owned */
	const struct pyi_origin *from;
};

struct list {
	struct item *v;
	size_t n;
	bool failed;
};

struct walk {
	enum pyi_section section;
	int (*fn)(const struct pyi_change *change, void *arg);
	void *arg;
};

const char *pyi_section_name(enum pyi_section section)
{
	static const char *const names[] = {
		[PYI_SECTION_ON_VIOLATION] = "on_violation",
		[PYI_SECTION_FS] = "fs",
		[PYI_SECTION_NET] = "net",
		[PYI_SECTION_ENV] = "env",
		[PYI_SECTION_IMPORTS] = "imports",
		[PYI_SECTION_CONTRACTS] = "contracts",
		[PYI_SECTION_LIMITS] = "limits",
		[PYI_SECTION_CEILING] = "ceiling",
	};

	return names[section];
}

static void release_list(struct list *list)
{
	for (size_t i = 0; i < list->n; i++)
		free(list->v[i].text);
	free(list->v);
}

/* Takes the buffer's content. */
static void add(struct list *list, struct pyi_buf *text, const struct pyi_origin *from)
{
	char *taken = pyi_buf_take(text);

	if (!taken || !list->v) {
		list->failed = true;
		free(taken);
		return;
	}
	list->v[list->n++] = (struct item){ taken, from };
}

static void add_fs(struct list *list, const struct pyi_fs_rule *rule)
{
	_cleanup_buf struct pyi_buf text = PYI_BUF_INIT;

	pyi_buf_printf(&text, "%s %s", pyi_fs_rule_key(rule), rule->path);
	if (rule->verdict != PYI_ALLOW && rule->access == PYI_EXEC)
		pyi_buf_puts(&text, " (exec)");
	add(list, &text, &rule->from);
}

static void add_net(struct list *list, const struct pyi_net_rule *rule)
{
	_cleanup_buf struct pyi_buf text = PYI_BUF_INIT;

	pyi_buf_printf(&text, "%s ", pyi_net_rule_key(rule));
	pyi_address_print(rule, &text);
	add(list, &text, &rule->from);
}

static void add_env(struct list *list, const struct pyi_env_rule *rule)
{
	_cleanup_buf struct pyi_buf text = PYI_BUF_INIT;

	pyi_buf_printf(&text, "%s %s", pyi_env_rule_key(rule), rule->name);
	if (rule->kind == PYI_ENV_SET)
		pyi_buf_printf(&text, "=%s", rule->value);
	add(list, &text, &rule->from);
}

static void add_limit(struct list *list, const struct pyi_policy *p, size_t i)
{
	_cleanup_buf struct pyi_buf text = PYI_BUF_INIT;
	uint64_t value = pyi_limit_value(&pyi_limits_table[i], &p->limits);
	char buf[32];

	if (!value)
		return;
	pyi_buf_printf(&text, "%s %s", pyi_limit_keys[i],
		       pyi_limit_format(&pyi_limits_table[i], value, buf));
	add(list, &text, &p->limit_from[i]);
}

static void add_text(struct list *list, const char *text, const struct pyi_origin *from)
{
	_cleanup_buf struct pyi_buf copy = PYI_BUF_INIT;

	pyi_buf_puts(&copy, text);
	add(list, &copy, from);
}

static size_t count(const struct pyi_policy *p, enum pyi_section section)
{
	switch (section) {
	case PYI_SECTION_FS:
		return p->n_fs;
	case PYI_SECTION_NET:
		return p->n_net;
	case PYI_SECTION_ENV:
		return p->n_env;
	case PYI_SECTION_IMPORTS:
		return p->n_imports + 1;
	case PYI_SECTION_CONTRACTS:
		return p->contracts ? p->contracts->n : 0;
	case PYI_SECTION_CEILING:
		return p->ceiling ? p->ceiling->n_fs + p->ceiling->n_net + PYI_N_LIMITS : 0;
	default:
		return 1;
	}
}

static int compare(const void *a, const void *b)
{
	return strcmp(((const struct item *)a)->text, ((const struct item *)b)->text);
}

static void make_list(const struct pyi_policy *p, enum pyi_section section, struct list *list)
{
	static const char *const violations[] = { "errno", "kill", "panic" };
	size_t n = count(p, section);

	list->v = calloc(n + 1, sizeof(*list->v));
	if (section == PYI_SECTION_ON_VIOLATION)
		add_text(list, violations[p->on_violation], NULL);
	else if (section == PYI_SECTION_IMPORTS && !p->has_imports)
		add_text(list, "all of the standard library", NULL);
	for (size_t i = 0; i < n; i++) {
		if (section == PYI_SECTION_FS)
			add_fs(list, &p->fs[i]);
		else if (section == PYI_SECTION_NET)
			add_net(list, &p->net[i]);
		else if (section == PYI_SECTION_ENV)
			add_env(list, &p->env[i]);
		else if (section == PYI_SECTION_IMPORTS && i < p->n_imports)
			add_text(list, p->imports[i], NULL);
		else if (section == PYI_SECTION_CONTRACTS)
			add_text(list, p->contracts->v[i].text, &p->contracts->v[i].from);
		else if (section == PYI_SECTION_CEILING && i < p->ceiling->n_fs)
			add_fs(list, &p->ceiling->fs[i]);
		else if (section == PYI_SECTION_CEILING && i < p->ceiling->n_fs + p->ceiling->n_net)
			add_net(list, &p->ceiling->net[i - p->ceiling->n_fs]);
		else if (section == PYI_SECTION_CEILING)
			add_limit(list, p->ceiling, i - p->ceiling->n_fs - p->ceiling->n_net);
	}
	list->failed = list->failed || !list->v;
	if (!list->failed)
		qsort(list->v, list->n, sizeof(*list->v), compare);
}

static int tell(const struct walk *walk, char sign, const struct item *item)
{
	struct pyi_change change = {
		.section = walk->section,
		.sign = sign,
		.text = item->text,
		.from = item->from,
	};

	return walk->fn(&change, walk->arg);
}

/* A rule that one of them has twice is the same as one. */
static size_t next_of(const struct list *list, size_t i)
{
	size_t k = i + 1;

	while (k < list->n && strcmp(list->v[k].text, list->v[i].text) == 0)
		k++;
	return k;
}

static int walk_lists(const struct walk *walk, const struct list *from, const struct list *to)
{
	size_t i = 0, k = 0;
	int ret = 0;

	while (ret == 0 && (i < from->n || k < to->n)) {
		int order = i == from->n ? 1 : k == to->n ? -1 : compare(&from->v[i], &to->v[k]);

		if (order < 0)
			ret = tell(walk, '-', &from->v[i]);
		else if (order > 0)
			ret = tell(walk, '+', &to->v[k]);
		if (order <= 0)
			i = next_of(from, i);
		if (order >= 0)
			k = next_of(to, k);
	}
	return ret;
}

static int diff_section(const struct walk *walk, const struct pyi_policy *from,
			const struct pyi_policy *to, struct pyi_err *err)
{
	__attribute__((cleanup(release_list))) struct list a = { 0 }, b = { 0 };

	make_list(from, walk->section, &a);
	make_list(to, walk->section, &b);
	return a.failed || b.failed ? pyi_err_nomem(err) : walk_lists(walk, &a, &b);
}

/* ------------------------------------------------------------------------------------------------------- limits */

static int diff_limits(const struct walk *walk, const struct pyi_limits *from,
		       const struct pyi_limits *to)
{
	int ret = 0;

	for (size_t i = 0; i < PYI_N_LIMITS && ret == 0; i++) {
		const struct pyi_limit *limit = &pyi_limits_table[i];
		uint64_t a = pyi_limit_value(limit, from), b = pyi_limit_value(limit, to);
		struct pyi_change change = { .section = walk->section, .sign = '~', .key = limit->key };
		char was[32], is[32], text[128];

		if (a == b)
			continue;
		snprintf(text, sizeof(text), "%s %s -> %s", limit->key,
			 pyi_limit_format(limit, a, was), pyi_limit_format(limit, b, is));
		change.text = text;
		ret = walk->fn(&change, walk->arg);
	}
	return ret;
}

int pyi_policy_diff(const struct pyi_policy *from, const struct pyi_policy *to,
		    int (*fn)(const struct pyi_change *change, void *arg), void *arg,
		    struct pyi_err *err)
{
	int ret = 0;

	for (int i = 0; i < PYI_SECTION_LIMITS && ret == 0; i++) {
		struct walk walk = { (enum pyi_section)i, fn, arg };

		ret = diff_section(&walk, from, to, err);
	}
	if (ret == 0) {
		struct walk walk = { PYI_SECTION_LIMITS, fn, arg };

		ret = diff_limits(&walk, &from->limits, &to->limits);
	}
	return ret;
}

void pyi_change_print(const struct pyi_change *change, struct pyi_buf *out)
{
	pyi_buf_printf(out, "%c %s: ", change->sign, pyi_section_name(change->section));
	pyi_buf_printable(out, change->text);
	if (change->from) {
		pyi_buf_puts(out, "  (");
		pyi_buf_printable(out, change->from->file);
		if (change->from->line)
			pyi_buf_printf(out, ":%u", change->from->line);
		pyi_buf_putc(out, ')');
	}
	pyi_buf_putc(out, '\n');
}
