/* SPDX-License-Identifier: MIT */
/* The result record: one JSON object that tells apart every way a run can end. */
#ifndef PYI_REPORT_RESULT_H
#define PYI_REPORT_RESULT_H

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "plan/layer.h"
#include "report/kernel_events.h"

struct pyi_buf;
struct pyi_profile;

enum pyi_reason {
	PYI_REASON_EXITED,    /* by itself */
	PYI_REASON_EXCEPTION, /* an uncaught Python exception */
	PYI_REASON_SIGNAL,
	PYI_REASON_WALL_TIME,
	PYI_REASON_CPU_TIME,
	PYI_REASON_MEMORY,
	PYI_REASON_PIDS, /* ended abnormally after the limit on processes was hit */
	PYI_REASON_OUTPUT,
	PYI_REASON_POLICY, /* killed for a forbidden system call, or on_violation: kill */
	PYI_REASON_PANIC,
	PYI_REASON_SETUP,   /* pyisolate failed before or around the guest */
	PYI_REASON_STOPPED, /* by `pyisolate stop` */
	PYI_REASON_NET_BYTES,
};

enum {
	PYI_EXIT_USAGE = 2,
	PYI_EXIT_WALL_TIME = 124,
	PYI_EXIT_FAILURE = 125,
	PYI_EXIT_CANNOT_EXEC = 126,
	PYI_EXIT_NOT_FOUND = 127,
	PYI_EXIT_OUTPUT = 153,	  /* as SIGXFSZ, the signal for too large a file */
	PYI_EXIT_NET_BYTES = 153, /* the other limit on what gets out */
	PYI_EXIT_MEMORY = 137,
	PYI_EXIT_CPU_TIME = 152,
	PYI_EXIT_POLICY = 159,
};

const char *pyi_reason_name(enum pyi_reason reason);

enum { PYI_DENIALS_KEPT = 100 };

struct pyi_denial {
	char *rule; /* "fs: deny /srv/data/private" or "fs: default"; NULL: of a policy that is gone */
	char *file;   /* "policy.yml:7"; NULL for the default */
	char *op;     /* "open", "connect", "exec", "env", ... */
	char *target; /* path, "address:port", or the name of a variable */
	int errnum;
	char *at;	/* "job.py:12"; NULL when unknown */
	uint64_t at_us; /* since the start of the run; 0: unknown */
	int pid;	/* on the host; 0: unknown */
	int thread;
	char *grant; /* of an audit: what would allow it, "--allow-read /srv/data"; NULL: nothing that narrow */
	bool is_warning;
	bool is_claim; /* told by the guest, which may lie; the verdict itself was checked against the policy */
};

struct pyi_json;

/* Is its target an address? */
bool pyi_denial_is_network(const char *op);

/* Into the object being written: rule, file, op, path (or address, or variable), errno, at, pid, thread. */
void pyi_denial_print_members(const struct pyi_denial *denial, struct pyi_json *json);

/* Packets that passed, and those that did not. */
struct pyi_result_net {
	uint64_t rx_bytes;
	uint64_t rx_packets;
	uint64_t tx_bytes;
	uint64_t tx_packets;
	uint64_t dropped_packets; /* for the limit */
	uint64_t delayed_packets; /* for the rate */
};

/* Something that was counted: "net.connects". */
struct pyi_counter {
	const char *name; /* borrowed, static */
	uint64_t value;
};

enum { PYI_COUNTERS_MAX = 16 };

struct pyi_result {
	enum pyi_reason reason;
	int exit_code;
	int signal;	  /* 0: none */
	const char *name; /* of a named sandbox, NULL */
	uint32_t generation;
	char policy_digest[65]; /* hex; "" before a policy was loaded */
	const char *mode;	/* NULL before a plan was made */
	bool is_audit;		/* nothing was denied by default */
	bool has_image;		/* Python started from an image */
	uint64_t wall_us;
	uint64_t cpu_us;
	uint64_t memory_peak_bytes; /* 0: unknown */
	uint64_t output_bytes;
	uint64_t denials_total;	  /* denied, warnings not counted */
	uint64_t warnings_total;  /* let through with a warning */
	uint64_t denials_dropped; /* events lost on the way */
	struct pyi_result_net net;
	uint64_t contracts_broken; /* calls that a contract refused; among the denials too */
	struct pyi_counter counters[PYI_COUNTERS_MAX]; /* where the policy has contracts */
	uint32_t n_counters;
	struct pyi_kernel_events events;
	bool wants_profile;
	const struct pyi_profile *profile; /* borrowed; NULL: there is none */
	struct pyi_denial denials[PYI_DENIALS_KEPT];
	uint32_t n_denials;
	struct pyi_layer_status layers[PYI_N_LAYERS];
	struct pyi_err error; /* of setup */
};

void pyi_result_init(struct pyi_result *result);
void pyi_result_release(struct pyi_result *result);

/* Counts it, keeps the first 100 (copies the strings; the caller keeps its own). 0 or -ENOMEM: counted, not kept. */
int pyi_result_add_denial(struct pyi_result *result, const struct pyi_denial *denial);

/*
 * One JSON object on one line, and a newline. Members, always present unless said otherwise (readers must ignore those
 * they do not know):
 *
 *	reason, exit_code	pyi_reason_name, DESIGN's table of codes
 *	signal, name		null when there is none
 *	generation, policy, mode	policy is the digest in hex; policy and mode are null before they are known
 *	audit			was it an audit (run --audit)?
 *	image			did Python start from an image?
 *	wall_ms, cpu_ms		milliseconds with 3 decimals
 *	memory_peak_bytes	null when unknown
 *	output_bytes
 *	counters		{denials, warnings, events_dropped, net_rx_bytes, net_rx_packets, net_tx_bytes,
 *				net_tx_packets, net_dropped_packets, net_delayed_packets, contracts_broken}, with
 *				contracts also what they can speak of: "net.connects", ...
 *	events			what limits made the kernel do, in the order of time: {at_ms, kind, and figures}:
 *				MEM_KILL {kills, peak_bytes, limit_bytes}, CPU_THROTTLE {periods, throttled_us,
 *				limit_permille}, CPU_QUOTA {cpu_ms, limit_ms}, NET_LIMIT {dropped_packets, bytes,
 *				limit_bytes}, PIDS_MAX {refused, limit}; a limit is null when it is not ours
 *	profile			only with --profile: see report/profile.h; null where there is none
 *	denials			the first 100: {rule, file, op, path (address of a network op, variable of "env"),
 *				errno, at, at_ms, pid, thread, warning, claim}; rule is null when its policy is not
 *				known any more; file, at
 *				(file and line of the guest's Python), at_ms and, on the host, pid and thread are null
 *				when unknown; warning and claim left out when false;
 *				grant (of an audit: the option that would allow it) where there is none
 *	denials_total
 *	layers			{NAME: {state: on | off | unused, why}}, why left out when empty
 *	error			the message of a failed set-up, else null
 */
void pyi_result_print_json(const struct pyi_result *result, struct pyi_buf *out);

#endif
