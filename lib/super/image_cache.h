/* SPDX-License-Identifier: MIT */
/*
 * Where images of a ready interpreter (guest/image.h) are kept, which of them may be used, and how they are made.
 *
 * Theory of operation. One directory of the invoker's, mode 0700: /var/cache/pyisolate of root, and
 * $XDG_CACHE_HOME/pyisolate or ~/.cache/pyisolate of everybody else. In it
 *
 *	KEY-BOOT-MODULES.image	an image, mode 0600; its name tells the binary and the CPU (pyi_image_key), the boot of
 *				the kernel, and a digest of the modules asked for beside the usual ones
 *	KEY-BOOT-MODULES.failed	why the last attempt to make it failed; for a minute nobody tries again
 *	lock			locked (flock) by who changes anything here
 *	new			what the builder writes, renamed when it is whole; left behind by one that was
 *				killed, and replaced by the next
 *
 * A run looks for the one image with its name, and uses it if nothing speaks against it. A failure to find or make an
 * image is never a failure of the run: the guest starts without, and only -v tells. A published file is never written
 * to, so guests that have it mapped, and starts that have it open, keep what they have when another takes its name.
 *
 * Whoever can write to an image controls all guests that start from it, before their system call filter is installed.
 * So files and directory must belong to the effective user and be closed to all others, whatever leads there; and no
 * policy may grant a guest writing there (pyi_step_must_guard).
 *
 * The image is made after the first run that found none has ended, by a process of its own that keeps nothing of the
 * invoker's open: no run waits for it, and no guest shares its CPU with it. Whoever finds the lock taken does nothing.
 */
#ifndef PYI_SUPER_IMAGE_CACHE_H
#define PYI_SUPER_IMAGE_CACHE_H

#include <limits.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "guest/image.h"

enum { PYI_IMAGE_AGE_MS = 24 * 60 * 60 * 1000 }; /* unless --image-age says otherwise */
enum { PYI_IMAGE_FILE_LEN = 128 };

/* Which image is wanted. */
struct pyi_image_wish {
	const char *const *preload; /* modules beside the usual ones, each one of the binary's; borrowed */
	size_t n_preload;
	uint64_t max_age_ms; /* UINT64_MAX: of any age */
};

/* Where it would be. */
struct pyi_image_place {
	char dir[PATH_MAX];
	char file[PYI_IMAGE_FILE_LEN];
};

/* The kernel's boot_id, where it has been read already. */
void pyi_image_know_boot(const char *id);

/* -ENOENT where this user has no place for a cache, -ENOSYS without /proc. Touches nothing. */
int pyi_image_place_find(const struct pyi_image_wish *wish, struct pyi_image_place *ret_place,
			 struct pyi_err *err);

/*
 * Open the directory, with `create` made if it is not there. Refused (-EPERM) unless it is a directory of ours that no
 * one else can enter. The caller closes *ret_fd.
 */
int pyi_image_dir_open(const char *dir, bool create, int *ret_fd, struct pyi_err *err);

/*
 * The image to start from: *ret_fd is open for reading and belongs to the caller. Otherwise -errno, with the reason in
 * one line: -ENOENT none yet, -ESTALE too old, -EPERM owner, mode or links, -EINVAL damaged ...
 */
int pyi_image_find(const struct pyi_image_wish *wish, int *ret_fd, struct pyi_err *err);

/* Make the image now, waiting for another builder. *ret_place says where it is. */
int pyi_image_make(const struct pyi_image_wish *wish, struct pyi_image_place *ret_place,
		   struct pyi_err *err);

/*
 * Make the image in a process of its own, and return at once. Not if someone else is at it (-EAGAIN) or has made it
 * meanwhile (-EEXIST), an attempt failed a moment ago or the directory cannot be written: *err says so. The caller has
 * one thread.
 */
int pyi_image_make_later(const struct pyi_image_wish *wish, struct pyi_err *err);

/*
 * A guest died of the open image `fd` before the user's code: if it still has its name, it loses it, and for a minute
 * none is made in the background.
 */
void pyi_image_discard(const struct pyi_image_wish *wish, int fd, const char *why);

/* One image file, as `image show` lists it. */
struct pyi_image_entry {
	char path[PATH_MAX + PYI_IMAGE_FILE_LEN];
	uint64_t age_s;
	bool is_usual; /* without --preload */
	bool is_valid;
	struct pyi_image_info info; /* zero but for bytes where it could not be read */
	struct pyi_err why;	    /* not valid */
};

/* Call `each` for every image; 0 also where there is no directory yet. */
int pyi_image_list(uint64_t max_age_ms, void (*each)(const struct pyi_image_entry *entry, void *data),
		   void *data, struct pyi_err *err);

/* Remove every image and what belongs to them, and the directory. *ret_n counts the images. */
int pyi_image_remove_all(unsigned int *ret_n, struct pyi_err *err);

/* For the files of this module: the name's end, and the lock. */
#define PYI_IMAGE_SUFFIX ".image"
#define PYI_IMAGE_FAILED ".failed"
#define PYI_IMAGE_NEW	 "new"
#define PYI_IMAGE_LOCK	 "lock"
bool pyi_image_has_suffix(const char *name, const char *suffix);

#endif
