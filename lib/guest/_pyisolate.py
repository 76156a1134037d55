# SPDX-License-Identifier: MIT
"""The Python side of the guest: what is easier said in Python than in C. Nothing here is a boundary."""
import sys
import builtins
import linecache
from _frozen_importlib_external import SourceFileLoader


class ScriptLoader(SourceFileLoader):
    """The loader of a script whose text came with the spec: its file need not exist in the sandbox. linecache and
    inspect ask it for the source, but only when somebody wants to see a line."""

    def __init__(self, path, text):
        super().__init__("__main__", path)
        self._text = text       # a memoryview of the spec's mapping
        # For those that know only the file's name, as warnings do.
        linecache.cache[path] = (lambda: self.get_source("__main__"),)

    def get_data(self, path):
        return bytes(self._text) if path == self.path else super().get_data(path)


class Quitter:
    """exit and quit, as the site module makes them."""

    def __init__(self, name):
        self.name = name

    def __repr__(self):
        return f"Use {self.name}() or Ctrl-D (i.e. EOF) to exit"

    def __call__(self, code=None):
        try:
            sys.stdin.close()
        except BaseException:
            pass
        raise SystemExit(code)


class Lazy:
    """copyright, credits, license and help: the real objects of _sitebuiltins, made when first used."""

    def __init__(self, make):
        self._make = make

    def __repr__(self):
        return repr(self._make())

    def __call__(self, *args, **kwargs):
        return self._make()(*args, **kwargs)


def _printer(name, text):
    def make():
        from _sitebuiltins import _Printer
        return _Printer(name, text)
    return make


def _helper():
    from _sitebuiltins import _Helper
    return _Helper()


def site():
    """The builtins that python3 users know from the site module."""
    builtins.quit = Quitter("quit")
    builtins.exit = Quitter("exit")
    builtins.copyright = Lazy(_printer("copyright", sys.copyright))
    builtins.credits = Lazy(_printer("credits", """\
    Thanks to CWI, CNRI, BeOpen, Zope Corporation, the Python Software
    Foundation, and a cast of thousands for supporting Python
    development.  See www.python.org for more information."""))
    builtins.license = Lazy(_printer("license", "See https://www.python.org/psf/license/"))
    builtins.help = Lazy(_helper)


def run_module(name):
    """python3 -m NAME (runpy._run_module_as_main), with an argv[0] that makes sense for a frozen module."""
    import runpy
    try:
        name, spec, code = runpy._get_module_details(name, runpy._Error)
    except runpy._Error as err:
        sys.exit(f"pyisolate: {err}")
    sys.argv[0] = spec.origin if spec.has_location else spec.name.rpartition(".")[2] + ".py"
    runpy._run_code(code, sys.modules["__main__"].__dict__, None, "__main__", spec)


def _cookie(lines):
    """The encoding that one of the first two lines declares (PEP 263), or None."""
    for line in lines[:2]:
        line = line.lstrip(b" \t\f")
        if line and not line.startswith(b"#"):
            return None
        for part in line.split(b"coding")[1:]:
            if part[:1] in (b":", b"="):
                name = part[1:].lstrip(b" \t")
                n = 0
                while n < len(name) and (name[n:n + 1].isalnum() or name[n] in b"-_."):
                    n += 1
                if n:
                    return name[:n].decode("ascii")
    return None


def decode_text(text, filename):
    """A program text that is not plain ASCII, or declares an encoding: as the compiler shall get it. The compiler
    itself treats text from memory otherwise than a file; errors here are those of `python3 FILE`."""
    text = bytes(text)
    lines = text.splitlines()
    nul = text.find(b"\0")
    if nul >= 0:
        head = text[:nul].splitlines(keepends=True)[-1:] or [b""]
        number = text.count(b"\n", 0, nul) + 1
        raise SyntaxError("source code cannot contain null bytes",
                          (filename, number, 0, head[0].decode("utf-8", "replace")))
    has_bom = text.startswith(b"\xef\xbb\xbf")
    cookie = _cookie([lines[0][3:], *lines[1:2]] if has_bom else lines)
    if cookie and cookie.lower().replace("_", "-").partition("-")[::2] not in (("utf", "8"), ("utf8", "")):
        if has_bom:
            name = {"latin-1": "iso-8859-1", "iso-latin-1": "iso-8859-1"}.get(cookie.lower(), cookie)
            raise SyntaxError(f"encoding problem: {name} with BOM")
        try:
            decoded = text.decode(cookie)
        except (LookupError, UnicodeError):
            decoded = ""
        if "coding" not in decoded:     # utf-16 and the like can decode anything
            raise SyntaxError(f"encoding problem: {cookie}")
        return decoded
    if not cookie and not has_bom:
        for number, line in enumerate(lines, 1):
            try:
                line.decode("utf-8")
            except UnicodeDecodeError as err:
                raise SyntaxError(f"Non-UTF-8 code starting with '\\x{line[err.start]:02x}' in file {filename} on line "
                                  f"{number}, but no encoding declared; see https://peps.python.org/pep-0263/ "
                                  "for details") from None
    return text


def restrict_imports(allowed):
    """The policy's `imports:` list. It applies to imports made by the user's code, not to those the standard library
    makes for itself (json needs re). A convenience for authors and no boundary: code that wants a loaded module finds
    it through sys.modules or an object's globals."""
    allowed = frozenset(allowed) | {"__main__", "__future__", "builtins"}
    real_import = builtins.__import__

    def is_users(depth):
        # The first frame above the import machinery: the standard library is frozen, the user's code is not.
        try:
            frame = sys._getframe(depth)
        except ValueError:
            return False        # the interpreter itself
        while frame is not None and frame.f_code.co_filename.startswith("<frozen importlib"):
            frame = frame.f_back
        return frame is not None and not frame.f_code.co_filename.startswith("<frozen ")

    def refuse(name):
        raise ImportError(f"import of {name!r} is not allowed: the policy's 'imports' list does not name it", name=name)

    def check_import(name, globals=None, locals=None, fromlist=(), level=0):
        # Catches what start-up has loaded already, which no finder is asked for.
        top = name.partition(".")[0]
        if level == 0 and top not in allowed and is_users(2):
            refuse(top)
        return real_import(name, globals, locals, fromlist, level)

    class PolicyFinder:
        """First on sys.meta_path: importlib.import_module() and __import__ taken from elsewhere."""

        @staticmethod
        def find_spec(name, path=None, target=None):
            top = name.partition(".")[0]
            if top not in allowed and is_users(2):
                refuse(top)
            return None

    builtins.__import__ = check_import
    sys.meta_path.insert(0, PolicyFinder)
