/* SPDX-License-Identifier: MIT */
/*
 * What was found out about this host, for the runs after: PYI_RUN_DIR/facts.
 *
 * To try everything takes a fifth of a millisecond, and each run would find the same. Which answers may be kept?
 *
 *	- Only good ones. What is missing may have been mended since, and then the next run shall have it; so a host
 *	  on which any of it is missing is tried by each run.
 *	- What was good and no longer is shows when it is used, and that is an error, never a sandbox with less: the
 *	  run then forgets the file and tries everything itself (lib/super/run.c). `doctor` never looks here.
 *	- What the answers depend on must be the same: the boot, the binary, the ids and capabilities, the user
 *	  namespace, the mount namespace and the root directory in it. A mount has a number that is never used twice
 *	  between two boots, in every mount namespace another one: those of the file and of the root directory tell
 *	  that these are the same. With a system call filter on us already nothing is kept or recalled.
 *	- Groups only below the tops of their hierarchies, where they are the same whichever group we are in.
 *	- What is cheap to ask is asked: Landlock's version here, the LSM list and the BPF programs in probe.c.
 *
 * The directory is root's alone; and no policy may grant a guest writing there (pyi_step_guarded).
 */
#include "kernel/facts_file.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "base/build_id.h"
#include "base/io.h"
#include "base/util.h"
#include "kernel/landlock.h"
#include "kernel/run_dir.h"
#include "kernel/sys.h"
#include "plan/facts.h"

#ifndef STATX_MNT_ID_UNIQUE
#define STATX_MNT_ID_UNIQUE 0x4000U /* Linux 6.8 */
#endif

static const char name[] = "facts";

/* No padding: it is compared as it stands. */
struct asker {
	char magic[8];
	char boot[40]; /* empty where the file is on a tmpfs, which no boot survives */
	uint8_t build_id[PYI_BUILD_ID_LEN];
	uint32_t ids[6];
	uint32_t caps[6];
	uint32_t reserved;
	uint64_t file_mount, root_mount, root_ino, userns;
};

struct facts_file {
	struct asker asker;
	struct pyi_facts facts;
};

/* The number of the mount that a descriptor (or, with "/", our root) is on; 0 where the kernel does not tell. */
static uint64_t mount_number(int fd, const char *path, uint64_t *ret_ino)
{
	struct statx st;

	if (statx(fd, path, AT_EMPTY_PATH, STATX_MNT_ID_UNIQUE | STATX_INO, &st) < 0 ||
	    !(st.stx_mask & STATX_MNT_ID_UNIQUE))
		return 0;
	*ret_ino = st.stx_ino;
	return st.stx_mnt_id;
}

static bool read_boot(char *boot, size_t size)
{
	return pyi_read_at(AT_FDCWD, "/proc/sys/kernel/random/boot_id", boot, size) > 0;
}

static bool find_boot(int dir_fd, char *boot, size_t size)
{
	struct statfs fs;

	return fstatfs(dir_fd, &fs) == 0 && (fs.f_type == TMPFS_MAGIC || read_boot(boot, size));
}

/* Who asks; false where that cannot be told for sure. */
static bool find_asker(int dir_fd, struct asker *ret_asker)
{
	struct __user_cap_data_struct caps[2] = { 0 };
	struct asker asker = { .magic = "pyifac1" };
	const uint8_t *build_id = pyi_build_id();
	struct stat userns;
	uint64_t ino;

	_Static_assert(sizeof(asker) == 48 + PYI_BUILD_ID_LEN + 13 * 4 + 4 * 8, "no padding");
	_Static_assert(sizeof(caps) == sizeof(asker.caps), "all of them");
	if (!build_id || prctl(PR_GET_SECCOMP, 0, 0, 0, 0) != 0 ||
	    !find_boot(dir_fd, asker.boot, sizeof(asker.boot)) || pyi_sys_capget(caps) < 0 ||
	    getresuid(&asker.ids[0], &asker.ids[1], &asker.ids[2]) < 0 ||
	    getresgid(&asker.ids[3], &asker.ids[4], &asker.ids[5]) < 0 ||
	    stat("/proc/self/ns/user", &userns) < 0)
		return false;
	memcpy(asker.build_id, build_id, PYI_BUILD_ID_LEN);
	memcpy(asker.caps, caps, sizeof(caps));
	asker.userns = userns.st_ino;
	asker.file_mount = mount_number(dir_fd, "", &ino);
	asker.root_mount = mount_number(AT_FDCWD, "/", &asker.root_ino);
	*ret_asker = asker;
	return asker.file_mount && asker.root_mount;
}

