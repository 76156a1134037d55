#!/bin/sh
# SPDX-License-Identifier: MIT
# shellcheck disable=SC2154 # run sets code, out and err
#
# run --trace: what the guest asks of the kernel, call by call, with the rule that decided.
. "${0%/*}/lib.sh"

P=$T/p.yml
mkdir -m 0777 "$T/in" "$T/in/sub" "$T/w"
chmod 0755 "$T" "$T/.."
echo data >"$T/in/data"
echo data >"$T/in/sub/below"
echo data >"$T/in/hidden"
echo data >"$T/out"
ln -s data "$T/in/link"
cat >"$P" <<END
version: 1
fs:
  - read: $T/in
  - deny: $T/in/hidden
  - write: $T/w
net:
  - connect: 127.0.0.1:8081
  - bind: 127.0.0.1:8082
END

# ----------------------------------------------------------------------------------------------- without privileges
if has user || has userns; then
	run as_user "$PYISOLATE" run --trace -c pass
	exits 125 "an ordinary user gets no trace"
	like "$err" "BPF programs, which only root may load" "and is told why"
	run as_user "$PYISOLATE" run -o "$U/trace" -c pass
	exits 125 "nor one in a file"
	nok "the file is not made" test -e "$U/trace"
fi
pyi run --json -c pass
exits 2 "--json without anything to print"
like "$err" "--json goes with --dry-run or --trace-output" "and what it goes with"

has root || skip_all "$why"
pyi run --trace -c pass
[ "$code" = 0 ] || case $err in
*"cannot load the BPF programs of a trace"* | *"no v2 hierarchy"*) skip_all "this host cannot trace: $err" ;;
esac
exits 0 "a guest that asks for nothing"
is "$err" "" "has an empty trace: the interpreter's own start is not in it"

# The lines of $T/trace about the calls of this name, without time and pids.
lines() { sed -n "s/^[0-9.]* [0-9/]* \($1 .*\)/\1/p" "$T/trace"; }

trace() { # POLICY ARG... → $T/trace
	rm -f "$T/trace"
	pyi run -p "$P" -o "$T/trace" "$@"
}

# ------------------------------------------------------------------------------------------------------------- files
trace -c "
import os
def ask(f, *a, **k):
    try: return f(*a, **k)
    except OSError: pass
ask(open, '$T/in/data')
ask(open, '$T/in/hidden')
ask(open, '$T/out')
ask(open, '$T/in/none')
ask(open, '$T/w/new', 'w')
ask(open, '$T/in/data', 'w')
ask(open, '$T/in/link')
ask(os.stat, '$T/in/data')
ask(os.stat, '$T/out')
ask(os.rename, '$T/w/new', '$T/w/newer')
ask(os.mkdir, '$T/w/dir')
ask(os.mkdir, '$T/in/dir')
ask(os.chmod, '$T/w/newer', 0o600)
ask(os.truncate, '$T/w/newer', 0)
ask(os.symlink, 'anything', '/tmp/sym')
ask(os.unlink, '$T/w/newer')
ask(os.listdir, '$T/in/../in/./sub')
os.chdir('/tmp')
for i in range(25):
    ask(os.mkdir, 'd' * 200)
    ask(os.chdir, 'd' * 200)
