#!/bin/sh
# SPDX-License-Identifier: MIT
#
# `pyisolate run`: where the program comes from, what it sees, what it hands back. As python3 would.
. "${0%/*}/lib.sh"

# ---- sources
pyi run -c 'print("hello")'
exits 0 "-c runs"
is "$out" hello "-c prints"
is "$err" "" "and nothing else is said"

pyi run -c 'import sys; print(sys.argv)' a '' '-x' --timeout=bad
is "$out" "['-c', 'a', '', '-x', '--timeout=bad']" "what follows -c CODE is the program's own"

cat >job.py <<'END'
import sys
print(sys.argv)
print(__file__, __name__)
END
pyi run job.py one two
exits 0 "a script runs without a grant for its path"
is "$out" "['job.py', 'one', 'two']
$T/job.py __main__" "sys.argv is as given, __file__ absolute, as with python3"
pyi run "$T/job.py"
contains "$out" "$T/job.py" "an absolute path stays one"

pyi run -m this
contains "$out" "Beautiful is better" "-m runs a module of the standard library"
pyi run -m no_such_module_here
exits 1 "-m of a module that is not there is exit 1"
contains "$err" "No module named no_such_module_here" "and says so as python3"
pyi run -m json.tool --help
exits 0 "-m of a submodule"
contains "$out" usage "with its arguments"

run "$PYISOLATE" run - a b <<'END'
import sys
print(sys.argv)
END
is "$out" "['-', 'a', 'b']" "- is a program on stdin"
run sh -c 'echo "print(6 * 7)" | "$PYISOLATE" run'
is "$out" 42 "as is no program at all when stdin is a pipe"

printf 'print("fifo")\n' >text.py
mkfifo pipe.py
cat text.py >pipe.py &
pyi run pipe.py
is "$out" fifo "a script may be a fifo"
(sleep 0.5 && cat text.py >pipe.py) &
pyi run pipe.py
is "$out" fifo "whose writer comes late"

# ---- stdio
run "$PYISOLATE" run -c 'print(input() + "!"); print(input())' <<'END'
first
second
END
is "$out" "first!
second" "input() reads stdin"
printf 'a\000b\377' >bytes
run "$PYISOLATE" run -c 'import sys; sys.stdout.buffer.write(sys.stdin.buffer.read())' <bytes
ok "bytes pass through unchanged" cmp "$OUT" bytes
pyi run -c 'import sys; print("to stderr", file=sys.stderr)'
is "$out/$err" "/to stderr" "stderr is stderr"
run sh -c '"$PYISOLATE" run -c "
for i in range(1000000): print(i)" | head -n 2'
is "$out" "0
1" "a reader that leaves ends the program"
pyi run -c 'import sys; print(sys.stdin.isatty(), sys.stdout.isatty())'
is "$out" "False False" "no terminal where there is none"
run sh -c '"$PYISOLATE" run -c "print(1)" >&-'
exits 0 "a closed stdout is no obstacle, as for python3"
run sh -c '"$PYISOLATE" run -c "import os; os._exit(0)" <&- >&- 2>&-'
exits 0 "closed stdin, stdout and stderr are no obstacle"

# ---- exit codes
for c in 0 1 2 3 77 124 125 255; do
	pyi run -c "import sys; sys.exit($c)"
	exits "$c" "sys.exit($c) is handed on"
done
pyi run -c 'import sys; sys.exit("words")'
exits 1 "sys.exit(text) is 1"
is "$err" words "and prints the text"
pyi run -c '1/0'
exits 1 "an uncaught exception is 1"
contains "$err" "ZeroDivisionError: division by zero" "with its traceback"
pyi run -c 'import os; os._exit(9)'
exits 9 "os._exit is handed on"
pyi run -c 'import os, signal; os.kill(os.getpid(), signal.SIGABRT)'
exits 134 "a signal n is 128 + n"
pyi run -c 'this is no python'
exits 1 "a syntax error is 1"
contains "$err" "SyntaxError" "and named"

printf 'def f():\n    return 1 / 0  # the line\n\nf()\n' >bad.py
pyi run bad.py
contains "$err" "File \"$T/bad.py\", line 2, in f" "tracebacks name the script's file and line"
contains "$err" "return 1 / 0  # the line" "and show the source line"
pyi run -c 'def f(): return 1 / 0
f()'
contains "$err" 'File "<string>", line 1, in f' "and those of -c"

# ---- what Python is inside
pyi run -c 'import sys; print(sys.version_info[:2], sys.flags.isolated, sys.flags.no_user_site, sys.executable)'
like "$out" '^\(3, 13\) ' "it is Python 3.13"
pyi run -c '
import json, re, ssl, hashlib, sqlite3, ctypes, bz2, lzma, zlib, decimal, asyncio, email, http.client, unittest, zoneinfo
import xml.etree.ElementTree as E, multiprocessing, urllib.request, threading, datetime, random, math
db = sqlite3.connect(":memory:")
print(db.execute("select 6*7").fetchone()[0], hashlib.sha256(b"").hexdigest()[:8], zlib.crc32(b"abc"),
      decimal.Decimal(1) / 7, E.fromstring("<a>t</a>").text, len(bz2.compress(lzma.compress(b"x" * 1000))) > 10)
async def f(): await asyncio.sleep(0.01); return "async"
print(asyncio.run(f()))
'
exits 0 "the standard library is there"
like "$out" '^42 e3b0c442 891568578 0.14285714285714285714285714' "and works"
contains "$out" async "asyncio too"

