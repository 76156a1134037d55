/* SPDX-License-Identifier: MIT */
/* The ring of a trace, drained and printed; see tracer.h. */
#include "super/tracer.h"

#include <errno.h>
#include <limits.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/err.h"
#include "base/log.h"
#include "base/util.h"
#include "kernel/cgroup.h"
#include "kernel/trace.h"
#include "report/asked.h"
#include "report/asked_verdict.h"
#include "super/watch.h"

enum {
	LOOK_US = 20000,	 /* that long may a record wait */
	BATCH = 64,		 /* records that are taken at a time */
	BATCHES = 32,		 /* at one look, so that no deadline has to wait for it */
	PENDING_MAX = 256 << 10, /* bytes that wait to be written, before the last batch */
	FILE_CHUNK = 64 << 10,
};

struct pyi_tracer {
	struct pyi_tracer_setup setup;
	struct pyi_trace *trace;
	uint64_t due_us;
	struct pyi_buf out; /* to be written, from `written` on */
	size_t written;
	size_t chunk;	 /* that is written at a time */
	int write_error; /* the first one: nothing is printed any more */
	struct pyi_asked_list kept;
	size_t kept_room;
};

static size_t pending(const struct pyi_tracer *tracer)
{
	return tracer->out.len - tracer->written;
}

int pyi_tracer_new(const struct pyi_tracer_setup *setup, struct pyi_tracer **ret_tracer,
		   struct pyi_err *err)
{
	const struct pyi_trace_setup trace_setup = {
		.cgroup_id = pyi_cgroup_id(setup->cgroup),
		.is_command = setup->plan->guest == PYI_GUEST_COMMAND,
		.python = setup->python,
		.start_us = setup->run_start_us,
	};
	struct pyi_tracer *tracer = calloc(1, sizeof(*tracer));
	struct stat st;
	int ret;

	if (!tracer)
		return pyi_err_nomem(err);
	tracer->setup = *setup;
	/* What a pipe that can be written to takes without waiting. */
	tracer->chunk = setup->print && fstat(setup->out_fd, &st) == 0 && S_ISREG(st.st_mode)
				? FILE_CHUNK
				: PIPE_BUF;
	ret = pyi_trace_open(&trace_setup, &tracer->trace, err);
	if (ret < 0) {
		pyi_tracer_free(tracer);
		return ret;
	}
	tracer->due_us = pyi_now_us() + LOOK_US;
	*ret_tracer = tracer;
	return 0;
}

void pyi_tracer_free(struct pyi_tracer *tracer)
{
	if (!tracer)
		return;
	pyi_trace_free(tracer->trace);
	pyi_asked_release(&tracer->kept);
	pyi_buf_release(&tracer->out);
	free(tracer);
}

static void begin_line(struct pyi_tracer *tracer)
{
	if (!tracer->setup.path)
		pyi_buf_puts(&tracer->out, "pyisolate: trace: ");
}

static void print(struct pyi_tracer *tracer, const struct pyi_asked *asked)
{
	if (tracer->write_error)
		return;
	if (tracer->setup.json) {
		pyi_asked_print_json(tracer->setup.plan, asked, &tracer->out);
	} else {
		begin_line(tracer);
		pyi_asked_print(tracer->setup.plan, asked, &tracer->out);
	}
	pyi_buf_putc(&tracer->out, '\n');
	if (tracer->out.failed)
		tracer->write_error = ENOMEM;
}

/* True: it is the list's now. */
static bool keep(struct pyi_tracer *tracer, const struct pyi_asked *asked)
{
	struct pyi_asked_list *kept = &tracer->kept;
	struct pyi_asked *v;

	if (kept->n == tracer->kept_room && tracer->kept_room < PYI_TRACER_KEPT_MAX) {
		size_t room = tracer->kept_room ? 2 * tracer->kept_room : 256;

		if (room > PYI_TRACER_KEPT_MAX)
			room = PYI_TRACER_KEPT_MAX;
		v = reallocarray(kept->v, room, sizeof(*v));
		if (v) {
			kept->v = v;
			tracer->kept_room = room;
		}
	}
	if (kept->n == tracer->kept_room) {
		kept->lost++;
		return false;
	}
	kept->v[kept->n++] = *asked;
	return true;
}

static void on_record(struct pyi_asked *asked, void *arg)
{
	struct pyi_tracer *tracer = arg;

	if (tracer->setup.print)
		print(tracer, asked);
	if (!tracer->setup.keep || !keep(tracer, asked))
		pyi_asked_clear(asked);
}

