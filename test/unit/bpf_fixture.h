/* SPDX-License-Identifier: MIT */
/*
 * What root_bpf.c and root_bpf_groups.c share: real listeners on loopback, sandboxes' groups with
 * rows, children in them that try to reach something.
 */
#ifndef PYI_TEST_BPF_FIXTURE_H
#define PYI_TEST_BPF_FIXTURE_H

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/sched.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sched.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/err.h"
#include "kernel/bpf.h"
#include "kernel/cgroup.h"
#include "plan/facts.h"
#include "plan/plan.h"
#include "policy/policy.h"

static struct pyi_facts facts;
static struct pyi_bpf *bpf;
static pid_t test_pid;
static int tcp4, tcp6, udp4; /* listening; the ports below */
static uint16_t port4, port6, uport4;

static inline double now_us(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (double)ts.tv_sec * 1e6 + (double)ts.tv_nsec / 1e3;
}

static inline struct sockaddr_storage address(const char *text, uint16_t port, socklen_t *ret_len)
{
	struct sockaddr_storage ss = { 0 };
	struct sockaddr_in *in = (void *)&ss;
	struct sockaddr_in6 *in6 = (void *)&ss;

	if (strchr(text, ':')) {
		in6->sin6_family = AF_INET6;
		in6->sin6_port = htons(port);
		assert_int_equal(inet_pton(AF_INET6, text, &in6->sin6_addr), 1);
		*ret_len = sizeof(*in6);
	} else {
		in->sin_family = AF_INET;
		in->sin_port = htons(port);
		assert_int_equal(inet_pton(AF_INET, text, &in->sin_addr), 1);
		*ret_len = sizeof(*in);
	}
	return ss;
}

static inline int listener(const char *text, int type, uint16_t *ret_port)
{
	socklen_t len;
	struct sockaddr_storage ss = address(text, 0, &len);
	int fd = socket(ss.ss_family, type | SOCK_CLOEXEC, 0);

	if (fd < 0)
		return -1;
	if (bind(fd, (void *)&ss, len) < 0 || (type == SOCK_STREAM && listen(fd, 64) < 0) ||
	    getsockname(fd, (void *)&ss, &len) < 0) {
		close(fd);
		return -1;
	}
	*ret_port = ntohs(ss.ss_family == AF_INET ? ((struct sockaddr_in *)&ss)->sin_port
						  : ((struct sockaddr_in6 *)&ss)->sin6_port);
	return fd;
}

static inline int set_up(void **state)
{
	struct pyi_err err = { 0 };

	test_pid = getpid();
	facts = (struct pyi_facts){ .is_root = geteuid() == 0, .clone_into_cgroup = true };
	if (!facts.is_root)
		return 0;
	pyi_cgroup_find(&facts);
	pyi_bpf_probe(&facts);
	if (facts.bpf_cgroup.errnum) {
		print_message("no cgroup BPF: %s: %s\n", facts.bpf_cgroup.detail,
			      strerror(facts.bpf_cgroup.errnum));
		return 0;
	}
	if (pyi_bpf_open(&facts, &bpf, &err) < 0) {
		print_error("pyi_bpf_open: %s\n", err.msg);
		return -1;
	}
	tcp4 = listener("127.0.0.1", SOCK_STREAM, &port4);
	tcp6 = listener("::1", SOCK_STREAM, &port6);
	udp4 = listener("127.0.0.1", SOCK_DGRAM, &uport4);
	return tcp4 < 0 || udp4 < 0 ? -1 : 0;
}

static inline int tear_down(void **state)
{
	pyi_bpf_free(bpf);
	return 0;
}

static inline void need_bpf(void)
{
	if (!bpf)
		skip();
}

/* A sandbox's group with these rows. */
struct box {
	struct pyi_cgroup *cgroup;
	struct pyi_plan plan;
	struct pyi_net_row rows[8];
};

static inline void add_row(struct box *box, const char *text, unsigned int prefix, uint16_t min,
			   uint16_t max, unsigned int uses, bool warn)
{
	struct pyi_net_row *row = &box->rows[box->plan.n_net++];

	memset(row, 0, sizeof(*row));
	if (strchr(text, ':')) {
		assert_int_equal(inet_pton(AF_INET6, text, row->addr), 1);
	} else {
		row->addr[10] = row->addr[11] = 0xff;
		assert_int_equal(inet_pton(AF_INET, text, row->addr + 12), 1);
		prefix += 96;
	}
	row->prefix_len = (uint8_t)prefix;
	if (uses) {
		row->n_ranges = 1;
		row->ranges[0] = (struct pyi_net_range){
			.port_min = min,
			.port_max = max,
			.ops_protos = (uint8_t)uses,
			.is_warn = warn,
			.rule = 42,
		};
	}
	box->plan.net = box->rows;
	box->plan.net_tcp |= (uses & 5) != 0;
	box->plan.net_udp |= (uses & 10) != 0;
}