# ---- surroundings
run env SECRET=hidden PYTHONSTARTUP=/x LD_PRELOAD= "$PYISOLATE" run -c 'import os; print(sorted(os.environ))'
lacks "$out" SECRET "the environment is scrubbed"
lacks "$out" PYTHONSTARTUP "of PYTHON variables as well"
run env SECRET=shown "$PYISOLATE" run --allow-env SECRET -c 'import os; print(os.environ["SECRET"])'
is "$out" shown "--allow-env lets one through"
pyi run --env A=b=c -c 'import os; print(os.environ["A"])'
is "$out" "b=c" "--env sets one"
pyi run -c 'import os; print(os.getuid() == 0, os.getpid() < 10)'
like "$out" '^False' "the guest is not root"
pyi run -c 'import os; print(os.getcwd())'
exits 0 "it has a working directory"
mkdir work
pyi run --allow-read "$T/work" --cwd "$T/work" -c 'import os; print(os.getcwd())'
is "$out" "$T/work" "--cwd sets it"
pyi run -c 'open("/tmp/x", "w").write("1"); import os; print(os.listdir("/tmp"))'
is "$out" "['x']" "/tmp is private and can be written"
nok "and nothing of it is seen outside" test -e /tmp/x
pyi run -c 'import os; print(os.path.exists("/etc/shadow"), os.path.exists("/root"), os.path.exists("/home"))'
is "$out" "False False False" "what is not granted is not there"

# ---- granted files
echo data >in.txt
chmod 600 in.txt
pyi run --allow-read in.txt -c "print(open('$T/in.txt').read().strip())"
exits 0 "a granted 0600 file of the invoker can be read"
is "$out" data "and holds what it held"
pyi run -c "open('$T/in.txt')"
exits 1 "without the grant it cannot"
contains "$err" "FileNotFoundError" "it does not exist there"
contains "$err" "is not granted: --allow-read $T/in.txt" "one line says which flag would grant it"
pyi run --allow-read in.txt -c "open('$T/in.txt', 'w')"
exits 1 "a read grant does not write"
like "$err" 'PermissionError|Read-only' "with PermissionError or a read-only file system"
is "$(cat in.txt)" data "the file is as it was"
mkdir out
pyi run --allow-write out -c "open('$T/out/new', 'w').write('made')"
exits 0 "a write grant writes"
is "$(cat out/new)" made "what was written is there"
is "$(stat -c %u out/new)" "$(id -u)" "and belongs to the invoker"
pyi run --allow-write fresh.txt -c "open('$T/fresh.txt', 'w').write('x')"
is "$(cat fresh.txt 2>&1)" x "a missing file of a write grant is made"
echo 'value = 41' >beside.py
echo 'import beside; print(beside.value + 1)' >main.py
pyi run main.py
exits 1 "a module beside the script needs a grant"
contains "$err" "--allow-read $T" "and the refusal says so"
pyi run --allow-read "$T" main.py
is "$out" 42 "with it the import works"

# ---- other programs
if has native || has python3; then
	pyi run -- /bin/echo a "b c"
	exits 0 "-- runs a program of the host"
	is "$out" "a b c" "with its arguments"
fi
pyi run -- /no/such/program
exits 127 "a program that is not there is 127"
like "$err" '^pyisolate: .*/no/such/program' "and named"
echo text >plain
pyi run --allow-read plain -- "$T/plain"
exits 126 "one that cannot be executed is 126"
if has sh; then
	pyi run -- sh -c 'exit 7'
	exits 7 "its exit code is handed on"
	pyi run -- sh -c 'echo $0 in; cat' x
	exits 0 "and stdin"
	pyi run -- sh -c 'cat /etc/shadow'
	isnt "$code" 0 "it is under the same policy"
	pyi run -- sh -c "cat $T/in.txt"
	isnt "$code" 0 "files need their grant"
	pyi run --allow-read in.txt -- sh -c "cat $T/in.txt"
	is "$out" data "and are there with it"
fi
if has python3 && [ -n "$(command -v /usr/bin/python3)" ]; then
	pyi run -- /usr/bin/python3 -c 'import sys, json, ssl; print(sys.version_info[0])'
	is "$out" 3 "the host's own python3 runs"
fi

# ---- usage
pyi run --no-such-option
exits 2 "an unknown option is usage, 2"
is "$(printf '%s\n' "$err" | wc -l)" 1 "in one line"
pyi run --memry 1MiB -c pass
contains "$err" "--memory" "with the nearest name"
pyi run --memory lots -c pass
isnt "$code" 0 "a limit that is none"
contains "$err" lots "is quoted"
pyi run --policy "$T/none.yml" -c pass
exits 125 "a policy that is not there is 125"
contains "$err" none.yml "and named"
pyi run "$T/none.py"
exits 125 "a script that is not there is 125"
like "$err" '^pyisolate: .*none.py' "and named in one line"
pyi run --mode strict -c pass
exits 2 "an unknown mode is 2"
pyi run --require nothing -c pass
exits 2 "an unknown layer is 2"
pyi run --user 0 -c pass
exits 2 "the guest never runs as root"
pyi run --
exits 2 "-- wants a command"
pyi run --result-fd 77 -c pass
exits 2 "a descriptor that is not open is 2"
pyi run --help
exits 0 "--help answers"
contains "$out" "--allow-read" "on stdout"
pyi --version
exits 0 "--version answers"
like "$out" 'Python 3\.13' "with the Python version"
pyi nonsense
exits 2 "an unknown command is 2"

# ---- dry run
pyi run --dry-run --memory 64MiB --allow-read "$T/in.txt" -c 'print("ran")'
exits 0 "--dry-run succeeds"
lacks "$out" "ran
" "and runs nothing"
contains "$out" "$T/in.txt" "it names what is granted"
pyi run --dry-run --json -c pass
isnt "$(member "$OUT" layers)" "" "--dry-run --json is JSON with the layers"

done_testing
