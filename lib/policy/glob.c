/* SPDX-License-Identifier: MIT */
/*
 * Path patterns. '*' and '?' stay inside one component, '**' crosses them, '[..]' is a set as in fnmatch(3) with
 * FNM_PATHNAME | FNM_NOESCAPE; '**' followed by '/' at the start of a component also matches no component at all.
 * Everything is bytes, not characters, as in the kernel.
 *
 * A pattern is a small automaton whose states are positions in a list of tokens; all states are followed at once in a
 * bit set, so the cost is at most pattern length times path length, whatever the stars. A pattern covers a path when
 * it matches the path itself or one of the directories above it.
 */
#include <limits.h>
#include <string.h>

#include "policy/glob.h"

enum {
	WORD_BITS = 64,
	WORDS_MAX = (PYI_TOKENS_MAX + WORD_BITS) / WORD_BITS,
};

struct states {
	uint64_t words[WORDS_MAX];
};

/* The offset behind the ']' of the set that begins at p, or 0: then '[' stands for itself. */
static size_t set_length(const char *p)
{
	size_t i = 1;

	if (p[i] == '!' || p[i] == '^')
		i++;
	if (p[i] == ']')
		i++;
	for (; p[i] && p[i] != '/'; i++)
		if (p[i] == ']')
			return i + 1;
	return 0;
}

bool pyi_token_set_has(const char *p, unsigned char c)
{
	size_t end = set_length(p) - 1, i = 1;
	bool is_negated = p[i] == '!' || p[i] == '^', found = false;

	if (is_negated)
		i++;
	while (i < end) {
		unsigned char low = (unsigned char)p[i++], high = low;

		if (i + 1 < end && p[i] == '-') {
			high = (unsigned char)p[i + 1];
			i += 2;
		}
		if (c >= low && c <= high)
			found = true;
	}
	return c != '/' && found != is_negated;
}

const char *pyi_glob_check(const char *pattern, bool *ret_is_glob)
{
	*ret_is_glob = false;
	for (const char *p = pattern; *p; p++) {
		size_t len;

		if (!strchr("*?[", *p))
			continue;
		*ret_is_glob = true;
		if (strncmp(p, "***", 3) == 0)
			return "'***' means nothing: '*' stays inside a component, '**' crosses";
		if (*p == '*' && p[1] == '*')
			p++;
		if (*p != '[')
			continue;
		len = set_length(p);
		if (!len)
			return "'[' without ']' (a '[' itself is '[[]')";
		for (size_t i = 1; i + 1 < len; i++) {
			if (p[i] == '[' && strchr(":.=", p[i + 1]))
				return "named sets such as '[:alpha:]' are not known";
			if ((unsigned char)p[i] >= 0x80)
				return "a set holds single bytes: no letters beyond ASCII in '[..]'";
			if (p[i] == '-' && i > 1 && i + 2 < len &&
			    (unsigned char)p[i - 1] > (unsigned char)p[i + 1])
				return "a range in '[..]' runs backwards";
		}
		p += len - 1;
	}
	return NULL;
}

bool pyi_tokens_read(const char *pattern, struct pyi_tokens *a)
{
	size_t len = strnlen(pattern, PYI_TOKENS_MAX);

	a->pattern = pattern;
	a->n = 0;
	if (len >= PYI_TOKENS_MAX)
		return false;
	for (size_t i = 0; i < len;) {
		struct pyi_token *t = &a->v[a->n++];

		*t = (struct pyi_token){ .kind = PYI_TOKEN_CHAR, .c = (uint8_t)pattern[i] };
		if (pattern[i] == '?') {
			t->kind = PYI_TOKEN_ANY;
		} else if (pattern[i] == '[' && set_length(pattern + i)) {
			t->kind = PYI_TOKEN_SET;
			t->set = (uint16_t)i;
			i += set_length(pattern + i);
			continue;
		} else if (pattern[i] == '*' && pattern[i + 1] != '*') {
			t->kind = PYI_TOKEN_STAR;
		} else if (pattern[i] == '*') {
			bool at_start = i == 0 || pattern[i - 1] == '/';

			while (pattern[i] == '*')
				i++;
			t->kind = PYI_TOKEN_DEEP;
			if (at_start && pattern[i] == '/') {
				/* Two states from at least three bytes: the array cannot overflow. */
				t->kind = PYI_TOKEN_DEEP_DIR;
				a->v[a->n++] = (struct pyi_token){ .kind = PYI_TOKEN_DEEP_LOOP };
				i++;
			}
			continue;
		}
		i++;
	}
	return true;
}

