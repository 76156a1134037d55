/* SPDX-License-Identifier: MIT */
/*
 * Make an interpreter that reads nothing from the file system: configuration, path set-up and the standard library
 * all come out of the binary. Single-threaded, no descriptors left open: a process image can be taken afterwards.
 */
#include <Python.h>

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/resource.h>

#include "base/err.h"
#include "guest/internal.h"

extern const struct _frozen pyi_frozen_modules[];

/* Of the mimalloc inside libpython, whose header is not installed. */
extern void mi_option_set(int option, long value);
enum { MI_OPTION_EAGER_COMMIT = 3, MI_OPTION_ARENA_EAGER_COMMIT = 4, MI_OPTION_ARENA_RESERVE = 23 };
enum { MI_EAGER_IF_OVERCOMMITTED = 2 };

/* gc.freeze() and gc.unfreeze() without gc. Of libpython, whose headers declare them for its own use only. */
extern void _PyGC_Freeze(PyInterpreterState *interp);
extern void _PyGC_Unfreeze(PyInterpreterState *interp);

/*
 * CPython's own path configuration (getpath.o in libpython.a) looks for the standard library on disk. Every path is
 * set in make_config(), so there is nothing to compute; defining its two entry points here keeps that object out of
 * the link, as CPython's own bootstrap does.
 */
PyStatus _PyConfig_InitPathConfig(PyConfig *config, int compute_path_config);
PyObject *_Py_Get_Getpath_CodeObject(void);

PyStatus _PyConfig_InitPathConfig(PyConfig *config, int compute_path_config)
{
	return PyStatus_Ok();
}

PyObject *_Py_Get_Getpath_CodeObject(void)
{
	PyErr_SetString(PyExc_NotImplementedError, "paths are not computed");
	return NULL;
}

/* Address space that is given back so that the traceback of a MemoryError can be printed. */
static struct {
	void *addr;
	size_t len;
} reserve;

