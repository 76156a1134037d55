/* SPDX-License-Identifier: MIT */
/* Hosts, a file system and a resolver, all made up: what the planner's tests plan for. */
#ifndef PYI_TEST_PLAN_FIXTURE_H
#define PYI_TEST_PLAN_FIXTURE_H

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

#include "base/err.h"
#include "base/util.h"
#include "plan/facts.h"
#include "plan/grants.h"
#include "plan/plan.h"

static inline struct pyi_fact refused(int errnum, const char *detail)
{
	struct pyi_fact fact = { .errnum = errnum };

	snprintf(fact.detail, sizeof(fact.detail), "%s", detail);
	return fact;
}

static inline void set_cgroup(struct pyi_facts *facts, enum pyi_cgroup_kind kind)
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

static inline struct pyi_facts host_root(void)
{
	struct pyi_facts facts = { .is_root = true, .landlock_abi = 7 };

	set_cgroup(&facts, PYI_CGROUP_V2);
	facts.bpf_lsm = refused(EPERM, "bpf");
	return facts;
}

static inline struct pyi_facts host_user(void)
{
	struct pyi_facts facts = { .uid = 1000, .gid = 1000, .landlock_abi = 4 };

	facts.cgroup = refused(EACCES, "mkdir");
	facts.bpf_cgroup = refused(EPERM, "bpf");
	facts.bpf_lsm = facts.bpf_cgroup;
	facts.idmap = refused(EPERM, "mount_setattr");
	return facts;
}

static inline struct pyi_facts make_host(const char *name)
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
	} else if (!strcmp(name, "root-lsm")) {
		facts.bpf_lsm = (struct pyi_fact){ .detail = "loaded" };
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
	{ "/", PYI_PATH_DIR, false },
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

static inline void add_grant(struct pyi_grants *grants, const struct pyi_fs_rule *rule,
			     const char *path, enum pyi_path_kind kind, bool no_idmap)
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

static inline void add_link(struct pyi_grants *grants, const char *path, const char *target)
{
	grants->links = realloc(grants->links, (grants->n_links + 1) * sizeof(*grants->links));
	assert_non_null(grants->links);
	grants->links[grants->n_links++] = (struct pyi_link){ strdup(path), strdup(target) };
}

static inline void resolve_path(struct pyi_grants *grants, const struct pyi_fs_rule *rule,
				const char *path)
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

static inline void add_top(struct pyi_grants *grants, const struct pyi_fs_rule *rule)
{
	struct pyi_glob_top top = { .rule = rule, .can_grant = true, .can_idmap = true };
	size_t len = strcspn(rule->path, "*?[");

	while (len && rule->path[len] != '/')
		len--;
	top.path = len ? strndup(rule->path, len) : strdup("/");
	for (size_t i = 0; i < PYI_ARRAY_SIZE(host_files); i++)
		if (!strcmp(host_files[i].path, top.path))
			top.kind = host_files[i].kind;
	grants->tops = realloc(grants->tops, (grants->n_tops + 1) * sizeof(*grants->tops));
	assert_non_null(grants->tops);
	grants->tops[grants->n_tops++] = top;
}

/* What lib/kernel/resolve.c does on a real host. */
static inline struct pyi_grants resolve(const struct pyi_policy *policy, bool is_command)
{
	struct pyi_grants grants = { .v = NULL };

	for (size_t i = 0; i < policy->n_fs; i++) {
		const struct pyi_fs_rule *rule = &policy->fs[i];

		if (!rule->is_glob)
			resolve_path(&grants, rule, rule->path);
		else
			add_top(&grants, rule);
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
__attribute__((unused)) static const struct pyi_names names = { resolved, PYI_ARRAY_SIZE(resolved) };

#endif
