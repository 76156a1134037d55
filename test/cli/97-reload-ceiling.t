#!/bin/sh
# SPDX-License-Identifier: MIT
#
# A reload within `ceiling:`: patterns, denies and limits of it, by what is written and by where links lead. What is
# refused changes nothing; what is not is in force, whichever layer sees to it.
. "${0%/*}/lib.sh"
. "$TESTS/cli/named.sh"
need root
private_state
p=c$$-
named "$p"
(umask 077; echo 'the token of this ceiling' >tok)
D=$T/srv
mkdir -p "$D/in/sub" "$D/private" "$D/other" || exit 1
for f in in/a.csv in/b.csv in/x.key in/sub/c.csv private/f other/f one.txt two.txt; do echo "$f" >"$D/$f"; done
ln -s "$D/private" "$D/in/link"
ln -s "$D" "$T/all"
chmod -R go+rX "$D"

# Says for each path whether it can be read, whenever that changes.
cat >probe.py <<'PY'
import sys, time
last = None
while True:
    now = []
    for path in sys.argv[1:]:
        try:
            now.append("r" if open(path).read() else "?")
        except OSError:
            now.append("-")
    if now != last:
        print(*now, flush=True)
        last = now
    time.sleep(0.01)
PY
says() { [ "$("$PYISOLATE" logs "$1" | tail -n 1)" = "$2" ]; }
policy() { # FILE LINE... ; after the head
	test_file=$1
	shift
	printf 'version: 1\nlimits: {wall_time: 10m, memory: %s, pids: 16}\n' "${memory:-128MiB}" >"$test_file.yml"
	printf '%s\n' "$@" >>"$test_file.yml"
}
reload() { pyi reload "$1" "$2.yml" --token-file tok; }
changed() { # NAME POLICY EXPECTED WHAT
	reload "$1" "$2"
	exits 0 "$4" || diag "$err"
	ok "$4: $3" wait_for 20 says "$1" "$3"
}
refused() { # NAME POLICY TEXT WHAT
	before=$("$PYISOLATE" stats "$1" --json | grep -o '"generation":[0-9]*')
	reload "$1" "$2"
	exits 125 "$4"
	contains "$err" "$3" "is refused in words"
	is "$("$PYISOLATE" stats "$1" --json | grep -o '"generation":[0-9]*')" "$before" "and nothing has changed"
}

policy start "fs:" "  - read: $D/in/sub" "ceiling:" "  fs:" "    - read: $D/in" "    - deny: \"$D/in/*.key\"" \
	"    - read: \"$D/*.txt\"" "    - read: $T/all" "    - deny: $D/private" \
	"  limits: {memory: 256MiB, pids: 16, wall_time: 1h}"
pyi spawn "${p}a" -p start.yml --token-file tok probe.py "$D/in/sub/c.csv" "$D/in/a.csv" "$D/in/x.key" "$D/one.txt" \
	"$D/three.txt" "$D/private/f" "$D/other/f"
exits 0 "spawn" || diag "$err"
ok "the start" wait_for 20 says "${p}a" "r - - - - - -"

# ---- patterns
policy csv "fs: [{read: \"$D/in/*.csv\"}]"
changed "${p}a" csv "- r - - - - -" "a pattern within a directory"
policy one "fs: [{read: \"$D/o*.txt\"}]"
changed "${p}a" one "- - - r - - -" "a pattern within a pattern"
policy two "fs:" "  - read: \"$D/*.tx?\""
refused "${p}a" two "two.yml:4: fs: 'read $D/*.tx?' is outside of the ceiling that the sandbox was started with: it lets read '$D/.txa', which no rule of the ceiling does: the nearest is 'read $D/*.txt' (start.yml:9): narrow it, or spawn it again with a 'ceiling:' that holds it" "a wider pattern"
echo three >"$D/three.txt"
policy three "fs: [{read: \"$D/*.txt\"}]"
changed "${p}a" three "- - - r r - -" "a file that is there since the start matches"
policy file "fs: [{read: $D/three.txt}]"
changed "${p}a" file "- - - - r - -" "by its name, too"

# ---- denies
policy whole "fs:" "  - read: $D/in"
refused "${p}a" whole "whole.yml:4: fs: 'read $D/in' is outside of the ceiling that the sandbox was started with: it lets read '$D/in/.key', which the ceiling denies by 'deny $D/in/*.key' (start.yml:8): add '- deny: $D/in/*.key' to fs, or spawn it again with a 'ceiling:' that holds it" "what it denies"
policy less "fs: [{read: $D/in}, {deny: \"$D/in/*.key\"}]"
changed "${p}a" less "r r - - - - -" "with the deny that is asked for"
policy key "fs: [{read: $D/in/x.key}]"
refused "${p}a" key "which the ceiling denies by" "one of them"

