/* SPDX-License-Identifier: MIT */
/*
 * The image file, and what the restorer shares with those who write and check the file. Everything here can run before
 * libc: no calls, no globals.
 *
 *	struct pyi_image_header with ranges: runs, areas, hot | from PYI_IMAGE_PAGES_AT: pages of all runs | names
 *
 * run	pages that are in the file: mapped privately, readable and writable
 * area	memory of the builder that had nothing in it: mapped anew, empty, with the builder's protection
 * hot	a part of a run or an area that nearly every guest writes to: copied at once, instead of by one fault each
 */
#ifndef PYI_GUEST_IMAGE_FORMAT_H
#define PYI_GUEST_IMAGE_FORMAT_H

#include <cpuid.h>
#include <elf.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/before_libc.h"
#include "base/build_id.h"
#include "base/cpu.h"

enum {
	PYI_IMAGE_FORMAT = 1,
	PYI_IMAGE_PAGE = 4096,
	PYI_IMAGE_PAGES_AT = 16384, /* bytes: the header and all ranges; the restorer reads them onto its stack */
	PYI_IMAGE_BUILD_ID_LEN = PYI_BUILD_ID_LEN,
	PYI_IMAGE_CPU_WORDS = PYI_CPU_WORDS,
	PYI_IMAGE_SIGNALS = 4,
};

/* Where an image may have pages: above the binary's text, below what the kernel places at random. */
#define PYI_IMAGE_LOWEST  0x10000UL
#define PYI_IMAGE_HIGHEST 0x700000000000UL

#define PYI_IMAGE_MAGIC	  "pyimage"

struct pyi_image_range {
	uint64_t addr;
	uint32_t n_pages;
	uint32_t arg; /* run: page of the file; area: PROT_*; hot: 0 */
};

/* A signal's action as the kernel knows it. */
struct pyi_image_signal {
	uint64_t signo; /* 0: unused */
	uint64_t action[4];
};

struct pyi_image_header {
	char magic[8];
	uint32_t format;
	uint32_t size;	   /* of header and ranges */
	uint64_t checksum; /* pyi_image_checksum of these `size` bytes, with 0 here */
	uint64_t file_size;
	uint8_t build_id[PYI_IMAGE_BUILD_ID_LEN];
	uint32_t cpu[PYI_IMAGE_CPU_WORDS];
	uint64_t thread; /* the thread pointer, which is also the thread's struct in libc */
	uint64_t tid;	 /* where libc keeps the thread's id */
	uint64_t robust_list;
	uint64_t relro_start, relro_end; /* read-only once all is in place */
	struct pyi_image_signal signals[PYI_IMAGE_SIGNALS];
	uint32_t n_runs, n_areas,
		n_hot; /* the last run is the binary's own data, and only that lies there */
	uint32_t reserved;
	uint64_t n_pages;
	char python[32];
	uint64_t names_at; /* to the end of the file: what is imported, separated by blanks; for people only */
	struct pyi_image_range ranges[]; /* n_runs, then n_areas, then n_hot */
};

#define PYI_IMAGE_MAX_RANGES \
	((PYI_IMAGE_PAGES_AT - sizeof(struct pyi_image_header)) / sizeof(struct pyi_image_range))

/* Why a guest that inherited an image started normally. In the order in which the restorer looks. */
enum pyi_image_reason {
	PYI_IMAGE_NONE, /* no image was inherited */
	PYI_IMAGE_USED,
	PYI_IMAGE_UNREADABLE,
	PYI_IMAGE_DAMAGED,
	PYI_IMAGE_OTHER_BINARY,
	PYI_IMAGE_OTHER_CPU,
	PYI_IMAGE_ENVIRONMENT, /* a variable that changes how libc or the interpreter start */
	PYI_IMAGE_NO_ROOM,     /* limits, or something is mapped there */
};

/* Against damage, not against forgers: those the file's owner and mode keep away. `len` in whole words. */
PYI_BARE uint64_t pyi_image_checksum(const void *data, size_t len)
{
	typedef uint64_t word_of_anything __attribute__((may_alias));
	const word_of_anything *word = data;
	uint64_t sum = 0xcbf29ce484222325;

	for (size_t i = 0; i < len / sizeof(*word); i++) {
		sum = (sum ^ word[i]) * 0x9e3779b97f4a7c15;
		sum ^= sum >> 29;
	}
	return sum;
}

/*
 * Model and main features only, which is one question instead of six: the restorer asks for a file that was compared
 * in full on this machine a millisecond before (image_check.c).
 */
PYI_BARE bool pyi_image_is_cpu(const uint32_t *words)
{
	uint32_t a, b, c, d;

	__cpuid(1, a, b, c, d);
	return words[1] == a && words[2] == c && words[3] == d;
}

/* The binary's writable segments, one or several that follow each other, in whole pages. */
PYI_BARE void pyi_image_own_data(const Elf64_Ehdr *self, uint64_t *ret_start, uint64_t *ret_end)
{
	const Elf64_Phdr *phdr = (const void *)((const char *)self + self->e_phoff);
	const uint64_t mask = -(uint64_t)PYI_IMAGE_PAGE;

	*ret_start = UINT64_MAX;
	*ret_end = 0;
	for (int i = 0; i < self->e_phnum; i++) {
		uint64_t start = phdr[i].p_vaddr & mask;
		uint64_t end = (phdr[i].p_vaddr + phdr[i].p_memsz + PYI_IMAGE_PAGE - 1) & mask;

		if (phdr[i].p_type != PT_LOAD || !(phdr[i].p_flags & PF_W))
			continue;
		if (start < *ret_start)
			*ret_start = start;
		if (end > *ret_end)
			*ret_end = end;
	}
}

/* May these pages be mapped over? Whole, and where an image has pages; and a run lies in the file. */
PYI_BARE bool pyi_image_range_is_sane(const struct pyi_image_range *range)
{
	return range->n_pages && range->addr % PYI_IMAGE_PAGE == 0 &&
	       range->addr >= PYI_IMAGE_LOWEST && range->addr < PYI_IMAGE_HIGHEST &&
	       range->addr + (uint64_t)range->n_pages * PYI_IMAGE_PAGE <= PYI_IMAGE_HIGHEST;
}

/* All of the header and the ranges that can be checked without knowing the binary and the CPU. */
PYI_BARE bool pyi_image_is_sane(struct pyi_image_header *header, size_t size, uint64_t file_size)
{
	uint64_t sum = header->checksum, n = 0;
	bool is_good;

	if (size < sizeof(*header) || header->size < sizeof(*header) || header->size > size ||
	    header->size % sizeof(uint64_t))
		return false;
	n = (uint64_t)header->n_runs + header->n_areas + header->n_hot;
	if (!header->n_runs || n > PYI_IMAGE_MAX_RANGES ||
	    sizeof(*header) + n * sizeof(header->ranges[0]) != header->size ||
	    header->file_size != file_size)
		return false;
	header->checksum = 0;
	is_good = pyi_image_checksum(header, header->size) == sum;
	header->checksum = sum;
	for (uint64_t i = 0; is_good && i < n; i++) {
		const struct pyi_image_range *range = &header->ranges[i];

		is_good = pyi_image_range_is_sane(range);
		if (i < header->n_runs)
			is_good &= range->arg >= PYI_IMAGE_PAGES_AT / PYI_IMAGE_PAGE &&
				   ((uint64_t)range->arg + range->n_pages) * PYI_IMAGE_PAGE <= file_size;
		else if (i < header->n_runs + header->n_areas)
			is_good &= range->arg < 4;
	}
	return is_good;
}

#endif
