/* SPDX-License-Identifier: MIT */
/*
 * bpfrows CGROUP: network rows of this cgroup (its v2 id) in the pinned maps, and of how many generations.
 * bpfrows CGROUP MAP: in how many pinned maps of this name it is a key: "rings", "stats". Root.
 */
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

static int has_key(const char *path, uint64_t cgroup)
{
	static char value[1 << 16];
	union bpf_attr attr = { .pathname = (uint64_t)(uintptr_t)path };
	int fd = bpf(BPF_OBJ_GET, &attr), ret;

	if (fd < 0)
		return 0;
	memset(&attr, 0, sizeof(attr));
	attr.map_fd = (uint32_t)fd;
	attr.key = (uint64_t)(uintptr_t)&cgroup;
	attr.value = (uint64_t)(uintptr_t)value;
	ret = bpf(BPF_MAP_LOOKUP_ELEM, &attr);
	close(fd);
	return ret == 0;
}

static int print_keys(const char *map, uint64_t cgroup)
{
	glob_t found = { 0 };
	char pattern[256];
	int n = 0;

	snprintf(pattern, sizeof(pattern), "/sys/fs/bpf/pyisolate/v1/*/%s", map);
	if (glob(pattern, 0, NULL, &found) == 0)
		for (size_t i = 0; i < found.gl_pathc; i++)
			n += has_key(found.gl_pathv[i], cgroup);
	globfree(&found);
	printf("%d\n", n);
	return 0;
}

int main(int argc, char **argv)
{
	glob_t found = { 0 };

	if (argc == 3)
		return print_keys(argv[2], strtoull(argv[1], NULL, 10));
	if (argc != 2) {
		fputs("usage: bpfrows CGROUP [MAP]\n", stderr);
		return 2;
	}
	if (glob("/sys/fs/bpf/pyisolate/v1/*/net_rows", 0, NULL, &found) == 0)
		for (size_t i = 0; i < found.gl_pathc; i++)
			walk(found.gl_pathv[i], strtoull(argv[1], NULL, 10));
	globfree(&found);
	printf("%d rows of %d generations\n", n_rows, n_bodies);
	return 0;
}
