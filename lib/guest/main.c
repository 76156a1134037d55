/* SPDX-License-Identifier: MIT */
/*
 * The guest process from its exec to its end. Order matters:
 *
 *	1. read the spec (descriptor 3), take the report pipe (descriptor 4)
 *	2. start the interpreter, or mend the one that the image holds (image.h); sys.argv, sys.path, builtins,
 *	   __main__ as python3 has them
 *	3. the rest of the lock-down: not dumpable, MDWE, the system call filter
 *	4. tell the supervisor that all is ready
 *	5. the user's code, and an end as python3 would make it
 *
 * Nothing of the user's is parsed or run before step 5.
 */
#include <Python.h>

#include <errno.h>
#include <signal.h>
#include <string.h>
#include <unistd.h>

#include "base/err.h"
#include "base/io.h"
#include "base/util.h"
#include "guest/image_state.h"
#include "guest/image_train.h"
#include "guest/internal.h"
#include "kernel/lockdown.h"
#include "kernel/sandbox.h"

enum { EXIT_SETUP = 125, EXIT_FLUSH = 120 };

/* Of libpython, whose headers declare it for its own use only. */
extern int _Py_HandleSystemExit(int *exitcode);

/* The text in it is read until the very end, for tracebacks. */
static struct pyi_guest_spec_map spec_map;

static PyObject *helper; /* the module _pyisolate */

/* ------------------------------------------------------------------------------------------------- sys */

static PyObject *decode(const char *s)
{
	return PyUnicode_DecodeFSDefault(s);
}

/* sys.argv[0], as python3 sets it. */
static const char *argv0(const struct pyi_guest_spec *spec)
{
	return spec->source == PYI_SOURCE_CODE	   ? "-c"
	       : spec->source == PYI_SOURCE_MODULE ? "-m"
						   : spec->name;
}

static int set_argv(const struct pyi_guest_spec *spec)
{
	PyObject *argv = PyList_New(1 + (Py_ssize_t)spec->n_args);
	int ret = -1;

	if (!argv)
		return -1;
	for (size_t i = 0; i <= spec->n_args; i++) {
		PyObject *arg = decode(i ? spec->args[i - 1] : argv0(spec));

		if (!arg)
			goto out;
		PyList_SET_ITEM(argv, i, arg);
	}
	ret = PySys_SetObject("argv", argv);
out:
	Py_DECREF(argv);
	return ret;
}

static int add_path(Py_ssize_t at, const char *dir, size_t len)
{
	PyObject *path = PySys_GetObject("path"); /* borrowed */
	PyObject *entry = PyUnicode_DecodeFSDefaultAndSize(dir, (Py_ssize_t)len);
	int ret = path && entry ? PyList_Insert(path, at, entry) : -1;

	Py_XDECREF(entry);
	return ret;
}

/* The program's own directory, then PYTHONPATH; the library is in the binary and needs no entry. */
static int set_path(const struct pyi_guest_spec *spec)
{
	const char *list = getenv("PYTHONPATH");
	Py_ssize_t at = 0;

	if (add_path(at++, spec->path0, strlen(spec->path0)))
		return -1;
	while (list && *list) {
		size_t len = strcspn(list, ":");

		if (add_path(at++, list, len))
			return -1;
		list += len + (list[len] == ':');
	}
	return 0;
}

/* ------------------------------------------------------------------------------------------- _pyisolate */

static int call(PyObject *module, const char *function, PyObject *arg)
{
	PyObject *f = PyObject_GetAttrString(module, function);
	PyObject *result = !f ? NULL : arg ? PyObject_CallOneArg(f, arg) : PyObject_CallNoArgs(f);

	Py_XDECREF(f);
	Py_XDECREF(result);
	return result ? 0 : -1;
}

static int restrict_imports(const struct pyi_guest_spec *spec)
{
	PyObject *names = PyList_New(0);
	int ret = names ? 0 : -1;

	for (size_t i = 0; !ret && i < spec->n_imports; i++) {
		PyObject *name = decode(spec->imports[i]);

		ret = name ? PyList_Append(names, name) : -1;
		Py_XDECREF(name);
	}
	if (!ret)
		ret = call(helper, "restrict_imports", names);
	Py_XDECREF(names);
	return ret;
}

