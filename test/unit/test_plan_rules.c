/* SPDX-License-Identifier: MIT */
/* What no golden file tells about the planner: ids, working directories, and that the tree is what the policy says. */
#include "plan_fixture.h"

#include "base/buf.h"

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
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_ids),
		cmocka_unit_test(test_no_namespaces_no_seccomp),
		cmocka_unit_test(test_cwd),
		cmocka_unit_test(test_tree_agrees_with_policy),
	};

	return cmocka_run_group_tests_name("plan_rules", tests, NULL, NULL);
}
