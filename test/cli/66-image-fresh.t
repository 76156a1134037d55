#!/bin/sh
# SPDX-License-Identifier: MIT
#
# What a guest from an image shares with another one, and what it must not: each fact that the runtime, libc or a module
# caches is this process's own. Twice from the same image (in its pid namespace each is process 2), and once without.
. "${0%/*}/lib.sh"
. "${0%/*}/image-lib.sh"
own_images
pyi image build
exits 0 "an image to start from"

# ---- randomness: every source, twice; nothing may come again
cat >random.py <<'END'
import os, random, secrets, sqlite3, ssl, sys, tempfile, uuid
hello = ssl.MemoryBIO()
context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
context.check_hostname = False
tls = context.wrap_bio(ssl.MemoryBIO(), hello)
try:
    tls.do_handshake()
except ssl.SSLWantReadError:
    pass
hello = hello.read()
print("random.random", random.random())
print("random.getrandbits", random.getrandbits(128))
print("random.Random", random.Random().random())
print("random.SystemRandom", random.SystemRandom().random())
print("secrets.token_hex", secrets.token_hex(16))
print("os.urandom", os.urandom(16).hex())
print("uuid.uuid4", uuid.uuid4())
print("uuid.uuid1", uuid.uuid1())
print("tempfile.mktemp", tempfile.mktemp())
print("tempfile.mkdtemp", tempfile.mkdtemp())
print("ssl.RAND_bytes", ssl.RAND_bytes(16).hex())
print("TLS client random", hello[11:43].hex())
print("TLS key share", hello[-32:].hex())
print("SQLite", sqlite3.connect(":memory:").execute("select hex(randomblob(16))").fetchone()[0])
sys.stdout.flush()
if os.fork() == 0:
    print("random.random of a child", random.random())
    print("ssl.RAND_bytes of a child", ssl.RAND_bytes(16).hex(), flush=True)
    os._exit(0)
os.wait()
END
for which in 1 2; do
	rm -f "r$which.json"
	run "$PYISOLATE" run --result "r$which.json" random.py
	exits 0 "random numbers of start $which"
	is "$(member "r$which.json" image)" true "which came from the image"
	cp "$OUT" "random$which"
done
is "$(wc -l <random1)" 16 "each source has said something"
sort random1 random2 | uniq -d >both
is "$(cat both)" "" "and nothing twice"
sed 's/.* //' random1 random2 | sort | uniq -d >both
is "$(cat both)" "" "nor has any the numbers of another"

# ---- the stack's canary and addresses: new in each process; libc's pointer guard and the heap are the image's
cat >addresses.py <<'END'
import ctypes
buffer = ctypes.create_string_buffer(8)
maps = open("/proc/self/maps").read().splitlines()
print(next(line.split("-")[0] for line in maps if line.endswith("[stack]")))
print(next(line.split("-")[0] for line in maps if line.endswith("[vdso]")))
END
if has userns; then
	pyi run addresses.py
	first=$out
	pyi run addresses.py
	isnt() { if [ "$1" != "$2" ]; then ok "$3" true; else ok "$3" false; fi; }
	isnt "$out" "$first" "stack and vdso are elsewhere in each start"
fi

# ---- what a normal start knows, a start from the image knows as well
cat >facts.py <<'END'
import sys
modules = list(sys.modules)
import builtins, gc, os, posix, signal, threading, time, resource, tempfile, locale, logging, subprocess, select, stat
import asyncio, concurrent.futures, urllib.request, http.client, xml.etree.ElementTree, email.message
print("modules", modules)
print("after", sorted(sys.modules))
print("main", [(k, v) for k, v in vars(sys.modules["__main__"]).items() if k.startswith("__") and k != "__builtins__"])
print("packages", [hasattr(__import__(p), a) for p, a in (("email", "mime"), ("http", "server"), ("xml", "dom"),
      ("concurrent", "futures"), ("urllib", "robotparser"), ("json", "tool"), ("importlib", "resources"))])
