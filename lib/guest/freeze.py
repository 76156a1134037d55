# SPDX-License-Identifier: MIT
"""freeze.py LIBDIR OUTDIR: compile the standard library into OUTDIR/frozen.bin, frozen.S and frozen_table.c.

Run by the very interpreter that the result is linked with (marshal's format is its own). Every module becomes a code
object in one blob that lives in .rodata, so nothing is read from the host and unused modules cost no memory. A frozen
code object's file name is "<frozen NAME>", as for the modules that CPython freezes itself: tracebacks stay clear and
nobody takes it for a path. The result depends on the sources alone (the Makefile fixes the hash seed).
"""
import marshal
import os
import sys

import _imp

# Left out, and why. A name covers its submodules.
EXCLUDE = {
    "test", "_distutils_system_mod", "site-packages",   # not part of the library
    "idlelib", "tkinter", "turtle", "turtledemo",       # need a display
    "curses",                                           # needs a terminal library, and so does this half of _pyrepl:
    "_pyrepl._minimal_curses", "_pyrepl.curses", "_pyrepl.readline", "_pyrepl.simple_interact",
    "_pyrepl.unix_console", "_pyrepl.unix_eventqueue", "_pyrepl.windows_console",
    "ensurepip",                                        # carries pip, which needs a file system to install into
    "dbm.gnu", "dbm.ndbm",                              # need libgdbm, libdb; dbm.sqlite3 and dbm.dumb stay
    "asyncio.windows_events", "asyncio.windows_utils",  # refuse to be imported on anything but Windows
    "multiprocessing.popen_spawn_win32", "encodings.mbcs", "encodings.oem",
    "_ios_support",                                     # loads libraries of iOS when imported
    "importlib._bootstrap", "importlib._bootstrap_external",  # frozen by CPython under their private names
}

# What a start and the commonest scripts import, in that order: near each other in the blob, first in the table
# (CPython looks a name up by walking it).
HOT = """
    encodings encodings.aliases encodings.utf_8 _pyisolate warnings traceback linecache textwrap re re._parser
    re._constants re._compiler re._casefix enum types functools collections keyword operator reprlib contextlib json
    json.decoder json.scanner json.encoder copyreg struct datetime random bisect hashlib typing dataclasses inspect
    threading _weakrefset weakref importlib importlib._abc string time math pathlib subprocess collections.abc
""".split()

# Code that works inside of import statements: warnings and tracebacks leave its frames out as those of the machinery.
SHOWN_AS = {"_pyisolate_image": "importlib._bootstrap"}


def is_excluded(name):
    parts = name.split(".")
    return any(".".join(parts[:i]) in EXCLUDE for i in range(1, len(parts) + 1)) or "tests" in parts or "test" in parts


def find_modules(libdir):
    """(name, path, is_package) of everything below libdir, sorted by name."""
    found = []
    for top, dirs, files in os.walk(libdir):
        package = os.path.relpath(top, libdir).replace(os.sep, ".")
        prefix = "" if package == "." else package + "."
        dirs[:] = [d for d in sorted(dirs) if os.path.exists(os.path.join(top, d, "__init__.py"))
                   and not is_excluded(prefix + d)]
        for file in files:
            stem, ext = os.path.splitext(file)
            if ext != ".py" or (not prefix and stem == "__init__"):
                continue
            name = package if stem == "__init__" else prefix + stem
            if not is_excluded(name):
                found.append((name, os.path.join(top, file), stem == "__init__"))
    return sorted(found)


def main(libdir, outdir):
    here = os.path.dirname(os.path.abspath(__file__))
    builtin = set(_imp._frozen_module_names())
    modules = [m for m in find_modules(libdir) if m[0] not in builtin]
    modules += [(name, os.path.join(here, name + ".py"), False) for name in
                ("_pyisolate", "_pyisolate_image", "_pyisolate_fetch")]
    rank = {name: i for i, name in enumerate(HOT)}
    modules.sort(key=lambda m: (rank.get(m[0], len(rank)), m[0]))

    rows = []
    size = 0
    blob_path = os.path.join(outdir, "frozen.bin")
    with open(blob_path, "wb") as blob:
        for name, path, is_package in modules:
            with open(path, "rb") as f:
                code = compile(f.read(), f"<frozen {SHOWN_AS.get(name, name)}>", "exec", dont_inherit=True, optimize=0)
            # Once through marshal: what is written next depends on the values alone, not on who else
            # in this process happens to hold a reference to a constant.
            data = marshal.dumps(marshal.loads(marshal.dumps(code)))
            blob.write(data)
            rows.append(f'\t{{ "{name}", pyi_frozen_blob + {size}, {len(data)}, {int(is_package)} }},\n')
            size += len(data)

    with open(os.path.join(outdir, "frozen.S"), "w") as f:
        f.write('/* Made by lib/guest/freeze.py. */\n'
                '\t.section .rodata\n\t.balign 64\n\t.globl pyi_frozen_blob\npyi_frozen_blob:\n'
                f'\t.incbin "{blob_path}"\n'
                '\t.section .note.GNU-stack,"",@progbits\n')
    with open(os.path.join(outdir, "frozen_table.c"), "w") as f:
        f.write('/* Made by lib/guest/freeze.py. */\n#include <Python.h>\n\n'
                'extern const unsigned char pyi_frozen_blob[];\n'
                'extern const struct _frozen pyi_frozen_modules[];\n'
                'const struct _frozen pyi_frozen_modules[] = {\n')
        f.writelines(rows)
        f.write('\t{ 0 },\n};\n')
    print(f"froze {len(rows)} modules, {size / 1e6:.1f} MB")


main(*sys.argv[1:])
