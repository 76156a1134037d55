#!/bin/sh
# SPDX-License-Identifier: MIT
#
# Logs of named sandboxes: rotation, the cap, following over rotations, a full disk, old logs.
. "${0%/*}/lib.sh"
. "$TESTS/cli/named.sh"
private_state
named ""

# ---- rotation: two files, none larger than asked for
pyi spawn big --log-size 8KiB -c '
for i in range(5000): print(f"line {i:05d}", flush=True)'
pyi wait big
exits 0 "a guest that prints more than its log may hold"
sizes=$(cd state/log && wc -c big.log big.log.1)
is "$(find state/log -type f -name "*.log*" | sort | tr '\n' ' ')" "state/log/big.log state/log/big.log.1 " "has two files"
is "$(printf '%s\n' "$sizes" | awk '$2 ~ /^big/ && $1 > 8192')" "" "neither is larger than --log-size"
is "$(stat -c %a state/log/big.log state/log/big.log.1 | sort -u) $(stat -c %a state/log)" "600 700" "both are the user's alone"
pyi logs big
is "$(printf '%s\n' "$out" | tail -n 1)" "line 04999" "the end of the output is there"
is "$(tail -n +2 "$OUT" | awk '{ if (n && $2 != n + 1) bad++; n = $2 + 0 } END { print bad + 0 }')" 0 "older and newer file make one text"

# ---- following, over many rotations, with nothing lost or twice
pyi spawn follow --log-size 64KiB -c '
import time
for i in range(20000):
    print(f"line {i:05d}")
    if i % 500 == 0: time.sleep(0.01)
print("end", flush=True)'
run timeout 60 "$PYISOLATE" logs -f follow
exits 0 "logs -f ends with the sandbox"
is "$(head -n 1 "$OUT")/$(tail -n 1 "$OUT")" "line 00000/end" "shows all from the beginning to the end"
is "$(wc -l <"$OUT")" 20001 "each line once"
ok "in order" sh -c "sort -c '$T/ordered' 2>/dev/null || grep '^line' '$OUT' | sort -c"
pyi logs follow --follow
exits 0 "following what has ended is showing it"
is "$(tail -n 1 "$OUT")" end "to the end"

pyi spawn slow -c '
import time
print("one", flush=True)
time.sleep(1)
print("two", flush=True)
time.sleep(100)'
"$PYISOLATE" logs -f slow >slow.out 2>&1 &
follower=$!
ok "what is printed later shows at once" wait_for 10 grep -q two slow.out
kill -KILL "$(supervisor slow)"
wait "$follower"
is "$?" 0 "a follower ends when the supervisor is killed"

pyi spawn quiet -c "$LOOP"
run timeout 60 sh -c '"$PYISOLATE" logs -f quiet | head -n 1'
exits 0 "a follower whose reader is gone ends, though there is nothing to write"
is "$out" ready "having shown what there was"
run timeout 60 sh -c '"$PYISOLATE" stats quiet --events -f | head -n 1'
exits 0 "so does one of events"
pyi stop quiet

# ---- both streams, and our own lines
pyi spawn both --timeout "$short" -v -c '
import os, sys, time
os.write(1, b"to stdout\n")
os.write(2, b"to stderr\n")
sys.stdout.write("no newline")
sys.stdout.flush()
time.sleep(60)'
pyi wait both
pyi logs both
contains "$out" "to stdout" "stdout"
contains "$out" "to stderr" "stderr"
contains "$out" "no newline
pyisolate: the wall time" "our own lines begin a line"
is "$err" "" "logs prints nothing else"
pyi spawn ours --timeout "$short" --log-size 8KiB -c '
import time
for i in range(300): print("x" * 50, flush=True)
time.sleep(60)'
pyi wait ours
contains "$(tail -n 1 state/log/ours.log)" "pyisolate: the wall time" "they are in the newest file after a rotation"

# ---- a log that cannot be written does not stop a guest
if has root; then
	mkdir small
	mount -t tmpfs -o size=256k,mode=0700 tmpfs small
	at_exit "umount '$T/small'"
	run env PYISOLATE_RUN_DIR="$T/small" "$PYISOLATE" spawn full -c '
for i in range(100000): print("x" * 50)
raise SystemExit(6)'
	exits 0 "a guest that fills the disk"
	run env PYISOLATE_RUN_DIR="$T/small" timeout 60 "$PYISOLATE" wait full
	exits 6 "runs to its end, and the entry has its place"
	rm -f small/log/full.*
	mkdir -m 0777 beat
	head -c 100000 /dev/zero >small/fill
	run env PYISOLATE_RUN_DIR="$T/small" "$PYISOLATE" spawn lossy --allow-write "$T/beat" -c '
import sys, time
for i in range(40): print("x" * 10000, flush=True)
open(sys.argv[1] + "/done", "w")
time.sleep(300)' "$T/beat"
	ok "a guest goes on while the disk is full" wait_for 30 test -e beat/done
	rm small/fill
	run env PYISOLATE_RUN_DIR="$T/small" "$PYISOLATE" stop lossy
	run env PYISOLATE_RUN_DIR="$T/small" "$PYISOLATE" logs lossy
	like "$(tail -n 1 "$OUT")" '^pyisolate: [0-9]+ bytes of output did not fit into the log$' "what was lost is counted"
	PYISOLATE_RUN_DIR=$T/state
fi

# ---- of a name that is used again, the old log goes
pyi spawn big -c 'print("new")'
pyi wait big
is "$(cat state/log/big.log*)" new "nothing is left of the old one"
rm state/log/big.log
pyi logs big
exits 125 "a log that is not there"
contains "$err" "is not kept any more" "is said"

# ---- logs of ended sandboxes are kept up to a number
pyi spawn keeper -c "$LOOP"
wait_for 10 log_has keeper ready
touch -d '3 hours ago' state/log/keeper.log
i=0
while [ $i -lt 1400 ]; do
	: >"state/log/old$i.log"
	i=$((i + 1))
done
touch -d '1 hour ago' state/log/old*.log
touch -d '2 hours ago' state/log/old7.log
touch state/log/old7.log.1 state/log/old7.events state/log/old7.events.1
pyi spawn live -c "$LOOP"
is "$(find state/log -name '*.log' | wc -l)" 1025 "of many old logs the newest 1024 stay"
ok "the live one's among them" test -e state/log/live.log
ok "and that of one that lives and has said nothing for long" test -e state/log/keeper.log
pyi stop keeper
is "$(find state/log -name 'old7.*')" "" "with the oldest one goes all that belongs to it"
pyi stop live
done_testing
