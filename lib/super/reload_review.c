/* SPDX-License-Identifier: MIT */
/* See reload_review.h. */
#include "super/reload_review.h"

#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "base/buf.h"
#include "base/err.h"
#include "base/util.h"
#include "plan/plan.h"
#include "policy/ceiling.h"
#include "policy/diff.h"
#include "policy/policy.h"
#include "pyi_abi.h"

struct review {
	uint32_t flags;
	struct pyi_buf *changes;
	struct pyi_err *err;
	const char *policy; /* name of the new one */
	bool is_refused;
};

/* Why it cannot change in a running sandbox; NULL when it can. */
static const char *fixed_because(const struct pyi_change *change, uint32_t flags)
{
	switch (change->section) {
	case PYI_SECTION_FS:
		return flags & PYI_SANDBOX_TREE
			       ? NULL
			       : "it has no file tree of its own, and Landlock keeps the files of the start";
	case PYI_SECTION_ENV:
	case PYI_SECTION_IMPORTS:
		return "it was read at the start";
	case PYI_SECTION_ON_VIOLATION:
		return "it is part of the system call filter, which was settled at the start";
	case PYI_SECTION_LIMITS:
		if (strcmp(change->key, "open_files") == 0)
			return "each process has had it since the start";
		if (strcmp(change->key, "numa") == 0)
			return "its CPUs and its memory were chosen at the start";
		if (strncmp(change->key, "net_", 4) == 0)
			return "it is counted since the start";
		return strcmp(change->key, "tmp") == 0 ? "/tmp was made at the start" : NULL;
	default:
		return NULL;
	}
}

static int on_change(const struct pyi_change *change, void *arg)
{
	struct review *review = arg;
	const char *why = fixed_because(change, review->flags);
	char origin[512] = "";

	pyi_change_print(change, review->changes);
	if (!why || review->is_refused)
		return 0;
	review->is_refused = true;
	if (change->from && change->from->line)
		snprintf(origin, sizeof(origin), "%s:%u", change->from->file, change->from->line);
	else
		snprintf(origin, sizeof(origin), "%s",
			 change->from ? change->from->file : review->policy);
	pyi_err_set(review->err, EPERM,
		    "%s: %s: '%s' %s: it cannot change while the sandbox runs, because %s: spawn it again",
		    origin, pyi_section_name(change->section), change->text,
		    change->sign == '+'	  ? "is new"
		    : change->sign == '-' ? "is gone"
					  : "is another value",
		    why);
	return 0;
}

int pyi_reload_refuse_excess(const struct pyi_excess *excess, const struct pyi_policy *policy,
			     struct pyi_err *err)
{
	const struct pyi_origin *from = excess->from;
	char line[16] = "";

	if (from && from->line)
		snprintf(line, sizeof(line), ":%u", from->line);
	return pyi_err_set(err, EPERM,
			   "%.200s%s: %s is outside of the ceiling that the sandbox was started with: %s: %s, or spawn "
			   "it again with a 'ceiling:' that holds it",
			   from ? from->file : policy->name, line, excess->what, excess->why,
			   excess->mend[0] ? excess->mend : "narrow it");
}

struct refusal {
	const struct pyi_policy *policy;
	struct pyi_err *err;
};

static int on_excess(const struct pyi_excess *excess, void *arg)
{
	const struct refusal *refusal = arg;

	return pyi_reload_refuse_excess(excess, refusal->policy, refusal->err);
}

/* A policy may repeat the ceiling of the start, or leave it out. */
static int review_ceiling(const struct pyi_policy *start, const struct pyi_policy *to, bool is_dev,
			  struct pyi_err *err)
{
	struct refusal refusal = { to, err };
	struct pyi_policy a = { .ceiling = start->ceiling }, b = { .ceiling = to->ceiling };
	_cleanup_buf struct pyi_buf was = PYI_BUF_INIT, is = PYI_BUF_INIT;

