/* SPDX-License-Identifier: MIT */
/*
 * Contracts about bytes of files on the real kernel, as root: every way to move some counts exactly as many, up to the
 * limit, and nothing moves beyond; what cannot be counted is refused; the programs are there as long as a box needs
 * them, however many boxes there are and however they end. Skips where the kernel takes no LSM programs.
 */
#include "contract_fixture.h"

#include <linux/aio_abi.h>
#include <sys/ioctl.h>
#include <sys/sendfile.h>
#include <sys/socket.h>

enum { PART = 1000, FILE_BYTES = 1000 };

/* ------------------------------------------------------------------------------------------------- ways to write */

static char zeros[64 << 10];

struct way {
	const char *name;
	ssize_t (*move)(int fd, size_t n);
};

static ssize_t by_write(int fd, size_t n)
{
	return write(fd, zeros, n);
}

static ssize_t by_pwrite(int fd, size_t n)
{
	return pwrite(fd, zeros, n, 12345);
}

static ssize_t by_writev(int fd, size_t n)
{
	const struct iovec v[2] = { { zeros, n / 2 }, { zeros, n - n / 2 } };

	return writev(fd, v, 2);
}

static ssize_t by_pwritev(int fd, size_t n)
{
	const struct iovec v[2] = { { zeros, n / 2 }, { zeros, n - n / 2 } };

	return pwritev2(fd, v, 2, -1, 0);
}

static ssize_t by_splice(int fd, size_t n)
{
	ssize_t ret = -1;
	int pipe_fds[2];

	if (pipe2(pipe_fds, O_CLOEXEC) < 0)
		return -1;
	if (write(pipe_fds[1], zeros, n) == (ssize_t)n)
		ret = splice(pipe_fds[0], NULL, fd, NULL, n, 0);
	close(pipe_fds[0]);
	close(pipe_fds[1]);
	return ret;
}

static ssize_t by_vmsplice(int fd, size_t n)
{
	const struct iovec v = { zeros, n };
	ssize_t ret = -1;
	int pipe_fds[2];

	if (pipe2(pipe_fds, O_CLOEXEC) < 0)
		return -1;
	if (vmsplice(pipe_fds[1], &v, 1, 0) == (ssize_t)n)
		ret = splice(pipe_fds[0], NULL, fd, NULL, n, 0);
	close(pipe_fds[0]);
	close(pipe_fds[1]);
	return ret;
}

/* More is asked for than there is: what there is counts. */
static ssize_t by_copy(int fd, size_t n)
{
	char path[PATH_MAX];
	int from;
	ssize_t ret;
	loff_t at = (loff_t)(FILE_BYTES - n);

	at_top("r/bytes", path);
	from = open(path, O_RDONLY | O_CLOEXEC);
	ret = copy_file_range(from, &at, fd, NULL, 1 << 20, 0);
	close(from);
	return ret;
}

static ssize_t by_aio(int fd, size_t n)
{
	struct iocb cb = { .aio_lio_opcode = IOCB_CMD_PWRITE,
			   .aio_fildes = (uint32_t)fd,
			   .aio_buf = (uint64_t)(uintptr_t)zeros,
			   .aio_nbytes = n };
	struct iocb *cbs[1] = { &cb };
	struct io_event event = { 0 };
	aio_context_t context = 0;

	if (syscall(SYS_io_setup, 1, &context) < 0 || syscall(SYS_io_submit, context, 1, cbs) < 0)
		return -1;
	if (syscall(SYS_io_getevents, context, 1, 1, &event, NULL) < 1)
		return -1;
	syscall(SYS_io_destroy, context);
	if (event.res < 0) {
		errno = (int)-event.res;
		return -1;
	}
	return event.res;
}

static const struct way writers[] = {
	{ "write", by_write },		{ "pwrite", by_pwrite }, { "writev", by_writev },
	{ "pwritev2", by_pwritev },	{ "splice", by_splice }, { "vmsplice", by_vmsplice },
	{ "copy_file_range", by_copy }, { "aio", by_aio },
};

