/* SPDX-License-Identifier: MIT */
/*
 * bpfids: which of the BPF objects that are named on stdin, a "prog ID", "map ID" or "link ID" a line, does the kernel
 * hold? They are printed again. Root.
 */
#include <linux/bpf.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

static int is_there(const char *kind, unsigned int id)
{
	union bpf_attr attr = { .prog_id = id }; /* the three ids share a place */
	int cmd = strcmp(kind, "prog") == 0  ? BPF_PROG_GET_FD_BY_ID
		  : strcmp(kind, "map") == 0 ? BPF_MAP_GET_FD_BY_ID
					     : BPF_LINK_GET_FD_BY_ID;
	int fd = (int)syscall(SYS_bpf, cmd, &attr, sizeof(attr));

	if (fd < 0)
		return 0;
	close(fd);
	return 1;
}

int main(void)
{
	unsigned int id;
	char kind[8];

	while (scanf("%7s %u", kind, &id) == 2)
		if (is_there(kind, id))
			printf("%s %u\n", kind, id);
	return 0;
}
