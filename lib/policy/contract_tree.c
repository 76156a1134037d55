/* SPDX-License-Identifier: MIT */
/*
 * What a contract's tree means: its value (straight from the tree, with 128-bit numbers), the events it speaks of, each
 * comparison as a sum, and the text it is printed as.
 */
#include "policy/contract_tree.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/buf.h"
#include "base/parse.h"
#include "policy/contract.h"

static __int128 value_of(const struct pyi_contract_tree *t, uint16_t i, const int64_t *values)
{
	const struct pyi_contract_node *n = &t->v[i];
	int64_t value;

	switch (n->kind) {
	case PYI_CONTRACT_NUMBER:
		return n->number;
	case PYI_CONTRACT_FIELD:
		value = values[n->field];
		return value < PYI_CONTRACT_VALUE_MAX ? value : PYI_CONTRACT_VALUE_MAX;
	case PYI_CONTRACT_ADD:
		return value_of(t, n->a, values) + value_of(t, n->b, values);
	case PYI_CONTRACT_SUB:
		return value_of(t, n->a, values) - value_of(t, n->b, values);
	default:
		return value_of(t, n->a, values) * value_of(t, n->b, values);
	}
}

static bool is_true(const struct pyi_contract_tree *t, uint16_t i, const int64_t *values)
{
	const struct pyi_contract_node *n = &t->v[i];
	__int128 a, b;

	if (n->kind == PYI_CONTRACT_NOT)
		return !is_true(t, n->a, values);
	if (n->kind == PYI_CONTRACT_AND)
		return is_true(t, n->a, values) && is_true(t, n->b, values);
	if (n->kind == PYI_CONTRACT_OR)
		return is_true(t, n->a, values) || is_true(t, n->b, values);
	a = value_of(t, n->a, values);
	b = value_of(t, n->b, values);
	switch (n->kind) {
	case PYI_CONTRACT_LT:
		return a < b;
	case PYI_CONTRACT_LE:
		return a <= b;
	case PYI_CONTRACT_GT:
		return a > b;
	case PYI_CONTRACT_GE:
		return a >= b;
	case PYI_CONTRACT_EQ:
		return a == b;
	default:
		return a != b;
	}
}

bool pyi_contract_holds(const struct pyi_contract_tree *tree, const int64_t values[PYI_VALUES])
{
	return is_true(tree, tree->root, values);
}

uint32_t pyi_contract_events(const struct pyi_contract_tree *tree)
{
	uint32_t events = 0;

	for (uint16_t i = 0; i < tree->n; i++) {
		const struct pyi_contract_node *n = &tree->v[i];
		unsigned int field = n->pattern ? tree->patterns[n->pattern - 1].event : n->field;

		if (n->kind == PYI_CONTRACT_FIELD)
			events |= pyi_contract_field_at(field)->events;
	}
	return events;
}

/* ---------------------------------------------------------------------------------------------------------- sums */

/* Add `factor` times the node; false when a number leaves its range or two values are multiplied. */
static bool gather(const struct pyi_contract_tree *t, uint16_t i, int64_t factor,
		   struct pyi_contract_sum *sum)
{
	const struct pyi_contract_node *n = &t->v[i];
	static const int64_t none[PYI_VALUES];
	struct pyi_contract_sum part;
	__int128 number;
	uint16_t value;
	int64_t product;

	switch (n->kind) {
	case PYI_CONTRACT_NUMBER:
		return !__builtin_mul_overflow(n->number, factor, &product) &&
		       !__builtin_add_overflow(sum->constant, product, &sum->constant);
	case PYI_CONTRACT_FIELD:
		return !__builtin_add_overflow(sum->coef[n->field], factor, &sum->coef[n->field]);
	case PYI_CONTRACT_ADD:
		return gather(t, n->a, factor, sum) && gather(t, n->b, factor, sum);
	case PYI_CONTRACT_SUB:
		return gather(t, n->a, factor, sum) &&
		       !__builtin_mul_overflow(factor, (int64_t)-1, &product) &&
		       gather(t, n->b, product, sum);
	default:
		break;
	}
	/* One side of a product is a number: see is_constant() in contract_check.c. */
	memset(&part, 0, sizeof(part));
	if (!gather(t, n->a, 1, &part))
		return false;
	value = memcmp(part.coef, none, sizeof(none)) == 0 ? n->b : n->a;
	number = value_of(t, value == n->b ? n->a : n->b, none);
	if (number > INT64_MAX || number < INT64_MIN)
		return false;
	return !__builtin_mul_overflow(factor, (int64_t)number, &product) &&
	       gather(t, value, product, sum);
}

