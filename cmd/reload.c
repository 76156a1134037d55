/* SPDX-License-Identifier: MIT */
/* `pyisolate reload`: another policy for named sandboxes that run. */
#include <errno.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/digest.h"
#include "base/err.h"
#include "base/io.h"
#include "base/log.h"
#include "base/parse.h"
#include "base/url.h"
#include "base/util.h"
#include "cmd/commands.h"
#include "kernel/resolve.h"
#include "plan/plan.h"
#include "policy/policy.h"
#include "pyi_abi.h"
#include "report/result.h"
#include "super/fetch_policy.h"
#include "super/registry.h"
#include "super/reload.h"
#include "super/token.h"

enum {
	RELOAD_ALL = 1,
	RELOAD_TOKEN_FILE,
	RELOAD_DRY_RUN,
	RELOAD_TIMEOUT,
	RELOAD_RETRIES,
	RELOAD_INSECURE_HTTP,
	RELOAD_QUIET,
	RELOAD_HELP,
};
enum {
	SHORT_DIGEST = 12,
	FETCH_TIMEOUT_MS = 5000,
	FETCH_TIMEOUT_MAX_MS = 600 * 1000,
	FETCH_RETRIES = 3,
	FETCH_RETRIES_MAX = 20,
};

#define RELOAD_OPTION(name_, letter_, arg_, id_, help_) \
	{ name_, letter_, arg_, help_, id_, false, false }

static const struct pyi_option reload_options[] = {
	RELOAD_OPTION("all", 0, NULL, RELOAD_ALL, "every running sandbox of this user with this token"),
	RELOAD_OPTION("token-file", 0, "FILE", RELOAD_TOKEN_FILE, "the token it was spawned with"),
	RELOAD_OPTION("dry-run", 0, NULL, RELOAD_DRY_RUN,
		      "print what would change, rule by rule, and change nothing"),
	RELOAD_OPTION("timeout", 0, "TIME", RELOAD_TIMEOUT,
		      "of one attempt to fetch a URL: 500ms, 10s, seconds (default: 5)"),
	RELOAD_OPTION("retries", 0, "N", RELOAD_RETRIES,
		      "further attempts, with growing delays between them (default: 3)"),
	RELOAD_OPTION("insecure-http", 0, NULL, RELOAD_INSECURE_HTTP,
		      "let http:// reach other hosts than this one"),
	RELOAD_OPTION("quiet", 'q', NULL, RELOAD_QUIET, "errors only"),
	RELOAD_OPTION("help", 'h', NULL, RELOAD_HELP, "print this help"),
	{ 0 },
};

struct reload {
	bool all;
	bool quiet;
	bool dry_run;
	const char *token_file;
	const char *operands[2]; /* name and policy; with --all the policy alone */
	int n_operands;
	const char *fetch_option; /* one that needs a URL */
	struct pyi_fetch_request fetch;
	struct pyi_fetched_policy fetched;
	struct pyi_registry *registry;
	struct pyi_token token;
	struct pyi_policy *policy; /* that of `fetched`, or our own */
	struct pyi_names names;
};

static int apply_timeout(const char *text, uint64_t *ret_ms)
{
	struct pyi_err err = { 0 };

	if (pyi_parse_timeout(text, ret_ms, &err))
		return pyi_usage_error("reload", "--timeout '%s': %s", text, err.msg);
	return *ret_ms <= FETCH_TIMEOUT_MAX_MS
		       ? 0
		       : pyi_usage_error("reload", "--timeout '%s': 10m at most", text);
}

static int apply_retries(const char *text, uint32_t *ret_n)
{
	struct pyi_err err = { 0 };
	uint64_t n;

	if (pyi_parse_u64(text, 0, FETCH_RETRIES_MAX, &n, &err))
		return pyi_usage_error("reload", "--retries '%s': %s", text, err.msg);
	*ret_n = (uint32_t)n;
	return 0;
}

static int apply_fetch_option(const struct pyi_option_parser *parser, struct reload *reload)
{
	reload->fetch_option = parser->option->name;
	switch (parser->option->id) {
	case RELOAD_TIMEOUT:
		return apply_timeout(parser->value, &reload->fetch.timeout_ms);
	case RELOAD_RETRIES:
		return apply_retries(parser->value, &reload->fetch.retries);
	default:
		reload->fetch.allows_any_http = true;
		return 0;
	}
}

