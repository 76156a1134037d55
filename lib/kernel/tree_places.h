/* SPDX-License-Identifier: MIT */
/*
 * Places in the tmpfs of a sandbox that runs: what mounts are put on, and a working directory of our own in it that
 * the guest cannot enter (mode 0000, and the guest has no capabilities). The guest's mount of the tmpfs is read-only
 * all the time; places are made through another mount of it, which is read-only as well between reloads. A new place
 * is closed (mode 0000) until something is mounted on it.
 */
#ifndef PYI_KERNEL_TREE_PLACES_H
#define PYI_KERNEL_TREE_PLACES_H

#include <stdbool.h>
#include <stddef.h>

struct pyi_err;

/* In the working directory: where mounts are put together, and from where they are detached. */
#define PYI_TREE_STAGE_DIR  "new"
#define PYI_TREE_STAGE_FILE "new-file"
#define PYI_TREE_GONE_DIR   "gone"
#define PYI_TREE_GONE_FILE  "gone-file"

struct pyi_tree_places {
	int root_fd;	  /* "/" of the sandbox */
	int own_fd;	  /* the same tmpfs, to be written to */
	bool is_attached; /* it has a place in the working directory */
	const char *const *kept;
	size_t n_kept;
	bool keeps_paths; /* as in struct pyi_tree_change */
};
#define PYI_TREE_PLACES_INIT ((struct pyi_tree_places){ .root_fd = -1, .own_fd = -1 })

/* In the sandbox's mount namespace; clears away what one that was killed has left. `end` also after a failure. */
int pyi_tree_places_begin(struct pyi_tree_places *places, struct pyi_err *err);
void pyi_tree_places_end(struct pyi_tree_places *places);

/* One of the names above; a directory that keeps mounts which are put aside (made if asked for), or what is on it. */
int pyi_tree_places_open(struct pyi_tree_places *places, const char *name, int *ret_fd,
			 struct pyi_err *err);
int pyi_tree_places_aside(struct pyi_tree_places *places, const char *name, bool make, int *ret_fd,
			  struct pyi_err *err);

/* A detached mount that covers: an empty directory or file that nobody may open. */
int pyi_tree_places_mask(struct pyi_tree_places *places, bool is_dir, int *ret_fd, struct pyi_err *err);

/* A place for a path of the sandbox, with all directories above it. What is there stays as it is. */
int pyi_tree_places_make(struct pyi_tree_places *places, const char *path, bool is_dir,
			 struct pyi_err *err);

/* A detached, sealed mount of a directory of the tmpfs. */
int pyi_tree_places_clone(struct pyi_tree_places *places, const char *path, int *ret_fd,
			  struct pyi_err *err);

/* Close the place beneath a mount; remove it when that is gone, and the directories that are empty then. */
int pyi_tree_places_close(struct pyi_tree_places *places, const char *path, struct pyi_err *err);
void pyi_tree_places_drop(struct pyi_tree_places *places, const char *path);

int pyi_tree_places_link(struct pyi_tree_places *places, const char *path, const char *target,
			 struct pyi_err *err);
void pyi_tree_places_unlink(struct pyi_tree_places *places, const char *path, const char *target);

#endif
