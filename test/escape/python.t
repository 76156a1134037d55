#!/bin/sh
# SPDX-License-Identifier: MIT
#
# What Python alone offers: the object graph, forged objects, import tricks. Whoever uses them owns the interpreter, and
# has gained nothing: the walls are the kernel's.
. "${0%/*}/../cli/lib.sh"
. "$TESTS/escape/twin.sh"

mkdir out in
chmod 0777 in
nowhere='^refused: (EPERM|EACCES|ENOENT|ENOSYS|system\(\) said)'

twin "from a tuple to os.system" --want "$nowhere" --args "id>/dev/null" object-graph
twin "posix.system past every hook" --want "$nowhere" --args "id>/dev/null" audit-hook
twin "memory of forged objects" --want "$nowhere" --args "/bin/true" forged-code
inside --allow-write "$T/in" -- object-graph "touch $T/in/made"
ok "system() made nothing" test ! -e in/made

# An import list is a convenience: the test is that going round it opens nothing that matters.
cat >imports.yml <<END
version: 1
imports: [math, json]
END
run "$PYISOLATE" run --policy "$T/imports.yml" -c 'import math, json; print(json.dumps(math.pi))'
like "$out" '^3.14' "a listed module is imported"
run "$PYISOLATE" run --policy "$T/imports.yml" -c 'import socket'
isnt "$code" 0 "one that is not listed is refused"
run "$PYISOLATE" run --policy "$T/imports.yml" -c '
import sys
out = []
for find in (
    lambda: [c for c in object.__subclasses__() if c.__name__ == "_wrap_close"][0].__init__.__globals__["system"]("id"),
    lambda: sys.modules["os"].system("id"),
    lambda: sys.modules["posix"].execv("/bin/true", ["true"]),
    lambda: print(open("/etc/shadow").read()),
    lambda: print(open("'"$T"'/attack.py").read()),
):
    try:
        out.append("status %s" % find())
    except BaseException as e:
        out.append(type(e).__name__)
print(*out, sep="\n")'
unlike "$out" '^status (0|None)$' "round the list: nothing runs, nothing opens"
lacks "$out" "uid=" "no program ran"

# Crashing the interpreter is the guest's own affair: the code says so and the record is whole.
run "$PYISOLATE" run --result "$T/r.json" -c 'import ctypes; ctypes.string_at(8)'
exits 139 "a wild pointer ends the guest with SIGSEGV"
is "$(member r.json reason)" signal "and the record says so"
is "$(member r.json signal)" 11 "with the signal"
is "$(find . -name 'core*')" "" "and leaves no core"
run "$PYISOLATE" run --result "$T/r.json" -c 'import os; os.abort()'
exits 134 "abort()"
run "$PYISOLATE" run --memory 64MiB --result "$T/r.json" -c '
import sys
sys.setrecursionlimit(10**9)
def f(): f()
f()'
isnt "$code" 125 "an endless recursion is the guest's own end"
isnt "$code" 0 "and an end"

# Python's own files: nothing of the interpreter is read from the host, so nothing can be planted for it.
mkdir fake
for m in os json site sitecustomize usercustomize encodings; do echo "print('PLANTED')" >"fake/$m.py"; done
for var in PYTHONPATH PYTHONHOME PYTHONSTARTUP PYTHONUSERBASE PYTHONPYCACHEPREFIX PYTHONINSPECT PYTHONBREAKPOINT; do
	run env $var="$T/fake" "$PYISOLATE" run -c 'import os, json; print("fine")'
	is "$out" fine "$var is not heeded"
done
cd fake || exit 1
run "$PYISOLATE" run -c 'import json; print(json.dumps(1))'
is "$out" 1 "a module of the working directory does not stand in for the library"
cd "$T" || exit 1
run sh -c "cd '$T/fake' && '$python' -c 'import json'"
like "$out" PLANTED "as it does outside"
run "$PYISOLATE" run -c 'import sys; print(sys._is_gil_enabled() if hasattr(sys, "_is_gil_enabled") else None, sys.flags.isolated)'
exits 0 "flags can be read"

# Raw system calls work from the guest: they are the kernel's to refuse, not ours to hide.
run "$PYISOLATE" run "$attack" keyctl
refused "a raw system call reaches the filter and no further"

done_testing
