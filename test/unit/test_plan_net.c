/* SPDX-License-Identifier: MIT */
/*
 * Property: for random network rules, the longest row that holds an address gives the verdict that weighing all rules
 * gives (pyi_policy_decide_net), for every use and for ports at and beside each edge.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/err.h"
#include "base/util.h"
#include "plan/facts.h"
#include "plan/plan.h"
#include "policy/netblock.h"

static uint8_t hosts[][16] = {
	{ [10] = 0xff, 0xff, 192, 0, 2, 10 },
	{ 0x20, 0x01, 0x0d, 0xb8, [15] = 0x10 },
};
static char host_name[] = "api.example.com";
static struct pyi_resolved_name resolved[] = { { host_name, hosts, 2 } };
static const struct pyi_names names = { resolved, 1 };

static const char *const targets[] = {
	"*",
	"0.0.0.0/0",
	"::/0",
	"10.0.0.0/8",
	"10.1.0.0/16",
	"10.1.2.3",
	"10.1.2.0/31",
	"127.0.0.0/8",
	"127.0.0.1",
	"169.254.0.0/16",
	"169.254.169.254",
	"0.0.0.0",
	"100.64.0.0/10",
	"100.100.100.200",
	"[::1]",
	"[fe80::]/10",
	"[fe80::1]",
	"[2001:db8::]/32",
	"[2001:db8::10]",
	"[2000::]/3",
	"192.0.2.0/24",
	"192.0.2.10",
	"api.example.com",
	"[64:ff9b::a00:1]",
	"128.0.0.0/1",
	"[8000::]/1",
};
static const char *const ports[] = { "*", "80", "80-90", "85-443", "443", "1-1024", "0-79", "65535" };
static const uint16_t probe_ports[] = { 0,  1,	 79,  80,  81,	 84,   85,    90,
					91, 442, 443, 444, 1024, 1025, 65534, 65535 };

static const char *pick(const char *const *from, size_t n, unsigned int *seed)
{
	return from[(size_t)rand_r(seed) % n];
}

static struct pyi_policy *random_rules(struct pyi_buf *text, unsigned int *seed)
{
	static const char *const verbs[] = { "connect", "connect", "bind", "deny", "warn" };
	static const char *const schemes[] = { "", "", "udp://", "tcp://" };
	struct pyi_policy *policy = NULL;
	struct pyi_err err = { 0 };
	int n = 1 + rand_r(seed) % 6;

	pyi_buf_puts(text, "version: 1\nnet:\n");
	for (int i = 0; i < n; i++)
		pyi_buf_printf(text, "  - %s: \"%s%s:%s\"\n", pick(verbs, PYI_ARRAY_SIZE(verbs), seed),
			       pick(schemes, PYI_ARRAY_SIZE(schemes), seed),
			       pick(targets, PYI_ARRAY_SIZE(targets), seed),
			       pick(ports, PYI_ARRAY_SIZE(ports), seed));
	/* The same target both allowed and denied is refused by the parser: draw again. */
	if (pyi_policy_parse("t.yml", pyi_buf_str(text), text->len, &policy, NULL, &err))
		return NULL;
	return policy;
}

/* What the kernel side does with the rows. */
static const struct pyi_net_range *look_up(const struct pyi_plan *plan, const uint8_t addr[16],
					   uint16_t port, unsigned int use)
{
	const struct pyi_net_row *best = NULL;
	const struct pyi_net_range *found = NULL;

	for (size_t i = 0; i < plan->n_net; i++)
		if (pyi_net_prefix_holds(plan->net[i].addr, plan->net[i].prefix_len, addr) &&
		    (!best || plan->net[i].prefix_len > best->prefix_len))
			best = &plan->net[i];
	for (unsigned int i = 0; best && i < best->n_ranges; i++) {
		const struct pyi_net_range *range = &best->ranges[i];

		if (port < range->port_min || port > range->port_max ||
		    !(range->ops_protos & (1 << use)))
			continue;
		assert_null(found);
		found = range;
	}
	return found;
}

