/* SPDX-License-Identifier: MIT */
/*
 * The supervisor's event loop.
 *
 * One poll over: the pidfd of init (readable: everything is gone), the status pipe (init's records), the report
 * pipe (the guest's claims), the signalfd, one timer, and the guest's output where it is counted. The timer is set
 * to the nearest deadline: wall time, the next look at CPU time, or the second of grace between SIGXCPU and
 * SIGKILL.
 *
 * CPU time is read from the cgroup. All CPUs together can use at most n µs per µs, so the next look is due after
 * (what is left) / n, and not sooner than 1 ms: a sandbox that sleeps costs a look now and then, one that computes
 * is stopped within milliseconds of its quota. The kernel's guard (cpu_guard.h) may say so first: it counts ticks,
 * which can be a little more than the account has.
 *
 * A guest can stop itself (SIGSTOP), flood both pipes and never read: none of that delays a deadline, because
 * nothing here blocks on the guest. Writing to our own stdout may block on its reader; chunks of PIPE_BUF are
 * written only when poll says there is room.
 */
#include "super/watch.h"

#include <errno.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/signalfd.h>
#include <sys/timerfd.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "base/err.h"
#include "base/io.h"
#include "base/log.h"
#include "base/timing.h"
#include "base/util.h"
#include "kernel/cgroup.h"
#include "kernel/sandbox.h"
#include "super/door.h"
#include "super/event_stream.h"
#include "super/logfile.h"
#include "super/observer.h"
#include "super/reload.h"
#include "super/run.h"
#include "super/tracer.h"

enum {
	CPU_LOOK_MIN_US = 1000,
	CPU_LOOK_IDLE_US = 20000, /* at the least, where nothing was used since the last look */
	CPU_LOOK_MAX_US = 1000000,
	CPU_GRACE_US = 1000000,
};
enum { RELOAD_LOOK_US = 5000, RETIRE_US = 100000 };

enum slot {
	SLOT_PIDFD,
	SLOT_STATUS,
	SLOT_REPORT,
	SLOT_SIGNAL,
	SLOT_TIMER,
	SLOT_ALARM,
	SLOT_RING,
	SLOT_TRACE,
	SLOT_EVENTS,
	SLOT_DOOR,
	SLOT_OUT,
	SLOT_ERR,
	N_SLOTS
};

struct relay {
	char data[PIPE_BUF]; /* read from the guest, not yet written */
	size_t len;
};

struct loop {
	struct pyi_watch *watch;
	struct relay relays[2];
	int timer_fd;
	uint64_t wall_deadline_us; /* 0: none */
	uint64_t cpu_look_us;	   /* 0: none */
	uint64_t cpu_seen_us;	   /* used at the last look */
	uint64_t cpu_kill_us;	   /* 0: SIGXCPU not sent */
	uint64_t stop_kill_us;	   /* 0: nobody asked for the end */
	uint64_t reload_look_us;   /* 0: no reload was announced */
	uint64_t retire_us;	   /* 0: nothing to retire */
	long n_cpus;
	bool stop_asked; /* SIGTSTP was forwarded: stop with the guest */
};

uint64_t pyi_now_us(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000000 + (uint64_t)now.tv_nsec / 1000;
}

void pyi_watch_release(struct pyi_watch *watch)
{
	free(watch->oserrors);
	watch->oserrors = NULL;
}

static void kill_all(struct pyi_watch *watch)
{
	(void)pyi_sandbox_signal(watch->sandbox, SIGKILL);
	if (watch->cgroup)
		pyi_cgroup_kill(watch->cgroup);
}

/* It is to end for this reason, the first one counts. */
static void note_kill(struct pyi_watch *watch, enum pyi_reason reason)
{
	if (watch->was_killed || watch->has_exited)
		return;
	watch->was_killed = true;
	watch->kill_reason = reason;
	if (watch->hooks && reason != PYI_REASON_STOPPED)
		watch->hooks->ending(watch->hooks->arg);
}

