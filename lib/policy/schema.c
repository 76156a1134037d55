/* SPDX-License-Identifier: MIT */
/*
 * The keys of a policy document. Every mistake is reported and reading goes on, so that one run of `policy check` shows
 * all of them; unknown keys, duplicate keys and values of the wrong kind are mistakes. Spellings of the first releases
 * (version 0.1, `mem`, `cpu_ms`, `tcp:`, `allow`, `defaults:` and `sandboxes:` blocks) are read and noted.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/parse.h"
#include "base/util.h"
#include "policy/internal.h"
#include "policy/reader.h"

typedef void (*value_fn)(struct pyi_reader *r, const char *key, const char *text);

/* One key of a rule in a list, `- key: value`. */
struct rule_key {
	const char *name;
	const char *now; /* the spelling of today when this is an old one */
	int verdict;
	unsigned int bits;
};

static const struct rule_key fs_keys[] = {
	{ "read", NULL, PYI_ALLOW, PYI_READ },
	{ "write", NULL, PYI_ALLOW, PYI_READ | PYI_WRITE },
	{ "exec", NULL, PYI_ALLOW, PYI_READ | PYI_EXEC },
	{ "deny", NULL, PYI_DENY, PYI_READ | PYI_WRITE | PYI_EXEC },
	{ "warn", NULL, PYI_WARN, PYI_READ | PYI_WRITE | PYI_EXEC },
	{ "allow", "write", PYI_ALLOW, PYI_READ | PYI_WRITE },
};

static const struct rule_key exec_keys[] = {
	{ "allow", NULL, PYI_ALLOW, PYI_READ | PYI_EXEC },
	{ "deny", NULL, PYI_DENY, PYI_EXEC },
	{ "warn", NULL, PYI_WARN, PYI_EXEC },
};

static const struct rule_key net_keys[] = {
	{ "connect", NULL, PYI_ALLOW, PYI_NET_CONNECT },
	{ "bind", NULL, PYI_ALLOW, PYI_NET_BIND },
	{ "deny", NULL, PYI_DENY, PYI_NET_CONNECT | PYI_NET_BIND },
	{ "warn", NULL, PYI_WARN, PYI_NET_CONNECT | PYI_NET_BIND },
	{ "tcp", "connect", PYI_ALLOW, PYI_NET_CONNECT },
};

static const struct rule_key env_keys[] = {
	{ "pass", NULL, PYI_ENV_PASS, 0 },
	{ "set", NULL, PYI_ENV_SET, 0 },
	{ "deny", NULL, PYI_ENV_DENY, 0 },
	{ "warn", NULL, PYI_ENV_WARN, 0 },
};

enum {
	NAMES_MAX = 16,
	/* How many of the keys, from the first, a ceiling may have: what grants in a spelling of today, deny. */
	FS_KEYS_CEILING = 4,
	EXEC_KEYS_CEILING = 2,
	NET_KEYS_CEILING = 3,
};

/* One value, or a list of them. */
static void values(struct pyi_reader *r, const char *key, uint32_t value, value_fn take)
{
	const char *text;

	if (pyi_reader_node(r, value)->kind != PYI_NODE_LIST) {
		text = pyi_reader_scalar(r, key, value);
		if (text)
			take(r, key, text);
		return;
	}
	for (uint32_t i = pyi_reader_node(r, value)->first; i; i = pyi_reader_node(r, i)->next) {
		text = pyi_reader_scalar(r, key, i);
		if (text)
			take(r, key, text);
	}
}

/* --------------------------------------------------------------------------------------------- sections of rules */

static const struct rule_key *find_key(struct pyi_reader *r, const char *section,
				       const struct rule_key *keys, size_t n, const char *name)
{
	const char *names[NAMES_MAX];
	size_t n_names = 0;

	for (size_t i = 0; i < n; i++) {
		if (strcmp(keys[i].name, name) == 0) {
			if (keys[i].now)
				pyi_loader_note(r->loader, &r->source, "'%s' in '%s' is now '%s'",
						name, section, keys[i].now);
			return &keys[i];
		}
		if (!keys[i].now)
			names[n_names++] = keys[i].name;
	}
	pyi_reader_unknown_key(r, name, section, names, n_names);
	return NULL;
}

