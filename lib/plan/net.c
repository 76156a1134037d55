/* SPDX-License-Identifier: MIT */
/*
 * Network rules to rows. Every prefix that a rule or a special block names becomes a row that carries the final
 * verdict of all rules about it, so that the kernel only has to find the longest prefix: it never weighs rules.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/err.h"
#include "base/util.h"
#include "plan/build.h"
#include "policy/netblock.h"

enum {
	PYI_NET_USES = 4,
	PYI_NET_RULES_MAX = 4096, /* every rule is met with every prefix */
};

/* A rule with its name resolved: one per address. */
struct net_item {
	uint8_t addr[16];
	uint8_t prefix_len;
	uint8_t uses;
	bool is_deny;
	bool is_wide; /* reaches into special blocks from outside */
	bool is_warn;
	uint32_t rule;
};

struct prefix {
	uint8_t addr[16];
	uint8_t prefix_len;
};

struct net_work {
	struct net_item *items;
	size_t n_items;
	struct prefix *cuts;
	size_t n_cuts;
};

static void net_work_release(struct net_work *w)
{
	free(w->items);
	free(w->cuts);
}

static uint8_t rule_uses(const struct pyi_net_rule *rule)
{
	uint8_t uses = 0;

	for (unsigned int i = 0; i < PYI_NET_USES; i++) {
		bool op = rule->ops & (i < 2 ? PYI_NET_CONNECT : PYI_NET_BIND);
		bool proto = rule->protos & (i % 2 ? PYI_NET_UDP : PYI_NET_TCP);

		if (op && proto)
			uses |= (uint8_t)(1 << i);
	}
	return uses;
}

static int add_item(struct pyi_build *b, struct net_work *w, size_t index, const uint8_t addr[16],
		    uint8_t prefix_len, struct pyi_err *err)
{
	const struct pyi_net_rule *rule = &b->policy->net[index];
	struct net_item *item = pyi_build_grow(&w->items, &w->n_items, sizeof(*item));

	if (!item)
		return pyi_err_nomem(err);
	memcpy(item->addr, addr, 16);
	/* A prefix with bits behind its length would not compare equal to itself. */
	for (unsigned int bit = prefix_len; bit < 128; bit++)
		item->addr[bit / 8] &= (uint8_t)~(0x80 >> (bit % 8));
	item->prefix_len = prefix_len;
	item->uses = rule_uses(rule);
	/* Only the mode `dev` turns a denial that is marked `warn` into a warning. */
	item->is_deny = rule->verdict == PYI_DENY || (rule->verdict == PYI_WARN && !b->is_dev);
	item->is_wide = rule->verdict == PYI_DENY;
	item->is_warn = rule->verdict == PYI_WARN && b->is_dev;
	item->rule = (uint32_t)index;
	return 0;
}

static bool is_local_name(const char *name)
{
	size_t len = strlen(name), suffix = strlen(".localhost");

	return !strcasecmp(name, "localhost") ||
	       (len > suffix && !strcasecmp(name + len - suffix, ".localhost"));
}

static const struct pyi_resolved_name *find_name(const struct pyi_names *names, const char *host)
{
	for (size_t i = 0; i < names->n; i++)
		if (!strcasecmp(names->v[i].name, host))
			return &names->v[i];
	return NULL;
}

static int add_host(struct pyi_build *b, struct net_work *w, size_t index, struct pyi_err *err)
{
	const struct pyi_net_rule *rule = &b->policy->net[index];
	const struct pyi_resolved_name *name = find_name(b->names, rule->host);
	char origin[PYI_ORIGIN_MAX];
	int r;

	if (!name || !name->n_addrs)
		return pyi_err_set(err, EHOSTUNREACH, "%s: '%s' has no address",
				   pyi_build_origin(&rule->from, origin), rule->host);
	for (size_t i = 0; i < name->n_addrs; i++) {
		const struct pyi_net_block *block = pyi_net_block_of(name->addrs[i], 128);

		/* Whoever runs that name's DNS would choose what the guest may reach on this host. */
		if (block && rule->verdict != PYI_DENY && !is_local_name(rule->host))
			return pyi_err_set(
				err, EPERM,
				"%s: '%s' is a %s address here: a rule must name the address itself",
				pyi_build_origin(&rule->from, origin), rule->host, block->what);
		r = add_item(b, w, index, name->addrs[i], 128, err);
		if (r)
			return r;
	}
	return 0;
}

static int collect_items(struct pyi_build *b, struct net_work *w, struct pyi_err *err)
{
	int r;

	for (size_t i = 0; i < b->policy->n_net; i++) {
		const struct pyi_net_rule *rule = &b->policy->net[i];

		r = rule->host ? add_host(b, w, i, err)
			       : add_item(b, w, i, rule->addr, rule->prefix_len, err);
		if (r)
			return r;
	}
	return 0;
}

