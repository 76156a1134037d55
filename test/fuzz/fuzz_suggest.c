/* SPDX-License-Identifier: MIT */
/*
 * Any names as what a guest asked for: the suggestion loads, and it allows all of it but what it says it leaves out.
 * Each line of the input is one use: a byte whose low bits say what kind, then the path.
 */
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/err.h"
#include "base/utf8.h"
#include "policy/policy.h"
#include "report/suggest.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { USES_MAX = 400, BIT_DIR = 8, BIT_NEEDS_DIR = 16 };

static const char *const own[] = { "/tmp", "/dev", NULL };
static const char base_text[] = "version: 1\nfs:\n  - read: /b\n  - deny: /b/d\n  - deny: /**/*.key\n";

static void expect(int is_so)
{
	if (!is_so)
		abort();
}

/* What the heading of suggest.h lets it leave out; in doubt, yes. */
static int may_be_left_out(const struct pyi_suggest_path *use)
{
	const char *path = use->path, *second = *path == '/' ? strchr(path + 1, '/') : NULL;

	if (*path != '/' || strstr(path, "//") || strstr(path, "/.") || path[strlen(path) - 1] == '/')
		return 1;
	if ((use->is_dir || use->needs_dir) && (!second || !strchr(second + 1, '/')))
		return 1;
	if (use->is_dir && !use->access)
		return 1;
	if (strlen(path) > 1000)
		return 1;
	for (size_t n; *path; path += n) {
		n = pyi_utf8_len(path);
		if (!n || (unsigned char)*path < 0x20 || *path == 0x7f)
			return 1;
	}
	return 0;
}

static void check(const struct pyi_suggest *s, const struct pyi_policy *made)
{
	static const unsigned int bits[] = { PYI_READ, PYI_WRITE, PYI_EXEC };
	const struct pyi_fs_rule *rule;

	for (size_t i = 0; i < s->n_paths; i++) {
		const struct pyi_suggest_path *use = &s->paths[i];
		const char *path = use->path;
		int is_own = 0;

		for (size_t k = 0; own[k]; k++)
			is_own |= pyi_policy_path_matches(own[k], path);
		if (is_own || may_be_left_out(use))
			continue;
		for (size_t k = 0; k < 3; k++) {
			if (!(use->access & bits[k]))
				continue;
			if (pyi_policy_decide_fs(s->base, path, bits[k], &rule) == PYI_DENY && rule)
				break;
			expect(pyi_policy_decide_fs(made, path, bits[k], &rule) == PYI_ALLOW);
		}
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct pyi_suggest_path uses[USES_MAX];
	struct pyi_policy *base = NULL, *made = NULL;
	struct pyi_buf out = PYI_BUF_INIT;
	char *text = malloc(size + 1), *p = text, *whole;
	struct pyi_err err;
	struct pyi_suggest s = { .own = own, .paths = uses };

	expect(text != NULL);
	memcpy(text, data, size);
	text[size] = '\0';
	for (size_t i = 0; i < size; i++)
		text[i] = text[i] ? text[i] : '0';
	while (p < text + size && s.n_paths < USES_MAX) {
		unsigned int kind = (unsigned char)*p++;
		size_t len = strcspn(p, "\x01");

		uses[s.n_paths++] = (struct pyi_suggest_path){
			.path = p,
			.access = kind & (PYI_READ | PYI_WRITE | PYI_EXEC),
			.is_dir = kind & BIT_DIR,
			.needs_dir = kind & BIT_NEEDS_DIR && kind & PYI_WRITE,
			.count = kind,
			.at_file = kind & 32 ? p : NULL,
		};
		p[len] = '\0';
		p += len + 1;
	}
	expect(pyi_policy_parse("base", base_text, strlen(base_text), &base, NULL, &err) == 0);
	s.base = s.parent = base;
	s.note = text;
	pyi_suggest_print(&s, &out);
	whole = pyi_buf_take(&out);
	expect(whole != NULL);
	expect(pyi_policy_parse("made", whole, strlen(whole), &made, NULL, &err) == 0);
	for (size_t i = 0; i < made->n_fs; i++)
		expect(made->fs[i].verdict == PYI_ALLOW && made->fs[i].path[1]);
	/* What the base allows is not in it again: ask the two. */
	for (size_t i = 0; i < s.n_paths; i++) {
		const struct pyi_fs_rule *rule;
		unsigned int access = uses[i].access;

		if (!(access & PYI_WRITE) && !(access & PYI_EXEC) &&
		    pyi_policy_decide_fs(base, uses[i].path, PYI_READ, &rule) == PYI_ALLOW)
			uses[i].access = 0;
	}
	check(&s, made);
	pyi_policy_free(made);
	pyi_policy_free(base);
	free(whole);
	free(text);
	return 0;
}
