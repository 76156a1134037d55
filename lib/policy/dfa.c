/* SPDX-License-Identifier: MIT */
/* The path rules of a policy as one minimal automaton: nfa.c, dfa_subset.c, dfa_min.c put together; see dfa.h. */
#include "policy/dfa.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/err.h"
#include "base/util.h"
#include "policy/dfa_draft.h"
#include "policy/dfa_min.h"
#include "policy/nfa.h"
#include "policy/policy.h"

void pyi_dfa_free(struct pyi_dfa *dfa)
{
	if (!dfa)
		return;
	free(dfa->next);
	free(dfa->finals);
	free(dfa);
}

/*
 * Numbers for the blocks: the dead state's is 0, the others count from the start in the order they are met, so that
 * what is walked together lies together. names[block] is the number; ret_order[number] a state of the block.
 */
static uint32_t number_blocks(const struct pyi_draft *d, const uint32_t *blocks,
			      const uint32_t *starts, uint32_t *names, uint32_t *ret_order)
{
	uint32_t n = 0;

	names[blocks[0]] = 1 + n;
	ret_order[n++] = 0;
	if (d->n_states > 1 && !names[blocks[1]]) {
		names[blocks[1]] = 1 + n;
		ret_order[n++] = 1;
	}
	for (uint32_t at = 0; at < n; at++)
		for (uint32_t i = starts[ret_order[at]]; i < starts[ret_order[at] + 1]; i++) {
			uint32_t to = d->steps[i].to;

			if (names[blocks[to]])
				continue;
			names[blocks[to]] = 1 + n;
			ret_order[n++] = to;
		}
	return n;
}

static void fill_final(const struct pyi_draft_state *state, struct pyi_dfa_final *final)
{
	final->is_sink = state->is_sink;
	final->slots = state->slots;
	for (int a = 0; a < PYI_DFA_ACCESSES; a++) {
		final->verdicts[a] = pyi_nfa_key_verdict(state->keys[a]);
		final->rules[a] = pyi_nfa_key_rule(state->keys[a]);
	}
}

static int make_tables(const struct pyi_draft *d, struct pyi_dfa *dfa, const uint32_t *blocks,
		       uint32_t n_blocks)
{
	_cleanup_free uint32_t *names = calloc((size_t)n_blocks + 1, sizeof(*names));
	_cleanup_free uint32_t *order = calloc((size_t)n_blocks + 1, sizeof(*order));
	_cleanup_free uint32_t *starts = calloc((size_t)d->n_states + 2, sizeof(*starts));

	if (!names || !order || !starts)
		return -ENOMEM;
	for (uint32_t i = 0; i < d->n_steps; i++)
		starts[d->steps[i].from + 1]++;
	for (uint32_t s = 0; s < d->n_states; s++)
		starts[s + 1] += starts[s];
	dfa->n_states = number_blocks(d, blocks, starts, names, order);
	if (dfa->n_states > PYI_DFA_STATES_MAX)
		return -E2BIG;
	dfa->start = (uint16_t)(d->n_states > 1 ? names[blocks[1]] - 1 : 0);
	dfa->next = calloc((size_t)dfa->n_states * dfa->n_classes, sizeof(*dfa->next));
	dfa->finals = calloc(dfa->n_states, sizeof(*dfa->finals));
	if (!dfa->next || !dfa->finals)
		return -ENOMEM;
	for (uint32_t k = 0; k < dfa->n_states; k++) {
		uint32_t s = order[k];

		fill_final(&d->states[s], &dfa->finals[k]);
		for (uint32_t c = 0; c < dfa->n_classes && d->states[s].is_sink; c++)
			dfa->next[(size_t)k * dfa->n_classes + c] = (uint16_t)k;
		for (uint32_t i = starts[s]; i < starts[s + 1]; i++)
			dfa->next[(size_t)k * dfa->n_classes + d->steps[i].class] =
				(uint16_t)(names[blocks[d->steps[i].to]] - 1);
	}
	return 0;
}