	pyi_policy_print(&a, false, &was);
	pyi_policy_print(&b, false, &is);
	if (was.failed || is.failed)
		return pyi_err_nomem(err);
	if (to->ceiling && strcmp(pyi_buf_str(&was), pyi_buf_str(&is)) != 0)
		return pyi_err_set(err, EPERM,
				   "%s: ceiling: it is another one than that of the start, which holds while the "
				   "sandbox runs: leave it out, or spawn it again",
				   to->name);
	return start->ceiling
		       ? pyi_ceiling_compare(start->ceiling, to, is_dev, on_excess, &refusal, err)
		       : 0;
}

int pyi_reload_review_names(const struct pyi_policy *start, const struct pyi_policy *to,
			    const struct pyi_names *names, uint32_t flags, struct pyi_err *err)
{
	const struct pyi_policy *net = pyi_policy_ceiling_net(start);
	struct refusal refusal = { to, err };
	int ret = 0;

	for (size_t i = 0; net && i < names->n && !ret; i++)
		for (size_t j = 0; j < names->v[i].n_addrs && !ret; j++)
			ret = pyi_ceiling_compare_name(net, to, flags & PYI_SANDBOX_DEV,
						       names->v[i].name, names->v[i].addrs[j],
						       on_excess, &refusal, err);
	return ret;
}

int pyi_reload_review(const struct pyi_policy *start, const struct pyi_policy *from,
		      const struct pyi_policy *to, uint32_t flags, struct pyi_buf *changes,
		      struct pyi_err *err)
{
	struct review review = { .flags = flags, .changes = changes, .err = err, .policy = to->name };
	int ret = pyi_policy_diff(from, to, on_change, &review, err);

	if (ret < 0)
		return ret;
	if (changes->failed)
		return pyi_err_nomem(err);
	return review.is_refused ? -err->errnum
				 : review_ceiling(start, to, flags & PYI_SANDBOX_DEV, err);
}

/* The first rule that asks for it. */
static int refuse_socket(const struct pyi_policy *policy, unsigned int ops, unsigned int protos,
			 const char *what, struct pyi_err *err)
{
	for (size_t i = 0; i < policy->n_net; i++) {
		const struct pyi_net_rule *rule = &policy->net[i];
		char place[32] = "";

		if (rule->verdict == PYI_DENY || !(rule->ops & ops) || !(rule->protos & protos))
			continue;
		if (rule->from.line)
			snprintf(place, sizeof(place), ":%u", rule->from.line);
		return pyi_err_set(
			err, EPERM,
			"%s%s: net: '%s' needs %s, and the sandbox was started without: its system call "
			"filter cannot be widened while it runs: spawn it again, with a 'ceiling:' that "
			"holds it",
			rule->from.file, place, rule->text, what);
	}
	return pyi_err_set(err, EPERM,
			   "%s: net: needs %s, and the sandbox was started without: spawn it again",
			   policy->name, what);
}

int pyi_reload_review_sockets(const struct pyi_plan *plan, uint32_t flags, struct pyi_err *err)
{
	const unsigned int both = PYI_NET_CONNECT | PYI_NET_BIND;

	if (plan->n_net && !(flags & PYI_SANDBOX_NET))
		return refuse_socket(plan->policy, both, PYI_NET_TCP | PYI_NET_UDP, "a network", err);
	if (plan->net_tcp && !(flags & PYI_SANDBOX_TCP))
		return refuse_socket(plan->policy, both, PYI_NET_TCP, "TCP sockets", err);
	if (plan->net_udp && !(flags & PYI_SANDBOX_UDP))
		return refuse_socket(plan->policy, both, PYI_NET_UDP, "UDP sockets", err);
	if (plan->net_listen && !(flags & PYI_SANDBOX_LISTEN))
		return refuse_socket(plan->policy, PYI_NET_BIND, PYI_NET_TCP, "listening sockets", err);
	return 0;
}
