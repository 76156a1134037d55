/* SPDX-License-Identifier: MIT */
/*
 * A restored guest has the builder's memory. Here it becomes this process's own, before anything of the user's is read.
 * See image.h for the whole; what the kernel and libc keep of a process is the restorer's (image_start.c).
 *
 *	fact				where it is cached		what is done
 *	native id of the thread		thread state			set
 *	resource limits			mimalloc, libc's thread stacks	fitted again
 *	environment			posix.environ, os.environ	filled again
 *	standard streams		sys, C's stdio			the builder's, which it has made for pipes and
 *									for files; else remade
 *	time zone			libc, time			read again where there may be one
 *	random numbers of OpenSSL	its generators			seeded again when next used
 *
 * What modules cache that nobody has imported yet is made fresh when somebody does (_pyisolate_image.py).
 */
#include <Python.h>

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "base/err.h"
#include "base/util.h"
#include "guest/image_state.h"
#include "guest/image_train.h"
#include "guest/internal.h"

/* What the builder looked up. */
static struct {
	PyObject *environ;		    /* the dictionary behind os.environ */
	PyObject *open, *text_wrapper;	    /* of _io */
	PyObject *tzset;		    /* of time */
	PyObject *pipes[STDERR_FILENO + 1]; /* the standard streams as they were made for its pipes */
	PyObject *files[STDERR_FILENO + 1]; /* and as they are for a file, or /dev/null */
	blksize_t block_size; /* of the file they were made for: the size of their buffers */
} known;

/* ------------------------------------------------------------------------------------------------- randomness */

/*
 * OpenSSL's generators notice that they are in another process than the one that seeded them by this number, and take
 * new seed from the kernel then. A restored process can have the builder's pid.
 */
int __real_openssl_get_fork_id(void);
int __wrap_openssl_get_fork_id(void);

int __wrap_openssl_get_fork_id(void)
{
	enum { IS_RESTORED = 1 << 30 }; /* above any pid */

	return __real_openssl_get_fork_id() |
	       (pyi_image_state.reason == PYI_IMAGE_USED ? IS_RESTORED : 0);
}

/* ------------------------------------------------------------------------------------------------ environment */

static int set_variable(PyObject *to, const char *variable)
{
	const char *equals = strchr(variable + 1, '='); /* as os does: a name may begin with '=' */
	PyObject *name, *value;
	int ret = -1;

	if (!variable[0] || !equals)
		return 0;
	name = PyBytes_FromStringAndSize(variable, equals - variable);
	value = PyBytes_FromString(equals + 1);
	if (name && value)
		ret = PyDict_SetDefaultRef(to, name, value, NULL);
	Py_XDECREF(name);
	Py_XDECREF(value);
	return ret < 0 ? -1 : 0;
}

static int mend_environ(void)
{
	PyDict_Clear(known.environ);
	for (char **at = environ; *at; at++)
		if (set_variable(known.environ, *at))
			return -1;
	return 0;
}

/* -------------------------------------------------------------------------------------------- standard streams */

static const struct {
	const char *name, *original, *shown, *mode, *raw_mode, *errors;
} streams[] = {
	{ "stdin", "__stdin__", "<stdin>", "r", "rb", "surrogateescape" },
	{ "stdout", "__stdout__", "<stdout>", "w", "wb", "surrogateescape" },
	{ "stderr", "__stderr__", "<stderr>", "w", "wb", "backslashreplace" },
};

static int is_terminal(PyObject *raw)
{
	PyObject *answer = PyObject_CallMethod(raw, "isatty", NULL);
	int ret = answer ? PyObject_IsTrue(answer) : -1;

	Py_XDECREF(answer);
	return ret;
}

/* As the interpreter makes them when it starts (create_stdio in its pylifecycle.c). */
static PyObject *make_stream(int fd, bool is_buffered)
{
	bool is_writing = fd != STDIN_FILENO;
	PyObject *raw = NULL, *shown = NULL, *stream = NULL, *mode = NULL;
	PyObject *buffer = PyObject_CallFunction(known.open, "isiOOOO", fd, streams[fd].raw_mode,
						 is_writing && !is_buffered ? 0 : -1, Py_None,
						 Py_None, Py_None, Py_False);
	int tty = -1;

	if (buffer)
		raw = is_writing && !is_buffered ? Py_NewRef(buffer)
						 : PyObject_GetAttrString(buffer, "raw");
	shown = PyUnicode_FromString(streams[fd].shown);
	mode = PyUnicode_FromString(streams[fd].mode);
	if (raw && shown && mode && !PyObject_SetAttrString(raw, "name", shown))
		tty = is_terminal(raw);
	if (tty >= 0)
		stream = PyObject_CallFunction(
			known.text_wrapper, "OsssOO", buffer, "utf-8", streams[fd].errors, "\n",
			is_buffered && (tty || fd == STDERR_FILENO) ? Py_True : Py_False,
			is_buffered ? Py_False : Py_True);
	if (stream && PyObject_SetAttrString(stream, "mode", mode))
		Py_CLEAR(stream);
	Py_XDECREF(buffer);
	Py_XDECREF(raw);
	Py_XDECREF(shown);
	Py_XDECREF(mode);
	return stream;
}

