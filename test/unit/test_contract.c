/* SPDX-License-Identifier: MIT */
/* Contracts of policies: what is read, what it means, what it compiles to, and every mistake with its column. */
#include <stdio.h>

#include "base/buf.h"
#include "base/util.h"
#include "policy/contract.h"
#include "policy/contract_tree.h"
#include "test/unit/policy_helper.h"

/* A policy with this one contract, in single quotes, in line 3; column 6 is the text's first. */
static char *document(const char *contract)
{
	_cleanup_buf struct pyi_buf text = PYI_BUF_INIT;

	pyi_buf_puts(&text, "version: 1\ncontracts:\n  - '");
	for (; *contract; contract++)
		pyi_buf_printf(&text, *contract == '\'' ? "''" : "%c", *contract);
	pyi_buf_puts(&text, "'\n");
	return pyi_buf_take(&text);
}

static struct pyi_policy *accept(const char *contract)
{
	_cleanup_free char *text = document(contract);

	return parse(text);
}

/* The contract's only error is at this column of its own text (from 1) and says this. */
static void refuses(const char *contract, unsigned int column, const char *words)
{
	_cleanup_errors struct pyi_policy_errors errors = { 0 };
	_cleanup_policy struct pyi_policy *policy = NULL;
	_cleanup_free char *text = document(contract);
	struct pyi_err err = { 0 };
	char place[48];

	snprintf(place, sizeof(place), "p.yml:3:%u: contract: ", column + 5);
	if (!pyi_policy_parse("p.yml", text, strlen(text), &policy, &errors, &err))
		fail_msg("accepted: %s", contract);
	if (errors.n != 1 || strncmp(err.msg, place, strlen(place)) != 0 || !strstr(err.msg, words))
		fail_msg("\nfor:  %s\n got: %s\nwant: %s...%s", contract, err.msg, place, words);
}

static void prints(const char *contract, const char *want)
{
	_cleanup_policy struct pyi_policy *p = accept(contract);
	_cleanup_policy struct pyi_policy *again = NULL;

	assert_int_equal(p->contracts->n, 1);
	assert_string_equal(p->contracts->v[0].text, want);
	again = accept(want);
	assert_string_equal(again->contracts->v[0].text, want);
}

struct value {
	unsigned int field;
	int64_t value;
};

/* Does the compiled contract hold, with these values and 0 for the rest? */
static bool holds(const char *contract, uint32_t events, const struct value *v, size_t n)
{
	_cleanup_policy struct pyi_policy *p = accept(contract);
	struct pyi_abi_contract_code code = { .n_ops = (uint32_t)p->contracts->n_ops };
	struct pyi_abi_contract_scratch scratch;
	__s64 values[PYI_VALUES] = { 0 };

	memcpy(code.ops, p->contracts->ops, sizeof(code.ops));
	for (size_t i = 0; i < n; i++)
		values[v[i].field] = v[i].value;
	return pyi_contract_eval(&code, values, events, &scratch) < 0;
}

static bool with_connects(const char *contract, int64_t connects)
{
	const struct value v[] = { { PYI_EV_CONNECT, connects } };

	return holds(contract, PYI_EV_BIT(PYI_EV_CONNECT), v, 1);
}

static void test_comparisons(void **state)
{
	assert_true(with_connects("net.connects <= 3", 3));
	assert_false(with_connects("net.connects <= 3", 4));
	assert_true(with_connects("net.connects < 3", 2));
	assert_false(with_connects("net.connects < 3", 3));
	assert_true(with_connects("3 > net.connects", 2));
	assert_false(with_connects("3 > net.connects", 3));
	assert_true(with_connects("3 >= net.connects", 3));
	assert_false(with_connects("3 >= net.connects", 4));
	assert_true(with_connects("net.connects == 0", 0));
	assert_false(with_connects("net.connects == 0", 1));
	assert_true(with_connects("net.connects != 2", 1));
	assert_false(with_connects("net.connects != 2", 2));
	assert_true(with_connects("net.connects != 2", 3));
}

