/* SPDX-License-Identifier: MIT */
/*
 * The LSM programs on the real kernel, as root with every capability and no other layer: what is refused here is
 * refused by them alone. Each thing that is refused has a twin that is allowed, and the record must name the hook, the
 * path and the rule. Skips where the kernel takes no LSM programs; the virtual machine's does.
 */
#include "lsm_fixture.h"

#include <linux/io_uring.h>
#include <linux/keyctl.h>
#include <linux/perf_event.h>
#include <sys/mount.h>
#include <sys/ptrace.h>

/* ------------------------------------------------------------------------------------------------------- files */

static int do_read(const char *path, const char *other)
{
	return close_or_errno(open(path, O_RDONLY | O_CLOEXEC));
}

static int do_write(const char *path, const char *other)
{
	return close_or_errno(open(path, O_RDWR | O_CLOEXEC));
}

static int do_create(const char *path, const char *other)
{
	return close_or_errno(open(path, O_CREAT | O_EXCL | O_WRONLY | O_CLOEXEC, 0600));
}

static int do_unlink(const char *path, const char *other)
{
	return or_errno(unlink(path));
}

static int do_mkdir(const char *path, const char *other)
{
	return or_errno(mkdir(path, 0700));
}

static int do_rmdir(const char *path, const char *other)
{
	return or_errno(rmdir(path));
}

static int do_symlink(const char *path, const char *other)
{
	return or_errno(symlink("/etc", path));
}

static int do_fifo(const char *path, const char *other)
{
	return or_errno(mkfifo(path, 0600));
}

static int do_link(const char *path, const char *other)
{
	return or_errno(link(path, other));
}

static int do_rename(const char *path, const char *other)
{
	return or_errno(rename(path, other));
}

static int do_exchange(const char *path, const char *other)
{
	return or_errno(renameat2(AT_FDCWD, path, AT_FDCWD, other, RENAME_EXCHANGE));
}

static int do_truncate(const char *path, const char *other)
{
	return or_errno(truncate(path, 1));
}

static int do_chmod(const char *path, const char *other)
{
	return or_errno(chmod(path, 0644));
}

static int do_chown(const char *path, const char *other)
{
	return or_errno(chown(path, 0, 0));
}

/* 0 when it was executed (it is `true`, or a script for it), else the errno. */
static int do_exec(const char *path, const char *other)
{
	char *const argv[] = { (char *)"true", NULL };

	execve(path, argv, environ);
	return errno;
}

static int do_list(const char *path, const char *other)
{
	return close_or_errno(open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC));
}

static int do_map_exec(const char *path, const char *other)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);

	return fd < 0									? 255
	       : mmap(NULL, 1, PROT_READ | PROT_EXEC, MAP_PRIVATE, fd, 0) == MAP_FAILED ? errno
											: 0;
}

struct twin {
	const char *name;
	int (*fn)(const char *path, const char *other);
	const char *allowed, *allowed_other;
	const char *denied, *denied_other;
	const char *hook, *at; /* of the denial; `at` when it is not `denied` */
	int rule;	       /* -1: none */
	int errnum;
};

