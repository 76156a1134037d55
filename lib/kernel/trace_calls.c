/* SPDX-License-Identifier: MIT */
/* See trace_calls.h. */
#include "kernel/trace_calls.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/un.h>

#include <linux/in.h>
#include <linux/in6.h>

#include "base/buf.h"
#include "base/util.h"
#include "kernel/bpf.h"
#include "kernel/bpf_pins.h"
#include "policy/policy.h"
#include "report/asked.h"

#define NO PYI_TRACE_NO_ARGUMENT

/* The ways in which a path is given: by itself, or behind a descriptor of the directory that it starts from. */
#define PATH(shape, path, flags)    { shape, path, NO, NO, NO, flags, 0, 0 }
#define PATH_AT(shape, path, flags) { shape, path, (path) - 1, NO, NO, flags, 0, 0 }
#define OF(shape, argument)	    { shape, argument, NO, NO, NO, NO, 0, 0 }

static const struct {
	const char *name;
	unsigned short number;
	uint8_t kind; /* enum pyi_asked_kind; of an open its flags decide */
	uint8_t kind2;
	struct pyi_trace_call how;
} calls[] = {
	{ "open", SYS_open, PYI_ASKED_READ, 0, PATH(PYI_TRACE_OPEN, 0, 1) },
	{ "openat", SYS_openat, PYI_ASKED_READ, 0, PATH_AT(PYI_TRACE_OPEN, 1, 2) },
	{ "openat2", SYS_openat2, PYI_ASKED_READ, 0, { PYI_TRACE_OPEN, 1, 0, NO, NO, 2, 1, 0 } },
	{ "creat", SYS_creat, PYI_ASKED_WRITE, 0, PATH(PYI_TRACE_OPEN, 0, NO) },
	{ "truncate", SYS_truncate, PYI_ASKED_WRITE, 0, PATH(PYI_TRACE_PATH, 0, NO) },
	{ "mkdir", SYS_mkdir, PYI_ASKED_WRITE, 0, PATH(PYI_TRACE_PATH, 0, NO) },
	{ "mkdirat", SYS_mkdirat, PYI_ASKED_WRITE, 0, PATH_AT(PYI_TRACE_PATH, 1, NO) },
	{ "mknod", SYS_mknod, PYI_ASKED_WRITE, 0, PATH(PYI_TRACE_PATH, 0, NO) },
	{ "mknodat", SYS_mknodat, PYI_ASKED_WRITE, 0, PATH_AT(PYI_TRACE_PATH, 1, NO) },
	{ "rmdir", SYS_rmdir, PYI_ASKED_WRITE, 0, PATH(PYI_TRACE_PATH, 0, NO) },
	{ "unlink", SYS_unlink, PYI_ASKED_WRITE, 0, PATH(PYI_TRACE_PATH, 0, NO) },
	{ "unlinkat", SYS_unlinkat, PYI_ASKED_WRITE, 0, PATH_AT(PYI_TRACE_PATH, 1, NO) },
	{ "rename", SYS_rename, PYI_ASKED_WRITE, PYI_ASKED_WRITE, { PYI_TRACE_PATH, 0, NO, 1, NO, NO, 0, 0 } },
	{ "renameat", SYS_renameat, PYI_ASKED_WRITE, PYI_ASKED_WRITE, { PYI_TRACE_PATH, 1, 0, 3, 2, NO, 0, 0 } },
	{ "renameat2",
	  SYS_renameat2,
	  PYI_ASKED_WRITE,
	  PYI_ASKED_WRITE,
	  { PYI_TRACE_PATH, 1, 0, 3, 2, NO, 0, 0 } },
	{ "link", SYS_link, PYI_ASKED_READ, PYI_ASKED_WRITE, { PYI_TRACE_PATH, 0, NO, 1, NO, NO, 0, 0 } },
	{ "linkat", SYS_linkat, PYI_ASKED_READ, PYI_ASKED_WRITE, { PYI_TRACE_PATH, 1, 0, 3, 2, NO, 0, 0 } },
	/* What a new link says is looked at by nobody yet. */
	{ "symlink", SYS_symlink, PYI_ASKED_WRITE, 0, PATH(PYI_TRACE_PATH, 1, NO) },
	{ "symlinkat", SYS_symlinkat, PYI_ASKED_WRITE, 0, PATH_AT(PYI_TRACE_PATH, 2, NO) },
	{ "chmod", SYS_chmod, PYI_ASKED_WRITE, 0, PATH(PYI_TRACE_PATH, 0, NO) },
	{ "fchmod", SYS_fchmod, PYI_ASKED_WRITE, 0, OF(PYI_TRACE_FD, 0) },
	{ "fchmodat", SYS_fchmodat, PYI_ASKED_WRITE, 0, PATH_AT(PYI_TRACE_PATH, 1, NO) },
	{ "fchmodat2", SYS_fchmodat2, PYI_ASKED_WRITE, 0, PATH_AT(PYI_TRACE_PATH, 1, NO) },
	{ "chown", SYS_chown, PYI_ASKED_WRITE, 0, PATH(PYI_TRACE_PATH, 0, NO) },
	{ "lchown", SYS_lchown, PYI_ASKED_WRITE, 0, PATH(PYI_TRACE_PATH, 0, NO) },
	{ "fchown", SYS_fchown, PYI_ASKED_WRITE, 0, OF(PYI_TRACE_FD, 0) },
	{ "fchownat", SYS_fchownat, PYI_ASKED_WRITE, 0, PATH_AT(PYI_TRACE_PATH, 1, NO) },
	{ "utime", SYS_utime, PYI_ASKED_WRITE, 0, PATH(PYI_TRACE_PATH, 0, NO) },
	{ "utimes", SYS_utimes, PYI_ASKED_WRITE, 0, PATH(PYI_TRACE_PATH, 0, NO) },
	{ "futimesat", SYS_futimesat, PYI_ASKED_WRITE, 0, PATH_AT(PYI_TRACE_PATH, 1, NO) },
	{ "utimensat", SYS_utimensat, PYI_ASKED_WRITE, 0, PATH_AT(PYI_TRACE_PATH, 1, NO) },
	{ "setxattr", SYS_setxattr, PYI_ASKED_WRITE, 0, PATH(PYI_TRACE_PATH, 0, NO) },
	{ "lsetxattr", SYS_lsetxattr, PYI_ASKED_WRITE, 0, PATH(PYI_TRACE_PATH, 0, NO) },
	{ "removexattr", SYS_removexattr, PYI_ASKED_WRITE, 0, PATH(PYI_TRACE_PATH, 0, NO) },
	{ "lremovexattr", SYS_lremovexattr, PYI_ASKED_WRITE, 0, PATH(PYI_TRACE_PATH, 0, NO) },
	{ "stat", SYS_stat, PYI_ASKED_LOOK, 0, PATH(PYI_TRACE_PATH, 0, NO) },
	{ "lstat", SYS_lstat, PYI_ASKED_LOOK, 0, PATH(PYI_TRACE_PATH, 0, NO) },
	{ "newfstatat", SYS_newfstatat, PYI_ASKED_LOOK, 0, PATH_AT(PYI_TRACE_PATH, 1, NO) },
	{ "statx", SYS_statx, PYI_ASKED_LOOK, 0, PATH_AT(PYI_TRACE_PATH, 1, NO) },
	{ "statfs", SYS_statfs, PYI_ASKED_LOOK, 0, PATH(PYI_TRACE_PATH, 0, NO) },
	{ "access", SYS_access, PYI_ASKED_LOOK, 0, PATH(PYI_TRACE_PATH, 0, NO) },
	{ "faccessat", SYS_faccessat, PYI_ASKED_LOOK, 0, PATH_AT(PYI_TRACE_PATH, 1, NO) },
	{ "faccessat2", SYS_faccessat2, PYI_ASKED_LOOK, 0, PATH_AT(PYI_TRACE_PATH, 1, NO) },
	{ "readlink", SYS_readlink, PYI_ASKED_LOOK, 0, PATH(PYI_TRACE_PATH, 0, NO) },
	{ "readlinkat", SYS_readlinkat, PYI_ASKED_LOOK, 0, PATH_AT(PYI_TRACE_PATH, 1, NO) },
	{ "getxattr", SYS_getxattr, PYI_ASKED_LOOK, 0, PATH(PYI_TRACE_PATH, 0, NO) },
	{ "lgetxattr", SYS_lgetxattr, PYI_ASKED_LOOK, 0, PATH(PYI_TRACE_PATH, 0, NO) },
	{ "listxattr", SYS_listxattr, PYI_ASKED_LOOK, 0, PATH(PYI_TRACE_PATH, 0, NO) },
	{ "llistxattr", SYS_llistxattr, PYI_ASKED_LOOK, 0, PATH(PYI_TRACE_PATH, 0, NO) },
	{ "chdir", SYS_chdir, PYI_ASKED_LOOK, 0, PATH(PYI_TRACE_CHDIR, 0, NO) },
	{ "fchdir", SYS_fchdir, PYI_ASKED_LOOK, 0, OF(PYI_TRACE_FD, 0) },
	{ "execve", SYS_execve, PYI_ASKED_EXEC, 0, PATH(PYI_TRACE_EXEC, 0, NO) },
	{ "execveat", SYS_execveat, PYI_ASKED_EXEC, 0, PATH_AT(PYI_TRACE_EXEC, 1, NO) },
	{ "socket", SYS_socket, PYI_ASKED_SOCKET, 0, OF(PYI_TRACE_SOCKET, 0) },
	{ "socketpair", SYS_socketpair, PYI_ASKED_SOCKET, 0, OF(PYI_TRACE_SOCKET, 0) },
	{ "connect", SYS_connect, PYI_ASKED_CONNECT, 0, { PYI_TRACE_ADDRESS_OF, 1, NO, NO, NO, 2, 0, 0 } },
	{ "bind", SYS_bind, PYI_ASKED_BIND, 0, { PYI_TRACE_ADDRESS_OF, 1, NO, NO, NO, 2, 0, 0 } },
	{ "listen", SYS_listen, PYI_ASKED_BIND, 0, OF(PYI_TRACE_LISTEN, 0) },
	{ "sendto", SYS_sendto, PYI_ASKED_SEND, 0, { PYI_TRACE_ADDRESS_OF, 4, NO, NO, NO, 5, 0, 0 } },
	{ "sendmsg", SYS_sendmsg, PYI_ASKED_SEND, 0, OF(PYI_TRACE_MESSAGE, 1) },
	{ "sendmmsg", SYS_sendmmsg, PYI_ASKED_SEND, 0, OF(PYI_TRACE_MESSAGE, 1) },
};

