/* SPDX-License-Identifier: MIT */
/* See tracer.h. */
#include "super/tracer.h"

#include <stdlib.h>

#include "base/err.h"
#include "report/asked.h"

struct pyi_tracer {
	struct pyi_tracer_setup setup;
	struct pyi_asked_list kept;
};

int pyi_tracer_new(const struct pyi_tracer_setup *setup, struct pyi_tracer **ret_tracer,
		   struct pyi_err *err)
{
	struct pyi_tracer *tracer = calloc(1, sizeof(*tracer));

	if (!tracer)
		return pyi_err_nomem(err);
	tracer->setup = *setup;
	*ret_tracer = tracer;
	return 0;
}

void pyi_tracer_free(struct pyi_tracer *tracer)
{
	if (!tracer)
		return;
	pyi_asked_release(&tracer->kept);
	free(tracer);
}

void pyi_tracer_end(struct pyi_tracer *tracer)
{
}

void pyi_tracer_take(struct pyi_tracer *tracer, struct pyi_asked_list *ret_list)
{
	*ret_list = (struct pyi_asked_list){ .v = NULL };
	if (!tracer)
		return;
	*ret_list = tracer->kept;
	tracer->kept = (struct pyi_asked_list){ .v = NULL };
}
