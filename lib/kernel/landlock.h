/* SPDX-License-Identifier: MIT */
/*
 * The Landlock domain: what the rows allow beneath their paths, TCP ports of the plan, no signals and no abstract
 * sockets to the outside, each as far as the host's ABI goes (Documentation/userspace-api/landlock.rst).
 */
#ifndef PYI_KERNEL_LANDLOCK_H
#define PYI_KERNEL_LANDLOCK_H

struct pyi_err;
struct pyi_plan;

/* The ABI of this kernel, or -errno (ENOSYS: not built, EOPNOTSUPP: not enabled at boot). */
int pyi_landlock_abi(void);

/*
 * Restrict the calling thread for good; no_new_privs must be set. Paths are opened as they are now, that is: after
 * the sandbox's root is in place (or on the host's tree where there are no namespaces). No allocation.
 * A row that is missing, has become a symlink (but in /proc) or has changed its kind is an error, and nothing is
 * restricted. `abi` is pyi_landlock_abi()'s; less than 1 is an error.
 *
 * What Landlock does not cover, whatever its ABI: mode, owner, times and xattrs of files, stat, inotify, locks, UDP,
 * Unix sockets with a path, running programs from a memfd. Mounts and seccomp do. Before ABI 3 truncation (seccomp
 * refuses the two calls that would pass), before 4 TCP, before 6 signals to other processes of the same user.
 *
 * `exec_fd` (-1: none) is a file that may be read and executed though no row leads to it: our own binary, which the
 * Python guest is about to execute by descriptor from a mount outside the tree. Landlock would refuse that otherwise.
 */
int pyi_landlock_apply(const struct pyi_plan *plan, int abi, int exec_fd, struct pyi_err *err);

/*
 * The same in steps, for a sandbox that can be reloaded: a ruleset; rules for what has no row (of a descriptor, O_PATH,
 * beneath which `access` is allowed); then the plan's rows, and the calling thread enters. A rule is about the inode,
 * whichever mount it is come to by. Beneath the root of a mount the kernel goes on with the directory that the mount
 * point is in (not with the mount point itself, which the mount hides): so a rule about a directory holds for what is
 * mounted beneath it later.
 */
int pyi_landlock_begin(const struct pyi_plan *plan, int abi, int *ret_fd, struct pyi_err *err);
int pyi_landlock_allow(int ruleset_fd, int abi, int fd, const char *path, unsigned int access,
		       struct pyi_err *err);
int pyi_landlock_end(const struct pyi_plan *plan, int abi, int ruleset_fd, int exec_fd,
		     struct pyi_err *err);

#endif
