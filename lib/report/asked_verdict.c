/* SPDX-License-Identifier: MIT */
/* What the policy says to what was asked; see asked_verdict.h. */
#include "report/asked_verdict.h"

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "base/buf.h"
#include "plan/plan.h"
#include "policy/netblock.h"
#include "policy/policy.h"
#include "report/asked.h"

enum { LINKS_MAX = 8 };

void pyi_asked_verdict_release(struct pyi_asked_verdict *verdict)
{
	free(verdict->rule);
	free(verdict->grant);
	verdict->rule = NULL;
	verdict->grant = NULL;
}

/* Is it the sandbox's kind of answer to what is not granted? What is not granted is not there, as a rule. */
static bool is_refusal(int error)
{
	switch (error) {
	case EPERM:
	case EACCES:
	case ENOENT:
	case ENOTDIR:
	case EROFS:
	case EXDEV:
	case ENOSYS:
	case ENETUNREACH:
	case EAFNOSUPPORT:
	case EPROTONOSUPPORT:
		return true;
	default:
		return false;
	}
}

static enum pyi_asked_outcome outcome_of(const struct pyi_asked *asked, enum pyi_verdict verdict)
{
	if (!asked->error)
		return verdict == PYI_WARN ? PYI_ASKED_WARNED : PYI_ASKED_ALLOWED;
	return verdict != PYI_ALLOW && is_refusal(asked->error) ? PYI_ASKED_DENIED : PYI_ASKED_FAILED;
}

static unsigned int access_of(enum pyi_asked_kind kind)
{
	return kind == PYI_ASKED_EXEC ? PYI_EXEC : kind == PYI_ASKED_WRITE ? PYI_WRITE : PYI_READ;
}

/* How much longer is this path than one that is above it, or the same? -1: it is not below. */
static long below(const char *above, const char *path)
{
	size_t len = strcmp(above, "/") == 0 ? 0 : strlen(above);

	if (strncmp(above, path, len) != 0 || (path[len] && path[len] != '/'))
		return -1;
	return (long)strlen(path + len);
}

/* The step that made what is at this path: the one nearest above it. */
static const struct pyi_op *find_op(const struct pyi_plan *plan, const char *path)
{
	const struct pyi_op *best = NULL;
	long best_rest = -1;

	for (size_t i = 0; i < plan->n_ops; i++) {
		long rest = below(plan->ops[i].path, path);

		if (rest >= 0 && (best_rest < 0 || rest <= best_rest)) {
			best = &plan->ops[i];
			best_rest = rest;
		}
	}
	return best;
}

/* A directory that is there because something below it is? */
static bool leads_to_op(const struct pyi_plan *plan, const char *path)
{
	for (size_t i = 0; i < plan->n_ops; i++)
		if (below(path, plan->ops[i].path) > 0)
			return true;
	return false;
}

/* Where one of our own links leads, with what is behind it; NULL: none of them does, or no memory. */
static char *follow_link(const struct pyi_op *op, const char *path)
{
	const char *slash = strrchr(op->path, '/');
	_cleanup_buf struct pyi_buf to = PYI_BUF_INIT;

	if (op->text[0] != '/') {
		pyi_buf_add(&to, op->path, (size_t)(slash - op->path));
		pyi_buf_putc(&to, '/');
	}
	pyi_buf_puts(&to, op->text);
	pyi_buf_puts(&to, path + strlen(op->path));
	return pyi_buf_take(&to);
}

static void tell_fs_rule(const struct pyi_fs_rule *rule, struct pyi_buf *text,
			 const struct pyi_origin **ret_from)
{
	pyi_buf_printf(text, "%s: %s %s", rule->access == PYI_EXEC ? "exec" : "fs",
		       pyi_policy_fs_rule_word(rule), rule->path);
	*ret_from = &rule->from;
}

/* What no rule names but every sandbox has. True: *text says what it is. */
static bool tell_own(const struct pyi_plan *plan, const struct pyi_op *op, const char *path,
		     unsigned int access, struct pyi_buf *text)
{
	bool reads = access == PYI_READ;

	if (op && !op->rule && (op->access & access || (reads && op->kind != PYI_OP_SYMLINK))) {
		pyi_buf_printf(text, "the sandbox's own %s", op->path);
		return true;
	}
	if (reads && plan->use_namespaces && (strcmp(path, "/") == 0 || leads_to_op(plan, path))) {
		pyi_buf_puts(text, "the sandbox's own tree");
		return true;
	}
	return false;
}

