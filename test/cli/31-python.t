#!/bin/sh
# SPDX-License-Identifier: MIT
#
# Python inside behaves as python3 does: arguments, tracebacks, exit codes, streams, encodings. Where CPython of the same
# version is at hand outside (PYI_CPYTHON: its build directory) the two are compared byte by byte.
. "${0%/*}/lib.sh"

# ------------------------------------------------------------------------------------------------ as documented

pyi run -c 'import sys; print(sys.argv, sys.path[0] == "", sys.executable == "", __name__)' a 'b c' ''
is "$out" "['-c', 'a', 'b c', ''] True True __main__" "-c: argv, path, name"

mkdir dir
printf 'import sys\nprint(sys.argv, __file__, __name__, sys.path[0])\n' >dir/job.py
pyi run dir/job.py x --help -q
is "$out" "['dir/job.py', 'x', '--help', '-q'] $T/dir/job.py __main__ $T/dir" "a script: argv as given, __file__ absolute"
printf 'import sys\nprint(sys.argv, __file__)\n' >in
run "$PYISOLATE" run - one <in
is "$out" "['-', 'one'] <stdin>" "a program on stdin"
printf 'import sys, os\nprint(sys.argv[1:], os.path.basename(sys.argv[0]), __spec__.name)\n' >mod.py
pyi run --allow-read "$T" -m mod y
is "$out" "['y'] mod.py mod" "-m with a module of the working directory"
printf '{"a":[1]}' >in
run "$PYISOLATE" run -m json.tool --compact <in
is "$out" '{"a":[1]}' "-m with a module of the library, reading stdin"
pyi run -m no_such_module
exits 1 "-m with a module that is not there"
contains "$err" "No module named no_such_module" "and its name"

printf 'def f(x):\n    return g(x,\n             1)\n\ndef g(x, y):\n    return x / (y - 1)\n\nf(3)\n' >tb.py
pyi run tb.py
exits 1 "an uncaught exception: 1"
contains "$err" "File \"$T/tb.py\", line 6, in g
    return x / (y - 1)
           ~~^~~~~~~~~
ZeroDivisionError: division by zero" "tracebacks show source lines, though the file is not granted"
contains "$err" "line 2, in f
    return g(x,
             1)" "also of calls over several lines"
printf 'import os\ntry: os.listdir("/root")\nexcept OSError: pass\n' >denied.py
pyi run -v denied.py
contains "$err" "at denied.py:2" "a denial is told with the script's name as given, and the line"
pyi run -c 'import json; json.loads("{")'
contains "$err" 'File "<frozen json.decoder>"' "tracebacks name the library's modules"
printf 'import inspect\ndef f():\n    return 1  # here\nprint(inspect.getsource(f), end="")\n' >insp.py
pyi run insp.py
is "$out" "def f():
    return 1  # here" "inspect finds the source"
pyi run -c 'def f():
    1/0
f()'
contains "$err" "    1/0
    ~^~" "-c: tracebacks show source lines"

printf 'first\nsecond' >in
run "$PYISOLATE" run -c 'print(repr(input("? ")), repr(input()))
try: input()
except EOFError: print("end")' <in
is "$out" "? 'first' 'second'
end" "input() reads lines, then EOFError"
pyi run -c 'import sys
sys.stdout.buffer.write(bytes(range(256)))'
is "$(od -An -tx1 -v "$OUT" | tr -d ' \n' | cut -c1-40,473-)" \
	"000102030405060708090a0b0c0d0e0f10111213ecedeeeff0f1f2f3f4f5f6f7f8f9fafbfcfdfeff" "bytes pass through unchanged"
"$PYISOLATE" run -c 'print("x" * 1000000)' | "$PYISOLATE" run -c 'import sys; print(len(sys.stdin.read()))' >n
is "$(cat n)" 1000001 "pipes from one to the next"
run sh -c "'$PYISOLATE' run -c 'import time
for i in range(100000): print(i)' | head -n 1"
is "$out" 0 "a reader that goes away"
contains "$err" "BrokenPipeError" "is a BrokenPipeError"
code=$(sh -c "'$PYISOLATE' run -c 'print(1)' >/dev/full; echo \$?" 2>/dev/null)
is "$code" 120 "output that cannot be flushed at the end: 120"
run sh -c "'$PYISOLATE' run -c 'import sys; print(sys.stdin, file=sys.stderr)' <&-"
contains "$err" "None" "a closed stdin is None"
run sh -c "'$PYISOLATE' run -c 'import sys; print(sys.stdout, file=sys.stderr)' >&-"
contains "$err" "None" "a closed stdout is None"

