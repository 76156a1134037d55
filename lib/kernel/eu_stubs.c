/* SPDX-License-Identifier: MIT */
/*
 * Debian's static libelf refers to four functions of elfutils' internal libeu, which no package ships. They keep the
 * table of data chunks that elf_getdata_rawchunk(3) hands out; libbpf reads ELF sections only and never calls that. So
 * these say that nothing can be stored, which libelf treats as out of memory. Weak, for a libelf that is complete.
 */
#include <stddef.h>

typedef int (*compare_fn)(const void *, const void *);
typedef void (*free_fn)(void *);

int eu_search_tree_init(void *tree) __attribute__((weak));
void eu_search_tree_fini(void *tree, free_fn free_node) __attribute__((weak));
void *eu_tsearch(const void *key, void *tree, compare_fn compare) __attribute__((weak));
void *eu_tdelete(const void *key, void *tree, compare_fn compare) __attribute__((weak));

int eu_search_tree_init(void *tree)
{
	return 0;
}

void eu_search_tree_fini(void *tree, free_fn free_node)
{
}

void *eu_tsearch(const void *key, void *tree, compare_fn compare)
{
	return NULL;
}

void *eu_tdelete(const void *key, void *tree, compare_fn compare)
{
	return NULL;
}
