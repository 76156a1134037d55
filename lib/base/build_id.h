/* SPDX-License-Identifier: MIT */
/* Which binary is this? The build-id that the linker gave it. Needs nothing of the C library, not even its start. */
#ifndef PYI_BASE_BUILD_ID_H
#define PYI_BASE_BUILD_ID_H

#include <elf.h>
#include <stddef.h>
#include <stdint.h>

#include "base/before_libc.h"

enum { PYI_BUILD_ID_LEN = 20 };

extern const Elf64_Ehdr __ehdr_start; /* of the linker: where the binary begins in memory */

/* From the notes that are loaded with the binary; NULL without. PYI_BUILD_ID_LEN bytes. */
PYI_BARE const uint8_t *pyi_build_id(void)
{
	const Elf64_Phdr *phdr = (const void *)((const char *)&__ehdr_start + __ehdr_start.e_phoff);

	for (int i = 0; i < __ehdr_start.e_phnum; i++) {
		const char *at = (const char *)phdr[i].p_vaddr, *end = at + phdr[i].p_memsz;

		while (phdr[i].p_type == PT_NOTE && at + sizeof(Elf64_Nhdr) <= end) {
			const Elf64_Nhdr *note = (const void *)at;
			const char *data = at + sizeof(*note) + ((note->n_namesz + 3) & ~3u);

			if (note->n_type == NT_GNU_BUILD_ID && note->n_namesz == 4 &&
			    note->n_descsz == PYI_BUILD_ID_LEN)
				return (const uint8_t *)data;
			at = data + ((note->n_descsz + 3) & ~3u);
		}
	}
	return NULL;
}

#endif
