/* SPDX-License-Identifier: MIT */
/*
 * The first code of every exec of our binary, and the restorer. See image.h for the whole.
 *
 * It runs before libc has done anything: there is no thread pointer, so no stack protector and no errno; the
 * addresses of functions that libc chooses by CPU are not resolved, so nothing is called, not even memcpy; .data and
 * .bss are replaced half way through, so nothing is kept there but what is meant for afterwards. The Makefile
 * compiles this file with flags of its own. What is left: raw system calls, inlined functions, the kernel's stack.
 *
 * The stack stays the one that the kernel made for this exec, with its random address: an image holds no stack. The
 * builder stood in no function of Python's when it wrote its memory down, so there is nothing to return to; the
 * restorer calls pyi_guest_resume as libc would have called main.
 *
 * The point of no return is the mapping of the binary's own data, which comes last of all mappings: what is mapped
 * before can be unmapped again.
 */
#include <asm/prctl.h>
#include <asm/unistd.h>
#include <linux/mman.h>
#include <linux/resource.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <time.h>

#include "base/before_libc.h"
#include "guest/image.h"
#include "guest/image_format.h"
#include "guest/image_state.h"
#include "kernel/sandbox.h"

enum {
	SIGSET_BYTES = 8,
	CANARY_OFFSET = 0x28,
	QUARTER = 4,
};

struct pyi_image_state pyi_image_state;

/* What the kernel put on the stack. */
struct start {
	int argc;
	char **argv;
	char **envp;
	Elf64_auxv_t *aux;
	uint64_t vdso, random, hwcap, hwcap2, minsigstksz, secure;
};

/* Of libc, which has no other way to be told; hidden, but in the same link. */
extern void *_dl_vdso_clock_gettime64, *_dl_vdso_clock_getres_time64, *_dl_vdso_gettimeofday,
	*_dl_vdso_time, *_dl_vdso_getcpu;
extern void *_dl_random, *__libc_stack_end, *__curbrk;
extern Elf64_auxv_t *_dl_auxv;
extern uint64_t _dl_hwcap, _dl_hwcap2, _dl_minsigstacksize;
extern int __libc_argc;
extern char **__libc_argv, **_dl_argv, **__environ;

void pyi_image_start(uint64_t *stack);

/* Of every exec of our binary that cmd/prestart.c does not want. */
PYI_BARE_ENTRY("pyi_image_entry", "pyi_image_start", "_start");

PYI_BARE void parse(uint64_t *stack, struct start *ret_start)
{
	struct start s = { .argc = (int)stack[0], .argv = (char **)(stack + 1) };
	char **at;

	s.envp = s.argv + s.argc + 1;
	for (at = s.envp; *at; at++)
		;
	s.aux = (Elf64_auxv_t *)(at + 1);
	for (Elf64_auxv_t *aux = s.aux; aux->a_type != AT_NULL; aux++) {
		uint64_t value = aux->a_un.a_val;

		switch (aux->a_type) {
		case AT_SYSINFO_EHDR:
			s.vdso = value;
			break;
		case AT_RANDOM:
			s.random = value;
			break;
		case AT_HWCAP:
			s.hwcap = value;
			break;
		case AT_HWCAP2:
			s.hwcap2 = value;
			break;
		case AT_MINSIGSTKSZ:
			s.minsigstksz = value;
			break;
		case AT_SECURE:
			s.secure = value;
			break;
		default:
			break;
		}
	}
	*ret_start = s;
}

/* Variables that libc, its malloc, mimalloc, OpenSSL or the interpreter read when they start, and never again. */
PYI_BARE bool is_shaped_by_environment(char **envp)
{
	for (; *envp; envp++)
		if (pyi_bare_has_prefix(*envp, "GLIBC_TUNABLES=") ||
		    pyi_bare_has_prefix(*envp, "MALLOC_") || pyi_bare_has_prefix(*envp, "MIMALLOC_") ||
		    pyi_bare_has_prefix(*envp, "OPENSSL_") ||
		    pyi_bare_has_prefix(*envp, "PYTHONHASHSEED="))
			return true;
	return false;
}

