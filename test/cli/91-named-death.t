#!/bin/sh
# SPDX-License-Identifier: MIT
#
# Named sandboxes when somebody dies: kill -9 of the supervisor, of the command, of stop, at each step that has a fault
# point; entries of the dead, pids that were given out again. Nothing is left but a finished entry.
. "${0%/*}/lib.sh"
. "$TESTS/cli/named.sh"
need helper:pyisolate-faults
private_state
named ""
faulty=$HELPERS/pyisolate-faults

# The struct as bpf/pyi_abi.h has it, after a header of 16 bytes: start time, pid namespace, boot, pid.
entry_pid() { od -An -td4 -j 40 -N 4 "$T/state/sandboxes/$1" 2>/dev/null | tr -d ' '; }

# Has the supervisor of this entry, with a pid that is not alive, a control group still?
has_group() { find /sys/fs/cgroup -type d -name "run-$1-*" 2>/dev/null | grep -q .; }
has_no_group() { ! has_group "$1"; }

# swept NAME WHAT: nothing of it is there, once a command has looked.
swept() {
	swept_pid=$(entry_pid "$1")
	"$PYISOLATE" stats >/dev/null
	[ -z "$swept_pid" ] || ok "$2" wait_for 10 has_no_group "$swept_pid"
}

# ---- the supervisor is killed
pyi spawn a --result a.res -c '
import os, time
if os.fork() == 0:
    while True: time.sleep(0.05)
print("ready", flush=True)
while True: time.sleep(0.05)'
wait_for 10 log_has a ready
pid=$(supervisor a)
guest=$(cut -d' ' -f1 "/proc/$pid/task/$pid/children")
ok "the guest is there" test -d "/proc/$guest"
{ "$PYISOLATE" wait a 2>wait.err; echo $? >wait.code; } &
waiter=$!
sleep 0.2
kill -KILL "$pid"
wait "$waiter"
is "$(cat wait.code)" 125 "who waits hears of it"
contains "$(cat wait.err)" "sandbox 'a' was lost" "that the sandbox was lost"
state a
is "$state/$reason/$exit" lost/null/null "stats shows it as lost"
ok "its guest is gone" is_gone "$guest"
swept a "and its control group"
pyi stop a
exits 0 "stop of a lost one is no error"
pyi wait a
exits 125 "wait says again that it was lost"
pyi logs a
is "$out" ready "its log can be read"
pyi spawn a -c 'print("new")'
exits 0 "its name can be used again"
pyi wait a
exits 0 "and its end is the new one's"

# ---- a recycled pid: the entry of a dead supervisor, whose pid is now another process's
pyi spawn r -c "$LOOP"
pid=$(supervisor r)
kill -KILL "$pid"
wait_for 10 is_gone "$pid"
sleep 1000 &
victim=$!
at_exit "kill $victim"
is "$(entry_pid r)" "$pid" "the file of the entry holds the pid where the test thinks"
octal() { printf '\\%03o' "$1"; }
put() {
	bytes=$(octal $(($1 & 255)))$(octal $(($1 >> 8 & 255)))$(octal $(($1 >> 16 & 255)))$(octal $(($1 >> 24 & 255)))
	printf '%b' "$(printf '%s' "$bytes" | sed 's/\\/\\0/g')" | dd of="$T/state/sandboxes/r" bs=1 seek=40 conv=notrunc 2>/dev/null
}
put "$victim"
is "$(entry_pid r)" "$victim" "the pid is another process's now"
pyi stop r
exits 0 "stop does not take it for the supervisor"
ok "and the process is not touched" kill -0 "$victim"
state r
is "$state" lost "the entry is lost"
pyi spawn r -c pass
exits 0 "and its name free"
pyi wait r
if has root && has unshare; then
	# For real: in a pid namespace with few pids the same one comes round again.
	cat >recycle.sh <<'END'
mount -t proc proc /proc || exit 3
"$PYISOLATE" spawn n -c "$1" || exit 4
pid=$("$PYISOLATE" stats n --json | grep -o '"pid":[0-9]*' | cut -d: -f2)
kill -KILL "$pid"
while [ -d "/proc/$pid" ]; do sleep 0.05; done
# Somebody else may be quicker.
for _ in 1 2 3 4 5 6 7 8 9 10; do
	echo $((pid - 1)) >/proc/sys/kernel/ns_last_pid || exit 5
	sleep 100 &
	[ $! != "$pid" ] || break
	kill $!
done
echo "$pid $!"
"$PYISOLATE" stop n || exit 6
"$PYISOLATE" stats n --json | grep -o '"state":"[a-z]*"'
kill -0 $! && echo alive
kill $!
END
	# pid 1 of the namespace must reap what is orphaned there.
	run unshare -pfm --kill-child sh -c 'sh ./recycle.sh "$1"; exit $?' sh "$LOOP"
	if [ "$code" = 0 ]; then
		pids=$(printf '%s\n' "$out" | head -n 1)
		is "${pids% *}" "${pids#* }" "in a pid namespace the pid is given out again"
		contains "$out" '"state":"lost"' "the sandbox is lost"
		contains "$out" alive "the process that has its pid now lives"
	else
		skip "the pid could not be given out again here ($code: $err)" "a recycled pid"
	fi
