/* SPDX-License-Identifier: MIT */
/* Write the memory of this process down as an image, and note which of its pages a guest has changed. */
#ifndef PYI_GUEST_IMAGE_WRITE_H
#define PYI_GUEST_IMAGE_WRITE_H

struct pyi_err;

/*
 * The calling process: one thread, the binary's own data and anonymous private memory only, nothing above
 * PYI_IMAGE_HIGHEST but its stack and what the kernel maps. Anything else is refused (ENOTSUP), by its address. The
 * image is sane but untrained: it has no hot ranges. `names` is what it has imported.
 */
int pyi_image_write(int fd, const char *names, struct pyi_err *err);

#endif
