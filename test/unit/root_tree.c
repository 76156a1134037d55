/* SPDX-License-Identifier: MIT */
/*
 * The file tree of real sandboxes on the running kernel: that it holds what was granted, as it was granted, and
 * nothing else; on disk and on tmpfs, with and without id maps, while paths are swapped, from a chroot. Root; an
 * ordinary user is a child with uid 65534.
 */
#include "test/unit/sandbox_fixture.h"

#include <sys/resource.h>

static void test_tree_holds_only_grants(void **state)
{
	struct fixture f = fixture_new();

	assert_int_equal(fixture_sh(&f, "ls -A / /dev; cat /etc/hosts"), 0);
	assert_string_equal(
		f.out,
		"/:\nbin\ndev\netc\nlib\nlib64\nproc\ntmp\nusr\n\n/dev:\nnull\nurandom\nzero\nours\n");
	/* No mount of the host is left, not even detached or hidden below another one. */
	assert_int_equal(fixture_sh(&f, "cut -d' ' -f5 /proc/self/mountinfo | sort | tr '\\n' ' '"), 0);
	assert_string_equal(f.out, "/ /dev/null /dev/urandom /dev/zero /proc /tmp /usr ");
	assert_int_not_equal(fixture_sh(&f, "ls /proc/1/root/"), 0);
	assert_int_equal(fixture_sh(&f, "cd ../../../../..; ls -d root var home 2>/dev/null | wc -l"),
			 0);
	assert_string_equal(f.out, "0\n");
	fixture_end(&f);
}

static void test_read_only(void **state)
{
	struct fixture f = fixture_new();

	assert_int_equal(fixture_sh(&f, "for d in / /usr /usr/bin /dev /etc /proc; do touch $d/x && echo $d; done; "
					"chmod 777 /dev/null; echo y >/dev/null && head -c 4 /dev/zero | wc -c; "
					"rm -f /dev/null; ls /dev"),
			 0);
	assert_string_equal(f.out, "4\nnull\nurandom\nzero\n");
	fixture_end(&f);
}

static void test_private_tmp_is_limited(void **state)
{
	struct fixture f = fixture_new();

	assert_int_equal(fixture_sh(&f, "head -c 3000000 /dev/zero >/tmp/x; stat -c %s /tmp/x; rm /tmp/x; "
					"i=0; while true >/tmp/$i; do i=$((i+1)); done; echo $i"),
			 0);
	assert_true(strncmp(f.out, "1048576\n", 8) == 0);
	assert_in_range(atol(f.out + 8), 500, 1024);
	assert_int_equal(fixture_sh(&f, "cp /bin/true /tmp/t && /tmp/t"), 126 << 8); /* noexec */
	fixture_end(&f);
}

static void check_idmap(const char *base)
{
	struct fixture f = fixture_new();
	char path[256], script[1024];
	struct stat st;

	fixture_file(base, "mine", "mine\n", 0600, 0);
	fixture_file(base, "others", "others\n", 0600, 1234);
	fixture_file(base, "public", "public\n", 0666, 1234);
	fixture_bind(&f, base, PYI_READ | PYI_WRITE, true, true);
	snprintf(script, sizeof(script),
		 "cd %s && cat mine && echo more >>mine && echo new >new && mkdir d && echo x >d/x && chmod 600 new; "
		 "stat -c '%%u %%g' mine new d others; cat others; cat public; echo x >public; rm others; id -u",
		 base);
	assert_int_equal(fixture_sh(&f, script), 0);
	/* Others' files have no owner the guest could be, and are not its to write even where anyone may. */
	assert_string_equal(
		f.out, "mine\n60001 60002\n60001 60002\n60001 60002\n65534 65534\npublic\n60001\n");
	snprintf(path, sizeof(path), "%s/new", base);
	assert_int_equal(stat(path, &st), 0);
	assert_true(st.st_uid == 0 && st.st_gid == 0 && (st.st_mode & 07777) == 0600);
	snprintf(path, sizeof(path), "%s/d/x", base);
	assert_int_equal(stat(path, &st), 0);
	assert_true(st.st_uid == 0 && st.st_gid == 0);
	snprintf(path, sizeof(path), "%s/public", base);
	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(st.st_size, 7);

	/* A single file, read-only. */
	f.n_extra = 0;
	snprintf(path, sizeof(path), "%s/mine", base);
	fixture_bind(&f, path, PYI_READ, false, true);
	snprintf(script, sizeof(script), "ls -A %s; cat %s/mine; echo x >>%s/mine; chmod 666 %s/mine",
		 base, base, base, base);
	assert_int_equal(fixture_sh(&f, script), 1 << 8);
	assert_string_equal(f.out, "mine\nmine\nmore\n");

	/* Without the map the owner is someone else, and 0600 means what it says. */
	f.n_extra = 0;
	fixture_bind(&f, path, PYI_READ, false, false);
	assert_int_equal(fixture_sh(&f, script), 1 << 8);
	assert_string_equal(f.out, "mine\n");
	fixture_end(&f);
}