static void test_arithmetic(void **state)
{
	const struct value v[] = { { PYI_EV_CONNECT, 5 }, { PYI_EV_SEND, 2 }, { PYI_EV_BIND, 1 } };
	const uint32_t all = PYI_EV_NET_ALL;

	assert_true(holds("net.connects + net.sends <= 7", all, v, 3));
	assert_false(holds("net.connects + net.sends <= 6", all, v, 3));
	assert_true(holds("net.connects - net.sends <= 3", all, v, 3));
	assert_false(holds("net.connects - net.sends <= 2", all, v, 3));
	assert_true(holds("net.sends - net.connects <= 0", all, v, 3));
	assert_true(holds("2 * net.sends <= net.connects", all, v, 3));
	assert_false(holds("net.sends * 3 <= net.connects", all, v, 3));
	assert_true(holds("net.connects - (net.sends + net.binds) <= 2", all, v, 3));
	assert_false(holds("net.connects - (net.sends - net.binds) <= 3", all, v, 3));
	assert_true(holds("net.connects <= 2 + 3", all, v, 3));
	assert_false(holds("net.connects <= 2 * 2", all, v, 3));
	assert_true(holds("(7 - 5) * net.connects <= 10", all, v, 3));
	assert_false(holds("3 * (net.connects - net.sends) <= 8", all, v, 3));
	/* Folded to one term, and to none of those that cancel out. */
	assert_true(holds("net.connects + net.connects <= 10", all, v, 3));
	assert_true(holds("net.connects + net.sends - net.sends <= 5", all, v, 3));
}

static void test_logic(void **state)
{
	const struct value v[] = { { PYI_EV_CONNECT, 5 }, { PYI_EV_BIND, 1 } };
	const uint32_t all = PYI_EV_NET_ALL;

	assert_true(holds("net.connects <= 5 and net.binds <= 1", all, v, 2));
	assert_false(holds("net.connects <= 4 and net.binds <= 1", all, v, 2));
	assert_false(holds("net.connects <= 5 and net.binds == 0", all, v, 2));
	assert_true(holds("net.connects == 0 or net.binds <= 1", all, v, 2));
	assert_true(holds("net.connects <= 5 or net.binds == 0", all, v, 2));
	assert_false(holds("net.connects == 0 or net.binds == 0", all, v, 2));
	assert_true(holds("not net.connects > 5", all, v, 2));
	assert_false(holds("not not net.connects < 5", all, v, 2));
	assert_true(holds("not (net.connects > 5 and net.binds > 0)", all, v, 2));
	assert_false(holds("not (net.connects > 5 or net.binds > 0)", all, v, 2));
	/* `and` before `or`. */
	assert_true(holds("net.connects < 9 or net.binds == 0 and net.binds == 0", all, v, 2));
	assert_false(holds("(net.connects < 9 or net.binds == 0) and net.binds == 0", all, v, 2));
	assert_true(holds("not net.connects == 5 or net.binds == 1", all, v, 2));
}

static void test_events(void **state)
{
	const struct value v[] = { { PYI_EV_CONNECT, 9 }, { PYI_EV_NET_DENIED, 9 } };

	/* Passed over where it does not speak of what happens. */
	assert_false(holds("net.connects <= 3", PYI_EV_BIT(PYI_EV_CONNECT), v, 2));
	assert_true(holds("net.connects <= 3", PYI_EV_BIT(PYI_EV_BIND), v, 2));
	/* What was refused counts for all calls of the network. */
	assert_false(holds("net.denied <= 3", PYI_EV_BIT(PYI_EV_SOCKET), v, 2));
	assert_true(holds("net.denied <= 3", PYI_EV_BIT(PYI_EV_OPEN), v, 2));
	assert_false(holds("exec.count == 0 or net.connects == 0", PYI_EV_BIT(PYI_EV_EXEC),
			   (struct value[]){ { PYI_EV_EXEC, 1 }, { PYI_EV_CONNECT, 1 } }, 2));
}

