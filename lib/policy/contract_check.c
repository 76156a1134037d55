/* SPDX-License-Identifier: MIT */
/*
 * Is a contract's tree sound? Kinds and units first, then the range of every number (a value is from 0 to 2^48, so
 * that the programs can count in 64 bits and never overflow), then sense: a comparison that cannot be false or cannot
 * be true, a contract that nothing can break, and one that does not hold before anything has happened are mistakes.
 */
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "policy/contract.h"
#include "policy/contract_tree.h"

enum {
	POINTS_MAX = 64,     /* of one value */
	CHOICES_MAX = 16384, /* of all of them together; beyond that nothing is said about the whole */
	VALUES_MAX = 6,
};

/* No number inside a contract is larger, either way: two of them still fit a register. */
#define NUMBER_MAX ((__int128)1 << 60)

struct range {
	__int128 low, high;
};

struct check {
	const struct pyi_contract_tree *tree;
	struct pyi_contract_error *error;
	bool failed;
};

static void wrong(struct check *c, uint16_t node, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));

static void wrong(struct check *c, uint16_t node, const char *fmt, ...)
{
	va_list args;

	if (c->failed)
		return;
	c->failed = true;
	c->error->offset = c->tree->v[node].offset;
	va_start(args, fmt);
	vsnprintf(c->error->msg, sizeof(c->error->msg), fmt, args);
	va_end(args);
}

static bool is_comparison(const struct pyi_contract_node *n)
{
	return n->kind >= PYI_CONTRACT_LT && n->kind <= PYI_CONTRACT_NE;
}

static bool is_number(const struct pyi_contract_node *n)
{
	return n->kind <= PYI_CONTRACT_MUL;
}

/* -------------------------------------------------------------------------------------------------- kinds and units */

static const char *unit_name(enum pyi_contract_unit unit)
{
	static const char *const names[] = { "a count", "bytes", "a time" };

	return names[unit];
}

/* What the value of a number is; 0 as written fits every unit (*ret_any). */
static enum pyi_contract_unit unit_of(struct check *c, uint16_t i, bool *ret_any);

/* Both sides in one unit; names the number to write with a unit where there is one. */
static enum pyi_contract_unit common_unit(struct check *c, uint16_t i, bool *ret_any)
{
	const struct pyi_contract_node *n = &c->tree->v[i], *plain;
	bool any_a = false, any_b = false;
	enum pyi_contract_unit a = unit_of(c, n->a, &any_a), b = unit_of(c, n->b, &any_b);

	*ret_any = any_a && any_b;
	if (a == b || any_a || any_b)
		return any_a ? b : a;
	plain = a == PYI_UNIT_COUNT ? &c->tree->v[n->a] : &c->tree->v[n->b];
	if ((a == PYI_UNIT_COUNT || b == PYI_UNIT_COUNT) && plain->kind == PYI_CONTRACT_NUMBER)
		wrong(c, a == PYI_UNIT_COUNT ? n->a : n->b, "the unit is missing: '%lld%s'?",
		      (long long)plain->number, a == PYI_UNIT_TIME || b == PYI_UNIT_TIME ? "s" : "KiB");
	else
		wrong(c, i, "%s and %s do not go together", unit_name(a), unit_name(b));
	return a;
}

static bool is_constant(const struct pyi_contract_tree *t, uint16_t i)
{
	const struct pyi_contract_node *n = &t->v[i];

	if (n->kind == PYI_CONTRACT_FIELD)
		return false;
	return n->kind == PYI_CONTRACT_NUMBER || (is_constant(t, n->a) && is_constant(t, n->b));
}

static enum pyi_contract_unit unit_of(struct check *c, uint16_t i, bool *ret_any)
{
	const struct pyi_contract_node *n = &c->tree->v[i];
	enum pyi_contract_unit a, b;
	unsigned int field;
	bool any = false;

	*ret_any = false;
	switch (n->kind) {
	case PYI_CONTRACT_NUMBER:
		*ret_any = n->number == 0 && n->unit == PYI_UNIT_COUNT;
		return n->unit;
	case PYI_CONTRACT_FIELD:
		field = n->pattern ? c->tree->patterns[n->pattern - 1].event : n->field;
		return pyi_contract_field_at(field)->unit;
	case PYI_CONTRACT_MUL:
		a = unit_of(c, n->a, &any);
		b = unit_of(c, n->b, &any);
		if (a != PYI_UNIT_COUNT && b != PYI_UNIT_COUNT)
			wrong(c, i, "%s times %s is nothing to compare", unit_name(a), unit_name(b));
		if (!is_constant(c->tree, n->a) && !is_constant(c->tree, n->b))
			wrong(c, i, "two counters are not multiplied: one side of '*' is a number");
		return a == PYI_UNIT_COUNT ? b : a;
	default:
		return common_unit(c, i, ret_any);
	}
}

