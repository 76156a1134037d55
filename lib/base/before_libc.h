/* SPDX-License-Identifier: MIT */
/*
 * What can be used before the C library has started: raw system calls, strings, and the entry of a program. There is no
 * thread pointer, so no errno, and no function that the C library chooses by processor is resolved: everything here is
 * inlined, and the Makefile compiles the files that use it with flags of their own (no stack protector, no calls that
 * the compiler makes up).
 */
#ifndef PYI_BASE_BEFORE_LIBC_H
#define PYI_BASE_BEFORE_LIBC_H

#include <stdbool.h>
#include <stdint.h>

#define PYI_BARE static inline __attribute__((always_inline))

enum { PYI_BARE_OWN_PROCESS = -10000 }; /* PIDFD_SELF of linux/pidfd.h, Linux 6.15 */

/* -errno, or what the call returns. */
PYI_BARE long pyi_bare_call6(long nr, uint64_t a, uint64_t b, uint64_t c, uint64_t d, uint64_t e,
			     uint64_t f)
{
	register uint64_t r10 __asm__("r10") = d;
	register uint64_t r8 __asm__("r8") = e;
	register uint64_t r9 __asm__("r9") = f;
	long ret;

	__asm__ volatile("syscall"
			 : "=a"(ret)
			 : "0"(nr), "D"(a), "S"(b), "d"(c), "r"(r10), "r"(r8), "r"(r9)
			 : "rcx", "r11", "memory");
	return ret;
}

PYI_BARE long pyi_bare_call3(long nr, uint64_t a, uint64_t b, uint64_t c)
{
	return pyi_bare_call6(nr, a, b, c, 0, 0, 0);
}

PYI_BARE bool pyi_bare_is_equal(const char *a, const char *b)
{
	while (*a && *a == *b) {
		a++;
		b++;
	}
	return *a == *b;
}

PYI_BARE bool pyi_bare_has_prefix(const char *s, const char *prefix)
{
	while (*prefix && *s == *prefix) {
		s++;
		prefix++;
	}
	return !*prefix;
}

/*
 * An ELF entry of this name, in a section of its own: call look(stack) with what the kernel has put on the stack, and
 * go on at `next` as if nothing had been: with the stack, and with rdx (System V ABI, process initialization), as the
 * kernel left them.
 */
#define PYI_BARE_ENTRY(name, look, next)                 \
	__asm__(".pushsection .pyi_entry,\"ax\"\n"       \
		".globl " name "\n"                      \
		".type " name ", @function\n" name ":\n" \
		"	endbr64\n"                             \
		"	xor %ebp, %ebp\n"                      \
		"	mov %rsp, %rbx\n"                      \
		"	mov %rdx, %r12\n"                      \
		"	mov %rsp, %rdi\n"                      \
		"	and $-16, %rsp\n"                      \
		"	call " look "\n"                 \
		"	mov %rbx, %rsp\n"                      \
		"	mov %r12, %rdx\n"                      \
		"	jmp " next "\n"                  \
		".size " name ", . - " name "\n"         \
		".popsection\n")

#endif
