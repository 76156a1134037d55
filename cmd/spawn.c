/* SPDX-License-Identifier: MIT */
/* `pyisolate spawn`: the options of `run`, for a sandbox with a name. */
#include <stdlib.h>
#include <string.h>

#include "base/err.h"
#include "base/log.h"
#include "base/parse.h"
#include "base/util.h"
#include "cmd/commands.h"
#include "cmd/run_options.h"
#include "guest/python_layout.h"
#include "report/result.h"
#include "super/logfile.h"
#include "super/registry.h"
#include "super/run.h"
#include "super/spawn.h"
#include "super/token.h"

enum { SPAWN_LOG_SIZE = PYI_RUN_N_IDS, SPAWN_TOKEN_FILE };

static const struct pyi_option spawn_options[] = {
	PYI_RUN_OPTION("log-size", 0, "SIZE", SPAWN_LOG_SIZE,
		       "rotate the log at this size, and keep one older (default: 1MiB)"),
	PYI_RUN_OPTION("token-file", 0, "FILE", SPAWN_TOKEN_FILE,
		       "who has the token in FILE may reload it (default: nobody)"),
	PYI_RUN_OPTIONS,
	{ 0 },
};

struct extra {
	uint64_t log_size;
	struct pyi_token token;
};

static int apply_option(const struct pyi_option *option, const char *value, void *arg)
{
	struct pyi_err err = { 0 };
	struct extra *extra = arg;

	if (option->id == SPAWN_TOKEN_FILE) {
		if (pyi_token_read(value, &extra->token, &err) == 0)
			return 0;
		pyi_log_error("%s", err.msg);
		return PYI_EXIT_FAILURE;
	}
	if (pyi_parse_size(value, &extra->log_size, &err) < 0)
		return pyi_usage_error("spawn", "--log-size '%s': %s", value, err.msg);
	if (extra->log_size < PYI_LOG_SIZE_MIN)
		return pyi_usage_error("spawn", "--log-size '%s': at least 4KiB", value);
	return 0;
}

/* 0, or the exit code of a usage error. */
static int check_name(const char *name)
{
	struct pyi_err err = { 0 };

	if (!name)
		return pyi_usage_error("spawn", "no name given");
	if (name[0] == '-')
		return pyi_usage_error("spawn", "the name comes first, then options: '%s'", name);
	if (pyi_registry_check_name(name, &err) < 0)
		return pyi_usage_error("spawn", "%s", err.msg);
	return 0;
}

static int spawn(const char *name, int argc, char **argv)
{
	_cleanup_free struct pyi_policy_flag *flags = calloc((size_t)argc, sizeof(*flags));
	struct pyi_run_options options = { .result_fd = -1, .python_layout = pyi_python_layout };
	struct extra extra = { .log_size = PYI_LOG_SIZE_DEFAULT };
	int ret;

	if (!flags) {
		pyi_log_error("out of memory");
		return PYI_EXIT_FAILURE;
	}
	ret = pyi_run_options_parse("spawn", spawn_options, argc, argv, flags, &options,
				    apply_option, &extra);
	if (ret < 0) {
		pyi_command_print_help(&pyi_command_spawn);
		return 0;
	}
	if (ret == 0)
		ret = pyi_spawn(name, &options, extra.log_size, extra.token.len ? &extra.token : NULL);
	pyi_token_forget(&extra.token);
	return ret;
}

static int spawn_command(int argc, char **argv)
{
	const char *name = argc > 1 ? argv[1] : NULL;
	int ret;

	if (name && (strcmp(name, "--help") == 0 || strcmp(name, "-h") == 0)) {
		pyi_command_print_help(&pyi_command_spawn);
		return 0;
	}
	ret = check_name(name);
	return ret ? ret : spawn(name, argc - 1, argv + 1);
}

const struct pyi_command pyi_command_spawn = {
	.name = "spawn",
	.run = spawn_command,
	.summary = "start a named sandbox and return once it is running",
	.usage = "NAME [options] -c CODE [args...]\nNAME [options] -m MODULE [args...]\n"
		 "NAME [options] SCRIPT [args...]\nNAME [options] - [args...]\n"
		 "NAME [options] -- CMD [args...]",
	.options = spawn_options,
};
