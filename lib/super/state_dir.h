/* SPDX-License-Identifier: MIT */
/*
 * The directory of what outlives a command: logs of named sandboxes, and the registry where it is not in BPF maps.
 * $PYISOLATE_RUN_DIR if that is set; else /run/pyisolate for root, $XDG_RUNTIME_DIR/pyisolate (or that of
 * /run/user/UID) for an ordinary user. It is the user's own, mode 0700, and must stay so.
 */
#ifndef PYI_SUPER_STATE_DIR_H
#define PYI_SUPER_STATE_DIR_H

#include <limits.h>
#include <stdbool.h>

struct pyi_err;

struct pyi_state_dir {
	char path[PATH_MAX];
	bool is_chosen; /* by PYISOLATE_RUN_DIR: the registry is kept here as well, also root's */
};

/* Find it, with `create` make it, and check it. -ENOENT (with a message) where it is not there. */
int pyi_state_dir_find(bool create, struct pyi_state_dir *ret_dir, struct pyi_err *err);

/* A directory below it, "log" or "sandboxes": made with `create`; its path in *ret_path. As above. */
int pyi_state_dir_below(const struct pyi_state_dir *dir, const char *name, bool create,
			char ret_path[PATH_MAX], struct pyi_err *err);

#endif
