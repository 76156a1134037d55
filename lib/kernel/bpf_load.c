/* SPDX-License-Identifier: MIT */
/*
 * Loading, attaching and pinning the cgroup programs, once per boot; see bpf.h.
 *
 * Everything is done below a directory of its own, "tmp-PID", which gets our build's name when it is complete. A loader
 * that dies on the way leaves such a directory, and the next one clears it away. Two locks, both flock(2) on a
 * directory, so that they go with their holder: the one on the top directory is for loaders and removers, one at a
 * time; the one on a build's own directory is held, shared, by all who rely on its programs being attached.
 */
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
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
#include "bpf.digest.h"
#include "cgroup.skel.h"
#include "kernel/bpf_named.h"
#include "kernel/bpf_pins.h"
#include "plan/facts.h"
#include "pyi_abi.h"

enum {
	BPFFS_MAGIC = (int)0xcafe4a11,
	FILEID_KERNFS = 0xfe, /* include/linux/exportfs.h; the type cgroup file systems give out */
	LOG_BYTES = 1 << 20,
};

void pyi_bpf_maps_close(struct pyi_bpf_maps *maps)
{
	pyi_close_fd(&maps->assignments);
	pyi_close_fd(&maps->stats);
	pyi_close_fd(&maps->net_rows);
	pyi_close_fd(&maps->net_use);
	pyi_close_fd(&maps->bodies);
	pyi_close_fd(&maps->arena);
	pyi_close_fd(&maps->event_paths);
	pyi_close_fd(&maps->event_more);
	pyi_close_fd(&maps->rings);
	pyi_close_fd(&maps->contract_code);
	pyi_close_fd(&maps->contract_state);
	pyi_close_fd(&maps->lock);
}

bool pyi_bpf_fs_is_there(void)
{
	struct statfs st;

	return statfs(PYI_BPFFS, &st) == 0 && (int)st.f_type == BPFFS_MAGIC;
}

/* An fd (O_PATH) of the cgroup's directory, -1 and errno. */
static int open_cgroup(int v2_fd, uint64_t cgroup_id)
{
	union {
		struct file_handle handle;
		char bytes[sizeof(struct file_handle) + sizeof(cgroup_id)];
	} u = { .handle = { .handle_bytes = sizeof(cgroup_id), .handle_type = FILEID_KERNFS } };

	memcpy(u.bytes + sizeof(struct file_handle), &cgroup_id, sizeof(cgroup_id));
	return open_by_handle_at(v2_fd, &u.handle, O_PATH | O_CLOEXEC);
}

bool pyi_bpf_cgroup_exists(int v2_fd, uint64_t cgroup_id)
{
	_cleanup_fd int fd = open_cgroup(v2_fd, cgroup_id);

	return fd >= 0 || (errno != ESTALE && errno != ENOENT);
}

bool pyi_bpf_cgroup_is_below(int v2_fd, uint64_t cgroup_id, uint64_t parent_cgroup)
{
	_cleanup_fd int fd = open_cgroup(v2_fd, cgroup_id);
	struct stat st;

	return fd >= 0 && fstatat(fd, "..", &st, 0) == 0 && (uint64_t)st.st_ino == parent_cgroup;
}

static int open_map(int dir_fd, const char *name, int *ret_fd)
{
	LIBBPF_OPTS(bpf_obj_get_opts, opts, .file_flags = BPF_F_PATH_FD, .path_fd = dir_fd);
	char path[PATH_MAX];
	int fd;

	fd = bpf_obj_get_opts(name, &opts);
	if (fd == -EINVAL) {
		/* Kernels before 6.5 take whole paths only. */
		snprintf(path, sizeof(path), "/proc/self/fd/%d/%s", dir_fd, name);
		fd = bpf_obj_get(path);
	}
	if (fd < 0)
		return fd;
	*ret_fd = fd;
	return 0;
}

int pyi_bpf_pins_open_net(struct pyi_bpf_maps *maps)
{
	return maps->net_use >= 0 ? 0 : open_map(maps->lock, "net_use", &maps->net_use);
}

int pyi_bpf_pins_open_events(struct pyi_bpf_maps *maps)
{
	int ret = maps->event_more >= 0 ? 0 : open_map(maps->lock, "event_more", &maps->event_more);

	if (ret == 0 && maps->event_paths < 0)
		ret = open_map(maps->lock, "event_paths", &maps->event_paths);
	return ret;
}

int pyi_bpf_pins_open_rings(struct pyi_bpf_maps *maps)
{
	return maps->rings >= 0 ? 0 : open_map(maps->lock, "rings", &maps->rings);
}

