#!/bin/sh
# SPDX-License-Identifier: MIT
#
# Images of a ready interpreter: when one is made, used, made anew and removed; what a run says of it; that no guest gets
# at it.
. "${0%/*}/lib.sh"
. "${0%/*}/image-lib.sh"

# ---- which start it was, in a run of the suite with images and in one without
case ${PYI_TEST_IMAGES-} in
none) want=false ;;
"") want= ;;
*) want=true ;;
esac
if [ -n "$want" ]; then
	pyi run --result r.json -c pass
	is "$(member r.json image)" "$want" "the suite runs with images: $want"
	if has root && has userns; then
		run as_user "$PYISOLATE" run --result r.json -c pass
		is "$(member "$U/r.json" image)" "$want" "so does the ordinary user"
	fi
fi
own_images

# least OPTION...: the least CPU time of ten guests, in microseconds: a busy machine does not change it.
least() {
	least_us=999999999
	for _ in 1 2 3 4 5 6 7 8 9 10; do
		pyi run --result r.json "$@" -c pass
		least_now=$(member r.json cpu_ms | tr -d . | sed 's/^0*\(.\)/\1/')
		[ "$least_now" -ge "$least_us" ] || least_us=$least_now
	done
}

# ---- making
pyi image show
is "$code/$out" "1/no valid image: the next run makes one, or 'pyisolate image build'" "no image to show"
start 'print(6 * 7)'
is "$code/$out/$image" 0/42/false "the first run starts without"
is "$(printf '%s\n' "$err" | grep -c .)" 2 "and says so with -v"
like "$err" '^pyisolate: no image is used: there is no image .* yet' "why"
contains "$err" "an image for the next runs is being made" "and what is done about it"
ok "an image is made" wait_for 120 has_image
is "$(stat -c '%a %h %u' "$I"/*.image)" "600 1 $(id -u)" "for its owner alone"
is "$(stat -c '%a %u' "$I")" "700 $(id -u)" "in a directory of its owner's alone"
start 'print(6 * 7)'
is "$code/$out/$image/$err" 0/42/true/ "the second run starts from it and has nothing to say"
run sh -c '"$PYISOLATE" run --result r.json -c "print(1)"'
is "$code/$out/$err" 0/1/ "nor without -v"
least
with=$least_us
least --no-image
diag "a guest takes $with us of CPU time with an image, $least_us us without"
ok "a guest takes less than three quarters of the CPU time" test $((4 * with)) -lt $((3 * least_us))
pyi image show
exits 0 "a valid image is shown"
like "$out" 'MiB, age +[0-9]+s, Python 3\.[0-9]+\.[0-9]+: valid$' "with size, age and Python"
pyi doctor
like "$out" '^image: valid, ' "doctor says it in a line"
pyi doctor --json
json_flat "$OUT" >flat
like "$(grep '^image' flat)" 'valid' "and as JSON"

# ---- not making
pyi image remove
is "$code/$err" "0/pyisolate: 1 image removed" "it is removed"
nok "and the directory with it" test -e "$I/lock"
start 'print(1)' --no-image
is "$code/$out/$image/$err" 0/1/false/ "--no-image starts without"
sleep 0.3
nok "and makes none" has_image
pyi run -v -- /bin/true
sleep 0.3
nok "a host program needs none" has_image
pyi run --dry-run -c pass
sleep 0.3
nok "nor does --dry-run" has_image
pyi run -v --memory 1KiB -c pass
sleep 0.3
nok "nor a run that came to nothing" has_image
run env PYTHONHASHSEED=1 "$PYISOLATE" run -c pass
wait_for 120 has_image

# ---- what cannot come from an image
run "$PYISOLATE" run -v --result r.json --env PYTHONHASHSEED=1 -c 'print(hash("abc"))'
first=$out
is "$code/$(member r.json image)" 0/false "a fixed hash seed starts normally"
like "$err" '^pyisolate: the image was not used: ' "and says so with -v"
run "$PYISOLATE" run --no-image --env PYTHONHASHSEED=1 -c 'print(hash("abc"))'
is "$out" "$first" "it is the seed's hash"
run "$PYISOLATE" run --result r.json --env PYTHONUNBUFFERED=1 -c 'import sys; print(sys.stdout.write_through)'
is "$out" True "unbuffered output is respected"

