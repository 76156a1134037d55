/* SPDX-License-Identifier: MIT */
/* The options of every command that starts a sandbox, in one table: `run` and `spawn` take them in the same words. */
#ifndef PYI_CMD_RUN_OPTIONS_H
#define PYI_CMD_RUN_OPTIONS_H

#include "cmd/options.h"
#include "cmd/policy_options.h"

struct pyi_policy_flag;
struct pyi_run_options;

enum {
	PYI_RUN_POLICY = 1,
	PYI_RUN_MODE,
	PYI_RUN_REQUIRE,
	PYI_RUN_USER,
	PYI_RUN_CWD,
	PYI_RUN_RESULT,
	PYI_RUN_RESULT_FD,
	PYI_RUN_DRY_RUN,
	PYI_RUN_JSON,
	PYI_RUN_NO_IMAGE,
	PYI_RUN_PRELOAD,
	PYI_RUN_IMAGE_AGE,
	PYI_RUN_CODE,
	PYI_RUN_MODULE,
	PYI_RUN_QUIET,
	PYI_RUN_VERBOSE,
	PYI_RUN_HELP,
	PYI_RUN_RULE,
	PYI_RUN_N_IDS, /* from here on: a command's own */
};

#define PYI_RUN_OPTION(name_, letter_, arg_, id_, help_) \
	{ name_, letter_, arg_, help_, id_, false, false }
#define PYI_RUN_LAST(letter_, arg_, id_, help_) { NULL, letter_, arg_, help_, id_, false, true }

/* Entries of an option table. */
#define PYI_RUN_OPTIONS                                                                                 \
	PYI_RUN_OPTION("policy", 'p', "FILE|NAME", PYI_RUN_POLICY,                                      \
		       "a policy file or a template's name (default: defaults)"),                       \
		PYI_POLICY_OPTIONS(PYI_RUN_RULE),                                                       \
		PYI_RUN_OPTION("mode", 0, "MODE", PYI_RUN_MODE, "hardened, compatibility or dev"),      \
		PYI_RUN_OPTION("require", 0, "LAYER", PYI_RUN_REQUIRE,                                  \
			       "refuse to run without this layer; may be repeated"),                    \
		PYI_RUN_OPTION("user", 0, "UID[:GID]", PYI_RUN_USER,                                    \
			       "as root: the guest's ids (default: one of its own)"),                   \
		PYI_RUN_OPTION("cwd", 0, "DIR", PYI_RUN_CWD, "the guest's working directory"),          \
		PYI_RUN_OPTION("result", 0, "FILE", PYI_RUN_RESULT, "write the result record to FILE"), \
		PYI_RUN_OPTION("result-fd", 0, "N", PYI_RUN_RESULT_FD,                                  \
			       "write the result record to descriptor N"),                              \
		PYI_RUN_OPTION("dry-run", 0, NULL, PYI_RUN_DRY_RUN,                                     \
			       "print what would be done, and stop"),                                   \
		PYI_RUN_OPTION("json", 0, NULL, PYI_RUN_JSON, "with --dry-run: as JSON"),               \
		PYI_RUN_OPTION("no-image", 0, NULL, PYI_RUN_NO_IMAGE,                                   \
			       "start the interpreter anew, not from an image"),                        \
		PYI_RUN_OPTION("preload", 0, "MODULE", PYI_RUN_PRELOAD,                                 \
			       "from an image that has this module besides; may be repeated"),          \
		PYI_RUN_OPTION("image-age", 0, "TIME", PYI_RUN_IMAGE_AGE,                               \
			       "how old an image may be (default: 1d), or any"),                        \
		PYI_RUN_LAST('c', "CODE", PYI_RUN_CODE,                                                 \
			     "run this program text; what follows are its arguments"),                  \
		PYI_RUN_LAST('m', "MODULE", PYI_RUN_MODULE,                                             \
			     "run a module as a script; what follows are its arguments"),               \
		PYI_RUN_OPTION("quiet", 'q', NULL, PYI_RUN_QUIET, "errors only"),                       \
		PYI_RUN_OPTION("verbose", 'v', NULL, PYI_RUN_VERBOSE,                                   \
			       "name each denial and what this host lacks"),                            \
		PYI_RUN_OPTION("help", 'h', NULL, PYI_RUN_HELP, "print this help")

/*
 * Parse the arguments from argv[1] on into *options, for the command of this name; those that are not in the list above
 * (ids from PYI_RUN_N_IDS on) go to `other`, which returns 0 or an exit code. `flags` has room for argc entries and
 * becomes options->flags. 0, the exit code of a usage error, or -1 when --help was asked for.
 */
int pyi_run_options_parse(const char *command, const struct pyi_option *table, int argc, char **argv,
			  struct pyi_policy_flag *flags, struct pyi_run_options *options,
			  int (*other)(const struct pyi_option *option, const char *value, void *arg),
			  void *arg);

#endif
