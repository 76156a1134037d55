/* SPDX-License-Identifier: MIT */
/* The doctor's report; see doctor.h. */
#include "report/doctor.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/buf.h"
#include "base/err.h"
#include "base/json.h"
#include "plan/facts.h"
#include "plan/layer.h"
#include "plan/plan.h"
#include "policy/policy.h"

/* A part of a layer, or a layer as a whole; in the order of the report. */
enum feature_id {
	FEATURE_NAMESPACES,
	FEATURE_USERNS,
	FEATURE_MOUNT_API,
	FEATURE_IDMAP,
	FEATURE_CGROUP,
	FEATURE_MEMORY,
	FEATURE_PIDS,
	FEATURE_CPU,
	FEATURE_FREEZER,
	FEATURE_CLONE_INTO_CGROUP,
	FEATURE_BPF_CGROUP,
	FEATURE_LANDLOCK,
	FEATURE_SECCOMP,
	FEATURE_MDWE,
	FEATURE_BPF_LSM,
	FEATURE_BPF_PERF,
	N_FEATURES,
};

struct feature {
	const char *name;
	int layer; /* whose texts hold for it; -1: its own below */
	const char *purpose;
	const char *loss;
	const char *advice;
};

static const struct feature features[N_FEATURES] = {
	[FEATURE_NAMESPACES] = { "namespaces", PYI_LAYER_NAMESPACES, NULL, NULL, NULL },
	[FEATURE_USERNS] = { "user-namespaces", -1, "namespaces for ordinary users, and id-mapped mounts",
			     "an ordinary user's sandbox is held by Landlock and seccomp alone",
			     "set sysctl kernel.unprivileged_userns_clone=1, user.max_user_namespaces above 0 and "
			     "kernel.apparmor_restrict_unprivileged_userns=0" },
	[FEATURE_MOUNT_API] = { "mount-api", -1,
				"mounts made by descriptor, so that no path is walked twice",
				"no file tree can be made",
				"use Linux 5.12 or newer, and let the container call mount_setattr" },
	[FEATURE_IDMAP] = { "idmap", PYI_LAYER_IDMAP, NULL, NULL, NULL },
	[FEATURE_CGROUP] = { "cgroup", PYI_LAYER_CGROUP, NULL, NULL, NULL },
	[FEATURE_MEMORY] = { "cgroup-memory", -1, "a memory limit for the sandbox as a whole",
			     "each process alone is limited",
			     "enable the memory controller (cgroup_enable=memory)" },
	[FEATURE_PIDS] = { "cgroup-pids", -1, "a limit on processes and threads: no fork bombs",
			   "processes are counted by user id", "enable the pids controller" },
	[FEATURE_CPU] = { "cgroup-cpu", -1, "a share of the CPU", "limits: cpu has no effect",
			  "enable the cpu controller" },
	[FEATURE_FREEZER] = { "cgroup-freezer", -1, "a sandbox stops as a whole",
			      "processes are stopped one by one",
			      "mount the freezer hierarchy, or use cgroup v2" },
	[FEATURE_CLONE_INTO_CGROUP] = { "clone-into-cgroup", -1, "no process is ever outside its limits",
					"the sandbox's first process is moved before it starts the guest",
					"use Linux 5.7 or newer with cgroup v2 mounted" },
	[FEATURE_BPF_CGROUP] = { "bpf-cgroup", PYI_LAYER_BPF_CGROUP, NULL, NULL, NULL },
	[FEATURE_LANDLOCK] = { "landlock", PYI_LAYER_LANDLOCK, NULL, NULL, NULL },
	[FEATURE_SECCOMP] = { "seccomp", PYI_LAYER_SECCOMP, NULL, NULL, NULL },
	[FEATURE_MDWE] = { "mdwe", -1, "memory that was writable never becomes executable",
			   "a guest may run machine code it wrote, under all other layers",
			   "use Linux 6.3 or newer" },
	[FEATURE_BPF_LSM] = { "bpf-lsm", PYI_LAYER_BPF_LSM, NULL, NULL, NULL },
	[FEATURE_BPF_PERF] = { "bpf-perf", PYI_LAYER_BPF_PERF, NULL, NULL, NULL },
};

static struct pyi_fact directory_fact(const char *dir)
{
	struct pyi_fact fact = { .errnum = dir[0] ? 0 : ENOENT };

	return fact;
}

static struct pyi_fact cgroup_fact(const struct pyi_facts *facts)
{
	static const char *const kinds[] = {
		[PYI_CGROUP_NONE] = "no writable hierarchy",
		[PYI_CGROUP_V2] = "v2",
		[PYI_CGROUP_HYBRID] = "controllers on v1, v2 beside them",
		[PYI_CGROUP_V1] = "v1 without v2",
	};
	struct pyi_fact fact = facts->cgroup;

	if (!fact.errnum && facts->cgroup_kind == PYI_CGROUP_NONE)
		fact.errnum = ENOENT;
	if (!fact.errnum || !fact.detail[0])
		snprintf(fact.detail, sizeof(fact.detail), "%s", kinds[facts->cgroup_kind]);
	return fact;
}

