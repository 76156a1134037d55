/* SPDX-License-Identifier: MIT */
/*
 * A start that is prepared when the program is built.
 *
 * Before main() the static C library, libgcc and OpenSSL ask the processor what it can do, about a hundred times, and
 * under a hypervisor each question takes microseconds: half a millisecond in all, more than the rest of the
 * supervisor's work. So the build runs the linked program once up to main(), with every such answer but the common ones
 * of x86-64 masked, and keeps the pages that were changed by then in a read-only section of the program itself. Our
 * entry, pyi_prestart_entry, puts them in place, mends what differs from process to process, and calls main(). Nothing
 * outside of the binary is read or trusted, and the pages hold no secret.
 *
 * `run` starts in this way, and the other commands that are called again and again. The guest computes, and uses all
 * its processor has: whatever is to run Python must be executed anew under its own name, never forked from here.
 * Whatever is not as it was when the program was built falls through to the C library's own entry, before anything is
 * changed.
 *
 * What is made anew: the canary and the pointer guard (from AT_RANDOM, as the C library does), everything that comes
 * from the auxiliary vector, the environment, the thread's id and its registrations with the kernel, and the break: the
 * heap goes on at a random address. The vdso is not used: a clock costs a system call.
 */
#ifndef PYI_CMD_PRESTART_H
#define PYI_CMD_PRESTART_H

#include <stdint.h>

/* argv[0] with which the build runs the program to prepare it; argv[1] is the file to write. */
#define PYI_PRESTART_ARGV0 "pyisolate-prepare"

enum {
	PYI_PRESTART_MAGIC = 0x31737970,
	PYI_PRESTART_BYTES = 192 * 1024, /* of the section */
	PYI_PRESTART_RUNS_MAX = 120,
};

struct pyi_prestart_run {
	uint64_t addr;
	uint64_t len;
	uint64_t offset; /* in the section */
};

struct pyi_prestart {
	uint32_t magic; /* 0: not prepared */
	uint32_t n_runs;
	uint64_t heap_addr;
	uint64_t heap_len;
	uint64_t relro_addr;
	uint64_t relro_len;
	uint64_t fs;
	uint64_t tid_addr; /* where the C library keeps the thread's id */
	uint64_t robust_head;
	uint64_t rseq_addr;
	uint64_t rseq_len;
	struct pyi_prestart_run runs[PYI_PRESTART_RUNS_MAX];
};

/* The section. The compiler must not look into it: the build fills it after the link. */
extern const unsigned char pyi_prestart_section[PYI_PRESTART_BYTES];

/* Write the section's contents to a file: the first thing in main(), in the build only. The exit code. */
int pyi_prestart_save(const char *path);

#endif
