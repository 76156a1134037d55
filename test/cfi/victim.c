/* SPDX-License-Identifier: MIT */
/*
 * A program whose function pointer is overwritten, as an attacker who can write memory would. Built twice: with the
 * flags of the release build (CFI), where the call must be stopped, and without, where it must succeed, so that the
 * test shows CFI and nothing else at work.
 */
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

static int handle(int request)
{
	return request + 1;
}

/* Not a handler: another type, and never meant to be called through the table. */
static void hijacked(const char *what, uint64_t more)
{
	printf("hijacked %s\n", what ? "with an argument" : "without one");
	(void)more;
}

struct table {
	char name[16];
	int (*volatile call)(int request);
};

int main(void)
{
	struct table table = { "handlers", handle };
	void (*volatile target)(const char *, uint64_t) = hijacked;
	uintptr_t address = (uintptr_t)target;

	if (table.call(1) != 2)
		return 2;
	/* the corruption: bytes, as an overflow of `name` would write them */
	memcpy((char *)&table + offsetof(struct table, call), &address, sizeof(address));
	printf("before\n");
	fflush(stdout);
	table.call(0);
	return 0;
}
