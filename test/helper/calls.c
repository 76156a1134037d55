/* SPDX-License-Identifier: MIT */
/*
 * calls FILE: what system calls take in CPU time, nanoseconds each, the least of some rounds: "getppid N", "access N",
 * "open N" (and close).
 */
#include <fcntl.h>
#include <stdio.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

enum { ROUNDS = 15, CALLS = 10000 };

static double now_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
	return (double)t.tv_sec * 1e9 + (double)t.tv_nsec;
}

static void ask_getppid(const char *path)
{
	syscall(SYS_getppid);
}

static void ask_access(const char *path)
{
	(void)!access(path, F_OK);
}

static void ask_open(const char *path)
{
	close(open(path, O_RDONLY | O_CLOEXEC));
}

int main(int argc, char **argv)
{
	static const struct {
		const char *name;
		void (*ask)(const char *path);
	} all[] = { { "getppid", ask_getppid }, { "access", ask_access }, { "open", ask_open } };

	if (argc != 2 || access(argv[1], R_OK) < 0) {
		fputs("usage: calls FILE\n", stderr);
		return 2;
	}
	for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++) {
		double least = 1e18;

		for (int round = 0; round < ROUNDS; round++) {
			double start = now_ns(), each;

			for (int n = 0; n < CALLS; n++)
				all[i].ask(argv[1]);
			each = (now_ns() - start) / CALLS;
			if (each < least)
				least = each;
		}
		printf("%s %.0f\n", all[i].name, least);
	}
	return 0;
}