static void test_other_values(void **state)
{
	const struct value late[] = { { PYI_EV_CONNECT, 1 }, { PYI_VALUE_ELAPSED, 10001 } };
	const struct value ssh[] = { { PYI_EV_CONNECT, 1 }, { PYI_VALUE_PORT, 22 } };
	const uint32_t connect = PYI_EV_BIT(PYI_EV_CONNECT);

	assert_false(holds("time.elapsed <= 10s or net.connects == 0", connect, late, 2));
	assert_true(holds("time.elapsed <= 10.001s or net.connects == 0", connect, late, 2));
	assert_false(holds("event.port != 22", connect, ssh, 2));
	assert_true(holds("event.port != 23", connect, ssh, 2));
}

static void test_patterns(void **state)
{
	_cleanup_policy struct pyi_policy *p = NULL;
	const struct pyi_contract_pattern *pattern;

	p = parse("version: 1\ncontracts:\n"
		  "  - net.connects(\"10.0.0.0/8:443\") <= 1\n"
		  "  - net.connects('10.0.0.0/8:443') + net.binds(\"udp://[::1]:1-9\") <= 5\n"
		  "  - fs.opens(\"/etc/**\") == 0\n"
		  "  - net.denied(\"10.0.0.0/8:443\") == 0\n");
	assert_int_equal(p->contracts->n, 4);
	assert_int_equal(p->contracts->n_patterns, 4);
	pattern = &p->contracts->patterns[0];
	assert_int_equal(pattern->event, PYI_EV_CONNECT);
	assert_string_equal(pattern->text, "10.0.0.0/8:443");
	assert_int_equal(pattern->net.prefix_len, 104);
	assert_int_equal(pattern->net.protos, PYI_NET_TCP | PYI_NET_UDP);
	assert_int_equal(pattern->net.port_min, 443);
	pattern = &p->contracts->patterns[1];
	assert_int_equal(pattern->event, PYI_EV_BIND);
	assert_int_equal(pattern->net.protos, PYI_NET_UDP);
	assert_true(p->contracts->patterns[2].is_path && p->contracts->patterns[2].is_glob);
	assert_int_equal(p->contracts->ops[0].field, PYI_VALUE_SLOTS);
	assert_int_equal(p->contracts->ops[1].field, PYI_VALUE_SLOTS);
	assert_int_equal(p->contracts->ops[2].field, PYI_VALUE_SLOTS + 1);
	assert_int_equal(p->contracts->v[2].events, PYI_EV_BIT(PYI_EV_OPEN));
}

static void test_text(void **state)
{
	prints("net.connects<=3", "net.connects <= 3");
	prints("  ((net.connects))  <=  (3) ", "net.connects <= 3");
	prints("net.connects <= 1 or (net.binds <= 1 and net.sends <= 1)",
	       "net.connects <= 1 or net.binds <= 1 and net.sends <= 1");
	prints("(net.connects <= 1 or net.binds <= 1) and net.sends <= 1",
	       "(net.connects <= 1 or net.binds <= 1) and net.sends <= 1");
	prints("not(net.connects > 1)", "not net.connects > 1");
	prints("not (net.connects > 1 or net.binds > 1)", "not (net.connects > 1 or net.binds > 1)");
	prints("net.connects - (net.binds - 1) <= 2", "net.connects - (net.binds - 1) <= 2");
	prints("(net.connects - net.binds) - 1 <= 2", "net.connects - net.binds - 1 <= 2");
	prints("3 * (net.connects + 1) <= 9", "3 * (net.connects + 1) <= 9");
	prints("net.connects == 0 or time.elapsed<1500ms", "net.connects == 0 or time.elapsed < 1.5s");
	prints("net.connects('10.0.0.0/8') <= 1", "net.connects(\"10.0.0.0/8:*\") <= 1");
	prints("fs.opens('/srv//a/./\"b\"') == 0", "fs.opens('/srv/a/\"b\"') == 0");
}

static bool with_bytes(const char *contract, int64_t written, int64_t read)
{
	const struct value v[] = { { PYI_EV_BYTES_WRITTEN, written }, { PYI_EV_BYTES_READ, read } };

	return holds(contract, PYI_EV_BYTES, v, 2);
}

