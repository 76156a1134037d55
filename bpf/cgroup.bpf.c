/* SPDX-License-Identifier: (MIT OR GPL-2.0-only) */
/*
 * The cgroup programs: which addresses a sandbox may connect to, send to and bind, which sockets it may make, which
 * devices it may open. Attached once to the parent of all sandboxes and inherited by each; what one may do is found by
 * the cgroup of the calling process. Whatever is not found is denied.
 *
 * The kernel picks the program by the cgroup a socket was made in, we pick the policy by the cgroup of the caller: a
 * socket that came from elsewhere is judged by who uses it.
 */
#include "net.bpf.h"
#include "net_use.bpf.h"

#define TCP_LISTEN 10

enum { DENY = 0, ALLOW = 1 };

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct pyi_abi_meta);
} meta SEC(".maps");

static __noinline int decide(const struct target *to)
{
	const struct pyi_abi_net_range *range = 0;
	struct subject who = {};
	__u8 contract;

	if (!to)
		return DENY;
	if (find_subject(&who))
		range = find_range(&who, to);
	contract = ask_contracts(&who, to, range != 0);
	if (range && !range->is_warn && !contract)
		return ALLOW;
	record_target(&who, to, range && !contract, range ? range->rule : PYI_EVENT_NO_RULE, contract);
	return range && !contract ? ALLOW : DENY;
}

/* Bit of pyi_abi_net_range.uses, 0 for a socket that is neither. MPTCP and SCTP never get here: see on_socket. */
static __always_inline __u8 use_of(const struct bpf_sock_addr *ctx, __u8 tcp, __u8 udp)
{
	if (ctx->type == SOCK_STREAM && ctx->protocol == IPPROTO_TCP)
		return tcp;
	if (ctx->type == SOCK_DGRAM && ctx->protocol == IPPROTO_UDP)
		return udp;
	return 0;
}

static __always_inline int check4(const struct bpf_sock_addr *ctx, __u8 tcp, __u8 udp, __u8 ev)
{
	struct target to = {
		.addr = { 0, 0, bpf_htonl(0xffff), ctx->user_ip4 },
		.port = bpf_ntohs((__u16)ctx->user_port),
		.use = use_of(ctx, tcp, udp),
		.family = AF_INET,
		.event = ev,
	};

	/* Connecting to 0.0.0.0 reaches this host. */
	if (!to.addr[3] && tcp == PYI_USE_CONNECT_TCP)
		to.addr[3] = bpf_htonl(LOOPBACK4);
	return decide(&to);
}

static __always_inline int check6(const struct bpf_sock_addr *ctx, __u8 tcp, __u8 udp, __u8 ev)
{
	struct target to = {
		.addr = { ctx->user_ip6[0], ctx->user_ip6[1], ctx->user_ip6[2], ctx->user_ip6[3] },
		.port = bpf_ntohs((__u16)ctx->user_port),
		.use = use_of(ctx, tcp, udp),
		.family = AF_INET6,
		.event = ev,
	};

	if (to.addr[0] | to.addr[1] || to.addr[3] || tcp != PYI_USE_CONNECT_TCP)
		return decide(&to);
	if (to.addr[2] == bpf_htonl(0xffff)) {
		to.addr[3] = bpf_htonl(LOOPBACK4);
		return decide(&to);
	}
	if (to.addr[2])
		return decide(&to);
	/* "::" is ::1, or 127.0.0.1 for a socket that is bound to an IPv4 address: it must be allowed either way. */
	to.addr[3] = bpf_htonl(1);
	to.is_part = 1;
	if (decide(&to) == DENY)
		return DENY;
	to.is_part = 0;
	to.addr[2] = bpf_htonl(0xffff);
	to.addr[3] = bpf_htonl(LOOPBACK4);
	return decide(&to);
}

SEC("cgroup/connect4")
int on_connect4(struct bpf_sock_addr *ctx)
{
	return check4(ctx, PYI_USE_CONNECT_TCP, PYI_USE_CONNECT_UDP, PYI_EV_CONNECT);
}

SEC("cgroup/connect6")
int on_connect6(struct bpf_sock_addr *ctx)
{
	return check6(ctx, PYI_USE_CONNECT_TCP, PYI_USE_CONNECT_UDP, PYI_EV_CONNECT);
}

SEC("cgroup/sendmsg4")
int on_sendmsg4(struct bpf_sock_addr *ctx)
{
	return check4(ctx, PYI_USE_CONNECT_TCP, PYI_USE_CONNECT_UDP, PYI_EV_SEND);
}

SEC("cgroup/sendmsg6")
int on_sendmsg6(struct bpf_sock_addr *ctx)
{
	return check6(ctx, PYI_USE_CONNECT_TCP, PYI_USE_CONNECT_UDP, PYI_EV_SEND);
}

SEC("cgroup/bind4")
int on_bind4(struct bpf_sock_addr *ctx)
{
	return check4(ctx, PYI_USE_BIND_TCP, PYI_USE_BIND_UDP, PYI_EV_BIND);
}

