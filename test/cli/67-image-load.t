#!/bin/sh
# SPDX-License-Identifier: MIT
#
# Builders that are killed at every step, one that hangs, images replaced while guests start, many guests in a row and at
# once. PYI_SOAK_STARTS=10000 for as many in a row (default 300), PYI_SOAK_AT_ONCE (default 200).
. "${0%/*}/lib.sh"
. "${0%/*}/image-lib.sh"

need native # it builds many images, which takes long without a processor of its own
own_images
rows=${PYI_SOAK_STARTS:-300}
at_once=${PYI_SOAK_AT_ONCE:-200}

# ---- killed at every numbered step, then by surprise
if has helper:pyisolate-faults; then
	faulty=$HELPERS/pyisolate-faults
	bad=
	for step in 951 952 960 961 962 963 964 965 966 967 968; do
		"$faulty" image remove -q
		for with in before without; do
			[ $with = without ] || "$faulty" image build -q
			PYISOLATE_FAULT=$step:-9 "$faulty" image build -q 2>/dev/null
			code=$?
			[ $code = 137 ] || [ "$step/$with" = 951/before ] || bad="$bad [$step $with: $code]"
			rm -f r.json
			"$faulty" run -q --result r.json -c 'print(6 * 7)' >got 2>&1 || bad="$bad [$step $with: run $?]"
			[ "$(cat got)" = 42 ] || bad="$bad [$step $with: $(cat got)]"
			[ $with = without ] || [ "$(member r.json image)" = true ] || bad="$bad [$step: the old image is gone]"
			"$faulty" image build -q || bad="$bad [$step $with: build]"
			rm -f r.json
			"$faulty" run -q --result r.json -c pass
			[ "$(member r.json image)/$(find "$I" -name new)" = true/ ] || bad="$bad [$step $with: not mended]"
			"$faulty" image remove -q
		done
	done
	is "$bad" "" "image build, killed at each step"
	bad=
	for step in 961 962 964 965 966 967 968 969; do
		run env PYISOLATE_FAULT=$step:38 "$faulty" run -v -c 'print(6 * 7)'
		case $code/$out in 0/42) ;; *) bad="$bad [$step: $code $out $err]" ;; esac
		run env PYISOLATE_FAULT=$step:-9 "$faulty" run -v -c 'print(6 * 7)'
		# What comes before the fork kills the run itself, when its guest has done its work.
		case $code/$out in [0137]*/42) ;; *) bad="$bad [$step killed: $code $out $err]" ;; esac
		rm -f "$I"/*.failed
		sleep 0.1
		"$faulty" image remove -q
	done
	is "$bad" "" "making one in the background, failed and killed at each step"

	# One that hangs (SIGSTOP) holds nothing of who started it, and keeps no one else waiting.
	"$faulty" image remove -q
	start=$(date +%s)
	run sh -c "cd '$T' && PYISOLATE_FAULT=967:-19 '$faulty' run -c 'print(6 * 7)' 8<'$0' | cat"
	is "$code/$out" 0/42 "a builder that hangs: the run ends, and so does its pipeline"
	ok "at once" test $(($(date +%s) - start)) -lt 20
	hung=
	for p in /proc/[0-9]*; do
		[ "$(readlink "$p/exe" 2>/dev/null)" = "$faulty" ] && [ "$(awk '/^State/ { print $2 }' "$p/status")" = T ] &&
			hung="$hung ${p#/proc/}"
	done
	is "$(echo "$hung" | wc -w)" 1 "the builder is there"
	for p in $hung; do
		is "$(for f in "/proc/$p/fd"/*; do readlink "$f"; done | sort -u | tr '\n' ' ')" \
			"/dev/null $I $I/lock " "with nothing open but its own"
		is "$(readlink "/proc/$p/cwd")" / "in no directory of the invoker's"
		is "$(awk '{ print $19 }' "/proc/$p/stat")" 10 "with low priority"
		isnt "$(awk '{ print $6 }' "/proc/$p/stat")" "$(awk '{ print $6 }' /proc/$$/stat)" "in a session of its own"
	done
	run "$faulty" run -v --result r.json -c 'print(6 * 7)'
	is "$code/$out/$(member r.json image)" 0/42/false "others start normally meanwhile"
	contains "$err" "no image is made: someone else is making an image" "and leave it to it"
	for p in $hung; do kill -9 "$p"; done
	run timeout 60 "$faulty" image build -q
	exits 0 "its lock went with it"
	"$faulty" image remove -q
fi

bad=
for i in 1 2 3 4 5 6 7 8 9 10 11 12; do
	"$PYISOLATE" image build -q 2>/dev/null &
	pid=$!
	sleep "0.0$((i * 7 % 10))"
	kill -9 $pid 2>/dev/null
	wait $pid 2>/dev/null
	start 'print(6 * 7)'
	[ "$code/$out" = 0/42 ] || bad="$bad [$i: $code $out $err]"
done
is "$bad" "" "builders killed by surprise"

rm -f "$I"/*.failed
pyi image build -q
exits 0 "the next one makes it"

# ---- replaced while guests start from it
cat >one.sh <<'END'
got=$("$PYISOLATE" run --result "at-once/$1.json" -c 'import json, random; print(json.dumps({"n": 6 * 7}))' 2>&1)
[ "$got" = '{"n": 42}' ] || echo "$1: $got"
END
mkdir at-once
( while [ ! -e stop ]; do "$PYISOLATE" image build -q; done ) &
builder=$!
seq 50 | xargs -P 50 -n 1 sh one.sh >wrong 2>&1
: >stop
wait $builder
is "$(cat wrong)" "" "an image replaced again and again while 50 guests start"
is "$(grep -l '"image":true' at-once/*.json | wc -l)" 50 "all from one or the other"

# ---- many
pyi image build -q
rm -f at-once/*
seq "$at_once" | xargs -P "$at_once" -n 1 sh one.sh >wrong 2>&1
is "$(head -n 5 wrong)" "" "$at_once at once"
is "$(grep -l '"image":true' at-once/*.json | wc -l)" "$at_once" "all from the image"
cat >rows.sh <<'END'
i=0
while [ $i -lt "$1" ]; do
	i=$((i + 1))
	got=$("$PYISOLATE" run --result r.json -c 'print(6 * 7)' 2>&1) || echo "$i: exit $?"
	[ "$got" = 42 ] || echo "$i: $got"
	case $(cat r.json) in *'"image":true'*) ;; *) echo "$i: not from the image" ;; esac
done
END
run sh rows.sh "$rows"
is "$out" "" "$rows in a row, all from the image"
done_testing
