/* SPDX-License-Identifier: MIT */
/* Starting a named sandbox; see spawn.h. */
#include "super/spawn.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <malloc.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/err.h"
#include "base/fault.h"
#include "base/io.h"
#include "base/log.h"
#include "base/util.h"
#include "kernel/cgroup.h"
#include "kernel/tree_way.h"
#include "report/result.h"
#include "super/door.h"
#include "super/event_stream.h"
#include "super/logfile.h"
#include "super/named.h"
#include "super/policy_store.h"
#include "super/registry.h"
#include "super/reload.h"
#include "super/run.h"
#include "super/state_dir.h"
#include "super/token.h"

enum { INHERITED_MAX = 4096 };

/* The supervisor's own; it lives as long as the process. */
struct spawn {
	const char *name;
	uint64_t log_size;
	struct pyi_token *token; /* NULL: none */
	pid_t command;		 /* who started us */
	int tell_fd;		 /* to it */
	struct pyi_registry *registry;
	struct pyi_abi_sandbox entry; /* as last written */
	uint32_t generation;	      /* of the policy we know */
	struct pyi_logfile log;
	struct pyi_event_stream *events; /* the hooks have it, too */
	const struct pyi_tree_way *way;	 /* the run's, of an ordinary user; else NULL */
	struct pyi_run_hooks hooks;
	int *inherited; /* the caller's descriptors but 0, 1 and 2; owned */
	size_t n_inherited;
};

static void set_entry(struct pyi_abi_sandbox *sandbox, void *arg)
{
	const struct pyi_abi_sandbox *from = arg;
	uint32_t generation = sandbox->generation;

	/* What a reload has changed meanwhile stays; the rest is ours alone. */
	sandbox->state = from->state;
	sandbox->flags |= from->flags;
	sandbox->cgroup = from->cgroup;
	sandbox->init_pid = from->init_pid;
	if (generation == from->generation)
		sandbox->limits = from->limits;
	memcpy(sandbox->group, from->group, sizeof(sandbox->group));
	sandbox->end = from->end;
}

static int write_entry(struct spawn *spawn, uint32_t state, struct pyi_err *err)
{
	int ret;

	spawn->entry.state = state;
	ret = pyi_registry_change(spawn->registry, spawn->name, &spawn->entry.owner, set_entry,
				  &spawn->entry, err);
	if (ret == 0)
		pyi_event_stream_state(spawn->events, pyi_sandbox_state_name(state));
	return ret;
}

static int claim(struct spawn *spawn, const struct pyi_run_view *view, struct pyi_err *err)
{
	struct pyi_abi_sandbox *entry = &spawn->entry;
	int ret;

	*entry = (struct pyi_abi_sandbox){
		.start_ns = pyi_registry_now_ns(),
		.state = PYI_STATE_INIT,
		.generation = 1,
	};
	memcpy(entry->policy_digest, view->policy->digest, sizeof(entry->policy_digest));
	snprintf(entry->policy_name, sizeof(entry->policy_name), "%s", view->policy->name);
	ret = pyi_registry_identify_self(&entry->owner, err);
	if (ret == 0 && spawn->token) {
		ret = pyi_token_set(entry, spawn->token, err);
		pyi_token_forget(spawn->token);
	}
	return ret < 0 ? ret : pyi_registry_claim(spawn->registry, spawn->name, entry, err);
}

static bool is_live(const char *name, void *arg)
{
	struct pyi_abi_sandbox sandbox;
	struct pyi_err unused = { 0 };

	return pyi_registry_get(arg, name, &sandbox, &unused) == 0 && pyi_sandbox_is_live(&sandbox);
}

static int begin_log(struct spawn *spawn, struct pyi_err *err)
{
	struct pyi_state_dir dir;
	char path[PATH_MAX];
	int ret = pyi_state_dir_find(true, &dir, err);

	if (ret == 0)
		ret = pyi_state_dir_below(&dir, "log", true, path, err);
	if (ret < 0)
		return ret;
	pyi_logfile_trim(path, is_live, spawn->registry);
	ret = pyi_logfile_create(path, spawn->name, spawn->log_size, &spawn->log, err);
	if (ret == 0)
		ret = pyi_event_stream_new(path, spawn->name, &spawn->events, err);
	if (ret == 0) {
		spawn->hooks.events = spawn->events;
		pyi_event_stream_state(spawn->events, pyi_sandbox_state_name(PYI_STATE_INIT));
	}
	return ret;
}

