/* SPDX-License-Identifier: MIT */
/* `pyisolate run`: check the options, hand them to pyi_run. */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/err.h"
#include "base/log.h"
#include "base/parse.h"
#include "base/util.h"
#include "cmd/commands.h"
#include "cmd/policy_options.h"
#include "plan/layer.h"
#include "report/result.h"
#include "super/run.h"

enum {
	RUN_POLICY = 1,
	RUN_MODE,
	RUN_REQUIRE,
	RUN_USER,
	RUN_CWD,
	RUN_RESULT,
	RUN_RESULT_FD,
	RUN_DRY_RUN,
	RUN_JSON,
	RUN_CODE,
	RUN_MODULE,
	RUN_QUIET,
	RUN_VERBOSE,
	RUN_HELP,
	RUN_RULE,
};

#define OPTION(name_, letter_, arg_, id_, help_) { name_, letter_, arg_, help_, id_, false, false }
#define LAST(letter_, arg_, id_, help_)		 { NULL, letter_, arg_, help_, id_, false, true }

static const struct pyi_option run_options[] = {
	OPTION("policy", 'p', "FILE|NAME", RUN_POLICY,
	       "a policy file or a template's name (default: defaults)"),
	PYI_POLICY_OPTIONS(RUN_RULE),
	OPTION("mode", 0, "MODE", RUN_MODE, "hardened, compatibility or dev"),
	OPTION("require", 0, "LAYER", RUN_REQUIRE, "refuse to run without this layer; may be repeated"),
	OPTION("user", 0, "UID[:GID]", RUN_USER, "as root: the guest's ids (default: one of its own)"),
	OPTION("cwd", 0, "DIR", RUN_CWD, "the guest's working directory"),
	OPTION("result", 0, "FILE", RUN_RESULT, "write the result record to FILE"),
	OPTION("result-fd", 0, "N", RUN_RESULT_FD, "write the result record to descriptor N"),
	OPTION("dry-run", 0, NULL, RUN_DRY_RUN, "print what would be done, and stop"),
	OPTION("json", 0, NULL, RUN_JSON, "with --dry-run: as JSON"),
	LAST('c', "CODE", RUN_CODE, "run this program text; what follows are its arguments"),
	LAST('m', "MODULE", RUN_MODULE, "run a module as a script; what follows are its arguments"),
	OPTION("quiet", 'q', NULL, RUN_QUIET, "errors only"),
	OPTION("verbose", 'v', NULL, RUN_VERBOSE, "name each denial and what this host lacks"),
	OPTION("help", 'h', NULL, RUN_HELP, "print this help"),
	{ 0 },
};

static int parse_mode(const char *text, enum pyi_mode *ret_mode)
{
	static const enum pyi_mode modes[] = { PYI_MODE_HARDENED, PYI_MODE_COMPATIBILITY, PYI_MODE_DEV };
	size_t i;

	for (i = 0; i < PYI_ARRAY_SIZE(modes); i++) {
		if (strcmp(text, pyi_mode_name(modes[i])) == 0) {
			*ret_mode = modes[i];
			return 0;
		}
	}
	return pyi_usage_error("run", "unknown mode '%s': hardened, compatibility or dev", text);
}

static int parse_require(const char *text, uint32_t *layers)
{
	int layer = pyi_layer_by_name(text);

	if (layer < 0)
		return pyi_usage_error("run", "unknown layer '%s': 'pyisolate doctor' lists them", text);
	*layers |= 1u << layer;
	return 0;
}

static int parse_user(const char *text, struct pyi_run_options *options)
{
	enum { ID_MAX = 0x7fffffff };
	const char *colon = strchr(text, ':');
	struct pyi_err err = { 0 };
	uint64_t uid, gid;
	char uid_text[32];

	snprintf(uid_text, sizeof(uid_text), "%.*s",
		 colon ? (int)(colon - text) : (int)strlen(text), text);
	if (pyi_parse_u64(uid_text, 1, ID_MAX, &uid, &err) ||
	    pyi_parse_u64(colon ? colon + 1 : uid_text, 1, ID_MAX, &gid, &err))
		return pyi_usage_error("run", "--user '%s': %s (the guest never runs as root)",
				       text, err.msg);
	if (geteuid() != 0)
		return pyi_usage_error(
			"run", "--user needs root: an ordinary user's guest runs as that user");
	options->has_user = true;
	options->uid = (uid_t)uid;
	options->gid = (gid_t)gid;
	return 0;
}

