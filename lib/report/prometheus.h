/* SPDX-License-Identifier: MIT */
/* Named sandboxes as metrics, in Prometheus's text format 0.0.4. */
#ifndef PYI_REPORT_PROMETHEUS_H
#define PYI_REPORT_PROMETHEUS_H

#include <stddef.h>

struct pyi_buf;
struct pyi_sandbox_row;

/*
 * One family after the other, each with HELP and TYPE; counters end in _total, base units, no timestamps. A family that
 * has no sample is left out, but for the number of sandboxes in each state, which is there always.
 */
void pyi_prometheus_print(const struct pyi_sandbox_row *rows, size_t n, struct pyi_buf *out);

#endif
