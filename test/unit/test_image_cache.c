/* SPDX-License-Identifier: MIT */
/*
 * The cache of images, with images that this test makes up: which of them may be used, who makes one, what is left when
 * making fails. Run by root it becomes another user first, for root's place has a fixed name.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "base/err.h"
#include "base/io.h"
#include "super/image_cache.h"

static char top[] = "/tmp/pyi-images.XXXXXX";
static const char *build_error; /* what the next build says, NULL: it succeeds */
static unsigned int builds;
static const struct pyi_image_wish usual = { .max_age_ms = 60000 };

/* ------------------------------------------------------------------------------------------------- in guest's place */

void pyi_image_know_cpu(const uint32_t *words)
{
}

int pyi_image_key(char *ret_key, size_t size, struct pyi_err *err)
{
	snprintf(ret_key, size, "0123abcd-77");
	return 0;
}

int pyi_image_check(int fd, struct pyi_image_info *ret_info, struct pyi_err *err)
{
	char text[4] = "";

	if (pread(fd, text, sizeof(text), 0) != sizeof(text) || memcmp(text, "good", 4) != 0)
		return pyi_err_set(err, EINVAL, "damaged");
	if (ret_info)
		snprintf(ret_info->python, sizeof(ret_info->python), "3.13.5");
	return 0;
}

int pyi_image_build(int fd, const char *const *preload, size_t n_preload, struct pyi_err *err)
{
	builds++;
	if (build_error)
		return pyi_err_set(err, EINVAL, "%s", build_error);
	return pyi_write_all(fd, "good", 4);
}

void pyi_image_read_anew(int fd)
{
	assert_int_equal(lseek(fd, 0, SEEK_END), 4);
}

/* ---------------------------------------------------------------------------------------------------------- helpers */

static struct pyi_image_place place_of(const struct pyi_image_wish *wish)
{
	struct pyi_image_place place;

	assert_int_equal(pyi_image_place_find(wish, &place, NULL), 0);
	return place;
}

static const char *path_of(const char *name)
{
	static char path[PATH_MAX + PYI_IMAGE_FILE_LEN];
	struct pyi_image_place place = place_of(&usual);

	snprintf(path, sizeof(path), "%s/%s", place.dir, name ? name : place.file);
	return path;
}

static void expect_find(int want, const char *why)
{
	struct pyi_err err = { 0 };
	int fd = -1;

	assert_int_equal(pyi_image_find(&usual, &fd, &err), want);
	if (why)
		assert_non_null(strstr(err.msg, why));
	assert_true((fd >= 0) == (want == 0));
	if (fd >= 0)
		close(fd);
}

static void make_one(void)
{
	struct pyi_image_place place;

	build_error = NULL;
	assert_int_equal(pyi_image_make(&usual, &place, NULL), 0);
	expect_find(0, NULL);
}

static void age(const char *path, time_t seconds)
{
	struct timespec times[2];

	clock_gettime(CLOCK_REALTIME, &times[0]);
	times[0].tv_sec -= seconds;
	times[1] = times[0];
	assert_int_equal(utimensat(AT_FDCWD, path, times, AT_SYMLINK_NOFOLLOW), 0);
}

static int set_up(void **state)
{
	if (geteuid() == 0 && (setegid(65534) || seteuid(65534)))
		return -1;
	strcpy(top, "/tmp/pyi-images.XXXXXX");
	builds = 0;
	return mkdtemp(top) && !setenv("XDG_CACHE_HOME", top, 1) ? 0 : -1;
}

static int clean_up(void **state)
{
	char command[64];

	snprintf(command, sizeof(command), "rm -rf '%s'", top);
	return system(command);
}

/* ------------------------------------------------------------------------------------------------------------ tests */