/* python3 makes a script's path absolute, for __file__ and tracebacks; sys.argv[0] stays as given. */
static PyObject *script_filename(const struct pyi_guest_spec *spec)
{
	const char *base = strrchr(spec->name, '/');
	const char *dir = spec->path0;
	PyObject *path, *filename;

	if (spec->source == PYI_SOURCE_STDIN)
		return PyUnicode_FromString("<stdin>");
	if (spec->name[0] == '/' || !dir[0])
		return decode(spec->name);
	path = PyBytes_FromFormat("%s%s%s", dir, strcmp(dir, "/") ? "/" : "",
				  base ? base + 1 : spec->name);
	filename = path ? decode(PyBytes_AS_STRING(path)) : NULL;
	if (path)
		pyi_guest_report_script(PyBytes_AS_STRING(path), spec->name);
	Py_XDECREF(path);
	return filename;
}

/* __file__, __cached__ and, for a script, a loader that has the source. */
static int set_script(PyObject *globals, PyObject *filename, PyObject *text,
		      const struct pyi_guest_spec *spec)
{
	PyObject *loader = NULL;
	int ret = -1;

	if (PyDict_SetItemString(globals, "__file__", filename) ||
	    PyDict_SetItemString(globals, "__cached__", Py_None))
		return -1;
	if (spec->source == PYI_SOURCE_STDIN)
		return 0;
	loader = PyObject_CallMethod(helper, "ScriptLoader", "OO", filename, text);
	if (loader)
		ret = PyDict_SetItemString(globals, "__loader__", loader);
	Py_XDECREF(loader);
	return ret;
}

static int prepare(const struct pyi_guest_spec *spec)
{
	if (set_argv(spec) || set_path(spec))
		return -1;
	if (spec->imports && restrict_imports(spec))
		return -1;
	if (spec->report_oserrors && pyi_guest_report_oserrors())
		return -1;
	return 0;
}

static int lock_down(const struct pyi_guest_spec *spec, struct pyi_err *err)
{
	int ret = pyi_lockdown_not_dumpable(err);

	if (!ret && spec->mdwe)
		ret = pyi_lockdown_mdwe(err);
	if (!ret && spec->seccomp)
		ret = pyi_seccomp_install(spec->seccomp->insns, spec->seccomp->n, err);
	return ret;
}

/* ------------------------------------------------------------------------------------------- user's code */

/* Let tracebacks show lines of a -c program, as python3 does since 3.13. */
static int register_source(PyObject *code, PyObject *text, PyObject *name)
{
	PyObject *linecache = PyImport_ImportModule("linecache");
	PyObject *result = NULL;

	if (linecache)
		result = PyObject_CallMethod(linecache, "_register_code", "OOO", code, text, name);
	Py_XDECREF(linecache);
	Py_XDECREF(result);
	return result ? 0 : -1;
}

static PyObject *run_command(PyObject *globals, const struct pyi_guest_spec *spec)
{
	PyObject *text = PyUnicode_DecodeUTF8(spec->text, spec->text_len, "surrogateescape");
	PyObject *bytes = text ? PyUnicode_AsUTF8String(text) : NULL;
	PyObject *name = PyUnicode_FromString("<string>");
	PyCompilerFlags flags = { .cf_flags = PyCF_IGNORE_COOKIE,
				  .cf_feature_version = PY_MINOR_VERSION };
	PyObject *code = NULL, *result = NULL;

	if (!bytes)
		PySys_WriteStderr("Unable to decode the command from the command line:\n");
	else if (name)
		code = Py_CompileStringObject(PyBytes_AS_STRING(bytes), name, Py_file_input, &flags, -1);
	if (code && !register_source(code, text, name))
		result = PyEval_EvalCode(code, globals, globals);
	Py_XDECREF(text);
	Py_XDECREF(bytes);
	Py_XDECREF(name);
	Py_XDECREF(code);
	return result;
}

/* Text that the compiler can take as it stands: ASCII, and no encoding declared in the first two lines. */
static bool is_plain(const struct pyi_guest_spec *spec)
{
	const char *end = spec->text + spec->text_len;
	const char *second = memchr(spec->text, '\n', spec->text_len);
	const char *third = second ? memchr(second + 1, '\n', end - second - 1) : NULL;
	unsigned char bits = 0;

	for (const char *p = spec->text; p < end; p++)
		bits |= *p ? *p : 0x80;
	return !(bits & 0x80) && !memmem(spec->text, (third ? third : end) - spec->text, "coding", 6);
}

