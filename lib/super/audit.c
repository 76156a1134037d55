/* SPDX-License-Identifier: MIT */
/* The document of an audit; see audit.h. */
#include "super/audit.h"

#include <dirent.h>
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "base/err.h"
#include "base/log.h"
#include "base/utf8.h"
#include "base/util.h"
#include "super/steps.h"

enum {
	ENTRIES_MAX = 1024, /* of one directory: each is a mount */
	FLAGS_PER_ENTRY = 2,
	FLAGS_OTHER = 32,
};

/* Anything but addresses of this link and of clouds' metadata, which only a rule of the policy opens. */
static const struct pyi_policy_flag network[] = {
	{ "allow-net", "*:*" },
	{ "allow-net", "udp://*:*" },
	{ "allow-net", "127.0.0.0/8:*" },
	{ "allow-net", "udp://127.0.0.0/8:*" },
	{ "allow-net", "[::1]:*" },
	{ "allow-net", "udp://[::1]:*" },
	{ "allow-net", "bind:*:*" },
	{ "allow-net", "bind:udp://*:*" },
	{ "allow-net", "bind:127.0.0.0/8:*" },
	{ "allow-net", "bind:udp://127.0.0.0/8:*" },
	{ "allow-net", "bind:[::1]:*" },
	{ "allow-net", "bind:udp://[::1]:*" },
	{ "allow-net", "bind:0.0.0.0:*" },
	{ "allow-net", "bind:udp://0.0.0.0:*" },
	{ "allow-net", "bind:[::]:*" },
	{ "allow-net", "bind:udp://[::]:*" },
};

/* Where the sandbox has its own: they are granted by name so that it is known whether the host has them. */
static const struct pyi_policy_flag own_files[] = {
	{ "allow-read", "/etc/passwd" },
	{ "allow-read", "/etc/group" },
};

/* Inside /run, which is shown for reading: the tool's own state, and what it keeps for others. */
static const struct pyi_policy_flag hidden = { "deny-read", "/run/pyisolate" };

void pyi_audit_release(struct pyi_audit *audit)
{
	for (size_t i = 0; i < audit->n_paths; i++)
		free(audit->paths[i]);
	free(audit->paths);
	free(audit->flags);
	pyi_policy_free(audit->parent);
	pyi_policy_free(audit->base);
	*audit = (struct pyi_audit){ .flags = NULL };
}

bool pyi_audit_shows(const struct pyi_audit *audit, const char *path)
{
	for (size_t i = 0; i < audit->n_paths; i++) {
		size_t len = strlen(audit->paths[i]);

		if (!strncmp(path, audit->paths[i], len) && (!path[len] || path[len] == '/'))
			return true;
	}
	return false;
}

/* A name that a rule can hold as it is. */
static bool is_plain(const char *name)
{
	if (strpbrk(name, "*?["))
		return false;
	for (size_t n; *name; name += n) {
		n = pyi_utf8_len(name);
		if (!n || (unsigned char)*name < 0x20 || *name == 0x7f)
			return false;
	}
	return true;
}

static int add_entry(struct pyi_audit *audit, const char *path, bool can_write, struct pyi_err *err)
{
	char *copy = strdup(path);

	if (!copy)
		return pyi_err_nomem(err);
	audit->paths[audit->n_paths++] = copy;
	audit->flags[audit->n++] = (struct pyi_policy_flag){ can_write ? "allow-write" : "allow-read",
							     copy };
	if (can_write)
		audit->flags[audit->n++] = (struct pyi_policy_flag){ "allow-run", copy };
	return 0;
}

static bool is_left_out(const char *path)
{
	static const char *const not_shown[] = { "/proc", "/sys", "/dev", "/tmp", "/run" };

	for (size_t i = 0; i < PYI_ARRAY_SIZE(not_shown); i++)
		if (!strcmp(path, not_shown[i]))
			return true;
	return false;
}

static void close_dir(DIR **stream)
{
	if (*stream)
		closedir(*stream);
}

