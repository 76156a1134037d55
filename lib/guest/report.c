/* SPDX-License-Identifier: MIT */
/*
 * What the guest tells the supervisor. All of it is a hint: the process that writes it runs the user's code.
 *
 * The report pipe is a descriptor among the user's own, so before each record it is checked that the number still
 * is that pipe: code that closes every descriptor must not find our records in the next file it opens. Hints of
 * OSErrors are dropped when the pipe is full; the run never waits for them.
 */
#include <Python.h>
#include <frameobject.h>

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/err.h"
#include "guest/image_state.h"
#include "guest/internal.h"
#include "guest/python_layout.h"

enum { REPORT_FD = 63, TOOL_ID = 4, WAIT_MS = 1000 };

static struct {
	int fd;
	dev_t dev;
	ino_t ino;
	pid_t pid;
} report = { .fd = -1 };

void pyi_guest_report_open(int fd)
{
	struct rlimit limit;
	struct stat st;
	int high = REPORT_FD;

	if (fstat(fd, &st))
		return;
	if (!getrlimit(RLIMIT_NOFILE, &limit) && limit.rlim_cur <= REPORT_FD)
		high = limit.rlim_cur > 5 ? (int)limit.rlim_cur - 1 : 0;
	/* Out of the way: a program's first file is expected to be descriptor 3 or so. */
	report.fd = high ? fcntl(fd, F_DUPFD_CLOEXEC, high) : -1;
	if (report.fd >= 0) {
		close(fd);
	} else {
		report.fd = fd;
		fcntl(fd, F_SETFD, FD_CLOEXEC);
	}
	fcntl(report.fd, F_SETFL, O_WRONLY | O_NONBLOCK);
	report.dev = st.st_dev;
	report.ino = st.st_ino;
	report.pid = getpid();
}

static bool is_ours(void)
{
	struct stat st;

	return report.fd >= 0 && !fstat(report.fd, &st) && st.st_dev == report.dev &&
	       st.st_ino == report.ino;
}

/* A full pipe is waited for: the supervisor empties it, and a denial that is lost would not be counted. */
static void send_record(const struct pyi_report_msg *msg)
{
	struct pollfd pollfd = { .fd = report.fd, .events = POLLOUT };
	int saved = errno;

	if (is_ours() && write(report.fd, msg, sizeof(*msg)) < 0 && errno == EAGAIN &&
	    poll(&pollfd, 1, WAIT_MS) > 0 && write(report.fd, msg, sizeof(*msg)) < 0)
		report.fd = -1;
	errno = saved;
}

void pyi_guest_report_error(const struct pyi_err *err)
{
	struct pyi_report_msg msg = { .type = PYI_REPORT_ERROR, .errnum = err->errnum };

	snprintf(msg.path, sizeof(msg.path), "%s", err->msg);
	send_record(&msg);
}

/* Why there is no image's interpreter here, for people. */
static const char *const reasons[] = {
	[PYI_IMAGE_NONE] = "",
	[PYI_IMAGE_USED] = "",
	[PYI_IMAGE_UNREADABLE] = "it cannot be read",
	[PYI_IMAGE_DAMAGED] = "it is damaged",
	[PYI_IMAGE_OTHER_BINARY] = "it was made by another build of pyisolate",
	[PYI_IMAGE_OTHER_CPU] = "it was made on another CPU",
	[PYI_IMAGE_ENVIRONMENT] = "the environment has a variable that shapes the interpreter's start",
	[PYI_IMAGE_NO_ROOM] = "it would take too much of the memory limit, or something else is where it belongs",
};

static uint64_t stages_ns[PYI_GUEST_STAGES];

void pyi_guest_report_stage(enum pyi_guest_stage stage)
{
	struct timespec now;

	if (clock_gettime(CLOCK_MONOTONIC, &now) == 0)
		stages_ns[stage] = (uint64_t)now.tv_sec * 1000000000 + (uint64_t)now.tv_nsec;
}

void pyi_guest_report_ready(void)
{
	struct pyi_report_msg msg = { .type = PYI_REPORT_READY };

	pyi_python_layout_touch();
	memcpy(msg.at_ns, stages_ns, sizeof(msg.at_ns));
	msg.at_ns[PYI_GUEST_EXECUTED] = pyi_image_state.executed_ns;
	if (pyi_image_state.reason == PYI_IMAGE_USED)
		msg.flags = PYI_REPORT_IMAGE;
	snprintf(msg.path, sizeof(msg.path), "%s", reasons[pyi_image_state.reason]);
	send_record(&msg);
}

