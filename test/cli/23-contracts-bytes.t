#!/bin/sh
# SPDX-License-Identifier: MIT
# shellcheck shell=sh
#
# Contracts about bytes of files, as a user meets them: what Python does to read, write and copy is let through up to
# the limit and no further, what is not a file does not count, on_violation ends the guest, and the programs that count
# are there for as long as a sandbox needs them. test/unit/root_contract_bytes.c has every system call.
. "${0%/*}/lib.sh"
. "${0%/*}/named.sh"
need root bpf-lsm

chmod 0711 .
mkdir out in && chmod 0777 out
head -c 3000 /dev/zero >in/data
chmod 0644 in/data

# policy CONTRACT...
policy() {
	printf 'version: 1\non_violation: %s\nfs:\n  - read: %s\n  - write: %s\ncontracts:\n' "${violation:-errno}" "$T/in" "$T/out" >p.yml
	for contract in "$@"; do printf '  - %s\n' "$contract" >>p.yml; done
}
cat >lib.py <<'END'
import errno, mmap, os, shutil, sys
top = sys.argv[1]
def attempt(what, *args):
    try:
        what(*args)
        return "ok"
    except OSError as e:
        return errno.errorcode[e.errno]
def write(name, n):
    with open(top + "/out/" + name, "wb", 0) as f:
        f.write(bytes(n))
def copy(to):
    shutil.copyfile(top + "/in/data", top + "/out/" + to)
def copy_range(to, n):
    with open(top + "/in/data", "rb", 0) as a, open(top + "/out/" + to, "wb", 0) as b:
        os.copy_file_range(a.fileno(), b.fileno(), n)
def share(name):
    with open(top + "/out/" + name, "r+b", 0) as f:
        mmap.mmap(f.fileno(), 100, mmap.MAP_SHARED).close()
def read(n=-1):
    with open(top + "/in/data", "rb") as f:
        return f.read(n)
END
guest() {	# the code is on stdin
	cat lib.py - >guest.py
	pyi run --policy p.yml --timeout 120s --result r.json guest.py "$T"
}
counted() { echo "$(member r.json "counters.fs.bytes_written") $(member r.json counters.contracts_broken)"; }

# --- what is written

policy 'fs.bytes_written <= 10240B'
guest <<'END'
print(attempt(write, "a", 3000), attempt(copy, "b"), attempt(copy_range, "c", 3000), attempt(share, "a"),
      attempt(write, "d", 1241), attempt(write, "d", 1240), attempt(write, "e", 1), attempt(copy, "f"),
      attempt(copy_range, "g", 1))
sys.stdout.write("x" * 20000 + "\n")
END
exits 0 "a guest that takes the refusals goes on"
is "$(printf '%s\n' "$out" | head -n 1)" "ok ok ok EPERM EPERM ok EPERM EPERM EPERM" \
	"written, copied, mapped: to the limit, and not a byte beyond"
is "${#out}" 20042 "what it prints does not count"
is "$(counted)" "10240 5" "the result has what was written"
is "$(for f in b c d f; do wc -c <"out/$f"; done | tr -d ' ' | xargs)" "3000 3000 1240 0" "and so have the files"
is "$(member r.json denials.0.rule) $(member r.json denials.0.file) $(member r.json denials.0.op) $(member r.json denials.0.path)" \
	"contract: fs.bytes_written <= 10KiB p.yml:7 map $T/out/a" "the record of the map names contract and path"
is "$(member r.json denials.1.op) $(member r.json denials.1.path) $(member r.json denials.1.errno)" \
	"write $T/out/d EPERM" "and that of the write"
like "$(member r.json denials.1.at)" "guest.py:[0-9]+$" "and where in the script"
policy 'fs.bytes_written == 0'
"$PYISOLATE" run --policy p.yml --result r.json -c 'print("x" * 20000)' >printed
is "$(wc -c <printed | tr -d ' ') $(counted)" "20001 0 0" "nor where its output is a file"

# --- what is read

policy 'fs.bytes_read <= 1MiB' 'fs.bytes_written <= 1MiB'
guest <<'END'
read()
read(100)
END
exits 0 "a guest that reads"
read_all=$(member r.json counters.fs.bytes_read)
guest <<'END'
END
own=$(member r.json counters.fs.bytes_read)
ok "counts what the file has ($read_all, without it $own)" test "$((read_all - own))" = 6000

policy "fs.bytes_read <= $((own + 7000))B"
guest <<'END'
done = 0
while done < 99 and attempt(read) == "ok":
    done += 1
print(done, attempt(write, "h", 100000))
END
is "${out% *}" 2 "and is denied beyond the limit"
is "${out#* }" ok "what is written is not its matter"
is "$(member r.json denials.0.op) $(member r.json denials.0.path)" "read $T/in/data" "the record says what"

# --- on_violation

violation="kill"
policy 'fs.bytes_written <= 1KiB'
guest <<'END'
print(attempt(write, "k", 1000), flush=True)
write("l", 1000)
while True:
    pass
END
exits 159 "kill: a broken contract ends the guest"
is "$out" "ok" "kill: not before"
is "$(member r.json reason)" policy "kill: the reason"
guest <<'END'
print(attempt(write, "k", 1024))
END
exits 0 "kill: what holds ends nothing"
violation=

# --- how long the programs are there

attached() { find /sys/fs/bpf/pyisolate/v1 -name 'link_bytes_*' 2>/dev/null | wc -l | tr -d ' '; }
# Other tests may have such sandboxes at the same time; they end.
is_detached() { [ "$(attached)" = 0 ]; }
ok "afterwards nothing is attached" wait_for 120 is_detached
policy 'fs.bytes_written <= 1KiB'
cat lib.py - >guest.py <<'END'
import time
while not os.path.exists(top + "/in/go"):
    time.sleep(0.1)
print(attempt(write, sys.argv[2], 1024), attempt(write, sys.argv[2], 1))
END
named bytes
echo "a token of this test" >tok && chmod 600 tok
for n in 1 2 3; do
	run "$PYISOLATE" spawn "bytes$n" --policy p.yml --token-file tok guest.py "$T" "x$n"
	exits 0 "a sandbox that runs beside another, number $n"
done
is "$(attached)" 4 "they use the same programs"
pyi doctor
like "$out" "^bytes of files: counted now, for [0-9]+ sandboxes\$" "doctor tells"
policy 'fs.bytes_written <= 2KiB'
pyi reload bytes2 p.yml --token-file tok
exits 125 "a reload does not bring a contract about files"
contains "$err" "cannot be part of a reload" "and says so"
sed '/^contracts/,$d' p.yml >none.yml
pyi reload bytes3 none.yml --token-file tok
exits 0 "but one may take it away"
kill -KILL "$(supervisor bytes1)"
touch in/go && chmod 0644 in/go
run "$PYISOLATE" wait bytes2
is "$("$PYISOLATE" logs bytes2 | grep -v ^pyisolate:)" "ok EPERM" "the end of one leaves the other its contract"
run "$PYISOLATE" wait bytes3
is "$("$PYISOLATE" logs bytes3)" "ok ok" "without the contract more is written"
pyi stats
pyi run -c pass
ok "and the last one takes the programs along" wait_for 120 is_detached

done_testing
