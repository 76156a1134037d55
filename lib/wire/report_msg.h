/* SPDX-License-Identifier: MIT */
/*
 * What crosses the sandbox's border on pipes, one fixed-size record per write (below PIPE_BUF, so never torn).
 *
 * status pipe, init → supervisor (init runs our code only, but inside the sandbox): struct pyi_status_msg.
 * report pipe, guest → supervisor: struct pyi_report_msg. The guest can forge all of it: the supervisor copies a
 * record once, terminates the strings, and treats every field as a hint.
 */
#ifndef PYI_WIRE_REPORT_MSG_H
#define PYI_WIRE_REPORT_MSG_H

#include <assert.h>
#include <stdint.h>

enum pyi_status_type {
	PYI_STATUS_ERROR = 1,	/* set-up failed: errnum, text */
	PYI_STATUS_STARTED,	/* the guest was forked: pid inside the sandbox */
	PYI_STATUS_EXITED,	/* wait status of the guest */
	PYI_STATUS_EXEC_FAILED, /* `-- CMD` could not be executed: errnum */
	PYI_STATUS_STOPPED, /* the guest was stopped by a job-control signal; it may go on later */
};

struct pyi_status_msg {
	uint32_t type;
	int32_t errnum;
	int32_t pid;
	int32_t wait_status;
	uint64_t user_us; /* of the guest and its waited-for children */
	uint64_t system_us;
	uint64_t max_rss_bytes;
	char text[1024];
};
static_assert(sizeof(struct pyi_status_msg) == 1064, "status record");

enum pyi_report_type {
	PYI_REPORT_ERROR = 1, /* the interpreter could not be made ready: errnum, path = message. Before READY only. */
	PYI_REPORT_READY, /* next is the user's code; path: why an image that was handed over is not used */
	PYI_REPORT_OSERROR, /* an OSError was raised: errnum, path, at */
	PYI_REPORT_UNCAUGHT, /* the run ends with an exception: name, errnum, path or module in `path`, at */
};

enum pyi_report_flags {
	PYI_REPORT_WRITE = 1 << 0,   /* the call wanted to write */
	PYI_REPORT_ADDRESS = 1 << 1, /* `path` is "address:port" */
	PYI_REPORT_PROGRAM = 1 << 2, /* `path` is a program to be executed */
	PYI_REPORT_IMAGE = 1 << 3,   /* READY: the interpreter came from the image */
};

/* What the guest does between its exec and the user's code. */
enum pyi_guest_stage {
	PYI_GUEST_EXECUTED,    /* the first instruction of our binary */
	PYI_GUEST_INTERPRETER, /* restored from the image, or started */
	PYI_GUEST_MENDED,      /* what of an image is another process's, or stale */
	PYI_GUEST_LOCKED,      /* the rest of the lock-down */
	PYI_GUEST_LET_GO, /* init is locked down, the host's root gone; untold before a normal start */
	PYI_GUEST_PREPARED, /* arguments, paths, imports */
	PYI_GUEST_STAGES
};

struct pyi_report_msg {
	uint32_t type;
	int32_t errnum;
	uint32_t line;
	uint32_t flags;			  /* enum pyi_report_flags */
	uint64_t at_ns[PYI_GUEST_STAGES]; /* READY: CLOCK_MONOTONIC at the end of each stage (--timings) */
	char name[128];	 /* exception type: "PermissionError", "ModuleNotFoundError" */
	char path[2048]; /* file name of an OSError, module of an ImportError, else its text */
	char file[1024]; /* source file of the innermost frame of the user's code */
};
static_assert(sizeof(struct pyi_report_msg) == 3264, "report record; tests forge it");

#endif