/* Copy a str or bytes object, cut to fit; nothing for anything else. */
static void copy_text(char *to, size_t size, PyObject *from)
{
	PyObject *bytes = NULL;

	if (from && PyUnicode_Check(from))
		bytes = PyUnicode_AsEncodedString(from, "utf-8", "surrogateescape");
	else if (from && PyBytes_Check(from))
		bytes = Py_NewRef(from);
	if (bytes)
		snprintf(to, size, "%s", PyBytes_AS_STRING(bytes));
	Py_XDECREF(bytes);
	PyErr_Clear();
}

/* The attribute of a built-in exception, as text. */
static void copy_attribute(char *to, size_t size, PyObject *exc, const char *name)
{
	PyObject *value = NULL;

	if (PyObject_GetOptionalAttrString(exc, name, &value) < 0)
		PyErr_Clear();
	copy_text(to, size, value);
	Py_XDECREF(value);
}

static int attribute_int(PyObject *exc, const char *name)
{
	PyObject *value = NULL;
	long number = 0;

	if (PyObject_GetOptionalAttrString(exc, name, &value) < 0)
		PyErr_Clear();
	if (value && PyLong_Check(value))
		number = PyLong_AsLong(value);
	PyErr_Clear();
	Py_XDECREF(value);
	return number > 0 && number <= INT_MAX ? (int)number : 0;
}

static bool is_kind(PyObject *exc, PyObject *kind)
{
	return PyObject_TypeCheck(exc, (PyTypeObject *)kind);
}

/* The program's path as the user gave it; tracebacks have it in full. */
static struct {
	char path[1024];
	const char *shown;
} script;

void pyi_guest_report_script(const char *path, const char *shown)
{
	snprintf(script.path, sizeof(script.path), "%s", path);
	script.shown = shown;
}

static void copy_file(struct pyi_report_msg *msg, PyObject *filename)
{
	copy_text(msg->file, sizeof(msg->file), filename);
	if (script.shown && !strcmp(msg->file, script.path))
		snprintf(msg->file, sizeof(msg->file), "%s", script.shown);
}

static bool is_library(PyCodeObject *code)
{
	const char *name = PyUnicode_AsUTF8(code->co_filename);

	if (!name)
		PyErr_Clear();
	return name && !strncmp(name, "<frozen ", 8);
}

/* What the library module that raised it was about. */
static uint32_t kind_of_module(PyCodeObject *code)
{
	const char *name = PyUnicode_AsUTF8(code->co_filename);

	if (!name)
		PyErr_Clear();
	else if (!strcmp(name, "<frozen socket>"))
		return PYI_REPORT_ADDRESS;
	else if (!strcmp(name, "<frozen subprocess>"))
		return PYI_REPORT_PROGRAM;
	return 0;
}

/* Where: the innermost frame of the user's code in a traceback. What about: the innermost of all. */
static void locate_traceback(struct pyi_report_msg *msg, PyObject *exc)
{
	PyObject *head = PyException_GetTraceback(exc);

	for (PyObject *tb = head; tb && PyTraceBack_Check(tb);
	     tb = (PyObject *)((PyTracebackObject *)tb)->tb_next) {
		PyCodeObject *code = PyFrame_GetCode(((PyTracebackObject *)tb)->tb_frame);

		if (!is_library(code)) {
			copy_file(msg, code->co_filename);
			msg->line = PyCode_Addr2Line(code, ((PyTracebackObject *)tb)->tb_lasti);
		}
		msg->flags = is_kind(exc, PyExc_OSError) ? kind_of_module(code) : 0;
		Py_DECREF(code);
	}
	Py_XDECREF(head);
}

/* The same, from the frames that are running now. */
static void locate_frame(struct pyi_report_msg *msg)
{
	PyFrameObject *frame = PyEval_GetFrame();

	Py_XINCREF(frame);
	while (frame) {
		PyCodeObject *code = PyFrame_GetCode(frame);
		bool found = !is_library(code);
		PyFrameObject *back = NULL;

		if (found) {
			copy_file(msg, code->co_filename);
			msg->line = PyFrame_GetLineNumber(frame);
		} else {
			back = PyFrame_GetBack(frame);
		}
		Py_DECREF(code);
		Py_DECREF(frame);
		frame = back;
	}
}

