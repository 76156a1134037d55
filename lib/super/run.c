/* SPDX-License-Identifier: MIT */
/*
 * One run, from checked options to the exit code; see run.h.
 *
 * Each step below owns what it made in struct run; run_release() takes it back in reverse order, on every path. The
 * supervisor itself keeps its privileges and its own view of the host; what it holds while the guest runs is the
 * pidfd, two pipes, the cgroup and the BPF rows.
 */
#include "super/run.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/signalfd.h>
#include <sys/wait.h>
#include <termios.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/err.h"
#include "base/io.h"
#include "base/log.h"
#include "base/util.h"
#include "kernel/bpf.h"
#include "kernel/cgroup.h"
#include "kernel/probe.h"
#include "kernel/resolve.h"
#include "kernel/sandbox.h"
#include "kernel/seccomp.h"
#include "plan/facts.h"
#include "plan/grants.h"
#include "report/result.h"
#include "super/outcome.h"
#include "super/source.h"
#include "super/watch.h"

/* Ids of guests started by root: one per supervisor, so that no two live sandboxes share one. */
enum { GUEST_UID_BASE = 0x70000000, GUEST_UID_SPAN = 0x400000 };

enum { EVENTS_MAX = PYI_DENIALS_KEPT };

struct run {
	const struct pyi_run_options *options;
	struct pyi_policy *policy;
	struct pyi_facts facts;
	struct pyi_grants grants;
	struct pyi_names names;
	struct pyi_plan *plan;
	struct pyi_source source;
	struct pyi_cgroup *cgroup;
	struct pyi_bpf *bpf;
	struct pyi_seccomp seccomp;
	struct pyi_watch watch;
	struct pyi_sandbox sandbox;
	struct pyi_bpf_event events[EVENTS_MAX];
	size_t n_events;
	uint64_t events_total;
	struct pyi_cgroup_usage usage;
	bool has_usage;
	bool has_started;
	bool has_terminal;
	struct termios terminal; /* of stdin, as the guest found it */
	uint64_t start_us;
	struct pyi_result result;
};

static void run_release(struct run *run)
{
	if (run->bpf && run->cgroup)
		pyi_bpf_unassign(run->bpf, pyi_cgroup_id(run->cgroup));
	pyi_cgroup_free(run->cgroup);
	pyi_bpf_free(run->bpf);
	if (!run->has_started)
		pyi_resolve_undo(&run->grants);
	pyi_close_fd(&run->watch.report_fd);
	pyi_close_fd(&run->watch.signal_fd);
	pyi_close_fd(&run->watch.out_fds[0]);
	pyi_close_fd(&run->watch.out_fds[1]);
	pyi_watch_release(&run->watch);
	pyi_sandbox_release(&run->sandbox);
	pyi_source_release(&run->source);
	pyi_plan_free(run->plan);
	pyi_names_release(&run->names);
	pyi_grants_release(&run->grants);
	pyi_policy_free(run->policy);
}

static int make_plan(struct run *run, struct pyi_err *err)
{
	const struct pyi_run_options *options = run->options;
	bool is_command = options->guest == PYI_GUEST_COMMAND;
	_cleanup_free char *cwd = getcwd(NULL, 0);
	struct pyi_plan_options plan_options = {
		.mode = options->mode,
		.guest = options->guest,
		.required_layers = options->required_layers,
		.has_user = options->has_user,
		.uid = options->uid,
		.gid = options->gid,
		.default_uid = GUEST_UID_BASE + (uid_t)getpid() % GUEST_UID_SPAN,
		.cwd = options->cwd,
		.invoker_cwd = cwd ? cwd : "/",
		.environ = (const char *const *)environ,
		.home = getenv("HOME"),
	};
	int ret;

	ret = pyi_policy_load(options->policy, options->flags, options->n_flags, &run->policy, NULL,
			      err);
	if (ret)
		return ret;
	pyi_probe_run(&run->facts);
	ret = pyi_resolve_paths(run->policy, is_command ? pyi_command_runtime_paths : NULL,
				run->facts.is_root, &run->grants, err);
	if (!ret)
		ret = pyi_resolve_names(run->policy, &run->names, err);
	if (!ret)
		ret = pyi_plan_build(run->policy, &plan_options, &run->facts, &run->grants,
				     &run->names, &run->plan, err);
	return ret;
}

