/* SPDX-License-Identifier: MIT */
/* One attempt: a child process that runs the sandbox, and what comes through its pipes; see fetch.h. */
#include "super/fetch_attempt.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "base/err.h"
#include "base/fault.h"
#include "base/io.h"
#include "base/log.h"
#include "base/util.h"
#include "kernel/resolve.h"
#include "plan/plan.h"
#include "policy/policy.h"
#include "report/result.h"
#include "super/fetch.h"
#include "super/image_cache.h"
#include "super/run.h"

enum {
	OUT_MAX = PYI_POLICY_FILE_MAX + 2 * PYI_FETCH_DETAIL_MAX,
	ERR_MAX = 16 * 1024,
	FIXED_ARGS = 5,
	ADDRS_MAX = 16, /* of one name; the first ones are tried */
	GRACE_MS = 3000, /* what the sandbox gets beyond its wall time, for a name server and its end */
	KILL_MS = 2000, /* from SIGTERM to SIGKILL */
};

/* --------------------------------------------------------------------------------------------------- the child */

struct address {
	char text[INET6_ADDRSTRLEN];
	bool is_v6;
};

static int say(const char *word, const char *detail)
{
	_cleanup_buf struct pyi_buf out = PYI_BUF_INIT;

	pyi_buf_printf(&out, "%s\n%s\n", word, detail);
	return out.failed || pyi_write_all(STDOUT_FILENO, out.data, out.len) < 0 ? PYI_EXIT_FAILURE : 0;
}

static bool is_loopback(const uint8_t addr[16])
{
	static const uint8_t v4[13] = { [10] = 0xff, [11] = 0xff, [12] = 127 };
	static const uint8_t v6[16] = { [15] = 1 };

	return memcmp(addr, v4, sizeof(v4)) == 0 || memcmp(addr, v6, sizeof(v6)) == 0;
}

static void print_address(const uint8_t addr[16], struct address *ret)
{
	static const uint8_t mapped[12] = { [10] = 0xff, [11] = 0xff };

	ret->is_v6 = memcmp(addr, mapped, sizeof(mapped)) != 0;
	inet_ntop(ret->is_v6 ? AF_INET6 : AF_INET, ret->is_v6 ? addr : addr + 12, ret->text,
		  sizeof(ret->text));
}

/* The host's addresses. 0, or -1 with the verdict in *ret_word and *err. */
static int find_addresses(const struct pyi_fetch_request *request, struct address *ret_addrs,
			  size_t *ret_n, const char **ret_word, struct pyi_err *err)
{
	char host[PYI_URL_HOST_MAX + 1], what[] = "the resolver";
	struct pyi_net_rule rule = { .host = host, .from = { .file = what } };
	struct pyi_policy asked = { .net = &rule, .n_net = 1 };
	struct pyi_names names = { 0 };
	const struct pyi_resolved_name *name;
	int ret;

	snprintf(host, sizeof(host), "%s", request->url.host);
	ret = pyi_resolve_names(&asked, &names, err);
	if (ret < 0) {
		*ret_word = ret == -ENOENT ? "name" : "resolver";
		return -1;
	}
	name = &names.v[0];
	*ret_n = name->n_addrs < ADDRS_MAX ? name->n_addrs : ADDRS_MAX;
	for (size_t i = 0; i < *ret_n; i++) {
		print_address(name->addrs[i], &ret_addrs[i]);
		if (request->url.is_tls || request->allows_any_http || is_loopback(name->addrs[i]))
			continue;
		*ret_word = "plain";
		ret = pyi_err_set(err, EPERM, "%s is not this host", ret_addrs[i].text);
	}
	pyi_names_release(&names);
	return ret < 0 ? -1 : 0;
}

/* All that the fetcher may, as a document of its own: no template that a site can change is part of it. */
static int write_policy(const struct pyi_fetch_request *request, const struct address *addrs,
			size_t n, int *ret_fd, struct pyi_err *err)
{
	_cleanup_fd int fd = PYI_FAULT(985, EMFILE) ? -1 : memfd_create("fetch.yml", MFD_CLOEXEC);
	_cleanup_buf struct pyi_buf text = PYI_BUF_INIT;
	int ret;

	if (fd < 0)
		return pyi_err_sys(err, errno, "cannot make a memory file");
	pyi_buf_puts(&text, "version: 1\nnet:\n");
	for (size_t i = 0; i < n; i++)
		pyi_buf_printf(&text,
			       addrs[i].is_v6 ? "  - connect: '[%s]:%u'\n" : "  - connect: '%s:%u'\n",
			       addrs[i].text, request->url.port);
	pyi_buf_printf(&text,
		       "limits:\n  memory: 192MiB\n  pids: 8\n  open_files: 32\n  output: 2MiB\n  tmp: 64KiB\n"
		       "  wall_time: %llums\n",
		       (unsigned long long)request->timeout_ms);
	if (text.failed)
		return pyi_err_nomem(err);
	ret = pyi_write_all(fd, text.data, text.len);
	if (ret < 0)
		return pyi_err_sys(err, -ret, "cannot write to a memory file");
	*ret_fd = pyi_take_fd(&fd);
	return 0;
}

