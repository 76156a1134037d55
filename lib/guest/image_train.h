/* SPDX-License-Identifier: MIT */
/* A training guest and who starts it; see image_build.c. */
#ifndef PYI_GUEST_IMAGE_TRAIN_H
#define PYI_GUEST_IMAGE_TRAIN_H

#include <stdbool.h>

/* argv[1] of a guest that is to tell at its end which pages it has written to. */
#define PYI_IMAGE_TRAIN_ARG "train"

/* Its further descriptors: where it tells (struct pyi_image_range each), and the image once more. */
enum { PYI_IMAGE_TRAIN_FD = 6, PYI_IMAGE_TRAIN_IMAGE_FD = 7, PYI_IMAGE_TRAIN_MAX = 1 << 20 };

/* Before the process gives up the right to look at its own pages. */
void pyi_image_train_begin(void);

/* In a guest that is trained: it is in no sandbox, and has no init. */
bool pyi_image_train_is_on(void);

/* When the script has ended. Nothing happens in a guest that is not trained. */
void pyi_image_train_end(void);

#endif
