#!/bin/sh
# SPDX-License-Identifier: MIT
#
# CPU time: what counts and what does not, and the kernel's own guard over it (the bpf-perf layer), which ends a guest
# even while its supervisor cannot.
. "${0%/*}/lib.sh"

# Emulated beside everything else, Python alone may take seconds to start, and stolen time counts as its own.
times=1
! has vm || times=40

pyi run --result r.json -c pass
is "$(member r.json layers.bpf-perf.state)" unused "without a limit the layer is unused"
pyi run --cpu-time 20s --result r.json -c pass
state=$(member r.json layers.bpf-perf.state)
is_on=
[ "$state" != on ] || is_on=1
if has bpf-cgroup; then
	is "$state" on "as root the kernel watches the limit"
else
	is "$state" off "else it is off"
	isnt "$(member r.json layers.bpf-perf.why)" "" "and the result says why"
fi

# ---- what counts
pyi run --cpu-time $((400 * times))ms --timeout 20s -c 'import time; time.sleep(1.5); print("slept")'
exits 0 "a sleeping guest uses none"
is "$out" slept "and ends by itself"
if has cgroup; then
	pyi run --cpu-time 600ms --timeout 40s --result r.json -c '
import threading
def spin():
    while True: pass
for i in range(3): threading.Thread(target=spin).start()'
	exits 152 "threads count"
	is "$(member r.json reason)" cpu_time "with the reason"
	pyi run --cpu-time 600ms --timeout 40s --result r.json -c '
import os, time
for i in range(40):
    if os.fork() == 0:
        until = time.process_time() + 0.05
        while time.process_time() < until: pass
        os._exit(0)
    os.wait()
print("all 40 were let go")'
	exits 152 "children that have ended count"
	is "$out" "" "long before the last of them"
	pyi run --cpu-time 20s --result r.json -c '
import os, time
for i in range(4):
    if os.fork() == 0:
        until = time.process_time() + 0.1
        while time.process_time() < until: pass
        os._exit(0)
for i in range(4): os.wait()'
	exits 0 "a tree within its limit"
	cpu=$(member r.json cpu_ms)
	ok "its time is in the result: $cpu ms" test "${cpu%.*}" -ge 400
fi

# ---- limits of the limit
pyi run --cpu-time 0s -c pass
exits 125 "none at all is refused"
contains "$err" "cpu" "by name"
pyi run --cpu-time 1ms --timeout 20s --result r.json -c 'while True: pass'
exits 152 "a millisecond"
pyi run --cpu-time 1000000h -c 'print(1)'
exits 0 "a century"

# ---- the layer
if [ -n "$is_on" ]; then
	# The supervisor is stopped, so that only the kernel can act; each child alone stays below the whole second of
	# its RLIMIT_CPU. What they used together, as they counted it themselves, is the quota and no more.
	mkfifo go
	"$PYISOLATE" run --require bpf-perf --cpu-time $((500 * times))ms --timeout 100s --result r.json -c '
import os, resource, signal, sys, time
def spin():
    while True: pass
children = []
for i in range(2):
    pid = os.fork()
    if pid == 0:
        os.read(0, 1)
        spin()
    children.append(pid)
# A tick may hit this process too, while it looks after the first child.
signal.signal(signal.SIGXCPU, signal.SIG_IGN)
time.sleep(0.5)
print("ready", flush=True)
died = [os.WTERMSIG(os.waitpid(pid, 0)[1]) for pid in children]
used = resource.getrusage(resource.RUSAGE_CHILDREN)
print(died, used.ru_utime + used.ru_stime < 0.9 * int(sys.argv[1]), flush=True)
time.sleep(100)' $times <go >said 2>"$ERR" &
	supervisor=$!
	exec 9>go
	ok "the guest is ready" wait_for 60 grep -q ready said
	kill -STOP $supervisor
	printf xx >&9
	ok "its children end" wait_for 60 grep -q '\[' said
	is "$(sed 1d said)" "[24, 24] True" "by SIGXCPU at the quota, while the supervisor is stopped"
	kill -CONT $supervisor
	went_on=$(date +%s)
	wait $supervisor
	is "$?" 152 "the supervisor draws the same conclusion"
	ok "and ends what sleeps" test $(($(date +%s) - went_on)) -lt 60
	exec 9>&-
	is "$(member r.json reason)" cpu_time "and says so"
	is "$(member r.json layers.bpf-perf.state)" on "the layer was on"

	# A handler for SIGXCPU is called by the kernel, by the supervisor and by RLIMIT_CPU, once each.
	pyi run --cpu-time $((300 * times))ms --timeout 90s -c '
