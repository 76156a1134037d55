/* SPDX-License-Identifier: MIT */
/*
 * Rules to a trie of tokens; see nfa.h. '*' and '**' are nodes that lead back to themselves and are entered for free.
 * Where a rule's path ends, '/' leads to a node that accepts whatever follows: a path is itself and all below it.
 */
#include "policy/nfa.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/err.h"
#include "policy/glob.h"

/* The key of a rule: verdict, then position. */
static uint32_t make_key(const struct pyi_dfa_rule *rule)
{
	return (uint32_t)(PYI_DFA_DENY - rule->verdict) << 16 | rule->number;
}

uint8_t pyi_nfa_key_verdict(uint32_t key)
{
	return key == PYI_KEY_NONE ? PYI_DFA_DEFAULT : (uint8_t)(PYI_DFA_DENY - (key >> 16));
}

uint16_t pyi_nfa_key_rule(uint32_t key)
{
	return key == PYI_KEY_NONE ? PYI_DFA_NO_RULE : (uint16_t)key;
}

static int grow(void *array_ptr, uint32_t n, uint32_t *cap, size_t size)
{
	char *array = *(char **)array_ptr;
	uint32_t want = *cap ? *cap * 2 : 256;

	if (n < *cap)
		return 0;
	if (n >= PYI_NFA_NODES_MAX)
		return -E2BIG;
	array = reallocarray(array, want, size);
	if (!array)
		return -ENOMEM;
	*(char **)array_ptr = array;
	*cap = want;
	return 0;
}

static int add_node(struct pyi_nfa *nfa, enum pyi_loop loop, uint32_t rule, uint32_t *ret)
{
	struct pyi_nfa_node *node;
	int r = grow(&nfa->nodes, nfa->n_nodes, &nfa->cap_nodes, sizeof(*nfa->nodes));

	if (r)
		return r;
	node = &nfa->nodes[nfa->n_nodes];
	*node = (struct pyi_nfa_node){ .loop = loop, .rule = rule };
	for (int i = 0; i < PYI_DFA_ACCESSES; i++)
		node->keys[i] = node->below[i] = node->beyond[i] = PYI_KEY_NONE;
	*ret = nfa->n_nodes++;
	return 0;
}

static int add_edge(struct pyi_nfa *nfa, uint32_t from, struct pyi_nfa_edge edge)
{
	int r = grow(&nfa->edges, nfa->n_edges, &nfa->cap_edges, sizeof(*nfa->edges));

	if (r)
		return r;
	edge.next = nfa->nodes[from].edges;
	nfa->edges[nfa->n_edges] = edge;
	nfa->nodes[from].edges = nfa->n_edges++;
	return 0;
}

/* The node that this edge leads to, made when there is none yet. */
static int follow(struct pyi_nfa *nfa, uint32_t from, struct pyi_nfa_edge edge, enum pyi_loop loop,
		  uint32_t rule, uint32_t *ret)
{
	int r;

	for (uint32_t i = nfa->nodes[from].edges; i; i = nfa->edges[i].next) {
		const struct pyi_nfa_edge *e = &nfa->edges[i];

		if (e->kind == edge.kind && e->c == edge.c && e->set == edge.set &&
		    nfa->nodes[e->to].loop == loop) {
			*ret = e->to;
			return 0;
		}
	}
	r = add_node(nfa, loop, rule, ret);
	if (r)
		return r;
	edge.to = *ret;
	return add_edge(nfa, from, edge);
}

static int find_set(struct pyi_nfa *nfa, const char *text, uint16_t *ret)
{
	uint64_t set[4] = { 0 };
	int r;

	for (unsigned int c = 1; c < 256; c++)
		if (pyi_token_set_has(text, (unsigned char)c))
			set[c / 64] |= UINT64_C(1) << (c % 64);
	for (uint32_t i = 0; i < nfa->n_sets; i++)
		if (!memcmp(nfa->sets[i], set, sizeof(set))) {
			*ret = (uint16_t)i;
			return 0;
		}
	if (nfa->n_sets == UINT16_MAX)
		return -E2BIG;
	r = grow(&nfa->sets, nfa->n_sets, &nfa->cap_sets, sizeof(*nfa->sets));
	if (r)
		return r;
	memcpy(nfa->sets[nfa->n_sets], set, sizeof(set));
	*ret = (uint16_t)nfa->n_sets++;
	return 0;
}

