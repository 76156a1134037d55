#!/bin/sh
# SPDX-License-Identifier: MIT
#
# stats NAME --events: what happens to a named sandbox, as it happens. As root with the kernel's denials; as an ordinary
# user, or in files, what the supervisor itself knows.
. "${0%/*}/lib.sh"
. "$TESTS/cli/named.sh"

p=ev$$-
named "$p"
export PYTHONDONTWRITEBYTECODE=1

# events NAME [OPTION...]: into $out.
events() { name=$1; shift; pyi stats "$name" --events --json "$@"; }
# kinds: of the whole of it, in their order, states with their name.
kinds() { sed -n 's/.*"event":"STATE","state":"\([a-z_]*\)".*/\1/p; s/.*"event":"\([A-Z_]*\)".*/\1/p' "$OUT" | grep -v STATE | tr '\n' ' '; }
# has_event NAME TEXT: by now.
has_event() { "$PYISOLATE" stats "$1" --events --json 2>/dev/null | grep -qF -- "$2"; }
count() { printf '%s\n' "$out" | grep -cF -- "$1"; }

# ---- the life cycle, wherever the registry is
life() {
	pyi spawn "$p$1" -c 'print(1)'
	exits 0 "spawn"
	pyi wait "$p$1"
	events "$p$1"
	exits 0 "events of one that has ended"
	is "$(kinds)" "init bootstrapped running completed " "init, bootstrapped, running, completed"
	is "$(count '"time_ms":1')" 4 "each with its time"
	is "$(printf '%s\n' "$out" | sort -c -t: -k2 -n 2>&1)" "" "which goes on"
	pyi spawn "$p$1" --timeout "$short" -c "$LOOP"
	pyi wait "$p$1"
	events "$p$1"
	is "$(kinds)" "init bootstrapped running quota_exceeded cancelled " "a limit: quota_exceeded, cancelled; what was before has gone"
	pyi stats "$p$1" --events
	like "$out" '^20[0-9-]+T[0-9:]+\.[0-9]{3}Z  STATE  state=running  pid=[0-9]+$' "for people: time, kind, the rest"
	pyi spawn "$p$1" -c "$LOOP"
	"$PYISOLATE" stats "$p$1" --events -f --json >followed </dev/null &
	follower=$!
	wait_for 10 grep -q running followed
	kill -KILL "$(supervisor "$p$1")"
	ok "a supervisor that was killed" until_state 10 "$p$1" lost
	events "$p$1"
	is "$(kinds)" "init bootstrapped running lost " "its loss is an event, too"
	wait "$follower"
	ok "and who follows is not left waiting" grep -q running followed
	pyi stats "$p$1" -f
	exits 125 "--follow without --events"
	pyi stats --events
	exits 125 "--events without a name"
}
root_run_dir=${PYISOLATE_RUN_DIR-}
private_state
life f
unset PYISOLATE_RUN_DIR
[ -z "$root_run_dir" ] || export PYISOLATE_RUN_DIR="$root_run_dir"
if has root && has bpf-cgroup; then
	diag "the registry in a BPF map"
	life a
fi

if ! has root || ! has bpf-cgroup; then
	skip "$why" "the kernel's denials"
	done_testing
	exit
fi

# ---- denials, while it runs
cat >job.py <<'END'
import socket, sys, threading, time
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
def refuse(port):
    s.connect_ex(("127.0.0.1", port))
    print(port, threading.get_native_id(), flush=True)
    time.sleep(60)
