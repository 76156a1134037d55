/* SPDX-License-Identifier: MIT */
/*
 * See dfa_within.h. The states of both automata, and of a third one that knows which texts are paths at all, are walked
 * as one, breadth first: what is found first is found by a shortest path. The third one matters: '*' matches an empty
 * component, which no path has, and a difference there would be none.
 */
#include "policy/dfa_within.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/err.h"
#include "base/util.h"
#include "policy/policy.h"

/* Of the text so far. */
enum form { FORM_START, FORM_ROOT, FORM_SLASH, FORM_DOT, FORM_DOTS, FORM_NAME, FORM_NONE };

/* How this place was reached: by a byte, from that place. */
struct place {
	uint16_t inner, outer;
	uint8_t form;
	uint8_t byte;
	uint32_t from;
};

/* Bytes that none of the three tells apart. */
struct class
{
	uint8_t inner, outer, sample;
};

struct walk {
	const struct pyi_dfa *inner, *outer;
	bool with_warned;
	struct class classes[256];
	unsigned int n_classes;
	struct place *places; /* in the order they were reached */
	uint32_t n, cap;
	uint32_t *table; /* hash to place, plus one; a power of two, at most half full */
	uint32_t table_size;
	uint8_t seen[(PYI_DFA_NO_RULE + 8) / 8]; /* rules that were told of, a bit each */
};

static enum form next_form(enum form form, uint8_t byte)
{
	switch (form) {
	case FORM_START:
		return byte == '/' ? FORM_ROOT : FORM_NONE;
	case FORM_ROOT:
	case FORM_SLASH:
		return byte == '/' ? FORM_NONE : byte == '.' ? FORM_DOT : FORM_NAME;
	case FORM_DOT:
		return byte == '/' ? FORM_NONE : byte == '.' ? FORM_DOTS : FORM_NAME;
	case FORM_DOTS:
		return byte == '/' ? FORM_NONE : FORM_NAME;
	case FORM_NAME:
		return byte == '/' ? FORM_SLASH : FORM_NAME;
	case FORM_NONE:
		break;
	}
	return FORM_NONE;
}

static bool is_path(enum form form)
{
	return form == FORM_ROOT || form == FORM_NAME;
}

/* '/' and '.' are told apart from all others by what makes a path. */
static bool is_special(uint8_t byte)
{
	return byte == '/' || byte == '.';
}

static void add_class(struct walk *walk, uint8_t byte)
{
	struct class new = { walk->inner->classes[byte], walk->outer->classes[byte], byte };

	for (unsigned int i = 0; i < walk->n_classes && !is_special(byte); i++) {
		const struct class *old = &walk->classes[i];

		if (old->inner == new.inner && old->outer == new.outer && !is_special(old->sample))
			return;
	}
	walk->classes[walk->n_classes++] = new;
}

/* Of each class the byte that reads best in a message. */
static void find_classes(struct walk *walk)
{
	static const char first[] = "abcdefghijklmnopqrstuvwxyz0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ_-";

	for (const char *c = first; *c; c++)
		add_class(walk, (uint8_t)*c);
	for (unsigned int c = '!'; c < 0x7f; c++)
		if (!strchr(first, (char)c))
			add_class(walk, (uint8_t)c);
	for (unsigned int c = 0x80; c < 0x100; c++)
		add_class(walk, (uint8_t)c);
	for (unsigned int c = 1; c <= ' '; c++)
		add_class(walk, (uint8_t)c);
	add_class(walk, 0x7f);
}

static uint32_t hash(const struct place *place)
{
	uint64_t key = (uint64_t)place->inner << 24 | (uint64_t)place->outer << 8 | place->form;

	return (uint32_t)((key * UINT64_C(0x9e3779b97f4a7c15)) >> 32);
}

static uint32_t *find_slot(struct walk *walk, const struct place *place)
{
	uint32_t i = hash(place) & (walk->table_size - 1);

	for (; walk->table[i]; i = (i + 1) & (walk->table_size - 1)) {
		const struct place *other = &walk->places[walk->table[i] - 1];

		if (other->inner == place->inner && other->outer == place->outer &&
		    other->form == place->form)
			break;
	}
	return &walk->table[i];
}

static int grow(struct walk *walk)
{
	uint32_t cap = walk->cap ? 2 * walk->cap : 1024;
	struct place *places;

	if (cap > PYI_WITHIN_PAIRS_MAX)
		return -E2BIG;
	places = reallocarray(walk->places, cap, sizeof(*places));
	if (!places)
		return -ENOMEM;
	walk->places = places;
	walk->cap = cap;
	free(walk->table);
	walk->table_size = 2 * cap;
	walk->table = calloc(walk->table_size, sizeof(*walk->table));
	if (!walk->table)
		return -ENOMEM;
	for (uint32_t i = 0; i < walk->n; i++)
		*find_slot(walk, &places[i]) = i + 1;
	return 0;
}