/* 0, an exit code, or -1 for --help. */
static int apply_option(const struct pyi_option_parser *parser, struct reload *reload)
{
	switch (parser->option->id) {
	case RELOAD_ALL:
		reload->all = true;
		break;
	case RELOAD_TOKEN_FILE:
		reload->token_file = parser->value;
		break;
	case RELOAD_DRY_RUN:
		reload->dry_run = true;
		break;
	case RELOAD_QUIET:
		reload->quiet = true;
		pyi_log_set_level(PYI_LOG_QUIET);
		break;
	case RELOAD_HELP:
		return -1;
	default:
		return apply_fetch_option(parser, reload);
	}
	return 0;
}

static const char *policy_of(const struct reload *reload)
{
	return reload->operands[reload->n_operands - 1];
}

/* Options stand before, between and after the operands. 0, an exit code, or -1 for --help. */
static int parse(struct reload *reload, int argc, char **argv)
{
	struct pyi_option_parser parser;
	struct pyi_err err = { 0 };
	int ret, applied;

	pyi_options_init(&parser, reload_options, argc, argv);
	for (;;) {
		while ((ret = pyi_options_next(&parser)) > 0)
			if ((applied = apply_option(&parser, reload)) != 0)
				return applied;
		if (ret < 0)
			return pyi_usage_error("reload", "%s", parser.error);
		if (parser.next >= argc)
			break;
		if (reload->n_operands == 2)
			return pyi_usage_error("reload", "'%s' is too much", argv[parser.next]);
		reload->operands[reload->n_operands++] = argv[parser.next++];
	}
	if (reload->n_operands != 2 - reload->all)
		return pyi_usage_error("reload", reload->all ? "--all needs one policy and no name"
							     : "a name and a policy are needed");
	if (reload->fetch_option && !pyi_url_is(policy_of(reload)))
		return pyi_usage_error("reload", "--%s goes with a policy's URL", reload->fetch_option);
	if (!reload->all && pyi_registry_check_name(reload->operands[0], &err) < 0)
		return pyi_usage_error("reload", "%s", err.msg);
	return 0;
}

static int load_policy(struct reload *reload, struct pyi_err *err)
{
	int ret;

	if (!pyi_url_is(policy_of(reload)))
		return pyi_policy_load(policy_of(reload), NULL, 0, &reload->policy, NULL, err);
	ret = pyi_fetch_policy(policy_of(reload), &reload->fetch, &reload->fetched, err);
	if (ret == 0)
		reload->policy = pyi_take_ptr(reload->fetched.policy);
	return ret;
}

static int prepare(struct reload *reload, struct pyi_err *err)
{
	int ret;

	if (!reload->token_file)
		return pyi_err_set(err, EACCES,
				   "PolicyAuthError: a reload needs the token that the sandbox was spawned with: "
				   "--token-file FILE");
	ret = pyi_token_read(reload->token_file, &reload->token, err);
	if (ret == 0)
		ret = load_policy(reload, err);
	if (ret == 0)
		ret = pyi_resolve_names(reload->policy, &reload->names, err);
	if (ret == 0)
		ret = pyi_registry_open(false, &reload->registry, err);
	return ret;
}

static void release(struct reload *reload)
{
	pyi_registry_free(reload->registry);
	pyi_names_release(&reload->names);
	pyi_policy_free(reload->policy);
	pyi_fetch_policy_release(&reload->fetched);
	pyi_token_forget(&reload->token);
}

static void describe(const struct reload *reload, const char *name,
		     const struct pyi_reload_answer *answer, struct pyi_buf *out)
{
	char was[2 * PYI_DIGEST_LEN + 1], is[2 * PYI_DIGEST_LEN + 1];

	if (answer->is_kept) {
		pyi_buf_printf(out, "%s: generation %u, unchanged: the server has the policy that is in force\n",
			       name, answer->generation);
		return;
	}
	pyi_digest_hex(answer->old_digest, was);
	pyi_digest_hex(answer->new_digest, is);
	pyi_buf_printf(out, "%s: %sgeneration %u, policy %.*s -> %.*s\n", name,
		       reload->dry_run ? "would be " : "", answer->generation, SHORT_DIGEST, was,
		       SHORT_DIGEST, is);
	if (reload->dry_run)
		pyi_buf_add(out, pyi_buf_str(&answer->changes), answer->changes.len);
}