static void take_fs(struct pyi_reader *r, const char *key, const char *text)
{
	for (size_t i = 0; i < PYI_ARRAY_SIZE(fs_keys); i++)
		if (strcmp(fs_keys[i].name, key) == 0)
			pyi_rule_add_fs(r->loader, &r->source, fs_keys[i].verdict, fs_keys[i].bits,
					text);
}

static void take_exec(struct pyi_reader *r, const char *key, const char *text)
{
	for (size_t i = 0; i < PYI_ARRAY_SIZE(exec_keys); i++)
		if (strcmp(exec_keys[i].name, key) == 0)
			pyi_rule_add_fs(r->loader, &r->source, exec_keys[i].verdict,
					exec_keys[i].bits, text);
}

static void take_net(struct pyi_reader *r, const char *key, const char *text)
{
	for (size_t i = 0; i < PYI_ARRAY_SIZE(net_keys); i++)
		if (strcmp(net_keys[i].name, key) == 0)
			pyi_rule_add_net(r->loader, &r->source, net_keys[i].verdict,
					 net_keys[i].bits, text);
}

static void take_env(struct pyi_reader *r, const char *key, const char *text)
{
	for (size_t i = 0; i < PYI_ARRAY_SIZE(env_keys); i++)
		if (strcmp(env_keys[i].name, key) == 0)
			pyi_rule_add_env(r->loader, &r->source, env_keys[i].verdict, text);
}

static void take_import(struct pyi_reader *r, const char *key, const char *text)
{
	pyi_rule_add_import(r->loader, &r->source, text);
}

/* `- key: value` */
static void read_rule(struct pyi_reader *r, const char *section, uint32_t item,
		      const struct rule_key *keys, size_t n, value_fn take)
{
	const struct pyi_node *node = pyi_reader_node(r, item);
	const struct rule_key *key;
	uint32_t value;

	pyi_reader_at(r, item);
	if (node->kind != PYI_NODE_MAP || !node->first) {
		pyi_loader_error(r->loader, &r->source,
				 "a rule of '%s' looks like '- %s: ...', this is %s", section,
				 keys[0].name, pyi_reader_kind_name(node));
		return;
	}
	if (pyi_reader_node(r, node->first)->kind != PYI_NODE_SCALAR) {
		pyi_loader_error(r->loader, &r->source, "a key of '%s' is %s", section,
				 pyi_reader_kind_name(pyi_reader_node(r, node->first)));
		return;
	}
	value = pyi_reader_node(r, node->first)->next;
	if (pyi_reader_node(r, value)->next) {
		pyi_reader_at(r, pyi_reader_node(r, value)->next);
		pyi_loader_error(r->loader, &r->source,
				 "a rule of '%s' has one key: begin the next one with '- '", section);
		return;
	}
	key = find_key(r, section, keys, n, pyi_reader_node(r, node->first)->text);
	if (key)
		values(r, key->name, value, take);
}

static void read_rules(struct pyi_reader *r, const char *section, uint32_t value,
		       const struct rule_key *keys, size_t n, value_fn take)
{
	const struct pyi_node *node = pyi_reader_node(r, value);

	pyi_reader_at(r, value);
	if (node->kind == PYI_NODE_SCALAR && !node->is_null && strcmp(node->text, "none") == 0) {
		pyi_loader_note(r->loader, &r->source, "'%s: none' is now '%s: []'", section, section);
		return;
	}
	if (node->kind == PYI_NODE_SCALAR && !node->is_null && strcmp(node->text, "readonly") == 0) {
		pyi_loader_error(r->loader, &r->source,
				 "'readonly' is no longer known: list what may be read ('- read: /usr'), "
				 "or use 'extends: readonly-fs'");
		return;
	}
	if (node->kind != PYI_NODE_LIST) {
		pyi_loader_error(r->loader, &r->source,
				 "'%s' needs a list of rules ('[]' for none), this is %s", section,
				 pyi_reader_kind_name(node));
		return;
	}
	for (uint32_t i = node->first; i; i = pyi_reader_node(r, i)->next)
		read_rule(r, section, i, keys, n, take);
}

