/* SPDX-License-Identifier: MIT */
/*
 * Any policy on any host: the first bytes choose what the host can do, the rest is a policy. Whatever comes out must
 * hold what a plan promises: a refusal has a message; otherwise some layer holds, nothing that the policy denies is
 * mounted open, network rows are distinct and in order, and both printed forms can be made.
 */
#include <assert.h>
#include <errno.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/err.h"
#include "plan/facts.h"
#include "plan/grants.h"
#include "plan/plan.h"
#include "policy/policy.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { HEAD = 4 };

static int errnum_of(unsigned int bits, unsigned int bit)
{
	return bits & (1u << bit) ? EPERM : 0;
}

static void set_dir(char *dir, unsigned int is_missing)
{
	dir[0] = is_missing ? '\0' : '/';
	dir[1] = '\0';
}

static void make_facts(const uint8_t *head, struct pyi_facts *facts)
{
	unsigned int bits = head[0] | (unsigned int)head[1] << 8;

	memset(facts, 0, sizeof(*facts));
	facts->is_root = head[2] & 1;
	facts->uid = facts->gid = facts->is_root || head[2] & 2 ? 0 : 1000;
	facts->userns.errnum = errnum_of(bits, 0);
	facts->namespaces.errnum = errnum_of(bits, 1);
	facts->mount_api.errnum = errnum_of(bits, 2);
	facts->idmap.errnum = errnum_of(bits, 3);
	facts->cgroup.errnum = errnum_of(bits, 4);
	facts->bpf_cgroup.errnum = errnum_of(bits, 5);
	facts->landlock.errnum = errnum_of(bits, 6);
	facts->seccomp.errnum = errnum_of(bits, 7);
	facts->mdwe.errnum = errnum_of(bits, 8);
	facts->landlock_abi = bits & 64 ? 0 : 7;
	facts->cgroup_kind = (enum pyi_cgroup_kind)(head[2] >> 2 & 3);
	set_dir(facts->cgroup_v2_dir, bits & 512);
	set_dir(facts->cgroup_memory_dir, bits & 1024);
	set_dir(facts->cgroup_pids_dir, bits & 2048);
	set_dir(facts->cgroup_cpu_dir, bits & 4096);
}

static int is_within(const char *path, const char *top)
{
	size_t len = strlen(top);

	return !strncmp(path, top, len) && (!path[len] || path[len] == '/');
}

/*
 * Every path of the policy exists as it is written, a pattern as one file that it matches if it has no classes; but
 * what two rules name is one thing, and nothing exists below what is no directory.
 */
static void make_grants(const struct pyi_policy *policy, uint8_t kinds, struct pyi_grants *grants)
{
	memset(grants, 0, sizeof(*grants));
	grants->v = calloc(policy->n_fs + 1, sizeof(*grants->v));
	for (size_t i = 0; i < policy->n_fs; i++) {
		const struct pyi_fs_rule *rule = &policy->fs[i];
		struct pyi_grant *grant = &grants->v[grants->n++];

		grant->verdict = rule->verdict;
		grant->access = rule->access;
		grant->path = strdup(rule->path);
		grant->kind = (enum pyi_path_kind)((kinds >> (i % 4)) % 4);
		grant->can_idmap = kinds >> (i % 7) & 1;
		grant->rule = rule;
	}
	for (size_t i = 0; i < grants->n; i++)
		for (size_t j = 0; j < i; j++)
			if (strcmp(grants->v[i].path, grants->v[j].path) == 0) {
				grants->v[i].kind = grants->v[j].kind;
				grants->v[i].can_idmap = grants->v[j].can_idmap;
			}
	for (size_t i = 0; i < grants->n; i++)
		for (size_t j = 0; j < grants->n; j++)
			if (grants->v[j].kind != PYI_PATH_DIR &&
			    strcmp(grants->v[i].path, grants->v[j].path) != 0 &&
			    is_within(grants->v[i].path, grants->v[j].path))
				grants->v[i].kind = PYI_PATH_MISSING;
}

