/* SPDX-License-Identifier: MIT */
/* What the commands on named sandboxes have in common: options before or after one name, and the registry. */
#ifndef PYI_CMD_NAMED_ARGS_H
#define PYI_CMD_NAMED_ARGS_H

#include <stdbool.h>

#include "cmd/commands.h"

struct pyi_registry;

enum { PYI_NAMED_HELP = 1, PYI_NAMED_N_IDS };

#define PYI_NAMED_OPTION(name_, letter_, arg_, id_, help_) \
	{ name_, letter_, arg_, help_, id_, false, false }
#define PYI_NAMED_HELP_OPTION PYI_NAMED_OPTION("help", 'h', NULL, PYI_NAMED_HELP, "print this help")

/*
 * Parse "[options] NAME [options]" and open the registry. *ret_name is NULL where no name was given, an error with
 * need_name. Options go to fn, which returns 0 or an exit code. Returns -1 when the command is to go on, with a
 * registry to be freed, else the exit code.
 */
int pyi_named_begin(const struct pyi_command *command, int argc, char **argv, bool need_name,
		    int (*fn)(const struct pyi_option *option, const char *value, void *arg),
		    void *arg, const char **ret_name, struct pyi_registry **ret_registry);

#endif
