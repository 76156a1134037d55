/* SPDX-License-Identifier: MIT */
/* The guest's spec: what is written is read back, and nothing else is read. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <string.h>
#include <sys/mman.h>

#include <cmocka.h>
#include <errno.h>
#include <fcntl.h>

#include "base/err.h"
#include "base/util.h"
#include "guest/internal.h"

static struct pyi_err err;
static struct pyi_seccomp filter = { .n = 3,
				     .insns = { { 1, 2, 3, 4 }, { 5, 6, 7, 8 }, { 9, 10, 11, 12 } } };

static struct pyi_guest_spec full_spec(void)
{
	static char *args[] = { (char *)"one", (char *)"", (char *)"zwei \xff drei" };
	static const char *imports[] = { "math", "json" };

	return (struct pyi_guest_spec){
		.source = PYI_SOURCE_SCRIPT,
		.name = "dir/job.py",
		.path0 = "/srv/dir",
		.text = "a\0b",
		.text_len = 3,
		.args = args,
		.n_args = 3,
		.imports = imports,
		.n_imports = 2,
		.report_oserrors = true,
		.seccomp = &filter,
	};
}

static void test_round_trip(void **state)
{
	struct pyi_guest_spec spec = full_spec();
	struct pyi_guest_spec_map map;
	_cleanup_fd int fd = -1;

	assert_int_equal(pyi_guest_spec_write(&spec, &fd, &err), 0);
	assert_int_equal(pyi_guest_spec_read(fd, &map, &err), 0);
	assert_int_equal(map.spec.source, PYI_SOURCE_SCRIPT);
	assert_string_equal(map.spec.name, "dir/job.py");
	assert_string_equal(map.spec.path0, "/srv/dir");
	assert_int_equal(map.spec.text_len, 3);
	assert_memory_equal(map.spec.text, "a\0b\0", 4);
	assert_int_equal(map.spec.n_args, 3);
	assert_string_equal(map.spec.args[1], "");
	assert_string_equal(map.spec.args[2], "zwei \xff drei");
	assert_int_equal(map.spec.n_imports, 2);
	assert_string_equal(map.spec.imports[1], "json");
	assert_true(map.spec.report_oserrors);
	assert_false(map.spec.mdwe);
	assert_int_equal(map.spec.seccomp->n, 3);
	assert_memory_equal(map.spec.seccomp->insns, filter.insns, 3 * sizeof(filter.insns[0]));
	pyi_guest_spec_release(&map);
}

static void test_smallest(void **state)
{
	struct pyi_guest_spec spec = {
		.source = PYI_SOURCE_MODULE, .name = "json.tool", .path0 = "", .mdwe = true
	};
	struct pyi_guest_spec_map map;
	_cleanup_fd int fd = -1;

	assert_int_equal(pyi_guest_spec_write(&spec, &fd, &err), 0);
	assert_int_equal(pyi_guest_spec_read(fd, &map, &err), 0);
	assert_null(map.spec.text);
	assert_null(map.spec.imports);
	assert_null(map.spec.seccomp);
	assert_int_equal(map.spec.n_args, 0);
	assert_true(map.spec.mdwe);
	pyi_guest_spec_release(&map);
}

/* An empty list of imports allows none; it is not the same as no list. */
static void test_empty_imports(void **state)
{
	struct pyi_guest_spec spec = full_spec();
	struct pyi_guest_spec_map map;
	_cleanup_fd int fd = -1;

	spec.n_imports = 0;
	assert_int_equal(pyi_guest_spec_write(&spec, &fd, &err), 0);
	assert_int_equal(pyi_guest_spec_read(fd, &map, &err), 0);
	assert_non_null(map.spec.imports);
	assert_int_equal(map.spec.n_imports, 0);
	pyi_guest_spec_release(&map);
}

static void test_too_large(void **state)
{
	struct pyi_guest_spec spec = full_spec();
	int fd = -1;

	spec.text_len = (size_t)PYI_GUEST_TEXT_MAX + 1;
	assert_int_equal(pyi_guest_spec_write(&spec, &fd, &err), -EFBIG);
	assert_string_equal(err.msg, "'dir/job.py' is larger than 64 MiB");
	spec = full_spec();
	spec.n_args = SIZE_MAX / 2;
	spec.args = NULL;
	assert_int_equal(pyi_guest_spec_write(&spec, &fd, &err), -E2BIG);
	assert_int_equal(fd, -1);
}

static int sealed(const void *data, size_t len, int seals)
{
	int fd = memfd_create("test", MFD_CLOEXEC | MFD_ALLOW_SEALING);

	assert_int_equal(write(fd, data, len), len);
	assert_int_equal(fcntl(fd, F_ADD_SEALS, seals), 0);
	return fd;
}

static const int all_seals = F_SEAL_SEAL | F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE;

/* Every length and every single damaged byte: either an error or a spec whose parts lie inside the mapping. */
static void test_damage(void **state)
{
	struct pyi_guest_spec spec = full_spec();
	struct pyi_guest_spec_map map;
	_cleanup_fd int fd = -1;
	unsigned char good[4096], bad[4096];
	ssize_t len;

	assert_int_equal(pyi_guest_spec_write(&spec, &fd, &err), 0);
	len = pread(fd, good, sizeof(good), 0);
	assert_in_range(len, 64, sizeof(good) - 1);
	for (ssize_t i = 0; i <= len; i++) {
		_cleanup_fd int cut = sealed(good, i, all_seals);

		assert_int_equal(pyi_guest_spec_read(cut, &map, &err) == 0, i == len);
		pyi_guest_spec_release(&map);
	}
	for (ssize_t i = 0; i < len * 3; i++) {
		memcpy(bad, good, len);
		bad[i / 3] ^= i % 3 == 0 ? 0x01 : i % 3 == 1 ? 0x80 : 0xff;
		_cleanup_fd int damaged = sealed(bad, len, all_seals);

		if (!pyi_guest_spec_read(damaged, &map, &err)) {
			assert_true(map.spec.source <= PYI_SOURCE_STDIN);
			assert_true(map.spec.text_len <= (size_t)len);
			for (size_t k = 0; k < map.spec.n_args; k++)
				assert_true(strlen(map.spec.args[k]) < (size_t)len);
		}
		pyi_guest_spec_release(&map);
	}
}

static void test_unsealed(void **state)
{
	struct pyi_guest_spec spec = full_spec();
	struct pyi_guest_spec_map map;
	_cleanup_fd int fd = -1;
	char data[4096];
	ssize_t len;

	assert_int_equal(pyi_guest_spec_write(&spec, &fd, &err), 0);
	len = pread(fd, data, sizeof(data), 0);
	_cleanup_fd int unsealed = sealed(data, len, F_SEAL_SHRINK | F_SEAL_GROW);

	assert_int_equal(pyi_guest_spec_read(unsealed, &map, &err), -EINVAL);
	assert_int_equal(pyi_guest_spec_read(-1, &map, &err), -EINVAL);
	assert_true(write(fd, "x", 1) < 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_round_trip),    cmocka_unit_test(test_smallest),
		cmocka_unit_test(test_empty_imports), cmocka_unit_test(test_too_large),
		cmocka_unit_test(test_damage),	      cmocka_unit_test(test_unsealed),
	};

	return cmocka_run_group_tests_name("spec", tests, NULL, NULL);
}
