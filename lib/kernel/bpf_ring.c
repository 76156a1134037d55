/* SPDX-License-Identifier: MIT */
/*
 * A sandbox's ring of events; see bpf.h.
 *
 * The map of rings is a map of maps: a system call that changes it returns only after a grace period, though the change
 * is in force some microseconds after it began. So the call is made by a thread that does nothing else, and is waited
 * for before the next one. A ring that could not be put in place is one that nothing comes out of.
 */
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/err.h"
#include "base/fault.h"
#include "base/util.h"
#include "kernel/bpf.h"
#include "kernel/bpf_pins.h"
#include "pyi_abi.h"

enum { STACK_BYTES = 64 << 10, LOOKS_MAX = 200, LOOK_US = 20 };

struct pyi_bpf_ring {
	uint64_t cgroup;
	int rings_fd; /* its own: the thread may outlast struct pyi_bpf */
	int fd;
	struct ring_buffer *buffer;
	pthread_t thread;
	bool has_thread;
	bool is_there; /* it is in the map, or on its way */
	void (*tell)(void *arg, const struct pyi_bpf_event *event, uint64_t number, uint64_t lost);
	void *arg;
};

static void *put(void *arg)
{
	struct pyi_bpf_ring *ring = arg;

	(void)bpf_map_update_elem(ring->rings_fd, &ring->cgroup, &ring->fd, BPF_ANY);
	return NULL;
}

static void *take_away(void *arg)
{
	struct pyi_bpf_ring *ring = arg;

	(void)bpf_map_delete_elem(ring->rings_fd, &ring->cgroup);
	return NULL;
}

static void join(struct pyi_bpf_ring *ring)
{
	if (ring->has_thread)
		pthread_join(ring->thread, NULL);
	ring->has_thread = false;
}

/* In a thread, or where none can be had here and now. No signal is for it. */
static void begin(struct pyi_bpf_ring *ring, void *(*work)(void *arg))
{
	sigset_t all, old;
	pthread_attr_t attr;

	join(ring);
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &old);
	pthread_attr_init(&attr);
	pthread_attr_setstacksize(&attr, STACK_BYTES);
	ring->has_thread = !PYI_FAULT(531, EAGAIN) &&
			   pthread_create(&ring->thread, &attr, work, ring) == 0;
	pthread_attr_destroy(&attr);
	pthread_sigmask(SIG_SETMASK, &old, NULL);
	if (!ring->has_thread)
		work(ring);
}

/* The first event may be a moment away. Where the thread does not get to run its end is waited for. */
static void wait_until_there(struct pyi_bpf_ring *ring)
{
	uint32_t id;

	for (int i = 0; i < LOOKS_MAX && ring->has_thread; i++) {
		if (bpf_map_lookup_elem(ring->rings_fd, &ring->cgroup, &id) == 0)
			return;
		usleep(LOOK_US);
	}
	join(ring);
}

/* One record, of the kernel's making; its size says whether there is a path. */
static int on_record(void *arg, void *data, size_t size)
{
	const struct pyi_abi_record_path *record = data;
	struct pyi_bpf_ring *ring = arg;
	struct pyi_bpf_event event;

	if (size < sizeof(record->record))
		return 0;
	pyi_bpf_event_from_abi(&record->record.event, &record->record.more,
			       size >= sizeof(*record) ? record->path.text : NULL, &event);
	ring->tell(ring->arg, &event, record->record.number, record->record.lost);
	return 0;
}

int pyi_bpf_ring_new(struct pyi_bpf *bpf, uint64_t cgroup_id, struct pyi_bpf_ring **ret_ring,
		     struct pyi_err *err)
{
	struct pyi_bpf_maps *maps = pyi_bpf_maps_of(bpf);
	struct pyi_bpf_ring *ring = calloc(1, sizeof(*ring));
	int ret;

	if (!ring)
		return pyi_err_nomem(err);
	ring->cgroup = cgroup_id;
	ring->fd = ring->rings_fd = -1;
	ret = pyi_bpf_pins_open_rings(maps);
	if (ret == 0) {
		ring->rings_fd = fcntl(maps->rings, F_DUPFD_CLOEXEC, 0);
		ret = ring->rings_fd < 0 ? -errno : 0;
	}
	if (ret == 0) {
		ring->fd = PYI_FAULT(530, ENOMEM) ? -errno
						  : bpf_map_create(BPF_MAP_TYPE_RINGBUF, "events",
								   0, 0, PYI_ABI_RING, NULL);
		ret = ring->fd < 0 ? ring->fd : 0;
	}
	if (ret == 0) {
		ring->buffer = ring_buffer__new(ring->fd, on_record, ring, NULL);
		ret = ring->buffer ? 0 : -errno;
	}
	if (ret < 0) {
		pyi_bpf_ring_free(ring);
		return pyi_err_sys(err, -ret, "cannot make a ring for events");
	}
	ring->is_there = true;
	begin(ring, put);
	wait_until_there(ring);
	*ret_ring = ring;
	return 0;
}

int pyi_bpf_ring_fd(const struct pyi_bpf_ring *ring)
{
	return ring->fd;
}

size_t pyi_bpf_ring_take(struct pyi_bpf_ring *ring, size_t max,
			 void (*tell)(void *arg, const struct pyi_bpf_event *event, uint64_t number,
				      uint64_t lost),
			 void *arg)
{
	int n;

	ring->tell = tell;
	ring->arg = arg;
	n = ring_buffer__consume_n(ring->buffer, max);
	return n < 0 ? 0 : (size_t)n;
}

void pyi_bpf_ring_stop(struct pyi_bpf_ring *ring)
{
	if (ring->is_there)
		begin(ring, take_away);
	ring->is_there = false;
}

void pyi_bpf_ring_free(struct pyi_bpf_ring *ring)
{
	if (!ring)
		return;
	pyi_bpf_ring_stop(ring);
	join(ring);
	ring_buffer__free(ring->buffer);
	pyi_close_fd(&ring->fd);
	pyi_close_fd(&ring->rings_fd);
	free(ring);
}
