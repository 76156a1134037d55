/* SPDX-License-Identifier: MIT */
/*
 * The two processes inside, from clone to exec. See sandbox.h for who does what. Everything they need was prepared by
 * the supervisor: nothing here allocates.
 */
#ifndef PYI_KERNEL_INIT_H
#define PYI_KERNEL_INIT_H

#include <stdbool.h>
#include <stddef.h>

struct pyi_err;
struct pyi_sandbox_start;
struct pyi_status_msg;

struct pyi_init {
	const struct pyi_sandbox_start *start;
	bool is_root;  /* started by root, without a user namespace */
	int theirs[2]; /* the supervisor's ends of the two pipes, which init must not keep open */
	int go_fd;     /* read end: one byte when the supervisor has written the id maps */
	int status_fd; /* write end */
	int self_fd;   /* our own binary (O_PATH) for Python; -1 for a command */
	const char *self_path; /* where it was found; NULL when unknown */
	int idmap_fd;	       /* -1 without */
	int ruleset_fd; /* Landlock's, begun before the tree is made (can_reload); -1: made by the guest */
	int netns_fd; /* of the network namespace that was lent, so that it is for as long as we are */
};

/* init, from its first instruction to its end. */
_Noreturn void pyi_init_main(const struct pyi_init *init);

/*
 * The guest, to its exec. fail_fd gets one status record if it does not come to that, and is closed by the exec if it
 * does. gate_fd: a byte arrives when init has locked itself down; end of file when it could not. It is awaited before a
 * command's exec. Our own binary inherits it and waits itself, before it looks up any path; where there are BPF LSM
 * programs it is executed when they are armed, and a second byte is for it.
 */
_Noreturn void pyi_enter_guest(const struct pyi_init *init, int exec_fd, int gate_fd, int fail_fd);

/* Sort and remove duplicates, as pyi_lockdown_fds wants them. Returns the new count. */
size_t pyi_init_sort_fds(int *fds, size_t n);

/* Send one record; errors cannot be told to anyone. */
void pyi_init_send(int fd, const struct pyi_status_msg *msg);
void pyi_init_send_error(int fd, const struct pyi_err *err);

#endif
