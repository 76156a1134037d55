/* SPDX-License-Identifier: MIT */
/* In the builder: what it has made stays out of the way of a guest's garbage collector, and of its end. */
#ifndef PYI_GUEST_IMAGE_HIDE_H
#define PYI_GUEST_IMAGE_HIDE_H

#include <Python.h>

/* The garbage collector does not visit the objects that there are by now. */
void pyi_image_hide_objects(void);

/* The modules of a dictionary by name: not emptied at the end if they are then as they were at the time of the note. */
void pyi_image_keep_modules(PyObject *modules);
void pyi_image_note_modules(void);

#endif