SEC("cgroup/bind6")
int on_bind6(struct bpf_sock_addr *ctx)
{
	return check6(ctx, PYI_USE_BIND_TCP, PYI_USE_BIND_UDP, PYI_EV_BIND);
}

SEC("cgroup/sock_create")
int on_socket(struct bpf_sock *ctx)
{
	struct pyi_abi_event event = { .op = PYI_EVENT_SOCKET };
	__u32 type = ctx->type, protocol = ctx->protocol, flag = 0;
	struct subject who = {};
	int is_allowed;

	if (type == SOCK_STREAM && protocol == IPPROTO_TCP)
		flag = PYI_ASSIGN_TCP;
	else if (type == SOCK_DGRAM && protocol == IPPROTO_UDP)
		flag = PYI_ASSIGN_UDP;
	is_allowed = find_subject(&who) && who.flags & flag;
	event.contract = ask_about_socket(&who, is_allowed);
	if (is_allowed && !event.contract)
		return ALLOW;
	event.family = (__u8)ctx->family;
	event.proto = flag == PYI_ASSIGN_TCP ? 1 : flag == PYI_ASSIGN_UDP ? 2 : 0;
	event.port = (__u16)type;
	event.rule = (__u16)protocol;
	event.era = era_of(&who);
	event.pid = current_pid();
	record(who.cgroup, &event, 0);
	return DENY;
}

SEC("cgroup/dev")
int on_device(struct bpf_cgroup_dev_ctx *ctx)
{
	struct pyi_abi_event event = { .op = PYI_EVENT_DEVICE, .rule = PYI_EVENT_NO_RULE };
	__u32 type = ctx->access_type & 0xffff, access = ctx->access_type >> 16;
	__u32 detail[4] = { ctx->major, ctx->minor, access, 0 };
	struct subject who = {};

	/* null, zero, full, random, urandom: to read and write, not to make. */
	if (find_subject(&who) && type == BPF_DEVCG_DEV_CHAR && !(access & BPF_DEVCG_ACC_MKNOD) &&
	    detail[0] == 1 &&
	    (detail[1] == 3 || detail[1] == 5 || detail[1] == 7 || detail[1] == 8 || detail[1] == 9))
		return ALLOW;
	event.family = (__u8)type;
	event.pid = current_pid();
	__builtin_memcpy(event.addr, detail, sizeof(event.addr));
	record(who.cgroup, &event, 0);
	return DENY;
}

/*
 * listen(2) on a socket that was never bound takes a port of the kernel's choice on every address, and no hook sees
 * it. So a connection from outside reaches a listening socket only if binding it to where it is would have been
 * allowed. All other packets are only counted. Not in the context of the sandbox: the socket says whose it is.
 */
SEC("cgroup_skb/ingress")
int on_ingress(struct __sk_buff *skb)
{
	struct pyi_abi_event event = { .op = PYI_EVENT_BIND, .proto = 1, .rule = PYI_EVENT_NO_RULE };
	struct target to = { .use = PYI_USE_BIND_TCP };
	struct bpf_sock *sk = skb->sk;
	struct subject who = {};
	int found;
	__u32 ip4;

	sk = sk ? bpf_sk_fullsock(sk) : 0;
	if (!sk || sk->state != TCP_LISTEN || sk->protocol != IPPROTO_TCP)
		return count_packet(skb, 0) == NET_PASS ? ALLOW : DENY;
	who.cgroup = bpf_skb_cgroup_id(skb);
	found = copy_assignment(who.cgroup, &who);
	for (int level = 1; !found && level < LEVELS_MAX; level++) {
		who.cgroup = bpf_skb_ancestor_cgroup_id(skb, level);
		if (!who.cgroup)
			return DENY;
		found = copy_assignment(who.cgroup, &who);
	}
	if (!found || !(who.flags & PYI_ASSIGN_READY))
		return DENY;
	to.port = (__u16)sk->src_port;
	/* Loaded before the branch: the verifier has no use for a load whose address depends on the family. */
	ip4 = sk->src_ip4;
	asm volatile("" : "+r"(ip4));
	if (sk->family == AF_INET) {
		to.addr[2] = bpf_htonl(0xffff);
		to.addr[3] = ip4;
	} else {
		to.addr[0] = sk->src_ip6[0];
		to.addr[1] = sk->src_ip6[1];
		to.addr[2] = sk->src_ip6[2];
		to.addr[3] = sk->src_ip6[3];
	}
	if (find_range(&who, &to))
		return ALLOW;
	event.port = to.port;
	/* Who may bind port 0 may have any port. */
	to.port = 0;
	if (find_range(&who, &to))
		return ALLOW;
	event.family = (__u8)sk->family;
	__builtin_memcpy(event.addr, to.addr, sizeof(event.addr));
	record(who.cgroup, &event, 0);
	return DENY;
}

char _license[] SEC("license") = "Dual MIT/GPL";
