/* SPDX-License-Identifier: MIT */
/*
 * Golden tests of the planner. test/golden/NAME.yml is a policy; NAME.HOST.expected (or .json) is what --dry-run would
 * print for it on one of the hosts below, or the line with which it is refused. Hosts, file system and resolver are
 * made up here, so the tests need no privilege and do not depend on the machine.
 *
 * PYI_GOLDEN_UPDATE=1 writes the expected files anew; read the difference before you commit it.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>
#include <fnmatch.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/err.h"
#include "base/io.h"
#include "base/util.h"
#include "plan/facts.h"
#include "plan/grants.h"
#include "plan/plan.h"

/* ------------------------------------------------------------------------------------------------ made-up hosts */

static struct pyi_fact refused(int errnum, const char *detail)
{
	struct pyi_fact fact = { .errnum = errnum };

	snprintf(fact.detail, sizeof(fact.detail), "%s", detail);
	return fact;
}

static void set_cgroup(struct pyi_facts *facts, enum pyi_cgroup_kind kind)
{
	bool v2 = kind == PYI_CGROUP_V2;

	facts->cgroup_kind = kind;
	facts->clone_into_cgroup = true;
	snprintf(facts->cgroup_v2_dir, 256, "%s",
		 v2 ? "/sys/fs/cgroup/pyisolate" : "/sys/fs/cgroup/unified/pyisolate");
	snprintf(facts->cgroup_memory_dir, 256, "%s",
		 v2 ? facts->cgroup_v2_dir : "/sys/fs/cgroup/memory/pyisolate");
	snprintf(facts->cgroup_pids_dir, 256, "%s",
		 v2 ? facts->cgroup_v2_dir : "/sys/fs/cgroup/pids/pyisolate");
	snprintf(facts->cgroup_cpu_dir, 256, "%s",
		 v2 ? facts->cgroup_v2_dir : "/sys/fs/cgroup/cpu/pyisolate");
	snprintf(facts->cgroup_cpuacct_dir, 256, "%s",
		 v2 ? facts->cgroup_v2_dir : "/sys/fs/cgroup/cpu/pyisolate");
}

static struct pyi_facts host_root(void)
{
	struct pyi_facts facts = { .is_root = true, .landlock_abi = 7 };

	set_cgroup(&facts, PYI_CGROUP_V2);
	return facts;
}

static struct pyi_facts host_user(void)
{
	struct pyi_facts facts = { .uid = 1000, .gid = 1000, .landlock_abi = 4 };

	facts.cgroup = refused(EACCES, "mkdir");
	facts.bpf_cgroup = refused(EPERM, "bpf");
	facts.idmap = refused(EPERM, "mount_setattr");
	return facts;
}

static struct pyi_facts make_host(const char *name)
{
	struct pyi_facts facts = strncmp(name, "root", 4) ? host_user() : host_root();

	if (!strcmp(name, "root-hybrid")) {
		set_cgroup(&facts, PYI_CGROUP_HYBRID);
	} else if (!strcmp(name, "root-old")) {
		facts.landlock = refused(EOPNOTSUPP, "landlock_create_ruleset");
		facts.landlock_abi = 0;
		facts.mdwe = refused(EINVAL, "prctl");
	} else if (!strcmp(name, "root-nobpf")) {
		facts.bpf_cgroup = refused(EPERM, "bpf");
	} else if (!strcmp(name, "root-nopids")) {
		set_cgroup(&facts, PYI_CGROUP_HYBRID);
		facts.cgroup_pids_dir[0] = '\0';
	} else if (!strcmp(name, "landlock")) {
		facts.userns = refused(EPERM, "clone");
		facts.namespaces = refused(EPERM, "clone");
	} else if (!strcmp(name, "nothing")) {
		facts.userns = refused(EPERM, "clone");
		facts.namespaces = refused(EPERM, "clone");
		facts.landlock = refused(ENOSYS, "landlock_create_ruleset");
		facts.landlock_abi = 0;
	} else {
		assert_true(!strcmp(name, "root") || !strcmp(name, "user"));
	}
	return facts;
}

