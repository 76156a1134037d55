/* SPDX-License-Identifier: MIT */
/*
 * The automatons of all policies in the arena, one copy of each, named by its digest: a policy that was used before, a
 * template for instance, costs one look-up. The map `bodies` says which pages are taken.
 *
 * An automaton that no assignment names any more is kept for a while. When enough of them have come together their
 * pages are free again, after a grace period: a program that has just looked its assignment up may still be walking.
 * Nobody looks one up and writes the assignment without holding the lock, so none is freed in between.
 */
#include <bpf/bpf.h>
#include <errno.h>
#include <linux/membarrier.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "base/digest.h"
#include "base/err.h"
#include "base/fault.h"
#include "base/util.h"
#include "kernel/bpf_pins.h"
#include "policy/dfa.h"
#include "pyi_abi.h"

enum {
	KEEP_S = 10,	/* how long one without an assignment is kept at least */
	DEAD_MIN = 16,	/* how many of them are worth a grace period */
	LOOK_FROM = 32, /* automatons; below that nobody looks for dead ones */
};

/* ------------------------------------------------------------------------------------------------- as bytes */

static uint64_t pack_final(const struct pyi_dfa_final *final)
{
	uint64_t out = (uint64_t) final->is_sink << PYI_FINAL_SINK_SHIFT;

	_Static_assert((int)PYI_DFA_DEFAULT == (int)PYI_FINAL_DEFAULT &&
			       (int)PYI_DFA_ALLOW == (int)PYI_FINAL_ALLOW &&
			       (int)PYI_DFA_WARN == (int)PYI_FINAL_WARN &&
			       (int)PYI_DFA_DENY == (int)PYI_FINAL_DENY,
		       "verdicts");
	for (unsigned int a = 0; a < PYI_DFA_ACCESSES; a++)
		out |= (uint64_t) final->verdicts[a] << (2 * a);
	for (unsigned int a = 0; a < 3; a++)
		out |= (uint64_t) final->rules[a] << (PYI_FINAL_RULE_SHIFT + 16 * a);
	return out;
}

static void *make_bytes(const struct pyi_dfa *dfa, size_t *ret_len)
{
	size_t n = dfa->n_states, rows = n * dfa->n_classes * sizeof(*dfa->next);
	struct pyi_abi_paths *body;
	bool has_slots = false;
	uint64_t *finals;
	uint16_t *slots;

	for (size_t i = 0; i < n; i++)
		has_slots = has_slots || dfa->finals[i].slots;
	*ret_len = sizeof(*body) + n * sizeof(*finals) + rows + (has_slots ? n * sizeof(*slots) : 0);
	body = calloc(1, *ret_len);
	if (!body)
		return NULL;
	body->n_states = dfa->n_states;
	body->n_classes = dfa->n_classes;
	body->start = dfa->start;
	body->has_slots = has_slots;
	memcpy(body->classes, dfa->classes, sizeof(body->classes));
	finals = (uint64_t *)(body + 1);
	for (size_t i = 0; i < n; i++)
		finals[i] = pack_final(&dfa->finals[i]);
	memcpy(finals + n, dfa->next, rows);
	slots = (uint16_t *)(finals + n) + n * dfa->n_classes;
	for (size_t i = 0; i < n && has_slots; i++)
		slots[i] = dfa->finals[i].slots;
	return body;
}

/* ------------------------------------------------------------------------------------------------- as pages */

struct taken {
	struct pyi_abi_body_key key;
	struct pyi_abi_body body;
	bool is_live;
};

struct heap {
	struct taken *v; /* by page */
	size_t n;
};

static int compare_pages(const void *x, const void *y)
{
	const struct taken *a = x, *b = y;

	return a->body.page < b->body.page ? -1 : a->body.page > b->body.page;
}

static int read_heap(int bodies, struct heap *heap)
{
	struct pyi_abi_body_key key;
	bool first = true;
	size_t cap = 0;

	for (;;) {
		struct taken *slot;

		if (heap->n == cap) {
			struct taken *more = reallocarray(heap->v, cap ? cap * 2 : 64, sizeof(*more));

			if (!more)
				return -ENOMEM;
			heap->v = more;
			cap = cap ? cap * 2 : 64;
		}
		slot = &heap->v[heap->n];
		if (bpf_map_get_next_key(bodies, first ? NULL : &key, &slot->key) < 0)
			break;
		key = slot->key;
		first = false;
		slot->is_live = false;
		if (bpf_map_lookup_elem(bodies, &key, &slot->body) == 0)
			heap->n++;
	}
	qsort(heap->v, heap->n, sizeof(*heap->v), compare_pages);
	return 0;
}

static struct taken *find_page(const struct heap *heap, uint32_t page)
{
	struct taken wanted = { .body.page = page };

	return bsearch(&wanted, heap->v, heap->n, sizeof(*heap->v), compare_pages);
}

static void mark_live(int assignments, const struct heap *heap)
{
	uint64_t key = 0, next;
	bool first = true;

	while (bpf_map_get_next_key(assignments, first ? NULL : &key, &next) == 0) {
		struct pyi_abi_assignment assignment;
		struct taken *taken;

		first = false;
		key = next;
		if (bpf_map_lookup_elem(assignments, &key, &assignment) < 0 || !assignment.paths)
			continue;
		taken = find_page(heap, assignment.paths);
		if (taken)
			taken->is_live = true;
	}
}

