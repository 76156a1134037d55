/* SPDX-License-Identifier: MIT */
/*
 * Build the system call filter from its table, and install it.
 *
 * The program: check the architecture, refuse x32, then a balanced tree of JGE over the call numbers. Neighbouring
 * numbers with the same answer are one leaf, so a decision takes about seven jumps; and since only plain loads, jumps
 * and returns are used, the kernel works out in advance which calls are allowed whatever their arguments are and
 * does not run the filter for them at all (kernel/seccomp.c, seccomp_cache_prepare).
 *
 * A start pays for the filter's length, a tenth of a microsecond for each instruction. So the tree is laid out from its
 * end: what is jumped to is there already, and leaves that are plain answers share one return among many.
 *
 * Arguments are looked at as 32 bits: everything checked here (flags, modes, domains, ioctl and prctl numbers, pids)
 * is an int or unsigned int to the kernel, which drops the upper half; a filter that compared 64 bits could be passed
 * by setting one of the upper bits.
 */
#include "kernel/seccomp.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/audit.h>
#include <linux/fs.h>
#include <linux/sched.h>
#include <linux/seccomp.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/err.h"
#include "base/fault.h"
#include "base/util.h"
#include "kernel/seccomp_table.h"

/* Bit 30 of a call number marks the x32 ABI. */
#define X32_BIT 0x40000000U

/* What the kernel calls __O_TMPFILE: O_TMPFILE without O_DIRECTORY. */
#define TMPFILE_BIT 020000000U

#define SET_ID_BITS (S_ISUID | S_ISGID)

/* CLONE_NEWTIME shares its bit with the exit signal here and works with clone3 only. */
#define CLONE_REFUSED                                                                  \
	(CLONE_NEWNS | CLONE_NEWCGROUP | CLONE_NEWUTS | CLONE_NEWIPC | CLONE_NEWUSER | \
	 CLONE_NEWPID | CLONE_NEWNET | CLONE_PARENT | CLONE_PTRACE | CLONE_UNTRACED)

enum { LEAF_MAX = 128, ANSWERS_MAX = 64, REACH = 200 };

/* A leaf, from its beginning: no jump leaves it, and every way through it ends in a return. */
struct build {
	const struct pyi_seccomp_spec *spec;
	struct sock_filter insns[LEAF_MAX];
	size_t n;
	bool is_full;
};

/* The program, from its end: insns[first] and what follows are there. */
struct program {
	struct sock_filter *insns;
	size_t first;
	struct answer {
		uint32_t action;
		size_t at; /* the nearest return of it */
	} answers[ANSWERS_MAX];
	size_t n_answers;
	struct build leaf;
	bool is_full;
};

/* A run of call numbers with one answer, from `start` to the next run's start. */
struct run {
	uint16_t start;
	uint8_t class;
	uint8_t arg;
};

static void emit(struct build *b, uint16_t code, uint32_t k, size_t jt, size_t jf)
{
	if (b->n >= LEAF_MAX || jt > UINT8_MAX || jf > UINT8_MAX) {
		b->is_full = true;
		return;
	}
	b->insns[b->n++] = (struct sock_filter){ code, (uint8_t)jt, (uint8_t)jf, k };
}

static void ret(struct build *b, uint32_t action)
{
	emit(b, BPF_RET | BPF_K, action, 0, 0);
}

static uint32_t soft(unsigned int errnum)
{
	return SECCOMP_RET_ERRNO | (errnum & SECCOMP_RET_DATA);
}

static uint32_t hard(const struct build *b, unsigned int errnum)
{
	return b->spec->kill ? SECCOMP_RET_KILL_PROCESS : soft(errnum);
}

static void ret_allow(struct build *b)
{
	ret(b, SECCOMP_RET_ALLOW);
}

static void ret_deny(struct build *b)
{
	ret(b, hard(b, EPERM));
}

/* The low half of an argument into the accumulator. x86-64 is little endian. */
static void load_arg(struct build *b, unsigned int arg)
{
	emit(b, BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, args) + 8 * arg, 0, 0);
}

/* If the accumulator equals k: answer. Else go on. */
static void if_equal(struct build *b, uint32_t k, uint32_t action)
{
	emit(b, BPF_JMP | BPF_JEQ | BPF_K, k, 0, 1);
	ret(b, action);
}

/* If the accumulator has any of these bits: answer. Else go on. */
static void if_any(struct build *b, uint32_t bits, uint32_t action)
{
	emit(b, BPF_JMP | BPF_JSET | BPF_K, bits, 0, 1);
	ret(b, action);
}

