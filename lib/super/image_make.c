/* SPDX-License-Identifier: MIT */
/*
 * Making and removing images; see image_cache.h. Everything here happens under the lock.
 *
 * A builder may be killed at any point: it leaves `new` behind, which no run looks at and the next builder replaces,
 * and the note that it had begun, which holds others off for a minute and then no more. The lock goes with its process.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "base/err.h"
#include "base/fault.h"
#include "base/io.h"
#include "base/util.h"
#include "kernel/lockdown.h"
#include "super/image_cache.h"

enum {
	RETRY_S = 60,	       /* after a failed attempt nobody tries by himself for so long */
	KEEP_S = 24 * 60 * 60, /* what another binary or boot has left is removed when it is older */
	KEEP_N = 8,	       /* and of the younger ones so many are kept */
	LISTED_MAX = 64,       /* files looked at by one builder */
	NICE = 10,
};

/* One attempt, and what it holds. */
struct attempt {
	const struct pyi_image_wish *wish;
	struct pyi_image_place place;
	char failed[PYI_IMAGE_FILE_LEN + sizeof(PYI_IMAGE_FAILED)]; /* name of the note */
	int dir_fd;
	int lock_fd;
};

static void attempt_release(struct attempt *attempt)
{
	pyi_close_fd(&attempt->lock_fd);
	pyi_close_fd(&attempt->dir_fd);
}

/* A lock file can have been removed while we waited for it: then it is none any more. */
static int lock_dir(int dir_fd, const char *dir, bool wait, int *ret_fd, struct pyi_err *err)
{
	for (int tries = 0; tries < 16; tries++) {
		_cleanup_fd int fd = -1;
		struct stat st;

		if (!PYI_FAULT(960, EROFS))
			fd = openat(dir_fd, PYI_IMAGE_LOCK,
				    O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK, 0600);
		if (fd < 0)
			return pyi_err_sys(err, errno, "cannot open '%s/" PYI_IMAGE_LOCK "'", dir);
		(void)fchmod(fd, 0600); /* the umask may have taken some of it */
		while (PYI_FAULT(961, ENOLCK) || flock(fd, LOCK_EX | (wait ? 0 : LOCK_NB)) < 0) {
			if (errno == EWOULDBLOCK)
				return pyi_err_set(err, EAGAIN,
						   "someone else is making an image in '%s'", dir);
			if (errno != EINTR)
				return pyi_err_sys(err, errno,
						   "cannot lock '%s/" PYI_IMAGE_LOCK "'", dir);
		}
		if (fstat(fd, &st) == 0 && st.st_nlink > 0) {
			*ret_fd = pyi_take_fd(&fd);
			return 0;
		}
	}
	return pyi_err_set(err, EAGAIN, "'%s/" PYI_IMAGE_LOCK "' is being removed", dir);
}

static void name_note(struct attempt *attempt)
{
	const struct pyi_image_place *place = &attempt->place;

	snprintf(attempt->failed, sizeof(attempt->failed), "%.*s" PYI_IMAGE_FAILED,
		 (int)(strlen(place->file) - strlen(PYI_IMAGE_SUFFIX)), place->file);
}

static int begin(struct attempt *attempt, bool wait, struct pyi_err *err)
{
	struct pyi_image_place *place = &attempt->place;
	int ret = pyi_image_place_find(attempt->wish, place, err);

	if (!ret)
		ret = pyi_image_dir_open(place->dir, true, &attempt->dir_fd, err);
	if (!ret)
		ret = lock_dir(attempt->dir_fd, place->dir, wait, &attempt->lock_fd, err);
	if (!ret)
		name_note(attempt);
	return ret;
}

/* ------------------------------------------------------------------------------------------------------ the note */

