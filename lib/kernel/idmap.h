/* SPDX-License-Identifier: MIT */
/* The id maps of a new user namespace, written by its parent (user_namespaces(7)). */
#ifndef PYI_KERNEL_IDMAP_H
#define PYI_KERNEL_IDMAP_H

#include <sys/types.h>

struct pyi_err;

/* Write `text` to /proc/PID/NAME: "setgroups", "uid_map" or "gid_map". */
int pyi_idmap_write(pid_t pid, const char *name, const char *text, struct pyi_err *err);

/* A map of one id. An ordinary user may map no id but his own, and gid_map only after "deny" to setgroups. */
int pyi_idmap_write_one(pid_t pid, const char *name, unsigned int inside, unsigned int outside,
			struct pyi_err *err);

#endif