/* If the accumulator is in the list: answer. Else go on. */
static void if_listed(struct build *b, const uint32_t *v, size_t n, uint32_t action)
{
	for (size_t i = 0; i < n; i++)
		emit(b, BPF_JMP | BPF_JEQ | BPF_K, v[i], n - 1 - i, i + 1 == n);
	ret(b, action);
}

static void check_no_bits(struct build *b, unsigned int arg, uint32_t bits)
{
	load_arg(b, arg);
	if_any(b, bits, hard(b, EPERM));
	ret_allow(b);
}

static void check_zero(struct build *b, unsigned int arg)
{
	load_arg(b, arg);
	if_equal(b, 0, SECCOMP_RET_ALLOW);
	ret_deny(b);
}

/*
 * A limit of one byte on core files is what keeps the host's crash handler from being started for the guest (core(5):
 * with a core_pattern that is a pipe, 0 does not), as root and with the guest's memory for input. Programs that set
 * it to 0 are told that they have.
 */
static void check_rlimit(struct build *b, unsigned int resource_arg)
{
	if (resource_arg > 0) {
		load_arg(b, resource_arg - 1);
		emit(b, BPF_JMP | BPF_JEQ | BPF_K, 0, 1, 0);
		ret_deny(b);
	}
	load_arg(b, resource_arg);
	emit(b, BPF_JMP | BPF_JEQ | BPF_K, RLIMIT_CORE, 1, 0);
	ret_allow(b);
	if (resource_arg > 0) {
		/* Both halves of the pointer to the new limit are 0: it only asks. */
		load_arg(b, resource_arg + 1);
		emit(b, BPF_JMP | BPF_JEQ | BPF_K, 0, 0, 3);
		emit(b, BPF_LD | BPF_W | BPF_ABS,
		     offsetof(struct seccomp_data, args) + 8 * (resource_arg + 1) + 4, 0, 0);
		emit(b, BPF_JMP | BPF_JEQ | BPF_K, 0, 0, 1);
		ret_allow(b);
	}
	ret(b, soft(0));
}

/*
 * The mode counts only where a file may be made; without, libraries leave rubbish in that register. Without
 * namespaces also refuse to empty a file that is opened without write access: Landlock before ABI 3 does not see it.
 */
static void check_open(struct build *b, unsigned int flags_arg)
{
	load_arg(b, flags_arg);
	if (!b->spec->namespaces) {
		emit(b, BPF_JMP | BPF_JSET | BPF_K, O_TRUNC, 0, 5);
		emit(b, BPF_ALU | BPF_AND | BPF_K, O_ACCMODE, 0, 0);
		emit(b, BPF_JMP | BPF_JEQ | BPF_K, O_WRONLY, 2, 0);
		emit(b, BPF_JMP | BPF_JEQ | BPF_K, O_RDWR, 1, 0);
		ret_deny(b);
		load_arg(b, flags_arg);
	}
	emit(b, BPF_JMP | BPF_JSET | BPF_K, O_CREAT | TMPFILE_BIT, 1, 0);
	ret_allow(b);
	check_no_bits(b, flags_arg + 1, SET_ID_BITS);
}

static void check_mknod(struct build *b, unsigned int mode_arg)
{
	static const uint32_t kinds[] = { 0, S_IFREG, S_IFIFO, S_IFSOCK };

	load_arg(b, mode_arg);
	if_any(b, SET_ID_BITS, hard(b, EPERM));
	emit(b, BPF_ALU | BPF_AND | BPF_K, S_IFMT, 0, 0);
	if_listed(b, kinds, PYI_ARRAY_SIZE(kinds), SECCOMP_RET_ALLOW);
	ret_deny(b);
}

static void check_priority(struct build *b)
{
	if (!b->spec->namespaces) {
		load_arg(b, 0);
		emit(b, BPF_JMP | BPF_JEQ | BPF_K, PRIO_PROCESS, 1, 0);
		ret_deny(b);
		check_zero(b, 1);
		return;
	}
	ret_allow(b);
}

/* One kind of internet socket: its type is in the accumulator. */
static void check_inet_type(struct build *b, uint32_t type, uint32_t protocol, uint32_t refusal,
			    bool allowed)
{
	if (!allowed) {
		if_equal(b, type, refusal);
		return;
	}
	emit(b, BPF_JMP | BPF_JEQ | BPF_K, type, 0, 5);
	load_arg(b, 2);
	emit(b, BPF_JMP | BPF_JEQ | BPF_K, 0, 1, 0);
	emit(b, BPF_JMP | BPF_JEQ | BPF_K, protocol, 0, 1);
	ret_allow(b);
	/* MPTCP, SCTP, UDP-Lite, ping: what the TCP and UDP rules cannot see. */
	ret(b, soft(EPROTONOSUPPORT));
}