static void kill_for(struct pyi_watch *watch, enum pyi_reason reason)
{
	kill_all(watch);
	note_kill(watch, reason);
}

uint64_t pyi_min_deadline(uint64_t a, uint64_t b)
{
	if (!a || !b)
		return a ? a : b;
	return a < b ? a : b;
}

static void set_timer(struct loop *loop)
{
	uint64_t due = pyi_min_deadline(
		loop->wall_deadline_us,
		pyi_min_deadline(loop->cpu_look_us,
				 pyi_min_deadline(loop->cpu_kill_us, loop->stop_kill_us)));
	struct itimerspec when = { 0 };

	due = pyi_min_deadline(due, pyi_min_deadline(loop->reload_look_us, loop->retire_us));
	if (loop->watch->hooks && !loop->reload_look_us)
		due = pyi_min_deadline(due, pyi_event_stream_due_us(loop->watch->hooks->events));
	if (loop->watch->observer)
		due = pyi_min_deadline(due, pyi_observer_due_us(loop->watch->observer));
	if (loop->watch->tracer)
		due = pyi_min_deadline(due, pyi_tracer_due_us(loop->watch->tracer));
	when.it_value.tv_sec = (time_t)(due / 1000000);
	when.it_value.tv_nsec = (long)(due % 1000000) * 1000;
	timerfd_settime(loop->timer_fd, TFD_TIMER_ABSTIME, &when, NULL);
}

/* How much CPU time is used, and when to look again. */
static void look_at_cpu(struct loop *loop, uint64_t now)
{
	struct pyi_watch *watch = loop->watch;
	uint64_t quota = loop->watch->limits.cpu_time_ms * 1000;
	struct pyi_cgroup_usage usage;
	uint64_t wait_us;

	if (pyi_cgroup_usage(watch->cgroup, &usage)) {
		loop->cpu_look_us = now + CPU_LOOK_MAX_US;
		return;
	}
	if (usage.cpu_us >= quota || (watch->observer && pyi_observer_cpu_is_spent(watch->observer))) {
		loop->cpu_look_us = 0;
		loop->cpu_kill_us = now + CPU_GRACE_US;
		if (watch->observer)
			pyi_observer_sample(watch->observer, now);
		(void)pyi_sandbox_signal(watch->sandbox, SIGXCPU);
		note_kill(watch, PYI_REASON_CPU_TIME);
		return;
	}
	wait_us = (quota - usage.cpu_us) / (uint64_t)loop->n_cpus;
	if (wait_us < CPU_LOOK_MIN_US)
		wait_us = CPU_LOOK_MIN_US;
	if (wait_us < CPU_LOOK_IDLE_US && usage.cpu_us == loop->cpu_seen_us)
		wait_us = CPU_LOOK_IDLE_US;
	loop->cpu_seen_us = usage.cpu_us;
	loop->cpu_look_us = now + wait_us;
}

/* The limits that are kept here. What has ended it already, ends it. */
static void take_limits(struct loop *loop, const struct pyi_limits *limits, uint64_t now)
{
	struct pyi_watch *watch = loop->watch;

	watch->limits = *limits;
	/* The programs count these; they stay. */
	watch->limits.net_bytes = watch->plan->limits.net_bytes;
	watch->limits.net_rate = watch->plan->limits.net_rate;
	loop->wall_deadline_us = limits->wall_time_ms ? watch->start_us + limits->wall_time_ms * 1000
						      : 0;
	if (watch->observer)
		pyi_observer_set_cpu_time(watch->observer, limits->cpu_time_ms);
	loop->cpu_look_us = 0;
	if (limits->cpu_time_ms && watch->cgroup && !loop->cpu_kill_us && !watch->was_killed)
		look_at_cpu(loop, now);
}

static void look_at_reload(struct loop *loop, uint64_t now)
{
	const struct pyi_watch_reload *reload = &loop->watch->reload;
	struct pyi_limits limits;
	int ret = reload->look(reload->arg, &limits);

	loop->reload_look_us = ret == -EAGAIN ? now + RELOAD_LOOK_US : 0;
	if (ret)
		return;
	take_limits(loop, &limits, now);
	if (!loop->retire_us)
		loop->retire_us = now + RETIRE_US;
}

