/* SPDX-License-Identifier: MIT */
/*
 * How a run ended; see outcome.h.
 *
 * The kernel's word comes first: what we killed it for, the cgroup's counters, the wait status. What the guest says of
 * its exceptions is a claim: it can change the explanation, never the verdict. A path it names is looked at with the
 * policy's eyes only (does a rule cover it?) and, for the hint, whether it exists on the host.
 */
#include "super/outcome.h"

#include <errno.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "base/buf.h"
#include "base/log.h"
#include "base/parse.h"
#include "kernel/bpf.h"
#include "kernel/cgroup.h"
#include "pyi_abi.h"
#include "super/outcome_contract.h"
#include "super/outcome_event.h"
#include "super/steps.h"
#include "super/watch.h"

static void decide_killed(const struct pyi_watch *watch, struct pyi_result *result)
{
	result->reason = watch->kill_reason;
	switch (watch->kill_reason) {
	case PYI_REASON_WALL_TIME:
		result->exit_code = PYI_EXIT_WALL_TIME;
		break;
	case PYI_REASON_CPU_TIME:
		result->exit_code = PYI_EXIT_CPU_TIME;
		break;
	case PYI_REASON_OUTPUT:
		result->exit_code = PYI_EXIT_OUTPUT;
		break;
	case PYI_REASON_NET_BYTES:
		result->exit_code = PYI_EXIT_NET_BYTES;
		break;
	default:
		result->exit_code = PYI_EXIT_FAILURE;
		break;
	}
}

/* RLIMIT_CPU: SIGXCPU at the limit, which a guest may ignore, and SIGKILL a second later. */
static bool is_cpu_limit(const struct pyi_outcome_input *input, int signo)
{
	uint64_t limit_us = input->watch->limits.cpu_time_ms * 1000;

	if (!limit_us)
		return false;
	return signo == SIGXCPU || input->cpu_is_spent ||
	       (signo == SIGKILL && !input->usage && input->watch->cpu_us >= limit_us);
}

static void decide_signal(const struct pyi_outcome_input *input, int signo, struct pyi_result *result)
{
	bool was_oom = input->usage && input->usage->oom_kills > 0;

	result->signal = signo;
	result->exit_code = 128 + signo;
	if (signo == SIGKILL && was_oom) {
		result->reason = PYI_REASON_MEMORY;
	} else if (is_cpu_limit(input, signo)) {
		result->reason = PYI_REASON_CPU_TIME;
		result->exit_code = PYI_EXIT_CPU_TIME;
	} else if (signo == SIGSYS) {
		result->reason = input->plan->policy->on_violation == PYI_VIOLATION_PANIC
					 ? PYI_REASON_PANIC
					 : PYI_REASON_POLICY;
	} else {
		result->reason = PYI_REASON_SIGNAL;
	}
}

/* A failed allocation's has no text; the compiler raises one with a text for code too deep for its stack. */
static bool is_memory_error(const struct pyi_watch *watch)
{
	return watch->has_uncaught && strcmp(watch->uncaught.name, "MemoryError") == 0 &&
	       !watch->uncaught.path[0];
}

static void decide_exit(const struct pyi_outcome_input *input, int code, struct pyi_result *result)
{
	const struct pyi_watch *watch = input->watch;

	result->exit_code = code;
	result->reason = PYI_REASON_EXITED;
	/* v2 ends the whole group then; on v1 the guest may have outlived the process that was killed. */
	if (input->usage && input->usage->oom_kills) {
		result->reason = PYI_REASON_MEMORY;
		result->exit_code = PYI_EXIT_MEMORY;
		return;
	}
	/* The kernel was quicker than the supervisor: part of the guest got SIGXCPU, the rest was left to end. */
	if (input->cpu_is_spent) {
		result->reason = PYI_REASON_CPU_TIME;
		result->exit_code = PYI_EXIT_CPU_TIME;
		return;
	}
	if (code == 0)
		return;
	if (watch->has_uncaught)
		result->reason = PYI_REASON_EXCEPTION;
	if (code == 1 && is_memory_error(watch) && input->watch->limits.memory_bytes) {
		result->reason = PYI_REASON_MEMORY;
		result->exit_code = PYI_EXIT_MEMORY;
	} else if (input->usage && input->usage->pids_refused) {
		result->reason = PYI_REASON_PIDS;
	}
}

