/* SPDX-License-Identifier: MIT */
/*
 * Which layers hold, which the policy needs, and what the mode makes of the difference. Nothing falls back
 * silently: a layer that is wanted and missing is a refusal, or OFF with a reason and a warning.
 */
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/err.h"
#include "plan/build.h"
#include "plan/facts.h"
#include "plan/grants.h"

static void set(struct pyi_build *b, enum pyi_layer layer, enum pyi_layer_state state,
		const char *fmt, ...) __attribute__((format(printf, 4, 5)));

static void set(struct pyi_build *b, enum pyi_layer layer, enum pyi_layer_state state,
		const char *fmt, ...)
{
	struct pyi_layer_status *status = &b->plan->layers[layer];
	va_list args;

	status->state = state;
	va_start(args, fmt);
	vsnprintf(status->why, sizeof(status->why), fmt, args);
	va_end(args);
}

static void need(struct pyi_build *b, enum pyi_layer layer)
{
	b->needed |= 1u << layer;
}

static bool is_on(const struct pyi_build *b, enum pyi_layer layer)
{
	return b->plan->layers[layer].state == PYI_LAYER_ON;
}

/* OFF with what the host said: "clone: EPERM". */
static void set_off(struct pyi_build *b, enum pyi_layer layer, const struct pyi_fact *fact)
{
	const char *name = strerrorname_np(fact->errnum);

	set(b, layer, PYI_LAYER_OFF, "%s%s%s", fact->detail, fact->detail[0] ? ": " : "",
	    name ? name : "not available");
}

static void decide_namespaces(struct pyi_build *b)
{
	const struct pyi_facts *facts = b->facts;

	need(b, PYI_LAYER_NAMESPACES);
	if (!facts->is_root && facts->userns.errnum)
		set_off(b, PYI_LAYER_NAMESPACES, &facts->userns);
	else if (facts->namespaces.errnum)
		set_off(b, PYI_LAYER_NAMESPACES, &facts->namespaces);
	else if (facts->mount_api.errnum)
		set_off(b, PYI_LAYER_NAMESPACES, &facts->mount_api);
	else
		set(b, PYI_LAYER_NAMESPACES, PYI_LAYER_ON, "%s",
		    facts->is_root ? "" : "in a user namespace");
	b->plan->use_namespaces = is_on(b, PYI_LAYER_NAMESPACES);
	b->plan->use_userns = b->plan->use_namespaces && !facts->is_root;
	b->plan->own_netns = b->plan->use_namespaces && !b->plan->n_net;
}

/* The guest runs under another id than the invoker: granted paths must translate. */
static void decide_idmap(struct pyi_build *b)
{
	const struct pyi_grant *without = NULL;
	bool is_wanted = false;

	if (!b->facts->is_root || !b->plan->use_namespaces) {
		set(b, PYI_LAYER_IDMAP, PYI_LAYER_UNUSED, "%s",
		    b->facts->is_root ? "there is no mount to map" : "ids map one to one");
		return;
	}
	for (size_t i = 0; i < b->grants->n; i++) {
		const struct pyi_grant *grant = &b->grants->v[i];

		if (grant->verdict != PYI_ALLOW || !grant->rule || grant->kind == PYI_PATH_MISSING)
			continue;
		is_wanted = true;
		if (grant->can_idmap && !b->facts->idmap.errnum)
			continue;
		/* Reading may go on under the permissions of others; writing for the invoker cannot. */
		if (!without || (grant->access & PYI_WRITE))
			without = grant;
		if (grant->access & PYI_WRITE)
			need(b, PYI_LAYER_IDMAP);
	}
	if (!is_wanted)
		set(b, PYI_LAYER_IDMAP, PYI_LAYER_UNUSED, "no path is granted");
	else if (b->facts->idmap.errnum)
		set_off(b, PYI_LAYER_IDMAP, &b->facts->idmap);
	else if (without)
		set(b, PYI_LAYER_IDMAP, PYI_LAYER_OFF,
		    "'%.120s' is on a file system without id-mapped mounts", without->path);
	else
		set(b, PYI_LAYER_IDMAP, PYI_LAYER_ON, "%s", "");
}

static const char *cgroup_kind_name(enum pyi_cgroup_kind kind)
{
	static const char *const names[] = {
		[PYI_CGROUP_NONE] = "",
		[PYI_CGROUP_V2] = "v2",
		[PYI_CGROUP_HYBRID] = "v1 with v2 beside it",
		[PYI_CGROUP_V1] = "v1",
	};

	return names[kind];
}