static struct pyi_fact get_fact(const struct pyi_facts *facts, enum feature_id id)
{
	bool has_cgroup = !cgroup_fact(facts).errnum;

	switch (id) {
	case FEATURE_NAMESPACES:
		return facts->namespaces;
	case FEATURE_USERNS:
		return facts->userns;
	case FEATURE_MOUNT_API:
		return facts->mount_api;
	case FEATURE_IDMAP:
		return facts->idmap;
	case FEATURE_CGROUP:
		return cgroup_fact(facts);
	case FEATURE_MEMORY:
		return directory_fact(has_cgroup ? facts->cgroup_memory_dir : "");
	case FEATURE_PIDS:
		return directory_fact(has_cgroup ? facts->cgroup_pids_dir : "");
	case FEATURE_CPU:
		return directory_fact(has_cgroup ? facts->cgroup_cpu_dir : "");
	case FEATURE_FREEZER:
		return directory_fact(!has_cgroup ? ""
				      : facts->cgroup_kind == PYI_CGROUP_V2
					      ? facts->cgroup_v2_dir
					      : facts->cgroup_freezer_dir);
	case FEATURE_CLONE_INTO_CGROUP:
		return (struct pyi_fact){ .errnum = facts->clone_into_cgroup ? 0 : EOPNOTSUPP };
	case FEATURE_BPF_CGROUP:
		return facts->bpf_cgroup;
	case FEATURE_LANDLOCK:
		return facts->landlock;
	case FEATURE_SECCOMP:
		return facts->seccomp;
	case FEATURE_MDWE:
		return facts->mdwe;
	case FEATURE_BPF_LSM:
		return facts->bpf_lsm;
	case FEATURE_BPF_PERF:
		return facts->bpf_perf;
	case N_FEATURES:
		break;
	}
	return (struct pyi_fact){ .errnum = EINVAL };
}

static const char *purpose(enum feature_id id)
{
	return features[id].layer < 0 ? features[id].purpose
				      : pyi_layer_purpose((enum pyi_layer)features[id].layer);
}

static const char *loss(enum feature_id id)
{
	return features[id].layer < 0 ? features[id].loss
				      : pyi_layer_loss((enum pyi_layer)features[id].layer);
}

static const char *advice(const struct pyi_facts *facts, enum feature_id id)
{
	/* Ids of an ordinary user's sandbox are its own. */
	if (features[id].layer >= 0)
		return pyi_layer_advice((enum pyi_layer)features[id].layer, facts);
	/* The parts of what is missing as a whole come with it. */
	if (id >= FEATURE_MEMORY && id <= FEATURE_FREEZER && cgroup_fact(facts).errnum)
		return pyi_layer_advice(PYI_LAYER_CGROUP, facts);
	return features[id].advice;
}

/* The plan for a policy that grants nothing and limits everything; its mode and layers tell the rest. */
static struct pyi_plan *make_plan(const struct pyi_facts *facts)
{
	static char name[] = "doctor";
	static const struct pyi_policy policy = {
		.name = name,
		.limits = { .memory_bytes = 1 << 30, .cpu_time_ms = 1000, .cpu_permille = 1000, .pids = 16 },
	};
	const struct pyi_plan_options options = { .default_uid = 65534 };
	struct pyi_plan *plan = NULL;

	return pyi_plan_build(&policy, &options, facts, NULL, NULL, &plan, NULL) ? NULL : plan;
}

bool pyi_doctor_can_run(const struct pyi_facts *facts)
{
	struct pyi_plan *plan = make_plan(facts);
	bool can_run = plan != NULL;

	pyi_plan_free(plan);
	return can_run;
}

char pyi_doctor_grade(const struct pyi_facts *facts)
{
	struct pyi_plan *plan = make_plan(facts);
	char grade = 'A';

	if (!plan)
		return 'F';
	if (!plan->use_namespaces)
		grade = 'D';
	else if (!plan->use_landlock || !plan->use_seccomp)
		grade = 'C';
	else if (plan->layers[PYI_LAYER_CGROUP].state != PYI_LAYER_ON || facts->bpf_cgroup.errnum ||
		 !facts->cgroup_v2_dir[0] || facts->mdwe.errnum ||
		 (facts->is_root && facts->idmap.errnum))
		grade = 'B';
	pyi_plan_free(plan);
	return grade;
}

static const char *grade_text(char grade)
{
	switch (grade) {
	case 'A':
		return "every layer of this version can be enforced";
	case 'B':
		return "files, processes and system calls are held; limits, network rules or file ownership fall short";
	case 'C':
		return "a sandbox runs behind namespaces, without the second line of Landlock or seccomp";
	case 'D':
		return "a sandbox runs behind Landlock and seccomp alone: names of files and processes can be seen";
	default:
		return "no sandbox can run here";
	}
}

static const char *default_mode(const struct pyi_facts *facts)
{
	struct pyi_plan *plan = make_plan(facts);
	const char *name = plan ? pyi_mode_name(plan->mode) : NULL;

	pyi_plan_free(plan);
	return name;
}

