#!/bin/sh
# SPDX-License-Identifier: MIT
#
# The window of a reload: while policies are swapped under a guest that asks all the time, and while reloads are killed
# at any moment, no decision is one that neither the old nor the new policy gives.
#
# PYI_WINDOW_SWAPS (300) and PYI_WINDOW_KILLS (60) say how often; an emulated machine takes its time, and does it less.
. "${0%/*}/lib.sh"
. "$TESTS/cli/named.sh"
# An ordinary user's sandboxes have no rules of the network; their files are changed through what the supervisor lends.
if has root; then
	need bpf-cgroup cgroup helper:bpfrows
	net=1
else
	need userns
	net=
fi
private_state
p=w$$-
named "$p"
(umask 077; echo 'the token of the window' >tok)
few=${PYI_VM:+1}
swaps=${PYI_WINDOW_SWAPS:-${few:+60}}
swaps=${swaps:-300}
kills=${PYI_WINDOW_KILLS:-${few:+15}}
kills=${kills:-60}

# Port 1000 always, 2000 never, and one or none of 3001 to 3002; so with the files and the programs of these numbers, in
# directories whose other grants come and go, and one of which is covered in a granted one.
D=$T/srv
long=$(printf '%0200d' 0)
mkdir -p "$D/1000/2000" "$D/3001/$long" "$D/3002/2000"
for f in 1000/f 1000/2000/f 3001/f 3002/f 3002/2000/f "3001/$long/f"; do echo "$f" >"$D/$f"; done
if has helper:true; then
	for n in 1000 1000/2000 3001 3002; do cp "$HELPERS/true" "$D/$n/tool"; done
fi
chmod -R go+rX "$D"
for name in a:3001 b:3002 c:3003; do
	{
		cat <<X
version: 1
extends: defaults
fs:
  - exec: $D/1000
  - deny: $D/1000/2000
  - exec: $D/${name#*:}
  - deny: $D/3002/2000
ceiling:
  fs: [{exec: $D}]
X
		[ -n "$net" ] && cat <<X
net:
  - connect: udp://127.0.0.1:1000
  - connect: udp://127.0.0.1:${name#*:}
X
		# Without a control group a limit of processes is each one's, and cannot change.
		echo "limits: {wall_time: 30m${net:+, memory: 256MiB, pids: $((${name#*:} - 2950))}}"
	} >"${name%:*}.yml"
done
sed -i '/3003$/d' c.yml
sed -i '/- deny.*3002/d' a.yml c.yml

# Every thread asks for all four in turn; SIGTERM ends it, and it says what it was told.
cat >hammer.py <<'X'
import errno, os, signal, socket, sys, threading, time
stop = False
def on_term(*_):
    global stop
    stop = True
signal.signal(signal.SIGTERM, on_term)
totals = []
base = sys.argv[1]
wrong_file = [0]
def read(path):
    try:
        with open(base + "/" + path) as f:
            wrong_file[0] += f.read().strip() != path
        return True
    except OSError:
        return False
def hammer_files():
    wrong_no = wrong_yes = rounds = 0
    seen = {3001: 0, 3002: 0}
    while not stop:
        rounds += 1
        wrong_no += not read("1000/f")
        wrong_yes += read("1000/2000/f")
        wrong_yes += read("3002/2000/f")
        for n in seen:
            seen[n] += read("%d/f" % n)
    totals.append((rounds, wrong_no, wrong_yes, seen[3001], seen[3002]))
def runs(path):
    pid = os.fork()
    if pid == 0:
        try: os.execv(base + "/" + path, ["tool"])
        except OSError: os._exit(100)
    # The signal that ends it all ends these as well.
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) in (0, -signal.SIGTERM)
def hammer_programs():
    wrong_no = wrong_yes = rounds = 0
    seen = {3001: 0, 3002: 0}
    while not stop:
        rounds += 1
        wrong_no += not runs("1000/tool")
        wrong_yes += runs("1000/2000/tool")
        for n in seen:
            seen[n] += runs("%d/tool" % n)
    print("programs: %d wrong_no %d wrong_yes %d a %d b %d" % (rounds, wrong_no, wrong_yes, seen[3001], seen[3002]), flush=True)
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
if os.path.exists(base + "/1000/tool") and os.fork() == 0:
    print("ready 2", flush=True)
    hammer_programs()
    os._exit(0)
