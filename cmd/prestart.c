/* SPDX-License-Identifier: MIT */
/*
 * The program's entry: put what was prepared in place, or go on to that of a guest with an image and of the C library
 * (lib/guest/image_start.c); see prestart.h.
 *
 * Up to mend() there is no C library: no thread pointer, so no stack protector and no errno, and no resolved function,
 * so no memcpy either (the Makefile compiles this file accordingly). Locals are on the kernel's stack, which stays.
 */
#include "cmd/prestart.h"

#include <elf.h>
#include <errno.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

#include "base/before_libc.h"

enum {
	SET_FS = 0x1002,
	TCB_CANARY = 0x28,
	TCB_GUARD = 0x30,
	ROBUST_LEN = 24,
	RSEQ_CPU_ID = 4,
	PAGE_BYTES = 4096
};

#define RSEQ_NOT_REGISTERED ((uint32_t)-2)

/* Filled in by the build after the link. */
__attribute__((section(".pyi_prestart"), used, aligned(4096)))
const unsigned char pyi_prestart_section[PYI_PRESTART_BYTES] = { 0 };

/* Of the static C library: hidden in a shared one, and there for us to link with here. */
struct exit_functions {
	struct exit_functions *next;
	size_t n;
};
extern struct exit_functions *__exit_funcs;
extern void *__libc_stack_end;
extern void *__curbrk;
extern int __libc_argc;
extern char **__libc_argv;
extern char **_dl_argv;
void _dl_aux_init(Elf64_auxv_t *auxv);

extern const Elf64_Ehdr __ehdr_start; /* of the linker */

int main(int argc, char **argv, char **envp);
void pyi_prestart(uint64_t *sp);

PYI_BARE_ENTRY("pyi_prestart_entry", "pyi_prestart", "pyi_image_entry");

/* Variables that the C library or OpenSSL would have read before main(). */
static bool is_plain_environment(char *const *envp)
{
	for (; *envp; envp++)
		if (pyi_bare_has_prefix(*envp, "GLIBC_TUNABLES=") ||
		    pyi_bare_has_prefix(*envp, "MALLOC_") ||
		    pyi_bare_has_prefix(*envp, "OPENSSL_") || pyi_bare_has_prefix(*envp, "LD_"))
			return false;
	return true;
}

/* What is called again and again. */
static bool is_supervisor(int argc, char *const *argv)
{
	return argc >= 2 &&
	       (pyi_bare_is_equal(argv[1], "run") || pyi_bare_is_equal(argv[1], "spawn") ||
		pyi_bare_is_equal(argv[1], "stop") || pyi_bare_is_equal(argv[1], "wait") ||
		pyi_bare_is_equal(argv[1], "stats") || pyi_bare_is_equal(argv[1], "logs"));
}

/* What is prepared shall know of no vdso: its address would be another one each time. */
static void hide_vdso(Elf64_auxv_t *auxv)
{
	for (; auxv->a_type != AT_NULL; auxv++)
		if (auxv->a_type == AT_SYSINFO_EHDR)
			auxv->a_type = AT_IGNORE;
}

static uint64_t find_aux(const Elf64_auxv_t *auxv, uint64_t type)
{
	for (; auxv->a_type != AT_NULL; auxv++)
		if (auxv->a_type == type)
			return auxv->a_un.a_val;
	return 0;
}

static const char *base_name(const char *path)
{
	const char *base = path;

	for (; *path; path++)
		if (*path == '/')
			base = path + 1;
	return base;
}

/* The pages are there: make them those of this process. Ends with main(). */
_Noreturn static void mend(const struct pyi_prestart *p, uint64_t *sp, int argc, char **argv,
			   char **envp, Elf64_auxv_t *auxv)
{
	const uint64_t *random = (const uint64_t *)find_aux(auxv, AT_RANDOM);

	pyi_bare_call3(SYS_arch_prctl, SET_FS, p->fs, 0);
	*(uint64_t *)(p->fs + TCB_CANARY) = random[0] & ~0xffULL;
	*(uint64_t *)(p->fs + TCB_GUARD) = random[1];
	*(int32_t *)p->tid_addr = (int32_t)pyi_bare_call3(SYS_set_tid_address, p->tid_addr, 0, 0);
	pyi_bare_call3(SYS_set_robust_list, p->robust_head, ROBUST_LEN, 0);
	if (p->rseq_addr)
		*(uint32_t *)(p->rseq_addr + RSEQ_CPU_ID) = RSEQ_NOT_REGISTERED;
	/* They were mangled with another guard; what they would clean up is ours alone, and ends with us. */
	__exit_funcs->n = 0;
	_dl_aux_init(auxv);
	__libc_stack_end = sp;
	__curbrk = (void *)pyi_bare_call3(SYS_brk, 0, 0, 0);
	__libc_argc = argc;
	__libc_argv = argv;
	_dl_argv = argv;
	environ = envp;
	program_invocation_name = argv[0];
	program_invocation_short_name = (char *)base_name(argv[0]);
	pyi_bare_call3(SYS_mprotect, p->relro_addr, p->relro_len, PROT_READ);
	exit(main(argc, argv, envp)); /* as the C library's entry does */
}

