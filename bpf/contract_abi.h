/* SPDX-License-Identifier: (MIT OR GPL-2.0-only) */
/*
 * Contracts as the programs evaluate them: byte code, what is counted, and the evaluator itself, one text for the
 * kernel, the compiler's tests and the fuzzer. Part of pyi_abi.h.
 *
 * A contract is an invariant: it holds before anything has happened, and what would break it is denied. It is evaluated
 * when something happens that it speaks of, with that event counted already.
 *
 * Every comparison is "sum of coefficient * value, compared with a constant". An operation adds one term to the
 * accumulator; the last one of a comparison also compares, clears the accumulator and goes on at one of two places
 * further down. So there are no loops and no stack, 32 operations bound the work, and `and`, `or` and `not` are jumps.
 */
#ifndef PYI_CONTRACT_ABI_H
#define PYI_CONTRACT_ABI_H

#include <linux/bpf.h>
#include <linux/types.h>

/* What can happen: bit numbers, and at the same time the places of the counters in `values`. */
enum {
	PYI_EV_CONNECT, /* connect(2), TCP or UDP, that the rules allow */
	PYI_EV_SEND,	/* a datagram to an address of its own */
	PYI_EV_BIND,
	PYI_EV_SOCKET,	   /* a TCP or UDP socket is made */
	PYI_EV_NET_DENIED, /* a rule refused one of these */
	PYI_EV_OPEN,
	PYI_EV_WRITE, /* an open for writing; an OPEN too */
	PYI_EV_CREATE,
	PYI_EV_DELETE,
	PYI_EV_FS_DENIED,
	PYI_EV_EXEC,
	PYI_EV_EXEC_DENIED,
	PYI_EV_BYTES_WRITTEN, /* of regular files; these two count as much as the call is about */
	PYI_EV_BYTES_READ,
	PYI_EV_MAX = 16,
};

#define PYI_EV_BIT(ev)	 (1u << (ev))
#define PYI_EV_NET_CALLS (0xfu << PYI_EV_CONNECT)
#define PYI_EV_NET_ALL	 (0x1fu << PYI_EV_CONNECT)
#define PYI_EV_FS_CALLS	 (0xfu << PYI_EV_OPEN)
#define PYI_EV_FS_ALL	 (0x1fu << PYI_EV_OPEN)
#define PYI_EV_EXEC_ALL	 (0x3u << PYI_EV_EXEC)
/* What the programs of bytes.bpf.c count, which are there while a contract speaks of it. */
#define PYI_EV_BYTES (PYI_EV_BIT(PYI_EV_BYTES_WRITTEN) | PYI_EV_BIT(PYI_EV_BYTES_READ))
/* What the LSM programs count. */
#define PYI_EV_LSM (PYI_EV_FS_ALL | PYI_EV_EXEC_ALL | PYI_EV_BYTES)
/* These have happened all the same when a contract forbids them. */
#define PYI_EV_DENIALS \
	(PYI_EV_BIT(PYI_EV_NET_DENIED) | PYI_EV_BIT(PYI_EV_FS_DENIED) | PYI_EV_BIT(PYI_EV_EXEC_DENIED))
/* Further places in `values`. */
enum {
	PYI_VALUE_SLOTS = 32, /* counters with a pattern */
	PYI_VALUE_ELAPSED = 48, /* milliseconds since the sandbox was made; set before each evaluation */
	PYI_VALUE_PORT = 49, /* of this event's address, 0 without one; the same */
	PYI_VALUES = 64,
};

enum {
	PYI_CONTRACT_OPS = 32,	 /* of all contracts of a policy */
	PYI_CONTRACT_SLOTS = 16, /* counters with a pattern */
	PYI_CONTRACT_NETS = 16,	 /* their addresses and prefixes */
	PYI_CONTRACT_BROKEN = 0xff,
	PYI_CONTRACT_LOST = 0xff, /* instead of a contract: the rows that should be there are not */
};

/* What is larger counts as this; the compiler sees to it that no sum of such values leaves 63 bits. */
#define PYI_CONTRACT_VALUE_MAX (1ll << 48)

enum { PYI_REL_NONE, PYI_REL_LE, PYI_REL_GE, PYI_REL_EQ, PYI_REL_NE };

