/* SPDX-License-Identifier: MIT */
/*
 * The cgroup BPF programs on the real kernel, as root: children in a group of ours talk to real sockets on loopback.
 * Each thing that is refused has a twin that is allowed. Skips where the kernel or the user cannot.
 */
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
static int tcp4, tcp6, udp4;		/* listening; the ports below */
static uint16_t port4, port6, uport4;

static double now_us(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (double)ts.tv_sec * 1e6 + (double)ts.tv_nsec / 1e3;
}

static struct sockaddr_storage address(const char *text, uint16_t port, socklen_t *ret_len)
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

static int listener(const char *text, int type, uint16_t *ret_port)
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

static int set_up(void **state)
{
	struct pyi_err err = { 0 };

	facts = (struct pyi_facts){ .is_root = geteuid() == 0, .clone_into_cgroup = true };
	if (!facts.is_root)
		return 0;
	pyi_cgroup_find(&facts);
	pyi_bpf_probe(&facts);
	if (facts.bpf_cgroup.errnum) {
		print_message("no cgroup BPF: %s: %s\n", facts.bpf_cgroup.detail, strerror(facts.bpf_cgroup.errnum));
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

static int tear_down(void **state)
{
	pyi_bpf_free(bpf);
	return 0;
}

static void need_bpf(void)
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

static void add_row(struct box *box, const char *text, unsigned int prefix, uint16_t min, uint16_t max, unsigned int uses,
		    bool warn)
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
			.port_min = min, .port_max = max, .ops_protos = (uint8_t)uses, .is_warn = warn, .rule = 42,
		};
	}
	box->plan.net = box->rows;
	box->plan.net_tcp |= (uses & 5) != 0;
	box->plan.net_udp |= (uses & 10) != 0;
}

enum { C_TCP = 1, C_UDP = 2, B_TCP = 4, B_UDP = 8 };

static void open_box(struct box *box)
{
	struct pyi_limits limits = { 0 };
	struct pyi_err err = { 0 };

	if (pyi_cgroup_new(&facts, &limits, &box->cgroup, &err) < 0 ||
	    pyi_bpf_assign(bpf, pyi_cgroup_id(box->cgroup), &box->plan, &err) < 0)
		fail_msg("%s", err.msg);
}

static void close_box(struct box *box)
{
	pyi_bpf_unassign(bpf, pyi_cgroup_id(box->cgroup));
	pyi_cgroup_free(box->cgroup);
}