static PyObject *compile_text(PyObject *filename, PyObject *text, const struct pyi_guest_spec *spec)
{
	PyCompilerFlags flags = { .cf_flags = 0, .cf_feature_version = PY_MINOR_VERSION };
	PyObject *decoded = NULL, *code = NULL;
	const char *source = spec->text;

	if (!is_plain(spec)) {
		decoded = PyObject_CallMethod(helper, "decode_text", "OO", text, filename);
		if (!decoded)
			return NULL;
		if (PyUnicode_Check(decoded)) {
			flags.cf_flags |= PyCF_IGNORE_COOKIE;
			source = PyUnicode_AsUTF8(decoded);
		}
	}
	if (source)
		code = Py_CompileStringObject(source, filename, Py_file_input, &flags, -1);
	Py_XDECREF(decoded);
	return code;
}

static PyObject *run_text(PyObject *globals, const struct pyi_guest_spec *spec)
{
	PyObject *text = PyMemoryView_FromMemory((char *)spec->text, spec->text_len, PyBUF_READ);
	PyObject *filename = script_filename(spec);
	PyObject *code = NULL, *result = NULL, *exc;

	if (text && filename && !set_script(globals, filename, text, spec))
		code = compile_text(filename, text, spec);
	if (code)
		result = PyEval_EvalCode(code, globals, globals);
	exc = PyErr_GetRaisedException();
	if (exc && !code)
		PyException_SetTraceback(exc, Py_None); /* it would show our helper */
	/* python3 takes them away before atexit functions run. */
	PyDict_PopString(globals, "__file__", NULL);
	PyDict_PopString(globals, "__cached__", NULL);
	PyErr_SetRaisedException(exc);
	Py_XDECREF(text);
	Py_XDECREF(code);
	Py_XDECREF(filename);
	return result;
}

static PyObject *run(const struct pyi_guest_spec *spec)
{
	PyObject *module = PyImport_AddModuleRef("__main__");
	PyObject *result = NULL;

	if (!module)
		return NULL;
	if (spec->source == PYI_SOURCE_MODULE)
		result = PyObject_CallMethod(helper, "run_module", "N", decode(spec->name));
	else if (spec->source == PYI_SOURCE_CODE)
		result = run_command(PyModule_GetDict(module), spec);
	else
		result = run_text(PyModule_GetDict(module), spec);
	Py_DECREF(module);
	return result;
}

/* Print the exception that is set, as python3 does, and say which exit code it makes. */
static int end_with_exception(bool *ret_interrupted)
{
	int code = 1;

	*ret_interrupted = PyErr_Occurred() == PyExc_KeyboardInterrupt;
	if (_Py_HandleSystemExit(&code))
		return code;
	if (PyErr_ExceptionMatches(PyExc_MemoryError))
		pyi_guest_release_reserve();
	pyi_guest_report_uncaught();
	PyErr_Print();
	return 1;
}

/* How the process ends. */
static struct {
	int code;
	bool has_begun;
	bool interrupted;
	PyObject *streams[2]; /* stdout and stderr as they were when finalization began */
} ending;

static int end_process(int code)
{
	if (!ending.interrupted)
		return code;
	/* A shell that sees death by SIGINT knows that the user pressed ^C. */
	signal(SIGINT, SIG_DFL);
	kill(getpid(), SIGINT);
	return 128 + SIGINT;
}

static bool can_flush(PyObject *stream)
{
	PyObject *result = PyObject_CallMethod(stream, "flush", NULL);

	/* What was closed was flushed then. */
	if (!result && PyErr_ExceptionMatches(PyExc_ValueError))
		result = Py_NewRef(Py_None);
	PyErr_Clear();
	Py_XDECREF(result);
	return result;
}

/*
 * Where CPython begins to free the interpreter's memory. Threads have been joined, atexit functions and finalizers run,
 * modules destroyed, files flushed: the kernel frees the rest in no time, and what an image holds cannot be freed.
 */
void __real__PyInterpreterState_Clear(PyThreadState *thread);
void __wrap__PyInterpreterState_Clear(PyThreadState *thread);

void __wrap__PyInterpreterState_Clear(PyThreadState *thread)
{
	if (!ending.has_begun || PyThreadState_GetInterpreter(thread) != PyInterpreterState_Main()) {
		__real__PyInterpreterState_Clear(thread);
		return;
	}
	for (size_t i = 0; i < PYI_ARRAY_SIZE(ending.streams); i++)
		if (ending.streams[i] && !can_flush(ending.streams[i]))
			ending.code = EXIT_FLUSH;
	fflush(NULL);
	_exit(end_process(ending.code));
}

