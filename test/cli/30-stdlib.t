#!/bin/sh
# SPDX-License-Identifier: MIT
#
# The standard library inside: every module imports without a Python file on the host, but for the commented list in
# stdlib-exceptions.txt, and those that matter most do something real. Policy "defaults" unless said.
. "${0%/*}/lib.sh"

exceptions=$(sed 's/#.*//' "$TESTS/cli/stdlib-exceptions.txt" | awk 'NF { print $1 }' | sort)

# All modules the interpreter knows of: the names it lists itself, and what is frozen into the binary.
cat >all.py <<'END'
import sys, _imp, io, contextlib, warnings
warnings.simplefilter("ignore")
expected = sys.argv[1:]
def is_expected(name):
    return any(name == e or name.startswith(e + ".") for e in expected)
names = set(sys.stdlib_module_names) | set(_imp._frozen_module_names()) | set(expected)
good = bad = 0
for name in sorted(names):
    if name.endswith("__main__"):       # programs: importing runs them
        continue
    try:
        with contextlib.redirect_stdout(io.StringIO()):
            __import__(name)
    except BaseException as e:
        if not is_expected(name):
            print("cannot import", name, type(e).__name__, e)
        bad += 1
    else:
        if is_expected(name):
            print("is an exception but can be imported:", name)
        good += 1
print("good" if good > 550 else "too few: %d" % good)
print(hasattr(sys, "_is_gil_enabled") and sys._is_gil_enabled())
for name in names:
    spec = getattr(sys.modules.get(name), "__spec__", None)
    if spec and spec.origin not in ("frozen", "built-in") and name != "__main__":
        print("comes from a file:", name, spec.origin)
END
# shellcheck disable=SC2086 # a list of names
pyi run --memory 1GiB all.py $exceptions
exits 0 "every module is tried"
lacks "$out" "cannot import" "nothing fails to import but the exceptions"
lacks "$out" "can be imported" "every exception is one"
lacks "$out" "comes from a file" "no module comes from a file of the host"
contains "$out" "good" "hundreds of modules import"
[ "$code" = 0 ] || diag "$err"

gil=$(pyi run -c 'import sys; print(sys.version_info >= (3, 13), "free-threading" in sys.version)'; echo "$out")
case $gil in
*"True True")
	pyi run --memory 1GiB -c '
import sys, importlib
for name in sys.builtin_module_names:
    importlib.import_module(name)
print(sys._is_gil_enabled())'
	is "$out" "False" "the GIL stays off with every extension module loaded"
	;;
*) skip "this build has the GIL" "the GIL stays off with every extension module loaded" ;;
esac

# The list is complete: what CPython's own Lib/ holds is frozen or an exception.
if [ -n "${PYI_CPYTHON:-}" ] && [ -d "$PYI_CPYTHON/lib" ]; then
	(cd "$PYI_CPYTHON/lib" && find . -name '*.py' ! -path './site-packages/*' ! -path '*/__pycache__/*') |
		sed 's,^\./,,; s,/__init__\.py$,,; s,\.py$,,; s,/,.,g' | grep -v '^__init__$' |
		grep -Ev '(^|\.)tests?(\.|$)' | sort >lib.names
	pyi run -c 'import _imp; print(*_imp._frozen_module_names(), sep="\n")'
	printf '%s\n' "$out" | sort >frozen.names
	missing=$(comm -23 lib.names frozen.names | grep -vxF "$exceptions" |
		grep -Ev "^($(printf '%s' "$exceptions" | sed 's/\./\\./g' | tr '\n' '|'))\." |
		grep -vx -e importlib._bootstrap -e importlib._bootstrap_external -e '__phello__.*')
	is "$missing" "" "every module of CPython's Lib is in the binary or an exception"
else
	skip "PYI_CPYTHON does not say where CPython was built" "every module of CPython's Lib is in the binary"
fi

# works NAME CODE: prints True.
works() {
	pyi run --memory 512MiB -c "$2"
	if [ "$code" = 0 ] && [ "$out" = True ]; then pass "$1"; else
		fail "$1"
		diag "exit code $code, stdout: $out"
		diag "$err"
	fi
}

