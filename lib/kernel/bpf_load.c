/* SPDX-License-Identifier: MIT */
/*
 * Loading, attaching and pinning the cgroup programs, once per boot; see bpf.h.
 *
 * Everything is done below a directory of its own, "v1-PID", which gets the name "v1" when it is complete. A loader
 * that dies on the way leaves such a directory, and whoever finds one clears it away under the lock. The lock is
 * flock(2) on the directory above, so it goes with its holder.
 */
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "base/err.h"
#include "base/fault.h"
#include "base/util.h"
#include "cgroup.digest.h"
#include "cgroup.skel.h"
#include "kernel/bpf_pins.h"
#include "pyi_abi.h"

enum {
	BPFFS_MAGIC = (int)0xcafe4a11,
	FILEID_KERNFS = 0xfe,	/* include/linux/exportfs.h; the type cgroup file systems give out */
	LOG_BYTES = 1 << 20,
};

void pyi_bpf_maps_close(struct pyi_bpf_maps *maps)
{
	pyi_close_fd(&maps->assignments);
	pyi_close_fd(&maps->stats);
	pyi_close_fd(&maps->net_rows);
}

bool pyi_bpf_fs_is_there(void)
{
	struct statfs st;

	return statfs(PYI_BPFFS, &st) == 0 && (int)st.f_type == BPFFS_MAGIC;
}

bool pyi_bpf_cgroup_exists(int v2_fd, uint64_t cgroup_id)
{
	union {
		struct file_handle handle;
		char bytes[sizeof(struct file_handle) + sizeof(cgroup_id)];
	} u = { .handle = { .handle_bytes = sizeof(cgroup_id), .handle_type = FILEID_KERNFS } };
	_cleanup_fd int fd = -1;

	memcpy(u.bytes + sizeof(struct file_handle), &cgroup_id, sizeof(cgroup_id));
	fd = open_by_handle_at(v2_fd, &u.handle, O_PATH | O_CLOEXEC);
	return fd >= 0 || (errno != ESTALE && errno != ENOENT);
}

static int open_map(const char *name, int *ret_fd)
{
	char path[PATH_MAX];
	int fd;

	snprintf(path, sizeof(path), PYI_PINS "/%s", name);
	fd = bpf_obj_get(path);
	if (fd < 0)
		return fd;
	*ret_fd = fd;
	return 0;
}

/* A directory of a loader that is not done, or never will be. */
static bool has_leftovers(void)
{
	DIR *dir = opendir(PYI_PINS_TOP);
	struct dirent *entry;
	bool found = false;

	if (!dir)
		return false;
	while (!found && (entry = readdir(dir)))
		found = strncmp(entry->d_name, "v1-", 3) == 0;
	closedir(dir);
	return found;
}

static int check_meta(uint64_t parent_cgroup)
{
	struct pyi_abi_meta meta = { 0 };
	_cleanup_fd int fd = -1;
	uint32_t zero = 0;
	int ret = open_map("meta", &fd);

	if (ret < 0)
		return ret;
	if (bpf_map_lookup_elem(fd, &zero, &meta) < 0)
		return -ESTALE;
	if (meta.abi != PYI_ABI || meta.parent_cgroup != parent_cgroup ||
	    strncmp(meta.digest, PYI_BPF_DIGEST_cgroup, sizeof(meta.digest)) != 0)
		return -ESTALE;
	return 0;
}

int pyi_bpf_pins_open(uint64_t parent_cgroup, struct pyi_bpf_maps *ret_maps)
{
	struct pyi_bpf_maps maps = PYI_BPF_MAPS_INIT;
	int ret = check_meta(parent_cgroup);

	if (ret == 0)
		ret = open_map("assignments", &maps.assignments);
	if (ret == 0)
		ret = open_map("stats", &maps.stats);
	if (ret == 0)
		ret = open_map("net_rows", &maps.net_rows);
	if (ret == 0 && has_leftovers())
		ret = -ESTALE;
	if (ret < 0) {
		pyi_bpf_maps_close(&maps);
		return ret;
	}
	*ret_maps = maps;
	return 0;
}

/* One level of pins and the directory itself. Unpinned links detach. */
static int remove_dir(const char *path)
{
	DIR *dir = opendir(path);
	struct dirent *entry;

	if (!dir)
		return errno == ENOENT ? 0 : -errno;
	while ((entry = readdir(dir)))
		if (entry->d_name[0] != '.')
			unlinkat(dirfd(dir), entry->d_name, 0);
	closedir(dir);
	return rmdir(path) < 0 && errno != ENOENT ? -errno : 0;
}

