/* SPDX-License-Identifier: MIT */
/* See limits.h. */
#include "policy/limits.h"

#include <inttypes.h>
#include <stdio.h>

#include "base/parse.h"
#include "policy/internal.h"

const char *const pyi_limit_keys[PYI_N_LIMITS] = {
	"memory", "cpu", "cpu_time",  "wall_time", "pids", "open_files",
	"output", "tmp", "net_bytes", "net_rate",  "numa",
};

const struct pyi_limit pyi_limits_table[PYI_N_LIMITS] = {
	{ "memory", PYI_LIMIT_SIZE, offsetof(struct pyi_limits, memory_bytes) },
	{ "cpu", PYI_LIMIT_SHARE, offsetof(struct pyi_limits, cpu_permille) },
	{ "cpu_time", PYI_LIMIT_TIME, offsetof(struct pyi_limits, cpu_time_ms) },
	{ "wall_time", PYI_LIMIT_TIME, offsetof(struct pyi_limits, wall_time_ms) },
	{ "pids", PYI_LIMIT_COUNT, offsetof(struct pyi_limits, pids) },
	{ "open_files", PYI_LIMIT_COUNT, offsetof(struct pyi_limits, open_files) },
	{ "output", PYI_LIMIT_SIZE, offsetof(struct pyi_limits, output_bytes) },
	{ "tmp", PYI_LIMIT_SIZE, offsetof(struct pyi_limits, tmp_bytes) },
	{ "net_bytes", PYI_LIMIT_SIZE, offsetof(struct pyi_limits, net_bytes) },
	{ "net_rate", PYI_LIMIT_SIZE, offsetof(struct pyi_limits, net_rate) },
	{ "numa", PYI_LIMIT_NODE, offsetof(struct pyi_limits, numa) },
};

uint64_t pyi_limit_value(const struct pyi_limit *limit, const struct pyi_limits *limits)
{
	const char *at = (const char *)limits + limit->offset;

	return limit->kind >= PYI_LIMIT_SHARE ? *(const uint32_t *)at : *(const uint64_t *)at;
}

const char *pyi_limit_format(const struct pyi_limit *limit, uint64_t value, char buf[32])
{
	if (!value)
		return "none";
	switch (limit->kind) {
	case PYI_LIMIT_SIZE:
		return pyi_format_size(value, buf);
	case PYI_LIMIT_TIME:
		return pyi_format_duration(value, buf);
	case PYI_LIMIT_SHARE:
		return pyi_format_cpu((uint32_t)value, buf);
	case PYI_LIMIT_NODE:
		value--;
		break;
	case PYI_LIMIT_COUNT:
		break;
	}
	snprintf(buf, 32, "%" PRIu64, value);
	return buf;
}
