/* SPDX-License-Identifier: MIT */
/*
 * The image: a ready interpreter in a file, which a guest maps instead of starting one.
 *
 * Theory of operation. A static, non-PIE program is at the same addresses in every process that executes it, and so is
 * whatever it allocates, if the allocator is told where. So the memory of a process that has started Python and stands
 * just before the user's first line is worth the same in another process of the same binary: put back at the same
 * addresses, with the few things mended that the kernel gives to each process anew, it goes on as if it were its own.
 *
 *	builder		(image_builder.c) our binary under the name PYI_IMAGE_ARGV0, in an empty environment: starts
 *			the interpreter, imports the usual modules, warms up what every start does, and writes
 *			itself down (image_write.c). Its memory lies where no other process has any. Nothing of
 *			anybody's policy or program is in it.
 *	the file	(image_format.h, image_check.c) a header with all that the restorer needs, then the pages.
 *			It is tied to the binary by its build-id, and to the CPU by what the CPU says of itself,
 *			for libc and OpenSSL have chosen their code by that.
 *	restorer	(image_start.c) runs before libc in every exec of our binary; acts only in a guest that
 *			inherited PYI_GUEST_IMAGE_FD. It checks the header, maps the pages over .data, .bss, heap
 *			and the rest, gives thread pointer, vdso and so on to the libc that it has just mapped,
 *			closes the file and goes on where a started interpreter would. Whatever is not as it
 *			should be before the binary's own data is mapped: it takes back what it did, the guest
 *			starts normally, and says why in its READY record.
 *	mending		(image_mend.c) back in C: environment, standard streams, random numbers, limits ...
 *
 * What all guests of one image share, and a normally started one has for itself: the seed of str hashes, the
 * addresses of heap objects, libc's pointer guard. So an image is readable by its owner alone and is made anew often.
 *
 * The pages are mapped privately from a descriptor that can only read, which is closed before anything of the user's
 * runs: a guest can change its own copy and nothing else.
 */
#ifndef PYI_GUEST_IMAGE_H
#define PYI_GUEST_IMAGE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct pyi_err;

enum { PYI_IMAGE_KEY_LEN = 64, PYI_IMAGE_PRELOAD_MAX = 64, PYI_IMAGE_NAMES_LEN = 8192 };

/* argv[0] of the builder; main() hands over to pyi_image_builder_main. */
#define PYI_IMAGE_ARGV0 "pyisolate-image"

/*
 * What an image must have been made by to be of use here: this very binary (build-id), on such a CPU, in this format.
 * As text that can be part of a file name: hexadecimal digits and '-', at most PYI_IMAGE_KEY_LEN - 1 characters,
 * terminated. -ENOEXEC when the binary has no build-id, -ENOSPC when `size` is too small.
 */
int pyi_image_key(char *ret_key, size_t size, struct pyi_err *err);

struct pyi_image_info {
	uint64_t bytes;			   /* of the file */
	uint64_t n_pages;		   /* saved, of 4 KiB */
	uint32_t n_runs;		   /* mappings that a start makes of the file */
	uint32_t n_holes;		   /* mappings of empty memory */
	uint32_t n_hot;			   /* ranges of pages that a start copies at once */
	uint64_t hot_pages;		   /* pages in them */
	char python[32];		   /* "3.13.5" */
	char preload[PYI_IMAGE_NAMES_LEN]; /* imported modules, in order, separated by blanks */
};

/* What pyi_cpu_words said since the last boot, lest it is asked again. */
void pyi_image_know_cpu(const uint32_t *words);

/*
 * Is the file, from its offset 0, a whole image made by this binary for this CPU? Checks magic, format, build-id, CPU
 * words, the checksum over header and tables, that every range lies in the file and where an image may have pages,
 * and the file's size. Not the pages themselves: whoever can write to the file controls the guests, so ask for owner
 * and mode first. `ret_info` may be NULL. 0, or -ESTALE (another binary, CPU or format), -EINVAL (damaged), or what
 * reading said; the message says what was wrong, without the file's name.
 */
int pyi_image_check(int fd, struct pyi_image_info *ret_info, struct pyi_err *err);

/*
 * Make an image in `fd`, an empty regular file open for reading and writing, with the usual modules and those in
 * `preload` (names as in import; at most PYI_IMAGE_PRELOAD_MAX). Runs our own binary as a child, with a limit of
 * time; nothing is left of it when this returns. The file is complete and trained, but not synced. On error what is
 * in the file is useless. -EINVAL with the builder's own words where a module cannot be imported. Needs /proc (of the
 * calling process's pid namespace). The caller has one thread. SIGCHLD's disposition does not matter.
 */
int pyi_image_build(int fd, const char *const *preload, size_t n_preload, struct pyi_err *err);

/*
 * Read the image in `fd`, which has been synced, into memory anew: the pages of a file that is written are taken from
 * what memory lies together already, which after some days is little. Who maps it and asks for huge pages has the
 * kernel move things together, and each start then maps it with fewer page faults. Where the file system has no large
 * folios nothing is lost but the time, nor by any failure.
 */
void pyi_image_read_anew(int fd);

/* The builder itself, for main(): the exit status. */
int pyi_image_builder_main(int argc, char **argv);

#endif
