#!/bin/sh
# SPDX-License-Identifier: MIT
#
# Signals, job control and the death of the supervisor: as if python3 itself ran in the foreground, and nothing stays.
. "${0%/*}/lib.sh"

# start ARG...: in the background; $pid is the supervisor, output goes to the files out and err.
start() {
	: >out
	"$PYISOLATE" run "$@" >out 2>err &
	pid=$!
	wait_for 20 grep -q ready out || diag "not ready: $(cat err)"
}

# finish: wait for it, $code as of run.
finish() {
	code=0
	wait "$pid" || code=$?
	out=$(cat out)
	err=$(cat err)
}

LOOP='
import time
print("ready", flush=True)
while True: time.sleep(0.05)'

start -c "$LOOP"
kill -TERM "$pid"
finish
exits 143 "SIGTERM ends it with 143"

# A background job of a shell without job control ignores SIGINT, and python3 then leaves it alone: so it is set here.
: >out
"$HELPERS/defaultsig" "$PYISOLATE" run -c "$LOOP" >out 2>err &
pid=$!
wait_for 20 grep -q ready out
kill -INT "$pid"
finish
exits 130 "SIGINT ends it with 130"
contains "$err" KeyboardInterrupt "as KeyboardInterrupt"

start -c '
import signal, sys, time
def f(n, frame):
    print("got", signal.Signals(n).name, flush=True)
    if n == signal.SIGUSR2: sys.exit(5)
for s in (signal.SIGTERM, signal.SIGHUP, signal.SIGUSR1, signal.SIGUSR2): signal.signal(s, f)
print("ready", flush=True)
while True: time.sleep(0.05)'
for sig in TERM HUP USR1; do
	kill -$sig "$pid"
	ok "SIG$sig reaches the guest's own handler" wait_for 5 grep -q "got SIG$sig" out
done
kill -USR2 "$pid"
finish
exits 5 "and the guest decides how it ends"

# ---- the supervisor dies: so does the guest, at once
start -c '
import os, time
print("ready", flush=True)
if os.fork() == 0: pass
while True: time.sleep(0.05)' marker-of-13-signals
kill -KILL "$pid"
wait "$pid" 2>/dev/null
gone() { ! cat /proc/[0-9]*/cmdline 2>/dev/null | tr '\000' ' ' | grep -q "marker-of-13-sign[a]ls"; }
ok "SIGKILL of the supervisor ends the guest" wait_for 5 gone
pyi run -c 'print("next")'
is "$out" next "the next run works"
if has root; then
	left=$(find /sys/fs/cgroup -type d -name "run-$pid-*" 2>/dev/null)
	is "$left" "" "and has removed the groups of the dead one"
fi

for delay in 0 0.005 0.01 0.02 0.03 0.05 0.1; do
	"$PYISOLATE" run -c "$LOOP" marker-of-13-signals >/dev/null 2>&1 &
	pid=$!
	sleep $delay
	kill -KILL "$pid"
	wait "$pid" 2>/dev/null
	wait_for 5 gone || { fail "killed after $delay s: the guest lives"; break; }
done
ok "killed at any moment of its start, nothing lives on" gone

# ---- the sandbox's first process takes the orphans' ends, and the guest's for the end of all
pyi run --result r.json -c '
import os, sys, time
r, w = os.pipe()
if os.fork() == 0:
    if os.fork() == 0:
        os.close(r)
        time.sleep(0.1)
        os._exit(3) # its parent is gone: an orphan
    os._exit(4)
os.wait()
os.close(w)
os.read(r, 1) # until the orphan has ended
time.sleep(0.3)
print("went on", flush=True)
sys.exit(7)'
exits 7 "an orphan that ends is not the end"
is "$out" "went on" "of the guest"

# ---- the first process dies, and the supervisor cannot look: so does the guest, where no namespace ends it
if has landlock && has helper:denysys; then
	: >out
	"$HELPERS/denysys" clone3=ENOSYS,clone:+NEWNS+NEWUSER=EPERM,unshare=EPERM -- "$PYISOLATE" run --mode compatibility --result r.json -c "
