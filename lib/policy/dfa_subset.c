/* SPDX-License-Identifier: MIT */
/*
 * From the trie of all rules to a deterministic automaton: a state is the set of nodes that a path may have led to.
 *
 * What keeps the sets small: once a path is below what a rule covers, that rule holds for ever, so every node that
 * cannot lead to a better one is left out. Otherwise each pattern that may match anywhere would double the states.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/err.h"
#include "base/util.h"
#include "policy/dfa_draft.h"
#include "policy/nfa.h"

/* A set while it is put together. */
struct members {
	uint32_t *v;
	uint32_t n;
	uint32_t *marks; /* by node: in this set if equal to mark */
	uint32_t mark;
};

struct builder {
	const struct pyi_nfa *nfa;
	struct pyi_draft *draft;
	struct members members;
	uint32_t *wild; /* where every byte leads from the state at hand; then, where all but '/' do */
	uint32_t n_any, n_not_slash;
	struct pyi_nfa_edge *edges; /* CHAR and SET edges of the state at hand */
	uint32_t n_edges, cap_edges;
	uint64_t work;
	uint32_t *tallies; /* by rule: members of all sets */
};

static int reserve(void *array_ptr, uint32_t want, uint32_t *cap, size_t size)
{
	char *array = *(char **)array_ptr;
	uint32_t more = *cap ? *cap : 256;

	if (want <= *cap)
		return 0;
	while (more < want)
		more *= 2;
	array = reallocarray(array, more, size);
	if (!array)
		return -ENOMEM;
	*(char **)array_ptr = array;
	*cap = more;
	return 0;
}

/* -------------------------------------- putting a set together */

static void clear(struct members *m)
{
	m->n = 0;
	m->mark++;
}

/* Add a node and what it leads to for free; the list serves as the queue. */
static void enter(struct builder *b, uint32_t node)
{
	struct members *m = &b->members;
	uint32_t at = m->n;

	if (m->marks[node] == m->mark)
		return;
	m->marks[node] = m->mark;
	m->v[m->n++] = node;
	for (; at < m->n; at++)
		for (uint32_t e = b->nfa->nodes[m->v[at]].edges; e; e = b->nfa->edges[e].next) {
			const struct pyi_nfa_edge *edge = &b->nfa->edges[e];

			if (edge->kind != PYI_EDGE_FREE || m->marks[edge->to] == m->mark)
				continue;
			m->marks[edge->to] = m->mark;
			m->v[m->n++] = edge->to;
		}
}

static int compare(const void *x, const void *y)
{
	uint32_t a = *(const uint32_t *)x, b = *(const uint32_t *)y;

	return a < b ? -1 : a > b;
}

static void sort(uint32_t *v, uint32_t n)
{
	if (n > 16) {
		qsort(v, n, sizeof(*v), compare);
		return;
	}
	for (uint32_t i = 1; i < n; i++)
		for (uint32_t j = i; j > 0 && v[j] < v[j - 1]; j--) {
			uint32_t t = v[j];

			v[j] = v[j - 1];
			v[j - 1] = t;
		}
}

/* Leave out what cannot change the verdict any more. In a sorted set: what stays does not depend on the way here. */
static void prune(const struct pyi_nfa *nfa, struct members *m)
{
	uint32_t best[PYI_DFA_ACCESSES], keeper[PYI_DFA_ACCESSES] = { 0 }, n = 0;
	uint16_t held = 0, kept = 0; /* counters that count whatever follows; those whose node stays */

	for (int a = 0; a < PYI_DFA_ACCESSES; a++)
		best[a] = PYI_KEY_NONE;
	for (uint32_t i = 0; i < m->n; i++) {
		const struct pyi_nfa_node *node = &nfa->nodes[m->v[i]];

		for (int a = 0; a < PYI_DFA_ACCESSES && node->loop == PYI_LOOP_ALL; a++)
			if (node->keys[a] < best[a]) {
				best[a] = node->keys[a];
				keeper[a] = m->v[i];
			}
		held |= node->loop == PYI_LOOP_ALL ? node->slots : 0;
	}
	for (uint32_t i = 0; i < m->n; i++) {
		const struct pyi_nfa_node *node = &nfa->nodes[m->v[i]];
		uint16_t own = node->loop == PYI_LOOP_ALL ? node->slots : 0;
		bool is_kept = own & ~kept || node->slots_beyond & ~held;

		for (int a = 0; a < PYI_DFA_ACCESSES; a++)
			is_kept = is_kept || keeper[a] == m->v[i] || node->beyond[a] < best[a];
		kept |= own;
		if (is_kept)
			m->v[n++] = m->v[i];
	}
	m->n = n;
}

/* -------------------------------------- states by their sets */

static uint32_t hash(const uint32_t *v, uint32_t n)
{
	uint32_t h = 2166136261u;

	for (uint32_t i = 0; i < n; i++) {
		h = (h ^ v[i]) * 16777619u;
		h ^= h >> 15;
	}
	return h;
}

