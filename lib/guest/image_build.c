/* SPDX-License-Identifier: MIT */
/*
 * Have an image made: the side of the process that wants one. See image.h for the whole.
 *
 * Three kinds of child, all of them our own binary with an empty environment, none with anybody's policy or program:
 * the builder; then, one for each training script, a guest that starts from the new image and tells at its end which
 * of its pages it has written to. Pages that each of them wrote to are what every guest will write to; they go into
 * the header as hot ranges. Training guests run before the image is used by anyone and outside any sandbox, so their
 * scripts are ours.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/personality.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/err.h"
#include "base/io.h"
#include "base/util.h"
#include "guest/guest.h"
#include "guest/image.h"
#include "guest/image_format.h"
#include "guest/image_train.h"
#include "kernel/lockdown.h"
#include "kernel/sys.h"

enum { TIME_LIMIT_MS = 60000, FIRST_HIGH_FD = 20, MAX_FDS = 8, CHILD_STACK = 8 << 20 };

struct child {
	pid_t pid;
	int pidfd;
};

static const char *const scripts[] = {
	"pass",
	"print('hello')",
	"import sys\nfor word in sys.argv: print(len(word))",
	"def f(n):\n\treturn n if n < 2 else f(n - 1) + f(n - 2)\nprint(f(10), file=__import__('sys').stderr)",
};

/* The child's descriptors 0, 1, 2 ... are to be fds[0], fds[1], fds[2] ...; -1: closed. */
static int place_fds(const int *fds, int n)
{
	int high[MAX_FDS];

	for (int i = 0; i < n; i++) {
		high[i] = fds[i] < 0 ? -1 : fcntl(fds[i], F_DUPFD_CLOEXEC, FIRST_HIGH_FD);
		if (fds[i] >= 0 && high[i] < 0)
			return -1;
	}
	for (int i = 0; i < n; i++) {
		if (high[i] < 0)
			close(i);
		else if (dup2(high[i], i) < 0)
			return -1;
	}
	return close_range((unsigned int)n, ~0U, 0);
}

/*
 * The child: the memory layout that grows upwards from a third of the address space, so that what a builder maps is
 * where no later process has anything; and what of this process could show in an image is reset.
 */
_Noreturn static void execute(char *const *argv, const int *fds, int n_fds)
{
	char *const env[] = { (char[]){ "GLIBC_TUNABLES=glibc.pthread.rseq=0" },
			      (char[]){ "TZ=UTC0" }, (char[]){ "OPENSSL_CONF=/dev/null" }, NULL };
	bool is_builder = !strcmp(argv[0], PYI_IMAGE_ARGV0);
	struct rlimit stack;

	prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0);
	prctl(PR_SET_DUMPABLE, 1, 0, 0, 0);
	pyi_lockdown_signals();
	if (!getrlimit(RLIMIT_STACK, &stack) &&
	    (stack.rlim_max == RLIM_INFINITY || stack.rlim_max > CHILD_STACK)) {
		stack.rlim_cur = CHILD_STACK;
		setrlimit(RLIMIT_STACK, &stack);
	}
	if ((is_builder && personality(ADDR_COMPAT_LAYOUT) < 0) || place_fds(fds, n_fds) || chdir("/"))
		_exit(errno);
	execve("/proc/self/exe", argv, is_builder ? env : env + PYI_ARRAY_SIZE(env) - 1);
	_exit(errno);
}

static int start(char *const *argv, const int *fds, int n_fds, struct child *ret_child,
		 struct pyi_err *err)
{
	struct clone_args args = {
		.flags = CLONE_PIDFD,
		.pidfd = (uint64_t)(uintptr_t)&ret_child->pidfd,
		.exit_signal = 0,
	};

	ret_child->pid = pyi_sys_clone3(&args);
	if (ret_child->pid == 0)
		execute(argv, fds, n_fds);
	if (ret_child->pid < 0)
		return pyi_err_sys(err, errno, "cannot make a process for the image (clone3)");
	return 0;
}

