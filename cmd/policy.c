/* SPDX-License-Identifier: MIT */
/* `pyisolate policy`: check documents, show what one comes to, say which rule decides. */
#include <arpa/inet.h>
#include <errno.h>
#include <limits.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/digest.h"
#include "base/err.h"
#include "base/log.h"
#include "base/parse.h"
#include "base/util.h"
#include "cmd/commands.h"
#include "cmd/policy_options.h"
#include "policy/contract.h"
#include "policy/dfa.h"
#include "policy/netblock.h"
#include "policy/policy.h"
#include "report/result.h"

enum { POLICY_RULE = 1, POLICY_QUIET, POLICY_HELP };

static const struct pyi_option policy_options[] = {
	PYI_POLICY_OPTIONS(POLICY_RULE),
	{ "quiet", 'q', NULL, "errors only", POLICY_QUIET, false, false },
	{ "help", 'h', NULL, "print this help", POLICY_HELP, false, false },
	{ 0 },
};

/* To stdout, which may be a terminal: names and rules may hold any characters. A line ends with the format. */
__attribute__((format(printf, 1, 2))) static void say(const char *format, ...)
{
	_cleanup_buf struct pyi_buf out = PYI_BUF_INIT;
	char *text = NULL;
	va_list args;
	int len;

	va_start(args, format);
	len = vasprintf(&text, format, args);
	va_end(args);
	if (len < 0)
		return;
	if (len > 0 && text[len - 1] == '\n') {
		text[len - 1] = '\0';
		pyi_buf_printable(&out, text);
		pyi_buf_putc(&out, '\n');
	} else {
		pyi_buf_printable(&out, text);
	}
	free(text);
	(void)fputs(pyi_buf_str(&out), stdout);
}

/* What a subcommand works on; options may stand before, between and behind the operands. */
struct request {
	const char **operands;
	size_t n_operands;
	struct pyi_policy_flag *flags;
	size_t n_flags;
};

/* Load, or print every error; notes are for `show` and `check`. */
static struct pyi_policy *load(const char *ref, const struct request *request, bool with_notes)
{
	struct pyi_policy_errors errors = { .lines = NULL };
	struct pyi_policy *policy = NULL;
	struct pyi_err err = { 0 };

	if (pyi_policy_load(ref, request->flags, request->n_flags, &policy, &errors, &err)) {
		for (size_t i = 0; i < errors.n; i++)
			pyi_log_error("%s", errors.lines[i]);
		if (!errors.n)
			pyi_log_error("%s", err.msg);
		pyi_policy_errors_release(&errors);
		return NULL;
	}
	for (size_t i = 0; with_notes && i < policy->n_notes; i++)
		pyi_log_note("%s", policy->notes[i]);
	return policy;
}

static void free_policy(struct pyi_policy **policy)
{
	pyi_policy_free(*policy);
}

#define _cleanup_policy __attribute__((cleanup(free_policy)))

static void free_dfa(struct pyi_dfa **dfa)
{
	pyi_dfa_free(*dfa);
}

#define _cleanup_dfa __attribute__((cleanup(free_dfa)))

/* The automaton that the kernel would walk; NULL (and said why) when the rules are too much for one. */
static struct pyi_dfa *compile(const struct pyi_policy *policy)
{
	struct pyi_dfa *dfa = NULL;
	struct pyi_err err = { 0 };

	if (pyi_dfa_of_policy(policy, &dfa, &err))
		pyi_log_error("%s", err.msg);
	return dfa;
}

/* What is not enforced everywhere: where it is not, a run is refused. */
static void note_contracts(const struct pyi_policy *policy)
{
	const struct pyi_contract_set *set = policy->contracts;

	for (size_t i = 0; set && i < set->n; i++)
		if (set->v[i].events & PYI_EV_LSM)
			pyi_log_note("%s:%u: contract '%s' speaks of what the bpf-lsm layer counts: "
				     "where it is missing, 'run' refuses the policy",
				     set->v[i].from.file, set->v[i].from.line, set->v[i].text);
}

static int check(const struct request *request)
{
	int code = 0;

	if (!request->n_operands)
		return pyi_usage_error("policy", "check needs a FILE");
	for (size_t i = 0; i < request->n_operands; i++) {
		_cleanup_policy struct pyi_policy *policy = load(request->operands[i], request, true);
		_cleanup_dfa struct pyi_dfa *dfa = policy ? compile(policy) : NULL;

		if (dfa)
			note_contracts(policy);
		if (!dfa)
			code = PYI_EXIT_FAILURE;
		else if (pyi_log_get_level() > PYI_LOG_QUIET)
			say("%s: ok\n", request->operands[i]);
	}
	return code;
}

