/* SPDX-License-Identifier: MIT */
/* The training guest's side; see image_build.c. */
#include "guest/image_train.h"

#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/io.h"
#include "guest/image_format.h"
#include "guest/internal.h"

enum { CHUNK = 512 };

#define PAGEMAP_PRESENT (1ULL << 63)
#define PAGEMAP_FILE	(1ULL << 61) /* still the file's page, or shared */

static int pagemap_fd = -1;
static bool is_on;

void pyi_image_train_begin(void)
{
	is_on = true;
	pagemap_fd = open("/proc/self/pagemap", O_RDONLY | O_CLOEXEC);
}

bool pyi_image_train_is_on(void)
{
	return is_on;
}

/* The pages of one range that are this process's own by now. */
static void tell(const struct pyi_image_range *range)
{
	uint64_t entries[CHUNK];
	struct pyi_image_range own = { 0 };

	for (uint32_t i = 0; i < range->n_pages; i++) {
		uint64_t addr = range->addr + (uint64_t)i * PYI_IMAGE_PAGE;

		if (i % CHUNK == 0 && pread(pagemap_fd, entries, sizeof(entries),
					    (off_t)(addr / PYI_IMAGE_PAGE * sizeof(entries[0]))) <= 0)
			return;
		if ((entries[i % CHUNK] & (PAGEMAP_PRESENT | PAGEMAP_FILE)) != PAGEMAP_PRESENT)
			continue;
		own = (struct pyi_image_range){ .addr = addr, .n_pages = 1 };
		(void)pyi_write_all(PYI_IMAGE_TRAIN_FD, &own, sizeof(own));
	}
}

void pyi_image_train_end(void)
{
	_Alignas(uint64_t) char buffer[PYI_IMAGE_PAGES_AT];
	const struct pyi_image_header *header = (const struct pyi_image_header *)buffer;

	if (pagemap_fd < 0 ||
	    pread(PYI_IMAGE_TRAIN_IMAGE_FD, buffer, sizeof(buffer), 0) != (ssize_t)sizeof(buffer))
		return;
	/* Not what became writable only later: it is not yet when a start copies its pages. */
	for (uint32_t i = 0; i < header->n_runs + header->n_areas; i++)
		if (i < header->n_runs || header->ranges[i].arg & PROT_WRITE)
			tell(&header->ranges[i]);
}
