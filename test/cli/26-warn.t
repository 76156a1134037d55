#!/bin/sh
# SPDX-License-Identifier: MIT
#
# Rules marked `warn`: in mode dev each use is let through and in the result, with the rule's line, whichever layer saw
# it; in other modes they deny.
. "${0%/*}/lib.sh"
. "$TESTS/cli/named.sh"

# ---- variables: every user has them, on every host
cat >env.yml <<END
version: 1
env:
  - pass: PLAIN
  - warn: ASKED
  - warn: "GROUP_*"
  - set: GIVEN=1
  - warn: GIVEN
  - warn: BOTH
  - deny: BOTH
  - warn: ABSENT
END
cat >env.py <<END
import os
print(*(f"{n}={os.environ.get(n)}" for n in ("PLAIN", "ASKED", "GROUP_A", "GIVEN", "BOTH", "ABSENT", "OTHER")))
END
export PLAIN=p ASKED=secret-value GROUP_A=g BOTH=b OTHER=o
pyi policy check env.yml
exits 0 "warn is a rule of env"
pyi policy show env.yml
contains "$out" '- warn: "ASKED"' "show has it"
pyi run --mode dev --policy env.yml --result r.json env.py
is "$out" "PLAIN=p ASKED=secret-value GROUP_A=g GIVEN=1 BOTH=None ABSENT=None OTHER=None" "mode dev passes what the policy warns of, and not what it denies"
is "$(member r.json counters.warnings)" 3 "each is counted as a warning"
for i in 0 1 2; do
	echo "$(member r.json denials.$i.warning) $(member r.json denials.$i.op) $(member r.json denials.$i.variable) $(member r.json denials.$i.rule) $(member r.json denials.$i.file | sed 's,.*/,,') $(member r.json denials.$i.errno)"
done >seen
is "$(cat seen)" "true env ASKED env: warn ASKED env.yml:4 null
true env GIVEN env: warn GIVEN env.yml:7 null
true env GROUP_A env: warn GROUP_* env.yml:5 null" "and in the result, with its rule and no error"
lacks "$(cat r.json)" secret-value "without its value"
pyi run -v --mode dev --policy env.yml env.py
contains "$err" "warned: env 'GROUP_A' by env: warn GROUP_* (env.yml:5)" "-v names them"
pyi run --mode dev --policy env.yml --dry-run env.py
contains "$out" "env: 'ASKED' is let through by 'warn ASKED' (env.yml:4)" "--dry-run, too"
pyi run --mode compatibility --policy env.yml --result r.json env.py
is "$out" "PLAIN=p ASKED=None GROUP_A=None GIVEN=None BOTH=None ABSENT=None OTHER=None" "in other modes they are denied"
is "$(member r.json counters.warnings)" 0 "and nobody is warned"
private_state
name=warn$$
named "$name"
pyi spawn "$name" --mode dev --policy env.yml env.py
exits 0 "a sandbox with a name" || diag "$err"
pyi wait "$name"
pyi stats "$name" --events
is "$(printf '%s\n' "$out" | sed -n 's/^[^ ]*  WARNED  //p')" "env ASKED  by env: warn ASKED (env.yml:4)
env GIVEN  by env: warn GIVEN (env.yml:7)
env GROUP_A  by env: warn GROUP_* (env.yml:5)" "they are in its events"
pyi stats "$name" --events --json
contains "$out" '"event":"WARNED","number":null,"rule":"env: warn ASKED","file":"env.yml:4","op":"env","variable":"ASKED"' "as JSON, too"
lacks "$out" secret-value "without values"

# ---- files, programs and addresses
need root bpf-cgroup

mkdir data
echo text >data/file
echo other >data/allowed
cat >warn.yml <<END
version: 1
fs:
  - read: $T/data
  - warn: $T/data/file
  - exec: /usr/bin
  - exec: /bin
  - exec: /lib
  - exec: /lib64
exec:
  - warn: /usr/bin/env
net:
  - connect: 127.0.0.1:9
  - warn: 127.0.0.1:10
END
cat >job.py <<END
import socket, subprocess
def attempt(what, call):
    try: print(what, call())
    except OSError as e: print(what, "refused")
attempt("file", lambda: open("$T/data/file").read().strip())
attempt("allowed", lambda: open("$T/data/allowed").read().strip())
attempt("exec", lambda: subprocess.run(["/usr/bin/env", "-i"]).returncode)
for port in 9, 10, 11:
    with socket.socket() as s: print(port, s.connect_ex(("127.0.0.1", port)))
END
pyi run --mode dev --policy warn.yml --result r.json job.py
is "$out" "file text
allowed other
exec 0
9 111
10 111
11 1" "mode dev lets through what the policy warns of"
json_flat r.json | sed -n 's/^denials\.\([0-9]*\)\.warning	true$/\1/p' >numbers
warned=$(while read -r i; do
	echo "$(member r.json "denials.$i.rule") $(member r.json "denials.$i.file" | sed 's,.*/,,') $(member r.json "denials.$i.errno")"
done <numbers | sort -u)
is "$warned" "exec: warn /usr/bin/env warn.yml:10 null
fs: warn $T/data/file warn.yml:4 null
net: warn 127.0.0.1:10 warn.yml:13 null" "each use is in the result, with its rule and no error"
is "$(member r.json counters.warnings)" "$(wc -l <numbers)" "and counted as a warning"
like "$(json_flat r.json | grep '	.*job\.py:5$')" 'at	' "with the line of the program"
pyi run -v --mode dev --policy warn.yml job.py
contains "$err" "warned: connect '127.0.0.1:10' by net: warn 127.0.0.1:10" "-v names them"
contains "$err" "'$T/data/file' by fs: warn $T/data/file" "files among them"

pyi run --mode compatibility --policy warn.yml --result r.json job.py
is "$out" "file refused
allowed other
exec refused
9 111
10 1
11 1" "in other modes they deny"
is "$(member r.json counters.warnings)" 0 "and nobody is warned"

# ---- an ordinary user has no programs that could see it, and is told
as_user sh -c 'mkdir -p d && echo text >d/file && printf "version: 1\nfs:\n  - warn: %s/d\n" "$PWD" >w.yml'
run as_user "$PYISOLATE" run -v --mode dev --policy w.yml -c 'print(open("d/file").read().strip())'
is "$out" text "as an ordinary user it is let through as well"
contains "$err" "is let through without a record of each use" "and -v says that nobody counts"
done_testing