static void check_kinds(struct check *c, uint16_t i, bool wants_number)
{
	const struct pyi_contract_node *n = &c->tree->v[i];

	if (c->failed)
		return;
	if (wants_number && !is_number(n)) {
		wrong(c, i, "this is true or false, and a number is needed here");
		return;
	}
	if (!wants_number && is_number(n)) {
		wrong(c, i, "this is a number: compare it with something, as in '... <= 3'");
		return;
	}
	if (n->kind == PYI_CONTRACT_NUMBER || n->kind == PYI_CONTRACT_FIELD)
		return;
	wants_number = is_number(n) || is_comparison(n);
	check_kinds(c, n->a, wants_number);
	if (n->kind != PYI_CONTRACT_NOT)
		check_kinds(c, n->b, wants_number);
}

/* ---------------------------------------------------------------------------------------------------------- ranges */

static __int128 field_max(unsigned int field)
{
	return field == PYI_VALUE_PORT ? 65535 : PYI_CONTRACT_VALUE_MAX;
}

static struct range product(struct range a, struct range b)
{
	__int128 v[4] = { a.low * b.low, a.low * b.high, a.high * b.low, a.high * b.high };
	struct range r = { v[0], v[0] };

	for (int i = 1; i < 4; i++) {
		r.low = v[i] < r.low ? v[i] : r.low;
		r.high = v[i] > r.high ? v[i] : r.high;
	}
	return r;
}

/* No node's range leaves +-NUMBER_MAX, so none here overflows 128 bits. */
static struct range range_of(struct check *c, uint16_t i)
{
	const struct pyi_contract_node *n = &c->tree->v[i];
	struct range r = { 0, 0 }, a, b;

	if (c->failed)
		return r;
	if (n->kind == PYI_CONTRACT_NUMBER)
		return (struct range){ n->number, n->number };
	if (n->kind == PYI_CONTRACT_FIELD)
		return (struct range){ 0, field_max(n->field) };
	a = range_of(c, n->a);
	b = range_of(c, n->b);
	if (n->kind == PYI_CONTRACT_ADD)
		r = (struct range){ a.low + b.low, a.high + b.high };
	else if (n->kind == PYI_CONTRACT_SUB)
		r = (struct range){ a.low - b.high, a.high - b.low };
	else
		r = product(a, b);
	if (r.low < -NUMBER_MAX || r.high > NUMBER_MAX)
		wrong(c, i, "this can become too large (more than 2^60)");
	return r;
}

static bool holds(uint8_t kind, __int128 sum)
{
	return kind == PYI_CONTRACT_LT	 ? sum < 0
	       : kind == PYI_CONTRACT_LE ? sum <= 0
	       : kind == PYI_CONTRACT_GT ? sum > 0
	       : kind == PYI_CONTRACT_GE ? sum >= 0
	       : kind == PYI_CONTRACT_EQ ? sum == 0
					 : sum != 0;
}

/* Can the comparison be both? Its sum takes its extremes, 0 may lie between them or not be met at all. */
static void check_comparison(struct check *c, uint16_t i)
{
	const struct pyi_contract_node *n = &c->tree->v[i];
	struct pyi_contract_sum sum;
	__int128 low, high;
	bool can_be_true, can_be_false, crosses;

	range_of(c, n->a);
	range_of(c, n->b);
	if (c->failed)
		return;
	if (!pyi_contract_sum(c->tree, i, &sum)) {
		wrong(c, i, "this can become too large (more than 2^60)");
		return;
	}
	low = high = sum.constant;
	for (unsigned int f = 0; f < PYI_VALUES; f++) {
		low += sum.coef[f] < 0 ? sum.coef[f] * field_max(f) : 0;
		high += sum.coef[f] > 0 ? sum.coef[f] * field_max(f) : 0;
	}
	crosses = low <= 0 && high >= 0;
	can_be_true = holds(n->kind, low) || holds(n->kind, high) ||
		      (crosses && n->kind == PYI_CONTRACT_EQ);
	can_be_false = !holds(n->kind, low) || !holds(n->kind, high) ||
		       (crosses && n->kind == PYI_CONTRACT_NE);
	if (!can_be_false)
		wrong(c, i, "this comparison is always true");
	else if (!can_be_true)
		wrong(c, i, "this comparison is never true");
}

