/* SPDX-License-Identifier: MIT */
/*
 * One group directory: killing what is in it and removing it. Shared by the owner of a group (cgroup.c) and by those
 * who clear away what a dead owner left (cgroup_sweep.c).
 */
#ifndef PYI_KERNEL_CGROUP_DIR_H
#define PYI_KERNEL_CGROUP_DIR_H

#include <stdbool.h>
#include <stddef.h>

#include "base/proc.h"

/* "run-PID-START", "run-PID-START-N" */
enum { PYI_CGROUP_NAME_MAX = 64 };

void pyi_cgroup_name(const struct pyi_proc *owner, unsigned int n, char name[PYI_CGROUP_NAME_MAX]);

/* The owner of a name in that form; false for any other name. */
bool pyi_cgroup_name_parse(const char *name, struct pyi_proc *ret_owner);

/* Is a process in it or below it? A directory that cannot be asked counts as empty. dir_fd: the group's directory. */
bool pyi_cgroup_dir_is_populated(int dir_fd);

/* SIGKILL for everything in it and below it: cgroup.kill, or the process list until it is empty (at most 2 s). */
void pyi_cgroup_dir_kill(int dir_fd);

/* Wait until nothing lives in it; false after timeout_ms. */
bool pyi_cgroup_dir_wait_empty(int dir_fd, int timeout_ms);

/* Remove it and the groups below it, trying for timeout_ms while the kernel still says busy. 0 or -errno. */
int pyi_cgroup_dir_remove(const char *parent, const char *name, int timeout_ms);

#endif
