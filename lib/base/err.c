/* SPDX-License-Identifier: MIT */
/* The one error value; see err.h. */
#include "base/err.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

static void set_message(struct pyi_err *err, const char *fmt, va_list ap)
{
	int n = vsnprintf(err->msg, sizeof(err->msg), fmt, ap);

	if (n < 0)
		err->msg[0] = '\0';
}

int pyi_err_set(struct pyi_err *err, int errnum, const char *fmt, ...)
{
	va_list ap;

	if (errnum <= 0)
		errnum = EINVAL;
	if (err) {
		err->errnum = errnum;
		va_start(ap, fmt);
		set_message(err, fmt, ap);
		va_end(ap);
	}
	return -errnum;
}

int pyi_err_sys(struct pyi_err *err, int errnum, const char *fmt, ...)
{
	va_list ap;
	size_t len;

	if (errnum <= 0)
		errnum = EINVAL;
	if (err) {
		err->errnum = errnum;
		va_start(ap, fmt);
		set_message(err, fmt, ap);
		va_end(ap);
		len = strlen(err->msg);
		snprintf(err->msg + len, sizeof(err->msg) - len, ": %s", strerror(errnum));
	}
	return -errnum;
}

int pyi_err_add(struct pyi_err *err, const char *fmt, ...)
{
	char old[PYI_ERR_MSG_MAX];
	size_t len;
	va_list ap;

	if (!err)
		return -EINVAL;
	memcpy(old, err->msg, sizeof(old));
	va_start(ap, fmt);
	set_message(err, fmt, ap);
	va_end(ap);
	len = strlen(err->msg);
	snprintf(err->msg + len, sizeof(err->msg) - len, ": %s", old);
	return -err->errnum;
}

int pyi_err_nomem(struct pyi_err *err)
{
	return pyi_err_set(err, ENOMEM, "out of memory");
}
