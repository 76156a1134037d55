/* SPDX-License-Identifier: MIT */
/*
 * The plan: everything that will be done for one sandbox on this host, as data. policy + options + facts + grants
 * go in; an ordered list of typed operations and rows come out; lib/kernel walks it. `--dry-run` prints it.
 * Building a plan makes no system call.
 */
#ifndef PYI_PLAN_PLAN_H
#define PYI_PLAN_PLAN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "plan/layer.h"
#include "policy/policy.h"

struct pyi_buf;
struct pyi_contract_set;
struct pyi_dfa;
struct pyi_err;
struct pyi_facts;
struct pyi_grants;

enum pyi_mode { PYI_MODE_DEFAULT, PYI_MODE_HARDENED, PYI_MODE_COMPATIBILITY, PYI_MODE_DEV };

const char *pyi_mode_name(enum pyi_mode mode);

enum pyi_guest_kind { PYI_GUEST_PYTHON, PYI_GUEST_COMMAND };

/* What the command line adds to the policy. All strings are borrowed. */
struct pyi_plan_options {
	enum pyi_mode mode;
	enum pyi_guest_kind guest;
	bool profile;		  /* --profile: what is used is to be seen */
	bool trace;		  /* what the guest asks is recorded, by its control group */
	bool audit;		  /* --audit: the rules of that origin show the host's tree */
	uint32_t required_layers; /* bits 1 << enum pyi_layer, from --require */
	bool has_user;		  /* --user UID[:GID], as root */
	uid_t uid;
	gid_t gid;
	uid_t default_uid; /* as root without --user: an id no other live sandbox has; also the gid */
	const char *cwd;   /* --cwd; NULL: the invoker's own if it is visible inside, else /tmp */
	const char *invoker_cwd;
	const char *const *environ; /* the invoker's, NULL-terminated; what env rules let pass is taken from it */
	bool limits_by_group; /* memory and CPU time by the cgroup alone: what a process has, nobody could change */
	const struct pyi_numa *numa; /* the node that the policy names; NULL: it names none. Outlives the plan */
	const struct pyi_grants *ceiling; /* the files of the policy's ceiling; NULL: it has none */
	const char *home;		  /* not granted, only named in messages; may be NULL */
};

/*
 * One step of making the sandbox's file tree, in order, on an empty tmpfs. Paths are absolute inside the sandbox and
 * hold no symlink. The executor first makes what is missing of the parents (0755) and, for what is mounted, the mount
 * point; only in our own tmpfs (root or /tmp), because beneath a BIND everything named here exists already. A BIND may
 * stand beneath another one: it is mounted over it. When all steps are done the root is made read-only.
 */
enum pyi_op_kind {
	PYI_OP_DIR,	  /* mkdir -p, mode 0755 */
	PYI_OP_BIND,	  /* source → path: open_tree, mount_setattr from access, move_mount */
	PYI_OP_MASK_DIR,  /* an empty directory nobody may enter, over a denied one */
	PYI_OP_MASK_FILE, /* an empty file nobody may open, over a denied one */
	PYI_OP_SYMLINK,	  /* path → text */
	PYI_OP_FILE,	  /* a read-only file with the content `text` */
	PYI_OP_DEV,	  /* bind of the host's device node `source`, read-write, no exec */
	PYI_OP_PROC,	  /* new proc, subset=pid, hidepid=invisible */
	PYI_OP_TMPFS, /* private, size_bytes, nosuid nodev noexec (unless access has PYI_EXEC) */
};

struct pyi_op {
	enum pyi_op_kind kind;
	char *path;
	char *source; /* for BIND and DEV: the host's path, already real */
	char *text;
	unsigned int access; /* PYI_READ | PYI_WRITE | PYI_EXEC */
	uint64_t size_bytes;
	bool idmap;
	bool is_dir;			/* for BIND */
	const struct pyi_fs_rule *rule; /* borrowed, NULL for our own */
};

/*
 * Landlock: what is allowed beneath a path (of the sandbox's own tree, or of the host's without namespaces).
 *
 * Rows are opened with O_PATH by the process that will run the guest. They hold no symlink, but for those of /proc
 * ("/proc/self" is that process's own directory). Execution is always handled; our own binary, which the Python guest
 * executes by its descriptor, needs no row (see pyi_landlock_apply). A guest that runs it again gains nothing: it stays
 * in the same domain.
 */
struct pyi_landlock_row {
	char *path;
	unsigned int access;
	bool is_dir;
	bool may_make_special; /* symlinks, fifos and sockets may be made here: private file systems only */
	bool may_list; /* directories beneath may be listed, files not read: the sandbox's own root */
	bool is_place; /* of the ceiling: for what is mounted beneath it alone, not for what is there on the host */
};

/*
 * Network rows: prefixes, each with the final verdict of every rule about it, per port range. Prefixes are distinct and
 * may nest; **the longest one that holds an address decides alone** (as in an LPM trie), a row without ranges denies,
 * and so does no row at all. IPv4 as ::ffff:a.b.c.d. Ranges are sorted; for one port and one kind of use at most one
 * range applies, but ranges for different uses may overlap.
 */
enum {
	PYI_NET_RANGES_MAX = 16, /* per prefix */
	PYI_NET_ROWS_MAX = 1024, /* per plan */
};

struct pyi_net_range {
	uint16_t port_min;
	uint16_t port_max;
	uint8_t ops_protos; /* bit 0 connect/tcp, 1 connect/udp, 2 bind/tcp, 3 bind/udp */
	uint8_t is_warn;
	uint16_t rule; /* index into policy->net, for the denial record */
};

