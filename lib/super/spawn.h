/* SPDX-License-Identifier: MIT */
/*
 * Start a named sandbox that outlives the command.
 *
 * Theory of operation. The command forks the supervisor and waits at a pipe for one byte. The supervisor, in a
 * session of its own, takes the very steps of `run` (super/run.h); hooks between them keep the registry's entry up to
 * date:
 *
 *	planned	claim the name (state INIT), begin the log, let go of what was inherited
 *	started	cgroup, first process, limits (BOOTSTRAPPED)
 *	ready	RUNNING; stderr becomes the log, cwd /; the byte to the command
 *	ending	a limit was hit (QUOTA_EXCEEDED)
 *	ended	all is cleared away; the exit record (COMPLETED or CANCELLED)
 *
 * Until `ready` it has the caller's stderr, so that what fails is said there, and the command ends with its exit code.
 *
 * Who dies when:
 *	the command, before the claim	the supervisor goes with it (PR_SET_PDEATHSIG); nothing was made
 *	the command, later	the byte finds no reader: the supervisor ends the sandbox and says so in its entry
 *	the supervisor	its guest goes with it (as in `run`); the entry has an owner that is dead: the next command
 *			marks it lost and clears away its control group and BPF rows
 */
#ifndef PYI_SUPER_SPAWN_H
#define PYI_SUPER_SPAWN_H

#include <stdint.h>

struct pyi_run_options;
struct pyi_token;

/*
 * token: who has it may reload the sandbox; NULL: nobody may. Only its hash is kept, the
 * text overwritten.
 *
 * Returns the exit code: 0 when it is running, else that of `run`. Prints its one line itself. Changes options->hooks.
 */
int pyi_spawn(const char *name, struct pyi_run_options *options, uint64_t log_size,
	      struct pyi_token *token);

#endif