/* What the caller had open is not ours; by now what it named in options (/dev/fd/N) has been read. */
static int let_go(struct spawn *spawn, struct pyi_err *err)
{
	_cleanup_fd int null_fd = PYI_FAULT(930, EMFILE) ? -1 : open("/dev/null", O_RDWR | O_CLOEXEC);

	if (null_fd < 0)
		return pyi_err_sys(err, errno, "cannot open '/dev/null'");
	if (dup3(null_fd, STDIN_FILENO, 0) < 0 || dup3(null_fd, STDOUT_FILENO, 0) < 0)
		return pyi_err_sys(err, errno, "cannot let go of standard input and output");
	/* Closed in the caller: a place holder that cannot be written to. */
	if ((fcntl(STDERR_FILENO, F_GETFL) & O_PATH) && dup3(null_fd, STDERR_FILENO, 0) < 0)
		return pyi_err_sys(err, errno, "cannot let go of standard error");
	for (size_t i = 0; i < spawn->n_inherited; i++)
		close(spawn->inherited[i]);
	spawn->n_inherited = 0;
	return 0;
}

static void end_entry(struct spawn *spawn, const struct pyi_result *result)
{
	struct pyi_abi_end *end = &spawn->entry.end;
	struct pyi_err err = { 0 };
	bool by_itself = result->reason <= PYI_REASON_SIGNAL;

	*end = (struct pyi_abi_end){
		.end_ns = pyi_registry_now_ns(),
		.wall_us = result->wall_us,
		.cpu_us = result->cpu_us,
		.memory_peak_bytes = result->memory_peak_bytes,
		.denials = result->denials_total,
		.warnings = result->warnings_total,
		.exit_code = result->exit_code,
		.signal = result->signal,
		.reason = (uint32_t)result->reason,
	};
	if (write_entry(spawn, by_itself ? PYI_STATE_COMPLETED : PYI_STATE_CANCELLED, &err) < 0)
		pyi_log_error("%s", err.msg);
}

static int on_planned(void *arg, const struct pyi_run_view *view, struct pyi_err *err)
{
	struct pyi_result failed = { .reason = PYI_REASON_SETUP, .exit_code = PYI_EXIT_FAILURE };
	struct spawn *spawn = arg;
	int ret;

	/* From the claim on we end in order, not by a signal; before it there is nothing to put in order. */
	prctl(PR_SET_PDEATHSIG, 0, 0, 0, 0);
	if (getppid() != spawn->command)
		return pyi_err_set(err, ECANCELED, "the command that started it is gone");
	ret = claim(spawn, view, err);
	if (ret < 0)
		return ret;
	ret = begin_log(spawn, err);
	if (ret == 0)
		ret = pyi_policy_store_begin(spawn->name, view->policy, err);
	if (ret == 0)
		ret = let_go(spawn, err);
	if (ret < 0)
		end_entry(spawn, &failed);
	return ret;
}

static bool has_process_limits(const struct pyi_plan *plan)
{
	for (size_t i = 0; i < plan->n_rlimits; i++)
		if (plan->rlimits[i].resource == RLIMIT_DATA || plan->rlimits[i].resource == RLIMIT_CPU)
			return true;
	return false;
}

/* What no reload can change. */
static uint32_t start_flags(const struct pyi_run_view *view)
{
	const struct pyi_plan *plan = view->plan;

	return (view->has_bpf ? PYI_SANDBOX_HAS_BPF : 0) | (plan->n_net ? PYI_SANDBOX_NET : 0) |
	       (plan->may_tcp ? PYI_SANDBOX_TCP : 0) | (plan->may_udp ? PYI_SANDBOX_UDP : 0) |
	       (plan->may_listen ? PYI_SANDBOX_LISTEN : 0) | (plan->exec ? PYI_SANDBOX_EXEC : 0) |
	       (plan->mdwe ? PYI_SANDBOX_MDWE : 0) |
	       (plan->guest == PYI_GUEST_COMMAND ? PYI_SANDBOX_COMMAND : 0) |
	       (plan->use_namespaces ? PYI_SANDBOX_TREE : 0) |
	       (plan->use_userns ? PYI_SANDBOX_USERNS : 0) |
	       (plan->use_bpf_lsm ? PYI_SANDBOX_LSM : 0) |
	       (plan->mode == PYI_MODE_HARDENED ? PYI_SANDBOX_HARDENED : 0) |
	       (plan->mode == PYI_MODE_DEV ? PYI_SANDBOX_DEV : 0) |
	       (plan->use_namespaces ? PYI_SANDBOX_INIT_COUNTS : 0) |
	       (has_process_limits(plan) ? PYI_SANDBOX_RLIMITS : 0);
}

/* For reloads of an ordinary user's. A place without sockets must not keep it from starting. */
static void open_door(struct spawn *spawn, const struct pyi_run_view *view)
{
	const struct pyi_tree_way *way = view->way;
	struct pyi_err err = { 0 };

	spawn->way = view->plan->use_userns ? way : NULL;
	pyi_door_free(spawn->hooks.door);
	spawn->hooks.door = NULL;
	if (way->user_fd >= 0 &&
	    pyi_door_new(spawn->name, &spawn->entry, way, &spawn->hooks.door, &err) < 0)
		pyi_log_verbose("no reload will change its files: %s", err.msg);
}