works "ssl: contexts, a handshake in memory" '
import ssl
client, server = ssl.create_default_context(), ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
client.check_hostname, client.verify_mode = False, ssl.CERT_NONE
a, b = ssl.MemoryBIO(), ssl.MemoryBIO()
conn = client.wrap_bio(a, b)
try: conn.do_handshake()
except ssl.SSLWantReadError: pass
print(b.pending > 100 and ssl.HAS_TLSv1_3 and "OpenSSL 3" in ssl.OPENSSL_VERSION)'
works "hashlib: built in and from OpenSSL" '
import hashlib
print(hashlib.sha256(b"abc").hexdigest().startswith("ba7816bf")
    and hashlib.new("sha512_256", b"").hexdigest().startswith("c672b8d1")
    and hashlib.scrypt(b"p", salt=b"s", n=2, r=1, p=1).hex() != ""
    and hashlib.blake2b(b"").hexdigest().startswith("786a02f7")
    and hashlib.pbkdf2_hmac("sha256", b"password", b"salt", 1).hex().startswith("120fb6cf"))'
works "sqlite3: memory, full text search, a file in /tmp" '
import sqlite3
db = sqlite3.connect("/tmp/x.db")
db.execute("create virtual table t using fts5(body)")
db.executemany("insert into t values (?)", [("the quick fox",), ("a lazy dog",)])
db.commit()
print(sqlite3.connect("/tmp/x.db").execute("select body from t where t match ?", ("lazy",)).fetchall() == [("a lazy dog",)])'
works "ctypes: structures, memory, calls by address" '
import ctypes
class P(ctypes.Structure): _fields_ = [("a", ctypes.c_int), ("b", ctypes.c_double)]
buf = ctypes.create_string_buffer(b"abc", 8)
ctypes.memset(buf, ord("x"), 2)
print(ctypes.sizeof(P) == 16 and buf.value == b"xxc" and ctypes.string_at(ctypes.addressof(buf), 3) == b"xxc")'
works "ctypes: callbacks, without memory that is writable and executable at once" '
import ctypes
T = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.c_int)
fs = [T(lambda x, i=i: x + i) for i in range(1000)]
print(sum(f(1) for f in fs) == 500500)'
works "ctypes: loading a shared library fails in words" '
import ctypes
try: ctypes.CDLL("libc.so.6")
except OSError as e: print("static program" in str(e) and "run -- python3" in str(e))'
works "ctypes: the C library by name, with a callback" '
import ctypes, os
libc = ctypes.CDLL(None, use_errno=True)
libc.sin.restype, libc.sin.argtypes = ctypes.c_double, [ctypes.c_double]
compare = ctypes.CFUNCTYPE(ctypes.c_int, *[ctypes.POINTER(ctypes.c_int)] * 2)(lambda a, b: a[0] - b[0])
numbers, text = (ctypes.c_int * 5)(5, 1, 4, 2, 3), ctypes.create_string_buffer(16)
libc.qsort(numbers, 5, 4, compare)
libc.snprintf(text, 16, b"%d-%s", 5, b"x")
print(libc.getpid() == libc.syscall(39) == os.getpid() and libc.strlen(b"hello") == 5 and list(numbers) == [1, 2, 3, 4, 5]
    and libc.sin(0.0) == 0.0 and text.value == b"5-x" and libc.close(-1) == -1 and ctypes.get_errno() == 9)'
works "ctypes: the C API, functions and data" '
import ctypes, sys
api = ctypes.pythonapi
api.Py_GetVersion.restype = ctypes.c_char_p
api.PyUnicode_FromFormat.restype = ctypes.py_object
print(api.Py_GetVersion().decode() == sys.version and api.PyUnicode_FromFormat(b"%d", 42) == "42"
    and ctypes.py_object.in_dll(api, "PyExc_ValueError").value is ValueError and ctypes.PyDLL(None).Py_IsInitialized() == 1)'
works "ctypes: an exception in another thread by PyThreadState_SetAsyncExc" '
import ctypes, threading, time
caught, ready = [], threading.Event()
def work():
    try:
        ready.set()
        while True: time.sleep(0.001)
    except KeyError: caught.append(True)
