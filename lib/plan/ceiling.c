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

bool pyi_build_ceiling_has_exec(const struct pyi_build *b)
{
	const struct pyi_policy *files = pyi_policy_ceiling_files(b->policy);

	for (size_t i = 0; files && i < files->n_fs; i++)
		if (files->fs[i].access & PYI_EXEC)
			return true;
	return false;
}

int pyi_build_ceiling_net(struct pyi_build *b, struct pyi_err *err)
{
	const struct pyi_policy *net = pyi_policy_ceiling_net(b->policy);
	struct pyi_plan *plan = b->plan;

	plan->may_tcp = plan->net_tcp;
	plan->may_udp = plan->net_udp;
	plan->may_listen = plan->net_listen;
	for (size_t i = 0; net && i < net->n_net; i++) {
		const struct pyi_net_rule *rule = &net->net[i];

		plan->may_tcp |= rule->protos & PYI_NET_TCP;
		plan->may_udp |= rule->protos & PYI_NET_UDP;
		plan->may_listen |= rule->protos & PYI_NET_TCP && rule->ops & PYI_NET_BIND;
	}
	/* A network is there, and a row that denies all of it: the same as no row, but for those who ask whether. */
	if (!plan->n_net && net && net->n_net &&
	    !pyi_build_grow(&plan->net, &plan->n_net, sizeof(*plan->net)))
		return pyi_err_nomem(err);
	return 0;
}

/* Without a tree of the sandbox's own Landlock alone keeps the files, and a reload cannot change it. */
int pyi_build_ceiling(struct pyi_build *b, struct pyi_err *err)
{
	const struct pyi_grants *grants = b->options->ceiling;
	struct pyi_plan *plan = b->plan;

	for (size_t i = 0; grants && plan->use_namespaces && i < grants->n; i++) {
		const struct pyi_grant *grant = &grants->v[i];
		struct pyi_landlock_row *row;
		int r = pyi_cover_check_grant(grant, err);

		if (r < 0)
			return pyi_err_add(err, "ceiling");
		if (r)
			continue;
		row = pyi_build_grow(&plan->ceiling, &plan->n_ceiling, sizeof(*row));
		if (row)
			row->path = strdup(grant->path);
		if (!row || !row->path)
			return pyi_err_nomem(err);
		row->access = grant->access;
		row->is_dir = grant->kind == PYI_PATH_DIR;
	}
	return 0;
}
