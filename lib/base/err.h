/* SPDX-License-Identifier: MIT */
/*
 * The one error value. A fallible function returns 0 or -errno and takes `struct pyi_err *err` last; the message is
 * set where the cause is known and gets context on the way up. A library never prints and never exits.
 *
 * The struct has a fixed size and no pointers, so a child process can write it to a pipe as one record.
 */
#ifndef PYI_BASE_ERR_H
#define PYI_BASE_ERR_H

#include <stdarg.h>

enum { PYI_ERR_MSG_MAX = 1024 };

struct pyi_err {
	int errnum;		   /* a positive errno; 0: no error */
	char msg[PYI_ERR_MSG_MAX]; /* lower case, no full stop, the subject quoted; always terminated */
};

/* Set the error and return -errnum (-EINVAL when errnum is 0). A message that does not fit is cut. err may be NULL. */
int pyi_err_set(struct pyi_err *err, int errnum, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));

/* As pyi_err_set, with ": " and strerror(errnum) after the message. For failed system calls. */
int pyi_err_sys(struct pyi_err *err, int errnum, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));

/* Put "context: " in front of a message that is set already; returns -err->errnum. */
int pyi_err_add(struct pyi_err *err, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/* Out of memory, said in one way. */
int pyi_err_nomem(struct pyi_err *err);

#endif
