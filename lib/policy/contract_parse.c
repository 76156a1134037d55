/* SPDX-License-Identifier: MIT */
/*
 * A contract's text to a tree, by recursive descent:
 *
 *	or      = and { "or" and }
 *	and     = not { "and" not }
 *	not     = "not" not | compare
 *	compare = sum [ ("<" | "<=" | ">" | ">=" | "==" | "!=") sum ]
 *	sum     = product { ("+" | "-") product }
 *	product = atom { "*" atom }
 *	atom    = NUMBER [UNIT] | NAME [ "(" STRING ")" ] | "(" or ")"
 *
 * Depth is bounded by a counter, length by the text's and by the number of nodes. The first mistake ends it.
 */
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/err.h"
#include "base/parse.h"
#include "policy/contract.h"
#include "policy/contract_tree.h"

enum token_kind {
	TOKEN_END,
	TOKEN_NUMBER,
	TOKEN_NAME, /* and, or and not too */
	TOKEN_STRING,
	TOKEN_SIGN,
};

struct token {
	enum token_kind kind;
	size_t offset;
	size_t len;
	enum pyi_contract_kind op; /* of a comparison's sign */
};

struct parser {
	const char *text;
	struct token token; /* the one to come */
	struct pyi_contract_tree *tree;
	struct pyi_contract_error *error;
	unsigned int depth;
	int ret; /* of the first mistake */
};

static const struct {
	const char *sign;
	enum pyi_contract_kind op;
} comparisons[] = {
	{ "<=", PYI_CONTRACT_LE }, { ">=", PYI_CONTRACT_GE }, { "==", PYI_CONTRACT_EQ },
	{ "!=", PYI_CONTRACT_NE }, { "<", PYI_CONTRACT_LT },  { ">", PYI_CONTRACT_GT },
};

/* What people write instead, and what is meant. */
static const struct {
	const char *sign, *meant;
} slips[] = {
	{ "&&", "and" }, { "||", "or" }, { "=<", "<=" }, { "=>", ">=" }, { "=", "==" },
	{ "!", "not" },	 { "&", "and" }, { "|", "or" },	 { "<>", "!=" },
};

static uint16_t or_expr(struct parser *p);

static uint16_t wrong(struct parser *p, size_t offset, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));

static uint16_t wrong(struct parser *p, size_t offset, const char *fmt, ...)
{
	va_list args;

	if (p->ret)
		return 0;
	p->ret = -EINVAL;
	p->error->offset = offset;
	va_start(args, fmt);
	vsnprintf(p->error->msg, sizeof(p->error->msg), fmt, args);
	va_end(args);
	return 0;
}

/* Where no token begins: what it may have been. */
static void stray(struct parser *p, size_t offset)
{
	const char *s = p->text + offset;

	for (size_t i = 0; i < sizeof(slips) / sizeof(slips[0]); i++) {
		if (strncmp(s, slips[i].sign, strlen(slips[i].sign)) != 0)
			continue;
		wrong(p, offset, "'%s' is not known here, did you mean '%s'?", slips[i].sign,
		      slips[i].meant);
		return;
	}
	wrong(p, offset, "this has no meaning in a contract");
}

static bool is_name_char(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
	       c == '_' || c == '.';
}

static void take_sign(struct parser *p)
{
	const char *s = p->text + p->token.offset;

	p->token.kind = TOKEN_SIGN;
	p->token.len = 1;
	if (strncmp(s, "=<", 2) == 0 || strncmp(s, "=>", 2) == 0 || strncmp(s, "<>", 2) == 0) {
		stray(p, p->token.offset);
		return;
	}
	for (size_t i = 0; i < sizeof(comparisons) / sizeof(comparisons[0]); i++) {
		if (strncmp(s, comparisons[i].sign, strlen(comparisons[i].sign)) != 0)
			continue;
		p->token.len = strlen(comparisons[i].sign);
		p->token.op = comparisons[i].op;
		return;
	}
	if (!strchr("+-*()", *s))
		stray(p, p->token.offset);
}