/* Tree order: an outer prefix before what is inside it. */
static int compare_prefix(const void *x, const void *y)
{
	const struct prefix *a = x, *b = y;
	int c = memcmp(a->addr, b->addr, 16);

	return c ? c : (int)a->prefix_len - (int)b->prefix_len;
}

static int collect_cuts(struct net_work *w, struct pyi_err *err)
{
	size_t max = w->n_items + pyi_n_net_blocks, n = 0;

	w->cuts = calloc(max, sizeof(*w->cuts));
	if (!w->cuts)
		return pyi_err_nomem(err);
	for (size_t i = 0; i < w->n_items; i++) {
		memcpy(w->cuts[n].addr, w->items[i].addr, 16);
		w->cuts[n++].prefix_len = w->items[i].prefix_len;
	}
	for (size_t i = 0; i < pyi_n_net_blocks; i++) {
		memcpy(w->cuts[n].addr, pyi_net_blocks[i].addr, 16);
		w->cuts[n++].prefix_len = pyi_net_blocks[i].prefix_len;
	}
	qsort(w->cuts, n, sizeof(*w->cuts), compare_prefix);
	for (size_t i = 0; i < n; i++)
		if (!w->n_cuts || compare_prefix(&w->cuts[i], &w->cuts[w->n_cuts - 1]))
			w->cuts[w->n_cuts++] = w->cuts[i];
	return 0;
}

/* Is this item about every address of the prefix that no longer prefix takes out? */
static bool item_covers(const struct net_item *item, const struct prefix *p)
{
	const struct pyi_net_block *block;

	if (item->prefix_len > p->prefix_len ||
	    !pyi_net_prefix_holds(item->addr, item->prefix_len, p->addr))
		return false;
	if (item->is_wide)
		return true;
	block = pyi_net_block_of(p->addr, p->prefix_len);
	return !block || pyi_net_block_of(item->addr, item->prefix_len) == block;
}

/* What one port may be used for: per use the item that decides, or NULL. */
struct port_verdict {
	const struct net_item *by[PYI_NET_USES];
};

static void decide_port(const struct pyi_build *b, const struct net_item *const *items, size_t n,
			uint16_t port, struct port_verdict *ret)
{
	bool denied[PYI_NET_USES] = { false };

	memset(ret, 0, sizeof(*ret));
	for (size_t i = 0; i < n; i++) {
		const struct pyi_net_rule *rule = &b->policy->net[items[i]->rule];

		if (port < rule->port_min || port > rule->port_max)
			continue;
		for (unsigned int u = 0; u < PYI_NET_USES; u++) {
			if (!(items[i]->uses & (1 << u)))
				continue;
			if (items[i]->is_deny)
				denied[u] = true;
			else if (!ret->by[u] || (items[i]->is_warn && !ret->by[u]->is_warn))
				ret->by[u] = items[i];
		}
	}
	for (unsigned int u = 0; u < PYI_NET_USES; u++)
		if (denied[u])
			ret->by[u] = NULL;
}

static int compare_u32(const void *x, const void *y)
{
	const uint32_t *a = x, *b = y;

	return *a < *b ? -1 : *a > *b;
}

static bool same_range(const struct pyi_net_range *a, const struct pyi_net_range *b)
{
	return a->ops_protos == b->ops_protos && a->is_warn == b->is_warn && a->rule == b->rule;
}

/* Put one more range behind those of the row, or lengthen one that ends where it begins. */
static bool add_range(struct pyi_net_row *row, const struct pyi_net_range *range)
{
	for (unsigned int i = 0; i < row->n_ranges; i++) {
		struct pyi_net_range *last = &row->ranges[i];

		if (same_range(last, range) && (uint32_t)last->port_max + 1 == range->port_min) {
			last->port_max = range->port_max;
			return true;
		}
	}
	if (row->n_ranges == PYI_NET_RANGES_MAX)
		return false;
	row->ranges[row->n_ranges++] = *range;
	return true;
}

/* The ranges of ports [first, last], where one verdict holds: one range for each rule that has a say. */
static bool add_ranges(struct pyi_net_row *row, uint16_t first, uint16_t last,
		       const struct port_verdict *verdict)
{
	for (unsigned int u = 0; u < PYI_NET_USES; u++) {
		const struct net_item *by = verdict->by[u];
		struct pyi_net_range range = { .port_min = first, .port_max = last };
		bool is_first = true;

		if (!by)
			continue;
		for (unsigned int v = 0; v < PYI_NET_USES; v++) {
			if (!verdict->by[v] || verdict->by[v]->rule != by->rule)
				continue;
			if (v < u)
				is_first = false;
			range.ops_protos |= (uint8_t)(1 << v);
		}
		range.is_warn = by->is_warn;
		range.rule = (uint16_t)by->rule;
		if (is_first && !add_range(row, &range))
			return false;
	}
	return true;
}

