/* SPDX-License-Identifier: MIT */
/* The options about images that `run`, `spawn` and `image` take in the same words. */
#ifndef PYI_CMD_IMAGE_OPTIONS_H
#define PYI_CMD_IMAGE_OPTIONS_H

#include <stddef.h>
#include <stdint.h>

/*
 * --preload NAME: one more for the list, which has room for PYI_IMAGE_PRELOAD_MAX; the name must be a module of the
 * binary. 0, or the exit code of a usage error of `command`.
 */
int pyi_image_parse_preload(const char *command, const char *name, const char **list, size_t *n);

/* --image-age: a time, or "any". */
int pyi_image_parse_age(const char *command, const char *text, uint64_t *ret_ms);

#endif