static inline void states_add(struct states *s, unsigned int i)
{
	s->words[i / WORD_BITS] |= UINT64_C(1) << (i % WORD_BITS);
}

static inline bool states_have(const struct states *s, unsigned int i)
{
	return s->words[i / WORD_BITS] >> (i % WORD_BITS) & 1;
}

/* Add a state and those it reaches without a byte. They all lie ahead, so this ends. */
static void enter(const struct pyi_tokens *a, struct states *s, unsigned int i)
{
	for (;;) {
		if (states_have(s, i))
			return;
		states_add(s, i);
		if (i == a->n)
			return;
		switch (a->v[i].kind) {
		case PYI_TOKEN_STAR:
		case PYI_TOKEN_DEEP:
			i++;
			break;
		case PYI_TOKEN_DEEP_DIR:
			states_add(s, i + 1);
			i += 2;
			break;
		default:
			return;
		}
	}
}

/* Where one state goes on byte c. */
static void step(const struct pyi_tokens *a, struct states *to, unsigned int i, unsigned char c)
{
	const struct pyi_token *t = &a->v[i];

	switch ((enum pyi_token_kind)t->kind) {
	case PYI_TOKEN_CHAR:
		if (t->c == c)
			enter(a, to, i + 1);
		break;
	case PYI_TOKEN_ANY:
		if (c != '/')
			enter(a, to, i + 1);
		break;
	case PYI_TOKEN_SET:
		if (pyi_token_set_has(a->pattern + t->set, c))
			enter(a, to, i + 1);
		break;
	case PYI_TOKEN_STAR:
		if (c != '/')
			enter(a, to, i);
		break;
	case PYI_TOKEN_DEEP:
		enter(a, to, i);
		break;
	case PYI_TOKEN_DEEP_DIR:
		break; /* what follows is in the set already */
	case PYI_TOKEN_DEEP_LOOP:
		states_add(to, i);
		if (c == '/')
			enter(a, to, i + 1);
		break;
	}
}

bool pyi_policy_path_matches(const char *pattern, const char *path)
{
	struct pyi_tokens a;
	struct states sets[2], *now = &sets[0], *next = &sets[1];
	size_t n_words;

	if (strcmp(pattern, "/") == 0)
		return *path == '/';
	if (!pyi_tokens_read(pattern, &a))
		return false;
	n_words = a.n / WORD_BITS + 1;
	memset(now->words, 0, n_words * sizeof(now->words[0]));
	enter(&a, now, 0);
	for (const char *p = path;; p++) {
		struct states *spare = now;
		bool is_alive = false; /* a step never goes back, so each word is final when it is read */

		if ((!*p || *p == '/') && p != path && states_have(now, a.n))
			return true;
		if (!*p)
			return p == path && states_have(now, a.n);
		memset(next->words, 0, n_words * sizeof(next->words[0]));
		for (size_t w = 0; w < n_words; w++) {
			uint64_t bits = now->words[w];

			for (; bits; bits &= bits - 1) {
				unsigned int i = (unsigned int)(w * WORD_BITS) +
						 (unsigned int)__builtin_ctzll(bits);

				if (i < a.n)
					step(&a, next, i, (unsigned char)*p);
			}
			is_alive = is_alive || next->words[w];
		}
		if (!is_alive)
			return false;
		now = next;
		next = spare;
	}
}