/* Files, directories and links of one directory; sockets and devices nobody gets. */
static int add_entries(struct pyi_audit *audit, const char *dir, struct pyi_err *err)
{
	__attribute__((cleanup(close_dir))) DIR *stream = opendir(dir);
	struct dirent *entry;
	size_t n = 0;

	if (!stream)
		return errno == ENOENT ? 0 : pyi_err_sys(err, errno, "cannot list '%s'", dir);
	while ((entry = readdir(stream))) {
		char path[PATH_MAX];
		int ret;

		if (!strcmp(entry->d_name, ".") || !strcmp(entry->d_name, "..") ||
		    (entry->d_type != DT_DIR && entry->d_type != DT_REG &&
		     entry->d_type != DT_LNK && entry->d_type != DT_UNKNOWN))
			continue;
		if (snprintf(path, sizeof(path), "%s/%s", dir[1] ? dir : "", entry->d_name) >=
			    (int)sizeof(path) ||
		    is_left_out(path))
			continue;
		if (!is_plain(entry->d_name) || n++ == ENTRIES_MAX) {
			pyi_log_note("audit: '%s' is not shown to the guest: %s", path,
				     n > ENTRIES_MAX ? "there is too much beside it"
						     : "no rule can name it");
			if (n > ENTRIES_MAX)
				break;
			continue;
		}
		ret = add_entry(audit, path, true, err);
		if (ret)
			return ret;
	}
	return 0;
}

static int collect(struct pyi_audit *audit, struct pyi_err *err)
{
	size_t entries = 2 * ENTRIES_MAX + 1;
	int ret;

	audit->paths = calloc(entries, sizeof(*audit->paths));
	audit->flags = calloc(entries * FLAGS_PER_ENTRY + FLAGS_OTHER, sizeof(*audit->flags));
	if (!audit->paths || !audit->flags)
		return pyi_err_nomem(err);
	ret = add_entries(audit, "/", err);
	if (!ret)
		ret = add_entries(audit, "/tmp", err);
	if (!ret)
		ret = add_entry(audit, "/run", false, err);
	if (ret)
		return ret;
	audit->flags[audit->n++] = hidden;
	for (size_t i = 0; i < PYI_ARRAY_SIZE(own_files); i++)
		audit->flags[audit->n++] = own_files[i];
	for (size_t i = 0; i < PYI_ARRAY_SIZE(network); i++)
		audit->flags[audit->n++] = network[i];
	return 0;
}

/* The file must not be a part of what it extends: its rules would be gone, or go in a circle. */
static int check_file(const struct pyi_run *run, struct pyi_err *err)
{
	const struct pyi_policy *policy = run->audit.parent;
	const char *path = run->options->suggest_path, *ref = run->options->policy;
	struct stat ours, other;

	/* One policy of a file of several has no name that `extends` could take. */
	if (path && ref && strchr(ref, '#'))
		return pyi_err_set(err, EINVAL, "--suggest: nothing can extend '%s'", ref);
	if (!path || stat(path, &ours))
		return 0;
	if (ref && strchr(ref, '/') && stat(ref, &other) == 0 && other.st_dev == ours.st_dev &&
	    other.st_ino == ours.st_ino)
		return pyi_err_set(err, EINVAL,
				   "--suggest: '%s' is the policy itself: name another file", path);
	for (size_t i = 0; i < policy->n_fs; i++)
		if (stat(policy->fs[i].from.file, &other) == 0 && other.st_dev == ours.st_dev &&
		    other.st_ino == ours.st_ino)
			return pyi_err_set(err, EINVAL,
					   "--suggest: '%s' is part of the policy: name another file",
					   path);
	return 0;
}

int pyi_audit_init(struct pyi_run *run, struct pyi_err *err)
{
	const struct pyi_run_options *options = run->options;
	int ret;

	if (geteuid() != 0)
		return pyi_err_set(
			err, EPERM,
			"an audit needs root: what the guest asks of the kernel is recorded by BPF programs");
	ret = pyi_policy_load(options->policy, NULL, 0, &run->audit.parent, NULL, err);
	if (!ret)
		ret = pyi_policy_load(options->policy, options->flags, options->n_flags,
				      &run->audit.base, NULL, err);
	if (!ret && run->audit.parent->ceiling)
		ret = pyi_err_set(
			err, EINVAL,
			"an audit would go beyond the 'ceiling:' of the policy: leave it out for the audit");
	if (!ret)
		ret = check_file(run, err);
	return ret ? ret : collect(&run->audit, err);
}