static const struct {
	const char *path;
	enum pyi_path_kind kind;
	bool no_idmap;
} host_files[] = {
	{ "/dev/shm", PYI_PATH_DIR, false },
	{ "/etc", PYI_PATH_DIR, false },
	{ "/etc/ld.so.cache", PYI_PATH_FILE, false },
	{ "/etc/passwd", PYI_PATH_FILE, false },
	{ "/etc/shadow", PYI_PATH_FILE, false },
	{ "/nfs/share", PYI_PATH_DIR, true },
	{ "/proc", PYI_PATH_DIR, false },
	{ "/srv", PYI_PATH_DIR, false },
	{ "/srv-other/file", PYI_PATH_FILE, false },
	{ "/srv/app.py", PYI_PATH_FILE, false },
	{ "/srv/data", PYI_PATH_DIR, false },
	{ "/srv/data/a.csv", PYI_PATH_FILE, false },
	{ "/srv/data/b.csv", PYI_PATH_FILE, false },
	{ "/srv/data/private", PYI_PATH_DIR, false },
	{ "/srv/data/private/key", PYI_PATH_FILE, false },
	{ "/srv/data/socket", PYI_PATH_OTHER, false },
	{ "/srv/out", PYI_PATH_DIR, false },
	{ "/tmp", PYI_PATH_DIR, false },
	{ "/tmp/in.txt", PYI_PATH_FILE, false },
	{ "/usr/bin", PYI_PATH_DIR, false },
	{ "/usr/bin/git", PYI_PATH_FILE, false },
	{ "/usr/lib", PYI_PATH_DIR, false },
	{ "/usr/share/zoneinfo", PYI_PATH_DIR, false },
};

static void add_grant(struct pyi_grants *grants, const struct pyi_fs_rule *rule, const char *path,
		      enum pyi_path_kind kind, bool no_idmap)
{
	struct pyi_grant *grant;

	grants->v = realloc(grants->v, (grants->n + 1) * sizeof(*grants->v));
	assert_non_null(grants->v);
	grant = &grants->v[grants->n++];
	*grant = (struct pyi_grant){
		.verdict = rule ? rule->verdict : PYI_ALLOW,
		.access = rule ? rule->access : PYI_READ | PYI_EXEC,
		.path = strdup(path),
		.kind = kind,
		.can_idmap = !no_idmap,
		.exact = !rule || !rule->is_glob,
		.rule = rule,
	};
}

static void add_link(struct pyi_grants *grants, const char *path, const char *target)
{
	grants->links = realloc(grants->links, (grants->n_links + 1) * sizeof(*grants->links));
	assert_non_null(grants->links);
	grants->links[grants->n_links++] = (struct pyi_link){ strdup(path), strdup(target) };
}

static void resolve_path(struct pyi_grants *grants, const struct pyi_fs_rule *rule, const char *path)
{
	char real[256];

	/* The one symlink that every merged-usr host has. */
	if (!strcmp(path, "/bin") || !strncmp(path, "/bin/", 5) || !strcmp(path, "/lib")) {
		char link[5] = { path[0], path[1], path[2], path[3] }, target[16];

		snprintf(target, sizeof(target), "usr%s", link);
		add_link(grants, link, target);
		snprintf(real, sizeof(real), "/usr%s", path);
		path = real;
	}
	for (size_t i = 0; i < PYI_ARRAY_SIZE(host_files); i++) {
		if (strcmp(host_files[i].path, path) != 0)
			continue;
		add_grant(grants, rule, path, host_files[i].kind, host_files[i].no_idmap);
		return;
	}
	if (rule && !rule->from.is_template)
		add_grant(grants, rule, path, PYI_PATH_MISSING, false);
}

/* What lib/kernel/resolve.c does on a real host. */
static struct pyi_grants resolve(const struct pyi_policy *policy, bool is_command)
{
	struct pyi_grants grants = { .v = NULL };

	for (size_t i = 0; i < policy->n_fs; i++) {
		const struct pyi_fs_rule *rule = &policy->fs[i];

		if (!rule->is_glob)
			resolve_path(&grants, rule, rule->path);
		for (size_t j = 0; rule->is_glob && j < PYI_ARRAY_SIZE(host_files); j++)
			if (!fnmatch(rule->path, host_files[j].path, FNM_PATHNAME))
				add_grant(&grants, rule, host_files[j].path, host_files[j].kind,
					  host_files[j].no_idmap);
	}
	for (const char *const *path = pyi_command_runtime_paths; is_command && *path; path++)
		resolve_path(&grants, NULL, *path);
	return grants;
}