/* The first limit whose controller is missing, or NULL. */
static const char *missing_controller(const struct pyi_build *b)
{
	const struct pyi_limits *limits = &b->policy->limits;

	if (limits->memory_bytes && !b->facts->cgroup_memory_dir[0])
		return "memory";
	if (limits->pids && !b->facts->cgroup_pids_dir[0])
		return "pids";
	if (limits->cpu_permille && !b->facts->cgroup_cpu_dir[0])
		return "cpu";
	/* cpu.stat is in every v2 group, with or without the controller. */
	if (limits->cpu_time_ms && !b->facts->cgroup_cpuacct_dir[0] && !b->facts->cgroup_v2_dir[0])
		return "cpuacct";
	return NULL;
}

/* Can the BPF LSM programs judge a sandbox here? Then they judge each. */
static bool has_lsm(const struct pyi_facts *facts)
{
	return facts->is_root && !facts->bpf_lsm.errnum && !facts->bpf_cgroup.errnum &&
	       !facts->cgroup.errnum && facts->cgroup_kind != PYI_CGROUP_NONE &&
	       facts->cgroup_v2_dir[0];
}

static void decide_cgroup(struct pyi_build *b)
{
	const struct pyi_limits *limits = &b->policy->limits;
	bool has_limit = limits->memory_bytes || limits->pids || limits->cpu_permille ||
			 limits->cpu_time_ms || b->options->profile || b->options->trace;
	const char *missing = missing_controller(b);

	if (!has_limit && !b->plan->n_net && !has_lsm(b->facts)) {
		set(b, PYI_LAYER_CGROUP, PYI_LAYER_UNUSED, "no limit needs it");
		return;
	}
	if (has_limit || b->plan->n_net)
		need(b, PYI_LAYER_CGROUP);
	if (b->facts->cgroup.errnum || b->facts->cgroup_kind == PYI_CGROUP_NONE) {
		struct pyi_fact none = { .errnum = ENOENT, .detail = "no writable cgroup hierarchy" };

		set_off(b, PYI_LAYER_CGROUP, b->facts->cgroup.errnum ? &b->facts->cgroup : &none);
		return;
	}
	b->plan->use_cgroup = true;
	b->plan->profile = b->options->profile;
	if (missing)
		set(b, PYI_LAYER_CGROUP, PYI_LAYER_OFF, "the %s controller is missing", missing);
	else
		set(b, PYI_LAYER_CGROUP, PYI_LAYER_ON, "%s", cgroup_kind_name(b->facts->cgroup_kind));
}

void pyi_build_lsm_is_off(struct pyi_build *b)
{
	if (b->facts->is_root && b->facts->bpf_lsm.errnum)
		set_off(b, PYI_LAYER_BPF_LSM, &b->facts->bpf_lsm);
	else
		set(b, PYI_LAYER_BPF_LSM, PYI_LAYER_OFF, "%s",
		    b->facts->is_root ? "there is no control group for it" : "only root may load it");
}

static void decide_bpf(struct pyi_build *b)
{
	/* Where it is missing, rules that only it can hold make it OFF: see cover_exact.c. */
	if (has_lsm(b->facts) && b->plan->use_cgroup)
		set(b, PYI_LAYER_BPF_LSM, PYI_LAYER_ON, "%s", "");
	else if (b->options->required_layers & 1u << PYI_LAYER_BPF_LSM)
		pyi_build_lsm_is_off(b);
	else
		set(b, PYI_LAYER_BPF_LSM, PYI_LAYER_UNUSED, "the other layers hold what the rules say");
	b->plan->use_bpf_lsm = is_on(b, PYI_LAYER_BPF_LSM);
	if (b->plan->n_net)
		need(b, PYI_LAYER_BPF_CGROUP);
	if (b->facts->is_root && !b->facts->bpf_cgroup.errnum && b->plan->use_cgroup &&
	    b->facts->cgroup_v2_dir[0])
		/* Without network rules as well: devices, and no socket but AF_UNIX. */
		set(b, PYI_LAYER_BPF_CGROUP, PYI_LAYER_ON, "%s", "");
	else if (!b->plan->n_net)
		set(b, PYI_LAYER_BPF_CGROUP, PYI_LAYER_UNUSED, "no network is granted");
	else if (!b->facts->is_root)
		set(b, PYI_LAYER_BPF_CGROUP, PYI_LAYER_OFF, "only root may load it");
	else if (b->facts->bpf_cgroup.errnum)
		set_off(b, PYI_LAYER_BPF_CGROUP, &b->facts->bpf_cgroup);
	else
		set(b, PYI_LAYER_BPF_CGROUP, PYI_LAYER_OFF,
		    "there is no cgroup v2 hierarchy to attach to");
	b->plan->use_bpf_cgroup = is_on(b, PYI_LAYER_BPF_CGROUP);
}

