/* SPDX-License-Identifier: (MIT OR GPL-2.0-only) */
/*
 * What the BPF programs and the user side share: keys and values of the pinned maps. Fixed width, no holes, sizes
 * asserted wherever it is included. A change here is a new PYI_ABI, and with it another pin directory.
 */
#ifndef PYI_ABI_H
#define PYI_ABI_H

#include <linux/bpf.h>
#include <linux/types.h>

#include "contract_abi.h"
#include "python_abi.h"

#define PYI_ABI 1

/*
 * assignments: HASH, v2 cgroup id (__u64) → struct pyi_abi_assignment. A cgroup below our parent that
 * has none, or one that is not ready, is denied everything.
 */
enum {
	PYI_ASSIGN_READY = 1 << 0, /* its rows are in place */
	PYI_ASSIGN_TCP = 1 << 1,   /* stream sockets may be made */
	PYI_ASSIGN_UDP = 1 << 2,
	PYI_ASSIGN_ARMED = 1 << 3, /* the LSM programs judge it; until then its tree is being made */
	PYI_ASSIGN_WX = 1 << 4,	   /* no memory that is written and executed */
	PYI_ASSIGN_SELF = 1 << 5,  /* what it executes first is our own binary */
	PYI_ASSIGN_BYTES = 1 << 6, /* bytes of files are counted: the programs of bytes.bpf.c are attached */
	PYI_ASSIGN_CONTRACTS = 1 << 8, /* contract_code has its body, contract_state its cgroup */
};

/*
 * A reload replaces it as a whole. The memory of an element that was replaced may be another sandbox's at once, or the
 * same one's two generations on, and half written, its words in this order: a reader copies it, and takes the copy for
 * its own only if owner and generation were right before and after, and the body is that of the generation.
 */
struct pyi_abi_assignment {
	__u64 body; /* first part of the keys in net_rows: PYI_ABI_BODY */
	__u32 generation;
	__u32 flags;
	__u64 owner; /* the key */
	__u32 paths; /* page of its struct pyi_abi_paths in the arena; 0: none, which denies every path */
	__u32 zero;
};

/*
 * The path automaton in the arena, at the start of a page: this, then n_states finals, then n_states rows of n_classes
 * states (__u16), then, if has_slots, for each state the counters of contracts that count the path (__u16). Memory that
 * is not there reads as 0: state 0, and finals of 0 deny.
 */
struct pyi_abi_paths {
	__u32 n_states;
	__u32 n_classes;
	__u32 start;
	__u32 has_slots;
	__u8 classes[256];
};

enum {
	PYI_ABI_ARENA_PAGES = 1 << 16, /* 256 MB of addresses; memory is taken as it is used */
	PYI_ABI_PAGE = 4096,
};

/* Where supervisors map it: the lower half of an address is the offset. */
#define PYI_ABI_ARENA_ADDRESS 0x100000000000ull

/*
 * A final is a __u64: two bits of verdict for each of read, write, exec, list, a bit that says that all longer paths
 * end here too, then the numbers of the rules for read, write and exec.
 */
enum {
	PYI_FINAL_DEFAULT = 0,
	PYI_FINAL_ALLOW = 1,
	PYI_FINAL_WARN = 2,
	PYI_FINAL_DENY = 3,
	PYI_FINAL_LIST_SHIFT = 6,
	PYI_FINAL_SINK_SHIFT = 8,
	PYI_FINAL_RULE_SHIFT = 16, /* and 16 more for each access */
};

/* What is asked of a path; bits. */
enum { PYI_PATH_READ = 1, PYI_PATH_WRITE = 2, PYI_PATH_EXEC = 4 };

/* bodies: HASH, digest of the bytes in the arena → where they are. Under the lock of the pins' directory. */
struct pyi_abi_body_key {
	__u8 digest[32];
};

struct pyi_abi_body {
	__u32 page;
	__u32 n_pages;
	__u64 used_s; /* when it was last assigned, by the clock since boot */
};

