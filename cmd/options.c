/* SPDX-License-Identifier: MIT */
/* Table-driven option parsing; see options.h. */
#include "cmd/options.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/log.h"
#include "base/parse.h"
#include "base/util.h"
#include "report/result.h"

enum { OPTIONS_MAX = 128 };

static bool is_end(const struct pyi_option *option)
{
	return !option->name && !option->letter;
}

void pyi_options_init(struct pyi_option_parser *parser, const struct pyi_option *table, int argc,
		      char **argv)
{
	*parser = (struct pyi_option_parser){ .table = table, .argc = argc, .argv = argv, .next = 1 };
}

static const struct pyi_option *find_long(const struct pyi_option *table, const char *name, size_t len)
{
	for (; !is_end(table); table++) {
		if (table->name && strlen(table->name) == len && memcmp(table->name, name, len) == 0)
			return table;
	}
	return NULL;
}

static const struct pyi_option *find_letter(const struct pyi_option *table, char letter)
{
	for (; !is_end(table); table++) {
		if (table->letter == letter)
			return table;
	}
	return NULL;
}

static int fail_unknown(struct pyi_option_parser *parser, const char *name, size_t len)
{
	const char *names[OPTIONS_MAX];
	const struct pyi_option *option;
	const char *nearest;
	char word[64];
	size_t n = 0;

	for (option = parser->table; !is_end(option) && n < OPTIONS_MAX; option++) {
		if (option->name)
			names[n++] = option->name;
	}
	snprintf(word, sizeof(word), "%.*s", (int)len, name);
	nearest = pyi_parse_nearest(word, names, n);
	if (nearest)
		snprintf(parser->error, sizeof(parser->error),
			 "unknown option '--%s': did you mean '--%s'?", word, nearest);
	else
		snprintf(parser->error, sizeof(parser->error), "unknown option '--%s'", word);
	return -1;
}

static int parse_long(struct pyi_option_parser *parser, const char *word)
{
	size_t len = strcspn(word, "=");
	const struct pyi_option *option = find_long(parser->table, word, len);

	if (!option)
		return fail_unknown(parser, word, len);
	parser->option = option;
	parser->value = NULL;
	if (word[len] == '=') {
		if (!option->arg) {
			snprintf(parser->error, sizeof(parser->error),
				 "option '--%s' takes no value", option->name);
			return -1;
		}
		parser->value = word + len + 1;
	} else if (option->arg && option->arg[0] == '[') {
		/* What looks like an option is one. */
		if (parser->next < parser->argc && parser->argv[parser->next][0] != '-')
			parser->value = parser->argv[parser->next++];
	} else if (option->arg) {
		if (parser->next >= parser->argc) {
			snprintf(parser->error, sizeof(parser->error),
				 "option '--%s' needs a value: %s", option->name, option->arg);
			return -1;
		}
		parser->value = parser->argv[parser->next++];
	}
	return 1;
}

static int parse_letter(struct pyi_option_parser *parser)
{
	const struct pyi_option *option = find_letter(parser->table, *parser->cluster);

	if (!option) {
		snprintf(parser->error, sizeof(parser->error), "unknown option '-%c'", *parser->cluster);
		return -1;
	}
	parser->option = option;
	parser->value = NULL;
	parser->cluster++;
	if (option->arg) {
		if (*parser->cluster) {
			parser->value = parser->cluster;
		} else if (parser->next < parser->argc) {
			parser->value = parser->argv[parser->next++];
		} else {
			snprintf(parser->error, sizeof(parser->error),
				 "option '-%c' needs a value: %s", option->letter, option->arg);
			return -1;
		}
		parser->cluster = NULL;
	} else if (!*parser->cluster) {
		parser->cluster = NULL;
	}
	return 1;
}

int pyi_options_next(struct pyi_option_parser *parser)
{
	const char *word;

	if (parser->option && parser->option->ends_options)
		return 0;
	if (parser->cluster)
		return parse_letter(parser);
	if (parser->next >= parser->argc)
		return 0;
	word = parser->argv[parser->next];
	if (word[0] != '-' || !word[1])
		return 0;
	parser->next++;
	if (strcmp(word, "--") == 0) {
		parser->saw_dashes = true;
		return 0;
	}
	if (word[1] == '-')
		return parse_long(parser, word + 2);
	parser->cluster = word + 1;
	return parse_letter(parser);
}

int pyi_usage_error(const char *command, const char *fmt, ...)
{
	char text[512];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	if (command)
		pyi_log_error("%s (see 'pyisolate %s --help')", text, command);
	else
		pyi_log_error("%s (see 'pyisolate help')", text);
	return PYI_EXIT_USAGE;
}
