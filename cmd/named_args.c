/* SPDX-License-Identifier: MIT */
/* Arguments of the commands on named sandboxes; see named_args.h. */
#include "cmd/named_args.h"

#include <stddef.h>

#include "base/err.h"
#include "base/log.h"
#include "report/result.h"
#include "super/registry.h"

/* One run of options. 0, or an exit code, or -1 for --help. */
static int parse_options(const struct pyi_command *command, struct pyi_option_parser *parser,
			 int (*fn)(const struct pyi_option *option, const char *value, void *arg),
			 void *arg)
{
	int ret;

	while ((ret = pyi_options_next(parser)) > 0) {
		if (parser->option->id == PYI_NAMED_HELP)
			return -1;
		ret = fn(parser->option, parser->value, arg);
		if (ret)
			return ret;
	}
	return ret < 0 ? pyi_usage_error(command->name, "%s", parser->error) : 0;
}

static int parse_all(const struct pyi_command *command, int argc, char **argv,
		     int (*fn)(const struct pyi_option *option, const char *value, void *arg),
		     void *arg, const char **ret_name)
{
	struct pyi_option_parser parser;
	int ret;

	pyi_options_init(&parser, command->options, argc, argv);
	ret = parse_options(command, &parser, fn, arg);
	if (ret == 0 && parser.next < argc) {
		*ret_name = argv[parser.next++];
		if (!parser.saw_dashes)
			ret = parse_options(command, &parser, fn, arg);
	}
	if (ret == 0 && parser.next < argc)
		return pyi_usage_error(command->name, "one name at most: '%s' is too much",
				       argv[parser.next]);
	return ret;
}

int pyi_named_begin(const struct pyi_command *command, int argc, char **argv, bool need_name,
		    int (*fn)(const struct pyi_option *option, const char *value, void *arg),
		    void *arg, const char **ret_name, struct pyi_registry **ret_registry)
{
	struct pyi_err err = { 0 };
	int ret;

	*ret_name = NULL;
	ret = parse_all(command, argc, argv, fn, arg, ret_name);
	if (ret < 0) {
		pyi_command_print_help(command);
		return 0;
	}
	if (ret)
		return ret;
	if (!*ret_name && need_name)
		return pyi_usage_error(command->name, "no name given");
	if (*ret_name && pyi_registry_check_name(*ret_name, &err) < 0)
		return pyi_usage_error(command->name, "%s", err.msg);
	if (pyi_registry_open(false, ret_registry, &err) < 0) {
		pyi_log_error("%s", err.msg);
		return PYI_EXIT_FAILURE;
	}
	return -1;
}
