/* SPDX-License-Identifier: MIT */
/*
 * What a network rule names: a host name, an address or a prefix, with ports. Strict on purpose: forms that resolvers
 * and kernels read in more than one way ("127.1", "0x7f000001", "010.0.0.1", zone ids, bits beyond a prefix) are
 * refused rather than guessed at.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/buf.h"
#include "base/err.h"
#include "base/parse.h"
#include "base/util.h"
#include "policy/internal.h"
#include "policy/netblock.h"

enum {
	TEXT_MAX = 512,
	NAME_MAX_BYTES = 253, /* RFC 1035, without the last dot */
	LABEL_MAX_BYTES = 63,
	MAPPED_BITS = 96,
};

static const uint8_t mapped_prefix[16] = { [10] = 0xff, [11] = 0xff };

static bool has_bits_beyond(const uint8_t addr[16], unsigned int prefix_len)
{
	for (unsigned int i = prefix_len; i < 128; i++)
		if (addr[i / 8] & (0x80 >> i % 8))
			return true;
	return false;
}

static void print_address(const uint8_t addr[16], unsigned int prefix_len, struct pyi_buf *out)
{
	char text[INET6_ADDRSTRLEN];

	if (prefix_len >= MAPPED_BITS && pyi_net_prefix_holds(mapped_prefix, MAPPED_BITS, addr)) {
		inet_ntop(AF_INET, addr + 12, text, sizeof(text));
		pyi_buf_puts(out, text);
		if (prefix_len < 128)
			pyi_buf_printf(out, "/%u", prefix_len - MAPPED_BITS);
		return;
	}
	inet_ntop(AF_INET6, addr, text, sizeof(text));
	pyi_buf_printf(out, "[%s]", text);
	if (prefix_len < 128)
		pyi_buf_printf(out, "/%u", prefix_len);
}

void pyi_address_print(const struct pyi_net_rule *rule, struct pyi_buf *out)
{
	if (rule->protos == PYI_NET_UDP)
		pyi_buf_puts(out, "udp://");
	else if (rule->protos == PYI_NET_TCP && rule->verdict != PYI_ALLOW)
		pyi_buf_puts(out, "tcp://"); /* the default of an allow, but not of a deny */
	if (rule->host)
		pyi_buf_puts(out, rule->host);
	else if (rule->prefix_len == 0)
		pyi_buf_puts(out, "*");
	else
		print_address(rule->addr, rule->prefix_len, out);
	if (rule->port_min == 0 && rule->port_max == UINT16_MAX)
		pyi_buf_puts(out, ":*");
	else if (rule->port_min == rule->port_max)
		pyi_buf_printf(out, ":%u", rule->port_min);
	else
		pyi_buf_printf(out, ":%u-%u", rule->port_min, rule->port_max);
}

static int parse_port(const char *text, bool can_be_0, uint16_t *ret, struct pyi_err *err)
{
	uint64_t v = 0;
	int r = pyi_parse_u64(text, can_be_0 ? 0 : 1, UINT16_MAX, &v, err);

	if (r)
		return pyi_err_add(err, "port");
	*ret = (uint16_t)v;
	return 0;
}

static int parse_ports(char *text, bool can_be_0, struct pyi_net_rule *rule, struct pyi_err *err)
{
	char *dash;
	int r;

	if (strcmp(text, "*") == 0) {
		rule->port_min = 0;
		rule->port_max = UINT16_MAX;
		return 0;
	}
	dash = strchr(text, '-');
	if (!dash) {
		r = parse_port(text, can_be_0, &rule->port_min, err);
		rule->port_max = rule->port_min;
		return r;
	}
	*dash = '\0';
	r = parse_port(text, false, &rule->port_min, err);
	if (!r)
		r = parse_port(dash + 1, false, &rule->port_max, err);
	if (!r && rule->port_min > rule->port_max)
		return pyi_err_set(err, EINVAL, "port range '%s-%s' runs backwards", text, dash + 1);
	return r;
}

