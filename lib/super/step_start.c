/* SPDX-License-Identifier: MIT */
/* The sandbox's groups, and its start; see steps.h. */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include "base/err.h"
#include "base/log.h"
#include "base/util.h"
#include "pyi_abi.h"
#include "super/event_stream.h"
#include "super/outcome.h"
#include "super/steps.h"

/*
 * Clear away what a killed supervisor left: its groups, and then the BPF rows that go with them. With many sandboxes
 * about that takes a while, so then every 32nd run does it, and so it is for what other builds left, or a sweeper that
 * was killed between the two.
 */
static void sweep(struct pyi_run *run)
{
	bool all = getpid() % 32 == 0;
	int removed = all ? pyi_cgroup_sweep(&run->facts) : pyi_cgroup_sweep_few(&run->facts);

	if (run->bpf && (all || removed))
		(void)pyi_bpf_sweep(run->bpf);
}

/* Is there one? */
static bool get_layout(const struct pyi_run *run, struct pyi_abi_python *ret_layout)
{
	if (!run->options->python_layout || run->options->guest != PYI_GUEST_PYTHON)
		return false;
	run->options->python_layout(ret_layout);
	return true;
}

static const struct pyi_policy *find_policy(void *arg, uint16_t era)
{
	const struct pyi_run *run = arg;

	return pyi_outcome_find_policy(run->policy, run->eras, run->n_eras, era);
}

/* Only of named sandboxes somebody reads what happens while it does. */
static void attach_stream(struct pyi_run *run)
{
	struct pyi_event_source source = {
		.bpf = run->bpf,
		.cgroup = pyi_cgroup_id(run->cgroup),
		.find_policy = find_policy,
		.arg = run,
	};

	if (run->options->hooks)
		pyi_event_stream_attach(run->options->hooks->events, &source);
}

static int make_observer(struct pyi_run *run, struct pyi_err *err)
{
	struct pyi_observer_setup setup = {
		.plan = run->plan,
		.cgroup = run->cgroup,
		.bpf = run->bpf,
		.run_start_us = run->start_us,
		.stream = run->options->hooks ? run->options->hooks->events : NULL,
		.must_guard = run->options->required_layers & 1u << PYI_LAYER_BPF_PERF,
	};

	return pyi_observer_new(&setup, &run->observer, err);
}

/* A second start of the guest, without its image, goes on in the same file. */
static int open_trace_file(struct pyi_run *run, struct pyi_err *err)
{
	const char *path = run->options->trace_path;

	if (!path || run->trace_fd >= 0)
		return 0;
	run->trace_fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOCTTY, 0666);
	return run->trace_fd < 0 ? pyi_err_sys(err, errno, "cannot write the trace to '%s'", path) : 0;
}

/* Where it cannot be traced there is no run: an empty trace would say that nothing was asked. */
static int make_tracer(struct pyi_run *run, struct pyi_err *err)
{
	const struct pyi_run_options *options = run->options;
	struct pyi_tracer_setup setup = {
		.plan = run->plan,
		.cgroup = run->cgroup,
		.run_start_us = run->start_us,
		.keep = options->keep_asked || run->keeps_warned,
		.print = options->trace,
		.json = options->trace_json,
		.path = options->trace_path,
	};
	struct pyi_abi_python layout;
	int ret;

	if (!setup.keep && !setup.print)
		return 0;
	if (get_layout(run, &layout))
		setup.python = &layout;
	if (!run->cgroup || !pyi_cgroup_id(run->cgroup))
		return pyi_err_set(err, EOPNOTSUPP,
				   "a sandbox is traced by its cgroup, and this host has no v2 hierarchy: "
				   "see 'pyisolate doctor'");
	ret = open_trace_file(run, err);
	if (ret < 0)
		return ret;
	setup.out_fd = run->trace_fd >= 0 ? run->trace_fd : STDERR_FILENO;
	ret = pyi_tracer_new(&setup, &run->tracer, err);
	pyi_step_mark("trace");
	/* Nobody has asked for it: the run goes on without. */
	if (ret < 0 && !options->keep_asked && !options->trace) {
		pyi_log_note("uses of files that the policy warns of are not recorded: %s", err->msg);
		return 0;
	}
	return ret;
}