/* Its end, in time or not. */
static int wait_for(struct child *child, struct pyi_err *err)
{
	_cleanup_fd int pidfd = child->pidfd;
	struct pollfd poller = { .fd = pidfd, .events = POLLIN };
	siginfo_t info = { 0 };
	int n;

	do {
		n = poll(&poller, 1, TIME_LIMIT_MS);
	} while (n < 0 && errno == EINTR);
	if (n <= 0)
		pyi_sys_pidfd_send_signal(pidfd, SIGKILL);
	while (waitid(P_PID, (id_t)child->pid, &info, WEXITED | __WALL) < 0 && errno == EINTR)
		;
	if (n <= 0)
		return pyi_err_set(err, ETIMEDOUT, "the image was not ready within %d s",
				   TIME_LIMIT_MS / 1000);
	if (info.si_code != CLD_EXITED)
		return pyi_err_set(err, ECHILD, "the image's builder was ended by signal %d",
				   info.si_status);
	if (info.si_status)
		return pyi_err_set(err, ECHILD, "the image's builder ended with status %d",
				   info.si_status);
	return 0;
}

/* ------------------------------------------------------------------------------------------------ building */

static int run_builder(int fd, const char *const *preload, size_t n_preload, struct pyi_err *err)
{
	char *argv[PYI_IMAGE_PRELOAD_MAX + 2] = { (char[]){ PYI_IMAGE_ARGV0 } };
	int in[2] = { -1, -1 }, out[2] = { -1, -1 }, fate[2] = { -1, -1 };
	struct child child = { .pidfd = -1 };
	struct pyi_err told = { 0 };
	int ret = 0;

	for (size_t i = 0; i < n_preload; i++)
		argv[1 + i] = (char *)preload[i];
	if (pipe2(in, O_CLOEXEC) || pipe2(out, O_CLOEXEC) || pipe2(fate, O_CLOEXEC))
		ret = pyi_err_sys(err, errno, "cannot make a pipe for the image's builder");
	if (!ret) {
		/* Standard streams that are pipes: what most guests have, or what is remade most easily. */
		int fds[] = { in[0], out[1], out[1], fd, fate[1] };

		ret = start(argv, fds, PYI_ARRAY_SIZE(fds), &child, err);
	}
	pyi_close_fd(&fate[1]);
	pyi_close_fd(&out[1]);
	pyi_close_fd(&in[1]);
	if (!ret) {
		ret = wait_for(&child, err);
		if (pyi_read_full(fate[0], &told, sizeof(told)) == (ssize_t)sizeof(told)) {
			told.msg[sizeof(told.msg) - 1] = '\0';
			ret = pyi_err_set(err, told.errnum, "%s", told.msg);
		}
	}
	pyi_close_fd(&in[0]);
	pyi_close_fd(&out[0]);
	pyi_close_fd(&fate[0]);
	return ret;
}

/* ------------------------------------------------------------------------------------------------ training */

static int compare_pages(const void *a, const void *b)
{
	const uint64_t *x = a, *y = b;

	return (*x > *y) - (*x < *y);
}

/* The pages that one guest wrote to, added to `pages`. */
static int read_pages(int fd, struct pyi_buf *pages, struct pyi_err *err)
{
	struct pyi_image_range range;
	ssize_t len;

	while ((len = pyi_read_full(fd, &range, sizeof(range))) == (ssize_t)sizeof(range)) {
		for (uint32_t i = 0; i < range.n_pages && pages->len < PYI_IMAGE_TRAIN_MAX; i++) {
			uint64_t page = range.addr + (uint64_t)i * PYI_IMAGE_PAGE;

			pyi_buf_add(pages, (const char *)&page, sizeof(page));
		}
	}
	if (pages->failed)
		return pyi_err_nomem(err);
	return len == 0 ? 0 : pyi_err_set(err, EIO, "a training guest of the image said nonsense");
}

static int run_script(const char *image_path, const char *script, struct pyi_buf *pages,
		      struct pyi_err *err)
{
	struct pyi_guest_spec spec = { .source = PYI_SOURCE_CODE,
				       .name = "-c",
				       .path0 = "",
				       .text = script,
				       .text_len = strlen(script) };
	_cleanup_fd int spec_fd = -1, image = open(image_path, O_RDONLY | O_CLOEXEC);
	_cleanup_fd int null = open("/dev/null", O_RDWR | O_CLOEXEC);
	int told[2] = { -1, -1 };
	struct child child = { .pidfd = -1 };
	int ret = pyi_guest_spec_write(&spec, &spec_fd, err);