/* len in bits of the family; the rule gets it in bits of 128. */
static int parse_prefix_len(const char *text, const char *len, unsigned int family_bits,
			    struct pyi_net_rule *rule, struct pyi_err *err)
{
	_cleanup_buf struct pyi_buf base = PYI_BUF_INIT;
	uint64_t v = family_bits;
	int r;

	if (len) {
		r = pyi_parse_u64(len, 0, family_bits, &v, err);
		if (r)
			return pyi_err_add(err, "prefix length of '%s'", text);
	}
	rule->prefix_len = (uint8_t)(128 - family_bits + v);
	if (rule->prefix_len < MAPPED_BITS &&
	    pyi_net_prefix_holds(rule->addr, rule->prefix_len, mapped_prefix))
		return pyi_err_set(err, EINVAL,
				   "'%s/%u' has IPv4 addresses in it: use '*' for all, or 2000::/3",
				   text, rule->prefix_len);
	if (!has_bits_beyond(rule->addr, rule->prefix_len))
		return 0;
	for (unsigned int i = rule->prefix_len; i < 128; i++)
		rule->addr[i / 8] &= (uint8_t)~(0x80 >> i % 8);
	print_address(rule->addr, rule->prefix_len, &base);
	return pyi_err_set(err, EINVAL, "'%s/%s' has bits beyond its prefix, did you mean '%s'?",
			   text, len, pyi_buf_str(&base));
}

static bool is_alnum(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
}

/* A last label of digits or 0x.. is an address to inet_aton and to browsers. */
static bool is_number_label(const char *label)
{
	if (label[0] == '0' && (label[1] == 'x' || label[1] == 'X'))
		return true;
	return *label && label[strspn(label, "0123456789")] == '\0';
}

static int parse_name(char *text, struct pyi_net_rule *rule, struct pyi_err *err)
{
	size_t len = strlen(text), label = 0;
	char *last;

	if (len > 1 && text[len - 1] == '.')
		text[--len] = '\0';
	if (strchr(text, '*'))
		return pyi_err_set(err, EINVAL,
				   "'%s': names are resolved at start, so they take no '*'; name each host",
				   text);
	for (size_t i = 0; i < len; i++) {
		char c = text[i];

		label = c == '.' ? 0 : label + 1;
		if (c == '.' ? i == 0 || text[i - 1] == '.' : !is_alnum(c) && c != '-' && c != '_')
			return pyi_err_set(err, EINVAL,
					   "'%s' is neither a host name nor an address", text);
		if (label > LABEL_MAX_BYTES)
			return pyi_err_set(err, EINVAL, "'%.40s...' has a label of over %d letters",
					   text, LABEL_MAX_BYTES);
		if (c >= 'A' && c <= 'Z')
			text[i] = (char)(c - 'A' + 'a');
	}
	if (len == 0 || len > NAME_MAX_BYTES)
		return pyi_err_set(err, EINVAL,
				   len ? "the host name is too long" : "the host is missing");
	last = strrchr(text, '.');
	if (is_number_label(last ? last + 1 : text))
		return pyi_err_set(err, EINVAL,
				   "'%s' is not an IPv4 address: write all four numbers in decimal",
				   text);
	rule->host = strdup(text);
	return rule->host ? 0 : pyi_err_nomem(err);
}

static int parse_v4_or_name(char *text, struct pyi_net_rule *rule, struct pyi_err *err)
{
	char *slash = strchr(text, '/');

	if (strcmp(text, "*") == 0) {
		rule->prefix_len = 0;
		return 0;
	}
	if (slash)
		*slash = '\0';
	memcpy(rule->addr, mapped_prefix, 12);
	if (inet_pton(AF_INET, text, rule->addr + 12) == 1)
		return parse_prefix_len(text, slash ? slash + 1 : NULL, 32, rule, err);
	memset(rule->addr, 0, sizeof(rule->addr));
	if (slash)
		return pyi_err_set(err, EINVAL, "'%s/%s' is not a prefix such as 10.0.0.0/8", text,
				   slash + 1);
	return parse_name(text, rule, err);
}

