/* SPDX-License-Identifier: (MIT OR GPL-2.0-only) */
/*
 * What the programs that trace a sandbox (trace.bpf.c) and their supervisor share. Nothing of it is pinned: both are of
 * one build, always.
 */
#ifndef PYI_TRACE_ABI_H
#define PYI_TRACE_ABI_H

#include <linux/types.h>

#include "python_abi.h"

enum {
	PYI_TRACE_CALLS = 512,	 /* system calls have lower numbers */
	PYI_TRACE_TEXT = 4096,	 /* PATH_MAX: no path is longer, terminator included */
	PYI_TRACE_NAMES = 4096,	 /* of the directories above it */
	PYI_TRACE_NAME = 256,	 /* NAME_MAX and the terminator */
	PYI_TRACE_ADDRESS = 112, /* bytes of a socket address: sockaddr_un has 110 */
};

/* How a system call says what it is about. */
enum pyi_trace_shape {
	PYI_TRACE_NONE,
	PYI_TRACE_PATH,	  /* a path, or two */
	PYI_TRACE_OPEN,	  /* the same, and what it returns is the file */
	PYI_TRACE_CHDIR,  /* the same, and where it succeeds the path is the working directory */
	PYI_TRACE_EXEC,	  /* the same; where it succeeds another program has told of it */
	PYI_TRACE_FD,	  /* a descriptor of a file */
	PYI_TRACE_SOCKET, /* family, type */
	PYI_TRACE_LISTEN, /* a socket that has an address */
	PYI_TRACE_ADDRESS_OF, /* a socket, a pointer to an address, its length */
	PYI_TRACE_MESSAGE,    /* a socket, a pointer to a struct msghdr */
};

/* Which argument is what: 0 to 5, or NO_ARGUMENT. */
enum { PYI_TRACE_NO_ARGUMENT = 0xff };

struct pyi_trace_call {
	__u8 shape;
	__u8 path; /* of ADDRESS_OF and MESSAGE the address, of FD the descriptor */
	__u8 dir;  /* of the path's directory; none: the working directory */
	__u8 path2;
	__u8 dir2;
	__u8 flags;    /* copied into the record; of ADDRESS_OF the address's length */
	__u8 flags_at; /* it is a pointer to them, as of openat2 */
	__u8 drop_empty; /* with an empty path it asks nothing that has a name: fstat, in other words */
};

enum {
	PYI_TRACE_SECOND = 1 << 0,    /* the second path of the call */
	PYI_TRACE_UNREAD = 1 << 1,    /* the text is not there: a bad address */
	PYI_TRACE_BASE_LOST = 1 << 2, /* the names of the base are not all of them */
	PYI_TRACE_BASE_OUT = 1 << 3,  /* the base is not below the root */
	PYI_TRACE_REAL_LOST = 1 << 4, /* the same of the real path: it is not to be had */
};

/*
 * One record in the ring: this and, one behind the other, the text (a path with its terminator, or a socket address),
 * the names of the directory that a relative path starts from, those of the file that an open has led to, and a struct
 * pyi_abi_frame, as far as it is filled. Names come with their terminators, the last component first.
 */
struct pyi_trace_record {
	__u64 time_ns; /* CLOCK_MONOTONIC */
	__u64 flags;   /* of open: O_*; of socket: family | type << 32 */
	__s32 pid;     /* as the innermost pid namespace of the process numbers them */
	__s32 tid;
	__s32 error; /* positive; 0: it succeeded */
	__u16 call;
	__u8 marks; /* PYI_TRACE_SECOND, ... */
	__u8 proto; /* IPPROTO_* of the socket */
	__u16 type; /* SOCK_* of the socket */
	__u16 text_bytes;
	__u16 base_bytes;
	__u16 real_bytes;
	__u16 frame_bytes;
	__u16 zero[3];
};

_Static_assert(sizeof(struct pyi_trace_call) == 8, "call");
_Static_assert(sizeof(struct pyi_trace_record) == 48, "record");

#endif