t = threading.Thread(target=work); t.start(); ready.wait()
n = ctypes.pythonapi.PyThreadState_SetAsyncExc(ctypes.c_ulong(t.ident), ctypes.py_object(KeyError))
t.join(); print(n == 1 and caught == [True])'
works "ctypes: a name that is not there fails in words" '
import ctypes, ctypes.util
try: ctypes.CDLL(None).no_such_function
except AttributeError as e: found = "undefined symbol: no_such_function" in str(e)
try: ctypes.c_int.in_dll(ctypes.pythonapi, "no_such_data")
except ValueError as e: print(found and "no_such_data" in str(e) and ctypes.util.find_library("c") is None)'
works "bz2, lzma, zlib, gzip" '
import bz2, lzma, zlib, gzip
d = bytes(range(256)) * 999
print(all(m.decompress(m.compress(d)) == d for m in (bz2, lzma, zlib, gzip)))'
works "decimal" '
from decimal import Decimal, getcontext
getcontext().prec = 50
print(str(Decimal(2).sqrt()).startswith("1.4142135623730950488016887242096980785696718753769"))'
works "asyncio: tasks, threads, a socket pair" '
import asyncio, socket
async def main():
    a, b = socket.socketpair()
    r, w = await asyncio.open_connection(sock=a)
    r2, w2 = await asyncio.open_connection(sock=b)
    w.write(b"ping\n"); await w.drain()
    line = await r2.readline()
    return line, await asyncio.to_thread(lambda: 7), await asyncio.gather(*(asyncio.sleep(0, i) for i in range(3)))
print(asyncio.run(main()) == (b"ping\n", 7, [0, 1, 2]))'
works "zoneinfo: UTC offsets from a file that is there" '
import os, struct, zoneinfo, datetime
from zoneinfo import ZoneInfo
head = b"TZif2" + bytes(15) + struct.pack(">6l", 0, 0, 0, 0, 1, 4)
body = struct.pack(">lBB", 0, 0, 0) + b"UTC\0"
os.makedirs("/tmp/z/Area")
open("/tmp/z/Area/Place", "wb").write(head + body + head + body + b"\nXST-2\n")
zoneinfo.reset_tzpath(["/tmp/z"])
print(datetime.datetime(2025, 1, 1, tzinfo=ZoneInfo("Area/Place")).utcoffset() == datetime.timedelta(hours=2))'
if [ -e /usr/share/zoneinfo/Europe/Berlin ]; then
	pyi run --allow-read /usr/share/zoneinfo -c '
import zoneinfo, datetime
print(datetime.datetime(2025, 7, 1, tzinfo=zoneinfo.ZoneInfo("Europe/Berlin")).utcoffset())'
	is "$out" "2:00:00" "zoneinfo: the time zones of the host, where granted"
else
	skip "no time zones on this host" "zoneinfo: the time zones of the host, where granted"
fi
works "email" '
import email, email.policy
from email.message import EmailMessage
m = EmailMessage(); m["Subject"] = "Grüße"; m["To"] = "a@example.org"; m.set_content("hi\n"); m.add_attachment(b"x", maintype="a", subtype="b")
n = email.message_from_bytes(m.as_bytes(), policy=email.policy.default)
print(n["subject"] == "Grüße" and n.get_body().get_content() == "hi\n" and len(list(n.iter_attachments())) == 1)'
works "http: a server and a client over a socket pair" '
import socket, threading, http.client, http.server
a, b = socket.socketpair()
class H(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200); self.send_header("Content-Length", "2"); self.end_headers(); self.wfile.write(b"ok")
    def log_message(self, *args): pass
t = threading.Thread(target=H, args=(b, ("inside", 0), None)); t.start()
c = http.client.HTTPConnection("x"); c.sock = a
c.request("GET", "/", headers={"Connection": "close"})
print(c.getresponse().read() == b"ok"); a.close(); t.join()'
works "xml: etree, minidom, sax" '
import xml.etree.ElementTree as E, xml.dom.minidom, xml.sax, xml.sax.handler
seen = []
class H(xml.sax.handler.ContentHandler):
    def startElement(self, name, attrs): seen.append(name)