	if (!ret && (image < 0 || null < 0 || pipe2(told, O_CLOEXEC)))
		ret = pyi_err_sys(err, errno, "cannot start from the new image");
	if (!ret) {
		char *argv[] = { (char[]){ PYI_GUEST_ARGV0 }, (char[]){ PYI_IMAGE_TRAIN_ARG }, NULL };
		int fds[] = { null, null, null, spec_fd, null, image, told[1], image };

		ret = start(argv, fds, PYI_ARRAY_SIZE(fds), &child, err);
		pyi_close_fd(&told[1]);
		if (!ret)
			ret = read_pages(told[0], pages, err);
		if (child.pid > 0)
			ret = wait_for(&child, err) ?: ret;
	}
	pyi_close_fd(&told[0]);
	pyi_close_fd(&told[1]);
	return ret;
}

/* Ranges of the pages that are there once for each script. */
static void add_hot(struct pyi_image_header *header, uint64_t *pages, size_t n_pages)
{
	struct pyi_image_range *hot = header->ranges + header->n_runs + header->n_areas;
	size_t room = PYI_IMAGE_MAX_RANGES - header->n_runs - header->n_areas;
	size_t same = 0, n = 0;

	qsort(pages, n_pages, sizeof(*pages), compare_pages);
	for (size_t i = 0; i < n_pages; i++) {
		same = i && pages[i] == pages[i - 1] ? same + 1 : 1;
		if (same < PYI_ARRAY_SIZE(scripts))
			continue;
		if (n && hot[n - 1].addr + (uint64_t)hot[n - 1].n_pages * PYI_IMAGE_PAGE == pages[i])
			hot[n - 1].n_pages++;
		else if (n < room)
			hot[n++] = (struct pyi_image_range){ .addr = pages[i], .n_pages = 1 };
		else
			break;
	}
	header->n_hot = (uint32_t)n;
	header->size += (uint32_t)(n * sizeof(*hot));
	header->checksum = 0;
	header->checksum = pyi_image_checksum(header, header->size);
}

static int train(int fd, struct pyi_err *err)
{
	_Alignas(uint64_t) char buffer[PYI_IMAGE_PAGES_AT] = { 0 };
	struct pyi_image_header *header = (struct pyi_image_header *)buffer;
	_cleanup_buf struct pyi_buf pages = PYI_BUF_INIT;
	char path[64];
	int ret = 0;

	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	for (size_t i = 0; !ret && i < PYI_ARRAY_SIZE(scripts); i++)
		ret = run_script(path, scripts[i], &pages, err);
	if (ret)
		return pyi_err_add(err, "cannot train the image");
	if (pread(fd, buffer, sizeof(buffer), 0) != (ssize_t)sizeof(buffer))
		return pyi_err_sys(err, errno, "cannot read the image");
	add_hot(header, (uint64_t *)pages.data, pages.len / sizeof(uint64_t));
	if (pwrite(fd, header, header->size, 0) != (ssize_t)header->size)
		return pyi_err_sys(err, errno, "cannot write the image");
	return 0;
}

int pyi_image_build(int fd, const char *const *preload, size_t n_preload, struct pyi_err *err)
{
	int ret;

	if (n_preload > PYI_IMAGE_PRELOAD_MAX)
		return pyi_err_set(err, E2BIG, "more than %d modules to preload", PYI_IMAGE_PRELOAD_MAX);
	ret = run_builder(fd, preload, n_preload, err);
	if (!ret)
		ret = pyi_image_check(fd, NULL, err);
	if (!ret)
		ret = train(fd, err);
	return ret ? ret : pyi_image_check(fd, NULL, err);
}

void pyi_image_read_anew(int fd)
{
	const size_t piece = 2 << 20;
	const char *image;
	struct stat st;

	if (posix_fadvise(fd, 0, 0, POSIX_FADV_DONTNEED) || fstat(fd, &st) < 0)
		return;
	image = mmap(NULL, (size_t)st.st_size, PROT_READ, MAP_PRIVATE, fd, 0);
	if (image == MAP_FAILED)
		return;
	if (madvise((void *)image, (size_t)st.st_size, MADV_HUGEPAGE) == 0)
		for (size_t at = 0; at < (size_t)st.st_size; at += piece)
			(void)*(const volatile char *)(image + at);
	munmap((void *)image, (size_t)st.st_size);
}