static void test_bytes(void **state)
{
	prints("fs.bytes_written<=10MiB", "fs.bytes_written <= 10MiB");
	prints("fs.bytes_read == 0", "fs.bytes_read == 0");
	assert_true(with_bytes("fs.bytes_written <= 10MiB", 10 << 20, 0));
	assert_false(with_bytes("fs.bytes_written <= 10MiB", (10 << 20) + 1, 0));
	assert_true(with_bytes("fs.bytes_written + fs.bytes_read <= 1KiB", 1000, 24));
	assert_false(with_bytes("fs.bytes_written + fs.bytes_read <= 1KiB", 1000, 25));
	assert_false(with_bytes("fs.bytes_written <= 2 * fs.bytes_read", 9, 4));
	/* A map for writing is more than any number. */
	assert_false(with_bytes("fs.bytes_written <= 1TiB", PYI_CONTRACT_VALUE_MAX, 0));
	assert_true(with_bytes("fs.bytes_written <= 1KiB or fs.creates == 0", PYI_CONTRACT_VALUE_MAX, 0));
}

static void test_syntax_errors(void **state)
{
	refuses("net.conects <= 3", 1, "unknown counter 'net.conects', did you mean 'net.connects'?");
	refuses("net.connects <= 3 and fs.open == 0", 23, "did you mean 'fs.opens'?, at 'fs.open == 0'");
	refuses("zebra <= 3", 1, "unknown counter 'zebra': pyisolate-policy(5) lists them");
	refuses("proc.forks <= 3", 1, "nothing counts 'proc.forks': 'limits: {pids: ...}'");
	refuses("fs.bytes_written <= 10", 21, "the unit is missing: '10KiB'?");
	refuses("fs.bytes_written <= 10s", 18, "bytes and a time do not go together");
	refuses("fs.bytes_read(\"/srv\") <= 1KiB", 14, "'fs.bytes_read' takes no pattern");
	refuses("net.connects <= 3 &&", 19, "'&&' is not known here, did you mean 'and'?");
	refuses("net.connects = 3", 14, "did you mean '=='?");
	refuses("net.connects => 3", 14, "did you mean '>='?");
	refuses("!net.connects <= 3", 1, "did you mean 'not'?");
	refuses("net.connects <= 3 / 2", 19, "no meaning in a contract, at '/ 2'");
	refuses("net.connects <=", 16, "a counter or a number is missing, at the end");
	refuses("net.connects <= and", 17, "a counter or a number is missing");
	refuses("net.connects <= 3 net.binds <= 1", 19, "'and', 'or' or the end is missing here");
	refuses("(net.connects <= 3", 19, "')' is missing, '(' is at column 1");
	refuses("net.connects <= 3)", 18, "')' without '('");
	refuses("1 <= net.connects <= 3", 19, "comparisons do not chain");
	refuses("net.connects <= 99999999999999999999", 17, "is too large");
	refuses("net.connects <= 1.5", 17, "not a whole number");
	refuses("net.connects <= 10Mib", 17, "unknown unit 'Mib' in '10Mib', did you mean 'MiB'?");
	refuses("fs.opens(\"/etc == 0", 10, "the string is not closed");
	refuses("fs.opens(/etc) == 0", 10, "no meaning");
	refuses("fs.opens() == 0", 10,
		"'fs.opens(' needs a pattern in quotes, such as fs.opens(\"/etc/**\")");
	refuses("fs.opens(\"/etc\" == 0", 17, "')' is missing behind the pattern");
	refuses("net.sockets(\"10.0.0.0/8\") == 0", 12, "'net.sockets' takes no pattern");
	refuses("net.connects(\"10.0.0.0/40\") == 0", 14, "out of range");
	refuses("net.connects(\"example.com:1\") == 0", 14, "'example.com:1' is a name");
	refuses("((((((((((((((((( net.connects <= 1 )))))))))))))))))", 17, "nested more than 16 deep");
	refuses("not not not not not not not not not not not not not not not not not net.binds < 1",
		65, "nested more than 16 deep");
}

