/* SPDX-License-Identifier: MIT */
/*
 * The command table. To add a command, touch three places: its file cmd/NAME.c with one `pyi_command_NAME`, the
 * declaration below, and the table in cmd/main.c. Help, completion and the manual's option check read the tables.
 */
#ifndef PYI_CMD_COMMANDS_H
#define PYI_CMD_COMMANDS_H

#include <stdbool.h>

#include "cmd/options.h"

struct pyi_command {
	const char *name;
	int (*run)(int argc, char **argv); /* argv[0] is the command's name; returns the exit code */
	const char *summary;		   /* one line, for `pyisolate help` */
	const char *usage; /* what follows "pyisolate NAME", lines separated by '\n' */
	const struct pyi_option *options; /* ends with an entry without a name; NULL: none */
	bool names_sandbox;		  /* its operand is the name of one: completed as such */
};

extern const struct pyi_command pyi_command_run;
extern const struct pyi_command pyi_command_spawn;
extern const struct pyi_command pyi_command_stop;
extern const struct pyi_command pyi_command_reload;
extern const struct pyi_command pyi_command_stats;
extern const struct pyi_command pyi_command_wait;
extern const struct pyi_command pyi_command_logs;
extern const struct pyi_command pyi_command_policy;
extern const struct pyi_command pyi_command_doctor;
extern const struct pyi_command pyi_command_image;
extern const struct pyi_command pyi_command_help;

extern const struct pyi_command *const pyi_commands[]; /* ends with NULL */

/* Print a command's usage and options to stdout. */
void pyi_command_print_help(const struct pyi_command *command);

#endif
