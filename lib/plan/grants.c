/* SPDX-License-Identifier: MIT */
/* Releasing what the resolver made for the planner. */
#include "plan/grants.h"

#include <stdlib.h>
#include <string.h>

#include "plan/plan.h"

void pyi_grants_release(struct pyi_grants *grants)
{
	for (size_t i = 0; i < grants->n; i++)
		free(grants->v[i].path);
	for (size_t i = 0; i < grants->n_links; i++) {
		free(grants->links[i].path);
		free(grants->links[i].target);
	}
	for (size_t i = 0; i < grants->n_tops; i++)
		free(grants->tops[i].path);
	free(grants->tops);
	free(grants->v);
	free(grants->links);
	memset(grants, 0, sizeof(*grants));
}

void pyi_names_release(struct pyi_names *names)
{
	for (size_t i = 0; i < names->n; i++) {
		free(names->v[i].name);
		free(names->v[i].addrs);
	}
	free(names->v);
	memset(names, 0, sizeof(*names));
}