static void on_timer(struct loop *loop)
{
	uint64_t ticks, now = pyi_now_us();
	enum pyi_reason reason;

	(void)!read(loop->timer_fd, &ticks, sizeof(ticks));
	/* First: what it gives more of is not taken for spent. */
	if (loop->reload_look_us && now >= loop->reload_look_us)
		look_at_reload(loop, now);
	if (loop->retire_us && now >= loop->retire_us) {
		loop->retire_us = 0;
		loop->watch->reload.retire(loop->watch->reload.arg);
	}
	if (loop->wall_deadline_us && now >= loop->wall_deadline_us) {
		loop->wall_deadline_us = 0;
		kill_for(loop->watch, PYI_REASON_WALL_TIME);
	}
	if (loop->cpu_kill_us && now >= loop->cpu_kill_us) {
		loop->cpu_kill_us = 0;
		kill_all(loop->watch);
	}
	if (loop->stop_kill_us && now >= loop->stop_kill_us) {
		loop->stop_kill_us = 0;
		kill_for(loop->watch, PYI_REASON_STOPPED);
	}
	if (loop->cpu_look_us && now >= loop->cpu_look_us)
		look_at_cpu(loop, now);
	if (loop->watch->hooks && !loop->reload_look_us &&
	    pyi_event_stream_due_us(loop->watch->hooks->events))
		pyi_event_stream_work(loop->watch->hooks->events, now);
	if (loop->watch->observer && !pyi_observer_look(loop->watch->observer, now, &reason))
		kill_for(loop->watch, reason);
	if (loop->watch->tracer && now >= pyi_tracer_due_us(loop->watch->tracer))
		pyi_tracer_look(loop->watch->tracer, now);
	set_timer(loop);
}

/* init said something. Returns false at the end of file. */
static bool on_status(struct loop *loop)
{
	struct pyi_watch *watch = loop->watch;
	struct pyi_status_msg msg;
	ssize_t n = pyi_read_full(watch->sandbox->status_fd, &msg, sizeof(msg));

	if (n != sizeof(msg))
		return false;
	switch (msg.type) {
	case PYI_STATUS_EXITED:
		watch->has_exited = true;
		pyi_timing_mark(PYI_TIMING_SUPERVISOR, "guest ran");
		watch->wait_status = msg.wait_status;
		watch->cpu_us = msg.user_us + msg.system_us;
		watch->max_rss_bytes = msg.max_rss_bytes;
		kill_all(watch); /* what it left behind goes with it */
		break;
	case PYI_STATUS_STOPPED:
		/* Only when the terminal asked: a guest that stops itself must not stop its own deadline. */
		if (loop->stop_asked) {
			loop->stop_asked = false;
			raise(SIGSTOP);
		}
		break;
	default:
		break;
	}
	return true;
}

static void terminate_strings(struct pyi_report_msg *msg)
{
	msg->name[sizeof(msg->name) - 1] = '\0';
	msg->path[sizeof(msg->path) - 1] = '\0';
	msg->file[sizeof(msg->file) - 1] = '\0';
}

static void keep_oserror(struct pyi_watch *watch, const struct pyi_report_msg *msg)
{
	watch->oserrors_total++;
	if (watch->n_oserrors == PYI_WATCH_OSERRORS_MAX)
		return;
	if (!watch->oserrors) {
		watch->oserrors = calloc(PYI_WATCH_OSERRORS_MAX, sizeof(*watch->oserrors));
		if (!watch->oserrors)
			return;
	}
	watch->oserrors[watch->n_oserrors++] = *msg;
}