/* Make a guest's path absolute as the guest started; false when it is nothing to look at. */
static bool absolute_path(const struct pyi_plan *plan, const char *path, char *buf, size_t size)
{
	int n;

	if (!path[0])
		return false;
	if (path[0] == '/')
		n = snprintf(buf, size, "%s", path);
	else
		n = snprintf(buf, size, "%s/%s", strcmp(plan->cwd, "/") ? plan->cwd : "", path);
	return n > 0 && (size_t)n < size && !strstr(buf, "/../") && !strstr(buf, "/./");
}

/* Which right was missing? A path that may be read and yet was refused was to be written. */
static unsigned int wanted_access(const struct pyi_plan *plan, const struct pyi_report_msg *msg,
				  const char *path)
{
	const struct pyi_fs_rule *rule;

	if (msg->flags & PYI_REPORT_PROGRAM)
		return PYI_EXEC;
	if ((msg->flags & PYI_REPORT_WRITE) || msg->errnum == EROFS ||
	    (msg->errnum != ENOENT &&
	     pyi_policy_decide_fs(plan->policy, path, PYI_READ, &rule) != PYI_DENY))
		return PYI_WRITE;
	return PYI_READ;
}

/* Places that are the sandbox's own: an error about them is the program's affair. */
static bool is_private_path(const char *path)
{
	return pyi_policy_path_matches("/proc", path) || pyi_policy_path_matches("/dev", path);
}

/* Would the call have met something outside: the path itself or, for a new file, its directory? */
static bool exists_outside(const struct pyi_plan *plan, const char *path, bool is_write)
{
	char parent[PATH_MAX];
	struct stat st;
	char *slash;

	if (lstat(path, &st) == 0)
		return true;
	if (!is_write)
		return false;
	snprintf(parent, sizeof(parent), "%s", path);
	slash = strrchr(parent, '/');
	slash[slash == parent] = '\0';
	/* A directory of the sandbox's own, in which everything can be made. */
	for (size_t i = 0; i < plan->n_ops; i++)
		if (plan->ops[i].kind == PYI_OP_TMPFS && strcmp(plan->ops[i].path, parent) == 0)
			return false;
	return lstat(parent, &st) == 0;
}

/* Does this reported error come from the policy? *ret_rule is NULL when the default decided. */
static bool is_denial(const struct pyi_plan *plan, const struct pyi_report_msg *msg, char *path,
		      size_t size, const struct pyi_fs_rule **ret_rule, unsigned int *ret_access)
{
	if (msg->errnum != EACCES && msg->errnum != EPERM && msg->errnum != ENOENT && msg->errnum != EROFS)
		return false;
	if ((msg->flags & PYI_REPORT_ADDRESS) || !absolute_path(plan, msg->path, path, size) ||
	    is_private_path(path))
		return false;
	*ret_access = wanted_access(plan, msg, path);
	if (pyi_policy_decide_fs(plan->policy, path, *ret_access, ret_rule) != PYI_DENY)
		return false;
	return msg->errnum != ENOENT || exists_outside(plan, path, *ret_access == PYI_WRITE);
}

/* What the guest says of it where the kernel has said it too: then only the line of its code is of use. */
static const struct pyi_bpf_event *find_event(const struct pyi_outcome_input *input, const char *path)
{
	for (size_t i = 0; i < input->n_events; i++)
		if (input->events[i].op == PYI_BPF_PATH && !input->events[i].is_warning &&
		    strcmp(input->events[i].path, path) == 0)
			return &input->events[i];
	return NULL;
}

static void add_fs_denial(const struct pyi_outcome_input *input, const struct pyi_report_msg *msg,
			  struct pyi_result *result)
{
	char path[PATH_MAX], rule_text[PATH_MAX + 32], origin[PATH_MAX], at[1200];
	struct pyi_denial denial = { .is_claim = true };
	const struct pyi_fs_rule *rule = NULL;
	unsigned int access;