code_of() { pyi run -c "$1"; exits "$2" "$3"; }
code_of 'pass' 0 "falling off the end: 0"
code_of 'raise SystemExit(7)' 7 "SystemExit(7): 7"
code_of 'import sys; sys.exit(256 + 9)' 9 "exit codes have eight bits"
code_of 'import sys; sys.exit()' 0 "sys.exit(): 0"
code_of 'exit(5)' 5 "exit() is there"
code_of 'quit()' 0 "and quit()"
code_of 'import os; os._exit(3)' 3 "os._exit"
code_of 'import sys; sys.exit("said")' 1 "sys.exit(text): 1"
is "$err" "said" "and the text on stderr"
code_of 'x = ' 1 "a syntax error: 1"
code_of 'raise KeyboardInterrupt' 130 "KeyboardInterrupt ends by SIGINT: 130"
code_of 'import os; os.abort()' 134 "abort: 134"
pyi run -c 'import atexit, threading, time
class A:
    def __del__(self): print("del")
a = A()
atexit.register(print, "atexit")
threading.Thread(target=lambda: (time.sleep(0.1), print("thread"))).start()
print("main")'
is "$out" "main
thread
atexit
del" "threads are joined, then atexit functions and finalizers run"
printf 'import atexit\natexit.register(lambda: 1/0)\nprint("main")\n' >atexit.py
pyi run atexit.py
exits 0 "an error in an atexit function does not change the exit code"
contains "$err" "ZeroDivisionError" "and is shown"
pyi run -c 'print(len([help, copyright, credits, license]), help)'
contains "$out" "4 Type help() for" "the builtins of the site module"
pyi run -c 'import sys; print(sys.flags.utf8_mode, sys.stdout.encoding, sys.stdin.errors, sys.stderr.errors)'
is "$out" "1 utf-8 surrogateescape backslashreplace" "UTF-8 mode, as python3 in the C locale"
pyi run -c 'import sys; print(ascii(sys.argv[1]), sys.argv[1])' "$(printf '\303\244\377')"
contains "$out" "'\\xe4\\udcff'" "arguments that are not UTF-8"
mkdir libs
printf 'def f(): return "from libs"\n' >libs/helper.py
printf 'import helper\nprint(helper.f())\n' >dir/uses.py
pyi run --allow-read "$T/libs" --env PYTHONPATH="/nowhere:$T/libs" dir/uses.py
is "$out" "from libs" "PYTHONPATH, where the policy sets it"
pyi run --env PYTHONHASHSEED=7 -c 'print(hash("abc"))'
first=$out
pyi run --env PYTHONHASHSEED=7 -c 'print(hash("abc"))'
is "$out" "$first" "PYTHONHASHSEED"
pyi run --env PYTHONUNBUFFERED=1 -c 'import os; print("not lost"); os._exit(0)'
is "$out" "not lost" "PYTHONUNBUFFERED"
printf 'import helper\n' >dir/beside.py
cp libs/helper.py dir/
pyi run dir/beside.py
exits 1 "a module beside the script, whose directory is not granted"
contains "$err" "No module named 'helper'" "is not there"
contains "$err" "--allow-read" "and the flag that would grant it is named"
pyi run --allow-read "$T/dir" -c 'import sys; sys.addaudithook(lambda *a: 1/0)'
exits 0 "an audit hook of the program that refuses everything"
if has script; then
	script -qec "'$PYISOLATE' run -c 'import sys; print(sys.stdout.isatty(), sys.stdout.line_buffering, sys.stdin.isatty())'" \
		/dev/null >"$OUT" 2>&1 </dev/null
	contains "$(tr -d '\r' <"$OUT")" "True True True" "a terminal is one inside, and line buffered"
else
	skip "$why" "a terminal is one inside, and line buffered"
fi

printf 'print("\344")\n' >bad.py
pyi run bad.py
exits 1 "a script that is not UTF-8"
contains "$err" "SyntaxError: Non-UTF-8 code starting with '\\xe4' in file $T/bad.py on line 1, but no encoding declared" \
	"says which byte and line"
printf '# -*- coding: latin-1 -*-\nprint(ascii("\344"))\n' >latin.py
pyi run latin.py
is "$out" "'\\xe4'" "a declared encoding"
printf '\357\273\277print("bom")\n' >bom.py
pyi run bom.py
is "$out" "bom" "a byte order mark"
printf 'print(1)\nx = "a\000b"\n' >nul.py
pyi run nul.py
exits 1 "a NUL"
contains "$err" "SyntaxError: source code cannot contain null bytes" "is refused as in python3"
is "$out" "" "and nothing was run"

