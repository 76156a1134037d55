#!/bin/sh
# SPDX-License-Identifier: MIT
#
# Named sandboxes: spawn, stats, stop, wait, logs; as root in the BPF map and in files, as an ordinary user in files.
. "${0%/*}/lib.sh"
. "$TESTS/cli/named.sh"

sh "$TESTS/leaks.sh" snapshot before

# fds_of PID: what its descriptors are.
fds_of() { find "/proc/$1/fd" -mindepth 1 -exec readlink '{}' +; }

# behave KIND: all of it with the registry there.
behave() {
	p=t$$$1-
	named "$p"
	diag "registry: $1"

	# ---- start, running, stop
	pyi spawn "${p}a" -c "$LOOP"
	exits 0 "spawn"
	is "$out$err" "" "says nothing"
	state "${p}a"
	is "$state/$reason/$exit" running/null/null "is running"
	pid=$(supervisor "${p}a")
	is "$(readlink "/proc/$pid/cwd")" / "the supervisor is in /"
	ok "leads a session of its own" test "$(cut -d' ' -f6 "/proc/$pid/stat")" = "$pid"
	is "$(fds_of "$pid" | grep -c "$test_top/lib/")" 0 "holds no file of the caller's"
	is "$(readlink "/proc/$pid/fd/0" "/proc/$pid/fd/1" | sort -u)" /dev/null "reads and writes nothing of the caller's"
	ok "its output is in the log" wait_for 10 log_has "${p}a" ready
	pyi stats
	like "$out" "^NAME +STATE +REASON +EXIT +POLICY +GEN +CPU +MEMORY +DENIALS +AGE +NODE\$" "stats has a header"
	like "$out" "^${p}a +running +- +- +defaults +1 +[0-9.-]+[a-z]* +[0-9.-]+[A-Za-z]* +[0-9-]+ +[0-9.]+[a-z]+ +-\$" "and a line for it"
	pyi spawn "${p}a" -c 'print("second")'
	exits 125 "a live duplicate is refused"
	contains "$err" "there is a sandbox '${p}a' already" "with the name"
	is "$(printf '%s\n' "$err" | wc -l)" 1 "in one line"
	if [ "$1" = bpf ]; then
		pyi doctor --unload
		exits 125 "doctor --unload while a named sandbox lives"
		contains "$err" "named sandboxes are still running" "is refused, and says why"
		ok "the registry is still there" is_state "${p}a" running
	fi
	pyi stop "${p}a"
	exits 0 "stop"
	ok "its supervisor is gone" is_gone "$pid"
	state "${p}a"
	is "$state/$reason/$exit" cancelled/stopped/143 "it ended because it was stopped"
	pyi stop "${p}a"
	exits 0 "stopping what has ended is no error"
	contains "$err" "had ended already" "and is said"
	pyi wait "${p}a"
	exits 143 "wait says how it ended"

	# ---- a name of the dead
	pyi spawn "${p}a" -c 'import sys; print("again"); sys.exit(7)'
	exits 0 "a dead name can be used again"
	pyi wait "${p}a"
	exits 7 "wait gives the guest's exit code"
	pyi logs "${p}a"
	is "$out" again "the log is the new one's"
	state "${p}a"
	is "$state/$reason/$exit" completed/exited/7 "it ended by itself"
	is "$(member "$T/r.json" name)" "${p}a" "JSON has its name"
	is "$(member "$T/r.json" generation)" 1 "and its generation"
	like "$(member "$T/r.json" policy)" '^[0-9a-f]{64}$' "the policy's digest"

	# ---- several wait
	pyi spawn "${p}w" -c 'import time; time.sleep(0.7); raise SystemExit(9)'
	for i in 1 2 3; do
		{ "$PYISOLATE" wait "${p}w"; echo $? >"w$i"; } &
	done
	wait
	is "$(cat w1 w2 w3 | tr '\n' ' ')" "9 9 9 " "three waiters get the same exit code"
	pyi wait "${p}w"
	exits 9 "and a fourth, afterwards"

	# ---- wait, and the name is used again at once
	pyi spawn "${p}n" -c 'import time; time.sleep(0.5); raise SystemExit(3)'
	{ "$PYISOLATE" wait "${p}n"; echo $? >wn; } &
	waiter=$!
	sleep 0.1
	kill -STOP "$waiter" 2>/dev/null
	until_state 10 "${p}n" completed
	pyi spawn "${p}n" -c 'raise SystemExit(4)'
	kill -CONT "$waiter" 2>/dev/null
	wait "$waiter"
	is "$(cat wn)" 3 "a waiter gets the end it waited for, though the name is another's by then"
	pyi wait "${p}n"
	exits 4 "who comes later gets that of the new one"

	# ---- the life cycle
	pyi spawn "${p}q" --timeout "$short" -c "$LOOP"
	pyi wait "${p}q"
	exits 124 "limits hold: wall time"
	state "${p}q"
	is "$state/$reason" cancelled/wall_time "it was cancelled for its limit"
	ok "the log says so" log_has "${p}q" "the wall time of $short is over"
	pyi spawn "${p}o" --output 10 -c 'print("x" * 100)'
	pyi wait "${p}o"
	exits 153 "limits hold: output"
	is "$("$PYISOLATE" logs "${p}o" | head -n 1)" xxxxxxxxxx "what was within the limit is in the log"
	pyi spawn "${p}e" --result r.res -c 'open("/none")'
	pyi wait "${p}e"
	exits 1 "an uncaught exception"
	state "${p}e"
	is "$state/$reason" completed/exception "is an end by itself"
	is "$(member r.res name)/$(member r.res reason)" "${p}e/exception" "--result: a relative name is the caller's"
	ok "the traceback is in the log" log_has "${p}e" FileNotFoundError
	pyi spawn "${p}x" -- /no/such/command
	exits 127 "a command that is not there: run's exit code"
	contains "$err" /no/such/command "and its message"
	state "${p}x"
	is "$state/$reason/$exit" cancelled/setup/127 "stats shows the failed start"
	pyi spawn "${p}y" --policy no-such-policy -c pass
	exits 125 "a policy that is not there"
	pyi stats "${p}y"
	exits 125 "and the name was not taken"
	pyi spawn "${p}s" -c 'while True: print("é" * 10)' "$(printf 'x%.0s' 1 2 3)"
	pyi stop "${p}s"
	exits 0 "one that floods its output is stopped as well"

	if has cgroup; then
		pyi spawn "${p}u" -c '
import os, time
r, w = os.pipe()
if os.fork() == 0:
    while time.process_time() < 0.4: pass
    os._exit(0)
os.close(w)
os.read(r, 1)'
		pyi wait "${p}u"
		state "${p}u"
		ok "the record counts a process nobody waited for" test "$(member "$T/r.json" cpu_ms | cut -d. -f1)" -ge 350
	fi

	# ---- stop: SIGTERM first, then SIGKILL
	pyi spawn "${p}t" -c '
import signal, sys, time
signal.signal(signal.SIGTERM, lambda *a: (print("bye", flush=True), sys.exit(5)))
print("ready", flush=True)
while True: time.sleep(0.05)'
	wait_for 10 log_has "${p}t" ready
	pyi stop "${p}t" --timeout 5s
	exits 0 "stop with a guest that says goodbye"
	pyi wait "${p}t"
	exits 5 "its exit code"
	state "${p}t"
	is "$state/$reason" cancelled/stopped "stopped"
	ok "it had its time" log_has "${p}t" bye
	pyi spawn "${p}k" -c '
import signal, time
signal.signal(signal.SIGTERM, signal.SIG_IGN)
print("ready", flush=True)
while True: time.sleep(0.05)'
	wait_for 10 log_has "${p}k" ready
	pyi stop "${p}k" --timeout 0.2
	exits 0 "stop with a guest that ignores SIGTERM"
	state "${p}k"
	is "$state/$reason/$exit/$(member "$T/r.json" signal)" cancelled/stopped/137/9 "is killed after the timeout"
	# Who asked is gone: what it asked for holds.
	pyi spawn "${p}g" -c '
import signal, time
signal.signal(signal.SIGTERM, lambda *a: print("asked", flush=True))
print("ready", flush=True)
while True: time.sleep(0.05)'
	wait_for 10 log_has "${p}g" ready
	"$PYISOLATE" stop "${p}g" --timeout 2s 2>/dev/null &
	stopper=$!
	ok "stop asks the guest" wait_for 10 log_has "${p}g" asked
	kill -KILL $stopper
	wait $stopper 2>/dev/null
	ok "and without who asked the guest is ended all the same" until_state 30 "${p}g" cancelled
	is "$reason/$exit" stopped/137 "by the supervisor"
	# One that has stopped itself could not hear.
	pyi spawn "${p}w" -c '
import os, signal
print("ready", flush=True)
os.kill(os.getpid(), signal.SIGSTOP)'
	wait_for 10 log_has "${p}w" ready
	sleep 0.2
	pyi stop "${p}w" --timeout 60s
	exits 0 "stop with a guest that has stopped itself"
	state "${p}w"
	is "$state/$reason/$exit" cancelled/stopped/143 "by SIGTERM"
	# A guest that says once more that it is ready (a record of lib/wire/report_msg.h) does no harm, to itself neither.
	pyi spawn "${p}y" -c '
import os, stat, struct, time
for fd in range(3, 1024):
    try:
        if stat.S_ISFIFO(os.fstat(fd).st_mode): print("told", os.write(fd, struct.pack("=I3260x", 2)), flush=True)
    except OSError: pass
time.sleep(0.5)
os._exit(4)'
	pyi wait "${p}y"
	exits 4 "a guest that is ready twice"
	pyi logs "${p}y"
	is "$out" "told 3264" "it has said so"
	pyi spawn "${p}z" -c "$LOOP"
	kill -STOP "$(supervisor "${p}z")"
	pyi stop "${p}z"
	exits 0 "a supervisor that was stopped itself does not save its guest"
	state "${p}z"
	is "$state/$reason/$exit" cancelled/stopped/137 "both were killed"

	# ---- input, arguments, descriptors
	printf 'import sys\nprint("from stdin", sys.argv[1:], sys.stdin.read() == "")\n' >in.py
	pyi spawn "${p}i" - one two <in.py
	exits 0 "a program from standard input"
	pyi wait "${p}i"
	is "$("$PYISOLATE" logs "${p}i")" "from stdin ['one', 'two'] True" "runs, with nothing left to read"
	pyi spawn "${p}m" in.py --help
	pyi wait "${p}m"
	is "$("$PYISOLATE" logs "${p}m")" "from stdin ['--help'] True" "a relative script, its options its own"
	echo secret >secret
	run sh -c 'exec 3<secret 7<>secret; exec "$PYISOLATE" spawn "$1" -c "$2"' sh "${p}d" "$LOOP"
	exits 0 "a caller with open descriptors"
	is "$(fds_of "$(supervisor "${p}d")" | grep -c secret)" 0 "keeps them to itself"
	pyi stop "${p}d"
	mkdir gone
	run sh -c 'cd gone && rmdir ../gone && exec "$PYISOLATE" spawn "$1" -c "print(1)"' sh "${p}g"
	exits 0 "a caller whose directory is gone"
	run sh -c 'exec "$PYISOLATE" spawn "$1" -c "$2" <&- >&- 2>&-' sh "${p}c" "$LOOP"
	exits 0 "a caller without standard descriptors"
	ok "runs" wait_for 10 log_has "${p}c" ready
	pyi stop "${p}c"
	pyi spawn "${p}r" --dry-run -c pass
	exits 0 "--dry-run"
	contains "$out" "namespace" "prints the plan"
	pyi stats "${p}r"
	exits 125 "and takes no name"

	# ---- two for one name
	rm -f race.*
	for i in 1 2 3 4 5 6; do
		{ "$PYISOLATE" spawn "${p}race" -c "$LOOP" 2>"race.err$i"; echo $? >"race.$i"; } &
	done
	wait
	is "$(cat race.[1-6] | sort | uniq -c | tr -s ' \n' ' ')" " 1 0 5 125 " "of six who spawn one name one wins"
	is "$(cat race.err* | grep -c "there is a sandbox '${p}race' already")" 5 "the others are told why"
	pyi stop "${p}race"
}

