/* SPDX-License-Identifier: MIT */
/* The addresses of a suggestion. Private to it (suggest.c). */
#ifndef PYI_REPORT_SUGGEST_NET_H
#define PYI_REPORT_SUGGEST_NET_H

#include <stdbool.h>
#include <stdint.h>

struct pyi_buf;
struct pyi_suggest;

/* The lines of the section `net`; its title first, unless it is there. */
void pyi_suggest_print_addresses(struct pyi_suggest *suggest, bool *has_title, struct pyi_buf *out);

/* "  # 12 times, first at job.py:7" and the end of the line (suggest.c). */
void pyi_suggest_end_line(struct pyi_buf *out, uint64_t count, const char *at_file,
			  unsigned int at_line);

#endif