int pyi_bpf_pins_open_contracts(struct pyi_bpf_maps *maps)
{
	int ret = maps->contract_code >= 0
			  ? 0
			  : open_map(maps->lock, "contract_code", &maps->contract_code);

	if (ret == 0 && maps->contract_state < 0)
		ret = open_map(maps->lock, "contract_state", &maps->contract_state);
	return ret;
}

static int check_meta(int dir_fd, uint64_t parent_cgroup, struct pyi_bpf_maps *maps)
{
	struct pyi_abi_meta meta = { 0 };
	_cleanup_fd int fd = -1;
	uint32_t zero = 0;
	int ret = open_map(dir_fd, "meta", &fd);

	if (ret < 0)
		return ret;
	if (bpf_map_lookup_elem(fd, &zero, &meta) < 0)
		return -ESTALE;
	if (meta.abi != PYI_ABI || meta.parent_cgroup != parent_cgroup ||
	    strncmp(meta.digest, PYI_BPF_DIGEST, sizeof(meta.digest)) != 0)
		return -ESTALE;
	maps->lsm_errnum = (int)meta.lsm_errnum;
	snprintf(maps->lsm_detail, sizeof(maps->lsm_detail), "%.95s", meta.lsm_detail);
	return 0;
}

void pyi_bpf_pins_name(uint64_t parent_cgroup, char name[PYI_PINS_NAME_MAX])
{
	snprintf(name, PYI_PINS_NAME_MAX, PYI_BPF_BUILD "-%" PRIx64, parent_cgroup);
}

static const enum bpf_attach_type types[] = {
	BPF_CGROUP_INET4_CONNECT,    BPF_CGROUP_INET6_CONNECT, BPF_CGROUP_UDP4_SENDMSG,
	BPF_CGROUP_UDP6_SENDMSG,     BPF_CGROUP_INET4_BIND,    BPF_CGROUP_INET6_BIND,
	BPF_CGROUP_INET_SOCK_CREATE, BPF_CGROUP_DEVICE,	       BPF_CGROUP_INET_INGRESS,
	BPF_CGROUP_INET_EGRESS,
};

int pyi_bpf_count_attached(int parent_fd)
{
	uint32_t n = 0;
	int ret = bpf_prog_query(parent_fd, types[0], 0, NULL, NULL, &n);

	return ret < 0 ? ret : (int)n;
}

/*
 * A link can be detached by whoever is root, and pins do not show it: ask the cgroup itself. Twice
 * attached is wrong too: the other set denies what this one allows.
 */
static int check_attached(int parent_fd)
{
	for (size_t i = 0; i < PYI_ARRAY_SIZE(types); i++) {
		uint32_t n = 0;
		int ret = bpf_prog_query(parent_fd, types[i], 0, NULL, NULL, &n);

		if (ret < 0)
			return ret;
		if (n != 1)
			return -ESTALE;
	}
	return 0;
}

/* Links to LSM hooks cannot be detached, only unpinned; all are unpinned or none. */
static int open_lsm(struct pyi_bpf_maps *maps)
{
	int ret = open_map(maps->lock, "bodies", &maps->bodies);

	if (ret == 0)
		ret = open_map(maps->lock, "arena", &maps->arena);
	if (ret == 0 && faccessat(maps->lock, "link_on_file_open", F_OK, 0) < 0)
		ret = -ESTALE;
	return ret;
}

int pyi_bpf_pins_open(int parent_fd, uint64_t parent_cgroup, struct pyi_bpf_maps *ret_maps)
{
	struct pyi_bpf_maps maps = PYI_BPF_MAPS_INIT;
	char name[PYI_PINS_NAME_MAX], path[128];
	int ret = pyi_bpf_pins_check_top();

	if (ret < 0)
		return ret;
	pyi_bpf_pins_name(parent_cgroup, name);
	snprintf(path, sizeof(path), PYI_PINS_ABI "/%s", name);
	maps.lock = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (maps.lock < 0)
		return -errno;
	/* From here on nobody removes them; where somebody is at it, we come too late. */
	if (flock(maps.lock, LOCK_SH | LOCK_NB) < 0) {
		pyi_bpf_maps_close(&maps);
		return -ESTALE;
	}
	ret = check_meta(maps.lock, parent_cgroup, &maps);
	if (ret == 0)
		ret = open_map(maps.lock, "assignments", &maps.assignments);
	if (ret == 0)
		ret = open_map(maps.lock, "stats", &maps.stats);
	if (ret == 0)
		ret = open_map(maps.lock, "net_rows", &maps.net_rows);
	if (ret == 0 && !maps.lsm_errnum)
		ret = open_lsm(&maps);
	if (ret == 0)
		ret = check_attached(parent_fd);
	if (ret < 0) {
		pyi_bpf_maps_close(&maps);
		return ret == -ENOENT ? -ESTALE : ret;
	}
	*ret_maps = maps;
	return 0;
}

