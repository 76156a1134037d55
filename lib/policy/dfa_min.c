/* SPDX-License-Identifier: MIT */
/*
 * Making a deterministic automaton minimal by refining two partitions in turn, of its states and of its steps, after
 * A. Valmari, "Fast brief practical DFA minimization", Information Processing Letters 112 (2012): steps times log of
 * states. What is missing is a step to the dead state and costs nothing; nor do sinks, which are equal exactly when
 * they say the same.
 */
#include "policy/dfa_min.h"

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "base/util.h"
#include "policy/dfa_draft.h"

/* Elements in blocks; each block is a stretch of `order`, with what is marked of it in front. */
struct partition {
	uint32_t n_blocks;
	uint32_t *order;   /* elements, block by block */
	uint32_t *place;   /* of an element in order */
	uint32_t *block;   /* of an element */
	uint32_t *first;   /* of a block, in order */
	uint32_t *end;	   /* of a block, behind its last */
	uint32_t *marked;  /* how many of a block */
	uint32_t *touched; /* blocks with marks */
	uint32_t n_touched;
};

static void partition_release(struct partition *p)
{
	free(p->order);
}

static int partition_init(struct partition *p, uint32_t n)
{
	uint32_t *all = calloc((size_t)n * 7 + 7, sizeof(*all));

	if (!all)
		return -ENOMEM;
	*p = (struct partition){ .order = all,
				 .place = all + n,
				 .block = all + 2 * (size_t)n,
				 .first = all + 3 * (size_t)n,
				 .end = all + 4 * (size_t)n + 1,
				 .marked = all + 5 * (size_t)n + 2,
				 .touched = all + 6 * (size_t)n + 3 };
	return 0;
}

/* Blocks from keys: elements with equal keys are together. The order of blocks is that of the sorted elements. */
static void partition_set(struct partition *p, const uint32_t *sorted, const uint32_t *group, uint32_t n)
{
	for (uint32_t i = 0; i < n; i++) {
		if (!i || group[i] != group[i - 1]) {
			if (i)
				p->end[p->n_blocks - 1] = i;
			p->first[p->n_blocks++] = i;
		}
		p->order[i] = sorted[i];
		p->place[sorted[i]] = i;
		p->block[sorted[i]] = p->n_blocks - 1;
	}
	if (n)
		p->end[p->n_blocks - 1] = n;
}

static void mark(struct partition *p, uint32_t element)
{
	uint32_t b = p->block[element], at = p->place[element], to = p->first[b] + p->marked[b];

	if (at < to)
		return; /* marked already */
	p->order[at] = p->order[to];
	p->place[p->order[at]] = at;
	p->order[to] = element;
	p->place[element] = to;
	if (!p->marked[b]++)
		p->touched[p->n_touched++] = b;
}

/* What is marked of a block and what is not part; the smaller half is the new block. */
static void split(struct partition *p)
{
	while (p->n_touched) {
		uint32_t b = p->touched[--p->n_touched], made = p->n_blocks;
		uint32_t middle = p->first[b] + p->marked[b];

		if (middle == p->end[b]) {
			p->marked[b] = 0;
			continue;
		}
		if (p->marked[b] <= p->end[b] - middle) {
			p->first[made] = p->first[b];
			p->end[made] = p->first[b] = middle;
		} else {
			p->end[made] = p->end[b];
			p->first[made] = p->end[b] = middle;
		}
		for (uint32_t i = p->first[made]; i < p->end[made]; i++)
			p->block[p->order[i]] = made;
		p->marked[b] = p->marked[made] = 0;
		p->n_blocks++;
	}
}

static int compare_verdicts(const struct pyi_draft *d, uint32_t x, uint32_t y)
{
	const struct pyi_draft_state *a = &d->states[x], *b = &d->states[y];

	if (a->is_sink != b->is_sink)
		return a->is_sink ? 1 : -1;
	if (a->slots != b->slots)
		return a->slots < b->slots ? -1 : 1;
	return memcmp(a->keys, b->keys, sizeof(a->keys));
}

static int compare_states(const void *x, const void *y, void *draft)
{
	uint32_t a = *(const uint32_t *)x, b = *(const uint32_t *)y;
	int c = compare_verdicts(draft, a, b);

	return c ? c : a < b ? -1 : a > b;
}

static int init_states(const struct pyi_draft *d, struct partition *p)
{
	_cleanup_free uint32_t *sorted = calloc((size_t)d->n_states + 1, sizeof(*sorted));
	_cleanup_free uint32_t *group = calloc((size_t)d->n_states + 1, sizeof(*group));

	if (!sorted || !group || partition_init(p, d->n_states))
		return -ENOMEM;
	for (uint32_t i = 0; i < d->n_states; i++)
		sorted[i] = i;
	qsort_r(sorted, d->n_states, sizeof(*sorted), compare_states, (void *)d);
	for (uint32_t i = 1; i < d->n_states; i++)
		group[i] = group[i - 1] + (compare_verdicts(d, sorted[i - 1], sorted[i]) != 0);
	partition_set(p, sorted, group, d->n_states);
	return 0;
}