static int on_started(void *arg, const struct pyi_run_view *view, struct pyi_err *err)
{
	struct spawn *spawn = arg;
	struct pyi_abi_sandbox *entry = &spawn->entry;

	entry->init_pid = view->init_pid;
	if (view->cgroup) {
		entry->cgroup = pyi_cgroup_id(view->cgroup);
		snprintf(entry->group, sizeof(entry->group), "%s", pyi_cgroup_dir_name(view->cgroup));
	}
	entry->flags |= start_flags(view);
	pyi_limits_to_abi(&view->plan->limits, &entry->limits);
	open_door(spawn, view);
	return write_entry(spawn, PYI_STATE_BOOTSTRAPPED, err);
}

static int on_ready(void *arg, struct pyi_err *err)
{
	struct spawn *spawn = arg;
	int ret = write_entry(spawn, PYI_STATE_RUNNING, err);

	if (ret < 0)
		return ret;
	if (PYI_FAULT(931, EACCES) || chdir("/") < 0)
		return pyi_err_sys(err, errno, "cannot enter '/'");
	ret = pyi_logfile_take_stderr(&spawn->log);
	if (ret < 0)
		return pyi_err_sys(err, -ret, "cannot write to the log");
	/* SIGPIPE is ignored by now. */
	if (PYI_FAULT(932, EPIPE) || write(spawn->tell_fd, "", 1) != 1)
		return pyi_err_set(err, ECANCELED, "the command that started it is gone");
	pyi_close_fd(&spawn->tell_fd);
	/* What the policy and the plan took to make is not needed again. */
	malloc_trim(0);
	return 0;
}

static void on_ending(void *arg)
{
	struct pyi_err err = { 0 };

	if (write_entry(arg, PYI_STATE_QUOTA_EXCEEDED, &err) < 0)
		pyi_log_error("%s", err.msg);
}

static int on_reloaded(void *arg, struct pyi_run_now *ret_now)
{
	struct spawn *spawn = arg;
	struct pyi_abi_sandbox now, later;
	struct pyi_err err = { 0 };
	int ret = pyi_reload_settle(spawn->registry, spawn->name, spawn->way, 0, &now, &err);

	if (ret == -ETIMEDOUT)
		return -EAGAIN;
	if (ret == 0 && now.generation == spawn->generation)
		return -ENOENT; /* it was refused, or taken back */
	if (ret == 0)
		ret = pyi_policy_store_get(spawn->name, now.policy_digest, &ret_now->policy, &err);
	if (ret < 0) {
		/* The next reload may have taken its text away. */
		if (pyi_registry_get(spawn->registry, spawn->name, &later, &err) == 0 &&
		    (later.generation != now.generation || later.reload.generation))
			return -EAGAIN;
		pyi_log_error("a reload cannot be followed: %s", err.msg);
		return ret;
	}
	spawn->generation = ret_now->generation = now.generation;
	pyi_limits_from_abi(&now.limits, &ret_now->limits);
	return 0;
}

static void on_ended(void *arg, const struct pyi_result *result)
{
	struct spawn *spawn = arg;
	struct pyi_err unused = { 0 };

	/* Rows of a reload that died on the way. */
	(void)pyi_reload_settle(spawn->registry, spawn->name, spawn->way, 0, NULL, &unused);
	pyi_door_free(spawn->hooks.door);

	if (spawn->log.dropped)
		pyi_log_error("%llu bytes of output did not fit into the log",
			      (unsigned long long)spawn->log.dropped);
	end_entry(spawn, result);
	pyi_policy_store_remove(spawn->name);
	pyi_event_stream_free(spawn->events);
}

/* Note what is open, but 0, 1, 2, our pipe and the descriptor for the result. */
static int note_inherited(struct spawn *spawn, int result_fd, struct pyi_err *err)
{
	DIR *dir = opendir("/proc/self/fd");
	struct dirent *entry;

	if (!dir)
		return pyi_err_sys(err, errno, "cannot read '/proc/self/fd'");
	spawn->inherited = calloc(INHERITED_MAX, sizeof(*spawn->inherited));
	while (spawn->inherited && spawn->n_inherited < INHERITED_MAX && (entry = readdir(dir))) {
		int fd = (int)strtol(entry->d_name, NULL, 10);

		if (fd > STDERR_FILENO && fd != dirfd(dir) && fd != spawn->tell_fd && fd != result_fd)
			spawn->inherited[spawn->n_inherited++] = fd;
	}
	closedir(dir);
	return spawn->inherited ? 0 : pyi_err_nomem(err);
}