/* Is there an edge for free already? */
static bool has_free_edge(const struct pyi_nfa *nfa, uint32_t from, uint32_t to)
{
	for (uint32_t i = nfa->nodes[from].edges; i; i = nfa->edges[i].next)
		if (nfa->edges[i].kind == PYI_EDGE_FREE && nfa->edges[i].to == to)
			return true;
	return false;
}

/* A component that is "**": nothing, or a loop that is left by '/'. */
static int add_deep_dir(struct pyi_nfa *nfa, uint32_t *at, uint32_t rule)
{
	uint32_t loop, behind;
	/* Its own mark, so that it is not taken for a '**' that stands inside a component. */
	int r = follow(nfa, *at, (struct pyi_nfa_edge){ .kind = PYI_EDGE_FREE, .c = '/' },
		       PYI_LOOP_ALL, rule, &loop);

	if (!r)
		r = follow(nfa, loop, (struct pyi_nfa_edge){ .kind = PYI_EDGE_CHAR, .c = '/' },
			   PYI_LOOP_NONE, rule, &behind);
	if (!r && !has_free_edge(nfa, *at, behind))
		r = add_edge(nfa, *at,
			     (struct pyi_nfa_edge){ .kind = PYI_EDGE_FREE, .c = 1, .to = behind });
	if (!r)
		*at = behind;
	return r;
}

static int add_token(struct pyi_nfa *nfa, const struct pyi_tokens *tokens,
		     const struct pyi_token *t, uint32_t *at, uint32_t rule)
{
	struct pyi_nfa_edge edge = { .kind = PYI_EDGE_CHAR, .c = t->c };
	int r;

	switch ((enum pyi_token_kind)t->kind) {
	case PYI_TOKEN_CHAR:
		break;
	case PYI_TOKEN_ANY:
		edge.kind = PYI_EDGE_ANY;
		break;
	case PYI_TOKEN_SET:
		edge.kind = PYI_EDGE_SET;
		r = find_set(nfa, tokens->pattern + t->set, &edge.set);
		if (r)
			return r;
		break;
	case PYI_TOKEN_STAR:
		edge.kind = PYI_EDGE_FREE;
		return follow(nfa, *at, edge, PYI_LOOP_COMPONENT, rule, at);
	case PYI_TOKEN_DEEP:
		edge.kind = PYI_EDGE_FREE;
		return follow(nfa, *at, edge, PYI_LOOP_ALL, rule, at);
	case PYI_TOKEN_DEEP_DIR:
		return add_deep_dir(nfa, at, rule);
	case PYI_TOKEN_DEEP_LOOP:
		return 0; /* done with the one before */
	}
	return follow(nfa, *at, edge, PYI_LOOP_NONE, rule, at);
}

static void improve(uint32_t *key, uint32_t with)
{
	if (with < *key)
		*key = with;
}

static int add_rule(struct pyi_nfa *nfa, const struct pyi_dfa_rule *rule, uint32_t index)
{
	struct pyi_tokens tokens = { .pattern = rule->path };
	uint32_t at = 1, key = make_key(rule);
	bool is_root = !strcmp(rule->path, "/");
	int r = 0;

	if (rule->is_glob && !pyi_tokens_read(rule->path, &tokens))
		return -E2BIG;
	for (unsigned int i = 0; rule->is_glob && i < tokens.n && !r; i++)
		r = add_token(nfa, &tokens, &tokens.v[i], &at, index);
	for (const char *p = rule->path; !rule->is_glob && *p && !r; p++)
		r = follow(nfa, at, (struct pyi_nfa_edge){ .kind = PYI_EDGE_CHAR, .c = (uint8_t)*p },
			   PYI_LOOP_NONE, index, &at);
	/* '/' and all below it is everything: the first byte is the one that divides. */
	if (!r && is_root && !rule->is_exact)
		at = 1;
	for (int i = 0; i < PYI_DFA_ACCESSES && !r; i++) {
		if (!(rule->access & 1u << i))
			continue;
		if (!is_root || rule->is_exact)
			improve(&nfa->nodes[at].keys[i], key);
		if (!rule->is_exact)
			improve(&nfa->nodes[at].below[i], key);
	}
	if (!r && (!is_root || rule->is_exact))
		nfa->nodes[at].slots |= rule->slots;
	if (!r && !rule->is_exact)
		nfa->nodes[at].slots_below |= rule->slots;
	return r;
}

