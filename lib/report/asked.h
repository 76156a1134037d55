/* SPDX-License-Identifier: MIT */
/*
 * What a guest asked of the kernel: one record for each system call that names a file, a program or an address, as the
 * tracer saw it (lib/super/tracer.h). Pure data.
 *
 * Paths are as the sandbox sees them: absolute, without '.', '..' and '//', symbolic links left as they were asked for.
 * Paths, addresses and source lines come from the guest's memory: a guest with several threads can make them lie.
 */
#ifndef PYI_REPORT_ASKED_H
#define PYI_REPORT_ASKED_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum pyi_asked_kind {
	PYI_ASKED_READ,	   /* open for reading, or to list a directory */
	PYI_ASKED_WRITE,   /* open for writing, create, remove, rename, chmod, truncate, ... */
	PYI_ASKED_LOOK,	   /* stat, access, readlink, chdir */
	PYI_ASKED_EXEC,	   /* execve, execveat */
	PYI_ASKED_CONNECT, /* connect */
	PYI_ASKED_BIND,	   /* bind, listen */
	PYI_ASKED_SEND,	   /* sendto, sendmsg, sendmmsg with an address */
	PYI_ASKED_SOCKET,  /* socket, socketpair */
	PYI_ASKED_KINDS
};

struct pyi_asked {
	enum pyi_asked_kind kind;
	const char *call; /* name of the system call; static */
	uint64_t time_us; /* since the start of the run, when the call was over */
	int32_t pid;	  /* these two as the sandbox numbers them */
	int32_t tid;
	int error;   /* 0: it succeeded; else a positive errno */
	bool is_new; /* of an open: nothing was to be there before (O_CREAT | O_EXCL) */
	char *path; /* owned; of files and programs, and of AF_UNIX ("@name": abstract); NULL: none, or unreadable */
	char *real; /* owned; where a successful open or exec led to; NULL: to path itself, or unknown */
	uint16_t family; /* AF_INET, AF_INET6, AF_UNIX, ... of the kinds from CONNECT on; 0: no address, or unknown */
	uint16_t type;	  /* SOCK_STREAM, ... of the kinds from CONNECT on; 0: unknown */
	uint8_t addr[16]; /* of AF_INET and AF_INET6; IPv4 as ::ffff:a.b.c.d */
	uint16_t port;
	uint8_t proto;	      /* enum pyi_net_proto; 0: neither */
	char *at_file;	      /* owned; the innermost frame of the embedded Python; NULL: unknown */
	unsigned int at_line; /* 0: unknown */
};

/* In the order in which the calls were over. */
struct pyi_asked_list {
	struct pyi_asked *v; /* owned; NULL while empty */
	size_t n;
	uint64_t lost; /* records that there was no room for */
};

/* One record; then the whole list, which is empty afterwards. */
void pyi_asked_clear(struct pyi_asked *asked);
void pyi_asked_release(struct pyi_asked_list *list);

#endif