static char name_local[] = "localhost", name_api[] = "api.example.com",
	    name_evil[] = "rebind.example.com";
static uint8_t addrs_local[][16] = {
	{ [10] = 0xff, 0xff, 127, 0, 0, 1 },
	{ [15] = 1 },
};
static uint8_t addrs_api[][16] = {
	{ [10] = 0xff, 0xff, 192, 0, 2, 10 },
	{ 0x20, 0x01, 0x0d, 0xb8, [15] = 0x10 },
};
static uint8_t addrs_evil[][16] = { { [10] = 0xff, 0xff, 169, 254, 169, 254 } };
static struct pyi_resolved_name resolved[] = {
	{ name_local, addrs_local, 2 },
	{ name_api, addrs_api, 2 },
	{ name_evil, addrs_evil, 1 },
};
static const struct pyi_names names = { resolved, PYI_ARRAY_SIZE(resolved) };

/* ------------------------------------------------------------------------------------------------------ golden */

static char *golden_path(const char *name)
{
	const char *root = getenv("PYI_TAP_ROOT");
	char *path = NULL;

	assert_true(asprintf(&path, "%s%stest/golden/%s", root ? root : "", root ? "/src/" : "",
			     name) > 0);
	return path;
}

static struct pyi_policy *load(const char *name)
{
	_cleanup_buf struct pyi_buf text = PYI_BUF_INIT;
	_cleanup_free char *path = golden_path(name);
	struct pyi_policy *policy = NULL;
	struct pyi_err err = { 0 };

	if (pyi_read_file(path, 1 << 20, &text, &err) ||
	    pyi_policy_parse(name, pyi_buf_str(&text), text.len, &policy, NULL, &err))
		fail_msg("%s", err.msg);
	return policy;
}

static const char *const invoker_environ[] = {
	"HOME=/home/u",	      "LANG=de_DE.UTF-8",
	"LC_TIME=C",	      "LD_PRELOAD=/home/u/x.so",
	"PYTHONPATH=/home/u", "SECRET=1",
	"TOKEN=a=b\x1b",      "LANG=second",
	"noequals",	      NULL,
};

struct golden {
	const char *policy;
	const char *host;
	const char *variant; /* part of the expected file's name, "" for none */
	enum pyi_mode mode;
	enum pyi_guest_kind guest;
	uint32_t required;
	const char *cwd;
	bool json;
};

static void plan_text(const struct golden *g, struct pyi_buf *out)
{
	struct pyi_policy *policy = load(g->policy);
	struct pyi_facts facts = make_host(g->host);
	struct pyi_grants grants = resolve(policy, g->guest == PYI_GUEST_COMMAND);
	struct pyi_plan *plan = NULL;
	struct pyi_err err = { 0 };
	struct pyi_plan_options options = {
		.mode = g->mode,
		.guest = g->guest,
		.required_layers = g->required,
		.default_uid = 700001,
		.cwd = g->cwd,
		.invoker_cwd = "/srv",
		.environ = invoker_environ,
	};

	if (pyi_plan_build(policy, &options, &facts, &grants, &names, &plan, &err))
		pyi_buf_printf(out, "refused: %s\n", err.msg);
	/* The plan must not need what it was made from, but for the policy. */
	pyi_grants_release(&grants);
	memset(&facts, 0xaa, sizeof(facts));
	if (plan && g->json)
		pyi_plan_print_json(plan, out);
	else if (plan)
		pyi_plan_print(plan, out);
	pyi_plan_free(plan);
	pyi_policy_free(policy);
}

