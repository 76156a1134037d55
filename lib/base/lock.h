/* SPDX-License-Identifier: MIT */
/* Locks that go with their holder: flock(2) on a directory. */
#ifndef PYI_BASE_LOCK_H
#define PYI_BASE_LOCK_H

/*
 * Lock the directory for us alone. *ret_fd holds the lock until it is closed. Tries for timeout_ms, so that a holder
 * who was stopped does not stop everybody else for ever: then -ETIMEDOUT. 0 or -errno.
 */
int pyi_lock_dir(const char *path, int timeout_ms, int *ret_fd);

#endif
