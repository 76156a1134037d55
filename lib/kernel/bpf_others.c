/* SPDX-License-Identifier: MIT */
/*
 * What else is pinned: the programs of other versions and other builds, which go on beside ours, each set with a parent
 * cgroup of its own. Only names and one map are looked at, whose key no version changes: the cgroup's id.
 */
#include <bpf/bpf.h>
#include <dirent.h>
#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "base/buf.h"
#include "base/util.h"
#include "bpf.digest.h"
#include "kernel/bpf.h"
#include "kernel/bpf_pins.h"

/* How many sandboxes are assigned in these pins; -1: they do not say. */
static int count_sandboxes(const char *dir)
{
	_cleanup_fd int map = -1;
	struct bpf_map_info info = { 0 };
	uint32_t len = sizeof(info);
	uint64_t key = 0, next;
	char path[640];
	int n = 0;

	snprintf(path, sizeof(path), "%s/assignments", dir);
	map = bpf_obj_get(path);
	if (map < 0 || bpf_map_get_info_by_fd(map, &info, &len) < 0 || info.key_size != sizeof(key))
		return -1;
	while (bpf_map_get_next_key(map, n ? &key : NULL, &next) == 0 && n < (int)info.max_entries) {
		key = next;
		n++;
	}
	return n;
}

static void list_builds(const char *version, struct pyi_buf *out)
{
	bool is_ours = strcmp(version, strrchr(PYI_PINS_ABI, '/') + 1) == 0;
	char path[300], build[600];
	struct dirent *entry;
	DIR *dir;

	snprintf(path, sizeof(path), PYI_PINS_TOP "/%s", version);
	dir = opendir(path);
	while (dir && (entry = readdir(dir))) {
		int n;

		if (entry->d_type != DT_DIR || entry->d_name[0] == '.' ||
		    strncmp(entry->d_name, "tmp-", 4) == 0 ||
		    (is_ours &&
		     strncmp(entry->d_name, PYI_BPF_BUILD "-", strlen(PYI_BPF_BUILD "-")) == 0))
			continue;
		snprintf(build, sizeof(build), "%s/%s", path, entry->d_name);
		n = count_sandboxes(build);
		pyi_buf_printf(out, "%s%s/%s", out->len ? ", " : "", version, entry->d_name);
		if (n >= 0)
			pyi_buf_printf(out, " (%d sandbox%s)", n, n == 1 ? "" : "es");
	}
	if (dir)
		closedir(dir);
}

void pyi_bpf_list_others(struct pyi_buf *out)
{
	/* In a directory that is not root's alone names are anybody's. */
	DIR *dir = pyi_bpf_pins_check_top() < 0 ? NULL : opendir(PYI_PINS_TOP);
	struct dirent *entry;

	while (dir && (entry = readdir(dir)))
		if (entry->d_type == DT_DIR && entry->d_name[0] != '.')
			list_builds(entry->d_name, out);
	if (dir)
		closedir(dir);
}
