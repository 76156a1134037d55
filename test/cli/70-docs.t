#!/bin/sh
# SPDX-License-Identifier: MIT
# shellcheck shell=sh
#
# Every example of the README and of the manual does what it shows, and the manual names the options there are.
. "${0%/*}/lib.sh"
need root python3 native
. "${0%/*}/image-lib.sh"
own_images

top=${TESTS%/*}
for page in "$top/README.md" "$top"/man/*.[1-8]; do
	grep -q '^\$ ' "$page" || continue
	python3 "$TESTS/docs/examples.py" "$PYISOLATE" "$page" >"$T/examples" 2>&1
	sed -n 's/^\(ok\|not ok\) [0-9]* - /\1 /p' "$T/examples" >"$T/results"
	while read -r line; do
		case $line in
		ok\ *) pass "${line#ok }" ;;
		*) fail "${line#not ok }" ;;
		esac
	done <"$T/results"
	grep '^#' "$T/examples"
	[ -s "$T/results" ] || fail "the examples of $page could not be run: $(tail -1 "$T/examples")"
done

# Options: those of --help are those of the page, and the other way round.
for command in run spawn reload stop stats wait logs policy doctor image help; do
	page=$top/man/pyisolate-$command.1
	[ -e "$page" ] || { fail "man page of $command"; continue; }
	"$PYISOLATE" $command --help | grep -oE '^  (-[a-zA-Z], )?( *)?--[a-z-]+' | grep -oE -- '--[a-z-]+' | sort -u >"$T/help"
	# What spawn has of run is described there.
	[ $command != spawn ] || {
		cp "$T/help" "$T/spawn" && grep -xv -e --help "$T/run" | comm -23 "$T/spawn" - >"$T/help"
	}
	[ $command != run ] || cp "$T/help" "$T/run"
	grep -oE '^\.It .*' "$page" | grep -oE 'Fl -[a-z-]+' | sed 's/Fl -/--/' | sort -u >"$T/man"
	is "$(cat "$T/man")" "$(cat "$T/help")" "pyisolate-$command(1) describes the options of --help"
done
done_testing