/* Run fn in a child of the group; what it returns (0 or an errno, at most 255). */
static int in_group(int group_fd, int (*fn)(const void *), const void *arg)
{
	struct clone_args args = {
		.flags = CLONE_INTO_CGROUP, .exit_signal = SIGCHLD, .cgroup = (uint64_t)group_fd
	};
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

static int in_box(const struct box *box, int (*fn)(const void *), const void *arg)
{
	return in_group(pyi_cgroup_v2_fd(box->cgroup), fn, arg);
}

struct peer {
	const char *addr;
	uint16_t port;
	int family;	/* of the socket, 0: the address's */
	int type;
	int how;
};

enum { BY_CONNECT, BY_SENDTO, BY_FASTOPEN, BY_FASTOPEN_CONNECT, BY_BIND, BY_CONNECT_SEND };

static int reach(const void *arg)
{
	const struct peer *peer = arg;
	socklen_t len;
	struct sockaddr_storage ss = address(peer->addr, peer->port, &len);
	int fd = socket(peer->family ? peer->family : ss.ss_family, peer->type | SOCK_CLOEXEC, 0), on = 1, ret = 0;

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

static int try_reach(const struct box *box, const char *addr, uint16_t port, int type, int how)
{
	struct peer peer = { .addr = addr, .port = port, .type = type, .how = how };

	return in_box(box, reach, &peer);
}

static int try_mapped(const struct box *box, const char *addr, uint16_t port, int type, int how)
{
	struct peer peer = { .addr = addr, .port = port, .family = AF_INET6, .type = type, .how = how };

	return in_box(box, reach, &peer);
}

static uint64_t get_events(const struct box *box, struct pyi_bpf_event *events, size_t *ret_n)
{
	struct pyi_err err = { 0 };
	uint64_t total = 0;

	assert_int_equal(pyi_bpf_events(bpf, pyi_cgroup_id(box->cgroup), events, PYI_BPF_EVENTS_MAX, ret_n, &total, &err), 0);
	return total;
}

static void tcp_is_judged_by_address_and_port(void **state)
{
	struct pyi_bpf_event ev[PYI_BPF_EVENTS_MAX];
	struct box box = { 0 };
	uint16_t other;
	int fd;
	size_t n;

	need_bpf();
	fd = listener("127.0.0.1", SOCK_STREAM, &other);
	add_row(&box, "127.0.0.1", 32, port4, port4, C_TCP, false);
	open_box(&box);
	assert_int_equal(try_reach(&box, "127.0.0.1", port4, SOCK_STREAM, BY_CONNECT), 0);
	assert_int_equal(get_events(&box, ev, &n), 0);
	assert_int_equal(try_reach(&box, "127.0.0.1", other, SOCK_STREAM, BY_CONNECT), EPERM);
	assert_int_equal(try_reach(&box, "127.0.0.2", port4, SOCK_STREAM, BY_CONNECT), EPERM);
	assert_int_equal(get_events(&box, ev, &n), 2);
	assert_int_equal(n, 2);
	assert_int_equal(ev[0].op, PYI_BPF_CONNECT);
	assert_int_equal(ev[0].proto, PYI_NET_TCP);
	assert_int_equal(ev[0].family, AF_INET);
	assert_int_equal(ev[0].port, other);
	assert_int_equal(ev[0].is_warning, 0);
	assert_int_equal(ev[0].rule, PYI_BPF_NO_RULE);
	assert_true(ev[0].pid > 0);
	assert_memory_equal(ev[1].addr, "\0\0\0\0\0\0\0\0\0\0\xff\xff\x7f\0\0\2", 16);
	/* UDP to the same place is another thing. */
	assert_int_equal(try_reach(&box, "127.0.0.1", port4, SOCK_DGRAM, BY_CONNECT), EPERM);
	close_box(&box);
	close(fd);
}

static void the_longest_prefix_decides(void **state)
{
	struct box box = { 0 };

	need_bpf();
	add_row(&box, "127.0.0.0", 8, 0, 65535, C_TCP, false);
	add_row(&box, "127.0.0.1", 32, 0, 0, 0, false);
	open_box(&box);
	assert_int_equal(try_reach(&box, "127.0.0.1", port4, SOCK_STREAM, BY_CONNECT), EPERM);
	/* Nobody listens there, which is for TCP to say, not for us. */
	assert_int_equal(try_reach(&box, "127.0.0.2", port4, SOCK_STREAM, BY_CONNECT), ECONNREFUSED);
	close_box(&box);
}

static void warnings_are_let_through(void **state)
{
	struct pyi_bpf_event ev[PYI_BPF_EVENTS_MAX];
	struct box box = { 0 };
	size_t n;

	need_bpf();
	add_row(&box, "127.0.0.1", 32, port4, port4, C_TCP, true);
	open_box(&box);
	assert_int_equal(try_reach(&box, "127.0.0.1", port4, SOCK_STREAM, BY_CONNECT), 0);
	assert_int_equal(get_events(&box, ev, &n), 1);
	assert_int_equal(ev[0].is_warning, 1);
	assert_int_equal(ev[0].rule, 42);
	close_box(&box);
}

static void udp_is_judged(void **state)
{
	struct box box = { 0 };

	need_bpf();
	add_row(&box, "127.0.0.1", 32, uport4, uport4, C_UDP, false);
	open_box(&box);
	assert_int_equal(try_reach(&box, "127.0.0.1", uport4, SOCK_DGRAM, BY_SENDTO), 0);
	assert_int_equal(try_reach(&box, "127.0.0.1", uport4, SOCK_DGRAM, BY_CONNECT_SEND), 0);
	assert_int_equal(try_reach(&box, "127.0.0.1", 1, SOCK_DGRAM, BY_SENDTO), EPERM);
	assert_int_equal(try_reach(&box, "127.0.0.1", 1, SOCK_DGRAM, BY_CONNECT), EPERM);
	/* A TCP socket cannot even be made. */
	assert_int_equal(try_reach(&box, "127.0.0.1", port4, SOCK_STREAM, BY_CONNECT), EPERM);
	/* IPv4 through an IPv6 socket, as a mapped address and as it is. */
	assert_int_equal(try_mapped(&box, "::ffff:127.0.0.1", uport4, SOCK_DGRAM, BY_SENDTO), 0);
	assert_int_equal(try_mapped(&box, "::ffff:127.0.0.1", uport4, SOCK_DGRAM, BY_CONNECT_SEND), 0);
	assert_int_equal(try_mapped(&box, "::ffff:127.0.0.1", 1, SOCK_DGRAM, BY_SENDTO), EPERM);
	assert_int_equal(try_mapped(&box, "::ffff:127.0.0.1", 1, SOCK_DGRAM, BY_CONNECT), EPERM);
	assert_int_equal(try_mapped(&box, "127.0.0.1", uport4, SOCK_DGRAM, BY_SENDTO), 0);
	assert_int_equal(try_mapped(&box, "127.0.0.1", 1, SOCK_DGRAM, BY_SENDTO), EPERM);
	assert_int_equal(try_mapped(&box, "127.0.0.1", 1, SOCK_DGRAM, BY_CONNECT), EPERM);
	close_box(&box);
}

static void mapped_addresses_are_ipv4(void **state)
{
	struct box box = { 0 };

	need_bpf();
	add_row(&box, "127.0.0.1", 32, port4, port4, C_TCP, false);
	open_box(&box);
	assert_int_equal(try_mapped(&box, "::ffff:127.0.0.1", port4, SOCK_STREAM, BY_CONNECT), 0);
	assert_int_equal(try_mapped(&box, "::ffff:127.0.0.1", 1, SOCK_STREAM, BY_CONNECT), EPERM);
	assert_int_equal(try_mapped(&box, "::ffff:127.0.0.2", port4, SOCK_STREAM, BY_CONNECT), EPERM);
	close_box(&box);
	/* And a rule about all of IPv6 says nothing of them. */
	memset(&box, 0, sizeof(box));
	add_row(&box, "::1", 128, 0, 65535, C_TCP, false);
	open_box(&box);
	assert_int_equal(try_mapped(&box, "::ffff:127.0.0.1", port4, SOCK_STREAM, BY_CONNECT), EPERM);
	if (tcp6 >= 0) {
		assert_int_equal(try_reach(&box, "::1", port6, SOCK_STREAM, BY_CONNECT), 0);
		assert_int_equal(try_reach(&box, "fe80::1", port6, SOCK_STREAM, BY_CONNECT), EPERM);
	}
	close_box(&box);
}

static void any_address_is_loopback(void **state)
{
	struct box box = { 0 };

	need_bpf();
	add_row(&box, "0.0.0.0", 0, 0, 65535, C_TCP | C_UDP, false);
	add_row(&box, "127.0.0.0", 8, 0, 0, 0, false);
	open_box(&box);
	assert_int_equal(try_reach(&box, "0.0.0.0", port4, SOCK_STREAM, BY_CONNECT), EPERM);
	assert_int_equal(try_reach(&box, "0.0.0.0", uport4, SOCK_DGRAM, BY_SENDTO), EPERM);
	assert_int_equal(try_reach(&box, "::", port4, SOCK_STREAM, BY_CONNECT), EPERM);
	assert_int_equal(try_mapped(&box, "::ffff:0.0.0.0", port4, SOCK_STREAM, BY_CONNECT), EPERM);
	close_box(&box);
	memset(&box, 0, sizeof(box));
	add_row(&box, "127.0.0.1", 32, port4, port4, C_TCP, false);
	open_box(&box);
	assert_int_equal(try_reach(&box, "0.0.0.0", port4, SOCK_STREAM, BY_CONNECT), 0);
	close_box(&box);
}

static void fast_open_is_no_way_around(void **state)
{
	struct box box = { 0 };
	uint16_t other;
	int fd, queue = 16;

	need_bpf();
	fd = listener("127.0.0.1", SOCK_STREAM, &other);
	setsockopt(fd, IPPROTO_TCP, TCP_FASTOPEN, &queue, sizeof(queue));
	setsockopt(tcp4, IPPROTO_TCP, TCP_FASTOPEN, &queue, sizeof(queue));
	add_row(&box, "127.0.0.1", 32, port4, port4, C_TCP, false);
	open_box(&box);
	for (int i = 0; i < 2; i++) {	/* the second time there may be a cookie */
		assert_int_equal(try_reach(&box, "127.0.0.1", port4, SOCK_STREAM, BY_FASTOPEN), 0);
		assert_int_equal(try_reach(&box, "127.0.0.1", other, SOCK_STREAM, BY_FASTOPEN), EPERM);
		assert_int_equal(try_reach(&box, "127.0.0.1", port4, SOCK_STREAM, BY_FASTOPEN_CONNECT), 0);
		assert_int_equal(try_reach(&box, "127.0.0.1", other, SOCK_STREAM, BY_FASTOPEN_CONNECT), EPERM);
		assert_int_equal(try_mapped(&box, "::ffff:127.0.0.1", other, SOCK_STREAM, BY_FASTOPEN), EPERM);
	}
	close_box(&box);
	close(fd);
}

static void bind_is_judged(void **state)
{
	struct pyi_bpf_event ev[PYI_BPF_EVENTS_MAX];
	struct box box = { 0 };
	size_t n;

	need_bpf();
	add_row(&box, "127.0.0.1", 32, 40000, 40010, B_TCP, false);
	add_row(&box, "::1", 128, 40000, 40010, B_UDP, false);
	open_box(&box);
	assert_int_equal(try_reach(&box, "127.0.0.1", 40003, SOCK_STREAM, BY_BIND), 0);
	assert_int_equal(try_reach(&box, "127.0.0.1", 40011, SOCK_STREAM, BY_BIND), EPERM);
	assert_int_equal(try_reach(&box, "127.0.0.1", 0, SOCK_STREAM, BY_BIND), EPERM);
	assert_int_equal(try_reach(&box, "0.0.0.0", 40003, SOCK_STREAM, BY_BIND), EPERM);
	assert_int_equal(try_mapped(&box, "::ffff:127.0.0.1", 40004, SOCK_STREAM, BY_BIND), 0);
	assert_int_equal(try_mapped(&box, "::", 40004, SOCK_STREAM, BY_BIND), EPERM);
	assert_int_equal(try_reach(&box, "127.0.0.1", 40003, SOCK_DGRAM, BY_BIND), EPERM);
	if (tcp6 >= 0) {
		assert_int_equal(try_reach(&box, "::1", 40003, SOCK_DGRAM, BY_BIND), 0);
		assert_int_equal(try_reach(&box, "::1", 40003, SOCK_STREAM, BY_BIND), EPERM);
	}
	get_events(&box, ev, &n);
	assert_int_equal(ev[0].op, PYI_BPF_BIND);
	assert_int_equal(ev[0].port, 40011);
	/* May bind, may not connect. */
	assert_int_equal(try_reach(&box, "127.0.0.1", 40003, SOCK_STREAM, BY_CONNECT), EPERM);
	close_box(&box);
}

struct listening {
	const char *addr;	/* to bind to; NULL: not at all */
	uint16_t port;
	int family;
	int ready;		/* where the port is told, or an errno */
	int go;
};

static int listen_inside(const void *arg)
{
	const struct listening *l = arg;
	int fd = socket(l->family, SOCK_STREAM | SOCK_CLOEXEC, 0), on = 1;
	struct sockaddr_storage ss = { 0 };
	socklen_t len = sizeof(ss);
	uint16_t port = 0;
	char byte;

	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
	if (l->addr) {
		ss = address(l->addr, l->port, &len);
		if (bind(fd, (void *)&ss, len) < 0)
			return errno;
	}
	len = sizeof(ss);
	if (listen(fd, 5) < 0 || getsockname(fd, (void *)&ss, &len) < 0)
		return errno;
	port = ntohs(((struct sockaddr_in *)&ss)->sin_port);	/* at the same place for both families */
	if (write(l->ready, &port, sizeof(port)) != sizeof(port) || read(l->go, &byte, 1) < 0)
		return errno;
	return 0;
}

/* 0: a connection from outside gets through to what listens inside; ETIMEDOUT: it does not; else why nothing listens. */
static int from_outside(const struct box *box, const char *bind_to, uint16_t port, int family, const char *connect_to)
{
	struct clone_args args = { .flags = CLONE_INTO_CGROUP, .exit_signal = SIGCHLD };
	struct timeval half = { .tv_usec = 300000 };
	int ready[2], go[2], status, ret = 0, fd;
	struct listening l = { bind_to, port, family, 0, 0 };
	struct sockaddr_storage ss;
	socklen_t len;
	pid_t pid;

	assert_int_equal(pipe(ready), 0);
	assert_int_equal(pipe(go), 0);
	l.ready = ready[1];
	l.go = go[0];
	args.cgroup = (uint64_t)pyi_cgroup_v2_fd(box->cgroup);
	pid = (pid_t)syscall(SYS_clone3, &args, sizeof(args));
	if (pid == 0) {
		close(ready[0]);
		close(go[1]);
		_exit(listen_inside(&l));
	}
	close(ready[1]);
	close(go[0]);
	if (read(ready[0], &port, sizeof(port)) == sizeof(port)) {
		ss = address(connect_to, port, &len);
		fd = socket(ss.ss_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
		setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &half, sizeof(half));
		if (connect(fd, (void *)&ss, len) < 0)
			ret = errno == EINPROGRESS ? ETIMEDOUT : errno;
		close(fd);
	}
	close(go[1]);
	close(ready[0]);
	while (waitpid(pid, &status, 0) < 0)
		;
	return ret ? ret : WEXITSTATUS(status);
}

static void listening_without_bind_reaches_nobody(void **state)
{
	struct pyi_bpf_event ev[PYI_BPF_EVENTS_MAX];
	struct box box = { 0 };
	size_t n;

	need_bpf();
	add_row(&box, "127.0.0.1", 32, 40100, 40110, B_TCP, false);
	add_row(&box, "127.0.0.2", 32, 0, 65535, B_TCP, false);
	open_box(&box);
	assert_int_equal(from_outside(&box, "127.0.0.1", 40100, AF_INET, "127.0.0.1"), 0);
	assert_int_equal(from_outside(&box, "::ffff:127.0.0.1", 40101, AF_INET6, "127.0.0.1"), 0);
	assert_int_equal(from_outside(&box, "127.0.0.2", 0, AF_INET, "127.0.0.2"), 0);
	assert_int_equal(get_events(&box, ev, &n), 0);
	assert_int_equal(from_outside(&box, NULL, 0, AF_INET, "127.0.0.1"), ETIMEDOUT);
	assert_true(get_events(&box, ev, &n) > 0);
	assert_int_equal(ev[0].op, PYI_BPF_BIND);
	assert_true(ev[0].port != 0);
	if (tcp6 >= 0)
		assert_int_equal(from_outside(&box, NULL, 0, AF_INET6, "::1"), ETIMEDOUT);
	close_box(&box);
	memset(&box, 0, sizeof(box));
	add_row(&box, "0.0.0.0", 0, 0, 65535, B_TCP, false);
	open_box(&box);
	assert_int_equal(from_outside(&box, NULL, 0, AF_INET, "127.0.0.1"), 0);
	close_box(&box);
}

struct kind {
	int family, type, protocol;
};

static int make_socket(const void *arg)
{
	const struct kind *kind = arg;
	int fd = socket(kind->family, kind->type | SOCK_CLOEXEC, kind->protocol);

	return fd < 0 ? errno : 0;
}

static void only_tcp_and_udp_sockets(void **state)
{
	static const struct kind refused[] = {
		{ AF_INET, SOCK_RAW, IPPROTO_ICMP },	 { AF_INET, SOCK_RAW, IPPROTO_RAW },
		{ AF_INET, SOCK_RAW, IPPROTO_UDP },	 { AF_INET6, SOCK_RAW, IPPROTO_ICMPV6 },
		{ AF_INET, SOCK_DGRAM, IPPROTO_ICMP },	 { AF_INET, SOCK_STREAM, IPPROTO_MPTCP },
		{ AF_INET6, SOCK_STREAM, IPPROTO_MPTCP }, { AF_INET, SOCK_DGRAM, IPPROTO_UDPLITE },
		{ AF_INET, SOCK_STREAM, IPPROTO_SCTP },	 { AF_INET, SOCK_SEQPACKET, IPPROTO_SCTP },
		{ AF_INET6, SOCK_DGRAM, IPPROTO_UDPLITE },
	};
	static const struct kind allowed[] = {
		{ AF_INET, SOCK_STREAM, 0 }, { AF_INET, SOCK_STREAM, IPPROTO_TCP }, { AF_INET, SOCK_DGRAM, 0 },
		{ AF_INET, SOCK_DGRAM, IPPROTO_UDP }, { AF_UNIX, SOCK_STREAM, 0 },
	};
	struct pyi_bpf_event ev[PYI_BPF_EVENTS_MAX];
	struct box box = { 0 };
	size_t n;

	need_bpf();
	add_row(&box, "0.0.0.0", 0, 0, 65535, 15, false);
	add_row(&box, "::", 0, 0, 65535, 15, false);
	open_box(&box);
	for (size_t i = 0; i < sizeof(refused) / sizeof(refused[0]); i++) {
		int got = in_box(&box, make_socket, &refused[i]);

		/* Where the kernel has no such protocol, or allows pings to few, it says so itself. */
		if (got != EPERM && got != EACCES && got != EPROTONOSUPPORT && got != ESOCKTNOSUPPORT)
			fail_msg("%d %d %d: %d", refused[i].family, refused[i].type, refused[i].protocol, got);
	}
	for (size_t i = 0; i < sizeof(allowed) / sizeof(allowed[0]); i++)
		if (allowed[i].family != AF_INET6 || tcp6 >= 0)
			assert_int_equal(in_box(&box, make_socket, &allowed[i]), 0);
	assert_true(get_events(&box, ev, &n) > 0);
	assert_int_equal(ev[0].op, PYI_BPF_SOCKET);
	assert_int_equal(ev[0].port, SOCK_RAW);
	assert_int_equal(ev[0].rule, IPPROTO_ICMP);
	close_box(&box);
}

static void nothing_without_net_rules(void **state)
{
	struct kind tcp = { AF_INET, SOCK_STREAM, 0 }, udp = { AF_INET6, SOCK_DGRAM, 0 };
	struct box box = { 0 };

	need_bpf();
	open_box(&box);
	assert_int_equal(in_box(&box, make_socket, &tcp), EPERM);
	if (tcp6 >= 0)
		assert_int_equal(in_box(&box, make_socket, &udp), EPERM);
	close_box(&box);
}

struct node {
	const char *path;
	int flags;
	unsigned int major, minor;	/* to make it first: major 0 is none */
};

static int open_node(const void *arg)
{
	const struct node *node = arg;
	int fd;

	if (node->major && mknod(node->path, S_IFCHR | 0600, makedev(node->major, node->minor)) < 0)
		return errno;
	fd = open(node->path, node->flags | O_CLOEXEC | O_NONBLOCK);
	return fd < 0 ? errno : 0;
}

static void devices_are_few(void **state)
{
	static const char *const allowed[] = { "/dev/null", "/dev/zero", "/dev/full", "/dev/random", "/dev/urandom" };
	struct node made = { "/tmp/pyi-root-bpf-node", O_RDONLY, 0, 0 };
	struct node kmsg = { "/dev/kmsg", O_RDONLY, 0, 0 };
	struct pyi_bpf_event ev[PYI_BPF_EVENTS_MAX];
	struct node making = made;
	struct box box = { 0 };
	uint32_t detail[3];
	size_t n;

	need_bpf();
	unlink(made.path);
	open_box(&box);
	for (size_t i = 0; i < sizeof(allowed) / sizeof(allowed[0]); i++) {
		struct node node = { allowed[i], O_RDONLY, 0, 0 };

		assert_int_equal(in_box(&box, open_node, &node), 0);
	}
	assert_int_equal(get_events(&box, ev, &n), 0);
	if (access("/dev/kmsg", F_OK) == 0 && open_node(&kmsg) == 0) {
		assert_int_equal(in_box(&box, open_node, &kmsg), EPERM);
		assert_int_equal(get_events(&box, ev, &n), 1);
		assert_int_equal(ev[0].op, PYI_BPF_DEVICE);
		memcpy(detail, ev[0].addr, sizeof(detail));
		assert_int_equal(detail[0], 1);
		assert_int_equal(detail[1], 11);
		assert_int_equal(detail[2], 2);
	}
	/* A node made outside (the mem device): opened outside, not inside. */
	if (mknod(made.path, S_IFCHR | 0600, makedev(1, 1)) == 0) {
		assert_int_equal(in_box(&box, open_node, &made), EPERM);
		unlink(made.path);
	}
	/* Nor can one be made inside, not even of a device that may be opened. */
	making.major = 1;
	making.minor = 3;
	assert_int_equal(in_box(&box, open_node, &making), EPERM);
	assert_true(access(made.path, F_OK) < 0);
	close_box(&box);
}

static void a_group_without_assignment_is_denied(void **state)
{
	struct node null = { "/dev/null", O_RDONLY, 0, 0 };
	struct kind tcp = { AF_INET, SOCK_STREAM, 0 };
	struct pyi_limits limits = { 0 };
	struct pyi_cgroup *cgroup;
	struct pyi_err err = { 0 };

	need_bpf();
	assert_int_equal(pyi_cgroup_new(&facts, &limits, &cgroup, &err), 0);
	assert_int_equal(in_group(pyi_cgroup_v2_fd(cgroup), make_socket, &tcp), EPERM);
	assert_int_equal(in_group(pyi_cgroup_v2_fd(cgroup), open_node, &null), EPERM);
	pyi_cgroup_free(cgroup);
	/* Outside nothing changes. */
	assert_int_equal(make_socket(&tcp), 0);
	assert_int_equal(open_node(&null), 0);
}

static void groups_below_belong_to_the_sandbox(void **state)
{
	struct peer good = { .addr = "127.0.0.1", .port = 0, .type = SOCK_STREAM, .how = BY_CONNECT };
	struct box box = { 0 };
	struct peer bad;
	int fd;

	need_bpf();
	good.port = port4;
	bad = good;
	bad.addr = "127.0.0.2";
	add_row(&box, "127.0.0.1", 32, port4, port4, C_TCP, false);
	open_box(&box);
	assert_int_equal(mkdirat(pyi_cgroup_v2_fd(box.cgroup), "a", 0755), 0);
	assert_int_equal(mkdirat(pyi_cgroup_v2_fd(box.cgroup), "a/b", 0755), 0);
	fd = openat(pyi_cgroup_v2_fd(box.cgroup), "a/b", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	assert_int_equal(in_group(fd, reach, &good), 0);
	assert_int_equal(in_group(fd, reach, &bad), EPERM);
	close(fd);
	close_box(&box);
}

static void two_sandboxes_do_not_mix(void **state)
{
	struct box one = { 0 }, two = { 0 };

	need_bpf();
	add_row(&one, "127.0.0.1", 32, port4, port4, C_TCP, false);
	add_row(&two, "127.0.0.1", 32, uport4, uport4, C_UDP, false);
	open_box(&one);
	open_box(&two);
	assert_int_equal(try_reach(&one, "127.0.0.1", port4, SOCK_STREAM, BY_CONNECT), 0);
	assert_int_equal(try_reach(&two, "127.0.0.1", port4, SOCK_STREAM, BY_CONNECT), EPERM);
	assert_int_equal(try_reach(&two, "127.0.0.1", uport4, SOCK_DGRAM, BY_SENDTO), 0);
	close_box(&one);
	assert_int_equal(try_reach(&two, "127.0.0.1", uport4, SOCK_DGRAM, BY_SENDTO), 0);
	close_box(&two);
}

static int flood(const void *arg)
{
	struct peer peer = { .addr = "127.0.0.9", .port = 9, .type = SOCK_STREAM, .how = BY_CONNECT };

	for (int i = 0; i < 1000; i++)
		if (reach(&peer) != EPERM)
			return 1;
	return 0;
}

static void events_are_bounded_and_counted(void **state)
{
	struct pyi_bpf_event ev[PYI_BPF_EVENTS_MAX];
	struct box box = { 0 };
	size_t n;

	need_bpf();
	add_row(&box, "127.0.0.1", 32, port4, port4, C_TCP, false);
	open_box(&box);
	assert_int_equal(in_box(&box, flood, NULL), 0);
	assert_int_equal(get_events(&box, ev, &n), 1000);
	assert_int_equal(n, PYI_BPF_EVENTS_MAX);
	close_box(&box);
	assert_int_equal(get_events(&box, ev, &n), 0);
}

static void sweep_after_sigkill(void **state)
{
	struct pyi_bpf_event ev[PYI_BPF_EVENTS_MAX];
	struct box mine = { 0 };
	uint64_t total = 0, id = 0;
	struct pyi_err err = { 0 };
	int fds[2], status;
	size_t n;
	pid_t pid;

	need_bpf();
	add_row(&mine, "127.0.0.1", 32, port4, port4, C_TCP, false);
	open_box(&mine);
	assert_int_equal(pipe(fds), 0);
	pid = fork();
	if (pid == 0) {
		struct box box = { 0 };

		add_row(&box, "127.0.0.1", 32, port4, port4, C_TCP, false);
		add_row(&box, "10.0.0.0", 8, 1, 2, C_TCP, false);
		open_box(&box);
		(void)try_reach(&box, "127.0.0.2", 1, SOCK_STREAM, BY_CONNECT);
		id = pyi_cgroup_id(box.cgroup);
		if (write(fds[1], &id, sizeof(id)) != sizeof(id))
			_exit(1);
		for (;;)
			pause();
	}
	assert_int_equal(read(fds[0], &id, sizeof(id)), sizeof(id));
	pyi_bpf_sweep(bpf);
	assert_int_equal(pyi_bpf_events(bpf, id, ev, 1, &n, &total, &err), 0);
	assert_int_equal(total, 1);	/* its owner lives */
	kill(pid, SIGKILL);
	while (waitpid(pid, &status, 0) < 0)
		;
	for (int i = 0; i < 100 && total; i++) {
		pyi_cgroup_sweep(&facts);
		pyi_bpf_sweep(bpf);
		assert_int_equal(pyi_bpf_events(bpf, id, ev, 1, &n, &total, &err), 0);
	}
	assert_int_equal(total, 0);
	assert_int_equal(try_reach(&mine, "127.0.0.1", port4, SOCK_STREAM, BY_CONNECT), 0);
	close_box(&mine);
	close(fds[0]);
	close(fds[1]);
}

static int connect_often(const void *arg)
{
	double best = 1e9;
	socklen_t len;
	struct sockaddr_storage ss = address("127.0.0.1", uport4, &len);

	for (int round = 0; round < 20; round++) {
		int fd = socket(AF_INET, SOCK_DGRAM, 0);
		double t = now_us();

		for (int i = 0; i < 1000; i++)
			if (connect(fd, (void *)&ss, len) < 0)
				return 1;
		t = (now_us() - t) / 1000;
		best = t < best ? t : best;
		close(fd);
	}
	*(double *)(uintptr_t)arg = best;
	return 0;
}

static void cost_of_it(void **state)
{
	double *inside, outside = 0, best_open = 1e9, best_assign = 1e9, best_unassign = 1e9;
	struct box box = { 0 };
	struct pyi_err err = { 0 };

	need_bpf();
	inside = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	add_row(&box, "127.0.0.1", 32, uport4, uport4, C_UDP, false);
	add_row(&box, "10.0.0.0", 8, 1, 2, C_TCP, false);
	add_row(&box, "10.1.0.0", 16, 1, 2, C_TCP, false);
	add_row(&box, "fd00::", 8, 1, 2, C_TCP, false);
	open_box(&box);
	assert_int_equal(in_box(&box, connect_often, inside), 0);
	assert_int_equal(connect_often(&outside), 0);
	for (int i = 0; i < 50; i++) {
		struct pyi_bpf *again = NULL;
		double t = now_us();

		assert_int_equal(pyi_bpf_open(&facts, &again, &err), 0);
		best_open = now_us() - t < best_open ? now_us() - t : best_open;
		pyi_bpf_free(again);
		t = now_us();
		pyi_bpf_unassign(bpf, pyi_cgroup_id(box.cgroup));
		best_unassign = now_us() - t < best_unassign ? now_us() - t : best_unassign;
		t = now_us();
		assert_int_equal(pyi_bpf_assign(bpf, pyi_cgroup_id(box.cgroup), &box.plan, &err), 0);
		best_assign = now_us() - t < best_assign ? now_us() - t : best_assign;
	}
	print_message("best, us: open pins %.0f, assign 4 rows %.0f, unassign %.0f; UDP connect outside %.3f, inside %.3f\n",
		      best_open, best_assign, best_unassign, outside, *inside);
	close_box(&box);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(tcp_is_judged_by_address_and_port),
		cmocka_unit_test(the_longest_prefix_decides),
		cmocka_unit_test(warnings_are_let_through),
		cmocka_unit_test(udp_is_judged),
		cmocka_unit_test(mapped_addresses_are_ipv4),
		cmocka_unit_test(any_address_is_loopback),
		cmocka_unit_test(fast_open_is_no_way_around),
		cmocka_unit_test(bind_is_judged),
		cmocka_unit_test(listening_without_bind_reaches_nobody),
		cmocka_unit_test(only_tcp_and_udp_sockets),
		cmocka_unit_test(nothing_without_net_rules),
		cmocka_unit_test(devices_are_few),
		cmocka_unit_test(a_group_without_assignment_is_denied),
		cmocka_unit_test(groups_below_belong_to_the_sandbox),
		cmocka_unit_test(two_sandboxes_do_not_mix),
		cmocka_unit_test(events_are_bounded_and_counted),
		cmocka_unit_test(sweep_after_sigkill),
		cmocka_unit_test(cost_of_it),
	};

	return cmocka_run_group_tests(tests, set_up, tear_down);
}