/* The last mount at or above a path decides what is seen there. */
static unsigned int access_at(const struct pyi_plan *plan, const char *path)
{
	unsigned int access = 0;

	for (size_t i = 0; i < plan->n_ops; i++) {
		const struct pyi_op *op = &plan->ops[i];

		if (!is_within(path, op->path))
			continue;
		if (op->kind == PYI_OP_BIND)
			access = op->access;
		else if (op->kind == PYI_OP_MASK_DIR || op->kind == PYI_OP_MASK_FILE)
			access = 0;
	}
	return access;
}

static void check_tree(const struct pyi_plan *plan, const struct pyi_policy *policy,
		       const struct pyi_grants *grants)
{
	for (size_t i = 0; i < grants->n; i++) {
		const struct pyi_grant *grant = &grants->v[i];
		const struct pyi_fs_rule *rule = NULL;
		unsigned int access = access_at(plan, grant->path);

		/* A name with wildcards in it is no path that rules speak about. */
		if (grant->kind == PYI_PATH_MISSING || grant->rule->is_glob)
			continue;
		for (unsigned int bit = PYI_READ; bit <= PYI_EXEC; bit <<= 1)
			if (access & bit &&
			    pyi_policy_decide_fs(policy, grant->path, bit, &rule) == PYI_DENY)
				assert(rule && rule->is_glob);
	}
}

static void check_plan(const struct pyi_plan *plan, const struct pyi_policy *policy,
		       const struct pyi_grants *grants)
{
	struct pyi_buf text = PYI_BUF_INIT, json = PYI_BUF_INIT;

	assert(plan->mode != PYI_MODE_DEFAULT);
	assert(plan->use_namespaces || (plan->use_landlock && plan->use_seccomp));
	assert(!plan->n_net || plan->use_bpf_cgroup);
	assert(plan->own_netns == (plan->use_namespaces && !plan->n_net));
	assert(plan->cwd && plan->cwd[0] == '/');
	for (int i = 0; i < PYI_N_LAYERS && plan->mode == PYI_MODE_HARDENED; i++)
		if (i != PYI_LAYER_IDMAP)
			assert(plan->layers[i].state != PYI_LAYER_OFF);
	for (size_t i = 1; i < plan->n_net; i++) {
		int order = memcmp(plan->net[i - 1].addr, plan->net[i].addr, 16);

		assert(order < 0 || (!order && plan->net[i - 1].prefix_len < plan->net[i].prefix_len));
	}
	if (plan->use_namespaces)
		check_tree(plan, policy, grants);
	pyi_plan_print(plan, &text);
	pyi_plan_print_json(plan, &json);
	pyi_buf_release(&text);
	pyi_buf_release(&json);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const char *const environ[] = { "A=1", "LD_PRELOAD=x", "LANG=C", NULL };
	struct pyi_plan_options options = { .default_uid = 700001,
					    .invoker_cwd = "/srv",
					    .environ = environ };
	struct pyi_policy *policy = NULL;
	struct pyi_plan *plan = NULL;
	struct pyi_err err = { 0 };
	struct pyi_grants grants;
	struct pyi_facts facts;
	int r;

	if (size < HEAD ||
	    pyi_policy_parse("f.yml", (const char *)data + HEAD, size - HEAD, &policy, NULL, &err))
		return 0;
	make_facts(data, &facts);
	make_grants(policy, data[3], &grants);
	options.mode = (enum pyi_mode)(data[2] >> 4 & 3);
	options.guest = data[2] & 64 ? PYI_GUEST_COMMAND : PYI_GUEST_PYTHON;
	r = pyi_plan_build(policy, &options, &facts, &grants, NULL, &plan, &err);
	assert(r == 0 ? plan != NULL : plan == NULL && r < 0 && err.msg[0] && err.errnum == -r);
	if (plan)
		check_plan(plan, policy, &grants);
	pyi_plan_free(plan);
	pyi_grants_release(&grants);
	pyi_policy_free(policy);
	return 0;
}
