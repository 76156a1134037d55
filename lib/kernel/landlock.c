/* SPDX-License-Identifier: MIT */
/*
 * Landlock: handle every right this kernel's ABI knows, then allow what the rows say. What a newer ABI adds is used as
 * soon as the number is there; what an older one lacks is left to the other layers, and the planner says so.
 *
 * What each ABI adds (Documentation/userspace-api/landlock.rst): 1 files, 2 renames and links across directories,
 * 3 truncation, 4 TCP ports, 5 ioctl on devices, 6 signals and abstract sockets, 7 control of audit records.
 */
#include "kernel/landlock.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/landlock.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/err.h"
#include "base/fault.h"
#include "base/util.h"
#include "kernel/sys.h"
#include "plan/plan.h"

/* ABI 7; newer than the headers of the build root. */
#define RESTRICT_SELF_LOG_SAME_EXEC_OFF (1U << 0)

/*
 * Ports that get a rule each. A plan that allows more (a range, '*') leaves that right to the network rows in BPF,
 * which know address and port together; thousands of rules would only slow down every start.
 */
enum { PORT_RULES_MAX = 1024 };

#define FS_READ (LANDLOCK_ACCESS_FS_READ_FILE | LANDLOCK_ACCESS_FS_READ_DIR)
/*
 * REFER moves and links files between two directories that both have it; Landlock itself refuses a move that would
 * give the file more rights than it had. MAKE_CHAR and MAKE_BLOCK are handled and never allowed.
 */
#define FS_WRITE                                                          \
	(LANDLOCK_ACCESS_FS_WRITE_FILE | LANDLOCK_ACCESS_FS_TRUNCATE |    \
	 LANDLOCK_ACCESS_FS_REMOVE_DIR | LANDLOCK_ACCESS_FS_REMOVE_FILE | \
	 LANDLOCK_ACCESS_FS_MAKE_DIR | LANDLOCK_ACCESS_FS_MAKE_REG | LANDLOCK_ACCESS_FS_REFER)
#define FS_SPECIAL \
	(LANDLOCK_ACCESS_FS_MAKE_SYM | LANDLOCK_ACCESS_FS_MAKE_FIFO | LANDLOCK_ACCESS_FS_MAKE_SOCK)
/* What may be allowed on something that is not a directory. */
#define FS_FILE                                                       \
	(LANDLOCK_ACCESS_FS_EXECUTE | LANDLOCK_ACCESS_FS_WRITE_FILE | \
	 LANDLOCK_ACCESS_FS_READ_FILE | LANDLOCK_ACCESS_FS_TRUNCATE | LANDLOCK_ACCESS_FS_IOCTL_DEV)

struct port_set {
	uint8_t bits[65536 / 8];
	unsigned int n;
};

static int create_ruleset(const struct landlock_ruleset_attr *attr, size_t size, uint32_t flags)
{
	return (int)syscall(SYS_landlock_create_ruleset, attr, size, flags);
}

static int add_rule(int ruleset_fd, enum landlock_rule_type type, const void *attr)
{
	return (int)syscall(SYS_landlock_add_rule, ruleset_fd, type, attr, 0);
}

int pyi_landlock_abi(void)
{
	int abi = create_ruleset(NULL, 0, LANDLOCK_CREATE_RULESET_VERSION);

	return abi < 0 ? -errno : abi;
}

static uint64_t handled_fs(int abi)
{
	uint64_t rights = (LANDLOCK_ACCESS_FS_MAKE_SYM << 1) - 1; /* ABI 1: every right up to MAKE_SYM */

	if (abi >= 2)
		rights |= LANDLOCK_ACCESS_FS_REFER;
	if (abi >= 3)
		rights |= LANDLOCK_ACCESS_FS_TRUNCATE;
	if (abi >= 5)
		rights |= LANDLOCK_ACCESS_FS_IOCTL_DEV;
	return rights;
}

static uint64_t rights_of_row(const struct pyi_landlock_row *row)
{
	uint64_t rights = 0;

	if (row->may_list)
		rights |= LANDLOCK_ACCESS_FS_READ_DIR;
	if (row->access & PYI_READ)
		rights |= FS_READ;
	if (row->access & PYI_WRITE)
		rights |= FS_WRITE;
	if (row->access & PYI_EXEC)
		rights |= LANDLOCK_ACCESS_FS_EXECUTE;
	if (row->may_make_special && row->access & PYI_WRITE)
		rights |= FS_SPECIAL;
	return rights;
}