/* Paths are below the test's directory; see make_tree() and rules[] in the fixture. */
static const struct twin twins[] = {
	{ "read", do_read, "r/file", 0, "w/deny/file", 0, "open", 0, RULE_DENY, EPERM },
	{ "read by default", do_read, "w/file", 0, "other", 0, "open", 0, -1, EPERM },
	{ "read against a pattern", do_read, "w/sub/file", 0, "w/sub/x.key", 0, "open", 0,
	  RULE_KEYS, EPERM },
	{ "write", do_write, "w/file", 0, "r/file", 0, "open", 0, -1, EPERM },
	{ "write by a pattern", do_write, "p/a.out", 0, "p/a.in", 0, "open", 0, -1, EPERM },
	{ "create", do_create, "w/new", 0, "r/new", 0, "create", 0, -1, EPERM },
	{ "create by a pattern", do_create, "p/b.out", 0, "p/b.in", 0, "create", 0, -1, EPERM },
	{ "create against a pattern", do_create, "w/key", 0, "w/new.key", 0, "create", 0, RULE_KEYS,
	  EPERM },
	{ "unlink", do_unlink, "w/file", 0, "r/file", 0, "unlink", 0, -1, EPERM },
	{ "mkdir", do_mkdir, "w/newdir", 0, "r/newdir", 0, "mkdir", 0, -1, EPERM },
	{ "rmdir", do_rmdir, "w/empty", 0, "r/empty", 0, "rmdir", 0, -1, EPERM },
	{ "symlink", do_symlink, "w/link", 0, "r/link", 0, "symlink", 0, -1, EPERM },
	{ "fifo", do_fifo, "w/fifo", 0, "w/deny/fifo", 0, "create", 0, RULE_DENY, EPERM },
	{ "link", do_link, "w/file", "w/hard", "w/x.key", "w/hard", "link", 0, RULE_KEYS, EPERM },
	{ "link to another directory", do_link, "w/file", "w/hard", "w/file", "w/sub/hard", "link",
	  "w/sub/hard", -1, EXDEV },
	{ "link out", do_link, "w/file", "w/hard", "r/file", "w/hard", "link", "w/hard", -1, EXDEV },
	{ "rename", do_rename, "w/file", "w/named", "w/file", "r/named", "rename", "r/named", -1, EPERM },
	{ "rename away", do_rename, "w/file", "w/sub/named", "r/file", "w/named", "rename", 0, -1, EPERM },
	{ "rename a directory", do_rename, "v/a", "v/b", "v/keep", "v/moved", "rename", "v/moved",
	  -1, EXDEV },
	{ "rename what patterns follow", do_rename, "w/up", "w/moved", "v/keep", "w/moved",
	  "rename", "w/moved", -1, EXDEV },
	{ "exchange", do_exchange, "w/file", "w/sub/file", "w/file", "w/x.key", "rename", "w/x.key",
	  RULE_KEYS, EPERM },
	{ "exchange directories", do_exchange, "v/a", "v/sub", "v/sub", "v/keep", "rename",
	  "v/keep", -1, EXDEV },
	{ "truncate", do_truncate, "w/file", 0, "r/file", 0, "truncate", 0, -1, EPERM },
	{ "chmod", do_chmod, "w/file", 0, "r/file", 0, "chmod", 0, -1, EPERM },
	{ "chown", do_chown, "w/file", 0, "r/file", 0, "chown", 0, -1, EPERM },
	{ "exec", do_exec, "x/true", 0, "r/true", 0, "exec", 0, -1, EPERM },
	{ "exec against a rule", do_exec, "x/true", 0, "x/no/true", 0, "exec", 0, RULE_NO_EXEC, EPERM },
	{ "a script and its interpreter", do_exec, "x/script", 0, "x/badscript", 0, "exec",
	  "r/true", -1, EPERM },
	{ "map as code", do_map_exec, "x/true", 0, "r/true", 0, "map", 0, -1, EPERM },
	{ "list a directory", do_list, "", 0, "hidden", 0, "open", 0, -1, EPERM },
};

static const char *at(const char *below, char buf[PATH_MAX])
{
	if (!below)
		return NULL;
	snprintf(buf, PATH_MAX, "%s%s%s", top, *below ? "/" : "", below);
	return buf;
}

struct call {
	const struct twin *twin;
	bool is_denied;
};

static int make_call(const void *arg)
{
	const struct call *call = arg;
	const struct twin *t = call->twin;
	char path[PATH_MAX], other[PATH_MAX];

	return t->fn(at(call->is_denied ? t->denied : t->allowed, path),
		     at(call->is_denied ? t->denied_other : t->allowed_other, other));
}

static void twins_of_paths(void **state)
{
	char path[PATH_MAX];
	int bad = 0;

	need_lsm();
	for (size_t i = 0; i < PYI_ARRAY_SIZE(twins); i++) {
		const struct twin *t = &twins[i];
		struct call allowed = { t, false }, denied = { t, true };
		struct box box;
		int a, d;

		make_tree();
		open_box(&box, 0);
		a = inside(&box, make_call, &allowed);
		read_events(&box);
		if (a || n_events) {
			print_error("%s: allowed: %s, %zu events (%s %s)\n", t->name, strerror(a),
				    n_events, n_events ? pyi_bpf_hook_name(events[0].proto) : "",
				    n_events ? events[0].path : "");
			bad++;
		}
		make_tree();
		d = inside(&box, make_call, &denied);
		read_events(&box);
		at(t->at ? t->at : t->denied, path);
		if (d != t->errnum || !n_events || events[0].op != PYI_BPF_PATH ||
		    events[0].port != t->errnum || strcmp(events[0].path, path) != 0 ||
		    strcmp(pyi_bpf_hook_name(events[0].proto), t->hook) != 0 ||
		    events[0].rule != (t->rule < 0 ? PYI_BPF_NO_RULE : t->rule)) {
			print_error("%s: denied: %s instead of %s; %zu events: op %u, %s '%s' rule %u errno %u\n",
				    t->name, strerror(d), strerror(t->errnum), n_events,
				    events[0].op, pyi_bpf_hook_name(events[0].proto),
				    events[0].path, events[0].rule, events[0].port);
			bad++;
		}
		close_box(&box);
	}
	assert_int_equal(bad, 0);
}