/*
 * Each generation of a sandbox has a body of its own: the cgroup's id in the lower 48 bits (the kernel counts them up
 * from 1 and never uses one twice), the generation above them, counted from 0. After 65,536 of them a number comes
 * again; what had it before was removed long ago.
 */
#define PYI_ABI_BODY_CGROUP		 0xffffffffffffull
#define PYI_ABI_ERA(generation)		 ((__u16)((generation) - 1))
#define PYI_ABI_BODY(cgroup, generation) ((__u64)(cgroup) | (__u64)PYI_ABI_ERA(generation) << 48)

/*
 * net_rows: LPM_TRIE. prefix_len counts the bits of body too: 64 + those of the address. IPv4 as ::ffff:a.b.c.d, so
 * a prefix of IPv4 has 96 bits more than it has in writing. The longest prefix decides alone.
 */
struct pyi_abi_net_key {
	__u32 prefix_len;
	__u8 body[8]; /* bytes, so that the key has no hole */
	__u8 addr[16];
};

enum { PYI_ABI_BODY_BITS = 64, PYI_ABI_RANGES = 16 };

/* What a socket wants to do; bits of pyi_abi_net_range.uses. */
enum {
	PYI_USE_CONNECT_TCP = 1 << 0,
	PYI_USE_CONNECT_UDP = 1 << 1,
	PYI_USE_BIND_TCP = 1 << 2,
	PYI_USE_BIND_UDP = 1 << 3,
};

struct pyi_abi_net_range {
	__u16 port_min; /* host order, both ends included */
	__u16 port_max;
	__u8 uses;
	__u8 is_warn; /* allowed, but recorded */
	__u16 rule;
};

struct pyi_abi_net_value {
	__u32 n; /* ranges in use; what none of them allows is denied */
	__u32 zero;
	struct pyi_abi_net_range ranges[PYI_ABI_RANGES];
};

/* What was refused (or allowed with a warning). */
enum {
	PYI_EVENT_CONNECT = 1, /* as enum pyi_net_op */
	PYI_EVENT_BIND = 2,
	PYI_EVENT_SOCKET = 4, /* port: type, rule: protocol */
	/* addr: __u32 major, minor, BPF_DEVCG_ACC_* bits, in host order; family: BPF_DEVCG_DEV_* */
	PYI_EVENT_DEVICE = 8,
	/* proto: PYI_HOOK_*, family: PYI_PATH_* bits, port: errno; the path is in event_paths */
	PYI_EVENT_PATH = 16,
	PYI_EVENT_KERNEL = 32, /* proto: PYI_SURFACE_*, port: errno */
};

enum {
	PYI_HOOK_OPEN = 1,
	PYI_HOOK_CREATE,
	PYI_HOOK_UNLINK,
	PYI_HOOK_MKDIR,
	PYI_HOOK_RMDIR,
	PYI_HOOK_SYMLINK,
	PYI_HOOK_LINK,
	PYI_HOOK_RENAME,
	PYI_HOOK_TRUNCATE,
	PYI_HOOK_CHMOD,
	PYI_HOOK_CHOWN,
	PYI_HOOK_EXEC,
	PYI_HOOK_MAP, /* into memory: as code; or, with contracts about bytes, at all */
	PYI_HOOK_READ,
	PYI_HOOK_WRITE,
};

enum {
	PYI_SURFACE_MEMORY = 1, /* written and executed */
	PYI_SURFACE_PTRACE,
	PYI_SURFACE_SIGNAL,
	PYI_SURFACE_MOUNT,
	PYI_SURFACE_BPF,
	PYI_SURFACE_PERF,
	PYI_SURFACE_MODULE,
	PYI_SURFACE_KEY,
	PYI_SURFACE_IO_URING,
	PYI_SURFACE_USERNS,
};

enum { PYI_EVENT_NO_RULE = 0xffff, PYI_ABI_EVENTS = 100 };

