/* SPDX-License-Identifier: MIT */
/* How the kernel preempts: in the virtual machine a test may change it for a while. */
#ifndef PYI_TEST_PREEMPT_H
#define PYI_TEST_PREEMPT_H

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <unistd.h>

/* "full" or "voluntary"; elsewhere than in the virtual machine the test is skipped. */
static void set_preemption(const char *how)
{
	char dir[] = "/tmp/pyi-debugfs.XXXXXX", path[64], text[64] = "", chosen[32];
	int fd;

	if (!getenv("PYI_VM") || geteuid() != 0)
		skip();
	assert_non_null(mkdtemp(dir));
	assert_int_equal(mount("debugfs", dir, "debugfs", 0, NULL), 0);
	snprintf(path, sizeof(path), "%s/sched/preempt", dir);
	fd = open(path, O_RDWR | O_CLOEXEC);
	assert_true(fd >= 0);
	assert_int_equal(write(fd, how, strlen(how)), strlen(how));
	assert_true(pread(fd, text, sizeof(text) - 1, 0) > 0);
	close(fd);
	assert_int_equal(umount(dir), 0);
	rmdir(dir);
	print_message("preemption: %s", text);
	snprintf(chosen, sizeof(chosen), "(%s)", how);
	assert_non_null(strstr(text, chosen));
}

#endif
