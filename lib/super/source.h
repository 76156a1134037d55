/* SPDX-License-Identifier: MIT */
/* The program text, read on this side, so that a script's own path needs no grant. */
#ifndef PYI_SUPER_SOURCE_H
#define PYI_SUPER_SOURCE_H

#include <stdbool.h>

#include "base/buf.h"
#include "guest/guest.h"

struct pyi_err;
struct pyi_run_options;

struct pyi_source {
	struct pyi_buf text;
	char *path0;	  /* sys.path[0], owned */
	char *script_dir; /* real directory of a script, NULL otherwise; owned */
};

enum { PYI_SOURCE_LINE_MAX = 256 };

/*
 * A line (from 1) of the program, or of a file that its frames name; what is longer is cut. False: there is none.
 * `target` is that of the options (NULL: none), relative names are relative to `cwd`.
 */
bool pyi_source_line(const struct pyi_source *source, const char *target, const char *cwd,
		     const char *file, unsigned int number, char ret[PYI_SOURCE_LINE_MAX]);

#define _cleanup_source __attribute__((cleanup(pyi_source_release)))
void pyi_source_release(struct pyi_source *source);

/* Read what the options name. At most PYI_GUEST_TEXT_MAX bytes; *ret_source must be zeroed. */
int pyi_source_read(const struct pyi_run_options *options, struct pyi_source *ret_source,
		    struct pyi_err *err);

#endif