static void test_place(void **state)
{
	const char *names[] = { "json", "re" }, *others[] = { "json", "ssl" };
	struct pyi_image_wish two = { .preload = names, .n_preload = 2 };
	struct pyi_image_wish other = { .preload = others, .n_preload = 2 };
	struct pyi_image_place place = place_of(&usual);
	char dir[PATH_MAX];
	struct pyi_err err = { 0 };

	snprintf(dir, sizeof(dir), "%s/pyisolate", top);
	assert_string_equal(place.dir, dir);
	assert_int_equal(strncmp(place.file, "0123abcd-77-", 12), 0);
	assert_true(pyi_image_has_suffix(place.file, "-usual.image"));
	assert_string_not_equal(place_of(&two).file, place.file);
	assert_string_not_equal(place_of(&two).file, place_of(&other).file);
	/* A relative one counts as none (XDG Base Directory Specification). */
	setenv("XDG_CACHE_HOME", "relative", 1);
	setenv("HOME", "/home/x", 1);
	assert_string_equal(place_of(&usual).dir, "/home/x/.cache/pyisolate");
	unsetenv("HOME");
	assert_int_equal(pyi_image_place_find(&usual, &place, &err), -ENOENT);
}

static void test_directory(void **state)
{
	struct pyi_image_place place = place_of(&usual);
	char elsewhere[PATH_MAX];
	int fd = -1;

	expect_find(-ENOENT, "no image");
	make_one();
	assert_int_equal(chmod(place.dir, 0755), 0);
	expect_find(-EPERM, "mode 0755");
	assert_int_equal(pyi_image_dir_open(place.dir, true, &fd, NULL), -EPERM);
	assert_int_equal(chmod(place.dir, 0702), 0);
	expect_find(-EPERM, "mode 0702");
	assert_int_equal(chmod(place.dir, 0700), 0);
	expect_find(0, NULL);
	snprintf(elsewhere, sizeof(elsewhere), "%s/elsewhere", top);
	assert_int_equal(rename(place.dir, elsewhere), 0);
	assert_int_equal(symlink(elsewhere, place.dir), 0);
	expect_find(-ENOENT, NULL);
	assert_int_equal(unlink(place.dir), 0);
	/* Another's directory. */
	setenv("XDG_CACHE_HOME", "/", 1);
	assert_int_equal(pyi_image_dir_open("/etc", false, &fd, NULL), -EPERM);
}

static void test_file(void **state)
{
	const char *path;
	int fd;

	make_one();
	path = path_of(NULL);
	for (unsigned int bit = 1; bit <= 04000; bit <<= 1) {
		if (bit & 0600)
			continue;
		assert_int_equal(chmod(path, 0600 | bit), 0);
		expect_find(-EPERM, "not 0600");
	}
	assert_int_equal(chmod(path, 0600), 0);
	expect_find(0, NULL);
	assert_int_equal(link(path, strcat(strcpy((char[PATH_MAX + 200]){ 0 }, path), "2")), 0);
	expect_find(-EPERM, "2 links");
	assert_int_equal(unlink(strcat(strcpy((char[PATH_MAX + 200]){ 0 }, path), "2")), 0);
	expect_find(0, NULL);
	age(path, 59);
	expect_find(0, NULL);
	age(path, 61);
	expect_find(-ESTALE, "older than 1m");
	age(path, -100);
	expect_find(-ESTALE, "future");
	assert_int_equal(unlink(path), 0);
	assert_int_equal(symlink("/etc/passwd", path), 0);
	expect_find(-ELOOP, "symbolic link");
	assert_int_equal(unlink(path), 0);
	assert_int_equal(mkfifo(path, 0600), 0);
	expect_find(-EINVAL, "not a file");
	assert_int_equal(unlink(path), 0);
	assert_int_equal(mkdir(path, 0700), 0);
	expect_find(-EINVAL, "not a file");
	assert_int_equal(rmdir(path), 0);
	fd = open(path, O_WRONLY | O_CREAT, 0600);
	assert_int_equal(pyi_write_all(fd, "bad!", 4), 0);
	close(fd);
	expect_find(-EINVAL, "': damaged");
}