/* On to the next token. */
static void next(struct parser *p)
{
	const char *s = p->text + p->token.offset + p->token.len;
	const char *end;

	s += strspn(s, " \t\n");
	p->token = (struct token){ .kind = TOKEN_END, .offset = (size_t)(s - p->text) };
	if (!*s)
		return;
	for (end = s; is_name_char(*end); end++)
		;
	p->token.len = (size_t)(end - s);
	if (*s >= '0' && *s <= '9') {
		p->token.kind = TOKEN_NUMBER;
	} else if (p->token.len) {
		p->token.kind = TOKEN_NAME;
	} else if (*s == '"' || *s == '\'') {
		p->token.kind = TOKEN_STRING;
		end = strchr(s + 1, *s);
		if (!end)
			wrong(p, p->token.offset,
			      "the string is not closed (has it ' #' in it? then the whole contract stands in quotes)");
		p->token.len = end ? (size_t)(end - s) + 1 : strlen(s);
	} else {
		take_sign(p);
	}
}

static bool is_sign(const struct parser *p, const char *sign)
{
	return p->token.kind == TOKEN_SIGN && p->token.len == strlen(sign) &&
	       strncmp(p->text + p->token.offset, sign, p->token.len) == 0;
}

static bool is_word(const struct parser *p, const char *word)
{
	return p->token.kind == TOKEN_NAME && p->token.len == strlen(word) &&
	       strncmp(p->text + p->token.offset, word, p->token.len) == 0;
}

static uint16_t add(struct parser *p, enum pyi_contract_kind kind, size_t offset, uint16_t a, uint16_t b)
{
	struct pyi_contract_tree *t = p->tree;

	if (p->ret)
		return 0;
	if (t->n == PYI_CONTRACT_NODES_MAX)
		return wrong(p, offset, "the contract is too long: split it into several");
	t->v[t->n] = (struct pyi_contract_node){
		.kind = (uint8_t)kind, .a = a, .b = b, .offset = (uint16_t)offset
	};
	return t->n++;
}

static bool enter(struct parser *p)
{
	if (++p->depth <= PYI_CONTRACT_DEPTH_MAX)
		return true;
	wrong(p, p->token.offset, "nested more than %d deep", PYI_CONTRACT_DEPTH_MAX);
	return false;
}

/* "3", "10MiB", "1.5s" */
static uint16_t number(struct parser *p)
{
	static const char *const times[] = { "ms", "s", "m", "h", "d" };
	char text[64], *unit;
	struct pyi_err err = { 0 };
	enum pyi_contract_unit kind = PYI_UNIT_COUNT;
	uint64_t value = 0;
	uint16_t node;
	int r;

	if (p->token.len >= sizeof(text))
		return wrong(p, p->token.offset, "the number is too long");
	memcpy(text, p->text + p->token.offset, p->token.len);
	text[p->token.len] = '\0';
	unit = text + strspn(text, "0123456789.");
	if (*unit)
		kind = PYI_UNIT_BYTES;
	for (size_t i = 0; i < sizeof(times) / sizeof(times[0]); i++)
		if (strcmp(unit, times[i]) == 0)
			kind = PYI_UNIT_TIME;
	if (kind == PYI_UNIT_COUNT)
		r = pyi_parse_u64(text, 0, PYI_CONTRACT_VALUE_MAX, &value, &err);
	else if (kind == PYI_UNIT_BYTES)
		r = pyi_parse_size(text, &value, &err);
	else
		r = pyi_parse_duration(text, &value, &err);
	if (r)
		return wrong(p, p->token.offset, "%.300s", err.msg);
	if (value > PYI_CONTRACT_VALUE_MAX)
		return wrong(p, p->token.offset, "'%s' is too large", text);
	node = add(p, PYI_CONTRACT_NUMBER, p->token.offset, 0, 0);
	p->tree->v[node].number = (int64_t)value;
	p->tree->v[node].unit = (uint8_t)kind;
	next(p);
	return node;
}