enum { C_TCP = 1, C_UDP = 2, B_TCP = 4, B_UDP = 8 };

/* A failed assertion in a child would go on with the tests there. */
static inline void give_up(const char *why)
{
	if (getpid() != test_pid) {
		print_error("%s\n", why);
		_exit(98);
	}
	fail_msg("%s", why);
}

static inline void open_box(struct box *box)
{
	struct pyi_limits limits = { 0 };
	struct pyi_err err = { 0 };

	if (pyi_cgroup_new(&facts, &limits, &box->cgroup, &err) < 0 ||
	    pyi_bpf_assign(bpf, pyi_cgroup_id(box->cgroup), &box->plan, &err) < 0)
		give_up(err.msg);
}

static inline void close_box(struct box *box)
{
	pyi_bpf_unassign(bpf, pyi_cgroup_id(box->cgroup));
	pyi_cgroup_free(box->cgroup);
}

/* Run fn in a child of the group; what it returns (0 or an errno, at most 255). */
static inline int in_group(int group_fd, int (*fn)(const void *), const void *arg)
{
	struct clone_args args = { .flags = CLONE_INTO_CGROUP,
				   .exit_signal = SIGCHLD,
				   .cgroup = (uint64_t)group_fd };
	pid_t pid = (pid_t)syscall(SYS_clone3, &args, sizeof(args));
	int status;

	assert_true(pid >= 0);
	if (pid == 0)
		_exit(fn(arg));
	while (waitpid(pid, &status, 0) < 0)
		;
	assert_true(WIFEXITED(status));
	return WEXITSTATUS(status);
}

static inline int in_box(const struct box *box, int (*fn)(const void *), const void *arg)
{
	return in_group(pyi_cgroup_v2_fd(box->cgroup), fn, arg);
}

struct peer {
	const char *addr;
	uint16_t port;
	int family; /* of the socket, 0: the address's */
	int type;
	int how;
};

enum { BY_CONNECT, BY_SENDTO, BY_FASTOPEN, BY_FASTOPEN_CONNECT, BY_BIND, BY_CONNECT_SEND };

static inline int reach(const void *arg)
{
	const struct peer *peer = arg;
	socklen_t len;
	struct sockaddr_storage ss = address(peer->addr, peer->port, &len);
	int fd = socket(peer->family ? peer->family : ss.ss_family, peer->type | SOCK_CLOEXEC, 0),
	    on = 1, ret = 0;

	if (fd < 0)
		return errno;
	switch (peer->how) {
	case BY_CONNECT:
		ret = connect(fd, (void *)&ss, len);
		break;
	case BY_CONNECT_SEND:
		ret = connect(fd, (void *)&ss, len);
		if (ret == 0)
			ret = send(fd, "x", 1, 0) == 1 ? 0 : -1;
		break;
	case BY_SENDTO:
		ret = sendto(fd, "x", 1, 0, (void *)&ss, len) == 1 ? 0 : -1;
		break;
	case BY_FASTOPEN:
		ret = sendto(fd, "x", 1, MSG_FASTOPEN, (void *)&ss, len) >= 0 ? 0 : -1;
		break;
	case BY_FASTOPEN_CONNECT:
		setsockopt(fd, IPPROTO_TCP, TCP_FASTOPEN_CONNECT, &on, sizeof(on));
		ret = connect(fd, (void *)&ss, len);
		if (ret == 0)
			ret = send(fd, "x", 1, 0) >= 0 ? 0 : -1;
		break;
	case BY_BIND:
		ret = bind(fd, (void *)&ss, len);
		break;
	}
	ret = ret < 0 ? errno : 0;
	close(fd);
	return ret;
}

static inline int try_reach(const struct box *box, const char *addr, uint16_t port, int type, int how)
{
	struct peer peer = { .addr = addr, .port = port, .type = type, .how = how };

	return in_box(box, reach, &peer);
}

static inline int try_mapped(const struct box *box, const char *addr, uint16_t port, int type, int how)
{
	struct peer peer = { .addr = addr, .port = port, .family = AF_INET6, .type = type, .how = how };

	return in_box(box, reach, &peer);
}

static inline uint64_t get_events(const struct box *box, struct pyi_bpf_event *events, size_t *ret_n)
{
	struct pyi_err err = { 0 };
	uint64_t total = 0;

	assert_int_equal(pyi_bpf_events(bpf, pyi_cgroup_id(box->cgroup), events, PYI_BPF_EVENTS_MAX,
					ret_n, &total, &err),
			 0);
	return total;
}

#endif