/*
 * Libraries make Unix and netlink sockets to ask name services and route tables, and datagram sockets to sort
 * addresses, and do without when refused: these never kill.
 */
static void check_socket(struct build *b)
{
	const struct pyi_seccomp_spec *spec = b->spec;

	load_arg(b, 0);
	if_equal(b, AF_UNIX, soft(EPERM));
	if_equal(b, AF_NETLINK, soft(EPERM));
	emit(b, BPF_JMP | BPF_JEQ | BPF_K, AF_INET, 2, 0);
	emit(b, BPF_JMP | BPF_JEQ | BPF_K, AF_INET6, 1, 0);
	ret(b, hard(b, EAFNOSUPPORT));
	load_arg(b, 1);
	emit(b, BPF_ALU | BPF_AND | BPF_K, ~(uint32_t)(SOCK_CLOEXEC | SOCK_NONBLOCK), 0, 0);
	check_inet_type(b, SOCK_STREAM, IPPROTO_TCP, hard(b, EPERM), spec->net_tcp);
	check_inet_type(b, SOCK_DGRAM, IPPROTO_UDP, soft(EPERM), spec->net_udp);
	ret_deny(b);
}

/* No datagram pairs: an end of one can be connected to any other Unix socket that has a name. */
static void check_socketpair(struct build *b)
{
	static const uint32_t types[] = { SOCK_STREAM, SOCK_SEQPACKET };

	load_arg(b, 0);
	emit(b, BPF_JMP | BPF_JEQ | BPF_K, AF_UNIX, 1, 0);
	ret(b, hard(b, EAFNOSUPPORT));
	load_arg(b, 1);
	emit(b, BPF_ALU | BPF_AND | BPF_K, ~(uint32_t)(SOCK_CLOEXEC | SOCK_NONBLOCK), 0, 0);
	if_listed(b, types, PYI_ARRAY_SIZE(types), SECCOMP_RET_ALLOW);
	ret_deny(b);
}

/*
 * Per level: load the option, compare with the level's list; a level's block ends in a return. The levels of sockets
 * that cannot be made are left out.
 */
static void check_setsockopt(struct build *b)
{
	for (size_t i = 0; i < pyi_sc_n_sockopts; i++) {
		const struct pyi_sc_sockopts *level = &pyi_sc_sockopts[i];

		if (level->level != SOL_SOCKET && !b->spec->net_tcp && !b->spec->net_udp)
			continue;
		load_arg(b, 1);
		emit(b, BPF_JMP | BPF_JEQ | BPF_K, level->level, 0, level->n + 3);
		load_arg(b, 2);
		if_listed(b, level->v, level->n, SECCOMP_RET_ALLOW);
		ret(b, soft(ENOPROTOOPT));
	}
	ret(b, soft(ENOPROTOOPT));
}

static void check_ioctl(struct build *b)
{
	load_arg(b, 1);
	if_listed(b, pyi_sc_ioctls, pyi_sc_n_ioctls, SECCOMP_RET_ALLOW);
	if_listed(b, pyi_sc_ioctls_hostile, pyi_sc_n_ioctls_hostile, hard(b, EPERM));
	ret(b, soft(ENOTTY));
}

/* A lease on one of the invoker's files would stop others from opening it. */
static void check_fcntl(struct build *b)
{
	load_arg(b, 1);
	if_equal(b, F_SETLEASE, soft(EPERM));
	ret_allow(b);
}

static void check_prctl(struct build *b)
{
	load_arg(b, 0);
	if_listed(b, pyi_sc_prctls, pyi_sc_n_prctls, SECCOMP_RET_ALLOW);
	ret_deny(b);
}

/* Ask, or set what is set already. */
static void check_personality(struct build *b)
{
	load_arg(b, 0);
	if_equal(b, UINT32_MAX, SECCOMP_RET_ALLOW);
	if_equal(b, 0, SECCOMP_RET_ALLOW);
	ret_deny(b);
}

static void allow_if(struct build *b, bool condition)
{
	if (condition)
		ret_allow(b);
	else
		ret_deny(b);
}

