#!/bin/sh
# SPDX-License-Identifier: MIT
#
# Someone swaps what a grant names while sandboxes start: the leaf for a symlink to a secret, the parent for a symlink
# to another directory, a symlink's target. Whatever the guest then sees, it is never the secret's content.
. "${0%/*}/../cli/lib.sh"
. "$TESTS/escape/twin.sh"

rounds=${PYI_RACE_ROUNDS:-60}
mkdir secret
echo "the SECRET text" >secret/file

# swapper A B: exchanges two names as fast as it can, until killed; atomically, so that there is always one.
cat >swap.py <<'END'
import ctypes, os, sys, time
libc = ctypes.CDLL(None, use_errno=True)
a, b = (os.fsencode(p) for p in sys.argv[1:3])
end = time.monotonic() + 120
while time.monotonic() < end and os.getppid() != 1:
    for _ in range(200):
        libc.renameat2(-100, a, -100, b, 2)
    time.sleep(0)
END
swapping() {	# A B: in the background
	"$python" -I swap.py "$1" "$2" &
	swapper=$!
}
stop() {
	kill $swapper
	wait $swapper 2>/dev/null
}

# attempt WHAT PATH GRANT: PATH is read both ways while the swapper runs.
attempt() {
	seen=0
	for _ in $(seq 400); do
		case $(cat "$2" 2>/dev/null) in *SECRET*) seen=$((seen + 1)) ;; esac
		[ $seen -lt 3 ] || break
	done
	if [ $seen -gt 0 ]; then pass "$1: a plain reader sees the secret"; else
		skip "the swap never met a reader here" "$1: a plain reader sees the secret"
	fi
	seen=0
	public=0
	n=0
	while [ $n -lt "$rounds" ]; do
		n=$((n + 1))
		# The outcome may be a refusal at the start (125), a FileNotFoundError, or the public text.
		got=$("$PYISOLATE" run --allow-read "$3" -c 'import sys
for _ in range(50):
    try:
        print(open(sys.argv[1]).read())
    except OSError:
        pass' "$2" 2>&1)
		case $got in *SECRET*) seen=$((seen + 1)) ;; *public*) public=$((public + 1)) ;; esac
	done
	stop
	is $seen 0 "$1: no sandbox of $rounds saw the secret ($public saw the public text)"
}

# The secret's own directory must be readable by the guest as far as modes go, or the modes would do the work.
chmod a+rx . secret

mkdir leaf
echo "the public text" >leaf/file
ln -s "$T/secret/file" leaf/other
swapping leaf/file leaf/other
attempt "a leaf swapped for a symlink, its directory granted" "$T/leaf/file" "$T/leaf"

mkdir -p parent/dir
echo "the public text" >parent/dir/file
ln -s "$T/secret" parent/other
swapping parent/dir parent/other
attempt "a parent swapped for a symlink, its directory granted" "$T/parent/dir/file" "$T/parent"

# The granted path itself, in a directory of another user, who swaps it for a symlink to what only the invoker may read.
if has root; then
	chmod 0711 "${T%/*}" "$T"
	chmod 0755 secret
	chmod 0600 secret/file
	as_user mkdir "$U/leaf" "$U/parent" "$U/parent/dir"
	as_user sh -c 'echo "the public text" >leaf/file; ln -s "$1" leaf/other
		echo "the public text" >parent/dir/file; ln -s "$2" parent/other' sh "$T/secret/file" "$T/secret"
	chmod 0711 "$U"
	swapping() {
		as_user "$python" -I -c "$(cat swap.py)" "$1" "$2" &
		swapper=$!
	}
	swapping "$U/leaf/file" "$U/leaf/other"
	attempt "a granted file that its owner swaps for a symlink" "$U/leaf/file" "$U/leaf/file"
	swapping "$U/parent/dir" "$U/parent/other"
	attempt "the directory of a granted file that its owner swaps" "$U/parent/dir/file" "$U/parent/dir/file"
	swapping() {
		"$python" -I swap.py "$1" "$2" &
		swapper=$!
	}
else
	skip "$why" "a granted path that another user swaps"
fi

# A rename inside a writable grant by the guest itself, against the supervisor's own walk of the next start.
mkdir -p mine/dir
echo "the public text" >mine/dir/file
"$PYISOLATE" run --timeout 60s --allow-write "$T/mine" -c '
import os, time
end = time.monotonic() + 8
while time.monotonic() < end:
    os.rename("'"$T"'/mine/dir", "'"$T"'/mine/away")
    os.rename("'"$T"'/mine/away", "'"$T"'/mine/dir")' >/dev/null 2>&1 &
renamer=$!
n=0
bad=
while [ $n -lt 15 ]; do
	n=$((n + 1))
	run "$PYISOLATE" run --allow-read "$T/mine/dir" -c 'import sys; print(open(sys.argv[1]).read())' \
		"$T/mine/dir/file"
	case $code:$out in
	0:*public*) ;;
	1:*) ;;
	125:*) ;;
	*) bad="$bad $code" ;;
	esac
done
kill $renamer 2>/dev/null
wait $renamer 2>/dev/null
is "$bad" "" "a directory renamed by another guest: each start ends with the file, an error of Python's or 125"

# A path swapped between two directories: the grant is what stood there at one moment, all of it.
mkdir one two
echo "one public" >one/file
echo "one public" >one/name
echo "two public" >two/file
echo "two public" >two/name
swapping one two
n=0
mixed=0
while [ $n -lt 20 ]; do
	n=$((n + 1))
	got=$("$PYISOLATE" run --allow-read "$T/one" -c 'import sys
p = sys.argv[1]
print(len({open(p + f).read() for f in ("/file", "/name") for _ in range(20)}))' "$T/one" 2>/dev/null)
	[ "${got:-1}" = 1 ] || mixed=$((mixed + 1))
done
stop
is $mixed 0 "a granted directory that is exchanged stays the one that was granted"

done_testing