static void test_a_bad_one_is_replaced(void **state)
{
	make_one();
	assert_int_equal(unlink(path_of(NULL)), 0);
	assert_int_equal(symlink("/etc/passwd", path_of(NULL)), 0);
	make_one();
	assert_int_equal(chmod(path_of(NULL), 0666), 0);
	make_one();
	assert_int_equal(symlink("/nonexistent", path_of(PYI_IMAGE_NEW)), 0); /* left by a builder */
	make_one();
	umask(0777);
	make_one();
	umask(022);
	assert_int_equal(access(path_of(PYI_IMAGE_NEW), F_OK), -1);
}

static void test_open_image_outlives_its_name(void **state)
{
	char text[4];
	int fd = -1;

	make_one();
	assert_int_equal(pyi_image_find(&usual, &fd, NULL), 0);
	make_one();
	assert_int_equal(unlink(path_of(NULL)), 0);
	assert_int_equal(pread(fd, text, 4, 0), 4);
	assert_memory_equal(text, "good", 4);
	close(fd);
}

static void test_failure(void **state)
{
	struct pyi_image_place place;
	struct pyi_err err = { 0 };
	char note[PYI_IMAGE_FILE_LEN + 8];

	build_error = "no module named x";
	assert_int_equal(pyi_image_make(&usual, &place, &err), -EINVAL);
	assert_string_equal(err.msg, build_error);
	expect_find(-ENOENT, NULL);
	assert_int_equal(access(path_of(PYI_IMAGE_NEW), F_OK), -1);
	/* Nobody tries at once again by himself; who asks for it may. */
	assert_int_equal(pyi_image_make_later(&usual, &err), -EAGAIN);
	assert_non_null(strstr(err.msg, build_error));
	snprintf(note, sizeof(note), "%.*s.failed", (int)(strlen(place.file) - 6), place.file);
	age(path_of(note), 61);
	assert_int_equal(pyi_image_make_later(&usual, &err), 0);
	make_one();
	assert_int_equal(access(path_of(note), F_OK), -1);
}

static void test_discard(void **state)
{
	struct pyi_err err = { 0 };
	int fd = -1;

	make_one();
	assert_int_equal(pyi_image_find(&usual, &fd, NULL), 0);
	make_one(); /* another has its name now, which is not to blame */
	pyi_image_discard(&usual, fd, "a guest died of it");
	expect_find(0, NULL);
	close(fd);
	assert_int_equal(pyi_image_find(&usual, &fd, NULL), 0);
	pyi_image_discard(&usual, fd, "a guest died of it");
	close(fd);
	expect_find(-ENOENT, NULL);
	assert_int_equal(pyi_image_make_later(&usual, &err), -EAGAIN);
	assert_non_null(strstr(err.msg, "a guest died of it"));
}

static void test_one_builder(void **state)
{
	struct pyi_err err = { 0 };
	int fd;

	make_one();
	fd = open(path_of(PYI_IMAGE_LOCK), O_RDWR | O_CLOEXEC);
	assert_int_equal(flock(fd, LOCK_EX), 0);
	assert_int_equal(pyi_image_make_later(&usual, &err), -EAGAIN);
	assert_non_null(strstr(err.msg, "someone else is making"));
	close(fd);
	assert_int_equal(pyi_image_make_later(&usual, &err), -EEXIST);
	assert_int_equal(builds, 1);
}

static void test_later(void **state)
{
	pid_t pid;
	int status;

	/* Asked by a child, whose child's child it then is: nobody is left to wait for. */
	pid = fork();
	if (pid == 0)
		_exit(pyi_image_make_later(&usual, NULL) || waitpid(-1, NULL, WNOHANG) != -1 ||
		      errno != ECHILD);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
	for (int i = 0; i < 500 && access(path_of(NULL), F_OK); i++)
		usleep(10000);
	expect_find(0, NULL);
}

