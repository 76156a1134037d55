/* SPDX-License-Identifier: MIT */
/*
 * Pinned, empty network namespaces; see netns.h.
 *
 * A pin is a bind mount of the namespace on a file PYI_NETNS_DIR/0, /1, ... The directory is root's alone, so nobody
 * else can put anything there; the lock on it is held to make and to remove pins, the lock on a namespace itself to
 * use it. A pin that is lent is never removed, and one that is removed has been locked first: so nobody ever enters a
 * namespace that another one is in. Mounts of another mount namespace are not seen here: there it is a plain file, and
 * gets a mount of its own.
 */
#include "kernel/netns.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <net/if.h>
#include <net/if_arp.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "base/err.h"
#include "base/fault.h"
#include "base/util.h"
#include "kernel/run_dir.h"
#include "kernel/sys.h"

enum { SLOTS = 8, PATH_BYTES = sizeof(PYI_NETNS_DIR) + 16 };

static const char *const names[SLOTS] = { "0", "1", "2", "3", "4", "5", "6", "7" };

/* ------------------------------------------------------------------------------------------- is it empty? */

/* What an empty namespace may say: one device, `lo`, that is down. */
static bool is_idle_loopback(const struct nlmsghdr *msg, unsigned int n_before)
{
	const struct ifinfomsg *info = NLMSG_DATA(msg);

	return msg->nlmsg_type == RTM_NEWLINK && n_before == 0 &&
	       msg->nlmsg_len >= NLMSG_LENGTH(sizeof(*info)) && info->ifi_type == ARPHRD_LOOPBACK &&
	       !(info->ifi_flags & IFF_UP);
}

/* Ask for all links or all addresses. True when the answer came to its end, with nothing in it that may not be. */
static bool ask(int fd, uint16_t type)
{
	struct {
		struct nlmsghdr head;
		struct ifinfomsg info; /* an ifaddrmsg is no longer, and both begin with the family */
	} request = {
		.head = { .nlmsg_len = sizeof(request),
			  .nlmsg_type = type,
			  .nlmsg_flags = NLM_F_REQUEST | NLM_F_DUMP },
	};
	union {
		struct nlmsghdr head;
		char bytes[16384];
	} answer;
	unsigned int n_links = 0;

	if (send(fd, &request, sizeof(request), 0) != (ssize_t)sizeof(request))
		return false;
	for (;;) {
		ssize_t n = recv(fd, &answer, sizeof(answer), 0);
		unsigned int left = n > 0 ? (unsigned int)n : 0;
		const struct nlmsghdr *msg = &answer.head;

		if (n <= 0)
			return false;
		for (; NLMSG_OK(msg, left); msg = NLMSG_NEXT(msg, left)) {
			if (msg->nlmsg_type == NLMSG_DONE)
				return type != RTM_GETLINK || n_links == 1;
			if (type != RTM_GETLINK || !is_idle_loopback(msg, n_links++))
				return false;
		}
	}
}

bool pyi_netns_is_empty(void)
{
	_cleanup_fd int fd = -1;

	if (!PYI_FAULT(160, EAFNOSUPPORT))
		fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_ROUTE);
	return fd >= 0 && ask(fd, RTM_GETLINK) && ask(fd, RTM_GETADDR);
}

/* ---------------------------------------------------------------------------------------------- the pins */

static int open_dir(bool make)
{
	int fd = PYI_FAULT(161, EACCES) ? -1 : pyi_run_dir_open(PYI_NETNS_DIR);

	if (fd >= 0 || !make || errno != ENOENT)
		return fd;
	if ((mkdir(PYI_RUN_DIR, 0700) < 0 && errno != EEXIST) ||
	    (mkdir(PYI_NETNS_DIR, 0700) < 0 && errno != EEXIST))
		return -1;
	return pyi_run_dir_open(PYI_NETNS_DIR);
}

