#!/bin/sh
# SPDX-License-Identifier: MIT
#
# `events` of the result record: what the kernel did because of a limit, when, and with which figures; and nothing where
# it did nothing.
. "${0%/*}/lib.sh"

# event KIND MEMBER: of the entry of this kind; nothing when there is none.
event() {
	for i in 0 1 2 3 4; do
		if [ "$(member r.json "events.$i.kind")" = "$1" ]; then
			member r.json "events.$i.$2"
			return
		fi
	done
}
at_least() { ok "$3: $1" test "${1%.*}" -ge "$2"; }

pyi run --memory 256MiB --pids 16 --cpu-time 20s --result r.json -c pass
exits 0 "a run that stays below its limits"
contains "$(cat r.json)" '"events":[]' "has no events"
pyi run --memory 256MiB --pids 16 --cpu-time 20s --result r.json -c 'import time; time.sleep(0.3)'
contains "$(cat r.json)" '"events":[]' "nor has a longer one"

pyi run --cpu-time 300ms --timeout 30s --result r.json -c 'while True: pass'
exits 152 "CPU time"
if has cgroup; then
	at_least "$(event CPU_QUOTA cpu_ms)" 290 "CPU_QUOTA has what was used, in ms"
	is "$(event CPU_QUOTA limit_ms)" 300.000 "and the limit"
else
	isnt "$(event CPU_QUOTA at_ms)" "" "CPU_QUOTA, though by the limit of one process"
fi

need cgroup

pyi run --pids 8 --timeout 30s --result r.json -c '
import os, signal, time
children = []
try:
    for i in range(50):
        pid = os.fork()
        if pid == 0: signal.pause()
        children.append(pid)
except BlockingIOError:
    for pid in children: os.kill(pid, 9)
    for pid in children: os.wait()
time.sleep(2)'
exits 0 "a guest that meets its limit on processes and copes"
is "$(event PIDS_MAX limit)" 8 "PIDS_MAX has the limit"
at_least "$(event PIDS_MAX refused)" 1 "and how many were refused"
at=$(event PIDS_MAX at_ms) wall=$(member r.json wall_ms)
ok "its time is that of the refusal: at $at of $wall ms" test "$((${at%.*} + 1500))" -le "${wall%.*}"

pyi run --cpu 5% --timeout 60s --result r.json -c '
import time
t = time.process_time()
while time.process_time() - t < 0.15: pass'
exits 0 "a share of a CPU"
at_least "$(event CPU_THROTTLE periods)" 2 "CPU_THROTTLE has the periods"
at_least "$(event CPU_THROTTLE throttled_us)" 1000 "and the time"
is "$(event CPU_THROTTLE limit_permille)" 50 "and the limit"

# Each process is below the limit, so that none gets a MemoryError first.
pyi run --memory 128MiB --pids 16 --timeout 60s --result r.json -c '
import os, time
for i in range(6):
    if os.fork() == 0:
        x = bytearray(b"x") * (40 << 20)
        time.sleep(20)
        os._exit(0)
os.wait()
time.sleep(2)
os._exit(0)'
exits 137 "memory"
is "$(event MEM_KILL limit_bytes)" 134217728 "MEM_KILL has the limit"
at_least "$(event MEM_KILL kills)" 1 "how many were killed"
at_least "$(event MEM_KILL peak_bytes)" 100000000 "and the peak"
if has cgroup-hybrid && ! has cgroup-v2; then
	# There one process is killed and the rest goes on.
	at=$(event MEM_KILL at_ms) wall=$(member r.json wall_ms)
	ok "its time is that of the kill: at $at of $wall ms" test "$((${at%.*} + 1500))" -le "${wall%.*}"
else
	skip "with v2 all of the group goes at once" "its time is that of the kill"
fi

pyi run --memory 128MiB --pids 16 --cpu 5% --cpu-time 150ms --timeout 60s --result r.json -c 'while True: pass'
exits 152 "two limits"
at=$(event CPU_THROTTLE at_ms) then=$(event CPU_QUOTA at_ms)
ok "are in the order of time: $at, $then ms" test "${at%.*}" -lt "${then%.*}"
is "$(member r.json events.0.kind)" CPU_THROTTLE "the first one first"

done_testing
