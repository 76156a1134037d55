#!/bin/sh
# SPDX-License-Identifier: MIT
#
# What a guest leaves in a directory it may write, for something outside to run, follow or load later.
. "${0%/*}/../cli/lib.sh"
. "$TESTS/escape/twin.sh"

for how in open creat openat2 mkdir mknod mknodat chmod fchmod fchmodat fchmodat2 sgid high-bits; do
	rm -rf out in
	mkdir out in
	chmod 0777 in
	outside setuid-bit "$T/out" $how
	if [ "$code" = 0 ]; then pass "set-user-ID by $how: works outside"; else
		skip "this host says $out" "set-user-ID by $how: works outside"
	fi
	inside --allow-write "$T/in" -- setuid-bit "$T/in" $how
	refused "set-user-ID by $how: refused inside" '^refused: (EPERM|EACCES|ENOSYS|EINVAL|mode is [0-7]+)$'
	is "$(find in -perm /6000)" "" "set-user-ID by $how: nothing is left"
done

rm -rf out in
mkdir out in
chmod 0777 in
for attempt in file-capability plant-symlink plant-fifo plant-device plant-socket; do
	twin "$attempt" --outside "$T/out" --inside "$T/in" --guest "--allow-write $T/in" $attempt
done
is "$(find in ! -type d ! -type f)" "" "no symlink, fifo, device or socket is left"
is "$(getfattr -m security -d in/* 2>/dev/null)" "" "nor a file capability"

# In /tmp, which is private, links are as ordinary as anywhere.
run "$PYISOLATE" run -c 'import os; os.symlink("/x", "/tmp/l"); print(os.readlink("/tmp/l"))'
is "$out" /x "a symlink in the private /tmp is no danger"
run "$PYISOLATE" run --allow-write "$T/in" -c '
import os, sys
os.symlink("/etc/passwd", "/tmp/l")
for move in (os.rename, os.link):
    try:
        move("/tmp/l", sys.argv[1] + "/link")
        print("moved")
    except OSError as e:
        print("refused")' "$T/in"
is "$out" "refused
refused" "and it cannot be moved out of it"

# What the guest writes belongs to the invoker and has no more than ordinary rights.
mkdir own
inside --allow-write "$T/own" -- create "$T/own/file"
succeeded "a file in a writable grant"
if [ "$(id -u)" != 0 ] || has idmap; then
	is "$(stat -c %u own/file 2>/dev/null)" "$(id -u)" "belongs to the invoker"
else
	skip "$why" "belongs to the invoker"
fi

# Python must not leave byte code where it only read, nor the tool anything where it ran.
mkdir lib
echo 'x = 1' >lib/planted_module.py
before=$(find "$T/lib" | sort)
run "$PYISOLATE" run --allow-read "$T/lib" -c 'import sys; sys.path.append(sys.argv[1]); import planted_module; print(planted_module.x)' \
	"$T/lib"
is "$out" 1 "a module is imported from a read-only grant"
is "$(find "$T/lib" | sort)" "$before" "no byte code is left beside it"
echo 'print("hello")' >script.py
before=$(ls -A)
run "$PYISOLATE" run script.py
is "$out" hello "a script runs without a grant of its own path"
is "$(ls -A)" "$before" "nothing is left beside it"

done_testing