refuse_here = threading.Thread(target=refuse, args=(2,))
refuse_here.start()
refuse(1)
END
printf 'version: 1\nnet:\n  - connect: udp://127.0.0.1:9999\n  - deny: 127.0.0.1:1\n' >net.yml
pyi spawn "${p}d" -p net.yml job.py
exits 0 "one that is refused things"
pyi spawn "${p}o" --allow-net 127.0.0.1:9999 -c "$LOOP"
ok "a denial is told while it runs" wait_for 10 has_event "${p}d" 'udp://127.0.0.1:2"'
ok "both are" wait_for 10 has_event "${p}d" 'udp://127.0.0.1:1"'
events "${p}d"
one=$(printf '%s\n' "$out" | grep -F 'udp://127.0.0.1:1"')
two=$(printf '%s\n' "$out" | grep -F 'udp://127.0.0.1:2"')
like "$one" '"event":"DENIED","number":[01],"rule":"net: deny 127.0.0.1:1","file":"[^"]*net.yml:4","op":"connect","address":"udp://127.0.0.1:1","errno":"EPERM","at":"[^"]*/job.py:4","pid":[0-9]+,"thread":[0-9]+}$' "with all that is known of it"
contains "$two" '"rule":"net: default","file":null' "the other with its own rule"
pid=$(printf '%s' "$one" | grep -o '"pid":[0-9]*' | cut -d: -f2)
thread=$(printf '%s' "$two" | grep -o '"thread":[0-9]*' | cut -d: -f2)
contains "$one" "\"thread\":$pid}" "the main thread"
contains "$two" "\"pid\":$pid,\"thread\":$thread}" "and another of the same process"
seen=$("$PYISOLATE" logs "${p}d" | sed -n 's/^2 //p')
is "$(awk '/^NSpid/ { print $NF }' "/proc/$pid/task/$thread/status")" "$seen" "which is the one that says so"
pyi stats "${p}d" --events
like "$out" "^20[0-9T:.-]+Z  DENIED  connect udp://127\\.0\\.0\\.1:1  EPERM  by net: deny 127\\.0\\.0\\.1:1 \\([^)]*net\\.yml:4\\)  at [^ ]*/job\\.py:4  in $pid/$pid\$" "for people"
events "${p}o"
is "$(count DENIED)" 0 "nothing of it is another sandbox's"
pyi stop "${p}d"
pyi stop "${p}o"

# ---- more than the kernel keeps, followed
pyi spawn "${p}m" --allow-net udp://127.0.0.1:9999 -c '
import socket, time
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
for i in range(3000):
    s.connect_ex(("127.0.0.1", 10000 + i))
    if i % 20 == 0: time.sleep(0.002)
print("done", flush=True)
time.sleep(1)'
"$PYISOLATE" stats "${p}m" --events -f --json >followed </dev/null
is "$?" 0 "to follow one to its end"
told=$(grep -c DENIED followed)
lost=$(sed -n 's/.*"event":"EVENTS_LOST".*"total":\([0-9]*\).*/\1/p' followed | tail -n 1)
is $((told + ${lost:-0})) 3000 "each of 3000 denials was told, or counted as lost"
ok "far more than the first hundred" test "$told" -gt 1000
is "$(sed -n 's/.*"number":\([0-9]*\).*/\1/p' followed | sort -n | uniq -d | wc -l)" 0 "none of them twice"
is "$(tail -n 1 followed | grep -c '"state":"completed"')" 1 "the end is the last word"
state "${p}m"
is "$(member r.json denials)" 3000 "stats counts as many"

# ---- its ring is in the kernel for as long as it lives, and not after a supervisor that was killed
if has helper:bpfrows; then
	pyi spawn "${p}k" --allow-net udp://127.0.0.1:9999 -c "$LOOP"
	state "${p}k"
	cgroup=$(member r.json cgroup)
	is "$("$HELPERS/bpfrows" "$cgroup" rings)" 1 "a ring is there"
	pyi stop "${p}k"
	is "$("$HELPERS/bpfrows" "$cgroup" rings)" 0 "and gone with it"
	for i in 1 2 3 4 5 6 7 8 9 10; do
		"$PYISOLATE" spawn "${p}k" --allow-net udp://127.0.0.1:9999 -c "$LOOP" </dev/null || echo "no start"
		"$PYISOLATE" stats "${p}k" --json | grep -o '"cgroup":[0-9]*' | cut -d: -f2 >>groups
		"$PYISOLATE" stop -q "${p}k" </dev/null || echo "no stop"
		"$HELPERS/bpfrows" "$(tail -n 1 groups)" rings
	done >again 2>&1
	is "$(sort again | uniq -c | tr -s ' ')" " 10 0" "ten times in a row: the name is free and the ring gone when stop returns"
	pyi spawn "${p}k" --allow-net udp://127.0.0.1:9999 -c "$LOOP"
	state "${p}k"
	cgroup=$(member r.json cgroup)
	kill -KILL "$(supervisor "${p}k")"
	until_state 10 "${p}k" lost
	no_ring() { pyi run -c pass; [ "$("$HELPERS/bpfrows" "$cgroup" rings)" = 0 ]; }
	ok "a later run clears the ring of a killed supervisor away" wait_for 20 no_ring
	is "$("$HELPERS/bpfrows" "$cgroup" stats)" 0 "and what it kept"