/* Each way moves a part; then none moves a byte. 0, or 10 times its number and what was wrong. */
static int try_ways(const struct way *ways, size_t n, const char *file, int flags)
{
	char path[PATH_MAX];

	at_top(file, path);
	for (size_t i = 0; i < 2 * n; i++) {
		const struct way *way = &ways[i % n];
		int fd = open(path, flags | O_CLOEXEC, 0600);
		ssize_t ret = way->move(fd, i < n ? PART : 1);

		if (fd < 0 || (i < n ? ret != PART : ret != -1 || errno != EPERM)) {
			fprintf(stderr, "%s, round %zu: %zd, %s\n", way->name, i / n, ret,
				strerror(errno));
			return (int)(i % n) * 10 + (fd < 0 ? 1 : i < n ? 2 : 3);
		}
		close(fd);
	}
	return 0;
}

static int write_all_ways(const void *arg)
{
	return try_ways(writers, PYI_ARRAY_SIZE(writers), "w/made", O_CREAT | O_TRUNC | O_WRONLY);
}

static void make_bytes(void)
{
	shell("head -c %d /dev/zero >%s/r/bytes", FILE_BYTES, top);
}

static void every_way_to_write_counts(void **state)
{
	const char *contract = "fs.bytes_written <= 8000B";
	struct box box;

	_Static_assert(PYI_ARRAY_SIZE(writers) * PART == 8000, "the contract's number");
	open_contract_box(&box, contract);
	make_bytes();
	assert_int_equal(inside(&box, write_all_ways, NULL), 0);
	close_contract_box(&box, PYI_ARRAY_SIZE(writers), PYI_EV_BYTES_WRITTEN, 8000);
}

/* -------------------------------------------------------------------------------------------------- ways to read */

static char buffer[64 << 10];

static ssize_t by_read(int fd, size_t n)
{
	ssize_t ret = lseek(fd, (off_t)(FILE_BYTES - n), SEEK_SET) < 0
			      ? -1
			      : read(fd, buffer, sizeof(buffer));

	/* At the end there is nothing to count. */
	return ret < 0 || read(fd, buffer, sizeof(buffer)) == 0 ? ret : -2;
}

static ssize_t by_pread(int fd, size_t n)
{
	return pread(fd, buffer, n, 0);
}

static ssize_t by_readv(int fd, size_t n)
{
	const struct iovec v[2] = { { buffer, n / 2 }, { buffer, n - n / 2 } };

	return readv(fd, v, 2);
}

static ssize_t to_pipe(int fd, size_t n, bool by_sendfile)
{
	ssize_t ret = -1;
	int pipe_fds[2];

	if (pipe2(pipe_fds, O_CLOEXEC) < 0)
		return -1;
	if (by_sendfile)
		ret = sendfile(pipe_fds[1], fd, NULL, n);
	else
		ret = splice(fd, NULL, pipe_fds[1], NULL, n, 0);
	close(pipe_fds[0]);
	close(pipe_fds[1]);
	return ret;
}

static ssize_t by_sendfile_out(int fd, size_t n)
{
	return to_pipe(fd, n, true);
}

static ssize_t by_splice_out(int fd, size_t n)
{
	return to_pipe(fd, n, false);
}

static ssize_t by_copy_out(int fd, size_t n)
{
	char path[PATH_MAX];
	ssize_t ret;
	int to;

	at_top("w/copy", path);
	to = open(path, O_CREAT | O_WRONLY | O_CLOEXEC, 0600);
	ret = copy_file_range(fd, NULL, to, NULL, n, 0);
	close(to);
	return ret;
}

/* The whole file, once: the same again right away is the same. */
static ssize_t by_mmap(int fd, size_t n)
{
	for (int i = 0; i < 3; i++) {
		void *map = mmap(NULL, 4096, PROT_READ, MAP_PRIVATE, fd, 0);

		if (map == MAP_FAILED)
			return -1;
		munmap(map, 4096);
	}
	return PART;
}