static void test_idmap_on_disk(void **state)
{
	char base[] = "/var/tmp/pyi-test-XXXXXX";

	assert_non_null(mkdtemp(base));
	check_idmap(base);
	fixture_remove(base);
}

static void test_idmap_on_tmpfs(void **state)
{
	char base[] = "/var/tmp/pyi-test-XXXXXX";

	assert_non_null(mkdtemp(base));
	assert_int_equal(mount("tmpfs", base, "tmpfs", 0, "mode=0700"), 0);
	check_idmap(base);
	assert_int_equal(umount(base), 0);
	fixture_remove(base);
}

/* What is mounted below a granted directory comes with it, and gets no more than it. */
static void test_mounts_below(void **state)
{
	char base[] = "/var/tmp/pyi-test-XXXXXX", sub[64], script[512];
	struct fixture f = fixture_new();

	assert_non_null(mkdtemp(base));
	assert_int_equal(chmod(base, 0777), 0);
	snprintf(sub, sizeof(sub), "%s/sub", base);
	assert_int_equal(mkdir(sub, 0777), 0);
	assert_int_equal(mount("tmpfs", sub, "tmpfs", 0, "mode=0777"), 0);
	fixture_file(sub, "inside", "inside\n", 0666, 0);
	fixture_bind(&f, base, PYI_READ, true, false);
	snprintf(script, sizeof(script),
		 "cat %s/inside; echo x >%s/inside; touch %s/x %s/x; cp /bin/true %s/t; "
		 "grep -c -E ' %s(/sub)? ro,nosuid,nodev,noexec' /proc/self/mountinfo",
		 sub, sub, base, sub, sub, base);
	assert_int_equal(fixture_sh(&f, script), 0);
	assert_string_equal(f.out, "inside\n2\n");
	f.n_extra = 0;
	fixture_bind(&f, base, PYI_READ | PYI_WRITE, true, false);
	snprintf(script, sizeof(script),
		 "cp /bin/true %s/t; %s/t; echo $?; "
		 "grep -c -E ' %s(/sub)? rw,nosuid,nodev,noexec' /proc/self/mountinfo",
		 sub, sub, base);
	assert_int_equal(fixture_sh(&f, script), 0);
	assert_string_equal(f.out, "126\n2\n");

	/* What the host mounts later does not come in. */
	assert_int_equal(mount(NULL, sub, NULL, MS_SHARED, NULL), 0);
	snprintf(script, sizeof(script), "echo ready; read x; ls -A %s", sub);
	assert_int_equal(fixture_begin(&f, script), 0);
	fixture_expect_line(&f, "ready\n");
	assert_int_equal(mount("tmpfs", sub, "tmpfs", 0, NULL), 0);
	fixture_input(&f, "\n");
	assert_int_equal(fixture_finish(&f), 0);
	assert_string_equal(f.out, "inside\nt\n");
	assert_int_equal(umount(sub), 0);
	assert_int_equal(umount(sub), 0);
	fixture_remove(base);
	fixture_end(&f);
}

