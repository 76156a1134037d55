/* SPDX-License-Identifier: MIT */
/*
 * Contracts, divided by ';'. The first byte chooses: the rest is text, or the choices of a generator that writes sound
 * contracts. What parser and checks accept prints as a contract that is accepted and prints the same; and the compiled
 * byte code, run by the programs' own evaluator, says of any values what the trees say, contract by contract.
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "policy/contract.h"
#include "policy/contract_tree.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { CONTRACTS_MAX = 8, ROUNDS = 48 };

struct source {
	const uint8_t *data;
	size_t size;
};

struct state {
	struct pyi_contract_tree trees[CONTRACTS_MAX];
	uint32_t events[CONTRACTS_MAX];
	size_t n;
	struct pyi_abi_contract_code code;
	uint64_t seed;
};

static void expect(int is_so)
{
	if (!is_so)
		abort();
}

static unsigned int take(struct source *s, unsigned int n)
{
	unsigned int byte = 0;

	if (s->size) {
		byte = *s->data++;
		s->size--;
	}
	return byte % n;
}

/* A sum is of counts, or of bytes. */
static void write_term(struct source *s, bool is_bytes, struct pyi_buf *out)
{
	static const char *const names[] = { "net.connects",
					     "net.sends",
					     "net.binds",
					     "exec.count",
					     "fs.opens(\"/etc/**\")",
					     "net.denied",
					     "event.port",
					     "net.connects('10.0.0.0/8:443')",
					     "net.sockets" };
	static const char *const sizes[] = { "fs.bytes_written", "fs.bytes_read" };

	if (take(s, 3) == 0)
		pyi_buf_printf(out, "%u * ", take(s, 9));
	if (take(s, 4) == 0)
		pyi_buf_printf(out, "(%u - %u)*", take(s, 9), take(s, 9));
	pyi_buf_puts(out, is_bytes ? sizes[take(s, 2)]
				   : names[take(s, sizeof(names) / sizeof(names[0]))]);
}

static void write_constant(struct source *s, bool is_bytes, struct pyi_buf *out)
{
	pyi_buf_printf(out, "%u%s", take(s, 256), is_bytes ? "KiB" : "");
}

static void write_sum(struct source *s, bool is_bytes, struct pyi_buf *out)
{
	write_term(s, is_bytes, out);
	for (unsigned int n = take(s, 3); n; n--) {
		pyi_buf_puts(out, take(s, 2) ? " + " : " - ");
		if (take(s, 3) == 0)
			write_constant(s, is_bytes, out);
		else
			write_term(s, is_bytes, out);
	}
}

static void write_contract(struct source *s, unsigned int depth, struct pyi_buf *out)
{
	static const char *const relations[] = { "<", "<=", ">", ">=", "==", "!=" };
	bool is_bytes;

	switch (depth ? take(s, 6) : 0) {
	case 1:
	case 2:
		write_contract(s, depth - 1, out);
		pyi_buf_puts(out, take(s, 2) ? " and " : " or ");
		write_contract(s, depth - 1, out);
		break;
	case 3:
		pyi_buf_puts(out, "not ");
		write_contract(s, depth - 1, out);
		break;
	case 4:
		pyi_buf_puts(out, "(");
		write_contract(s, depth - 1, out);
		pyi_buf_puts(out, ")");
		break;
	default:
		is_bytes = take(s, 4) == 3;
		write_sum(s, is_bytes, out);
		pyi_buf_printf(out, " %s ", relations[take(s, 6)]);
		if (take(s, 3))
			write_constant(s, is_bytes, out);
		else
			write_sum(s, is_bytes, out);
		break;
	}
}

static void print(const struct pyi_contract_tree *tree, struct pyi_buf *out)
{
	const char *patterns[PYI_CONTRACT_SLOTS];

	for (size_t i = 0; i < tree->n_patterns; i++)
		patterns[i] = tree->patterns[i].text;
	pyi_contract_print(tree, patterns, out);
	expect(!out->failed);
}