/* A signal that asks for the end, and comes before the guest is there, waits for it. */
static void hold_signals(void)
{
	static const int held[] = { SIGTERM, SIGINT, SIGHUP, SIGQUIT };
	sigset_t set;

	sigemptyset(&set);
	for (size_t i = 0; i < PYI_ARRAY_SIZE(held); i++)
		sigaddset(&set, held[i]);
	sigprocmask(SIG_BLOCK, &set, NULL);
}

/* The supervisor, from fork to end. Returns its exit code. */
static int supervise(struct spawn *spawn, struct pyi_run_options *options)
{
	struct pyi_err err = { 0 };
	int ret;

	if (prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0) < 0 || getppid() != spawn->command)
		return PYI_EXIT_FAILURE;
	hold_signals();
	ret = setsid() < 0 ? pyi_err_sys(&err, errno, "cannot make a session") : 0;
	if (ret == 0)
		ret = note_inherited(spawn, options->result_fd, &err);
	if (ret == 0)
		ret = pyi_registry_open(true, &spawn->registry, &err);
	/* A name that is taken is said before anything else is read; the claim decides. */
	if (ret == 0)
		ret = pyi_named_check_free(spawn->registry, spawn->name, &err);
	if (ret < 0) {
		pyi_log_error("%s", err.msg);
		return PYI_EXIT_FAILURE;
	}
	spawn->hooks = (struct pyi_run_hooks){
		.planned = on_planned,
		.started = on_started,
		.ready = on_ready,
		.ending = on_ending,
		.reloaded = on_reloaded,
		.ended = on_ended,
		.arg = spawn,
		.name = spawn->name,
		.can_reload = spawn->token != NULL,
		.log = &spawn->log,
	};
	options->hooks = &spawn->hooks;
	return pyi_run(options);
}

/* The command: until the supervisor says that all is well, or ends. */
static int wait_for_start(int fd, pid_t pid)
{
	int status;
	char byte;

	if (pyi_read_full(fd, &byte, 1) == 1)
		return 0;
	while (waitpid(pid, &status, 0) < 0) {
		if (errno != EINTR) {
			pyi_log_error("the supervisor ended while it started");
			return PYI_EXIT_FAILURE;
		}
	}
	if (WIFEXITED(status))
		return WEXITSTATUS(status);
	pyi_log_error("the supervisor was ended by signal %d while it started", WTERMSIG(status));
	return PYI_EXIT_FAILURE;
}

/* The supervisor leaves the caller's directory before it writes the result. */
static int make_absolute(const char *path, char **ret_path, struct pyi_err *err)
{
	_cleanup_free char *cwd = NULL;

	if (path[0] == '/')
		return 0;
	cwd = getcwd(NULL, 0);
	if (!cwd)
		return pyi_err_sys(err, errno, "cannot find '%s': no working directory", path);
	return asprintf(ret_path, "%s/%s", cwd, path) < 0 ? pyi_err_nomem(err) : 0;
}

int pyi_spawn(const char *name, struct pyi_run_options *options, uint64_t log_size,
	      struct pyi_token *token)
{
	struct spawn spawn = {
		.name = name,
		.log_size = log_size,
		.token = token,
		.generation = 1,
		.command = getpid(),
		.log = PYI_LOGFILE_INIT,
	};
	_cleanup_free char *result_path = NULL;
	struct pyi_err err = { 0 };
	int ends[2], ret = 0;
	pid_t pid;

	if (options->dry_run)
		return pyi_run(options);
	if (options->result_path)
		ret = make_absolute(options->result_path, &result_path, &err);
	if (result_path)
		options->result_path = result_path;
	if (ret == 0 && (PYI_FAULT(940, EMFILE) || pipe2(ends, O_CLOEXEC) < 0))
		ret = pyi_err_sys(&err, errno, "cannot make a pipe");
	if (ret < 0) {
		pyi_log_error("%s", err.msg);
		return PYI_EXIT_FAILURE;
	}
	/* Where the caller ignores it, the kernel would keep no exit code for us. */
	signal(SIGCHLD, SIG_DFL);
	pid = PYI_FAULT(941, EAGAIN) ? -1 : fork();
	if (pid == 0) {
		close(ends[0]);
		spawn.tell_fd = ends[1];
		_exit(supervise(&spawn, options));
	}
	close(ends[1]);
	if (pid < 0) {
		pyi_log_error("cannot fork the supervisor: %s", strerror(errno));
		ret = PYI_EXIT_FAILURE;
	} else {
		ret = wait_for_start(ends[0], pid);
	}
	close(ends[0]);
	return ret;
}
