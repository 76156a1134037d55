/* SPDX-License-Identifier: MIT */
/* The entry: hand over to the guest when init executed us as one, else find the command in the table. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/parse.h"
#include "base/util.h"
#include "cmd/commands.h"
#include "cmd/prestart.h"
#include "guest/guest.h"
#include "guest/image.h"

const struct pyi_command *const pyi_commands[] = {
	&pyi_command_run,    &pyi_command_spawn, &pyi_command_reload, &pyi_command_stop,
	&pyi_command_stats,  &pyi_command_wait,	 &pyi_command_logs,   &pyi_command_policy,
	&pyi_command_doctor, &pyi_command_image, &pyi_command_help,   NULL,
};

/*
 * A closed standard descriptor would be given to the next file we open. An O_PATH descriptor holds its place: it can
 * be neither read nor written, and the supervisor knows by it that the guest's is to be closed.
 */
static void reserve_stdio(void)
{
	int fd;

	for (fd = 0; fd <= 2; fd++) {
		if (fcntl(fd, F_GETFD) < 0 && errno == EBADF)
			(void)!open("/", O_PATH | O_DIRECTORY);
	}
}

static int unknown_command(const char *word)
{
	const char *names[PYI_ARRAY_SIZE(pyi_commands)];
	const char *nearest;
	size_t n;

	if (word[0] == '-')
		return pyi_usage_error(NULL, "unknown option '%s': options follow the command", word);
	for (n = 0; pyi_commands[n]; n++)
		names[n] = pyi_commands[n]->name;
	nearest = pyi_parse_nearest(word, names, n);
	if (nearest)
		return pyi_usage_error(NULL, "unknown command '%s': did you mean '%s'?", word, nearest);
	return pyi_usage_error(NULL, "unknown command '%s'", word);
}

int main(int argc, char **argv)
{
	char version[] = "--version", help[] = "help";
	size_t i;

	/* Before anything is allocated; only the build executes us under this name. */
	if (argc == 2 && strcmp(argv[0], PYI_PRESTART_ARGV0) == 0)
		return pyi_prestart_save(argv[1]);
	/* Only the init of a sandbox executes us under this name, with the spec on its descriptor. */
	if (argc == 1 && strcmp(argv[0], PYI_GUEST_ARGV0) == 0)
		return pyi_guest_main();
	if (strcmp(argv[0], PYI_IMAGE_ARGV0) == 0)
		return pyi_image_builder_main(argc, argv);
	reserve_stdio();
	if (argc < 2)
		return pyi_usage_error(NULL, "no command given");
	if (strcmp(argv[1], "--version") == 0 || strcmp(argv[1], "-V") == 0)
		return pyi_command_help.run(2, (char *[]){ help, version, NULL });
	if (strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-h") == 0)
		return pyi_command_help.run(1, (char *[]){ help, NULL });
	for (i = 0; pyi_commands[i]; i++) {
		if (strcmp(argv[1], pyi_commands[i]->name) == 0)
			return pyi_commands[i]->run(argc - 1, argv + 1);
	}
	return unknown_command(argv[1]);
}
