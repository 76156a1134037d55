/* SPDX-License-Identifier: MIT */
/*
 * Records of a trace, from the bytes in the ring to a line: paths put together, opens by their flags, addresses, what
 * is cut off or too long. The BPF programs themselves are tested by test/cli/24-trace.t.
 */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/un.h>

#include <cmocka.h>

#include <linux/in.h>
#include <linux/in6.h>

#include "base/buf.h"
#include "kernel/trace_calls.h"
#include "plan/plan.h"
#include "policy/policy.h"
#include "report/asked.h"
#include "report/asked_verdict.h"

struct raw {
	struct pyi_trace_record head;
	char data[1024];
	size_t n;
};

static struct raw raw_of(uint16_t call)
{
	return (struct raw){ .head = { .time_ns = 5000000, .pid = 2, .tid = 3, .call = call } };
}

static void put(struct raw *raw, uint16_t *ret_bytes, const void *data, size_t n)
{
	assert_true(raw->n + n <= sizeof(raw->data));
	memcpy(raw->data + raw->n, data, n);
	raw->n += n;
	*ret_bytes = (uint16_t)n;
}

static int decode(const struct raw *raw, struct pyi_asked *ret_asked)
{
	char *exact = malloc(sizeof(raw->head) + raw->n); /* so that reading too far is seen */
	int ret;

	assert_non_null(exact);
	memcpy(exact, &raw->head, sizeof(raw->head));
	memcpy(exact + sizeof(raw->head), raw->data, raw->n);
	ret = pyi_trace_decode(exact, sizeof(raw->head) + raw->n, 1000, ret_asked);
	free(exact);
	return ret;
}

static void check_path(const char *text, const char *names, size_t n_names, const char *want)
{
	struct raw raw = raw_of(SYS_openat);
	struct pyi_asked asked;

	put(&raw, &raw.head.text_bytes, text, strlen(text) + 1);
	put(&raw, &raw.head.base_bytes, names, n_names);
	assert_int_equal(decode(&raw, &asked), 0);
	assert_string_equal(asked.path, want);
	assert_null(asked.real);
	assert_int_equal(asked.time_us, 4000);
	assert_int_equal(asked.pid, 2);
	assert_int_equal(asked.tid, 3);
	assert_string_equal(asked.call, "openat");
	pyi_asked_clear(&asked);
}

static void paths(void **state)
{
	static const char below[] = "c\0b\0a";

	check_path("/etc/hosts", "", 0, "/etc/hosts");
	check_path("/", "", 0, "/");
	check_path("/..", "", 0, "/");
	check_path("//etc///./x/../hosts/", "", 0, "/etc/hosts");
	check_path("name", below, sizeof(below), "/a/b/c/name");
	check_path("../../name", below, sizeof(below), "/a/name");
	check_path("../../../../../name", below, sizeof(below), "/name");
	check_path(".", below, sizeof(below), "/a/b/c");
	check_path("..name/...", below, sizeof(below), "/a/b/c/..name/...");
	check_path("name", "", 0, "/name"); /* the root is the working directory */
}

static void real_paths(void **state)
{
	static const char real[] = "x.so\0lib\0usr", same[] = "x.so\0lib";
	struct raw raw = raw_of(SYS_openat);
	struct pyi_asked asked;

	put(&raw, &raw.head.text_bytes, "/lib/x.so", 10);
	put(&raw, &raw.head.real_bytes, real, sizeof(real));
	assert_int_equal(decode(&raw, &asked), 0);
	assert_string_equal(asked.path, "/lib/x.so");
	assert_string_equal(asked.real, "/usr/lib/x.so");
	pyi_asked_clear(&asked);

	raw = raw_of(SYS_openat);
	put(&raw, &raw.head.text_bytes, "/lib/x.so", 10);
	put(&raw, &raw.head.real_bytes, same, sizeof(same));
	assert_int_equal(decode(&raw, &asked), 0);
	assert_null(asked.real);
	pyi_asked_clear(&asked);

	/* A file without a name. */
	raw.head.flags = O_TMPFILE | O_RDWR;
	raw.data[0] = '/';
	assert_int_equal(decode(&raw, &asked), 0);
	assert_null(asked.real);
	pyi_asked_clear(&asked);
}

