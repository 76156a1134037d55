/* SPDX-License-Identifier: MIT */
/*
 * dlsym in one static program, where no dynamic symbol table is: ctypes.pythonapi and ctypes.CDLL(None) find the C API
 * of Python and the usual functions of libc in a table made at build time (lib/guest/symbols.sh). It gives a guest
 * nothing that it could not reach by address, for it can read and call all of its memory; what holds it is the kernel.
 */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "guest/internal.h"

struct symbol {
	const char *name;
	void *address;
};

extern const struct symbol pyi_guest_symbols[]; /* sorted by name */
extern const uint64_t pyi_guest_n_symbols;

static int compare(const void *name, const void *symbol)
{
	return strcmp(name, ((const struct symbol *)symbol)->name);
}

/* The only handle there is means the program itself, as RTLD_DEFAULT does: no library was ever loaded. */
void *__wrap_dlsym(void *handle, const char *name);

void *__wrap_dlsym(void *handle, const char *name)
{
	const struct symbol *found = bsearch(name, pyi_guest_symbols, pyi_guest_n_symbols,
					     sizeof(*pyi_guest_symbols), compare);

	if (found)
		return found->address;
	pyi_guest_dl_fail("undefined symbol: %.300s (this Python is one static program: it has "
			  "its C API and the usual functions of libc and libm)",
			  name);
	return NULL;
}
