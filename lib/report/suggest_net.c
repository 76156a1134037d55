/* SPDX-License-Identifier: MIT */
/* The addresses of a suggestion, each once: by the name that led there, else as they are. */
#include "report/suggest_net.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "report/suggest.h"

enum { PORTS_FROM = 9 }; /* ports of one address: from here on a range; a plan takes 16 */

static int compare_host(const struct pyi_suggest_address *a, const struct pyi_suggest_address *b)
{
	int c;

	if (a->op != b->op)
		return a->op < b->op ? -1 : 1;
	if (a->proto != b->proto)
		return a->proto < b->proto ? -1 : 1;
	if (!a->name != !b->name)
		return a->name ? -1 : 1;
	c = a->name ? strcmp(a->name, b->name) : memcmp(a->addr, b->addr, sizeof(a->addr));
	return c;
}

static int compare(const void *x, const void *y)
{
	const struct pyi_suggest_address *a = x, *b = y;
	int c = compare_host(a, b);

	if (!c)
		c = (int)a->port - (int)b->port;
	return c ? c : a->order < b->order ? -1 : a->order > b->order;
}

/* Not what is allowed already, nor what cannot be had: a policy names no port 0 to connect to. */
bool pyi_suggest_wants_address(const struct pyi_suggest *s, const struct pyi_suggest_address *use)
{
	const struct pyi_net_rule *rule = NULL;
	enum pyi_verdict verdict;

	if (use->op == PYI_NET_CONNECT && !use->port)
		return false;
	verdict = pyi_policy_decide_net(s->base, use->op, use->proto, use->name, use->addr,
					use->port, &rule);
	return !rule && verdict == PYI_DENY;
}

static void print_host(const struct pyi_suggest_address *use, struct pyi_buf *out)
{
	static const uint8_t mapped[12] = { [10] = 0xff, [11] = 0xff };
	char text[INET6_ADDRSTRLEN] = "";

	if (use->proto == PYI_NET_UDP)
		pyi_buf_puts(out, "udp://");
	if (use->name) {
		pyi_buf_puts(out, use->name);
	} else if (!memcmp(use->addr, mapped, sizeof(mapped))) {
		inet_ntop(AF_INET, use->addr + 12, text, sizeof(text));
		pyi_buf_puts(out, text);
	} else {
		inet_ntop(AF_INET6, use->addr, text, sizeof(text));
		pyi_buf_printf(out, "[%s]", text);
	}
}

void pyi_suggest_format_address(const struct pyi_suggest_address *use, char *buf, size_t size)
{
	struct pyi_buf text = PYI_BUF_INIT;

	print_host(use, &text);
	pyi_buf_printf(&text, ":%u", use->port);
	snprintf(buf, size, "%s", pyi_buf_str(&text));
	pyi_buf_release(&text);
}

static void print_ports(const struct pyi_suggest_address *first, uint16_t port_max, uint64_t count,
			struct pyi_buf *out)
{
	struct pyi_buf text = PYI_BUF_INIT;

	pyi_buf_printf(out, "  - %s: ", first->op == PYI_NET_BIND ? "bind" : "connect");
	print_host(first, &text);
	pyi_buf_printf(&text, ":%u", first->port);
	if (port_max != first->port)
		pyi_buf_printf(&text, "-%u", port_max);
	pyi_policy_quote(out, pyi_buf_str(&text));
	out->failed = out->failed || text.failed;
	pyi_buf_release(&text);
	pyi_suggest_end_line(out, count, first->at_file, first->at_line);
}

/* All of one host, and one use of it: [i, end). */
static void print_one_host(const struct pyi_suggest_address *v, size_t n, struct pyi_buf *out)
{
	size_t ports = 1;
	uint64_t count = 0;

	for (size_t i = 1; i < n; i++)
		ports += v[i].port != v[i - 1].port;
	for (size_t i = 0, first = 0; i < n; i++) {
		bool is_last = i + 1 == n || (ports < PORTS_FROM && v[i + 1].port != v[i].port);

		count += v[i].count ? v[i].count : 1;
		if (!is_last)
			continue;
		print_ports(&v[first], v[i].port, count, out);
		first = i + 1;
		count = 0;
	}
}

void pyi_suggest_print_addresses(struct pyi_suggest *s, bool *has_title, struct pyi_buf *out)
{
	struct pyi_suggest_address *v = s->addresses;
	size_t n = 0;

	for (size_t i = 0; i < s->n_addresses; i++)
		if (pyi_suggest_wants_address(s, &v[i])) {
			v[n] = v[i];
			v[n].order = n;
			n++;
		}
	if (!n)
		return;
	qsort(v, n, sizeof(*v), compare);
	if (!*has_title)
		pyi_buf_puts(out, "net:\n");
	*has_title = true;
	for (size_t i = 0; i < n;) {
		size_t end = i + 1;

		while (end < n && !compare_host(&v[i], &v[end]))
			end++;
		print_one_host(v + i, end - i, out);
		i = end;
	}
}