# ---- where links lead
policy link "fs:" "  - read: $D/in/link"
refused "${p}a" link "link.yml:4: fs: 'read $D/in/link' is outside of the ceiling that the sandbox was started with: it lets read '$D/private', which the ceiling denies by 'deny $D/private' (start.yml:11): add '- deny: $D/private' to fs" "a link to what it denies"
policy all "fs:" "  - read: $T/all"
refused "${p}a" all "all.yml:4: fs: 'read $T/all' is outside of the ceiling that the sandbox was started with: it lets read '$D/in/.key', which the ceiling denies by 'deny $D/in/*.key' (start.yml:8): add '- deny: $D/in/*.key' to fs" "a link to what holds that"
policy all "fs: [{read: $T/all}, {deny: $D/private}, {deny: \"$D/in/*.key\"}]"
changed "${p}a" all "r r - r r - r" "with the denies of the real paths"
policy none
changed "${p}a" none "- - - - - - -" "nothing"

# ---- limits
memory=300MiB
policy big
refused "${p}a" big "big.yml:2: limits: 'memory: 300MiB' is outside of the ceiling that the sandbox was started with: the most is 256MiB (start.yml:12): make it 'memory: 256MiB' in limits, or spawn it again" "more memory"
memory=256MiB
policy most
reload "${p}a" most
exits 0 "as much as there may be" || diag "$err"
is "$("$PYISOLATE" stats "${p}a" --json | grep -o '"memory_bytes":268435456')" '"memory_bytes":268435456' "is in force"
printf 'version: 1\nlimits: {wall_time: 10m, memory: 1MiB}\n' >no-pids.yml
refused "${p}a" no-pids "no-pids.yml: limits: no 'pids' is outside of the ceiling that the sandbox was started with: the most is 16 (start.yml:12): add 'pids: 16' to limits" "no limit"
memory=
policy again "ceiling:" "  fs:" "    - read: $D/in" "    - deny: \"$D/in/*.key\"" \
	"    - read: \"$D/*.txt\"" "    - read: $T/all" "    - deny: $D/private" \
	"  limits: {memory: 256MiB, pids: 16, wall_time: 1h}"
reload "${p}a" again
exits 0 "a policy that repeats the ceiling" || diag "$err"
policy other "ceiling:" "  limits: {memory: 256MiB, pids: 16, wall_time: 1h}"
refused "${p}a" other "ceiling: it is another one than that of the start" "one that leaves some of it out"
ok "all is as it was" says "${p}a" "- - - - - - -"
pyi stop "${p}a"

# ---- addresses
if has bpf-cgroup; then
	policy start "ceiling:" "  net:" "    - connect: 127.0.0.0/8:1-100" "    - deny: 127.0.0.9:*"
	pyi spawn "${p}n" -p start.yml --token-file tok -c "
import socket, time
last = None
while True:
    now = []
    for host in '127.0.0.8', '127.0.0.9':
        try:
            with socket.socket() as s: now.append('-' if s.connect_ex((host, 9)) == 1 else 'r')
        except PermissionError: now.append('-')
    if now != last: print(*now, flush=True)
    last = now
    time.sleep(0.01)"
	exits 0 "spawn with a network" || diag "$err"
	ok "the start" wait_for 20 says "${p}n" "- -"
	policy wide "net:" "  - connect: 127.0.0.0/24:9"
	refused "${p}n" wide "wide.yml:4: net: 'connect 127.0.0.0/24:9' is outside of the ceiling that the sandbox was started with: it lets connect to 127.0.0.9:9, which the ceiling denies by 'deny 127.0.0.9:*' (start.yml:6): add '- deny: 127.0.0.9:*' to net" "an address that it denies"
	policy less "net: [{connect: \"127.0.0.0/24:9\"}, {deny: \"127.0.0.9:*\"}]"
	changed "${p}n" less "r -" "with the deny"
	policy port "net:" "  - connect: 127.0.0.8:9-101"
	refused "${p}n" port "it lets connect to 127.0.0.8:101, which no rule of the ceiling does: the nearest is 'connect 127.0.0.0/8:1-100' (start.yml:5)" "a port too many"
	pyi stop "${p}n"
	# A name is held by its name, and looked up at each reload.
	policy start "ceiling:" "  net:" "    - connect: localhost:*" "    - deny: 127.0.0.1:25" "    - deny: \"[::1]:25\""
	pyi spawn "${p}m" -p start.yml --token-file tok -c "$LOOP"
	policy name "net: [{connect: \"localhost:24\"}]"
	reload "${p}m" name
	exits 0 "a name" || diag "$err"
	policy name "net:" "  - connect: localhost:20-30"
	refused "${p}m" name "name.yml:4: net: 'connect localhost:20-30' is outside of the ceiling that the sandbox was started with: it lets connect to " "a port of its addresses that is denied"
	contains "$err" "(an address of localhost), which the ceiling denies by 'deny " "and is explained"
	pyi stop "${p}m"
else
	skip "$why" "addresses of a ceiling"
fi
done_testing