static void check_masks(struct fixture *f, const char *base)
{
	char dir[64], file[64], script[512];

	snprintf(dir, sizeof(dir), "%s/secret", base);
	snprintf(file, sizeof(file), "%s/key", base);
	fixture_bind(f, base, PYI_READ | PYI_WRITE, true, false);
	fixture_op(f, (struct pyi_op){ .kind = PYI_OP_MASK_DIR, .path = dir });
	fixture_op(f, (struct pyi_op){ .kind = PYI_OP_MASK_FILE, .path = file });
	snprintf(script, sizeof(script),
		 "cd %s; ls secret; ls secret/x; cat secret/x; cat key; echo y >key; chmod 777 secret key; rm key; "
		 "rmdir secret; mv key k2; mv secret s2; ln key k3; touch secret/z; umount secret; ls; ls -A /",
		 base);
	assert_int_equal(fixture_sh(f, script), 0);
	assert_string_equal(f->out, "key\nsecret\nbin\ndev\netc\nlib\nlib64\nproc\ntmp\nusr\nvar\n");
}

static void test_masks(void **state)
{
	char base[] = "/var/tmp/pyi-test-XXXXXX";
	struct fixture f = fixture_new();

	fixture_secrets(base, 60001); /* the worst case: the guest owns all of it */
	check_masks(&f, base);
	fixture_remove(base);
	fixture_end(&f);
}

/* A denied place in a private directory of a third user, which that user opens while the sandbox runs. */
static void test_masks_out_of_reach(void **state)
{
	char base[] = "/var/tmp/pyi-test-XXXXXX", home[64], secret[80], key[80], script[512];
	struct fixture f = fixture_new();

	assert_non_null(mkdtemp(base));
	snprintf(home, sizeof(home), "%s/home", base);
	snprintf(secret, sizeof(secret), "%s/secret", home);
	snprintf(key, sizeof(key), "%s/key", home);
	assert_int_equal(mkdir(home, 0700) | mkdir(secret, 0755), 0);
	fixture_file(secret, "x", "secret\n", 0644, 1234);
	fixture_file(home, "key", "secret\n", 0644, 1234);
	fixture_file(home, "open", "open\n", 0644, 1234);
	assert_int_equal(chown(home, 1234, 1234) | chown(secret, 1234, 1234), 0);
	fixture_bind(&f, base, PYI_READ | PYI_WRITE, true, true);
	fixture_op(&f, (struct pyi_op){ .kind = PYI_OP_MASK_DIR, .path = secret });
	fixture_op(&f, (struct pyi_op){ .kind = PYI_OP_MASK_FILE, .path = key });
	snprintf(script, sizeof(script),
		 "cd %s && ls home; echo ready; read x; ls home; cat home/*; ls home/secret; cat home/secret/x; true",
		 base);
	assert_int_equal(fixture_begin(&f, script), 0);
	fixture_expect_line(&f, "ready\n");
	assert_int_equal(chmod(home, 0755), 0);
	fixture_input(&f, "\n");
	assert_int_equal(fixture_finish(&f), 0);
	assert_string_equal(f.out, "key\nopen\nsecret\nopen\n");

	/* Nothing but the same place will do. */
	assert_int_equal(chmod(home, 0700), 0);
	assert_int_equal(unlink(key) | symlink("open", key), 0);
	assert_true(fixture_start(&f) < 0);
	assert_int_equal(unlink(key), 0);
	assert_true(fixture_start(&f) < 0);
	assert_int_equal(mkdir(key, 0700), 0);
	assert_true(fixture_start(&f) < 0);
	fixture_remove(base);
	fixture_end(&f);
}

static void user_masks(void **state)
{
	char base[] = "/var/tmp/pyi-test-XXXXXX";
	struct fixture f = fixture_new();

	f.plan.uid = f.plan.gid = 65534;
	f.plan.use_userns = true;
	fixture_secrets(base, 65534);
	check_masks(&f, base);
	f.n_extra = 0;
	fixture_bind(&f, base, PYI_READ | PYI_WRITE, true, true);
	assert_true(fixture_start(&f) < 0); /* no id map for an ordinary user */
	fixture_remove(base);
	fixture_end(&f);
}

static void test_masks_of_a_user(void **state)
{
	fixture_in_child(fixture_become_user, user_masks);
}

