/* SPDX-License-Identifier: MIT */
/*
 * From a checked tree to the byte code of bpf/contract_abi.h. A comparison is as many operations as it has terms;
 * `and`, `or` and `not` are only where their comparisons go on, so all jumps lead further down: the places follow from
 * the sizes, and nothing is patched afterwards.
 */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/buf.h"
#include "policy/contract.h"
#include "policy/contract_tree.h"

struct writer {
	const struct pyi_contract_tree *tree;
	struct pyi_abi_contract_op *ops;
	uint8_t contract;
	uint16_t events;
};

static size_t size_of(const struct pyi_contract_tree *t, uint16_t i)
{
	const struct pyi_contract_node *n = &t->v[i];
	struct pyi_contract_sum sum;
	size_t terms = 0;

	if (n->kind == PYI_CONTRACT_NOT)
		return size_of(t, n->a);
	if (n->kind == PYI_CONTRACT_AND || n->kind == PYI_CONTRACT_OR)
		return size_of(t, n->a) + size_of(t, n->b);
	pyi_contract_sum(t, i, &sum);
	for (unsigned int f = 0; f < PYI_VALUES; f++)
		terms += sum.coef[f] != 0;
	return terms;
}

size_t pyi_contract_size(const struct pyi_contract_tree *tree)
{
	return size_of(tree, tree->root);
}

/* "sum + c REL 0" as "sum REL' -c"; numbers are far from the ends of 64 bits. */
static void set_relation(struct pyi_abi_contract_op *op, uint8_t kind, int64_t constant)
{
	op->constant = -constant;
	switch (kind) {
	case PYI_CONTRACT_LT:
		op->constant--;
		op->rel = PYI_REL_LE;
		break;
	case PYI_CONTRACT_LE:
		op->rel = PYI_REL_LE;
		break;
	case PYI_CONTRACT_GT:
		op->constant++;
		op->rel = PYI_REL_GE;
		break;
	case PYI_CONTRACT_GE:
		op->rel = PYI_REL_GE;
		break;
	case PYI_CONTRACT_EQ:
		op->rel = PYI_REL_EQ;
		break;
	default:
		op->rel = PYI_REL_NE;
		break;
	}
}

static void write_comparison(struct writer *w, uint16_t i, size_t start, uint8_t on_true, uint8_t on_false)
{
	struct pyi_abi_contract_op *op = NULL;
	struct pyi_contract_sum sum;

	pyi_contract_sum(w->tree, i, &sum);
	for (unsigned int f = 0; f < PYI_VALUES; f++) {
		if (!sum.coef[f])
			continue;
		op = &w->ops[start++];
		*op = (struct pyi_abi_contract_op){
			.field = (uint8_t)f,
			.events = w->events,
			.contract = w->contract,
			.coef = sum.coef[f],
		};
	}
	if (!op) /* checked: a comparison without a counter is always or never true */
		return;
	op->on_true = on_true;
	op->on_false = on_false;
	set_relation(op, w->tree->v[i].kind, sum.constant);
}

static void write_node(struct writer *w, uint16_t i, size_t start, uint8_t on_true, uint8_t on_false)
{
	const struct pyi_contract_node *n = &w->tree->v[i];
	size_t middle;

	switch (n->kind) {
	case PYI_CONTRACT_NOT:
		write_node(w, n->a, start, on_false, on_true);
		break;
	case PYI_CONTRACT_AND:
		middle = start + size_of(w->tree, n->a);
		write_node(w, n->a, start, (uint8_t)middle, on_false);
		write_node(w, n->b, middle, on_true, on_false);
		break;
	case PYI_CONTRACT_OR:
		middle = start + size_of(w->tree, n->a);
		write_node(w, n->a, start, on_true, (uint8_t)middle);
		write_node(w, n->b, middle, on_true, on_false);
		break;
	default:
		write_comparison(w, i, start, on_true, on_false);
		break;
	}
}

void pyi_contract_compile(const struct pyi_contract_tree *tree, uint8_t contract, uint32_t events,
			  struct pyi_abi_contract_op *ops, size_t start)
{
	struct writer w = { .tree = tree, .ops = ops, .contract = contract, .events = (uint16_t)events };

	write_node(&w, tree->root, start, (uint8_t)(start + pyi_contract_size(tree)),
		   PYI_CONTRACT_BROKEN);
}

/* -------------------------------------------------------------------------------------------------------- printing */

static void print_target(const struct pyi_contract_set *set, size_t i, uint8_t target,
			 struct pyi_buf *out)
{
	if (target == PYI_CONTRACT_BROKEN)
		pyi_buf_puts(out, "broken");
	else if (target >= set->n_ops || set->ops[target].contract != set->ops[i].contract)
		pyi_buf_puts(out, "holds");
	else
		pyi_buf_printf(out, "%u", target);
}

void pyi_contract_print_op(const struct pyi_contract_set *set, size_t i, struct pyi_buf *out)
{
	static const char *const relations[] = {
		[PYI_REL_LE] = "<=", [PYI_REL_GE] = ">=", [PYI_REL_EQ] = "==", [PYI_REL_NE] = "!="
	};
	const struct pyi_abi_contract_op *op = &set->ops[i];
	const struct pyi_contract_pattern *pattern = NULL;

	if (op->field >= PYI_VALUE_SLOTS && op->field < PYI_VALUE_SLOTS + PYI_CONTRACT_SLOTS)
		pattern = &set->patterns[op->field - PYI_VALUE_SLOTS];
	if (op->coef != 1)
		pyi_buf_printf(out, "%" PRId64 " * ", (int64_t)op->coef);
	pyi_buf_puts(out, pyi_contract_field_name(pattern ? pattern->event : op->field));
	if (pattern)
		pyi_buf_printf(out, strchr(pattern->text, '"') ? "('%s')" : "(\"%s\")", pattern->text);
	if (op->rel == PYI_REL_NONE) {
		pyi_buf_puts(out, " +");
		return;
	}
	pyi_buf_printf(out, " %s %" PRId64 " ? ", relations[op->rel], (int64_t)op->constant);
	print_target(set, i, op->on_true, out);
	pyi_buf_puts(out, " : ");
	print_target(set, i, op->on_false, out);
}