/* Is a sandbox alive that is assigned in these maps? */
static bool has_live_assignment(int dir_fd, int v2_fd)
{
	_cleanup_fd int map = -1;
	uint64_t key = 0, next;
	bool first = true;

	if (open_map(dir_fd, "assignments", &map) < 0)
		return false;
	while (bpf_map_get_next_key(map, first ? NULL : &key, &next) == 0) {
		if (pyi_bpf_cgroup_exists(v2_fd, next))
			return true;
		key = next;
		first = false;
	}
	return false;
}

/* An unpinned link detaches in its own time; the next set of programs must not meet it. */
static void unpin(int dir_fd, const char *name)
{
	_cleanup_fd int link = -1;

	if (strncmp(name, "link_", 5) == 0 && open_map(dir_fd, name, &link) == 0)
		(void)bpf_link_detach(link);
	unlinkat(dir_fd, name, 0);
}

/* Remove one directory of pins unless it is in use. Under the loaders' lock. */
static int remove_build(int abi_fd, const char *name, int v2_fd)
{
	_cleanup_fd int fd = openat(abi_fd, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	struct dirent *entry;
	int dup_fd;
	DIR *dir;

	if (fd < 0)
		return errno == ENOENT ? 0 : -errno;
	if (flock(fd, LOCK_EX | LOCK_NB) < 0 || has_live_assignment(fd, v2_fd))
		return -EBUSY;
	dup_fd = openat(fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	dir = dup_fd < 0 ? NULL : fdopendir(dup_fd);
	if (!dir) {
		pyi_close_fd(&dup_fd);
		return -errno;
	}
	while ((entry = readdir(dir)))
		if (entry->d_name[0] != '.')
			unpin(fd, entry->d_name);
	closedir(dir);
	return unlinkat(abi_fd, name, AT_REMOVEDIR) < 0 && errno != ENOENT ? -errno : 0;
}

/*
 * All directories but `keep` (NULL: none); only_tmp: only what loaders left that are gone. 0, or the error of one that
 * could not be removed.
 */
static int remove_builds(int v2_fd, bool only_tmp, const char *keep)
{
	int fd = open(PYI_PINS_ABI, O_RDONLY | O_DIRECTORY | O_CLOEXEC), ret = 0, one;
	DIR *dir = fd < 0 ? NULL : fdopendir(fd);
	struct dirent *entry;

	if (!dir) {
		pyi_close_fd(&fd);
		return errno == ENOENT ? 0 : -errno;
	}
	while ((entry = readdir(dir))) {
		if (entry->d_name[0] == '.' || (only_tmp && strncmp(entry->d_name, "tmp-", 4) != 0) ||
		    (keep && strcmp(entry->d_name, keep) == 0))
			continue;
		one = remove_build(fd, entry->d_name, v2_fd);
		if (one < 0 && one != -ENOTDIR)
			ret = one;
	}
	closedir(dir);
	return ret;
}

bool pyi_bpf_pins_are_in_making(uint64_t parent_cgroup)
{
	char name[PYI_PINS_NAME_MAX], tmp[64];
	DIR *dir = opendir(PYI_PINS_ABI);
	struct dirent *entry;
	bool found = false;

	if (!dir)
		return false;
	pyi_bpf_pins_name(parent_cgroup, name);
	snprintf(tmp, sizeof(tmp), "tmp-%s-", name);
	while (!found && (entry = readdir(dir)))
		found = strncmp(entry->d_name, tmp, strlen(tmp)) == 0;
	closedir(dir);
	return found;
}

/* Is this still the directory of that name? Who unloads removes it while others wait for its lock. */
static bool is_in_place(int fd, const char *path)
{
	struct stat held, named;

	return fstat(fd, &held) == 0 && stat(path, &named) == 0 && held.st_ino == named.st_ino &&
	       held.st_dev == named.st_dev;
}

int pyi_bpf_pins_lock(int *ret_fd, struct pyi_err *err)
{
	for (;;) {
		_cleanup_fd int fd = -1;

		if (mkdir(PYI_PINS_TOP, 0700) < 0 && errno != EEXIST)
			return pyi_err_sys(err, errno, "cannot make '" PYI_PINS_TOP "'");
		fd = pyi_bpf_pins_open_top();
		if (fd < 0 && errno == ENOENT)
			continue;
		if (fd < 0 && errno == EACCES)
			return pyi_err_set(err, EACCES, PYI_PINS_FOREIGN);
		if (fd < 0 || flock(fd, LOCK_EX) < 0)
			return pyi_err_sys(err, errno, "cannot lock '" PYI_PINS_TOP "'");
		if (is_in_place(fd, PYI_PINS_TOP)) {
			*ret_fd = pyi_take_fd(&fd);
			return 0;
		}
	}
}

static int silent(enum libbpf_print_level level, const char *format, va_list args)
{
	return 0;
}

const char *pyi_bpf_last_line(char *log)
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

int pyi_bpf_pin(const char *dir, const char *kind, const char *name, int fd, struct pyi_err *err)
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

	bpf_object__for_each_map (map, skel->obj) {
		/* What libbpf makes of constants is not for others to open. */
		if (strchr(bpf_map__name(map), '.'))
			continue;
		ret = pyi_bpf_pin(dir, "", bpf_map__name(map), bpf_map__fd(map), err);
		if (ret < 0)
			return ret;
	}
	bpf_object__for_each_program (prog, skel->obj) {
		struct bpf_link *link;

		link = PYI_FAULT(511, EPERM) ? NULL : bpf_program__attach_cgroup(prog, parent_fd);
		if (!link)
			return pyi_err_sys(err, errno, "cannot attach BPF program '%s'",
					   bpf_program__name(prog));
		/* The pin keeps it, and takes it along when it goes. */
		ret = pyi_bpf_pin(dir, "link_", bpf_program__name(prog), bpf_link__fd(link), err);
		bpf_link__destroy(link);
		if (ret < 0)
			return ret;
	}
	return 0;
}

/* The LSM programs beside them; where they cannot be had, why not is written down, and that is no error. */
static void load_lsm(struct cgroup *skel, const char *dir, int parent_fd,
		     const struct pyi_fact *lsm, struct pyi_abi_meta *meta)
{
	const struct pyi_bpf_maps shared = {
		.assignments = bpf_map__fd(skel->maps.assignments),
		.stats = bpf_map__fd(skel->maps.stats),
		.net_rows = bpf_map__fd(skel->maps.net_rows),
		.contract_code = bpf_map__fd(skel->maps.contract_code),
		.contract_state = bpf_map__fd(skel->maps.contract_state),
		.event_more = bpf_map__fd(skel->maps.event_more),
		.event_paths = bpf_map__fd(skel->maps.event_paths),
		.rings = bpf_map__fd(skel->maps.rings),
	};
	struct pyi_err err = { 0 };

	meta->lsm_errnum = (uint32_t)lsm->errnum;
	snprintf(meta->lsm_detail, sizeof(meta->lsm_detail), "%.95s", lsm->detail);
	if (lsm->errnum || !pyi_bpf_lsm_load(dir, parent_fd, &shared, &err))
		return;
	meta->lsm_errnum = (uint32_t)(err.errnum ? err.errnum : EINVAL);
	snprintf(meta->lsm_detail, sizeof(meta->lsm_detail), "%.95s", err.msg);
}

static int load(const char *dir, int parent_fd, uint64_t parent_cgroup, const struct pyi_fact *lsm,
		struct pyi_err *err)
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
	snprintf(meta.digest, sizeof(meta.digest), "%s", PYI_BPF_DIGEST);
	old = libbpf_set_print(silent);
	skel = cgroup__open_opts(&opts);
	if (!skel) {
		ret = pyi_err_sys(err, errno, "cannot open the built-in BPF object");
		goto out;
	}
	ret = PYI_FAULT(512, EPERM) ? -errno : cgroup__load(skel);
	if (ret < 0)
		ret = log[0] ? pyi_err_sys(err, -ret, "cannot load the BPF programs (%.200s)",
					   pyi_bpf_last_line(log))
			     : pyi_err_sys(err, -ret, "cannot load the BPF programs");
	if (ret == 0)
		ret = attach_and_pin(skel, dir, parent_fd, err);
	if (ret == 0)
		load_lsm(skel, dir, parent_fd, lsm, &meta);
	if (ret == 0 && bpf_map_update_elem(bpf_map__fd(skel->maps.meta), &zero, &meta, BPF_ANY) < 0)
		ret = pyi_err_sys(err, errno, "cannot write a BPF map");
out:
	cgroup__destroy(skel);
	libbpf_set_print(old);
	return ret;
}

