/* SPDX-License-Identifier: MIT */
/*
 * `contracts:` of a policy: each text becomes a tree, is checked, printed in its normal form and compiled behind those
 * that are there. Errors name the column in the document where the text stands there as it is, which it does unless it
 * is folded over lines or has escapes.
 */
#include "policy/contract.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/buf.h"
#include "base/err.h"
#include "base/util.h"
#include "policy/contract_tree.h"
#include "policy/internal.h"

enum { EXCERPT_MAX = 40 }; /* bytes of the text in a message */

static void free_pattern(struct pyi_contract_pattern *p)
{
	free(p->text);
	free(p->net.host);
	*p = (struct pyi_contract_pattern){ .text = NULL };
}

void pyi_contract_set_free(struct pyi_contract_set *set)
{
	if (!set)
		return;
	for (size_t i = 0; i < set->n; i++) {
		free(set->v[i].text);
		free(set->v[i].from.file);
	}
	for (size_t i = 0; i < set->n_patterns; i++)
		free_pattern(&set->patterns[i]);
	free(set->v);
	free(set);
}

/* The part of the text that begins here, cut at a character, not inside one. */
static size_t excerpt_length(const char *text)
{
	size_t n = strnlen(text, EXCERPT_MAX + 1);

	if (n <= EXCERPT_MAX)
		return n;
	for (n = EXCERPT_MAX; n && ((unsigned char)text[n] & 0xc0) == 0x80;)
		n--;
	return n;
}

/* "p.yml:5:12: contract: MESSAGE, at 'net.conects <= 3'" */
static void report(struct pyi_loader *l, const struct pyi_source *source, const char *text,
		   size_t offset, const char *msg)
{
	struct pyi_source at = *source;
	const char *rest = text + offset;
	char excerpt[EXCERPT_MAX + 1];
	size_t n = excerpt_length(rest);

	/* A message is one line, whatever the text is folded over. */
	for (size_t i = 0; i < n; i++)
		excerpt[i] = (unsigned char)rest[i] < 0x20 || rest[i] == 0x7f ? ' ' : rest[i];
	excerpt[n] = '\0';

	if (at.column)
		for (size_t i = 0; i < offset; i++)
			at.column += ((unsigned char)text[i] & 0xc0) != 0x80;
	if (n)
		pyi_loader_error(l, &at, "contract: %s, at '%s'", msg, excerpt);
	else
		pyi_loader_error(l, &at, "contract: %s, at the end", msg);
}

/* An address of a counter, in its normal form. */
static int make_address(const char *text, struct pyi_contract_pattern *pattern, struct pyi_err *err)
{
	_cleanup_buf struct pyi_buf out = PYI_BUF_INIT;
	int r = pyi_address_parse(text, false, true, &pattern->net, err);

	if (r)
		return r;
	if (pattern->net.host)
		return pyi_err_set(err, EINVAL,
				   "'%.100s' is a name: connections are counted by address or prefix",
				   text);
	/* As in a deny rule, no scheme means both. */
	pattern->net.verdict = PYI_DENY;
	if (!pattern->net.protos)
		pattern->net.protos = PYI_NET_TCP | PYI_NET_UDP;
	pyi_address_print(&pattern->net, &out);
	pattern->text = pyi_buf_take(&out);
	return pattern->text ? 0 : pyi_err_nomem(err);
}

/* The slot of a pattern, a new one if no other contract has it; -1 after an error. */
static int find_slot(struct pyi_loader *l, const struct pyi_source *source, const char *text,
		     const struct pyi_contract_string *string, struct pyi_contract_set *set)
{
	struct pyi_contract_pattern pattern = { .event = string->event };
	struct pyi_err err = { 0 };

	pattern.is_path = pyi_contract_field_at(string->event)->takes_path;
	if (pattern.is_path) {
		pattern.text = pyi_rule_path(l, source, string->text, &pattern.is_glob);
		if (!pattern.text)
			return -1;
	} else if (make_address(string->text, &pattern, &err)) {
		l->nomem = l->nomem || err.errnum == ENOMEM;
		report(l, source, text, string->offset, err.msg);
		free_pattern(&pattern);
		return -1;
	}
	for (size_t i = 0; i < set->n_patterns; i++) {
		if (set->patterns[i].event != pattern.event ||
		    strcmp(set->patterns[i].text, pattern.text) != 0)
			continue;
		free_pattern(&pattern);
		return (int)i;
	}
	if (strchr(pattern.text, '"') && strchr(pattern.text, '\'')) {
		report(l, source, text, string->offset, "a pattern cannot hold both kinds of quotes");
		free_pattern(&pattern);
		return -1;
	}
	if (set->n_patterns == PYI_CONTRACT_SLOTS) {
		report(l, source, text, string->offset,
		       "the contracts of this policy have more than 16 patterns");
		free_pattern(&pattern);
		return -1;
	}
	set->patterns[set->n_patterns] = pattern;
	return (int)set->n_patterns++;
}

