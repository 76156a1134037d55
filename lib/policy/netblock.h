/* SPDX-License-Identifier: MIT */
/*
 * Addresses that a wide rule must not open by accident: this host (loopback, "this network"), link-local and cloud
 * metadata services, and the prefixes through which a translator would reach all of those (NAT64, 6to4). They are
 * allowed only by a rule that lies inside their own block. Used by the decision and by the planner alike.
 */
#ifndef PYI_POLICY_NETBLOCK_H
#define PYI_POLICY_NETBLOCK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct pyi_net_rule;

struct pyi_net_block {
	uint8_t addr[16]; /* IPv4 as ::ffff:a.b.c.d */
	uint8_t prefix_len;
	const char *what; /* "loopback", "cloud metadata", ... for messages */
};

/* The blocks are disjoint. */
extern const struct pyi_net_block pyi_net_blocks[];
extern const size_t pyi_n_net_blocks;

/* Are the first `prefix_len` bits (0..128) of the two addresses the same? */
bool pyi_net_prefix_holds(const uint8_t prefix[16], uint8_t prefix_len, const uint8_t addr[16]);

/* The block that holds the whole of this prefix (128: an address), or NULL. */
const struct pyi_net_block *pyi_net_block_of(const uint8_t addr[16], uint8_t prefix_len);

/*
 * Is this address rule (host == NULL) about the address? A deny rule: when its prefix holds it. Others: also, when the
 * address is in a block, the rule's prefix must lie inside that block. Ports and kinds are not looked at.
 */
bool pyi_net_rule_covers(const struct pyi_net_rule *rule, const uint8_t addr[16]);

#endif