static const struct way readers[] = {
	{ "read", by_read },	     { "pread", by_pread },
	{ "readv", by_readv },	     { "sendfile", by_sendfile_out },
	{ "splice", by_splice_out }, { "copy_file_range", by_copy_out },
};

static const struct way mapper = { "mmap", by_mmap };

static int read_all_ways(const void *arg)
{
	return try_ways(readers, PYI_ARRAY_SIZE(readers), "r/bytes", O_RDONLY);
}

static int map_to_read(const void *arg)
{
	char path[PATH_MAX];
	int fd, other;

	at_top("r/bytes", path);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	at_top("r/file", path);
	other = open(path, O_RDONLY | O_CLOEXEC);
	if (mapper.move(fd, PART) != PART)
		return 1;
	return mapper.move(other, PART) == -1 && errno == EPERM ? 0 : 2;
}

static void every_way_to_read_counts(void **state)
{
	struct box box;

	open_contract_box(&box, "fs.bytes_read <= 6000B");
	make_bytes();
	assert_int_equal(inside(&box, read_all_ways, NULL), 0);
	close_contract_box(&box, PYI_ARRAY_SIZE(readers), PYI_EV_BYTES_READ, 6000);
	open_contract_box(&box, "fs.bytes_read <= 1000B");
	make_bytes();
	assert_int_equal(inside(&box, map_to_read, NULL), 0);
	close_contract_box(&box, 1, PYI_EV_BYTES_READ, 1000);
}

/* -------------------------------------------------------------------------------- what cannot be counted is not had */

static int expect_map(int fd, int prot, int flags, int want)
{
	void *map = mmap(NULL, 4096, prot, flags, fd, 0);
	int got = map == MAP_FAILED ? errno : 0;

	if (got != want)
		fprintf(stderr, "mmap %d %d: %s\n", prot, flags, strerror(got));
	if (map != MAP_FAILED)
		munmap(map, 4096);
	return got != want;
}

static int map_in_all_ways(const void *arg)
{
	char path[PATH_MAX];
	int want = *(const int *)arg, fd, ro;
	void *map;

	at_top("w/file", path);
	fd = open(path, O_RDWR | O_CLOEXEC);
	ro = open(path, O_RDONLY | O_CLOEXEC);
	if (expect_map(fd, PROT_READ | PROT_WRITE, MAP_SHARED, want) ||
	    expect_map(fd, PROT_WRITE, MAP_SHARED_VALIDATE, want) ||
	    expect_map(fd, PROT_READ | PROT_WRITE, MAP_PRIVATE, 0) ||
	    expect_map(ro, PROT_READ, MAP_SHARED, 0) ||
	    expect_map(-1, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, 0) ||
	    expect_map(memfd_create("m", 0), PROT_NONE, MAP_SHARED, 0))
		return 1;
	map = mmap(NULL, 4096, PROT_READ, MAP_SHARED, fd, 0);
	if (map == MAP_FAILED)
		return 2;
	if (or_errno(mprotect(map, 4096, PROT_READ | PROT_WRITE)) != want)
		return 3;
	map = mmap(NULL, 4096, PROT_READ, MAP_PRIVATE, fd, 0);
	return or_errno(mprotect(map, 4096, PROT_READ | PROT_WRITE)) ? 4 : 0;
}

static void maps_for_writing_are_more_than_any_limit(void **state)
{
	struct box box;
	int want = EPERM;

	open_contract_box(&box, "fs.bytes_written <= 1024MiB");
	assert_int_equal(inside(&box, map_in_all_ways, &want), 0);
	close_contract_box(&box, 3, PYI_EV_BYTES_WRITTEN, 0);
	want = 0;
	open_contract_box(&box, "fs.bytes_read <= 1MiB");
	assert_int_equal(inside(&box, map_in_all_ways, &want), 0);
	close_box(&box);
	pyi_policy_free(policy);
}

