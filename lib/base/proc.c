/* SPDX-License-Identifier: MIT */
/* Process identity; see proc.h and proc_pid_stat(5). */
#include "base/proc.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/io.h"
#include "base/util.h"

/* Field 3 is the state, 22 the start time; the name (field 2) may hold spaces and ')' itself. */
static int read_stat(pid_t pid, char *ret_state, uint64_t *ret_start)
{
	char path[64], text[1024];
	const char *p;
	ssize_t n;
	int field;

	snprintf(path, sizeof(path), "/proc/%d/stat", (int)pid);
	n = pyi_read_at(AT_FDCWD, path, text, sizeof(text));
	if (n < 0)
		return (int)n;
	p = strrchr(text, ')');
	if (!p || p[1] != ' ')
		return -EPROTO;
	p += 2;
	*ret_state = *p;
	for (field = 3; field < 22; field++) {
		p = strchr(p, ' ');
		if (!p)
			return -EPROTO;
		p++;
	}
	*ret_start = strtoull(p, NULL, 10);
	return 0;
}

int pyi_proc_identify(pid_t pid, struct pyi_proc *ret_proc)
{
	uint64_t start;
	char state;
	int ret = read_stat(pid, &state, &start);

	if (ret)
		return ret;
	ret_proc->pid = pid;
	ret_proc->start_ticks = start;
	return 0;
}

bool pyi_proc_is_alive(const struct pyi_proc *proc)
{
	uint64_t start;
	char state;

	if (read_stat(proc->pid, &state, &start))
		return false;
	return start == proc->start_ticks && state != 'Z' && state != 'X';
}

char pyi_proc_state(pid_t pid)
{
	uint64_t start;
	char state;

	return read_stat(pid, &state, &start) ? '\0' : state;
}
