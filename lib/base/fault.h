/* SPDX-License-Identifier: MIT */
/*
 * Numbered fault points, for tests that make each kernel call of the start-up fail in turn. Only a build with
 * -DPYI_FAULTS has them: there PYISOLATE_FAULT="N" or "N:ERRNO" (a number) in the environment makes point N fail, and
 * "N:-SIGNAL" ends the process there.
 *
 * In place of ERRNO "kill" ends the process there by SIGKILL, "orphan" its parent, and goes on, "pause" waits there for
 * SIGCONT, and goes on; "@K" after any of them lets the first K - 1 passes of the point be.
 *
 *	if (PYI_FAULT(310, EPERM) || prctl(...) < 0)
 *		return pyi_err_sys(err, errno, "...");
 *
 * PYISOLATE_LEAVE_OUT=LAYER,LAYER... has a layer not put in force, or not be there, as PYI_LEFT_OUT("LAYER") in its
 * code says, so that tests can show what the others hold alone.
 *
 * Each number stands once in the tree: 1xx sandbox.c and init.c, 2xx tree*.c, 3xx lockdown.c, 4xx cgroup, 5xx BPF,
 * 6xx Landlock, 7xx seccomp, 8xx resolve and probe, 9xx lib/super.
 */
#ifndef PYI_BASE_FAULT_H
#define PYI_BASE_FAULT_H

#ifdef PYI_FAULTS
#include <errno.h>
#include <signal.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* True, with errno set to what was asked for (else to errnum), at the point that is to fail. */
static inline bool pyi_fault_is_due(int point, int errnum)
{
	static int passes;
	const char *text = getenv("PYISOLATE_FAULT"), *at;
	char *end;

	if (!text || strtol(text, &end, 10) != point)
		return false;
	at = strchr(text, '@');
	if (at && ++passes != strtol(at + 1, NULL, 10))
		return false;
	if (strncmp(end, ":orphan", 7) == 0) {
		pid_t parent = getppid();

		if (parent > 1)
			kill(parent, SIGKILL);
		while (getppid() == parent && parent > 1)
			usleep(1000);
		return false;
	}
	if (strncmp(end, ":pause", 6) == 0) {
		raise(SIGSTOP);
		return false;
	}
	if (strncmp(end, ":kill", 5) == 0)
		kill(getpid(), SIGKILL);
	errno = *end == ':' ? (int)strtol(end + 1, NULL, 10) : errnum;
	if (errno < 0)
		raise(-errno);
	return true;
}

static inline bool pyi_fault_leaves_out(const char *layer)
{
	const char *at = getenv("PYISOLATE_LEAVE_OUT");
	size_t n = strlen(layer);

	for (; at && *at; at += strcspn(at, ","), at += *at == ',')
		if (strcspn(at, ",") == n && strncmp(at, layer, n) == 0)
			return true;
	return false;
}

#define PYI_FAULT(point, errnum) pyi_fault_is_due((point), (errnum))
#define PYI_LEFT_OUT(layer)	 pyi_fault_leaves_out(layer)
#else
#define PYI_FAULT(point, errnum) 0
#define PYI_LEFT_OUT(layer)	 0
#endif

#endif
