/* SPDX-License-Identifier: MIT */
/* What a program's file says that is to run it. */
#ifndef PYI_SUPER_PROGRAM_FILE_H
#define PYI_SUPER_PROGRAM_FILE_H

#include <limits.h>
#include <stdbool.h>

/* The interpreter of a script ("#!") or the loader of a dynamic program, an absolute path; false: there is none. */
bool pyi_program_interpreter(const char *path, char ret[PATH_MAX]);

#endif
