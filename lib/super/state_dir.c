/* SPDX-License-Identifier: MIT */
/* Where state is kept; see state_dir.h. */
#include "super/state_dir.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/err.h"
#include "base/util.h"

/* Another user who may write here could give us any state, or take our names: so nobody else may even look. */
static int check_dir(const char *path, bool create, struct pyi_err *err)
{
	_cleanup_fd int fd = -1;
	struct stat st;

	if (create && mkdir(path, 0700) < 0 && errno != EEXIST)
		return pyi_err_sys(err, errno, "cannot make '%s'", path);
	fd = open(path, O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (fd < 0 || fstat(fd, &st) < 0)
		return pyi_err_sys(err, errno, "cannot open '%s'", path);
	if (st.st_uid != geteuid())
		return pyi_err_set(err, EPERM, "'%s' belongs to another user (%u): it must be yours",
				   path, (unsigned int)st.st_uid);
	if (st.st_mode & 077)
		return pyi_err_set(err, EPERM, "others may enter '%s': chmod 700 it", path);
	return 0;
}

/* An ordinary user's runtime directory: what the login manager made, whether or not it was told to this process. */
static int find_runtime_dir(char *path, size_t size, struct pyi_err *err)
{
	const char *xdg = getenv("XDG_RUNTIME_DIR");
	struct stat st;

	if (xdg && xdg[0] == '/') {
		snprintf(path, size, "%s", xdg);
		return 0;
	}
	snprintf(path, size, "/run/user/%u", (unsigned int)geteuid());
	if (stat(path, &st) == 0 && st.st_uid == geteuid())
		return 0;
	return pyi_err_set(err, ENXIO,
			   "no place to keep named sandboxes: XDG_RUNTIME_DIR is not set (or set "
			   "PYISOLATE_RUN_DIR to a directory of your own)");
}

int pyi_state_dir_find(bool create, struct pyi_state_dir *ret_dir, struct pyi_err *err)
{
	const char *chosen = getenv("PYISOLATE_RUN_DIR");
	char runtime[PATH_MAX - 16];
	int ret;

	ret_dir->is_chosen = chosen && chosen[0];
	if (ret_dir->is_chosen) {
		if (chosen[0] != '/' || strlen(chosen) >= sizeof(runtime))
			return pyi_err_set(err, EINVAL,
					   "PYISOLATE_RUN_DIR '%.100s' is not an absolute path",
					   chosen);
		snprintf(ret_dir->path, sizeof(ret_dir->path), "%s", chosen);
		return check_dir(ret_dir->path, create, err);
	}
	if (geteuid() == 0) {
		snprintf(ret_dir->path, sizeof(ret_dir->path), "/run/pyisolate");
		return check_dir(ret_dir->path, create, err);
	}
	ret = find_runtime_dir(runtime, sizeof(runtime), err);
	if (ret)
		return ret;
	snprintf(ret_dir->path, sizeof(ret_dir->path), "%s/pyisolate", runtime);
	return check_dir(ret_dir->path, create, err);
}

int pyi_state_dir_below(const struct pyi_state_dir *dir, const char *name, bool create,
			char ret_path[PATH_MAX], struct pyi_err *err)
{
	if (snprintf(ret_path, PATH_MAX, "%s/%s", dir->path, name) >= PATH_MAX)
		return pyi_err_set(err, ENAMETOOLONG, "the name '%s' is too long", dir->path);
	return check_dir(ret_path, create, err);
}
