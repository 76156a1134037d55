/* SPDX-License-Identifier: MIT */
/* See profile.h. */
#include "report/profile.h"

#include <inttypes.h>

#include "base/buf.h"
#include "base/json.h"

static const double mib = 1 << 20;

void pyi_profile_init(struct pyi_profile *profile)
{
	profile->interval_us = PYI_PROFILE_INTERVAL_US;
	profile->n = 0;
	profile->peak = (struct pyi_profile_sample){ 0 };
	profile->memory_peak_bytes = 0;
}

void pyi_profile_add(struct pyi_profile *profile, const struct pyi_profile_sample *sample)
{
	if (profile->n == PYI_PROFILE_SAMPLES) {
		for (size_t i = 0; i < PYI_PROFILE_SAMPLES / 2; i++)
			profile->v[i] = profile->v[2 * i];
		profile->n = PYI_PROFILE_SAMPLES / 2;
		profile->interval_us *= 2;
	}
	profile->v[profile->n++] = *sample;
	if (sample->memory_bytes > profile->peak.memory_bytes)
		profile->peak = *sample;
	if (sample->memory_bytes > profile->memory_peak_bytes)
		profile->memory_peak_bytes = sample->memory_bytes;
}

static void print_row(const struct pyi_profile_sample *from, const struct pyi_profile_sample *to,
		      struct pyi_buf *out)
{
	uint64_t took = to->at_us - from->at_us;

	pyi_buf_printf(out, "%10.0f %8.0f %10.1f %12.1f\n", (double)to->at_us / 1000,
		       took ? (double)(to->cpu_us - from->cpu_us) * 100 / (double)took : 0.0,
		       (double)to->cpu_us / 1000, (double)to->memory_bytes / mib);
}

void pyi_profile_print(const struct pyi_profile *profile, struct pyi_buf *out)
{
	size_t steps = profile->n ? profile->n - 1 : 0, from = 0;
	size_t rows = steps < PYI_PROFILE_ROWS ? steps : PYI_PROFILE_ROWS;
	const struct pyi_profile_sample *last = &profile->v[steps];

	if (!steps)
		return;
	pyi_buf_printf(out, "%10s %8s %10s %12s\n", "at ms", "CPU %", "CPU ms", "memory MiB");
	for (size_t i = 1; i <= rows; i++) {
		size_t to = steps * i / rows;

		print_row(&profile->v[from], &profile->v[to], out);
		from = to;
	}
	pyi_buf_printf(out, "peak %.1f MiB of memory (%.1f at %.0f ms), %.1f ms of CPU, %zu samples %.0f ms apart\n",
		       (double)profile->memory_peak_bytes / mib,
		       (double)profile->peak.memory_bytes / mib, (double)profile->peak.at_us / 1000,
		       (double)last->cpu_us / 1000, profile->n, (double)profile->interval_us / 1000);
}

void pyi_profile_print_json(const struct pyi_profile *profile, struct pyi_json *json)
{
	pyi_json_object(json, "profile");
	pyi_json_ms(json, "interval_ms", profile->interval_us);
	pyi_json_u64(json, "memory_peak_bytes", profile->memory_peak_bytes);
	pyi_json_array(json, "samples");
	for (size_t i = 0; i < profile->n; i++) {
		pyi_json_array(json, NULL);
		pyi_json_ms(json, NULL, profile->v[i].at_us);
		pyi_json_ms(json, NULL, profile->v[i].cpu_us);
		pyi_json_u64(json, NULL, profile->v[i].memory_bytes);
		pyi_json_end_array(json);
	}
	pyi_json_end_array(json);
	pyi_json_end_object(json);
}