static void hold_stream(size_t i, const char *name)
{
	PyObject *stream = PySys_GetObject(name); /* borrowed */

	if (stream && !strcmp(Py_TYPE(stream)->tp_name, "_io.TextIOWrapper"))
		ending.streams[i] = Py_NewRef(stream);
}

static int run_to_end(const struct pyi_guest_spec *spec)
{
	PyObject *result = run(spec);

	Py_CLEAR(helper);
	if (!result)
		ending.code = end_with_exception(&ending.interrupted);
	Py_XDECREF(result);
	hold_stream(0, "stdout");
	hold_stream(1, "stderr");
	pyi_image_train_end(); /* before the end: a guest that waits or sleeps shall not hold the pages of it */
	ending.has_begun = true;
	pyi_guest_python_end();
	return end_process(Py_FinalizeEx() < 0 ? EXIT_FLUSH : ending.code);
}

/* ------------------------------------------------------------------------------------------------ start */

int pyi_guest_python_error(struct pyi_err *err, const char *what)
{
	PyErr_Print();
	return pyi_err_set(err, ENOEXEC, "the guest's interpreter failed: %s", what);
}

int pyi_guest_make_common(bool for_image, struct pyi_err *err)
{
	int ret = pyi_guest_python_start(for_image, err);

	if (ret)
		return ret;
	helper = PyImport_ImportModule("_pyisolate");
	if (!helper || pyi_guest_map_errno() || call(helper, "site", NULL))
		return pyi_guest_python_error(err, "cannot prepare its builtins");
	return 0;
}

/*
 * Until init has locked itself down, and the host's root is gone. End of file: it has failed, and says so itself. No
 * path that anybody chose may be looked up before: "/.." still leads to the host, and there is Landlock alone between.
 */
static void wait_for_gate(void)
{
	char byte;

	if (pyi_image_train_is_on())
		return;
	if (pyi_read_full(PYI_GUEST_GATE_FD, &byte, 1) != 1)
		_exit(EXIT_SETUP);
	close(PYI_GUEST_GATE_FD);
	pyi_guest_report_stage(PYI_GUEST_LET_GO);
}

/* An interpreter from the image, locked down before the gate is open: it has the environment, and opens nothing. */
static int take_image(struct pyi_err *err)
{
	int ret = pyi_image_mend(err);

	pyi_guest_report_stage(PYI_GUEST_MENDED);
	if (!ret)
		ret = lock_down(&spec_map.spec, err);
	pyi_guest_report_stage(PYI_GUEST_LOCKED);
	wait_for_gate();
	return ret ? ret : pyi_image_mend_time_zone(err);
}

/* One that starts reads the time zone's file, and what the environment says of it. */
static int start_python(struct pyi_err *err)
{
	int ret;

	wait_for_gate();
	ret = pyi_guest_make_common(false, err);
	pyi_guest_report_stage(PYI_GUEST_INTERPRETER);
	if (!ret)
		ret = lock_down(&spec_map.spec, err);
	pyi_guest_report_stage(PYI_GUEST_LOCKED);
	return ret;
}

static int make_ready(struct pyi_err *err)
{
	bool is_restored = pyi_image_state.reason == PYI_IMAGE_USED;
	int ret = pyi_guest_spec_read(PYI_GUEST_SPEC_FD, &spec_map, err);

	close(PYI_GUEST_SPEC_FD);
	if (is_restored)
		pyi_guest_report_stage(PYI_GUEST_INTERPRETER);
	if (!ret)
		ret = is_restored ? take_image(err) : start_python(err);
	if (ret)
		return ret;
	if (prepare(&spec_map.spec))
		return pyi_guest_python_error(err, "cannot prepare for the user's code");
	/* What an image holds is frozen already, and to do it again would touch every page of it. */
	if (!is_restored)
		pyi_guest_python_freeze();
	pyi_guest_report_stage(PYI_GUEST_PREPARED);
	return 0;
}

int pyi_guest_main(void)
{
	struct pyi_err err = { .errnum = 0 };

	pyi_guest_report_open(PYI_GUEST_REPORT_FD);
	if (make_ready(&err)) {
		pyi_guest_report_error(&err);
		return EXIT_SETUP;
	}
	PyGC_Enable();
	pyi_guest_report_ready();
	return run_to_end(&spec_map.spec);
}
