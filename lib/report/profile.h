/* SPDX-License-Identifier: MIT */
/*
 * CPU and memory over time. The number of samples is bounded: when there is no room, every second one goes and the
 * interval doubles, so a long run has a coarser profile of all of it.
 */
#ifndef PYI_REPORT_PROFILE_H
#define PYI_REPORT_PROFILE_H

#include <stddef.h>
#include <stdint.h>

struct pyi_buf;
struct pyi_json;

enum { PYI_PROFILE_SAMPLES = 512, PYI_PROFILE_INTERVAL_US = 20000, PYI_PROFILE_ROWS = 10 };

struct pyi_profile_sample {
	uint64_t at_us;	 /* since the start of the run */
	uint64_t cpu_us; /* used until then */
	uint64_t memory_bytes;
};

struct pyi_profile {
	uint64_t interval_us;
	size_t n;
	struct pyi_profile_sample v[PYI_PROFILE_SAMPLES];
	struct pyi_profile_sample peak; /* the sample with the most memory */
	uint64_t memory_peak_bytes;	/* as the kernel has it, between samples too; 0: unknown */
};

void pyi_profile_init(struct pyi_profile *profile);
void pyi_profile_add(struct pyi_profile *profile, const struct pyi_profile_sample *sample);

/* A table of at most PYI_PROFILE_ROWS lines under a heading, and a line for the whole. Nothing without samples. */
void pyi_profile_print(const struct pyi_profile *profile, struct pyi_buf *out);

/* A member "profile": {interval_ms, memory_peak_bytes, samples: [[at_ms, cpu_ms, memory_bytes], ...]}. */
void pyi_profile_print_json(const struct pyi_profile *profile, struct pyi_json *json);

#endif