static void copy(const struct pyi_prestart *p, const struct pyi_prestart_run *run)
{
	const void *from = (const char *)p + run->offset;
	void *to = (void *)run->addr;
	size_t n = run->len / 8;

	__asm__ volatile("rep movsq" : "+D"(to), "+S"(from), "+c"(n) : : "memory");
}

/* The pages that are written to next, at once instead of by a fault each (image_start.c does the same). */
static void make_room(const struct pyi_prestart *p)
{
	struct iovec all[PYI_PRESTART_RUNS_MAX];

	for (uint32_t i = 0; i < p->n_runs; i++) {
		all[i].iov_base = (void *)p->runs[i].addr;
		all[i].iov_len = p->runs[i].len;
	}
	pyi_bare_call6(SYS_process_madvise, (uint64_t)PYI_BARE_OWN_PROCESS, (uint64_t)all,
		       p->n_runs, MADV_POPULATE_WRITE, 0, 0);
}

/*
 * What is read from the program's file from now on is read in huge pages, where the file system has large folios: after
 * a boot it would else be read, and mapped, by small ones for as long as the kernel keeps it in memory. Nor shall it
 * read ahead, which it does in smaller pieces. Text and constants lie before the data. Between them is nothing, about
 * which the kernel complains when it has done the rest.
 */
PYI_BARE void ask_for_huge_pages(void)
{
	const Elf64_Ehdr *ehdr = &__ehdr_start;
	const Elf64_Phdr *phdr = (const void *)((uint64_t)ehdr + ehdr->e_phoff);

	for (int i = 0; i < ehdr->e_phnum; i++)
		if (phdr[i].p_type == PT_LOAD && phdr[i].p_flags & PF_W) {
			uint64_t end = phdr[i].p_vaddr & -(uint64_t)PAGE_BYTES;

			pyi_bare_call3(SYS_madvise, (uint64_t)ehdr, end - (uint64_t)ehdr, MADV_HUGEPAGE);
			pyi_bare_call3(SYS_madvise, (uint64_t)ehdr, end - (uint64_t)ehdr, MADV_RANDOM);
			return;
		}
}

/*
 * Returns when the C library is to start as ever; then nothing has been changed. What runs before huge pages are asked
 * for lies in a section of its own behind the text, and not in a huge page with what is used all the time.
 */
__attribute__((section(".pyi_entry"))) void pyi_prestart(uint64_t *sp)
{
	const struct pyi_prestart *p = (const struct pyi_prestart *)pyi_prestart_section;
	int argc = (int)sp[0];
	char **argv = (char **)(sp + 1), **envp = argv + argc + 1, **end = envp;
	Elf64_auxv_t *auxv;
	long ret;

	ask_for_huge_pages();
	__asm__("" : "+r"(p)); /* the compiler sees zeroes there */
	while (*end)
		end++;
	auxv = (Elf64_auxv_t *)(end + 1);
	if (argc && pyi_bare_is_equal(argv[0], PYI_PRESTART_ARGV0)) {
		hide_vdso(auxv);
		return;
	}
	if (p->magic != PYI_PRESTART_MAGIC || !is_supervisor(argc, argv) ||
	    !is_plain_environment(envp) || find_aux(auxv, AT_SECURE) || !find_aux(auxv, AT_RANDOM))
		return;
	ret = pyi_bare_call6(SYS_mmap, p->heap_addr, p->heap_len, PROT_READ | PROT_WRITE,
			     MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE | MAP_NORESERVE,
			     (uint64_t)-1, 0);
	if (ret != (long)p->heap_addr) {
		if (ret > 0) /* a kernel that took the address for a hint */
			pyi_bare_call3(SYS_munmap, (uint64_t)ret, p->heap_len, 0);
		return;
	}
	make_room(p);
	for (uint32_t i = 0; i < p->n_runs; i++)
		copy(p, &p->runs[i]);
	mend(p, sp, argc, argv, envp, auxv);
}