xml.sax.parseString("<a><b/></a>", H())
print(E.fromstring("<a><b c=\"1\"/></a>")[0].get("c") == "1" and seen == ["a", "b"] and xml.dom.minidom.parseString("<a/>").documentElement.tagName == "a")'
works "unittest and doctest" '
import unittest, doctest, io, types
class T(unittest.TestCase):
    def test_good(self): self.assertEqual(1, 1)
    def test_bad(self):
        with self.subTest(i=1): self.assertEqual(1, 2)
r = unittest.TextTestRunner(stream=io.StringIO()).run(unittest.defaultTestLoader.loadTestsFromTestCase(T))
m = types.ModuleType("m", ">>> 1 + 1\n2\n")
print(r.testsRun == 2 and len(r.failures) == 1 and doctest.testmod(m) == (0, 1))'
works "threading: locks, conditions, pools" '
import threading
from concurrent.futures import ThreadPoolExecutor
total, lock = 0, threading.Lock()
def add(n):
    global total
    for _ in range(1000):
        with lock: total += n
with ThreadPoolExecutor(4) as pool: list(pool.map(add, range(8)))
print(total == 28000)'
works "multiprocessing can be imported, and forks" '
import multiprocessing as mp, multiprocessing.pool, multiprocessing.shared_memory, multiprocessing.managers
ctx = mp.get_context("fork")
def f(q): q.send(42)
a, b = ctx.Pipe()
p = ctx.Process(target=f, args=(b,)); p.start(); r = a.recv(); p.join()
print(r == 42 and p.exitcode == 0)'
works "subprocess fails with a clean error" '
import subprocess, os
try: subprocess.run(["/bin/true"])
except (PermissionError, FileNotFoundError): print(True)'
works "sub-interpreters" '
import _interpreters
i = _interpreters.create()
print(_interpreters.exec(i, "import json; assert json.loads(\"[1]\") == [1]") is None)'
works "time, locale, platform, sysconfig, uuid, random, secrets" '
import time, locale, platform, sysconfig, uuid, random, secrets
print(time.strftime("%Y") >= "2024" and locale.getpreferredencoding().lower() == "utf-8"
    and platform.python_implementation() == "CPython" and sysconfig.get_platform() == "linux-x86_64"
    and uuid.uuid4() != uuid.uuid4() and random.random() != random.random() and len(secrets.token_bytes(8)) == 8)'
works "pickle, copy, dataclasses, enum, typing, functools" '
import pickle, copy, dataclasses, enum, typing, functools
@dataclasses.dataclass
class D: a: int; b: list = dataclasses.field(default_factory=list)
class E(enum.Enum): X = 1
print(pickle.loads(pickle.dumps(D(1, [E.X]))) == D(1, [E.X]) and copy.deepcopy(D(2)) == D(2))'
works "tempfile, shutil, zipfile, tarfile in /tmp" '
import tempfile, shutil, zipfile, tarfile, os
d = tempfile.mkdtemp(); open(d + "/f", "w").write("x" * 999)
shutil.make_archive(d + "/z", "zip", d, "f"); shutil.make_archive(d + "/t", "gztar", d, "f")
print(zipfile.ZipFile(d + "/z.zip").read("f") == b"x" * 999 and tarfile.open(d + "/t.tar.gz").getnames() == ["f"]); shutil.rmtree(d)'
works "pydoc, inspect, dis, ast, tracemalloc" '
import pydoc, inspect, dis, ast, tracemalloc
tracemalloc.start()
print("JSON" in pydoc.render_doc("json") and inspect.signature(pydoc.render_doc).parameters and ast.unparse(ast.parse("a+b")) == "a + b"
    and len(list(dis.get_instructions("1+a"))) > 1 and tracemalloc.get_traced_memory()[0] > 0)'
works "encodings of all kinds" '
print("ä".encode("cp1252") == b"\xe4" and "日".encode("shift_jis") == b"\x93\xfa" and "日".encode("gb18030") == b"\xc8\xd5"
    and "bücher.example".encode("idna") == b"xn--bcher-kva.example")'

# Modules of the library that ask for their own file get an answer, though there is no such file.
pyi run -c 'import datetime, os, warnings
warnings.simplefilter("ignore")
print(datetime.datetime.strptime("02-28", "%m-%d").day, os.path.basename(os.__file__))'
is "$out" "28 os.py" "a date without a year is parsed, os has a __file__"

done_testing