bool pyi_contract_sum(const struct pyi_contract_tree *tree, uint16_t comparison,
		      struct pyi_contract_sum *ret)
{
	memset(ret, 0, sizeof(*ret));
	return gather(tree, tree->v[comparison].a, 1, ret) &&
	       gather(tree, tree->v[comparison].b, -1, ret);
}

/* ---------------------------------------------------------------------------------------------------------- text */

/* How tightly a kind binds; what binds less stands in parentheses. */
static int binding(uint8_t kind)
{
	switch (kind) {
	case PYI_CONTRACT_OR:
		return 1;
	case PYI_CONTRACT_AND:
		return 2;
	case PYI_CONTRACT_NOT:
		return 3;
	case PYI_CONTRACT_ADD:
	case PYI_CONTRACT_SUB:
		return 5;
	case PYI_CONTRACT_MUL:
		return 6;
	case PYI_CONTRACT_NUMBER:
	case PYI_CONTRACT_FIELD:
		return 7;
	default:
		return 4;
	}
}

static void print_number(const struct pyi_contract_node *n, struct pyi_buf *out)
{
	char text[32];

	if (n->unit == PYI_UNIT_BYTES) {
		pyi_format_size((uint64_t)n->number, text);
		pyi_buf_printf(out, "%s%s", text, strchr(text, 'B') ? "" : "B");
	} else if (n->unit == PYI_UNIT_TIME) {
		pyi_buf_puts(out, pyi_format_duration((uint64_t)n->number, text));
	} else {
		pyi_buf_printf(out, "%" PRId64, n->number);
	}
}

static void print_counter(const struct pyi_contract_tree *t, const struct pyi_contract_node *n,
			  const char *const *patterns, struct pyi_buf *out)
{
	const char *text;

	if (!n->pattern) {
		pyi_buf_puts(out, pyi_contract_field_name(n->field));
		return;
	}
	text = patterns[n->pattern - 1];
	pyi_buf_puts(out, pyi_contract_field_name(t->patterns[n->pattern - 1].event));
	pyi_buf_printf(out, strchr(text, '"') ? "('%s')" : "(\"%s\")", text);
}

static void print_node(const struct pyi_contract_tree *t, uint16_t i, int least,
		       const char *const *patterns, struct pyi_buf *out)
{
	static const char *const signs[] = {
		[PYI_CONTRACT_ADD] = "+",   [PYI_CONTRACT_SUB] = "-", [PYI_CONTRACT_MUL] = "*",
		[PYI_CONTRACT_LT] = "<",    [PYI_CONTRACT_LE] = "<=", [PYI_CONTRACT_GT] = ">",
		[PYI_CONTRACT_GE] = ">=",   [PYI_CONTRACT_EQ] = "==", [PYI_CONTRACT_NE] = "!=",
		[PYI_CONTRACT_AND] = "and", [PYI_CONTRACT_OR] = "or",
	};
	const struct pyi_contract_node *n = &t->v[i];
	int own = binding(n->kind);

	if (own < least)
		pyi_buf_putc(out, '(');
	if (n->kind == PYI_CONTRACT_NUMBER) {
		print_number(n, out);
	} else if (n->kind == PYI_CONTRACT_FIELD) {
		print_counter(t, n, patterns, out);
	} else if (n->kind == PYI_CONTRACT_NOT) {
		pyi_buf_puts(out, "not ");
		print_node(t, n->a, own, patterns, out);
	} else {
		/* Signs of one strength are read from the left; comparisons do not chain. */
		print_node(t, n->a, own == 4 ? own + 1 : own, patterns, out);
		pyi_buf_printf(out, " %s ", signs[n->kind]);
		print_node(t, n->b, own + 1, patterns, out);
	}
	if (own < least)
		pyi_buf_putc(out, ')');
}

void pyi_contract_print(const struct pyi_contract_tree *tree, const char *const *patterns,
			struct pyi_buf *out)
{
	print_node(tree, tree->root, 0, patterns, out);
}