/* Files and links of our own, on our tmpfs and over what is there on the host. */
static void test_files_and_links(void **state)
{
	char base[] = "/var/tmp/pyi-test-XXXXXX", file[64], link[64], missing[64], script[256];
	struct fixture f = fixture_new();

	assert_non_null(mkdtemp(base));
	assert_int_equal(chmod(base, 0777), 0);
	fixture_file(base, "file", "the host's\n", 0666, 0);
	snprintf(file, sizeof(file), "%s/file", base);
	snprintf(link, sizeof(link), "%s/link", base);
	snprintf(missing, sizeof(missing), "%s/missing", base);
	assert_int_equal(symlink("file", link), 0);
	fixture_bind(&f, base, PYI_READ | PYI_WRITE, true, false);
	fixture_op(&f, (struct pyi_op){ .kind = PYI_OP_FILE, .path = file, .text = S("ours\n") });
	fixture_op(&f, (struct pyi_op){ .kind = PYI_OP_SYMLINK, .path = link, .text = S("file") });
	fixture_op(&f, (struct pyi_op){ .kind = PYI_OP_SYMLINK, .path = S("/a/b/link"), .text = file });
	snprintf(script, sizeof(script), "cat /a/b/link %s; echo x >%s; ls -A /", link, file);
	assert_int_equal(fixture_sh(&f, script), 0);
	assert_string_equal(f.out, "ours\nours\na\nbin\ndev\netc\nlib\nlib64\nproc\ntmp\nusr\nvar\n");

	/* Nothing is ever created in a directory of the host. */
	for (int kind = 0; kind < 5; kind++) {
		static const enum pyi_op_kind kinds[] = { PYI_OP_FILE, PYI_OP_SYMLINK, PYI_OP_DIR,
							  PYI_OP_TMPFS, PYI_OP_MASK_FILE };

		f.n_extra = 1;
		fixture_op(&f, (struct pyi_op){ .kind = kinds[kind],
						.path = missing,
						.text = S("x"),
						.size_bytes = 4096 });
		assert_true(fixture_start(&f) < 0);
		assert_int_equal(access(missing, F_OK), -1);
	}
	/* Another target than the one that was seen. */
	f.n_extra = 1;
	fixture_op(&f, (struct pyi_op){ .kind = PYI_OP_SYMLINK, .path = link, .text = S("elsewhere") });
	assert_int_equal(fixture_start(&f), -EEXIST);
	fixture_remove(base);
	fixture_end(&f);
}

/* Someone swaps a part of a granted path while the sandbox starts. */
static void test_swapped_paths(void **state)
{
	char base[] = "/var/tmp/pyi-test-XXXXXX", sub[64], deep[80];
	struct fixture f = fixture_new();

	assert_non_null(mkdtemp(base));
	snprintf(sub, sizeof(sub), "%s/sub", base);
	snprintf(deep, sizeof(deep), "%s/sub/passwd", base);
	assert_int_equal(symlink("/etc", sub), 0);
	fixture_bind(&f, deep, PYI_READ, false, false);
	assert_int_equal(fixture_start(&f), -ELOOP);
	assert_non_null(strstr(f.err.msg, deep));
	/* The same inside, where the place to mount on is. */
	f.n_extra = 0;
	fixture_bind(&f, base, PYI_READ | PYI_WRITE, true, false);
	fixture_op(&f, (struct pyi_op){ .kind = PYI_OP_MASK_FILE, .path = deep });
	assert_int_equal(fixture_start(&f), -ELOOP);
	/* A directory where a file was, and the other way round; one that is gone. */
	f.n_extra = 0;
	fixture_bind(&f, base, PYI_READ, false, false);
	assert_int_equal(fixture_start(&f), -ESTALE);
	f.n_extra = 0;
	fixture_bind(&f, "/etc/passwd", PYI_READ, true, false);
	assert_int_equal(fixture_start(&f), -ESTALE);
	f.n_extra = 0;
	fixture_bind(&f, "/nonexistent", PYI_READ, true, false);
	assert_int_equal(fixture_start(&f), -ENOENT);
	f.n_extra = 0;
	fixture_bind(&f, "/usr/../etc", PYI_READ, true, false);
	assert_true(fixture_start(&f) < 0);
	f.n_extra = 0;
	fixture_op(&f, (struct pyi_op){
			       .kind = PYI_OP_DEV, .path = S("/dev/x"), .source = S("/etc/passwd") });
	assert_int_equal(fixture_start(&f), -ENODEV);
	f.n_extra = 0;
	fixture_op(&f, (struct pyi_op){ .kind = PYI_OP_TMPFS, .path = S("/x") });
	assert_int_equal(fixture_start(&f), -EINVAL); /* a tmpfs without a limit */
	fixture_remove(base);
	fixture_end(&f);
}