void pyi_trace_calls(struct pyi_trace_call table[PYI_TRACE_CALLS])
{
	memset(table, 0, PYI_TRACE_CALLS * sizeof(*table));
	for (size_t i = 0; i < PYI_ARRAY_SIZE(calls); i++) {
		struct pyi_trace_call *call = &table[calls[i].number];

		*call = calls[i].how;
		call->drop_empty = call->shape == PYI_TRACE_OPEN || calls[i].kind == PYI_ASKED_LOOK;
	}
}

/* Index of a call; -1: it is none of ours. */
static int find_call(unsigned int number)
{
	for (size_t i = 0; i < PYI_ARRAY_SIZE(calls); i++)
		if (calls[i].number == number)
			return (int)i;
	return -1;
}

/* Append what is between slashes, and drop the last component for a "..". */
static void add_component(struct pyi_buf *path, const char *name, size_t len)
{
	if (!len || (len == 1 && *name == '.'))
		return;
	if (len == 2 && name[0] == '.' && name[1] == '.') {
		while (path->len && path->data[--path->len] != '/')
			continue;
		if (path->data)
			path->data[path->len] = '\0';
		return;
	}
	pyi_buf_putc(path, '/');
	pyi_buf_add(path, name, len);
}

/* Names with their terminators, the last component first. */
static void add_names(struct pyi_buf *path, const char *names, size_t size)
{
	size_t end = size;

	while (end) {
		size_t at = end - 1;

		while (at && names[at - 1])
			at--;
		pyi_buf_putc(path, '/');
		pyi_buf_add(path, names + at, end - 1 - at);
		end = at;
	}
}