/* One sandbox, with what is to be said about it. */
static int reload_one(struct reload *reload, const char *name, struct pyi_buf *out, struct pyi_err *err)
{
	struct pyi_reload_request request = {
		.policy = reload->policy,
		.names = &reload->names,
		.token = &reload->token,
		.dry_run = reload->dry_run,
		.is_one_of_many = reload->all,
		.keeps_same = reload->fetched.is_unchanged,
	};
	struct pyi_reload_answer answer = { .generation = 0 };
	int ret = pyi_reload(reload->registry, name, &request, &answer, err);

	/* A dry run shows what it would have been, and then why not. */
	if (ret == 0 || (reload->dry_run && answer.generation))
		describe(reload, name, &answer, out);
	pyi_buf_release(&answer.changes);
	return ret;
}

/* Every live one; those with other tokens are somebody else's business. */
static int reload_all(struct reload *reload, struct pyi_buf *out, struct pyi_err *err)
{
	_cleanup_free struct pyi_abi_sandbox *sandboxes = NULL;
	_cleanup_free struct pyi_abi_name *names = NULL;
	size_t n = 0, n_done = 0, n_failed = 0;
	int ret = pyi_registry_list(reload->registry, &names, &sandboxes, &n, err);

	for (size_t i = 0; i < n && ret == 0; i++) {
		struct pyi_err failed = { 0 };
		int one;

		if (!pyi_sandbox_is_live(&sandboxes[i]) || !(sandboxes[i].flags & PYI_SANDBOX_HAS_TOKEN))
			continue;
		one = reload_one(reload, names[i].text, out, &failed);
		n_done += one == 0;
		if (one == 0 || one == -EACCES)
			continue;
		n_failed++;
		pyi_log_error("%s: %s", names[i].text, failed.msg);
	}
	if (ret < 0)
		return ret;
	if (n_failed)
		return pyi_err_set(err, EPERM, "%zu of %zu sandboxes were not reloaded", n_failed,
				   n_failed + n_done);
	return n_done ? 0
		      : pyi_err_set(err, EACCES,
				    "PolicyAuthError: there is no running sandbox with this token");
}

/* It is in force all the same where it cannot be kept. */
static void keep(const struct reload *reload)
{
	struct pyi_err err = { 0 };

	if (pyi_fetch_policy_keep(policy_of(reload), &reload->fetched, &err) < 0)
		pyi_log_note("the next reload will fetch it again: %s", err.msg);
}

static int run_reload(struct reload *reload, struct pyi_err *err)
{
	_cleanup_buf struct pyi_buf out = PYI_BUF_INIT;
	int ret = prepare(reload, err), written = 0;

	if (ret == 0)
		ret = reload->all ? reload_all(reload, &out, err)
				  : reload_one(reload, reload->operands[0], &out, err);
	if (ret == 0 && reload->fetched.answer.text.len && !reload->dry_run)
		keep(reload);
	if (out.failed)
		return pyi_err_nomem(err);
	if (out.len && !(reload->quiet && !reload->dry_run))
		written = pyi_write_all(STDOUT_FILENO, out.data, out.len);
	if (ret == 0 && written < 0)
		ret = pyi_err_sys(err, -written, "cannot write to standard output");
	return ret;
}

static int reload_command(int argc, char **argv)
{
	struct reload reload = { .fetch = { .timeout_ms = FETCH_TIMEOUT_MS, .retries = FETCH_RETRIES } };
	struct pyi_err err = { 0 };
	int ret = parse(&reload, argc, argv);

	if (ret < 0) {
		pyi_command_print_help(&pyi_command_reload);
		return 0;
	}
	if (ret)
		return ret;
	ret = run_reload(&reload, &err);
	release(&reload);
	if (ret < 0)
		pyi_log_error("%s", err.msg);
	return ret < 0 ? PYI_EXIT_FAILURE : 0;
}

const struct pyi_command pyi_command_reload = {
	.name = "reload",
	.run = reload_command,
	.summary = "give a running named sandbox another policy",
	.usage = "NAME POLICY|URL --token-file FILE [--dry-run]\n--all POLICY|URL --token-file FILE [--dry-run]",
	.options = reload_options,
	.names_sandbox = true,
};