/* Where a rule's path ends and goes on with '/'. */
static int add_below(struct pyi_nfa *nfa)
{
	uint32_t n = nfa->n_nodes, to;

	for (uint32_t i = 1; i < n; i++) {
		bool is_any = nfa->nodes[i].slots_below != 0;
		int r;

		for (int a = 0; a < PYI_DFA_ACCESSES; a++)
			is_any = is_any || nfa->nodes[i].below[a] != PYI_KEY_NONE;
		if (!is_any)
			continue;
		r = add_node(nfa, PYI_LOOP_ALL, nfa->nodes[i].rule, &to);
		if (!r)
			r = add_edge(nfa, i,
				     (struct pyi_nfa_edge){ .kind = PYI_EDGE_CHAR, .c = '/', .to = to });
		if (r)
			return r;
		memcpy(nfa->nodes[to].keys, nfa->nodes[i].below, sizeof(nfa->nodes[to].keys));
		nfa->nodes[to].slots = nfa->nodes[i].slots_below;
	}
	return 0;
}

/* Every edge leads to a node that was made later. */
static void find_beyond(struct pyi_nfa *nfa)
{
	for (uint32_t i = nfa->n_nodes - 1; i > 0; i--) {
		struct pyi_nfa_node *node = &nfa->nodes[i];

		for (int a = 0; a < PYI_DFA_ACCESSES; a++) {
			improve(&node->beyond[a], node->keys[a]);
			for (uint32_t e = node->edges; e; e = nfa->edges[e].next)
				improve(&node->beyond[a], nfa->nodes[nfa->edges[e].to].beyond[a]);
		}
		node->slots_beyond = node->slots;
		for (uint32_t e = node->edges; e; e = nfa->edges[e].next)
			node->slots_beyond |= nfa->nodes[nfa->edges[e].to].slots_beyond;
	}
}

/* Split the classes so that all bytes of one are in the set or none is. */
static void split_classes(struct pyi_nfa *nfa, const uint64_t set[4])
{
	uint8_t inside[256];
	bool has_inside[256] = { false }, has_outside[256] = { false };

	for (unsigned int c = 1; c < 256; c++) {
		bool *has = pyi_nfa_set_has(set, (uint8_t)c) ? has_inside : has_outside;

		has[nfa->classes[c]] = true;
	}
	for (uint32_t k = 0, n = nfa->n_classes; k < n; k++)
		inside[k] = (uint8_t)(has_inside[k] && has_outside[k] ? nfa->n_classes++ : k);
	for (unsigned int c = 1; c < 256; c++)
		if (pyi_nfa_set_has(set, (uint8_t)c))
			nfa->classes[c] = inside[nfa->classes[c]];
}

static void find_classes(struct pyi_nfa *nfa)
{
	bool seen[256] = { ['/'] = true };

	nfa->n_classes = 1;
	for (uint32_t e = 1; e < nfa->n_edges; e++)
		if (nfa->edges[e].kind == PYI_EDGE_CHAR)
			seen[nfa->edges[e].c] = true;
	for (unsigned int c = 1; c < 256; c++)
		if (seen[c]) {
			uint64_t set[4] = { 0 };

			set[c / 64] = UINT64_C(1) << (c % 64);
			split_classes(nfa, set);
		}
	for (uint32_t i = 0; i < nfa->n_sets; i++)
		split_classes(nfa, nfa->sets[i]);
	for (unsigned int c = 1; c < 256; c++)
		nfa->samples[nfa->classes[c]] = (uint8_t)c;
}

void pyi_nfa_release(struct pyi_nfa *nfa)
{
	free(nfa->nodes);
	free(nfa->edges);
	free(nfa->sets);
	*nfa = (struct pyi_nfa){ 0 };
}

int pyi_nfa_build(const struct pyi_dfa_rule *rules, size_t n, struct pyi_nfa *ret_nfa,
		  struct pyi_err *err)
{
	struct pyi_nfa nfa = { .n_rules = n };
	uint32_t none, start;
	int r = add_node(&nfa, PYI_LOOP_NONE, 0, &none);

	if (!r)
		r = add_node(&nfa, PYI_LOOP_NONE, 0, &start);
	if (!r)
		r = grow(&nfa.edges, nfa.n_edges, &nfa.cap_edges, sizeof(*nfa.edges));
	nfa.n_edges = 1;
	for (size_t i = 0; i < n && !r; i++)
		r = add_rule(&nfa, &rules[i], (uint32_t)i);
	if (!r)
		r = add_below(&nfa);
	if (r) {
		pyi_nfa_release(&nfa);
		return r == -ENOMEM ? pyi_err_nomem(err)
				    : pyi_err_set(err, E2BIG, "the path rules are too long together");
	}
	find_beyond(&nfa);
	find_classes(&nfa);
	*ret_nfa = nfa;
	return 0;
}
