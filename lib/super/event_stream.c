/* SPDX-License-Identifier: MIT */
/*
 * See event_stream.h. Lines are gathered in one buffer while the other is being written; where the disk is slower than
 * the guest the first one fills up, nothing more is taken from the ring, and the kernel counts what is lost.
 */
#include "super/event_stream.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/err.h"
#include "base/json.h"
#include "base/util.h"
#include "kernel/bpf.h"
#include "report/result.h"
#include "super/event_file.h"
#include "super/event_log.h"
#include "super/outcome_event.h"
#include "super/watch.h"

enum {
	AT_ONCE = 128,		  /* events between two looks at everything else */
	GATHERED_MAX = 256 << 10, /* bytes of lines that wait for the disk */
	SHARE = 5,		  /* of these microseconds one may be spent here, */
	CREDIT_MAX_US = 20000,	  /* and this much at a time, after a rest */
};

struct pyi_event_stream {
	struct pyi_event_file *file;
	struct pyi_buf lines;
	struct pyi_event_source source;
	bool is_attached;
	struct pyi_bpf_ring *ring; /* NULL: there is none */
	struct pyi_bpf_ring *last; /* on its way out of the kernel */
	uint64_t told;		   /* events of this source */
	uint64_t lost;		   /* that were said to be */
	uint64_t credit_us;	   /* to be spent */
	uint64_t rested_us;	   /* credit was counted until then */
	uint64_t again_us;	   /* there is more in the ring; 0: there is not */
	int64_t unix_us;	   /* of CLOCK_MONOTONIC's 0 */
};

static int64_t find_unix_us(void)
{
	struct timespec now;

	clock_gettime(CLOCK_REALTIME, &now);
	return (int64_t)now.tv_sec * 1000000 + now.tv_nsec / 1000 - (int64_t)pyi_now_us();
}

int pyi_event_stream_new(const char *dir, const char *name, struct pyi_event_stream **ret_stream,
			 struct pyi_err *err)
{
	struct pyi_event_stream *stream = calloc(1, sizeof(*stream));
	int ret;

	if (!stream)
		return pyi_err_nomem(err);
	ret = pyi_event_file_new(dir, name, &stream->file, err);
	if (ret < 0) {
		free(stream);
		return ret;
	}
	stream->unix_us = find_unix_us();
	*ret_stream = stream;
	return 0;
}

static void end_line(struct pyi_event_stream *stream, struct pyi_json *json)
{
	pyi_json_end_object(json);
	pyi_buf_putc(&stream->lines, '\n');
}

/* Hand over what was gathered, unless the disk still has the last of it. */
static void flush(struct pyi_event_stream *stream)
{
	if (stream->lines.failed) {
		pyi_buf_release(&stream->lines);
		stream->lines = (struct pyi_buf)PYI_BUF_INIT;
	}
	if (stream->lines.len)
		pyi_event_file_write(stream->file, &stream->lines);
}

void pyi_event_stream_state(struct pyi_event_stream *stream, const char *state)
{
	struct pyi_json json;

	if (!stream)
		return;
	pyi_event_begin(&json, &stream->lines, 0, "STATE");
	pyi_json_string(&json, "state", state);
	pyi_json_i64(&json, "pid", getpid());
	end_line(stream, &json);
	flush(stream);
}

void pyi_event_stream_kernel(struct pyi_event_stream *stream, enum pyi_kernel_event_kind kind,
			     const struct pyi_kernel_event *event)
{
	struct pyi_json json;

	if (!stream)
		return;
	pyi_event_begin(&json, &stream->lines, 0, pyi_kernel_event_name(kind));
	pyi_kernel_event_print_members(kind, event, &json);
	end_line(stream, &json);
	flush(stream);
}

void pyi_event_stream_warned(struct pyi_event_stream *stream, const struct pyi_denial *denial)
{
	struct pyi_json json;

	if (!stream)
		return;
	pyi_event_begin(&json, &stream->lines, 0, "WARNED");
	pyi_json_null(&json, "number");
	pyi_denial_print_members(denial, &json);
	end_line(stream, &json);
	flush(stream);
}

static void tell_lost(struct pyi_event_stream *stream, uint64_t lost)
{
	struct pyi_json json;

	if (lost <= stream->lost)
		return;
	pyi_event_begin(&json, &stream->lines, 0, "EVENTS_LOST");
	pyi_json_u64(&json, "count", lost - stream->lost);
	pyi_json_u64(&json, "total", lost);
	end_line(stream, &json);
	stream->lost = lost;
}

