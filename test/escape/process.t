#!/bin/sh
# SPDX-License-Identifier: MIT
#
# Other processes, what they left open, and what is left of us.
. "${0%/*}/../cli/lib.sh"
. "$TESTS/escape/twin.sh"

gone='^refused: (ESRCH|EPERM|ENOSYS)$'

# Signals to processes outside. A victim is a sleep; each twin has its own.
victims=
victim() {
	sleep 300 &
	victim=$!
	victims="$victims $victim"
}
# shellcheck disable=SC2317 # called at the end
end_victims() {
	for v in $victims; do
		kill "$v" 2>/dev/null
	done
}
at_exit end_victims
alive() { ok "$1" kill -0 "$2"; }
for attempt in kill queue-signal; do
	victim
	outside $attempt $victim
	succeeded "$attempt: works outside"
	victim
	inside -- $attempt $victim
	refused "$attempt: refused inside" "$gone"
	alive "$attempt: the victim lives" $victim
done
victim
outside sigio $victim
succeeded "a signal by SIGIO: works outside"
victim
inside -- sigio $victim
sleep 0.2
alive "a signal by SIGIO: the victim lives" $victim
for attempt in parent-priority prlimit affinity; do
	victim
	twin "$attempt of another process" --want "$gone" --args $victim $attempt
done

# Everyone it may signal is only its own: the supervisor and the shell above it live, and the run ends in its own way.
victim
run "$PYISOLATE" run "$attack" kill-everyone
like "$code" '^(0|1|143)$' "kill(-1) ends at the sandbox's edge"
alive "the victim lives" $victim
run "$PYISOLATE" run --result "$T/r.json" -c '
import os, signal
try:
    os.kill(1, signal.SIGKILL)
except OSError:
    pass
print("still here")'
is "$out" "still here" "the sandbox's first process cannot be killed from inside"
run "$PYISOLATE" run --result "$T/r.json" -c '
import os, signal
for n in range(1, 65):
    if n not in (signal.SIGCHLD, signal.SIGKILL, signal.SIGSTOP):
        try:
            signal.signal(n, signal.SIG_IGN)
        except (OSError, ValueError):
            pass
for n in range(1, 65):
    try:
        os.kill(1, n)
    except OSError:
        pass
print("still here")'
like "$out" "still here" "nor confused by any signal"
exits 0 "which changes nothing about the run"
run "$PYISOLATE" run --result "$T/r.json" --timeout 10s -c '
import os, signal
os.kill(os.getpid(), signal.SIGKILL)'
exits 137 "a guest that kills itself: 128 + 9"
is "$(member r.json reason)" signal "and it is not taken for a lack of memory"

# Descriptors of the supervisor's parent.
echo "the SECRET text" >secret
exec 7<secret 9<"$T"
outside fds
like "$out" 'secret' "inherited descriptors: arrive outside"
inside -- fds
unlike "$out" "secret|$T" "inherited descriptors: do not arrive inside"
run "$PYISOLATE" run -c 'import os
for fd in range(3, 64):
    try:
        os.fchdir(fd)
        print("a directory:", fd)
    except OSError:
        pass
    try:
        print(fd, os.pread(fd, 99, 0))
    except OSError:
        pass'
lacks "$out" SECRET "no descriptor reads the secret"
lacks "$out" directory "no descriptor is a directory"
if has helper:attack || [ -x /bin/sh ]; then
	run "$PYISOLATE" run -- /bin/sh -c 'cat <&7; cat <&9'
	isnt "$code" 0 "nor for a command"
	lacks "$out" SECRET "nor does a command read it"
fi
exec 7<&- 9<&-
exec 8</dev/null
run "$PYISOLATE" run -c 'import os, stat
for fd in range(3, 1024):
    try:
        st = os.fstat(fd)
        if not stat.S_ISFIFO(st.st_mode):
            print(fd, oct(st.st_mode))
    except OSError:
        pass'
is "$out" "" "the guest has 0, 1, 2 and one pipe to the supervisor"
exec 8<&-