struct pyi_abi_event {
	__u8 op;    /* PYI_EVENT_*; 0: not written yet */
	__u8 proto; /* 1 TCP, 2 UDP (enum pyi_net_proto), 0 neither */
	__u8 is_warning;
	__u8 family;
	__u16 port; /* host order */
	__u16 rule;
	__s32 pid;     /* in the first pid namespace */
	__u8 contract; /* 1 + the one that was broken, PYI_CONTRACT_LOST; 0: none */
	__u8 zero;
	__u16 era; /* of the policy whose rule, or contract, it is: PYI_ABI_ERA of its generation */
	__u8 addr[16];
};

/*
 * stats: HASH, v2 cgroup id → struct pyi_abi_stats, made with the assignment. The first PYI_ABI_EVENTS
 * events are kept for good, in order; later ones are only counted. So nothing that was read once
 * changes, and what is missing is known.
 */
struct pyi_abi_stats {
	__u64 total;
	__u64 warnings;
	__u64 self_inode; /* of our own binary, as the kernel sees it; 0: not executed yet */
	__u64 self_device;
	__u64 lost; /* events that its ring had no room for; 0 where it has no ring */
	struct pyi_abi_python python;
	struct pyi_abi_event events[PYI_ABI_EVENTS];
};

/*
 * net_use: HASH, v2 cgroup id → what a sandbox with network has sent and received, its limits, and what they refused.
 * Bytes are those of IP packets, headers included; only packets that passed count. A row is read and replaced with
 * BPF_F_LOCK. Times are CLOCK_MONOTONIC.
 */
struct pyi_abi_net_use {
	struct bpf_spin_lock lock;
	__u32 zero;
	__u64 limit_bytes; /* both directions together; 0: none */
	__u64 rate_bytes;  /* a second, both directions together; 0: none */
	__u64 rx_bytes;
	__u64 rx_packets;
	__u64 tx_bytes;
	__u64 tx_packets;
	__u64 dropped_packets; /* for the limit */
	__u64 delayed_packets; /* dropped for the rate; TCP sends them again */
	__u64 limit_ns;	       /* when the first one was dropped for the limit; 0: none was */
	__u64 paid_ns;	       /* the bucket of the rate */
	__u64 ended_ns;	       /* when a sweep has found the cgroup gone; 0: it has not */
};

/*
 * cpu: ARRAY of one, of each sandbox's own, never pinned: what the perf-event program counts and when it acts.
 * Times are nanoseconds of CPU, of all threads in the cgroup together.
 */
struct pyi_abi_cpu {
	__u64 quota_ns; /* from here on SIGXCPU, once for each process that is running */
	__u64 kill_ns;	/* from here on SIGKILL; the supervisor is to be first */
	__u64 used_ns;	/* what had been used when the program was attached, and the ticks since */
};

/* Of an event that is kept: the number of the sandbox, and which of its events. */
struct pyi_abi_event_key {
	__u64 cgroup;
	__u32 index;
	__u32 zero;
};

/* event_more: HASH, event → when and where it was; none where the kernel was short of memory. */
struct pyi_abi_event_more {
	__u64 time_ns;	  /* CLOCK_MONOTONIC */
	__s32 thread;	  /* in the first pid namespace; 0: it was nobody's doing */
	__u32 is_written; /* last */
	struct pyi_abi_frame frame;
};

/* event_paths: HASH, event → its path, cut off where it is longer. */
enum { PYI_ABI_EVENT_PATH = 1024 };

struct pyi_abi_event_path {
	char text[PYI_ABI_EVENT_PATH];
};

/*
 * rings: HASH_OF_MAPS, v2 cgroup id → RINGBUF of PYI_ABI_RING bytes, of named sandboxes: every event, as it happens.
 * Those about paths are followed by the path.
 */
enum { PYI_ABI_RING = 128 << 10 };

struct pyi_abi_record {
	__u64 number; /* of the event, from 0 on */
	__u64 lost;   /* stats.lost until then */
	struct pyi_abi_event event;
	struct pyi_abi_event_more more;
};

struct pyi_abi_record_path {
	struct pyi_abi_record record;
	struct pyi_abi_event_path path;
};