/* The printed form means the same and prints the same. */
static void check_print(const struct pyi_contract_tree *tree)
{
	_cleanup_buf struct pyi_buf text = PYI_BUF_INIT, text_again = PYI_BUF_INIT;
	struct pyi_contract_tree *again = calloc(1, sizeof(*again));
	struct pyi_contract_error error;

	print(tree, &text);
	if (again && text.len <= PYI_CONTRACT_TEXT_MAX) {
		expect(pyi_contract_parse(text.data, again, &error) == 0);
		expect(pyi_contract_check(again, &error) == 0);
		print(again, &text_again);
		expect(strcmp(text.data, text_again.data) == 0);
		expect(again->n_patterns == tree->n_patterns);
		pyi_contract_tree_release(again);
	}
	free(again);
}

static void add_contract(struct state *s, char *text)
{
	struct pyi_contract_tree *tree = &s->trees[s->n];
	struct pyi_contract_error error = { .msg = "" };

	if (s->n == CONTRACTS_MAX)
		return;
	memset(tree, 0, sizeof(*tree));
	if (pyi_contract_parse(text, tree, &error) || pyi_contract_check(tree, &error)) {
		expect(error.msg[0] && error.offset <= strlen(text));
		pyi_contract_tree_release(tree);
		return;
	}
	check_print(tree);
	if (s->code.n_ops + pyi_contract_size(tree) > PYI_CONTRACT_OPS) {
		pyi_contract_tree_release(tree);
		return;
	}
	s->events[s->n] = pyi_contract_events(tree);
	expect(s->events[s->n] != 0);
	pyi_contract_compile(tree, (uint8_t)s->n, s->events[s->n], s->code.ops, s->code.n_ops);
	s->code.n_ops += (uint32_t)pyi_contract_size(tree);
	s->n++;
}

static uint64_t random_number(struct state *s)
{
	s->seed ^= s->seed << 13;
	s->seed ^= s->seed >> 7;
	s->seed ^= s->seed << 17;
	return s->seed;
}

/* Near where a comparison changes, small, or as large as can be. */
static int64_t random_value(struct state *s)
{
	const struct pyi_abi_contract_op *op = &s->code.ops[random_number(s) % s->code.n_ops];
	int64_t value;

	switch (random_number(s) % 5) {
	case 0:
		return (int64_t)(random_number(s) % 4);
	case 1:
		return (int64_t)(random_number(s) % 65536);
	case 2:
		return (int64_t)(random_number(s) >> 1);
	default:
		value = op->constant / (op->coef ? op->coef : 1) + (int64_t)(random_number(s) % 3) - 1;
		return value < 0 ? 0 : value;
	}
}

static void check_values(struct state *s)
{
	struct pyi_abi_contract_scratch scratch;
	int64_t values[PYI_VALUES] = { 0 };
	uint32_t events = (uint32_t)random_number(s);
	int want = -1;

	for (unsigned int i = 0; i < PYI_VALUES; i++)
		values[i] = random_value(s);
	values[PYI_VALUE_PORT] &= 65535;
	for (size_t i = 0; i < s->n && want < 0; i++)
		if (s->events[i] & events && !pyi_contract_holds(&s->trees[i], values))
			want = (int)i;
	expect(pyi_contract_eval(&s->code, (const __s64 *)values, events, &scratch) == want);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	_cleanup_buf struct pyi_buf text = PYI_BUF_INIT;
	struct source source = { .data = data, .size = size };
	struct state *s = calloc(1, sizeof(*s));

	if (!s || !size) {
		free(s);
		return -1;
	}
	s->seed = size + 1;
	for (size_t i = 0; i < size; i++)
		s->seed = s->seed * 1099511628211u + data[i] + 1;
	s->seed |= 1;
	if (take(&source, 2)) {
		for (unsigned int n = 1 + take(&source, 4); n; n--) {
			write_contract(&source, 4, &text);
			pyi_buf_puts(&text, ";");
		}
	} else {
		pyi_buf_add(&text, source.data, source.size);
	}
	if (text.data)
		for (char *rest = text.data, *one; (one = strsep(&rest, ";"));)
			add_contract(s, one);
	for (int i = 0; i < ROUNDS && s->n; i++)
		check_values(s);
	for (size_t i = 0; i < s->n; i++)
		pyi_contract_tree_release(&s->trees[i]);
	free(s);
	return 0;
}
