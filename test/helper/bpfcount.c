/* SPDX-License-Identifier: MIT */
/* bpfcount NAME: how many BPF programs of this name the kernel holds now. Root. */
#include <linux/bpf.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

static int bpf(int cmd, union bpf_attr *attr)
{
	return (int)syscall(SYS_bpf, cmd, attr, sizeof(*attr));
}

static int has_name(uint32_t id, const char *name)
{
	union bpf_attr attr = { .prog_id = id };
	struct bpf_prog_info info = { 0 };
	int fd = bpf(BPF_PROG_GET_FD_BY_ID, &attr), ret;

	if (fd < 0)
		return 0;
	memset(&attr, 0, sizeof(attr));
	attr.info.bpf_fd = (uint32_t)fd;
	attr.info.info_len = sizeof(info);
	attr.info.info = (uint64_t)(uintptr_t)&info;
	ret = bpf(BPF_OBJ_GET_INFO_BY_FD, &attr);
	close(fd);
	return ret == 0 && strncmp(info.name, name, sizeof(info.name)) == 0;
}

int main(int argc, char **argv)
{
	union bpf_attr attr = { 0 };
	int n = 0;

	if (argc != 2) {
		fputs("usage: bpfcount NAME\n", stderr);
		return 2;
	}
	while (bpf(BPF_PROG_GET_NEXT_ID, &attr) == 0) {
		n += has_name(attr.next_id, argv[1]);
		attr.start_id = attr.next_id;
		attr.next_id = 0;
		attr.open_flags = 0;
	}
	printf("%d\n", n);
	return 0;
}