static const struct pyi_contract_field *find_field(struct parser *p)
{
	const char *names[PYI_CONTRACT_NAMES_MAX], *near;
	char name[64];

	snprintf(name, sizeof(name), "%.*s", (int)(p->token.len < 63 ? p->token.len : 63),
		 p->text + p->token.offset);
	for (size_t i = 0; i < pyi_n_contract_fields; i++) {
		names[i] = pyi_contract_fields[i].name;
		if (strcmp(names[i], name) != 0)
			continue;
		if (!pyi_contract_fields[i].instead)
			return &pyi_contract_fields[i];
		wrong(p, p->token.offset, "nothing counts '%s': %s", name,
		      pyi_contract_fields[i].instead);
		return NULL;
	}
	near = pyi_parse_nearest(name, names, pyi_n_contract_fields);
	wrong(p, p->token.offset, "unknown counter '%s'%s%s%s", name, near ? ", did you mean '" : "",
	      near ? near : "", near ? "'?" : ": pyisolate-policy(5) lists them");
	return NULL;
}

/* The rest of `NAME("PATTERN")`, from the parenthesis. */
static void pattern(struct parser *p, const struct pyi_contract_field *field, uint16_t node)
{
	struct pyi_contract_tree *t = p->tree;
	struct pyi_contract_string *string;
	size_t open = p->token.offset;

	if (p->ret)
		return;
	if (!field->takes_path && !field->takes_address) {
		wrong(p, open, "'%s' takes no pattern", field->name);
		return;
	}
	next(p);
	if (p->token.kind != TOKEN_STRING) {
		wrong(p, p->token.offset, "'%s(' needs a pattern in quotes, such as %s(\"%s\")",
		      field->name, field->name, field->takes_path ? "/etc/**" : "10.0.0.0/8:443");
		return;
	}
	if (p->ret)
		return;
	if (t->n_patterns == PYI_CONTRACT_SLOTS) {
		wrong(p, p->token.offset, "more than %d patterns", PYI_CONTRACT_SLOTS);
		return;
	}
	for (size_t i = 0; i < p->token.len; i++) {
		unsigned char c = (unsigned char)p->text[p->token.offset + i];

		if (c >= 0x20 && c != 0x7f)
			continue;
		wrong(p, p->token.offset, "the pattern holds a control character");
		return;
	}
	string = &t->patterns[t->n_patterns++];
	string->event = field->field;
	string->offset = (uint16_t)p->token.offset;
	string->text = strndup(p->text + p->token.offset + 1, p->token.len - 2);
	if (!string->text)
		p->ret = -ENOMEM;
	t->v[node].pattern = (uint8_t)t->n_patterns;
	t->v[node].field = (uint8_t)(PYI_VALUE_SLOTS + t->n_patterns - 1);
	next(p);
	if (!is_sign(p, ")"))
		wrong(p, p->token.offset, "')' is missing behind the pattern");
	next(p);
}

static uint16_t counter(struct parser *p)
{
	const struct pyi_contract_field *field = find_field(p);
	uint16_t node;

	if (!field)
		return 0;
	node = add(p, PYI_CONTRACT_FIELD, p->token.offset, 0, 0);
	p->tree->v[node].field = field->field;
	next(p);
	if (is_sign(p, "("))
		pattern(p, field, node);
	return node;
}

static uint16_t atom(struct parser *p)
{
	size_t open = p->token.offset;
	uint16_t node;

	if (p->ret)
		return 0;
	if (p->token.kind == TOKEN_NUMBER)
		return number(p);
	if (p->token.kind == TOKEN_NAME && !is_word(p, "and") && !is_word(p, "or") && !is_word(p, "not"))
		return counter(p);
	if (!is_sign(p, "("))
		return wrong(p, open, "a counter or a number is missing");
	if (!enter(p))
		return 0;
	next(p);
	node = or_expr(p);
	if (!is_sign(p, ")"))
		wrong(p, p->token.offset, "')' is missing, '(' is at column %zu of the contract",
		      open + 1);
	next(p);
	p->depth--;
	return node;
}