/*
 * Rows hold real paths: a symlink in one means that somebody has changed the host's tree since it was looked at. In
 * /proc nobody can, and there rows such as /proc/self are links.
 */
static int open_row(const char *path)
{
	bool in_proc = !strncmp(path, "/proc/", 6);

	return pyi_sys_openat2(AT_FDCWD, path, O_PATH | O_CLOEXEC, in_proc ? 0 : RESOLVE_NO_SYMLINKS);
}

static int allow_file(int ruleset_fd, const char *name, int fd, uint64_t rights, struct pyi_err *err)
{
	struct landlock_path_beneath_attr attr = { .allowed_access = rights, .parent_fd = fd };

	if (!rights)
		return 0;
	if (PYI_FAULT(603, EINVAL) || add_rule(ruleset_fd, LANDLOCK_RULE_PATH_BENEATH, &attr) < 0)
		return pyi_err_sys(err, errno, "cannot grant '%s' (landlock_add_rule)", name);
	return 0;
}

static int add_row(int ruleset_fd, const struct pyi_landlock_row *row, uint64_t handled,
		   struct pyi_err *err)
{
	_cleanup_fd int fd = open_row(row->path);
	uint64_t rights = rights_of_row(row);
	struct stat st;

	/* A device node that the host has not (a bare chroot) is not in the tree either. */
	if (fd < 0 && errno == ENOENT && strncmp(row->path, "/dev/", 5) == 0)
		return 0;
	if (fd < 0 || fstat(fd, &st) < 0)
		return pyi_err_sys(err, errno, "cannot grant '%s'", row->path);
	if (row->is_dir != (bool)S_ISDIR(st.st_mode))
		return pyi_err_set(err, row->is_dir ? ENOTDIR : EISDIR,
				   "cannot grant '%s': it has changed its kind", row->path);
	if (!row->is_dir)
		rights &= FS_FILE;
	/* A device that is granted for writing is used: terminals need their line settings (seccomp has the list). */
	if (S_ISCHR(st.st_mode) && row->access & PYI_WRITE)
		rights |= LANDLOCK_ACCESS_FS_IOCTL_DEV;
	return allow_file(ruleset_fd, row->path, fd, rights & handled, err);
}

static void port_add(struct port_set *set, unsigned int port)
{
	uint8_t bit = (uint8_t)(1U << (port % 8));

	if (!(set->bits[port / 8] & bit))
		set->n++;
	set->bits[port / 8] |= bit;
}

/* The ports of all rows whose ops_protos has this bit. */
static void collect_ports(const struct pyi_plan *plan, uint8_t use, struct port_set *set)
{
	memset(set, 0, sizeof(*set));
	for (size_t i = 0; i < plan->n_net; i++) {
		const struct pyi_net_row *row = &plan->net[i];

		for (unsigned int k = 0; k < row->n_ranges; k++) {
			const struct pyi_net_range *range = &row->ranges[k];

			if (!(range->ops_protos & use))
				continue;
			for (unsigned int port = range->port_min;
			     port <= range->port_max && set->n <= PORT_RULES_MAX; port++)
				port_add(set, port);
		}
	}
}

static int add_ports(int ruleset_fd, const struct port_set *set, uint64_t right, struct pyi_err *err)
{
	for (unsigned int port = 0; set->n && port < 65536; port++) {
		struct landlock_net_port_attr attr = { .allowed_access = right, .port = port };

		if (!(set->bits[port / 8] & 1U << (port % 8)))
			continue;
		if (PYI_FAULT(604, EINVAL) || add_rule(ruleset_fd, LANDLOCK_RULE_NET_PORT, &attr) < 0)
			return pyi_err_sys(err, errno,
					   "cannot grant TCP port %u (landlock_add_rule)", port);
	}
	return 0;
}

/*
 * Where BPF decides about connections it knows address and port together and records each refusal; Landlock's answer
 * would come first and leave no record, so there it leaves TCP alone. Without network rules it refuses all TCP.
 *
 * Decides whether a right on ports is handled at all, then, with a ruleset, adds its rules: two passes, because the
 * ruleset must be told first.
 */
static int ports(const struct pyi_plan *plan, int ruleset_fd, __u64 *handled, struct pyi_err *err)
{
	static const struct {
		uint8_t use; /* bit of ops_protos */
		uint64_t right;
	} kinds[] = {
		{ 1 << 0, LANDLOCK_ACCESS_NET_CONNECT_TCP },
		{ 1 << 2, LANDLOCK_ACCESS_NET_BIND_TCP },
	};
	struct port_set set;
	int r;

	if (plan->use_bpf_cgroup && plan->n_net)
		return 0;
	for (size_t i = 0; i < PYI_ARRAY_SIZE(kinds); i++) {
		collect_ports(plan, kinds[i].use, &set);
		if (set.n > PORT_RULES_MAX)
			continue;
		*handled |= kinds[i].right;
		if (ruleset_fd < 0)
			continue;
		r = add_ports(ruleset_fd, &set, kinds[i].right, err);
		if (r)
			return r;
	}
	return 0;
}