# ---- the guest and the image
probe='import os
print(sorted(os.listdir("/proc/self/fd")), [l for l in open("/proc/self/maps") if "pyisolate/" in l and "w" in l.split()[1] and "s" in l.split()[1]])'
start "$probe"
with=$out
start "$probe" --no-image
is "$with" "$out" "the guest of an image has the descriptors of any guest, and shares no writable page"
if has userns || has root; then
	parent=${I%/*}
	before=$(cat "$I"/*.image | sha256sum)
	cat >plant.py <<END
import os
for name in ("$I", "$I/x.image", *["$I/" + n for n in os.environ["NAMES"].split()]):
    try:
        fd = os.open(name, os.O_WRONLY | os.O_CREAT, 0o600)
        print("opened", name)
    except OSError as e:
        pass
for f in (lambda: os.rename("$I", "$I.x"), lambda: os.rmdir("$I"), lambda: os.mkdir("$I/d"), lambda: os.link("$I/lock", "$I.l")):
    try:
        f()
        print("done")
    except OSError as e:
        pass
open("$parent/harmless", "w").close()
END
	pyi run --allow-write "$parent" --env NAMES="$(cd "$I" && echo *)" plant.py
	is "$code/$out" 0/ "a guest that may write around it cannot write to an image"
	is "$(cat "$I"/*.image | sha256sum)" "$before" "which is as it was"
	ok "but it can write beside it" test -e "$parent/harmless"
	rm -f "$parent/harmless"
	rm -rf "${I:?}"/* && rmdir "$I" 2>/dev/null
	pyi run --no-image --allow-write "$parent" --env NAMES= plant.py
	is "$code/$out" 0/ "nor into its place before there is one"
	rm -f "$parent/harmless"
fi

# ---- by hand
pyi image build
exits 0 "image build"
like "$err" "^pyisolate: made '$I/.*-usual.image' in [0-9]+ ms$" "says what it made"

# ---- age
old() { touch -d "$1" "$I"/*-usual.image; }
old '2 days ago'
start 'print(1)' --image-age any
is "$out/$image/$err" 1/true/ "an image of two days may be used with --image-age any"
start 'print(1)' --image-age 3d
is "$out/$image" 1/true "or 3d"
pyi image show
contains "$out" "not used: it is older than 1d" "image show calls it too old"
start 'print(1)'
is "$out/$image" 1/false "but not by default"
contains "$err" "is older than 1d" "and -v says why"
young() { [ -n "$(find "$I" -name '*-usual.image' -mmin -5)" ]; }
ok "it is made anew" wait_for 120 young
old '10 seconds ago'
start 'print(1)' --image-age 1s
is "$out/$image" 1/false "--image-age 1s"
for bad in 0 x -1s 10; do
	pyi run --image-age "$bad" -c 'print("ran")'
	is "$code/$out" 2/ "--image-age $bad is refused"
done

# ---- before the gate is open "/.." leads to the host: no path is looked up, whatever the environment says. (The C
# library's start looks into /proc for two names of its own.)
printf 'version: 1\nenv: [{set: "TZ=:/../etc/localtime"}]\n' >tz.yml
before_gate() {
	strace -f -o trace -e trace=%file,execveat,read "$PYISOLATE" run --policy tz.yml "$@" -c 'print("ran")' >/dev/null 2>&1
	awk '/execveat/ && !/resumed/ { guest = $1 } guest && $1 == guest && !/execveat|"\/proc\// { print /read\(8,/ ? "gate" : /"/ ? "path" : "read" }' trace | uniq | tr '\n' ' '
}
if has strace && has root && strace true >/dev/null 2>&1; then
	start 'print(1)'
	like "$(before_gate)" "^gate path " "a guest from an image looks up paths when the gate is open"
	like "$(before_gate --no-image)" "^gate path " "one that starts normally, too"
else
	skip "needs root and strace" "a guest from an image looks up paths when the gate is open"
	skip "needs root and strace" "one that starts normally, too"
fi

# ---- usage
pyi image
exits 2 "image needs a subcommand"
pyi image biuld
like "$err" "did you mean 'build'" "near misses are named"
pyi image show extra
exits 2 "one operand"
pyi image show --preload json
exits 2 "--preload goes with build"

done_testing
