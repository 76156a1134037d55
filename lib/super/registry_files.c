/* SPDX-License-Identifier: MIT */
/* The registry in files; see registry_files.h. */
#include "super/registry_files.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/fault.h"
#include "base/io.h"
#include "base/util.h"
#include "pyi_abi.h"

/* What a file holds. Another magic or size is another version's, and an error. */
struct record {
	char magic[8];
	uint32_t abi;
	uint32_t size;
	struct pyi_abi_sandbox sandbox;
};

static const char magic[8] = "pyisbox";

/* The new content is written here first. No name begins with a dot; under the lock there is one writer. */
static const char temporary[] = ".new";

int pyi_registry_files_get(int dir_fd, const struct pyi_abi_name *name,
			   struct pyi_abi_sandbox *ret_sandbox)
{
	_cleanup_fd int fd = openat(dir_fd, name->text, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
	struct record record;

	if (fd < 0)
		return -errno;
	if (pyi_read_full(fd, &record, sizeof(record)) != (ssize_t)sizeof(record) ||
	    memcmp(record.magic, magic, sizeof(magic)) != 0 || record.abi != PYI_ABI ||
	    record.size != sizeof(record))
		return -EPROTO;
	*ret_sandbox = record.sandbox;
	return 0;
}

/* Is there room for a name that is not there yet? */
static int check_room(int dir_fd, const char *name)
{
	int fd = faccessat(dir_fd, name, F_OK, 0) == 0 ? -1 : openat(dir_fd, ".", O_RDONLY | O_CLOEXEC);
	DIR *dir = fd < 0 ? NULL : fdopendir(fd);
	size_t n = 0;

	if (!dir) {
		pyi_close_fd(&fd);
		return 0;
	}
	while (readdir(dir))
		n++;
	closedir(dir);
	return n < PYI_ABI_SANDBOXES ? 0 : -E2BIG;
}

/* The new content beside the old one, then in its place. */
static int replace(int dir_fd, const char *name, const struct record *record)
{
	_cleanup_fd int fd = -1;
	int ret;

	/* One that a dead writer left is written over. */
	fd = PYI_FAULT(910, ENOSPC)
		     ? -1
		     : openat(dir_fd, temporary,
			      O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (fd < 0)
		return -errno;
	ret = pyi_write_all(fd, record, sizeof(*record));
	if (ret == 0 && (PYI_FAULT(911, ENOSPC) || renameat(dir_fd, temporary, dir_fd, name) < 0))
		ret = -errno;
	if (ret < 0)
		unlinkat(dir_fd, temporary, 0);
	return ret;
}

/* Where the disk is full, the place of the old content is there still; a record is less than a block. */
static int write_over(int dir_fd, const char *name, const struct record *record)
{
	_cleanup_fd int fd = openat(dir_fd, name, O_WRONLY | O_CLOEXEC | O_NOFOLLOW);

	if (fd < 0)
		return -ENOSPC;
	return pwrite(fd, record, sizeof(*record), 0) == (ssize_t)sizeof(*record) ? 0 : -ENOSPC;
}

int pyi_registry_files_put(int dir_fd, const struct pyi_abi_name *name,
			   const struct pyi_abi_sandbox *sandbox)
{
	struct record record = { .abi = PYI_ABI, .size = sizeof(record), .sandbox = *sandbox };
	int ret = check_room(dir_fd, name->text);

	if (ret < 0)
		return ret;
	memcpy(record.magic, magic, sizeof(magic));
	ret = replace(dir_fd, name->text, &record);
	return ret == -ENOSPC || ret == -EDQUOT ? write_over(dir_fd, name->text, &record) : ret;
}

int pyi_registry_files_delete(int dir_fd, const struct pyi_abi_name *name)
{
	return unlinkat(dir_fd, name->text, 0) < 0 ? -errno : 0;
}

/* Room for one more. */
static int grow(struct pyi_abi_name **names, struct pyi_abi_sandbox **sandboxes, size_t n, size_t *cap)
{
	size_t more = *cap ? *cap * 2 : 64;
	void *p;

	if (n < *cap)
		return 0;
	p = reallocarray(*names, more, sizeof(**names));
	if (!p)
		return -ENOMEM;
	*names = p;
	p = reallocarray(*sandboxes, more, sizeof(**sandboxes));
	if (!p)
		return -ENOMEM;
	*sandboxes = p;
	*cap = more;
	return 0;
}

int pyi_registry_files_list(int dir_fd, struct pyi_abi_name **ret_names,
			    struct pyi_abi_sandbox **ret_sandboxes, size_t *ret_n)
{
	_cleanup_free struct pyi_abi_sandbox *sandboxes = NULL;
	_cleanup_free struct pyi_abi_name *names = NULL;
	int fd = openat(dir_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *dir = fd < 0 ? NULL : fdopendir(fd);
	struct dirent *entry;
	size_t n = 0, cap = 0;
	int ret = 0;

	if (!dir) {
		pyi_close_fd(&fd);
		return -errno;
	}
	while (ret == 0 && (entry = readdir(dir))) {
		if (entry->d_name[0] == '.' || strlen(entry->d_name) >= sizeof(names->text))
			continue;
		ret = grow(&names, &sandboxes, n, &cap);
		if (ret < 0)
			break;
		memset(&names[n], 0, sizeof(names[n]));
		snprintf(names[n].text, sizeof(names[n].text), "%s", entry->d_name);
		/* Gone since, or nothing of this version: not an entry. */
		if (pyi_registry_files_get(dir_fd, &names[n], &sandboxes[n]) == 0)
			n++;
	}
	closedir(dir);
	if (ret < 0)
		return ret;
	*ret_names = pyi_take_ptr(names);
	*ret_sandboxes = pyi_take_ptr(sandboxes);
	*ret_n = n;
	return 0;
}
