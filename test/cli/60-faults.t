#!/bin/sh
# SPDX-License-Identifier: MIT
#
# Bad input and hostile surroundings: one clear line, the right code, nothing left behind.
. "${0%/*}/lib.sh"

# refused CODE TEXT NAME: about the last run: the code, one line that contains TEXT, no guest output.
refused() {
	exits "$1" "$3"
	is "$(printf '%s\n' "$err" | grep -c '^pyisolate: ')/$(printf '%s\n' "$err" | wc -l)" 1/1 "$3: one line"
	contains "$err" "$2" "$3: says '$2'"
	lacks "$out" ran "$3: nothing ran"
}

# policy TEXT...: run with this policy file (printf format).
policy() {
	# shellcheck disable=SC2059
	printf "$@" >p.yml
	pyi run --policy "$T/p.yml" -c 'print("ran")'
}

# ---- policies
policy 'version: 1\nfs: [\n'
refused 125 p.yml "YAML cut short"
policy 'version: 1\n\tfs: x\n'
refused 125 p.yml:2 "a tab as indentation"
policy '\377\376\000v\000e\000r\000'
refused 125 p.yml "UTF-16 without sense"
policy 'version: 1\nmemry: 1MiB\n'
refused 125 p.yml:2 "an unknown key"
policy 'version: 1\nlimits: {memry: 1MiB}\n'
refused 125 memory "an unknown limit, with the nearest"
policy 'version: 1\nversion: 1\n'
refused 125 p.yml:2 "a duplicate key"
policy 'version: 2\n'
refused 125 p.yml:1 "another version"
policy 'fs: []\n'
refused 125 version "no version"
policy ''
refused 125 p.yml "an empty file"
policy -- '- 1\n- 2\n'
refused 125 p.yml:1 "a list instead of a mapping"
policy 'version: 1\nfs: &a [{read: /etc/hostname}]\nenv: *a\n'
refused 125 p.yml "an alias"
policy 'version: 1\nlimits: {memory: -1}\n'
refused 125 p.yml:2 "a negative size"
policy 'version: 1\nlimits: {memory: 99999999999999999999TiB}\n'
refused 125 p.yml:2 "a size beyond all"
policy 'version: 1\nlimits: {wall_time: 10}\n'
refused 125 p.yml:2 "a time without a unit"
policy 'version: 1\nextends: no-such-template\n'
refused 125 no-such-template "a parent that is not there"
policy "version: 1\nextends: $T/p.yml\n"
refused 125 p.yml "a policy that extends itself"
policy 'version: 1\nfs: [{read: relative/../../x}, {raed: /etc}]\n'
refused 125 p.yml:2 "a misspelled action"
policy 'version: 1\nfs: [{read: /etc/hostname}, {deny: /etc/hostname}]\n'
refused 125 p.yml:2 "a path both allowed and denied"
policy 'version: 1\nfs: [{read: /no/such/path/at/all}]\n'
refused 125 /no/such/path "a granted path that is not there"
policy 'version: 1\nnet: [{connect: "host:99999"}]\n'
refused 125 p.yml:2 "a port out of range"
policy 'version: 1\nnet: [{connect: "no-such-name.invalid:443"}]\n'
refused 125 no-such-name.invalid "a name that does not resolve"
policy 'version: 1\nfs: [{read: "/\033[31mred"}]\n'
refused 125 p.yml "control characters"
lacks "$err" "$(printf '\033')" "do not reach the terminal"

{
	echo 'version: 1'
	head -c 1100000 /dev/zero | tr '\000' '#'
} >p.yml
pyi run --policy "$T/p.yml" -c 'print("ran")'
refused 125 p.yml "a policy of more than 1 MiB"
head -c 200000 /dev/urandom >p.yml
pyi run --policy "$T/p.yml" -c 'print("ran")'
refused 125 p.yml "a policy of random bytes"
{
	printf 'version: 1\nfs: '
	head -c 100000 /dev/zero | tr '\000' '['
} >p.yml
pyi run --policy "$T/p.yml" -c 'print("ran")'
refused 125 p.yml "a policy of 100,000 open brackets"
{
	echo 'version: 1'
	echo 'env:'
	awk 'BEGIN { for (i = 0; i < 20000; i++) printf "  - set: \"V%d=%d\"\n", i, i }'
} >p.yml
pyi run --policy "$T/p.yml" -c 'import os; print(len(os.environ) >= 20000)'
is "$out" True "20,000 rules are a policy"
pyi run --policy "$T" -c 'print("ran")'
refused 125 "$T" "a directory as policy"
mkfifo fifo.yml
(sleep 0.2 && printf 'version: 1\n' >fifo.yml) 2>/dev/null &
writer=$!
run timeout 20 "$PYISOLATE" run --policy "$T/fifo.yml" -c 'print("ran")'
isnt "$code" 124 "a fifo as policy does not hang for ever"
kill "$writer" 2>/dev/null
: <>fifo.yml
wait
if has root; then
	# It disappears between two looks: replaced all the time while runs read it.
	printf 'version: 1\n' >race.yml
	( while [ -e race.yml ] || [ ! -e stop ]; do
		rm -f race.yml
		[ ! -e stop ] || exit
		printf 'version: 1\n' >race.tmp && mv race.tmp race.yml
	done ) &
	racer=$!
	bad=
	for _ in 1 2 3 4 5 6 7 8 9 10; do
		pyi run --policy "$T/race.yml" -c 'print("ran")'
		case $code/$out in 0/ran | 125/) ;; *) bad="$code $out $err" ;; esac
	done
	: >stop
	kill "$racer" 2>/dev/null
	wait "$racer" 2>/dev/null
	is "$bad" "" "a policy that comes and goes is read whole or refused"
