/* SPDX-License-Identifier: MIT */
/* The guest's spec in a sealed memory file: refused, or every part of it lies inside the file. */
#include <fcntl.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/err.h"
#include "guest/internal.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static size_t look_at(const struct pyi_guest_spec *spec)
{
	size_t sum = strlen(spec->name) + strlen(spec->path0);

	for (size_t i = 0; i < spec->n_args; i++)
		sum += strlen(spec->args[i]);
	for (size_t i = 0; i < spec->n_imports; i++)
		sum += strlen(spec->imports[i]);
	for (size_t i = 0; i < spec->text_len; i++)
		sum += (unsigned char)spec->text[i];
	if (spec->text && spec->text[spec->text_len])
		abort();
	if (spec->seccomp && (!spec->seccomp->n || spec->seccomp->n > PYI_SECCOMP_MAX))
		abort();
	return sum;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static volatile size_t seen;
	struct pyi_guest_spec_map map;
	struct pyi_err err;
	int fd = memfd_create("fuzz", MFD_CLOEXEC | MFD_ALLOW_SEALING);

	if (fd < 0 || write(fd, data, size) != (ssize_t)size ||
	    fcntl(fd, F_ADD_SEALS, F_SEAL_SEAL | F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE))
		abort();
	if (!pyi_guest_spec_read(fd, &map, &err)) {
		seen += look_at(&map.spec);
		pyi_guest_spec_release(&map);
	} else if (!err.msg[0]) {
		abort();
	}
	close(fd);
	return 0;
}
