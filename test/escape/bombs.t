#!/bin/sh
# SPDX-License-Identifier: MIT
#
# Using up what all share: processes, memory, output, /tmp, descriptors, time. Each twin outside shows that nothing but
# the sandbox limits it; those outside are small.
. "${0%/*}/../cli/lib.sh"
. "$TESTS/escape/twin.sh"

# quickly SECONDS WHAT: the last run took no longer.
timed() {
	started=$(date +%s)
	"$@"
	took=$(($(date +%s) - started))
}
quickly() { ok "$2 (in $took s)" test "$took" -le "$1"; }

# Processes.
outside forks 60
succeeded "60 children: outside"
inside --pids 16 -- forks 10
succeeded "10 children of 16: inside"
inside --pids 16 -- forks 60
refused "60 children of 16: refused" '^refused: EAGAIN$'
outside threads 60
succeeded "60 threads: outside"
inside --pids 16 -- threads 60
refused "60 threads of 16: refused" "^refused: can't start new thread"
timed run "$PYISOLATE" run --pids 32 --timeout 2s --result "$T/r.json" "$attack" fork-bomb
exits 124 "a fork bomb ends with its time"
is "$(member r.json reason)" wall_time "and is told apart"
quickly 12 "all of it ends at once"
ok "no process of it is left" sh -c '! pgrep -f "attack.py [f]ork-bomb"'
timed run "$PYISOLATE" run --pids 8 --timeout 20s -- /bin/sh -c 'f() { f | f & }; f; sleep 1' 2>/dev/null
quickly 25 "a shell's fork bomb ends"

# Memory.
outside memory 200
succeeded "200 MiB: outside"
inside --memory 128MiB -- memory 30
succeeded "30 MiB of 128: inside"
run "$PYISOLATE" run --memory 128MiB --result "$T/r.json" "$attack" memory 400
if [ "$code" = 1 ]; then
	like "$out" '^refused: MemoryError' "400 MiB of 128: MemoryError, and the guest goes on"
else
	exits 137 "400 MiB of 128: killed"
	is "$(member r.json reason)" memory "for its memory"
fi
run "$PYISOLATE" run --memory 128MiB --result "$T/r.json" -c 'x = bytearray(10 << 30)'
exits 137 "an uncaught MemoryError ends the run with 137"
is "$(member r.json reason)" memory "and the reason"
run "$PYISOLATE" run --memory 128MiB -c '
try:
    x = bytearray(10 << 30)
except MemoryError:
    print("caught")'
is "$out" caught "a caught one does not"
if has cgroup; then
	outside memory-children 200
	succeeded "8 children of 25 MiB each: outside"
	run "$PYISOLATE" run --memory 128MiB --result "$T/r.json" "$attack" memory-children 200
	isnt "$code" 0 "8 children of 25 MiB each, of 128: refused together"
	ok "with limits for one process alone they would have passed" test "$code" != 0
	inside --memory 512MiB -- memory-children 200
	succeeded "8 children of 25 MiB each, of 512: inside"
	run "$PYISOLATE" run --memory 64MiB --tmp 1GiB --result "$T/r.json" "$attack" tmp-fill 300
	isnt "$code" 0 "/tmp counts as memory"
else
	skip "$why" "memory of many processes"
fi

# Output.
run sh -c "'$python' -I '$attack' flood 4 2>&1 | wc -c"
ok "4 MiB of output: outside" test "$out" -ge $((4 << 20))
run "$PYISOLATE" run --output 1MiB --result "$T/r.json" "$attack" flood 64
exits 153 "64 MiB of output of 1: ended"
is "$(member r.json reason)" output "and the reason"
total=$(($(wc -c <"$OUT") + $(wc -c <"$ERR")))
ok "no more than the limit (and our line) was passed on: $total" test $total -le $(((1 << 20) + 4096))
run "$PYISOLATE" run --output 8MiB "$attack" flood 4
exits 0 "4 MiB of 8 pass"
is "$(($(wc -c <"$OUT") + $(wc -c <"$ERR")))" $(((4 << 20) + 23)) "to the last byte"
timed run sh -c "'$PYISOLATE' run --output 100MiB --timeout 20s -c '
import os
while True:
    os.write(1, b\"y\" * 65536)' | head -c 10 >/dev/null"
quickly 15 "a reader that goes away ends a flood"
run sh -c "'$PYISOLATE' run --timeout 1s --output 100MiB -c '
import os
while True:
    os.write(1, b\"y\" * 65536)' | { sleep 3; wc -c; }"
quickly 15 "a reader that does not read does not keep the time limit from working"

# /tmp.
outside tmp-fill 40
succeeded "40 MiB in /tmp: outside"
inside --tmp 16MiB -- tmp-fill 8
succeeded "8 MiB of 16 in /tmp: inside"
inside --tmp 16MiB -- tmp-fill 40
refused "40 MiB of 16 in /tmp: refused" '^refused: ENOSPC$'
outside tmp-allocate 40
succeeded "fallocate: outside"
inside --tmp 16MiB -- tmp-allocate 40
refused "fallocate of 40 MiB of 16: refused" '^refused: ENOSPC$'
outside tmp-sparse 40
succeeded "a sparse file of 1 TiB: outside"
run "$PYISOLATE" run --tmp 16MiB "$attack" tmp-sparse 40
run sh -c 'df -k /tmp /dev/shm /run 2>/dev/null | tail -n +2 | wc -l'
pass "a sparse file lives in the private /tmp alone and goes with it"
outside tmp-inodes 30000
succeeded "30,000 files in /tmp: outside"
inside --tmp 16MiB -- tmp-inodes 30000
refused "30,000 files in a /tmp of 16 MiB: refused" '^refused: ENOSPC$'
is "$(ls -d /tmp/attack-* 2>/dev/null)" "" "the host's /tmp saw none of it"

# Descriptors.
outside open-many 200
succeeded "200 descriptors: outside"
cat >files.yml <<END
version: 1
limits: {open_files: 32}
END
inside --policy "$T/files.yml" -- open-many 200
refused "200 descriptors of 32: refused" '^refused: EMFILE$'

# Time.
timed run "$PYISOLATE" run --timeout 1s --result "$T/r.json" "$attack" stop-self
exits 124 "a guest that stops itself still runs out of time"
quickly 10 "at once"
is "$(member r.json reason)" wall_time "and the reason"
timed run "$PYISOLATE" run --timeout 1s -c '
import signal, time
for s in (signal.SIGTERM, signal.SIGINT, signal.SIGALRM, signal.SIGXCPU):
    signal.signal(s, signal.SIG_IGN)
while True:
    time.sleep(9)'
exits 124 "a guest that ignores every signal too"
quickly 10 "at once"
timed run "$PYISOLATE" run --cpu-time 1s --timeout 30s --result "$T/r.json" -c '
import signal
signal.signal(signal.SIGXCPU, signal.SIG_IGN)
while True:
    pass'
exits 152 "CPU time is over, whatever the guest does with SIGXCPU"
is "$(member r.json reason)" cpu_time "and the reason"
quickly 15 "at once"
if has cgroup; then
	timed run "$PYISOLATE" run --cpu-time 1s --timeout 30s --result "$T/r.json" -c '
import os
for _ in range(3):
    if os.fork() == 0:
        while True:
            if os.times().user > 0.6:
                if os.fork():
                    os._exit(0)
for _ in range(10**9):
    pass'
	exits 152 "CPU time of children that take turns counts together"
	quickly 25 "at once"
else
	skip "$why" "CPU time of many processes"
fi

done_testing