static int add_place(struct walk *walk, struct place place)
{
	uint32_t *slot;
	int ret = walk->n == walk->cap ? grow(walk) : 0;

	if (ret)
		return ret;
	slot = find_slot(walk, &place);
	if (*slot)
		return 0;
	walk->places[walk->n++] = place;
	*slot = walk->n;
	return 0;
}

/* What the inner one allows here and the outer one does not: PYI_READ | PYI_WRITE | PYI_EXEC. */
static unsigned int too_much(const struct walk *walk, const struct place *place)
{
	const struct pyi_dfa_final *inner = &walk->inner->finals[place->inner];
	const struct pyi_dfa_final *outer = &walk->outer->finals[place->outer];
	unsigned int access = 0;

	for (unsigned int a = 0; 1u << a <= PYI_EXEC; a++)
		if ((inner->verdicts[a] == PYI_DFA_ALLOW ||
		     (walk->with_warned && inner->verdicts[a] == PYI_DFA_WARN)) &&
		    outer->verdicts[a] != PYI_DFA_ALLOW)
			access |= 1u << a;
	return access;
}

/* Can nothing be found from here on? State 0 leads nowhere and allows nothing. */
static bool is_over(const struct walk *walk, const struct place *place)
{
	return place->inner == 0 || (walk->inner->finals[place->inner].is_sink &&
				     walk->outer->finals[place->outer].is_sink &&
				     (is_path(place->form) || !too_much(walk, place)));
}

static void put_path(const struct walk *walk, uint32_t at, char path[PYI_WITHIN_PATH_MAX])
{
	size_t len = 0, n;

	for (uint32_t i = at; i; i = walk->places[i].from)
		len++;
	n = len < PYI_WITHIN_PATH_MAX ? len : PYI_WITHIN_PATH_MAX - 1;
	for (uint32_t i = at; i; i = walk->places[i].from)
		if (--len < n)
			path[len] = (char)walk->places[i].byte;
	path[n] = '\0';
}

static int tell(struct walk *walk, uint32_t at,
		int (*each)(const struct pyi_dfa_excess *excess, void *arg), void *arg)
{
	/* What says most first: who writes reads as well. */
	static const unsigned int order[] = { 1, 2, 0 };
	const struct place *place = &walk->places[at];
	const struct pyi_dfa_final *inner = &walk->inner->finals[place->inner];
	const struct pyi_dfa_final *outer = &walk->outer->finals[place->outer];
	unsigned int access = too_much(walk, place);
	int ret = 0;

	for (size_t i = 0; i < PYI_ARRAY_SIZE(order) && !ret; i++) {
		unsigned int a = order[i], rule = inner->rules[a];
		struct pyi_dfa_excess excess;

		if (!(access & 1u << a) || walk->seen[rule / 8] & 1u << rule % 8)
			continue;
		walk->seen[rule / 8] |= (uint8_t)(1u << rule % 8);
		excess.access = (uint8_t)(1u << a);
		excess.rule = (uint16_t)rule;
		excess.verdict = outer->verdicts[a];
		excess.outer_rule = outer->rules[a];
		put_path(walk, at, excess.path);
		ret = each(&excess, arg);
	}
	return ret;
}

static int step(struct walk *walk, uint32_t at)
{
	int ret = 0;

	for (unsigned int i = 0; i < walk->n_classes && !ret; i++) {
		const struct place *place = &walk->places[at];
		const struct class *class = &walk->classes[i];
		struct place next = { .form = (uint8_t)next_form(place->form, class->sample),
				      .byte = class->sample,
				      .from = at };

		if (next.form == FORM_NONE)
			continue;
		next.inner = walk->inner->next[(size_t)place->inner * walk->inner->n_classes + class->inner];
		next.outer = walk->outer->next[(size_t)place->outer * walk->outer->n_classes + class->outer];
		if (next.inner)
			ret = add_place(walk, next);
	}
	return ret;
}

int pyi_dfa_within(const struct pyi_dfa *inner, const struct pyi_dfa *outer, bool with_warned,
		   int (*each)(const struct pyi_dfa_excess *excess, void *arg), void *arg,
		   struct pyi_err *err)
{
	struct walk *walk = calloc(1, sizeof(*walk));
	int ret = walk ? 0 : -ENOMEM, told = 0;

	if (walk) {
		walk->inner = inner;
		walk->outer = outer;
		walk->with_warned = with_warned;
		find_classes(walk);
		/* The start is place 0, which no path leads to. */
		ret = add_place(walk, (struct place){ .inner = inner->start, .outer = outer->start });
	}
	for (uint32_t at = 0; !ret && at < walk->n && !told; at++) {
		if (is_path(walk->places[at].form))
			told = tell(walk, at, each, arg);
		if (!told && !is_over(walk, &walk->places[at]))
			ret = step(walk, at);
	}
	if (walk) {
		free(walk->places);
		free(walk->table);
		free(walk);
	}
	if (ret == -ENOMEM)
		return pyi_err_nomem(err);
	return ret ? pyi_err_set(err, E2BIG,
				 "their patterns are too many, or have too many wildcards, to be compared")
		   : told;
}
