/* SPDX-License-Identifier: MIT */
/*
 * Addresses and ports beyond a ceiling; see ceiling.h. What a policy decides changes only where a prefix or a range of
 * ports of some rule begins or has ended (or a block does that wide prefixes do not name), so that one address and one
 * port of each cell between these stand for all of it.
 */
#include "policy/ceiling.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/buf.h"
#include "base/err.h"
#include "base/util.h"
#include "policy/internal.h"
#include "policy/netblock.h"

enum { LOOKS_MAX = 1 << 26 }; /* at rules, for one policy: a second or so */

/* What is asked of both: by name (addresses then count for denies, where one is given), or by address. */
struct question {
	enum pyi_net_op op;
	enum pyi_net_proto proto;
	const char *host;
	const uint8_t *addr;
	uint16_t port;
};

struct compare {
	const struct pyi_policy *ceiling, *policy;
	bool is_dev;
	pyi_excess_fn each;
	void *arg;
	uint64_t looks;
};

static bool is_about(const struct pyi_net_rule *rule, const struct question *q)
{
	if (!(rule->ops & q->op) || !(rule->protos & q->proto) || q->port < rule->port_min ||
	    q->port > rule->port_max)
		return false;
	if (rule->host)
		return q->host && strcasecmp(rule->host, q->host) == 0;
	return q->addr && pyi_net_rule_covers(rule, q->addr);
}

/* Is it granted? *ret_rule is the rule that denies, else the first that allows, else NULL. */
static bool is_granted(const struct pyi_policy *p, const struct question *q, bool is_dev,
		       const struct pyi_net_rule **ret_rule)
{
	const struct pyi_net_rule *allow = NULL;

	*ret_rule = NULL;
	for (size_t i = 0; i < p->n_net; i++) {
		const struct pyi_net_rule *rule = &p->net[i];

		if (!is_about(rule, q))
			continue;
		if (rule->verdict == PYI_ALLOW || (rule->verdict == PYI_WARN && is_dev)) {
			allow = allow ? allow : rule;
			continue;
		}
		*ret_rule = rule;
		return false;
	}
	*ret_rule = allow;
	return allow != NULL;
}

/* ----------------------------------------------------------------------------------------------------- in words */

static void print_target(const struct question *q, struct pyi_buf *out)
{
	struct pyi_net_rule rule = { .verdict = PYI_ALLOW,
				     .ops = q->op,
				     .protos = q->proto,
				     .host = (char *)q->host,
				     .prefix_len = 128,
				     .port_min = q->port,
				     .port_max = q->port };

	if (q->addr)
		memcpy(rule.addr, q->addr, sizeof(rule.addr));
	/* Of a name the address is what is in question. */
	if (q->host && q->addr)
		rule.host = NULL;
	pyi_address_print(&rule, out);
}

static const struct pyi_net_rule *nearest(const struct pyi_policy *ceiling, const struct question *q)
{
	const struct pyi_net_rule *first = NULL;

	for (size_t i = 0; i < ceiling->n_net; i++) {
		const struct pyi_net_rule *rule = &ceiling->net[i];

		if (rule->verdict != PYI_ALLOW)
			continue;
		first = first ? first : rule;
		if (rule->host ? q->host && strcasecmp(rule->host, q->host) == 0
			       : q->addr && pyi_net_prefix_holds(rule->addr, rule->prefix_len, q->addr))
			return rule;
	}
	return first;
}

static int tell(const struct compare *c, const struct pyi_net_rule *rule, const struct question *q,
		const struct pyi_net_rule *deny, struct pyi_err *err)
{
	const char *verb = q->op == PYI_NET_BIND ? "bind" : "connect to";
	_cleanup_buf struct pyi_buf target = PYI_BUF_INIT;
	struct pyi_excess excess = { .from = &rule->from };
	const struct pyi_net_rule *by = deny;
	char place[128], name[160] = "";

	print_target(q, &target);
	if (target.failed)
		return pyi_err_nomem(err);
	if (q->host && q->addr)
		snprintf(name, sizeof(name), " (an address of %.120s)", q->host);
	snprintf(excess.what, sizeof(excess.what), "net: '%s %.250s'", pyi_net_rule_key(rule),
		 rule->text);
	if (!by)
		by = nearest(c->ceiling, q);
	if (deny) {
		snprintf(excess.why, sizeof(excess.why),
			 "it lets %s %.120s%s, which the ceiling denies by 'deny %.120s'%s", verb,
			 pyi_buf_str(&target), name, deny->text,
			 pyi_excess_place(&deny->from, place, sizeof(place)));
		snprintf(excess.mend, sizeof(excess.mend), "add '- deny: %.250s' to net", deny->text);
	} else if (by) {
		snprintf(excess.why, sizeof(excess.why),
			 "it lets %s %.120s%s, which no rule of the ceiling does: the nearest is '%s %.120s'%s",
			 verb, pyi_buf_str(&target), name, pyi_net_rule_key(by), by->text,
			 pyi_excess_place(&by->from, place, sizeof(place)));
	} else {
		snprintf(excess.why, sizeof(excess.why),
			 "it lets %s %.120s%s, and the ceiling grants no network", verb,
			 pyi_buf_str(&target), name);
	}
	return c->each(&excess, c->arg);
}

