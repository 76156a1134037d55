#!/bin/sh
# SPDX-License-Identifier: MIT
#
# run.sh TARGET...: each fuzz target for FUZZ_SECONDS (60) over its corpus, test/fuzz/corpus/NAME for fuzz_NAME. New
# inputs go to a scratch directory and only what breaks a target is kept: test/fuzz/crash-NAME-*, to be mended and then
# moved into the corpus. FUZZ_SEED: the same inputs again; else they are others each time. Prints one line for each
# target and, for one that broke, what it said and the input in base64.
set -u

here=$(cd "$(dirname "$0")" && pwd)
seconds=${FUZZ_SECONDS:-60}
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
# one TARGET: its line.
one() {
	target=$1
	name=${target##*/fuzz_}
	mkdir -p "$scratch/$name" "$here/corpus/$name"
	set -- -max_total_time="$seconds" -timeout=10 -rss_limit_mb=1024 -max_len=8192 -print_final_stats=1 \
		-artifact_prefix="$here/crash-$name-"
	[ -z "${FUZZ_SEED-}" ] || set -- "$@" -seed="$FUZZ_SEED"
	[ ! -e "$here/$name.dict" ] || set -- "$@" -dict="$here/$name.dict"
	if "$target" "$@" "$scratch/$name" "$here/corpus/$name" >"$scratch/$name.log" 2>&1; then
		runs=$(sed -n 's/^stat::number_of_executed_units: *//p' "$scratch/$name.log")
		echo "ok - fuzz_$name: $runs inputs in $seconds s"
	else
		echo "not ok - fuzz_$name"
		grep -v '^#[0-9]' "$scratch/$name.log" | tail -n 40 | sed 's/^/# /'
		base64 "$here/crash-$name-"* | sed 's/^/# /'
		: >"$scratch/failed"
	fi
}

# Two at a time: each is one process.
while [ $# != 0 ]; do
	one "$1" &
	shift
	if [ $# != 0 ]; then
		one "$1" &
		shift
	fi
	wait
done
[ ! -e "$scratch/failed" ]