static void check_golden(const struct golden *g)
{
	_cleanup_buf struct pyi_buf got = PYI_BUF_INIT, want = PYI_BUF_INIT;
	_cleanup_free char *path = NULL;
	char name[128];
	struct pyi_err err = { 0 };

	snprintf(name, sizeof(name), "%.*s.%s%s.%s", (int)strcspn(g->policy, "."), g->policy,
		 g->host, g->variant, g->json ? "json" : "expected");
	path = golden_path(name);
	plan_text(g, &got);
	if (getenv("PYI_GOLDEN_UPDATE")) {
		assert_int_equal(pyi_replace_file(path, pyi_buf_str(&got), got.len, &err), 0);
		return;
	}
	if (pyi_read_file(path, 1 << 20, &want, &err))
		fail_msg("%s", err.msg);
	if (strcmp(pyi_buf_str(&got), pyi_buf_str(&want)) != 0)
		fail_msg("%s differs; got:\n%s", name, pyi_buf_str(&got));
}

#define L(layer) (1u << PYI_LAYER_##layer)

static const struct golden goldens[] = {
	/* nothing granted, on every host */
	{ "empty.yml", "root", "", 0, 0, 0, NULL, false },
	{ "empty.yml", "root", "", 0, 0, 0, NULL, true },
	{ "empty.yml", "root-hybrid", "", 0, 0, 0, NULL, false },
	{ "empty.yml", "root-old", "", 0, 0, 0, NULL, false },
	{ "empty.yml", "root-old", ".hardened", PYI_MODE_HARDENED, 0, 0, NULL, false },
	{ "empty.yml", "user", "", 0, 0, 0, NULL, false },
	{ "empty.yml", "user", ".hardened", PYI_MODE_HARDENED, 0, 0, NULL, false },
	{ "empty.yml", "landlock", "", 0, 0, 0, NULL, false },
	{ "empty.yml", "landlock", ".hardened", PYI_MODE_HARDENED, 0, 0, NULL, false },
	{ "empty.yml", "nothing", "", PYI_MODE_DEV, 0, 0, NULL, false },
	{ "empty.yml", "root", ".require", 0, 0, L(BPF_LSM), NULL, false },
	{ "empty.yml", "landlock", ".require", 0, 0, L(NAMESPACES), NULL, false },
	{ "empty.yml", "user", ".cwd", 0, 0, 0, "/home/u", false },
	/* files */
	{ "files.yml", "root", "", 0, 0, 0, NULL, false },
	{ "files.yml", "root", "", 0, 0, 0, NULL, true },
	{ "files.yml", "user", "", 0, 0, 0, "/srv/out/deep", false },
	{ "files.yml", "landlock", "", 0, 0, 0, NULL, false },
	{ "landlock.yml", "landlock", "", 0, 0, 0, NULL, false },
	{ "inexact.yml", "root", "", 0, 0, 0, NULL, false },
	{ "inexact.yml", "root", ".compatibility", PYI_MODE_COMPATIBILITY, 0, 0, NULL, false },
	{ "missing.yml", "root", "", 0, 0, 0, NULL, false },
	{ "writeglob.yml", "root", "", 0, 0, 0, NULL, false },
	{ "nfs.yml", "root", "", 0, 0, 0, NULL, false },
	{ "nfs.yml", "root", ".hardened", PYI_MODE_HARDENED, 0, 0, NULL, false },
	{ "nfsread.yml", "root", "", 0, 0, 0, NULL, false },
	{ "proc.yml", "root", "", 0, 0, 0, NULL, false },
	{ "slash.yml", "root", "", 0, 0, 0, NULL, false },
	{ "warn.yml", "root", "", 0, 0, 0, NULL, false },
	{ "warn.yml", "root", ".dev", PYI_MODE_DEV, 0, 0, NULL, false },
	/* programs */
	{ "exec.yml", "root", "", 0, 0, 0, NULL, false },
	{ "exec.yml", "user", ".command", 0, PYI_GUEST_COMMAND, 0, "/usr/lib", false },
	{ "execdeny.yml", "root", ".command", 0, PYI_GUEST_COMMAND, 0, NULL, false },
	{ "execdeny.yml", "landlock", ".command", 0, PYI_GUEST_COMMAND, 0, NULL, false },
	/* network */
	{ "net.yml", "root", "", 0, 0, 0, NULL, false },
	{ "net.yml", "root", "", 0, 0, 0, NULL, true },
	{ "net.yml", "root-nobpf", "", PYI_MODE_COMPATIBILITY, 0, 0, NULL, false },
	{ "net.yml", "user", "", 0, 0, 0, NULL, false },
	{ "netwarn.yml", "root", ".dev", PYI_MODE_DEV, 0, 0, NULL, false },
	{ "netwarn.yml", "root", "", 0, 0, 0, NULL, false },
	{ "rebind.yml", "root", "", 0, 0, 0, NULL, false },
	{ "unresolved.yml", "root", "", 0, 0, 0, NULL, false },
	{ "ports.yml", "root", "", 0, 0, 0, NULL, false },
	/* limits and environment */
	{ "limits.yml", "root", "", 0, 0, 0, NULL, false },
	{ "limits.yml", "root-nopids", "", 0, 0, 0, NULL, false },
	{ "limits.yml", "root-nopids", ".require", 0, 0, L(CGROUP), NULL, false },
	{ "limits.yml", "user", "", 0, 0, 0, NULL, false },
	{ "limits.yml", "user", ".command", 0, PYI_GUEST_COMMAND, 0, NULL, false },
	{ "limits.yml", "landlock", "", 0, 0, 0, NULL, false },
	{ "env.yml", "user", "", 0, 0, 0, NULL, false },
};