fi

# ---- programs
head -c 104857600 /dev/zero | tr '\000' '#' >big.py
pyi run big.py
refused 125 "larger than" "a script of 100 MB"
rm -f big.py
printf 'print("ran")\000\n' >nul.py
pyi run nul.py
exits 1 "a script with a NUL"
contains "$err" "null byte" "is a SyntaxError as in python3"
printf '# -*- coding: no-such -*-\nprint("ran")\n' >enc.py
pyi run enc.py
exits 1 "an unknown encoding"
contains "$err" "no-such" "is named"
printf 'print("\377")\n' >utf.py
pyi run utf.py
exits 1 "bytes that are not UTF-8"
like "$err" 'SyntaxError.*|utf-8' "are a SyntaxError"
printf '# -*- coding: latin-1 -*-\nprint(ascii("\351"))\n' >lat.py
pyi run lat.py
is "$out" "'\\xe9'" "a declared encoding is respected"
: >empty.py
pyi run empty.py
exits 0 "an empty script"
pyi run "$T"
refused 125 "directory" "a directory as script"
pyi run -c "$(head -c 100000 /dev/zero | tr '\000' '(')"
exits 1 "100,000 open parentheses"
ok "are an error of Python's" grep -Eq 'SyntaxError|MemoryError|too many nested' "$ERR"
pyi run -c 'def f(): f()
f()'
exits 1 "endless recursion"
contains "$err" RecursionError "is a RecursionError"
run sh -c 'ulimit -s unlimited 2>/dev/null; seq 100000 | xargs -s 1900000 -n 100000 "$PYISOLATE" run -c "import sys; print(len(sys.argv))"'
is "$out" 100001 "100,000 arguments"
pyi run -c 'import sys; print(sys.argv[1].encode("utf-8", "surrogateescape"))' "$(printf 'a\377b')"
is "$out" "b'a\\xffb'" "an argument that is not UTF-8"

# ---- surroundings
run sh -c 'ulimit -n 16; "$PYISOLATE" run -c "print(1)"'
like "$code/$out" '^(0/1|125/)$' "16 open files: it runs or says why"
run sh -c 'ulimit -n 6; "$PYISOLATE" run -c "print(1)"'
like "$code/$out" '^(0/1|125/)$' "6 open files: it runs or says why"
run sh -c 'ulimit -v 200000; "$PYISOLATE" run -c "print(1)"'
like "$code/$out" '^(0/1|125/|137/|1/)' "200 MB of address space: it runs or says why"
echo secret >handle
run sh -c 'exec 3<handle 5<>handle 9<handle 40<handle; "$PYISOLATE" run -c "
import os
for f in map(int, os.listdir(\"/proc/self/fd\")):
    try: print(f, os.pread(f, 6, 0))
    except OSError as e: pass"'
lacks "$out" secret "open descriptors of the caller are not handed on"
mkdir gone
run sh -c 'cd gone && rmdir ../gone && "$PYISOLATE" run -c "print(1)"'
is "$out" 1 "a working directory that is gone"
run env -i "$PYISOLATE" run -c 'print(1)'
is "$out" 1 "an empty environment"
run sh -c 'umask 777; "$PYISOLATE" run -c "print(1)"'
is "$out" 1 "umask 777"
run env TMPDIR=/nonexistent HOME=/nonexistent XDG_RUNTIME_DIR=/nonexistent "$PYISOLATE" run -c 'print(1)'
is "$out" 1 "directories that are not there"
if has root; then
	run unshare -m sh -c 'umount -l /proc && "$PYISOLATE" run -c "print(1)"'
	like "$code/$out" '^(0/1|125/)$' "no /proc: it runs or says why"
	mkdir -p jail/proc jail/sys
	cp "$PYISOLATE" jail/
	run chroot jail /pyisolate run -c 'print(1)'
	exits 0 "an empty chroot with nothing but the binary"
	is "$out" 1 "runs Python"
fi
pyi run -c 'import os; os.close(1); os.close(2)'
exits 0 "a guest that closes its output"

done_testing
