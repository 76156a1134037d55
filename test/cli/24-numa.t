#!/bin/sh
# SPDX-License-Identifier: MIT
#
# --numa: a sandbox runs on the CPUs of one node, takes its memory from there, and cannot undo either.
. "${0%/*}/lib.sh"
. "$TESTS/cli/named.sh"
nodes=/sys/devices/system/node
[ -s $nodes/online ] || {
	pyi run --numa 0 -c pass
	exits 125 "a kernel without nodes"
	contains "$err" "limits: numa: this kernel knows no nodes" "says so"
	done_testing
	exit
}

# CPUs, then what the guest's memory is bound to, then whether the 32 MiB that it takes are there, and the pages that are
# elsewhere. (What it has of its image, a file, was in memory before.)
cat >look.py <<'X'
import os, re, sys
node = sys.argv[1]
block = bytearray(32 << 20)
for i in range(0, len(block), 4096): block[i] = 1
rows = [l for l in open("/proc/self/numa_maps") if " anon=" in l]
policies = {l.split()[1] for l in rows}
pages = [(at, int(n)) for l in rows if " file=" not in l for at, n in re.findall(r" N(\d+)=(\d+)", l)]
here = sum(n for at, n in pages if at == node)
print(sorted(os.sched_getaffinity(0)), *policies, here >= 8192, sum(n for at, n in pages if at != node))
X
# The list 0-2,4 as Python prints it.
python_list() { tr ',' '\n' <"$1" | awk -F- '{ for (i = $1; i <= ($2 == "" ? $1 : $2); i++) s = s (s == "" ? "" : ", ") i } END { print "[" s "]" }'; }
first=
for dir in "$nodes"/node[0-9]*; do
	node=${dir##*/node}
	grep -q '[0-9]' "$dir/cpulist" || continue
	[ -n "$first" ] || first=$node
	pyi run --numa "$node" look.py "$node"
	exits 0 "--numa $node"
	is "$out" "$(python_list "$dir/cpulist") bind:$node True 0" "its CPUs, its memory, and no other"
done
diag "nodes: $(cat $nodes/online)"
pyi run look.py "$first"
unlike "$out" bind "without it nothing is bound"

# ---- it cannot be undone
try='
import os
try:
    os.sched_setaffinity(0, os.sched_getaffinity(0))
    print("yes")
except PermissionError:
    print("no")'
pyi run -c "$try"
is "$out" yes "another guest chooses its CPUs"
pyi run --numa "$first" -c "$try"
is "$out" no "this one does not"
pyi run --numa "$first" -c "
import threading
def f():$(printf '%s\n' "$try" | sed 's/^/    /')
t = threading.Thread(target=f); t.start(); t.join()"
is "$out" no "nor does a thread"
pyi run --numa "$first" -- /bin/sh -c 'grep Cpus_allowed_list /proc/self/status'
is "$out" "Cpus_allowed_list:	$(cat "$nodes/node$first/cpulist")" "a command has these CPUs"
if [ -x /usr/bin/python3 ]; then
	cat >calls.py <<'X'
import ctypes, errno, os
libc = ctypes.CDLL(None, use_errno=True)
bits = ctypes.c_ulong(3)
for name, args in (("sched_setaffinity", (203, 0, 8, ctypes.byref(bits))), ("set_mempolicy", (238, 0, None, 0)),
                   ("mbind", (237, 0, 0, 0, None, 0, 0)), ("migrate_pages", (256, 0, 64, ctypes.byref(bits), ctypes.byref(bits))),
                   ("move_pages", (279, 0, 0, None, None, None, 0)), ("set_mempolicy_home_node", (450, 0, 0, 0, 0))):
    ctypes.set_errno(0)
    r = libc.syscall(*args)
    print(name, errno.errorcode[ctypes.get_errno()] if r < 0 else "done")
X
	pyi run --numa "$first" --allow-read "$T/calls.py" -- /usr/bin/python3 "$T/calls.py"
	is "$out" "sched_setaffinity EPERM
set_mempolicy ENOSYS
mbind ENOSYS
migrate_pages EPERM
move_pages EPERM
set_mempolicy_home_node ENOSYS" "no call that would change it is there" || diag "$err"
fi

# ---- where it is asked for
pyi run --numa 1000 -c pass
exits 125 "a node that is not there"
is "$err" "pyisolate: limits: numa: there is no node 1000: this host has $(cat $nodes/online)" "is an error with the list"
for bad in x -1 1024 0-1 ""; do
	pyi run --numa="$bad" -c pass
	exits 125 "--numa '$bad'"
	contains "$err" "--numa: numa: " "is no number of a node"
done
printf 'version: 1\nlimits: {numa: %s}\n' "$first" >p.yml
pyi run -p p.yml look.py "$first"
contains "$out" "bind:$first True 0" "numa in a policy"
pyi policy show p.yml
contains "$out" "numa: $first" "policy show has it"
pyi run -p p.yml --dry-run -c pass
contains "$out" "node $first, CPUs $(cat "$nodes/node$first/cpulist")" "--dry-run, too"
pyi run -p p.yml --dry-run --json -c pass
printf '%s' "$out" >plan.json
is "$(member plan.json numa.node):$(member plan.json numa.cpus)" "$first:$(cat "$nodes/node$first/cpulist")" "and its JSON"

# ---- it stays for the life of a sandbox
private_state
p=numa$$-
named "$p"
(umask 077; echo 'the token of this test' >tok)
printf 'version: 1\n' >none.yml
pyi spawn "${p}a" -p p.yml --token-file tok -c "$LOOP"
exits 0 "spawn" || diag "$err"
# On the last node: a number that is not the default of anything, where there are two.
last=
for dir in "$nodes"/node[0-9]*; do
	grep -q '[0-9]' "$dir/cpulist" && last=${dir##*/node}
done
pyi spawn "${p}b" --numa "$last" -c "$LOOP"
exits 0 "spawn --numa $last" || diag "$err"
pyi spawn "${p}c" -c "$LOOP"
pyi stats
for row in "a $first" "b $last" "c -"; do
	is "$(awk -v name="$p${row% *}" '$1 == name { print $NF }' "$OUT")" "${row#* }" "stats shows the node of ${row% *}"
done
is "$(awk 'NR == 1 { print $NF }' "$OUT")" NODE "in a column of its own"
for row in "a $first" "b $last" "c null"; do
	"$PYISOLATE" stats "$p${row% *}" --json >row.json
	is "$(member row.json limits.numa)" "${row#* }" "--json, too: ${row% *}"
done
pyi stats --prometheus
is "$(sed -n "s/^pyisolate_sandbox_numa_node{name=\"$p\(.\)\"} /\1 /p" "$OUT")" "a $first
b $last" "--prometheus, too: those that have one"
pyi stop "${p}b"
pyi stats "${p}b"
is "$(awk 'NR == 2 { print $2, $NF }' "$OUT")" "cancelled $last" "and it is known when it has ended"
pyi stop "${p}c"
pyi reload "${p}a" none.yml --token-file tok
exits 125 "a reload to no node"
contains "$err" "limits: 'numa $first -> none' is another value" "is refused"
contains "$err" "its CPUs and its memory were chosen at the start" "and says why"
pyi stop "${p}a"
done_testing
