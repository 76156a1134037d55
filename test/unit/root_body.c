/* SPDX-License-Identifier: MIT */
/*
 * Path automatons in a real arena, as root, without any program: what was put there is what the programs would walk,
 * equal ones are there once, and what no assignment names goes when enough of it has come together.
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cmocka.h>

#include <bpf/bpf.h>

#include "base/err.h"
#include "base/util.h"
#include "kernel/bpf_pins.h"
#include "policy/dfa.h"
#include "policy/policy.h"
#include "pyi_abi.h"

static struct pyi_bpf_maps maps = PYI_BPF_MAPS_INIT;

static int set_up(void **state)
{
	LIBBPF_OPTS(bpf_map_create_opts, hash, .map_flags = BPF_F_NO_PREALLOC);
	LIBBPF_OPTS(bpf_map_create_opts, arena, .map_flags = BPF_F_MMAPABLE,
		    .map_extra = PYI_ABI_ARENA_ADDRESS);

	if (geteuid() != 0)
		return 0;
	maps.arena = bpf_map_create(BPF_MAP_TYPE_ARENA, "arena", 0, 0, PYI_ABI_ARENA_PAGES, &arena);
	maps.bodies = bpf_map_create(BPF_MAP_TYPE_HASH, "bodies", sizeof(struct pyi_abi_body_key),
				     sizeof(struct pyi_abi_body), 16384, &hash);
	maps.assignments = bpf_map_create(BPF_MAP_TYPE_HASH, "assignments", sizeof(uint64_t),
					  sizeof(struct pyi_abi_assignment), 16384, &hash);
	return 0;
}

static int tear_down(void **state)
{
	pyi_bpf_maps_close(&maps);
	return 0;
}

static void need_arena(void)
{
	if (maps.arena < 0 || maps.bodies < 0 || maps.assignments < 0) {
		print_message("this kernel gives us no arena\n");
		skip();
	}
}

static struct pyi_dfa *make_dfa(const char *path, uint16_t number)
{
	const struct pyi_dfa_rule rules[] = {
		{ path, strchr(path, '*') != NULL, false, PYI_DFA_ALLOW, PYI_READ | PYI_WRITE,
		  number, 0 },
		{ "/srv/**/*.key", true, false, PYI_DFA_DENY, 7, 7, 0 },
	};
	struct pyi_dfa *dfa = NULL;
	struct pyi_err err = { 0 };
	size_t costly;

	assert_int_equal(pyi_dfa_build(rules, 2, &dfa, &costly, &err), 0);
	return dfa;
}

static uint32_t put(const char *path, uint16_t number)
{
	struct pyi_dfa *dfa = make_dfa(path, number);
	struct pyi_err err = { 0 };
	uint32_t page = 0;

	if (pyi_bpf_body_put(&maps, dfa, &page, &err))
		fail_msg("%s", err.msg);
	pyi_dfa_free(dfa);
	assert_true(page > 0);
	return page;
}

static void assign(uint64_t cgroup, uint32_t page)
{
	struct pyi_abi_assignment assignment = { .owner = cgroup, .paths = page };

	assert_int_equal(bpf_map_update_elem(maps.assignments, &cgroup, &assignment, BPF_ANY), 0);
}

/* As the programs walk it. */
static uint64_t walk(const char *arena, uint32_t page, const char *path)
{
	const struct pyi_abi_paths *body = (const void *)(arena + (size_t)page * PYI_ABI_PAGE);
	const uint64_t *finals = (const uint64_t *)(body + 1);
	const uint16_t *rows = (const uint16_t *)(finals + body->n_states);
	uint32_t state = body->start;

	for (; *path; path++)
		state = rows[state * body->n_classes + body->classes[(uint8_t)*path]];
	return finals[state];
}

