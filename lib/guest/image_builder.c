/* SPDX-License-Identifier: MIT */
/*
 * The builder: a process that makes an interpreter ready, and writes itself down. See image.h for the whole.
 *
 * Its descriptors: 0 to 2 are pipes that nobody writes to or reads; BUILDER_IMAGE_FD is the file; on BUILDER_FATE_FD it
 * tells what went wrong, as one struct pyi_err.
 */
#include <Python.h>

#include <errno.h>
#include <string.h>

#include "base/err.h"
#include "base/io.h"
#include "guest/image.h"
#include "guest/image_hide.h"
#include "guest/image_write.h"
#include "guest/internal.h"

enum { BUILDER_IMAGE_FD = 3, BUILDER_FATE_FD = 4, EXIT_FAILED = 1 };

/*
 * What every run does between its start and its end, once: types get their versions, dictionaries their keys, the
 * compiler its interned names, and the pages these are on are in the image as they will be needed.
 */
static int warm_up(struct pyi_err *err)
{
	static const char text[] = "def f(a, *b, c=1, **d):\n\treturn [i for i in b]\n"
				   "try:\n\tf(1, 2)\n\traise ValueError('x')\nexcept ValueError as e:\n\tstr(e)\n"
				   "class C:\n\tdef m(self):\n\t\treturn f'{self!r}'\n"
				   "C().m()\nprint('', end='')\n";
	PyObject *globals = PyDict_New();
	PyObject *result = NULL;

	for (int i = 0; globals && i < 3; i++) {
		Py_XDECREF(result);
		PyDict_Clear(globals);
		result = PyRun_String(text, Py_file_input, globals, globals);
		if (!result)
			break;
	}
	Py_XDECREF(globals);
	if (!result)
		return pyi_guest_python_error(err, "cannot warm up");
	Py_DECREF(result);
	return 0;
}

/* In the interpreter's own words: most likely one of the names is no module. */
static int import_error(struct pyi_err *err)
{
	PyObject *exc = PyErr_GetRaisedException();
	PyObject *text = exc ? PyObject_Str(exc) : NULL;
	const char *words = text ? PyUnicode_AsUTF8(text) : NULL;

	return pyi_err_set(err, EINVAL, "cannot import the modules: %s",
			   words ? words : "out of memory");
}

/* Modules are made ready by _pyisolate_image. The result is a dictionary of them. */
static int make_modules_ready(const char *const *preload, PyObject **ret_modules, struct pyi_err *err)
{
	PyObject *image = PyImport_ImportModule("_pyisolate_image"); /* kept: its functions are in use */
	PyObject *names = image ? PyObject_GetAttrString(image, "USUAL") : NULL;

	for (; names && *preload; preload++) {
		PyObject *name = PyUnicode_FromString(*preload);

		if (!name || PyList_Append(names, name))
			return pyi_guest_python_error(err, "cannot list the modules");
		Py_DECREF(name);
	}
	*ret_modules = names ? PyObject_CallMethod(image, "prepare", "O", names) : NULL;
	Py_XDECREF(names);
	if (!*ret_modules)
		return import_error(err);
	pyi_image_keep_modules(PyImport_GetModuleDict());
	pyi_image_keep_modules(*ret_modules);
	return 0;
}

/* Once before, so that what is garbage by then is not in the image; the small rest of a warm-up once more. */
static void collect(void)
{
	PyGC_Enable();
	PyGC_Collect();
	PyGC_Disable();
}

static int build(const char *const *preload, struct pyi_err *err)
{
	PyObject *modules = NULL, *blank, *names;
	int ret = pyi_guest_make_common(true, err);

	if (!ret)
		ret = pyi_image_mend_prepare(err);
	if (!ret)
		ret = make_modules_ready(preload, &modules, err);
	if (ret)
		return ret;
	collect();
	pyi_image_hide_objects();
	ret = pyi_image_mend(err); /* once, for the same reason as the warm-up */
	if (!ret)
		ret = pyi_image_mend_time_zone(err);
	if (!ret)
		ret = warm_up(err);
	if (ret)
		return ret;
	blank = PyUnicode_FromString(" ");
	names = blank ? PyUnicode_Join(blank, modules) : NULL;
	if (!names)
		return pyi_guest_python_error(err, "cannot list the modules");
	collect();
	pyi_image_note_modules();
	return pyi_image_write(BUILDER_IMAGE_FD, PyUnicode_AsUTF8(names), err);
}

int pyi_image_builder_main(int argc, char **argv)
{
	struct pyi_err err = { 0 };

	if (!build((const char *const *)argv + 1, &err))
		_exit(0);
	(void)pyi_write_all(BUILDER_FATE_FD, &err, sizeof(err));
	_exit(EXIT_FAILED);
}