/* Is there more? */
static bool drain(struct pyi_tracer *tracer)
{
	for (int i = 0; i < BATCHES; i++) {
		if (pending(tracer) >= PENDING_MAX)
			return true;
		if (pyi_trace_take(tracer->trace, BATCH, on_record, tracer) < BATCH)
			return false;
	}
	return true;
}

uint64_t pyi_tracer_due_us(const struct pyi_tracer *tracer)
{
	return tracer->due_us;
}

void pyi_tracer_look(struct pyi_tracer *tracer, uint64_t now_us)
{
	bool is_more = drain(tracer);

	/* Where the reader holds it up, pyi_tracer_write goes on. */
	tracer->due_us = is_more && pending(tracer) < PENDING_MAX ? now_us : now_us + LOOK_US;
}

int pyi_tracer_ring_fd(const struct pyi_tracer *tracer)
{
	return pending(tracer) < PENDING_MAX ? pyi_trace_fd(tracer->trace) : -1;
}

int pyi_tracer_out_fd(const struct pyi_tracer *tracer)
{
	return pending(tracer) ? tracer->setup.out_fd : -1;
}

/* Whole lines where they fit. */
static size_t next_chunk(const struct pyi_tracer *tracer)
{
	const char *from = tracer->out.data + tracer->written, *end;

	if (pending(tracer) <= tracer->chunk)
		return pending(tracer);
	end = memrchr(from, '\n', tracer->chunk);
	return end ? (size_t)(end - from) + 1 : tracer->chunk;
}

static void forget(struct pyi_tracer *tracer)
{
	pyi_buf_release(&tracer->out);
	tracer->written = 0;
}

void pyi_tracer_write(struct pyi_tracer *tracer)
{
	ssize_t n;

	if (!pending(tracer))
		return;
	n = write(tracer->setup.out_fd, tracer->out.data + tracer->written, next_chunk(tracer));
	if (n < 0 && (errno == EINTR || errno == EAGAIN))
		return;
	if (n < 0) {
		tracer->write_error = errno;
		forget(tracer);
		return;
	}
	tracer->written += (size_t)n;
	if (!pending(tracer)) {
		tracer->out.len = tracer->written = 0;
	} else if (tracer->written > PENDING_MAX / 2) {
		memmove(tracer->out.data, tracer->out.data + tracer->written, pending(tracer));
		tracer->out.len -= tracer->written;
		tracer->written = 0;
	}
}

/* Until all is written, or somebody does not want to wait. */
static void flush(struct pyi_tracer *tracer, int signal_fd)
{
	while (pending(tracer)) {
		struct pollfd slots[] = { { tracer->setup.out_fd, POLLOUT, 0 },
					  { signal_fd, POLLIN, 0 } };

		if (poll(slots, PYI_ARRAY_SIZE(slots), -1) < 0 && errno != EINTR)
			break;
		if (slots[1].revents) {
			tracer->write_error = EINTR;
			forget(tracer);
		} else if (slots[0].revents) {
			pyi_tracer_write(tracer);
		}
	}
}

static void tell_lost(struct pyi_tracer *tracer)
{
	unsigned long long lost = pyi_trace_lost(tracer->trace);

	tracer->kept.lost += lost;
	if (!lost || !tracer->setup.print || tracer->write_error)
		return;
	if (tracer->setup.json) {
		pyi_buf_printf(&tracer->out, "{\"lost\":%llu}\n", lost);
	} else {
		begin_line(tracer);
		pyi_buf_printf(&tracer->out,
			       "%llu records were lost: they came faster than they were written\n",
			       lost);
	}
	if (tracer->setup.path)
		pyi_log_note("trace: %llu records were lost: they came faster than they were written",
			     lost);
}

int pyi_tracer_end(struct pyi_tracer *tracer, int signal_fd, struct pyi_err *err)
{
	while (drain(tracer))
		flush(tracer, signal_fd);
	tell_lost(tracer);
	flush(tracer, signal_fd);
	tracer->due_us = 0;
	/* Of stderr nobody is left to hear. */
	if (tracer->write_error && tracer->setup.path)
		return pyi_err_sys(err, tracer->write_error, "cannot write the trace to '%s'",
				   tracer->setup.path);
	return 0;
}

void pyi_tracer_take(struct pyi_tracer *tracer, struct pyi_asked_list *ret_list)
{
	*ret_list = tracer->kept;
	tracer->kept = (struct pyi_asked_list){ .v = NULL };
	tracer->kept_room = 0;
}