/* Steps by their byte class. */
static int init_steps(const struct pyi_draft *d, struct partition *p)
{
	_cleanup_free uint32_t *sorted = calloc((size_t)d->n_steps + 1, sizeof(*sorted));
	_cleanup_free uint32_t *group = calloc((size_t)d->n_steps + 1, sizeof(*group));
	uint32_t starts[257] = { 0 };

	if (!sorted || !group || partition_init(p, d->n_steps))
		return -ENOMEM;
	for (uint32_t i = 0; i < d->n_steps; i++)
		starts[d->steps[i].class + 1]++;
	for (int c = 0; c < 256; c++)
		starts[c + 1] += starts[c];
	for (uint32_t i = 0; i < d->n_steps; i++) {
		uint32_t at = starts[d->steps[i].class]++;

		sorted[at] = i;
		group[at] = d->steps[i].class;
	}
	partition_set(p, sorted, group, d->n_steps);
	return 0;
}

/* Steps by where they lead: those to state s are list[starts[s]] up to list[starts[s + 1]]. */
static int find_incoming(const struct pyi_draft *d, uint32_t **ret_starts, uint32_t **ret_list)
{
	uint32_t *starts = calloc((size_t)d->n_states + 2, sizeof(*starts));
	uint32_t *list = calloc((size_t)d->n_steps + 1, sizeof(*list));

	*ret_starts = starts;
	*ret_list = list;
	if (!starts || !list)
		return -ENOMEM;
	for (uint32_t i = 0; i < d->n_steps; i++)
		starts[d->steps[i].to + 2]++;
	for (uint32_t s = 0; s < d->n_states; s++)
		starts[s + 2] += starts[s + 1];
	for (uint32_t i = 0; i < d->n_steps; i++)
		list[starts[d->steps[i].to + 1]++] = i;
	return 0;
}

/* Put into the queue every state with a step to this one. */
static void spread(const struct pyi_draft *d, const uint32_t *starts, const uint32_t *list,
		   bool *varies, uint32_t *queue, uint32_t *n)
{
	for (uint32_t at = 0; at < *n; at++)
		for (uint32_t i = starts[queue[at]]; i < starts[queue[at] + 1]; i++) {
			uint32_t from = d->steps[list[i]].from;

			if (!varies[from])
				queue[(*n)++] = from;
			varies[from] = true;
		}
}

/* Sinks that were not known as such: what they say stays the same whatever follows. Their steps go. */
static int find_sinks(struct pyi_draft *d)
{
	_cleanup_free uint32_t *starts = NULL, *list = NULL;
	_cleanup_free uint32_t *queue = calloc((size_t)d->n_states + 1, sizeof(*queue));
	_cleanup_free uint32_t *n_out = calloc((size_t)d->n_states + 1, sizeof(*n_out));
	_cleanup_free bool *varies = calloc((size_t)d->n_states + 1, sizeof(*varies));
	uint32_t n = 0, kept = 0;

	if (find_incoming(d, &starts, &list) || !queue || !varies || !n_out)
		return -ENOMEM;
	for (uint32_t i = 0; i < d->n_steps; i++) {
		const struct pyi_draft_step *step = &d->steps[i];

		n_out[step->from]++;
		varies[step->from] |= d->states[step->from].slots != d->states[step->to].slots ||
				      memcmp(d->states[step->from].keys, d->states[step->to].keys,
					     sizeof(d->states->keys)) != 0;
	}
	for (uint32_t s = 0; s < d->n_states; s++) {
		varies[s] |= !d->states[s].is_sink && n_out[s] != d->n_classes;
		if (varies[s])
			queue[n++] = s;
	}
	spread(d, starts, list, varies, queue, &n);
	for (uint32_t s = 0; s < d->n_states; s++)
		d->states[s].is_sink = !varies[s];
	for (uint32_t i = 0; i < d->n_steps; i++)
		if (varies[d->steps[i].from])
			d->steps[kept++] = d->steps[i];
	d->n_steps = kept;
	return 0;
}

static void refine(const struct pyi_draft *d, struct partition *states, struct partition *steps,
		   const uint32_t *starts, const uint32_t *list)
{
	/* The first block of states needs no looking at: what leads there is told apart by leading to no other. */
	for (uint32_t b = 1, c = 0; c < steps->n_blocks; c++) {
		for (uint32_t i = steps->first[c]; i < steps->end[c]; i++)
			mark(states, d->steps[steps->order[i]].from);
		split(states);
		for (; b < states->n_blocks; b++) {
			for (uint32_t i = states->first[b]; i < states->end[b]; i++) {
				uint32_t s = states->order[i];

				for (uint32_t j = starts[s]; j < starts[s + 1]; j++)
					mark(steps, list[j]);
			}
			split(steps);
		}
	}
}

int pyi_dfa_find_equals(struct pyi_draft *draft, uint32_t *ret_blocks, uint32_t *ret_n)
{
	_cleanup_free uint32_t *starts = NULL, *list = NULL;
	struct partition states = { 0 }, steps = { 0 };
	int r = find_sinks(draft);

	if (!r)
		r = init_states(draft, &states);
	if (!r)
		r = init_steps(draft, &steps);
	if (!r)
		r = find_incoming(draft, &starts, &list);
	if (!r) {
		refine(draft, &states, &steps, starts, list);
		memcpy(ret_blocks, states.block, draft->n_states * sizeof(*ret_blocks));
		*ret_n = states.n_blocks;
	}
	partition_release(&states);
	partition_release(&steps);
	return r;
}
