#!/bin/sh
# SPDX-License-Identifier: MIT
#
# Images that are damaged, stale, somebody else's or changed under way, places where none can be kept, builders that are
# killed: every run does what it would without an image, and with -v says in a line why there was none.
. "${0%/*}/lib.sh"
. "${0%/*}/image-lib.sh"

need native # it builds many images, which takes long without a processor of its own
own_images
pyi image build
exits 0 "image build"
name=$(cd "$I" && echo *-usual.image)
img=$I/$name
cp "$img" good
size=$(stat -c %s good)

# Nobody mends anything while we look: the builder's lock is ours.
lock() { exec 9>"$I/lock" && flock 9; }
unlock() { exec 9>&-; }
lock

# put FILE: it becomes the image, as a builder would have it.
put() {
	rm -rf "$img"
	cp -- "$1" "$img" && chmod 0600 "$img"
}

# is_refused ERE NAME: the run goes well, not from the image, and says why.
is_refused() {
	start 'import json; print(json.dumps([6 * 7]))'
	is "$code/$out/$image" "0/[42]/false" "$2"
	like "$err" "^pyisolate: no image is used: .*$1" "$2: says so"
}

put good
start 'print(1)'
is "$code/$out/$image" 0/1/true "the untouched image is used"

# ---- cut short
bad=
n=0
for at in 0 1 7 8 9 12 16 24 32 40 52 56 100 104 128 136 144 160 200 256 300 $(seq 320 256 4096) 8191 8192 16383 16384 16385 \
	20480 1048576 $((size - 4096)) $((size - 1)); do
	head -c "$at" good >shorter
	put shorter
	start 'print(6 * 7)'
	n=$((n + 1))
	case $code/$out/$image in 0/42/false) ;; *) bad="$bad [$at: $code $out $image $err]" ;; esac
done
is "$bad" "" "$n lengths too short"
{ cat good && printf x; } >long
put long
is_refused 'bytes long instead of' "a byte too long"
: >empty
put empty
is_refused 'not an image' "an empty file"
head -c "$size" /dev/urandom >random
put random
is_refused 'not an image' "random bytes"

# ---- bits. The tables are as long as the fourth word says (image_format.h).
tables=$(od -An -tu4 -j 12 -N 4 good | tr -d ' ')
ok "there are tables" test "$tables" -gt 300
# flips OFFSET...: every one of them alone is noticed.
flips() {
	for at in "$@"; do
		cp good flipped
		flip flipped "$at" $((at % 8))
		put flipped
		start 'print(6 * 7)'
		n=$((n + 1))
		case $code/$out/$image in 0/42/false) ;; *) bad="$bad [$at: $code $out $image $err]" ;; esac
	done
}
bad=
n=0
# shellcheck disable=SC2046
flips $(seq 0 7 319)
is "$bad" "" "$n bits of the header"
bad=
n=0
# shellcheck disable=SC2046
flips $(awk -v max="$tables" 'BEGIN { srand(); for (i = 0; i < 60; i++) print 320 + int(rand() * (max - 320)) }')
is "$bad" "" "$n bits of the tables"

