#!/bin/sh
# SPDX-License-Identifier: MIT
#
# Reload: tokens, what changes in a running sandbox, what is refused and changes nothing, --dry-run, --all.
. "${0%/*}/lib.sh"
. "$TESTS/cli/named.sh"

p=r$$-
umask 077
echo 'a token of this test' >tok
echo 'another token of this test' >other
chmod 600 tok other

# Tries the ports named in its arguments again and again, UDP as well as TCP, and says what it may do when that changes:
# when two rounds agree, for a reload may come in the middle of one.
cat >probe.py <<'X'
import socket, sys, time
last = before = None
while True:
    now = []
    for port in sys.argv[1:]:
        kind = socket.SOCK_DGRAM if port[0] == "u" else socket.SOCK_STREAM
        try:
            with socket.socket(socket.AF_INET, kind) as s:
                s.connect(("127.0.0.1", int(port.lstrip("u"))))
            now.append("yes")
        except ConnectionRefusedError:
            now.append("yes")
        except PermissionError:
            now.append("no")
    if now == before != last:
        print(*now, flush=True)
        last = now
    before = now
    time.sleep(0.01)
X

policy() { # FILE RULE... : limits in $limits
	{
		echo "version: 1"
		echo "extends: defaults"
		[ $# -lt 2 ] || echo "net:"
		for test_rule in $(shift; echo "$@"); do echo "  - connect: $test_rule"; done
		[ -z "${limits:-}" ] || echo "limits: {$limits}"
	} >"$1"
}
says() { [ "$("$PYISOLATE" logs "$1" | tail -n 1)" = "$2" ]; }
generation() { state "$1"; member "$T/r.json" generation; }
digest_of() { "$PYISOLATE" policy show "$1" --json 2>/dev/null | grep -o '"digest":"[0-9a-f]*"' | cut -d'"' -f4; }

# ---- tokens, the same with and without root
tokens() {
	limits="wall_time: 60s" policy a.yml
	limits="wall_time: 50s" policy b.yml
	named "$p"
	pyi spawn "${p}t" -p a.yml --token-file tok -c "$LOOP"
	exits 0 "spawn with a token"
	pyi reload "${p}t" b.yml
	exits 125 "a reload without a token"
	contains "$err" "PolicyAuthError: a reload needs the token" "is refused"
	pyi reload "${p}t" b.yml --token-file other
	exits 125 "a reload with another token"
	contains "$err" "PolicyAuthError: that is not the token of sandbox '${p}t'; the next one is looked at in 100 ms" "is refused"
	# Each wrong one that is looked at doubles the delay, up to one that even a busy machine does not sleep through.
	test_waits=
	for test_wait in 200 400 800 1600 3200; do
		until pyi reload "${p}t" b.yml --token-file other; [ "${err#*there were wrong tokens}" = "$err" ]; do
			sleep 0.05
		done
		test_waits="$test_waits $(echo "$err" | sed -n 's/.*looked at in \([0-9]*\) ms.*/\1/p')"
	done
	is "$test_waits" " 200 400 800 1600 3200" "the delay grows"
	pyi reload "${p}t" b.yml --token-file tok
	exits 125 "the right one is not looked at before its time"
	contains "$err" "PolicyAuthError: there were wrong tokens" "and the line says why"
	is "$(generation "${p}t")" 1 "nothing has changed"
	sleep 3.3
	pyi reload "${p}t" b.yml --token-file tok
	exits 0 "the right one, after the delay"
	like "$out" "^${p}t: generation 2, policy [0-9a-f]{12} -> [0-9a-f]{12}\$" "says generation and digests in one line"
	is "$err" "" "and nothing else"
	is "$(generation "${p}t")" 2 "stats shows the generation"
	is "$(member r.json policy_name)" b.yml "and the policy"
	is "$(member r.json limits.wall_time_ms)" 50000 "and its limits"
	pyi stats "${p}t" --events --json
	is "$(printf '%s\n' "$out" | grep -c POLICY_AUTH_FAILED)" 6 "each wrong token is an event"
	like "$out" '"event":"POLICY_HOTLOAD".*"generation":2,"old":"[0-9a-f]{64}","new":"[0-9a-f]{64}"' "and so is the reload, with both digests"
	pyi reload "${p}t" a.yml --token-file other
	contains "$err" "in 100 ms" "a right one forgives the wrong ones before it"
	lacks "$(cat "$PYISOLATE_RUN_DIR"/*/* 2>/dev/null | tr -d '\000')" "a token of this test" "the token itself is kept nowhere"
	cp tok loose
	chmod 644 loose
	pyi spawn "${p}l" --token-file loose -c pass
	exits 125 "a token that others may read"
	contains "$err" "others may read the token in 'loose': chmod 600 it" "is refused"
	echo short >short
	pyi spawn "${p}l" --token-file short -c pass
	exits 125 "a token of five bytes"
	contains "$err" "a token has 16 to 4096 bytes" "is refused"
	pyi spawn "${p}n" -p a.yml -c "$LOOP"
	pyi reload "${p}n" b.yml --token-file tok
	exits 125 "a sandbox without a token"
	contains "$err" "was started without --token-file, so it cannot be reloaded, by its owner and root neither" "cannot be reloaded"
	pyi reload "${p}none" b.yml --token-file tok
	exits 125 "a sandbox that is not there"
	pyi stop "${p}n"
	pyi reload "${p}n" b.yml --token-file tok
	exits 125 "a sandbox that has ended"
	contains "$err" "has ended" "is named so"
	pyi reload "${p}t"
	exits 2 "without a policy"
	pyi reload --all "${p}t" b.yml --token-file tok
	exits 2 "--all with a name"
	# ---- --all
	sleep 0.15
	pyi spawn "${p}u" -p a.yml --token-file tok -c "$LOOP"
	pyi spawn "${p}v" -p a.yml --token-file other -c "$LOOP"
	pyi reload --all a.yml --token-file tok
	exits 0 "--all"
	is "$(printf '%s\n' "$out" | cut -d, -f1 | sort | tr '\n' ';')" "${p}t: generation 3;${p}u: generation 2;" "reports each that has this token"
	is "$(generation "${p}v")" 1 "and leaves the others alone"
	pyi reload --all a.yml --token-file short
	exits 125 "--all with no token at all"
	# ---- wall time
	limits="wall_time: 1s" policy c.yml
	pyi reload -q "${p}u" c.yml --token-file tok
	exits 0 "a shorter wall time"
	is "$out" "" "-q says nothing"
	ok "ends it" until_state 5 "${p}u" cancelled
	is "$reason/$exit" wall_time/124 "for the wall time"
	pyi stop "${p}v"
	pyi stop "${p}t"

	# Two things that a supervisor is told before it gets to look.
	limits="wall_time: 9m" policy c.yml
	pyi spawn "${p}s" -p a.yml --token-file tok -c "$LOOP"
	kill -STOP "$(supervisor "${p}s")"
	limits="wall_time: 8m" policy d.yml
	run timeout 20 "$PYISOLATE" reload "${p}s" d.yml --token-file tok
	exits 0 "a reload that its supervisor has not seen yet"
	"$PYISOLATE" stop "${p}s" --timeout 5s &
	sleep 0.3
	kill -CONT "$(supervisor "${p}s")"
	wait
	state "${p}s"
	is "$reason/$exit" stopped/143 "keeps it from no stop"
	is "$(ls "$PYISOLATE_RUN_DIR/policy")" "" "no policy's text is left behind"
}

if ! has root; then
	private_state
	tokens
	done_testing
	exit
fi
private_state
tokens

# ---- what else is refused, and changes nothing
need bpf-cgroup cgroup helper:bpfrows
limits="memory: 128MiB" policy a.yml 127.0.0.1:1000 udp://127.0.0.1:1000
limits="memory: 96MiB, cpu: 50%, pids: 20" policy b.yml 127.0.0.1:2000 udp://127.0.0.1:2000
pyi spawn "${p}r" -p a.yml --token-file tok probe.py 1000 2000 u1000 u2000
exits 0 "spawn"
ok "the policy of the start is in force" wait_for 10 says "${p}r" "yes no yes no"
state "${p}r"
before=$(member r.json policy)

refused() { # NAME TEXT, with bad.yml
	pyi reload "${p}r" bad.yml --token-file tok
	exits 125 "$1"
	contains "$err" "$2" "is refused in words"
	state "${p}r"
	is "$(member r.json policy) $(member r.json generation) $state" "$before 1 running" "and nothing has changed"
}
echo 'version: 1
nte: []' >bad.yml
refused "a broken policy" "bad.yml:2: unknown key 'nte'"
{ cat a.yml; echo "fs: [{read: /etc}]"; } >bad.yml
refused "another file" "bad.yml:7: fs: 'read /etc' is outside of the ceiling that the sandbox was started with"
{ cat a.yml; echo "exec: [{allow: /bin/true}]"; } >bad.yml
refused "another program" "bad.yml:7: fs: 'exec /bin/true' needs system calls that the sandbox was started without"
{ cat a.yml; echo "env: [{set: A=b}]"; } >bad.yml
refused "another environment" "bad.yml:7: env: 'set A=b' is new"
{ cat a.yml; echo "imports: [math]"; } >bad.yml
refused "another list of imports" "imports: 'all of the standard library' is gone"
{ cat a.yml; echo "on_violation: kill"; } >bad.yml
refused "another on_violation" "on_violation: "
{ cat a.yml; echo "contracts: [fs.opens <= 3]"; } >bad.yml
refused "a contract about files" "bad.yml:7: contract 'fs.opens <= 3' is about files or programs"
limits="memory: 128MiB, open_files: 10" policy bad.yml 127.0.0.1:1000 udp://127.0.0.1:1000
refused "another limit of open files" "limits: 'open_files 256 -> 10' is another value"
limits="memory: 128MiB" policy bad.yml 127.0.0.1:1000 udp://127.0.0.1:1000
sed -i 's/  - connect: 127.0.0.1:1000/  - bind: 127.0.0.1:1000/' bad.yml
refused "listening" "needs listening sockets, and the sandbox was started without"
limits="memory: 1MiB" policy bad.yml 127.0.0.1:2000
refused "less memory than it uses" "limits: memory: 1MiB is less than the"
ok "the network is as it was" says "${p}r" "yes no yes no"

# ---- --dry-run
pyi reload "${p}r" b.yml --token-file tok --dry-run
exits 0 "--dry-run"
is "$(printf '%s\n' "$out" | tail -n +2)" "- net: connect 127.0.0.1:1000  (a.yml:4)
+ net: connect 127.0.0.1:2000  (b.yml:4)
- net: connect udp://127.0.0.1:1000  (a.yml:5)
+ net: connect udp://127.0.0.1:2000  (b.yml:5)
~ limits: memory 128MiB -> 96MiB
~ limits: cpu none -> 50%
~ limits: pids 64 -> 20" "shows the difference rule by rule"
is "$(generation "${p}r")" 1 "and changes nothing"

# ---- the whole of it
pyi reload "${p}r" b.yml --token-file tok
exits 0 "reload"
ok "the network is the new policy's" wait_for 10 says "${p}r" "no yes no yes"
is "$("$PYISOLATE" logs "${p}r" | wc -l)" 2 "in one step"
group=$(grep -l . /sys/fs/cgroup/*/pyisolate*/run-"$(supervisor "${p}r")"-*/cgroup.procs /sys/fs/cgroup/pyisolate*/run-"$(supervisor "${p}r")"-*/cgroup.procs 2>/dev/null)
value() { for test_dir in $group; do cat "${test_dir%/*}/$1" 2>/dev/null; done | head -n 1; }
if has cgroup-v2; then
	is "$(value memory.max) $(value cpu.max) $(value pids.max)" "100663296 50000 100000 21" "memory, CPU and processes as well"
else
	is "$(value memory.limit_in_bytes) $(value cpu.cfs_quota_us) $(value pids.max)" "100663296 50000 21" "memory, CPU and processes as well"
fi
pyi reload "${p}r" a.yml --token-file tok
exits 0 "and back"
ok "the network is the old policy's" wait_for 10 says "${p}r" "yes no yes no"
is "$(value pids.max)" 65 "and so are the limits"
if has helper:pyisolate-faults; then
	has cgroup-v2 && memory=memory.max || memory=memory.limit_in_bytes
	was=$(value "$memory")/$(value pids.max)/$(generation "${p}r")
	like "$was" "^134217728/65/3\$" "before a reload that fails"
	# At the third limit, at the new rules, at the swap.
	for point in 470:22@3 982:5 983:5; do
		run env PYISOLATE_FAULT=$point "$HELPERS/pyisolate-faults" reload "${p}r" b.yml --token-file tok
		exits 125 "a reload that fails at $point"
		is "$(value "$memory")/$(value pids.max)/$(generation "${p}r")" "$was" "leaves limits and generation as they were"
	done
else
	skip "$why" "a reload that fails at its limits"
fi
state "${p}r"
is "$(member r.json policy) $(member r.json generation)" "$before 3" "the digest is the first one's, the generation the third"
one_generation() { "$HELPERS/bpfrows" "$(member r.json cgroup)" | grep -q "of 1 generations"; }
ok "rows of earlier generations go" wait_for 5 one_generation
policy none.yml
pyi reload "${p}r" none.yml --token-file tok
exits 0 "a policy without network"
ok "closes it" wait_for 10 says "${p}r" "no no no no"
pyi reload "${p}r" b.yml --token-file tok
ok "which can be opened again" wait_for 10 says "${p}r" "no yes no yes"
cgroup=$(member r.json cgroup)
pyi stop "${p}r"
is "$("$HELPERS/bpfrows" "$cgroup")" "0 rows of 0 generations" "at the end no row is left"

# ---- a sandbox without any network
pyi spawn "${p}o" -p none.yml --token-file tok -c "$LOOP"
pyi reload "${p}o" a.yml --token-file tok
exits 125 "network for a sandbox that was started without any"
contains "$err" "a.yml:4: net: '127.0.0.1:1000' needs a network, and the sandbox was started without" "is refused in words"
pyi stop "${p}o"

# ---- CPU time, output, and the record at the end
policy free.yml
limits="cpu_time: 300ms" policy cpu.yml
pyi spawn "${p}c" -p free.yml --token-file tok --result c.json -c 'while True: pass'
pyi reload "${p}c" cpu.yml --token-file tok
exits 0 "a limit of CPU time where there was none"
ok "ends it" until_state 10 "${p}c" cancelled
is "$reason/$exit" cpu_time/152 "for the CPU time"
is "$(member c.json generation)" 2 "the record has the generation"
is "$(member c.json policy)" "$(member r.json policy)" "and the digest"
limits="cpu_time: 1h" policy cpu2.yml
limits="cpu_time: 1s" policy cpu1.yml
pyi spawn "${p}d" -p cpu1.yml --token-file tok -c 'import time
while time.process_time() < 2: pass
print("done")'
pyi reload "${p}d" cpu2.yml --token-file tok
exits 0 "more CPU time"
pyi wait "${p}d"
exits 0 "lets it finish"
# ---- two at a time: what the later one was checked against is gone
if has helper:pyisolate-faults; then
	pyi spawn "${p}l" -p free.yml --token-file tok -c "$LOOP"
	PYISOLATE_FAULT=988:pause "$HELPERS/pyisolate-faults" reload "${p}l" cpu2.yml --token-file tok >late.out 2>&1 &
	late=$!
	ok "a reload is held up when all was checked" wait_for 20 grep -q '^State:.T' "/proc/$late/status"
	pyi reload "${p}l" cpu1.yml --token-file tok
	exits 0 "another one is quicker"
	kill -CONT $late
	wait $late
	is "$?" 125 "the first one is refused"
	contains "$(cat late.out)" "another reload of '${p}l' came in between: nothing was changed" "with the reason"
	is "$(generation "${p}l")" 2 "and changes nothing"
	pyi stop "${p}l"
else
	skip "$why" "two reloads at a time"
fi
limits="output: 2KiB" policy out.yml
pyi spawn "${p}e" -p free.yml --token-file tok -c 'import time
while True: print("x" * 100, flush=True); time.sleep(0.01)'
pyi reload "${p}e" out.yml --token-file tok
exits 0 "a limit of output where there was none"
ok "ends it" until_state 10 "${p}e" cancelled
is "$reason/$exit" output/153 "for the output"

# ---- contracts: what was counted goes on counting
cat >c1.yml <<'X'
version: 1
extends: defaults
net: [{connect: "127.0.0.1:1000-3000"}]
contracts:
  - net.connects("127.0.0.1:1000") <= 3
X
sed 's/<= 3/<= 5/; s/^contracts:/&\n  - net.connects("127.0.0.1:2000") <= 1/' c1.yml >c2.yml
sed '/^contracts:/,$d' c1.yml >c3.yml
cat >count.py <<'X'
import os, socket, sys, time
def may(port):
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
        try:
            s.connect(("127.0.0.1", port))
        except PermissionError:
            return 0
    with socket.socket() as s:
        try:
            s.connect(("127.0.0.1", port))
        except ConnectionRefusedError:
            return 1
        except PermissionError:
            return 0
    return 1
def tcp(port):
    with socket.socket() as s:
        try:
            s.connect(("127.0.0.1", port))
        except ConnectionRefusedError:
            return 1
        except PermissionError:
            return 0
step = 0
while True:
    if os.path.exists("/tmp/x"):
        pass
    print(step, sum(tcp(1000) for _ in range(10)), sum(tcp(2000) for _ in range(10)), flush=True)
    step += 1
    time.sleep(0.2)
X
sed -i '/^def may/,/^    return 1$/d; /os.path.exists/,+1d' count.py
pyi spawn "${p}k" -p c1.yml --token-file tok count.py
ok "three connections are let through" wait_for 10 log_has "${p}k" "^0 3 10"
ok "and then none" wait_for 10 log_has "${p}k" "^1 0 10"
pyi reload "${p}k" c2.yml --token-file tok
exits 0 "a contract with a higher bound, and another one"
later() { says "${p}k" "$("$PYISOLATE" logs "${p}k" | tail -n 1 | cut -d' ' -f1) $1"; }
ok "both bounds are reached" wait_for 10 later "0 0"
sum() { "$PYISOLATE" logs "${p}k" | awk -v c="$1" '{ n += $c } END { print n }'; }
is "$(sum 2)" 5 "what had been counted counts: two more, and no third"
pyi reload "${p}k" c3.yml --token-file tok
ok "without contracts nothing bounds them" wait_for 10 later "10 10"
pyi reload "${p}k" c1.yml --token-file tok
exits 0 "and the first one again"
ok "has counted on, and now nothing holds" wait_for 10 later "0 0"
pyi reload "${p}k" c3.yml --token-file tok --dry-run
contains "$out" '- contracts: net.connects("127.0.0.1:1000") <= 3  (c1.yml:5)' "--dry-run names contracts"
cgroup=$("$PYISOLATE" stats "${p}k" --json | grep -o '"cgroup":[0-9]*' | cut -d: -f2)
pyi stop "${p}k"
is "$("$HELPERS/bpfrows" "$cgroup")" "0 rows of 0 generations" "nothing is left of it"

# ---- denials are told by the rules of their time
cat >deny.yml <<'X'
version: 1
extends: defaults
net:
  - connect: 127.0.0.1:1000-2000
  - deny: 127.0.0.1:1500
X
cat >deny2.yml <<'X'
version: 1
extends: defaults
net:
  - connect: 127.0.0.1:1000-2000

  - deny: 127.0.0.1:1600
X
pyi spawn "${p}x" -p deny.yml --token-file tok --result x.json probe.py 1500 1600
ok "the first" wait_for 10 says "${p}x" "no yes"
"$PYISOLATE" reload -q "${p}x" deny2.yml --token-file tok
ok "the second" wait_for 10 says "${p}x" "yes no"
pyi stop "${p}x"
contains "$(cat x.json)" '"file":"deny.yml:5"' "before the reload"
contains "$(cat x.json)" '"file":"deny2.yml:6"' "after it"
done_testing
