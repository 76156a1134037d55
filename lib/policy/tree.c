/* SPDX-License-Identifier: MIT */
/*
 * A YAML document as a small tree with line numbers, made from libyaml's events. Events and not libyaml's own document
 * tree, because that one has already replaced aliases by what they stand for and forgotten tags and anchors, which are
 * refused here. Depth and size are capped: a policy is a page of text, and this reads hostile ones too.
 */
#include <string.h>
#include <yaml.h>

#include "base/util.h"
#include "policy/internal.h"

struct builder {
	struct pyi_loader *loader;
	struct pyi_source source;
	struct pyi_tree *tree;
	uint32_t parents[PYI_TREE_DEPTH_MAX]; /* open lists and maps */
	uint32_t last[PYI_TREE_DEPTH_MAX];    /* their youngest child, 0 if none */
	unsigned int depth;
};

void pyi_tree_release(struct pyi_tree *tree)
{
	for (uint32_t i = 1; i < tree->n; i++)
		free(tree->nodes[i].text);
	free(tree->nodes);
	*tree = (struct pyi_tree){ .nodes = NULL };
}

size_t pyi_utf8_next(const char *s, size_t len, uint32_t *ret_code)
{
	static const uint32_t smallest[] = { 0, 0, 0x80, 0x800, 0x10000 };
	unsigned char c = len ? (unsigned char)*s : 0xff;
	size_t n = c < 0x80		   ? 1
		   : c >= 0xc2 && c < 0xe0 ? 2
		   : (c & 0xf0) == 0xe0	   ? 3
		   : c >= 0xf0 && c < 0xf5 ? 4
					   : 0;
	uint32_t code = n == 1 ? c : c & (0x7fU >> n);

	if (!n || n > len)
		return 0;
	for (size_t i = 1; i < n; i++) {
		if (((unsigned char)s[i] & 0xc0) != 0x80)
			return 0;
		code = code << 6 | ((unsigned char)s[i] & 0x3f);
	}
	if (code < smallest[n] || code > 0x10ffff || (code >= 0xd800 && code < 0xe000))
		return 0;
	*ret_code = code;
	return n;
}

bool pyi_utf8_is_valid(const char *s, size_t len)
{
	uint32_t code;

	for (size_t i = 0, n; i < len; i += n) {
		n = pyi_utf8_next(s + i, len - i, &code);
		if (!n)
			return false;
	}
	return true;
}

/* Before libyaml sees it: NUL, bad UTF-8, and a byte order mark that would make it read UTF-16. */
static bool is_text(struct builder *b, const char *text, size_t len)
{
	uint32_t code = 0;

	b->source.line = 1;
	for (size_t i = 0, n; i < len; i += n) {
		n = pyi_utf8_next(text + i, len - i, &code);
		if (n && code == '\n')
			b->source.line++;
		if (n && code)
			continue;
		if (n)
			pyi_loader_error(b->loader, &b->source, "NUL byte: this is not a text file");
		else
			pyi_loader_error(b->loader, &b->source, "not UTF-8: byte 0x%02x",
					 (unsigned char)text[i]);
		return false;
	}
	return true;
}

static bool refuse(struct builder *b, const yaml_mark_t *mark, const char *what)
{
	b->source.line = (unsigned int)mark->line + 1;
	pyi_loader_error(b->loader, &b->source, "%s", what);
	return false;
}

static uint32_t add_node(struct builder *b, enum pyi_node_kind kind, unsigned int line)
{
	struct pyi_tree *t = b->tree;
	struct pyi_node *parent;
	uint32_t i;

	if (t->n == t->cap) {
		uint32_t cap = t->cap ? t->cap * 2 : 64;
		struct pyi_node *grown = reallocarray(t->nodes, cap, sizeof(*grown));

		if (!grown) {
			b->loader->nomem = true;
			return 0;
		}
		t->nodes = grown;
		t->cap = cap;
	}
	if (!t->n)
		t->nodes[t->n++] = (struct pyi_node){ .line = 0 };
	i = t->n++;
	t->nodes[i] = (struct pyi_node){ .kind = kind, .line = line };
	if (b->depth) {
		parent = &t->nodes[b->parents[b->depth - 1]];
		if (b->last[b->depth - 1])
			t->nodes[b->last[b->depth - 1]].next = i;
		else
			parent->first = i;
		b->last[b->depth - 1] = i;
	}
	return i;
}

/* Where the text begins in its line, if it stands there letter by letter: no escapes, no folding. */
static unsigned int column_of(const yaml_event_t *event, const char *value)
{
	size_t span = event->end_mark.index - event->start_mark.index, chars = 0;
	bool is_plain = event->data.scalar.style == YAML_PLAIN_SCALAR_STYLE;

	for (; *value; value++)
		chars += ((unsigned char)*value & 0xc0) != 0x80;
	if (event->start_mark.line != event->end_mark.line || span != chars + (is_plain ? 0 : 2))
		return 0;
	return (unsigned int)event->start_mark.column + (is_plain ? 1 : 2);
}