/* How the files of a sandbox that runs change with its policy. */
static const char *file_reload(const struct pyi_facts *facts)
{
	if (!facts->is_root || facts->namespaces.errnum || facts->mount_api.errnum)
		return facts->is_root ? "not here: there is no file tree that could change"
				      : "root only; network, contracts and limits need no file tree";
	if (!facts->bpf_lsm.errnum && !facts->bpf_cgroup.errnum && !facts->cgroup.errnum)
		return "all paths in one step, what is held open as a directory included";
	return "path by path, each in one step; what is held open as a directory stays as it was";
}

/* What contracts about bytes can rely on, and who does: that slows every read and write of the host. */
static const char *byte_count(const struct pyi_facts *facts, char *buf, size_t size)
{
	if (facts->bpf_lsm.errnum || facts->bpf_cgroup.errnum)
		return "not counted here: that needs bpf-lsm";
	if (!facts->bytes_are_counted)
		return "counted while a contract speaks of them; none does now";
	snprintf(buf, size, "counted now, for %u sandbox%s", facts->n_bytes_sandboxes,
		 facts->n_bytes_sandboxes == 1 ? "" : "es");
	return buf;
}

void pyi_doctor_print(const struct pyi_facts *facts, const char *image, const char *pins,
		      struct pyi_buf *out)
{
	const char *mode = default_mode(facts);
	char grade = pyi_doctor_grade(facts), bytes[64];

	pyi_buf_printf(out, "Linux %s, asked as %s\n\n", facts->release,
		       facts->is_root ? "root" : "an ordinary user");
	for (int i = 0; i < N_FEATURES; i++) {
		enum feature_id id = (enum feature_id)i;
		struct pyi_fact fact = get_fact(facts, id);
		const char *errname = fact.errnum ? strerrorname_np(fact.errnum) : NULL;

		pyi_buf_printf(out, "%-5s%-19s%s\n", fact.errnum ? "off" : "on", features[i].name,
			       purpose(id));
		if (!fact.errnum) {
			if (fact.detail[0])
				pyi_buf_printf(out, "%24sfound: %s\n", "", fact.detail);
			continue;
		}
		if (fact.detail[0] || errname)
			pyi_buf_printf(out, "%24swhy: %s%s%s\n", "", fact.detail,
				       fact.detail[0] && errname ? ": " : "", errname ? errname : "");
		pyi_buf_printf(out, "%24swithout it: %s\n", "", loss(id));
		pyi_buf_printf(out, "%24swhat to do: %s\n", "", advice(facts, id));
	}
	pyi_buf_printf(out, "\ngrade %c: %s\n", grade, grade_text(grade));
	if (mode)
		pyi_buf_printf(out, "mode by default: %s\n", mode);
	pyi_buf_printf(out, "reload of files: %s\n", file_reload(facts));
	pyi_buf_printf(out, "bytes of files: %s\n", byte_count(facts, bytes, sizeof(bytes)));
	pyi_buf_printf(out, "image: %s\n", image);
	if (*pins)
		pyi_buf_printf(out, "pins of other versions, which go on beside this one: %s\n", pins);
}

void pyi_doctor_print_json(const struct pyi_facts *facts, const char *image, const char *pins,
			   struct pyi_buf *out)
{
	char grade[2] = { pyi_doctor_grade(facts) }, bytes[64];
	struct pyi_json json;

	pyi_json_init(&json, out);
	pyi_json_object(&json, NULL);
	pyi_json_string(&json, "release", facts->release);
	pyi_json_bool(&json, "root", facts->is_root);
	pyi_json_bool(&json, "can_run", pyi_doctor_can_run(facts));
	pyi_json_string(&json, "grade", grade);
	pyi_json_string(&json, "default_mode", default_mode(facts));
	pyi_json_i64(&json, "landlock_abi", facts->landlock_abi);
	pyi_json_string(&json, "file_reload", file_reload(facts));
	pyi_json_string(&json, "bytes_of_files", byte_count(facts, bytes, sizeof(bytes)));
	pyi_json_string(&json, "image", image);
	pyi_json_string(&json, "other_pins", *pins ? pins : NULL);
	pyi_json_object(&json, "features");
	for (int i = 0; i < N_FEATURES; i++) {
		enum feature_id id = (enum feature_id)i;
		struct pyi_fact fact = get_fact(facts, id);

		pyi_json_object(&json, features[i].name);
		pyi_json_bool(&json, "on", !fact.errnum);
		pyi_json_string(&json, "detail", fact.detail[0] ? fact.detail : NULL);
		pyi_json_string(&json, "errno", fact.errnum ? strerrorname_np(fact.errnum) : NULL);
		pyi_json_string(&json, "purpose", purpose(id));
		pyi_json_string(&json, "loss", fact.errnum ? loss(id) : NULL);
		pyi_json_string(&json, "advice", fact.errnum ? advice(facts, id) : NULL);
		pyi_json_end_object(&json);
	}
	pyi_json_end_object(&json);
	pyi_json_end_object(&json);
	pyi_buf_putc(out, '\n');
}