/* The rule whose nodes are in most states, when the last step was what found that there are too many. */
static size_t find_costly(const struct pyi_nfa *nfa, const struct pyi_draft *d)
{
	uint32_t *tallies = calloc(nfa->n_rules + 1, sizeof(*tallies));
	size_t most = 0;

	for (uint32_t i = 0; tallies && i < d->n_pool; i++)
		if (nfa->nodes[d->pool[i]].edges)
			tallies[nfa->nodes[d->pool[i]].rule]++;
	for (size_t i = 1; tallies && i < nfa->n_rules; i++)
		if (tallies[i] > tallies[most])
			most = i;
	free(tallies);
	return most;
}

static int minimize(const struct pyi_nfa *nfa, struct pyi_draft *draft, struct pyi_dfa **ret_dfa,
		    size_t *ret_costly, struct pyi_err *err)
{
	_cleanup_free uint32_t *blocks = calloc(draft->n_states, sizeof(*blocks));
	struct pyi_dfa *dfa = calloc(1, sizeof(*dfa));
	uint32_t n_blocks = 0;
	int r = blocks && dfa ? pyi_dfa_find_equals(draft, blocks, &n_blocks) : -ENOMEM;

	if (!r) {
		dfa->n_classes = nfa->n_classes;
		memcpy(dfa->classes, nfa->classes, sizeof(dfa->classes));
		r = make_tables(draft, dfa, blocks, n_blocks);
	}
	if (r) {
		pyi_dfa_free(dfa);
		if (r == -E2BIG)
			*ret_costly = find_costly(nfa, draft);
		return r == -ENOMEM ? pyi_err_nomem(err) : pyi_err_set(err, E2BIG, "too many states");
	}
	*ret_dfa = dfa;
	return 0;
}

int pyi_dfa_build(const struct pyi_dfa_rule *rules, size_t n_rules, struct pyi_dfa **ret_dfa,
		  size_t *ret_costly, struct pyi_err *err)
{
	struct pyi_draft draft = { 0 };
	struct pyi_nfa nfa = { 0 };
	int r;

	*ret_costly = 0;
	r = pyi_nfa_build(rules, n_rules, &nfa, err);
	if (!r)
		r = pyi_draft_build(&nfa, &draft, ret_costly, err);
	if (!r)
		r = minimize(&nfa, &draft, ret_dfa, ret_costly, err);
	pyi_draft_release(&draft);
	pyi_nfa_release(&nfa);
	if (r == -E2BIG && n_rules)
		pyi_err_set(err, E2BIG,
			    "'%.200s' is too costly: the path rules together need more than %d states; "
			    "use fewer wildcards in it, or name directories instead",
			    rules[*ret_costly].path, PYI_DFA_STATES_MAX);
	return r;
}

int pyi_dfa_of_policy(const struct pyi_policy *policy, struct pyi_dfa **ret_dfa, struct pyi_err *err)
{
	static const uint8_t verdicts[] = {
		[PYI_ALLOW] = PYI_DFA_ALLOW, [PYI_WARN] = PYI_DFA_WARN, [PYI_DENY] = PYI_DFA_DENY
	};
	_cleanup_free struct pyi_dfa_rule *rules = calloc(policy->n_fs + 1, sizeof(*rules));
	const struct pyi_origin *from;
	size_t costly = 0;
	int r;

	if (!rules)
		return pyi_err_nomem(err);
	for (size_t i = 0; i < policy->n_fs; i++)
		rules[i] = (struct pyi_dfa_rule){
			.path = policy->fs[i].path,
			.is_glob = policy->fs[i].is_glob,
			.verdict = verdicts[policy->fs[i].verdict],
			.access = (uint8_t)policy->fs[i].access,
			.number = (uint16_t)i,
		};
	r = pyi_dfa_build(rules, policy->n_fs, ret_dfa, &costly, err);
	if (r != -E2BIG || !policy->n_fs)
		return r;
	from = &policy->fs[costly].from;
	return from->line ? pyi_err_add(err, "%s:%u", from->file, from->line)
			  : pyi_err_add(err, "%s", from->file);
}

const struct pyi_dfa_final *pyi_dfa_walk(const struct pyi_dfa *dfa, const char *path)
{
	uint32_t state = dfa->start;

	for (; *path; path++)
		state = dfa->next[(size_t)state * dfa->n_classes + dfa->classes[(uint8_t)*path]];
	return &dfa->finals[state];
}