/* meta: ARRAY of one: who made these pins. Written last: without the digest the directory is not complete. */
struct pyi_abi_meta {
	__u32 abi;
	__u32 lsm_errnum;    /* 0: the LSM programs are loaded; else why not */
	__u64 parent_cgroup; /* that the programs are attached to */
	char digest[72]; /* of the programs' instructions and the maps' types; hex, zero-padded */
	char lsm_detail[96];
};

_Static_assert(sizeof(struct pyi_abi_assignment) == 32, "assignment");
_Static_assert(sizeof(struct pyi_abi_paths) == 272, "paths");
_Static_assert(sizeof(struct pyi_abi_body_key) == 32 && sizeof(struct pyi_abi_body) == 16, "body");
_Static_assert(sizeof(struct pyi_abi_event_key) == 16, "event key");
_Static_assert(sizeof(struct pyi_abi_net_key) == 28, "network key");
_Static_assert(sizeof(struct pyi_abi_net_range) == 8, "network range");
_Static_assert(sizeof(struct pyi_abi_net_value) == 8 + 8 * PYI_ABI_RANGES, "network value");
_Static_assert(sizeof(struct pyi_abi_event) == 32, "event");
_Static_assert(sizeof(struct pyi_abi_event_more) == 16 + sizeof(struct pyi_abi_frame),
	       "more of an event");
_Static_assert(sizeof(struct pyi_abi_stats) == 120 + 32 * PYI_ABI_EVENTS, "stats");
_Static_assert(sizeof(struct pyi_abi_record) == 48 + sizeof(struct pyi_abi_event_more), "record");
_Static_assert(sizeof(struct pyi_abi_net_use) == 96, "network use");
_Static_assert(sizeof(struct pyi_abi_cpu) == 24, "CPU time");
_Static_assert(sizeof(struct pyi_abi_meta) == 184, "meta");

/*
 * sandboxes: HASH, struct pyi_abi_name → struct pyi_abi_sandbox: what is known of each named sandbox, live or
 * ended. No program reads it. Where there is no BPF file system the same structs stand in files
 * (lib/super/registry_files.c). Times are CLOCK_BOOTTIME.
 */
enum {
	PYI_ABI_NAME = 72,
	PYI_ABI_POLICY_NAME = 64,
	PYI_ABI_GROUP_NAME = 64,
	PYI_ABI_SANDBOXES = 8192
};

struct pyi_abi_name {
	char text[PYI_ABI_NAME]; /* at most 64 bytes, zero-padded */
};

/* From BOOTSTRAPPED on it has a cgroup and processes; the last three are ends, and stay. */
enum {
	PYI_STATE_INIT = 1,	/* the name is taken, the sandbox is being made */
	PYI_STATE_BOOTSTRAPPED, /* its processes are there, not yet in the user's code */
	PYI_STATE_RUNNING,
	PYI_STATE_HOT_RELOAD,	  /* a reload is swapping its policy */
	PYI_STATE_QUOTA_EXCEEDED, /* a limit was hit, it is being ended */
	PYI_STATE_COMPLETED,	  /* it ended by itself */
	PYI_STATE_CANCELLED,	  /* it was ended: by a limit, by stop, or its start failed */
	PYI_STATE_LOST,		  /* its supervisor died without a word */
};

/* Whom an entry belongs to. A pid that was given out again has another start time. */
struct pyi_abi_identity {
	__u64 start_ticks; /* of the supervisor: field 22 of /proc/PID/stat */
	__u64 pid_ns;	   /* inode of the pid namespace in which pid counts */
	__u64 boot;	   /* start of the boot id: files can outlive a boot */
	__s32 pid;	   /* of the supervisor */
	__u32 zero;
};

struct pyi_abi_limits {
	__u64 memory_bytes; /* 0 everywhere: none */
	__u64 cpu_time_ms;
	__u64 wall_time_ms;
	__u64 output_bytes;
	__u64 tmp_bytes;
	__u32 cpu_permille;
	__u32 pids;
	__u32 open_files;
	__u32 numa; /* the node, plus one */
};