/* All "v1-*" directories. Under the lock nobody is at work in them. */
static void remove_leftovers(void)
{
	DIR *dir = opendir(PYI_PINS_TOP);
	struct dirent *entry;
	char path[PATH_MAX];

	if (!dir)
		return;
	while ((entry = readdir(dir))) {
		if (strncmp(entry->d_name, "v1-", 3) != 0)
			continue;
		snprintf(path, sizeof(path), PYI_PINS_TOP "/%s", entry->d_name);
		remove_dir(path);
	}
	closedir(dir);
}

/* Is a sandbox alive that is assigned in the pinned maps, whoever made them? */
static bool pins_are_in_use(int v2_fd)
{
	_cleanup_fd int map = -1;
	uint64_t key = 0, next;
	bool first = true;

	if (open_map("assignments", &map) < 0)
		return false;
	while (bpf_map_get_next_key(map, first ? NULL : &key, &next) == 0) {
		if (pyi_bpf_cgroup_exists(v2_fd, next))
			return true;
		key = next;
		first = false;
	}
	return false;
}

static int take_lock(int *ret_fd, struct pyi_err *err)
{
	_cleanup_fd int fd = -1;

	if (mkdir(PYI_PINS_TOP, 0700) < 0 && errno != EEXIST)
		return pyi_err_sys(err, errno, "cannot make '" PYI_PINS_TOP "'");
	fd = open(PYI_PINS_TOP, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0 || flock(fd, LOCK_EX) < 0)
		return pyi_err_sys(err, errno, "cannot lock '" PYI_PINS_TOP "'");
	*ret_fd = pyi_take_fd(&fd);
	return 0;
}

static int silent(enum libbpf_print_level level, const char *format, va_list args)
{
	return 0;
}

/* The last line of what the verifier said, for the message. */
static const char *last_line(char *log)
{
	size_t len = strlen(log);
	char *line;

	while (len && log[len - 1] == '\n')
		log[--len] = '\0';
	line = strrchr(log, '\n');
	/* The summary ("processed 12 insns ...") is not the reason: the line above it is. */
	if (line && strncmp(line + 1, "processed ", 10) == 0) {
		*line = '\0';
		line = strrchr(log, '\n');
	}
	return line ? line + 1 : log;
}

static int pin(const char *dir, const char *kind, const char *name, int fd, struct pyi_err *err)
{
	char path[PATH_MAX];
	int ret;

	snprintf(path, sizeof(path), "%s/%s%s", dir, kind, name);
	ret = PYI_FAULT(510, ENOSPC) ? -errno : bpf_obj_pin(fd, path);
	return ret < 0 ? pyi_err_sys(err, -ret, "cannot pin '%s'", path) : 0;
}

static int attach_and_pin(struct cgroup *skel, const char *dir, int parent_fd, struct pyi_err *err)
{
	struct bpf_program *prog;
	struct bpf_map *map;
	int ret;

	bpf_object__for_each_map(map, skel->obj) {
		/* What libbpf makes of constants is not for others to open. */
		if (strchr(bpf_map__name(map), '.'))
			continue;
		ret = pin(dir, "", bpf_map__name(map), bpf_map__fd(map), err);
		if (ret < 0)
			return ret;
	}
	bpf_object__for_each_program(prog, skel->obj) {
		struct bpf_link *link;

		link = PYI_FAULT(511, EPERM) ? NULL : bpf_program__attach_cgroup(prog, parent_fd);
		if (!link)
			return pyi_err_sys(err, errno, "cannot attach BPF program '%s'", bpf_program__name(prog));
		/* The pin keeps it, and takes it along when it goes. */
		ret = pin(dir, "link_", bpf_program__name(prog), bpf_link__fd(link), err);
		bpf_link__destroy(link);
		if (ret < 0)
			return ret;
	}
	return 0;
}