static void tell(void *arg, const struct pyi_bpf_event *event, uint64_t number, uint64_t lost)
{
	struct pyi_event_stream *stream = arg;
	const struct pyi_event_source *source = &stream->source;
	struct pyi_told told;
	struct pyi_json json;

	tell_lost(stream, lost);
	pyi_outcome_tell(source->find_policy(source->arg, event->era), event, &told);
	pyi_event_begin(&json, &stream->lines,
			event->time_us ? (uint64_t)(stream->unix_us + (int64_t)event->time_us) : 0,
			event->is_warning ? "WARNED"
			: event->contract ? "CONTRACT_BROKEN"
					  : "DENIED");
	pyi_json_u64(&json, "number", number);
	pyi_denial_print_members(&told.denial, &json);
	end_line(stream, &json);
	stream->told++;
}

void pyi_event_stream_attach(struct pyi_event_stream *stream, const struct pyi_event_source *source)
{
	struct pyi_err unused = { 0 };

	if (!stream)
		return;
	stream->source = *source;
	stream->is_attached = true;
	stream->told = stream->lost = stream->again_us = 0;
	if (pyi_bpf_ring_new(source->bpf, source->cgroup, &stream->ring, &unused) == 0)
		pyi_event_file_wait_for(stream->file, pyi_bpf_ring_fd(stream->ring));
}

/* What came, but not more than the others can wait for. */
static void drain(struct pyi_event_stream *stream)
{
	uint64_t begin = pyi_now_us(), end;
	size_t n;

	stream->credit_us += (begin - stream->rested_us) / SHARE;
	if (stream->credit_us > CREDIT_MAX_US)
		stream->credit_us = CREDIT_MAX_US;
	stream->rested_us = begin;
	if (stream->lines.len > GATHERED_MAX) {
		stream->again_us = begin + 1000;
		return;
	}
	stream->unix_us = find_unix_us();
	n = pyi_bpf_ring_take(stream->ring, AT_ONCE, tell, stream);
	end = pyi_now_us();
	stream->credit_us -= end - begin < stream->credit_us ? end - begin : stream->credit_us;
	stream->again_us = n < AT_ONCE ? 0 : stream->credit_us ? end : end + SHARE * AT_ONCE;
}

void pyi_event_stream_work(struct pyi_event_stream *stream, uint64_t now_us)
{
	if (!stream)
		return;
	if (pyi_event_file_work(stream->file) && !stream->again_us)
		stream->again_us = now_us;
	if (stream->ring && stream->again_us && now_us >= stream->again_us)
		drain(stream);
	flush(stream);
}

int pyi_event_stream_fd(const struct pyi_event_stream *stream)
{
	/* Without io_uring it is the ring's own, which stays readable until it is empty. */
	return stream ? pyi_event_file_fd(stream->file, stream->again_us != 0) : -1;
}

uint64_t pyi_event_stream_due_us(const struct pyi_event_stream *stream)
{
	return stream && stream->ring ? stream->again_us : 0;
}

/* There was no ring: the first ones are kept. */
static void tell_kept(struct pyi_event_stream *stream)
{
	struct pyi_bpf_event *events = calloc(PYI_BPF_EVENTS_MAX, sizeof(*events));
	const struct pyi_event_source *source = &stream->source;
	struct pyi_err unused = { 0 };
	uint64_t total = 0;
	size_t n = 0;

	if (events)
		(void)pyi_bpf_events(source->bpf, source->cgroup, events, PYI_BPF_EVENTS_MAX, &n,
				     &total, &unused);
	for (size_t i = 0; i < n; i++)
		tell(stream, &events[i], i, 0);
	tell_lost(stream, total - n);
	free(events);
}

void pyi_event_stream_detach(struct pyi_event_stream *stream)
{
	if (!stream || !stream->is_attached)
		return;
	stream->is_attached = false;
	if (stream->ring) {
		pyi_event_file_wait_for(stream->file, -1);
		stream->unix_us = find_unix_us();
		/* Nothing is added any more, and so this ends. */
		while (pyi_bpf_ring_take(stream->ring, AT_ONCE, tell, stream) == AT_ONCE)
			flush(stream);
		tell_lost(stream, pyi_bpf_events_lost(stream->source.bpf, stream->source.cgroup));
		pyi_bpf_ring_stop(stream->ring);
		pyi_bpf_ring_free(stream->last);
		stream->last = stream->ring;
		stream->ring = NULL;
	} else {
		tell_kept(stream);
	}
	stream->again_us = 0;
	flush(stream);
}

void pyi_event_stream_free(struct pyi_event_stream *stream)
{
	if (!stream)
		return;
	pyi_event_stream_detach(stream);
	flush(stream);
	pyi_event_file_free(stream->file, &stream->lines);
	pyi_bpf_ring_free(stream->last);
	pyi_buf_release(&stream->lines);
	free(stream);
}
