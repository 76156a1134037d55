/* SPDX-License-Identifier: MIT */
/*
 * The Python guest: our own binary, executed inside the sandbox by its init. It reads the spec from fd 3, makes the
 * interpreter ready, finishes the lock-down and runs the user's code. Everything it says to the supervisor goes
 * over the report pipe (fd 4).
 */
#ifndef PYI_GUEST_GUEST_H
#define PYI_GUEST_GUEST_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "kernel/sandbox.h" /* PYI_GUEST_ARGV0 and the descriptors the guest starts with */

struct pyi_err;
struct pyi_plan;
struct pyi_seccomp;

enum pyi_guest_source {
	PYI_SOURCE_CODE,   /* -c */
	PYI_SOURCE_MODULE, /* -m */
	PYI_SOURCE_SCRIPT, /* a file, its text read by the supervisor */
	PYI_SOURCE_STDIN,  /* -: the text read from stdin by the supervisor */
};

enum { PYI_GUEST_TEXT_MAX = 64 << 20 }; /* bytes of a script */

struct pyi_guest_spec {
	enum pyi_guest_source source;
	const char *name; /* script path as given, "-c", "-" , or the module's name */
	const char *path0; /* sys.path[0]: "" for -c and -, the script's absolute directory, the cwd for -m */
	const char *text; /* program text, not terminated; may hold any byte; NULL for -m */
	size_t text_len;
	char *const *args; /* sys.argv[1:] */
	size_t n_args;
	const char *const *imports; /* allowed top-level modules; NULL: all */
	size_t n_imports;
	bool report_oserrors; /* tell the supervisor of each OSError raised (for -v and the result's denials) */
	bool mdwe;
	const struct pyi_seccomp *seccomp; /* NULL: none */
};

/* Write the spec into a sealed memfd. */
int pyi_guest_spec_write(const struct pyi_guest_spec *spec, int *ret_fd, struct pyi_err *err);

/* Never returns to user code's caller: the exit status of the process. */
int pyi_guest_main(void);

/* Can `import NAME` succeed without a file? By name alone: nothing is imported. */
bool pyi_guest_has_module(const char *name);

/* For --version: "3.13.5", and whether the GIL is off in this build. */
const char *pyi_guest_python_version(void);
bool pyi_guest_is_free_threaded(void);

#endif