static void add_text(struct pyi_buf *path, const char *text, size_t size)
{
	size_t len = strnlen(text, size);

	for (size_t at = 0; at < len;) {
		const char *slash = memchr(text + at, '/', len - at);
		size_t n = slash ? (size_t)(slash - text) - at : len - at;

		add_component(path, text + at, n);
		at += n + 1;
	}
}

static int take(struct pyi_buf *path, char **ret_path)
{
	if (!path->len)
		pyi_buf_putc(path, '/');
	*ret_path = pyi_buf_take(path);
	return *ret_path ? 0 : -ENOMEM;
}

/* The parts of a record behind its head. */
struct parts {
	struct pyi_trace_record head;
	const char *text;
	const char *base;
	const char *real;
	const char *frame;
};

static int decode_path(const struct parts *parts, struct pyi_asked *asked)
{
	_cleanup_buf struct pyi_buf path = PYI_BUF_INIT, real = PYI_BUF_INIT;
	const struct pyi_trace_record *head = &parts->head;
	int ret;

	if (head->marks & PYI_TRACE_UNREAD)
		return 0;
	/* Where the directory has no path, or too long a one, what was asked for can still be told. */
	if (head->marks & PYI_TRACE_BASE_OUT)
		pyi_buf_puts(&path, "/(unreachable)");
	else if (head->marks & PYI_TRACE_BASE_LOST)
		pyi_buf_puts(&path, "/(too long)");
	else
		add_names(&path, parts->base, head->base_bytes);
	add_text(&path, parts->text, head->text_bytes);
	ret = take(&path, &asked->path);
	if (ret || !head->real_bytes)
		return ret;
	add_names(&real, parts->real, head->real_bytes);
	ret = take(&real, &asked->real);
	if (!ret && strcmp(asked->real, asked->path) == 0) {
		free(asked->real);
		asked->real = NULL;
	}
	return ret;
}