else
	skip "$why" "rings that are left"
fi

# ---- as fast as it goes: nothing is silently lost, the file does not grow for ever, the supervisor still acts
pyi spawn "${p}x" --timeout 3s --allow-net udp://127.0.0.1:9999 -c '
import socket, threading
def flood():
    s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    while True: s.connect_ex(("127.0.0.1", 7))
for _ in range(4): threading.Thread(target=flood).start()'
sleep 1
begin=$(date +%s)
pyi stop "${p}x" --timeout 0.2
exits 0 "one that is refused without end can be stopped"
ok "in good time" test $(($(date +%s) - begin)) -le "${PYI_VM:+60}${PYI_VM:-5}"
events "${p}x"
state "${p}x"
total=$(sed -n 's/.*"event":"EVENTS_LOST".*"total":\([0-9]*\).*/\1/p' "$OUT" | tail -n 1)
last=$(sed -n 's/.*"number":\([0-9]*\).*/\1/p' "$OUT" | sort -n | tail -n 1)
ok "what was lost is said" test "${total:-0}" -gt 0
ok "and is no more than there was" test "${total:-0}" -lt "$(member r.json denials)"
ok "told are the early and the late ones" test "${last:-0}" -gt 1000
dir=${PYISOLATE_RUN_DIR:-/run/pyisolate}/log
ok "no file is larger than its size" test "$(stat -c %s "$dir/${p}x.events" "$dir/${p}x.events.1" 2>/dev/null | sort -n | tail -n 1)" -le 1048576

# ---- limits
if has cgroup; then
	pyi spawn "${p}g" --memory 128MiB --pids 16 -c '
import os, time
for i in range(6):
    if os.fork() == 0:
        x = bytearray(b"x") * (40 << 20)
        time.sleep(20)
        os._exit(0)
os.wait()
time.sleep(1)
os._exit(0)'
	pyi wait "${p}g"
	events "${p}g"
	like "$out" '"event":"MEM_KILL","kills":[0-9]+,"peak_bytes":[0-9]+,"limit_bytes":134217728}' "MEM_KILL"
	pyi spawn "${p}c" --cpu 20% -c '
import time
t = time.monotonic()
while time.monotonic() - t < 1: pass'
	pyi wait "${p}c"
	events "${p}c"
	like "$out" '"event":"CPU_THROTTLE","periods":[0-9]+,"throttled_us":[0-9]+,"limit_permille":200}' "CPU_THROTTLE"
fi

# ---- contracts, and reloads
printf 'version: 1\nnet:\n  - connect: 127.0.0.1:9\n  - connect: udp://127.0.0.1:*\ncontracts:\n  - net.connects <= 0\n' >contract.yml
pyi spawn "${p}b" -p contract.yml -c '
import socket
socket.socket(socket.AF_INET, socket.SOCK_DGRAM).connect_ex(("127.0.0.1", 5))'
pyi wait "${p}b"
events "${p}b"
like "$out" '"event":"CONTRACT_BROKEN","number":0,"rule":"contract: net.connects <= 0","file":"[^"]*contract.yml:6","op":"connect","address":"udp://127.0.0.1:5"' "CONTRACT_BROKEN, with the contract"

