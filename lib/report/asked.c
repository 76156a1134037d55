/* SPDX-License-Identifier: MIT */
/* The records of what a guest asked; see asked.h. */
#include "report/asked.h"

#include <stdlib.h>

void pyi_asked_clear(struct pyi_asked *asked)
{
	free(asked->path);
	free(asked->real);
	free(asked->at_file);
	asked->path = NULL;
	asked->real = NULL;
	asked->at_file = NULL;
}

void pyi_asked_release(struct pyi_asked_list *list)
{
	for (size_t i = 0; i < list->n; i++)
		pyi_asked_clear(&list->v[i]);
	free(list->v);
	*list = (struct pyi_asked_list){ .v = NULL };
}