static enum pyi_asked_kind kind_of_open(uint64_t flags)
{
	if (flags & O_PATH)
		return PYI_ASKED_LOOK;
	return (flags & O_ACCMODE) != O_RDONLY || flags & (O_CREAT | O_TRUNC) ? PYI_ASKED_WRITE
									      : PYI_ASKED_READ;
}

static int decode_unix(const char *text, size_t size, struct pyi_asked *asked)
{
	_cleanup_buf struct pyi_buf path = PYI_BUF_INIT;
	size_t at = offsetof(struct sockaddr_un, sun_path);

	if (size <= at)
		return 0;
	if (text[at]) {
		pyi_buf_add(&path, text + at, strnlen(text + at, size - at));
	} else {
		pyi_buf_putc(&path, '@');
		pyi_buf_add(&path, text + at + 1, size - at - 1);
	}
	return take(&path, &asked->path);
}

static int decode_address(const struct parts *parts, struct pyi_asked *asked)
{
	static const uint8_t mapped[12] = { [10] = 0xff, [11] = 0xff };
	const struct pyi_trace_record *head = &parts->head;
	size_t size = head->text_bytes;
	struct sockaddr_in6 in6;
	struct sockaddr_in in;

	asked->type = head->type;
	if (head->proto == IPPROTO_TCP)
		asked->proto = PYI_NET_TCP;
	else if (head->proto == IPPROTO_UDP)
		asked->proto = PYI_NET_UDP;
	if (size < sizeof(asked->family))
		return 0;
	memcpy(&asked->family, parts->text, sizeof(asked->family));
	switch (asked->family) {
	case AF_INET:
		if (size < sizeof(in))
			break;
		memcpy(&in, parts->text, sizeof(in));
		memcpy(asked->addr, mapped, sizeof(mapped));
		memcpy(asked->addr + sizeof(mapped), &in.sin_addr, sizeof(in.sin_addr));
		asked->port = __builtin_bswap16(in.sin_port);
		return 0;
	case AF_INET6:
		/* The scope at the end may be left out. */
		if (size < offsetof(struct sockaddr_in6, sin6_scope_id))
			break;
		memcpy(&in6, parts->text, offsetof(struct sockaddr_in6, sin6_scope_id));
		memcpy(asked->addr, &in6.sin6_addr, sizeof(asked->addr));
		asked->port = __builtin_bswap16(in6.sin6_port);
		return 0;
	case AF_UNIX:
		return decode_unix(parts->text, size, asked);
	default:
		return 0;
	}
	asked->family = 0; /* too short for one: the kernel says EINVAL */
	return 0;
}