	if (!is_denial(input->plan, msg, path, sizeof(path), &rule, &access) || find_event(input, path))
		return;
	denial.op = (char *)(access == PYI_WRITE ? "write" : access == PYI_EXEC ? "exec" : "open");
	if (rule) {
		snprintf(rule_text, sizeof(rule_text), "fs: deny %s", rule->path);
		denial.file = pyi_outcome_format_origin(&rule->from, origin, sizeof(origin));
	} else {
		snprintf(rule_text, sizeof(rule_text), "fs: default");
	}
	denial.rule = rule_text;
	denial.target = path;
	denial.errnum = msg->errnum;
	if (msg->file[0]) {
		snprintf(at, sizeof(at), "%s:%u", msg->file, msg->line);
		denial.at = at;
	}
	(void)pyi_result_add_denial(result, &denial);
}

/* Where in the guest's code it says it was refused this very address or path. */
static const struct pyi_report_msg *find_claim(const struct pyi_outcome_input *input,
					       const char *target, bool is_address)
{
	const struct pyi_watch *watch = input->watch;
	char path[PATH_MAX];
	size_t i;

	for (i = 0; i < watch->n_oserrors; i++) {
		const struct pyi_report_msg *msg = &watch->oserrors[i];

		if (!msg->file[0] || !(msg->flags & PYI_REPORT_ADDRESS) != !is_address)
			continue;
		if (strcmp(msg->path, target) == 0 ||
		    (!is_address && absolute_path(input->plan, msg->path, path, sizeof(path)) &&
		     strcmp(path, target) == 0))
			return msg;
	}
	return NULL;
}

/* By whose rules the event was judged; NULL where the supervisor has never seen them: two reloads within moments. */
static const struct pyi_policy *policy_of(const struct pyi_outcome_input *input,
					  const struct pyi_bpf_event *event)
{
	return pyi_outcome_find_policy(input->plan->policy, input->eras, input->n_eras, event->era);
}

const struct pyi_policy *pyi_outcome_find_policy(const struct pyi_policy *first,
						 const struct pyi_run_era *eras, size_t n_eras,
						 uint16_t era)
{
	for (size_t i = n_eras; i-- > 0;)
		if (era == PYI_ABI_ERA(eras[i].generation))
			return eras[i].policy;
	return era == PYI_ABI_ERA(1) ? first : NULL;
}

static void add_event(const struct pyi_outcome_input *input, const struct pyi_bpf_event *event,
		      struct pyi_result *result)
{
	const struct pyi_report_msg *claim = NULL;
	struct pyi_told told;
	const char *target;
	char at[1200];

	pyi_outcome_tell(policy_of(input, event), event, &told);
	target = told.denial.target;
	if (!told.denial.at && event->op == PYI_BPF_PATH)
		claim = find_claim(input, target, false);
	else if (!told.denial.at && pyi_denial_is_network(told.denial.op))
		claim = find_claim(input, target + (strncmp(target, "udp://", 6) == 0 ? 6 : 0), true);
	if (claim) {
		snprintf(at, sizeof(at), "%s:%u", claim->file, claim->line);
		told.denial.at = at;
	}
	if (event->time_us > input->start_us)
		told.denial.at_us = event->time_us - input->start_us;
	(void)pyi_result_add_denial(result, &told.denial);
}

