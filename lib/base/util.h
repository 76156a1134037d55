/* SPDX-License-Identifier: MIT */
/*
 * Scope-bound ownership: an owning local carries one of these attributes and is initialised where it is declared;
 * handing it over is explicit (pyi_take_fd, pyi_take_ptr).
 */
#ifndef PYI_BASE_UTIL_H
#define PYI_BASE_UTIL_H

#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#define PYI_ARRAY_SIZE(a) (sizeof(a) / sizeof((a)[0]))

static inline void pyi_close_fd(int *fd)
{
	if (*fd >= 0)
		close(*fd);
	*fd = -1;
}

static inline int pyi_take_fd(int *fd)
{
	int taken = *fd;

	*fd = -1;
	return taken;
}

static inline void pyi_free_ptr(void *ptr)
{
	free(*(void **)ptr);
}

static inline void *pyi_take_ptr_(void *ptr)
{
	void *taken = *(void **)ptr;

	*(void **)ptr = NULL;
	return taken;
}

static inline void pyi_close_file(FILE **file)
{
	if (*file)
		fclose(*file);
	*file = NULL;
}

#define _cleanup_fd	__attribute__((cleanup(pyi_close_fd)))
#define _cleanup_free	__attribute__((cleanup(pyi_free_ptr)))
#define _cleanup_file	__attribute__((cleanup(pyi_close_file)))
#define pyi_take_ptr(p) ((__typeof__(p))pyi_take_ptr_(&(p)))

#endif
