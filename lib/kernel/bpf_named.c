/* SPDX-License-Identifier: MIT */
/* The pinned map of named sandboxes; see bpf_named.h. */
#include "kernel/bpf_named.h"

#include <bpf/bpf.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/err.h"
#include "base/fault.h"
#include "base/lock.h"
#include "base/proc.h"
#include "base/util.h"
#include "kernel/bpf_pins.h"
#include "pyi_abi.h"

#define NAMED_PIN PYI_PINS_ABI "/named"

/* Not what we would have made: another program's pin, or a build's that broke its ABI. */
static int check_shape(int fd)
{
	struct bpf_map_info info = { 0 };
	uint32_t len = sizeof(info);
	int ret = bpf_map_get_info_by_fd(fd, &info, &len);

	if (ret < 0)
		return ret;
	return info.type == BPF_MAP_TYPE_HASH && info.key_size == sizeof(struct pyi_abi_name) &&
			       info.value_size == sizeof(struct pyi_abi_sandbox)
		       ? 0
		       : -EPROTO;
}

static int open_pin(int *ret_fd)
{
	_cleanup_fd int fd = -1;
	int ret = pyi_bpf_pins_check_top();

	if (ret < 0)
		return ret;
	fd = bpf_obj_get(NAMED_PIN);
	if (fd < 0)
		return fd == -EACCES ? -EPERM : fd;
	ret = check_shape(fd);
	if (ret < 0)
		return ret;
	*ret_fd = pyi_take_fd(&fd);
	return 0;
}

static int make_pin(int *ret_fd)
{
	/* Not preallocated: an idle host pays nothing, each entry half a kilobyte. */
	LIBBPF_OPTS(bpf_map_create_opts, opts, .map_flags = BPF_F_NO_PREALLOC);
	_cleanup_fd int fd = -1;
	int ret;

	fd = PYI_FAULT(520, EPERM)
		     ? -errno
		     : bpf_map_create(BPF_MAP_TYPE_HASH, "pyi_sandboxes", sizeof(struct pyi_abi_name),
				      sizeof(struct pyi_abi_sandbox), PYI_ABI_SANDBOXES, &opts);
	if (fd < 0)
		return fd;
	ret = PYI_FAULT(521, EPERM) ? -errno : bpf_obj_pin(fd, NAMED_PIN);
	if (ret == -EEXIST)
		return open_pin(ret_fd); /* somebody was faster: theirs is the one */
	if (ret < 0)
		return ret;
	*ret_fd = pyi_take_fd(&fd);
	return 0;
}

int pyi_bpf_named_open(bool create, int *ret_fd)
{
	_cleanup_fd int lock = -1;
	struct pyi_err err;
	int ret;

	ret = pyi_bpf_fs_is_there() ? open_pin(ret_fd) : -ENOENT;
	if (ret != -ENOENT || !create)
		return ret;
	ret = pyi_bpf_fs_mount();
	if (ret == 0)
		ret = pyi_bpf_pins_lock(&lock, &err); /* else who unloads takes the directory away beneath us */
	if (ret < 0)
		return ret;
	if (mkdir(PYI_PINS_ABI, 0700) < 0 && errno != EEXIST)
		return -errno;
	return make_pin(ret_fd);
}

int pyi_bpf_named_lock(int timeout_ms, int *ret_fd)
{
	return pyi_lock_dir(PYI_PINS_ABI, timeout_ms, ret_fd);
}

int pyi_bpf_named_get(int fd, const struct pyi_abi_name *name, struct pyi_abi_sandbox *ret_sandbox)
{
	return bpf_map_lookup_elem(fd, name, ret_sandbox);
}

int pyi_bpf_named_put(int fd, const struct pyi_abi_name *name, const struct pyi_abi_sandbox *sandbox)
{
	return PYI_FAULT(522, ENOMEM) ? -errno : bpf_map_update_elem(fd, name, sandbox, BPF_ANY);
}

int pyi_bpf_named_delete(int fd, const struct pyi_abi_name *name)
{
	return bpf_map_delete_elem(fd, name);
}

int pyi_bpf_named_list(int fd, struct pyi_abi_name **ret_names,
		       struct pyi_abi_sandbox **ret_sandboxes, size_t *ret_n)
{
	_cleanup_free struct pyi_abi_name *names = calloc(PYI_ABI_SANDBOXES, sizeof(*names));
	_cleanup_free struct pyi_abi_sandbox *sandboxes = calloc(PYI_ABI_SANDBOXES, sizeof(*sandboxes));
	uint32_t batch, count, n = 0;
	bool first = true;
	int ret;

	if (!names || !sandboxes)
		return -ENOMEM;
	/* One bucket of the hash after the other: what is there all the time is returned once. */
	do {
		count = PYI_ABI_SANDBOXES - n;
		ret = bpf_map_lookup_batch(fd, first ? NULL : &batch, &batch, names + n,
					   sandboxes + n, &count, NULL);
		if (ret < 0 && ret != -ENOENT)
			return ret;
		n += count;
		first = false;
	} while (ret == 0 && n < PYI_ABI_SANDBOXES);
	*ret_names = pyi_take_ptr(names);
	*ret_sandboxes = pyi_take_ptr(sandboxes);
	*ret_n = n;
	return 0;
}

static bool lives(const struct pyi_abi_sandbox *sandbox)
{
	struct pyi_proc owner = { sandbox->owner.pid, sandbox->owner.start_ticks };

	return sandbox->state < PYI_STATE_COMPLETED && pyi_proc_is_alive(&owner);
}

int pyi_bpf_named_remove(void)
{
	_cleanup_free struct pyi_abi_sandbox *sandboxes = NULL;
	_cleanup_free struct pyi_abi_name *names = NULL;
	_cleanup_fd int fd = -1, lock = -1;
	size_t n;
	int ret;

	ret = pyi_bpf_named_open(false, &fd);
	if (ret == -ENOENT)
		return 0;
	/* A map of another shape has nothing of ours. */
	if (ret == 0) {
		ret = pyi_bpf_named_lock(5000, &lock);
		if (ret == 0)
			ret = pyi_bpf_named_list(fd, &names, &sandboxes, &n);
		for (size_t i = 0; ret == 0 && i < n; i++)
			if (lives(&sandboxes[i]))
				ret = -EBUSY;
		if (ret < 0)
			return ret;
	}
	return unlink(NAMED_PIN) < 0 && errno != ENOENT ? -errno : 0;
}
