/* SPDX-License-Identifier: MIT */
/* `pyisolate image`: make, show and remove the images that guests start from. */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/err.h"
#include "base/log.h"
#include "base/parse.h"
#include "base/util.h"
#include "cmd/commands.h"
#include "cmd/image_options.h"
#include "guest/guest.h"
#include "report/result.h"
#include "super/image_cache.h"

enum { IMAGE_PRELOAD = 1, IMAGE_AGE, IMAGE_QUIET, IMAGE_HELP };

enum { IMAGE_NONE_VALID = 1 }; /* exit code of `show` */

static const struct pyi_option image_options[] = {
	{ "preload", 0, "MODULE", "build: with this module besides; may be repeated", IMAGE_PRELOAD,
	  false, false },
	{ "image-age", 0, "TIME", "show: how old an image may be (default: 1d), or any", IMAGE_AGE,
	  false, false },
	{ "quiet", 'q', NULL, "errors only", IMAGE_QUIET, false, false },
	{ "help", 'h', NULL, "print this help", IMAGE_HELP, false, false },
	{ 0 },
};

/* -------------------------------------------------------------------------------- options, of run as well */

int pyi_image_parse_preload(const char *command, const char *name, const char **list, size_t *n)
{
	if (!pyi_guest_has_module(name))
		return pyi_usage_error(command, "--preload '%s': the binary has no such module", name);
	for (size_t i = 0; i < *n; i++)
		if (strcmp(list[i], name) == 0)
			return 0;
	if (*n == PYI_IMAGE_PRELOAD_MAX)
		return pyi_usage_error(command, "--preload: at most %d modules", PYI_IMAGE_PRELOAD_MAX);
	list[(*n)++] = name;
	return 0;
}

int pyi_image_parse_age(const char *command, const char *text, uint64_t *ret_ms)
{
	struct pyi_err err = { 0 };

	if (strcmp(text, "any") == 0) {
		*ret_ms = UINT64_MAX;
		return 0;
	}
	if (pyi_parse_duration(text, ret_ms, &err))
		return pyi_usage_error(command, "--image-age: %s, or 'any'", err.msg);
	return 0;
}

/* -------------------------------------------------------------------------------- commands */

static int build(const struct pyi_image_wish *wish)
{
	struct pyi_image_place place;
	struct timespec start, end;
	struct pyi_err err = { 0 };

	clock_gettime(CLOCK_MONOTONIC, &start);
	if (pyi_image_make(wish, &place, &err)) {
		pyi_log_error("cannot make an image: %s", err.msg);
		return PYI_EXIT_FAILURE;
	}
	clock_gettime(CLOCK_MONOTONIC, &end);
	pyi_log_note("made '%s/%s' in %ld ms", place.dir, place.file,
		     (long)(end.tv_sec - start.tv_sec) * 1000 + (end.tv_nsec - start.tv_nsec) / 1000000);
	return 0;
}

static void print_age(uint64_t seconds)
{
	static const struct {
		uint64_t seconds;
		const char *name;
	} units[] = { { 86400, "d" }, { 3600, "h" }, { 60, "m" }, { 1, "s" } };
	size_t i = 0;

	while (i + 1 < PYI_ARRAY_SIZE(units) && seconds < units[i].seconds)
		i++;
	printf("%4llu%s", (unsigned long long)(seconds / units[i].seconds), units[i].name);
}

static void print_entry(const struct pyi_image_entry *entry, void *data)
{
	const struct pyi_image_info *info = &entry->info;
	bool *has_valid = data;

	*has_valid |= entry->is_valid && entry->is_usual;
	printf("%s\n  %6.1f MiB, age", entry->path, (double)info->bytes / (1 << 20));
	print_age(entry->age_s);
	if (entry->is_valid)
		printf(", Python %s: valid%s\n  modules: %s\n", info->python,
		       entry->is_usual ? "" : ", for --preload", info->preload);
	else
		printf(": not used: %s\n", entry->why.msg);
}

static int show(uint64_t max_age_ms)
{
	bool has_valid = false;
	struct pyi_err err = { 0 };

	if (pyi_image_list(max_age_ms, print_entry, &has_valid, &err)) {
		pyi_log_error("%s", err.msg);
		return PYI_EXIT_FAILURE;
	}
	if (!has_valid)
		printf("no valid image: the next run makes one, or 'pyisolate image build'\n");
	return has_valid ? 0 : IMAGE_NONE_VALID;
}

static int remove_all(void)
{
	struct pyi_err err = { 0 };
	unsigned int n;

	if (pyi_image_remove_all(&n, &err)) {
		pyi_log_error("%s", err.msg);
		return PYI_EXIT_FAILURE;
	}
	pyi_log_note("%u image%s removed", n, n == 1 ? "" : "s");
	return 0;
}

static int run_subcommand(const char *word, const struct pyi_image_wish *wish)
{
	static const char *const names[] = { "build", "show", "remove" };
	const char *near;

	if (strcmp(word, "build") == 0)
		return build(wish);
	if (wish->n_preload)
		return pyi_usage_error("image", "--preload goes with build");
	if (strcmp(word, "show") == 0)
		return show(wish->max_age_ms);
	if (strcmp(word, "remove") == 0)
		return remove_all();
	near = pyi_parse_nearest(word, names, PYI_ARRAY_SIZE(names));
	return pyi_usage_error("image", "unknown subcommand '%s'%s%s%s", word,
			       near ? ": did you mean '" : "", near ? near : "", near ? "'?" : "");
}

static int image_command(int argc, char **argv)
{
	const char *preload[PYI_IMAGE_PRELOAD_MAX];
	struct pyi_image_wish wish = { .preload = preload, .max_age_ms = PYI_IMAGE_AGE_MS };
	struct pyi_option_parser parser;
	const char *word = NULL;
	int ret;

	pyi_options_init(&parser, image_options, argc, argv);
	for (;;) {
		while ((ret = pyi_options_next(&parser)) > 0) {
			if (parser.option->id == IMAGE_HELP) {
				pyi_command_print_help(&pyi_command_image);
				return 0;
			}
			ret = 0;
			if (parser.option->id == IMAGE_QUIET)
				pyi_log_set_level(PYI_LOG_QUIET);
			else if (parser.option->id == IMAGE_PRELOAD)
				ret = pyi_image_parse_preload("image", parser.value, preload,
							      &wish.n_preload);
			else
				ret = pyi_image_parse_age("image", parser.value, &wish.max_age_ms);
			if (ret)
				return ret;
		}
		if (ret < 0)
			return pyi_usage_error("image", "%s", parser.error);
		if (parser.next >= argc)
			break;
		if (word)
			return pyi_usage_error("image", "unexpected argument '%s'", argv[parser.next]);
		word = argv[parser.next++];
	}
	if (!word)
		return pyi_usage_error("image", "no subcommand: build, show or remove");
	return run_subcommand(word, &wish);
}

const struct pyi_command pyi_command_image = {
	.name = "image",
	.run = image_command,
	.summary = "make, show or remove the images that guests start from",
	.usage = "build [--preload MODULE...]\nshow [--image-age TIME]\nremove",
	.options = image_options,
};
