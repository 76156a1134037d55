/* SPDX-License-Identifier: MIT */
/*
 * The empty network namespace of a sandbox that may make no socket. To make one takes longer than all other namespaces
 * together, and what was never used is as good as new: so root keeps a few, pinned in PYI_NETNS_DIR, and lends them.
 *
 * One is lent to one sandbox at a time, by a lock on it: two that were in one together could see each other's socket
 * pairs in /proc/self/net. It is looked at before each use, and made anew unless it holds nothing but `lo`, down and
 * without an address. Where none can be had (an ordinary user, whose user namespace has no rights over it; a host
 * without a writable /run; all are lent) the sandbox makes its own.
 */
#ifndef PYI_KERNEL_NETNS_H
#define PYI_KERNEL_NETNS_H

#include <stdbool.h>

struct pyi_err;

#define PYI_NETNS_DIR "/run/pyisolate/net"

struct pyi_netns {
	int home_fd; /* of the caller's own namespace, -1: he never left it */
	int lease_fd; /* the lock: to be kept open, by supervisor and init, until nothing of the sandbox is left */
};
#define PYI_NETNS_INIT ((struct pyi_netns){ -1, -1 })

/*
 * Put the calling process, which has one thread, into an empty namespace for the time of a clone. Root. True when it is
 * there; false when it is where it was, and the child needs CLONE_NEWNET. Never an error, but in pyi_netns_leave.
 */
bool pyi_netns_enter(struct pyi_netns *netns);

/* Back home; the lease stays. On failure the process must end: its view of the network is not the host's. */
int pyi_netns_leave(struct pyi_netns *netns, struct pyi_err *err);

/* Does the namespace of the calling process hold nothing but `lo`, down, and no address? */
bool pyi_netns_is_empty(void);

/* Remove all that are not lent, and the directory when it is empty (doctor --unload). -EBUSY when one is lent. */
int pyi_netns_unload(struct pyi_err *err);

#endif