# ------------------------------------------------------------------------------------------------ imports list

printf 'version: 1\nimports: [json, math]\n' >imports.yml
pyi run --policy ./imports.yml -c 'import json, math; print(json.dumps([math.pi > 3]))'
is "$out" "[true]" "imports: what is listed, and what it needs itself"
pyi run --policy ./imports.yml -c 'import socket'
exits 1 "imports: anything else"
contains "$err" "import of 'socket' is not allowed: the policy's 'imports' list does not name it" "names the policy"
pyi run --policy ./imports.yml -c 'import os'
exits 1 "imports: a module that start-up has loaded already"

# ------------------------------------------------------------------------------------------------ memory

pyi run --memory 64MiB -c 'try: bytearray(1 << 30)
except MemoryError: print("caught")
print(len(bytearray(1 << 20)))'
is "$out" "caught
1048576" "a MemoryError can be survived"
pyi run --memory 64MiB -c '
x = []
while True: x.append("y" * 1000)'
exits 137 "an uncaught one: 137"
contains "$err" "MemoryError" "and a traceback"
pyi run -c 'import ast; ast.literal_eval("-" * 100000 + "1")'
exits 1 "a MemoryError that is the compiler's, for code too deep"
lacks "$err" "limit" "is not the memory limit"
pyi run --memory 64MiB -c 'import asyncio, json, sqlite3, threading
t = threading.Thread(target=print, args=("thread",)); t.start(); t.join()
async def m(): return await asyncio.to_thread(lambda: 1)
print(asyncio.run(m()))'
is "$out" "thread
1" "64 MiB are enough for the library and threads"

# ------------------------------------------------------------------------------------------------ compared

if [ -z "${PYI_CPYTHON:-}" ] || [ ! -x "$PYI_CPYTHON/python" ]; then
	skip "PYI_CPYTHON does not say where CPython was built" "compared with CPython outside"
	done_testing
	exit
fi

outside() {
	env -i PATH=/usr/bin:/bin PYTHONHOME="$PYI_CPYTHON" PYTHONPATH="$PYI_CPYTHON/lib" PYTHONUTF8=1 \
		PYTHONDONTWRITEBYTECODE=1 "$PYI_CPYTHON/python" "$@"
}

# The library's frames have a path outside and a module name, without lines, inside.
normal() {
	sed -e 's/0x[0-9a-f]*/0x/g' -e "s,\"$PYI_CPYTHON/lib/\([^\"]*\)\.py\",\"<frozen \1>\"," "$1" |
		awk '/^ *File "<frozen /{ split($0, q, "\""); gsub("/", ".", q[2]); print q[1] q[2] q[3]; skip = 1; next }
			skip && /^    / { next } { skip = 0; print }'
}

same() {	# NAME ARG...: code, stdout and stderr as outside; stdin is the file in
	name=$1
	shift
	run outside "$@" <in
	outside_code=$code
	normal "$OUT" >outside.out
	normal "$ERR" >outside.err
	run "$PYISOLATE" run "$@" <in
	normal "$OUT" >inside.out
	normal "$ERR" >inside.err
	if [ "$code" = "$outside_code" ] && cmp -s inside.out outside.out && cmp -s inside.err outside.err; then
		pass "as outside: $name"
	else
		fail "as outside: $name"
		diag "exit code $code, outside $outside_code"
		diag "$(diff outside.out inside.out)"
		diag "$(diff outside.err inside.err)"
	fi
}