static uint16_t product(struct parser *p)
{
	uint16_t node = atom(p);

	while (!p->ret && is_sign(p, "*")) {
		size_t sign = p->token.offset;

		next(p);
		node = add(p, PYI_CONTRACT_MUL, sign, node, atom(p));
	}
	return node;
}

static uint16_t sum(struct parser *p)
{
	uint16_t node = product(p);

	while (!p->ret && (is_sign(p, "+") || is_sign(p, "-"))) {
		size_t sign = p->token.offset;
		bool is_add = is_sign(p, "+");

		next(p);
		node = add(p, is_add ? PYI_CONTRACT_ADD : PYI_CONTRACT_SUB, sign, node, product(p));
	}
	return node;
}

/* 0 (a number's kind, so no comparison) when the next token is none. */
static enum pyi_contract_kind comparison(const struct parser *p)
{
	return p->token.kind == TOKEN_SIGN ? p->token.op : PYI_CONTRACT_NUMBER;
}

static uint16_t compare(struct parser *p)
{
	uint16_t node = sum(p);
	enum pyi_contract_kind kind = comparison(p);
	size_t sign = p->token.offset;

	if (p->ret || kind == PYI_CONTRACT_NUMBER)
		return node;
	next(p);
	node = add(p, kind, sign, node, sum(p));
	if (!p->ret && comparison(p) != PYI_CONTRACT_NUMBER)
		wrong(p, p->token.offset, "comparisons do not chain: join two of them with 'and'");
	return node;
}

static uint16_t not_expr(struct parser *p)
{
	size_t sign = p->token.offset;
	uint16_t node;

	if (!is_word(p, "not"))
		return compare(p);
	if (!enter(p))
		return 0;
	next(p);
	node = add(p, PYI_CONTRACT_NOT, sign, not_expr(p), 0);
	p->depth--;
	return node;
}

static uint16_t and_expr(struct parser *p)
{
	uint16_t node = not_expr(p);

	while (!p->ret && is_word(p, "and")) {
		size_t sign = p->token.offset;

		next(p);
		node = add(p, PYI_CONTRACT_AND, sign, node, not_expr(p));
	}
	return node;
}

static uint16_t or_expr(struct parser *p)
{
	uint16_t node = and_expr(p);

	while (!p->ret && is_word(p, "or")) {
		size_t sign = p->token.offset;

		next(p);
		node = add(p, PYI_CONTRACT_OR, sign, node, and_expr(p));
	}
	return node;
}

int pyi_contract_parse(const char *text, struct pyi_contract_tree *tree, struct pyi_contract_error *error)
{
	struct parser p = { .text = text, .tree = tree, .error = error };

	if (strlen(text) > PYI_CONTRACT_TEXT_MAX) {
		wrong(&p, 0, "a contract has at most %d bytes: split it into several",
		      PYI_CONTRACT_TEXT_MAX);
		return p.ret;
	}
	next(&p);
	if (!p.ret && p.token.kind == TOKEN_END)
		wrong(&p, 0, "the contract is empty");
	tree->root = or_expr(&p);
	if (!p.ret && p.token.kind != TOKEN_END)
		wrong(&p, p.token.offset,
		      is_sign(&p, ")") ? "')' without '('" : "'and', 'or' or the end is missing here");
	return p.ret;
}

void pyi_contract_tree_release(struct pyi_contract_tree *tree)
{
	for (size_t i = 0; i < tree->n_patterns; i++)
		free(tree->patterns[i].text);
	tree->n_patterns = 0;
}
