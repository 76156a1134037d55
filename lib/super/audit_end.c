/* SPDX-License-Identifier: MIT */
/* The end of an audit: its uses in the result record, and the suggestion in its file; see audit.h. */
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>

#include "base/buf.h"
#include "base/err.h"
#include "base/io.h"
#include "base/log.h"
#include "base/util.h"
#include "report/suggest.h"
#include "super/audit_uses.h"
#include "super/steps.h"

/* What every sandbox has (lib/plan/tree.c). */
static const char *const own_paths[] = { "/proc",      "/dev",	     "/etc/passwd",
					 "/etc/group", "/etc/hosts", NULL };

static const char *op_of(unsigned int access)
{
	return access & PYI_WRITE ? "write" : access & PYI_EXEC ? "exec" : access ? "open" : "look";
}

static void add_path(const struct pyi_suggest_path *use, struct pyi_result *result)
{
	char grant[PATH_MAX + 32], at[PATH_MAX];
	struct pyi_denial denial = { .rule = (char *)"fs: default",
				     .op = (char *)op_of(use->access),
				     .target = (char *)use->path,
				     .is_warning = true };
	size_t len = strlen(use->path);

	if (use->needs_dir)
		len = (size_t)(strrchr(use->path, '/') - use->path);
	if (len && (use->access || !use->is_dir)) {
		snprintf(grant, sizeof(grant), "--allow-%s %.*s",
			 use->access & PYI_WRITE  ? "write"
			 : use->access & PYI_EXEC ? "run"
						  : "read",
			 (int)len, use->path);
		denial.grant = grant;
	}
	if (use->at_file) {
		snprintf(at, sizeof(at), "%s:%u", use->at_file, use->at_line);
		denial.at = at;
	}
	(void)pyi_result_add_denial(result, &denial);
	result->warnings_total += use->count - 1;
}

static void add_address(const struct pyi_suggest_address *use, struct pyi_result *result)
{
	char text[300], grant[340], at[PATH_MAX];
	struct pyi_denial denial = { .rule = (char *)"net: default",
				     .op = (char *)(use->op == PYI_NET_BIND ? "bind" : "connect"),
				     .target = text,
				     .grant = grant,
				     .is_warning = true };

	pyi_suggest_format_address(use, text, sizeof(text));
	snprintf(grant, sizeof(grant), "--allow-net %s%s", use->op == PYI_NET_BIND ? "bind:" : "", text);
	if (use->at_file) {
		snprintf(at, sizeof(at), "%s:%u", use->at_file, use->at_line);
		denial.at = at;
	}
	(void)pyi_result_add_denial(result, &denial);
}

/* Said once, whatever comes of it: nobody is to take this for a run of the policy. */
static void record(const struct pyi_suggest *s, struct pyi_result *result)
{
	uint64_t before = result->warnings_total;

	for (size_t i = 0; i < s->n_paths; i++)
		if (pyi_suggest_wants_path(s, &s->paths[i]))
			add_path(&s->paths[i], result);
	for (size_t i = 0; i < s->n_addresses; i++)
		if (pyi_suggest_wants_address(s, &s->addresses[i]))
			add_address(&s->addresses[i], result);
	result->denials_dropped += s->lost;
	pyi_log_note("audit: nothing was denied by default, %llu uses of what the policy does not grant were recorded",
		     (unsigned long long)(result->warnings_total - before));
}

/* What the document is to extend; it may stand anywhere, so paths are absolute. */
static int find_parent(const char *ref, char path[PATH_MAX], struct pyi_err *err)
{
	size_t len = ref ? strlen(ref) : 0;

	if (!ref || !(strchr(ref, '/') || (len > 4 && !strcmp(ref + len - 4, ".yml")) ||
		      (len > 5 && !strcmp(ref + len - 5, ".yaml")))) {
		snprintf(path, PATH_MAX, "%s", ref ? ref : "defaults");
		return 0;
	}
	if (!realpath(ref, path))
		return pyi_err_sys(err, errno, "--suggest: cannot find the policy '%s' again", ref);
	return 0;
}

static int write_suggestion(const struct pyi_run *run, struct pyi_suggest *s, struct pyi_err *err)
{
	const char *file = run->options->suggest_path;
	const struct pyi_result *result = &run->result;
	_cleanup_buf struct pyi_buf out = PYI_BUF_INIT;
	struct pyi_policy *check = NULL;
	struct pyi_err why = { 0 };
	char parent[PATH_MAX], note[96];
	int ret = find_parent(run->options->policy, parent, err);

	if (ret)
		return ret;
	s->extends = parent;
	if (result->exit_code) {
		snprintf(note, sizeof(note), "That run did not pass: %s, exit code %d.",
			 pyi_reason_name(result->reason), result->exit_code);
		s->note = note;
	}
	s->memory_peak_bytes = result->memory_peak_bytes;
	s->cpu_us = result->cpu_us;
	s->wall_us = pyi_now_us() - run->start_us;
	pyi_suggest_print(s, &out);
	if (out.failed)
		return pyi_err_nomem(err);
	if (out.len > PYI_POLICY_FILE_MAX)
		return pyi_err_set(
			err, EFBIG,
			"--suggest: the run used so many different files that no policy can name them all");
	ret = pyi_policy_parse(file, out.data, out.len, &check, NULL, &why);
	pyi_policy_free(check);
	if (ret)
		return pyi_err_set(err, EINVAL, "--suggest: no policy could be made of it: %s", why.msg);
	return pyi_replace_file(file, out.data, out.len, err);
}

int pyi_audit_end(struct pyi_run *run, struct pyi_err *err)
{
	struct pyi_audit_uses uses;
	struct pyi_suggest s = {
		.parent = run->audit.parent,
		.base = run->audit.base,
		.own = own_paths,
		.lost = run->asked.lost,
	};
	int ret = pyi_audit_uses_collect(run, &uses, err);

	if (!ret) {
		s.paths = uses.paths;
		s.n_paths = uses.n_paths;
		s.addresses = uses.addresses;
		s.n_addresses = uses.n_addresses;
		record(&s, &run->result);
		if (run->options->suggest_path)
			ret = write_suggestion(run, &s, err);
	}
	pyi_audit_uses_release(&uses);
	return ret;
}