static int print_plan(struct run *run, struct pyi_err *err)
{
	_cleanup_buf struct pyi_buf out = PYI_BUF_INIT;
	int ret;

	if (run->options->json)
		pyi_plan_print_json(run->plan, &out);
	else
		pyi_plan_print(run->plan, &out);
	if (out.failed)
		return pyi_err_nomem(err);
	ret = pyi_write_all(STDOUT_FILENO, out.data, out.len);
	return ret ? pyi_err_sys(err, -ret, "cannot write the plan") : 0;
}

/* The cgroup, and the BPF rows that are keyed by it: there before the first process of the sandbox is. */
static int make_groups(struct run *run, struct pyi_err *err)
{
	int ret;

	if (run->plan->use_bpf_cgroup) {
		ret = pyi_bpf_open(&run->facts, &run->bpf, err);
		if (ret)
			return ret;
	}
	if (!run->plan->use_cgroup)
		return 0;
	(void)pyi_cgroup_sweep(&run->facts);
	if (run->bpf)
		(void)pyi_bpf_sweep(run->bpf);
	ret = pyi_cgroup_new(&run->facts, &run->plan->limits, &run->cgroup, err);
	if (!ret && run->bpf)
		ret = pyi_bpf_assign(run->bpf, pyi_cgroup_id(run->cgroup), run->plan, err);
	return ret;
}

static int build_seccomp(struct run *run, struct pyi_err *err)
{
	struct pyi_seccomp_spec spec = {
		.exec = run->plan->exec,
		.net_tcp = run->plan->net_tcp,
		.net_udp = run->plan->net_udp,
		.net_listen = run->plan->net_listen,
		.kill = run->policy->on_violation != PYI_VIOLATION_ERRNO,
		.make_links = run->plan->use_landlock,
		.namespaces = run->plan->use_namespaces,
	};

	return run->plan->use_seccomp ? pyi_seccomp_build(&spec, &run->seccomp, err) : 0;
}

static int write_spec(struct run *run, int *ret_fd, struct pyi_err *err)
{
	const struct pyi_run_options *options = run->options;
	struct pyi_guest_spec spec = {
		.source = options->source,
		.name = options->target,
		.path0 = run->source.path0,
		.text = pyi_buf_str(&run->source.text),
		.text_len = run->source.text.len,
		.args = options->args,
		.n_args = options->n_args,
		.imports = run->policy->has_imports ? (const char *const *)run->policy->imports : NULL,
		.n_imports = run->policy->n_imports,
		.report_oserrors = pyi_log_get_level() >= PYI_LOG_VERBOSE || options->result_path ||
				   options->result_fd >= 0,
		.mdwe = run->plan->mdwe,
		.seccomp = run->plan->use_seccomp ? &run->seccomp : NULL,
	};

	if (options->source == PYI_SOURCE_CODE)
		spec.name = "-c";
	else if (options->source == PYI_SOURCE_STDIN)
		spec.name = "-";
	else if (options->source == PYI_SOURCE_MODULE)
		spec.text = NULL;
	return pyi_guest_spec_write(&spec, ret_fd, err);
}

/* Signals that belong to the guest wait in the signalfd instead of ending us. */
static int catch_signals(struct run *run, struct pyi_err *err)
{
	static const int forwarded[] = { SIGHUP,  SIGINT,   SIGQUIT, SIGTERM, SIGUSR1,
					 SIGUSR2, SIGWINCH, SIGCONT, SIGTSTP };
	sigset_t set;
	size_t i;

	sigemptyset(&set);
	for (i = 0; i < PYI_ARRAY_SIZE(forwarded); i++)
		sigaddset(&set, forwarded[i]);
	if (sigprocmask(SIG_BLOCK, &set, NULL))
		return pyi_err_sys(err, errno, "cannot block signals");
	run->watch.signal_fd = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
	if (run->watch.signal_fd < 0)
		return pyi_err_sys(err, errno, "cannot make a signalfd");
	/* A closed reader of our output is an error to see, not an end to us. */
	signal(SIGPIPE, SIG_IGN);
	return 0;
}

/* main() puts an O_PATH descriptor where one of 0, 1, 2 was closed: the guest gets it closed too. */
static int inherited(int fd)
{
	int flags = fcntl(fd, F_GETFL);

	return flags < 0 || (flags & O_PATH) ? -1 : fd;
}