static void read_imports(struct pyi_reader *r, uint32_t value)
{
	r->loader->policy->has_imports = true;
	pyi_reader_at(r, value);
	if (pyi_reader_node(r, value)->kind != PYI_NODE_LIST)
		pyi_loader_error(r->loader, &r->source,
				 "'imports' needs a list of modules ('[]' for none), this is %s",
				 pyi_reader_kind_name(pyi_reader_node(r, value)));
	else
		values(r, "imports", value, take_import);
}

static void read_contracts(struct pyi_reader *r, uint32_t value)
{
	const char *text;

	pyi_reader_at(r, value);
	if (pyi_reader_node(r, value)->kind != PYI_NODE_LIST) {
		pyi_loader_error(r->loader, &r->source,
				 "'contracts' needs a list ('- net.connects <= 3'), this is %s",
				 pyi_reader_kind_name(pyi_reader_node(r, value)));
		return;
	}
	for (uint32_t i = pyi_reader_node(r, value)->first; i; i = pyi_reader_node(r, i)->next) {
		text = pyi_reader_scalar(r, "contracts", i);
		r->source.column = pyi_reader_node(r, i)->column;
		if (text)
			pyi_rule_add_contract(r->loader, &r->source, text);
		r->source.column = 0;
	}
}

/* ----------------------------------------------------------------------------------------------------- limits */

/* Old spellings, here and at the top level; false when it is none of them. */
static bool read_old_limit(struct pyi_reader *r, const char *key, uint32_t value)
{
	_cleanup_free char *with_unit = NULL;
	const char *text = pyi_reader_node(r, value)->text, *now = "cpu_time", *unit = "";
	uint64_t ms;

	if (strcmp(key, "mem") == 0)
		now = "memory";
	else if (strcmp(key, "cpu_ms") == 0)
		unit = "ms";
	else if (strcmp(key, "cpu") != 0 || !text || pyi_parse_duration(text, &ms, NULL))
		return false; /* a share of a CPU is not an old spelling, only in the wrong place */
	text = pyi_reader_scalar(r, key, value);
	if (!text)
		return true;
	pyi_loader_note(r->loader, &r->source, "'%s' is now 'limits: {%s: %.32s%s}'", key, now,
			text, unit);
	if (asprintf(&with_unit, "%.64s%s", text, unit) < 0) {
		with_unit = NULL;
		r->loader->nomem = true;
		return true;
	}
	pyi_rule_set_limit(r->loader, &r->source, now, with_unit);
	return true;
}

static bool is_limit(const char *key)
{
	for (size_t i = 0; i < PYI_N_LIMITS; i++)
		if (strcmp(key, pyi_limit_keys[i]) == 0)
			return true;
	return false;
}

static void read_limits(struct pyi_reader *r, uint32_t map)
{
	pyi_reader_at(r, map);
	if (pyi_reader_node(r, map)->kind != PYI_NODE_MAP) {
		pyi_loader_error(r->loader, &r->source,
				 "'limits' needs a map ('{memory: 256MiB}'), this is %s",
				 pyi_reader_kind_name(pyi_reader_node(r, map)));
		return;
	}
	if (!pyi_reader_check_keys(r, map))
		return;
	for (uint32_t k = pyi_reader_node(r, map)->first; k;
	     k = pyi_reader_node(r, pyi_reader_node(r, k)->next)->next) {
		const char *key = pyi_reader_node(r, k)->text, *text;
		uint32_t value = pyi_reader_node(r, k)->next;

		pyi_reader_at(r, k);
		if (!is_limit(key)) {
			if (r->in_ceiling || !read_old_limit(r, key, value))
				pyi_reader_unknown_key(r, key, "limits", pyi_limit_keys, PYI_N_LIMITS);
			continue;
		}
		if (r->in_ceiling && strcmp(key, "numa") == 0) {
			pyi_loader_error(r->loader, &r->source,
					 "ceiling: numa is no quantity: no reload can change it anyhow");
			continue;
		}
		text = pyi_reader_scalar(r, key, value);
		if (text)
			pyi_rule_set_limit(r->loader, &r->source, key, text);
	}
}

