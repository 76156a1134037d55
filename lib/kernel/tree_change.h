/* SPDX-License-Identifier: MIT */
/*
 * Another file tree for a sandbox that runs: what its policy grants is attached and detached in its mount namespace.
 *
 * Theory of operation. A child of the caller does it, so that the caller keeps its own namespace, and so that it is
 * finished even when the caller is killed: it holds the caller's locks as long as it is at work. On the host's side it
 * prepares each mount detached, with all its attributes, as the start does (tree.c). Then it enters the sandbox's mount
 * namespace, by a pidfd of its first process, and takes one unit (tree_units.h) after the other:
 *
 *	new	the mounts are put together in a hidden directory of the sandbox's tmpfs, then moved to their place
 *	other	the same, but the new mount is moved beneath the old one, which then is taken away: whoever walks the
 *		path comes to the one or to the other, never to neither
 *	gone	the place is closed (mode 0000) beneath the mount, which then is taken away
 *
 * So at each instant every path is what it was or what it is to be. Where a narrower part remains of what was granted,
 * the new mount is the empty directory of our own tmpfs with the part mounted in it.
 *
 * An ordinary user's child first enters the sandbox's user namespace (tree_way.h says how it can), which makes it root
 * of it, and takes a copy of the host's mounts that belongs to that namespace: from there it goes on as above.
 *
 * What was opened stays open, and a directory that is held open, or is the working directory, goes on giving what it
 * gave. Therefore a mount that has others on it, such as those that cover what is denied, is not taken apart: those
 * who hold it would see through. It is put aside, in a directory nobody can enter, and comes back when the same is
 * granted again.
 */
#ifndef PYI_KERNEL_TREE_CHANGE_H
#define PYI_KERNEL_TREE_CHANGE_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

struct pyi_err;
struct pyi_plan;
struct pyi_tree_way;

struct pyi_tree_change {
	pid_t init_pid;			/* the sandbox's first process */
	pid_t supervisor_pid;		/* its parent: a process that has another one is not it */
	const struct pyi_tree_way *way; /* into an ordinary user's; NULL: root, who needs none */
	/* What the tree was made by: what it has in common with `to`, and what is in place, stays. */
	const struct pyi_plan *from;
	const struct pyi_plan *to;
	uid_t owner_uid; /* the invoker's, whom idmapped files belong to */
	gid_t owner_gid;
	const char *const *kept; /* paths whose places stay, because Landlock has rules about them */
	size_t n_kept;
	bool keeps_paths; /* no directory is detached, all are put aside: the LSM programs ask for the path of what is
			     held open, and of a detached mount the kernel tells one that begins in it */
	bool check_only;   /* is it possible? Nothing is changed */
	bool *has_touched; /* set before anything is, and else left alone; NULL: nobody asks */
};

/*
 * Root, or with a way in; Linux 6.5 (MOVE_MOUNT_BENEATH). 0, or -errno with a message: then units may have been
 * changed, and the same with `from` and `to` exchanged takes them back. -ESRCH when the sandbox has ended.
 */
int pyi_tree_change(const struct pyi_tree_change *change, struct pyi_err *err);

#endif
