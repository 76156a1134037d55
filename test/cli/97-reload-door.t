#!/bin/sh
# SPDX-License-Identifier: MIT
#
# How a reload gets into an ordinary user's sandbox: who is let in and who is not, and what is left when somebody dies.
# What files then become is in 97-reload-files.t, at which moment in 96-reload-window.t.
. "${0%/*}/lib.sh"
. "$TESTS/cli/named.sh"
need user userns python3
private_state
p=d$$-
named "$p"
(umask 077; echo 'the token of this door' >tok; echo 'another token, no less long' >other)
D=$T/srv
mkdir -p "$D/a" "$D/b"
echo a >"$D/a/f"
echo b >"$D/b/f"
policy() { # FILE RULE
	printf 'version: 1\nextends: defaults\nlimits: {wall_time: 10m}\nceiling: {fs: [{read: %s}]}\nfs:\n' "$D" >"$1.yml"
	echo "  - $2" >>"$1.yml"
}
policy a "read: $D/a"
policy b "read: $D/b"
door=$PYISOLATE_RUN_DIR/policy/${p}a.door
cat >probe.py <<'PY'
import os, sys, time
last = None
while True:
    now = " ".join(d for d in "ab" if os.path.exists(f"{sys.argv[1]}/{d}/f"))
    if now != last: print(now, flush=True)
    last = now
    time.sleep(0.01)
PY
says() { [ "$("$PYISOLATE" logs "$1" | tail -n 1)" = "$2" ]; }