struct pyi_net_row {
	uint8_t addr[16];
	uint8_t prefix_len;
	uint8_t n_ranges;
	struct pyi_net_range ranges[PYI_NET_RANGES_MAX]; /* what is allowed; nothing else is */
};

/* A variable that is let through in mode dev, and by which rule. */
struct pyi_env_warning {
	char *name;
	const struct pyi_env_rule *rule; /* the first that warns; of the policy */
};

struct pyi_rlimit_row {
	int resource; /* RLIMIT_* */
	uint64_t soft;
	uint64_t hard;
};

/* A name of the policy's net rules with what the supervisor's resolver said; input to the planner. */
struct pyi_resolved_name {
	char *name;
	uint8_t (*addrs)[16];
	size_t n_addrs;
};

struct pyi_names {
	struct pyi_resolved_name *v;
	size_t n;
};

void pyi_names_release(struct pyi_names *names);

struct pyi_plan {
	const struct pyi_policy *policy; /* borrowed; outlives the plan */
	enum pyi_mode mode;		 /* never DEFAULT */
	enum pyi_guest_kind guest;
	struct pyi_layer_status layers[PYI_N_LAYERS];

	bool use_userns;     /* an ordinary user: ids map one to one */
	bool use_namespaces; /* mount, pid, ipc, uts, cgroup */
	bool own_netns;	     /* an empty network namespace */
	bool use_cgroup;
	bool profile; /* measure CPU and memory, limited or not */
	bool use_bpf_cgroup;
	bool use_bpf_perf;
	bool use_bpf_lsm;
	bool use_landlock;
	bool use_seccomp;
	uid_t uid; /* the guest's, as the kernel of the host sees it */
	gid_t gid;

	struct pyi_op *ops;
	size_t n_ops;
	struct pyi_landlock_row *landlock;
	size_t n_landlock;
	/* What a reload may bring in besides: inside Landlock's domain, and empty places in the tree until then. */
	struct pyi_landlock_row *ceiling;
	size_t n_ceiling;
	struct pyi_net_row *net;
	size_t n_net;
	struct pyi_dfa *paths; /* with use_bpf_lsm: every path rule, for the programs to walk; owned */
	bool net_tcp;	       /* some rule allows stream sockets */
	bool net_udp;
	bool net_listen; /* some rule allows binding a TCP port */
	bool may_tcp;	 /* the same three, for what the ceiling lets a reload allow */
	bool may_udp;
	bool may_listen;
	const struct pyi_contract_set *contracts; /* the policy's, where they can be broken; else NULL */
	bool counts_bytes; /* some contract speaks of bytes of files, and the LSM programs count */
	bool exec; /* some rule allows exec, or the ceiling does (always for PYI_GUEST_COMMAND) */
	bool mdwe;
	struct pyi_rlimit_row *rlimits;
	size_t n_rlimits;
	const struct pyi_numa *numa;	      /* what the options gave; NULL: any node */
	struct pyi_limits limits;	      /* effective, defaults filled in */
	char **env;			      /* "NAME=value", NULL-terminated */
	struct pyi_env_warning *env_warnings; /* mode dev: those of them that the policy warns of */
	size_t n_env_warnings;
	char *cwd;
	char **warnings; /* what is done without or only nearly, a line each; hardened: only what is not needed */
	size_t n_warnings;
};

/*
 * Fails closed: where the mode refuses, the message names the layer and the next step. The error of a rule that
 * cannot be enforced names its file:line. `grants` and `names` may be NULL for none; all inputs are borrowed and, with
 * the exception of the policy, only until this returns.
 *
 * What the environment of the guest is: PATH, HOME=/tmp, TMPDIR=/tmp, USER, LOGNAME=sandbox, LANG=C.UTF-8, then what
 * the rules set or pass from the invoker's; a deny rule removes even these, and a warn rule, but in mode dev.
 * A pattern ("LC_*", "*") never passes the
 * variables that steer a loader, a shell or an interpreter (LD_*, PYTHON*, BASH_ENV, ...) unless it names their family:
 * "LD_*" and "LD_PRELOAD" do, "L*" does not.
 */
int pyi_plan_build(const struct pyi_policy *policy, const struct pyi_plan_options *options,
		   const struct pyi_facts *facts, const struct pyi_grants *grants,
		   const struct pyi_names *names, struct pyi_plan **ret_plan, struct pyi_err *err);
void pyi_plan_free(struct pyi_plan *plan);

/* What a sandbox that runs was started as. */
struct pyi_plan_running {
	enum pyi_mode mode; /* not DEFAULT */
	enum pyi_guest_kind guest;
	uid_t uid; /* the guest's; these three are needed with grants alone */
	gid_t gid;
	bool use_bpf_lsm;
	bool has_network;
	const struct pyi_grants *grants; /* NULL: the files stay as they are */
};

/*
 * Of a policy for a sandbox that runs already, what a reload puts in force: network rows, contracts and limits
 * (without defaults); with grants the file tree, and the path automaton where there is one. The rest of the plan is
 * empty.
 */
int pyi_plan_build_reload(const struct pyi_policy *policy, const struct pyi_plan_running *running,
			  const struct pyi_names *names, struct pyi_plan **ret_plan,
			  struct pyi_err *err);

/* For --dry-run: readable text, or one JSON object. */
void pyi_plan_print(const struct pyi_plan *plan, struct pyi_buf *out);
void pyi_plan_print_json(const struct pyi_plan *plan, struct pyi_buf *out);

/*
 * What `-- CMD` may read and execute besides the policy: the host's runtime directories. NULL-terminated.
 * Documented in pyisolate-run(1); nothing else of the host is granted.
 */
extern const char *const pyi_command_runtime_paths[];

#endif
