/* SPDX-License-Identifier: MIT */
/*
 * The effective policy as YAML, in one canonical form: it parses to the same policy again, and its SHA-256 is the
 * policy's digest. Every string is quoted, so nothing a rule holds can become another rule.
 */
#include <inttypes.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include "base/buf.h"
#include "base/parse.h"
#include "policy/contract.h"
#include "policy/internal.h"
#include "policy/limits.h"

/* Characters YAML does not take raw, or that would fold or hide. */
static bool needs_escape(uint32_t code)
{
	return code < 0x20 || (code >= 0x7f && code < 0xa0) || code == 0x2028 || code == 0x2029 ||
	       code == 0xfeff || (code >= 0x202a && code <= 0x202e) ||
	       (code >= 0x2066 && code <= 0x2069) || code == 0xfffe || code == 0xffff;
}

void pyi_policy_quote(struct pyi_buf *out, const char *text)
{
	size_t len = strlen(text), n;
	uint32_t code;

	pyi_buf_putc(out, '"');
	for (; len; text += n, len -= n) {
		n = pyi_utf8_next(text, len, &code);
		if (!n) {
			n = 1;
			pyi_buf_puts(out, "\\uFFFD");
		} else if (code == '"' || code == '\\') {
			pyi_buf_printf(out, "\\%c", (char)code);
		} else if (code == '\n') {
			pyi_buf_puts(out, "\\n");
		} else if (code == '\t') {
			pyi_buf_puts(out, "\\t");
		} else if (needs_escape(code)) {
			pyi_buf_printf(out, "\\u%04" PRIX32, code);
		} else {
			pyi_buf_add(out, text, n);
		}
	}
	pyi_buf_putc(out, '"');
}

void pyi_policy_comment(struct pyi_buf *out, const char *text, size_t max)
{
	size_t len = strlen(text), n, left = max;
	uint32_t code;

	for (; len; text += n, len -= n) {
		n = pyi_utf8_next(text, len, &code);
		if (n > left) {
			pyi_buf_puts(out, "...");
			return;
		}
		if (!n || needs_escape(code))
			pyi_buf_putc(out, '?');
		else
			pyi_buf_add(out, text, n);
		n = n ? n : 1;
		left -= n <= left ? n : left;
	}
}

/* Ends the line; a file's name may hold anything, a comment must stay one. */
static void end_rule(struct pyi_buf *out, const struct pyi_origin *from, bool with_origins)
{
	if (with_origins) {
		pyi_buf_puts(out, "  # ");
		pyi_policy_comment(out, from->file, SIZE_MAX);
		if (from->line)
			pyi_buf_printf(out, ":%u", from->line);
	}
	pyi_buf_putc(out, '\n');
}

static void add_rule(struct pyi_buf *out, const char *key, const char *value,
		     const struct pyi_origin *from, bool with_origins)
{
	pyi_buf_printf(out, "  - %s: ", key);
	pyi_policy_quote(out, value);
	end_rule(out, from, with_origins);
}

static bool is_exec_only(const struct pyi_fs_rule *rule)
{
	return rule->verdict != PYI_ALLOW && rule->access == PYI_EXEC;
}

const char *pyi_fs_rule_key(const struct pyi_fs_rule *rule)
{
	if (rule->verdict != PYI_ALLOW)
		return rule->verdict == PYI_DENY ? "deny" : "warn";
	return rule->access & PYI_WRITE ? "write" : rule->access & PYI_EXEC ? "exec" : "read";
}

static void print_fs(const struct pyi_policy *p, bool exec_only, bool with_origins, struct pyi_buf *out)
{
	bool has_title = false;

	for (size_t i = 0; i < p->n_fs; i++) {
		const struct pyi_fs_rule *rule = &p->fs[i];

		if (is_exec_only(rule) != exec_only)
			continue;
		if (!has_title)
			pyi_buf_puts(out, exec_only ? "exec:\n" : "fs:\n");
		has_title = true;
		add_rule(out, pyi_fs_rule_key(rule), rule->path, &rule->from, with_origins);
	}
}

const char *pyi_net_rule_key(const struct pyi_net_rule *rule)
{
	if (rule->verdict != PYI_ALLOW)
		return rule->verdict == PYI_DENY ? "deny" : "warn";
	return rule->ops == PYI_NET_BIND ? "bind" : "connect";
}

const char *pyi_env_rule_key(const struct pyi_env_rule *rule)
{
	static const char *const keys[] = {
		[PYI_ENV_PASS] = "pass", [PYI_ENV_SET] = "set", [PYI_ENV_DENY] = "deny", [PYI_ENV_WARN] = "warn"
	};

	return keys[rule->kind];
}

static void print_net(const struct pyi_policy *p, bool with_origins, struct pyi_buf *out)
{
	for (size_t i = 0; i < p->n_net; i++) {
		const struct pyi_net_rule *rule = &p->net[i];
		_cleanup_buf struct pyi_buf text = PYI_BUF_INIT;

		if (i == 0)
			pyi_buf_puts(out, "net:\n");
		pyi_address_print(rule, &text);
		add_rule(out, pyi_net_rule_key(rule), pyi_buf_str(&text), &rule->from, with_origins);
		out->failed = out->failed || text.failed;
	}
}