/* Of its start, for --timings. */
static void mark_stages(const struct pyi_watch *watch, const struct pyi_report_msg *msg)
{
	static const char *const stages[PYI_GUEST_STAGES] = {
		[PYI_GUEST_EXECUTED] = "exec", [PYI_GUEST_INTERPRETER] = "interpreter",
		[PYI_GUEST_MENDED] = "mended", [PYI_GUEST_LOCKED] = "not dumpable, MDWE, seccomp",
		[PYI_GUEST_LET_GO] = "gate",   [PYI_GUEST_PREPARED] = "prepared",
	};

	for (size_t i = 0; i < PYI_GUEST_STAGES && !watch->is_ready; i++)
		if (msg->at_ns[i])
			pyi_timing_add_at(PYI_TIMING_GUEST, stages[i], msg->at_ns[i]);
}

/* The guest can say so again and again: it counts once. */
static void on_ready(struct pyi_watch *watch, const struct pyi_report_msg *msg)
{
	if (watch->is_ready)
		return;
	watch->is_ready = true;
	watch->has_image = msg->flags & PYI_REPORT_IMAGE;
	if (!watch->has_image && msg->path[0])
		pyi_log_verbose("the image was not used: %s", msg->path);
	if (watch->on_ready && watch->on_ready(watch->ready_arg, &watch->hook_error) < 0)
		kill_all(watch);
}

/* One record of the guest: copied once, terminated, and only ever a hint. Returns false at the end of file. */
static bool on_report(struct pyi_watch *watch)
{
	struct pyi_report_msg msg;
	ssize_t n = read(watch->report_fd, &msg, sizeof(msg));

	if (n < 0)
		return errno == EAGAIN || errno == EINTR;
	if (n == 0)
		return false;
	if (n != sizeof(msg))
		return true;
	terminate_strings(&msg);
	switch (msg.type) {
	case PYI_REPORT_ERROR:
		if (!watch->is_ready && !watch->has_setup_error) {
			watch->has_setup_error = true;
			watch->setup_error = msg;
		}
		break;
	case PYI_REPORT_READY:
		pyi_timing_mark(PYI_TIMING_SUPERVISOR, "guest ready");
		mark_stages(watch, &msg);
		on_ready(watch, &msg);
		break;
	case PYI_REPORT_OSERROR:
		keep_oserror(watch, &msg);
		break;
	case PYI_REPORT_UNCAUGHT:
		watch->has_uncaught = true;
		watch->uncaught = msg;
		break;
	default:
		break;
	}
	return true;
}

/* The one who asked may be gone by then: the deadline is ours. A second one can only make it sooner. */
static void on_stop(struct loop *loop, uint64_t grace_ms)
{
	loop->watch->was_stopped = true;
	loop->stop_kill_us = pyi_min_deadline(loop->stop_kill_us, pyi_now_us() + grace_ms * 1000);
	set_timer(loop);
}

static void on_signal(struct loop *loop)
{
	struct signalfd_siginfo info;
	bool is_stop = false;

	if (read(loop->watch->signal_fd, &info, sizeof(info)) != sizeof(info))
		return;
	if (info.ssi_signo == PYI_WATCH_RELOAD_SIGNAL && info.ssi_code == SI_QUEUE &&
	    info.ssi_ptr == PYI_WATCH_RELOAD && loop->watch->reload.look) {
		loop->reload_look_us = pyi_now_us();
		set_timer(loop);
		return; /* no business of the guest's */
	}
	if (info.ssi_signo == SIGTSTP)
		loop->stop_asked = true;
	loop->watch->was_signalled = true;
	if (info.ssi_signo == SIGTERM && info.ssi_code == SI_QUEUE &&
	    info.ssi_ptr >> 32 == PYI_WATCH_STOP >> 32) {
		on_stop(loop, info.ssi_ptr & UINT32_MAX);
		is_stop = true;
	}
	(void)pyi_sandbox_signal(loop->watch->sandbox, (int)info.ssi_signo);
	/* A stopped guest would not notice; after the signal, or it would run on until that comes. */
	if (is_stop)
		(void)pyi_sandbox_signal(loop->watch->sandbox, SIGCONT);
}