/* Under a lock on the directory below it: two at once would mount two, and each load its programs into its own. */
int pyi_bpf_fs_mount(void)
{
	_cleanup_fd int lock = -1;

	if (pyi_bpf_fs_is_there())
		return 0;
	lock = open(PYI_BPFFS, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (lock < 0 || flock(lock, LOCK_EX) < 0)
		return -errno;
	if (pyi_bpf_fs_is_there())
		return 0;
	if (PYI_FAULT(514, EPERM) ||
	    mount("bpf", PYI_BPFFS, "bpf", MS_NOSUID | MS_NODEV | MS_NOEXEC, "mode=0700") < 0)
		return -errno;
	return 0;
}

static int mount_fs(struct pyi_err *err)
{
	int ret = pyi_bpf_fs_mount();

	return ret < 0 ? pyi_err_sys(err, -ret, "cannot mount the BPF file system at '" PYI_BPFFS "'")
		       : 0;
}

int pyi_bpf_pins_load(int parent_fd, uint64_t parent_cgroup, const struct pyi_fact *lsm,
		      struct pyi_bpf_maps *ret_maps, struct pyi_err *err)
{
	_cleanup_fd int lock = -1, abi_fd = -1;
	char name[PYI_PINS_NAME_MAX], dir[128], path[128];
	int ret = mount_fs(err);

	if (ret == 0)
		ret = pyi_bpf_pins_lock(&lock, err);
	if (ret < 0)
		return ret;
	if (mkdir(PYI_PINS_ABI, 0700) < 0 && errno != EEXIST)
		return pyi_err_sys(err, errno, "cannot make '" PYI_PINS_ABI "'");
	abi_fd = open(PYI_PINS_ABI, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (abi_fd < 0)
		return pyi_err_sys(err, errno, "cannot open '" PYI_PINS_ABI "'");
	ret = pyi_bpf_pins_open(parent_fd, parent_cgroup, ret_maps);
	if (ret == 0)
		return 0; /* somebody else was faster */
	pyi_bpf_pins_name(parent_cgroup, name);
	(void)remove_builds(parent_fd, false, name);
	ret = remove_build(abi_fd, name, parent_fd);
	if (ret < 0)
		return pyi_err_sys(err, -ret,
				   "the damaged BPF programs in '" PYI_PINS_ABI
				   "/%s' cannot be replaced",
				   name);
	snprintf(dir, sizeof(dir), PYI_PINS_ABI "/tmp-%s-%d", name, getpid());
	snprintf(path, sizeof(path), PYI_PINS_ABI "/%s", name);
	if (mkdir(dir, 0700) < 0)
		return pyi_err_sys(err, errno, "cannot make '%s'", dir);
	ret = load(dir, parent_fd, parent_cgroup, lsm, err);
	if (ret == 0 && check_attached(parent_fd) < 0)
		ret = pyi_err_set(err, EBUSY,
				  "somebody else attached BPF programs to our control group; try again");
	if (ret == 0 && (PYI_FAULT(513, EIO) || rename(dir, path) < 0))
		ret = pyi_err_sys(err, errno, "cannot rename '%s'", dir);
	if (ret == 0) {
		ret = pyi_bpf_pins_open(parent_fd, parent_cgroup, ret_maps);
		if (ret < 0)
			pyi_err_sys(err, -ret, "cannot open the pins in '%s'", path);
	}
	if (ret < 0)
		(void)remove_builds(parent_fd, true, NULL);
	return ret;
}

int pyi_bpf_pins_remove(int v2_fd, uint64_t parent_cgroup, struct pyi_err *err)
{
	_cleanup_fd int lock = -1, abi_fd = -1;
	char name[PYI_PINS_NAME_MAX];
	int ret;

	if (!pyi_bpf_fs_is_there() || access(PYI_PINS_ABI, F_OK) < 0)
		return 0;
	ret = pyi_bpf_pins_lock(&lock, err);
	if (ret < 0)
		return ret;
	abi_fd = open(PYI_PINS_ABI, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (abi_fd < 0)
		return pyi_err_sys(err, errno, "cannot open '" PYI_PINS_ABI "'");
	if (!parent_cgroup && pyi_bpf_named_remove() == -EBUSY)
		return pyi_err_set(err, EBUSY,
				   "named sandboxes are still running: 'pyisolate stats' lists them");
	pyi_bpf_pins_name(parent_cgroup, name);
	ret = parent_cgroup ? remove_build(abi_fd, name, v2_fd) : remove_builds(v2_fd, false, NULL);
	if (ret == -EBUSY)
		return pyi_err_set(err, EBUSY, "sandboxes are still running");
	if (ret < 0)
		return pyi_err_sys(err, -ret, "cannot remove the pins in '" PYI_PINS_ABI "'");
	if (!parent_cgroup) {
		rmdir(PYI_PINS_ABI);
		rmdir(PYI_PINS_TOP);
	}
	return 0;
}