umask 077
echo "a token of this test" >tok
umask 022
printf 'version: 1\nnet:\n  - connect: udp://127.0.0.1:9999\n  - connect: 127.0.0.1:9999\n  - deny: udp://127.0.0.1:1\n' >one.yml
printf '# moved\nversion: 1\nnet:\n  - connect: 127.0.0.1:9999\n  - deny: udp://127.0.0.1:1\n' >two.yml
pyi spawn "${p}r" -p one.yml --token-file tok -c '
import socket, time
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
while True:
    s.connect_ex(("127.0.0.1", 1))
    try: socket.socket(socket.AF_INET, socket.SOCK_DGRAM).close()
    except PermissionError: print("no more", flush=True)
    time.sleep(0.01)'
ok "denied by the first policy" wait_for 10 has_event "${p}r" 'one.yml:5"'
pyi reload "${p}r" two.yml --token-file tok
exits 0 "a reload"
ok "the socket programs follow it" wait_for 10 log_has "${p}r" "no more"
ok "denials after it have its rules" wait_for 10 has_event "${p}r" 'two.yml:5"'
ok "a socket that may not be made has its line" wait_for 10 has_event "${p}r" '"op":"socket","address":"udp","errno":"EPERM","at":"<string>:6"'
events "${p}r"
is "$(kinds | tr ' ' '\n' | grep -v 'DENIED\|POLICY' | tr '\n' ' ')" "init bootstrapped running hot_reload running " "running, hot_reload, running again"
is "$(kinds | tr ' ' '\n' | grep POLICY)" POLICY_HOTLOAD "by a command that says so"
# Those that waited for the reload to be over come after it, with their time.
old=$(printf '%s\n' "$out" | grep -F one.yml | tail -n 1 | grep -o '"time_ms":[0-9]*' | cut -d: -f2)
swapped=$(printf '%s\n' "$out" | grep POLICY_HOTLOAD | grep -o '"time_ms":[0-9]*' | cut -d: -f2)
ok "and none by the old ones after it" test "$old" -le "$swapped"
pyi stop "${p}r"
events "${p}r"
like "$(kinds)" 'cancelled $' "cancelled"

# ---- faults: without a ring the kernel keeps the first hundred; without io_uring nothing is missing
if [ -x "$HELPERS/pyisolate-faults" ]; then
	main=$PYISOLATE
	PYISOLATE=$HELPERS/pyisolate-faults
	many='
import socket
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
for i in range(150): s.connect_ex(("127.0.0.1", 7))'
	for fault in 530 531 951; do
		run env PYISOLATE_FAULT=$fault "$PYISOLATE" spawn "${p}z" --allow-net udp://127.0.0.1:9999 -c "$many"
		exits 0 "fault $fault: it starts"
		pyi wait "${p}z"
		exits 0 "fault $fault: and ends"
		events "${p}z"
		lost=$(printf '%s\n' "$out" | sed -n 's/.*"event":"EVENTS_LOST".*"total":\([0-9]*\).*/\1/p' | tail -n 1)
		is $(($(count DENIED) + ${lost:-0})) 150 "fault $fault: each denial is told or counted"
		[ $fault = 530 ] && is "$(count DENIED)" 100 "fault $fault: the first hundred"
	done
	for how in "" :kill; do
		has helper:bpfrows || continue
		run env PYISOLATE_FAULT=540$how "$PYISOLATE" spawn "${p}w" --allow-net udp://127.0.0.1:9999 -c "$LOOP"
		exits 0 "fault 540$how: it starts"
		state "${p}w"
		cgroup=$(member r.json cgroup)
		pyi stop "${p}w"
		exits 0 "fault 540$how: it is stopped"
		[ -n "$how" ] || is "$("$HELPERS/bpfrows" "$cgroup" rings)" 0 "fault 540$how: its ring is gone"
		no_ring() { "$main" run -c pass; [ "$("$HELPERS/bpfrows" "$cgroup" rings)" = 0 ]; }
		ok "fault 540$how: nothing is left" wait_for 20 no_ring
	done
	run env PYISOLATE_FAULT=950 "$PYISOLATE" spawn "${p}y" -c pass
	exits 125 "no file for events: it does not start"
	contains "$err" "${p}y.events'" "and names the file"
	PYISOLATE=$main
else
	skip "no binary with faults" "faults of the stream"
fi
done_testing
