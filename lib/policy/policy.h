/* SPDX-License-Identifier: MIT */
/*
 * The policy as the user wrote it, checked: what a YAML document, its parents and the flags say, in one struct of
 * plain data. Nothing here knows the host; lib/plan puts the two together.
 *
 * Order of decision everywhere: deny > warn > allow > default (deny), whatever the order of the rules.
 */
#ifndef PYI_POLICY_POLICY_H
#define PYI_POLICY_POLICY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct pyi_buf;
struct pyi_contract_set;
struct pyi_err;

enum {
	PYI_POLICY_FILE_MAX = 1 << 20, /* bytes of one document */
	PYI_POLICY_RULES_MAX = 65536,  /* rules of one policy, parents included */
	PYI_POLICY_DEPTH_MAX = 8,      /* documents in one chain of extends */
};

/* Where a rule comes from, for messages and records. */
struct pyi_origin {
	char *file; /* "policy.yml", "template compute-only" or "--allow-read"; owned by the policy */
	unsigned int line; /* 0 for a flag */
	bool is_template;  /* built in: a path it names need not exist on this host */
};

enum pyi_verdict { PYI_ALLOW, PYI_WARN, PYI_DENY };

enum {
	PYI_READ = 1 << 0,
	PYI_WRITE = 1 << 1, /* implies PYI_READ: the parser sets both */
	PYI_EXEC = 1 << 2,
};

struct pyi_fs_rule {
	enum pyi_verdict verdict;
	/* What is allowed; all bits for deny and warn, but PYI_EXEC alone for those of `exec:` and --deny-run. */
	unsigned int access;
	char *path; /* absolute, no '.', '..', '//' or trailing '/'; may hold * ? [..] ** */
	bool is_glob;
	struct pyi_origin from;
};

enum pyi_net_op { PYI_NET_CONNECT = 1 << 0, PYI_NET_BIND = 1 << 1 };
enum pyi_net_proto { PYI_NET_TCP = 1 << 0, PYI_NET_UDP = 1 << 1 };

struct pyi_net_rule {
	enum pyi_verdict verdict;
	unsigned int ops; /* enum pyi_net_op; both for deny and warn */
	unsigned int protos; /* enum pyi_net_proto; TCP unless udp://; both for deny and warn without a scheme */
	char *host;	    /* a name to resolve; NULL when addr holds an address or prefix */
	uint8_t addr[16];   /* network order, IPv4 as ::ffff:a.b.c.d */
	uint8_t prefix_len; /* 0..128; "*" is two rules' worth: 0 (all of both families) */
	uint16_t port_min;  /* 0..65535 for '*' */
	uint16_t port_max;
	char *text; /* as written, for messages */
	struct pyi_origin from;
};

struct pyi_env_rule {
	enum { PYI_ENV_PASS, PYI_ENV_SET, PYI_ENV_DENY, PYI_ENV_WARN } kind;
	char *name;  /* but for set, a trailing '*' matches a prefix */
	char *value; /* for set */
	struct pyi_origin from;
};

enum pyi_on_violation { PYI_VIOLATION_ERRNO, PYI_VIOLATION_KILL, PYI_VIOLATION_PANIC };

/* Every limit: 0 means none was set. */
struct pyi_limits {
	uint64_t memory_bytes;
	uint64_t cpu_time_ms;
	uint64_t wall_time_ms;
	uint64_t output_bytes;
	uint64_t tmp_bytes;    /* of /tmp; a default applies when 0 */
	uint64_t net_bytes;    /* sent and received, together */
	uint64_t net_rate;     /* the same in a second */
	uint32_t cpu_permille; /* thousandths of one CPU */
	uint32_t pids;
	uint32_t open_files;
	uint32_t numa; /* the node whose CPUs and memory it gets, plus one */
};

enum { PYI_N_LIMITS = 11 };

struct pyi_policy {
	char *name; /* as the user named it: a path, a template's name, or "flags" */
	enum pyi_on_violation on_violation;
	struct pyi_fs_rule *fs; /* exec rules (exec: [{allow: P}]) stand here too, with PYI_READ | PYI_EXEC */
	size_t n_fs;
	struct pyi_net_rule *net;
	size_t n_net;
	struct pyi_env_rule *env;
	size_t n_env;
	bool has_imports; /* an import list was given */
	char **imports;	  /* top-level module names */
	size_t n_imports;
	struct pyi_contract_set *contracts; /* policy/contract.h; NULL without any */
	struct pyi_limits limits;
	struct pyi_origin limit_from[PYI_N_LIMITS]; /* in the order of their keys; file NULL where there is none */
	/*
	 * What any policy that takes this one's place in a running sandbox may grant (ceiling.h): fs, net and limits of
	 * a policy that has nothing else, rules that allow and rules that deny. Of a list that was not given: what this
	 * one has. NULL: neither.
	 */
	struct pyi_policy *ceiling;
	bool has_ceiling_files; /* of a ceiling itself: fs (exec with it) was given, net was given */
	bool has_ceiling_net;
	char **notes; /* rewritten seed-era spellings, "policy.yml:3: 'mem' is now 'memory'" */
	size_t n_notes;
	uint8_t digest[32]; /* SHA-256 of the canonical text of the effective policy (pyi_policy_print) */
};

