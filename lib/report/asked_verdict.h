/* SPDX-License-Identifier: MIT */
/* What the policy says to a record of asked.h, what came of it, and a line about it. Pure. */
#ifndef PYI_REPORT_ASKED_VERDICT_H
#define PYI_REPORT_ASKED_VERDICT_H

struct pyi_asked;
struct pyi_buf;
struct pyi_origin;
struct pyi_plan;

enum pyi_asked_outcome {
	PYI_ASKED_ALLOWED, /* it succeeded */
	PYI_ASKED_WARNED,  /* it succeeded, and a rule warns of it */
	PYI_ASKED_DENIED,  /* it was refused: no rule allows it, or one denies it */
	PYI_ASKED_FAILED,  /* it failed for another reason than the policy, as far as can be told */
};

struct pyi_asked_verdict {
	enum pyi_asked_outcome outcome;
	char *rule; /* owned: "fs: read /etc", "no rule", "the sandbox's own /tmp" */
	const struct pyi_origin *from; /* of the rule; the policy's; NULL: it is none of the policy's */
	char *grant; /* owned; of what no rule allows: the option that would, "--allow-read /root"; else NULL */
};

/*
 * The kernel's answer is in the record; this says by which rule. A path is looked up by where it led to, as far as that
 * is known: rules are about real paths. 0 or -ENOMEM; the caller releases it.
 */
int pyi_asked_judge(const struct pyi_plan *plan, const struct pyi_asked *asked,
		    struct pyi_asked_verdict *ret_verdict);
void pyi_asked_verdict_release(struct pyi_asked_verdict *verdict);

/* The path, "127.0.0.1:80", "udp://[::1]:53", "inet stream", ... as it is, whatever bytes it has. */
void pyi_asked_print_target(const struct pyi_asked *asked, struct pyi_buf *out);

/*
 * A line, without its end: "TIME PID[/TID] CALL [KIND] TARGET [-> REAL] VERDICT: RULE", seconds since the start of the
 * run; control characters as \xNN. The same as a JSON object.
 */
void pyi_asked_print(const struct pyi_plan *plan, const struct pyi_asked *asked, struct pyi_buf *out);
void pyi_asked_print_json(const struct pyi_plan *plan, const struct pyi_asked *asked,
			  struct pyi_buf *out);

#endif
