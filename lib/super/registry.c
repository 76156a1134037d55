/* SPDX-License-Identifier: MIT */
/* The registry of named sandboxes over its two kinds of storage; see registry.h. */
#include "super/registry.h"

#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "base/err.h"
#include "base/fault.h"
#include "base/io.h"
#include "base/lock.h"
#include "base/proc.h"
#include "base/util.h"
#include "kernel/bpf_named.h"
#include "kernel/bpf_pins.h"
#include "report/result.h"
#include "super/event_log.h"
#include "super/registry_files.h"
#include "super/state_dir.h"

enum { NAME_MAX_LEN = 64, LOCK_TIMEOUT_MS = 10000, EVICT_AT_ONCE = 64 };

struct storage {
	const char *kind;
	int (*get)(int fd, const struct pyi_abi_name *name, struct pyi_abi_sandbox *ret_sandbox);
	int (*put)(int fd, const struct pyi_abi_name *name, const struct pyi_abi_sandbox *sandbox);
	int (*remove)(int fd, const struct pyi_abi_name *name);
	int (*list)(int fd, struct pyi_abi_name **ret_names, struct pyi_abi_sandbox **ret_sandboxes,
		    size_t *ret_n);
};

static const struct storage in_bpf = { "bpf", pyi_bpf_named_get, pyi_bpf_named_put,
				       pyi_bpf_named_delete, pyi_bpf_named_list };
static const struct storage in_files = { "files", pyi_registry_files_get, pyi_registry_files_put,
					 pyi_registry_files_delete, pyi_registry_files_list };

struct pyi_registry {
	const struct storage *storage;
	int fd;		     /* the map or the directory; -1: there is none yet, so it is empty */
	char path[PATH_MAX]; /* of the directory */
};

unsigned long long pyi_registry_now_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_BOOTTIME, &now);
	return (unsigned long long)now.tv_sec * 1000000000 + (unsigned long long)now.tv_nsec;
}

void pyi_registry_free(struct pyi_registry *registry)
{
	if (!registry)
		return;
	pyi_close_fd(&registry->fd);
	free(registry);
}

const char *pyi_registry_kind(const struct pyi_registry *registry)
{
	return registry->storage->kind;
}

static int open_files(struct pyi_registry *registry, const struct pyi_state_dir *dir, bool create,
		      struct pyi_err *err)
{
	int ret = pyi_state_dir_below(dir, "sandboxes", create, registry->path, err);

	registry->storage = &in_files;
	if (ret == -ENOENT && !create)
		return 0;
	if (ret < 0)
		return ret;
	registry->fd = open(registry->path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	return registry->fd < 0 ? pyi_err_sys(err, errno, "cannot open '%s'", registry->path) : 0;
}

/* Root's is in the pinned map wherever BPF maps can be had; files are for those who have none. */
static int open_storage(struct pyi_registry *registry, bool create, struct pyi_err *err)
{
	struct pyi_state_dir dir = { .is_chosen = false };
	int ret, map_ret;

	ret = pyi_state_dir_find(create, &dir, err);
	if (ret < 0 && (create || ret != -ENOENT))
		return ret;
	if (geteuid() == 0 && !dir.is_chosen) {
		map_ret = PYI_FAULT(900, EPERM) ? -errno : pyi_bpf_named_open(create, &registry->fd);
		registry->storage = &in_bpf;
		if (map_ret == 0)
			return 0;
		if (map_ret == -EPROTO)
			return pyi_err_set(err, EPROTO,
					   "the pinned map of named sandboxes is another version's: "
					   "'pyisolate doctor --unload' removes it");
		if (map_ret == -EACCES)
			return pyi_err_set(err, EACCES, PYI_PINS_FOREIGN);
	}
	if (ret < 0) { /* nothing there, and nothing to be made */
		registry->storage = &in_files;
		return 0;
	}
	return open_files(registry, &dir, create, err);
}

int pyi_registry_open(bool create, struct pyi_registry **ret_registry, struct pyi_err *err)
{
	struct pyi_registry *registry = calloc(1, sizeof(*registry));
	int ret;

	if (!registry)
		return pyi_err_nomem(err);
	registry->fd = -1;
	ret = open_storage(registry, create, err);
	if (ret < 0) {
		pyi_registry_free(registry);
		return ret;
	}
	*ret_registry = registry;
	return 0;
}

static int take_lock(const struct pyi_registry *registry, int timeout_ms, int *ret_fd,
		     struct pyi_err *err)
{
	int ret = registry->storage == &in_bpf ? pyi_bpf_named_lock(timeout_ms, ret_fd)
					       : pyi_lock_dir(registry->path, timeout_ms, ret_fd);

