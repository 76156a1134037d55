/* SPDX-License-Identifier: MIT */
/* For helpers that start programs and measure. */
#ifndef PYI_HELPER_START_H
#define PYI_HELPER_START_H

#include <errno.h>
#include <stdint.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static inline uint64_t now_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000000000U + (uint64_t)ts.tv_nsec;
}

/* Returns the wait status, or -1; *ret_usage is what it used. The child only execs: vfork's shared memory is safe. */
static inline int start_and_wait(char **argv, struct rusage *ret_usage)
{
	int status;
	pid_t pid = vfork();

	if (pid == 0) {
		execvp(argv[0], argv);
		_exit(127);
	}
	if (pid < 0)
		return -1;
	while (wait4(pid, &status, 0, ret_usage) < 0)
		if (errno != EINTR)
			return -1;
	return status;
}

#endif