static int show(const struct request *request)
{
	char digest[2 * PYI_DIGEST_LEN + 1];
	_cleanup_policy struct pyi_policy *policy = NULL;
	_cleanup_buf struct pyi_buf text = PYI_BUF_INIT;
	_cleanup_dfa struct pyi_dfa *dfa = NULL;

	if (request->n_operands > 1)
		return pyi_usage_error("policy", "show takes one NAME or FILE");
	policy = load(request->n_operands ? request->operands[0] : NULL, request, true);
	if (!policy)
		return PYI_EXIT_FAILURE;
	dfa = compile(policy);
	if (!dfa)
		return PYI_EXIT_FAILURE;
	pyi_digest_hex(policy->digest, digest);
	pyi_buf_printf(&text, "# sha256 %s\n", digest);
	pyi_buf_printf(&text, "# path automaton: %u states, %u byte classes\n", dfa->n_states,
		       dfa->n_classes);
	pyi_policy_print(policy, true, &text);
	if (text.failed || fputs(text.data, stdout) == EOF || fflush(stdout) == EOF) {
		pyi_log_error("cannot write to stdout: %s", strerror(errno));
		return PYI_EXIT_FAILURE;
	}
	return 0;
}

/* ----------------------------------------------------------------------------------------------------------- why */

/* "policy.yml:7" behind a rule. */
static void print_origin(const struct pyi_origin *from)
{
	if (from->line)
		say(" (%s:%u)", from->file, from->line);
	else
		say(" (%s)", from->file);
}

static int exit_code(enum pyi_verdict verdict)
{
	return verdict == PYI_ALLOW ? 0 : 1;
}

static const char *verdict_word(enum pyi_verdict verdict)
{
	return verdict == PYI_ALLOW ? "allowed" : verdict == PYI_WARN ? "warned" : "denied";
}

/* The end of an answer: `warn` lets through in one mode only. */
static void end_answer(enum pyi_verdict verdict)
{
	puts(verdict == PYI_WARN ? ": denied, but in mode dev let through with a warning" : "");
}

/* An absolute path without '.', '..' and '//'; as the shell's user means it, symlinks left alone. */
static char *tidy_path(const char *path)
{
	_cleanup_free char *cwd = *path == '/' ? NULL : realpath(".", NULL);
	_cleanup_buf struct pyi_buf out = PYI_BUF_INIT;

	if (*path != '/') {
		if (!cwd)
			return NULL;
		if (strcmp(cwd, "/") != 0)
			pyi_buf_puts(&out, cwd);
	}
	while (*path) {
		size_t len = strcspn(path, "/");

		if (len == 2 && strncmp(path, "..", 2) == 0) {
			while (out.len && out.data[--out.len] != '/')
				;
			if (out.data)
				out.data[out.len] = '\0';
		} else if (len && !(len == 1 && *path == '.')) {
			pyi_buf_putc(&out, '/');
			pyi_buf_add(&out, path, len);
		}
		path += len + (path[len] == '/');
	}
	if (!out.len)
		pyi_buf_putc(&out, '/');
	return pyi_buf_take(&out);
}

static void print_fs_rule(const struct pyi_fs_rule *rule)
{
	say("%s: %s %s", rule->access == PYI_EXEC ? "exec" : "fs", pyi_policy_fs_rule_word(rule),
	    rule->path);
	print_origin(&rule->from);
}

/* The places every sandbox has of its own, whatever the policy says. */
static const char *private_place(const char *path, unsigned int access)
{
	static const char *const devices[] = { "/dev/null", "/dev/zero", "/dev/full", "/dev/random",
					       "/dev/urandom" };

	if (access & PYI_EXEC)
		return NULL;
	if (pyi_policy_path_matches("/tmp", path))
		return "the sandbox has a /tmp of its own, not the host's";
	if (!(access & PYI_WRITE) && pyi_policy_path_matches("/proc", path))
		return "the sandbox has a /proc of its own, not the host's";
	for (size_t i = 0; i < PYI_ARRAY_SIZE(devices); i++)
		if (strcmp(path, devices[i]) == 0)
			return "every sandbox has it";
	return NULL;
}

/* The rule looks at real paths: what it says about where a symlink leads. */
static void print_real_path(const struct pyi_policy *policy, const char *path, unsigned int access)
{
	_cleanup_free char *real = realpath(path, NULL);
	const struct pyi_fs_rule *rule = NULL;

	if (!real || strcmp(real, path) == 0)
		return;
	say("%s leads to %s, which is %s: ", path, real,
	    verdict_word(pyi_policy_decide_fs(policy, real, access, &rule)));
	if (rule)
		print_fs_rule(rule);
	else
		say("no rule allows it");
	putchar('\n');
}