static int set_stream(int fd, PyObject *stream)
{
	return PySys_SetObject(streams[fd].name, stream) || PySys_SetObject(streams[fd].original, stream)
		       ? -1
		       : 0;
}

/* Make the stream that a file or /dev/null has: what all of them have in common is that they can seek. */
static int prepare_stream(int fd)
{
	_cleanup_fd int null_fd = open("/dev/null", O_RDWR | O_CLOEXEC);
	_cleanup_fd int pipe_fd = fcntl(fd, F_DUPFD_CLOEXEC, STDERR_FILENO + 1);
	struct stat st;

	if (null_fd < 0 || pipe_fd < 0 || fstat(null_fd, &st) || dup2(null_fd, fd) < 0)
		return -1;
	known.block_size = st.st_blksize;
	known.pipes[fd] = Py_XNewRef(PySys_GetObject(streams[fd].name));
	known.files[fd] = make_stream(fd, true);
	return dup2(pipe_fd, fd) < 0 || !known.pipes[fd] || !known.files[fd] ? -1 : 0;
}

/* Would the stream of this file be what the builder has made? */
static bool is_file(const struct stat *st)
{
	return (S_ISREG(st->st_mode) || (S_ISCHR(st->st_mode) && st->st_rdev == makedev(1, 3))) &&
	       st->st_blksize == known.block_size;
}

/* It keeps in mind where in the file it is. */
static int set_file(int fd, off_t position)
{
	PyObject *buffer = NULL, *told = NULL;

	if (position) {
		buffer = PyObject_GetAttrString(known.files[fd], "buffer");
		told = buffer ? PyObject_CallMethod(buffer, "tell", NULL) : NULL;
		Py_XDECREF(buffer);
		if (!told)
			return -1;
		Py_DECREF(told);
	}
	return set_stream(fd, known.files[fd]);
}

static int mend_stream(int fd, bool is_buffered)
{
	PyObject *stream;
	struct stat st;
	off_t position;
	int ret;

	if (fstat(fd, &st))
		return set_stream(fd, Py_None);
	if (is_buffered && (S_ISFIFO(st.st_mode) || S_ISSOCK(st.st_mode)))
		return 0;
	position = is_buffered && is_file(&st) ? lseek(fd, 0, SEEK_CUR) : -1;
	if (position >= 0)
		return set_file(fd, position);
	stream = make_stream(fd, is_buffered);
	ret = stream ? set_stream(fd, stream) : -1;
	Py_XDECREF(stream);
	return ret;
}

static int mend_streams(void)
{
	const char *unbuffered = getenv("PYTHONUNBUFFERED");
	bool is_buffered = !unbuffered || !unbuffered[0];

	if (!is_buffered) {
		setvbuf(stdin, NULL, _IONBF, BUFSIZ);
		setvbuf(stdout, NULL, _IONBF, BUFSIZ);
		setvbuf(stderr, NULL, _IONBF, BUFSIZ);
	}
	for (int fd = 0; fd <= STDERR_FILENO; fd++)
		if (mend_stream(fd, is_buffered))
			return -1;
	return 0;
}

/* -------------------------------------------------------------------------------------------------- time zone */

/* The builder's is UTC, which is what a process without TZ and the system's file has, too. */
int pyi_image_mend_time_zone(struct pyi_err *err)
{
	PyObject *result;

	if (!getenv("TZ") && access("/etc/localtime", F_OK))
		return 0;
	result = PyObject_CallNoArgs(known.tzset);
	Py_XDECREF(result);
	return result ? 0 : pyi_guest_python_error(err, "cannot set the time zone");
}

/* ------------------------------------------------------------------------------------------------------- all */

int pyi_image_mend_prepare(struct pyi_err *err)
{
	PyObject *posix = PyImport_ImportModule("posix"), *io = PyImport_ImportModule("_io");
	PyObject *time = PyImport_ImportModule("time");

	known.environ = posix ? PyObject_GetAttrString(posix, "environ") : NULL;
	known.open = io ? PyObject_GetAttrString(io, "open") : NULL;
	known.text_wrapper = io ? PyObject_GetAttrString(io, "TextIOWrapper") : NULL;
	known.tzset = time ? PyObject_GetAttrString(time, "tzset") : NULL;
	Py_XDECREF(posix);
	Py_XDECREF(io);
	Py_XDECREF(time);
	if (!known.environ || !known.open || !known.text_wrapper || !known.tzset)
		return pyi_guest_python_error(err, "cannot find what an image has to mend");
	for (int fd = 0; fd <= STDERR_FILENO; fd++)
		if (prepare_stream(fd))
			return pyi_guest_python_error(err, "cannot make the standard streams");
	return 0;
}

int pyi_image_mend(struct pyi_err *err)
{
	pyi_guest_fit_limits();
	PyThreadState_Get()->native_thread_id = PyThread_get_thread_native_id();
	if (mend_environ() || mend_streams())
		return pyi_guest_python_error(err, "cannot mend what the image holds");
	return 0;
}

_Noreturn void pyi_guest_resume(int argc, char **argv)
{
	char *slash = strrchr(argv[0], '/');

	program_invocation_name = argv[0];
	program_invocation_short_name = slash ? slash + 1 : argv[0];
	if (argc > 1)
		pyi_image_train_begin();
	exit(pyi_guest_main());
}