static int rehash(struct pyi_draft *d)
{
	uint32_t n = d->n_slots ? d->n_slots * 2 : 1024;
	uint32_t *slots = calloc(n, sizeof(*slots));

	if (!slots)
		return -ENOMEM;
	free(d->slots);
	d->slots = slots;
	d->n_slots = n;
	for (uint32_t s = 1; s < d->n_states; s++) {
		uint32_t k = hash(d->pool + d->states[s].first, d->states[s].n);

		while (slots[k & (n - 1)])
			k++;
		slots[k & (n - 1)] = s;
	}
	return 0;
}

/* What a path that ends here gets; and does every longer one get the same? */
static void judge(const struct pyi_nfa *nfa, const struct members *m, struct pyi_draft_state *state)
{
	uint16_t slots = 0;

	for (uint32_t i = 0; i < m->n; i++) {
		state->slots |= nfa->nodes[m->v[i]].slots;
		slots |= nfa->nodes[m->v[i]].slots_beyond;
	}
	state->is_sink = slots == state->slots;
	for (int a = 0; a < PYI_DFA_ACCESSES; a++) {
		uint32_t beyond = PYI_KEY_NONE, *key = &state->keys[a];

		*key = PYI_KEY_NONE;
		for (uint32_t i = 0; i < m->n; i++) {
			const struct pyi_nfa_node *node = &nfa->nodes[m->v[i]];

			state->is_sink = state->is_sink && node->loop == PYI_LOOP_ALL;
			*key = node->keys[a] < *key ? node->keys[a] : *key;
			beyond = node->beyond[a] < beyond ? node->beyond[a] : beyond;
		}
		state->is_sink = state->is_sink && beyond >= *key;
	}
}

static int add_state(struct builder *b, uint32_t *ret)
{
	struct pyi_draft *d = b->draft;
	struct members *m = &b->members;
	int r = reserve(&d->states, d->n_states + 1, &d->cap_states, sizeof(*d->states));

	if (!r)
		r = reserve(&d->pool, d->n_pool + m->n, &d->cap_pool, sizeof(*d->pool));
	if (r)
		return r;
	if (d->n_states >= PYI_DRAFT_STATES_MAX || d->n_pool > PYI_DRAFT_WORK_MAX)
		return -E2BIG;
	d->states[d->n_states] = (struct pyi_draft_state){ .first = d->n_pool, .n = m->n };
	judge(b->nfa, m, &d->states[d->n_states]);
	if (m->n)
		memcpy(d->pool + d->n_pool, m->v, m->n * sizeof(*m->v));
	d->n_pool += m->n;
	for (uint32_t i = 0; i < m->n; i++)
		if (b->nfa->nodes[m->v[i]].edges)
			b->tallies[b->nfa->nodes[m->v[i]].rule]++;
	*ret = d->n_states++;
	return 0;
}

/* The state of the set at hand. */
static int intern(struct builder *b, uint32_t *ret)
{
	struct pyi_draft *d = b->draft;
	struct members *m = &b->members;
	uint32_t k;
	int r;

	b->work += m->n;
	if (b->work > PYI_DRAFT_WORK_MAX)
		return -E2BIG;
	sort(m->v, m->n);
	prune(b->nfa, m);
	if (!m->n) {
		*ret = 0;
		return 0;
	}
	if (d->n_states * 2 >= d->n_slots) {
		r = rehash(d);
		if (r)
			return r;
	}
	for (k = hash(m->v, m->n); d->slots[k & (d->n_slots - 1)]; k++) {
		const struct pyi_draft_state *s = &d->states[d->slots[k & (d->n_slots - 1)]];

		if (s->n != m->n || memcmp(d->pool + s->first, m->v, m->n * sizeof(*m->v)) != 0)
			continue;
		*ret = d->slots[k & (d->n_slots - 1)];
		return 0;
	}
	r = add_state(b, ret);
	if (!r)
		d->slots[k & (d->n_slots - 1)] = *ret;
	return r;
}

/* -------------------------------------- steps */

/* Sort what leads out of a state: every byte, every byte but '/', or some bytes. */
static int gather(struct builder *b, uint32_t state)
{
	const struct pyi_draft_state *s = &b->draft->states[state];
	uint32_t *not_slash = b->wild + b->nfa->n_nodes;

	b->n_any = b->n_not_slash = b->n_edges = 0;
	for (uint32_t i = 0; i < s->n; i++) {
		uint32_t id = b->draft->pool[s->first + i];
		const struct pyi_nfa_node *node = &b->nfa->nodes[id];

		if (node->loop == PYI_LOOP_ALL)
			b->wild[b->n_any++] = id;
		else if (node->loop == PYI_LOOP_COMPONENT)
			not_slash[b->n_not_slash++] = id;
		for (uint32_t e = node->edges; e; e = b->nfa->edges[e].next) {
			const struct pyi_nfa_edge *edge = &b->nfa->edges[e];
			int r;

			if (edge->kind == PYI_EDGE_ANY)
				not_slash[b->n_not_slash++] = edge->to;
			if (edge->kind != PYI_EDGE_CHAR && edge->kind != PYI_EDGE_SET)
				continue;
			r = reserve(&b->edges, b->n_edges + 1, &b->cap_edges, sizeof(*b->edges));
			if (r)
				return r;
			b->edges[b->n_edges++] = *edge;
		}
	}
	return 0;
}