/* Take a chunk from the guest's output: 0, -EAGAIN when there is none now, -EPIPE when the guest has closed it. */
static int relay_read(struct loop *loop, int which, struct relay *relay)
{
	struct pyi_watch *watch = loop->watch;
	ssize_t n = read(watch->out_fds[which], relay->data, sizeof(relay->data));
	uint64_t limit = loop->watch->limits.output_bytes;

	if (n < 0)
		return errno == EINTR || errno == EAGAIN ? -EAGAIN : -EPIPE;
	if (n == 0)
		return -EPIPE;
	if (limit && watch->output_bytes + (uint64_t)n > limit) {
		/* A reload may have set it below what has passed. */
		n = watch->output_bytes < limit ? (ssize_t)(limit - watch->output_bytes) : 0;
		kill_for(watch, PYI_REASON_OUTPUT);
	}
	watch->output_bytes += (uint64_t)n;
	relay->len = (size_t)n;
	return 0;
}

/* Hand it on: 0, or -EPIPE when nobody can read it any more. */
static int relay_write(int which, struct relay *relay)
{
	ssize_t n = write(which ? STDERR_FILENO : STDOUT_FILENO, relay->data, relay->len);

	if (n < 0)
		return errno == EINTR || errno == EAGAIN ? 0 : -EPIPE;
	relay->len -= (size_t)n;
	memmove(relay->data, relay->data + n, relay->len);
	return 0;
}

/* One read or one write of one stream; -EAGAIN when there was nothing to read. */
static int relay_step(struct loop *loop, int which)
{
	struct pyi_watch *watch = loop->watch;
	struct relay *relay = &loop->relays[which];
	int ret = relay->len ? relay_write(which, relay) : relay_read(loop, which, relay);

	if (ret == 0 && watch->hooks && watch->hooks->log) {
		pyi_logfile_write(watch->hooks->log, relay->data, relay->len);
		relay->len = 0;
	}
	if (ret == -EPIPE) {
		/* A closed reader is SIGPIPE or EPIPE for the guest, as it is without us. */
		relay->len = 0;
		pyi_close_fd(&watch->out_fds[which]);
	}
	return ret;
}

/* Everything is gone: what is left in the pipes is at most a pipe's size each. */
static void drain(struct loop *loop)
{
	struct pyi_watch *watch = loop->watch;
	int which;

	while (!watch->has_exited && on_status(loop))
		continue;
	if (watch->report_fd >= 0) {
		struct pollfd poller = { .fd = watch->report_fd, .events = POLLIN };

		while (poll(&poller, 1, 0) == 1 && (poller.revents & POLLIN) && on_report(watch))
			continue;
	}
	for (which = 0; which < 2; which++) {
		while (watch->out_fds[which] >= 0 && relay_step(loop, which) != -EAGAIN)
			continue;
	}
}

/* While a reload is on its way, events may be judged by rules that we do not know yet: they wait in their ring. */
static bool may_stream(const struct loop *loop)
{
	return loop->watch->hooks && !loop->reload_look_us;
}

