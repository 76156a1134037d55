#!/bin/sh
# SPDX-License-Identifier: MIT
#
# The window of a reload: while policies are swapped under a guest that asks all the time, and while reloads are killed
# at any moment, no decision is one that neither the old nor the new policy gives.
#
# PYI_WINDOW_SWAPS (300) and PYI_WINDOW_KILLS (60) say how often.
. "${0%/*}/lib.sh"
. "$TESTS/cli/named.sh"
need root bpf-cgroup cgroup helper:bpfrows helper:pyisolate-faults
private_state
p=w$$-
named "$p"
(umask 077; echo 'the token of the window' >tok)
swaps=${PYI_WINDOW_SWAPS:-300}
kills=${PYI_WINDOW_KILLS:-60}

# 1000 always, 2000 never, and one or none of 3001 to 3002.
for name in a:3001 b:3002 c:3003; do
	cat >"${name%:*}.yml" <<X
version: 1
extends: defaults
net:
  - connect: udp://127.0.0.1:1000
  - connect: udp://127.0.0.1:${name#*:}
limits: {memory: 256MiB, wall_time: 30m, pids: $((${name#*:} - 2950))}
X
done
sed -i '/3003/d' c.yml

# Every thread asks for all four in turn; SIGTERM ends it, and it says what it was told.
cat >hammer.py <<'X'
import errno, signal, socket, sys, threading, time
stop = False
def on_term(*_):
    global stop
    stop = True
signal.signal(signal.SIGTERM, on_term)
totals = []
def hammer():
    wrong_no = wrong_yes = rounds = 0
    seen = {3001: 0, 3002: 0}
    s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    while not stop:
        rounds += 1
        for port in (1000, 2000, 3001, 3002):
            try:
                s.connect(("127.0.0.1", port))
                may = True
            except PermissionError:
                may = False
            if port == 1000:
                wrong_no += not may
            elif port == 2000:
                wrong_yes += may
            else:
                seen[port] += may
    totals.append((rounds, wrong_no, wrong_yes, seen[3001], seen[3002]))
threads = [threading.Thread(target=hammer) for _ in range(4)]
for t in threads: t.start()
print("ready", flush=True)
for t in threads: t.join()
print("rounds %d wrong_no %d wrong_yes %d a %d b %d" % tuple(map(sum, zip(*totals))), flush=True)
X
verdict() { # NAME: stop it, and take what it says
	"$PYISOLATE" stop "$1" --timeout 20s
	said=$("$PYISOLATE" logs "$1" | grep '^rounds')
	diag "$said"
	like "$said" "^rounds [1-9][0-9]* wrong_no 0 wrong_yes 0 a [1-9][0-9]* b [1-9]" "$2"
}
cgroup_of() { "$PYISOLATE" stats "$1" --json | grep -o '"cgroup":[0-9]*' | cut -d: -f2; }
generation_of() { "$PYISOLATE" stats "$1" --json | grep -o '"generation":[0-9]*' | cut -d: -f2; }

# ---- swaps
pyi spawn "${p}a" -p a.yml --token-file tok hammer.py
exits 0 "spawn"
ok "its threads are at work" wait_for 20 log_has "${p}a" ready
failed=0
i=0
while [ $i -lt "$swaps" ]; do
	for name in b c a; do
		"$PYISOLATE" reload -q "${p}a" "$name.yml" --token-file tok || failed=$((failed + 1))
		i=$((i + 1))
	done
done
is "$failed" 0 "each of $i reloads is taken"
is "$(generation_of "${p}a")" $((i + 1)) "the generation counts them"
one_generation() { "$HELPERS/bpfrows" "$1" | grep -q "of 1 generations"; }
ok "the rows of one generation are left" wait_for 5 one_generation "$(cgroup_of "${p}a")"
verdict "${p}a" "no decision that neither policy gives"

# ---- the reloader is killed, at any moment
pyi spawn "${p}k" -p a.yml --token-file tok hammer.py
ok "another one is at work" wait_for 20 log_has "${p}k" ready
cgroup=$(cgroup_of "${p}k")
i=0
while [ $i -lt "$kills" ]; do
	for name in b c a; do
		"$PYISOLATE" reload -q "${p}k" "$name.yml" --token-file tok 2>/dev/null &
		pause=$(awk -v n=$i 'BEGIN { srand(n * 7919 + 1); printf "%.4f", n % 5 ? rand() * 0.01 : 0 }')
		sleep "$pause"
		kill -KILL $! 2>/dev/null
		wait $! 2>/dev/null
		i=$((i + 1))
	done
done
settled() { is_state "${p}k" running && one_generation "$cgroup"; }
ok "after $i reloads that were killed it is running, with the rows of one generation" wait_for 5 settled
isnt "$(generation_of "${p}k")" $((i + 1)) "not each of them came through"
diag "generation $(generation_of "${p}k") after $i"
pyi reload -q "${p}k" b.yml --token-file tok
exits 0 "one that is not killed is taken"
ok "and leaves one generation" wait_for 5 one_generation "$cgroup"

# ---- killed at each point between two steps; the entry and the kernel agree afterwards
for point in 980 981 982 983 501 575 970; do
	before=$(generation_of "${p}k")
	PYISOLATE_FAULT=$point:kill "$HELPERS/pyisolate-faults" reload -q "${p}k" a.yml --token-file tok 2>/dev/null
	ok "killed at point $point" wait_for 5 settled
	is "$(generation_of "${p}k")" "$before" "the old policy is in force"
	PYISOLATE_FAULT=$point "$HELPERS/pyisolate-faults" reload -q "${p}k" a.yml --token-file tok 2>/dev/null
	is "$(generation_of "${p}k")" "$before" "and so when it only fails there"
	ok "with nothing left behind" settled
done
before=$(generation_of "${p}k")
PYISOLATE_FAULT=984:kill "$HELPERS/pyisolate-faults" reload -q "${p}k" a.yml --token-file tok 2>/dev/null
ok "killed after the swap" wait_for 5 settled
is "$(generation_of "${p}k")" $((before + 1)) "the new policy is in force"
verdict "${p}k" "no decision that neither policy gives, with all that killing"
is "$("$HELPERS/bpfrows" "$cgroup")" "0 rows of 0 generations" "at the end no row is left"
done_testing