static void what_is_put_is_what_is_walked(void **state)
{
	static const char *const paths[] = {
		"/srv", "/srv/x",      "/srv/x.key", "/srv/a/b.key/c", "/srv/a/b/c", "/srvx",
		"/",	"/etc/passwd", "/srv/*",     "/srv/.key",      "/srv//x"
	};
	struct pyi_dfa *dfa;
	uint32_t page;
	char *arena;

	need_arena();
	page = put("/srv", 3);
	dfa = make_dfa("/srv", 3);
	arena = mmap((void *)PYI_ABI_ARENA_ADDRESS, (size_t)PYI_ABI_ARENA_PAGES * PYI_ABI_PAGE,
		     PROT_READ, MAP_SHARED | MAP_FIXED_NOREPLACE, maps.arena, 0);
	assert_true(arena != MAP_FAILED);
	for (size_t i = 0; i < PYI_ARRAY_SIZE(paths); i++) {
		const struct pyi_dfa_final *want = pyi_dfa_walk(dfa, paths[i]);
		uint64_t got = walk(arena, page, paths[i]);

		for (unsigned int a = 0; a < 3; a++) {
			assert_int_equal(got >> (2 * a) & 3, want->verdicts[a]);
			assert_int_equal((uint16_t)(got >> (PYI_FINAL_RULE_SHIFT + 16 * a)),
					 want->rules[a]);
		}
		assert_int_equal(got >> PYI_FINAL_SINK_SHIFT & 1, want->is_sink);
	}
	munmap(arena, (size_t)PYI_ABI_ARENA_PAGES * PYI_ABI_PAGE);
	pyi_dfa_free(dfa);
}

static void equal_ones_are_there_once(void **state)
{
	uint32_t page, other;

	need_arena();
	page = put("/srv/one", 1);
	other = put("/srv/two", 1);
	assert_int_not_equal(page, other);
	assert_int_equal(put("/srv/one", 1), page);
	/* The number of a rule is part of it: denials name it. */
	assert_int_not_equal(put("/srv/one", 2), page);
}

static size_t count_bodies(void)
{
	struct pyi_abi_body_key key, next;
	bool first = true;
	size_t n = 0;

	for (; bpf_map_get_next_key(maps.bodies, first ? NULL : &key, &next) == 0; n++, first = false)
		key = next;
	return n;
}

/* As if all had been used long ago. What is changed comes first in its bucket again: the keys are taken before. */
static void age_all(void)
{
	size_t n = count_bodies();
	struct pyi_abi_body_key *keys = calloc(n, sizeof(*keys));
	struct pyi_abi_body body;

	assert_non_null(keys);
	for (size_t i = 0; i < n; i++)
		assert_int_equal(bpf_map_get_next_key(maps.bodies, i ? &keys[i - 1] : NULL, &keys[i]),
				 0);
	for (size_t i = 0; i < n; i++) {
		assert_int_equal(bpf_map_lookup_elem(maps.bodies, &keys[i], &body), 0);
		body.used_s = 0;
		assert_int_equal(bpf_map_update_elem(maps.bodies, &keys[i], &body, BPF_EXIST), 0);
	}
	free(keys);
}

static void what_nobody_uses_goes(void **state)
{
	uint32_t kept, page, highest = 0;
	char path[64];

	need_arena();
	kept = put("/srv/kept", 1);
	assign(42, kept);
	for (uint16_t i = 0; i < 60; i++) {
		snprintf(path, sizeof(path), "/srv/p%u", i);
		page = put(path, i);
		highest = page > highest ? page : highest;
	}
	/* Fresh ones stay, whether they are assigned or not. */
	assert_true(count_bodies() > 60);
	age_all();
	page = put("/srv/new", 1);
	assert_int_equal(count_bodies(), 2);
	assert_true(page < highest);
	/* Not over the one that is assigned, which is where it was. */
	assert_int_not_equal(page, kept);
	assert_int_equal(put("/srv/kept", 1), kept);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_is_put_is_what_is_walked),
		cmocka_unit_test(equal_ones_are_there_once),
		cmocka_unit_test(what_nobody_uses_goes),
	};

	return cmocka_run_group_tests(tests, set_up, tear_down);
}