static void test_golden(void **state)
{
	check_golden(*state);
}

/* -------------------------------------------------------------------------------------------------- what no file tells */

static struct pyi_policy *parse(const char *text)
{
	struct pyi_policy *policy = NULL;
	struct pyi_err err = { 0 };

	if (pyi_policy_parse("t.yml", text, strlen(text), &policy, NULL, &err))
		fail_msg("%s", err.msg);
	return policy;
}

static void test_ids(void **state)
{
	struct pyi_policy *policy = parse("version: 1\n");
	struct pyi_facts root = make_host("root"), user = make_host("user");
	struct pyi_plan_options options = { .default_uid = 700001 };
	struct pyi_plan *plan = NULL;
	struct pyi_err err = { 0 };

	assert_int_equal(pyi_plan_build(policy, &options, &root, NULL, NULL, &plan, &err), 0);
	assert_int_equal(plan->uid, 700001);
	assert_int_equal(plan->gid, 700001);
	pyi_plan_free(plan);
	options.has_user = true;
	options.uid = 1234;
	options.gid = 0;
	assert_int_equal(pyi_plan_build(policy, &options, &root, NULL, NULL, &plan, &err), -EPERM);
	options.uid = 0;
	options.gid = 1234;
	assert_int_equal(pyi_plan_build(policy, &options, &root, NULL, NULL, &plan, &err), -EPERM);
	options.uid = 1234;
	assert_int_equal(pyi_plan_build(policy, &options, &root, NULL, NULL, &plan, &err), 0);
	assert_int_equal(plan->uid, 1234);
	pyi_plan_free(plan);
	assert_int_equal(pyi_plan_build(policy, &options, &user, NULL, NULL, &plan, &err), -EPERM);
	options.has_user = false;
	assert_int_equal(pyi_plan_build(policy, &options, &user, NULL, NULL, &plan, &err), 0);
	assert_int_equal(plan->uid, 1000);
	assert_true(plan->use_userns);
	pyi_plan_free(plan);
	/* Root of a container that gave away its capabilities. */
	user.uid = user.gid = 0;
	assert_int_equal(pyi_plan_build(policy, &options, &user, NULL, NULL, &plan, &err), 0);
	assert_int_equal(plan->n_warnings, 1);
	pyi_plan_free(plan);
	options.mode = PYI_MODE_HARDENED;
	assert_int_equal(pyi_plan_build(policy, &options, &user, NULL, NULL, &plan, &err), -EPERM);
	options.mode = PYI_MODE_DEFAULT;
	options.default_uid = 0;
	assert_int_equal(pyi_plan_build(policy, &options, &root, NULL, NULL, &plan, &err), -EPERM);
	pyi_policy_free(policy);
}