static int load(const char *dir, int parent_fd, uint64_t parent_cgroup, struct pyi_err *err)
{
	struct pyi_abi_meta meta = { .abi = PYI_ABI, .parent_cgroup = parent_cgroup };
	_cleanup_free char *log = calloc(1, LOG_BYTES);
	LIBBPF_OPTS(bpf_object_open_opts, opts, .kernel_log_buf = log, .kernel_log_size = LOG_BYTES);
	libbpf_print_fn_t old;
	struct cgroup *skel;
	uint32_t zero = 0;
	int ret;

	if (!log)
		return pyi_err_nomem(err);
	snprintf(meta.digest, sizeof(meta.digest), "%s", PYI_BPF_DIGEST_cgroup);
	old = libbpf_set_print(silent);
	skel = cgroup__open_opts(&opts);
	if (!skel) {
		ret = pyi_err_sys(err, errno, "cannot open the built-in BPF object");
		goto out;
	}
	ret = PYI_FAULT(512, EPERM) ? -errno : cgroup__load(skel);
	if (ret < 0)
		ret = log[0] ? pyi_err_sys(err, -ret, "cannot load the BPF programs (%.200s)", last_line(log))
			     : pyi_err_sys(err, -ret, "cannot load the BPF programs");
	if (ret == 0 && bpf_map_update_elem(bpf_map__fd(skel->maps.meta), &zero, &meta, BPF_ANY) < 0)
		ret = pyi_err_sys(err, errno, "cannot write a BPF map");
	if (ret == 0)
		ret = attach_and_pin(skel, dir, parent_fd, err);
out:
	cgroup__destroy(skel);
	libbpf_set_print(old);
	return ret;
}

static int replace(const char *dir, struct pyi_err *err)
{
	char old[64];

	/* rename(2) does not replace a directory that is not empty, and a moment without any pins denies, no more. */
	snprintf(old, sizeof(old), PYI_PINS "-%d-old", getpid());
	if (rename(PYI_PINS, old) < 0 && errno != ENOENT)
		return pyi_err_sys(err, errno, "cannot move '" PYI_PINS "' away");
	if (PYI_FAULT(513, EIO) || rename(dir, PYI_PINS) < 0)
		return pyi_err_sys(err, errno, "cannot rename '%s'", dir);
	remove_dir(old);
	return 0;
}

static int mount_fs(struct pyi_err *err)
{
	if (pyi_bpf_fs_is_there())
		return 0;
	if (PYI_FAULT(514, EPERM) || mount("bpf", PYI_BPFFS, "bpf", MS_NOSUID | MS_NODEV | MS_NOEXEC, "mode=0700") < 0)
		return pyi_err_sys(err, errno, "cannot mount the BPF file system at '" PYI_BPFFS "'");
	return 0;
}

int pyi_bpf_pins_load(int parent_fd, uint64_t parent_cgroup, struct pyi_err *err)
{
	struct pyi_bpf_maps maps = PYI_BPF_MAPS_INIT;
	_cleanup_fd int lock = -1;
	char dir[64];
	int ret = mount_fs(err);

	if (ret == 0)
		ret = take_lock(&lock, err);
	if (ret < 0)
		return ret;
	remove_leftovers();
	ret = pyi_bpf_pins_open(parent_cgroup, &maps);
	pyi_bpf_maps_close(&maps);
	if (ret == 0)
		return 0;	/* somebody else was faster */
	if (pins_are_in_use(parent_fd))
		return pyi_err_set(err, EBUSY,
				   "the BPF programs of another build of pyisolate are in use ('" PYI_PINS
				   "'): wait until its sandboxes have ended");
	snprintf(dir, sizeof(dir), PYI_PINS "-%d", getpid());
	if (mkdir(dir, 0700) < 0)
		return pyi_err_sys(err, errno, "cannot make '%s'", dir);
	ret = load(dir, parent_fd, parent_cgroup, err);
	if (ret == 0)
		ret = replace(dir, err);
	if (ret < 0)
		remove_leftovers();
	return ret;
}

int pyi_bpf_pins_remove(int v2_fd, struct pyi_err *err)
{
	_cleanup_fd int lock = -1;
	int ret;

	if (!pyi_bpf_fs_is_there() || access(PYI_PINS_TOP, F_OK) < 0)
		return 0;
	ret = take_lock(&lock, err);
	if (ret < 0)
		return ret;
	if (pins_are_in_use(v2_fd))
		return pyi_err_set(err, EBUSY, "sandboxes are still running");
	remove_leftovers();
	ret = remove_dir(PYI_PINS);
	if (ret == 0 && rmdir(PYI_PINS_TOP) < 0 && errno != ENOENT)
		ret = -errno;
	return ret < 0 ? pyi_err_sys(err, -ret, "cannot remove '" PYI_PINS_TOP "'") : 0;
}