/* ------------------------------------------------------------------------------------------------ the top level */

static void read_version(struct pyi_reader *r, uint32_t value)
{
	const char *text = pyi_reader_scalar(r, "version", value);

	if (!text || strcmp(text, "1") == 0)
		return;
	if (r->is_old)
		pyi_loader_note(r->loader, &r->source, "'version: %s' is now 'version: 1'", text);
	else
		pyi_loader_error(r->loader, &r->source,
				 "version '%.32s' is not known: this tool reads version 1", text);
}

static void read_on_violation(struct pyi_reader *r, uint32_t value)
{
	static const char *const names[] = { "errno", "kill", "panic" };
	const char *text = pyi_reader_scalar(r, "on_violation", value);
	const char *near;

	if (!text)
		return;
	for (size_t i = 0; i < PYI_ARRAY_SIZE(names); i++) {
		if (strcmp(text, names[i]) == 0) {
			r->loader->policy->on_violation = (enum pyi_on_violation)i;
			return;
		}
	}
	near = pyi_parse_nearest(text, names, PYI_ARRAY_SIZE(names));
	pyi_loader_error(r->loader, &r->source,
			 "on_violation is errno, kill or panic, not '%.64s'%s%s%s", text,
			 near ? ", did you mean '" : "", near ? near : "", near ? "'?" : "");
}

/*
 * The lists have rules that grant and rules that deny, in the same words as the policy's own. They are gathered by the
 * same functions, in a policy of their own.
 */
static void read_ceiling_list(struct pyi_reader *r, const char *key, uint32_t value)
{
	static const char *const names[] = { "fs", "exec", "net", "limits" };
	struct pyi_policy *ceiling = r->loader->policy;
	bool is_files = strcmp(key, "fs") == 0 || strcmp(key, "exec") == 0;

	if (strcmp(key, "fs") == 0)
		read_rules(r, "ceiling: fs", value, fs_keys, FS_KEYS_CEILING, take_fs);
	else if (strcmp(key, "exec") == 0)
		read_rules(r, "ceiling: exec", value, exec_keys, EXEC_KEYS_CEILING, take_exec);
	else if (strcmp(key, "net") == 0)
		read_rules(r, "ceiling: net", value, net_keys, NET_KEYS_CEILING, take_net);
	else if (strcmp(key, "limits") == 0)
		read_limits(r, value);
	else
		pyi_reader_unknown_key(r, key, "ceiling", names, PYI_ARRAY_SIZE(names));
	ceiling->has_ceiling_net = ceiling->has_ceiling_net || strcmp(key, "net") == 0;
	ceiling->has_ceiling_files = ceiling->has_ceiling_files || is_files;
}

static void read_ceiling(struct pyi_reader *r, uint32_t map)
{
	struct pyi_policy *policy = r->loader->policy;
	const struct pyi_loader doc = *r->loader;

	pyi_reader_at(r, map);
	if (pyi_reader_node(r, map)->kind != PYI_NODE_MAP) {
		pyi_loader_error(r->loader, &r->source,
				 "'ceiling' needs a map of lists ('{fs: [{read: /srv}]}'), this is %s",
				 pyi_reader_kind_name(pyi_reader_node(r, map)));
		return;
	}
	if (!pyi_reader_check_keys(r, map))
		return;
	if (!policy->ceiling)
		policy->ceiling = calloc(1, sizeof(*policy->ceiling));
	if (!policy->ceiling) {
		r->loader->nomem = true;
		return;
	}
	r->loader->policy = policy->ceiling;
	r->in_ceiling = true;
	pyi_loader_begin(r->loader);
	for (uint32_t k = pyi_reader_node(r, map)->first; k;
	     k = pyi_reader_node(r, pyi_reader_node(r, k)->next)->next) {
		pyi_reader_at(r, k);
		read_ceiling_list(r, pyi_reader_node(r, k)->text, pyi_reader_node(r, k)->next);
	}
	pyi_loader_end(r->loader);
	r->in_ceiling = false;
	r->loader->policy = policy;
	r->loader->doc_fs = doc.doc_fs;
	r->loader->doc_net = doc.doc_net;
	r->loader->doc_env = doc.doc_env;
}