/* Filled in at the end; readers of a live sandbox ask its cgroup. */
struct pyi_abi_end {
	__u64 end_ns;
	__u64 wall_us;
	__u64 cpu_us;
	__u64 memory_peak_bytes;
	__u64 denials;
	__u64 warnings;
	__s32 exit_code;
	__s32 signal;
	__u32 reason; /* enum pyi_reason */
	__u32 zero;
};

/* The end of the sandbox that had the name before, for those who still wait for it. */
struct pyi_abi_previous {
	__u64 start_ticks;
	__s32 pid;
	__s32 exit_code;
};

/* A reload on its way, for whoever finds it cut off: what the entry becomes if the assignment was swapped. */
struct pyi_abi_reload {
	__u32 generation; /* 0: none */
	__u32 zero;
	struct pyi_abi_limits limits;
	__u8 policy_digest[32];
	char policy_name[PYI_ABI_POLICY_NAME];
};

struct pyi_abi_sandbox {
	struct pyi_abi_identity owner;
	__u64 cgroup; /* v2 id, the key of the other maps; 0: none */
	__u64 start_ns;
	__u32 state;
	__u32 generation;
	__u32 flags;
	__s32 init_pid; /* pid 1 of the sandbox, as its supervisor sees it */
	struct pyi_abi_limits limits;
	__u8 policy_digest[32];
	__u8 token_salt[16]; /* of reload: PYI_SANDBOX_HAS_TOKEN */
	__u8 token_hash[32];
	__u64 token_wait_ns;  /* no token is looked at before this time */
	__u32 token_failures; /* wrong ones since the last right one */
	__u32 zero;
	char policy_name[PYI_ABI_POLICY_NAME]; /* terminated, cut */
	char group[PYI_ABI_GROUP_NAME];	       /* name of its cgroup directories; "": none */
	struct pyi_abi_end end;
	struct pyi_abi_previous previous;
	struct pyi_abi_reload reload;
};

enum {
	PYI_SANDBOX_HAS_TOKEN = 1 << 0,
	PYI_SANDBOX_HAS_BPF = 1 << 1, /* its cgroup has an assignment */
	/* What it was started with, and no reload can give it: system calls, and the mode. */
	PYI_SANDBOX_NET = 1 << 2, /* a network namespace with a network */
	PYI_SANDBOX_TCP = 1 << 3,
	PYI_SANDBOX_UDP = 1 << 4,
	PYI_SANDBOX_LISTEN = 1 << 5,
	PYI_SANDBOX_DEV = 1 << 6,
	PYI_SANDBOX_EXEC = 1 << 9,     /* it may execute what is granted for that */
	PYI_SANDBOX_COMMAND = 1 << 10, /* `-- CMD`: the runtime directories are granted */
	PYI_SANDBOX_TREE = 1 << 11,    /* a file tree of its own */
	PYI_SANDBOX_USERNS = 1 << 12,  /* in a user namespace, an ordinary user's */
	PYI_SANDBOX_LSM = 1 << 13,     /* the LSM programs judge it */
	PYI_SANDBOX_HARDENED = 1 << 14,
	PYI_SANDBOX_MDWE = 1 << 15, /* no memory that is executable and was writable */
	PYI_SANDBOX_RLIMITS = 1 << 8, /* its processes have limits of memory and CPU time of their own */
	PYI_SANDBOX_INIT_COUNTS = 1 << 7, /* our first process is in its groups: one more than pids */
};

_Static_assert(sizeof(struct pyi_abi_name) == PYI_ABI_NAME, "name");
_Static_assert(sizeof(struct pyi_abi_identity) == 32, "identity");
_Static_assert(sizeof(struct pyi_abi_limits) == 56, "limits");
_Static_assert(sizeof(struct pyi_abi_end) == 64, "end");
_Static_assert(sizeof(struct pyi_abi_previous) == 16, "previous");
_Static_assert(sizeof(struct pyi_abi_reload) == 160, "reload");
_Static_assert(sizeof(struct pyi_abi_sandbox) == 584, "sandbox");

#endif
