/* SPDX-License-Identifier: MIT */
/*
 * One run, from checked options to the exit code: policy → facts → grants → plan → cgroup, BPF rows →
 * sandbox → watch → result. The only way through the code, for the embedded Python and for `-- CMD` alike.
 */
#ifndef PYI_SUPER_RUN_H
#define PYI_SUPER_RUN_H

#include <stdbool.h>
#include <stdint.h>

#include "guest/guest.h"
#include "guest/image.h"
#include "plan/plan.h"
#include "policy/policy.h"

struct pyi_cgroup;
struct pyi_err;
struct pyi_door;
struct pyi_event_stream;
struct pyi_facts;
struct pyi_logfile;
struct pyi_result;
struct pyi_tree_way;

/* What a run has come to, for its hooks. Members are set as soon as they are there. */
struct pyi_run_view {
	const struct pyi_policy *policy;
	const struct pyi_plan *plan;
	const struct pyi_cgroup *cgroup; /* NULL without */
	bool has_bpf;			 /* the cgroup has an assignment */
	pid_t init_pid;
	const struct pyi_tree_way *way; /* into its files: see hooks.can_reload */
};

/* What is in force now, after a reload. */
struct pyi_run_now {
	uint32_t generation;
	struct pyi_limits limits;
	struct pyi_policy *policy;
};

/*
 * Who keeps book of a run is told of its steps, in this order. The first three may refuse, with -errno and a message:
 * then the run ends as one that could not be set up. `arg` goes to all of them.
 */
struct pyi_run_hooks {
	/* All is read and checked, nothing is made yet. After it standard input is the guest's. */
	int (*planned)(void *arg, const struct pyi_run_view *view, struct pyi_err *err);
	/* The processes are there. */
	int (*started)(void *arg, const struct pyi_run_view *view, struct pyi_err *err);
	/* The guest is in the user's code, or the command was executed. */
	int (*ready)(void *arg, struct pyi_err *err);
	/* A limit was hit: it is being ended. */
	void (*ending)(void *arg);
	/*
	 * Somebody says that there is another policy. 0: *ret_now is filled in, its policy the caller's to free.
	 * -EAGAIN: it is not settled yet; -ENOENT: there is none.
	 */
	int (*reloaded)(void *arg, struct pyi_run_now *ret_now);
	/* All is cleared away; once, if `planned` was called and did not refuse. */
	void (*ended)(void *arg, const struct pyi_result *result);
	void *arg;
	const char *name;	 /* of the sandbox, for the result record */
	bool can_reload;	 /* it is made so that its limits can change */
	struct pyi_logfile *log; /* takes the guest's output in place of stdout and stderr */
	struct pyi_event_stream *events; /* is told what happens; NULL until `planned` */
	struct pyi_door *door; /* is answered at while the guest runs; NULL: there is none */
};

struct pyi_abi_python;

struct pyi_run_options {
	/* Where a guest of this binary keeps its frames: pyi_python_layout; NULL: not known. */
	void (*python_layout)(struct pyi_abi_python *ret_layout);
	const char *policy; /* --policy, NULL: "defaults" */
	const struct pyi_policy_flag *flags;
	size_t n_flags;
	enum pyi_mode mode;
	uint32_t required_layers;
	bool has_user;
	uid_t uid;
	gid_t gid;
	const char *cwd;
	const char *result_path;	   /* --result */
	int result_fd;			   /* --result-fd, -1 */
	const struct pyi_run_hooks *hooks; /* NULL: none */
	bool profile;			   /* CPU and memory over time, at the end */
	bool trace;			   /* print what the guest asks of the kernel; root */
	const char *trace_path;		   /* to this file in place of stderr; NULL: stderr */
	bool trace_json;
	bool keep_asked; /* the run is traced, pyi_run.asked has the records at its end; root */
	bool audit;	 /* allow what the invoker may, and record it; with keep_asked */
	const char *suggest_path; /* of an audit: the file for the suggested policy, NULL */
	bool dry_run;
	bool json;				    /* with --dry-run */
	bool no_image;				    /* start normally, and make none */
	const char *preload[PYI_IMAGE_PRELOAD_MAX]; /* --preload: modules of the binary */
	size_t n_preload;
	uint64_t image_age_ms; /* --image-age; UINT64_MAX: any */

	enum pyi_guest_kind guest;
	enum pyi_guest_source source;
	const char *target; /* code, module, script path; NULL for stdin and commands */
	char *const *args;  /* the guest's own; for a command argv with the command first */
	size_t n_args;
};

/* The exit code of DESIGN 8. Prints its one line itself when something fails. */
int pyi_run(const struct pyi_run_options *options);

#endif
