/* SPDX-License-Identifier: MIT */
/* What is counted of a sandbox's packets, and how long its row stays, with real sockets and control groups. */
#include "bpf_fixture.h"

static struct pyi_bpf_net get(const struct box *box)
{
	struct pyi_bpf_net net = { 0 };

	assert_int_equal(pyi_bpf_net(bpf, pyi_cgroup_id(box->cgroup), &net), 0);
	return net;
}

static int send_ten(const void *arg)
{
	socklen_t len;
	struct sockaddr_storage ss = address("127.0.0.1", uport4, &len);
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0), refused = 0;
	char data[100] = { 0 };

	for (int i = 0; i < 10; i++)
		refused += sendto(fd, data, sizeof(data), 0, (void *)&ss, len) < 0;
	close(fd);
	return refused;
}

static void packets_are_counted(void **state)
{
	struct box box = { 0 }, other = { 0 };

	need_bpf();
	add_row(&box, "127.0.0.1", 32, 0, 65535, C_UDP, false);
	add_row(&other, "127.0.0.1", 32, 0, 65535, C_UDP, false);
	open_box(&box);
	open_box(&other);
	assert_int_equal(in_box(&box, send_ten, NULL), 0);
	assert_int_equal(get(&box).tx_packets, 10);
	assert_int_equal(get(&box).tx_bytes, 10 * (100 + 8 + 20));
	assert_int_equal(get(&box).rx_packets, 0);
	assert_int_equal(get(&box).limit_us, 0);
	assert_int_equal(get(&other).tx_packets, 0);
	close_box(&other);
	close_box(&box);
}

static void the_limit_is_exact(void **state)
{
	struct box box = { .plan.limits.net_bytes = 5 * 128 + 127 };

	need_bpf();
	add_row(&box, "127.0.0.1", 32, 0, 65535, C_UDP, false);
	open_box(&box);
	assert_int_equal(in_box(&box, send_ten, NULL), 5);
	assert_int_equal(get(&box).tx_bytes, 5 * 128);
	assert_int_equal(get(&box).dropped_packets, 5);
	assert_true(get(&box).limit_us > 0 && (double)get(&box).limit_us <= now_us());
	close_box(&box);
}

/* A bucket of 1024 bytes, full: eight packets, and one that begins on the last drop. The sender is not told. */
static void the_bucket_is_a_second_deep(void **state)
{
	struct box box = { .plan.limits.net_rate = 1024 };

	need_bpf();
	add_row(&box, "127.0.0.1", 32, 0, 65535, C_UDP, false);
	open_box(&box);
	assert_int_equal(in_box(&box, send_ten, NULL), 0);
	assert_int_equal(get(&box).tx_packets + get(&box).delayed_packets, 10);
	assert_true(get(&box).tx_packets >= 8 && get(&box).tx_packets <= 9);
	close_box(&box);
}

/* What a dead process left in its sockets is still bound by the limit. */
static void a_limited_row_outlives_its_sandbox(void **state)
{
	struct box limited = { .plan.limits.net_bytes = 1000 }, open = { 0 };
	struct pyi_bpf_net net;
	uint64_t ids[2];

	need_bpf();
	add_row(&limited, "127.0.0.1", 32, 0, 65535, C_UDP, false);
	add_row(&open, "127.0.0.1", 32, 0, 65535, C_UDP, false);
	open_box(&limited);
	open_box(&open);
	ids[0] = pyi_cgroup_id(limited.cgroup);
	ids[1] = pyi_cgroup_id(open.cgroup);
	close_box(&limited);
	close_box(&open);
	assert_int_equal(pyi_bpf_net(bpf, ids[0], &net), 0);
	assert_int_equal(pyi_bpf_net(bpf, ids[1], &net), -ENOENT);
	(void)pyi_bpf_sweep(bpf);
	assert_int_equal(pyi_bpf_net(bpf, ids[0], &net), 0);
}

static void no_network_no_row(void **state)
{
	struct box box = { .plan.limits.net_bytes = 1000 };
	struct pyi_bpf_net net;

	need_bpf();
	open_box(&box);
	assert_int_equal(pyi_bpf_net(bpf, pyi_cgroup_id(box.cgroup), &net), -ENOENT);
	close_box(&box);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(packets_are_counted),
		cmocka_unit_test(the_limit_is_exact),
		cmocka_unit_test(the_bucket_is_a_second_deep),
		cmocka_unit_test(a_limited_row_outlives_its_sandbox),
		cmocka_unit_test(no_network_no_row),
	};

	/* Not all of the fixture is used here. */
	(void)in_box;
	(void)try_reach;
	(void)try_mapped;
	(void)get_events;
	return cmocka_run_group_tests(tests, set_up, tear_down);
}