fi

# ---- kill -9 at each step
# step WHO POINT PASS NAME: the supervisor (kill) or the command (orphan) is killed there.
step() {
	name=s$2-$3-$1
	run timeout -k 5 60 env PYISOLATE_FAULT="$2:$1@$3" "$faulty" spawn "$name" -c "$LOOP"
	case $code in 0 | 125 | 137) ;; *) fail "$4: exit code $code: $err" ;; esac
	if ! wait_for 20 settled "$name"; then
		fail "$4: still $state"
		"$PYISOLATE" stop -q "$name"
		return
	fi
	case $state in
	"" | lost | cancelled) pass "$4: ${state:-no entry}" ;;
	*) fail "$4: $state" ;;
	esac
	swept "$name" "$4: nothing is left"
	pyi spawn "$name" -c 'raise SystemExit(3)'
	exits 0 "$4: the name can be used"
	run timeout 30 "$PYISOLATE" wait "$name"
	exits 3 "$4: and works"
}

# An orphan ends by itself; a killed one is lost as soon as somebody looks.
settled() {
	state "$1"
	case $state in "" | lost | completed | cancelled) ;; *) return 1 ;; esac
}

step kill 940 1 "the command is killed before it forks"
step kill 901 1 "the supervisor is killed before it claims the name"
step kill 910 1 "while it writes the entry"
step kill 911 1 "before the entry takes its place"
step kill 920 1 "after the claim, before the log"
step kill 930 1 "before it lets go of the caller's descriptors"
has cgroup && step kill 401 1 "in the making of the control group"
step kill 101 1 "before the start of the sandbox"
step kill 104 1 "with the sandbox's first process waiting"
step kill 901 2 "before the entry says bootstrapped"
step kill 911 2 "in the midst of saying so"
step kill 901 3 "before the entry says running"
step kill 931 1 "after it"
step kill 932 1 "before the command is told"
step orphan 901 1 "the command is killed before the claim"
step orphan 911 1 "in the midst of the claim"
step orphan 920 1 "after the claim"
step orphan 901 2 "when the processes are there"
step orphan 932 1 "before it is told"

# The supervisor at the end of its sandbox: the entry is not finished, what is left is cleared away.
for point in 901 910 911; do
	name=e$point
	run env PYISOLATE_FAULT="$point:kill@4" "$faulty" spawn "$name" -c 'print("done")'
	exits 0 "a supervisor that is killed at the end ($point) has started"
	wait_for 10 settled "$name"
	is "$state" lost "and is lost"
	swept "$name" "nothing is left of it"
done

# stop is killed while it waits: the supervisor keeps the deadline.
pyi spawn p -c '
import signal, time
signal.signal(signal.SIGTERM, signal.SIG_IGN)
print("ready", flush=True)
while True: time.sleep(0.05)'
wait_for 10 log_has p ready
"$PYISOLATE" stop p --timeout 1s &
stopper=$!
sleep 0.3
kill -KILL "$stopper"
wait "$stopper" 2>/dev/null
state p
is "$state" running "stop was killed: it still has its second"
ok "and then ends" until_state 10 p cancelled
is "$reason/$exit" stopped/137 "as it would have"

# ---- each fault point of spawn fails
grep -E '^(9[0-9][0-9]|52[0-9])$' "$HELPERS/faults.list" | grep -vx 932 >points
while read -r point <&3; do
	run timeout -k 5 60 env "PYISOLATE_FAULT=$point:28" "$faulty" spawn "f$point" -c "$LOOP"
	case $code in
	0) "$PYISOLATE" stop -q "f$point" ;;
	125) is "$(printf '%s\n' "$err" | grep -c '^pyisolate: ')/$(printf '%s\n' "$err" | wc -l)" 1/1 "fault $point: one line" ;;
	*) fail "fault $point: exit code $code: $err" ;;
	esac
done 3<points

# ---- the terminal hangs up
if has python3; then
	cat >hangup.py <<'END'
import os, pty, subprocess, sys, time
pid, fd = pty.fork()
if pid == 0:
    subprocess.run(sys.argv[1:])
    print("started", flush=True)
    time.sleep(60)
out = b""
while b"started" not in out: out += os.read(fd, 1000)
os.close(fd)            # SIGHUP for the session
os.waitpid(pid, 0)
END
	run env PATH=/usr/bin:/bin python3 hangup.py "$PYISOLATE" spawn h -c "$LOOP"
	exits 0 "spawn on a terminal that hangs up"
	sleep 0.3
	state h
	is "$state" running "the sandbox goes on"
	pyi stop h
else
	skip "$why" "a terminal that hangs up"
fi
"$PYISOLATE" stats >left
nok "no sandbox is left" grep -Eq ' (init|bootstrapped|running|quota_exceeded) ' left
done_testing
