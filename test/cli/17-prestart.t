#!/bin/sh
# SPDX-License-Identifier: MIT
#
# The supervisor's prepared start (cmd/prestart.h): it happens, each process has its own secrets, addresses and
# arguments, and whatever is unusual starts as programs do.
. "${0%/*}/lib.sh"

# Is `run` started in this way? Then the vdso's clock is not used, which strace sees; else it is.
clock_calls() { strace -f -o trace -e trace=clock_gettime "$@" >/dev/null 2>&1; grep -c 'clock_gettime(CLOCK_MONOTONIC' trace; }
if has strace && strace true >/dev/null 2>&1; then
	ok "run starts prepared" test "$(clock_calls "$PYISOLATE" run --dry-run --timings -c pass)" -gt 0
	is "$(clock_calls env GLIBC_TUNABLES=glibc.malloc.check=0 "$PYISOLATE" run --dry-run --timings -c pass)" 0 \
		"with GLIBC_TUNABLES it starts as programs do"
	is "$(clock_calls env OPENSSL_ia32cap=0 "$PYISOLATE" run --dry-run --timings -c pass)" 0 "with OPENSSL_ia32cap too"
else
	skip "no strace here" "how run starts"
fi

# ---- the same in every way of being started
normal=$("$PYISOLATE" run --dry-run -c pass | grep -v '^guest\|x:')
for how in "env -i" "env GLIBC_TUNABLES=x=y" "setarch -R" "prlimit --data=30000000" "prlimit --stack=262144" "nice -n 5"; do
	if ! $how true 2>/dev/null; then
		skip "'$how' does not work here" "$how: the same plan"
		continue
	fi
	is "$($how "$PYISOLATE" run --dry-run -c pass | grep -v '^guest\|x:' | sed 's/[0-9]\{7,\}/N/g')" \
		"$(printf '%s\n' "$normal" | sed 's/[0-9]\{7,\}/N/g')" "$how: the same plan"
done
run "$PYISOLATE" run --no-such-option
exits 2 "a usage error"
contains "$err" "pyisolate: " "has its line"
run "$PYISOLATE" run --allow-net localhost:80 --dry-run -c pass
if has root; then
	contains "$out" "127.0.0.1" "names are resolved"
fi
run sh -c 'exec "$1" run -c "print(input())" <&-' sh "$PYISOLATE"
exits 1 "with a closed stdin"
n=0
failed=0
while [ $n -lt 200 ]; do
	n=$((n + 1))
	"$PYISOLATE" run --dry-run -c pass >/dev/null || failed=$((failed + 1))
done
is "$failed" 0 "200 starts at random addresses"

# ---- what must differ from process to process, seen in two supervisors
if has root && has python3; then
	for i in 1 2; do
		"$PYISOLATE" run --timeout 30s -c 'import time; print("up", flush=True); time.sleep(20)' >up.$i &
		eval "pid$i=$!"
	done
	wait_for 10 grep -q up up.1
	wait_for 10 grep -q up up.2
	cat >look.py <<'END'
import re, struct, sys
elf = open(sys.argv[1], "rb").read()
shoff, = struct.unpack_from("<Q", elf, 0x28)
size, n, names = struct.unpack_from("<HHH", elf, 0x3A)
sections = [struct.unpack_from("<IIQQQQ", elf, shoff + i * size) for i in range(n)]
head = next(s[4] for s in sections if elf[sections[names][4] + s[0]:].startswith(b".pyi_prestart\0"))
magic, runs, heap, heap_len, relro, relro_len, fs, tid = struct.unpack_from("<IIQQQQQQ", elf, head)
got = []
for pid in sys.argv[2:]:
    mem = open(f"/proc/{pid}/mem", "rb", 0)
    def word(at):
        mem.seek(at)
        return struct.unpack("<Q", mem.read(8))[0]
    maps = open(f"/proc/{pid}/maps").read()
    found = re.search(r"^(\w+)-\w+ .* \[heap\]$", maps, re.M)
    writable = [m for m in re.finditer(r"^(\w+)-(\w+) .w", maps, re.M) if int(m[1], 16) < relro + relro_len and int(m[2], 16) > relro]
    got.append((word(fs + 0x28), word(fs + 0x30), found and found[1], word(tid) & 0xffffffff == int(pid), not writable))
print("prepared" if magic else "no", "canary" if got[0][0] != got[1][0] and got[0][0] and not got[0][0] & 0xff else "",
      "guard" if got[0][1] != got[1][1] and got[0][1] else "", "heap" if got[0][2] and got[0][2] != got[1][2] else "",
      "tid" if got[0][3] and got[1][3] else "", "relro" if got[0][4] and got[1][4] else "")
END
	# shellcheck disable=SC2154 # set by eval
	run python3 look.py "$PYISOLATE" "$pid1" "$pid2"
	is "$out" "prepared canary guard heap tid relro" "canary, pointer guard, heap and thread id are each process's own"
	# The text of supervisor and guest: huge pages, and no reading ahead.
	if grep -q '^VmFlags' /proc/self/smaps && test -d /sys/kernel/mm/transparent_hugepage; then
		guest=$(pgrep -P "$(pgrep -P "$pid1")")
		for pid in "$pid1" "$guest"; do
			is "$(awk '/^[0-9a-f]+-/ { own = $2 == "r-xp" && $6 ~ /^\// } own && /^VmFlags/ { print / hg/ ? "huge" : "no", / rr/ ? "random" : "no" }' \
				"/proc/$pid/smaps" | sort -u)" "huge random" "what is read of the program is read in huge pages"
		done
	else
		skip "no huge pages here" "what is read of the program is read in huge pages"
		skip "no huge pages here" "of the guest, too"
	fi
	# shellcheck disable=SC2154
	kill "$pid1" "$pid2"
	wait
else
	skip "needs root and python3" "what differs from process to process"
fi

# ---- the build's entry is closed
if has bash; then
	# shellcheck disable=SC2016 # bash's own
	run bash -c 'exec -a pyisolate-prepare "$0" out.bin' "$PYISOLATE"
	exits 1 "a prepared program prepares nothing"
	nok "and writes nothing" test -e out.bin
fi

done_testing
