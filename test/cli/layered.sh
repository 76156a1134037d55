#!/bin/sh
# SPDX-License-Identifier: MIT
#
# layered.sh "MODE [OPTION...]" [PREFIX...] --run [OPTION...]: for 50-layers.t, run `PREFIX pyisolate run --mode MODE
# OPTION...` with a guest that prints "ran", the result in r.json.
mode=$1
shift
n=$#
before=1
while [ "$n" -gt 0 ]; do
	if [ "$before" = 1 ] && [ "$1" = --run ]; then
		before=0
		# shellcheck disable=SC2086 # MODE may hold options
		set -- "$@" "$PYISOLATE" run --result r.json --mode $mode
	else
		set -- "$@" "$1"
	fi
	shift
	n=$((n - 1))
done
exec "$@" -c 'print("ran")'
