/* SPDX-License-Identifier: MIT */
/*
 * The way into the file tree of an ordinary user's sandbox. Its processes are not dumpable, so that nobody but root
 * opens their namespaces; the supervisor keeps descriptors of them from before they were locked down. Who has both
 * becomes all-powerful in that user namespace, which is of no use outside of it.
 */
#ifndef PYI_KERNEL_TREE_WAY_H
#define PYI_KERNEL_TREE_WAY_H

#include "base/util.h"

struct pyi_tree_way {
	int user_fd; /* -1: there is none */
	int mnt_fd;
};
#define PYI_TREE_WAY_NONE ((struct pyi_tree_way){ -1, -1 })

static inline void pyi_tree_way_close(struct pyi_tree_way *way)
{
	pyi_close_fd(&way->user_fd);
	pyi_close_fd(&way->mnt_fd);
}

#endif
