/* SPDX-License-Identifier: MIT */
/* `pyisolate help`, --version and shell completion: all from the command and option tables. */
#include <stdio.h>
#include <string.h>

#include "cmd/commands.h"
#include "guest/guest.h"
#include "pyi_abi.h"
#include "version.h"

enum { HELP_VERSION = 1, HELP_COMPLETION, HELP_HELP };

static const struct pyi_option help_options[] = {
	{ "version", 'V', NULL, "print version, commit, Python version, GIL state and ABI number",
	  HELP_VERSION, false, false },
	{ "completion", 0, "SHELL", "print a completion script; SHELL is bash", HELP_COMPLETION,
	  false, false },
	{ "help", 'h', NULL, "print this help", HELP_HELP, false, false },
	{ 0 },
};

static void print_option(const struct pyi_option *option)
{
	char left[64];
	int n;

	if (option->letter)
		n = snprintf(left, sizeof(left), "-%c%s", option->letter, option->name ? ", " : "");
	else
		n = snprintf(left, sizeof(left), "    ");
	if (option->name)
		n += snprintf(left + n, sizeof(left) - (size_t)n, "--%s", option->name);
	if (option->arg)
		snprintf(left + n, sizeof(left) - (size_t)n, " %s", option->arg);
	printf("  %-28s %s\n", left, option->help);
}

void pyi_command_print_help(const struct pyi_command *command)
{
	const struct pyi_option *option;
	const char *line = command->usage;
	const char *prefix = "usage:";

	while (*line) {
		size_t len = strcspn(line, "\n");

		printf("%-6s pyisolate %s %.*s\n", prefix, command->name, (int)len, line);
		prefix = "";
		line += len + (line[len] == '\n');
	}
	printf("\n%s\n", command->summary);
	if (!command->options)
		return;
	printf("\noptions:\n");
	for (option = command->options; option->name || option->letter; option++)
		print_option(option);
}

static int print_version(void)
{
	printf("pyisolate %s (%s)\nPython %s (package %s), %s\nBPF ABI %d\n", PYI_VERSION,
	       PYI_COMMIT, pyi_guest_python_version(), PYI_PYTHON_PACKAGE,
	       pyi_guest_is_free_threaded() ? "free-threaded, GIL disabled" : "with the GIL", PYI_ABI);
	return 0;
}

static int print_overview(void)
{
	size_t i;

	printf("usage: pyisolate COMMAND [options] ...\n\n"
	       "Run untrusted Python in a sandbox that the kernel enforces.\n\ncommands:\n");
	for (i = 0; pyi_commands[i]; i++)
		printf("  %-10s %s\n", pyi_commands[i]->name, pyi_commands[i]->summary);
	printf("\n'pyisolate COMMAND --help' lists a command's options; 'man pyisolate' explains.\n");
	return 0;
}

static void print_words(const struct pyi_option *option)
{
	for (; option && (option->name || option->letter); option++) {
		if (option->name)
			printf(" --%s", option->name);
		if (option->letter)
			printf(" -%c", option->letter);
	}
}

static int print_bash_completion(void)
{
	size_t i;

	printf("# bash completion for pyisolate\n_pyisolate()\n{\n"
	       "\tlocal word=${COMP_WORDS[COMP_CWORD]} words=\n"
	       "\tif [ \"$COMP_CWORD\" = 1 ]; then\n\t\twords=\"");
	for (i = 0; pyi_commands[i]; i++)
		printf("%s%s", i ? " " : "", pyi_commands[i]->name);
	printf(" --version --help\"\n\telif [[ $word == -* ]]; then\n\t\tcase ${COMP_WORDS[1]} in\n");
	for (i = 0; pyi_commands[i]; i++) {
		printf("\t\t%s) words=\"", pyi_commands[i]->name);
		print_words(pyi_commands[i]->options);
		printf("\" ;;\n");
	}
	printf("\t\tesac\n\telif [[ ' ");
	for (i = 0; pyi_commands[i]; i++)
		if (pyi_commands[i]->names_sandbox)
			printf("%s ", pyi_commands[i]->name);
	printf("' == *\" ${COMP_WORDS[1]} \"* ]]; then\n"
	       "\t\twords=$(${COMP_WORDS[0]} stats 2>/dev/null | awk 'NR > 1 { print $1 }')\n");
	printf("\telse\n\t\tCOMPREPLY=($(compgen -f -- \"$word\"))\n\t\treturn\n\tfi\n"
	       "\tCOMPREPLY=($(compgen -W \"$words\" -- \"$word\"))\n}\n"
	       "complete -o filenames -F _pyisolate pyisolate\n");
	return 0;
}

static int help_on(const char *name)
{
	size_t i;

	for (i = 0; pyi_commands[i]; i++) {
		if (strcmp(name, pyi_commands[i]->name) == 0) {
			pyi_command_print_help(pyi_commands[i]);
			return 0;
		}
	}
	return pyi_usage_error("help", "unknown command '%s'", name);
}

static int help_run(int argc, char **argv)
{
	struct pyi_option_parser parser;
	int ret;

	pyi_options_init(&parser, help_options, argc, argv);
	while ((ret = pyi_options_next(&parser)) > 0) {
		switch (parser.option->id) {
		case HELP_VERSION:
			return print_version();
		case HELP_COMPLETION:
			if (strcmp(parser.value, "bash") != 0)
				return pyi_usage_error("help", "no completion for '%s': bash is known",
						       parser.value);
			return print_bash_completion();
		default:
			pyi_command_print_help(&pyi_command_help);
			return 0;
		}
	}
	if (ret < 0)
		return pyi_usage_error("help", "%s", parser.error);
	return parser.next < argc ? help_on(argv[parser.next]) : print_overview();
}

const struct pyi_command pyi_command_help = {
	.name = "help",
	.run = help_run,
	.summary = "say what the commands and their options are",
	.usage = "[COMMAND]\n--version\n--completion bash",
	.options = help_options,
};
