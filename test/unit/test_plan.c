/* SPDX-License-Identifier: MIT */
/*
 * Golden tests of the planner. test/golden/NAME.yml is a policy; NAME.HOST.expected (or .json) is what --dry-run would
 * print for it on one of the made-up hosts, or the line with which it is refused. They need no privilege and do not
 * depend on the machine.
 *
 * PYI_GOLDEN_UPDATE=1 writes the expected files anew; read the difference before you commit it.
 */
#include "plan_fixture.h"

#include "base/buf.h"
#include "base/io.h"

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
	const struct pyi_policy *above = pyi_policy_ceiling_files(policy);
	struct pyi_grants ceiling = above ? resolve(above, false) : (struct pyi_grants){ 0 };
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
		.ceiling = above ? &ceiling : NULL,
	};

	if (pyi_plan_build(policy, &options, &facts, &grants, &names, &plan, &err))
		pyi_buf_printf(out, "refused: %s\n", err.msg);
	/* The plan must not need what it was made from, but for the policy. */
	pyi_grants_release(&grants);
	pyi_grants_release(&ceiling);
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
	/* what reloads may add */
	{ "ceiling.yml", "root", "", 0, 0, 0, NULL, false },
	{ "ceiling.yml", "root", "", 0, 0, 0, NULL, true },
	{ "ceiling.yml", "user", "", 0, 0, 0, NULL, false },
	{ "ceiling.yml", "landlock", "", 0, 0, 0, NULL, false },
	{ "ceiling-patterns.yml", "root", "", 0, 0, 0, NULL, false },
	{ "ceiling-patterns.yml", "root", "", 0, 0, 0, NULL, true },
	{ "ceiling-patterns.yml", "root-lsm", "", 0, 0, 0, NULL, false },
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
	{ "writeglob.yml", "root-lsm", "", 0, 0, 0, NULL, false },
	{ "inexact.yml", "root-lsm", "", 0, 0, 0, NULL, false },
	{ "warn.yml", "root-lsm", ".dev", PYI_MODE_DEV, 0, 0, NULL, false },
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
	{ "contracts.yml", "root", "", 0, 0, 0, NULL, false },
	{ "contracts.yml", "root", "", 0, 0, 0, NULL, true },
	{ "contracts.yml", "root-nobpf", "", 0, 0, 0, NULL, false },
	{ "contracts-files.yml", "root", "", PYI_MODE_COMPATIBILITY, 0, 0, NULL, false },
	{ "contracts-exec.yml", "root", "", PYI_MODE_COMPATIBILITY, 0, 0, NULL, false },
	{ "contracts-exec.yml", "root-lsm", "", 0, 0, 0, NULL, false },
	{ "contracts-files.yml", "root-lsm", "", 0, 0, 0, NULL, false },
	{ "contracts-idle.yml", "user", "", 0, 0, 0, NULL, false },
	/* limits and environment */
	{ "limits.yml", "root", "", 0, 0, 0, NULL, false },
	{ "limits.yml", "root-nopids", "", 0, 0, 0, NULL, false },
	{ "limits.yml", "root-nopids", ".require", 0, 0, L(CGROUP), NULL, false },
	{ "limits.yml", "user", "", 0, 0, 0, NULL, false },
	{ "limits.yml", "user", ".command", 0, PYI_GUEST_COMMAND, 0, NULL, false },
	{ "limits.yml", "landlock", "", 0, 0, 0, NULL, false },
	{ "env.yml", "user", "", 0, 0, 0, NULL, false },
	{ "env-warn.yml", "user", ".dev", PYI_MODE_DEV, 0, 0, NULL, false },
	{ "env-warn.yml", "user", "", 0, 0, 0, NULL, false },
};

static void test_golden(void **state)
{
	check_golden(*state);
}

int main(void)
{
	static struct CMUnitTest tests[PYI_ARRAY_SIZE(goldens)];
	static char titles[PYI_ARRAY_SIZE(goldens)][96];
	size_t n = 0;

	for (; n < PYI_ARRAY_SIZE(goldens); n++) {
		snprintf(titles[n], sizeof(titles[n]), "%s on %s%s%s", goldens[n].policy,
			 goldens[n].host, goldens[n].variant, goldens[n].json ? " json" : "");
		tests[n] = (struct CMUnitTest){ titles[n], test_golden, NULL, NULL,
						(void *)&goldens[n] };
	}
	return _cmocka_run_group_tests("plan", tests, n, NULL, NULL);
}