/* The guest's stdout and stderr: ours, or pipes where the output is counted. */
static int make_output(struct run *run, int *ret_stdio, int write_ends[2], struct pyi_err *err)
{
	int which;

	for (which = 0; which < 2; which++) {
		int ends[2];

		ret_stdio[1 + which] = inherited(1 + which);
		if (!run->plan->limits.output_bytes || ret_stdio[1 + which] < 0)
			continue;
		if (pipe2(ends, O_CLOEXEC))
			return pyi_err_sys(err, errno, "cannot make a pipe for the guest's output");
		run->watch.out_fds[which] = ends[0];
		write_ends[which] = ends[1];
		ret_stdio[1 + which] = ends[1];
		if (fcntl(ends[0], F_SETFL, O_NONBLOCK))
			return pyi_err_sys(err, errno, "cannot set up the guest's output");
	}
	return 0;
}

static int start_guest(struct run *run, int *ret_exec_failed, struct pyi_err *err)
{
	bool is_command = run->options->guest == PYI_GUEST_COMMAND;
	_cleanup_fd int spec_fd = -1;
	_cleanup_fd int report_end = -1;
	_cleanup_fd int out_end = -1;
	_cleanup_fd int err_end = -1;
	int write_ends[2] = { -1, -1 };
	struct pyi_sandbox_start start = {
		.plan = run->plan,
		.cgroup = run->cgroup,
		.landlock_abi = run->facts.landlock_abi,
		.argv = is_command ? run->options->args : NULL,
		.owner_uid = run->facts.uid,
		.owner_gid = run->facts.gid,
	};
	int ret;

	start.stdio[0] = inherited(0);
	ret = make_output(run, start.stdio, write_ends, err);
	out_end = write_ends[0];
	err_end = write_ends[1];
	if (!ret)
		ret = build_seccomp(run, err);
	if (!ret && !is_command) {
		int ends[2];

		ret = write_spec(run, &spec_fd, err);
		/* packet mode: one record per read, whatever the guest writes */
		if (!ret && pipe2(ends, O_CLOEXEC | O_DIRECT | O_NONBLOCK))
			ret = pyi_err_sys(err, errno, "cannot make the report pipe");
		if (!ret) {
			run->watch.report_fd = ends[0];
			report_end = ends[1];
		}
	}
	if (!ret)
		ret = catch_signals(run, err);
	if (ret)
		return ret;
	start.spec_fd = spec_fd;
	start.report_fd = report_end;
	start.seccomp = is_command && run->plan->use_seccomp ? &run->seccomp : NULL;
	run->has_terminal = tcgetattr(STDIN_FILENO, &run->terminal) == 0;
	run->watch.start_us = pyi_now_us();
	ret = pyi_sandbox_start(&start, &run->sandbox, ret_exec_failed, err);
	run->has_started = ret == 0;
	return ret;
}

/*
 * The terminal is the shell's again afterwards: whatever the guest did to it, and however it ended, it gets back the
 * settings it had. Not from the background, where it is someone else's and the kernel would stop us.
 */
static void restore_terminal(const struct run *run)
{
	const struct termios *was = &run->terminal;
	struct termios now;

	if (!run->has_terminal || tcgetpgrp(STDIN_FILENO) != getpgrp() || tcgetattr(STDIN_FILENO, &now))
		return;
	if (now.c_iflag != was->c_iflag || now.c_oflag != was->c_oflag || now.c_cflag != was->c_cflag ||
	    now.c_lflag != was->c_lflag || memcmp(now.c_cc, was->c_cc, sizeof(now.c_cc)))
		(void)tcsetattr(STDIN_FILENO, TCSANOW, was);
}

static int watch_guest(struct run *run, struct pyi_err *err)
{
	const struct pyi_report_msg *failure = &run->watch.setup_error;
	int ret;

	run->watch.plan = run->plan;
	run->watch.sandbox = &run->sandbox;
	run->watch.cgroup = run->cgroup;
	ret = pyi_watch_run(&run->watch, err);
	restore_terminal(run);
	if (ret)
		return ret;
	if (run->cgroup)
		run->has_usage = pyi_cgroup_usage(run->cgroup, &run->usage) == 0;
	if (run->bpf && run->cgroup) {
		ret = pyi_bpf_events(run->bpf, pyi_cgroup_id(run->cgroup), run->events, EVENTS_MAX,
				     &run->n_events, &run->events_total, err);
		if (ret)
			return ret;
	}
	if (run->watch.has_setup_error)
		return pyi_err_set(err, failure->errnum, "cannot start Python: %s", failure->path);
	if (run->options->guest == PYI_GUEST_PYTHON && !run->watch.is_ready &&
	    !run->watch.was_killed && !(run->has_usage && run->usage.oom_kills))
		return pyi_err_set(err, EPROTO, "Python ended before it was ready (%s %d)",
				   WIFSIGNALED(run->watch.wait_status) ? "signal" : "exit code",
				   WIFSIGNALED(run->watch.wait_status)
					   ? WTERMSIG(run->watch.wait_status)
					   : WEXITSTATUS(run->watch.wait_status));
	return 0;
}

