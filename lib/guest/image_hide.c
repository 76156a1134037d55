/* SPDX-License-Identifier: MIT */
/*
 * What an image holds costs a guest nothing as long as nobody writes to it. Three parts of CPython would write all
 * over it: the garbage collector, which visits every object there is, frozen or not; the end, which empties every
 * module; and the counting of references. Here the builder takes what it has made out of their sight. It uses what is
 * internal to CPython 3.13.
 */
#define Py_BUILD_CORE
#include <Python.h>

#include <stdlib.h>
#include <string.h>

#include <internal/pycore_import.h>
#include <internal/pycore_interp.h>
#include <internal/pycore_object.h>
#include <internal/pycore_pystate.h>
#ifdef Py_GIL_DISABLED
#include <internal/mimalloc/mimalloc/internal.h>
#include <internal/pycore_mimalloc.h>
#include <internal/pycore_tstate.h>
#endif

#include "guest/image_hide.h"
#include "guest/internal.h"

/* -------------------------------------------------------------------------------------------- reference counts */

/*
 * An immortal object's references are not counted. (CPython makes some so by itself, the free-threaded one all
 * functions, classes and modules once there is a second thread.) Left out is what a program can expect to end:
 * __main__ and what is in it, and streams, which flush when they go.
 */
static bool can_be_immortal(PyObject *op)
{
	PyObject *main = PyImport_AddModule("__main__"); /* borrowed */

	return op != main && op != PyModule_GetDict(main) && strncmp(Py_TYPE(op)->tp_name, "_io.", 4);
}

static void make_immortal(PyObject *op)
{
	if (_Py_IsImmortal(op) || !can_be_immortal(op))
		return;
#ifdef Py_GIL_DISABLED
	op->ob_ref_local = _Py_IMMORTAL_REFCNT_LOCAL; /* it stays this thread's own: others pay for looking into it */
#else
	op->ob_refcnt = _Py_IMMORTAL_REFCNT;
#endif
}

/* What a tracked object refers to. Tracked objects are found by themselves; others, and code, only so. */
static int visit(PyObject *op, void *unused)
{
	bool is_new = !_Py_IsImmortal(op);

	make_immortal(op);
	if (!is_new)
		return 0;
	if (PyCode_Check(op)) {
		visit(((PyCodeObject *)op)->co_consts, NULL);
		visit(((PyCodeObject *)op)->co_names, NULL);
	} else if (PyTuple_CheckExact(op) && !_PyObject_GC_IS_TRACKED(op)) {
		for (Py_ssize_t i = 0; i < PyTuple_GET_SIZE(op); i++)
			visit(PyTuple_GET_ITEM(op, i), NULL);
	}
	return 0;
}

/* The function is CPython's, which the release build's check of indirect calls does not know. */
#ifdef __clang__
__attribute__((no_sanitize("cfi-icall")))
#endif
static void
visit_tracked(PyObject *op)
{
	make_immortal(op);
	Py_TYPE(op)->tp_traverse(op, visit, NULL);
}

/* ----------------------------------------------------------------------------------------------- the collector */

#ifdef Py_GIL_DISABLED

static mi_heap_t hidden[_Py_MIMALLOC_HEAP_COUNT];

/*
 * The collector finds objects by walking the heaps of all threads. The pages of a thread's heap go to another heap of
 * the same thread, which only the allocator knows: what is on them can be freed as ever; what is new comes from fresh
 * pages.
 */
static void hide_heap(mi_heap_t *heap, mi_heap_t *to)
{
	mi_heap_t empty = _mi_heap_empty;

	*to = *heap;
	for (size_t i = 0; i < sizeof(to->pages) / sizeof(to->pages[0]); i++)
		for (mi_page_t *page = to->pages[i].first; page; page = page->next)
			mi_page_set_heap(page, to);
	memcpy(heap->pages_free_direct, empty.pages_free_direct, sizeof(heap->pages_free_direct));
	memcpy(heap->pages, empty.pages, sizeof(heap->pages));
	heap->thread_delayed_free = NULL;
	heap->page_count = 0;
	heap->page_retired_min = empty.page_retired_min;
	heap->page_retired_max = empty.page_retired_max;
	heap->next = to;
}

static bool visit_block(const mi_heap_t *heap, const mi_heap_area_t *area, void *block, size_t size,
			void *offset)
{
	PyObject *op = block ? (PyObject *)((char *)block + *(size_t *)offset) : NULL;

	if (op && _PyObject_GC_IS_TRACKED(op))
		visit_tracked(op);
	return true;
}

static void visit_heaps(void)
{
	size_t offset = 0,
	       offset_pre = 2 * sizeof(PyObject *); /* a dictionary's and weak references' places before it */

	mi_heap_visit_blocks(&hidden[_Py_MIMALLOC_HEAP_GC], true, visit_block, &offset);
	mi_heap_visit_blocks(&hidden[_Py_MIMALLOC_HEAP_GC_PRE], true, visit_block, &offset_pre);
}

void pyi_image_hide_objects(void)
{
	_PyThreadStateImpl *thread = (_PyThreadStateImpl *)_PyThreadState_GET();

	/* Frozen as well: the collector meets them as what visible objects refer to. */
	pyi_guest_python_freeze();
	for (int i = 0; i < _Py_MIMALLOC_HEAP_COUNT; i++)
		hide_heap(&thread->mimalloc.heaps[i], &hidden[i]);
	visit_heaps();
}

