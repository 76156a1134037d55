/* SPDX-License-Identifier: MIT */
/*
 * What an interpreter in one static program needs different. The __wrap_ functions take the place of the named ones
 * wherever the binary calls them (ld --wrap; the list is in the Makefile).
 */
#include <Python.h>

#include <nss.h>
#include <stdio.h>
#include <string.h>

#include "guest/internal.h"

#ifdef Py_GIL_DISABLED
#define Py_BUILD_CORE
#include "internal/pycore_critical_section.h"
#include "internal/pycore_pystate.h"
#endif

/*
 * Loading a shared library into a static program needs the very libc it was linked with, beside a second copy of it;
 * with any other the process crashes. So it fails, in words: ctypes.CDLL and imports of native extensions show them.
 */
void *__real_dlopen(const char *name, int flags);
char *__real_dlerror(void);
void *__wrap_dlopen(const char *name, int flags);
char *__wrap_dlerror(void);

static __thread char dl_error[512];
static __thread bool dl_failed;

void pyi_guest_dl_fail(const char *format, const char *name)
{
	snprintf(dl_error, sizeof(dl_error), format, name);
	dl_failed = true;
}

void *__wrap_dlopen(const char *name, int flags)
{
	if (!name)
		return __real_dlopen(name, flags);
	pyi_guest_dl_fail("%.300s: this Python is one static program and loads no shared libraries; "
			  "for native extensions run the host's python3: pyisolate run -- python3",
			  name);
	return NULL;
}

char *__wrap_dlerror(void)
{
	if (!dl_failed)
		return __real_dlerror();
	dl_failed = false;
	return dl_error;
}

/*
 * For the same reason names of users and hosts come from files and DNS, which are part of libc, whatever a granted
 * /etc/nsswitch.conf says.
 */
void pyi_guest_static_init(void)
{
	static const char *const files[] = { "passwd",	  "group",    "shadow",	  "services",
					     "protocols", "networks", "netgroup", "initgroups" };

	for (size_t i = 0; i < sizeof(files) / sizeof(files[0]); i++)
		__nss_configure_lookup(files[i], "files");
	__nss_configure_lookup("hosts", "files dns");
}

/*
 * setlocale(category, "") asks for what LANG names, and without locale files there is only "C" (Python's own text is
 * UTF-8 all the same). A program that begins with locale.setlocale(LC_ALL, "") shall get that one instead of an error.
 */
char *__real_setlocale(int category, const char *name);
char *__wrap_setlocale(int category, const char *name);

char *__wrap_setlocale(int category, const char *name)
{
	char *locale = __real_setlocale(category, name);

	return locale || !name || name[0] ? locale : __real_setlocale(category, "C");
}

/*
 * gcc's start-up code for static programs hands all unwind tables to the unwinder, which reads every one of them:
 * 3.4 million instructions at each exec. With --eh-frame-hdr it finds the tables itself if it ever needs them.
 */
void __wrap___register_frame_info(const void *begin, void *object);
void *__wrap___deregister_frame_info(const void *begin);

void __wrap___register_frame_info(const void *begin, void *object)
{
}

void *__wrap___deregister_frame_info(const void *begin)
{
	return NULL;
}

#ifdef Py_GIL_DISABLED
/*
 * A thread that locks an object it has locked already (3.13 does so whenever it makes a class) yields the CPU forty
 * times before it notices that it waits for itself and lets go of its outer locks. Let go of them at once.
 */
void __real__PyCriticalSection_BeginSlow(PyCriticalSection *section, PyMutex *mutex);
void __wrap__PyCriticalSection_BeginSlow(PyCriticalSection *section, PyMutex *mutex);

void __wrap__PyCriticalSection_BeginSlow(PyCriticalSection *section, PyMutex *mutex)
{
	PyThreadState *thread = _PyThreadState_GET();
	uintptr_t tag = thread->critical_section;

	if (_PyCriticalSection_IsActive(tag)) {
		const PyCriticalSection *top = (const PyCriticalSection *)(tag &
									   ~_Py_CRITICAL_SECTION_MASK);

		if (top->_cs_mutex == mutex)
			_PyCriticalSection_SuspendAll(thread);
	}
	__real__PyCriticalSection_BeginSlow(section, mutex);
}
#endif
