#!/bin/sh
# SPDX-License-Identifier: MIT
#
# The result record: one JSON object for each way a run can end, and how it gets where it should.
. "${0%/*}/lib.sh"

# ends REASON CODE SIGNAL NAME ARG...
ends() {
	reason=$1 want=$2 signal=$3 name=$4
	shift 4
	rm -f r.json
	pyi run --result r.json "$@"
	is "$(member r.json reason)" "$reason" "$name: reason"
	is "$(member r.json exit_code)" "$want" "$name: exit_code"
	is "$(member r.json signal)" "$signal" "$name: signal"
	is "$code" "$want" "$name: the command's own exit code"
}

ends exited 0 null "success" -c pass
for key in reason exit_code signal name generation policy wall_ms cpu_ms memory_peak_bytes counters denials layers; do
	contains " $(member r.json '') $(json_flat r.json | cut -f2 | tr '\n' ' ')" " $key " "the record has $key"
done
like "$(member r.json policy)" '^[0-9a-f]{64}$' "the policy's digest is 64 hex digits"
like "$(member r.json wall_ms)" '^[0-9]+(\.[0-9]+)?$' "wall_ms is a number"
is "$(member r.json generation)" 1 "generation 1"
for layer in namespaces landlock seccomp process cgroup bpf-cgroup bpf-lsm; do
	like "$(member r.json "layers.$layer.state")" '^(on|off|unused)$' "layer $layer is on, off or unused"
done
is "$(wc -l <r.json)" 1 "it is one line"

ends exited 3 null "an exit code" -c 'import sys; sys.exit(3)'
ends exception 1 null "an uncaught exception" -c '1/0'
ends signal 134 6 "a signal" -c 'import os; os.abort()'
ends signal 137 9 "a SIGKILL of itself is not a memory kill" -c 'import os; os.kill(os.getpid(), 9)'
ends wall_time 124 null "wall time" --timeout 300ms -c 'import time; time.sleep(30)'
ends setup 125 null "no such script" "$T/none.py"
contains "$(member r.json error)" none.py "the error is in the record"
ends setup 125 null "no such policy" --policy "$T/none.yml" -c pass
ends setup 127 null "no such command" -- /no/such/command

cat >kill.yml <<'END'
version: 1
on_violation: kill
END
ends policy 159 31 "a forbidden system call with on_violation: kill" --policy "$T/kill.yml" -c '
import os
os.unshare(os.CLONE_NEWUSER)'

printf 'version: 1\non_violation: panic\n' >panic.yml
ends panic 159 31 "a forbidden system call with on_violation: panic" --policy "$T/panic.yml" -c '
import os
os.unshare(os.CLONE_NEWUSER)'

# ---- denials
echo secret >secret.txt
pyi run --result r.json -c "
try: open('$T/secret.txt')
except OSError as e: print(type(e).__name__)"
is "$out" FileNotFoundError "a path that is not granted is not there"
is "$(member r.json denials.0.path)" "$T/secret.txt" "the denial has the path"
is "$(member r.json denials.0.rule)" "fs: default" "and the rule"
like "$(member r.json denials.0.errno)" '^E[A-Z]+$' "and the errno's name"
like "$(member r.json denials.0.at)" ':2$' "and the line"
is "$(member r.json denials_total)" 1 "it is counted"
cat >p.yml <<END
version: 1
fs:
  - read: $T
  - deny: $T/secret.txt
END
pyi run -v --policy "$T/p.yml" --result r.json -c "
try: open('$T/secret.txt')
except PermissionError as e: print(e.filename)"
is "$out" "$T/secret.txt" "a denied path raises PermissionError with the path"
is "$(member r.json denials.0.rule)" "fs: deny $T/secret.txt" "the rule that decided"
like "$(member r.json denials.0.file)" '/p\.yml:4$' "with its file and line"
contains "$err" "p.yml:4" "-v names the rule on stderr"
pyi run --policy "$T/p.yml" -c "
try: open('$T/secret.txt')
except PermissionError: pass"
is "$err" "" "without -v nothing is said"
pyi run --result r.json -c '
for path in ("/proc/meminfo", "/proc/sys/kernel/hostname", "/dev/kmsg"):
    try: open(path)
    except OSError: print("no")'
is "$out" "no
no
no" "files of the host in /proc and /dev are not there"
is "$(member r.json denials_total)" 0 "the sandbox has its own: no rule denied them"
mkdir many
(cd many && seq 150 | xargs touch)
pyi run --result r.json -c "
for i in range(1, 151):
    try: open(f'$T/many/{i}')
    except OSError: pass"
is "$(member r.json denials.99.path)" "$T/many/100" "the first 100 denials are kept"
is "$(member r.json denials.100.path)" "" "and no more"
is "$(member r.json denials_total)" 150 "the total goes on"

# ---- where it goes
run sh -c '"$PYISOLATE" run --result-fd 5 -c "print(1)" 5>fd.json'
is "$(member fd.json reason)" exited "--result-fd writes to a descriptor"
run sh -c '"$PYISOLATE" run --result-fd 5 -c "import os
for i in range(3, 64):
    try: os.write(i, b\"forged\"); print(\"wrote\", i)
    except OSError: pass" 5>fd.json'
is "$(member fd.json reason)" exited "the guest does not hold that descriptor"
unlike "$(cat fd.json)" forged "and cannot write there"
echo old >keep.json
chmod 0600 keep.json
pyi run --result keep.json -c pass
is "$(member keep.json reason)" exited "an existing file is replaced"
mkdir d
ln -s target.json link.json
echo '{"longer than": "the record", "pad": "'"$(head -c 2000 /dev/zero | tr '\000' x)"'"}' >target.json
pyi run --result link.json -c pass
is "$(readlink link.json)/$(member target.json reason)" target.json/exited "a symbolic link stays one, its target gets the record"
# /dev/stdout of a tree of its own: a mistake here must not take the host's away.
ln -s /proc/self/fd/1 stdout
run sh -c '"$PYISOLATE" run --result stdout -c "print(1)" >both.txt; readlink stdout'
is "$out/$(head -1 both.txt)/$(tail -1 both.txt | cut -c 1-19)" '/proc/self/fd/1/1/{"reason":"exited",' "--result /dev/stdout comes after the output"
mkfifo pipe.json
(timeout 10 cat pipe.json >piped.json) &
pyi run --result pipe.json -c pass
wait
is "$(member piped.json reason)" exited "a fifo gets the record"
pyi run --result d/none/r.json -c pass
exits 125 "a directory that is not there"
like "$err" '^pyisolate: .*d/none/r.json' "is said in one line"
is "$(ls -A d)" "" "and nothing is left beside it"
if [ -e /dev/full ]; then
	run sh -c '"$PYISOLATE" run --result-fd 5 -c pass 5>/dev/full'
	exits 125 "a full disk is a failure"
	like "$err" 'No space left' "and said"
fi
if has root; then
	mkdir full
	run unshare -m sh -c 'mount -t tmpfs -o size=64k none full && head -c 100000 /dev/zero >full/fill 2>/dev/null
		echo old >full/r.json 2>/dev/null
		"$PYISOLATE" run --result full/r.json -c "print(1)"; c=$?; ls -A full; exit $c'
	exits 125 "a full disk for --result"
	unlike "$out" '\.tmp|r\.json\..' "leaves no temporary file"
	contains "$err" "No space left" "and is said"
fi
pyi run --result r.json --output 1MiB -c 'print("x" * 1000)'
is "$(member r.json output_bytes)" 1001 "output bytes are counted where they are limited"

done_testing