	if (PYI_FAULT(901, ENOLCK))
		ret = -errno;
	if (ret == -ETIMEDOUT)
		return pyi_err_set(err, ETIMEDOUT,
				   "the registry of named sandboxes has been locked by another "
				   "process for %d s",
				   timeout_ms / 1000);
	return ret < 0 ? pyi_err_sys(err, -ret, "cannot lock the registry of named sandboxes") : 0;
}

int pyi_registry_check_name(const char *name, struct pyi_err *err)
{
	size_t len = strspn(name, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_-");

	if (len == 0 || name[len] || len > NAME_MAX_LEN || name[0] == '-')
		return pyi_err_set(err, EINVAL,
				   "'%.80s' is no name of a sandbox: 1 to %d letters, digits, '_' and "
				   "'-', not first",
				   name, NAME_MAX_LEN);
	return 0;
}

static struct pyi_abi_name make_key(const char *name)
{
	struct pyi_abi_name key = { 0 };

	snprintf(key.text, sizeof(key.text), "%s", name);
	return key;
}

static uint64_t own_pid_ns(void)
{
	static uint64_t cached_pid_ns;
	struct stat st;

	if (!cached_pid_ns && stat("/proc/self/ns/pid", &st) == 0)
		cached_pid_ns = (uint64_t)st.st_ino;
	return cached_pid_ns;
}

/* The first 64 bits of the random id of this boot; 0 where it cannot be read. */
static uint64_t own_boot(void)
{
	static uint64_t cached_boot;
	char text[64], digits[17];
	size_t n = 0;

	if (cached_boot ||
	    pyi_read_at(AT_FDCWD, "/proc/sys/kernel/random/boot_id", text, sizeof(text)) < 0)
		return cached_boot;
	for (size_t i = 0; text[i] && n < 16; i++)
		if (text[i] != '-')
			digits[n++] = text[i];
	digits[n] = '\0';
	cached_boot = strtoull(digits, NULL, 16);
	return cached_boot;
}

int pyi_registry_identify_self(struct pyi_abi_identity *ret_identity, struct pyi_err *err)
{
	struct pyi_proc self;
	int ret = pyi_proc_identify(getpid(), &self);

	if (ret < 0)
		return pyi_err_sys(err, -ret, "cannot read '/proc/%d/stat'", getpid());
	*ret_identity = (struct pyi_abi_identity){
		.start_ticks = self.start_ticks,
		.pid_ns = own_pid_ns(),
		.boot = own_boot(),
		.pid = self.pid,
	};
	return 0;
}

bool pyi_sandbox_has_ended(const struct pyi_abi_sandbox *sandbox)
{
	return sandbox->state >= PYI_STATE_COMPLETED;
}

bool pyi_sandbox_is_live(const struct pyi_abi_sandbox *sandbox)
{
	const struct pyi_abi_identity *owner = &sandbox->owner;
	struct pyi_proc proc = { owner->pid, owner->start_ticks };

	if (pyi_sandbox_has_ended(sandbox) || owner->boot != own_boot())
		return false;
	return owner->pid_ns != own_pid_ns() || pyi_proc_is_alive(&proc);
}

static bool is_same_owner(const struct pyi_abi_identity *a, const struct pyi_abi_identity *b)
{
	return a->pid == b->pid && a->start_ticks == b->start_ticks && a->pid_ns == b->pid_ns &&
	       a->boot == b->boot;
}

static int read_entry(struct pyi_registry *registry, const char *name,
		      struct pyi_abi_sandbox *ret_sandbox, struct pyi_err *err)
{
	struct pyi_abi_name key = make_key(name);
	int ret = registry->fd < 0 ? -ENOENT : registry->storage->get(registry->fd, &key, ret_sandbox);

	if (ret == -ENOENT)
		return pyi_err_set(err, ENOENT,
				   "there is no sandbox '%s': 'pyisolate stats' lists them", name);
	if (ret == -EPROTO)
		return pyi_err_set(err, EPROTO, "'%s/%s' is another version's or damaged: remove it",
				   registry->path, name);
	return ret < 0 ? pyi_err_sys(err, -ret, "cannot read the entry of sandbox '%s'", name) : 0;
}

int pyi_registry_get(struct pyi_registry *registry, const char *name,
		     struct pyi_abi_sandbox *ret_sandbox, struct pyi_err *err)
{
	int ret = pyi_registry_check_name(name, err);

	return ret < 0 ? ret : read_entry(registry, name, ret_sandbox, err);
}

/* Of ended entries the one that ended first comes first; those that live come last, and stay. */
struct age {
	unsigned long long end_ns;
	size_t index;
};

static int compare_age(const void *a, const void *b)
{
	const struct age *x = a, *y = b;

	return x->end_ns < y->end_ns ? -1 : x->end_ns > y->end_ns;
}

/* Make room; returns the number of entries that went, or -errno. */
static int evict(struct pyi_registry *registry)
{
	_cleanup_free struct pyi_abi_sandbox *sandboxes = NULL;
	_cleanup_free struct pyi_abi_name *names = NULL;
	_cleanup_free struct age *ages = NULL;
	size_t n = 0, n_ended = 0;
	int gone = 0, ret;

	ret = registry->storage->list(registry->fd, &names, &sandboxes, &n);
	if (ret < 0)
		return ret;
	ages = calloc(n + 1, sizeof(*ages));
	if (!ages)
		return -ENOMEM;
	for (size_t i = 0; i < n; i++)
		if (!pyi_sandbox_is_live(&sandboxes[i]))
			ages[n_ended++] = (struct age){ sandboxes[i].end.end_ns, i };
	qsort(ages, n_ended, sizeof(*ages), compare_age);
	for (size_t i = 0; i < n_ended && gone < EVICT_AT_ONCE; i++)
		gone += registry->storage->remove(registry->fd, &names[ages[i].index]) == 0;
	return gone;
}

static int put_entry(struct pyi_registry *registry, const char *name,
		     const struct pyi_abi_sandbox *sandbox, struct pyi_err *err)
{
	struct pyi_abi_name key = make_key(name);
	int ret = registry->storage->put(registry->fd, &key, sandbox);

	if (ret == -E2BIG && evict(registry) > 0)
		ret = registry->storage->put(registry->fd, &key, sandbox);
	if (ret == -E2BIG)
		return pyi_err_set(err, E2BIG, "there are %d live named sandboxes: no room for more",
				   PYI_ABI_SANDBOXES);
	return ret < 0 ? pyi_err_sys(err, -ret, "cannot write the entry of sandbox '%s'", name) : 0;
}

int pyi_registry_claim(struct pyi_registry *registry, const char *name,
		       const struct pyi_abi_sandbox *sandbox, struct pyi_err *err)
{
	struct pyi_abi_sandbox entry = *sandbox, old = { 0 };
	struct pyi_err none = { 0 };
	_cleanup_fd int lock = -1;
	int ret = take_lock(registry, LOCK_TIMEOUT_MS, &lock, err);

	if (ret < 0)
		return ret;
	ret = read_entry(registry, name, &old, &none);
	if (ret < 0 && ret != -ENOENT)
		return pyi_err_set(err, -ret, "%s", none.msg);
	if (ret == 0) {
		if (pyi_sandbox_is_live(&old))
			return pyi_err_set(err, EEXIST,
					   "there is a sandbox '%s' already: 'pyisolate stop %s' "
					   "ends it",
					   name, name);
		entry.previous = (struct pyi_abi_previous){
			.start_ticks = old.owner.start_ticks,
			.pid = old.owner.pid,
			.exit_code = pyi_sandbox_has_ended(&old) ? old.end.exit_code : PYI_EXIT_FAILURE,
		};
	}
	return put_entry(registry, name, &entry, err);
}

int pyi_registry_change(struct pyi_registry *registry, const char *name,
			const struct pyi_abi_identity *owner,
			void (*fn)(struct pyi_abi_sandbox *sandbox, void *arg), void *arg,
			struct pyi_err *err)
{
	struct pyi_abi_sandbox sandbox = { 0 };
	_cleanup_fd int lock = -1;
	int ret = take_lock(registry, LOCK_TIMEOUT_MS, &lock, err);

	if (ret == 0)
		ret = read_entry(registry, name, &sandbox, err);
	if (ret < 0)
		return ret == -ENOENT ? pyi_err_set(err, ESRCH, "the entry of '%s' is gone", name) : ret;
	if (!is_same_owner(&sandbox.owner, owner))
		return pyi_err_set(err, ESRCH, "the name '%s' is another sandbox's now", name);
	fn(&sandbox, arg);
	return put_entry(registry, name, &sandbox, err);
}

int pyi_registry_lock(struct pyi_registry *registry, int timeout_ms, int *ret_lock, struct pyi_err *err)
{
	return take_lock(registry, timeout_ms, ret_lock, err);
}

int pyi_registry_put(struct pyi_registry *registry, const char *name,
		     const struct pyi_abi_sandbox *sandbox, struct pyi_err *err)
{
	return put_entry(registry, name, sandbox, err);
}

bool pyi_registry_is_owner(const struct pyi_abi_sandbox *sandbox, const struct pyi_abi_identity *owner)
{
	return is_same_owner(&sandbox->owner, owner);
}

bool pyi_registry_mark_lost(struct pyi_registry *registry, const char *name,
			    struct pyi_abi_sandbox *sandbox)
{
	struct pyi_err unused = { 0 };
	_cleanup_fd int lock = -1;

	/* Under the lock: what was read before it may be a supervisor's last word but one. */
	if (take_lock(registry, LOCK_TIMEOUT_MS, &lock, &unused) < 0 ||
	    read_entry(registry, name, sandbox, &unused) < 0 || pyi_sandbox_has_ended(sandbox) ||
	    pyi_sandbox_is_live(sandbox))
		return false;
	sandbox->state = PYI_STATE_LOST;
	sandbox->end.end_ns = pyi_registry_now_ns();
	sandbox->end.exit_code = PYI_EXIT_FAILURE;
	if (put_entry(registry, name, sandbox, &unused) < 0)
		return false;
	pyi_event_log_state(name, pyi_sandbox_state_name(sandbox->state), sandbox->owner.pid);
	return true;
}

int pyi_registry_list(struct pyi_registry *registry, struct pyi_abi_name **ret_names,
		      struct pyi_abi_sandbox **ret_sandboxes, size_t *ret_n, struct pyi_err *err)
{
	int ret;

	*ret_names = NULL;
	*ret_sandboxes = NULL;
	*ret_n = 0;
	if (registry->fd < 0)
		return 0;
	ret = registry->storage->list(registry->fd, ret_names, ret_sandboxes, ret_n);
	return ret < 0 ? pyi_err_sys(err, -ret, "cannot read the registry of named sandboxes") : 0;
}

const char *pyi_sandbox_state_name(uint32_t state)
{
	static const char *const names[] = {
		[PYI_STATE_INIT] = "init",
		[PYI_STATE_BOOTSTRAPPED] = "bootstrapped",
		[PYI_STATE_RUNNING] = "running",
		[PYI_STATE_HOT_RELOAD] = "hot_reload",
		[PYI_STATE_QUOTA_EXCEEDED] = "quota_exceeded",
		[PYI_STATE_COMPLETED] = "completed",
		[PYI_STATE_CANCELLED] = "cancelled",
		[PYI_STATE_LOST] = "lost",
	};

	return state < PYI_ARRAY_SIZE(names) && names[state] ? names[state] : "unknown";
}