/* What was written by a map counts as more than all: the other side of an `or` has to hold from then on. */
static int map_then_open(const void *arg)
{
	char path[PATH_MAX];
	int fd;

	at_top("w/file", path);
	fd = open(path, O_RDWR | O_CLOEXEC);
	if (expect_map(fd, PROT_READ | PROT_WRITE, MAP_SHARED, 0))
		return 1;
	return do_open("w/new", O_CREAT | O_EXCL | O_WRONLY);
}

static void a_map_is_remembered(void **state)
{
	struct box box;

	open_contract_box(&box, "fs.bytes_written <= 1KiB or fs.creates == 0");
	assert_int_equal(inside(&box, map_then_open, NULL), EPERM);
	close_contract_box(&box, 1, PYI_EV_CREATE, 0);
}

static int refused_calls(const void *arg)
{
	char path[PATH_MAX];
	int fd, from;

	at_top("w/file", path);
	fd = open(path, O_RDWR | O_CLOEXEC);
	at_top("r/bytes", path);
	from = open(path, O_RDONLY | O_CLOEXEC);
	if (sendfile(fd, from, NULL, PART) != -1 || errno != EINVAL)
		return 1;
	/* What this leaves behind, if anything, is not for the next call. */
	if (pwrite(fd, "x", 1, INT64_MAX) != -1 || (errno != EINVAL && errno != EFBIG))
		return 2;
	if (fallocate(fd, 0, 0, 1 << 20) != -1 || errno != EOPNOTSUPP)
		return 3;
	return ioctl(fd, _IOW(0x94, 9, int), from) != -1 || errno != EOPNOTSUPP ? 4 : 0;
}

static int refused_calls_pass(const void *arg)
{
	char path[PATH_MAX];
	int fd, from;

	at_top("w/file", path);
	fd = open(path, O_RDWR | O_CLOEXEC);
	at_top("r/bytes", path);
	from = open(path, O_RDONLY | O_CLOEXEC);
	if (sendfile(fd, from, NULL, 1 << 20) != PART)
		return 1;
	return or_errno(fallocate(fd, 0, 0, 1 << 16)) ? 2 : 0;
}

static void what_nobody_measures_is_refused(void **state)
{
	struct box box;

	open_contract_box(&box, "fs.bytes_written <= 1MiB");
	make_bytes();
	assert_int_equal(inside(&box, refused_calls, NULL), 0);
	close_contract_box(&box, 0, PYI_EV_BYTES_WRITTEN, 0);
	open_contract_box(&box, "fs.bytes_read <= 1MiB");
	make_bytes();
	assert_int_equal(inside(&box, refused_calls_pass, NULL), 0);
	close_contract_box(&box, 0, PYI_EV_BYTES_WRITTEN, PART);
}

static int write_elsewhere(const void *arg)
{
	int fds[2];

	if (socketpair(AF_UNIX, SOCK_STREAM, 0, fds) < 0 || write(fds[0], zeros, 20000) != 20000)
		return 1;
	if (read(fds[1], buffer, 20000) <= 0 || pipe2(fds, O_CLOEXEC) < 0)
		return 2;
	if (write(fds[1], zeros, 20000) != 20000 || read(fds[0], buffer, 20000) != 20000)
		return 3;
	return write(memfd_create("m", 0), zeros, 20000) == 20000 ? 0 : 4;
}

static void only_files_count(void **state)
{
	struct box box;

	open_contract_box(&box, "fs.bytes_written + fs.bytes_read == 0");
	assert_int_equal(inside(&box, write_elsewhere, NULL), 0);
	close_contract_box(&box, 0, PYI_EV_BYTES_WRITTEN, 0);
}

static int write_many(const void *arg)
{
	char path[PATH_MAX];
	int made = 0, fd;

	at_top("w/file", path);
	fd = open(path, O_WRONLY | O_CLOEXEC);
	for (int i = 0; i < 50; i++)
		made += write(fd, zeros, 10) == 10;
	return made;
}

