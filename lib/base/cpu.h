/* SPDX-License-Identifier: MIT */
/* Which processor is this? */
#ifndef PYI_BASE_CPU_H
#define PYI_BASE_CPU_H

#include <cpuid.h>
#include <stdint.h>

#include "base/before_libc.h"

enum { PYI_CPU_WORDS = 12 };

/*
 * What libc, OpenSSL and others choose their code by: the processor's vendor, model and features. Without the initial
 * APIC id (leaf 1, ebx), which tells one core from another, and the bit that says whether the system uses xsave, which
 * is the same for all. Under a hypervisor each of the six questions takes microseconds.
 */
PYI_BARE void pyi_cpu_words(uint32_t *ret_words)
{
	uint32_t a, b, c, d, high;

	__cpuid(0, a, b, c, d);
	ret_words[0] = b ^ c ^ d;
	__cpuid(1, a, b, c, d);
	ret_words[1] = a;
	ret_words[2] = c;
	ret_words[3] = d;
	__cpuid_count(7, 0, a, b, c, d);
	ret_words[4] = b;
	ret_words[5] = c;
	ret_words[6] = d;
	ret_words[7] = 0;
	if (ret_words[2] & bit_OSXSAVE)
		__asm__ volatile("xgetbv" : "=a"(ret_words[7]), "=d"(high) : "c"(0));
	__cpuid_count(7, 1, a, b, c, d);
	ret_words[8] = a;
	__cpuid(0x80000001, a, b, c, d);
	ret_words[9] = c;
	ret_words[10] = d;
	__cpuid_count(0xd, 1, a, b, c, d);
	ret_words[11] = a;
}

#endif