/* Nothing in it that could have been mended since. */
static bool are_good(const struct pyi_facts *facts)
{
	return facts->is_root && !facts->userns.errnum && !facts->namespaces.errnum &&
	       !facts->mount_api.errnum && !facts->idmap.errnum && !facts->cgroup.errnum &&
	       !facts->landlock.errnum && !facts->seccomp.errnum && !facts->mdwe.errnum &&
	       facts->clone_into_cgroup && facts->cgroup_is_shared && facts->cgroup_v2_dir[0] &&
	       facts->cgroup_memory_dir[0] && facts->cgroup_pids_dir[0] && facts->cgroup_cpu_dir[0];
}

int pyi_facts_recall(struct pyi_facts *facts)
{
	_cleanup_fd int dir_fd = pyi_run_dir_open(PYI_RUN_DIR);
	_cleanup_fd int fd = -1;
	struct facts_file file;
	struct asker asker;
	struct stat st;

	if (dir_fd < 0)
		return -errno;
	fd = openat(dir_fd, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
	if (fd < 0 || fstat(fd, &st) < 0)
		return -errno;
	if (!S_ISREG(st.st_mode) || st.st_uid != 0 || st.st_mode & 077 || st.st_size != sizeof(file) ||
	    pyi_read_full(fd, &file, sizeof(file)) != (ssize_t)sizeof(file) ||
	    !find_asker(dir_fd, &asker) || memcmp(&asker, &file.asker, sizeof(asker)) != 0 ||
	    !are_good(&file.facts) || pyi_landlock_abi() != file.facts.landlock_abi)
		return -ESTALE;
	file.facts.uid = facts->uid;
	file.facts.gid = facts->gid;
	memcpy(file.facts.release, facts->release, sizeof(facts->release));
	*facts = file.facts;
	return 0;
}

void pyi_facts_keep(const struct pyi_facts *facts)
{
	struct facts_file file = { 0 };
	_cleanup_fd int dir_fd = -1;
	_cleanup_fd int fd = -1;

	if (!are_good(facts))
		return;
	dir_fd = pyi_run_dir_open(PYI_RUN_DIR);
	if (dir_fd < 0 && errno == ENOENT && mkdir(PYI_RUN_DIR, 0700) == 0)
		dir_fd = pyi_run_dir_open(PYI_RUN_DIR);
	if (dir_fd < 0 || !find_asker(dir_fd, &file.asker))
		return;
	file.facts = *facts;
	pyi_cpu_words(file.facts.cpu);
	if (!read_boot(file.facts.boot, sizeof(file.facts.boot)))
		return;
	/* Nothing is left of a run that is killed here: the file has its name when it is complete. */
	fd = openat(dir_fd, ".", O_TMPFILE | O_WRONLY | O_CLOEXEC, 0600);
	if (fd < 0 || fchmod(fd, 0600) < 0 || pyi_write_all(fd, &file, sizeof(file)) != 0)
		return;
	/* Where another run was faster, that one's is as good. */
	if (unlinkat(dir_fd, name, 0) == 0 || errno == ENOENT)
		(void)!linkat(fd, "", dir_fd, name, AT_EMPTY_PATH);
}

void pyi_facts_forget(void)
{
	_cleanup_fd int dir_fd = pyi_run_dir_open(PYI_RUN_DIR);

	if (dir_fd >= 0)
		(void)unlinkat(dir_fd, name, 0);
}