static int run_fetcher(const struct pyi_fetch_request *request, struct address *addrs, size_t n,
		       int policy_fd)
{
	char scheme[] = "https", port[8], policy[64], host[PYI_URL_HOST_MAX + 1];
	char target[PYI_URL_MAX + 1], etag[PYI_FETCH_ETAG_MAX + 1];
	char *args[FIXED_ARGS + ADDRS_MAX] = { scheme, host, port, target, etag };
	struct pyi_run_options options = {
		.policy = policy,
		.result_fd = -1,
		.image_age_ms = PYI_IMAGE_AGE_MS,
		.guest = PYI_GUEST_PYTHON,
		.source = PYI_SOURCE_CODE,
		.target = "import _pyisolate_fetch; _pyisolate_fetch.main()",
		.args = args,
		.n_args = FIXED_ARGS + n,
	};

	if (!request->url.is_tls)
		scheme[4] = '\0';
	snprintf(host, sizeof(host), "%s", request->url.host);
	snprintf(port, sizeof(port), "%u", request->url.port);
	snprintf(target, sizeof(target), "%s", request->url.target);
	snprintf(etag, sizeof(etag), "%s", request->etag ? request->etag : "");
	for (size_t i = 0; i < n; i++)
		args[FIXED_ARGS + i] = addrs[i].text;
	snprintf(policy, sizeof(policy), "/proc/self/fd/%d", policy_fd);
	pyi_log_set_level(PYI_LOG_QUIET);
	return pyi_run(&options);
}

/* Standard input, output and error are in their places. Returns the exit code. */
static int fetcher(const struct pyi_fetch_request *request)
{
	struct address addrs[ADDRS_MAX];
	struct pyi_err err = { 0 };
	const char *word = NULL;
	int policy_fd = -1;
	size_t n = 0;

	if (find_addresses(request, addrs, &n, &word, &err) < 0)
		return say(word, err.msg);
	if (write_policy(request, addrs, n, &policy_fd, &err) < 0)
		return say("sandbox", err.msg);
	return run_fetcher(request, addrs, n, policy_fd);
}

static void take_stdio(int in_fd, const int out[2], const int errors[2])
{
	_cleanup_fd int null_fd = in_fd < 0 ? open("/dev/null", O_RDONLY | O_CLOEXEC) : -1;

	if (dup2(in_fd < 0 ? null_fd : in_fd, STDIN_FILENO) < 0 ||
	    dup2(out[1], STDOUT_FILENO) < 0 || dup2(errors[1], STDERR_FILENO) < 0)
		_exit(PYI_EXIT_FAILURE);
}

/* -------------------------------------------------------------------------------------------------- the parent */

struct child {
	pid_t pid;
	int out_fd;
	int err_fd;
	bool is_late; /* it was told to end */
	struct pyi_buf out;
	struct pyi_buf errors;
};

static uint64_t now_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

/* What does not fit is read and forgotten: the child shall not wait for us. */
static void take_some(int *fd, struct pyi_buf *buf, size_t max)
{
	char some[16384];
	ssize_t n = read(*fd, some, sizeof(some));

	if (n < 0 && (errno == EINTR || errno == EAGAIN))
		return;
	if (n <= 0) {
		pyi_close_fd(fd);
		return;
	}
	if (buf->len < max)
		pyi_buf_add(buf, some, (size_t)n < max - buf->len ? (size_t)n : max - buf->len);
}

/* Until both pipes are at their end, or its time is over and it was killed. */
static void listen_to(struct child *child, uint64_t timeout_ms)
{
	uint64_t deadline = now_ms() + timeout_ms + GRACE_MS;
	int signal_no = SIGTERM;

	while (child->out_fd >= 0 || child->err_fd >= 0) {
		struct pollfd polled[2] = { { .fd = child->out_fd, .events = POLLIN },
					    { .fd = child->err_fd, .events = POLLIN } };
		uint64_t now = now_ms();

		if (now >= deadline) {
			if (child->is_late && signal_no == 0)
				return;
			kill(child->pid, signal_no);
			signal_no = signal_no == SIGTERM ? SIGKILL : 0;
			child->is_late = true;
			deadline = now + KILL_MS;
			continue;
		}
		if (poll(polled, 2, (int)(deadline - now)) <= 0)
			continue;
		if (polled[0].revents)
			take_some(&child->out_fd, &child->out, OUT_MAX);
		if (polled[1].revents)
			take_some(&child->err_fd, &child->errors, ERR_MAX);
	}
}