ask(open, 'deep', 'w')
os.chdir('/')
import socket
ask(socket.socket, socket.AF_UNIX)
ask(socket.socketpair)
ask(open, '/tmp/own', 'w')
ask(open, '$T/w/n\n\x1b', 'w')
"
exits 0 "a guest with files"
t=$(cat "$T/trace")
contains "$t" "openat read $T/in/data allowed: fs: read $T/in ($P:3)" "read: allowed, by the rule and its line"
like "$t" "openat read $T/in/hidden denied E[A-Z]+: fs: deny $T/in/hidden \($P:4\)" "read: denied by a rule"
like "$t" "openat read $T/out denied E[A-Z]+: no rule: --allow-read $T/out" "read: denied by none, and what would grant it"
contains "$t" "openat read $T/in/none failed ENOENT: fs: read $T/in ($P:3)" "what is not there is no denial"
contains "$t" "openat write $T/w/new allowed: fs: write $T/w ($P:5)" "write: allowed"
like "$t" "openat write $T/in/data denied E[A-Z]+: no rule: --allow-write $T/in/data" "write: denied"
contains "$t" "openat read $T/in/link -> $T/in/data allowed" "a symbolic link, and where it led"
contains "$t" "look $T/in/data allowed: fs: read $T/in" "stat: allowed"
like "$t" "look $T/out denied E[A-Z]+: no rule" "stat: denied"
like "$(lines rename)" "write $T/w/new allowed.*" "rename: the old name"
like "$(lines rename)" "write $T/w/newer allowed.*" "and the new one"
contains "$t" "mkdir write $T/w/dir allowed" "mkdir: allowed"
like "$t" "mkdir write $T/in/dir denied E[A-Z]+: no rule" "mkdir: denied"
contains "$t" "chmod write $T/w/newer allowed" "chmod"
contains "$t" "truncate write $T/w/newer allowed" "truncate"
contains "$t" "symlink write /tmp/sym allowed: the sandbox's own /tmp" "symlink"
contains "$t" "unlink write $T/w/newer allowed" "unlink"
contains "$t" "read $T/in/sub allowed" "a path is told without . and .."
like "$t" "write /\\(too long\\)/deep (allowed|denied)" "a directory whose path is longer than any"
like "$t" "socket unix stream denied E[A-Z]+: no sandbox has these" "a Unix socket: denied"
contains "$t" "socketpair unix stream allowed: every sandbox has pairs" "a pair of them: allowed"
contains "$t" "write /tmp/own allowed: the sandbox's own /tmp" "what every sandbox has"
contains "$t" "write $T/w/n\\x0a\\x1b allowed" "a name cannot write to the terminal"
like "$(lines unlink)" " at <string>:4$" "and the line of Python that asked"
is "$(grep -vcE '^[0-9]+\.[0-9]{6} [0-9]+(/[0-9]+)? [a-z0-9]+ ' "$T/trace")" 0 "each line has time, process and call"

# ---------------------------------------------------------------------------------- relative paths, threads, children
trace --allow-run "$HELPERS" -c "
import os, threading, subprocess
os.chdir('$T/in/sub')
open('below')
open('../data')
os.chdir('..')
open('sub/below')
fd = os.open('$T/in', os.O_RDONLY | os.O_DIRECTORY)
os.chdir('/')
os.close(os.open('sub/below', os.O_RDONLY, dir_fd=fd))
os.stat('data', dir_fd=fd)
os.fchdir(fd)
os.stat('link', follow_symlinks=False)
t = threading.Thread(target=lambda: open('$T/in/data'))
t.start(); t.join()
if os.fork() == 0:
    os.chdir('sub')
    open('below')
    os._exit(0)
os.wait()
open('data')
"
exits 0 "a guest that goes about"
is "$(lines openat | grep -c "read $T/in/sub/below allowed")" 4 "relative paths: by chdir, by a descriptor, in a child"
is "$(lines openat | grep -c "read $T/in/data allowed")" 3 "up, in a thread, and in the parent after its child's chdir"
contains "$(lines chdir)" "look $T/in/sub allowed" "chdir says where it led"
contains "$(lines newfstatat)" "look $T/in/link allowed" "a link that is not followed"
contains "$(lines newfstatat)" "look $T/in/data allowed" "stat behind a descriptor"
like "$(grep "openat read $T/in/data" "$T/trace")" "^[0-9.]+ ([0-9]+)/[0-9]+ " "a thread has a number of its own"
is "$(sed 's/^[^ ]* \([0-9]*\).*/\1/' "$T/trace" | sort -u | wc -l)" 2 "and so has the child"
trace -c "
import os
print(os.getpid())
open('$T/in/data')"
is "$(sed 's/^[^ ]* \([0-9]*\).*/\1/' "$T/trace" | sort -u)" "$out" "numbers are those the guest knows"

# ----------------------------------------------------------------------------------------------------------- programs
trace --allow-run "$HELPERS/true" -c "
import os
for name in '$HELPERS/true', '$HELPERS/bench', '$T/in/none':
    if os.fork() == 0:
        try: os.execv(name, [name])
        except OSError: os._exit(1)
    os.wait()
"
t=$(cat "$T/trace")
contains "$t" "execve exec $HELPERS/true allowed: " "exec: allowed"
like "$t" "execve exec $HELPERS/bench denied E[A-Z]+: no rule: --allow-run $HELPERS/bench" "exec: denied"
trace --allow-run "$HELPERS" -- "$HELPERS/true"
exits 0 "a command"
like "$(head -n 1 "$T/trace")" "^[0-9.]+ [0-9]+ execve exec $HELPERS/true allowed" "its trace begins with its execution"

# ---------------------------------------------------------------------------------------------------------- addresses
if has bpf-cgroup; then
	trace -c "
import socket
def ask(f, *a):
    try: return f(*a)
    except OSError: pass