static bool add_scalar(struct builder *b, const yaml_event_t *event)
{
	const char *value = (const char *)event->data.scalar.value;
	uint32_t i = add_node(b, PYI_NODE_SCALAR, (unsigned int)event->start_mark.line + 1);
	struct pyi_node *node;

	if (!i)
		return false;
	if (memchr(value, '\0', event->data.scalar.length))
		return refuse(b, &event->start_mark, "a value has a NUL byte in it");
	node = &b->tree->nodes[i];
	node->text = strdup(value);
	node->column = column_of(event, value);
	if (!node->text)
		b->loader->nomem = true;
	node->is_null = event->data.scalar.style == YAML_PLAIN_SCALAR_STYLE &&
			(!*value || strcmp(value, "~") == 0 || strcmp(value, "null") == 0);
	return node->text != NULL;
}

static bool open_node(struct builder *b, const yaml_event_t *event, enum pyi_node_kind kind)
{
	uint32_t i;

	if (b->depth == PYI_TREE_DEPTH_MAX)
		return refuse(b, &event->start_mark, "nested too deeply");
	i = add_node(b, kind, (unsigned int)event->start_mark.line + 1);
	b->parents[b->depth] = i;
	b->last[b->depth++] = 0;
	return i != 0;
}

static bool has_extras(const yaml_char_t *anchor, const yaml_char_t *tag)
{
	return anchor || tag;
}

static bool take_event(struct builder *b, const yaml_event_t *event, unsigned int *n_documents)
{
	const yaml_mark_t *at = &event->start_mark;

	if (b->tree->n >= PYI_TREE_NODES_MAX)
		return refuse(b, at, "too many values");
	switch (event->type) {
	case YAML_DOCUMENT_START_EVENT:
		if (++*n_documents > 1)
			return refuse(b, at, "a second document ('---'): a policy is one document");
		return true;
	case YAML_ALIAS_EVENT:
		return refuse(b, at, "YAML aliases ('*name') are not taken: write the value out");
	case YAML_SCALAR_EVENT:
		if (has_extras(event->data.scalar.anchor, event->data.scalar.tag))
			break;
		return add_scalar(b, event);
	case YAML_SEQUENCE_START_EVENT:
		if (has_extras(event->data.sequence_start.anchor, event->data.sequence_start.tag))
			break;
		return open_node(b, event, PYI_NODE_LIST);
	case YAML_MAPPING_START_EVENT:
		if (has_extras(event->data.mapping_start.anchor, event->data.mapping_start.tag))
			break;
		return open_node(b, event, PYI_NODE_MAP);
	case YAML_SEQUENCE_END_EVENT:
	case YAML_MAPPING_END_EVENT:
		b->depth--;
		return true;
	default:
		return true;
	}
	return refuse(b, at, "YAML anchors ('&name') and tags ('!name') are not taken");
}

static bool refuse_syntax(struct builder *b, const yaml_parser_t *parser)
{
	const char *problem = parser->problem ? parser->problem : "syntax error";
	bool has_line = parser->error != YAML_READER_ERROR;

	if (parser->error == YAML_MEMORY_ERROR) {
		b->loader->nomem = true;
		return false;
	}
	b->source.line = has_line ? (unsigned int)parser->problem_mark.line + 1
				  : (unsigned int)parser->mark.line + 1;
	if (parser->context && has_line)
		pyi_loader_error(b->loader, &b->source, "not YAML: %s %s (from line %zu)", problem,
				 parser->context, parser->context_mark.line + 1);
	else
		pyi_loader_error(b->loader, &b->source, "not YAML: %s", problem);
	return false;
}

bool pyi_tree_parse(struct pyi_loader *loader, const struct pyi_source *source, const char *text,
		    size_t len, struct pyi_tree *ret_tree)
{
	struct builder b = { .loader = loader, .source = *source, .tree = ret_tree };
	yaml_parser_t parser;
	unsigned int n_documents = 0;
	bool is_ok = true, is_end = false;

	b.source.line = 0;
	if (len > PYI_POLICY_FILE_MAX) {
		pyi_loader_error(loader, &b.source, "larger than 1 MiB: this is not a policy");
		return false;
	}
	if (!is_text(&b, text, len))
		return false;
	if (!yaml_parser_initialize(&parser)) {
		loader->nomem = true;
		return false;
	}
	yaml_parser_set_encoding(&parser, YAML_UTF8_ENCODING);
	if (len >= 3 && memcmp(text, "\xef\xbb\xbf", 3) == 0) {
		text += 3; /* a byte order mark, as some editors leave it */
		len -= 3;
	}
	yaml_parser_set_input_string(&parser, (const unsigned char *)text, len);
	while (is_ok && !is_end) {
		yaml_event_t event;

		if (!yaml_parser_parse(&parser, &event)) {
			is_ok = refuse_syntax(&b, &parser);
			break;
		}
		is_end = event.type == YAML_STREAM_END_EVENT;
		is_ok = take_event(&b, &event, &n_documents);
		yaml_event_delete(&event);
	}
	yaml_parser_delete(&parser);
	if (is_ok && ret_tree->n < 2) {
		b.source.line = 0;
		pyi_loader_error(loader, &b.source, "empty: a policy begins with 'version: 1'");
		is_ok = false;
	}
	if (!is_ok)
		pyi_tree_release(ret_tree); /* half a tree has keys without values */
	return is_ok;
}