import os
print('guest', os.getpid(), os.getppid())
$LOOP" >out 2>err &
	pid=$!
	wait_for 20 grep -q ready out
	read -r _ guest init <out
	is "$(tr -d ' ' <"/proc/$init/task/$init/children")" "$guest" "without namespaces the guest sees pids of the host"
	ended() { ! grep '^State:' "/proc/$guest/status" 2>/dev/null | grep -qv 'Z (zombie)'; }
	nok "it runs" ended
	kill -STOP "$pid"
	kill -KILL "$init"
	ok "and ends with its first process" wait_for 10 ended
	kill -CONT "$pid"
	kill -KILL "$pid" 2>/dev/null
	wait "$pid" 2>/dev/null
else
	skip "$why" "the first process dies"
fi

# ---- a terminal
if has python3; then
	cat >on_terminal.py <<'END'
# Runs its command on a new terminal as the foreground job, sends what the steps say, prints all it saw.
import os, pty, select, signal, sys, time
steps = [s.split("=", 1) for s in sys.argv[1].split(";")]
pid, fd = pty.fork()
if pid == 0:
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    os.execvp(sys.argv[2], sys.argv[2:])
seen, deadline = b"", time.time() + 30
def pump(until=None, seconds=0.0):
    global seen
    end = time.time() + seconds
    while time.time() < deadline:
        if until is not None and until in seen: return True
        if until is None and time.time() > end: return True
        if select.select([fd], [], [], 0.05)[0]:
            try: data = os.read(fd, 4096)
            except OSError: return False
            if not data: return False
            seen += data
    return False
state = ""
for what, arg in steps:
    if what == "wait": pump(until=arg.encode())
    elif what == "type": os.write(fd, arg.encode().decode("unicode_escape").encode("latin-1"))
    elif what == "sleep": pump(seconds=float(arg))
    elif what == "stopped":
        for i in range(100):
            p, status = os.waitpid(pid, os.WUNTRACED | os.WNOHANG)
            if p: break
            time.sleep(0.05)
        state += "stopped " if p and os.WIFSTOPPED(status) else "not-stopped "
    elif what == "cont": os.kill(pid, signal.SIGCONT)
while pump(seconds=0.2) and not (r := os.waitpid(pid, os.WNOHANG))[0] and time.time() < deadline: pass
try: status = r[1] if r[0] else os.waitpid(pid, 0)[1]
except (ChildProcessError, NameError): status = os.waitpid(pid, 0)[1]
while pump(seconds=0.1) and select.select([fd], [], [], 0.1)[0]: pass
sys.stdout.write(seen.decode("latin-1").replace("\r\n", "\n"))
print(f"\n[{state}exit {os.waitstatus_to_exitcode(status)}]")
END
	on_tty() { PATH=/usr/bin:/bin python3 on_terminal.py "$@"; }
	run on_tty 'wait=ready;type=\x03' "$PYISOLATE" run -c "$LOOP"
	contains "$out" KeyboardInterrupt "control-C on a terminal is KeyboardInterrupt"
	like "$out" 'exit (130|-2)\]' "and ends it"
	is "$(printf '%s\n' "$out" | grep -c KeyboardInterrupt)" 1 "once: not delivered twice"
	run on_tty 'wait=ready;type=\x1a;stopped=;cont=;sleep=0.3;type=go\n' "$PYISOLATE" run -c '
import sys
print("ready", flush=True)
print("line", sys.stdin.readline().strip())'
	contains "$out" "[stopped exit 0]" "control-Z stops the job as the shell sees it, and it continues"
	contains "$out" "line go" "with its terminal"
	run on_tty 'wait=name? ;type=Ada\n' "$PYISOLATE" run -c 'print("hello " + input("name? "))'
	contains "$out" "hello Ada" "input() with a prompt on a terminal"
	run on_tty 'sleep=0.1' "$PYISOLATE" run -c 'import sys, os; print(sys.stdin.isatty(), os.get_terminal_size().columns >= 0)'
	contains "$out" "True True" "the guest sees a terminal"
	run on_tty 'wait=ready;type=\x1c' "$PYISOLATE" run -c "$LOOP"
	like "$out" 'exit (131|-3)\]' "control-\\ quits it"
else
	skip "$why" "a terminal's signals"
fi

done_testing
