#!/bin/sh
# SPDX-License-Identifier: MIT
#
# Each limit: reached, it ends the run with its own code and reason; not reached, it is not felt. As root through
# control groups, as an ordinary user through what rlimits can do (and the result says so).
. "${0%/*}/lib.sh"

# limited CODE REASON NAME ARG...: a run that ends by a limit.
limited() {
	want=$1 reason=$2 name=$3
	shift 3
	rm -f r.json
	began=$(date +%s)
	pyi run --result r.json "$@"
	took=$(($(date +%s) - began))
	exits "$want" "$name: exit code"
	is "$(member r.json reason)" "$reason" "$name: reason"
	is "$(member r.json exit_code)" "$want" "$name: the code in the result"
}

is_cgroup=
pyi run --memory 64MiB --result r.json -c pass
[ "$(member r.json layers.cgroup.state)" != on ] || is_cgroup=1
if has cgroup; then
	is "$is_cgroup" 1 "control groups are in force as root"
else
	isnt "$(member r.json layers.cgroup.why)" "" "without control groups the result says why"
fi

# ---- memory
limited 137 memory "one allocation that cannot fit" --memory 128MiB -c 'x = bytearray(1 << 30)'
contains "$err" MemoryError "it is a MemoryError first"
like "$err" '^pyisolate: .*memory.*128MiB' "and one line names the limit"
pyi run --memory 128MiB -c '
try:
    x = bytearray(1 << 30)
except MemoryError:
    print("went on")'
exits 0 "a caught MemoryError is not the end"
is "$out" "went on" "the guest goes on"
limited 137 memory "growth in small steps" --memory 96MiB -c '
x = []
while True:
    x.append(bytearray(1 << 16))'
pyi run --memory 256MiB -c 'x = bytearray(64 << 20); print(len(x))'
exits 0 "an allocation that fits is made"
if [ -n "$is_cgroup" ]; then
	# No allocation fails: the kernel ends the guest itself.
	limited 137 memory "memory that is shared" --memory 96MiB --timeout 60s -c '
import mmap
m = mmap.mmap(-1, 512 << 20)
for i in range(0, len(m), 4096): m[i] = 1'
	limited 137 memory "growth over several processes" --memory 128MiB --pids 16 -c '
import os, time
for i in range(6):
    if os.fork() == 0:
        x = bytearray(b"x") * (40 << 20)
        time.sleep(20)
        os._exit(0)
for i in range(6):
    os.wait()
import sys; sys.exit(9)'
fi

# ---- processor time
limited 152 cpu_time "a busy loop" --cpu-time 1s --timeout 30s -c 'while True: pass'
ok "it took about its second" test "$took" -le 6
like "$err" '^pyisolate: .*CPU time' "one line names the limit"
limited 152 cpu_time "a busy loop that ignores SIGXCPU" --cpu-time 1s --timeout 30s -c '
import signal
for s in (signal.SIGXCPU, signal.SIGTERM, signal.SIGINT): signal.signal(s, signal.SIG_IGN)
while True: pass'
if [ -n "$is_cgroup" ]; then
	limited 152 cpu_time "processor time of children counts" --cpu-time 1s --timeout 30s -c '
import os
for i in range(3):
    if os.fork() == 0:
        while True: pass
os.wait(); os.wait(); os.wait()'
	pyi run --cpu 20% --result r.json -c '
import time
t = time.process_time()
while time.process_time() - t < 0.5: pass'
	exits 0 "a CPU share ends nothing"
	wall=$(member r.json wall_ms) cpu=$(member r.json cpu_ms)
	ok "20% of a CPU: $cpu ms of processor in $wall ms" test "${wall%.*}" -ge "$((${cpu%.*} * 3))"
fi

# ---- wall time
limited 124 wall_time "sleeping too long" --timeout 500ms -c 'import time; time.sleep(60)'
ok "it ended soon" test "$took" -le 5
like "$err" '^pyisolate: .*wall time.*500ms' "one line names the limit"
limited 124 wall_time "a guest that ignores signals" --timeout 500ms -c '
import signal, time
for s in range(1, 32):
    try: signal.signal(s, signal.SIG_IGN)
    except OSError: pass
time.sleep(60)'
limited 124 wall_time "a guest that stops itself" --timeout 700ms -c '
import os, signal
os.kill(os.getpid(), signal.SIGSTOP)'
limited 124 wall_time "children that go on" --timeout 500ms -c '
import os, time
if os.fork(): os.wait()
time.sleep(60)'
if has sh && has sleep; then
	limited 124 wall_time "another program" --timeout 500ms -- sleep 60
fi
pyi run --timeout 30s -c pass
exits 0 "a run within its time"

# ---- processes and threads
if [ -n "$is_cgroup" ]; then
	limited 1 pids "a fork bomb" --pids 8 --timeout 20s -c '
import os, time
for i in range(50):
    if os.fork() == 0:
        time.sleep(10)
        os._exit(0)'
	contains "$err" BlockingIOError "fork fails"
	limited 1 pids "too many threads" --pids 8 --timeout 20s -c '
import threading, time
for i in range(50):
    threading.Thread(target=time.sleep, args=(1,), daemon=True).start()'
	pyi run --pids 8 -c '
import os, signal
n = 0
try:
    for i in range(50):
        if os.fork() == 0:
            signal.pause()
        n += 1
except BlockingIOError:
    print("refused", n < 8, flush=True)
os._exit(0)'
	exits 0 "a guest that copes with the refusal ends by itself"
	is "$out" "refused True" "after fewer than 8"
fi

# ---- open files
pyi run --open-files 32 -c '
import os
n = 0
try:
    while True:
        os.dup(0); n += 1
except OSError as e:
    print(e.strerror, n < 32)'
is "$out" "Too many open files True" "open files are limited"

# ---- output
limited 153 output "output without end" --output 64KiB -c '
while True: print("x" * 1000)'
ok "no more than the limit came out" test "$(wc -c <"$OUT")" -le 65536
like "$err" 'pyisolate: .*output.*64KiB' "one line names the limit"
limited 153 output "stderr counts" --output 64KiB -c '
import sys
while True: sys.stderr.write("x" * 1000 + "\n")'
pyi run --output 64KiB -c 'print("x" * 60000)'
exits 0 "output below the limit"
is "$(wc -c <"$OUT")" 60001 "is passed on whole"

# ---- the private /tmp
pyi run --tmp 4MiB --memory 512MiB -c '
try:
    with open("/tmp/big", "wb") as f:
        for i in range(64): f.write(bytes(1 << 20))
except OSError as e:
    print(e.strerror)'
if has root || has userns; then
	is "$out" "No space left on device" "/tmp is full at its size"
	pyi run --tmp 4MiB --memory 512MiB -c '
n = 0
try:
    for i in range(1000000):
        open(f"/tmp/{i}", "w").close(); n += 1
except OSError as e:
    print(e.strerror)'
	is "$out" "No space left on device" "the number of files in it is bounded too"
fi

# ---- from a policy
cat >p.yml <<'END'
version: 1
limits: {wall_time: 400ms}
END
limited 124 wall_time "a limit of a policy file" --policy "$T/p.yml" -c 'import time; time.sleep(30)'
pyi run --policy "$T/p.yml" --timeout 20s -c 'import time; time.sleep(0.8)'
exits 0 "a flag is the last word"

done_testing