static void test_type_errors(void **state)
{
	refuses("net.connects", 1, "this is a number: compare it with something");
	refuses("net.connects <= 3 or 7", 22, "this is a number");
	refuses("not net.connects", 5, "this is a number");
	refuses("(net.connects <= 3) + 1 <= 2", 15, "true or false, and a number is needed here");
	refuses("(net.connects <= 3) == (net.binds <= 3)", 15, "true or false, and a number");
	refuses("net.connects <= 10MiB", 14, "a count and bytes do not go together");
	refuses("time.elapsed <= 10 or net.connects == 0", 17, "the unit is missing: '10s'?");
	refuses("time.elapsed + net.binds <= 1s or net.connects == 0", 14,
		"a time and a count do not go together");
	refuses("net.connects * net.binds <= 3", 14, "one side of '*' is a number");
	refuses("1s * 1s * net.connects <= 3s", 4, "a time times a time is nothing to compare");
	refuses("net.connects * 281474976710656 <= 3", 14, "too large (more than 2^60)");
}

static void test_sense(void **state)
{
	refuses("net.connects >= 0", 14, "this comparison is always true, at '>= 0'");
	refuses("net.connects < 0", 14, "this comparison is never true");
	refuses("1 < 2", 3, "this comparison is always true");
	refuses("net.connects <= 1 or 2 == 3", 24, "this comparison is never true");
	refuses("event.port <= 65535", 12, "always true");
	refuses("net.connects - net.connects == 0", 29, "always true");
	refuses("net.connects <= 3 or net.connects >= 2", 19, "this is always true: it forbids nothing");
	refuses("not (net.binds > 3 and net.binds < 2)", 1, "always true: it forbids nothing");
	refuses("net.connects >= 1", 14, "does not hold before anything has happened");
	refuses("net.connects <= 3 and net.binds == 1", 19,
		"does not hold before anything has happened");
	refuses("time.elapsed <= 10s", 14, "nothing that is counted can break this");
	/* Not before a second has passed: true later, so it can be allowed. */
	prints("time.elapsed > 1s and net.connects <= 1", "time.elapsed > 1s and net.connects <= 1");
}

static void test_columns(void **state)
{
	static const struct {
		const char *text, *place;
	} cases[] = {
		{ "contracts: [net.binds <= 1, \"net.bindz <= 1\"]\n", "p.yml:2:30: " },
		{ "contracts:\n  -   nett.binds <= 1 # why\n", "p.yml:3:7: " },
		{ "contracts:\n  - net.binds(\"\xc3\xa9\") <= 1\n", "p.yml:3:15: " },
		{ "contracts:\n  - net.binds('[::1]:1') <= (1\n", "p.yml:3:31: " },
		/* Not in the document letter by letter: the line only. */
		{ "contracts:\n  - >-\n    net.binds <= 1\n    nd net.sends <= 1\n", "p.yml:3: " },
		{ "contracts:\n  - \"\\x6eett.binds <= 1\"\n", "p.yml:3: " },
	};

	for (size_t i = 0; i < PYI_ARRAY_SIZE(cases); i++) {
		_cleanup_policy struct pyi_policy *policy = NULL;
		_cleanup_free char *text = NULL;
		struct pyi_err err = { 0 };

		assert_true(asprintf(&text, "version: 1\n%s", cases[i].text) > 0);
		assert_true(pyi_policy_parse("p.yml", text, strlen(text), &policy, NULL, &err) < 0);
		if (strncmp(err.msg, cases[i].place, strlen(cases[i].place)) != 0)
			fail_msg("%s: %s", cases[i].place, err.msg);
		assert_null(strchr(err.msg, '\n'));
	}
}

