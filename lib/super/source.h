/* SPDX-License-Identifier: MIT */
/* The program text, read on this side, so that a script's own path needs no grant. */
#ifndef PYI_SUPER_SOURCE_H
#define PYI_SUPER_SOURCE_H

#include "base/buf.h"
#include "guest/guest.h"

struct pyi_err;
struct pyi_run_options;

struct pyi_source {
	struct pyi_buf text;
	char *path0;	  /* sys.path[0], owned */
	char *script_dir; /* real directory of a script, NULL otherwise; owned */
};

#define _cleanup_source __attribute__((cleanup(pyi_source_release)))
void pyi_source_release(struct pyi_source *source);

/* Read what the options name. At most PYI_GUEST_TEXT_MAX bytes; *ret_source must be zeroed. */
int pyi_source_read(const struct pyi_run_options *options, struct pyi_source *ret_source,
		    struct pyi_err *err);

#endif