/* What a document and a seed-era block have in common; false when the key is none of it. */
static bool read_body_key(struct pyi_reader *r, const char *key, uint32_t value)
{
	if (strcmp(key, "fs") == 0)
		read_rules(r, "fs", value, fs_keys, PYI_ARRAY_SIZE(fs_keys), take_fs);
	else if (strcmp(key, "net") == 0)
		read_rules(r, "net", value, net_keys, PYI_ARRAY_SIZE(net_keys), take_net);
	else if (strcmp(key, "exec") == 0)
		read_rules(r, "exec", value, exec_keys, PYI_ARRAY_SIZE(exec_keys), take_exec);
	else if (strcmp(key, "env") == 0)
		read_rules(r, "env", value, env_keys, PYI_ARRAY_SIZE(env_keys), take_env);
	else if (strcmp(key, "imports") == 0)
		read_imports(r, value);
	else if (strcmp(key, "limits") == 0)
		read_limits(r, value);
	else if (strcmp(key, "contracts") == 0)
		read_contracts(r, value);
	else if (strcmp(key, "ceiling") == 0)
		read_ceiling(r, value);
	else if (strcmp(key, "on_violation") == 0)
		read_on_violation(r, value);
	else
		return read_old_limit(r, key, value);
	return true;
}

static void read_unknown(struct pyi_reader *r, const char *key, const char *where)
{
	static const char *const names[] = { "version", "extends",   "on_violation", "fs",
					     "net",	"exec",	     "env",	     "imports",
					     "limits",	"contracts", "ceiling" };

	if (is_limit(key))
		pyi_loader_error(r->loader, &r->source, "'%s' belongs into 'limits: {%s: ...}'",
				 key, key);
	else
		pyi_reader_unknown_key(r, key, where, names, PYI_ARRAY_SIZE(names));
}

/* ------------------------------------------------------------------------------------------------ seed-era blocks */

static void read_block(struct pyi_reader *r, const char *name, uint32_t map)
{
	pyi_reader_at(r, map);
	if (pyi_reader_node(r, map)->kind != PYI_NODE_MAP) {
		pyi_loader_error(r->loader, &r->source, "'%.64s' needs a map, this is %s", name,
				 pyi_reader_kind_name(pyi_reader_node(r, map)));
		return;
	}
	if (!pyi_reader_check_keys(r, map))
		return;
	pyi_loader_begin(r->loader);
	for (uint32_t k = pyi_reader_node(r, map)->first; k;
	     k = pyi_reader_node(r, pyi_reader_node(r, k)->next)->next) {
		pyi_reader_at(r, k);
		if (!read_body_key(r, pyi_reader_node(r, k)->text, pyi_reader_node(r, k)->next)) {
			pyi_reader_at(r, k);
			read_unknown(r, pyi_reader_node(r, k)->text, name);
		}
	}
	pyi_loader_end(r->loader);
}

/* The chosen sandbox, or the only one. */
static void read_sandboxes(struct pyi_reader *r, uint32_t map, const char *block)
{
	uint32_t chosen = 0;
	size_t n = 0;

	pyi_reader_at(r, map);
	if (pyi_reader_node(r, map)->kind != PYI_NODE_MAP || !pyi_reader_node(r, map)->first) {
		pyi_loader_error(r->loader, &r->source, "'sandboxes' needs a map of names, this is %s",
				 pyi_reader_kind_name(pyi_reader_node(r, map)));
		return;
	}
	if (!pyi_reader_check_keys(r, map))
		return;
	for (uint32_t k = pyi_reader_node(r, map)->first; k;
	     k = pyi_reader_node(r, pyi_reader_node(r, k)->next)->next, n++)
		if (!block || strcmp(pyi_reader_node(r, k)->text, block) == 0)
			chosen = k;
	pyi_reader_at(r, map);
	if (!chosen) {
		pyi_loader_error(r->loader, &r->source, "'sandboxes' has no '%.64s'", block);
		return;
	}
	if (!block && n > 1) {
		pyi_loader_error(
			r->loader, &r->source,
			"'sandboxes' has %zu policies: choose one with '%s#NAME', such as '#%.64s'",
			n, r->source.file, pyi_reader_node(r, pyi_reader_node(r, map)->first)->text);
		return;
	}
	pyi_reader_at(r, chosen);
	pyi_loader_note(r->loader, &r->source,
			"'sandboxes' is now a file for each policy: using '%.64s'",
			pyi_reader_node(r, chosen)->text);
	read_block(r, pyi_reader_node(r, chosen)->text, pyi_reader_node(r, chosen)->next);
}