static int add_rows(const struct pyi_plan *plan, int ruleset_fd,
		    const struct landlock_ruleset_attr *attr, int exec_fd, struct pyi_err *err)
{
	__u64 unused = 0;
	int r;

	for (size_t i = 0; i < plan->n_landlock; i++) {
		r = add_row(ruleset_fd, &plan->landlock[i], attr->handled_access_fs, err);
		if (r)
			return r;
	}
	if (exec_fd >= 0) {
		r = allow_file(ruleset_fd, "our own binary", exec_fd,
			       LANDLOCK_ACCESS_FS_EXECUTE | LANDLOCK_ACCESS_FS_READ_FILE, err);
		if (r)
			return r;
	}
	return attr->handled_access_net ? ports(plan, ruleset_fd, &unused, err) : 0;
}

static void fill_attr(const struct pyi_plan *plan, int abi, struct landlock_ruleset_attr *attr,
		      size_t *ret_size)
{
	*attr = (struct landlock_ruleset_attr){ .handled_access_fs = handled_fs(abi) };
	*ret_size = offsetof(struct landlock_ruleset_attr, handled_access_net);
	if (abi >= 4) {
		(void)ports(plan, -1, &attr->handled_access_net, NULL);
		*ret_size = offsetof(struct landlock_ruleset_attr, scoped);
	}
	if (abi >= 6) {
		attr->scoped = LANDLOCK_SCOPE_ABSTRACT_UNIX_SOCKET | LANDLOCK_SCOPE_SIGNAL;
		*ret_size = sizeof(*attr);
	}
}

int pyi_landlock_begin(const struct pyi_plan *plan, int abi, int *ret_fd, struct pyi_err *err)
{
	struct landlock_ruleset_attr attr;
	size_t size;
	int fd = -1;

	if (abi < 1)
		return pyi_err_set(err, ENOSYS, "this kernel has no Landlock");
	fill_attr(plan, abi, &attr, &size);
	if (!PYI_FAULT(601, EOPNOTSUPP))
		fd = create_ruleset(&attr, size, 0);
	if (fd < 0)
		return pyi_err_sys(err, errno, "cannot make a Landlock ruleset of ABI %d", abi);
	*ret_fd = fd;
	return 0;
}

int pyi_landlock_allow(int ruleset_fd, int abi, int fd, const char *path, unsigned int access,
		       struct pyi_err *err)
{
	struct pyi_landlock_row row = { .access = access };
	uint64_t rights = rights_of_row(&row);
	struct stat st;

	if (fstat(fd, &st) < 0)
		return pyi_err_sys(err, errno, "cannot grant '%s'", path);
	if (!S_ISDIR(st.st_mode))
		rights &= FS_FILE;
	return allow_file(ruleset_fd, path, fd, rights & handled_fs(abi), err);
}

int pyi_landlock_end(const struct pyi_plan *plan, int abi, int ruleset_fd, int exec_fd,
		     struct pyi_err *err)
{
	/* A guest that does what is refused over and over must not fill the host's audit log. */
	uint32_t flags = abi >= 7 ? RESTRICT_SELF_LOG_SAME_EXEC_OFF : 0;
	struct landlock_ruleset_attr attr;
	size_t size;
	int r;

	fill_attr(plan, abi, &attr, &size);
	r = add_rows(plan, ruleset_fd, &attr, exec_fd, err);
	if (r)
		return r;
	if (PYI_LEFT_OUT("landlock"))
		return 0;
	if (PYI_FAULT(602, EPERM) || syscall(SYS_landlock_restrict_self, ruleset_fd, flags) < 0)
		return pyi_err_sys(err, errno, "cannot enter the Landlock domain");
	return 0;
}

int pyi_landlock_apply(const struct pyi_plan *plan, int abi, int exec_fd, struct pyi_err *err)
{
	_cleanup_fd int ruleset_fd = -1;
	int r = pyi_landlock_begin(plan, abi, &ruleset_fd, err);

	return r ? r : pyi_landlock_end(plan, abi, ruleset_fd, exec_fd, err);
}
