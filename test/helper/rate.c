/* SPDX-License-Identifier: MIT */
/*
 * rate SECONDS WORKERS CMD [ARG...]: so many workers start the command over and over, each as soon as the one before
 * has ended, and print how many starts a second that was, and the CPU time of one in microseconds, children included.
 * Standard input and output are /dev/null. A command that fails ends the program with 1.
 */
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include "start.h"

enum { WORKERS_MAX = 64 };

static uint64_t now_us(void)
{
	return now_ns() / 1000;
}

/* One worker: how many it started goes into the pipe. */
static int work(char **argv, uint64_t end_us, int fd)
{
	uint64_t n = 0;

	for (; now_us() < end_us; n++)
		if (start_and_wait(argv, NULL) != 0)
			return 1;
	return write(fd, &n, sizeof(n)) != sizeof(n);
}

int main(int argc, char **argv)
{
	long seconds = argc > 3 ? strtol(argv[1], NULL, 10) : 0;
	long workers = argc > 3 ? strtol(argv[2], NULL, 10) : 0;
	uint64_t begin = now_us(), sum = 0, n, cpu_us;
	struct rusage usage;
	int ends[2], null, status, failed = 0;

	if (seconds < 1 || workers < 1 || workers > WORKERS_MAX) {
		fprintf(stderr, "usage: rate SECONDS WORKERS CMD [ARG...]\n");
		return 2;
	}
	null = open("/dev/null", O_RDWR | O_CLOEXEC);
	if (null < 0 || pipe2(ends, O_CLOEXEC) < 0)
		return 1;
	for (long i = 0; i < workers; i++) {
		if (fork() == 0) {
			dup2(null, 0);
			dup2(null, 1);
			_exit(work(argv + 3, begin + (uint64_t)seconds * 1000000U, ends[1]));
		}
	}
	close(ends[1]);
	while (read(ends[0], &n, sizeof(n)) == sizeof(n))
		sum += n;
	while (wait(&status) > 0)
		failed |= status != 0;
	if (failed || !sum) {
		fprintf(stderr, "rate: '%s' failed\n", argv[3]);
		return 1;
	}
	getrusage(RUSAGE_CHILDREN, &usage);
	cpu_us = (uint64_t)(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) * 1000000U +
		 (uint64_t)(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec);
	printf("%.1f %llu\n", (double)sum * 1e6 / (double)(now_us() - begin),
	       (unsigned long long)(cpu_us / sum));
	return 0;
}