print("argv", sys.argv, sys.orig_argv, sys.path, sys.flags)
print("environ", sorted(os.environ.items()) == sorted((k.decode(), v.decode()) for k, v in posix.environ.items()),
      sorted(os.environ.items()))
os.environ["ADDED"] = "1"
print("putenv", os.getenv("ADDED"), posix.environ.get(b"ADDED"))
print("ids", os.getpid() == threading.get_native_id() == threading.main_thread().native_id, os.getpid() != os.getppid(),
      threading.main_thread() is threading.current_thread(), threading.main_thread().ident == threading.get_ident())
print("times", time.tzname, time.timezone, time.daylight, time.altzone, time.strftime("%Z", time.localtime(0)),
      time.localtime(0)[:6], abs(time.time() - time.clock_gettime(time.CLOCK_REALTIME)) < 1)
record = logging.LogRecord("a", 1, "b", 2, "c", None, None)
print("logging since", 0 <= record.relativeCreated < 60000)
print("signals", {s.name: str(signal.getsignal(s)) for s in signal.valid_signals() if isinstance(s, signal.Signals)})
print("limits", [resource.getrlimit(i) for i in range(16)], threading.stack_size())
print("cpus", os.cpu_count(), os.process_cpu_count(), len(os.sched_getaffinity(0)))
print("tempdir", tempfile.gettempdir())
print("locale", locale.setlocale(locale.LC_ALL), locale.getpreferredencoding(), sys.getfilesystemencoding())
for f in sys.stdin, sys.stdout, sys.stderr, sys.__stdin__, sys.__stdout__, sys.__stderr__:
    raw = f and getattr(f.buffer, "raw", f.buffer)
    print(f and (f.name, f.mode, f.encoding, f.errors, f.newlines, f.line_buffering, f.write_through, f.seekable(),
                 f.isatty(), f.fileno(), f.buffer.name, raw.name, raw.mode, raw.closefd))
print("descriptors", sorted(os.listdir("/proc/self/fd")) if os.path.exists("/proc/self/fd") else None)
print("collector", gc.isenabled(), gc.get_threshold(), gc.callbacks)
print("hooks", sys.meta_path, sys.path_hooks, builtins.__import__, sys.excepthook is sys.__excepthook__)
print("loaders", [(m.__spec__.name, m.__spec__.origin, m.__spec__.loader.__name__, getattr(m, "__file__", None),
      m.__spec__.parent, m.__spec__.cached) for m in (os, logging, select, asyncio, xml.etree.ElementTree)])
status = open("/proc/self/status").read() if os.path.exists("/proc/self/status") else ""
print([line for line in status.splitlines() if line.startswith(("Sig", "Shd", "Seccomp", "NoNewPrivs", "Cap", "Threads"))])
END
same() { # TEXT OPTION...: the facts are the same with and without
	same_text=$1
	shift
	sh -c "$same_run" sh --no-image "$@" >without 2>without.err
	sh -c "$same_run" sh "$@" >with 2>with.err
	sed -i 's/ at 0x[0-9a-f]*//g' with without
	is "$(member r.json image)" true "$same_text: from the image"
	is "$(diff without with && cat with.err)" "" "$same_text: the facts are those of a normal start"
}
same_run='"$PYISOLATE" run --result r.json "$@" facts.py a "b c" </dev/null'
same "standard output a file"
ok "and the facts are there" test "$(wc -l <with)" -gt 20
same "variables" --env LANG=C --env "A=b=c" --env TMPDIR=/tmp --env EMPTY=
same "a time zone" --env TZ=XYZ-3ABC
contains "$(cat with)" "'XYZ', 'ABC'" "which is that of TZ"
same "unbuffered" --env PYTHONUNBUFFERED=1
same "a memory limit" --memory 256MiB
cat >imports.yml <<'END'
version: 1
imports: [sys, builtins, gc, os, posix, signal, threading, time, resource, tempfile, locale, logging, subprocess, select, stat,
  asyncio, concurrent, urllib, http, xml, email, json, importlib]