/* The pin of this name, locked; -1 when it is none, or lent (*ret_is_lent). */
static int take(int dir_fd, const char *name, bool *ret_is_lent)
{
	_cleanup_fd int fd = -1;
	struct statfs fs;

	*ret_is_lent = false;
	if (!PYI_FAULT(162, EMFILE))
		fd = openat(dir_fd, name, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
	if (fd < 0 || fstatfs(fd, &fs) < 0 || fs.f_type != NSFS_MAGIC)
		return -1;
	if (PYI_FAULT(163, ENOLCK) || flock(fd, LOCK_EX | LOCK_NB) < 0) {
		*ret_is_lent = true;
		return -1;
	}
	return pyi_take_fd(&fd);
}

/* mount(2) takes no descriptor; the way there is root's alone. */
static void path_of(const char *name, char path[PATH_BYTES])
{
	snprintf(path, PATH_BYTES, PYI_NETNS_DIR "/%s", name);
}

static void unpin(const char *name)
{
	char path[PATH_BYTES];

	path_of(name, path);
	(void)umount2(path, MNT_DETACH | UMOUNT_NOFOLLOW);
}

/* Pin the namespace we are in, and lock it. */
static int pin(int dir_fd, const char *name)
{
	_cleanup_fd int fd = openat(dir_fd, name, O_RDONLY | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0600);
	char path[PATH_BYTES];
	struct statfs fs;
	bool is_lent;

	/* Never one over another: what could not be taken may be a pin all the same. */
	if (fd < 0 || fstatfs(fd, &fs) < 0 || fs.f_type == NSFS_MAGIC)
		return -1;
	path_of(name, path);
	if (PYI_FAULT(164, EPERM) || mount("/proc/self/ns/net", path, NULL, MS_BIND, NULL) < 0)
		return -1;
	return take(dir_fd, name, &is_lent);
}

/* Make a namespace, go there, and pin it where `name` has none. */
static bool enter_new(struct pyi_netns *netns, int dir_fd, const char *name)
{
	bool is_lent;

	if (flock(dir_fd, LOCK_EX | LOCK_NB) < 0)
		return false; /* somebody makes another one: no need to wait, the child can have its own */
	netns->lease_fd = take(dir_fd, name, &is_lent);
	if (netns->lease_fd >= 0)
		unpin(name); /* somebody else's, and not looked at */
	pyi_close_fd(&netns->lease_fd);
	if (is_lent || PYI_FAULT(165, ENOSPC) || pyi_sys_unshare(CLONE_NEWNET) < 0)
		return false;
	/* A host whose new namespaces have devices (fallback tunnels) keeps none; it is still one of our own. */
	if (pyi_netns_is_empty())
		netns->lease_fd = pin(dir_fd, name);
	return true;
}

/* The first pin that is not lent and is empty. Else the name of a place for a new one, NULL if there is none. */
static const char *enter_pinned(struct pyi_netns *netns, int dir_fd)
{
	const char *place = NULL;
	bool is_lent;

	for (size_t i = 0; i < SLOTS; i++) {
		_cleanup_fd int fd = take(dir_fd, names[i], &is_lent);

		if (fd >= 0 && !PYI_FAULT(166, EPERM) && pyi_sys_setns(fd, CLONE_NEWNET) == 0) {
			if (pyi_netns_is_empty()) {
				netns->lease_fd = pyi_take_fd(&fd);
				return names[i];
			}
			(void)pyi_sys_setns(netns->home_fd, CLONE_NEWNET);
			unpin(names[i]); /* we hold its lock: nobody is in it, and nobody will be */
		}
		if (!is_lent && !place)
			place = names[i];
	}
	return place;
}

bool pyi_netns_enter(struct pyi_netns *netns)
{
	_cleanup_fd int dir_fd = -1;
	const char *place;

	*netns = PYI_NETNS_INIT;
	dir_fd = open_dir(true);
	if (dir_fd < 0 || PYI_FAULT(167, EMFILE))
		return false;
	netns->home_fd = open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC);
	if (netns->home_fd < 0)
		return false;
	place = enter_pinned(netns, dir_fd);
	if (netns->lease_fd >= 0)
		return true;
	if (place && enter_new(netns, dir_fd, place))
		return true;
	pyi_close_fd(&netns->home_fd);
	return false;
}

int pyi_netns_leave(struct pyi_netns *netns, struct pyi_err *err)
{
	if (netns->home_fd < 0)
		return 0;
	if (PYI_FAULT(168, EPERM) || pyi_sys_setns(netns->home_fd, CLONE_NEWNET) < 0)
		return pyi_err_sys(err, errno, "cannot return to the host's network namespace");
	pyi_close_fd(&netns->home_fd);
	return 0;
}

int pyi_netns_unload(struct pyi_err *err)
{
	_cleanup_fd int dir_fd = open_dir(false);
	bool is_lent, any_lent = false;

	if (dir_fd < 0)
		return errno == ENOENT ? 0 : pyi_err_sys(err, errno, "cannot open '" PYI_NETNS_DIR "'");
	if (flock(dir_fd, LOCK_EX) < 0)
		return pyi_err_sys(err, errno, "cannot lock '" PYI_NETNS_DIR "'");
	for (size_t i = 0; i < SLOTS; i++) {
		int fd = -1;

		/* One over the other, should there ever be. */
		for (int n = 0; n < 32 && (fd = take(dir_fd, names[i], &is_lent)) >= 0; n++) {
			unpin(names[i]);
			close(fd);
		}
		any_lent |= is_lent;
		if (!is_lent)
			(void)unlinkat(dir_fd, names[i], 0);
	}
	if (any_lent)
		return pyi_err_set(err, EBUSY, "sandboxes are still running");
	if (rmdir(PYI_NETNS_DIR) < 0)
		return pyi_err_sys(err, errno, "cannot remove '" PYI_NETNS_DIR "'");
	(void)rmdir(PYI_RUN_DIR);
	return 0;
}