static void check_numbers(struct check *c)
{
	bool any;

	for (uint16_t i = 0; i < c->tree->n && !c->failed; i++) {
		if (!is_comparison(&c->tree->v[i]))
			continue;
		(void)common_unit(c, i, &any);
		if (!c->failed)
			check_comparison(c, i);
	}
}

/* ------------------------------------------------------------------------------------------------- the whole of it */

/* A value of the contract, and where comparisons about it change. */
struct points {
	unsigned int field;
	size_t n;
	int64_t v[POINTS_MAX];
};

static bool add_point(struct points *p, __int128 value)
{
	if (value < 0 || value > field_max(p->field))
		return true;
	for (size_t i = 0; i < p->n; i++)
		if (p->v[i] == value)
			return true;
	if (p->n == POINTS_MAX)
		return false;
	p->v[p->n++] = (int64_t)value;
	return true;
}

static struct points *points_of(struct points *all, size_t *n, unsigned int field)
{
	for (size_t i = 0; i < *n; i++)
		if (all[i].field == field)
			return &all[i];
	if (*n == VALUES_MAX)
		return NULL;
	all[*n].field = field;
	all[*n].n = 0;
	add_point(&all[*n], 0);
	add_point(&all[*n], field_max(field));
	return &all[(*n)++];
}

/* The points of all values, where every comparison is about one of them at most; at the start the counters are 0. */
static bool find_points(const struct pyi_contract_tree *t, bool at_start, struct points *all, size_t *n)
{
	for (uint16_t i = 0; i < t->n; i++) {
		struct pyi_contract_sum sum;
		unsigned int field = PYI_VALUES;
		struct points *p;
		__int128 cut;

		if (!is_comparison(&t->v[i]) || !pyi_contract_sum(t, i, &sum))
			continue;
		for (unsigned int f = at_start ? PYI_VALUE_ELAPSED : 0; f < PYI_VALUES; f++) {
			if (!sum.coef[f])
				continue;
			if (field != PYI_VALUES)
				return false;
			field = f;
		}
		if (field == PYI_VALUES)
			continue;
		p = points_of(all, n, field);
		if (!p)
			return false;
		cut = -(__int128)sum.constant / sum.coef[field];
		for (int d = -1; d <= 1; d++)
			if (!add_point(p, cut + d))
				return false;
	}
	return true;
}

/* Is the contract `wanted` for some choice of points? *ret_known is false when there are too many to try. */
static bool can_be(const struct pyi_contract_tree *t, bool at_start, bool wanted, bool *ret_known)
{
	struct points all[VALUES_MAX];
	size_t n = 0, choices = 1;

	*ret_known = find_points(t, at_start, all, &n);
	for (size_t i = 0; i < n && *ret_known; i++) {
		choices *= all[i].n;
		*ret_known = choices <= CHOICES_MAX;
	}
	for (size_t k = 0; k < choices && *ret_known; k++) {
		int64_t values[PYI_VALUES] = { 0 };
		size_t rest = k;

		for (size_t i = 0; i < n; i++) {
			values[all[i].field] = all[i].v[rest % all[i].n];
			rest /= all[i].n;
		}
		if (pyi_contract_holds(t, values) == wanted)
			return true;
	}
	return false;
}

static void check_sense(struct check *c)
{
	uint16_t root = c->tree->root;
	bool is_known;

	if (!can_be(c->tree, true, true, &is_known) && is_known)
		wrong(c, root,
		      "this does not hold before anything has happened (every counter is 0): nothing could "
		      "ever be allowed");
	else if (!can_be(c->tree, false, false, &is_known) && is_known)
		wrong(c, root, "this is always true: it forbids nothing");
	else if (!pyi_contract_events(c->tree))
		wrong(c, root,
		      "nothing that is counted can break this: 'limits: {wall_time: ...}' bounds the time");
}

int pyi_contract_check(const struct pyi_contract_tree *tree, struct pyi_contract_error *error)
{
	struct check c = { .tree = tree, .error = error };

	check_kinds(&c, tree->root, false);
	if (!c.failed)
		check_numbers(&c);
	if (!c.failed)
		check_sense(&c);
	return c.failed ? -EINVAL : 0;
}