void pyi_outcome_decide(const struct pyi_outcome_input *input, struct pyi_result *result)
{
	const struct pyi_watch *watch = input->watch;
	size_t i;

	if (watch->was_killed && watch->kill_reason != PYI_REASON_STOPPED)
		decide_killed(watch, result);
	else if (!watch->has_exited)
		/* init is gone without a word: only SIGKILL does that, from the kernel or from outside */
		decide_signal(input, SIGKILL, result);
	else if (WIFSIGNALED(watch->wait_status))
		decide_signal(input, WTERMSIG(watch->wait_status), result);
	else
		decide_exit(input, WEXITSTATUS(watch->wait_status), result);
	/* However it took it: it ended because somebody said so. */
	if (watch->was_stopped && result->reason <= PYI_REASON_SIGNAL)
		result->reason = PYI_REASON_STOPPED;

	/* However it took the refusal: what it did without the rest of its packets is not its work. */
	if (input->net_is_spent && (result->reason <= PYI_REASON_SIGNAL)) {
		result->reason = PYI_REASON_NET_BYTES;
		result->exit_code = PYI_EXIT_NET_BYTES;
	}
	pyi_outcome_count_contracts(input, result);
	result->output_bytes = watch->output_bytes;
	result->cpu_us = input->usage && input->usage->cpu_us ? input->usage->cpu_us : watch->cpu_us;
	result->memory_peak_bytes = input->usage && input->usage->memory_peak_bytes
					    ? input->usage->memory_peak_bytes
					    : watch->max_rss_bytes;

	for (i = 0; i < watch->n_oserrors; i++)
		add_fs_denial(input, &watch->oserrors[i], result);
	for (i = 0; i < input->n_events; i++)
		add_event(input, &input->events[i], result);
	if (input->events_total > input->n_events) {
		result->denials_dropped += input->events_total - input->n_events;
		result->denials_total += input->events_total - input->n_events;
	}
	if (watch->oserrors_total > watch->n_oserrors)
		result->denials_dropped += watch->oserrors_total - watch->n_oserrors;
}

static void explain_limit(const struct pyi_outcome_input *input, const struct pyi_result *result)
{
	const struct pyi_limits *limits = &input->watch->limits;
	char text[32];

	switch (result->reason) {
	case PYI_REASON_WALL_TIME:
		pyi_log_error("the wall time of %s is over: --timeout raises it",
			      pyi_format_duration(limits->wall_time_ms, text));
		break;
	case PYI_REASON_CPU_TIME:
		pyi_log_error("the CPU time of %s is spent: --cpu-time raises it",
			      pyi_format_duration(limits->cpu_time_ms, text));
		break;
	case PYI_REASON_MEMORY:
		pyi_log_error("the memory limit of %s was reached: --memory raises it",
			      pyi_format_size(limits->memory_bytes, text));
		break;
	case PYI_REASON_OUTPUT:
		pyi_log_error("the output limit of %s was reached: --output raises it",
			      pyi_format_size(limits->output_bytes, text));
		break;
	case PYI_REASON_NET_BYTES:
		pyi_log_error("the limit of %s sent and received was reached: --net-bytes raises it",
			      pyi_format_size(limits->net_bytes, text));
		break;
	case PYI_REASON_PIDS:
		pyi_log_error("the limit of %u processes and threads was hit: --pids raises it",
			      limits->pids);
		break;
	case PYI_REASON_POLICY:
	case PYI_REASON_PANIC:
		if (!pyi_outcome_is_contract(input))
			pyi_log_error("a forbidden system call ended the guest (on_violation)");
		break;
	default:
		break;
	}
}

/* The module of a refused import, if a file of that name lies beside the script. */
static void explain_import(const struct pyi_outcome_input *input, const struct pyi_report_msg *msg)
{
	static const char *const endings[] = { ".py", "/__init__.py", "" };
	char name[256], path[PATH_MAX];
	struct stat st;
	size_t i;

	if (!input->script_dir || !msg->path[0] || strchr(msg->path, '/'))
		return;
	snprintf(name, sizeof(name), "%.*s", (int)strcspn(msg->path, "."), msg->path);
	for (i = 0; i < sizeof(endings) / sizeof(endings[0]); i++) {
		int n = snprintf(path, sizeof(path), "%s/%s%s", input->script_dir, name, endings[i]);

		if (n < 0 || (size_t)n >= sizeof(path) || stat(path, &st))
			continue;
		pyi_log_note("module '%s' lies beside the script but is not granted: --allow-read %s",
			     name, input->script_dir);
		return;
	}
}

/* A program that is there and granted, and yet not found: the kernel means the loader that it names. */
static bool lacks_loader(const struct pyi_plan *plan, const struct pyi_report_msg *msg)
{
	const struct pyi_fs_rule *rule;
	char path[PATH_MAX];
	struct stat st;

	return (msg->flags & PYI_REPORT_PROGRAM) && msg->errnum == ENOENT &&
	       absolute_path(plan, msg->path, path, sizeof(path)) && stat(path, &st) == 0 &&
	       pyi_policy_decide_fs(plan->policy, path, PYI_EXEC, &rule) == PYI_ALLOW;
}

