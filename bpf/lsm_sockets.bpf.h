/* SPDX-License-Identifier: (MIT OR GPL-2.0-only) */
/*
 * Sockets, by the same rows as the cgroup programs, which decide again further down. Warnings are left to those: each
 * is to be recorded once. Unix sockets may be made in pairs and are not for reaching anything.
 */
#ifndef PYI_LSM_SOCKETS_BPF_H
#define PYI_LSM_SOCKETS_BPF_H

#include "lsm_common.bpf.h"

#define AF_UNSPEC 0
#define AF_UNIX	  1

static __noinline int refuse_socket(const struct subject *who, __u8 family, __u16 type, __u16 protocol)
{
	struct pyi_abi_event event = {
		.op = PYI_EVENT_SOCKET, .family = family, .port = type, .rule = protocol
	};

	if (!who)
		return deny();
	if (type == SOCK_STREAM && (!protocol || protocol == IPPROTO_TCP))
		event.proto = 1;
	else if (type == SOCK_DGRAM && (!protocol || protocol == IPPROTO_UDP))
		event.proto = 2;
	if (family != AF_INET && family != AF_INET6)
		event.proto = 0;
	event.contract = ask_about_socket(who, 0);
	event.era = era_of(who);
	event.pid = current_pid();
	record(who->cgroup, &event, 0);
	return deny();
}

SEC("lsm/socket_create")
int BPF_PROG(on_socket_create, int family, int type, int protocol, int kern)
{
	struct subject who = {};
	enum entry entry;
	__u32 flag = 0;

	if (kern)
		return 0;
	entry = enter(&who);
	if (entry == PASS || (entry == JUDGE && family == AF_UNIX))
		return 0;
	if (family == AF_INET || family == AF_INET6) {
		if (type == SOCK_STREAM && (!protocol || protocol == IPPROTO_TCP))
			flag = PYI_ASSIGN_TCP;
		else if (type == SOCK_DGRAM && (!protocol || protocol == IPPROTO_UDP))
			flag = PYI_ASSIGN_UDP;
	}
	if (entry == JUDGE && who.flags & flag)
		return 0;
	return refuse_socket(&who, (__u8)family, (__u16)type, (__u16)protocol);
}

static __noinline int is_allowed(const struct subject *who, const struct target *to)
{
	if (!who || !to)
		return 0;
	if (find_range(who, to))
		return 1;
	record_target(who, to, 0, PYI_EVENT_NO_RULE, ask_contracts(who, to, 0));
	return 0;
}

static __always_inline int is_any(const struct target *to)
{
	return !to->addr[0] && !to->addr[1] && !to->addr[3] &&
	       (!to->addr[2] || to->addr[2] == bpf_htonl(0xffff));
}

/* What is connected to "any" is this host: ::1, or 127.0.0.1, which must both be allowed where it may be either. */
static __always_inline int check_any(const struct subject *who, struct target *to)
{
	int may_be_v6 = !to->addr[2];

	if (may_be_v6) {
		to->addr[3] = bpf_htonl(1);
		if (!is_allowed(who, to))
			return 0;
	}
	to->addr[2] = bpf_htonl(0xffff);
	to->addr[3] = bpf_htonl(LOOPBACK4);
	return is_allowed(who, to);
}

/* The address is the kernel's copy. `tcp` is the use of a stream, `udp` that of a datagram socket. */
static __always_inline int check_address(struct socket *sock, const void *address, __u8 tcp, __u8 udp)
{
	struct subject who = {};
	struct target to = {};
	enum entry entry = enter(&who);
	struct sock *sk = sock ? sock->sk : 0;
	__u16 family = 0, sock_family;

	if (entry == PASS)
		return 0;
	if (!sock || !sk || !address)
		return refuse_socket(&who, AF_UNSPEC, 0, 0);
	bpf_probe_read_kernel(&family, sizeof(family), address);
	sock_family = sk->__sk_common.skc_family;
	if (entry == REFUSE || (sock_family != AF_INET && sock_family != AF_INET6))
		return refuse_socket(&who, (__u8)sock_family, (__u16)sock->type, 0);
	to.use = sock->type == SOCK_STREAM && sk->sk_protocol == IPPROTO_TCP  ? tcp
		 : sock->type == SOCK_DGRAM && sk->sk_protocol == IPPROTO_UDP ? udp
									      : 0;
	to.family = (__u8)sock_family;
	if (family == AF_INET6) {
		struct sockaddr_in6 in6 = {};

		bpf_probe_read_kernel(&in6, sizeof(in6), address);
		__builtin_memcpy(to.addr, in6.address, sizeof(to.addr));
		to.port = bpf_ntohs(in6.port);
	} else {
		/* AF_UNSPEC is IPv4 to some calls. */
		struct sockaddr_in in = {};

		bpf_probe_read_kernel(&in, sizeof(in), address);
		to.addr[2] = bpf_htonl(0xffff);
		to.addr[3] = in.address;
		to.port = bpf_ntohs(in.port);
	}
	if (tcp == PYI_USE_CONNECT_TCP && is_any(&to))
		return check_any(&who, &to) ? 0 : deny();
	return is_allowed(&who, &to) ? 0 : deny();
}

SEC("lsm/socket_connect")
int BPF_PROG(on_socket_connect, struct socket *sock, struct sockaddr *address)
{
	__u16 family = AF_INET;

	if (!is_ours())
		return 0;
	bpf_probe_read_kernel(&family, sizeof(family), address);
	/* Taking a connection back. */
	if (family == AF_UNSPEC)
		return 0;
	return check_address(sock, address, PYI_USE_CONNECT_TCP, PYI_USE_CONNECT_UDP);
}

SEC("lsm/socket_bind")
int BPF_PROG(on_socket_bind, struct socket *sock, struct sockaddr *address)
{
	return check_address(sock, address, PYI_USE_BIND_TCP, PYI_USE_BIND_UDP);
}

SEC("lsm/socket_sendmsg")
int BPF_PROG(on_socket_sendmsg, struct socket *sock, struct msghdr *msg)
{
	if (!msg->msg_name || msg->msg_namelen <= 0)
		return 0;
	return check_address(sock, msg->msg_name, PYI_USE_CONNECT_TCP, PYI_USE_CONNECT_UDP);
}

/* A socket that was never bound gets a port of the kernel's choice, on every address. */
SEC("lsm/socket_listen")
int BPF_PROG(on_socket_listen, struct socket *sock)
{
	struct target to = { .use = PYI_USE_BIND_TCP };
	struct subject who = {};
	struct sock *sk = sock->sk;
	enum entry entry = enter(&who);
	__u16 family;

	if (entry == PASS || (entry == JUDGE && sk && sk->__sk_common.skc_num))
		return 0;
	family = sk ? sk->__sk_common.skc_family : AF_UNSPEC;
	to.family = (__u8)family;
	if (family == AF_INET)
		to.addr[2] = bpf_htonl(0xffff);
	if (entry == JUDGE && (family == AF_INET || family == AF_INET6) && is_allowed(&who, &to))
		return 0;
	return deny();
}

#endif