static uint64_t now_s(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_BOOTTIME, &ts);
	return (uint64_t)ts.tv_sec;
}

/* Take the dead ones out of the heap, and wait until nobody walks through them. */
static int collect(const struct pyi_bpf_maps *maps, struct heap *heap, bool all, struct pyi_err *err)
{
	uint64_t now = now_s();
	size_t n_dead = 0, kept = 0;

	mark_live(maps->assignments, heap);
	for (size_t i = 0; i < heap->n; i++) {
		heap->v[i].is_live = heap->v[i].is_live ||
				     (!all && heap->v[i].body.used_s + KEEP_S > now);
		n_dead += !heap->v[i].is_live;
	}
	if (!n_dead || (!all && n_dead < DEAD_MIN))
		return 0;
	for (size_t i = 0; i < heap->n; i++) {
		if (heap->v[i].is_live)
			heap->v[kept++] = heap->v[i];
		else
			bpf_map_delete_elem(maps->bodies, &heap->v[i].key);
	}
	heap->n = kept;
	/* All readers that began before this are done when it returns: membarrier(2), synchronize_rcu in the kernel. */
	if (PYI_FAULT(530, EPERM) || syscall(SYS_membarrier, MEMBARRIER_CMD_GLOBAL, 0, 0) < 0)
		return pyi_err_sys(err, errno, "cannot wait for a grace period (membarrier)");
	return 0;
}

/* The first gap that is wide enough; page 0 is none. 0: there is none. */
static uint32_t find_gap(const struct heap *heap, uint32_t n_pages)
{
	uint32_t page = 1;

	for (size_t i = 0; i < heap->n; i++) {
		if (heap->v[i].body.page >= page + n_pages)
			return page;
		page = heap->v[i].body.page + heap->v[i].body.n_pages;
	}
	return page + n_pages <= PYI_ABI_ARENA_PAGES ? page : 0;
}

static int write_pages(int arena, uint32_t page, const void *bytes, size_t len, struct pyi_err *err)
{
	const size_t size = (size_t)PYI_ABI_ARENA_PAGES * PYI_ABI_PAGE;
	/* An arena is at the same address in every process. */
	void *base = (void *)PYI_ABI_ARENA_ADDRESS; // NOLINT(performance-no-int-to-ptr)
	char *map = PYI_FAULT(531, ENOMEM) ? MAP_FAILED
					   : mmap(base, size, PROT_READ | PROT_WRITE,
						  MAP_SHARED | MAP_FIXED_NOREPLACE, arena, 0);

	if (map == MAP_FAILED)
		return pyi_err_sys(err, errno, "cannot map the arena of the BPF programs");
	memcpy(map + (size_t)page * PYI_ABI_PAGE, bytes, len);
	munmap(map, size);
	return 0;
}

static int put_new(const struct pyi_bpf_maps *maps, const struct pyi_abi_body_key *key,
		   const void *bytes, size_t len, uint32_t *ret_page, struct pyi_err *err)
{
	struct pyi_abi_body body = { .n_pages = (uint32_t)((len + PYI_ABI_PAGE - 1) / PYI_ABI_PAGE),
				     .used_s = now_s() };
	struct heap heap = { 0 };
	int ret = read_heap(maps->bodies, &heap);

	if (ret < 0)
		ret = pyi_err_nomem(err);
	if (ret == 0 && heap.n >= LOOK_FROM)
		ret = collect(maps, &heap, false, err);
	if (ret == 0)
		body.page = find_gap(&heap, body.n_pages);
	if (ret == 0 && !body.page) {
		ret = collect(maps, &heap, true, err);
		if (ret == 0)
			body.page = find_gap(&heap, body.n_pages);
		if (ret == 0 && !body.page)
			ret = pyi_err_set(
				err, ENOSPC,
				"the policies of all running sandboxes fill the %u MiB that there are",
				PYI_ABI_ARENA_PAGES / 256);
	}
	free(heap.v);
	if (ret == 0)
		ret = write_pages(maps->arena, body.page, bytes, len, err);
	if (ret == 0 &&
	    (PYI_FAULT(532, ENOSPC) || bpf_map_update_elem(maps->bodies, key, &body, BPF_ANY) < 0))
		ret = pyi_err_sys(err, errno, "cannot write down where the path automaton is");
	if (ret == 0)
		*ret_page = body.page;
	return ret;
}

int pyi_bpf_body_put(const struct pyi_bpf_maps *maps, const struct pyi_dfa *dfa, uint32_t *ret_page,
		     struct pyi_err *err)
{
	size_t len;
	_cleanup_free void *bytes = make_bytes(dfa, &len);
	struct pyi_abi_body_key key;
	struct pyi_abi_body body;

	if (!bytes)
		return pyi_err_nomem(err);
	_Static_assert(sizeof(key.digest) == PYI_DIGEST_LEN, "digest");
	pyi_digest(bytes, len, key.digest);
	if (bpf_map_lookup_elem(maps->bodies, &key, &body) < 0)
		return put_new(maps, &key, bytes, len, ret_page, err);
	body.used_s = now_s();
	bpf_map_update_elem(maps->bodies, &key, &body, BPF_ANY);
	*ret_page = body.page;
	return 0;
}
