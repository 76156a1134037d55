/* SPDX-License-Identifier: MIT */
/* Of many uses of paths the few rules that cover them. Private to the suggestion (suggest.c). */
#ifndef PYI_REPORT_SUGGEST_PATHS_H
#define PYI_REPORT_SUGGEST_PATHS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct pyi_suggest;

enum pyi_suggest_fate {
	PYI_SUGGEST_GRANT,
	PYI_SUGGEST_LOOKED, /* at a directory: to grant it would open all that is in it */
	PYI_SUGGEST_WIDE,   /* a whole directory of the root */
	PYI_SUGGEST_ODD,    /* no policy can say this path */
};

/* One line of the document. */
struct pyi_suggest_rule {
	char *path; /* owned; a pattern if is_glob, else a plain path */
	unsigned int access;
	bool is_dir;
	bool is_glob; /* several files of one directory */
	enum pyi_suggest_fate fate;
	uint64_t count;
	size_t order; /* of the first use */
	const char *at_file;
	unsigned int at_line;
};

struct pyi_suggest_rules {
	struct pyi_suggest_rule *v; /* sorted by path */
	size_t n;
};

/* False: out of memory. Release in any case. */
bool pyi_suggest_reduce(struct pyi_suggest *suggest, struct pyi_suggest_rules *ret_rules);
void pyi_suggest_rules_release(struct pyi_suggest_rules *rules);

#endif