/* ------------------------------------------------------------------------------------------------------- cells */

/* Can something be about both? Names are not addresses, until they are looked up. */
static bool overlap(const struct pyi_net_rule *a, const struct pyi_net_rule *b)
{
	uint8_t shorter = a->prefix_len < b->prefix_len ? a->prefix_len : b->prefix_len;

	if (!(a->ops & b->ops) || !(a->protos & b->protos) || a->port_max < b->port_min ||
	    b->port_max < a->port_min)
		return false;
	if (a->host || b->host)
		return a->host && b->host && strcasecmp(a->host, b->host) == 0;
	return pyi_net_prefix_holds(a->addr, shorter, b->addr);
}

/* The first address behind a prefix; false: there is none. */
static bool address_behind(const uint8_t addr[16], uint8_t prefix_len, uint8_t ret[16])
{
	unsigned int carry = 1;

	for (int i = 15; i >= 0; i--) {
		int bits = prefix_len - 8 * i; /* of this byte that are the prefix's */
		unsigned int mask = bits >= 8 ? 0 : bits <= 0 ? 0xff : 0xffu >> bits;
		unsigned int sum = (addr[i] | mask) + carry;

		ret[i] = (uint8_t)sum;
		carry = sum >> 8;
	}
	return !carry;
}

struct points {
	uint8_t (*addrs)[16];
	size_t n_addrs;
	uint16_t *ports;
	size_t n_ports;
};

static void add_address(struct points *points, const struct pyi_net_rule *inside, const uint8_t addr[16])
{
	if (pyi_net_prefix_holds(inside->addr, inside->prefix_len, addr))
		memcpy(points->addrs[points->n_addrs++], addr, 16);
}

static void add_prefix(struct points *points, const struct pyi_net_rule *inside,
		       const uint8_t addr[16], uint8_t prefix_len)
{
	uint8_t behind[16];

	add_address(points, inside, addr);
	if (address_behind(addr, prefix_len, behind))
		add_address(points, inside, behind);
}

static void add_port(struct points *points, const struct pyi_net_rule *inside, unsigned int port)
{
	if (port >= inside->port_min && port <= inside->port_max)
		points->ports[points->n_ports++] = (uint16_t)port;
}

static int compare_address(const void *a, const void *b)
{
	return memcmp(a, b, 16);
}

static int compare_port(const void *a, const void *b)
{
	return (int)*(const uint16_t *)a - (int)*(const uint16_t *)b;
}

static size_t drop_same(void *array, size_t n, size_t size, int (*compare)(const void *, const void *))
{
	char *v = array;
	size_t kept = 0;

	qsort(v, n, size, compare);
	for (size_t i = 0; i < n; i++)
		if (!kept || compare(v + (kept - 1) * size, v + i * size) != 0)
			memmove(v + kept++ * size, v + i * size, size);
	return kept;
}

/* One point of each cell that this rule has a part of. with_addresses: of a name, whose addresses are known. */
static int find_points(const struct compare *c, const struct pyi_net_rule *rule,
		       bool with_addresses, struct points *ret)
{
	const struct pyi_policy *of[] = { c->ceiling, c->policy };
	size_t n = c->ceiling->n_net + c->policy->n_net;

	ret->addrs = calloc(2 * (n + pyi_n_net_blocks) + 1, sizeof(*ret->addrs));
	ret->ports = calloc(2 * n + 1, sizeof(*ret->ports));
	if (!ret->addrs || !ret->ports)
		return -ENOMEM;
	for (size_t k = 0; k < PYI_ARRAY_SIZE(of); k++)
		for (size_t i = 0; i < of[k]->n_net; i++) {
			const struct pyi_net_rule *other = &of[k]->net[i];

			if (!overlap(rule, other) && !(with_addresses && !other->host))
				continue;
			if (!rule->host && !other->host)
				add_prefix(ret, rule, other->addr, other->prefix_len);
			add_port(ret, rule, other->port_min);
			add_port(ret, rule, other->port_max + 1u);
		}
	for (size_t i = 0; i < pyi_n_net_blocks && !rule->host; i++)
		add_prefix(ret, rule, pyi_net_blocks[i].addr, pyi_net_blocks[i].prefix_len);
	ret->n_addrs = drop_same(ret->addrs, ret->n_addrs, sizeof(*ret->addrs), compare_address);
	ret->n_ports = drop_same(ret->ports, ret->n_ports, sizeof(*ret->ports), compare_port);
	return 0;
}