static void take_reserve(size_t limit)
{
	size_t len = limit / 16 < 6 << 20 ? limit / 16 : 6 << 20;
	void *addr = mmap(NULL, len, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (addr == MAP_FAILED)
		return;
	reserve.addr = addr;
	reserve.len = len;
}

void pyi_guest_release_reserve(void)
{
	if (reserve.addr)
		munmap(reserve.addr, reserve.len);
	reserve.addr = NULL;
}

/*
 * A thread's stack, as libc sets it from RLIMIT_STACK when it starts; less where memory is short, for the stack of a
 * thread counts in full.
 */
static void fit_thread_stacks(const struct rlimit *data)
{
	struct rlimit limit;
	size_t size = 2 << 20;
	pthread_attr_t attr;

	if (!getrlimit(RLIMIT_STACK, &limit) && limit.rlim_cur != RLIM_INFINITY)
		size = limit.rlim_cur;
	if (data->rlim_cur != RLIM_INFINITY && data->rlim_cur / 32 < 8 << 20) {
		size = data->rlim_cur / 32;
		if (size < 1 << 20)
			size = 1 << 20;
	}
	if (pthread_attr_init(&attr))
		return;
	if (!pthread_attr_setstacksize(&attr, size & ~(size_t)0xfff))
		pthread_setattr_default_np(&attr);
	pthread_attr_destroy(&attr);
}

/*
 * Memory has to be asked for in small pieces: an arena of 1 GiB would count against RLIMIT_DATA at once, and so would
 * each thread's stack. Without a limit the defaults are faster.
 */
static void commit_memory_early(bool early)
{
	mi_option_set(MI_OPTION_ARENA_RESERVE, 0);
	mi_option_set(MI_OPTION_ARENA_EAGER_COMMIT, early ? MI_EAGER_IF_OVERCOMMITTED : 0);
	mi_option_set(MI_OPTION_EAGER_COMMIT, early);
}

void pyi_guest_fit_limits(void)
{
	struct rlimit limit;

	if (getrlimit(RLIMIT_DATA, &limit))
		limit.rlim_cur = RLIM_INFINITY;
	commit_memory_early(limit.rlim_cur == RLIM_INFINITY);
	fit_thread_stacks(&limit);
	if (limit.rlim_cur != RLIM_INFINITY)
		take_reserve(limit.rlim_cur);
}

static int status_error(struct pyi_err *err, PyStatus status)
{
	return pyi_err_set(err, ENOEXEC, "the interpreter cannot start: %s%s%s",
			   status.func ? status.func : "", status.func ? ": " : "",
			   status.err_msg ? status.err_msg : "unknown reason");
}

static int preinitialise(struct pyi_err *err)
{
	PyPreConfig config;
	PyStatus status;

	PyPreConfig_InitIsolatedConfig(&config);
	/* UTF-8 mode: what python3 does by itself in the C locale, the only one there is without locale files. */
	config.utf8_mode = 1;
	status = Py_PreInitialize(&config);
	return PyStatus_Exception(status) ? status_error(err, status) : 0;
}

static PyStatus set_paths(PyConfig *config)
{
	const struct {
		wchar_t **field;
		const wchar_t *value;
	} paths[] = {
		{ &config->program_name, L"python3" },
		/* Nothing in the sandbox could be executed as another interpreter. */
		{ &config->executable, L"" },
		{ &config->base_executable, L"" },
		{ &config->prefix, L"/usr" },
		{ &config->base_prefix, L"/usr" },
		{ &config->exec_prefix, L"/usr" },
		{ &config->base_exec_prefix, L"/usr" },
		{ &config->platlibdir, L"lib" },
		/*
		 * No such directory; it gives the frozen modules a __file__, without which code of the library
		 * itself fails (_strptime, zipfile's warnings).
		 */
		{ &config->stdlib_dir, L"/usr/lib/pyisolate" },
	};

	for (size_t i = 0; i < sizeof(paths) / sizeof(paths[0]); i++) {
		PyStatus status = PyConfig_SetString(config, paths[i].field, paths[i].value);

		if (PyStatus_Exception(status))
			return status;
	}
	config->module_search_paths_set = 1; /* and empty */
	return PyStatus_Ok();
}

/*
 * The variables that people set on purpose; a sandbox has them only if its policy says so. The others would change
 * how the interpreter finds itself, or do not concern it. PYTHONPATH is main.c's.
 */
static void honour_environment(PyConfig *config)
{
	const char *unbuffered = getenv("PYTHONUNBUFFERED");
	const char *seed = getenv("PYTHONHASHSEED");
	char *end;

	if (unbuffered && unbuffered[0])
		config->buffered_stdio = 0;
	if (seed && seed[0] >= '0' && seed[0] <= '9') {
		unsigned long value = strtoul(seed, &end, 10);

		config->use_hash_seed = !*end && value <= UINT32_MAX;
		config->hash_seed = config->use_hash_seed ? value : 0;
	}
}

static PyStatus initialise(PyConfig *config)
{
	PyStatus status;

	PyConfig_InitIsolatedConfig(config);
	config->isolated = 0; /* it would force safe_path, which changes sys.path of pdb, trace and others */
	config->safe_path = 0;
	config->site_import = 0; /* it looks for directories; _pyisolate makes its builtins */
	config->install_signal_handlers = 1;
	config->configure_c_stdio = 1;
	config->buffered_stdio = 1;
	honour_environment(config);
	config->pathconfig_warnings = 0;
	config->write_bytecode = 0; /* nothing is left behind in granted directories unasked */
	status = set_paths(config);
	if (PyStatus_Exception(status))
		return status;
	/*
	 * In two steps, because the garbage collector can be stopped only in between: what start-up makes stays, and
	 * looking through it takes a tenth of the time. It runs again from just before the user's code.
	 */
	config->_init_main = 0;
	status = Py_InitializeFromConfig(config);
	if (PyStatus_Exception(status))
		return status;
	PyGC_Disable();
	return _Py_InitializeMain();
}

void pyi_guest_python_freeze(void)
{
	_PyGC_Freeze(PyInterpreterState_Get());
}

void pyi_guest_python_end(void)
{
#ifndef Py_GIL_DISABLED
	/*
	 * With the GIL a module's dictionary can outlive the module, and only the collector then finalizes what is in
	 * it. Without, modules live until they are cleared one by one.
	 */
	_PyGC_Unfreeze(PyInterpreterState_Get());
#endif
}

int pyi_guest_python_start(bool for_image, struct pyi_err *err)
{
	PyConfig config;
	PyStatus status;
	int ret;

	pyi_guest_static_init();
	if (for_image)
		commit_memory_early(false); /* what is not used shall be no part of it */
	else
		pyi_guest_fit_limits();
	PyImport_FrozenModules = pyi_frozen_modules;
	ret = preinitialise(err);
	if (ret)
		return ret;
	status = initialise(&config);
	PyConfig_Clear(&config);
	return PyStatus_Exception(status) ? status_error(err, status) : 0;
}

const char *pyi_guest_python_version(void)
{
	return PY_VERSION;
}

bool pyi_guest_is_free_threaded(void)
{
#ifdef Py_GIL_DISABLED
	return true;
#else
	return false;
#endif
}
