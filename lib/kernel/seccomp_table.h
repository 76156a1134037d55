/* SPDX-License-Identifier: MIT */
/* The table behind the system call filter: each x86-64 call that is not simply refused, and what decides on it. */
#ifndef PYI_KERNEL_SECCOMP_TABLE_H
#define PYI_KERNEL_SECCOMP_TABLE_H

#include <stddef.h>
#include <stdint.h>

enum pyi_sc_class {
	PYI_SC_DENY, /* the default: EPERM, or the end of the process */
	PYI_SC_ALLOW,
	PYI_SC_ERRNO,	 /* never kills; `arg` is the errno */
	PYI_SC_EXEC,	 /* with spec.exec */
	PYI_SC_NO_EXEC,	 /* without spec.exec; else EPERM that never kills */
	PYI_SC_NET,	 /* with spec.net_tcp or net_udp */
	PYI_SC_LISTEN,	 /* with spec.net_listen */
	PYI_SC_LINK,	 /* with spec.make_links */
	PYI_SC_OWN,	 /* with spec.namespaces */
	PYI_SC_SELF,	 /* with spec.namespaces, or when argument `arg` is 0 (the caller itself) */
	PYI_SC_AFFINITY, /* PYI_SC_SELF; with spec.keeps_cpus EPERM that never kills */
	PYI_SC_ZERO,	 /* when argument `arg` is 0 */
	PYI_SC_RLIMIT, /* argument `arg` is a resource, which stays as it is for RLIMIT_CORE; one before it a pid, 0 */
	PYI_SC_MODE,  /* argument `arg` is a mode without set-id bits */
	PYI_SC_CHMOD, /* PYI_SC_MODE, and with spec.namespaces only */
	PYI_SC_OPEN,  /* argument `arg` holds open flags, the next one the mode */
	PYI_SC_MKNOD, /* argument `arg` is a mode: no devices, no set-id bits */
	PYI_SC_SEND, /* argument `arg` holds MSG_ flags: no MSG_FASTOPEN, which connects past Landlock */
	PYI_SC_RENAME2, /* argument `arg` holds RENAME_ flags: no RENAME_WHITEOUT, which makes a device */
	PYI_SC_PRIORITY,
	PYI_SC_CLONE,
	PYI_SC_SOCKET,
	PYI_SC_SOCKETPAIR,
	PYI_SC_SETSOCKOPT,
	PYI_SC_IOCTL,
	PYI_SC_FCNTL,
	PYI_SC_PRCTL,
	PYI_SC_PERSONALITY,
};

struct pyi_sc_row {
	uint16_t nr;
	uint8_t class; /* enum pyi_sc_class */
	uint8_t arg;
};

/*
 * Numbers above this one are of calls the table has never heard of: ENOSYS, as from an older kernel, so that a newer
 * libc falls back to a call that is known here.
 */
enum { PYI_SC_LAST = 462 };

extern const struct pyi_sc_row pyi_sc_rows[];
extern const size_t pyi_sc_n_rows;

/* Lists of 32-bit values an argument may have. */
extern const uint32_t pyi_sc_ioctls[];
extern const size_t pyi_sc_n_ioctls;
extern const uint32_t pyi_sc_ioctls_hostile[]; /* EPERM or the end; others not listed are ENOTTY */
extern const size_t pyi_sc_n_ioctls_hostile;
extern const uint32_t pyi_sc_prctls[];
extern const size_t pyi_sc_n_prctls;

/* Socket options: by level. */
struct pyi_sc_sockopts {
	uint32_t level;
	const uint32_t *v;
	size_t n;
};
extern const struct pyi_sc_sockopts pyi_sc_sockopts[];
extern const size_t pyi_sc_n_sockopts;

#endif