threads = [threading.Thread(target=t) for t in (hammer_files, hammer_files) + (hammer, hammer) * (len(sys.argv) > 2)]
for t in threads: t.start()
print("ready", flush=True)
for t in threads: t.join()
if os.path.exists(base + "/1000/tool"):
    os.kill(0, signal.SIGTERM)
    os.wait()
print("files: wrong %d" % wrong_file[0])
print("rounds %d wrong_no %d wrong_yes %d a %d b %d" % tuple(map(sum, zip(*totals))), flush=True)
X
verdict() { # NAME: stop it, and take what it says
	"$PYISOLATE" stop "$1" --timeout 20s
	said=$("$PYISOLATE" logs "$1" | grep '^rounds')
	diag "$said"
	like "$said" "^rounds [1-9][0-9]* wrong_no 0 wrong_yes 0 a [1-9][0-9]* b [1-9]" "$2"
	contains "$("$PYISOLATE" logs "$1")" "files: wrong 0" "no file that was another one's, or empty"
	if has helper:true; then
		said=$("$PYISOLATE" logs "$1" | grep '^programs')
		diag "$said"
		like "$said" "^programs: [1-9][0-9]* wrong_no 0 wrong_yes 0 a [1-9][0-9]* b [1-9]" "nor of a program"
	fi
}
one_generation() { [ -z "$net" ] || "$HELPERS/bpfrows" "$1" | grep -q "of 1 generations"; }
cgroup_of() { "$PYISOLATE" stats "$1" --json | grep -o '"cgroup":[0-9]*' | cut -d: -f2; }
generation_of() { "$PYISOLATE" stats "$1" --json | grep -o '"generation":[0-9]*' | cut -d: -f2; }

# ---- swaps
pyi spawn "${p}a" -p a.yml --token-file tok hammer.py "$D" ${net:+net}
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
ok "the rows of one generation are left" wait_for 5 one_generation "$(cgroup_of "${p}a")"
verdict "${p}a" "no decision that neither policy gives"

# ---- the reloader is killed, at any moment
pyi spawn "${p}k" -p a.yml --token-file tok hammer.py "$D" ${net:+net}
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
if has helper:pyisolate-faults; then
	points="980 981 970 261 262 268"
	points="$points ${net:+982 983 501 575}"
	[ -n "$net" ] || points="$points 271 272 273"
	for point in $points; do
		before=$(generation_of "${p}k")
		PYISOLATE_FAULT=$point:kill "$HELPERS/pyisolate-faults" reload -q "${p}k" a.yml --token-file tok 2>/dev/null
		ok "killed at point $point" wait_for 5 settled
		is "$(generation_of "${p}k")" "$before" "the old policy is in force"
		PYISOLATE_FAULT=$point "$HELPERS/pyisolate-faults" reload -q "${p}k" a.yml --token-file tok 2>/dev/null
		is "$(generation_of "${p}k")" "$before" "and so when it only fails there"
		ok "with nothing left behind" wait_for 5 settled
	done
	before=$(generation_of "${p}k")
	PYISOLATE_FAULT=984:kill "$HELPERS/pyisolate-faults" reload -q "${p}k" a.yml --token-file tok 2>/dev/null
	ok "killed after the swap" wait_for 5 settled
	is "$(generation_of "${p}k")" $((before + (${net:-0}))) "the new policy is in force; without a swap the entry counts, and it is the old one"
else
	skip "the helper pyisolate-faults was not built" "killed at each point"
fi
verdict "${p}k" "no decision that neither policy gives, with all that killing"
[ -z "$net" ] || is "$("$HELPERS/bpfrows" "$cgroup")" "0 rows of 0 generations" "at the end no row is left"
is "$(ls "$PYISOLATE_RUN_DIR/policy")" "" "at the end nothing is left of their policies"
done_testing