if has root; then
	if has bpf-cgroup; then
		behave bpf
	else
		skip "$why" "the registry in a BPF map"
	fi
fi
private_state
behave files
is "$(find "$T/state" -type d ! -perm 0700)" "" "directories of the state are the user's alone"
is "$(find "$T/state" -type f ! -perm 0600)" "" "and so are its files"

# ---- errors
for command in stop wait logs stats; do
	pyi $command no-such-sandbox
	exits 125 "$command: an unknown name"
	contains "$err" "there is no sandbox 'no-such-sandbox'" "$command: says so"
	[ $command = stats ] || {
		pyi $command
		exits 2 "$command: no name"
	}
	pyi $command one two
	exits 2 "$command: two names"
done
for name in "" "a b" "a/b" ../x a.b "$(printf 'x%.0s' $(seq 65))" "é" -; do
	pyi spawn "$name" -c pass
	exits 2 "spawn: '$name' is no name"
done
long=$(printf 'x%.0s' $(seq 64))
pyi spawn "$long" -c pass
exits 0 "64 characters are a name"
pyi wait "$long"
exits 0 "and found again"
pyi spawn
exits 2 "spawn: no name"
pyi spawn -c pass
exits 2 "spawn: the name comes first"
pyi spawn "$long" --log-size 10 -c pass
exits 2 "spawn: too small a log"
pyi stop "$long" --timeout never
exits 2 "stop: no such time"
run env PYISOLATE_RUN_DIR=relative "$PYISOLATE" stats
exits 125 "a state directory that is not absolute"
mkdir -m 0755 open
run env PYISOLATE_RUN_DIR="$T/open" "$PYISOLATE" spawn x -c pass
exits 125 "a state directory that others may enter"
contains "$err" "chmod 700" "is refused, with what to do"
ln -s "$T/state" link
run env PYISOLATE_RUN_DIR="$T/link" "$PYISOLATE" stats
exits 125 "a state directory that is a link"
if has root; then
	run as_user env PYISOLATE_RUN_DIR="$T/state" "$PYISOLATE" stats
	exits 125 "another user's state: no permission"
	chmod 0711 "$T"
	chmod 0755 "$T/open"
	run as_user env PYISOLATE_RUN_DIR="$T/open" "$PYISOLATE" stop x
	exits 125 "another user's directory"
	contains "$err" "belongs to another user" "is refused"
	chmod 0700 "$T"
	# Two users do not see each other's.
	mkdir -m 0700 "$U/rt" && chown "$(stat -c %u "$U")" "$U/rt"
	pyi spawn both -c "$LOOP"
	run as_user env XDG_RUNTIME_DIR="$U/rt" "$PYISOLATE" spawn both -c "$LOOP"
	exits 0 "a user may have the same name as root"
	run as_user env XDG_RUNTIME_DIR="$U/rt" "$PYISOLATE" stats
	is "$(printf '%s\n' "$out" | grep -c '^both .*running')" 1 "and sees the own one"
	is "$(printf '%s\n' "$out" | wc -l)" 2 "and nothing else"
	run as_user env XDG_RUNTIME_DIR="$U/rt" "$PYISOLATE" stop both
	exits 0 "stops it"
	state both
	is "$state" running "root's goes on"
	pyi stop both
fi
run as_user env -u XDG_RUNTIME_DIR -u PYISOLATE_RUN_DIR "$PYISOLATE" stats
[ -d "/run/user/$(id -u "$test_user" 2>/dev/null)" ] || exits 125 "an ordinary user without a runtime directory"

pyi stats --json
ok "stats --json names all of them" grep -q "\"name\":\"$long\"" "$OUT"
while read -r line; do
	case $line in
	*" no images left"*) ;; # the first start without one makes it
	ok\ *) pass "${line#* - }" ;;
	not\ ok*) fail "${line#* - }" ;;
	'# images '*) ;;
	'#'*) echo "$line" ;;
	esac
done <<END
$(PYI_LEAKS_OF=" t$$" sh "$TESTS/leaks.sh" compare before)
END
done_testing