/* Tell of this point if it is too much; *ret_told: it was. */
static int look(struct compare *c, const struct pyi_net_rule *rule, const struct question *q,
		bool *ret_told, struct pyi_err *err)
{
	const struct pyi_net_rule *by, *allow;

	c->looks += c->policy->n_net + c->ceiling->n_net;
	if (c->looks > LOOKS_MAX)
		return pyi_err_set(err, E2BIG,
				   "the rules about addresses of the policy and of its ceiling are too many to be "
				   "compared: name fewer, or wider ones");
	*ret_told = is_about(rule, q) && is_granted(c->policy, q, c->is_dev, &allow) &&
		    !is_granted(c->ceiling, q, false, &by);
	return *ret_told ? tell(c, rule, q, by, err) : 0;
}

/* The first point of the rule that is too much. */
static int look_at_ports(struct compare *c, const struct pyi_net_rule *rule, const struct points *points,
			 struct question q, bool *ret_told, struct pyi_err *err)
{
	int ret = 0;

	for (unsigned int op = PYI_NET_CONNECT; op <= PYI_NET_BIND && !ret && !*ret_told; op <<= 1)
		for (unsigned int proto = PYI_NET_TCP; proto <= PYI_NET_UDP && !ret && !*ret_told;
		     proto <<= 1)
			for (size_t i = 0; i < points->n_ports && !ret && !*ret_told; i++) {
				q.op = (enum pyi_net_op)op;
				q.proto = (enum pyi_net_proto)proto;
				q.port = points->ports[i];
				ret = look(c, rule, &q, ret_told, err);
			}
	return ret;
}

static int look_at(struct compare *c, const struct pyi_net_rule *rule, struct pyi_err *err)
{
	struct points points = { 0 };
	bool is_told = false;
	int ret = find_points(c, rule, false, &points);

	if (ret)
		ret = pyi_err_nomem(err);
	else if (rule->host)
		ret = look_at_ports(c, rule, &points, (struct question){ .host = rule->host },
				    &is_told, err);
	for (size_t i = 0; i < points.n_addrs && !ret && !is_told; i++)
		ret = look_at_ports(c, rule, &points, (struct question){ .addr = points.addrs[i] },
				    &is_told, err);
	free(points.addrs);
	free(points.ports);
	return ret;
}

/* ---------------------------------------------------------------------------------------------------- the quick way */

static bool holds_address(const struct pyi_net_rule *outer, const struct pyi_net_rule *rule)
{
	if (outer->host || rule->host)
		return outer->host && rule->host && strcasecmp(outer->host, rule->host) == 0;
	if (outer->prefix_len == rule->prefix_len &&
	    memcmp(outer->addr, rule->addr, sizeof(rule->addr)) == 0)
		return true;
	return outer->prefix_len <= rule->prefix_len && pyi_net_rule_covers(outer, rule->addr);
}

static bool is_held(const struct pyi_policy *ceiling, const struct pyi_net_rule *rule)
{
	bool is_held = false;

	for (size_t i = 0; i < ceiling->n_net; i++) {
		const struct pyi_net_rule *outer = &ceiling->net[i];

		if (outer->verdict != PYI_ALLOW) {
			if (overlap(outer, rule))
				return false;
			continue;
		}
		is_held = is_held || (!(rule->ops & ~outer->ops) && !(rule->protos & ~outer->protos) &&
				      outer->port_min <= rule->port_min &&
				      rule->port_max <= outer->port_max && holds_address(outer, rule));
	}
	return is_held;
}

int pyi_ceiling_compare_net(const struct pyi_policy *ceiling, const struct pyi_policy *policy,
			    bool is_dev, pyi_excess_fn each, void *arg, struct pyi_err *err)
{
	struct compare c = { ceiling, policy, is_dev, each, arg, 0 };
	int ret = 0;

	for (size_t i = 0; i < policy->n_net && !ret; i++) {
		const struct pyi_net_rule *rule = &policy->net[i];

		if (rule->verdict == PYI_DENY || (rule->verdict == PYI_WARN && !is_dev))
			continue;
		/* Most rules lie in one of the ceiling's, and nothing of them is denied. */
		if (!is_held(ceiling, rule))
			ret = look_at(&c, rule, err);
	}
	return ret;
}

int pyi_ceiling_compare_name(const struct pyi_policy *ceiling, const struct pyi_policy *policy,
			     bool is_dev, const char *name, const uint8_t addr[16],
			     pyi_excess_fn each, void *arg, struct pyi_err *err)
{
	struct compare c = { ceiling, policy, is_dev, each, arg, 0 };
	bool is_told = false;
	int ret = 0;

	for (size_t i = 0; i < policy->n_net && !ret && !is_told; i++) {
		const struct pyi_net_rule *rule = &policy->net[i];
		struct points points = { 0 };

		if (rule->verdict == PYI_DENY || (rule->verdict == PYI_WARN && !is_dev) ||
		    !rule->host || strcasecmp(rule->host, name) != 0)
			continue;
		ret = find_points(&c, rule, true, &points) ? pyi_err_nomem(err) : 0;
		if (!ret)
			ret = look_at_ports(&c, rule, &points,
					    (struct question){ .host = name, .addr = addr },
					    &is_told, err);
		free(points.addrs);
		free(points.ports);
	}
	return ret;
}