static void test_limits(void **state)
{
	_cleanup_policy struct pyi_policy *policy = NULL;
	_cleanup_buf struct pyi_buf text = PYI_BUF_INIT, one = PYI_BUF_INIT;
	struct pyi_err err = { 0 };

	for (int i = 0; i < 130; i++)
		pyi_buf_puts(&one, "1 + ");
	pyi_buf_puts(&one, "1 < net.binds");
	refuses(one.data, 1, "a contract has at most 512 bytes");
	pyi_buf_puts(&text, "version: 1\ncontracts:\n");
	for (int i = 1; i <= 32; i++)
		pyi_buf_printf(&text, "  - net.binds <= %d\n", i);
	assert_int_equal(pyi_policy_parse("p.yml", text.data, text.len, &policy, NULL, &err), 0);
	assert_int_equal(policy->contracts->n_ops, 32);
	pyi_policy_free(policy);
	policy = NULL;
	/* Said twice is said once. */
	pyi_buf_puts(&text, "  - net.binds<=7\n");
	assert_int_equal(pyi_policy_parse("p.yml", text.data, text.len, &policy, NULL, &err), 0);
	assert_int_equal(policy->contracts->n, 32);
	pyi_policy_free(policy);
	policy = NULL;
	pyi_buf_puts(&text, "  - net.binds + net.sends <= 7\n");
	assert_true(pyi_policy_parse("p.yml", text.data, text.len, &policy, NULL, &err) < 0);
	assert_string_equal(err.msg, "p.yml:36:5: contract: this takes 2 of 32 operations and 0 are left for it, at "
				     "'net.binds + net.sends <= 7'");
}

static void test_schema(void **state)
{
	struct pyi_err err = { 0 };
	struct pyi_policy *policy = NULL;
	static const char as_map[] = "version: 1\ncontracts: {a: b}\n";
	static const char misspelt[] = "version: 1\ncontract: []\n";
	_cleanup_policy struct pyi_policy *none = parse("version: 1\ncontracts: []\n");

	assert_null(none->contracts);
	assert_true(pyi_policy_parse("p.yml", as_map, strlen(as_map), &policy, NULL, &err) < 0);
	assert_string_equal(
		err.msg, "p.yml:2: 'contracts' needs a list ('- net.connects <= 3'), this is a map");
	assert_true(pyi_policy_parse("p.yml", misspelt, strlen(misspelt), &policy, NULL, &err) < 0);
	assert_string_equal(
		err.msg, "p.yml:2: unknown key 'contract' in the policy, did you mean 'contracts'?");
}

static void test_code(void **state)
{
	_cleanup_policy struct pyi_policy *p = accept(
		"net.connects + 2 * net.binds <= 5 and (net.sends == 0 or not net.denied > 3)");
	static const char *const want[] = {
		"net.connects +",
		"2 * net.binds <= 5 ? 2 : broken",
		"net.sends == 0 ? holds : 3",
		"net.denied >= 4 ? broken : holds",
	};

	assert_int_equal(p->contracts->n_ops, PYI_ARRAY_SIZE(want));
	for (size_t i = 0; i < PYI_ARRAY_SIZE(want); i++) {
		_cleanup_buf struct pyi_buf out = PYI_BUF_INIT;

		pyi_contract_print_op(p->contracts, i, &out);
		assert_string_equal(pyi_buf_str(&out), want[i]);
	}
}

/* Counters that are absurdly high are taken for 2^48, so that nothing overflows. */
static void test_huge_values(void **state)
{
	const struct value v[] = { { PYI_EV_CONNECT, INT64_MAX }, { PYI_EV_BIND, INT64_MAX } };
	const uint32_t all = PYI_EV_NET_ALL;

	assert_false(holds("4000 * net.connects <= 1000000", all, v, 2));
	assert_true(holds("4000 * net.connects - 4000 * net.binds <= 0", all, v, 2));
	assert_false(holds("4000 * net.connects - 3999 * net.binds <= 0", all, v, 2));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_comparisons),   cmocka_unit_test(test_arithmetic),
		cmocka_unit_test(test_logic),	      cmocka_unit_test(test_events),
		cmocka_unit_test(test_other_values),  cmocka_unit_test(test_patterns),
		cmocka_unit_test(test_text),	      cmocka_unit_test(test_bytes),
		cmocka_unit_test(test_syntax_errors), cmocka_unit_test(test_type_errors),
		cmocka_unit_test(test_sense),	      cmocka_unit_test(test_columns),
		cmocka_unit_test(test_limits),	      cmocka_unit_test(test_schema),
		cmocka_unit_test(test_code),	      cmocka_unit_test(test_huge_values),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