/* ------------------------------------------------------------------------------------------ what has no path */

static int use_pipes(const void *arg)
{
	int ends[2], memory, pid_fd, again;
	char path[64];

	if (pipe(ends) < 0)
		return errno;
	snprintf(path, sizeof(path), "/proc/self/fd/%d", ends[1]);
	again = open(path, O_WRONLY | O_CLOEXEC);
	if (again < 0)
		return errno;
	memory = memfd_create("m", MFD_CLOEXEC);
	if (memory < 0 || ftruncate(memory, 100) < 0)
		return errno;
	snprintf(path, sizeof(path), "/proc/self/fd/%d", memory);
	again = open(path, O_RDWR | O_CLOEXEC);
	if (again < 0)
		return errno;
	pid_fd = (int)syscall(SYS_pidfd_open, getpid(), 0);
	return pid_fd < 0 ? errno : 0;
}

static int exec_memory(const void *arg)
{
	char *const argv[] = { (char *)"true", NULL };
	char path[PATH_MAX], buf[65536];
	int memory = memfd_create("m", 0), from = open(at("r/true", path), O_RDONLY);
	ssize_t n;

	while ((n = read(from, buf, sizeof(buf))) > 0)
		if (write(memory, buf, (size_t)n) != n)
			return 254;
	syscall(SYS_execveat, memory, "", argv, environ, AT_EMPTY_PATH);
	return errno;
}

/* A file that was removed is judged by the name it had. */
static int open_removed(const void *arg)
{
	char path[PATH_MAX], again[64];
	int fd = open(at("w/file", path), O_RDONLY | O_CLOEXEC);

	if (fd < 0 || unlink(path) < 0)
		return 254;
	snprintf(again, sizeof(again), "/proc/self/fd/%d", fd);
	return close_or_errno(open(again, O_RDWR | O_CLOEXEC));
}

/* Its descriptor comes from outside, where the file was removed. */
static int removed_fd;

static int open_removed_outside(const void *arg)
{
	char again[64];

	snprintf(again, sizeof(again), "/proc/self/fd/%d", removed_fd);
	return close_or_errno(open(again, O_RDWR | O_CLOEXEC));
}

static int tmpfile_in(const void *arg)
{
	char path[PATH_MAX], again[64];
	int fd = open(at(arg, path), O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);

	if (fd < 0)
		return errno;
	snprintf(again, sizeof(again), "/proc/self/fd/%d", fd);
	if (linkat(AT_FDCWD, again, AT_FDCWD, at("w/made", path), AT_SYMLINK_FOLLOW) < 0)
		return errno;
	return linkat(AT_FDCWD, again, AT_FDCWD, at("w/made.key", path), AT_SYMLINK_FOLLOW) == 0 ? 254
												 : 0;
}

static void files_without_a_path(void **state)
{
	char path[PATH_MAX];
	struct box box;

	need_lsm();
	make_tree();
	open_box(&box, 0);
	assert_int_equal(inside(&box, use_pipes, NULL), 0);
	assert_int_equal(inside(&box, exec_memory, NULL), EPERM);
	assert_int_equal(inside(&box, open_removed, NULL), 0);
	assert_int_equal(inside(&box, tmpfile_in, "w"), 0);
	assert_int_equal(inside(&box, tmpfile_in, "r"), EPERM);
	removed_fd = open(at("r/file", path), O_RDONLY);
	assert_true(removed_fd >= 0);
	assert_int_equal(unlink(path), 0);
	assert_int_equal(inside(&box, open_removed_outside, NULL), EPERM);
	close(removed_fd);
	close_box(&box);
}

/* ---------------------------------------------------------------------------------------------------- the rest */

static pid_t victim;

static int do_mount(const void *arg)
{
	return or_errno(mount("none", top, "tmpfs", 0, NULL));
}

static int do_umount(const void *arg)
{
	return or_errno(umount2("/sys/fs/bpf", MNT_DETACH));
}

