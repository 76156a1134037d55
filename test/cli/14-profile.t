#!/bin/sh
# SPDX-License-Identifier: MIT
#
# --profile: CPU and memory over time, a table on stderr and the samples in the result.
. "${0%/*}/lib.sh"

pyi run --result r.json -c pass
lacks "$(cat r.json)$err" profile "without --profile there is none"

if ! has cgroup; then
	pyi run --profile --result r.json -c 'print("ran")'
	exits 0 "an ordinary user's guest"
	is "$out" ran "runs"
	if [ "$(member r.json layers.cgroup.state)" != on ]; then
		like "$err" '^pyisolate: profile: there is none without a control group: .' "without a profile, and why"
		contains "$(cat r.json)" '"profile":null' "in the result too"
	else
		contains "$err" "profile: peak" "with a profile, where control groups are delegated"
	fi
	done_testing
	exit
fi

pyi run --profile --result r.json -c '
import sys, time
t = time.process_time()
while time.process_time() - t < 0.3: pass
x = bytearray(b"x") * (64 << 20)
time.sleep(0.3)
del x
time.sleep(0.1)
print("done")
sys.exit(3)'
exits 3 "the guest's own end"
is "$out" "done" "stdout is the guest's"
like "$err" '^pyisolate: profile: +at ms +CPU % +CPU ms +memory MiB$' "a heading"
rows=$(printf '%s\n' "$err" | grep -Ec '^pyisolate: profile: +[0-9]+ +[0-9]+ +[0-9.]+ +[0-9.]+$')
ok "a few rows: $rows" test "$rows" -ge 5 -a "$rows" -le 10
like "$err" '^pyisolate: profile: peak [67][0-9]\.[0-9] MiB of memory .* ms of CPU, ' "and a line for the whole"

# The samples: "at cpu memory" a line.
list_samples() {
	i=0
	while [ -n "$(member r.json "profile.samples.$i.0")" ]; do
		echo "$(member r.json "profile.samples.$i.0") $(member r.json "profile.samples.$i.1") $(member r.json "profile.samples.$i.2")"
		i=$((i + 1))
	done
}
list_samples >samples
ok "samples: $(wc -l <samples)" test "$(wc -l <samples)" -ge 8
ok "time and CPU only grow" awk '$1 < at || $2 < cpu { exit 1 } { at = $1; cpu = $2 }' samples
ok "the CPU time arrives at what the result has" awk -v cpu="$(member r.json cpu_ms)" \
	'{ last = $2 } END { exit !(last >= 300 && last <= cpu + 1) }' samples
ok "memory rises by 64 MiB and falls again" awk '
	$3 > most { most = $3 } { last = $3 } END { exit !(most > 67108864 && last < 33554432) }' samples
ok "the peak is at least that" test "$(member r.json profile.memory_peak_bytes)" -ge 67108864
is "$(member r.json profile.interval_ms)" 20.000 "20 ms apart"

pyi run --profile --result r.json -c 'import time; time.sleep(1.5)'
exits 0 "a guest that sleeps"
list_samples >samples
ok "uses next to nothing" awk '{ cpu[NR] = $2 } END { exit !(cpu[NR] - cpu[int(NR / 2)] < 100) }' samples
pyi run --profile --result r.json -c pass
exits 0 "a run too short for two samples"
pyi run -q --profile -c pass
is "$err" "" "-q says nothing"
pyi run --profile --timeout 200ms --result r.json -c 'while True: pass'
exits 124 "a run that is killed"
contains "$err" "profile: peak" "has its profile"
pyi run --profile --dry-run -c pass
exits 0 "a dry run"
lacks "$err" profile "has none"
pyi run --profile --policy /nonexistent.yml -c pass
exits 125 "nor has what never started"
lacks "$err" "profile:" "a profile"
if has sh; then
	pyi run --profile -- sh -c 'i=0; while [ $i -lt 20000 ]; do i=$((i + 1)); done'
	exits 0 "a program of the host"
	contains "$err" "profile: peak" "has one"
fi

done_testing