static int write_result(struct run *run, struct pyi_err *err)
{
	const struct pyi_run_options *options = run->options;
	_cleanup_buf struct pyi_buf out = PYI_BUF_INIT;
	int ret = 0;

	if (!options->result_path && options->result_fd < 0)
		return 0;
	pyi_result_print_json(&run->result, &out);
	if (out.failed)
		return pyi_err_nomem(err);
	if (options->result_path)
		ret = pyi_replace_file(options->result_path, out.data, out.len, err);
	if (!ret && options->result_fd >= 0) {
		ret = pyi_write_all(options->result_fd, out.data, out.len);
		if (ret)
			return pyi_err_sys(err, -ret, "cannot write the result to descriptor %d",
					   options->result_fd);
	}
	return ret;
}

static void fill_result(struct run *run)
{
	struct pyi_result *result = &run->result;
	size_t i;

	result->generation = 1;
	if (run->policy) {
		for (i = 0; i < sizeof(run->policy->digest); i++)
			snprintf(result->policy_digest + 2 * i, 3, "%02x", run->policy->digest[i]);
	}
	if (run->plan) {
		result->mode = pyi_mode_name(run->plan->mode);
		memcpy(result->layers, run->plan->layers, sizeof(result->layers));
	}
	result->wall_us = pyi_now_us() - run->start_us;
}

static void log_plan(const struct run *run)
{
	size_t i;

	for (i = 0; i < run->policy->n_notes; i++)
		pyi_log_verbose("%s", run->policy->notes[i]);
	for (i = 0; i < run->plan->n_warnings; i++)
		pyi_log_verbose("%s", run->plan->warnings[i]);
}

/* Everything up to the guest's end. A negative return has its line in *err. */
static int run_steps(struct run *run, struct pyi_err *err)
{
	struct pyi_outcome_input outcome = { .watch = &run->watch, .events = run->events };
	int exec_failed = 0;
	int ret;

	ret = make_plan(run, err);
	if (ret)
		return ret;
	log_plan(run);
	if (run->options->dry_run)
		return print_plan(run, err);
	if (run->options->guest == PYI_GUEST_PYTHON)
		ret = pyi_source_read(run->options, &run->source, err);
	if (!ret)
		ret = make_groups(run, err);
	if (!ret)
		ret = start_guest(run, &exec_failed, err);
	if (exec_failed)
		run->result.exit_code = err->errnum == ENOENT ? PYI_EXIT_NOT_FOUND
							      : PYI_EXIT_CANNOT_EXEC;
	if (!ret)
		ret = watch_guest(run, err);
	if (ret)
		return ret;
	outcome.plan = run->plan;
	outcome.usage = run->has_usage ? &run->usage : NULL;
	outcome.script_dir = run->source.script_dir;
	outcome.n_events = run->n_events;
	outcome.events_total = run->events_total;
	pyi_outcome_decide(&outcome, &run->result);
	pyi_outcome_explain(&outcome, &run->result);
	return 0;
}

int pyi_run(const struct pyi_run_options *options)
{
	_cleanup_free struct run *run = calloc(1, sizeof(*run));
	struct pyi_err err = { 0 };
	int exit_code;
	int ret;

	if (!run) {
		pyi_log_error("out of memory");
		return PYI_EXIT_FAILURE;
	}
	run->options = options;
	run->start_us = pyi_now_us();
	run->watch.signal_fd = -1;
	run->watch.report_fd = -1;
	run->watch.out_fds[0] = -1;
	run->watch.out_fds[1] = -1;
	run->sandbox = (struct pyi_sandbox){ .pid = -1, .pidfd = -1, .status_fd = -1 };
	pyi_result_init(&run->result);

	ret = run_steps(run, &err);
	if (ret) {
		run->result.reason = PYI_REASON_SETUP;
		if (!run->result.exit_code)
			run->result.exit_code = PYI_EXIT_FAILURE;
		run->result.error = err;
		pyi_log_error("%s", err.msg);
	}
	fill_result(run);
	exit_code = run->result.exit_code;
	if (!options->dry_run && write_result(run, &err)) {
		pyi_log_error("%s", err.msg);
		exit_code = PYI_EXIT_FAILURE;
	}
	run_release(run);
	pyi_result_release(&run->result);
	return exit_code;
}