static int do_move(const void *arg)
{
	int tree = (int)syscall(SYS_open_tree, AT_FDCWD, "/dev", OPEN_TREE_CLONE);

	return tree < 0 ? 254 : or_errno((int)syscall(SYS_move_mount, tree, "", AT_FDCWD, top, 4));
}

static int do_chroot(const void *arg)
{
	return or_errno(chroot(top));
}

static int do_bpf(const void *arg)
{
	return bpf_map_create(BPF_MAP_TYPE_ARRAY, "x", 4, 4, 1, NULL) < 0 ? errno : 0;
}

static int do_perf(const void *arg)
{
	struct perf_event_attr attr = { .type = PERF_TYPE_SOFTWARE, .size = sizeof(attr) };

	return close_or_errno((int)syscall(SYS_perf_event_open, &attr, 0, -1, -1, 0));
}

static int do_key(const void *arg)
{
	return syscall(SYS_add_key, "user", "pyitest", "x", 1, KEY_SPEC_PROCESS_KEYRING) < 0 ? errno
											     : 0;
}

static int do_sqpoll(const void *arg)
{
	struct io_uring_params p = { .flags = IORING_SETUP_SQPOLL };

	return close_or_errno((int)syscall(SYS_io_uring_setup, 4, &p));
}

static int do_userns(const void *arg)
{
	return or_errno(unshare(CLONE_NEWUSER));
}

static int do_ptrace(const void *arg)
{
	return ptrace(PTRACE_SEIZE, victim, NULL, NULL) < 0 ? errno : 0;
}

static int do_vm_read(const void *arg)
{
	char c;
	struct iovec here = { &c, 1 }, there = { &victim, 1 };

	return process_vm_readv(victim, &here, 1, &there, 1, 0) < 0 ? errno : 0;
}

static int do_kill(const void *arg)
{
	return or_errno(kill(victim, SIGCONT));
}

static int do_kill_zero(const void *arg)
{
	return or_errno(kill(victim, 0));
}

static int do_write_exec(const void *arg)
{
	return mmap(NULL, 4096, PROT_READ | PROT_WRITE | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1,
		    0) == MAP_FAILED
		       ? errno
		       : 0;
}

static int do_gain_exec(const void *arg)
{
	void *p = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	return or_errno(mprotect(p, 4096, PROT_READ | PROT_EXEC));
}

static int do_module(const void *arg)
{
	char path[PATH_MAX];
	int fd = open(at("r/true", path), O_RDONLY | O_CLOEXEC);

	/* Not a module: ENOEXEC from whoever gets to look at it. */
	return syscall(SYS_finit_module, fd, "", 0) < 0 ? errno : 0;
}

static void what_no_sandbox_may(void **state)
{
	static const struct {
		const char *surface;
		int (*fn)(const void *);
		int outside; /* what it says where nothing judges */
	} tries[] = {
		{ "mount", do_mount, 0 },	  { "mount", do_move, 0 },
		{ "mount", do_chroot, 0 },	  { "bpf", do_bpf, 0 },
		{ "perf", do_perf, 0 },		  { "key", do_key, 0 },
		{ "io_uring", do_sqpoll, 0 },	  { "userns", do_userns, 0 },
		{ "ptrace", do_ptrace, 0 },	  { "ptrace", do_vm_read, 0 },
		{ "signal", do_kill, 0 },	  { "signal", do_kill_zero, 0 },
		{ "memory", do_write_exec, 0 },	  { "memory", do_gain_exec, 0 },
		{ "module", do_module, ENOEXEC },
	};
	int bad = 0;

	need_lsm();
	make_tree();
	victim = fork();
	if (!victim) {
		pause();
		_exit(0);
	}
	for (size_t i = 0; i < PYI_ARRAY_SIZE(tries); i++) {
		int out = outside(tries[i].fn, NULL), in;
		struct box box;

		if (out != tries[i].outside) {
			print_message("%s (%zu): this kernel says %s outside\n", tries[i].surface,
				      i, strerror(out));
			bad += out != ENOSYS;
			continue;
		}
		open_box(&box, BOX_WX);
		in = inside(&box, tries[i].fn, NULL);
		read_events(&box);
		if (in != EPERM || !n_events || events[0].op != PYI_BPF_KERNEL ||
		    strcmp(pyi_bpf_surface_name(events[0].proto), tries[i].surface) != 0) {
			print_error("%s (%zu): %s; %zu events, op %u %s\n", tries[i].surface, i,
				    strerror(in), n_events, events[0].op,
				    pyi_bpf_surface_name(events[0].proto));
			bad++;
		}
		close_box(&box);
	}
	kill(victim, SIGKILL);
	waitpid(victim, NULL, 0);
	assert_int_equal(bad, 0);
}

