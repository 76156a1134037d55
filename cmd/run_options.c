/* SPDX-License-Identifier: MIT */
/* The options of `run` and `spawn`; see run_options.h. */
#include "cmd/run_options.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/err.h"
#include "base/log.h"
#include "base/parse.h"
#include "base/util.h"
#include "cmd/image_options.h"
#include "plan/layer.h"
#include "super/image_cache.h"
#include "super/run.h"

static int parse_mode(const char *command, const char *text, enum pyi_mode *ret_mode)
{
	static const enum pyi_mode modes[] = { PYI_MODE_HARDENED, PYI_MODE_COMPATIBILITY, PYI_MODE_DEV };
	size_t i;

	for (i = 0; i < PYI_ARRAY_SIZE(modes); i++) {
		if (strcmp(text, pyi_mode_name(modes[i])) == 0) {
			*ret_mode = modes[i];
			return 0;
		}
	}
	return pyi_usage_error(command, "unknown mode '%s': hardened, compatibility or dev", text);
}

static int parse_require(const char *command, const char *text, uint32_t *layers)
{
	int layer = pyi_layer_by_name(text);

	if (layer < 0)
		return pyi_usage_error(command, "unknown layer '%s': 'pyisolate doctor' lists them",
				       text);
	*layers |= 1u << layer;
	return 0;
}

static int parse_user(const char *command, const char *text, struct pyi_run_options *options)
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
		return pyi_usage_error(command, "--user '%s': %s (the guest never runs as root)",
				       text, err.msg);
	if (geteuid() != 0)
		return pyi_usage_error(
			command, "--user needs root: an ordinary user's guest runs as that user");
	options->has_user = true;
	options->uid = (uid_t)uid;
	options->gid = (gid_t)gid;
	return 0;
}

static int parse_result_fd(const char *command, const char *text, int *ret_fd)
{
	struct pyi_err err = { 0 };
	uint64_t fd;

	if (pyi_parse_u64(text, 0, 1 << 20, &fd, &err))
		return pyi_usage_error(command, "--result-fd '%s': %s", text, err.msg);
	if (fcntl((int)fd, F_GETFD) < 0)
		return pyi_usage_error(command, "--result-fd %s: no such descriptor is open", text);
	*ret_fd = (int)fd;
	return 0;
}

/* One option. 0, or the exit code of a usage error. */
static int apply_option(const char *command, const struct pyi_option_parser *parser,
			struct pyi_run_options *options)
{
	switch (parser->option->id) {
	case PYI_RUN_POLICY:
		options->policy = parser->value;
		return 0;
	case PYI_RUN_MODE:
		return parse_mode(command, parser->value, &options->mode);
	case PYI_RUN_REQUIRE:
		return parse_require(command, parser->value, &options->required_layers);
	case PYI_RUN_USER:
		return parse_user(command, parser->value, options);
	case PYI_RUN_CWD:
		options->cwd = parser->value;
		return 0;
	case PYI_RUN_RESULT:
		options->result_path = parser->value;
		return 0;
	case PYI_RUN_RESULT_FD:
		return parse_result_fd(command, parser->value, &options->result_fd);
	case PYI_RUN_DRY_RUN:
		options->dry_run = true;
		return 0;
	case PYI_RUN_JSON:
		options->json = true;
		return 0;
	case PYI_RUN_NO_IMAGE:
		options->no_image = true;
		return 0;
	case PYI_RUN_PRELOAD:
		return pyi_image_parse_preload(command, parser->value, options->preload,
					       &options->n_preload);
	case PYI_RUN_IMAGE_AGE:
		return pyi_image_parse_age(command, parser->value, &options->image_age_ms);
	case PYI_RUN_CODE:
		options->source = PYI_SOURCE_CODE;
		options->target = parser->value;
		return 0;
	case PYI_RUN_MODULE:
		options->source = PYI_SOURCE_MODULE;
		options->target = parser->value;
		return 0;
	case PYI_RUN_QUIET:
		pyi_log_set_level(PYI_LOG_QUIET);
		return 0;
	default:
		pyi_log_set_level(PYI_LOG_VERBOSE);
		return 0;
	}
}

/* What to run: a command after "--", else -c, -m, a script, "-", or a program on a stdin that is no terminal. */
static int find_target(const char *command, const struct pyi_option_parser *parser,
		       struct pyi_run_options *options)
{
	char **operands = parser->argv + parser->next;
	int n = parser->argc - parser->next;

	if (parser->saw_dashes && !options->target) {
		if (n == 0)
			return pyi_usage_error(command, "no command after '--'");
		options->guest = PYI_GUEST_COMMAND;
		options->args = operands;
		options->n_args = (size_t)n;
		return 0;
	}
	options->guest = PYI_GUEST_PYTHON;
	if (!options->target) {
		if (n == 0 && isatty(STDIN_FILENO))
			return pyi_usage_error(command, "nothing to run: give -c CODE, -m MODULE, "
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

int pyi_run_options_parse(const char *command, const struct pyi_option *table, int argc, char **argv,
			  struct pyi_policy_flag *flags, struct pyi_run_options *options,
			  int (*other)(const struct pyi_option *option, const char *value, void *arg),
			  void *arg)
{
	struct pyi_option_parser parser;
	int ret;

	options->flags = flags;
	options->image_age_ms = PYI_IMAGE_AGE_MS;
	pyi_options_init(&parser, table, argc, argv);
	while ((ret = pyi_options_next(&parser)) > 0) {
		if (parser.option->id == PYI_RUN_HELP)
			return -1;
		if (parser.option->is_policy)
			flags[options->n_flags++] = (struct pyi_policy_flag){ parser.option->name,
									      parser.value };
		else if (parser.option->id >= PYI_RUN_N_IDS)
			ret = other(parser.option, parser.value, arg);
		else
			ret = apply_option(command, &parser, options);
		if (ret > 1)
			return ret;
	}
	if (ret < 0)
		return pyi_usage_error(command, "%s", parser.error);
	options->trace_json = options->json && options->trace_path;
	if (options->json && !options->dry_run && !options->trace_json)
		return pyi_usage_error(command, "--json goes with --dry-run%s",
				       strcmp(command, "run") == 0 ? " or --trace-output" : "");
	return find_target(command, &parser, options);
}