/* Not granted: may a reload? */
static void print_ceiling(const char *verb, const struct pyi_origin *from)
{
	say("the ceiling %s a reload grant it", verb);
	print_origin(from);
	putchar('\n');
}

static int why_fs(const struct pyi_policy *policy, const char *action, unsigned int access,
		  const char *target)
{
	_cleanup_free char *path = tidy_path(target);
	const struct pyi_fs_rule *rule = NULL;
	const struct pyi_policy *ceiling;
	enum pyi_verdict verdict;
	const char *own;

	if (!path) {
		pyi_log_error("cannot make '%s' absolute: the working directory is gone", target);
		return PYI_EXIT_FAILURE;
	}
	verdict = pyi_policy_decide_fs(policy, path, access, &rule);
	own = rule ? NULL : private_place(path, access);
	if (own) {
		say("allowed: %s\n", own);
		return 0;
	}
	say("%s: ", verdict_word(verdict));
	if (rule) {
		print_fs_rule(rule);
		end_answer(verdict);
	} else {
		say("fs: default, no rule allows to %s %s\n", action, path);
		print_real_path(policy, path, access);
		ceiling = pyi_policy_ceiling_files(policy);
		if (ceiling && pyi_policy_decide_fs(ceiling, path, access, &rule) == PYI_ALLOW)
			print_ceiling("lets", &rule->from);
		else if (ceiling && rule)
			print_ceiling("does not let", &rule->from);
		say("it would be allowed by: --allow-%s %s\n", access == PYI_EXEC ? "run" : action,
		    path);
	}
	return exit_code(verdict);
}

/* "HOST:PORT" of one host and port; the parts as the decision wants them. */
static int parse_target(char *text, enum pyi_net_proto *proto, char **host, uint8_t addr[16],
			bool *is_name, uint16_t *port)
{
	static const uint8_t mapped[12] = { [10] = 0xff, [11] = 0xff };
	char *colon;
	uint64_t v = 0;

	*proto = PYI_NET_TCP;
	if (strncmp(text, "udp://", 6) == 0)
		*proto = PYI_NET_UDP;
	if (strncmp(text, "udp://", 6) == 0 || strncmp(text, "tcp://", 6) == 0)
		text += 6;
	colon = strrchr(text, ':');
	if (!colon || pyi_parse_u64(colon + 1, 0, UINT16_MAX, &v, NULL))
		return -EINVAL;
	*colon = '\0';
	*port = (uint16_t)v;
	*host = text;
	*is_name = false;
	memcpy(addr, mapped, sizeof(mapped));
	if (inet_pton(AF_INET, text, addr + 12) == 1)
		return 0;
	if (*text == '[' && text[strlen(text) - 1] == ']') {
		text[strlen(text) - 1] = '\0';
		return inet_pton(AF_INET6, text + 1, addr) == 1 ? 0 : -EINVAL;
	}
	*is_name = true;
	return *text && !strpbrk(text, ":/[]*") ? 0 : -EINVAL;
}

static int why_net(const struct pyi_policy *policy, const char *action, enum pyi_net_op op,
		   const char *target)
{
	_cleanup_free char *text = strdup(target);
	const struct pyi_net_rule *rule = NULL, *above = NULL;
	const struct pyi_policy *ceiling;
	enum pyi_net_proto proto;
	enum pyi_verdict verdict;
	uint8_t addr[16] = { 0 };
	bool is_name = false;
	uint16_t port = 0;
	char *host = NULL;

	if (!text || parse_target(text, &proto, &host, addr, &is_name, &port))
		return pyi_usage_error(
			"policy", "'%s' is not HOST:PORT, such as 10.1.2.3:443 or [::1]:443", target);
	/* A name's addresses are not asked for here; one outside every block stands for them. */
	if (is_name)
		memcpy(addr, (const uint8_t[16]){ 0x20, 0x01, 0x0d, 0xb8 }, 4);
	verdict = pyi_policy_decide_net(policy, op, proto, is_name ? host : NULL, addr, port, &rule);
	if (rule) {
		say("%s: net: %s %s", verdict_word(verdict),
		    verdict == PYI_DENY	  ? "deny"
		    : verdict == PYI_WARN ? "warn"
					  : action,
		    rule->text);
		print_origin(&rule->from);
		end_answer(verdict);
	} else {
		const struct pyi_net_block *block = is_name ? NULL : pyi_net_block_of(addr, 128);

		say("denied: net: default, no rule allows to %s %s\n", action, target);
		if (block)
			say("this address is in a block of its own (%s): '*' and wider prefixes do not name it\n",
			    block->what);
		ceiling = pyi_policy_ceiling_net(policy);
		if (ceiling && pyi_policy_decide_net(ceiling, op, proto, is_name ? host : NULL,
						     addr, port, &above) == PYI_ALLOW)
			print_ceiling("lets", &above->from);
		else if (ceiling && above)
			print_ceiling("does not let", &above->from);
		say("it would be allowed by: --allow-net %s%s\n", op == PYI_NET_BIND ? "bind:" : "",
		    target);
	}
	if (is_name && (!rule || !rule->host))
		say("by name only: rules about addresses decide once the name is resolved\n");
	return exit_code(verdict);
}