import signal
n = 0
def seen(*args):
    global n
    n += 1
    print(n, flush=True)
signal.signal(signal.SIGXCPU, seen)
while True: pass'
	exits 152 "a handler does not save it"
	ok "it is called a few times, not at every tick" test "$(wc -l <"$OUT")" -le 3

	pyi run --require bpf-perf --cpu-time 5s --result r.json -c 'print("in")'
	exits 0 "--require bpf-perf"
	is "$out" in "runs"
	pyi run --require bpf-perf -c pass
	exits 125 "--require bpf-perf without a limit"
	contains "$err" "--require bpf-perf" "is refused by name"

	# A host that forbids the call: the supervisor alone counts then, and the result says so.
	if has helper:denysys; then
		run "$HELPERS/denysys" perf_event_open -- "$PYISOLATE" run --cpu-time 1100ms --timeout 20s --result r.json \
			-c 'while True: pass'
		exits 152 "without perf_event_open the limit holds all the same"
		cpu=$(member r.json cpu_ms)
		ok "and sooner than the limit of the process, which is whole seconds: $cpu ms" test "${cpu%.*}" -lt 1600
		is "$(member r.json layers.bpf-perf.state)" off "the layer is off"
		contains "$(member r.json layers.bpf-perf.why)" perf_event_open "because of the call"
		run "$HELPERS/denysys" perf_event_open -- "$PYISOLATE" run --require bpf-perf --cpu-time 2s -c pass
		exits 125 "--require bpf-perf there"
		contains "$err" perf_event_open "is refused with the reason"
	fi

	# It fails late: the start was promised, the guest runs, the result tells.
	if has helper:pyisolate-faults; then
		run env PYISOLATE_FAULT=560:28 "$HELPERS/pyisolate-faults" run --cpu-time 600ms --timeout 20s --result r.json \
			-c 'while True: pass'
		exits 152 "a guard that cannot be made: the limit holds all the same"
		is "$(member r.json layers.bpf-perf.state)" off "and the layer is off in the result"
		run env PYISOLATE_FAULT=560:28 "$HELPERS/pyisolate-faults" run --require bpf-perf --cpu-time 2s -c 'print(1)'
		exits 125 "with --require the run is refused"
		is "$out" "" "before the guest starts"
	fi

	# The supervisor is killed: nothing of the guard stays in the kernel.
	if has helper:bpfcount; then
		before=$("$HELPERS/bpfcount" on_tick)
		"$PYISOLATE" run --cpu-time 30s --require bpf-perf -c '
print("up", flush=True)
while True: pass' >said 2>&1 &
		supervisor=$!
		ok "a guest under guard" wait_for 20 grep -q up said
		is "$("$HELPERS/bpfcount" on_tick)" $((before + 1)) "has its program in the kernel"
		kill -KILL $supervisor
		wait $supervisor 2>/dev/null
		gone() { [ "$("$HELPERS/bpfcount" on_tick)" = "$before" ]; }
		ok "with the supervisor it goes" wait_for 10 gone
		pyi run -c pass
		ok "and so does the control group" sh -c '! find /sys/fs/cgroup -type d -name "run-'$supervisor'-*" | grep -q .'
	fi
else
	skip "${why:-the layer is off}" "the kernel's guard"
fi

done_testing