/* text begins with '['; *ret_rest is what follows the address. */
static int parse_v6(char *text, char **ret_rest, struct pyi_net_rule *rule, struct pyi_err *err)
{
	char *end = strchr(text, ']'), *slash, *after;

	if (!end)
		return pyi_err_set(err, EINVAL, "'%s' has '[' without ']'", text);
	*end = '\0';
	text++;
	after = end + 1;
	slash = strchr(text, '/');
	if (slash) {
		*slash++ = '\0';
	} else if (*after == '/') {
		slash = after + 1;
		after = slash + strspn(slash, "0123456789");
		if (*after == ':') {
			*after = '\0';
			*ret_rest = after + 1;
			after = NULL;
		}
	}
	if (after && *after && *after != ':')
		return pyi_err_set(err, EINVAL, "'%s' after the address is not ':PORT'", after);
	if (after)
		*ret_rest = *after ? after + 1 : NULL;
	if (inet_pton(AF_INET6, text, rule->addr) != 1)
		return pyi_err_set(err, EINVAL, "'[%s]' is not an IPv6 address", text);
	return parse_prefix_len(text, slash, 128, rule, err);
}

static int parse_scheme(char **text, struct pyi_net_rule *rule, struct pyi_err *err)
{
	char *sep = strstr(*text, "://");

	if (!sep)
		return 0;
	*sep = '\0';
	if (strcmp(*text, "tcp") == 0)
		rule->protos = PYI_NET_TCP;
	else if (strcmp(*text, "udp") == 0)
		rule->protos = PYI_NET_UDP;
	else
		return pyi_err_set(
			err, EINVAL,
			"unknown scheme '%s://': only tcp:// and udp://, and no URLs (write HOST:PORT)",
			*text);
	*text = sep + 3;
	return 0;
}

static int parse_target(char *text, bool needs_port, bool can_be_port_0, struct pyi_net_rule *rule,
			struct pyi_err *err)
{
	char *ports = NULL, *colon;
	int r = parse_scheme(&text, rule, err);

	if (r)
		return r;
	if (*text == '[') {
		r = parse_v6(text, &ports, rule, err);
	} else {
		colon = strrchr(text, ':');
		if (colon && strchr(text, ':') != colon)
			return pyi_err_set(err, EINVAL,
					   "'%s': an IPv6 address stands in brackets, '[::1]:443'",
					   text);
		if (colon) {
			*colon = '\0';
			ports = colon + 1;
		}
		r = parse_v4_or_name(text, rule, err);
	}
	if (r)
		return r;
	if (ports)
		return parse_ports(ports, can_be_port_0, rule, err);
	if (needs_port)
		return pyi_err_set(err, EINVAL,
				   "the port is missing: write '%s:443', or ':*' for all", text);
	rule->port_min = 0;
	rule->port_max = UINT16_MAX;
	return 0;
}

int pyi_address_parse(const char *text, bool needs_port, bool can_be_port_0,
		      struct pyi_net_rule *ret_rule, struct pyi_err *err)
{
	struct pyi_net_rule rule = { .protos = 0 };
	char copy[TEXT_MAX];
	int r;

	if (!*text)
		return pyi_err_set(err, EINVAL, "the address is empty");
	if (strlen(text) >= sizeof(copy))
		return pyi_err_set(err, EINVAL, "the address is too long");
	strncpy(copy, text, sizeof(copy));
	r = parse_target(copy, needs_port, can_be_port_0, &rule, err);
	if (r) {
		free(rule.host);
		return r;
	}
	ret_rule->host = rule.host;
	memcpy(ret_rule->addr, rule.addr, sizeof(rule.addr));
	ret_rule->prefix_len = rule.prefix_len;
	ret_rule->protos = rule.protos;
	ret_rule->port_min = rule.port_min;
	ret_rule->port_max = rule.port_max;
	return 0;
}