static void test_whole_host_as_root(void **state)
{
	struct fixture f = fixture_new();

	f.plan.n_ops = 0;
	f.n_base = 0;
	fixture_bind(&f, "/", PYI_READ | PYI_EXEC, true, false);
	fixture_op(&f, (struct pyi_op){ .kind = PYI_OP_PROC, .path = S("/proc") });
	fixture_op(&f, (struct pyi_op){ .kind = PYI_OP_TMPFS, .path = S("/tmp"), .size_bytes = 1 << 20 });
	assert_int_equal(
		fixture_sh(&f, "[ -r /etc/passwd ] && touch /var/tmp/x; ls /proc | grep -c '^[0-9]'; "
			       "ls /tmp; echo x >/tmp/x && cat /tmp/x; awk '$5==\"/\"' /proc/self/mountinfo | wc -l"),
		0);
	assert_string_equal(f.out, "3\nx\n1\n");
	fixture_end(&f);
}

/* A supervisor in a plain directory that it was put into with chroot(2), which no pivot_root could leave. */
static char chroot_base[] = "/var/tmp/pyi-test-XXXXXX";

static int enter_chroot(void)
{
	static const char *const dirs[] = { "/usr", "/proc", "/dev" };
	static const char *const links[] = { "/bin", "/lib", "/lib64" };
	char path[64], target[64] = "";

	if (unshare(CLONE_NEWNS) || mount(NULL, "/", NULL, MS_PRIVATE | MS_REC, NULL))
		return -1;
	for (size_t i = 0; i < 3; i++) {
		snprintf(path, sizeof(path), "%s%s", chroot_base, dirs[i]);
		if (mkdir(path, 0755) || mount(dirs[i], path, NULL, MS_BIND | MS_REC, NULL))
			return -1;
		snprintf(path, sizeof(path), "%s%s", chroot_base, links[i]);
		if (readlink(links[i], target, sizeof(target) - 1) > 0 && symlink(target, path))
			return -1;
		memset(target, 0, sizeof(target));
	}
	return chroot(chroot_base) || chdir("/");
}

static void in_chroot(void **state)
{
	struct fixture f = fixture_new();

	assert_int_equal(
		fixture_sh(&f, "ls -A /; ls -A /..; cut -d' ' -f5 /proc/self/mountinfo | sort | tr '\\n' ' '"),
		0);
	assert_string_equal(f.out, "bin\ndev\netc\nlib\nlib64\nproc\ntmp\nusr\n"
				   "bin\ndev\netc\nlib\nlib64\nproc\ntmp\nusr\n"
				   "/ /dev/null /dev/urandom /dev/zero /proc /tmp /usr ");
	fixture_end(&f);
}

static void test_in_chroot(void **state)
{
	assert_non_null(mkdtemp(chroot_base));
	fixture_in_child(enter_chroot, in_chroot);
	fixture_remove(chroot_base);
}

