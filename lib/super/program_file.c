/* SPDX-License-Identifier: MIT */
/* See program_file.h, execve(2) and elf(5). The file may be anybody's: all of it is checked. */
#include "super/program_file.h"

#include <elf.h>
#include <string.h>

#include "base/io.h"
#include "base/util.h"

enum { HEAD_BYTES = 4096, SEGMENTS_MAX = 64 };

static bool take_path(const char *text, size_t len, char ret[PATH_MAX])
{
	if (!len || len >= PATH_MAX || text[0] != '/' || memchr(text, '\0', len))
		return false;
	memcpy(ret, text, len);
	ret[len] = '\0';
	return true;
}

static bool script_interpreter(const char *head, size_t len, char ret[PATH_MAX])
{
	size_t i = 2, end;

	while (i < len && (head[i] == ' ' || head[i] == '\t'))
		i++;
	for (end = i; end < len && !strchr(" \t\r\n", head[end]); end++)
		;
	return end < len && take_path(head + i, end - i, ret);
}

static bool elf_interpreter(int fd, const char *head, size_t len, char ret[PATH_MAX])
{
	Elf64_Ehdr elf;

	if (len < sizeof(elf))
		return false;
	memcpy(&elf, head, sizeof(elf));
	if (elf.e_ident[EI_CLASS] != ELFCLASS64 || elf.e_phentsize != sizeof(Elf64_Phdr))
		return false;
	for (unsigned int i = 0; i < elf.e_phnum && i < SEGMENTS_MAX; i++) {
		char path[PATH_MAX];
		Elf64_Phdr segment;

		if (pread(fd, &segment, sizeof(segment), (off_t)(elf.e_phoff + i * sizeof(segment))) !=
		    (ssize_t)sizeof(segment))
			return false;
		if (segment.p_type != PT_INTERP)
			continue;
		if (segment.p_filesz < 2 || segment.p_filesz > sizeof(path) ||
		    pread(fd, path, segment.p_filesz, (off_t)segment.p_offset) != (ssize_t)segment.p_filesz)
			return false;
		return take_path(path, strnlen(path, segment.p_filesz - 1), ret);
	}
	return false;
}

bool pyi_program_interpreter(const char *path, char ret[PATH_MAX])
{
	_cleanup_fd int fd = pyi_open_regular(path);
	char head[HEAD_BYTES];
	ssize_t n;

	if (fd < 0)
		return false;
	n = pyi_read_full(fd, head, sizeof(head));
	if (n > 2 && !memcmp(head, "#!", 2))
		return script_interpreter(head, (size_t)n, ret);
	return n > SELFMAG && !memcmp(head, ELFMAG, SELFMAG) &&
	       elf_interpreter(fd, head, (size_t)n, ret);
}
