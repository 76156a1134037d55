/* SPDX-License-Identifier: MIT */
/*
 * bench ROUNDS CMD [ARG...] [:: CMD [ARG...]]...: run the commands in turn, ROUNDS times, and print for each one line
 * "minimum median cpu" in microseconds: wall time from before vfork to after wait4, and the least CPU time, children
 * included. The order turns by one each round, so that no command always follows the same other. Standard input and
 * output are /dev/null. A command that fails ends the program with 1.
 */
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "start.h"

enum { COMMANDS_MAX = 32, ROUNDS_MAX = 10000 };

struct command {
	char **argv;
	uint64_t *wall_ns;
	uint64_t cpu_us;
};

static int by_size(const void *a, const void *b)
{
	uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

	return (x > y) - (x < y);
}

static int run(char **argv, uint64_t *ret_wall_ns, uint64_t *ret_cpu_us)
{
	struct rusage usage = { 0 };
	uint64_t start = now_ns();
	int status = start_and_wait(argv, &usage);

	*ret_wall_ns = now_ns() - start;
	*ret_cpu_us = (uint64_t)(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) * 1000000U +
		      (uint64_t)(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec);
	return status;
}

static size_t split(char **argv, struct command *commands, size_t rounds)
{
	size_t n = 0;

	while (*argv && n < COMMANDS_MAX) {
		commands[n].argv = argv;
		commands[n].cpu_us = UINT64_MAX;
		commands[n].wall_ns = calloc(rounds, sizeof(uint64_t));
		if (!commands[n].wall_ns)
			return 0;
		n++;
		while (*argv && strcmp(*argv, "::") != 0)
			argv++;
		if (*argv)
			*argv++ = NULL;
	}
	return n;
}

int main(int argc, char **argv)
{
	struct command commands[COMMANDS_MAX];
	long rounds = argc > 2 ? strtol(argv[1], NULL, 10) : 0;
	size_t n;
	int null, real_stdout;

	if (rounds < 1 || rounds > ROUNDS_MAX) {
		fprintf(stderr, "usage: bench ROUNDS CMD [ARG...] [:: CMD [ARG...]]...\n");
		return 2;
	}
	n = split(argv + 2, commands, (size_t)rounds);
	null = open("/dev/null", O_RDWR | O_CLOEXEC);
	real_stdout = fcntl(1, F_DUPFD_CLOEXEC, 10);
	if (n == 0 || null < 0 || real_stdout < 0 || dup2(null, 0) < 0 || dup2(null, 1) < 0)
		return 1;
	for (size_t round = 0; round < (size_t)rounds; round++) {
		for (size_t i = 0; i < n; i++) {
			struct command *c = &commands[(i + round) % n];
			uint64_t cpu_us = 0;
			int status = run(c->argv, &c->wall_ns[round], &cpu_us);

			if (status != 0) {
				fprintf(stderr, "bench: '%s' ended with status %d\n", c->argv[0],
					status);
				return 1;
			}
			if (cpu_us < c->cpu_us)
				c->cpu_us = cpu_us;
		}
	}
	for (size_t i = 0; i < n; i++) {
		qsort(commands[i].wall_ns, (size_t)rounds, sizeof(uint64_t), by_size);
		dprintf(real_stdout, "%.1f %.1f %llu\n", (double)commands[i].wall_ns[0] / 1e3,
			(double)commands[i].wall_ns[rounds / 2] / 1e3,
			(unsigned long long)commands[i].cpu_us);
	}
	return 0;
}