# Pages are not checked; a guest that dies of them before the user's code gets a second start.
unlock
head -c 16384 good >holed
head -c $((size - 16384 - 4096)) /dev/zero >>holed
tail -c 4096 good >>holed
put holed
start 'print(6 * 7)'
is "$code/$out/$image" 0/42/false "pages of zeros: the guest is started again"
like "$err" '^pyisolate: the image is of no use: .*starting again without' "says so"
nok "and the image is gone" test -e "$img"
printf 'one\ntwo\n' >in
put holed
run sh -c '"$PYISOLATE" run --result start.json -c "import sys; print(sys.stdin.read().split(), sys.argv[1:])" a b <in'
is "$code/$out/$err/$(member start.json image)" "0/['one', 'two'] ['a', 'b']//false" "its input is whole, and without -v nothing is said"
start 'print(1)'
like "$err" 'no image is made: the last attempt, [0-9]+ s ago: ' "it is not made again at once"
rm -f "$I"/*.failed
lock

# ---- another binary, another CPU, another boot
if has helper:pyisolate-faults; then
	mkdir other
	if has root; then
		run unshare -m sh -c "mount -t tmpfs -o mode=700 none '$I' && '$HELPERS/pyisolate-faults' image build -q && cp '$I'/*.image other/"
	else
		run env XDG_CACHE_HOME="$T/other" "$HELPERS/pyisolate-faults" image build -q
		mv other/pyisolate/*.image other/
	fi
	cp other/*.image another
	put another
	is_refused 'made by another build' "an image of another binary under our name"
fi
# The header with one word of it changed, and a checksum that is right again.
cat >forge.py <<'END'
import sys
offset, data = int(sys.argv[1]), bytearray(open("good", "rb").read())
size = int.from_bytes(data[12:16], "little")
data[offset] ^= 1
data[16:24] = bytes(8)
total = 0xcbf29ce484222325
for i in range(0, size, 8):
    total = (total ^ int.from_bytes(data[i:i + 8], "little")) * 0x9e3779b97f4a7c15 % 2**64
    total ^= total >> 29
data[16:24] = total.to_bytes(8, "little")
open("forged", "wb").write(data)
END
forge() {
	run "$PYISOLATE" run --no-image --allow-read good --allow-write forged forge.py "$1"
	put forged
}
forge 8
is_refused 'of format ' "another format"
forge 32
is_refused 'made by another build' "another build-id"
bad=
for word in 0 1 2 3 4 5 6 7 8 9 10 11; do
	forge $((52 + 4 * word))
	start 'print(6 * 7)'
	case $code/$out/$image/$err in 0/42/false/*"made on another CPU"*) ;; *) bad="$bad [$word: $code $out $err]" ;; esac
done
is "$bad" "" "each word that describes the CPU, changed"
put good
start 'print(1)'
is "$image" true "and the right one is used again"
if has root; then
	echo 00000000-1111-2222-3333-444444444444 >boot_id
	cat >booted.sh <<'END'
mount --bind boot_id /proc/sys/kernel/random/boot_id || exit 99
"$PYISOLATE" run -v --result start.json -c 'print(1)'
"$PYISOLATE" image show
"$PYISOLATE" image build -q && "$PYISOLATE" run --result after.json -c 'print(2)'
END
	unlock
	run unshare -m sh booted.sh
	like "$out" '^1$' "after another boot it runs"
	is "$(member start.json image)/$(member after.json image)" false/true "without the image of the boot before, and makes its own"
	contains "$out" "made before the kernel was booted" "which image show names"
	rm -f "$I"/*-00000000-*
	lock
fi
put good
touch -d '1 day ago' "$img"
touch -d '10 seconds' "$img"
is_refused 'comes from the future' "an image from the future"

# ---- owners, modes, links
for mode in 0644 0660 0602 0666 0700 0400 4600; do
	put good
	chmod "$mode" "$img"
	is_refused "has mode $mode, not 0600" "an image of mode $mode"
done
put good
ln "$img" hard 2>/dev/null || ln "$img" "$I/hard"
is_refused 'has 2 links, not 1' "an image with a second name"
rm -f hard "$I/hard"
rm "$img"
ln -s "$T/good" "$img"
is_refused 'is a symbolic link' "a symbolic link to an image"
ok "stays what it was" test -L "$img"
rm "$img"
mkfifo "$img"
is_refused 'is not a file' "a fifo"
rm "$img"
mkdir "$img"
is_refused 'is not a file' "a directory in the image's place"
rmdir "$img"
put good
for mode in 0750 0705 0777 1777; do
	chmod "$mode" "$I"
	is_refused "the directory '.*' has mode $mode" "a directory of mode $mode"
	pyi image build
	exits 125 "where none is made either"
done
chmod 0700 "$I"
if has root; then
	chown 65534 "$img"
	is_refused 'belongs to user 65534' "an image of another user's"
	put good
	chown 65534 "$I"
	is_refused 'the directory .* belongs to user 65534' "a directory of another user's"
	pyi image build
	like "$code/$err" '^125/pyisolate: cannot make an image: the directory .* belongs to user 65534$' "where none is made either"
	chown 0 "$I"
else
	mv "$I" "$I.away"
	ln -s "$I.away" "$I"
	start 'print(1)'
	is "$code/$out/$image" 0/1/false "a symbolic link in the directory's place"
	rm "$I"
	: >"$I"
	start 'print(1)'
	is "$code/$out/$image" 0/1/false "a file in the directory's place"
	like "$err" 'no image is made: cannot ' "where none can be made"
	rm "$I"
	mv "$I.away" "$I"
fi
unlock

# ---- places where none can be kept
if has root; then
	cat >places.sh <<'END'
mount -t tmpfs -o "$1" none /var/cache/pyisolate || exit 99
"$PYISOLATE" run -v --result start.json -c 'print(6 * 7)' 2>err.txt
sleep "$2"
"$PYISOLATE" image build 2>build.txt
echo "$?"
ls -A /var/cache/pyisolate
END
	run unshare -m sh places.sh size=1m,mode=700 0.5
	is "$(printf '%s\n' "$out" | head -n 2 | tr '\n' ' ')" "42 125 " "a full disk: the run goes well, image build says so"
	like "$(cat build.txt)" '^pyisolate: cannot make an image: .*(No space|signal 7)' "and why"
	lacks "$out" "usual.image" "no half image is left"
	lacks "$out" new "nor the beginning of one"
	run unshare -m sh places.sh ro,mode=700 0
	is "$(echo "$out" | tr '\n' ' ')" "42 125 " "a read-only disk"
	like "$(cat err.txt)" 'no image is made: .*Read-only file system' "is named with -v"
	run unshare -m sh places.sh nr_inodes=3,mode=700 0.5
	like "$(echo "$out" | tr '\n' ' ')" '^42 125 ' "no room for another file"
fi
if has user; then
	for where in /dev/null /proc /nonexistent/x relative ""; do
		run env XDG_CACHE_HOME="$where" HOME=/nonexistent "$PYISOLATE" run -v --result start.json -c 'print(6 * 7)'
		is "$code/$out/$(member start.json image)" 0/42/false "XDG_CACHE_HOME='$where'"
		like "$err" '^pyisolate: no image is made: ' "says so with -v"
	done
	mkdir closed
	chmod 0500 closed
	run env XDG_CACHE_HOME="$T/closed" "$PYISOLATE" run -c 'print(6 * 7)'
	is "$code/$out/$err" 0/42/ "a cache that cannot be written"
	run env -u XDG_CACHE_HOME HOME="$T/home" "$PYISOLATE" image build
	exits 125 "a home that is not there is not made"
	mkdir home
	run env -u XDG_CACHE_HOME HOME="$T/home" "$PYISOLATE" image build -q
	is "$code/$(stat -c %a home/.cache/pyisolate)" 0/700 ".cache is made in it"
fi
run sh -c 'ulimit -f 100; "$PYISOLATE" run --result start.json -c "print(6 * 7)"'
is "$code/$out" 0/42 "a limit on the size of files"
run sh -c 'umask 777; "$PYISOLATE" image remove -q; "$PYISOLATE" image build -q; umask 22; "$PYISOLATE" run --result start.json -c "print(1)"'
is "$code/$(member start.json image)" 0/true "a umask that takes all"

done_testing