static void lost_paths(void **state)
{
	struct raw raw = raw_of(SYS_openat);
	struct pyi_asked asked;

	raw.head.marks = PYI_TRACE_UNREAD;
	raw.head.error = EFAULT;
	assert_int_equal(decode(&raw, &asked), 0);
	assert_null(asked.path);
	assert_int_equal(asked.error, EFAULT);
	pyi_asked_clear(&asked);

	raw = raw_of(SYS_openat);
	raw.head.marks = PYI_TRACE_BASE_OUT;
	put(&raw, &raw.head.text_bytes, "name", 5);
	assert_int_equal(decode(&raw, &asked), 0);
	assert_string_equal(asked.path, "/(unreachable)/name");
	pyi_asked_clear(&asked);
}

static void kinds(void **state)
{
	static const struct {
		uint16_t call;
		uint64_t flags;
		uint8_t marks;
		enum pyi_asked_kind kind;
		bool is_new;
	} cases[] = {
		{ SYS_openat, O_RDONLY, 0, PYI_ASKED_READ, false },
		{ SYS_openat, O_RDONLY | O_DIRECTORY | O_CLOEXEC, 0, PYI_ASKED_READ, false },
		{ SYS_openat, O_WRONLY, 0, PYI_ASKED_WRITE, false },
		{ SYS_open, O_RDWR, 0, PYI_ASKED_WRITE, false },
		{ SYS_openat2, O_RDONLY | O_CREAT, 0, PYI_ASKED_WRITE, false },
		{ SYS_openat, O_WRONLY | O_CREAT | O_EXCL, 0, PYI_ASKED_WRITE, true },
		{ SYS_openat2, O_RDONLY | O_CREAT | O_EXCL, 0, PYI_ASKED_WRITE, true },
		{ SYS_openat, O_RDWR | O_TMPFILE | O_EXCL, 0, PYI_ASKED_WRITE, false },
		{ SYS_unlink, O_CREAT | O_EXCL, 0, PYI_ASKED_WRITE, false },
		{ SYS_openat, O_RDONLY | O_TRUNC, 0, PYI_ASKED_WRITE, false },
		{ SYS_openat, O_PATH, 0, PYI_ASKED_LOOK, false },
		{ SYS_creat, 0, 0, PYI_ASKED_WRITE, false },
		{ SYS_link, 0, 0, PYI_ASKED_READ, false },
		{ SYS_link, 0, PYI_TRACE_SECOND, PYI_ASKED_WRITE, false },
		{ SYS_renameat2, 0, PYI_TRACE_SECOND, PYI_ASKED_WRITE, false },
		{ SYS_readlink, 0, 0, PYI_ASKED_LOOK, false },
		{ SYS_execve, 0, 0, PYI_ASKED_EXEC, false },
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct raw raw = raw_of(cases[i].call);
		struct pyi_asked asked;

		raw.head.flags = cases[i].flags;
		raw.head.marks = cases[i].marks;
		put(&raw, &raw.head.text_bytes, "/x", 3);
		assert_int_equal(decode(&raw, &asked), 0);
		assert_int_equal(asked.kind, cases[i].kind);
		assert_int_equal(asked.is_new, cases[i].is_new);
		pyi_asked_clear(&asked);
	}
}

static void check_target(const struct raw *raw, const char *want)
{
	struct pyi_buf text = PYI_BUF_INIT;
	struct pyi_asked asked;

	assert_int_equal(decode(raw, &asked), 0);
	pyi_asked_print_target(&asked, &text);
	assert_string_equal(pyi_buf_str(&text), want);
	pyi_buf_release(&text);
	pyi_asked_clear(&asked);
}

static void addresses(void **state)
{
	struct sockaddr_in in = { .sin_family = AF_INET,
				  .sin_port = __builtin_bswap16(443),
				  .sin_addr = { __builtin_bswap32(0x0a010203) } };
	struct sockaddr_in6 in6 = { .sin6_family = AF_INET6, .sin6_port = __builtin_bswap16(53) };
	struct sockaddr_un un = { .sun_family = AF_UNIX, .sun_path = "/run/x" };
	struct raw raw = raw_of(SYS_connect);

	in6.sin6_addr.in6_u.u6_addr8[15] = 1;
	raw.head.proto = IPPROTO_TCP;
	put(&raw, &raw.head.text_bytes, &in, sizeof(in));
	check_target(&raw, "10.1.2.3:443");
	raw.head.text_bytes = 8; /* too short: the kernel refuses it */
	check_target(&raw, "unspec");

	raw = raw_of(SYS_sendto);
	raw.head.proto = IPPROTO_UDP;
	put(&raw, &raw.head.text_bytes, &in6, sizeof(in6));
	check_target(&raw, "udp://[::1]:53");

	raw = raw_of(SYS_connect);
	put(&raw, &raw.head.text_bytes, &un, sizeof(un));
	check_target(&raw, "/run/x");
	raw = raw_of(SYS_connect);
	un.sun_path[0] = '\0';
	put(&raw, &raw.head.text_bytes, &un, offsetof(struct sockaddr_un, sun_path) + 6);
	check_target(&raw, "@run/x");

	raw = raw_of(SYS_socket);
	raw.head.flags = AF_INET6 | (uint64_t)(SOCK_DGRAM | SOCK_CLOEXEC) << 32;
	check_target(&raw, "inet6 dgram");
}

