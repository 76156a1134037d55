/* SPDX-License-Identifier: MIT */
/* Reading the program text; see source.h. */
#include "super/source.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/err.h"
#include "base/io.h"
#include "base/util.h"
#include "super/run.h"

void pyi_source_release(struct pyi_source *source)
{
	pyi_buf_release(&source->text);
	free(source->path0);
	free(source->script_dir);
}

static int too_large(const char *what, struct pyi_err *err)
{
	return pyi_err_set(err, EFBIG, "%s is larger than %d MiB: let a small script import the rest",
			   what, PYI_GUEST_TEXT_MAX >> 20);
}

static int read_script(const char *path, struct pyi_source *source, struct pyi_err *err)
{
	_cleanup_fd int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
	struct pollfd poller = { .fd = fd, .events = POLLIN };
	_cleanup_free char *real = NULL;
	struct stat st;
	char *slash;
	int ret;

	if (fd < 0)
		return pyi_err_sys(err, errno, "cannot open script '%s'", path);
	if (fstat(fd, &st))
		return pyi_err_sys(err, errno, "cannot read script '%s'", path);
	if (S_ISDIR(st.st_mode))
		return pyi_err_set(err, EISDIR,
				   "script '%s' is a directory: name a file, or use -m", path);
	if (S_ISREG(st.st_mode) && st.st_size > PYI_GUEST_TEXT_MAX)
		return too_large("the script", err);
	/*
	 * A fifo or /dev/stdin was opened without waiting for its writer; reads shall wait, and first of all until
	 * there is one: before that a fifo is at its end at once.
	 */
	if (fcntl(fd, F_SETFL, 0))
		return pyi_err_sys(err, errno, "cannot read script '%s'", path);
	while (S_ISFIFO(st.st_mode) && poll(&poller, 1, -1) < 0)
		if (errno != EINTR)
			return pyi_err_sys(err, errno, "cannot wait for script '%s'", path);
	ret = pyi_read_all(fd, PYI_GUEST_TEXT_MAX, &source->text);
	if (ret == -EFBIG)
		return too_large("the script", err);
	if (ret)
		return pyi_err_sys(err, -ret, "cannot read script '%s'", path);
	real = realpath(path, NULL);
	if (!real)
		return 0; /* /dev/fd/N of a pipe has no directory to import from */
	slash = strrchr(real, '/');
	slash[slash == real] = '\0';
	source->path0 = strdup(real);
	source->script_dir = strdup(real);
	return source->path0 && source->script_dir ? 0 : pyi_err_nomem(err);
}

static int read_stdin(struct pyi_source *source, struct pyi_err *err)
{
	int ret = pyi_read_all(STDIN_FILENO, PYI_GUEST_TEXT_MAX, &source->text);

	if (ret == -EFBIG)
		return too_large("the program on stdin", err);
	if (ret)
		return pyi_err_sys(err, -ret, "cannot read the program from stdin");
	return 0;
}

int pyi_source_read(const struct pyi_run_options *options, struct pyi_source *ret_source,
		    struct pyi_err *err)
{
	int ret = 0;

	switch (options->source) {
	case PYI_SOURCE_CODE:
		if (strlen(options->target) > PYI_GUEST_TEXT_MAX)
			return too_large("the code", err);
		pyi_buf_puts(&ret_source->text, options->target);
		break;
	case PYI_SOURCE_SCRIPT:
		ret = read_script(options->target, ret_source, err);
		break;
	case PYI_SOURCE_STDIN:
		ret = read_stdin(ret_source, err);
		break;
	case PYI_SOURCE_MODULE:
		ret_source->path0 = getcwd(NULL, 0);
		break;
	}
	if (ret)
		return ret;
	if (ret_source->text.failed)
		return pyi_err_nomem(err);
	if (!ret_source->path0)
		ret_source->path0 = strdup("");
	return ret_source->path0 ? 0 : pyi_err_nomem(err);
}