for port in 8081, 8083:
    ask(socket.socket().connect, ('127.0.0.1', port))
s = socket.socket()
s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
ask(s.bind, ('127.0.0.1', 8082)) or ask(s.listen, 1)
ask(socket.socket().bind, ('127.0.0.1', 8083))
ask(socket.socket, socket.AF_INET6, socket.SOCK_STREAM)
ask(socket.socket, socket.AF_INET, socket.SOCK_DGRAM)
"
	exits 0 "a guest with sockets"
	t=$(cat "$T/trace")
	contains "$t" "connect 127.0.0.1:8081 failed ECONNREFUSED: net: connect 127.0.0.1:8081 ($P:7)" "connect: allowed, and nobody is there"
	like "$t" "connect 127.0.0.1:8083 denied E[A-Z]+: no rule: --allow-net 127.0.0.1:8083" "connect: denied"
	contains "$t" "bind 127.0.0.1:8082 allowed: net: bind 127.0.0.1:8082 ($P:8)" "bind: allowed"
	contains "$t" "listen 127.0.0.1:8082 allowed: net: bind 127.0.0.1:8082 ($P:8)" "listen: the address of the socket"
	like "$t" "bind 127.0.0.1:8083 denied E[A-Z]+: no rule: --allow-net bind:127.0.0.1:8083" "bind: denied"
	like "$t" "socket inet dgram denied E[A-Z]+: net: no rule is about UDP" "socket: denied"
	trace --allow-net udp://127.0.0.1:9 -c "
import socket
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
for port in 9, 10:
    for send in s.sendto, lambda data, a: s.sendmsg([data], [], 0, a):
        try: send(b'x', ('127.0.0.1', port))
        except OSError: pass
"
	t=$(cat "$T/trace")
	contains "$t" "sendto udp://127.0.0.1:9 allowed: net: connect " "sendto: allowed"
	like "$t" "sendto udp://127.0.0.1:10 denied E[A-Z]+: no rule: --allow-net udp://127.0.0.1:10" "sendto: denied"
	contains "$t" "sendmsg udp://127.0.0.1:9 allowed: net: connect " "sendmsg: allowed"
	like "$t" "sendmsg udp://127.0.0.1:10 denied" "sendmsg: denied"
else
	skip "$why" "addresses"
fi

# ---------------------------------------------------------------------------------------------------- where it is told
pyi run -p "$P" --trace -c "open('$T/in/data')"
like "$err" "^pyisolate: trace: [0-9.]+ [0-9]+ openat read $T/in/data allowed" "--trace alone: on stderr"
pyi run -q -p "$P" --trace -c "open('$T/in/data')"
like "$err" "^pyisolate: trace: " "with -q as well: it was asked for"
trace --json -c "open('$T/in/data')
open('$T/out')"
exits 1 "the exit code is the guest's"
head -n 1 "$T/trace" >"$T/line"
is "$(member "$T/line" path)" "$T/in/data" "--json: an object a line: the path"
is "$(member "$T/line" verdict)" allowed "the verdict"
is "$(member "$T/line" rule)" "fs: read $T/in" "the rule"
is "$(member "$T/line" file)" "$P:3" "where it is written"
is "$(member "$T/line" at)" "<string>:1" "and where it was asked"
sed -n 2p "$T/trace" >"$T/line"
is "$(member "$T/line" verdict)" denied "the next"
is "$(member "$T/line" grant)" "--allow-read $T/out" "and what would grant it"
pyi run -p "$P" -o "$T/none/trace" -c "print(1)"
exits 125 "a file that cannot be written"
is "$out" "" "is found before the guest starts"
pyi run -p "$P" -o /dev/full -c "
while 1:
    open('$T/in/data').close()
    break"
exits 125 "a trace that cannot be written whole is an error"
like "$err" "cannot write the trace to '/dev/full': .*No space" "and says why"

# ------------------------------------------------------------------------------------------------------- many, at once
calls=200000
pyi run -p "$P" --mode compatibility -o "$T/trace" -c "
import os
for i in range($calls): os.access('$T/in/data', 0)"
exits 0 "$calls calls"
n=$(grep -c "look $T/in/data allowed" "$T/trace")
lost=$(sed -n 's/^\([0-9]*\) records were lost.*/\1/p' "$T/trace")
is "$((n + ${lost:-0}))" "$calls" "each is told of, or counted as lost ($lost)"