PYI_BARE bool is_own_data(const struct pyi_image_range *run)
{
	uint64_t start, end;

	pyi_image_own_data(&__ehdr_start, &start, &end);
	return run->addr == start && run->addr + (uint64_t)run->n_pages * PYI_IMAGE_PAGE == end;
}

PYI_BARE enum pyi_image_reason check(struct pyi_image_header *header, long size)
{
	const uint8_t *build_id = pyi_build_id();
	struct stat st = { 0 };

	if (size < (long)sizeof(*header) ||
	    pyi_bare_call3(__NR_fstat, PYI_GUEST_IMAGE_FD, (long)&st, 0) || !S_ISREG(st.st_mode))
		return PYI_IMAGE_UNREADABLE;
	if (!pyi_bare_is_equal(header->magic, PYI_IMAGE_MAGIC) || header->format != PYI_IMAGE_FORMAT ||
	    !pyi_image_is_sane(header, (size_t)size, (uint64_t)st.st_size) ||
	    !is_own_data(&header->ranges[header->n_runs - 1]))
		return PYI_IMAGE_DAMAGED;
	for (int i = 0; i < PYI_IMAGE_BUILD_ID_LEN; i++)
		if (!build_id || header->build_id[i] != build_id[i])
			return PYI_IMAGE_OTHER_BINARY;
	return pyi_image_is_cpu(header->cpu) ? PYI_IMAGE_USED : PYI_IMAGE_OTHER_CPU;
}

/* 0, or not: then nothing is there. */
PYI_BARE bool map(const struct pyi_image_range *range, bool is_run, long flags)
{
	long prot = is_run ? PROT_READ | PROT_WRITE : range->arg;
	long addr = pyi_bare_call6(
		__NR_mmap, (long)range->addr, (long)range->n_pages * PYI_IMAGE_PAGE, prot,
		flags | MAP_PRIVATE | (is_run ? 0 : MAP_ANONYMOUS | MAP_NORESERVE),
		is_run ? PYI_GUEST_IMAGE_FD : -1, is_run ? (long)range->arg * PYI_IMAGE_PAGE : 0);

	if (addr != (long)range->addr && addr >= 0) /* a kernel that does not know the flag */
		pyi_bare_call3(__NR_munmap, addr, (long)range->n_pages * PYI_IMAGE_PAGE, 0);
	return addr == (long)range->addr;
}

/*
 * All of an image's memory counts against RLIMIT_DATA, used or not, where a started interpreter has only what it
 * uses. Where that would be more than a quarter of the limit the program shall have the room.
 */
PYI_BARE bool is_worth_its_memory(const struct pyi_image_header *header)
{
	uint64_t limit[2] = { UINT64_MAX, UINT64_MAX }, n_pages = 0; /* struct rlimit64 */

	pyi_bare_call6(__NR_prlimit64, 0, RLIMIT_DATA, 0, (long)limit, 0, 0);
	for (uint32_t i = 0; i < header->n_runs + header->n_areas; i++)
		if (i < header->n_runs || header->ranges[i].arg)
			n_pages += header->ranges[i].n_pages;
	return n_pages <= limit[0] / (QUARTER * PYI_IMAGE_PAGE);
}

/* Everything but the binary's data, which is the last run; that one cannot fail any more: it only replaces. */
PYI_BARE bool map_all(const struct pyi_image_header *header)
{
	const struct pyi_image_range *ranges = header->ranges;
	uint32_t own = header->n_runs - 1, n = header->n_runs + header->n_areas, i;

	for (i = 0; i < n; i++)
		if (i != own && !map(&ranges[i], i < own, MAP_FIXED_NOREPLACE))
			break;
	if (i == n && map(&ranges[own], true, MAP_FIXED))
		return true;
	while (i-- > 0)
		if (i != own)
			pyi_bare_call3(__NR_munmap, (long)ranges[i].addr,
				       (long)ranges[i].n_pages * PYI_IMAGE_PAGE, 0);
	return false;
}