static void write_note(const struct attempt *attempt, const char *text)
{
	_cleanup_fd int fd = -1;

	(void)unlinkat(attempt->dir_fd, attempt->failed, 0);
	fd = openat(attempt->dir_fd, attempt->failed, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	if (fd >= 0 && fchmod(fd, 0600) == 0)
		(void)pyi_write_all(fd, text, strlen(text));
}

/* Has the last attempt failed, and only now? */
static int check_note(const struct attempt *attempt, struct pyi_err *err)
{
	char text[PYI_ERR_MSG_MAX];
	struct stat st;
	_cleanup_fd int fd = openat(attempt->dir_fd, attempt->failed,
				    O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
	int64_t age;
	ssize_t n;

	if (fd < 0 || fstat(fd, &st) < 0)
		return 0;
	age = (int64_t)(time(NULL) - st.st_mtim.tv_sec);
	if (age < 0 || age >= RETRY_S)
		return 0;
	n = pyi_read_full(fd, text, sizeof(text) - 1);
	return pyi_err_set(err, EAGAIN, "the last attempt, %d s ago: %.*s", (int)age,
			   n > 0 ? (int)n : 0, text);
}

void pyi_image_discard(const struct pyi_image_wish *wish, int fd, const char *why)
{
	struct attempt attempt = { .wish = wish, .dir_fd = -1, .lock_fd = -1 };
	const char *name = attempt.place.file;
	struct stat ours, named;

	if (!pyi_image_place_find(wish, &attempt.place, NULL) &&
	    !pyi_image_dir_open(attempt.place.dir, false, &attempt.dir_fd, NULL) &&
	    fstat(fd, &ours) == 0 && fstatat(attempt.dir_fd, name, &named, AT_SYMLINK_NOFOLLOW) == 0 &&
	    ours.st_dev == named.st_dev && ours.st_ino == named.st_ino) {
		(void)unlinkat(attempt.dir_fd, name, 0);
		name_note(&attempt);
		write_note(&attempt, why);
	}
	attempt_release(&attempt);
}

/* --------------------------------------------------------------------------------------------------- the building */

struct listed {
	char name[PYI_IMAGE_FILE_LEN + sizeof(PYI_IMAGE_FAILED)];
	int64_t mtime;
};

static int by_age(const void *a, const void *b)
{
	const struct listed *x = a, *y = b;

	return (x->mtime < y->mtime) - (x->mtime > y->mtime); /* the youngest first */
}

/* A stream over the directory with an offset of its own; closing it leaves dir_fd open. */
static DIR *open_list(int dir_fd)
{
	int fd = openat(dir_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *dir = fd < 0 ? NULL : fdopendir(fd);

	if (!dir && fd >= 0)
		close(fd);
	return dir;
}

/* Remove what others have left: what is old, and the oldest of what is many. */
static void sweep(const struct attempt *attempt)
{
	struct listed *list = calloc(LISTED_MAX, sizeof(*list));
	DIR *dir = list ? open_list(attempt->dir_fd) : NULL;
	int64_t now = (int64_t)time(NULL);
	struct dirent *file;
	size_t n = 0;

	while (dir && n < LISTED_MAX && (file = readdir(dir)) != NULL) {
		struct stat st;

		if ((!pyi_image_has_suffix(file->d_name, PYI_IMAGE_SUFFIX) &&
		     !pyi_image_has_suffix(file->d_name, PYI_IMAGE_FAILED)) ||
		    strlen(file->d_name) >= sizeof(list->name) ||
		    strcmp(file->d_name, attempt->place.file) == 0 ||
		    fstatat(attempt->dir_fd, file->d_name, &st, AT_SYMLINK_NOFOLLOW) < 0)
			continue;
		snprintf(list[n].name, sizeof(list->name), "%s", file->d_name);
		list[n++].mtime = (int64_t)st.st_mtim.tv_sec;
	}
	if (dir)
		closedir(dir);
	if (n)
		qsort(list, n, sizeof(*list), by_age);
	for (size_t i = 0; i < n; i++)
		if (i + 1 >= KEEP_N || now - list[i].mtime > KEEP_S)
			(void)unlinkat(attempt->dir_fd, list[i].name, 0);
	free(list);
}

static int build(const struct attempt *attempt, struct pyi_err *err)
{
	const struct pyi_image_wish *wish = attempt->wish;
	const char *dir = attempt->place.dir, *name = attempt->place.file;
	_cleanup_fd int fd = -1;
	int ret;

	(void)unlinkat(attempt->dir_fd, PYI_IMAGE_NEW, 0);
	if (!PYI_FAULT(962, ENOSPC))
		fd = openat(attempt->dir_fd, PYI_IMAGE_NEW,
			    O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (fd < 0 || PYI_FAULT(963, EPERM) || fchmod(fd, 0600) < 0)
		return pyi_err_sys(err, errno, "cannot make '%s/" PYI_IMAGE_NEW "'", dir);
	if (PYI_FAULT(964, ENOSPC))
		ret = pyi_err_sys(err, errno, "cannot write '%s/" PYI_IMAGE_NEW "'", dir);
	else
		ret = pyi_image_build(fd, wish->preload, wish->n_preload, err);
	if (!ret && (PYI_FAULT(965, EIO) || fsync(fd) < 0))
		ret = pyi_err_sys(err, errno, "cannot write '%s/" PYI_IMAGE_NEW "'", dir);
	if (!ret) {
		pyi_image_read_anew(fd);
		ret = pyi_image_check(fd, NULL, err);
	}
	if (!ret && (PYI_FAULT(966, EIO) ||
		     renameat(attempt->dir_fd, PYI_IMAGE_NEW, attempt->dir_fd, name) < 0))
		ret = pyi_err_sys(err, errno, "cannot name '%s/%s'", dir, name);
	if (ret) {
		(void)unlinkat(attempt->dir_fd, PYI_IMAGE_NEW, 0);
		return ret;
	}
	(void)fsync(attempt->dir_fd);
	return 0;
}

static int make(const struct attempt *attempt, struct pyi_err *err)
{
	int ret;

	write_note(attempt, "it was ended before it was done");
	(void)PYI_FAULT(967, 0);
	ret = build(attempt, err);
	if (ret) {
		if (err)
			write_note(attempt, err->msg);
		return ret;
	}
	(void)PYI_FAULT(968, 0);
	(void)unlinkat(attempt->dir_fd, attempt->failed, 0);
	sweep(attempt);
	return 0;
}

int pyi_image_make(const struct pyi_image_wish *wish, struct pyi_image_place *ret_place,
		   struct pyi_err *err)
{
	struct attempt attempt = { .wish = wish, .dir_fd = -1, .lock_fd = -1 };
	int ret = begin(&attempt, true, err);

	if (!ret)
		ret = make(&attempt, err);
	*ret_place = attempt.place;
	attempt_release(&attempt);
	return ret;
}

/* ------------------------------------------------------------------------------------------------ in the background */

/* Nothing of the invoker's stays open, or in our way: not his pipes, his terminal, his directory, his signals. */
static int detach(const struct attempt *attempt)
{
	const int keep[] = { attempt->dir_fd, attempt->lock_fd }; /* in the order they were opened */
	struct sigaction by_default = { .sa_handler = SIG_DFL };
	int null_fd = open("/dev/null", O_RDWR | O_CLOEXEC);
	sigset_t none;

	if (null_fd < 0 || setsid() < 0 || chdir("/") < 0)
		return -1;
	for (int fd = STDIN_FILENO; fd <= STDERR_FILENO; fd++)
		if (dup2(null_fd, fd) < 0)
			return -1;
	if (pyi_lockdown_fds(keep, PYI_ARRAY_SIZE(keep), NULL))
		return -1;
	for (int signo = 1; signo < NSIG; signo++)
		(void)sigaction(signo, &by_default, NULL);
	sigemptyset(&none);
	(void)sigprocmask(SIG_SETMASK, &none, NULL);
	umask(077);
	(void)!nice(NICE);
	return 0;
}

/*
 * A child's child: when we return it holds nothing of the invoker's any more, and whoever waits for our children sees
 * neither it nor its end.
 */
static int fork_builder(const struct attempt *attempt, struct pyi_err *err)
{
	pid_t pid = PYI_FAULT(969, EAGAIN) ? -1 : fork();

	if (pid < 0)
		return pyi_err_sys(err, errno, "cannot fork");
	if (pid == 0) {
		struct pyi_err unheard = { .errnum = 0 };

		if (detach(attempt) == 0 && fork() == 0)
			(void)make(attempt, &unheard);
		_exit(0);
	}
	while (waitpid(pid, NULL, 0) < 0 && errno == EINTR)
		;
	return 0;
}

int pyi_image_make_later(const struct pyi_image_wish *wish, struct pyi_err *err)
{
	struct attempt attempt = { .wish = wish, .dir_fd = -1, .lock_fd = -1 };
	_cleanup_fd int made_fd = -1;
	int ret = begin(&attempt, false, err);

	/* Of many that started without, the first to end has made it. */
	if (!ret && pyi_image_find(wish, &made_fd, NULL) == 0)
		ret = pyi_err_set(err, EEXIST, "someone else has made one meanwhile");
	if (!ret)
		ret = check_note(&attempt, err);
	if (!ret)
		ret = fork_builder(&attempt, err);
	attempt_release(&attempt);
	return ret;
}

/* ----------------------------------------------------------------------------------------------------- the removal */

int pyi_image_remove_all(unsigned int *ret_n, struct pyi_err *err)
{
	const struct pyi_image_wish wish = { .max_age_ms = UINT64_MAX };
	struct attempt attempt = { .wish = &wish, .dir_fd = -1, .lock_fd = -1 };
	struct pyi_image_place *place = &attempt.place;
	struct dirent *file;
	DIR *dir = NULL;
	int ret;

	*ret_n = 0;
	ret = pyi_image_place_find(&wish, place, err);
	if (!ret)
		ret = pyi_image_dir_open(place->dir, false, &attempt.dir_fd, err);
	if (ret)
		return ret == -ENOENT ? 0 : ret;
	ret = lock_dir(attempt.dir_fd, place->dir, true, &attempt.lock_fd, err);
	if (!ret) {
		dir = open_list(attempt.dir_fd);
		if (!dir)
			ret = pyi_err_sys(err, errno, "cannot read the directory '%s'", place->dir);
	}
	while (dir && !ret && (file = readdir(dir)) != NULL) {
		bool is_image = pyi_image_has_suffix(file->d_name, PYI_IMAGE_SUFFIX);

		if (!is_image && !pyi_image_has_suffix(file->d_name, PYI_IMAGE_FAILED) &&
		    strcmp(file->d_name, PYI_IMAGE_NEW) != 0)
			continue;
		if (unlinkat(attempt.dir_fd, file->d_name, 0) < 0)
			ret = pyi_err_sys(err, errno, "cannot remove '%s/%s'", place->dir, file->d_name);
		*ret_n += is_image;
	}
	if (dir)
		closedir(dir);
	if (!ret) {
		(void)unlinkat(attempt.dir_fd, PYI_IMAGE_LOCK, 0);
		(void)rmdir(place->dir);
	}
	attempt_release(&attempt);
	return ret;
}