static void describe(struct pyi_report_msg *msg, PyObject *exc)
{
	PyObject *args = PyException_GetArgs(exc);
	const char *name = strrchr(Py_TYPE(exc)->tp_name, '.');

	snprintf(msg->name, sizeof(msg->name), "%s", name ? name + 1 : Py_TYPE(exc)->tp_name);
	if (is_kind(exc, PyExc_OSError)) {
		msg->errnum = attribute_int(exc, "errno");
		copy_attribute(msg->path, sizeof(msg->path), exc, "filename");
	} else if (is_kind(exc, PyExc_ImportError)) {
		copy_attribute(msg->path, sizeof(msg->path), exc, "name");
	} else if (args && PyTuple_Check(args) && PyTuple_GET_SIZE(args) > 0) {
		/* Not str(): that could be the user's code. */
		copy_text(msg->path, sizeof(msg->path), PyTuple_GET_ITEM(args, 0));
	}
	Py_XDECREF(args);
	locate_traceback(msg, exc);
	if (!msg->file[0] && is_kind(exc, PyExc_SyntaxError)) {
		PyObject *filename = NULL;

		if (PyObject_GetOptionalAttrString(exc, "filename", &filename) < 0)
			PyErr_Clear();
		copy_file(msg, filename);
		Py_XDECREF(filename);
		msg->line = attribute_int(exc, "lineno");
	}
}

void pyi_guest_report_uncaught(void)
{
	struct pyi_report_msg msg = { .type = PYI_REPORT_UNCAUGHT };
	PyObject *exc;

	/* A forked child that ends with an exception is not the run's end. */
	if (report.fd < 0 || getpid() != report.pid)
		return;
	exc = PyErr_GetRaisedException();
	if (!exc)
		return;
	describe(&msg, exc);
	send_record(&msg);
	PyErr_SetRaisedException(exc);
}

/*
 * OSErrors as they are raised. The audit event that comes before a failing call knows what the exception does not:
 * whether the file was to be written, and the address of a socket call.
 */
static __thread struct {
	char target[512];
	bool write;
	uint32_t kind; /* of `target`, where the exception may not name it: enum pyi_report_flags */
} last_call;

static void note_open(PyObject *args)
{
	PyObject *path = NULL, *mode = NULL;
	int flags = 0;

	if (!PyArg_ParseTuple(args, "OOi", &path, &mode, &flags)) {
		PyErr_Clear();
		return;
	}
	copy_text(last_call.target, sizeof(last_call.target), path);
	last_call.write = (flags & O_ACCMODE) != O_RDONLY || (flags & (O_CREAT | O_TRUNC));
}

/* os.exec, os.posix_spawn: (path, argv, env). */
static void note_program(PyObject *args)
{
	if (PyTuple_GET_SIZE(args) > 0)
		copy_text(last_call.target, sizeof(last_call.target), PyTuple_GET_ITEM(args, 0));
	last_call.kind = PYI_REPORT_PROGRAM;
}

static void note_address(PyObject *args)
{
	PyObject *sock = NULL, *address = NULL;
	PyObject *text;

	if (!PyArg_ParseTuple(args, "OO", &sock, &address)) {
		PyErr_Clear();
		return;
	}
	if (!PyTuple_Check(address) || PyTuple_GET_SIZE(address) < 2)
		return;
	text = PyUnicode_FromFormat(PyTuple_GET_SIZE(address) > 2 ? "[%S]:%S" : "%S:%S",
				    PyTuple_GET_ITEM(address, 0), PyTuple_GET_ITEM(address, 1));
	copy_text(last_call.target, sizeof(last_call.target), text);
	Py_XDECREF(text);
	PyErr_Clear();
	last_call.kind = PYI_REPORT_ADDRESS;
}

static bool is_change(const char *event)
{
	static const char *const changes[] = { "os.mkdir",    "os.remove",   "os.rename",
					       "os.rmdir",    "os.link",     "os.symlink",
					       "os.truncate", "os.chmod",    "os.chown",
					       "os.utime",    "os.setxattr", "os.removexattr",
					       "os.mknod",    "os.mkfifo" };

	for (size_t i = 0; i < sizeof(changes) / sizeof(changes[0]); i++)
		if (!strcmp(event, changes[i]))
			return true;
	return false;
}