/* The rule for one path; false when nothing is known of it. */
static bool find_path_rule(const struct pyi_plan *plan, const char *path, unsigned int access,
			   enum pyi_verdict *ret_verdict, struct pyi_buf *text,
			   const struct pyi_origin **ret_from)
{
	const struct pyi_fs_rule *rule = NULL;
	const struct pyi_op *op;

	*ret_verdict = pyi_policy_decide_fs(plan->policy, path, access, &rule);
	op = rule ? NULL : find_op(plan, path);
	/* A rule's path may have led elsewhere, and that is what was granted. */
	if (op && op->kind == PYI_OP_BIND && op->rule && op->rule->access & access && op->access & access)
		rule = op->rule;
	if (rule) {
		*ret_verdict = rule->verdict;
		tell_fs_rule(rule, text, ret_from);
		return true;
	}
	if (!tell_own(plan, op, path, access, text))
		return false;
	*ret_verdict = PYI_ALLOW;
	return true;
}

/* The same behind links of the sandbox's own making. */
static bool find_linked_rule(const struct pyi_plan *plan, const char *path, unsigned int access,
			     enum pyi_verdict *ret_verdict, struct pyi_buf *text,
			     const struct pyi_origin **ret_from)
{
	char *now = NULL;
	bool found = find_path_rule(plan, path, access, ret_verdict, text, ret_from);

	for (int i = 0; !found && i < LINKS_MAX; i++) {
		const struct pyi_op *op = find_op(plan, now ? now : path);
		char *next = op && op->kind == PYI_OP_SYMLINK ? follow_link(op, now ? now : path) : NULL;

		if (!next)
			break;
		free(now);
		now = next;
		found = find_path_rule(plan, now, access, ret_verdict, text, ret_from);
	}
	free(now);
	return found;
}

static void judge_path(const struct pyi_plan *plan, const struct pyi_asked *asked,
		       struct pyi_asked_verdict *verdict, struct pyi_buf *rule, struct pyi_buf *grant)
{
	static const char *const flags[] = { [PYI_READ] = "read", [PYI_WRITE] = "write", [PYI_EXEC] = "run" };
	unsigned int access = access_of(asked->kind);
	enum pyi_verdict policy = PYI_DENY;
	bool found = false;

	if (asked->real)
		found = find_linked_rule(plan, asked->real, access, &policy, rule, &verdict->from);
	if (!found && asked->path)
		found = find_linked_rule(plan, asked->path, access, &policy, rule, &verdict->from);
	if (!found) {
		policy = PYI_DENY;
		pyi_buf_puts(rule, "no rule");
	}
	verdict->outcome = outcome_of(asked, policy);
	if (!found && asked->path && verdict->outcome != PYI_ASKED_ALLOWED)
		pyi_buf_printf(grant, "--allow-%s %s", flags[access], asked->path);
}

/* Does the longest prefix of the plan that holds an address allow it? The rule, by its number; -1: none. */
static long find_net_row(const struct pyi_plan *plan, const struct pyi_asked *asked, unsigned int use)
{
	const struct pyi_net_row *best = NULL;

	for (size_t i = 0; i < plan->n_net; i++) {
		const struct pyi_net_row *row = &plan->net[i];

		if ((!best || row->prefix_len > best->prefix_len) &&
		    pyi_net_prefix_holds(row->addr, row->prefix_len, asked->addr))
			best = row;
	}
	for (unsigned int i = 0; best && i < best->n_ranges; i++) {
		const struct pyi_net_range *range = &best->ranges[i];

		if (asked->port >= range->port_min && asked->port <= range->port_max &&
		    range->ops_protos & 1u << use)
			return range->rule;
	}
	return -1;
}