static void print_env(const struct pyi_policy *p, bool with_origins, struct pyi_buf *out)
{
	for (size_t i = 0; i < p->n_env; i++) {
		const struct pyi_env_rule *rule = &p->env[i];
		_cleanup_buf struct pyi_buf text = PYI_BUF_INIT;

		if (i == 0)
			pyi_buf_puts(out, "env:\n");
		pyi_buf_puts(&text, rule->name);
		if (rule->kind == PYI_ENV_SET) {
			pyi_buf_putc(&text, '=');
			pyi_buf_puts(&text, rule->value);
		}
		add_rule(out, pyi_env_rule_key(rule), pyi_buf_str(&text), &rule->from, with_origins);
		out->failed = out->failed || text.failed;
	}
}

static void print_imports(const struct pyi_policy *p, struct pyi_buf *out)
{
	if (!p->has_imports)
		return;
	pyi_buf_puts(out, p->n_imports ? "imports:\n" : "imports: []\n");
	for (size_t i = 0; i < p->n_imports; i++) {
		pyi_buf_puts(out, "  - ");
		pyi_policy_quote(out, p->imports[i]);
		pyi_buf_putc(out, '\n');
	}
}

static void print_limits(const struct pyi_policy *p, const char *indent, bool with_origins,
			 struct pyi_buf *out)
{
	bool has_title = false;
	char buf[32];

	for (size_t i = 0; i < PYI_N_LIMITS; i++) {
		const struct pyi_limit *limit = &pyi_limits_table[i];
		uint64_t value = pyi_limit_value(limit, &p->limits);

		if (!value)
			continue;
		if (!has_title)
			pyi_buf_printf(out, "%slimits:\n", indent);
		has_title = true;
		pyi_buf_printf(out, "%s  %s: %s", indent, limit->key,
			       pyi_limit_format(limit, value, buf));
		end_rule(out, &p->limit_from[i], with_origins && p->limit_from[i].file);
	}
}

static void print_contracts(const struct pyi_contract_set *set, bool with_origins, struct pyi_buf *out)
{
	for (size_t i = 0; set && i < set->n; i++) {
		pyi_buf_puts(out, i ? "  - " : "contracts:\n  - ");
		pyi_policy_quote(out, set->v[i].text);
		end_rule(out, &set->v[i].from, with_origins);
	}
}

/* Denies of exec alone have a list of their own, as in the policy. */
static void print_ceiling_files(const struct pyi_policy *ceiling, bool exec_only, bool with_origins,
				struct pyi_buf *out)
{
	size_t n = 0;

	for (size_t i = 0; i < ceiling->n_fs; i++)
		n += is_exec_only(&ceiling->fs[i]) == exec_only;
	if (exec_only && !n)
		return;
	pyi_buf_puts(out, exec_only ? "  exec:\n" : n ? "  fs:\n" : "  fs: []\n");
	for (size_t i = 0; i < ceiling->n_fs; i++) {
		const struct pyi_fs_rule *rule = &ceiling->fs[i];

		if (is_exec_only(rule) != exec_only)
			continue;
		pyi_buf_puts(out, "  ");
		add_rule(out, pyi_fs_rule_key(rule), rule->path, &rule->from, with_origins);
	}
}

static void print_ceiling(const struct pyi_policy *ceiling, bool with_origins, struct pyi_buf *out)
{
	bool is_empty;

	if (!ceiling)
		return;
	is_empty = !ceiling->has_ceiling_files && !ceiling->has_ceiling_net;
	for (size_t i = 0; i < PYI_N_LIMITS; i++)
		is_empty = is_empty && !pyi_limit_value(&pyi_limits_table[i], &ceiling->limits);
	pyi_buf_puts(out, is_empty ? "ceiling: {}\n" : "ceiling:\n");
	if (ceiling->has_ceiling_files) {
		print_ceiling_files(ceiling, false, with_origins, out);
		print_ceiling_files(ceiling, true, with_origins, out);
	}
	if (ceiling->has_ceiling_net)
		pyi_buf_puts(out, ceiling->n_net ? "  net:\n" : "  net: []\n");
	for (size_t i = 0; i < ceiling->n_net; i++) {
		_cleanup_buf struct pyi_buf text = PYI_BUF_INIT;

		pyi_address_print(&ceiling->net[i], &text);
		pyi_buf_puts(out, "  ");
		add_rule(out, pyi_net_rule_key(&ceiling->net[i]), pyi_buf_str(&text),
			 &ceiling->net[i].from, with_origins);
		out->failed = out->failed || text.failed;
	}
	print_limits(ceiling, "  ", with_origins, out);
}

void pyi_policy_print(const struct pyi_policy *p, bool with_origins, struct pyi_buf *out)
{
	static const char *const violations[] = { "errno", "kill", "panic" };

	pyi_buf_printf(out, "version: 1\non_violation: %s\n", violations[p->on_violation]);
	print_fs(p, false, with_origins, out);
	print_fs(p, true, with_origins, out);
	print_net(p, with_origins, out);
	print_env(p, with_origins, out);
	print_imports(p, out);
	print_limits(p, "", with_origins, out);
	print_contracts(p->contracts, with_origins, out);
	print_ceiling(p->ceiling, with_origins, out);
}