/* The clock functions that the kernel maps into each process, at an address of its own. */
PYI_BARE void find_vdso(uint64_t vdso)
{
	const Elf64_Ehdr *ehdr = (const void *)vdso;
	const Elf64_Phdr *phdr = (const void *)(vdso + (vdso ? ehdr->e_phoff : 0));
	const Elf64_Dyn *dyn = NULL;
	const Elf64_Sym *symbols = NULL;
	const uint32_t *hash = NULL;
	const char *strings = NULL;
	uint64_t base = vdso;

	for (int i = 0; vdso && i < ehdr->e_phnum; i++) {
		if (phdr[i].p_type == PT_LOAD)
			base = vdso + phdr[i].p_offset - phdr[i].p_vaddr;
		else if (phdr[i].p_type == PT_DYNAMIC)
			dyn = (const void *)(vdso + phdr[i].p_offset);
	}
	for (; dyn && dyn->d_tag != DT_NULL; dyn++) {
		const void *at = (const void *)(base + dyn->d_un.d_ptr);

		if (dyn->d_tag == DT_STRTAB)
			strings = at;
		else if (dyn->d_tag == DT_SYMTAB)
			symbols = at;
		else if (dyn->d_tag == DT_HASH)
			hash = at;
	}
	if (!strings || !symbols)
		return;
	/* Without the old hash table the symbols end where the strings begin. */
	for (uint32_t i = 1,
		      n = hash ? hash[1]
			       : (uint32_t)((uint64_t)strings - (uint64_t)symbols) / sizeof(*symbols);
	     i < n; i++) {
		const char *name = strings + symbols[i].st_name;
		void *at = (void *)(base + symbols[i].st_value);

		if (pyi_bare_is_equal(name, "__vdso_clock_gettime"))
			_dl_vdso_clock_gettime64 = at;
		else if (pyi_bare_is_equal(name, "__vdso_clock_getres"))
			_dl_vdso_clock_getres_time64 = at;
		else if (pyi_bare_is_equal(name, "__vdso_gettimeofday"))
			_dl_vdso_gettimeofday = at;
		else if (pyi_bare_is_equal(name, "__vdso_time"))
			_dl_vdso_time = at;
		else if (pyi_bare_is_equal(name, "__vdso_getcpu"))
			_dl_vdso_getcpu = at;
	}
}

/*
 * Copy the hot pages at once. In one call where the kernel takes any advice about the caller's own memory (Linux 6.15),
 * else range by range. What it refuses is copied page by page when it is written to.
 */
PYI_BARE void copy_hot(const struct pyi_image_header *header)
{
	const struct pyi_image_range *hot = header->ranges + header->n_runs + header->n_areas;
	struct iovec all[PYI_IMAGE_MAX_RANGES];
	long bytes = 0;

	for (uint32_t i = 0; i < header->n_hot; i++) {
		all[i].iov_base = (void *)hot[i].addr;
		all[i].iov_len = (size_t)hot[i].n_pages * PYI_IMAGE_PAGE;
		bytes += (long)all[i].iov_len;
	}
	if (pyi_bare_call6(__NR_process_madvise, (uint64_t)PYI_BARE_OWN_PROCESS, (uint64_t)all,
			   header->n_hot, MADV_POPULATE_WRITE, 0, 0) == bytes)
		return;
	for (uint32_t i = 0; i < header->n_hot; i++)
		pyi_bare_call3(__NR_madvise, (uint64_t)all[i].iov_base, all[i].iov_len,
			       MADV_POPULATE_WRITE);
}

/*
 * The memory is the builder's: make it this process's own. The pointer guard stays, for libc keeps pointers that are
 * mangled with it; the stack's canary is in no frame that anyone returns from, and is new.
 */
