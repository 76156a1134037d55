/* SPDX-License-Identifier: MIT */
/* Lines about what was asked; see asked_verdict.h. */
#include <arpa/inet.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

#include "base/buf.h"
#include "base/json.h"
#include "plan/plan.h"
#include "policy/policy.h"
#include "report/asked.h"
#include "report/asked_verdict.h"

static const char *const kind_names[] = {
	[PYI_ASKED_READ] = "read", [PYI_ASKED_WRITE] = "write",	    [PYI_ASKED_LOOK] = "look",
	[PYI_ASKED_EXEC] = "exec", [PYI_ASKED_CONNECT] = "connect", [PYI_ASKED_BIND] = "bind",
	[PYI_ASKED_SEND] = "send", [PYI_ASKED_SOCKET] = "socket",
};

static const char *const outcome_names[] = {
	[PYI_ASKED_ALLOWED] = "allowed",
	[PYI_ASKED_WARNED] = "warned",
	[PYI_ASKED_DENIED] = "denied",
	[PYI_ASKED_FAILED] = "failed",
};

static void print_family(const struct pyi_asked *asked, struct pyi_buf *out)
{
	static const struct {
		uint16_t family;
		const char *name;
	} families[] = { { AF_UNIX, "unix" },	    { AF_INET, "inet" },     { AF_INET6, "inet6" },
			 { AF_NETLINK, "netlink" }, { AF_PACKET, "packet" }, { AF_VSOCK, "vsock" },
			 { AF_ALG, "alg" },	    { AF_UNSPEC, "unspec" } };
	static const char *const types[] = {
		[SOCK_STREAM] = "stream", [SOCK_DGRAM] = "dgram",	  [SOCK_RAW] = "raw",
		[SOCK_RDM] = "rdm",	  [SOCK_SEQPACKET] = "seqpacket",
	};
	const char *family = NULL;

	for (size_t i = 0; !family && i < sizeof(families) / sizeof(families[0]); i++)
		if (families[i].family == asked->family)
			family = families[i].name;
	if (family)
		pyi_buf_puts(out, family);
	else
		pyi_buf_printf(out, "family %u", asked->family);
	if (asked->type < sizeof(types) / sizeof(types[0]) && types[asked->type])
		pyi_buf_printf(out, " %s", types[asked->type]);
	else if (asked->type)
		pyi_buf_printf(out, " type %u", asked->type);
}

void pyi_asked_print_target(const struct pyi_asked *asked, struct pyi_buf *out)
{
	static const uint8_t mapped[12] = { [10] = 0xff, [11] = 0xff };
	bool is_v4 = memcmp(asked->addr, mapped, sizeof(mapped)) == 0;
	char text[INET6_ADDRSTRLEN] = "";

	if (asked->path) {
		pyi_buf_puts(out, asked->path);
	} else if (asked->kind < PYI_ASKED_CONNECT) {
		pyi_buf_putc(out, '?');
	} else if (asked->kind != PYI_ASKED_SOCKET &&
		   (asked->family == AF_INET || asked->family == AF_INET6)) {
		inet_ntop(is_v4 ? AF_INET : AF_INET6, is_v4 ? asked->addr + 12 : asked->addr, text,
			  sizeof(text));
		pyi_buf_printf(out, is_v4 ? "%s%s:%u" : "%s[%s]:%u",
			       asked->proto == PYI_NET_UDP ? "udp://" : "", text, asked->port);
	} else {
		print_family(asked, out);
	}
}

static const char *error_name(int error, char *buf, size_t size)
{
	const char *name = strerrorname_np(error);

	if (name)
		return name;
	snprintf(buf, size, "error %d", error);
	return buf;
}

static void print_origin(const struct pyi_origin *from, struct pyi_buf *out)
{
	if (from->line)
		pyi_buf_printf(out, "%s:%u", from->file, from->line);
	else
		pyi_buf_puts(out, from->file);
}

static void print_verdict(const struct pyi_asked *asked, const struct pyi_asked_verdict *verdict,
			  struct pyi_buf *out)
{
	char buf[32];

