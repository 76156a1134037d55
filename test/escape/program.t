#!/bin/sh
# SPDX-License-Identifier: MIT
#
# The attempts of test/helper/attack.c: a static C program, run by `--` inside and by itself outside.
. "${0%/*}/../cli/lib.sh"
need helper:attack

cp "$HELPERS/attack" "$T/attack"
chmod 0755 "$T/attack" && chmod 0711 "$T"
names=$("$T/attack" --list | awk '{ print $1 }')
isnt "$names" "" "there are attempts"

# Outside, each in namespaces of its own, so that what succeeds changes nothing here.
outside() {
	if [ "$(id -u)" = 0 ]; then
		run timeout 30 unshare --mount --uts --ipc --propagation private "$T/attack" "$1"
	else
		run timeout 30 "$T/attack" "$1"
		if [ "$code" = 1 ] && has userns; then
			run timeout 30 unshare --user --map-root-user --mount --uts --ipc --net "$T/attack" "$1"
		fi
	fi
}

for name in $names; do
	outside "$name"
	if [ "$code" = 0 ]; then pass "$name: works outside"; else
		skip "this host itself: $(printf '%s %s' "$out" "$err" | tail -n 1), exit $code" "$name: works outside"
	fi
	run "$PYISOLATE" run --timeout 30s --allow-read "$T/attack" --allow-run "$T/attack" -- "$T/attack" "$name"
	case $code in
	1 | 159) pass "$name: refused inside ($out)" ;;
	*)
		fail "$name: refused inside"
		diag "exit code $code: $out"
		diag "$(printf '%s\n' "$err" | tail -n 5)"
		;;
	esac
done

done_testing