END
same "an import list" --policy ./imports.yml
start 'import json' --policy ./imports.yml
is "$code/$image" 0/true "a module that is on the list"
start 'import csv' --policy ./imports.yml
is "$code/$image" 1/true "and one that is not, though it is ready"
contains "$(cat "$ERR")" "import of 'csv' is not allowed" "is refused"
same_run='"$PYISOLATE" run --result r.json "$@" facts.py </dev/null 2>&1 | cat'
same "standard output a pipe"
same_run='"$PYISOLATE" run --result r.json "$@" facts.py <facts.py 2>&1'
same "standard input a file"
same_run='"$PYISOLATE" run --result r.json "$@" facts.py <&- 2>&1'
same "standard input closed"
same_run='"$PYISOLATE" run --result r.json "$@" facts.py 2>&-'
same "standard error closed"
if command -v taskset >/dev/null && [ "$(nproc)" -gt 1 ]; then
	same_run='taskset -c 0 "$PYISOLATE" run --result r.json "$@" facts.py'
	same "one CPU"
	contains "$(cat with)" "cpus 1 1 1" "of which there is one"
fi

# ---- what shapes the start of libc or the interpreter is honoured, by a normal start
for variable in PYTHONHASHSEED=7 GLIBC_TUNABLES=glibc.malloc.arena_max=1 MALLOC_ARENA_MAX=1 OPENSSL_CONF=/dev/null; do
	start 'print(hash("abc"))' --env "$variable"
	is "$code/$image" 0/false "${variable%%=*} makes a normal start"
	contains "$err" "shapes the interpreter's start" "and -v says why"
done
start 'print(1)' --memory 48MiB
is "$code/$out/$image" 0/1/false "so does a memory limit of which the image would take more than a quarter"

# ---- modules that were ready are, once imported, like any other
pyi run - <<'END'
import sys
sys.modules["_json"] = None
import json
print(json.scanner.c_make_scanner, json.encoder.c_make_encoder)
del sys.modules["json"], sys.modules["json.decoder"]
import json as again
print(again is json, again.loads("[1]"))
import importlib.util, string
print(importlib.reload(string) is string)
spec = importlib.util.find_spec("fractions")
own = importlib.util.module_from_spec(spec)
spec.loader.exec_module(own)
print("fractions" in sys.modules, own.Fraction(1, 2))
import fractions
print(fractions is own)
class Finder:
    def find_spec(name, path=None, target=None):
        print("asked for", name) if name == "statistics" else None
sys.meta_path.insert(0, Finder)
import statistics
END
is "$out" "None None
False [1]
True
False 1/2
False
asked for statistics" "blocked, imported again, reloaded, made by hand, found by others"
cat >loud.py <<'END'
import atexit, json, logging, threading
logging.basicConfig(format="%(message)s")
class Loud:
    def __init__(self, name):
        self.name = name
    def __del__(self):
        print("gone", self.name)
    def method(self):
        return Loud
END
{ cat loud.py && echo 'kept = Loud("of __main__"); atexit.register(print, "at exit")
cycle = Loud("of a cycle"); cycle.me = cycle; del cycle'; } >end1.py
pyi run end1.py
is "$(printf '%s\n' "$out" | sort)" "at exit
gone of __main__
gone of a cycle" "finalizers of the program's objects run at the end"
{ cat loud.py && echo 'json.mine = Loud("of the library")'; } >end2.py
pyi run end2.py
is "$out" "gone of the library" "and of those that it has put into modules of the library"
pyi run -c 'import sys; sys.addaudithook(lambda *a: 1 / 0)'
exits 0 "an audit hook that refuses everything cannot spoil the end"
done_testing
