/* SPDX-License-Identifier: MIT */
/*
 * What the files of this folder share: the tree a YAML document is read into, the loader that gathers rules and
 * errors, and the texts a rule is made of. Not for other folders.
 */
#ifndef PYI_POLICY_INTERNAL_H
#define PYI_POLICY_INTERNAL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "policy/policy.h"

enum {
	PYI_TREE_DEPTH_MAX = 16,     /* a policy needs 6 */
	PYI_TREE_NODES_MAX = 300000, /* bounds the memory that 1 MiB of brackets can take */
	PYI_ERRORS_MAX = 100,	     /* of one load; more help nobody */
	PYI_PATH_TEXT_MAX = 4095, /* bytes of a path or pattern: PATH_MAX without its terminator */
	PYI_ENV_TEXT_MAX = 128 * 1024 - 1, /* MAX_ARG_STRLEN: the kernel takes no longer NAME=value */
};

/* ------------------------------------------------------------------------------------------ a document as a tree */

enum pyi_node_kind { PYI_NODE_SCALAR, PYI_NODE_LIST, PYI_NODE_MAP };

/* Children of a map are key, value, key, value. Index 0 is no node. */
struct pyi_node {
	enum pyi_node_kind kind;
	bool is_null; /* a plain empty scalar, '~' or 'null' */
	unsigned int line;
	unsigned int column; /* of a scalar that stands in the document as it is, from 1; else 0 */
	char *text;	     /* of a scalar; owned by the tree */
	uint32_t first;
	uint32_t next;
};

struct pyi_tree {
	struct pyi_node *nodes;
	uint32_t n; /* nodes in use; the root is nodes[1] */
	uint32_t cap;
};

void pyi_tree_release(struct pyi_tree *tree);

/* ---------------------------------------------------------------------------------------------------- the loader */

struct pyi_loader {
	struct pyi_policy *policy;
	struct pyi_policy_errors errors;
	bool nomem;
	size_t doc_fs, doc_net, doc_env; /* where the rules of the document being read begin */
};

/* What is being read, for origins and messages. */
struct pyi_source {
	const char *file; /* or "--allow-read"; NULL: what was asked for itself */
	unsigned int line;
	unsigned int column; /* 0: not known, or not of interest */
	bool is_template;
	const char *dir; /* absolute and real: what relative paths are relative to; NULL: they are refused */
};

/* Append "file:line: message" to the errors. */
void pyi_loader_error(struct pyi_loader *loader, const struct pyi_source *source, const char *fmt,
		      ...) __attribute__((format(printf, 3, 4)));
void pyi_loader_note(struct pyi_loader *loader, const struct pyi_source *source, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));

/* Make room for element n of an array of elements of this size; NULL (and nomem set) on failure. */
void *pyi_loader_grow(struct pyi_loader *loader, void *array, size_t n, size_t size);

/* Read one document's text; false when it is not YAML we take (the errors say why). */
bool pyi_tree_parse(struct pyi_loader *loader, const struct pyi_source *source, const char *text,
		    size_t len, struct pyi_tree *ret_tree);

/* The keys, sections and rules of a document. `block` chooses one of seed-era `sandboxes:`, may be NULL. */
void pyi_schema_read(struct pyi_loader *loader, const struct pyi_source *source,
		     const struct pyi_tree *tree, const char *block);

/* The value of a top-level key that is a scalar, NULL when absent. */
const char *pyi_schema_peek(const struct pyi_tree *tree, const char *key, unsigned int *ret_line);

/* A command's flags, as a document. `cwd` as pyi_source.dir; `origin`: of a struct pyi_policy_more, else NULL. */
void pyi_flags_read(struct pyi_loader *loader, const struct pyi_policy_flag *flags, size_t n,
		    const char *cwd, const char *origin);

/* Begin and end a document: what it both allows and denies is an error. */
void pyi_loader_begin(struct pyi_loader *loader);
void pyi_loader_end(struct pyi_loader *loader);

/* --------------------------------------------------------------------------------------------------------- rules */

/* Each reports its own errors. `access` is 0 for "all". */
void pyi_rule_add_fs(struct pyi_loader *loader, const struct pyi_source *source,
		     enum pyi_verdict verdict, unsigned int access, const char *text);
void pyi_rule_add_net(struct pyi_loader *loader, const struct pyi_source *source,
		      enum pyi_verdict verdict, unsigned int ops, const char *text);
void pyi_rule_add_env(struct pyi_loader *loader, const struct pyi_source *source, int kind,
		      const char *text);
void pyi_rule_add_import(struct pyi_loader *loader, const struct pyi_source *source, const char *text);
void pyi_rule_add_contract(struct pyi_loader *loader, const struct pyi_source *source, const char *text);
void pyi_rule_set_limit(struct pyi_loader *loader, const struct pyi_source *source, const char *key,
			const char *text);

/* What the policy grants outside of its own ceiling is an error, and so is a pattern in that. */
void pyi_ceiling_check(struct pyi_loader *loader);

/* A path as a rule has it (see struct pyi_fs_rule), NULL after an error. The caller frees it. */
char *pyi_rule_path(struct pyi_loader *loader, const struct pyi_source *source, const char *text,
		    bool *ret_is_glob);

/* The keys of `limits`. */
extern const char *const pyi_limit_keys[PYI_N_LIMITS];

/* ---------------------------------------------------------------------------------------------------------- text */

struct pyi_err;

/*
 * "[udp://|tcp://]HOST[:PORTS]" into host or addr and prefix_len, protos, port_min and port_max. protos is 0 when there
 * is no scheme. Pure; host is allocated.
 */
int pyi_address_parse(const char *text, bool needs_port, bool can_be_port_0,
		      struct pyi_net_rule *ret_rule, struct pyi_err *err);

/* The canonical text of the same. */
struct pyi_buf;
void pyi_address_print(const struct pyi_net_rule *rule, struct pyi_buf *out);

/* The key a rule has in its section: "read", "connect", "pass", "deny", ... */
const char *pyi_fs_rule_key(const struct pyi_fs_rule *rule);
const char *pyi_net_rule_key(const struct pyi_net_rule *rule);
const char *pyi_env_rule_key(const struct pyi_env_rule *rule);

/* What is wrong with a pattern, NULL when nothing is. *ret_is_glob: it holds * ? or [. */
const char *pyi_glob_check(const char *pattern, bool *ret_is_glob);

/* Length of the UTF-8 sequence at s, 0 when it is not one (or is cut off); *ret_code is the code point. */
size_t pyi_utf8_next(const char *s, size_t len, uint32_t *ret_code);
bool pyi_utf8_is_valid(const char *s, size_t len);

#endif
