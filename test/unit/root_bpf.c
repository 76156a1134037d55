/* SPDX-License-Identifier: MIT */
/*
 * The cgroup BPF programs on the real kernel, as root: children in a group of ours talk to real sockets on loopback.
 * Each thing that is refused has a twin that is allowed. Skips where the kernel or the user cannot.
 */
#include "bpf_fixture.h"

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
	for (int i = 0; i < 2; i++) { /* the second time there may be a cookie */
		assert_int_equal(try_reach(&box, "127.0.0.1", port4, SOCK_STREAM, BY_FASTOPEN), 0);
		assert_int_equal(try_reach(&box, "127.0.0.1", other, SOCK_STREAM, BY_FASTOPEN), EPERM);
		assert_int_equal(
			try_reach(&box, "127.0.0.1", port4, SOCK_STREAM, BY_FASTOPEN_CONNECT), 0);
		assert_int_equal(try_reach(&box, "127.0.0.1", other, SOCK_STREAM, BY_FASTOPEN_CONNECT),
				 EPERM);
		assert_int_equal(try_mapped(&box, "::ffff:127.0.0.1", other, SOCK_STREAM, BY_FASTOPEN),
				 EPERM);
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
	const char *addr; /* to bind to; NULL: not at all */
	uint16_t port;
	int family;
	int ready; /* where the port is told, or an errno */
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
	port = ntohs(((struct sockaddr_in *)&ss)->sin_port); /* at the same place for both families */
	if (write(l->ready, &port, sizeof(port)) != sizeof(port) || read(l->go, &byte, 1) < 0)
		return errno;
	return 0;
}

/* 0: a connection from outside gets through to what listens inside; ETIMEDOUT: not; else why none listens. */
static int from_outside(const struct box *box, const char *bind_to, uint16_t port, int family,
			const char *connect_to)
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
	};

	return cmocka_run_group_tests(tests, set_up, tear_down);
}