	pyi_buf_printf(out, " %s", outcome_names[verdict->outcome]);
	if (asked->error)
		pyi_buf_printf(out, " %s", error_name(asked->error, buf, sizeof(buf)));
	pyi_buf_printf(out, ": %s", verdict->rule);
	if (verdict->from) {
		pyi_buf_puts(out, " (");
		print_origin(verdict->from, out);
		pyi_buf_putc(out, ')');
	}
	if (verdict->grant)
		pyi_buf_printf(out, ": %s", verdict->grant);
}

void pyi_asked_print(const struct pyi_plan *plan, const struct pyi_asked *asked, struct pyi_buf *out)
{
	_cleanup_buf struct pyi_buf line = PYI_BUF_INIT;
	struct pyi_asked_verdict verdict;

	pyi_buf_printf(&line, "%llu.%06llu %d", (unsigned long long)(asked->time_us / 1000000),
		       (unsigned long long)(asked->time_us % 1000000), asked->pid);
	if (asked->tid != asked->pid)
		pyi_buf_printf(&line, "/%d", asked->tid);
	pyi_buf_printf(&line, " %s", asked->call);
	if (asked->kind < PYI_ASKED_CONNECT)
		pyi_buf_printf(&line, " %s", kind_names[asked->kind]);
	pyi_buf_putc(&line, ' ');
	pyi_asked_print_target(asked, &line);
	if (asked->real)
		pyi_buf_printf(&line, " -> %s", asked->real);
	if (pyi_asked_judge(plan, asked, &verdict) == 0) {
		print_verdict(asked, &verdict, &line);
		pyi_asked_verdict_release(&verdict);
	}
	if (asked->at_file)
		pyi_buf_printf(&line, " at %s:%u", asked->at_file, asked->at_line);
	pyi_buf_printable(out, pyi_buf_str(&line));
}

static void print_json_verdict(const struct pyi_asked_verdict *verdict, struct pyi_json *json)
{
	_cleanup_buf struct pyi_buf origin = PYI_BUF_INIT;

	if (verdict->from)
		print_origin(verdict->from, &origin);
	pyi_json_string(json, "verdict", outcome_names[verdict->outcome]);
	pyi_json_string(json, "rule", verdict->rule);
	pyi_json_string(json, "file", origin.data);
	pyi_json_string(json, "grant", verdict->grant);
}

void pyi_asked_print_json(const struct pyi_plan *plan, const struct pyi_asked *asked, struct pyi_buf *out)
{
	_cleanup_buf struct pyi_buf target = PYI_BUF_INIT, at = PYI_BUF_INIT;
	struct pyi_asked_verdict verdict;
	struct pyi_json json;
	char buf[32];

	pyi_asked_print_target(asked, &target);
	if (asked->at_file)
		pyi_buf_printf(&at, "%s:%u", asked->at_file, asked->at_line);
	pyi_json_init(&json, out);
	pyi_json_object(&json, NULL);
	pyi_json_ms(&json, "at_ms", asked->time_us);
	pyi_json_i64(&json, "pid", asked->pid);
	pyi_json_i64(&json, "tid", asked->tid);
	pyi_json_string(&json, "call", asked->call);
	pyi_json_string(&json, "kind", kind_names[asked->kind]);
	if (asked->kind < PYI_ASKED_CONNECT)
		pyi_json_string(&json, "path", asked->path);
	else
		pyi_json_string(&json, asked->kind == PYI_ASKED_SOCKET ? "socket" : "address",
				pyi_buf_str(&target));
	if (asked->real)
		pyi_json_string(&json, "real", asked->real);
	pyi_json_string(&json, "errno",
			asked->error ? error_name(asked->error, buf, sizeof(buf)) : NULL);
	if (pyi_asked_judge(plan, asked, &verdict) == 0) {
		print_json_verdict(&verdict, &json);
		pyi_asked_verdict_release(&verdict);
	}
	pyi_json_string(&json, "at", at.data);
	pyi_json_end_object(&json);
}
