/* SPDX-License-Identifier: MIT */
/* What the BPF programs refused, or warned of, in words: their word, not the guest's. */
#ifndef PYI_SUPER_OUTCOME_EVENT_H
#define PYI_SUPER_OUTCOME_EVENT_H

#include <limits.h>
#include <stddef.h>

#include "report/result.h"

struct pyi_bpf_event;
struct pyi_origin;
struct pyi_policy;

/* A denial and the room for its texts. It points into itself and into the event. */
struct pyi_told {
	struct pyi_denial denial;
	char rule[PATH_MAX + 32];
	char file[PATH_MAX];
	char target[128];
};

/* policy: by which it was judged; NULL: not known any more, and then the rule is not either. at_us stays 0. */
void pyi_outcome_tell(const struct pyi_policy *policy, const struct pyi_bpf_event *event,
		      struct pyi_told *ret_told);

/* "127.0.0.1:80", "udp://[::1]:53"; of a refused socket "tcp", ... */
void pyi_outcome_format_address(const struct pyi_bpf_event *event, char *buf, size_t size);

/* "policy.yml:7", or the flag. */
char *pyi_outcome_format_origin(const struct pyi_origin *from, char *buf, size_t size);

#endif