# Ask as a reload does, with each of the tokens (|): prints the errno, and the kinds of the descriptors that came.
cat >ask.py <<'PY'
import array, os, socket, sys
path, tokens = sys.argv[1], sys.argv[2].split("|")
n = int(sys.argv[3]) if len(sys.argv) > 3 else 1
magic = sys.argv[4].encode() if len(sys.argv) > 4 else b"pyidoor\0"
def ask(token):
    s = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    s.sendmsg([magic, token.encode()],
              [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", [theirs.fileno()] * n))] if n else [], 0, path)
    theirs.close()
    ours.settimeout(10)
    data, control, _, _ = ours.recvmsg(16, socket.CMSG_SPACE(64))
    fds = array.array("i")
    for _, _, c in control: fds.frombytes(c[:len(c) // 4 * 4])
    return [int.from_bytes(data, sys.byteorder) if data else "nothing",
            *[os.readlink(f"/proc/self/fd/{f}").split(":")[0] for f in fds]]
print(*sum(map(ask, tokens), []))
PY
ask() { python3 ask.py "$@"; }
open_fds() { find "/proc/$(supervisor "${p}a")/fd" -type l | wc -l; }

# ---- a door is there for those who may be reloaded
pyi spawn "${p}n" probe.py "$D"
nok "without a token there is none" test -e "$PYISOLATE_RUN_DIR/policy/${p}n.door"
pyi stop "${p}n"
pyi spawn "${p}a" -p a.yml --token-file tok probe.py "$D"
exits 0 "spawn"
ok "with a token there is one" test -S "$door"
ok "the start" wait_for 10 says "${p}a" a
pyi reload "${p}a" b.yml --token-file tok
exits 0 "a reload"
ok "is let in" wait_for 10 says "${p}a" b
ok "and the door stays" test -S "$door"

# ---- who is let in
is "$(ask "$door" 'the token of this door')" "0 user mnt" "the token gets the namespaces"
is "$(ask "$door" 'the token of this doof|the token of this door')" "13 11" "another one gets nothing, and the right one waits after it"
sleep 0.3
is "$(ask "$door" 'the token of this door')" "0 user mnt" "as long as it was said"
is "$(ask "$door" short)" "71" "what is too short for a token"
is "$(ask "$door" '')" "71" "nothing"
is "$(ask "$door" 'the token of this door' 1 nonsense)" "71" "no question of ours"
is "$(ask "$door" 'the token of this door' 0)" "nothing" "nowhere to answer to"
is "$(ask "$door" "$(printf '%05000d' 0)")" "71" "more than a token may be"
sleep 0.2
before=$(open_fds)
for i in 1 2 3 4 5 6 7 8; do ask "$door" 'the token of this door' 200 >/dev/null; done
pyi reload "${p}a" a.yml --token-file tok
exits 0 "after messages with many descriptors"
is "$(open_fds)" "$before" "none of them is kept"
pyi reload "${p}a" b.yml --token-file other
exits 125 "a reload with another token"
contains "$err" "PolicyAuthError: that is not the token" "is refused before it comes to the door"
like "$(grep '^NSpid' "/proc/$(supervisor "${p}a")/status")" '^NSpid:.[0-9]+$' "a supervisor is known by its pid"

# ---- a guest, even with the right user, the token, the directory and the sockets of another language's program
if python3 -c 'import ctypes' 2>/dev/null && unshare -rpf --mount-proc true 2>/dev/null; then
	sleep 0.3
	is "$(unshare -Urpf python3 ask.py "$door" 'the token of this door' 2>&1)" "1" "a process of another pid namespace is not let in, with the token neither"
else
	skip "no user namespaces for unshare(1)" "another pid namespace"
fi
pyi run --allow-read "$T" --allow-net 127.0.0.1:9 ask.py "$door" 'the token of this door'
isnt "$code" 0 "a guest that may read the directory"
lacks "$out" "mnt" "gets no namespace"
pyi run --allow-read "$T" ask.py "$door" 'the token of this door'
like "$err" "PermissionError|Operation not permitted" "it has no such sockets"

# ---- one of another user
is "$(stat -c %a "$PYISOLATE_RUN_DIR/policy")" 700 "nobody else can come to the door"

# ---- what a reload works with stays, and the guest cannot get there
cat >inside.py <<'PY'
import os, sys, time
d = os.open(sys.argv[1] + "/a", os.O_RDONLY)
while "b" not in os.listdir(sys.argv[1]): time.sleep(0.01)
def may(what, *args, **kw):
    try:
        what(*args, **kw)
        return "yes"
    except OSError:
        return "no"
work = "/.pyisolate"
print("there" if os.path.isdir(work) else "gone", may(os.chmod, work, 0o777), may(os.listdir, work), may(os.chdir, work),
      may(os.mkdir, work + "/own/x"), may(os.chmod, "..", 0o777, dir_fd=d) if os.chmod in os.supports_dir_fd else "no",
      may(os.mkdir, "/x"), flush=True)
time.sleep(600)
PY
pyi spawn "${p}i" -p a.yml --token-file tok inside.py "$D"
pyi reload "${p}i" b.yml --token-file tok
ok "where reloads work the guest does not get in" wait_for 10 says "${p}i" "there no no no no no no"
pyi stop "${p}i"

# ---- what is left
pyi stop "${p}a"
nok "the door goes with the sandbox" test -e "$door"
pyi spawn "${p}a" -p a.yml --token-file tok probe.py "$D"
supervisor=$(supervisor "${p}a")
kill -KILL "$supervisor"
ok "a supervisor that was killed" until_state 10 "${p}a" lost
nok "its door goes with the first look" test -e "$door"
pyi spawn "${p}a" -p a.yml --token-file tok probe.py "$D"
supervisor=$(supervisor "${p}a")
kill -KILL "$supervisor"
ok "one whose end nobody looked at" wait_for 10 is_gone "$supervisor"
ok "leaves its door" test -S "$door"
pyi spawn "${p}a" -p a.yml --token-file tok probe.py "$D"
exits 0 "the name is used again"
ok "the start" wait_for 10 says "${p}a" a
pyi reload "${p}a" b.yml --token-file tok
exits 0 "and the door is the new one's"
ok "it leads to the new one" wait_for 10 says "${p}a" b

# ---- without one, or with nobody behind it
rm "$door"
pyi reload "${p}a" a.yml --token-file tok
exits 125 "no door"
contains "$err" "its supervisor has no way into its files" "is said"
is "$("$PYISOLATE" stats "${p}a" --json | grep -o '"generation":[0-9]*')" '"generation":2' "and nothing has changed"
printf 'version: 1\nextends: defaults\nlimits: {wall_time: 9m}\nfs: [{read: %s}]\n' "$D/b" >limits.yml
pyi reload "${p}a" limits.yml --token-file tok
exits 0 "limits need none"
pyi stop "${p}a"

if has helper:pyisolate-faults; then
	main=$PYISOLATE
	PYISOLATE=$HELPERS/pyisolate-faults
	for point in 106 972 973; do
		run env PYISOLATE_FAULT=$point "$PYISOLATE" spawn "${p}f" -p a.yml --token-file tok probe.py "$D"
		exits 0 "fault $point: it starts"
		pyi reload "${p}f" b.yml --token-file tok
		exits 125 "fault $point: its files cannot change"
		contains "$err" "its supervisor has no way into its files" "is said"
		pyi stop "${p}f"
	done
	pyi spawn "${p}f" -p a.yml --token-file tok probe.py "$D"
	ok "one without faults" wait_for 10 says "${p}f" a
	run env PYISOLATE_FAULT=974 "$PYISOLATE" reload "${p}f" b.yml --token-file tok
	exits 125 "fault 974: no socket to ask with"
	ok "nothing has changed" says "${p}f" a
	# Noted, but the supervisor was not told: the next command tells it, and waits.
	run env PYISOLATE_FAULT=980:kill "$PYISOLATE" reload "${p}f" b.yml --token-file tok
	pyi reload "${p}f" b.yml --token-file tok
	exits 0 "after one that was killed before it said so"
	ok "the next one comes through" wait_for 10 says "${p}f" b
	# A supervisor that does not answer.
	kill -STOP "$(supervisor "${p}f")"
	run timeout 30 "$PYISOLATE" reload "${p}f" a.yml --token-file tok
	exits 125 "a supervisor that was stopped"
	contains "$err" "its supervisor does not answer" "is said"
	kill -CONT "$(supervisor "${p}f")"
	ok "nothing has changed" says "${p}f" b
	pyi stop "${p}f"
	PYISOLATE=$main
else
	skip "the helper pyisolate-faults was not built" "faults"
fi
is "$(ls "$PYISOLATE_RUN_DIR/policy")" "" "nothing is left"
done_testing