mkfifo "$T/slow"
{ wait_for 60 test -e "$T/w/done"; cat >"$T/trace"; } <"$T/slow" &
reader=$!
"$PYISOLATE" run -p "$P" -o "$T/slow" -c "
import os
for i in range($calls): os.access('$T/in/data', 0)
open('$T/w/done', 'w')
import time; time.sleep(1)" 2>"$T/err" &
supervisor=$!
ok "a reader that does not read holds up no guest" wait_for 60 test -e "$T/w/done"
peak=$(sed -n 's/^VmHWM:[^0-9]*\([0-9]*\) kB/\1/p' "/proc/$supervisor/status")
ok "nor does its supervisor grow (${peak:-?} kB)" test "${peak:-999999}" -lt 65536
wait "$supervisor"
is $? 0 "and the run ends"
wait "$reader"
n=$(grep -c "look $T/in/data allowed" "$T/trace")
lost=$(sed -n 's/^\([0-9]*\) records were lost.*/\1/p' "$T/trace")
ok "much of it is lost (${lost:-none})" test "${lost:-0}" -gt 1000
ok "all that was lost is counted" test "$((n + lost))" -ge "$calls"
like "$(cat "$T/err")" "pyisolate: trace: $lost records were lost" "and told on stderr as well"

{ sleep 30; } <"$T/slow" &
reader=$!
"$PYISOLATE" run -p "$P" --timeout 1s -o "$T/slow" -c "
while 1: open('$T/in/data').close()" 2>"$T/err" &
supervisor=$!
sleep 4
kill "$supervisor"
wait "$supervisor"
is $? 125 "a reader that never reads is waited for until a signal"
like "$(cat "$T/err")" "cannot write the trace" "and what is missing is told"
kill "$reader"

# ------------------------------------------------------------------------------------------------------ of one sandbox
for i in 1 2; do
	"$PYISOLATE" run -p "$P" -o "$T/trace$i" -c "
import os, time
end = time.time() + 2
while time.time() < end:
    try: os.stat('$T/only$i')
    except OSError: pass
    time.sleep(0.01)" &
	eval "pid$i=\$!"
done
# shellcheck disable=SC2154 # set by eval
wait "$pid1" && wait "$pid2"
ok "of two traces at once each has its own" grep -q "$T/only1" "$T/trace1"
ok "the other as well" grep -q "$T/only2" "$T/trace2"
nok "and not the other's" grep -q "$T/only2" "$T/trace1"
nok "either" grep -q "$T/only1" "$T/trace2"

# --------------------------------------------------------------------------------------------------- nothing is left
objects() {	# of process $1: "prog ID", "map ID", "link ID"
	cat "/proc/$1/fdinfo/"* 2>/dev/null | sed -n 's/^\(prog\|map\|link\)_id:[^0-9]*\([0-9]*\)/\1 \2/p' | sort -u
}
start() {	# NUMBER ARG...
	n=$1
	shift
	"$PYISOLATE" run -p "$P" "$@" -c "
open('$T/w/ready$n', 'w')
import time; time.sleep(60)" 2>"$T/err" &
	supervisor=$!
	wait_for 20 test -e "$T/w/ready$n"
}
# The maps that all sandboxes share stay; those that a supervisor without a trace has open are these.
for i in 1 2; do
	start "$i"
	objects "$supervisor" >>"$T/shared"
	kill -9 "$supervisor"
	wait "$supervisor" 2>/dev/null
done
start 3 -o "$T/trace"
objects "$supervisor" | grep -vxFf "$T/shared" >"$T/objects"
is "$(cut -d' ' -f1 "$T/objects" | sort | uniq -c | tr -s ' \n' ' ')" " 2 link 4 map 2 prog " "a trace has these"
is "$("$HELPERS/bpfids" <"$T/objects")" "$(cat "$T/objects")" "and they are there while it runs"
kill -9 "$supervisor"
wait "$supervisor" 2>/dev/null
gone() { [ -z "$("$HELPERS/bpfids" <"$T/objects")" ]; }
ok "a supervisor that is killed leaves none of them" wait_for 10 gone
ok "nor is anything pinned" test -z "$(find /sys/fs/bpf -name '*_call' -o -name '*_exec' 2>/dev/null)"


# ------------------------------------------------------------------------------------------------- half of it is none
if has helper:pyisolate-faults; then
	for point in 570 571 572; do
		run env PYISOLATE_FAULT=$point "$HELPERS/pyisolate-faults" run --trace -c "print(1)"
		exits 125 "fault point $point: no trace, no run"
		is "$out" "" "the guest was not started"
		like "$err" "^pyisolate: cannot .* of a trace" "and it is said why"
	done
else
	skip "$why" "fault points"
fi

done_testing