static void broken(void **state)
{
	struct raw raw = raw_of(SYS_openat);
	struct pyi_asked asked;

	/* Lengths that reach beyond the record. */
	raw.head.text_bytes = 5;
	assert_int_equal(decode(&raw, &asked), -EPROTO);
	raw.head.text_bytes = 0;
	raw.head.base_bytes = UINT16_MAX;
	assert_int_equal(decode(&raw, &asked), -EPROTO);
	raw.head.base_bytes = 0;
	raw.head.frame_bytes = 1;
	assert_int_equal(decode(&raw, &asked), -EPROTO);
	assert_int_equal(pyi_trace_decode(&raw, sizeof(raw.head) - 1, 0, &asked), -EPROTO);
	raw = raw_of(SYS_getpid);
	assert_int_equal(decode(&raw, &asked), -EPROTO);
	/* A text that does not end, names that do not. */
	raw = raw_of(SYS_openat);
	put(&raw, &raw.head.text_bytes, "abc", 3);
	put(&raw, &raw.head.base_bytes, "de", 2);
	assert_int_equal(decode(&raw, &asked), 0);
	pyi_asked_clear(&asked);
}

static void lines(void **state)
{
	static const char text[] = "version: 1\nfs:\n  - read: /etc\n  - warn: /srv\n";
	struct pyi_plan plan = { .guest = PYI_GUEST_PYTHON };
	struct pyi_asked asked = { .kind = PYI_ASKED_READ, .call = "openat", .pid = 2, .tid = 2 };
	static const struct {
		const char *path;
		int error;
		const char *want;
	} cases[] = {
		{ "/etc/hosts", 0, "allowed: fs: read /etc (p.yml:3)" },
		{ "/etc/none", ENOENT, "failed ENOENT: fs: read /etc (p.yml:3)" },
		{ "/srv/x", 0, "warned: fs: warn /srv (p.yml:4)" },
		{ "/srv/x", EACCES, "denied EACCES: fs: warn /srv (p.yml:4)" },
		{ "/root", EACCES, "denied EACCES: no rule: --allow-read /root" },
		{ "/root", EMFILE, "failed EMFILE: no rule: --allow-read /root" },
		{ "/root", 0, "allowed: no rule" },
	};
	struct pyi_policy *policy = NULL;
	struct pyi_buf line = PYI_BUF_INIT;

	assert_int_equal(pyi_policy_parse("p.yml", text, sizeof(text) - 1, &policy, NULL, NULL), 0);
	plan.policy = policy;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		asked.path = (char *)cases[i].path;
		asked.error = cases[i].error;
		line.len = 0;
		pyi_asked_print(&plan, &asked, &line);
		assert_non_null(strstr(line.data, cases[i].path));
		assert_string_equal(strstr(line.data, cases[i].path) + strlen(cases[i].path) + 1,
				    cases[i].want);
	}
	pyi_buf_release(&line);
	pyi_policy_free(policy);
}

static void table(void **state)
{
	struct pyi_trace_call calls[PYI_TRACE_CALLS];

	pyi_trace_calls(calls);
	assert_int_equal(calls[SYS_openat].shape, PYI_TRACE_OPEN);
	assert_int_equal(calls[SYS_openat].path, 1);
	assert_int_equal(calls[SYS_openat].dir, 0);
	assert_int_equal(calls[SYS_write].shape, PYI_TRACE_NONE);
	assert_true(calls[SYS_newfstatat].drop_empty);
	assert_false(calls[SYS_fchownat].drop_empty);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(paths), cmocka_unit_test(real_paths), cmocka_unit_test(lost_paths),
		cmocka_unit_test(kinds), cmocka_unit_test(addresses),  cmocka_unit_test(broken),
		cmocka_unit_test(lines), cmocka_unit_test(table),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