# What it says to the supervisor can be anything: the supervisor must not believe or break.
run "$PYISOLATE" run --result "$T/forged.json" -c '
import os
for fd in range(3, 20):
    for data in (b"\xff" * 70000, b"{\"reason\":\"exited\"}\n" * 1000, bytes(4096)):
        try:
            os.set_blocking(fd, False)
            os.write(fd, data)
        except OSError:
            pass
os._exit(3)'
exits 3 "rubbish on every descriptor changes no exit code"
is "$(member forged.json reason)" exited "nor the reason"
is "$(member forged.json exit_code)" 3 "nor the record"

# Nor records of the right shape (lib/wire/report_msg.h): that it could not start, that it is ready once more, texts
# without an end.
run "$PYISOLATE" run --result "$T/forged.json" -c '
import os, stat, struct
def is_pipe(fd):
    try: return stat.S_ISFIFO(os.fstat(fd).st_mode)
    except OSError: return False
pipe = next(fd for fd in range(3, 1024) if is_pipe(fd))
def tell(kind, errnum=0, name=b"", path=b"", file=b""):
    os.write(pipe, struct.pack("=IiII6Q128s2048s1024s", kind, errnum, 1, 0, *[0] * 6, name, path, file))
tell(3, 13, b"N" * 128, b"/" + b"P" * 2047, b"F" * 1024)
tell(1, 5, path=b"forged")
tell(2, path=b"forged")
os._exit(4)'
exits 4 "a guest that says it could not start has its own exit code"
is "$(member forged.json reason)" exited "and its own reason"
is "$(member forged.json error)" null "and there is no error"
like "$(member forged.json denials.0.path)" '^/P{2046}$' "a text without an end has one"
like "$(member forged.json denials.0.at)" '^F{1023}:1$' "so has another"

# The environment and the memory of whoever started us.
SECRET_TOKEN=$(head -c 12 /dev/urandom | od -An -tx1 | tr -d ' \n')
export SECRET_TOKEN
reversed=$(printf %s "$SECRET_TOKEN" | rev)
outside secret-in-memory "$reversed"
succeeded "a secret in the environment: found outside"
inside -- secret-in-memory "$reversed"
refused "a secret in the environment: not found inside" 'not found'
run "$PYISOLATE" run -c 'import os; print(dict(os.environ))'
lacks "$out" "$SECRET_TOKEN" "not in os.environ"
run "$PYISOLATE" run -- /usr/bin/env
lacks "$out" "$SECRET_TOKEN" "nor in a command's environment"
run "$PYISOLATE" run -c 'print(open("/proc/1/environ").read())'
lacks "$out" "$SECRET_TOKEN" "nor in /proc/1"
printf 'version: 1\nenv: [{pass: SECRET_TOKEN}]\n' >env.yml
run "$PYISOLATE" run --policy "$T/env.yml" -c 'import os; print(os.environ.get("SECRET_TOKEN"))'
is "$out" "$SECRET_TOKEN" "unless it is passed on purpose"
unset SECRET_TOKEN

# Nothing is left of the invoker's privilege, nor of its rank among processes.
run "$PYISOLATE" run -c '
for line in open("/proc/self/status"):
    if line.startswith(("Cap", "NoNewPrivs:")): print(*line.split())'
is "$out" "CapInh: 0000000000000000
CapPrm: 0000000000000000
CapEff: 0000000000000000
CapBnd: 0000000000000000
CapAmb: 0000000000000000
NoNewPrivs: 1" "no capabilities, and none to be had"
# The first process lives on beside the guest, and where nobody is root it has the guest's id.
"$PYISOLATE" run --timeout 60s -c 'import time; print("ready", flush=True); time.sleep(60)' >first.out &
supervisor=$!
wait_for 20 grep -q ready first.out
is "$(sed -n 's/^\(Cap[IPEBA][a-z]*\|NoNewPrivs\|Seccomp\):[[:blank:]]*/\1 /p' \
	"/proc/$(cut -d ' ' -f 1 "/proc/$supervisor/task/$supervisor/children")/status")" "CapInh 0000000000000000
CapPrm 0000000000000000
CapEff 0000000000000000
CapBnd 0000000000000000
CapAmb 0000000000000000
NoNewPrivs 1
Seccomp 2" "nor has the sandbox's first process any"
kill $supervisor
wait $supervisor 2>/dev/null