static int signal_own_child(const void *arg)
{
	pid_t pid = fork();
	int ret;

	if (!pid) {
		pause();
		_exit(0);
	}
	ret = ptrace(PTRACE_SEIZE, pid, NULL, NULL) < 0 ? errno : 0;
	if (!ret)
		ret = or_errno(kill(pid, SIGKILL));
	waitpid(pid, NULL, 0);
	return ret;
}

static void own_processes_are_ones_own(void **state)
{
	struct box box;

	need_lsm();
	make_tree();
	open_box(&box, 0);
	assert_int_equal(inside(&box, signal_own_child, NULL), 0);
	/* Without the flag, programs may compile as they run. */
	assert_int_equal(inside(&box, do_write_exec, NULL), 0);
	assert_int_equal(inside(&box, do_gain_exec, NULL), 0);
	read_events(&box);
	assert_int_equal(n_events, 0);
	close_box(&box);
}

/* bpffs and the control groups, whatever the rules say. */
static int on_bpffs(const void *arg)
{
	DIR *dir = opendir("/sys/fs/bpf/pyisolate/v1");
	struct dirent *entry;
	char path[PATH_MAX];

	if (dir)
		return 254;
	if (errno != EPERM)
		return errno;
	(void)entry;
	snprintf(path, sizeof(path), "/sys/fs/bpf/pyisolate/v1/%s/link_on_file_open", (const char *)arg);
	if (unlink(path) == 0)
		return 253;
	if (rename("/sys/fs/bpf/pyisolate", "/sys/fs/bpf/other") == 0)
		return 252;
	if (mkdir("/sys/fs/bpf/new", 0700) == 0)
		return 251;
	return do_umount(NULL) == EPERM && do_bpf(NULL) == EPERM ? 0 : 250;
}

static int leave_group(const void *arg)
{
	return close_or_errno(open(arg, O_WRONLY | O_CLOEXEC));
}

static void pins_and_groups_are_out_of_reach(void **state)
{
	char name[PYI_PINS_NAME_MAX], procs[PATH_MAX];
	struct box box;
	struct stat st;

	need_lsm();
	make_tree();
	assert_int_equal(stat(facts.cgroup_v2_dir, &st), 0);
	pyi_bpf_pins_name((uint64_t)st.st_ino, name);
	open_box(&box, BOX_SYS);
	assert_int_equal(inside(&box, on_bpffs, name), 0);
	snprintf(procs, sizeof(procs), "%s/../cgroup.procs", facts.cgroup_v2_dir);
	assert_int_equal(inside(&box, leave_group, procs), EPERM);
	/* Its twin: elsewhere below /sys the rule holds. */
	assert_int_equal(inside(&box, leave_group, "/sys/module/printk/parameters/time"), 0);
	close_box(&box);
}

static int nothing_at_all(const void *arg)
{
	return do_read("/dev/null", NULL) == EPERM && do_mount(NULL) == EPERM && do_kill_zero(NULL) == EPERM
		       ? 0
		       : 254;
}

static void a_group_without_a_policy_is_denied(void **state)
{
	struct pyi_limits limits = { .pids = 8 };
	struct pyi_err err = { 0 };
	struct box box = { 0 };

	need_lsm();
	make_tree();
	victim = getppid();
	assert_int_equal(pyi_cgroup_new(&facts, &limits, &box.cgroup, &err), 0);
	assert_int_equal(inside(&box, nothing_at_all, NULL), 0);
	pyi_cgroup_free(box.cgroup);
	/* Until it is armed a sandbox makes its tree. */
	open_box(&box, BOX_UNARMED);
	assert_int_equal(inside(&box, do_chroot, NULL), 0);
	close_box(&box);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(twins_of_paths),
		cmocka_unit_test(files_without_a_path),
		cmocka_unit_test(what_no_sandbox_may),
		cmocka_unit_test(own_processes_are_ones_own),
		cmocka_unit_test(pins_and_groups_are_out_of_reach),
		cmocka_unit_test(a_group_without_a_policy_is_denied),
	};

	return cmocka_run_group_tests(tests, set_up_lsm, tear_down_lsm);
}
