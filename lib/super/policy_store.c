/* SPDX-License-Identifier: MIT */
/* See policy_store.h. */
#include "super/policy_store.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/digest.h"
#include "base/err.h"
#include "base/fault.h"
#include "base/io.h"
#include "base/util.h"
#include "policy/policy.h"
#include "super/state_dir.h"

enum { TEXT_MAX = 64 << 20 };

static int find_dir(bool create, char path[PATH_MAX], struct pyi_err *err)
{
	struct pyi_state_dir dir;
	int ret = pyi_state_dir_find(create, &dir, err);

	return ret < 0 ? ret : pyi_state_dir_below(&dir, "policy", create, path, err);
}

/* A name has one writer at a time: its supervisor, or who holds the registry's lock. */
static int replace(const char *path, const void *data, size_t len, struct pyi_err *err)
{
	_cleanup_free char *beside = NULL;
	_cleanup_fd int fd = -1;
	int ret = 0;

	if (asprintf(&beside, "%s.new", path) < 0) {
		beside = NULL;
		return pyi_err_nomem(err);
	}
	fd = open(beside, O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW | O_CLOEXEC, 0600);
	if (fd < 0)
		return pyi_err_sys(err, errno, "cannot make '%s'", beside);
	ret = PYI_FAULT(970, ENOSPC) ? -errno : pyi_write_all(fd, data, len);
	if (ret == 0 && rename(beside, path) < 0)
		ret = -errno;
	if (ret < 0) {
		unlink(beside);
		return pyi_err_sys(err, -ret, "cannot write '%s'", path);
	}
	return 0;
}

static int write_text(const char *name, const char *kind, const struct pyi_policy *policy,
		      struct pyi_err *err)
{
	_cleanup_buf struct pyi_buf text = PYI_BUF_INIT;
	char dir[PATH_MAX], path[PATH_MAX];
	int ret = find_dir(true, dir, err);

	if (ret < 0)
		return ret;
	if (snprintf(path, sizeof(path), "%s/%s.%s", dir, name, kind) >= (int)sizeof(path))
		return pyi_err_set(err, ENAMETOOLONG, "the name '%s' is too long", dir);
	pyi_policy_print(policy, true, &text);
	if (text.failed)
		return pyi_err_nomem(err);
	return replace(path, text.data, text.len, err);
}

int pyi_policy_store_begin(const char *name, const struct pyi_policy *policy, struct pyi_err *err)
{
	pyi_policy_store_remove(name);
	return write_text(name, "start", policy, err);
}

int pyi_policy_store_add(const char *name, const struct pyi_policy *policy, struct pyi_err *err)
{
	char hex[2 * PYI_DIGEST_LEN + 1];

	pyi_digest_hex(policy->digest, hex);
	return write_text(name, hex, policy, err);
}

/* -ENOENT without a message when it is not there, or not the one. */
static int read_text(const char *dir, const char *name, const char *kind, const uint8_t *digest,
		     struct pyi_policy **ret_policy, struct pyi_err *err)
{
	_cleanup_buf struct pyi_buf text = PYI_BUF_INIT;
	struct pyi_policy *policy;
	char path[PATH_MAX];
	int ret;

	if (snprintf(path, sizeof(path), "%s/%s.%s", dir, name, kind) >= (int)sizeof(path) ||
	    access(path, F_OK) < 0)
		return -ENOENT;
	ret = pyi_read_file(path, TEXT_MAX, &text, err);
	if (ret == 0)
		ret = pyi_policy_parse_printed(path, pyi_buf_str(&text), text.len, &policy, err);
	if (ret < 0)
		return ret;
	if (digest && memcmp(policy->digest, digest, PYI_DIGEST_LEN) != 0) {
		pyi_policy_free(policy);
		return -ENOENT;
	}
	*ret_policy = policy;
	return 0;
}

int pyi_policy_store_get(const char *name, const uint8_t digest[32], struct pyi_policy **ret_policy,
			 struct pyi_err *err)
{
	char dir[PATH_MAX], hex[2 * PYI_DIGEST_LEN + 1];
	int ret = find_dir(false, dir, err);

	if (ret < 0)
		return ret;
	ret = read_text(dir, name, "start", digest, ret_policy, err);
	if (ret == -ENOENT && digest) {
		pyi_digest_hex(digest, hex);
		ret = read_text(dir, name, hex, digest, ret_policy, err);
	}
	if (ret == -ENOENT)
		return pyi_err_set(err, ENOENT,
				   "the text of the policy of sandbox '%s' is not in '%s' any more: stop it and "
				   "spawn it again",
				   name, dir);
	return ret;
}

/* Remove this sandbox's files; with `keep` but this one, and that of the start. */
static void remove_but(const char *name, const char *keep)
{
	size_t len = strlen(name);
	struct pyi_err unused = { 0 };
	struct dirent *entry;
	char path[PATH_MAX];
	DIR *dir;

	if (find_dir(false, path, &unused) < 0)
		return;
	dir = opendir(path);
	while (dir && (entry = readdir(dir))) {
		const char *kind = entry->d_name + len + 1;

		if (strncmp(entry->d_name, name, len) != 0 || entry->d_name[len] != '.')
			continue;
		if (keep && (strcmp(kind, keep) == 0 || strcmp(kind, "start") == 0 ||
			     strcmp(kind, "door") == 0))
			continue;
		unlinkat(dirfd(dir), entry->d_name, 0);
	}
	if (dir)
		closedir(dir);
}

void pyi_policy_store_keep(const char *name, const uint8_t digest[32])
{
	char hex[2 * PYI_DIGEST_LEN + 1];

	pyi_digest_hex(digest, hex);
	remove_but(name, hex);
}

void pyi_policy_store_remove(const char *name)
{
	remove_but(name, NULL);
}