static int compare_range(const void *x, const void *y)
{
	const struct pyi_net_range *a = x, *b = y;

	if (a->port_min != b->port_min)
		return (int)a->port_min - (int)b->port_min;
	return (int)a->ops_protos - (int)b->ops_protos;
}

static int fill_row(struct pyi_build *b, const struct net_work *w, const struct prefix *p,
		    struct pyi_net_row *row, struct pyi_err *err)
{
	_cleanup_free const struct net_item **items = calloc(w->n_items + 1, sizeof(*items));
	_cleanup_free uint32_t *ports = calloc(2 * w->n_items + 2, sizeof(*ports));
	size_t n = 0, n_ports = 0;
	char origin[PYI_ORIGIN_MAX];

	if (!items || !ports)
		return pyi_err_nomem(err);
	memcpy(row->addr, p->addr, 16);
	row->prefix_len = p->prefix_len;
	ports[n_ports++] = 0;
	for (size_t i = 0; i < w->n_items; i++) {
		const struct pyi_net_rule *rule = &b->policy->net[w->items[i].rule];

		if (!item_covers(&w->items[i], p))
			continue;
		items[n++] = &w->items[i];
		ports[n_ports++] = rule->port_min;
		ports[n_ports++] = (uint32_t)rule->port_max + 1;
	}
	qsort(ports, n_ports, sizeof(*ports), compare_u32);
	for (size_t i = 0; i < n_ports && ports[i] <= 65535; i++) {
		uint32_t end = i + 1 < n_ports ? ports[i + 1] : 65536;
		struct port_verdict verdict;

		if (end == ports[i])
			continue;
		decide_port(b, items, n, (uint16_t)ports[i], &verdict);
		if (!add_ranges(row, (uint16_t)ports[i], (uint16_t)(end - 1), &verdict)) {
			const struct pyi_net_rule *rule = &b->policy->net[items[n - 1]->rule];

			return pyi_err_set(err, E2BIG,
					   "%s: '%s': more than %d port ranges for one address",
					   pyi_build_origin(&rule->from, origin), rule->text,
					   PYI_NET_RANGES_MAX);
		}
	}
	qsort(row->ranges, row->n_ranges, sizeof(row->ranges[0]), compare_range);
	return 0;
}

/* Would the address be answered the same without this row? */
static bool is_row_needed(const struct pyi_plan *plan, const struct pyi_net_row *row)
{
	for (size_t i = plan->n_net; i-- > 0;) {
		const struct pyi_net_row *outer = &plan->net[i];

		if (outer->prefix_len < row->prefix_len &&
		    pyi_net_prefix_holds(outer->addr, outer->prefix_len, row->addr))
			return outer->n_ranges != row->n_ranges ||
			       memcmp(outer->ranges, row->ranges,
				      row->n_ranges * sizeof(row->ranges[0]));
	}
	return row->n_ranges > 0;
}

int pyi_build_net(struct pyi_build *b, struct pyi_err *err)
{
	__attribute__((cleanup(net_work_release))) struct net_work w = { .items = NULL };
	struct pyi_plan *plan = b->plan;
	int r;

	if (b->policy->n_net > PYI_NET_RULES_MAX)
		return pyi_err_set(err, E2BIG, "more than %d network rules", PYI_NET_RULES_MAX);
	r = collect_items(b, &w, err);
	if (r)
		return r;
	r = collect_cuts(&w, err);
	if (r)
		return r;
	if (w.n_cuts > PYI_NET_ROWS_MAX + pyi_n_net_blocks)
		return pyi_err_set(err, E2BIG, "more than %d network prefixes", PYI_NET_ROWS_MAX);
	for (size_t i = 0; i < w.n_cuts; i++) {
		struct pyi_net_row row = { .n_ranges = 0 }, *new_row;

		r = fill_row(b, &w, &w.cuts[i], &row, err);
		if (r)
			return r;
		if (!is_row_needed(plan, &row))
			continue;
		if (plan->n_net == PYI_NET_ROWS_MAX)
			return pyi_err_set(err, E2BIG, "more than %d network prefixes",
					   PYI_NET_ROWS_MAX);
		new_row = pyi_build_grow(&plan->net, &plan->n_net, sizeof(*new_row));
		if (!new_row)
			return pyi_err_nomem(err);
		*new_row = row;
		for (unsigned int j = 0; j < row.n_ranges; j++) {
			plan->net_tcp |= row.ranges[j].ops_protos & 5;
			plan->net_udp |= row.ranges[j].ops_protos & 10;
			plan->net_listen |= row.ranges[j].ops_protos & 4;
		}
	}
	return pyi_build_ceiling_net(b, err);
}
