# SPDX-License-Identifier: MIT
"""Modules that an image holds ready.

The builder imports the modules that scripts use most, then takes them out of sys.modules again. When a guest imports
one of them, the import system asks the finder and the loader as ever, and the loader, instead of a new module that it
would then fill, gives the one that is there: with it come into sys.modules exactly the modules that its import would
have loaded, and what that would have cached of the process is made fresh. A module that nobody imports costs nothing.

A module is given only if everything that it has imported is, in sys.modules, what it was then, or absent. Otherwise
(the program has put its own `re` there, or blocked `_json`) it is loaded as if there was no image.
"""
import sys
import builtins
from _frozen_importlib import BuiltinImporter, FrozenImporter

# By the import statements of CPython's test suite, our own tests and demo, and common scripts. What a module brings
# along is ready as well. Not here: ctypes (makes executable memory), multiprocessing (makes a key when imported),
# zoneinfo (reads the environment when imported).
USUAL = """
    os io re json math cmath time random string struct array datetime calendar collections itertools functools operator
    contextlib copy types typing dataclasses enum abc numbers warnings weakref traceback textwrap pprint threading queue
    signal errno socket select selectors subprocess shutil tempfile pathlib glob fnmatch stat inspect ast dis tokenize
    hashlib hmac base64 binascii secrets uuid ssl asyncio sqlite3 logging pickle argparse getopt decimal fractions
    statistics zlib gzip bz2 lzma zipfile tarfile csv configparser urllib.parse urllib.request urllib.error http.client
    html platform locale gettext concurrent.futures concurrent.futures.thread heapq bisect unicodedata codecs fcntl pwd
    grp resource mmap importlib.util importlib.machinery xml.etree.ElementTree email.message difflib shlex gc graphlib
    sysconfig contextvars tomllib
""".split()


class Ready:
    """A module, what it needs, and what its import did besides."""

    def __init__(self, module):
        self.module = module
        self.package = None     # the package that has it as an attribute
        self.aliases = []       # other names that its code has put into sys.modules
        self.imports = []       # names, in the order in which they were asked for
        self.closure = ()       # (name, module) of all it needs, itself last, in the order of loading
        self.at_exit = []       # (function, args, kwargs)


ready = {}
entries = ()    # all there were, for ever: to free them would cost more than they take
given = {}      # modules between their creation and their execution, which for them is nothing

_missing = object()


def _refresh_random(module):
    module._inst.seed()


def _refresh_threading(module):
    module._main_thread._set_native_id()


def _refresh_logging(module):
    module._startTime = sys.modules["time"].time_ns()


# What a module caches of the process or the moment when it is imported.
REFRESH = {"random": _refresh_random, "threading": _refresh_threading, "logging": _refresh_logging}


def _is_as_it_was(entry):
    modules = sys.modules
    for name, module in entry.closure:
        now = modules.get(name, _missing)
        if now is not module and (now is not _missing or name not in ready):
            return False
    return True


def _activate(name, module, entry):
    sys.modules.setdefault(name, module)
    if entry.package:
        setattr(entry.package, name.rpartition(".")[2], module)
    if entry.at_exit:
        import atexit
        for function, args, kwargs in entry.at_exit:
            atexit.register(function, *args, **kwargs)
    refresh = REFRESH.get(name)
    if refresh:
        refresh(module)


def _give(spec):
    """The module that is ready, or None."""
    entry = ready.get(spec.name)
    if entry is None or not _is_as_it_was(entry):
        return None
    given[spec.name] = ready.pop(spec.name)
    return entry.module


def _take(module):
    """True: the module was ready, and now everything that it needs is there."""
    name = module.__name__
    entry = given.pop(name, None)
    if entry is None or entry.module is not module or sys.modules.get(name) is not module:
        return False        # somebody makes a module of his own from the spec
    for needed, needed_module in entry.closure:
        needed_entry = entry if needed == name else ready.pop(needed, None)
        if needed_entry:
            _activate(needed, needed_module, needed_entry)
    return True