static void tell_net_rule(const struct pyi_net_rule *rule, bool binds, struct pyi_buf *text,
			  const struct pyi_origin **ret_from)
{
	pyi_buf_printf(text, "net: %s %s",
		       rule->verdict == PYI_DENY   ? "deny"
		       : rule->verdict == PYI_WARN ? "warn"
		       : binds			   ? "bind"
						   : "connect",
		       rule->text);
	*ret_from = &rule->from;
}

static void judge_address(const struct pyi_plan *plan, const struct pyi_asked *asked,
			  struct pyi_asked_verdict *verdict, struct pyi_buf *text, struct pyi_buf *grant)
{
	bool binds = asked->kind == PYI_ASKED_BIND, is_udp = asked->proto == PYI_NET_UDP;
	const struct pyi_net_rule *rule = NULL;
	enum pyi_verdict policy = PYI_DENY;
	long i = asked->proto ? find_net_row(plan, asked, (binds ? 2u : 0u) + is_udp) : -1;

	if (i >= 0 && (size_t)i < plan->policy->n_net) {
		rule = &plan->policy->net[i];
		policy = rule->verdict;
	} else if (asked->proto) {
		policy = pyi_policy_decide_net(plan->policy, binds ? PYI_NET_BIND : PYI_NET_CONNECT,
					       (enum pyi_net_proto)asked->proto, NULL, asked->addr,
					       asked->port, &rule);
	}
	if (rule)
		tell_net_rule(rule, binds, text, &verdict->from);
	else
		pyi_buf_puts(text, "no rule");
	verdict->outcome = outcome_of(asked, rule ? policy : PYI_DENY);
	if (rule || verdict->outcome == PYI_ASKED_ALLOWED || !asked->proto)
		return;
	pyi_buf_printf(grant, "--allow-net %s", binds ? "bind:" : "");
	pyi_asked_print_target(asked, grant);
}

/* A kind of socket may be made where some rule wants it; pairs of Unix sockets talk to nobody. */
static void judge_socket(const struct pyi_plan *plan, const struct pyi_asked *asked,
			 struct pyi_asked_verdict *verdict, struct pyi_buf *text)
{
	bool is_pair = asked->family == AF_UNIX && strcmp(asked->call, "socketpair") == 0;
	bool is_inet = asked->family == AF_INET || asked->family == AF_INET6;
	bool is_tcp = is_inet && asked->type == SOCK_STREAM,
	     is_udp = is_inet && asked->type == SOCK_DGRAM;
	bool allowed = is_pair || (is_tcp && plan->net_tcp) || (is_udp && plan->net_udp);

	verdict->outcome = outcome_of(asked, allowed ? PYI_ALLOW : PYI_DENY);
	if (is_pair)
		pyi_buf_puts(text, "every sandbox has pairs");
	else if (is_tcp || is_udp)
		pyi_buf_printf(text,
			       allowed ? "net: there are rules about %s" : "net: no rule is about %s",
			       is_tcp ? "TCP" : "UDP");
	else
		pyi_buf_puts(text, "no sandbox has these");
}

int pyi_asked_judge(const struct pyi_plan *plan, const struct pyi_asked *asked,
		    struct pyi_asked_verdict *ret_verdict)
{
	_cleanup_buf struct pyi_buf rule = PYI_BUF_INIT, grant = PYI_BUF_INIT;
	struct pyi_asked_verdict verdict = { .from = NULL };

	if (asked->kind < PYI_ASKED_CONNECT) {
		judge_path(plan, asked, &verdict, &rule, &grant);
	} else if (asked->kind == PYI_ASKED_SOCKET) {
		judge_socket(plan, asked, &verdict, &rule);
	} else if (asked->family == AF_INET || asked->family == AF_INET6) {
		judge_address(plan, asked, &verdict, &rule, &grant);
	} else {
		verdict.outcome = outcome_of(asked, PYI_DENY);
		pyi_buf_puts(&rule, "no rule is about these");
	}
	verdict.rule = pyi_buf_take(&rule);
	if (grant.len || grant.failed)
		verdict.grant = pyi_buf_take(&grant);
	if (!verdict.rule || (grant.failed && !verdict.grant)) {
		pyi_asked_verdict_release(&verdict);
		return -ENOMEM;
	}
	*ret_verdict = verdict;
	return 0;
}
