/* SPDX-License-Identifier: MIT */
/* Which modules are in the binary: built in, or frozen, by CPython itself or by freeze.py. No interpreter is needed. */
#include <Python.h>

#include <stdbool.h>
#include <string.h>

#include "guest/guest.h"

extern const struct _frozen pyi_frozen_modules[];

/* Of libpython, whose headers declare them for its own use only. */
extern const struct _frozen *_PyImport_FrozenBootstrap;
extern const struct _frozen *_PyImport_FrozenStdlib;

static bool is_frozen(const struct _frozen *table, const char *name)
{
	for (; table->name; table++)
		if (strcmp(table->name, name) == 0)
			return true;
	return false;
}

bool pyi_guest_has_module(const char *name)
{
	for (const struct _inittab *entry = PyImport_Inittab; entry->name; entry++)
		if (strcmp(entry->name, name) == 0)
			return true;
	return is_frozen(pyi_frozen_modules, name) || is_frozen(_PyImport_FrozenStdlib, name) ||
	       is_frozen(_PyImport_FrozenBootstrap, name);
}