static int split(const void *data, size_t size, struct parts *parts)
{
	if (size < sizeof(parts->head))
		return -EPROTO;
	memcpy(&parts->head, data, sizeof(parts->head));
	parts->text = (const char *)data + sizeof(parts->head);
	parts->base = parts->text + parts->head.text_bytes;
	parts->real = parts->base + parts->head.base_bytes;
	parts->frame = parts->real + parts->head.real_bytes;
	size -= sizeof(parts->head);
	return size < (size_t)parts->head.text_bytes + parts->head.base_bytes +
				       parts->head.real_bytes + parts->head.frame_bytes
		       ? -EPROTO
		       : 0;
}

/* "job.py:12", taken apart. */
static int decode_frame(const struct parts *parts, struct pyi_asked *asked)
{
	struct pyi_abi_frame frame = { 0 };
	char text[PYI_BPF_AT_MAX], *colon;

	if (!parts->head.frame_bytes || parts->head.frame_bytes > sizeof(frame))
		return 0;
	memcpy(&frame, parts->frame, parts->head.frame_bytes);
	pyi_bpf_frame_text(&frame, text, sizeof(text));
	colon = frame.line > 0 ? strrchr(text, ':') : NULL;
	if (!colon)
		return 0;
	*colon = '\0';
	asked->at_line = (unsigned int)frame.line;
	asked->at_file = strdup(text);
	return asked->at_file ? 0 : -ENOMEM;
}

int pyi_trace_decode(const void *data, size_t size, uint64_t start_us, struct pyi_asked *ret_asked)
{
	struct pyi_asked asked = { .kind = PYI_ASKED_LOOK };
	struct parts parts;
	int i, ret = split(data, size, &parts);

	if (ret)
		return ret;
	i = find_call(parts.head.call);
	if (i < 0)
		return -EPROTO;
	asked.call = calls[i].name;
	asked.kind = parts.head.marks & PYI_TRACE_SECOND ? calls[i].kind2 : calls[i].kind;
	asked.time_us = parts.head.time_ns / 1000 > start_us ? parts.head.time_ns / 1000 - start_us : 0;
	asked.pid = parts.head.pid;
	asked.tid = parts.head.tid;
	asked.error = parts.head.error;
	switch (calls[i].how.shape) {
	case PYI_TRACE_SOCKET:
		asked.family = (uint16_t)parts.head.flags;
		asked.type = (uint16_t)(parts.head.flags >> 32 & 0xf); /* without SOCK_CLOEXEC and the like */
		break;
	case PYI_TRACE_LISTEN:
	case PYI_TRACE_ADDRESS_OF:
	case PYI_TRACE_MESSAGE:
		ret = decode_address(&parts, &asked);
		break;
	case PYI_TRACE_OPEN:
		if (calls[i].how.flags != NO) {
			asked.kind = kind_of_open(parts.head.flags);
			asked.is_new = (parts.head.flags & (O_CREAT | O_EXCL)) == (O_CREAT | O_EXCL);
		}
		/* What it led to has no name. */
		if ((parts.head.flags & O_TMPFILE) == O_TMPFILE)
			parts.head.real_bytes = 0;
		ret = decode_path(&parts, &asked);
		break;
	default:
		ret = decode_path(&parts, &asked);
		break;
	}
	if (!ret)
		ret = decode_frame(&parts, &asked);
	if (ret) {
		pyi_asked_clear(&asked);
		return ret;
	}
	*ret_asked = asked;
	return 0;
}