static void emit_leaf(struct build *b, const struct run *run)
{
	const struct pyi_seccomp_spec *spec = b->spec;

	switch ((enum pyi_sc_class)run->class) {
	case PYI_SC_ALLOW:
		return ret_allow(b);
	case PYI_SC_ERRNO:
		return ret(b, soft(run->arg));
	case PYI_SC_EXEC:
		return allow_if(b, spec->exec);
	case PYI_SC_NO_EXEC:
		return ret(b, spec->exec ? soft(EPERM) : SECCOMP_RET_ALLOW);
	case PYI_SC_NET:
		return allow_if(b, spec->net_tcp || spec->net_udp);
	case PYI_SC_LISTEN:
		return allow_if(b, spec->net_listen);
	case PYI_SC_LINK:
		return ret(b, spec->make_links ? SECCOMP_RET_ALLOW : soft(EPERM));
	case PYI_SC_OWN:
		return ret(b, spec->namespaces ? SECCOMP_RET_ALLOW : soft(EPERM));
	case PYI_SC_AFFINITY:
		if (spec->keeps_cpus)
			return ret(b, soft(EPERM));
		return spec->namespaces ? ret_allow(b) : check_zero(b, run->arg);
	case PYI_SC_SELF:
		return spec->namespaces ? ret_allow(b) : check_zero(b, run->arg);
	case PYI_SC_ZERO:
		return check_zero(b, run->arg);
	case PYI_SC_RLIMIT:
		return check_rlimit(b, run->arg);
	case PYI_SC_CHMOD:
		if (!spec->namespaces)
			return ret(b, soft(EPERM));
		return check_no_bits(b, run->arg, SET_ID_BITS);
	case PYI_SC_MODE:
		return check_no_bits(b, run->arg, SET_ID_BITS);
	case PYI_SC_OPEN:
		return check_open(b, run->arg);
	case PYI_SC_MKNOD:
		return check_mknod(b, run->arg);
	case PYI_SC_SEND:
		return check_no_bits(b, run->arg, MSG_FASTOPEN);
	case PYI_SC_RENAME2:
		return check_no_bits(b, run->arg, RENAME_WHITEOUT);
	case PYI_SC_PRIORITY:
		return check_priority(b);
	case PYI_SC_CLONE:
		return check_no_bits(b, 0, CLONE_REFUSED);
	case PYI_SC_SOCKET:
		return check_socket(b);
	case PYI_SC_SOCKETPAIR:
		return check_socketpair(b);
	case PYI_SC_SETSOCKOPT:
		return check_setsockopt(b);
	case PYI_SC_IOCTL:
		return check_ioctl(b);
	case PYI_SC_FCNTL:
		return check_fcntl(b);
	case PYI_SC_PRCTL:
		return check_prctl(b);
	case PYI_SC_PERSONALITY:
		return check_personality(b);
	case PYI_SC_DENY:
		break;
	}
	ret_deny(b);
}

static void build_leaf(struct build *b, const struct pyi_seccomp_spec *spec, const struct run *run)
{
	b->spec = spec;
	b->n = 0;
	b->is_full = false;
	emit_leaf(b, run);
}

/* Is the leaf nothing but an answer? */
static bool is_plain(const struct build *leaf)
{
	return leaf->n == 1 && leaf->insns[0].code == (BPF_RET | BPF_K);
}

/* Put one instruction before all others. Where it is. */
static size_t prepend(struct program *p, struct sock_filter insn)
{
	if (p->first == 0) {
		p->is_full = true;
		return 0;
	}
	p->insns[--p->first] = insn;
	return p->first;
}

/* What jumps over from an instruction that is put before all others to one that is there. */
static size_t distance(const struct program *p, size_t to)
{
	return to - p->first;
}

/* A return that is within reach of what comes next, if there is one. */
static size_t put_answer(struct program *p, uint32_t action)
{
	struct answer *answer = NULL;

	for (size_t i = 0; i < p->n_answers && !answer; i++)
		if (p->answers[i].action == action)
			answer = &p->answers[i];
	if (answer && distance(p, answer->at) < REACH)
		return answer->at;
	if (!answer && p->n_answers < ANSWERS_MAX)
		answer = &p->answers[p->n_answers++];
	prepend(p, (struct sock_filter){ BPF_RET | BPF_K, 0, 0, action });
	if (answer)
		*answer = (struct answer){ action, p->first };
	return p->first;
}

static size_t put_leaf(struct program *p, const struct pyi_seccomp_spec *spec, const struct run *run)
{
	build_leaf(&p->leaf, spec, run);
	if (is_plain(&p->leaf))
		return put_answer(p, p->leaf.insns[0].k);
	p->is_full |= p->leaf.is_full;
	for (size_t i = p->leaf.n; i-- > 0;)
		prepend(p, p->leaf.insns[i]);
	return p->first;
}

/* An instruction from where a conditional jump can reach `to`: that itself, or a jump to it. */
static size_t within_reach(struct program *p, size_t to)
{
	/* With room for the one of the other side. */
	if (distance(p, to) < UINT8_MAX)
		return to;
	return prepend(p, (struct sock_filter){ BPF_JMP | BPF_JA, 0, 0, (uint32_t)distance(p, to) });
}