static int start(struct child *child, const struct pyi_fetch_request *request, int ca_fd,
		 struct pyi_err *err)
{
	int out[2] = { -1, -1 }, errors[2] = { -1, -1 };
	pid_t parent = getpid();

	if (PYI_FAULT(986, EMFILE) || pipe2(out, O_CLOEXEC) < 0)
		return pyi_err_sys(err, errno, "cannot make a pipe");
	child->out_fd = out[0];
	child->pid = -1;
	if (pipe2(errors, O_CLOEXEC) == 0) {
		child->err_fd = errors[0];
		signal(SIGCHLD, SIG_DFL);
		child->pid = PYI_FAULT(987, EAGAIN) ? -1 : fork();
	}
	if (child->pid == 0) {
		if (prctl(PR_SET_PDEATHSIG, SIGTERM, 0, 0, 0) < 0 || getppid() != parent)
			_exit(PYI_EXIT_FAILURE);
		take_stdio(ca_fd, out, errors);
		_exit(fetcher(request));
	}
	if (child->pid < 0)
		pyi_err_sys(err, errno, "cannot start a process");
	close(out[1]);
	pyi_close_fd(&errors[1]);
	return child->pid < 0 ? -err->errnum : 0;
}

/* A line of the guest's, from *at on: what is not printable is a question mark. */
static bool take_line(const struct pyi_buf *out, size_t *at, char *ret_line, size_t size)
{
	size_t n = 0;

	for (; *at < out->len && out->data[*at] != '\n'; (*at)++) {
		char c = out->data[*at];

		if (n + 1 == size)
			return false;
		ret_line[n++] = c < ' ' || c > '~' ? '?' : c;
	}
	ret_line[n] = '\0';
	return (*at)++ < out->len;
}

/* The last line on standard error, without our own prefix. */
static void take_complaint(const struct child *child, struct pyi_fetch_verdict *verdict)
{
	static const char prefix[] = "pyisolate: ";
	const char *text = pyi_buf_str(&child->errors);
	const char *line = text, *end = text + child->errors.len;

	while (end > text && end[-1] == '\n')
		end--;
	for (const char *p = text; p < end; p++)
		if (*p == '\n')
			line = p + 1;
	if (strncmp(line, prefix, sizeof(prefix) - 1) == 0)
		line += sizeof(prefix) - 1;
	snprintf(verdict->detail, sizeof(verdict->detail), "%.*s", (int)(end - line), line);
}

/* The child has ended so, and said that. */
static void judge(const struct child *child, int status, struct pyi_fetch_verdict *verdict)
{
	bool has_exited = WIFEXITED(status) && !child->is_late;
	size_t at = 0;

	if (has_exited && WEXITSTATUS(status) == 0 &&
	    take_line(&child->out, &at, verdict->word, sizeof(verdict->word)) &&
	    take_line(&child->out, &at, verdict->detail, sizeof(verdict->detail))) {
		pyi_buf_add(&verdict->body, child->out.data + at, child->out.len - at);
		return;
	}
	verdict->detail[0] = '\0';
	if (child->is_late || (has_exited && WEXITSTATUS(status) == PYI_EXIT_WALL_TIME)) {
		snprintf(verdict->word, sizeof(verdict->word), "timeout");
		return;
	}
	snprintf(verdict->word, sizeof(verdict->word), "sandbox");
	take_complaint(child, verdict);
	if (!verdict->detail[0])
		snprintf(verdict->detail, sizeof(verdict->detail), "the fetcher ended with %s %d",
			 has_exited ? "code" : "signal",
			 has_exited ? WEXITSTATUS(status) : WTERMSIG(status));
}

int pyi_fetch_attempt(const struct pyi_fetch_request *request, int ca_fd,
		      struct pyi_fetch_verdict *ret_verdict, struct pyi_err *err)
{
	struct child child = { .out_fd = -1, .err_fd = -1 };
	int ret = start(&child, request, ca_fd, err), status = 0;

	*ret_verdict = (struct pyi_fetch_verdict){ .word = "" };
	if (ret == 0) {
		listen_to(&child, request->timeout_ms);
		while (waitpid(child.pid, &status, 0) < 0 && errno == EINTR)
			;
		judge(&child, status, ret_verdict);
		if (child.out.failed || child.errors.failed || ret_verdict->body.failed)
			ret = pyi_err_nomem(err);
	}
	pyi_close_fd(&child.out_fd);
	pyi_close_fd(&child.err_fd);
	pyi_buf_release(&child.out);
	pyi_buf_release(&child.errors);
	return ret;
}