static void fill_slots(struct loop *loop, struct pollfd *slots, bool status_open)
{
	struct pyi_watch *watch = loop->watch;
	int which;

	slots[SLOT_PIDFD] = (struct pollfd){ watch->sandbox->pidfd, POLLIN, 0 };
	slots[SLOT_STATUS] = (struct pollfd){ status_open ? watch->sandbox->status_fd : -1, POLLIN, 0 };
	slots[SLOT_REPORT] = (struct pollfd){ watch->report_fd, POLLIN, 0 };
	slots[SLOT_SIGNAL] = (struct pollfd){ watch->signal_fd, POLLIN, 0 };
	slots[SLOT_TIMER] = (struct pollfd){ loop->timer_fd, POLLIN, 0 };
	slots[SLOT_EVENTS] = (struct pollfd){
		may_stream(loop) ? pyi_event_stream_fd(watch->hooks->events) : -1, POLLIN, 0
	};
	slots[SLOT_DOOR] = (struct pollfd){ watch->hooks ? pyi_door_fd(watch->hooks->door) : -1,
					    POLLIN, 0 };
	slots[SLOT_ALARM] = (struct pollfd){ watch->observer ? pyi_observer_fd(watch->observer) : -1,
					     POLLIN, 0 };
	slots[SLOT_RING] = (struct pollfd){ watch->tracer ? pyi_tracer_ring_fd(watch->tracer) : -1,
					    POLLIN, 0 };
	slots[SLOT_TRACE] = (struct pollfd){ watch->tracer ? pyi_tracer_out_fd(watch->tracer) : -1,
					     POLLOUT, 0 };
	for (which = 0; which < 2; which++) {
		struct pollfd *slot = &slots[SLOT_OUT + which];

		*slot = (struct pollfd){ -1, 0, 0 };
		if (watch->out_fds[which] < 0)
			continue;
		if (loop->relays[which].len)
			*slot = (struct pollfd){ which ? STDERR_FILENO : STDOUT_FILENO, POLLOUT, 0 };
		else
			*slot = (struct pollfd){ watch->out_fds[which], POLLIN, 0 };
	}
}

static int watch_loop(struct loop *loop, struct pyi_err *err)
{
	struct pyi_watch *watch = loop->watch;
	struct pollfd slots[N_SLOTS];
	bool status_open = true;
	int which;

	for (;;) {
		fill_slots(loop, slots, status_open);
		if (poll(slots, N_SLOTS, -1) < 0) {
			if (errno == EINTR)
				continue;
			return pyi_err_sys(err, errno, "cannot wait for the sandbox");
		}
		if (slots[SLOT_TIMER].revents)
			on_timer(loop);
		if (slots[SLOT_ALARM].revents)
			pyi_observer_alarm(watch->observer, pyi_now_us());
		if (slots[SLOT_RING].revents) {
			pyi_tracer_look(watch->tracer, pyi_now_us());
			set_timer(loop);
		}
		if (slots[SLOT_TRACE].revents)
			pyi_tracer_write(watch->tracer);
		if (slots[SLOT_SIGNAL].revents)
			on_signal(loop);
		if (slots[SLOT_EVENTS].revents && may_stream(loop)) {
			pyi_event_stream_work(watch->hooks->events, pyi_now_us());
			set_timer(loop);
		}
		if (slots[SLOT_DOOR].revents)
			pyi_door_answer(watch->hooks->door);
		if (slots[SLOT_REPORT].revents && !on_report(watch))
			pyi_close_fd(&watch->report_fd);
		for (which = 0; which < 2; which++) {
			if (slots[SLOT_OUT + which].revents)
				relay_step(loop, which);
		}
		if (slots[SLOT_STATUS].revents)
			status_open = on_status(loop);
		if (slots[SLOT_PIDFD].revents)
			return 0;
	}
}

int pyi_watch_run(struct pyi_watch *watch, struct pyi_err *err)
{
	_cleanup_free struct loop *loop = calloc(1, sizeof(*loop));
	_cleanup_fd int timer_fd = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK);
	int ret;

	if (!loop || timer_fd < 0) {
		kill_all(watch);
		return pyi_err_sys(err, loop ? errno : ENOMEM, "cannot watch the sandbox");
	}
	loop->watch = watch;
	loop->timer_fd = timer_fd;
	loop->n_cpus = sysconf(_SC_NPROCESSORS_ONLN);
	if (loop->n_cpus < 1)
		loop->n_cpus = 1;
	watch->limits = watch->plan->limits;
	if (loop->watch->limits.wall_time_ms)
		loop->wall_deadline_us = watch->start_us + loop->watch->limits.wall_time_ms * 1000;
	if (loop->watch->limits.cpu_time_ms && watch->cgroup)
		look_at_cpu(loop, pyi_now_us());
	if (watch->observer)
		pyi_observer_start(watch->observer, pyi_now_us());
	set_timer(loop);
	ret = watch_loop(loop, err);
	if (ret)
		kill_all(watch);
	drain(loop);
	return ret;
}
