/* SPDX-License-Identifier: MIT */
/*
 * How a reload gets the way into an ordinary user's sandbox (kernel/tree_way.h), which nobody has but its supervisor.
 *
 * Theory of operation. The supervisor has a datagram socket in the state directory, "policy/NAME.door", if the sandbox
 * has a token. The reload sends the token, and with it one end of a pair of sockets; what comes back through that is 0
 * and the two descriptors, or an error number. The supervisor looks at a message when its loop comes to it and never
 * waits: not for the registry's lock, and not for whoever asked.
 *
 * The directory lets in nobody but its owner, and a guest has it neither in its tree nor the system calls for sockets
 * of this kind. Would it come so far all the same, its user would be the right one: so the kernel tells who has sent
 * each message, a process of another pid namespace than the supervisor's is not answered, and the token is looked at as
 * it is for the registry, with the same growing delays.
 */
#ifndef PYI_SUPER_DOOR_H
#define PYI_SUPER_DOOR_H

struct pyi_abi_sandbox;
struct pyi_door; /* opaque */
struct pyi_err;
struct pyi_token;
struct pyi_tree_way;

/* The supervisor's. `way` is borrowed, and the entry's token is what is asked for. */
int pyi_door_new(const char *name, const struct pyi_abi_sandbox *entry,
		 const struct pyi_tree_way *way, struct pyi_door **ret_door, struct pyi_err *err);
void pyi_door_free(struct pyi_door *door);

/* Poll it for reading, then answer one message. */
int pyi_door_fd(const struct pyi_door *door);
void pyi_door_answer(struct pyi_door *door);

/* A reload's: *ret_way is the caller's to close. -EACCES: "PolicyAuthError: ...". */
int pyi_door_ask(const char *name, const struct pyi_token *token, struct pyi_tree_way *ret_way,
		 struct pyi_err *err);

#endif