/*
 * Wanted by a limit on CPU time but not needed: the supervisor holds the limit with the cgroup's account. This one
 * holds it while the supervisor cannot.
 */
static void decide_perf(struct pyi_build *b)
{
	if (!b->policy->limits.cpu_time_ms)
		set(b, PYI_LAYER_BPF_PERF, PYI_LAYER_UNUSED, "no CPU time limit");
	else if (!b->facts->is_root)
		set(b, PYI_LAYER_BPF_PERF, PYI_LAYER_OFF, "only root may load it");
	else if (b->facts->bpf_perf.errnum)
		set_off(b, PYI_LAYER_BPF_PERF, &b->facts->bpf_perf);
	else if (!b->plan->use_cgroup || !b->facts->cgroup_v2_dir[0])
		set(b, PYI_LAYER_BPF_PERF, PYI_LAYER_OFF,
		    "there is no cgroup v2 hierarchy to attach to");
	else
		set(b, PYI_LAYER_BPF_PERF, PYI_LAYER_ON, "%s", "");
	b->plan->use_bpf_perf = is_on(b, PYI_LAYER_BPF_PERF);
}

static bool has_exec_grant(const struct pyi_build *b)
{
	for (size_t i = 0; i < b->grants->n; i++)
		if (b->grants->v[i].verdict == PYI_ALLOW && b->grants->v[i].access & PYI_EXEC)
			return true;
	return pyi_build_ceiling_has_exec(b);
}

static void decide_rest(struct pyi_build *b)
{
	const struct pyi_facts *facts = b->facts;
	bool wants_mdwe;

	need(b, PYI_LAYER_LANDLOCK);
	need(b, PYI_LAYER_SECCOMP);
	need(b, PYI_LAYER_PROCESS);
	if (facts->landlock.errnum)
		set_off(b, PYI_LAYER_LANDLOCK, &facts->landlock);
	else
		set(b, PYI_LAYER_LANDLOCK, PYI_LAYER_ON, "ABI %d", facts->landlock_abi);
	if (facts->seccomp.errnum)
		set_off(b, PYI_LAYER_SECCOMP, &facts->seccomp);
	else
		set(b, PYI_LAYER_SECCOMP, PYI_LAYER_ON, "%s", "");
	b->plan->use_landlock = is_on(b, PYI_LAYER_LANDLOCK);
	b->plan->use_seccomp = is_on(b, PYI_LAYER_SECCOMP);
	/*
	 * Programs that compile as they run (node, java) need memory that becomes executable, and the rule against it
	 * is inherited by what a guest executes.
	 */
	wants_mdwe = b->options->guest == PYI_GUEST_PYTHON && !has_exec_grant(b);
	b->plan->mdwe = wants_mdwe && !facts->mdwe.errnum;
	if (facts->mdwe.errnum && wants_mdwe)
		set_off(b, PYI_LAYER_PROCESS, &facts->mdwe);
	else
		set(b, PYI_LAYER_PROCESS, PYI_LAYER_ON, "%s",
		    b->plan->mdwe ? "" : "without MDWE: programs may compile as they run");
}

/* What no mode goes without. */
static int refuse_the_impossible(const struct pyi_build *b, struct pyi_err *err)
{
	const struct pyi_layer_status *layers = b->plan->layers;
	char origin[PYI_ORIGIN_MAX];

	if (!b->plan->use_namespaces && !b->plan->use_landlock)
		return pyi_err_set(err, EOPNOTSUPP,
				   "no sandbox can run here: namespaces are missing (%s) and so is Landlock (%s); "
				   "'pyisolate doctor' says what to do",
				   layers[PYI_LAYER_NAMESPACES].why, layers[PYI_LAYER_LANDLOCK].why);
	if (!b->plan->use_namespaces && !b->plan->use_seccomp)
		return pyi_err_set(err, EOPNOTSUPP,
				   "no sandbox can run here: without namespaces (%s) the network can only be closed by "
				   "seccomp, which is missing (%s)",
				   layers[PYI_LAYER_NAMESPACES].why, layers[PYI_LAYER_SECCOMP].why);
	if (b->plan->n_net && !b->plan->use_bpf_cgroup) {
		const struct pyi_net_rule *rule = b->policy->net;

		for (size_t i = 0; i < b->policy->n_net && rule->verdict == PYI_DENY; i++)
			rule = &b->policy->net[i];
		/* No rule of its own: it is the ceiling that needs it. */
		if (!b->policy->n_net)
			for (rule = pyi_policy_ceiling_net(b->policy)->net; rule->verdict == PYI_DENY;)
				rule++;
		return pyi_err_set(
			err, EOPNOTSUPP,
			"%s: network rule '%s' cannot be enforced without the bpf-cgroup layer (%s): %s",
			pyi_build_origin(&rule->from, origin), rule->text,
			layers[PYI_LAYER_BPF_CGROUP].why,
			pyi_layer_advice(PYI_LAYER_BPF_CGROUP, b->facts));
	}
	return 0;
}