static int why(const struct request *request)
{
	static const char *const names[] = { "read", "write", "exec", "connect", "bind" };
	static const unsigned int bits[] = { PYI_READ, PYI_WRITE, PYI_EXEC, PYI_NET_CONNECT,
					     PYI_NET_BIND };
	_cleanup_policy struct pyi_policy *policy = NULL;
	const char *action, *near;

	if (request->n_operands != 3)
		return pyi_usage_error("policy", "why needs FILE ACTION TARGET");
	action = request->operands[1];
	for (size_t i = 0; i < PYI_ARRAY_SIZE(names); i++) {
		if (strcmp(action, names[i]) != 0)
			continue;
		policy = load(request->operands[0], request, false);
		if (!policy)
			return PYI_EXIT_FAILURE;
		return i < 3 ? why_fs(policy, action, bits[i], request->operands[2])
			     : why_net(policy, action, (enum pyi_net_op)bits[i], request->operands[2]);
	}
	near = pyi_parse_nearest(action, names, PYI_ARRAY_SIZE(names));
	return pyi_usage_error("policy", "unknown action '%s': %s%s%s", action,
			       near ? "did you mean '" : "",
			       near ? near : "read, write, exec, connect or bind", near ? "'?" : "");
}

/* ------------------------------------------------------------------------------------------------------- command */

/* 0: go on; else an exit code (-1 for help, which is 0). */
static int parse_request(int argc, char **argv, struct request *request)
{
	struct pyi_option_parser parser;
	int ret;

	pyi_options_init(&parser, policy_options, argc, argv);
	for (;;) {
		while ((ret = pyi_options_next(&parser)) > 0) {
			switch (parser.option->id) {
			case POLICY_HELP:
				pyi_command_print_help(&pyi_command_policy);
				return -1;
			case POLICY_QUIET:
				pyi_log_set_level(PYI_LOG_QUIET);
				break;
			default:
				request->flags[request->n_flags++] = (struct pyi_policy_flag){
					parser.option->name, parser.value
				};
			}
		}
		if (ret < 0)
			return pyi_usage_error("policy", "%s", parser.error);
		if (parser.next >= argc)
			return 0;
		request->operands[request->n_operands++] = argv[parser.next++];
	}
}

static int policy_command(int argc, char **argv)
{
	static const char *const names[] = { "check", "show", "why" };
	static int (*const subcommands[])(const struct request *) = { check, show, why };
	_cleanup_free const char **operands = calloc((size_t)argc, sizeof(*operands));
	_cleanup_free struct pyi_policy_flag *flags = calloc((size_t)argc, sizeof(*flags));
	struct request request = { .operands = operands, .flags = flags };
	const char *word;
	int ret;

	if (!operands || !flags) {
		pyi_log_error("out of memory");
		return PYI_EXIT_FAILURE;
	}
	ret = parse_request(argc, argv, &request);
	if (ret)
		return ret < 0 ? 0 : ret;
	if (!request.n_operands)
		return pyi_usage_error("policy", "no subcommand: check, show or why");
	word = operands[0];
	request.operands++;
	request.n_operands--;
	for (size_t i = 0; i < PYI_ARRAY_SIZE(names); i++)
		if (strcmp(word, names[i]) == 0)
			return subcommands[i](&request);
	word = pyi_parse_nearest(word, names, PYI_ARRAY_SIZE(names));
	return pyi_usage_error("policy", "unknown subcommand '%s'%s%s%s", operands[0],
			       word ? ": did you mean '" : "", word ? word : "", word ? "'?" : "");
}

const struct pyi_command pyi_command_policy = {
	.name = "policy",
	.run = policy_command,
	.summary = "check policies, show their effect, say which rule decides",
	.usage = "check FILE|NAME...\nshow [options] [FILE|NAME]\nwhy [options] FILE|NAME ACTION TARGET",
	.options = policy_options,
};
