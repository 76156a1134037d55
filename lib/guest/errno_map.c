/* SPDX-License-Identifier: MIT */
/*
 * A write to a path that is granted for reading fails with EROFS, because its mount is read-only; python3 makes a plain
 * OSError of that. Here it is the policy that refuses, so it is a PermissionError like every other refusal. The table
 * from errno to exception type is internal to CPython (Objects/exceptions.c fills it at start).
 */
#define Py_BUILD_CORE
#include <Python.h>

#include <errno.h>
#include <internal/pycore_interp.h>

#include "guest/internal.h"

int pyi_guest_map_errno(void)
{
	PyObject *map = PyInterpreterState_Get()->exc_state.errnomap;
	PyObject *key = PyLong_FromLong(EROFS);
	int ret = map && key ? PyDict_SetItem(map, key, PyExc_PermissionError) : -1;

	Py_XDECREF(key);
	return ret;
}
