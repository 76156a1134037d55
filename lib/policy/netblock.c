/* SPDX-License-Identifier: MIT */
/* Addresses that only a rule inside their own block can allow; see netblock.h. */
#include "policy/netblock.h"

#include <string.h>

#include "policy/policy.h"

/* clang-format off */
#define V4(a, b, c, d) { 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, (a), (b), (c), (d) }
#define V6(...) { __VA_ARGS__ }

const struct pyi_net_block pyi_net_blocks[] = {
	/* RFC 1122: connecting to 0.0.0.0 reaches this host */
	{ V4(0, 0, 0, 0), 104, "this host" },
	{ V4(127, 0, 0, 0), 104, "loopback" },
	/* RFC 3927; 169.254.169.254 is the metadata service of most clouds */
	{ V4(169, 254, 0, 0), 112, "link-local" },
	{ V4(100, 100, 100, 200), 128, "cloud metadata" },
	{ V4(192, 0, 0, 192), 128, "cloud metadata" },
	{ V4(168, 63, 129, 16), 128, "cloud metadata" },
	{ V6(0), 128, "this host" },
	{ V6([15] = 1), 128, "loopback" },
	{ V6(0xfe, 0x80), 10, "link-local" },
	{ V6(0xfd, 0x00, 0x0e, 0xc2, [14] = 0x02, 0x54), 128, "cloud metadata" },
	{ V6(0xfd, 0x20, 0x00, 0xce, [14] = 0x02, 0x54), 128, "cloud metadata" },
	/* RFC 6052, 8215, 3056: an IPv4 address inside an IPv6 one, any of the above among them */
	{ V6(0x00, 0x64, 0xff, 0x9b), 96, "NAT64" },
	{ V6(0x00, 0x64, 0xff, 0x9b, 0x00, 0x01), 48, "NAT64" },
	{ V6(0x20, 0x02), 16, "6to4" },
};
/* clang-format on */

const size_t pyi_n_net_blocks = sizeof(pyi_net_blocks) / sizeof(pyi_net_blocks[0]);

bool pyi_net_prefix_holds(const uint8_t prefix[16], uint8_t prefix_len, const uint8_t addr[16])
{
	size_t whole = prefix_len / 8;
	uint8_t rest = prefix_len % 8;

	if (memcmp(prefix, addr, whole))
		return false;
	return !rest || !((prefix[whole] ^ addr[whole]) >> (8 - rest));
}

const struct pyi_net_block *pyi_net_block_of(const uint8_t addr[16], uint8_t prefix_len)
{
	for (size_t i = 0; i < pyi_n_net_blocks; i++)
		if (prefix_len >= pyi_net_blocks[i].prefix_len &&
		    pyi_net_prefix_holds(pyi_net_blocks[i].addr, pyi_net_blocks[i].prefix_len, addr))
			return &pyi_net_blocks[i];
	return NULL;
}

bool pyi_net_rule_covers(const struct pyi_net_rule *rule, const uint8_t addr[16])
{
	const struct pyi_net_block *block;

	if (!pyi_net_prefix_holds(rule->addr, rule->prefix_len, addr))
		return false;
	if (rule->verdict == PYI_DENY)
		return true;
	block = pyi_net_block_of(addr, 128);
	return !block || pyi_net_block_of(rule->addr, rule->prefix_len) == block;
}
