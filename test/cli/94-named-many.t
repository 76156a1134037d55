#!/bin/sh
# SPDX-License-Identifier: MIT
#
# Many named sandboxes at once: started, listed, stopped in parallel; what each supervisor costs. PYI_NAMED_MANY says how
# many (40; the bench does 500).
. "${0%/*}/lib.sh"
. "$TESTS/cli/named.sh"
private_state
named ""
many=${PYI_NAMED_MANY:-40}

seq "$many" | xargs -P 8 -I@ sh -c '"$PYISOLATE" spawn many-@ -c "$1" || echo @' sh "$LOOP" >failed 2>&1
is "$(cat failed)" "" "$many are started"
pyi stats
is "$(printf '%s\n' "$out" | grep -c '^many-[0-9]* *running ')" "$many" "all of them run"
pyi stats --json
is "$(grep -o '"pid":[0-9]*' "$OUT" | sort -u | wc -l)" "$many" "each with a supervisor of its own"
if has cgroup; then
	is "$(grep -o '"cgroup":[0-9]*' "$OUT" | sort -u | wc -l)" "$many" "and a group of its own"
fi

# The supervisors' private memory, as the kernel counts it.
grep -o '"pid":[0-9]*' "$OUT" | cut -d: -f2 >pids
total=0
while read -r pid; do
	kib=$(awk '/^Private_(Clean|Dirty):/ { n += $2 } END { print n + 0 }' "/proc/$pid/smaps_rollup")
	total=$((total + kib))
done <pids
diag "$((total / many)) KiB of private memory for each supervisor"
ok "no more than 512 KiB each" test $((total / many)) -le 512

seq "$many" | xargs -P 8 -I@ sh -c '"$PYISOLATE" stop many-@ || echo @' >failed 2>&1
is "$(cat failed)" "" "all are stopped"
pyi stats
is "$(printf '%s\n' "$out" | grep -c '^many-[0-9]* *cancelled *stopped ')" "$many" "and have ended so"
gone=0
while read -r pid; do
	wait_for 5 is_gone "$pid" && gone=$((gone + 1))
done <pids
is "$gone" "$many" "no supervisor is left"

# They end by themselves all at the same time, while others look.
seq "$many" | xargs -P 8 -I@ sh -c '"$PYISOLATE" spawn many-@ -c "
import time
time.sleep(max(0, $1 - time.time()))
raise SystemExit(@ % 100)" || echo @' sh "$(($(date +%s) + 3 + many / 40))" >failed 2>&1
is "$(cat failed)" "" "$many again"
seq "$many" | xargs -P "$many" -I@ sh -c '"$PYISOLATE" wait many-@; [ $? = $((@ % 100)) ] || echo @' >failed 2>&1
is "$(cat failed)" "" "each is waited for, and has its own exit code"
pyi stats
is "$(printf '%s\n' "$out" | grep -c '^many-[0-9]* *completed *exited ')" "$many" "all have an end"
done_testing