static int write_from_four(const void *arg)
{
	pid_t pids[4];
	int made = 0;

	for (int i = 0; i < 4; i++) {
		pids[i] = fork();
		if (pids[i] == 0)
			_exit(write_many(NULL));
	}
	for (int i = 0; i < 4; i++)
		made += wait_code(pids[i]);
	return made;
}

static void exactly_as_many_get_through(void **state)
{
	struct box box;

	open_contract_box(&box, "fs.bytes_written <= 905B");
	assert_int_equal(inside(&box, write_from_four, NULL), 90);
	close_box(&box);
	pyi_policy_free(policy);
}

/* ---------------------------------------------------------------------------------------- how long they are there */

static bool are_attached(void)
{
	return pyi_bpf_bytes_are_attached(pyi_bpf_maps_of(bpf));
}

/* Of others that run beside this one, too: they end. */
static bool are_gone(void)
{
	for (int i = 0; i < 1200 && are_attached(); i++) {
		struct timespec ts = { .tv_nsec = 100000000 };

		nanosleep(&ts, NULL);
	}
	return !are_attached();
}

static void the_last_one_takes_them_along(void **state)
{
	enum { BOXES = 40 };
	struct box boxes[BOXES];
	int v2_fd;

	need_lsm();
	for (int i = 0; i < BOXES; i++) {
		open_contract_box(&boxes[i], "fs.bytes_written <= 905B");
		pyi_policy_free(policy);
		assert_true(are_attached());
	}
	v2_fd = open(facts.cgroup_v2_dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	assert_true(pyi_bpf_bytes_count(pyi_bpf_maps_of(bpf), v2_fd) >= BOXES);
	close(v2_fd);
	assert_int_equal(inside(&boxes[BOXES - 1], write_from_four, NULL), 90);
	for (int i = 0; i < BOXES; i++) {
		assert_true(are_attached());
		if (i == BOXES - 1)
			assert_int_equal(inside(&boxes[i], write_many, NULL), 0);
		close_box(&boxes[i]);
	}
	assert_true(are_gone());
}

/* Whoever attaches them may die on the way, or right after. */
static void a_killed_loader_leaves_nothing_that_matters(void **state)
{
	need_lsm();
	for (int i = 0; i < 6; i++) {
		struct pyi_limits limits = { .pids = 64 };
		struct timespec ts = { .tv_nsec = (long)(i + 1) * 30000000 };
		struct pyi_cgroup *orphan = NULL;
		struct pyi_err err = { 0 };
		struct box box;
		pid_t pid;

		assert_int_equal(pyi_cgroup_new(&facts, &limits, &orphan, &err), 0);
		pid = fork();
		if (pid == 0) {
			struct pyi_plan plan = { .use_bpf_lsm = true,
						 .guest = PYI_GUEST_COMMAND,
						 .counts_bytes = true };

			plan.paths = make_paths(0, NULL);
			_exit(pyi_bpf_assign(bpf, pyi_cgroup_id(orphan), &plan, &err) < 0);
		}
		nanosleep(&ts, NULL);
		kill(pid, SIGKILL);
		wait_code(pid);
		if (i % 2) {
			open_contract_box(&box, "fs.bytes_written <= 905B");
			assert_int_equal(inside(&box, write_from_four, NULL), 90);
			close_box(&box);
			pyi_policy_free(policy);
		}
		pyi_cgroup_free(orphan);
		pyi_bpf_sweep(bpf);
		assert_true(are_gone());
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_way_to_write_counts),
		cmocka_unit_test(every_way_to_read_counts),
		cmocka_unit_test(maps_for_writing_are_more_than_any_limit),
		cmocka_unit_test(a_map_is_remembered),
		cmocka_unit_test(what_nobody_measures_is_refused),
		cmocka_unit_test(only_files_count),
		cmocka_unit_test(exactly_as_many_get_through),
		cmocka_unit_test(the_last_one_takes_them_along),
		cmocka_unit_test(a_killed_loader_leaves_nothing_that_matters),
	};

	return cmocka_run_group_tests(tests, set_up_lsm, tear_down_lsm);
}
