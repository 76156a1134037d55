/* SPDX-License-Identifier: MIT */
/*
 * Command-line options from a table: one table per command serves parsing, --help, completion and the check of the
 * manual. Long options take "--name value" or "--name=value", short ones "-x value" or "-xvalue"; abbreviations are not
 * accepted, so that a script cannot change its meaning when an option is added. Parsing stops at the first argument
 * that is no option and after "--".
 */
#ifndef PYI_CMD_OPTIONS_H
#define PYI_CMD_OPTIONS_H

#include <stdbool.h>

struct pyi_option {
	const char *name; /* without dashes; NULL with a letter only: a short option; both NULL: the end */
	char letter; /* 0: none */
	const char *arg; /* what the value is called, NULL: takes none; "[...]": a long option may go without */
	const char *help; /* one line */
	int id;		  /* the command's own number for it */
	bool is_policy;	  /* part of the policy: passed on by name */
	bool ends_options; /* as -c and -m of python3: everything after the value belongs to the guest */
};

struct pyi_option_parser {
	const struct pyi_option *table;
	char **argv;
	int argc;
	int next; /* index of the next argument to look at; the first operand at the end */
	const char *cluster;		 /* the rest of "-abc" */
	const struct pyi_option *option; /* the one just found */
	const char *value;		 /* its value, or NULL */
	bool saw_dashes;		 /* "--" ended the options */
	char error[256];
};

void pyi_options_init(struct pyi_option_parser *parser, const struct pyi_option *table, int argc,
		      char **argv);

/* 1: an option is in parser->option and ->value; 0: no more options; -1: usage error in parser->error. */
int pyi_options_next(struct pyi_option_parser *parser);

/* The usage error of a command, with a pointer to its help, on stderr; returns the exit code 2. */
int pyi_usage_error(const char *command, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

#endif
