#!/bin/sh
# SPDX-License-Identifier: MIT
#
# Where in its Python code a guest was refused something: "at" of a denial is found by the BPF programs in the guest's
# frames. connect_ex() raises nothing, so nothing of it can come from what the guest says of its exceptions.
. "${0%/*}/lib.sh"

need root cgroup bpf-cgroup
export PYTHONDONTWRITEBYTECODE=1

# at ADDRESS-OR-PATH: where the denial of it was, from r.json; "null", or "none" where there is no such denial.
at() {
	place=$(tr '{' '\n' <r.json | grep -F "\"$1\"" | head -n 1 | sed 's/.*"at":\("[^"]*"\|null\).*/\1/; s/^"//; s/"$//')
	place=${place#"$T/"}
	printf '%s' "${place:-none}"
}
# line PATTERN FILE: where it stands in the file.
line() { grep -nF -- "$1" "$2" | head -n 1 | cut -d: -f1; }
# there PORT NAME [FILE]: the denial of that port is told with the line that has "mark PORT".
there() { is "$(at "127.0.0.1:$1")" "${3:-job.py}:$(line "mark $1" job.py)" "$2"; }

cat >job.py <<'END'
import socket, sys, threading

def refused(port):
    s = socket.socket()
    assert s.connect_ex(("127.0.0.1", port)) == 1, port
    s.close()

def generator():
    s = socket.socket()
    yield 1
    yield s.connect_ex(("127.0.0.1", 4))  # mark 4

class Key:
    def __init__(self, port):
        self.port = port
    def __lt__(self, other):
        s = socket.socket()
        s.connect_ex(("127.0.0.1",
                      5))  # the call begins a line above: mark nothing
        return False

def deep(n):
    if n:
        return deep(n - 1)
    return socket.socket().connect_ex(("127.0.0.1", 6))  # mark 6

socket.socket().connect_ex(("127.0.0.1", 1))  # mark 1
f = lambda: socket.socket().connect_ex(("127.0.0.1", 2))  # mark 2
f()
threads = [threading.Thread(target=lambda: socket.socket().connect_ex(("127.0.0.1", 3)))]  # mark 3
threads[0].start()
threads[0].join()
for _ in generator(): pass
sorted([Key(1), Key(2)])
deep(500)
try:
    socket.create_connection(("127.0.0.1", 7))  # mark 7
except PermissionError:
    pass
exec(compile("\n\nimport socket; socket.socket().connect_ex(('127.0.0.1', 8))", "made up", "exec"))
class Body:
    socket.socket().connect_ex(("127.0.0.1", 9))  # mark 9
[socket.socket().connect_ex(("127.0.0.1", 10)) for _ in range(1)]  # mark 10
async def coroutine():
    socket.socket().connect_ex(("127.0.0.1", 11))  # mark 11
import asyncio
asyncio.run(coroutine())
s = socket.socket()
t = threading.Thread(target=s.connect_ex, args=(("127.0.0.1", 12),))
t.start()
t.join()
def many(port):
    socket.socket().connect_ex(("127.0.0.1", port))  # mark 100
workers = [threading.Thread(target=many, args=(100 + i,)) for i in range(30)]
for w in workers: w.start()
for w in workers: w.join()
def before():
    socket.socket().bind(("127.0.0.1", 200))  # mark 200
try:
    before()
except PermissionError:
    pass
END

job() {
	pyi run --result r.json --allow-net 127.0.0.1:9999 "$@"
}
behave() {
	job "$@" job.py
	exits 0 "a script that is refused many things"
	there 1 "module level"
	there 2 "a lambda"
	there 3 "in a thread"
	there 4 "in a generator"
	is "$(at 127.0.0.1:5)" "job.py:$(($(line "the call begins" job.py) - 1))" "called by C, a call over two lines"
	there 6 "500 calls deep"
	there 7 "through the standard library: the line of the user's"
	is "$(at 127.0.0.1:8)" "made up:3" "compiled by the guest, with a name of its own"
	there 9 "the body of a class"
	there 10 "a comprehension"
	there 11 "a coroutine, under asyncio"
	# Its lines are in the image, and are told if that page is in memory at this moment.
	like "$(at 127.0.0.1:12)" '^<frozen threading>(:[0-9]+)?$' "no line of the user's: the innermost of the library"
	wrong=0
	for port in $(seq 100 129); do
		[ "$(at "127.0.0.1:$port")" = "job.py:$(line "mark 100" job.py)" ] || wrong=$((wrong + 1))
	done
	is $wrong 0 "30 threads at once, each at its line"
	there 200 "bind"
	is "$(member r.json denials.0.pid)" "$(member r.json denials.0.thread)" "the main thread is the process itself"
	like "$(member r.json denials.0.pid)" '^[1-9][0-9]*$' "whose id is the host's"
	like "$(member r.json denials.0.at_ms)" '^[0-9]+[.][0-9]{3}$' "when it was"
	lacks "$(tr '{' '\n' <r.json | grep '127.0.0.1:3"')" "\"thread\":$(member r.json denials.0.pid)," "another thread has another id"
	is "$(tr '{' '\n' <r.json | grep '127.0.0.1:1[0-2][0-9]"' | grep -o '"thread":[0-9]*' | sort -u | wc -l)" 30 "each of the 30 its own"
	contains "$(tr '{' '\n' <r.json | grep '127.0.0.1:3"')" "\"pid\":$(member r.json denials.0.pid)," "in the same process"
}
diag "from an image, or as it comes"
behave
diag "without an image"
behave --no-image

# ---- names
one='import socket; socket.socket().connect_ex(("127.0.0.1", 1))'
for name in é.py 例え.py "😀 b.py" "$(printf 'x%.0s' $(seq 150)).py"; do
	printf '\n%s\n' "$one" >"$name"
	job "$name"
	is "$(at 127.0.0.1:1)" "$name:2" "a script named '$(printf %.20s "$name")'"
	rm -f "$name"
done
long=$(printf 'y%.0s' $(seq 200))
mkdir -p "$long/$long"
echo "$one" >"$long/$long/a.py"
job "$long/$long/a.py"
like "$(at 127.0.0.1:1)" '^\.\.\.y+/y+/a\.py:1$' "of a long name the end"
name=$(printf 'b\377.py')
echo "$one" >"$name"
job "$name"
like "$(at 127.0.0.1:1)" '^b.+\.py:1$' "a name that is not UTF-8"
ok "and the record is JSON in UTF-8" "$PYISOLATE" run -q --allow-read r.json -c 'import json; json.loads(open("r.json", "rb").read().decode())'
job -c "$one"
is "$(at 127.0.0.1:1)" "<string>:1" "-c"
echo "$one" | "$PYISOLATE" run --result r.json --allow-net 127.0.0.1:9999 -
is "$(at 127.0.0.1:1)" "<stdin>:1" "-"
job -c 'import socket
exec(compile("x = socket.socket().connect_ex((\"127.0.0.1\", 1))", "a\nb\x1b[31m", "exec"))'
contains "$(cat r.json)" '"at":"a\nb\u001b[31m:1"' "control characters are escaped in the record"
pyi run -v --allow-net 127.0.0.1:9999 -c 'import socket
exec(compile("x = socket.socket().connect_ex((\"127.0.0.1\", 1))", "a\nb\x1b[31m", "exec"))'
contains "$err" "denied: connect '127.0.0.1:1' by net: default at a\\x0ab\\x1b[31m:1" "and on stderr"

# ---- a module of thousands of lines
{
	echo "import socket"
	seq 2 5000 | sed 's/.*/x = &/'
	echo 'socket.socket().connect_ex(("127.0.0.1", 1))'
} >job2.py
job job2.py
is "$(at 127.0.0.1:1)" "job2.py:5001" "line 5001 of a module"

# ---- not Python, or not ours
if has bash; then
	for dir in /bin /usr/bin /lib /usr/lib /lib64 /usr/lib64; do
		[ ! -d $dir ] || set -- "$@" --allow-run $dir --allow-read $dir
	done
	pyi run --result r.json --allow-net 127.0.0.1:9999 "$@" -- "$(command -v bash)" -c 'exec 3<>/dev/tcp/127.0.0.1/1'
	is "$(at 127.0.0.1:1)" null "a command has no line"
	job "$@" -c '
import subprocess
subprocess.run(["bash", "-c", "exec 3<>/dev/tcp/127.0.0.1/1"])'
	is "$(at 127.0.0.1:1)" null "a command that Python has started has none"
else
	skip "$why" "commands have no line"
fi

# ---- files, where the kernel judges them
if has bpf-lsm; then
	mkdir data
	echo text >data/file
	echo text >data/secret
	chmod -R a+rwX data
	printf 'version: 1\nfs:\n  - warn: %s\n' "$T/data" >warn.yml
	cat >files.py <<'END'
import os, sys, threading
def use(path):
    os.close(os.open(path, os.O_RDONLY))  # mark warn
t = threading.Thread(target=use, args=(sys.argv[1] + "/file",))
t.start()
t.join()
END
	pyi run --mode dev --policy warn.yml --result r.json files.py "$T/data"
	is "$(at "$T/data/file")" "files.py:$(line "mark warn" files.py)" "a warning, which raises nothing"
	printf 'version: 1\nfs:\n  - write: %s\n  - deny: %s\n' "$T/data" "$T/data/secret" >deny.yml
	cat >files.py <<'END'
import ctypes, os, sys
libc = ctypes.CDLL(None)
path = os.fsencode(sys.argv[1])
def refused(fn, *args):
    assert fn(*args) == -1
list(map(lambda p: refused(libc.unlink, p),
         [path + b"/secret"]))
try:
    os.rename(path + b"/secret", path + b"/open")  # mark rename
except PermissionError:
    pass
END
	pyi run --policy deny.yml --result r.json files.py "$T/data"
	exits 0 "files that are refused"
	is "$(tr '{' '\n' <r.json | grep '"op":"unlink"' | head -n 1 | grep -o '[^/]*[.]py:[0-9]*')" files.py:5 "unlink, called by ctypes under map()"
	is "$(tr '{' '\n' <r.json | grep '"op":"rename"' | head -n 1 | grep -o '[^/]*[.]py:[0-9]*')" "files.py:$(line "mark rename" files.py)" "rename"
else
	skip "$why" "lines of refused files"
fi

# ---- a guest that lies: nothing it keeps in its memory can do more than to give a wrong line, or none
cat >forge.py <<'END'
import ctypes, socket

sockets = [socket.socket() for _ in range(50)]  # open to the end: to warn of one, CPython reads the names itself
def hit(port):
    s = sockets.pop()
    closed.append(s)
    assert s.connect_ex(("127.0.0.1", port)) == 1

closed = []
code = hit.__code__
hit(19)
def forge(where, values):
    old = where.value
    for value in values:
        where.value = value
        try:
            hit(20)
        finally:
            where.value = old
words = (0, 8, 0x4141414141414141, 2**64 - 1, id(code), id(code) + 1, 0x7fffffffffff, 0xffff800000000000)
found = 0
for i in range(4, type(code).__basicsize__ // 8):
    where = ctypes.c_uint64.from_address(id(code) + 8 * i)
    if where.value == id(code.co_filename):
        found += 1
        forge(where, words)
# The table of lines: without an end, of entries that go back for ever, of numbers that never end.
table = code.co_linetable
data = id(table) + bytes.__basicsize__ - 1
for fill in (0x7f, 0x80, 0xff, 0xf8, 0xe8):
    saved = ctypes.string_at(data, len(table))
    ctypes.memset(data, fill, len(table))
    hit(21)
    ctypes.memmove(data, saved, len(table))
# A name of many gigabytes, a name of none.
name = code.co_filename
length = ctypes.c_int64.from_address(id(name) + object.__basicsize__)
forge(length, (0, 1 << 20, 1 << 62))
print("done", found)
END
job forge.py
exits 0 "a guest that forges its code objects"
contains "$out" "done 1" "goes on"
is "$(at 127.0.0.1:19)" forge.py:7 "what it has not forged is right"
is "$(member r.json denials_total)" 17 "and each of its denials is recorded"
done_testing