static int on_audit(const char *event, PyObject *args, void *data)
{
	bool is_open = !strcmp(event, "open");
	bool is_net = !strcmp(event, "socket.connect") || !strcmp(event, "socket.bind") ||
		      !strcmp(event, "socket.sendto");

	if (!is_open && strncmp(event, "os.", 3) && strncmp(event, "socket.", 7))
		return 0;
	last_call.target[0] = '\0';
	last_call.write = is_change(event);
	last_call.kind = 0;
	if (is_open)
		note_open(args);
	else if (is_net)
		note_address(args);
	else if (!strcmp(event, "os.exec") || !strcmp(event, "os.posix_spawn"))
		note_program(args);
	return 0;
}

/* The same failure at the same place again, as in a loop that polls. */
static bool is_repeated(const struct pyi_report_msg *msg)
{
	static __thread struct {
		int32_t errnum;
		uint32_t line;
		char path[512];
	} last;
	bool same = last.errnum == msg->errnum && last.line == msg->line &&
		    !strncmp(last.path, msg->path, sizeof(last.path) - 1);

	last.errnum = msg->errnum;
	last.line = msg->line;
	snprintf(last.path, sizeof(last.path), "%.511s", msg->path);
	return same;
}

/*
 * The import system looks through every directory of sys.path, the script's own among them, and takes a refusal for
 * "not here". What matters is whether the module was found, and that is told at the end.
 */
static bool is_import_system(PyObject *code)
{
	const char *name = PyCode_Check(code) ? PyUnicode_AsUTF8(((PyCodeObject *)code)->co_filename)
					      : NULL;

	if (!name)
		PyErr_Clear();
	return name && !strncmp(name, "<frozen importlib", 17);
}

/* sys.monitoring's RAISE: (code, offset, exception). Called again in each frame that the exception passes. */
static PyObject *on_raise(PyObject *self, PyObject *const *args, Py_ssize_t n_args)
{
	struct pyi_report_msg msg = { .type = PYI_REPORT_OSERROR };
	PyObject *tb;
	bool is_first;

	if (report.fd < 0 || n_args < 3 || !is_kind(args[2], PyExc_OSError) ||
	    is_import_system(args[0]))
		Py_RETURN_NONE;
	tb = PyException_GetTraceback(args[2]);
	is_first = !tb || !((PyTracebackObject *)tb)->tb_next;
	Py_XDECREF(tb);
	if (!is_first)
		Py_RETURN_NONE;
	describe(&msg, args[2]);
	locate_frame(&msg);
	if (last_call.kind && (!msg.path[0] || !strcmp(msg.path, last_call.target))) {
		snprintf(msg.path, sizeof(msg.path), "%s", last_call.target);
		msg.flags |= last_call.kind;
	}
	/* A call that changes a directory raises with a path of its own; an open has to be the same one. */
	if (last_call.write && (!last_call.target[0] || !strcmp(last_call.target, msg.path)))
		msg.flags |= PYI_REPORT_WRITE;
	/* Without a frame of the user's code it is the interpreter's own affair, at its end. */
	if (msg.file[0] && !is_repeated(&msg))
		send_record(&msg);
	PyErr_Clear();
	Py_RETURN_NONE;
}

static PyMethodDef raise_def = {
	"on_raise",
	(PyCFunction)(void (*)(void))on_raise,
	METH_FASTCALL,
	NULL,
};

int pyi_guest_report_oserrors(void)
{
	PyObject *monitoring = PySys_GetObject("monitoring"); /* borrowed */
	PyObject *events = NULL, *callback = NULL, *result = NULL;
	int ret = -1;

	if (!monitoring || PySys_AddAuditHook(on_audit, NULL) < 0)
		goto out;
	callback = PyCFunction_New(&raise_def, NULL);
	events = PyObject_GetAttrString(monitoring, "events");
	if (!callback || !events)
		goto out;
	Py_XSETREF(events, PyObject_GetAttrString(events, "RAISE"));
	if (!events)
		goto out;
	result = PyObject_CallMethod(monitoring, "use_tool_id", "is", TOOL_ID, "pyisolate");
	if (result)
		Py_SETREF(result, PyObject_CallMethod(monitoring, "register_callback", "iOO",
						      TOOL_ID, events, callback));
	if (result)
		Py_SETREF(result, PyObject_CallMethod(monitoring, "set_events", "iO", TOOL_ID, events));
	ret = result ? 0 : -1;
out:
	Py_XDECREF(events);
	Py_XDECREF(callback);
	Py_XDECREF(result);
	return ret;
}