struct pyi_abi_contract_op {
	__u8 field;   /* place in `values` */
	__u8 rel;     /* PYI_REL_NONE: add the term and go on */
	__u8 on_true; /* the operation to go on with, further down, or PYI_CONTRACT_BROKEN */
	__u8 on_false;
	__u16 events;  /* the contract's; at others it is passed over */
	__u8 contract; /* whose operation it is, for the record */
	__u8 zero;
	__s64 coef;
	__s64 constant;
};

/* One prefix of a counter with an address. */
struct pyi_abi_contract_net {
	__u32 addr[4]; /* network order, IPv4 as ::ffff:a.b.c.d */
	__u32 mask[4];
	__u16 port_min; /* host order, both ends included */
	__u16 port_max;
	__u8 slot;
	__u8 protos; /* 1 TCP, 2 UDP */
	__u16 zero;
};

/* contract_code: HASH, body → the contracts of a policy. */
struct pyi_abi_contract_code {
	__u32 n_ops;
	__u32 events; /* of all contracts */
	__u32 n_nets;
	__u32 is_final; /* after the first break nothing is allowed any more: the sandbox is being ended */
	__u16 slot_events[PYI_CONTRACT_SLOTS]; /* what each counter with a pattern counts; 0: not in use */
	struct pyi_abi_contract_op ops[PYI_CONTRACT_OPS];
	struct pyi_abi_contract_net nets[PYI_CONTRACT_NETS];
};

/*
 * Where the evaluator keeps what changes from one operation to the next. In memory, and volatile, so that the kernel's
 * verifier knows nothing of it: in registers it would follow each value they can have through all that is left.
 */
struct pyi_abi_contract_scratch {
	__s64 sum;
	__u32 next;
	__u32 slots; /* the patterns that match, a bit each */
};

/*
 * contract_state: HASH, v2 cgroup id → what is counted for the contracts of a sandbox. Under its lock an event is
 * counted, judged, and taken back when it is denied: so of any number of threads exactly as many get through as a
 * contract lets, and none is denied for what another one was about to do.
 */
struct pyi_abi_contract_state {
	struct bpf_spin_lock lock;
	__u32 broken_by; /* 1 + the first contract that was broken; 0: none */
	__u64 broken;	 /* how often */
	__u64 start_ns;	 /* of CLOCK_MONOTONIC */
	struct pyi_abi_contract_scratch scratch;
	__s64 values[PYI_VALUES];
};

/* The contract that does not hold with these values, or -1. */
static inline __attribute__((always_inline)) int pyi_contract_eval(
	const struct pyi_abi_contract_code *code, const __s64 *values, __u32 happened,
	volatile struct pyi_abi_contract_scratch *s)
{
	s->sum = 0;
	s->next = 0;
#ifdef __bpf__
#pragma clang loop unroll(disable)
#endif
	for (__u32 i = 0; i < PYI_CONTRACT_OPS; i++) {
		const struct pyi_abi_contract_op *op = &code->ops[i];
		__s64 value, sum;
		__u32 next;
		int holds;

		if (i >= code->n_ops)
			break;
		if (i < s->next || !(op->events & happened))
			continue;
		value = values[op->field & (PYI_VALUES - 1)];
		if (value > PYI_CONTRACT_VALUE_MAX)
			value = PYI_CONTRACT_VALUE_MAX;
		sum = s->sum + value * op->coef;
		s->sum = op->rel == PYI_REL_NONE ? sum : 0;
		if (op->rel == PYI_REL_NONE)
			continue;
		holds = op->rel == PYI_REL_LE	? sum <= op->constant
			: op->rel == PYI_REL_GE ? sum >= op->constant
			: op->rel == PYI_REL_EQ ? sum == op->constant
						: sum != op->constant;
		next = holds ? op->on_true : op->on_false;
		if (next == PYI_CONTRACT_BROKEN)
			return op->contract;
		s->next = next;
	}
	return -1;
}

_Static_assert(sizeof(struct pyi_abi_contract_state) == 40 + 8 * PYI_VALUES, "contract state");
_Static_assert(sizeof(struct pyi_abi_contract_op) == 24, "contract operation");
_Static_assert(sizeof(struct pyi_abi_contract_net) == 40, "contract prefix");
_Static_assert(sizeof(struct pyi_abi_contract_code) ==
		       16 + 2 * PYI_CONTRACT_SLOTS + 24 * PYI_CONTRACT_OPS + 40 * PYI_CONTRACT_NETS,
	       "contract code");

#endif
