/* SPDX-License-Identifier: MIT */
/* Words that the readable and the JSON form of a plan share. Private to lib/plan. */
#ifndef PYI_PLAN_PRINT_H
#define PYI_PLAN_PRINT_H

#include <stddef.h>
#include <stdint.h>

#include "plan/plan.h"

enum { PYI_PREFIX_TEXT_MAX = 64 };

const char *pyi_op_name(enum pyi_op_kind kind);
const char *pyi_rlimit_name(int resource);

/* "10.0.0.0/8", "[::1]/128" without brackets; a whole address without its length. buf is returned. */
const char *pyi_prefix_text(const uint8_t addr[16], uint8_t prefix_len, char buf[PYI_PREFIX_TEXT_MAX]);

/* "connect tcp", ...: bit 0..3 of pyi_net_range.ops_protos. */
const char *pyi_net_use_name(unsigned int bit);

#endif
