#!/bin/sh
# SPDX-License-Identifier: MIT
#
# The helpers of the other tests do what they say.
. "${0%/*}/lib.sh"

run sh -c 'echo one; echo two >&2; exit 3'
exits 3 "run keeps the exit code"
is "$out" one "run keeps stdout"
is "$err" two "run keeps stderr"
run cat
is "$out" "" "stdin is empty"
echo text >in
run cat <in
is "$out" text "unless it is redirected"
run printf 'a\000b'
is "$out" ab "NULs are dropped"

isnt a b "isnt"
like "$(printf 'x\nabc')" '^a.c$' "like matches any line"
unlike abc '^b' "unlike"
contains 'a * b' '* b' "contains takes text, not patterns"
lacks 'a b' '*' "lacks takes text, not patterns"
ok "ok runs a command" test 1 = 1
nok "nok wants it to fail" test 1 = 2
ok "wait_for sees what is true" wait_for 1 true
nok "wait_for gives up" wait_for 0 false

cat >t.json <<'END'
{"reason": "memory", "code": -137, "layers": {"landlock": {"state": "on", "why": "ABI \"7\""}},
 "denials": [{"path": "/a/b"}, {"path": "c\\d"}], "none": null, "e": [], "ok": true}
END
is "$(member t.json reason)" memory "member of a string"
is "$(member t.json code)" -137 "member of a number"
is "$(member t.json layers.landlock.why)" 'ABI "7"' "nested member, escapes"
is "$(member t.json denials.1.path)" 'c\d' "array element"
is "$(member t.json layers.landlock)" "state why" "keys of an object"
is "$(member t.json none)" null "null"
is "$(member t.json ok)" true "true"
is "$(member t.json missing)" "" "a missing member is empty"
is "$(member missing.json reason)" "" "so is one of a missing file"

# A test that fails, one that dies, one without done_testing: each must be seen from outside.
for body in 'is a b x; done_testing' 'exit 3' 'pass x; false' 'need no-such-command-at-all; fail x' \
	'skip "no disk" x; done_testing'; do
	mkdir -p sub/cli
	cp "$TESTS/cli/lib.sh" sub/cli/
	printf '. "${0%%/*}/lib.sh"\n%s\n' "$body" >sub/cli/x.t
	run sh sub/cli/x.t
	case $body in
	need*)
		exits 0 "a prerequisite that is missing skips"
		like "$out" '^1..0 # skip there is no no-such' "and says why"
		;;
	skip*) contains "$out" 'ok 1 - x # skip no disk' "a skipped test says why" ;;
	*) isnt "$code" 0 "fails: $body" ;;
	esac
done

is "$(pwd)" "$T" "the working directory is private"
if has root; then
	run as_user id -u
	isnt "$out" 0 "as_user is not root"
	exits 0 "as_user works"
	run as_user id -G
	is "$out" "$(id -g pyitest)" "as_user has no other groups"
	run as_user sh -c 'pwd; echo "$HOME"; env | wc -l; grep CapEff /proc/self/status'
	contains "$out" "$U" "as_user is in the user's directory"
	contains "$out" 0000000000000000 "as_user has no capabilities"
	ok "as_user can write there" as_user sh -c 'echo x >mine && rm mine'
	nok "but not in root's" as_user test -x "$T"
else
	is "$U" "$T" "an ordinary user has one directory"
fi
ok "the binary is there" test -x "$PYISOLATE"
ok "the user can run it" as_user test -x "$PYISOLATE"

done_testing