/* Every layer that is missing, not only the first: "cgroup (mkdir: EACCES) and landlock (ENOSYS)". */
static int refuse_hardened(const struct pyi_build *b, uint32_t missing, struct pyi_err *err)
{
	bool is_one = !(missing & (missing - 1));
	char list[PYI_ERR_MSG_MAX];
	const char *advice = "'pyisolate doctor' says what to do";
	size_t n = 0;

	for (int i = 0; i < PYI_N_LAYERS && n < sizeof(list); i++) {
		if (!(missing & (1u << i)))
			continue;
		n += (size_t)snprintf(list + n, sizeof(list) - n, "%s%s (%s)", n ? ", " : "",
				      pyi_layer_name((enum pyi_layer)i), b->plan->layers[i].why);
		if (is_one)
			advice = pyi_layer_advice((enum pyi_layer)i, b->facts);
	}
	return pyi_err_set(
		err, EOPNOTSUPP,
		"mode hardened needs what is missing here: %s: %s, or --mode compatibility to go without",
		list, advice);
}

static int choose_mode(struct pyi_build *b, struct pyi_err *err)
{
	enum pyi_mode mode = b->options->mode;
	uint32_t missing = 0;

	for (int i = 0; i < PYI_N_LAYERS; i++)
		if ((b->needed & (1u << i)) && !is_on(b, (enum pyi_layer)i))
			missing |= 1u << i;
	if (mode == PYI_MODE_DEFAULT)
		mode = b->facts->is_root && !missing ? PYI_MODE_HARDENED : PYI_MODE_COMPATIBILITY;
	b->plan->mode = mode;
	return mode == PYI_MODE_HARDENED && missing ? refuse_hardened(b, missing, err) : 0;
}

static int check_required(const struct pyi_build *b, struct pyi_err *err)
{
	for (int i = 0; i < PYI_N_LAYERS; i++) {
		const struct pyi_layer_status *status = &b->plan->layers[i];

		if (!(b->options->required_layers & (1u << i)) || status->state == PYI_LAYER_ON)
			continue;
		return pyi_err_set(err, EOPNOTSUPP, "--require %s: it is %s (%s)%s%s",
				   pyi_layer_name((enum pyi_layer)i),
				   pyi_layer_state_name(status->state), status->why,
				   status->state == PYI_LAYER_OFF ? ": " : "",
				   status->state == PYI_LAYER_OFF
					   ? pyi_layer_advice((enum pyi_layer)i, b->facts)
					   : "");
	}
	return 0;
}

static int warn_of_missing(struct pyi_build *b, struct pyi_err *err)
{
	for (int i = 0; i < PYI_N_LAYERS; i++) {
		const struct pyi_layer_status *status = &b->plan->layers[i];
		int r;

		if (status->state != PYI_LAYER_OFF)
			continue;
		r = pyi_build_warn(b, err, "%s: off (%s): %s", pyi_layer_name((enum pyi_layer)i),
				   status->why, pyi_layer_loss((enum pyi_layer)i));
		if (r)
			return r;
	}
	return 0;
}

int pyi_build_layers(struct pyi_build *b, struct pyi_err *err)
{
	int r;

	decide_namespaces(b);
	decide_idmap(b);
	decide_cgroup(b);
	decide_bpf(b);
	decide_perf(b);
	decide_rest(b);
	r = refuse_the_impossible(b, err);
	if (!r)
		r = choose_mode(b, err);
	if (!r)
		r = check_required(b, err);
	if (!r)
		r = warn_of_missing(b, err);
	return r;
}
