/* SPDX-License-Identifier: MIT */
/* See door.h. */
#include "super/door.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/err.h"
#include "base/fault.h"
#include "base/io.h"
#include "base/util.h"
#include "kernel/tree_way.h"
#include "pyi_abi.h"
#include "super/registry.h"
#include "super/state_dir.h"
#include "super/token.h"

enum { ANSWER_TIMEOUT_MS = 10000, N_WAY = 2 };

struct pyi_door {
	int fd;
	int dir_fd;
	char name[128];
	const struct pyi_tree_way *way;
	struct pyi_abi_sandbox checked; /* the token's hash, and how often it was wrong here */
};

/* What is asked: the token's bytes follow. What is answered: an errno. */
static const char magic[8] = "pyidoor";

struct question {
	char magic[8];
	char text[PYI_TOKEN_MAX + 2];
};

union control {
	struct cmsghdr align;
	char question[CMSG_SPACE(sizeof(int)) + CMSG_SPACE(sizeof(struct ucred))];
	char way[CMSG_SPACE(N_WAY * sizeof(int))];
};

/* The directory is opened, because its path may be longer than an address can be. */
static int find(const char *name, int *ret_dir_fd, struct sockaddr_un *ret_address, struct pyi_err *err)
{
	struct pyi_state_dir dir;
	char path[PATH_MAX];
	int fd, ret = pyi_state_dir_find(false, &dir, err);

	if (ret == 0)
		ret = pyi_state_dir_below(&dir, "policy", false, path, err);
	if (ret < 0)
		return ret;
	fd = open(path, O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (fd < 0)
		return pyi_err_sys(err, errno, "cannot open '%s'", path);
	*ret_address = (struct sockaddr_un){ .sun_family = AF_UNIX };
	snprintf(ret_address->sun_path, sizeof(ret_address->sun_path), "/proc/self/fd/%d/%s.door",
		 fd, name);
	*ret_dir_fd = fd;
	return 0;
}

/* ---------------------------------------------------------------------------------------------- the supervisor */

int pyi_door_new(const char *name, const struct pyi_abi_sandbox *entry,
		 const struct pyi_tree_way *way, struct pyi_door **ret_door, struct pyi_err *err)
{
	struct pyi_door *door = calloc(1, sizeof(*door));
	struct sockaddr_un address;
	const int on = 1;
	int ret;

	if (!door)
		return pyi_err_nomem(err);
	door->fd = door->dir_fd = -1;
	door->way = way;
	door->checked = *entry;
	snprintf(door->name, sizeof(door->name), "%s.door", name);
	ret = find(name, &door->dir_fd, &address, err);
	if (ret == 0) {
		/* A supervisor that was killed has left its own. */
		unlinkat(door->dir_fd, door->name, 0);
		door->fd = PYI_FAULT(972, EMFILE)
				   ? -1
				   : socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
		if (door->fd < 0 || setsockopt(door->fd, SOL_SOCKET, SO_PASSCRED, &on, sizeof(on)) < 0 ||
		    PYI_FAULT(973, ENOSPC) ||
		    bind(door->fd, (struct sockaddr *)&address, sizeof(address)) < 0)
			ret = pyi_err_sys(err, errno, "cannot make a socket for reloads");
	}
	if (ret < 0) {
		pyi_door_free(door);
		return ret;
	}
	*ret_door = door;
	return 0;
}

void pyi_door_free(struct pyi_door *door)
{
	if (!door)
		return;
	if (door->fd >= 0)
		unlinkat(door->dir_fd, door->name, 0);
	pyi_close_fd(&door->fd);
	pyi_close_fd(&door->dir_fd);
	explicit_bzero(&door->checked, sizeof(door->checked));
	free(door);
}

int pyi_door_fd(const struct pyi_door *door)
{
	return door ? door->fd : -1;
}

/* A guest's process has a pid in its own namespace as well: "NSpid:\t123\t4". */
static bool is_in_our_pid_ns(pid_t pid)
{
	_cleanup_fd int proc_fd = open("/proc", O_PATH | O_DIRECTORY | O_CLOEXEC);
	char name[32], text[4096];
	const char *line, *end;

	snprintf(name, sizeof(name), "%d/status", pid);
	if (pid <= 0 || proc_fd < 0 || pyi_read_at(proc_fd, name, text, sizeof(text)) < 0)
		return false;
	line = strstr(text, "\nNSpid:\t");
	end = line ? strchr(line + 8, '\n') : NULL;
	return end && !memchr(line + 8, '\t', (size_t)(end - line - 8));
}

/* All descriptors that came are closed but the one to answer through; whose it is is the kernel's word. */
static void take_control(struct msghdr *msg, struct ucred *ret_sender, int *ret_fd)
{
	for (struct cmsghdr *c = CMSG_FIRSTHDR(msg); c; c = CMSG_NXTHDR(msg, c)) {
		size_t n = (c->cmsg_len - CMSG_LEN(0)) / sizeof(int);

		if (c->cmsg_level != SOL_SOCKET)
			continue;
		if (c->cmsg_type == SCM_CREDENTIALS)
			memcpy(ret_sender, CMSG_DATA(c), sizeof(*ret_sender));
		for (size_t i = 0; c->cmsg_type == SCM_RIGHTS && i < n; i++) {
			pyi_close_fd(ret_fd);
			memcpy(ret_fd, CMSG_DATA(c) + i * sizeof(int), sizeof(int));
		}
	}
}

/* 0 or the errno of a refusal. */
static int judge(struct pyi_door *door, const struct question *question, ssize_t len,
		 const struct ucred *sender)
{
	size_t text_len = (size_t)len - sizeof(question->magic);
	struct pyi_token token = { .len = text_len };
	uint64_t wait_ms;
	int ret;

	if ((size_t)len < sizeof(question->magic) + PYI_TOKEN_MIN || text_len > PYI_TOKEN_MAX ||
	    memcmp(question->magic, magic, sizeof(magic)) != 0)
		return EPROTO;
	if (sender->uid != geteuid() || !is_in_our_pid_ns(sender->pid))
		return EPERM;
	memcpy(token.text, question->text, text_len);
	ret = pyi_token_check(&door->checked, &token, pyi_registry_now_ns(), &wait_ms);
	pyi_token_forget(&token);
	return -ret;
}

static void send_answer(const struct pyi_door *door, int fd, int32_t errnum)
{
	struct iovec part = { &errnum, sizeof(errnum) };
	union control control = { 0 };
	struct msghdr msg = { .msg_iov = &part, .msg_iovlen = 1 };

	if (errnum == 0) {
		const int way[N_WAY] = { door->way->user_fd, door->way->mnt_fd };
		struct cmsghdr *c = &control.align;

		msg.msg_control = control.way;
		msg.msg_controllen = sizeof(control.way);
		c->cmsg_level = SOL_SOCKET;
		c->cmsg_type = SCM_RIGHTS;
		c->cmsg_len = CMSG_LEN(sizeof(way));
		memcpy(CMSG_DATA(c), way, sizeof(way));
	}
	(void)sendmsg(fd, &msg, MSG_DONTWAIT | MSG_NOSIGNAL);
}

void pyi_door_answer(struct pyi_door *door)
{
	struct question question = { .magic = "" };
	struct iovec part = { &question, sizeof(question) };
	union control control = { 0 };
	struct msghdr msg = { .msg_iov = &part,
			      .msg_iovlen = 1,
			      .msg_control = control.question,
			      .msg_controllen = sizeof(control.question) };
	struct ucred sender = { .uid = (uid_t)-1 };
	_cleanup_fd int answer_fd = -1;
	ssize_t len = recvmsg(door->fd, &msg, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);

	if (len < 0)
		return;
	take_control(&msg, &sender, &answer_fd);
	if (answer_fd >= 0)
		send_answer(door, answer_fd, judge(door, &question, len, &sender));
	explicit_bzero(&question, sizeof(question));
}

/* --------------------------------------------------------------------------------------------------- a reload */

static int send_question(int fd, const struct sockaddr_un *address, const struct pyi_token *token,
			 int answer_fd)
{
	char start[sizeof(magic)], *text = (char *)(uintptr_t)token->text;
	struct iovec parts[] = { { start, sizeof(start) }, { text, token->len } };
	union control control = { 0 };
	struct msghdr msg = { .msg_name = (void *)(uintptr_t)address,
			      .msg_namelen = sizeof(*address),
			      .msg_iov = parts,
			      .msg_iovlen = PYI_ARRAY_SIZE(parts),
			      .msg_control = control.question,
			      .msg_controllen = CMSG_SPACE(sizeof(int)) };
	struct cmsghdr *c = &control.align;

	memcpy(start, magic, sizeof(magic));
	c->cmsg_level = SOL_SOCKET;
	c->cmsg_type = SCM_RIGHTS;
	c->cmsg_len = CMSG_LEN(sizeof(int));
	memcpy(CMSG_DATA(c), &answer_fd, sizeof(int));
	return sendmsg(fd, &msg, MSG_NOSIGNAL | MSG_DONTWAIT) < 0 ? -errno : 0;
}

static int take_answer(int fd, struct pyi_tree_way *ret_way, struct pyi_err *err)
{
	int32_t errnum = EPROTO;
	struct iovec part = { &errnum, sizeof(errnum) };
	union control control = { 0 };
	struct msghdr msg = { .msg_iov = &part,
			      .msg_iovlen = 1,
			      .msg_control = control.way,
			      .msg_controllen = sizeof(control.way) };
	struct pollfd poller = { .fd = fd, .events = POLLIN };
	struct cmsghdr *c;
	int n;

	do
		n = poll(&poller, 1, ANSWER_TIMEOUT_MS);
	while (n < 0 && errno == EINTR);
	if (n <= 0)
		return pyi_err_set(err, ETIMEDOUT, "its supervisor does not answer");
	if (recvmsg(fd, &msg, MSG_CMSG_CLOEXEC) != (ssize_t)sizeof(errnum))
		return pyi_err_set(err, ESRCH, "the sandbox has ended");
	c = CMSG_FIRSTHDR(&msg);
	if (errnum == EACCES || errnum == EAGAIN || errnum == ENOKEY)
		return pyi_err_set(err, EACCES,
				   "PolicyAuthError: its supervisor does not take the token");
	if (errnum)
		return pyi_err_set(
			err, errnum,
			"its supervisor does not let this process in: %s: ask from where it was started",
			strerror(errnum));
	if (!c || c->cmsg_type != SCM_RIGHTS || c->cmsg_len != CMSG_LEN(N_WAY * sizeof(int)))
		return pyi_err_set(err, EMFILE, "no room for the descriptors of the sandbox");
	memcpy(&ret_way->user_fd, CMSG_DATA(c), sizeof(int));
	memcpy(&ret_way->mnt_fd, CMSG_DATA(c) + sizeof(int), sizeof(int));
	return 0;
}

int pyi_door_ask(const char *name, const struct pyi_token *token, struct pyi_tree_way *ret_way,
		 struct pyi_err *err)
{
	_cleanup_fd int dir_fd = -1, fd = -1, ours = -1;
	struct sockaddr_un address;
	int ends[2], ret = find(name, &dir_fd, &address, err);

	if (ret < 0)
		return ret;
	fd = PYI_FAULT(974, EMFILE) ? -1 : socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (fd < 0 || socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends) < 0)
		return pyi_err_sys(err, errno, "cannot make a socket");
	ours = ends[0];
	ret = send_question(fd, &address, token, ends[1]);
	close(ends[1]);
	if (ret == -ENOENT || ret == -ECONNREFUSED)
		return pyi_err_set(err, ENOENT,
				   "its supervisor has no way into its files, which it keeps from the start on: "
				   "stop it and spawn it again");
	if (ret < 0)
		return pyi_err_sys(err, -ret, "cannot ask its supervisor for a way into its files");
	return take_answer(ours, ret_way, err);
}
