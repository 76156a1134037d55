/* SPDX-License-Identifier: MIT */
/*
 * A sandbox's ring of events; see bpf.h.
 *
 * The map of rings is a map of maps: a system call that changes it returns only after a grace period, though the change
 * is in force some microseconds after it began. So the ring is put there by a thread that does nothing else. It is
 * taken away by a process, because that is done at the end, and ours is not over before its threads are: what is waited
 * for is that the ring is out of the map. A ring that could not be put in place is one that nothing comes out of; one
 * whose process was killed is left to who clears away what is of control groups that are gone.
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
#include <sys/wait.h>
#include <unistd.h>

#include "base/err.h"
#include "base/fault.h"
#include "base/util.h"
#include "kernel/bpf.h"
#include "kernel/bpf_pins.h"
#include "kernel/sys.h"
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
	pid_t taker;   /* the process that takes it away; 0: none yet, -1: none could be had */
	void (*tell)(void *arg, const struct pyi_bpf_event *event, uint64_t number, uint64_t lost);
	void *arg;
};

static void *put(void *arg)
{
	struct pyi_bpf_ring *ring = arg;

	(void)bpf_map_update_elem(ring->rings_fd, &ring->cgroup, &ring->fd, BPF_ANY);
	return NULL;
}

static void join(struct pyi_bpf_ring *ring)
{
	if (ring->has_thread)
		pthread_join(ring->thread, NULL);
	ring->has_thread = false;
}

/* In a thread, or where none can be had here and now. No signal is for it. */
static void begin_put(struct pyi_bpf_ring *ring)
{
	sigset_t all, old;
	pthread_attr_t attr;

	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &old);
	pthread_attr_init(&attr);
	pthread_attr_setstacksize(&attr, STACK_BYTES);
	ring->has_thread = !PYI_FAULT(531, EAGAIN) &&
			   pthread_create(&ring->thread, &attr, put, ring) == 0;
	pthread_attr_destroy(&attr);
	pthread_sigmask(SIG_SETMASK, &old, NULL);
	if (!ring->has_thread)
		put(ring);
}

/* The change is a moment away. False: whoever makes it does not get to run. */
static bool wait_until(const struct pyi_bpf_ring *ring, bool is_there)
{
	uint32_t id;

	for (int i = 0; i < LOOKS_MAX; i++) {
		if ((bpf_map_lookup_elem(ring->rings_fd, &ring->cgroup, &id) == 0) == is_there)
			return true;
		usleep(LOOK_US);
	}
	return false;
}

/* In a process of its own, which holds nothing else of ours and may outlast us; where none can be had, here. */
static void begin_take_away(struct pyi_bpf_ring *ring)
{
	unsigned int fd = (unsigned int)ring->rings_fd;

	ring->taker = PYI_FAULT(540, EAGAIN) ? -1 : pyi_sys_fork();
	if (ring->taker > 0)
		return;
	if (ring->taker == 0) {
		(void)close_range(fd + 1, ~0U, 0);
		if (fd > 0)
			(void)close_range(0, fd - 1, 0);
	}
	(void)bpf_map_delete_elem(ring->rings_fd, &ring->cgroup);
	if (ring->taker == 0)
		_exit(0);
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
	begin_put(ring);
	if (ring->has_thread && !wait_until(ring, true))
		join(ring);
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
	if (ring->is_there) {
		join(ring);
		begin_take_away(ring);
	}
	ring->is_there = false;
}

void pyi_bpf_ring_free(struct pyi_bpf_ring *ring)
{
	if (!ring)
		return;
	pyi_bpf_ring_stop(ring);
	join(ring);
	if (ring->taker > 0 && !wait_until(ring, false))
		(void)waitpid(ring->taker, NULL, __WALL);
	else if (ring->taker > 0)
		(void)waitpid(ring->taker, NULL, WNOHANG | __WALL);
	ring_buffer__free(ring->buffer);
	pyi_close_fd(&ring->fd);
	pyi_close_fd(&ring->rings_fd);
	free(ring);
}