/* Every kind of operation at once; what the fault points are tried on. */
static int run_everything(struct fixture *f, const char *base)
{
	static char secret[64], key[64], hosts[64], home[64], far[80];

	snprintf(secret, sizeof(secret), "%s/secret", base);
	snprintf(key, sizeof(key), "%s/key", base);
	snprintf(hosts, sizeof(hosts), "%s/secret/x", base);
	f->n_extra = 0;
	fixture_bind(f, base, PYI_READ | PYI_WRITE, true, f->plan.uid == 60001);
	fixture_op(f, (struct pyi_op){ .kind = PYI_OP_MASK_FILE, .path = key });
	fixture_op(f, (struct pyi_op){ .kind = PYI_OP_FILE, .path = hosts, .text = S("ours\n") });
	fixture_op(f, (struct pyi_op){ .kind = PYI_OP_DIR, .path = S("/x/y/z") });
	fixture_op(f, (struct pyi_op){ .kind = PYI_OP_MASK_DIR, .path = S("/x/y/z") });
	fixture_op(f, (struct pyi_op){ .kind = PYI_OP_SYMLINK, .path = S("/x/link"), .text = S("y") });
	if (geteuid() == 0) { /* where only a file handle leads */
		snprintf(home, sizeof(home), "%s/home", base);
		snprintf(far, sizeof(far), "%s/home/far", base);
		(void)!(mkdir(home, 0700) | mkdir(far, 0700) | chown(home, 1234, 1234));
		fixture_op(f, (struct pyi_op){ .kind = PYI_OP_MASK_DIR, .path = far });
	}
	f->plan.own_netns = true;
	f->plan.rlimits = (struct pyi_rlimit_row[]){ { RLIMIT_NOFILE, 32, 32 },
						     { RLIMIT_NPROC, 5000, 5000 } };
	f->plan.n_rlimits = 2;
	return fixture_sh(f, "ulimit -n; cat /*/*/*/secret/x");
}

static void test_everything(void **state)
{
	char base[] = "/var/tmp/pyi-test-XXXXXX";
	struct fixture f = fixture_new();

	fixture_secrets(base, 0);
	assert_int_equal(run_everything(&f, base), 0);
	assert_string_equal(f.out, "32\nours\n");
	fixture_remove(base);
	fixture_end(&f);
}

#ifdef PYI_FAULTS
/* Each kernel call of the start-up fails in turn: the error comes through, and nothing is left. */
static void fault_points(uid_t uid)
{
	char base[] = "/var/tmp/pyi-test-XXXXXX", fault[16];
	size_t n_hit = 0;

	fixture_secrets(base, uid == 60001 ? 0 : uid);
	for (int point = 100; point < 400; point++) {
		struct fixture f = fixture_new();
		int ret;

		f.plan.uid = uid;
		f.plan.gid = uid;
		f.plan.use_userns = uid != 60001;
		snprintf(fault, sizeof(fault), "%d:%d", point, EDOM);
		setenv("PYISOLATE_FAULT", fault, 1);
		ret = run_everything(&f, base);
		unsetenv("PYISOLATE_FAULT");
		if (ret == 0)
			continue;
		if (getenv("V"))
			fprintf(stderr, "%d: %d %s\n", point, ret, f.err.msg);
		n_hit++;
		assert_true(ret < 0);
		assert_true(f.err.msg[0]);
		fixture_end(&f);
	}
	assert_true(n_hit > 50);
	fixture_remove(base);
}

static void test_fault_points(void **state)
{
	fault_points(60001);
}

static void user_fault_points(void **state)
{
	fault_points(65534);
}

static void test_fault_points_of_a_user(void **state)
{
	fixture_in_child(fixture_become_user, user_fault_points);
}
#endif

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_tree_holds_only_grants),
		cmocka_unit_test(test_read_only),
		cmocka_unit_test(test_private_tmp_is_limited),
		cmocka_unit_test(test_idmap_on_disk),
		cmocka_unit_test(test_idmap_on_tmpfs),
		cmocka_unit_test(test_mounts_below),
		cmocka_unit_test(test_masks),
		cmocka_unit_test(test_masks_of_a_user),
		cmocka_unit_test(test_masks_out_of_reach),
		cmocka_unit_test(test_files_and_links),
		cmocka_unit_test(test_swapped_paths),
		cmocka_unit_test(test_whole_host_as_root),
		cmocka_unit_test(test_in_chroot),
		cmocka_unit_test(test_everything),
#ifdef PYI_FAULTS
		cmocka_unit_test(test_fault_points),
		cmocka_unit_test(test_fault_points_of_a_user),
#endif
	};

	if (geteuid() != 0) {
		fprintf(stderr, "1..0 # SKIP needs root\n");
		return 0;
	}
	return fixture_main(getenv("T")) ? 1 : cmocka_run_group_tests(tests, NULL, NULL);
}