/* One flag that is part of the policy; the flags of a command are its last child document, in order. */
struct pyi_policy_flag {
	const char *name;  /* "allow-read", "deny-net", "memory", "env", ... without the dashes */
	const char *value; /* borrowed */
};

/* One more document, behind the flags; what in it is not on this host is left out, as for a template. */
struct pyi_policy_more {
	const char *origin; /* of all its rules: "--audit" */
	const struct pyi_policy_flag *flags;
	size_t n_flags;
};

/* All errors of a document, each a whole line "file:line: message"; for `policy check`. */
struct pyi_policy_errors {
	char **lines;
	size_t n;
};

void pyi_policy_errors_release(struct pyi_policy_errors *errors);

/*
 * Load what `ref` names (a path if it has a slash or ends in .yml or .yaml, else a template, /etc/pyisolate/policy
 * before the built-in ones), its parents, then the flags. ref NULL: flags over the template "defaults".
 * Relative paths in a document are relative to the document's directory, in a flag to the working directory.
 * On failure *err has the first error and `errors` (may be NULL) all of them.
 */
int pyi_policy_load(const char *ref, const struct pyi_policy_flag *flags, size_t n_flags,
		    struct pyi_policy **ret_policy, struct pyi_policy_errors *errors,
		    struct pyi_err *err);

/* Have the policy of those who name none ready for the first pyi_policy_load: for a program that is prepared. */
int pyi_policy_make_ready(struct pyi_err *err);

/* As pyi_policy_load, with one more document; `more` may be NULL. */
int pyi_policy_load_with(const char *ref, const struct pyi_policy_flag *flags, size_t n_flags,
			 const struct pyi_policy_more *more, struct pyi_policy **ret_policy,
			 struct pyi_policy_errors *errors, struct pyi_err *err);

/* As pyi_policy_load, for a document in memory (tests, fuzzing); `file` stands in messages. */
int pyi_policy_parse(const char *file, const char *text, size_t len, struct pyi_policy **ret_policy,
		     struct pyi_policy_errors *errors, struct pyi_err *err);

/* The same for one that came from elsewhere: it may extend templates, and names none of this host's policy files. */
int pyi_policy_parse_foreign(const char *file, const char *text, size_t len,
			     struct pyi_policy **ret_policy, struct pyi_err *err);

/* What pyi_policy_print wrote with origins, read again: each rule has the origin it had. `text` is terminated. */
int pyi_policy_parse_printed(const char *name, const char *text, size_t len,
			     struct pyi_policy **ret_policy, struct pyi_err *err);

void pyi_policy_free(struct pyi_policy *policy);

/* The effective policy as YAML that parses to the same policy; each rule with its origin as a comment if asked. */
void pyi_policy_print(const struct pyi_policy *policy, bool with_origins, struct pyi_buf *out);

/* A scalar that is read as this text (bytes that are not UTF-8 as U+FFFD), whatever is in it. */
void pyi_policy_quote(struct pyi_buf *out, const char *text);

/* Text inside a comment: on one line, printable, at most `max` bytes of it. */
void pyi_policy_comment(struct pyi_buf *out, const char *text, size_t max);

/* Does a rule's path or pattern cover this absolute path (itself or something above it)? */
bool pyi_policy_path_matches(const char *pattern, const char *path);

/*
 * Which rule decides on a path? *ret_rule is the deciding rule, NULL when the default (deny) does.
 * `access` is one of PYI_READ, PYI_WRITE, PYI_EXEC.
 */
enum pyi_verdict pyi_policy_decide_fs(const struct pyi_policy *policy, const char *path,
				      unsigned int access, const struct pyi_fs_rule **ret_rule);

/* What the rule does, in the word of the document: "read", "write", "exec", "deny" or "warn". */
const char *pyi_policy_fs_rule_word(const struct pyi_fs_rule *rule);

/*
 * As pyi_policy_decide_fs for an address and port. Rules with a host name are compared by `host` (may be NULL) alone.
 * Loopback, link-local and metadata addresses are allowed only by a rule whose prefix lies inside their own block:
 * '*', 0.0.0.0/0 and the like do not name them (a deny rule covers them all the same). See policy/netblock.h.
 */
enum pyi_verdict pyi_policy_decide_net(const struct pyi_policy *policy, enum pyi_net_op op,
				       enum pyi_net_proto proto, const char *host,
				       const uint8_t addr[16], uint16_t port,
				       const struct pyi_net_rule **ret_rule);

/* The ceiling's list when it was given, else NULL. */
const struct pyi_policy *pyi_policy_ceiling_files(const struct pyi_policy *policy);
const struct pyi_policy *pyi_policy_ceiling_net(const struct pyi_policy *policy);

/* The built-in templates, in alphabetical order. */
struct pyi_template {
	const char *name;
	const char *text;
	size_t len;
};
extern const struct pyi_template pyi_templates[];
extern const size_t pyi_n_templates;

#endif
