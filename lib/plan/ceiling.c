/* SPDX-License-Identifier: MIT */
/*
 * What the policy's ceiling adds to a start. Landlock's domain, the system call filter and the network namespace are
 * settled at the start, so they are made for the ceiling; the tree, the BPF rows and the path automaton are the
 * policy's, and a reload changes them within that.
 */
#include <errno.h>
#include <string.h>

#include "base/err.h"
#include "plan/build.h"
#include "plan/cover.h"
#include "policy/ceiling.h"

bool pyi_build_ceiling_has_exec(const struct pyi_build *b)
{
	const struct pyi_policy *files = pyi_policy_ceiling_files(b->policy);

	for (size_t i = 0; files && i < files->n_fs; i++)
		if (files->fs[i].verdict == PYI_ALLOW && files->fs[i].access & PYI_EXEC)
			return true;
	return false;
}

static int refuse_name(const struct pyi_excess *excess, void *arg)
{
	char origin[PYI_ORIGIN_MAX];

	return pyi_err_set(arg, EPERM, "%s: %s is outside of the policy's own 'ceiling:': %s: %s",
			   pyi_build_origin(excess->from, origin), excess->what, excess->why,
			   excess->mend);
}

/* What the names of the policy are by now. */
static int check_names(struct pyi_build *b, const struct pyi_policy *net, struct pyi_err *err)
{
	int r = 0;

	for (size_t i = 0; i < b->names->n && !r; i++)
		for (size_t j = 0; j < b->names->v[i].n_addrs && !r; j++)
			r = pyi_ceiling_compare_name(net, b->policy, b->is_dev, b->names->v[i].name,
						     b->names->v[i].addrs[j], refuse_name, err, err);
	return r;
}

int pyi_build_ceiling_net(struct pyi_build *b, struct pyi_err *err)
{
	const struct pyi_policy *net = pyi_policy_ceiling_net(b->policy);
	struct pyi_plan *plan = b->plan;
	bool has_any = false;

	plan->may_tcp = plan->net_tcp;
	plan->may_udp = plan->net_udp;
	plan->may_listen = plan->net_listen;
	for (size_t i = 0; net && i < net->n_net; i++) {
		const struct pyi_net_rule *rule = &net->net[i];

		if (rule->verdict != PYI_ALLOW)
			continue;
		has_any = true;
		plan->may_tcp |= rule->protos & PYI_NET_TCP;
		plan->may_udp |= rule->protos & PYI_NET_UDP;
		plan->may_listen |= rule->protos & PYI_NET_TCP && rule->ops & PYI_NET_BIND;
	}
	/* A network is there, and a row that denies all of it: the same as no row, but for those who ask whether. */
	if (!plan->n_net && has_any && !pyi_build_grow(&plan->net, &plan->n_net, sizeof(*plan->net)))
		return pyi_err_nomem(err);
	return net ? check_names(b, net, err) : 0;
}

static int add_row(struct pyi_build *b, const char *path, unsigned int access, bool is_dir,
		   bool is_place, struct pyi_err *err)
{
	struct pyi_landlock_row *row = pyi_build_grow(&b->plan->ceiling, &b->plan->n_ceiling,
						      sizeof(*row));

	if (row)
		row->path = strdup(path);
	if (!row || !row->path)
		return pyi_err_nomem(err);
	row->access = access;
	row->is_dir = is_dir;
	row->is_place = is_place;
	return 0;
}

/*
 * Landlock has no patterns. The files that match now are among the grants; of those that match later nobody knows yet
 * which they are, so it is the empty directory they will be mounted beneath that gets a rule. What may be mounted there
 * is decided by whoever reloads (reload_files.c), with the pattern itself. Where BPF LSM decides about each file, the
 * directory of a pattern for writing is mounted as a whole, as that of the policy's own.
 */
static int add_tops(struct pyi_build *b, const struct pyi_grants *grants, struct pyi_err *err)
{
	int r = 0;

	for (size_t i = 0; i < grants->n_tops && !r; i++) {
		const struct pyi_glob_top *top = &grants->tops[i];
		bool is_whole = b->plan->use_bpf_lsm && top->rule->access & PYI_WRITE;
		struct pyi_grant grant = { .verdict = PYI_ALLOW, .path = top->path, .kind = top->kind };
		struct pyi_err unused = { 0 };

		if (top->rule->verdict == PYI_ALLOW && top->can_grant &&
		    top->kind == PYI_PATH_DIR && !pyi_cover_check_grant(&grant, &unused))
			r = add_row(b, top->path, top->rule->access, true, !is_whole, err);
	}
	return r;
}

/* Without a tree of the sandbox's own Landlock alone keeps the files, and a reload cannot change it. */
int pyi_build_ceiling(struct pyi_build *b, struct pyi_err *err)
{
	const struct pyi_grants *grants = b->options->ceiling;
	int r = 0;

	if (!grants || !b->plan->use_namespaces)
		return 0;
	for (size_t i = 0; i < grants->n && !r; i++) {
		const struct pyi_grant *grant = &grants->v[i];

		/* A deny inside what is allowed Landlock cannot say: whoever reloads sees to it. */
		if (grant->verdict != PYI_ALLOW)
			continue;
		r = pyi_cover_check_grant(grant, err);
		if (r < 0)
			return pyi_err_add(err, "ceiling");
		r = r ? 0
		      : add_row(b, grant->path, grant->access, grant->kind == PYI_PATH_DIR, false, err);
	}
	return r ? r : add_tops(b, grants, err);
}