static void explain_path(const struct pyi_plan *plan, const struct pyi_report_msg *msg)
{
	const struct pyi_fs_rule *rule = NULL;
	char path[PATH_MAX];
	unsigned int access;
	const char *flag;

	if (lacks_loader(plan, msg)) {
		pyi_log_note("'%s' is granted, but not the loader and libraries it needs: --allow-run /lib64 "
			     "--allow-run /lib grants the host's",
			     msg->path);
		return;
	}
	if (!is_denial(plan, msg, path, sizeof(path), &rule, &access))
		return;
	flag = access == PYI_WRITE  ? "--allow-write"
	       : access == PYI_EXEC ? "--allow-run"
				    : "--allow-read";
	if (!rule)
		pyi_log_note("'%s' is not granted: %s %s", msg->path, flag, msg->path);
	else if (rule->from.line)
		pyi_log_note("'%s' is denied by 'deny: %s' (%s:%u)", msg->path, rule->path,
			     rule->from.file, rule->from.line);
	else
		pyi_log_note("'%s' is denied by %s %s", msg->path, rule->from.file, rule->path);
}

/* The last address that was refused, NULL. */
static const struct pyi_bpf_event *last_address(const struct pyi_outcome_input *input)
{
	for (size_t i = input->n_events; i-- > 0;)
		if (input->events[i].op == PYI_BPF_CONNECT || input->events[i].op == PYI_BPF_BIND)
			return &input->events[i];
	return NULL;
}

static void explain_uncaught(const struct pyi_outcome_input *input)
{
	const struct pyi_report_msg *msg = &input->watch->uncaught;
	const struct pyi_bpf_event *event = last_address(input);
	char target[96];

	if (strcmp(msg->name, "ModuleNotFoundError") == 0) {
		explain_import(input, msg);
		return;
	}
	if (!msg->errnum)
		return;
	if (msg->path[0] && !(msg->flags & PYI_REPORT_ADDRESS)) {
		explain_path(input->plan, msg);
	} else if (event) {
		if (event->contract)
			return; /* pyi_outcome_explain_contracts has said it */
		pyi_outcome_format_address(event, target, sizeof(target));
		pyi_log_note("'%s' is not granted: --allow-net %s%s", target,
			     event->op == PYI_NET_BIND ? "bind:" : "", target);
	} else if ((msg->flags & PYI_REPORT_ADDRESS) && !input->plan->n_net) {
		pyi_log_note("the policy grants no network: --allow-net HOST:PORT");
	}
}

/* With -v: each denial, with its rule. */
static void explain_denials(const struct pyi_result *result)
{
	char thread[64];
	uint32_t i;

	for (i = 0; i < result->n_denials; i++) {
		const struct pyi_denial *denial = &result->denials[i];

		if (denial->thread && denial->thread != denial->pid)
			snprintf(thread, sizeof(thread), " in thread %d of %d", denial->thread,
				 denial->pid);
		else if (denial->pid)
			snprintf(thread, sizeof(thread), " in process %d", denial->pid);
		else
			thread[0] = '\0';
		pyi_log_verbose("%s %s '%s' by %s%s%s%s%s%s%s",
				denial->is_warning ? "warned:" : "denied:", denial->op,
				denial->target, denial->rule ? denial->rule : "a policy that is gone",
				denial->file ? " (" : "", denial->file ? denial->file : "",
				denial->file ? ")" : "", denial->at ? " at " : "",
				denial->at ? denial->at : "", thread);
	}
	if (result->denials_total > result->n_denials)
		pyi_log_verbose("%llu more denials",
				(unsigned long long)(result->denials_total - result->n_denials));
}

void pyi_outcome_explain(const struct pyi_outcome_input *input, const struct pyi_result *result)
{
	explain_denials(result);
	explain_limit(input, result);
	pyi_outcome_explain_contracts(input, result);
	if (result->reason == PYI_REASON_EXCEPTION && input->watch->has_uncaught)
		explain_uncaught(input);
}