PYI_BARE void adopt(const struct pyi_image_header *header, const struct start *start, uint64_t *stack)
{
	copy_hot(header);
	pyi_bare_call3(__NR_arch_prctl, ARCH_SET_FS, (long)header->thread, 0);
	*(int *)header->tid = (int)pyi_bare_call3(__NR_set_tid_address, (long)header->tid, 0, 0);
	pyi_bare_call3(__NR_set_robust_list, (long)header->robust_list, 24, 0);
	if (start->random)
		*(uint64_t *)(header->thread + CANARY_OFFSET) = *(uint64_t *)start->random & ~0xffUL;
	find_vdso(start->vdso);
	_dl_random = (void *)start->random;
	_dl_auxv = start->aux;
	_dl_hwcap = start->hwcap;
	_dl_hwcap2 = start->hwcap2;
	if (start->minsigstksz)
		_dl_minsigstacksize = start->minsigstksz;
	__libc_stack_end = stack;
	__libc_argc = start->argc;
	__libc_argv = _dl_argv = start->argv;
	__environ = start->envp;
	/* The kernel's end of data, not the builder's: malloc finds that it has jumped, and goes on from there. */
	__curbrk = (void *)pyi_bare_call3(__NR_brk, 0, 0, 0);
	for (int i = 0; i < PYI_IMAGE_SIGNALS; i++)
		if (header->signals[i].signo)
			pyi_bare_call6(__NR_rt_sigaction, (long)header->signals[i].signo,
				       (long)header->signals[i].action, 0, SIGSET_BYTES, 0, 0);
	pyi_bare_call3(__NR_mprotect, (long)header->relro_start,
		       (long)(header->relro_end - header->relro_start), PROT_READ);
}

/* In a frame of its own, so that the stack it takes is free again afterwards. */
__attribute__((noinline)) static enum pyi_image_reason restore(const struct start *start, uint64_t *stack)
{
	_Alignas(uint64_t) char buffer[PYI_IMAGE_PAGES_AT];
	struct pyi_image_header *header = (struct pyi_image_header *)buffer;
	enum pyi_image_reason reason;
	long size;

	size = pyi_bare_call6(__NR_pread64, PYI_GUEST_IMAGE_FD, (long)buffer, sizeof(buffer), 0, 0, 0);
	if (size < 0)
		return PYI_IMAGE_NONE;
	reason = check(header, size);
	if (reason != PYI_IMAGE_USED)
		return reason;
	if (is_shaped_by_environment(start->envp))
		return PYI_IMAGE_ENVIRONMENT;
	if (!is_worth_its_memory(header) || !map_all(header))
		return PYI_IMAGE_NO_ROOM;
	adopt(header, start, stack);
	return PYI_IMAGE_USED;
}

/*
 * The builder shall know no vdso: what libc keeps of it would be wrong in every other process. And its heap shall not
 * be where the kernel puts the end of data, for that differs in each process, and malloc would be confused by an end
 * below its heap: with a page in the way the kernel refuses to move it, and libc maps its memory elsewhere. The page
 * is taken away again by the writer.
 */
PYI_BARE void begin_builder(const struct start *start)
{
	long brk = pyi_bare_call3(__NR_brk, 0, 0, 0);

	for (Elf64_auxv_t *aux = start->aux; aux->a_type != AT_NULL; aux++)
		if (aux->a_type == AT_SYSINFO_EHDR)
			aux->a_type = AT_IGNORE;
	brk = (brk + PYI_IMAGE_PAGE - 1) & -(long)PYI_IMAGE_PAGE;
	pyi_bare_call6(__NR_mmap, brk, PYI_IMAGE_PAGE, PROT_NONE,
		       MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1, 0);
}

void pyi_image_start(uint64_t *stack)
{
	enum pyi_image_reason reason;
	struct timespec now = { 0 };
	struct start start;

	parse(stack, &start);
	if (start.secure || start.argc < 1)
		return;
	if (pyi_bare_is_equal(start.argv[0], PYI_IMAGE_ARGV0))
		begin_builder(&start);
	if (!pyi_bare_is_equal(start.argv[0], PYI_GUEST_ARGV0))
		return;
	pyi_bare_call3(__NR_clock_gettime, CLOCK_MONOTONIC, (uint64_t)&now, 0);
	reason = restore(&start, stack);
	if (reason != PYI_IMAGE_NONE)
		pyi_bare_call3(__NR_close, PYI_GUEST_IMAGE_FD, 0, 0);
	pyi_image_state.reason = reason;
	pyi_image_state.executed_ns = (uint64_t)now.tv_sec * 1000000000 + (uint64_t)now.tv_nsec;
	if (reason == PYI_IMAGE_USED)
		pyi_guest_resume(start.argc, start.argv);
}