/* Without namespaces nothing but seccomp keeps the guest from the network. */
static void test_no_namespaces_no_seccomp(void **state)
{
	struct pyi_policy *policy = parse("version: 1\n");
	struct pyi_facts facts = make_host("landlock");
	struct pyi_plan_options options = { .mode = PYI_MODE_DEV };
	struct pyi_plan *plan = NULL;
	struct pyi_err err = { 0 };

	facts.seccomp = refused(EINVAL, "seccomp");
	assert_int_equal(pyi_plan_build(policy, &options, &facts, NULL, NULL, &plan, &err), -EOPNOTSUPP);
	assert_non_null(strstr(err.msg, "no sandbox can run here"));
	facts = make_host("user");
	facts.seccomp = refused(EINVAL, "seccomp");
	assert_int_equal(pyi_plan_build(policy, &options, &facts, NULL, NULL, &plan, &err), 0);
	assert_false(plan->use_seccomp);
	assert_int_equal(plan->layers[PYI_LAYER_SECCOMP].state, PYI_LAYER_OFF);
	assert_int_equal(plan->n_warnings, 1);
	pyi_plan_free(plan);
	pyi_policy_free(policy);
}

/* --cwd must be there; the invoker's own is taken only if it is. */
static void test_cwd(void **state)
{
	static const struct {
		const char *cwd, *invoker, *want; /* want NULL: refused */
	} cases[] = {
		{ NULL, "/home/u", "/tmp" },
		{ NULL, "/srv", "/srv" },
		{ NULL, "/srv/data", "/srv/data" },
		{ NULL, "/srv/data/deep/er", "/srv/data/deep/er" },
		{ NULL, "/srv/data/private", "/tmp" },
		{ NULL, "/srv/data/private/x", "/tmp" },
		{ NULL, "/srv/data/a.csv", "/srv/data/a.csv" },
		{ NULL, "/srv-other", "/tmp" },
		{ NULL, "relative", "/tmp" },
		{ NULL, NULL, "/tmp" },
		{ NULL, "/", "/" },
		{ "/srv/data", "/", "/srv/data" },
		{ "/etc", "/", "/etc" },
		{ "/home", "/", NULL },
		{ "/srv/data/private", "/", NULL },
		{ "srv", "/", NULL },
		{ "/srv/../etc", "/", NULL },
		{ "", "/", NULL },
	};
	struct pyi_policy *policy = parse(
		"version: 1\nfs:\n  - read: /srv/data\n  - deny: /srv/data/private\n");
	struct pyi_facts facts = make_host("user");

	for (size_t i = 0; i < PYI_ARRAY_SIZE(cases); i++) {
		struct pyi_plan_options options = { .cwd = cases[i].cwd,
						    .invoker_cwd = cases[i].invoker };
		struct pyi_grants grants = resolve(policy, false);
		struct pyi_plan *plan = NULL;
		struct pyi_err err = { 0 };
		int r = pyi_plan_build(policy, &options, &facts, &grants, NULL, &plan, &err);

		assert_int_equal(r == 0, cases[i].want != NULL);
		if (plan)
			assert_string_equal(plan->cwd, cases[i].want);
		pyi_plan_free(plan);
		pyi_grants_release(&grants);
	}
	pyi_policy_free(policy);
}

/*
 * Property: whatever the rules, walking the tree's mounts gives each path what the decision on the policy says, but
 * for paths that are not granted at all.
 */
static unsigned int access_by_ops(const struct pyi_plan *plan, const char *path)
{
	unsigned int access = 0;

	for (size_t i = 0; i < plan->n_ops; i++) {
		const struct pyi_op *op = &plan->ops[i];
		size_t len = strlen(op->path);

		if (strncmp(op->path, path, len) != 0 || (path[len] && path[len] != '/'))
			continue;
		if (op->kind == PYI_OP_BIND)
			access = op->access;
		else if (op->kind == PYI_OP_MASK_DIR || op->kind == PYI_OP_MASK_FILE)
			access = 0;
	}
	return access;
}

static const char *const tree_paths[] = { "/a",	   "/a/b",   "/a/b/c", "/a/b/d", "/a-b",  "/a-b/c",
					  "/a/bc", "/a.b/x", "/z",     "/z/y",	 "/z/y/x" };

