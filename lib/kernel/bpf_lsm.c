/* SPDX-License-Identifier: MIT */
/*
 * Loading the LSM programs, attaching them to their hooks, pinning them. All or none: each hook that is missing would
 * be a way around the others, and kernels that have bpf_path_d_path (6.12) have all of them.
 */
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/err.h"
#include "base/fault.h"
#include "base/util.h"
#include "kernel/bpf_pins.h"
#include "kernel/sys.h"
#include "lsm.skel.h"

enum {
	LOG_BYTES = 1 << 20,
	ROOT_ID = 1, /* of the first cgroup of a hierarchy, which is made before all others */
	LEVELS_MAX = 4096,
};

static int silent(enum libbpf_print_level level, const char *format, va_list args)
{
	return 0;
}

static int share(struct lsm *skel, const struct pyi_bpf_maps *shared)
{
	int ret = bpf_map__reuse_fd(skel->maps.assignments, shared->assignments);

	if (ret == 0)
		ret = bpf_map__reuse_fd(skel->maps.stats, shared->stats);
	if (ret == 0)
		ret = bpf_map__reuse_fd(skel->maps.net_rows, shared->net_rows);
	if (ret == 0)
		ret = bpf_map__reuse_fd(skel->maps.event_more, shared->event_more);
	if (ret == 0)
		ret = bpf_map__reuse_fd(skel->maps.event_paths, shared->event_paths);
	if (ret == 0)
		ret = bpf_map__reuse_fd(skel->maps.rings, shared->rings);
	if (ret == 0)
		ret = bpf_map__reuse_fd(skel->maps.contract_code, shared->contract_code);
	if (ret == 0)
		ret = bpf_map__reuse_fd(skel->maps.contract_state, shared->contract_state);
	return ret;
}

/*
 * No step may cross a mount, which could lead elsewhere: the programs take what is not where they are told for somebody
 * else's.
 */
int pyi_bpf_level(int cgroup_fd)
{
	_cleanup_fd int fd = openat(cgroup_fd, ".", O_PATH | O_DIRECTORY | O_CLOEXEC);
	struct stat st;

	for (int level = 0; level < LEVELS_MAX; level++) {
		int next;

		if (fd < 0 || fstat(fd, &st) < 0)
			return 0;
		if (st.st_ino == ROOT_ID)
			return level;
		next = pyi_sys_openat2(fd, "..", O_PATH | O_DIRECTORY | O_CLOEXEC, RESOLVE_NO_XDEV);
		pyi_close_fd(&fd);
		fd = next;
	}
	return 0;
}

/* Which cgroup the programs judge: constants, which they can have only before they are loaded. */
static int name_parent(struct lsm *skel, int parent_fd)
{
	struct stat st;

	if (fstat(parent_fd, &st) < 0)
		return -errno;
	skel->rodata->parent_id = st.st_ino;
	skel->rodata->parent_level = pyi_bpf_level(parent_fd);
	return 0;
}

static int pin_maps(struct lsm *skel, const char *dir, struct pyi_err *err)
{
	struct bpf_map *const maps[] = { skel->maps.bodies, skel->maps.arena };
	int ret = 0;

	for (size_t i = 0; i < PYI_ARRAY_SIZE(maps) && !ret; i++)
		ret = pyi_bpf_pin(dir, "", bpf_map__name(maps[i]), bpf_map__fd(maps[i]), err);
	return ret;
}

static int attach_and_pin(struct lsm *skel, const char *dir, struct pyi_err *err)
{
	struct bpf_program *prog;
	int ret;

	bpf_object__for_each_program (prog, skel->obj) {
		struct bpf_link *link = PYI_FAULT(520, EPERM) ? NULL : bpf_program__attach_lsm(prog);

		if (!link)
			return pyi_err_sys(err, errno, "cannot attach '%s'",
					   bpf_program__section_name(prog));
		ret = pyi_bpf_pin(dir, "link_", bpf_program__name(prog), bpf_link__fd(link), err);
		bpf_link__destroy(link);
		if (ret < 0)
			return ret;
	}
	return 0;
}

/* What was pinned of a set that did not get complete, which would go on denying. */
static void unpin_all(struct lsm *skel, const char *dir)
{
	static const char *const maps[] = { "bodies", "arena" };
	_cleanup_fd int dir_fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	struct bpf_program *prog;
	char name[128];

	bpf_object__for_each_program (prog, skel->obj) {
		snprintf(name, sizeof(name), "link_%s", bpf_program__name(prog));
		unlinkat(dir_fd, name, 0);
	}
	for (size_t i = 0; i < PYI_ARRAY_SIZE(maps); i++)
		unlinkat(dir_fd, maps[i], 0);
}

int pyi_bpf_lsm_load(const char *dir, int parent_fd, const struct pyi_bpf_maps *shared,
		     struct pyi_err *err)
{
	_cleanup_free char *log = calloc(1, LOG_BYTES);
	LIBBPF_OPTS(bpf_object_open_opts, opts, .kernel_log_buf = log, .kernel_log_size = LOG_BYTES);
	libbpf_print_fn_t old;
	struct lsm *skel;
	uint32_t zero = 0;
	int ret;

	if (!log)
		return pyi_err_nomem(err);
	old = libbpf_set_print(silent);
	skel = lsm__open_opts(&opts);
	ret = skel ? share(skel, shared) : -errno;
	if (ret == 0)
		ret = name_parent(skel, parent_fd);
	if (ret == 0)
		ret = PYI_FAULT(521, EPERM) ? -errno : lsm__load(skel);
	if (ret < 0)
		ret = log[0] ? pyi_err_sys(err, -ret, "LSM programs (%.60s)", pyi_bpf_last_line(log))
			     : pyi_err_sys(err, -ret, "loading the LSM programs");
	if (ret == 0 &&
	    bpf_map_update_elem(bpf_map__fd(skel->maps.parent), &zero, &parent_fd, BPF_ANY) < 0)
		ret = pyi_err_sys(err, errno, "cannot name the control group to the LSM programs");
	if (ret == 0)
		ret = pin_maps(skel, dir, err);
	if (ret == 0)
		ret = attach_and_pin(skel, dir, err);
	if (ret < 0 && skel)
		unpin_all(skel, dir);
	lsm__destroy(skel);
	libbpf_set_print(old);
	return ret;
}