static void random_address(const struct pyi_plan *plan, unsigned int *seed, uint8_t addr[16])
{
	bool is_v4 = rand_r(seed) % 2;

	for (int i = 0; i < 16; i++)
		addr[i] = (uint8_t)rand_r(seed);
	if (is_v4) {
		memset(addr, 0, 10);
		addr[10] = addr[11] = 0xff;
	}
	switch (rand_r(seed) % 4) {
	case 0: /* the first or last address of a row, or one beside it */
		if (plan->n_net)
			memcpy(addr, plan->net[(size_t)rand_r(seed) % plan->n_net].addr, 16);
		addr[15] = (uint8_t)(addr[15] + rand_r(seed) % 3 - 1);
		break;
	case 1:
		memcpy(addr, pyi_net_blocks[(size_t)rand_r(seed) % pyi_n_net_blocks].addr, 16);
		addr[15] = (uint8_t)(addr[15] + rand_r(seed) % 3);
		break;
	case 2:
		memcpy(addr, hosts[rand_r(seed) % 2], 16);
		break;
	default:
		break;
	}
}

static enum pyi_verdict decide(const struct pyi_policy *policy, unsigned int use,
			       const uint8_t addr[16], uint16_t port)
{
	enum pyi_net_op op = use < 2 ? PYI_NET_CONNECT : PYI_NET_BIND;
	enum pyi_net_proto proto = use % 2 ? PYI_NET_UDP : PYI_NET_TCP;
	const struct pyi_net_rule *rule;
	bool is_host = !memcmp(addr, hosts[0], 16) || !memcmp(addr, hosts[1], 16);

	return pyi_policy_decide_net(policy, op, proto, is_host ? host_name : NULL, addr, port, &rule);
}

static void check_address(const struct pyi_policy *policy, const struct pyi_plan *plan,
			  const uint8_t addr[16], const char *text)
{
	for (size_t i = 0; i < PYI_ARRAY_SIZE(probe_ports); i++) {
		for (unsigned int use = 0; use < 4; use++) {
			const struct pyi_net_range *range = look_up(plan, addr, probe_ports[i], use);
			enum pyi_verdict want = decide(policy, use, addr, probe_ports[i]);
			enum pyi_verdict got = !range		? PYI_DENY
					       : range->is_warn ? PYI_WARN
								: PYI_ALLOW;

			/* Outside dev, `warn` denies. */
			if (plan->mode != PYI_MODE_DEV && want == PYI_WARN)
				want = PYI_DENY;
			if (want != got)
				fail_msg("%s%u.%u.%u.%u (first byte %u) port %u use %u: rows %d, policy %d",
					 text, addr[12], addr[13], addr[14], addr[15], addr[0],
					 probe_ports[i], use, got, want);
			if (range && policy->net[range->rule].verdict !=
					     (range->is_warn ? PYI_WARN : PYI_ALLOW))
				fail_msg("%s: wrong rule %u named", text, range->rule);
		}
	}
}

static void test_rows_agree_with_rules(void **state)
{
	struct pyi_facts facts = { .is_root = true,
				   .landlock_abi = 7,
				   .cgroup_kind = PYI_CGROUP_V2,
				   .cgroup_v2_dir = "/sys/fs/cgroup/p" };
	unsigned int seed = 1;
	int plans = 0;

	for (int round = 0; round < 4000; round++) {
		_cleanup_buf struct pyi_buf text = PYI_BUF_INIT;
		struct pyi_policy *policy = random_rules(&text, &seed);
		struct pyi_plan_options options = { .default_uid = 700001,
						    .mode = round % 2 ? PYI_MODE_DEV : PYI_MODE_DEFAULT };
		struct pyi_plan *plan = NULL;
		struct pyi_err err = { 0 };

		if (!policy)
			continue;
		plans++;
		if (pyi_plan_build(policy, &options, &facts, NULL, &names, &plan, &err))
			fail_msg("%s: %s", pyi_buf_str(&text), err.msg);
		for (int i = 0; i < 40; i++) {
			uint8_t addr[16];

			random_address(plan, &seed, addr);
			check_address(policy, plan, addr, pyi_buf_str(&text));
		}
		assert_int_equal(plan->own_netns, plan->n_net == 0);
		pyi_plan_free(plan);
		pyi_policy_free(policy);
	}
	assert_true(plans > 1000);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_rows_agree_with_rules),
	};

	return cmocka_run_group_tests_name("plan_net", tests, NULL, NULL);
}