static void enter_wild(struct builder *b, bool is_slash)
{
	clear(&b->members);
	for (uint32_t i = 0; i < b->n_any; i++)
		enter(b, b->wild[i]);
	for (uint32_t i = 0; i < b->n_not_slash && !is_slash; i++)
		enter(b, b->wild[b->nfa->n_nodes + i]);
}

static int add_step(struct builder *b, uint32_t from, uint32_t class, uint32_t to)
{
	struct pyi_draft *d = b->draft;
	int r;

	if (!to)
		return 0;
	if (d->n_steps >= PYI_DRAFT_STEPS_MAX)
		return -E2BIG;
	r = reserve(&d->steps, d->n_steps + 1, &d->cap_steps, sizeof(*d->steps));
	if (!r)
		d->steps[d->n_steps++] = (struct pyi_draft_step){ .from = from,
								  .to = to,
								  .class = (uint8_t)class };
	return r;
}

static bool leads(const struct builder *b, const struct pyi_nfa_edge *edge, uint8_t byte)
{
	return edge->kind == PYI_EDGE_CHAR ? edge->c == byte
					   : pyi_nfa_set_has(b->nfa->sets[edge->set], byte);
}

static int expand(struct builder *b, uint32_t state)
{
	const struct pyi_nfa *nfa = b->nfa;
	uint32_t slash = nfa->classes['/'], rest = 0, to;
	bool has_rest = false, is_named[256] = { false };
	int r = gather(b, state);

	is_named[slash] = true;
	for (uint32_t i = 0; i < b->n_edges; i++)
		for (uint32_t c = 0; c < nfa->n_classes; c++)
			is_named[c] = is_named[c] || leads(b, &b->edges[i], nfa->samples[c]);
	for (uint32_t c = 0; c < nfa->n_classes && !r; c++) {
		if (!is_named[c] && has_rest) {
			r = add_step(b, state, c, rest);
			continue;
		}
		enter_wild(b, c == slash);
		for (uint32_t i = 0; i < b->n_edges && is_named[c]; i++)
			if (leads(b, &b->edges[i], nfa->samples[c]))
				enter(b, b->edges[i].to);
		r = intern(b, &to);
		if (!r)
			r = add_step(b, state, c, to);
		if (!is_named[c]) {
			has_rest = true;
			rest = to;
		}
	}
	return r;
}

static int run(struct builder *b)
{
	struct pyi_draft *d = b->draft;
	uint32_t id;
	int r;

	clear(&b->members);
	r = add_state(b, &id); /* the dead one: an empty set */
	if (!r)
		d->states[0].is_sink = true;
	enter(b, 1);
	if (!r)
		r = intern(b, &id);
	for (uint32_t s = 1; s < d->n_states && !r; s++)
		if (!d->states[s].is_sink)
			r = expand(b, s);
	return r;
}

void pyi_draft_release(struct pyi_draft *draft)
{
	free(draft->states);
	free(draft->steps);
	free(draft->pool);
	free(draft->slots);
	*draft = (struct pyi_draft){ 0 };
}

int pyi_draft_build(const struct pyi_nfa *nfa, struct pyi_draft *ret_draft, size_t *ret_costly,
		    struct pyi_err *err)
{
	_cleanup_free uint32_t *marks = calloc(nfa->n_nodes, sizeof(*marks));
	_cleanup_free uint32_t *v = calloc(nfa->n_nodes, sizeof(*v));
	/* A node has at most one edge of the kind ANY, and a loop. */
	_cleanup_free uint32_t *wild = calloc((size_t)nfa->n_nodes * 3, sizeof(*wild));
	_cleanup_free uint32_t *tallies = calloc(nfa->n_rules + 1, sizeof(*tallies));
	struct pyi_draft draft = { .n_classes = nfa->n_classes };
	struct builder b = { .nfa = nfa,
			     .draft = &draft,
			     .members = { .v = v, .marks = marks },
			     .wild = wild,
			     .tallies = tallies };
	int r = marks && v && wild && tallies ? run(&b) : -ENOMEM;

	free(b.edges);
	if (!r) {
		*ret_draft = draft;
		return 0;
	}
	*ret_costly = 0;
	for (size_t i = 1; i < nfa->n_rules && tallies; i++)
		if (tallies[i] > tallies[*ret_costly])
			*ret_costly = i;
	pyi_draft_release(&draft);
	return r == -ENOMEM ? pyi_err_nomem(err) : pyi_err_set(err, E2BIG, "too many states");
}