/* The cgroup, and the BPF rows that are keyed by it: there before the first process of the sandbox is. */
int pyi_step_groups(struct pyi_run *run, struct pyi_err *err)
{
	bool can_reload = run->options->hooks && run->options->hooks->can_reload;
	struct pyi_abi_python layout;
	int ret;

	if (run->plan->use_bpf_cgroup) {
		ret = pyi_bpf_open(&run->facts, &run->bpf, err);
		if (ret)
			return ret;
		if (get_layout(run, &layout))
			pyi_bpf_set_python(run->bpf, &layout);
		pyi_step_mark("bpf open");
	}
	if (!run->plan->use_cgroup)
		return make_tracer(run, err);
	sweep(run);
	pyi_step_mark("sweep");
	ret = (can_reload ? pyi_cgroup_new_full
	       : run->plan->profile
		       ? pyi_cgroup_new_measured
		       : pyi_cgroup_new)(&run->facts, &run->plan->limits, &run->cgroup, err);
	pyi_step_mark("cgroup");
	if (!ret && run->bpf)
		ret = pyi_bpf_assign(run->bpf, pyi_cgroup_id(run->cgroup), run->plan, err);
	if (!ret && run->bpf)
		attach_stream(run);
	pyi_step_mark("bpf rows");
	if (!ret)
		ret = make_tracer(run, err);
	return ret ? ret : make_observer(run, err);
}

static int build_seccomp(struct pyi_run *run, struct pyi_err *err)
{
	struct pyi_seccomp_spec spec = {
		.exec = run->plan->exec,
		.net_tcp = run->plan->may_tcp,
		.net_udp = run->plan->may_udp,
		.net_listen = run->plan->may_listen,
		.kill = run->policy->on_violation != PYI_VIOLATION_ERRNO,
		.keeps_cpus = run->plan->numa != NULL,
		.make_links = run->plan->use_landlock,
		.namespaces = run->plan->use_namespaces,
	};

	return run->plan->use_seccomp ? pyi_seccomp_build(&spec, &run->seccomp, err) : 0;
}

static int write_spec(struct pyi_run *run, int *ret_fd, struct pyi_err *err)
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
				   options->result_fd >= 0 || options->hooks,
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
static int catch_signals(struct pyi_run *run, struct pyi_err *err)
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

/* The guest's stdout and stderr: ours, or pipes where the output is counted or logged. */
static int make_output(struct pyi_run *run, int *ret_stdio, int write_ends[2], struct pyi_err *err)
{
	bool is_logged = run->options->hooks && run->options->hooks->log;
	int which;

	for (which = 0; which < 2; which++) {
		int ends[2];

		/* In a log the two are one, in the order in which they were written. */
		if (is_logged && which == 1) {
			ret_stdio[2] = ret_stdio[1];
			break;
		}
		ret_stdio[1 + which] = inherited(1 + which);
		if (!is_logged && (!run->plan->limits.output_bytes || ret_stdio[1 + which] < 0))
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

/* A named sandbox has none of ours: by its end they are others. */
static void look_at_stdio(struct pyi_run *run)
{
	bool is_lent = !run->options->hooks;

	for (int fd = 0; fd < PYI_RUN_STDIO; fd++) {
		struct pyi_run_stdio *stdio = &run->stdio[fd];

		stdio->flags = is_lent ? fcntl(fd, F_GETFL) : -1;
		stdio->is_terminal = is_lent && tcgetattr(fd, &stdio->terminal) == 0;
	}
}

int pyi_step_start(struct pyi_run *run, int *ret_exec_failed, struct pyi_err *err)
{
	bool is_command = run->options->guest == PYI_GUEST_COMMAND;
	_cleanup_fd int spec_fd = -1;
	_cleanup_fd int report_end = -1;
	_cleanup_fd int out_end = -1;
	_cleanup_fd int err_end = -1;
	int write_ends[2] = { -1, -1 };
	struct pyi_sandbox_start start = {
		.bpf = run->plan->use_bpf_lsm ? run->bpf : NULL,
		.plan = run->plan,
		.cgroup = run->cgroup,
		.landlock_abi = run->facts.landlock_abi,
		.can_reload = run->options->hooks && run->options->hooks->can_reload,
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
	pyi_step_mark("seccomp, spec, pipes");
	start.spec_fd = spec_fd;
	start.report_fd = report_end;
	start.image_fd = run->image_fd;
	start.seccomp = is_command && run->plan->use_seccomp ? &run->seccomp : NULL;
	look_at_stdio(run);
	run->watch.start_us = pyi_now_us();
	ret = pyi_sandbox_start(&start, &run->sandbox, ret_exec_failed, err);
	run->has_started = ret == 0;
	pyi_step_mark("start");
	return ret;
}