/* The tree over runs[lo..hi). The number is in the accumulator; a leaf may replace it. Where the tree begins. */
static size_t put_tree(struct program *p, const struct pyi_seccomp_spec *spec,
		       const struct run *runs, size_t lo, size_t hi)
{
	size_t mid = lo + (hi - lo) / 2, left, right;

	if (hi - lo == 1)
		return put_leaf(p, spec, &runs[lo]);
	right = put_tree(p, spec, runs, mid, hi);
	left = put_tree(p, spec, runs, lo, mid);
	right = within_reach(p, right);
	left = within_reach(p, left);
	return prepend(p, (struct sock_filter){ BPF_JMP | BPF_JGE | BPF_K, (uint8_t)distance(p, right),
						(uint8_t)distance(p, left), runs[mid].start });
}

/* The table spread out by number, then cut into runs. Returns how many; runs has room for PYI_SC_LAST + 2. */
static size_t make_runs(struct build *leaf, const struct pyi_seccomp_spec *spec, struct run *runs)
{
	struct run by_nr[PYI_SC_LAST + 2] = { 0 };
	struct run *last = NULL;
	bool was_plain = false;
	uint32_t answer = 0;
	size_t n = 0;

	for (size_t i = 0; i < pyi_sc_n_rows; i++) {
		const struct pyi_sc_row *row = &pyi_sc_rows[i];

		by_nr[row->nr] = (struct run){ row->nr, row->class, row->arg };
	}
	by_nr[PYI_SC_LAST + 1] = (struct run){ 0, PYI_SC_ERRNO, ENOSYS };
	for (uint16_t nr = 0; nr <= PYI_SC_LAST + 1; nr++) {
		if (last && last->class == by_nr[nr].class && last->arg == by_nr[nr].arg)
			continue;
		last = &by_nr[nr];
		build_leaf(leaf, spec, last);
		/* With this spec two classes may have the same answer. */
		if (was_plain && is_plain(leaf) && leaf->insns[0].k == answer)
			continue;
		was_plain = is_plain(leaf);
		answer = leaf->insns[0].k;
		runs[n] = *last;
		runs[n++].start = nr;
	}
	return n;
}

int pyi_seccomp_build(const struct pyi_seccomp_spec *spec, struct pyi_seccomp *ret_filter,
		      struct pyi_err *err)
{
	const struct sock_filter head[] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, arch)),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, AUDIT_ARCH_X86_64, 1, 0),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_KILL_PROCESS),
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
		BPF_JUMP(BPF_JMP | BPF_JGE | BPF_K, X32_BIT, 0, 1),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_KILL_PROCESS),
	};
	struct program p = { .insns = ret_filter->insns, .first = PYI_SECCOMP_MAX };
	struct run runs[PYI_SC_LAST + 2];
	size_t n_runs = make_runs(&p.leaf, spec, runs), start;

	ret_filter->n = 0;
	start = put_tree(&p, spec, runs, 0, n_runs);
	if (p.is_full || start != p.first || p.first < PYI_ARRAY_SIZE(head))
		return pyi_err_set(err, E2BIG,
				   "the system call filter does not fit into %d instructions",
				   PYI_SECCOMP_MAX);
	ret_filter->n = PYI_ARRAY_SIZE(head) + PYI_SECCOMP_MAX - p.first;
	memmove(ret_filter->insns + PYI_ARRAY_SIZE(head), ret_filter->insns + p.first,
		(PYI_SECCOMP_MAX - p.first) * sizeof(*ret_filter->insns));
	memcpy(ret_filter->insns, head, sizeof(head));
	return 0;
}

int pyi_seccomp_install(const struct sock_filter *insns, size_t n, struct pyi_err *err)
{
	struct sock_fprog prog = { .len = (unsigned short)n, .filter = (struct sock_filter *)insns };
	long rc;

	if (!n || n > PYI_SECCOMP_MAX)
		return pyi_err_set(err, EINVAL, "the system call filter has %zu instructions", n);
	if (PYI_LEFT_OUT("seccomp"))
		return 0;
	if (PYI_FAULT(701, EINVAL))
		return pyi_err_sys(err, errno, "cannot install the system call filter");
	rc = syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, SECCOMP_FILTER_FLAG_TSYNC, &prog);
	if (rc < 0)
		return pyi_err_sys(err, errno, "cannot install the system call filter");
	if (rc > 0)
		return pyi_err_set(err, ESRCH,
				   "thread %ld cannot be put under the system call filter", rc);
	return 0;
}