def _install():
    frozen_find, builtin_find = FrozenImporter.find_spec, BuiltinImporter.find_spec
    frozen_create, frozen_exec = FrozenImporter.create_module, FrozenImporter.exec_module
    builtin_create, builtin_exec = BuiltinImporter.create_module, BuiltinImporter.exec_module

    def known_spec(name, loader):
        entry = ready.get(name)
        spec = entry.module.__spec__ if entry else None
        return spec if spec and spec.loader is loader else None

    def find_frozen(fullname, path=None, target=None):
        return known_spec(fullname, FrozenImporter) or frozen_find(fullname, path, target)

    def find_builtin(fullname, path=None, target=None):
        return known_spec(fullname, BuiltinImporter) or builtin_find(fullname, path, target)

    def create_frozen(spec):
        """Set __file__, if able."""
        return _give(spec) or frozen_create(spec)

    def exec_frozen(module):
        return None if _take(module) else frozen_exec(module)

    def create_builtin(spec):
        """Create a built-in module"""
        return _give(spec) or builtin_create(spec)

    def exec_builtin(module):
        """Exec a built-in module"""
        return None if _take(module) else builtin_exec(module)

    FrozenImporter.find_spec = staticmethod(find_frozen)
    BuiltinImporter.find_spec = staticmethod(find_builtin)
    FrozenImporter.create_module = staticmethod(create_frozen)
    FrozenImporter.exec_module = staticmethod(exec_frozen)
    BuiltinImporter.create_module = staticmethod(create_builtin)
    BuiltinImporter.exec_module = staticmethod(exec_builtin)


class _Watch:
    """Who imports what, while modules are made ready."""

    def __init__(self):
        self.loading = []       # the modules whose code runs, innermost last
        self.found = {}         # name -> Ready
        self.real_import = builtins.__import__
        self.real_exec = FrozenImporter.exec_module, BuiltinImporter.exec_module

    def __enter__(self):
        def load(execute, module):
            entry = self.found[module.__name__] = Ready(module)
            before = set(sys.modules)
            self.loading.append(entry)
            try:
                execute(module)
            finally:
                self.loading.pop()
            entry.aliases = [n for n in sys.modules if n not in before and n not in self.found]

        def at_exit(function, *args, **kwargs):
            self.loading[-1].at_exit.append((function, args, kwargs))
            return function

        frozen_exec, builtin_exec = self.real_exec
        builtins.__import__ = self.watched_import
        FrozenImporter.exec_module = staticmethod(lambda module: load(frozen_exec, module))
        BuiltinImporter.exec_module = staticmethod(lambda module: load(builtin_exec, module))
        import atexit
        self.atexit, self.real_register = atexit, atexit.register
        atexit.register = at_exit
        return self

    def __exit__(self, *exc):
        builtins.__import__ = self.real_import
        FrozenImporter.exec_module, BuiltinImporter.exec_module = map(staticmethod, self.real_exec)
        self.atexit.register = self.real_register

    def watched_import(self, name, globals=None, locals=None, fromlist=(), level=0):
        result = self.real_import(name, globals, locals, fromlist, level)
        if self.loading:
            if level:
                package = globals["__package__"].rsplit(".", level - 1)[0]
                name = f"{package}.{name}" if name else package
            asked = self.loading[-1].imports
            parts = name.split(".")
            asked += [".".join(parts[:i + 1]) for i in range(len(parts))]
            asked += [f"{name}.{item}" for item in fromlist or () if f"{name}.{item}" in sys.modules]
        return result


def _close(entry, found, seen, order):
    """Depth first: what is needed comes before what needs it."""
    for name in entry.imports:
        if name in seen or name not in sys.modules:
            continue
        seen.add(name)
        if name in found:
            _close(found[name], found, seen, order)
            order += [(alias, sys.modules[alias]) for alias in found[name].aliases]
        order.append((name, sys.modules[name]))


def prepare(names):
    """In the builder: make `names` ready. Returns all modules that are, by name."""
    global entries
    base = set(sys.modules) - {__name__}
    with _Watch() as watch:
        for name in names:
            __import__(name)
    modules = sys.modules
    # What was replaced by its own code (sys.modules[__name__] = ...) is left to an ordinary import.
    found = {n: e for n, e in watch.found.items() if modules.get(n) is e.module and n not in base}
    for name, entry in found.items():
        order = []
        entry.imports = [name.rsplit(".", i)[0] for i in range(name.count("."), 0, -1)] + entry.imports
        _close(entry, found, {name}, order)
        order += [(alias, modules[alias]) for alias in entry.aliases]
        entry.closure = (*order, (name, entry.module))
    usable = dict(found)
    for entry in found.values():
        usable.update((alias, Ready(modules[alias])) for alias in entry.aliases)
    for name, entry in usable.items():
        parent, _, child = name.rpartition(".")
        if not parent or name not in found or vars(modules[parent]).get(child) is not entry.module:
            continue
        # Only where the package comes without it.
        if parent not in found or (name, entry.module) not in found[parent].closure:
            entry.package = modules[parent]
            delattr(entry.package, child)
    for name in set(modules) - base:
        del modules[name]
    ready.update(usable)
    entries = tuple(usable.values())
    _install()
    return {name: entry.module for name, entry in found.items()}