static int parse_result_fd(const char *text, int *ret_fd)
{
	struct pyi_err err = { 0 };
	uint64_t fd;

	if (pyi_parse_u64(text, 0, 1 << 20, &fd, &err))
		return pyi_usage_error("run", "--result-fd '%s': %s", text, err.msg);
	if (fcntl((int)fd, F_GETFD) < 0)
		return pyi_usage_error("run", "--result-fd %s: no such descriptor is open", text);
	*ret_fd = (int)fd;
	return 0;
}

/* One option. 0, or the exit code of a usage error. */
static int apply_option(const struct pyi_option_parser *parser, struct pyi_run_options *options)
{
	switch (parser->option->id) {
	case RUN_POLICY:
		options->policy = parser->value;
		return 0;
	case RUN_MODE:
		return parse_mode(parser->value, &options->mode);
	case RUN_REQUIRE:
		return parse_require(parser->value, &options->required_layers);
	case RUN_USER:
		return parse_user(parser->value, options);
	case RUN_CWD:
		options->cwd = parser->value;
		return 0;
	case RUN_RESULT:
		options->result_path = parser->value;
		return 0;
	case RUN_RESULT_FD:
		return parse_result_fd(parser->value, &options->result_fd);
	case RUN_DRY_RUN:
		options->dry_run = true;
		return 0;
	case RUN_JSON:
		options->json = true;
		return 0;
	case RUN_CODE:
		options->source = PYI_SOURCE_CODE;
		options->target = parser->value;
		return 0;
	case RUN_MODULE:
		options->source = PYI_SOURCE_MODULE;
		options->target = parser->value;
		return 0;
	case RUN_QUIET:
		pyi_log_set_level(PYI_LOG_QUIET);
		return 0;
	default:
		pyi_log_set_level(PYI_LOG_VERBOSE);
		return 0;
	}
}

/* What to run: a command after "--", else -c, -m, a script, "-", or a program on a stdin that is no terminal. */
static int find_target(const struct pyi_option_parser *parser, struct pyi_run_options *options)
{
	char **operands = parser->argv + parser->next;
	int n = parser->argc - parser->next;

	if (parser->saw_dashes && !options->target) {
		if (n == 0)
			return pyi_usage_error("run", "no command after '--'");
		options->guest = PYI_GUEST_COMMAND;
		options->args = operands;
		options->n_args = (size_t)n;
		return 0;
	}
	options->guest = PYI_GUEST_PYTHON;
	if (!options->target) {
		if (n == 0 && isatty(STDIN_FILENO))
			return pyi_usage_error("run", "nothing to run: give -c CODE, -m MODULE, "
						      "a script, '-' or '-- CMD'");
		options->source = PYI_SOURCE_STDIN;
		if (n > 0 && strcmp(operands[0], "-") != 0) {
			options->source = PYI_SOURCE_SCRIPT;
			options->target = operands[0];
		}
		if (n > 0) {
			operands++;
			n--;
		}
	}
	options->args = operands;
	options->n_args = (size_t)n;
	return 0;
}

static int run_command(int argc, char **argv)
{
	_cleanup_free struct pyi_policy_flag *flags = calloc((size_t)argc, sizeof(*flags));
	struct pyi_run_options options = { .result_fd = -1, .flags = flags };
	struct pyi_option_parser parser;
	int ret;

	if (!flags) {
		pyi_log_error("out of memory");
		return PYI_EXIT_FAILURE;
	}
	pyi_options_init(&parser, run_options, argc, argv);
	while ((ret = pyi_options_next(&parser)) > 0) {
		if (parser.option->id == RUN_HELP) {
			pyi_command_print_help(&pyi_command_run);
			return 0;
		}
		if (parser.option->is_policy) {
			flags[options.n_flags++] = (struct pyi_policy_flag){ parser.option->name,
									     parser.value };
			continue;
		}
		ret = apply_option(&parser, &options);
		if (ret)
			return ret;
	}
	if (ret < 0)
		return pyi_usage_error("run", "%s", parser.error);
	if (options.json && !options.dry_run)
		return pyi_usage_error("run", "--json goes with --dry-run");
	ret = find_target(&parser, &options);
	return ret ? ret : pyi_run(&options);
}

const struct pyi_command pyi_command_run = {
	.name = "run",
	.run = run_command,
	.summary = "run Python code, or another program, in a sandbox",
	.usage = "[options] -c CODE [args...]\n[options] -m MODULE [args...]\n[options] SCRIPT [args...]\n"
		 "[options] - [args...]\n[options] -- CMD [args...]",
	.options = run_options,
};
