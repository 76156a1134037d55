/* SPDX-License-Identifier: MIT */
/* bpfrows CGROUP: network rows of this cgroup (its v2 id) in the pinned maps, and of how many generations. Root. */
#include <glob.h>
#include <linux/bpf.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "pyi_abi.h"

enum { BODIES_MAX = 4096 };

static uint64_t bodies[BODIES_MAX];
static int n_bodies, n_rows;

static int bpf(int cmd, union bpf_attr *attr)
{
	return (int)syscall(SYS_bpf, cmd, attr, sizeof(*attr));
}

static void count(uint64_t body)
{
	n_rows++;
	for (int i = 0; i < n_bodies; i++)
		if (bodies[i] == body)
			return;
	if (n_bodies < BODIES_MAX)
		bodies[n_bodies++] = body;
}

static void walk(const char *path, uint64_t cgroup)
{
	union bpf_attr attr = { .pathname = (uint64_t)(uintptr_t)path };
	struct pyi_abi_net_key key, next;
	int fd = bpf(BPF_OBJ_GET, &attr), first = 1;

	if (fd < 0)
		return;
	for (;;) {
		uint64_t body;

		memset(&attr, 0, sizeof(attr));
		attr.map_fd = (uint32_t)fd;
		attr.key = first ? 0 : (uint64_t)(uintptr_t)&key;
		attr.next_key = (uint64_t)(uintptr_t)&next;
		if (bpf(BPF_MAP_GET_NEXT_KEY, &attr) < 0)
			break;
		first = 0;
		key = next;
		memcpy(&body, key.body, sizeof(body));
		if ((body & PYI_ABI_BODY_CGROUP) == cgroup)
			count(body);
	}
	close(fd);
}

int main(int argc, char **argv)
{
	glob_t found = { 0 };

	if (argc != 2) {
		fputs("usage: bpfrows CGROUP\n", stderr);
		return 2;
	}
	if (glob("/sys/fs/bpf/pyisolate/v1/*/net_rows", 0, NULL, &found) == 0)
		for (size_t i = 0; i < found.gl_pathc; i++)
			walk(found.gl_pathv[i], strtoull(argv[1], NULL, 10));
	globfree(&found);
	printf("%d rows of %d generations\n", n_rows, n_bodies);
	return 0;
}