# Our own binary, which the guest executes: read-only for it, were it the guest's own.
if has userns; then
	as_user cp "$PYISOLATE" own
	own() { as_user ./own run --timeout 30s "$@"; }
	run own -c '
import os
def attempt(name, f):
    try:
        f("/proc/self/exe")
        print(name, "done")
    except OSError as e:
        print(name, os.strerror(e.errno))
attempt("mode", lambda path: os.chmod(path, 0o777))
attempt("time", lambda path: os.utime(path, (1, 1)))'
	is "$out" "mode Read-only file system
time Read-only file system" "the guest cannot change the program it runs in, where the invoker owns it"
else
	skip "$why" "a program of the invoker's own"
fi

rank='
import os
print(os.getpriority(os.PRIO_PROCESS, 0), os.sched_getscheduler(0) == os.SCHED_OTHER, open("/proc/self/oom_score_adj").read().strip())'
run nice -n 3 "$PYISOLATE" run -c "$rank"
like "$out" "^3 True [0-9]+$" "a run that was made less important stays so"
raised() { run sh -c '{ echo -500 >/proc/self/oom_score_adj; } 2>/dev/null; exec nice -n -5 chrt -r 1 "$@"' sh "$@"; }
raised "$python" -I -c "$rank"
if [ "$code" = 0 ]; then
	like "$out" "^-5 False (0|-500)$" "one that was made more important is so outside"
	raised "$PYISOLATE" run -c "$rank"
	is "$out" "0 True 0" "not inside"
else
	skip "$(printf '%s\n' "$err" | tail -n 1)" "a rank above others"
fi

# Each namespace is another one than ours.
kinds="cgroup ipc mnt net pid uts"
has root || kinds="$kinds user"
shared='
import os, sys
ours = sys.argv[1:]
print([kind for kind in ours if os.readlink("/proc/self/ns/" + kind.partition(":")[0]) == kind])'
links=$(for kind in $kinds; do readlink "/proc/self/ns/$kind"; done)
# shellcheck disable=SC2086 # a list
run "$python" -I -c "$shared" $links
is "$(printf %s "$out" | grep -o ':' | wc -l)" "$(printf '%s\n' "$links" | wc -l)" "outside all namespaces are the same"
# shellcheck disable=SC2086 # a list
run "$PYISOLATE" run -c "$shared" $links
is "$out" "[]" "inside none is"

# Which group of the host it is in is nobody's business.
run "$PYISOLATE" run -c 'print({line.strip().rpartition(":")[2] for line in open("/proc/self/cgroup")})'
is "$out" "{'/'}" "its control group is the root of all it sees"

# A crash must not start the host's crash handler, which runs as root, outside, and reads what the guest was.
run "$PYISOLATE" run -- "$python" -I -c '
import resource
resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
print(resource.getrlimit(resource.RLIMIT_CORE))'
is "$out" "(1, 1)" "the limit that keeps a core handler from being started cannot be lowered"
run "$PYISOLATE" run -- /bin/sh -c 'kill -SEGV $$'
exits 139 "a crash is told as a crash"

# Nothing outlives the run.
outside daemon "$T/outside.log"
succeeded "a daemon: stays behind outside"
before=$(wc -l <outside.log)
sleep 0.5
isnt "$(wc -l <outside.log)" "$before" "and goes on writing"
mkdir in
chmod 0777 in
inside --allow-write "$T/in" -- daemon "$T/in/log"
like "$out" 'succeeded|refused' "a daemon is started inside"
before=$(wc -c 2>/dev/null <in/log)
sleep 0.5
is "$(wc -c 2>/dev/null <in/log)" "$before" "but ends with the run"

# The supervisor dies: so does the guest.
"$PYISOLATE" run --timeout 60s --allow-write "$T/in" -c '
import sys, time
while True:
    open(sys.argv[1], "a").write("x")
    time.sleep(0.02)' "$T/in/orphan" &
supervisor=$!
wait_for 10 test -s in/orphan
kill -KILL $supervisor
wait $supervisor 2>/dev/null
sleep 0.3
before=$(wc -c <in/orphan)
sleep 0.3
is "$(wc -c <in/orphan)" "$before" "the guest dies with a supervisor that is killed"

done_testing