static struct pyi_policy *random_files(struct pyi_buf *text, unsigned int *seed)
{
	static const char *const verbs[] = { "read", "write", "deny", "warn" };
	int n = rand_r(seed) % 8;
	unsigned int used = 0;

	pyi_buf_puts(text, "version: 1\nfs:\n");
	for (int i = 0; i < n; i++) {
		size_t at = (size_t)rand_r(seed) % PYI_ARRAY_SIZE(tree_paths);

		if (!(used & (1u << at)))
			pyi_buf_printf(text, "  - %s: %s\n", verbs[rand_r(seed) % 4], tree_paths[at]);
		used |= 1u << at;
	}
	if (!n)
		pyi_buf_puts(text, "  []\n");
	return parse(pyi_buf_str(text));
}

static void test_tree_agrees_with_policy(void **state)
{
	struct pyi_facts facts = make_host("root");
	struct pyi_plan_options options = { .mode = PYI_MODE_HARDENED, .default_uid = 700001 };
	unsigned int seed = 7;

	for (int round = 0; round < 3000; round++) {
		_cleanup_buf struct pyi_buf text = PYI_BUF_INIT;
		struct pyi_policy *policy = random_files(&text, &seed);
		struct pyi_grants grants = { .v = NULL };
		struct pyi_plan *plan = NULL;
		struct pyi_err err = { 0 };

		for (size_t i = policy->n_fs; i-- > 0;)
			add_grant(&grants, &policy->fs[i], policy->fs[i].path, PYI_PATH_DIR, false);
		if (pyi_plan_build(policy, &options, &facts, &grants, NULL, &plan, &err))
			fail_msg("%s: %s", pyi_buf_str(&text), err.msg);
		for (size_t i = 0; i < PYI_ARRAY_SIZE(tree_paths); i++) {
			const struct pyi_fs_rule *rule;
			unsigned int access = access_by_ops(plan, tree_paths[i]);

			for (unsigned int bit = PYI_READ; bit <= PYI_EXEC; bit <<= 1) {
				bool want = pyi_policy_decide_fs(policy, tree_paths[i], bit, &rule) ==
					    PYI_ALLOW;

				if (want != !!(access & bit))
					fail_msg("%s%s: bit %u: tree %u, policy %u",
						 pyi_buf_str(&text), tree_paths[i], bit, !want, want);
			}
		}
		/* The ceiling may not be lower than the tree. */
		for (size_t i = 0; i < PYI_ARRAY_SIZE(tree_paths); i++) {
			unsigned int ceiling = 0, access = access_by_ops(plan, tree_paths[i]);

			for (size_t j = 0; j < plan->n_landlock; j++) {
				size_t len = strlen(plan->landlock[j].path);

				if (!strncmp(plan->landlock[j].path, tree_paths[i], len) &&
				    (!tree_paths[i][len] || tree_paths[i][len] == '/'))
					ceiling |= plan->landlock[j].access;
			}
			assert_int_equal(access & ~ceiling, 0);
		}
		pyi_plan_free(plan);
		pyi_grants_release(&grants);
		pyi_policy_free(policy);
	}
}

int main(void)
{
	static struct CMUnitTest tests[PYI_ARRAY_SIZE(goldens) + 5];
	static char titles[PYI_ARRAY_SIZE(goldens)][96];
	size_t n = 0;

	for (; n < PYI_ARRAY_SIZE(goldens); n++) {
		snprintf(titles[n], sizeof(titles[n]), "%s on %s%s%s", goldens[n].policy,
			 goldens[n].host, goldens[n].variant, goldens[n].json ? " json" : "");
		tests[n] = (struct CMUnitTest){ titles[n], test_golden, NULL, NULL,
						(void *)&goldens[n] };
	}
	tests[n++] = (struct CMUnitTest)cmocka_unit_test(test_ids);
	tests[n++] = (struct CMUnitTest)cmocka_unit_test(test_no_namespaces_no_seccomp);
	tests[n++] = (struct CMUnitTest)cmocka_unit_test(test_cwd);
	tests[n++] = (struct CMUnitTest)cmocka_unit_test(test_tree_agrees_with_policy);
	return _cmocka_run_group_tests("plan", tests, n, NULL, NULL);
}
