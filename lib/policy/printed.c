/* SPDX-License-Identifier: MIT */
/* A policy that was printed with its origins is read again, origins and all. */
#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>

#include "base/err.h"
#include "base/util.h"
#include "policy/contract.h"
#include "policy/policy.h"

/* Where each line begins. */
struct lines {
	const char **v;
	size_t n;
};

static int split(const char *text, size_t len, struct lines *lines)
{
	size_t n = 2;

	for (size_t i = 0; i < len; i++)
		n += text[i] == '\n';
	lines->v = calloc(n, sizeof(*lines->v));
	if (!lines->v)
		return -ENOMEM;
	lines->v[lines->n++] = text;
	for (size_t i = 0; i < len; i++)
		if (text[i] == '\n')
			lines->v[lines->n++] = text + i + 1;
	return 0;
}

/* The last "  # " of the line: a quoted string may hold one as well, and a file's name that has one is cut. */
static const char *find_comment(const char *line, const char *end)
{
	const char *found = NULL;

	for (const char *p = line; p + 4 <= end; p++)
		if (memcmp(p, "  # ", 4) == 0)
			found = p + 4;
	return found;
}

/* "policy.yml:7", "template compute-only", "--allow-net". */
static int restore(const struct lines *lines, struct pyi_origin *from)
{
	const char *line, *end, *comment, *colon = NULL;
	char *file;

	if (!from->line || from->line > lines->n)
		return 0;
	line = lines->v[from->line - 1];
	end = strchr(line, '\n');
	comment = end ? find_comment(line, end) : NULL;
	if (!comment)
		return 0;
	for (const char *p = comment; p < end; p++)
		if (*p == ':')
			colon = p;
	if (colon && strspn(colon + 1, "0123456789") != (size_t)(end - colon - 1))
		colon = NULL;
	file = strndup(comment, (size_t)((colon ? colon : end) - comment));
	if (!file)
		return -ENOMEM;
	free(from->file);
	from->file = file;
	from->line = colon ? (unsigned int)strtoul(colon + 1, NULL, 10) : 0;
	return 0;
}

int pyi_policy_parse_printed(const char *name, const char *text, size_t len,
			     struct pyi_policy **ret_policy, struct pyi_err *err)
{
	_cleanup_free const char **begins = NULL;
	struct lines lines = { NULL, 0 };
	struct pyi_policy *p;
	int ret = pyi_policy_parse(name, text, len, &p, NULL, err);

	if (ret < 0)
		return ret;
	ret = split(text, len, &lines);
	begins = lines.v;
	for (size_t i = 0; i < p->n_fs && ret == 0; i++)
		ret = restore(&lines, &p->fs[i].from);
	for (size_t i = 0; i < p->n_net && ret == 0; i++)
		ret = restore(&lines, &p->net[i].from);
	for (size_t i = 0; i < p->n_env && ret == 0; i++)
		ret = restore(&lines, &p->env[i].from);
	for (size_t i = 0; p->ceiling && i < p->ceiling->n_fs && ret == 0; i++)
		ret = restore(&lines, &p->ceiling->fs[i].from);
	for (size_t i = 0; p->ceiling && i < p->ceiling->n_net && ret == 0; i++)
		ret = restore(&lines, &p->ceiling->net[i].from);
	for (size_t i = 0; i < PYI_N_LIMITS && ret == 0; i++) {
		ret = restore(&lines, &p->limit_from[i]);
		if (p->ceiling && ret == 0)
			ret = restore(&lines, &p->ceiling->limit_from[i]);
	}
	for (size_t i = 0; p->contracts && i < p->contracts->n && ret == 0; i++)
		ret = restore(&lines, &p->contracts->v[i].from);
	if (ret < 0) {
		pyi_policy_free(p);
		return pyi_err_nomem(err);
	}
	*ret_policy = p;
	return 0;
}
