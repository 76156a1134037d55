#!/bin/sh
# SPDX-License-Identifier: MIT
#
# --timings: where the time of a start went, stage by stage.
. "${0%/*}/lib.sh"

stages() { sed -n 's/^pyisolate: timing: .* us  +.*  \([a-z]*: .*\)$/\1/p' "$ERR"; }
at() { sed -n "s/^pyisolate: timing: *\([0-9.]*\) us  +.*  $1\$/\1/p" "$ERR"; }

pyi run --timings -c 'import time; print(time.clock_gettime(time.CLOCK_MONOTONIC))'
exits 0 "a run with --timings"
for stage in policy probe resolve plan start "guest ready" "guest ran" end result release; do
	contains "$(stages)" "supervisor: $stage" "the supervisor's stage '$stage'"
done
for stage in clone3 tree fork "old root" lock-down; do
	contains "$(stages)" "init: $stage" "init's stage '$stage'"
done
contains "$(stages)" "guest: lock-down" "the guest's stages before its exec"
ok "the lines are in the order of time" sort -c -n -k3,3 "$ERR"
start=$(sed -n 's/^pyisolate: timing: 0 us is \([0-9.]*\) s of CLOCK_MONOTONIC$/\1/p' "$ERR")
total=$(at 'supervisor: release')
ok "the guest's own clock lies between start and end" awk -v s="$start" -v t="$total" -v g="$out" \
	'BEGIN { exit !(s > 0 && g > s && g < s + t / 1e6) }'
ok "and before the end of 'guest ran'" awk -v s="$start" -v t="$(at 'supervisor: guest ran')" -v g="$out" \
	'BEGIN { exit !(g < s + t / 1e6) }'

pyi run --timings -- /bin/true
exits 0 "a command with --timings"
contains "$(stages)" "init: tree" "a command's stages are there too"

pyi run --timings -c 'import os; print(sorted(os.listdir("/proc/self/map_files")) if os.path.exists("/proc/self/map_files") else "")
for line in open("/proc/self/maps"):
    if "/dev/zero" in line or "rw-s" in line: print("shared", line)' # the page of the marks is anonymous and shared
lacks "$out" shared "the guest has no way to the page of the marks"

pyi run -c pass
lacks "$err" timing "without --timings nothing is said"
pyi run -q --timings -c pass
lacks "$err" timing "nor with -q"
pyi run --timings --dry-run -c pass
contains "$(stages)" "supervisor: plan" "a dry run has stages up to the plan"

done_testing