printf 'first\nsecond\n' >in
n=0
script() {	# NAME FORMAT: a script, in printf's words
	n=$((n + 1))
	# shellcheck disable=SC2059 # the format is the script
	printf "$2" >"case$n.py"
	same "$1" "case$n.py" a 'b c'
}
script "a syntax error" 'x = 1\nif x\n  pass\n'
script "a bracket that is not closed" 'x = (1,\n2\n'
script "a string that is not ended" 'print(1)\n"""abc\n'
script "tabs and spaces" '\tx=1\n        y=2\n'
script "a character that cannot stand there" 'print(1)\n\302\240x=2\n'
script "no newline at the end" 'print("no newline")\nif 1:\n  print(2)'
script "carriage returns" 'print(1)\r\nx = 5\r\n1/0\r\n'
script "an empty script" ''
script "a bad byte in a comment" '\n\nx=1 # \377\n'
script "a bad byte after a late cookie" 'x=1\n\n# coding: latin-1\ny="\344"'
script "an unknown encoding" '# coding: nosuch\nprint(1)\n'
script "an encoding that does not fit" '# coding: ascii\nx="\344"\n'
script "utf-16 is none" '# coding: utf-16\nx=1\n'
script "a BOM and another encoding" '\357\273\277# coding: latin-1\nprint(1)\n'
script "a BOM, and a failure" '\357\273\277print("\303\244")\n1/0\n'
script "latin-1, and a failure" '# coding: latin-1\nprint("\344")\nraise ValueError("\344")\n'
script "a declared UTF-8 that is none" '# coding: utf-8\nx="\344"\n'
script "a NUL" 'print(1)\nx = "a\000b"\n'
script "what __main__ holds" 'import sys\nprint(sys.argv, __name__, __file__, __doc__, __spec__, __package__, __cached__)
print(sorted(globals()), sys.path[0])\n'
script "annotations and __future__" '"""doc"""\nfrom __future__ import annotations\nx: int = 1\nprint(__doc__, __annotations__)\n'
script "chained exceptions" 'def f():\n    raise KeyError("no \\n x")\ntry:\n    f()\nexcept KeyError as e:\n    raise RuntimeError("two") from e\n'
script "exception groups" 'raise ExceptionGroup("g", [ValueError(1), TypeError("x")])\n'
script "an error in a thread" 'import threading\ndef w(): raise ValueError("in thread")\nt=threading.Thread(target=w); t.start(); t.join()\nprint("ok")\n'
script "endless recursion" 'def f(n): return f(n+1)\nf(0)\n'
script "StopIteration in a generator" 'def g():\n  yield 1\n  raise StopIteration\nlist(g())\n'
script "an assertion" 'assert 1 == 2, "msg"\n'
script "a name that is not there, nearly" 'import collections\ncollections.namedtupel\n'
script "a module that is not there" 'import nosuch.sub\n'
script "code made by exec" 'exec(compile("1/0","<x>","exec"))\n'
script "an excepthook" 'import sys\nsys.excepthook=lambda *a: print("hook",a[0].__name__)\n1/0\n'
script "warnings" 'import warnings\nwarnings.warn("hello")\ndef f(): warnings.warn("dep", DeprecationWarning)\nf()\n'
script "a bad SystemExit" 'raise SystemExit((1, 2))\n'
script "a huge SystemExit" 'raise SystemExit(2**70)\n'
script "a negative exit code" 'import sys; sys.exit(-1)\n'
script "stdout closed by the program" 'import sys\nprint("x"*100000)\nsys.stdout.close()\n'
script "input and prompts" 'print(input("name? "))\nprint(input())\ninput()\n'
script "stdin by lines" 'import sys\nfor l in sys.stdin: print(repr(l))\n'
script "the streams" 'import sys\nfor s in sys.stdin, sys.stdout, sys.stderr:\n  print(s.name, s.mode, s.encoding, s.errors, s.line_buffering, s.write_through)\n'
script "os._exit loses buffered output" 'import os,sys\nsys.stdout.write("buffered")\nos._exit(9)\n'
script "the first descriptor" 'import os\nprint(os.open("/dev/null",0))\n'
script "signals to oneself" 'import os,signal\nsignal.signal(signal.SIGUSR1, lambda *a: print("usr1"))\nos.kill(os.getpid(), signal.SIGUSR1)\nos.kill(os.getpid(), signal.SIGINT)\n'
script "a forked pool" 'import multiprocessing as mp\ndef w(x): return x*2\nif __name__=="__main__":\n  with mp.get_context("fork").Pool(2) as p: print(p.map(w,[1,2]))\n'
script "asyncio and an error" 'import asyncio\nasync def f():\n  await asyncio.sleep(0)\n  raise ValueError("x")\nasyncio.run(f())\n'
for c in pass 'x = ' '"""unterm' '1/0' 'raise SystemExit(4)' 'import sys; print(sys.argv, sys.path[0], sorted(globals()))' \
	'print(exit, quit, copyright, credits, license)' 'class E(Exception):
  def __str__(self): raise ValueError
raise E' 'import traceback; traceback.print_stack()' 'async def f(): pass
f()' "$(printf 'x="\303"; print(ascii(x))')"; do
	same "-c $c" -c "$c" x
done
for f in case1.py case9.py case18.py case21.py; do
	cp $f in
	same "$f on stdin" - arg
done
: >in
same "-m calendar --help" -m calendar --help
same "-m timeit" -m timeit -h

done_testing