/* A key of the top level. */
static uint32_t find(const struct pyi_tree *tree, const char *key)
{
	if (tree->n < 2 || tree->nodes[1].kind != PYI_NODE_MAP)
		return 0;
	for (uint32_t k = tree->nodes[1].first; k; k = tree->nodes[tree->nodes[k].next].next)
		if (tree->nodes[k].kind == PYI_NODE_SCALAR && strcmp(tree->nodes[k].text, key) == 0)
			return k;
	return 0;
}

const char *pyi_schema_peek(const struct pyi_tree *tree, const char *key, unsigned int *ret_line)
{
	uint32_t found = find(tree, key), value = found ? tree->nodes[found].next : 0;

	if (!value || tree->nodes[value].kind != PYI_NODE_SCALAR || tree->nodes[value].is_null)
		return NULL;
	*ret_line = tree->nodes[value].line;
	return tree->nodes[value].text;
}

static void read_top(struct pyi_reader *r)
{
	for (uint32_t k = pyi_reader_node(r, 1)->first; k;
	     k = pyi_reader_node(r, pyi_reader_node(r, k)->next)->next) {
		const char *key = pyi_reader_node(r, k)->text;
		uint32_t value = pyi_reader_node(r, k)->next;

		pyi_reader_at(r, k);
		if (strcmp(key, "version") == 0)
			read_version(r, value);
		else if (strcmp(key, "extends") == 0)
			pyi_reader_scalar(r, key, value); /* the loader has followed it */
		else if (strcmp(key, "defaults") != 0 && strcmp(key, "sandboxes") != 0 &&
			 !read_body_key(r, key, value))
			read_unknown(r, key, "the policy");
	}
}

void pyi_schema_read(struct pyi_loader *loader, const struct pyi_source *source,
		     const struct pyi_tree *tree, const char *block)
{
	struct pyi_reader r = { .loader = loader, .source = *source, .tree = tree };
	unsigned int line;
	const char *version = pyi_schema_peek(tree, "version", &line);
	uint32_t defaults = find(tree, "defaults"), sandboxes = find(tree, "sandboxes");

	pyi_reader_at(&r, 1);
	if (pyi_reader_node(&r, 1)->kind != PYI_NODE_MAP) {
		pyi_loader_error(loader, &r.source,
				 "a policy is a map that begins with 'version: 1', this is %s",
				 pyi_reader_kind_name(pyi_reader_node(&r, 1)));
		return;
	}
	if (!pyi_reader_check_keys(&r, 1))
		return;
	r.is_old = version && (strcmp(version, "0.1") == 0 || strcmp(version, "1.0") == 0);
	if (!find(tree, "version")) {
		pyi_reader_at(&r, 1);
		pyi_loader_error(loader, &r.source, "'version: 1' is missing");
	}
	/* Order of weight: defaults, what stands at the top level, the chosen sandbox. */
	if (defaults) {
		pyi_reader_at(&r, defaults);
		pyi_loader_note(loader, &r.source, "what 'defaults' holds now stands at the top level");
		read_block(&r, "defaults", pyi_reader_node(&r, defaults)->next);
	}
	pyi_loader_begin(loader);
	read_top(&r);
	pyi_loader_end(loader);
	if (sandboxes)
		read_sandboxes(&r, pyi_reader_node(&r, sandboxes)->next, block);
	else if (block)
		pyi_loader_error(loader, source,
				 "there is no 'sandboxes' block to take '%.64s' from", block);
}