#else

static PyGC_Head hidden;

/*
 * The collector's lists: what is in them goes to a list of ours, on which it can be freed as ever. Not the names of
 * __main__: with the GIL a module's dictionary can outlive the module, and only the collector then finalizes what the
 * program has put there (pyi_guest_python_end).
 */
static void move_after(PyGC_Head *gc, PyGC_Head *list)
{
	PyGC_Head *prev = _PyGCHead_PREV(gc), *next = _PyGCHead_NEXT(gc),
		  *second = _PyGCHead_NEXT(list);

	_PyGCHead_SET_NEXT(prev, next);
	_PyGCHead_SET_PREV(next, prev);
	_PyGCHead_SET_NEXT(list, gc);
	_PyGCHead_SET_PREV(gc, list);
	_PyGCHead_SET_NEXT(gc, second);
	_PyGCHead_SET_PREV(second, gc);
}

void pyi_image_hide_objects(void)
{
	struct _gc_runtime_state *gc = &_PyInterpreterState_GET()->gc;
	PyGC_Head *from = &gc->permanent_generation.head, *first, *last;

	pyi_guest_python_freeze();
	for (PyGC_Head *head = _PyGCHead_NEXT(from); head != from; head = _PyGCHead_NEXT(head))
		visit_tracked(_Py_FROM_GC(head));
	_PyGCHead_SET_NEXT(&hidden, &hidden);
	_PyGCHead_SET_PREV(&hidden, &hidden);
	if (_PyGCHead_NEXT(from) == from)
		return;
	first = _PyGCHead_NEXT(from);
	last = _PyGCHead_PREV(from);
	_PyGCHead_SET_NEXT(&hidden, first);
	_PyGCHead_SET_PREV(first, &hidden);
	_PyGCHead_SET_PREV(&hidden, last);
	_PyGCHead_SET_NEXT(last, &hidden);
	_PyGCHead_SET_NEXT(from, from);
	_PyGCHead_SET_PREV(from, from);
	move_after(_Py_AS_GC(PyModule_GetDict(PyImport_AddModule("__main__"))), from);
}

#endif

/* ------------------------------------------------------------------------------------------------------ the end */

enum { KEPT_MAX = 512 };

struct kept {
	PyObject *module;
	uint64_t version;
};

static struct kept kept[KEPT_MAX]; /* sorted by address */
static size_t n_kept;

/* Changes with each binding of a name. The bits below are for watchers of the dictionary. */
static uint64_t dict_version(PyObject *module)
{
	return ((PyDictObject *)PyModule_GetDict(module))->ma_version_tag >> 12;
}

static int compare_kept(const void *a, const void *b)
{
	uintptr_t x = (uintptr_t)((const struct kept *)a)->module;
	uintptr_t y = (uintptr_t)((const struct kept *)b)->module;

	return (x > y) - (x < y);
}

void pyi_image_keep_modules(PyObject *modules)
{
	PyObject *name, *module; /* borrowed */
	Py_ssize_t at = 0;

	while (PyDict_Next(modules, &at, &name, &module)) {
		if (n_kept == KEPT_MAX || !PyModule_CheckExact(module) ||
		    !PyUnicode_CompareWithASCIIString(name, "__main__"))
			continue;
		kept[n_kept++].module = module;
	}
	qsort(kept, n_kept, sizeof(kept[0]), compare_kept);
}

void pyi_image_note_modules(void)
{
	for (size_t i = 0; i < n_kept; i++)
		kept[i].version = dict_version(kept[i].module);
}

static bool is_as_it_was(PyObject *module)
{
	struct kept key = { .module = module };
	const struct kept *found = bsearch(&key, kept, n_kept, sizeof(kept[0]), compare_kept);

	return found && found->version == dict_version(module);
}

/*
 * At the end, when threads have been joined and atexit functions have run, CPython empties all modules, so that what
 * the program has left in them is finalized. In those of the image whose names are still bound as they were nothing
 * is the program's own: they are taken out of sys.modules before. (What it has put into objects of such a module, a
 * handler into a list of logging's, is not finalized then; Python does not promise that either.)
 */
void __real__PyImport_FiniExternal(PyInterpreterState *interp);
void __wrap__PyImport_FiniExternal(PyInterpreterState *interp);

void __wrap__PyImport_FiniExternal(PyInterpreterState *interp)
{
	PyObject *modules = PyImport_GetModuleDict(); /* borrowed */
	PyObject *items = n_kept && interp == PyInterpreterState_Main() && PyDict_CheckExact(modules)
				  ? PyDict_Items(modules)
				  : NULL;

	for (Py_ssize_t i = 0; items && i < PyList_GET_SIZE(items); i++) {
		PyObject *item = PyList_GET_ITEM(items, i);

		if (is_as_it_was(PyTuple_GET_ITEM(item, 1)) &&
		    PyDict_DelItem(modules, PyTuple_GET_ITEM(item, 0)))
			break;
	}
	Py_XDECREF(items);
	PyErr_Clear();
	__real__PyImport_FiniExternal(interp);
}
