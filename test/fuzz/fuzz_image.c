/* SPDX-License-Identifier: MIT */
/*
 * The tables of an image: refused with a word, or every range of them lies where the restorer may map it. The input is
 * a file, cut to its header and ranges; an odd last byte has magic, sizes, maker and checksum put right, so that what
 * lies behind those is reached too.
 */
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/build_id.h"
#include "base/cpu.h"
#include "base/err.h"
#include "guest/image.h"
#include "guest/image_format.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static _Alignas(uint64_t) char file[PYI_IMAGE_PAGES_AT];

static void put_right(struct pyi_image_header *header, uint64_t file_size)
{
	uint64_t n;

	header->n_runs %= 16;
	header->n_areas %= 16;
	header->n_hot %= 16;
	n = (uint64_t)header->n_runs + header->n_areas + header->n_hot;
	memcpy(header->magic, PYI_IMAGE_MAGIC, sizeof(header->magic));
	header->format = PYI_IMAGE_FORMAT;
	header->size = (uint32_t)(sizeof(*header) + n * sizeof(header->ranges[0]));
	header->file_size = file_size;
	memcpy(header->build_id, pyi_build_id(), sizeof(header->build_id));
	pyi_cpu_words(header->cpu);
	header->checksum = 0;
	header->checksum = pyi_image_checksum(header, header->size);
}

/* In wider arithmetic and from the rules in words: whole pages, in the middle of the address space, inside the file. */
static void look_at(const struct pyi_image_header *header, uint64_t file_size)
{
	uint32_t n = header->n_runs + header->n_areas + header->n_hot;

	for (uint32_t i = 0; i < n; i++) {
		const struct pyi_image_range *range = &header->ranges[i];
		__uint128_t bytes = (__uint128_t)range->n_pages * PYI_IMAGE_PAGE;
		__uint128_t at = (__uint128_t)range->arg * PYI_IMAGE_PAGE;

		if (!bytes || range->addr % PYI_IMAGE_PAGE || range->addr < PYI_IMAGE_LOWEST ||
		    range->addr + bytes > PYI_IMAGE_HIGHEST)
			abort();
		if (i < header->n_runs && (at < PYI_IMAGE_PAGES_AT || at + bytes > file_size))
			abort();
		if (i >= header->n_runs && i < header->n_runs + header->n_areas &&
		    range->arg & ~(uint32_t)(PROT_READ | PROT_WRITE))
			abort();
	}
	if ((const char *)&header->ranges[n] > file + sizeof(file))
		abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct pyi_image_header *header = (struct pyi_image_header *)file;
	struct pyi_image_info info;
	struct pyi_err err = { 0 };
	uint64_t file_size;
	int fd;

	if (!size)
		return 0;
	memset(file, 0, sizeof(file));
	memcpy(file, data, size < sizeof(file) ? size : sizeof(file));
	file_size = sizeof(file) + (uint64_t)data[0] * PYI_IMAGE_PAGE;
	if (data[size - 1] & 1)
		put_right(header, file_size);
	else
		file_size = size;
	fd = memfd_create("fuzz", MFD_CLOEXEC);
	if (fd < 0 || ftruncate(fd, (off_t)file_size) ||
	    pwrite(fd, file, size < sizeof(file) && !(data[size - 1] & 1) ? size : sizeof(file), 0) < 0)
		abort();
	if (!pyi_image_check(fd, &info, &err)) {
		look_at(header, file_size);
		if (strnlen(info.preload, sizeof(info.preload)) == sizeof(info.preload) ||
		    strnlen(info.python, sizeof(info.python)) == sizeof(info.python))
			abort();
	} else if (!err.msg[0]) {
		abort();
	}
	close(fd);
	return 0;
}
