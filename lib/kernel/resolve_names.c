/* SPDX-License-Identifier: MIT */
/*
 * Host names of the network rules, asked once, by the supervisor: the guest gets the answers as its /etc/hosts and
 * the kernel gets them as rules, so both hold the same addresses until the sandbox ends.
 */
#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <nss.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "base/err.h"
#include "base/fault.h"
#include "base/util.h"
#include "kernel/resolve.h"
#include "plan/plan.h"
#include "policy/policy.h"

enum { ADDRS_MAX = 64 };

static void to_mapped(const struct sockaddr *sa, uint8_t addr[16])
{
	static const uint8_t prefix[12] = { [10] = 0xff, [11] = 0xff };

	if (sa->sa_family == AF_INET6) {
		memcpy(addr, &((const struct sockaddr_in6 *)(const void *)sa)->sin6_addr, 16);
		return;
	}
	memcpy(addr, prefix, sizeof(prefix));
	memcpy(addr + 12, &((const struct sockaddr_in *)(const void *)sa)->sin_addr, 4);
}

static int add_address(struct pyi_resolved_name *name, const struct addrinfo *ai, struct pyi_err *err)
{
	uint8_t(*bigger)[16];
	uint8_t addr[16];

	if (ai->ai_family != AF_INET && ai->ai_family != AF_INET6)
		return 0;
	to_mapped(ai->ai_addr, addr);
	for (size_t i = 0; i < name->n_addrs; i++)
		if (!memcmp(name->addrs[i], addr, sizeof(addr)))
			return 0;
	if (name->n_addrs == ADDRS_MAX)
		return pyi_err_set(err, E2BIG, "'%s' has more than %d addresses", name->name, ADDRS_MAX);
	bigger = reallocarray(name->addrs, name->n_addrs + 1, sizeof(*name->addrs));
	if (!bigger)
		return pyi_err_nomem(err);
	name->addrs = bigger;
	memcpy(name->addrs[name->n_addrs++], addr, sizeof(addr));
	return 0;
}

/*
 * The C library's other name services are shared objects of the host, which a static program cannot load safely: only
 * /etc/hosts and DNS are asked, whatever /etc/nsswitch.conf says.
 */
static int ask(const char *host, struct addrinfo **ret_list)
{
	struct addrinfo hints = { .ai_family = AF_UNSPEC, .ai_socktype = SOCK_STREAM };

	if (PYI_FAULT(806, EAGAIN))
		return EAI_AGAIN;
	__nss_configure_lookup("hosts", "files dns");
	return getaddrinfo(host, NULL, &hints, ret_list);
}

static int resolve(const struct pyi_net_rule *rule, struct pyi_resolved_name *name, struct pyi_err *err)
{
	struct addrinfo *list = NULL;
	char line[16] = "";
	int r;

	if (rule->from.line)
		snprintf(line, sizeof(line), ":%u", rule->from.line);
	name->name = strdup(rule->host);
	if (!name->name)
		return pyi_err_nomem(err);
	r = ask(rule->host, &list);
	if (r == EAI_MEMORY)
		return pyi_err_nomem(err);
	if (r)
		return pyi_err_set(err,
				   r == EAI_SYSTEM  ? errno
				   : r == EAI_AGAIN ? EAGAIN
						    : ENOENT,
				   "%s%s: cannot find the address of '%s': %s", rule->from.file, line,
				   rule->host, r == EAI_SYSTEM ? strerror(errno) : gai_strerror(r));
	for (const struct addrinfo *ai = list; ai && !r; ai = ai->ai_next)
		r = add_address(name, ai, err);
	freeaddrinfo(list);
	if (r)
		return pyi_err_add(err, "%s%s", rule->from.file, line);
	if (!name->n_addrs)
		return pyi_err_set(err, ENOENT, "%s%s: '%s' has no address", rule->from.file, line,
				   rule->host);
	return 0;
}

static bool is_known(const struct pyi_names *names, const char *host)
{
	for (size_t i = 0; i < names->n; i++)
		if (!strcmp(names->v[i].name, host))
			return true;
	return false;
}

int pyi_resolve_names(const struct pyi_policy *policy, struct pyi_names *ret_names, struct pyi_err *err)
{
	struct pyi_names names = { 0 };
	int r = 0;

	for (size_t i = 0; i < policy->n_net && !r; i++) {
		const struct pyi_net_rule *rule = &policy->net[i];
		struct pyi_resolved_name *bigger;

		if (!rule->host || is_known(&names, rule->host))
			continue;
		bigger = reallocarray(names.v, names.n + 1, sizeof(*names.v));
		if (!bigger) {
			r = pyi_err_nomem(err);
			break;
		}
		names.v = bigger;
		names.v[names.n] = (struct pyi_resolved_name){ 0 };
		r = resolve(rule, &names.v[names.n++], err);
	}
	if (r) {
		pyi_names_release(&names);
		return r;
	}
	*ret_names = names;
	return 0;
}
