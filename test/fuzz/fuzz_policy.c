/* SPDX-License-Identifier: MIT */
/*
 * Any bytes as a policy: no crash, either a policy or at least one error, and what is accepted prints as a policy that
 * is the same again. `extends` with a path would read files of this machine, so such inputs are left out.
 */
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/err.h"
#include "policy/policy.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void expect(int is_so)
{
	if (!is_so)
		abort();
}

static void check_accepted(const struct pyi_policy *policy)
{
	_cleanup_buf struct pyi_buf text = PYI_BUF_INIT, text_again = PYI_BUF_INIT;
	struct pyi_policy *again = NULL;
	struct pyi_err err;
	const struct pyi_fs_rule *fs;
	const struct pyi_net_rule *net;

	pyi_policy_print(policy, true, &text);
	expect(!text.failed);
	expect(pyi_policy_parse("again", text.data, text.len, &again, NULL, &err) == 0);
	expect(memcmp(policy->digest, again->digest, sizeof(policy->digest)) == 0);
	expect(again->n_fs == policy->n_fs && again->n_net == policy->n_net &&
	       again->n_env == policy->n_env);
	expect(!again->n_notes);
	pyi_policy_free(again);
	for (size_t i = 0; i < policy->n_fs && i < 20; i++)
		pyi_policy_decide_fs(policy, policy->fs[i].path, PYI_WRITE, &fs);
	for (size_t i = 0; i < policy->n_net && i < 20; i++)
		pyi_policy_decide_net(policy, PYI_NET_BIND, PYI_NET_UDP, policy->net[i].host,
				      policy->net[i].addr, policy->net[i].port_max, &net);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const char extends[] = "extends";
	struct pyi_policy_errors errors = { .lines = NULL };
	struct pyi_policy *policy = NULL;
	struct pyi_err err = { 0 };

	if (memmem(data, size, extends, strlen(extends)) && memchr(data, '/', size))
		return -1;
	if (pyi_policy_parse("fuzz", (const char *)data, size, &policy, &errors, &err) == 0) {
		expect(policy && !errors.n);
		check_accepted(policy);
		pyi_policy_free(policy);
	} else {
		expect(!policy && errors.n && err.msg[0]);
		pyi_policy_errors_release(&errors);
	}
	return 0;
}