/* Give the tree's patterns their slots. */
static bool take_patterns(struct pyi_loader *l, const struct pyi_source *source, const char *text,
			  struct pyi_contract_tree *tree, const char **ret_texts)
{
	struct pyi_contract_set *set = l->policy->contracts;
	uint8_t slots[PYI_CONTRACT_SLOTS];

	for (size_t i = 0; i < tree->n_patterns; i++) {
		int slot = find_slot(l, source, text, &tree->patterns[i], set);

		if (slot < 0)
			return false;
		slots[i] = (uint8_t)slot;
		ret_texts[i] = set->patterns[slot].text;
	}
	for (uint16_t i = 0; i < tree->n; i++)
		if (tree->v[i].pattern)
			tree->v[i].field = (uint8_t)(PYI_VALUE_SLOTS + slots[tree->v[i].pattern - 1]);
	return true;
}

static bool is_known(const struct pyi_contract_set *set, const char *text)
{
	for (size_t i = 0; i < set->n; i++)
		if (strcmp(set->v[i].text, text) == 0)
			return true;
	return false;
}

/* Behind the others, unless it is one of them. */
static void append(struct pyi_loader *l, const struct pyi_source *source,
		   const struct pyi_contract_tree *tree, const char *text, const char *const *patterns)
{
	struct pyi_contract_set *set = l->policy->contracts;
	struct pyi_contract contract = { .events = pyi_contract_events(tree) };
	_cleanup_buf struct pyi_buf out = PYI_BUF_INIT;
	size_t size = pyi_contract_size(tree);
	struct pyi_contract *grown;
	char msg[128];

	pyi_contract_print(tree, patterns, &out);
	if (out.failed || is_known(set, pyi_buf_str(&out))) {
		l->nomem = l->nomem || out.failed;
		return;
	}
	if (set->n_ops + size > PYI_CONTRACT_OPS) {
		snprintf(msg, sizeof(msg), "this takes %zu of %d operations and %zu are left for it",
			 size, PYI_CONTRACT_OPS, PYI_CONTRACT_OPS - set->n_ops);
		report(l, source, text, 0, msg);
		return;
	}
	grown = pyi_loader_grow(l, set->v, set->n, sizeof(*set->v));
	if (!grown)
		return;
	set->v = grown;
	contract.text = pyi_buf_take(&out);
	contract.from.file = strdup(source->file);
	contract.from.line = source->line;
	contract.from.is_template = source->is_template;
	l->nomem = l->nomem || !contract.text || !contract.from.file;
	pyi_contract_compile(tree, (uint8_t)set->n, contract.events, set->ops, set->n_ops);
	set->n_ops += size;
	set->v[set->n++] = contract;
}

void pyi_rule_add_contract(struct pyi_loader *l, const struct pyi_source *source, const char *text)
{
	_cleanup_free struct pyi_contract_tree *tree = calloc(1, sizeof(*tree));
	const char *patterns[PYI_CONTRACT_SLOTS];
	struct pyi_contract_error error = { .offset = 0 };
	int r;

	if (!l->policy->contracts)
		l->policy->contracts = calloc(1, sizeof(*l->policy->contracts));
	if (!tree || !l->policy->contracts) {
		l->nomem = true;
		return;
	}
	r = pyi_contract_parse(text, tree, &error);
	if (!r)
		r = pyi_contract_check(tree, &error);
	if (r == -EINVAL)
		report(l, source, text, error.offset, error.msg);
	else if (r)
		l->nomem = true;
	else if (take_patterns(l, source, text, tree, patterns))
		append(l, source, tree, text, patterns);
	pyi_contract_tree_release(tree);
}
