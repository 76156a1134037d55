/* SPDX-License-Identifier: MIT */
/* What the restorer leaves for the code after it. */
#ifndef PYI_GUEST_IMAGE_STATE_H
#define PYI_GUEST_IMAGE_STATE_H

#include "guest/image_format.h"

struct pyi_image_state {
	enum pyi_image_reason reason; /* of this process: set before libc runs, or after all has been replaced */
	uint64_t executed_ns; /* CLOCK_MONOTONIC at the first instruction */
};

extern struct pyi_image_state pyi_image_state;

/* Where a restored guest goes on, as main() does in others. */
_Noreturn void pyi_guest_resume(int argc, char **argv);

#endif