static void test_nothing_can_be_written(void **state)
{
	struct pyi_err err = { 0 };

	assert_int_equal(chmod(top, 0500), 0);
	assert_int_equal(pyi_image_make_later(&usual, &err), -EACCES);
	assert_non_null(strstr(err.msg, "cannot make the directory"));
	assert_int_equal(chmod(top, 0700), 0);
	setenv("XDG_CACHE_HOME", "/dev/null", 1);
	assert_int_equal(pyi_image_make_later(&usual, &err), -ENOTDIR);
	expect_find(-ENOENT, NULL);
	assert_int_equal(builds, 0);
}

static void touch(const char *path, time_t seconds)
{
	close(open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600));
	age(path, seconds);
}

static void test_sweep(void **state)
{
	char name[64];

	make_one();
	touch(path_of("old-1-usual.image"), 2 * 86400);
	touch(path_of("old-2-usual.failed"), 2 * 86400);
	touch(path_of("unknown"), 2 * 86400);
	for (int i = 0; i < 20; i++) {
		snprintf(name, sizeof(name), "young-%02d-usual.image", i);
		touch(path_of(name), i * 60);
	}
	make_one();
	assert_int_equal(access(path_of("old-1-usual.image"), F_OK), -1);
	assert_int_equal(access(path_of("old-2-usual.failed"), F_OK), -1);
	assert_int_equal(access(path_of("unknown"), F_OK), 0);
	for (int i = 0; i < 20; i++) {
		snprintf(name, sizeof(name), "young-%02d-usual.image", i);
		assert_int_equal(access(path_of(name), F_OK), i < 7 ? 0 : -1);
	}
}

static void count(const struct pyi_image_entry *entry, void *data)
{
	unsigned int *n = data;

	n[0]++;
	n[1] += entry->is_valid;
	if (!entry->is_valid)
		assert_non_null(strstr(entry->why.msg, strstr(entry->path, "0123abcd-77")
							       ? "before the kernel was booted"
							       : "another build"));
}

static void test_list_and_remove(void **state)
{
	unsigned int n[2] = { 0 }, removed;

	assert_int_equal(pyi_image_list(UINT64_MAX, count, n, NULL), 0);
	assert_int_equal(n[0], 0);
	make_one();
	touch(path_of("0123abcd-77-00000000-usual.image"), 0);
	touch(path_of("deadbeef-77-00000000-usual.image"), 0);
	touch(path_of("x.image"), 0);
	assert_int_equal(pyi_image_list(UINT64_MAX, count, n, NULL), 0);
	assert_int_equal(n[0], 4);
	assert_int_equal(n[1], 1);
	touch(path_of("not ours"), 0);
	assert_int_equal(pyi_image_remove_all(&removed, NULL), 0);
	assert_int_equal(removed, 4);
	assert_int_equal(access(path_of("not ours"), F_OK), 0);
	assert_int_equal(unlink(path_of("not ours")), 0);
	assert_int_equal(pyi_image_remove_all(&removed, NULL), 0);
	assert_int_equal(access(place_of(&usual).dir, F_OK), -1);
	assert_int_equal(pyi_image_remove_all(&removed, NULL), 0);
	assert_int_equal(removed, 0);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, clean_up)
	const struct CMUnitTest tests[] = {
		TEST(test_place),
		TEST(test_directory),
		TEST(test_file),
		TEST(test_a_bad_one_is_replaced),
		TEST(test_open_image_outlives_its_name),
		TEST(test_failure),
		TEST(test_discard),
		TEST(test_one_builder),
		TEST(test_later),
		TEST(test_nothing_can_be_written),
		TEST(test_sweep),
		TEST(test_list_and_remove),
	};

	return cmocka_run_group_tests_name("image_cache", tests, NULL, NULL);
}
