#!/bin/sh
# SPDX-License-Identifier: MIT
#
# Metrics of named sandboxes: the format, and a file that is never half there.
. "${0%/*}/lib.sh"
. "$TESTS/cli/named.sh"
private_state
named ""
promtool=${PYI_PROMETHEUS:+$PYI_PROMETHEUS/promtool}
: "${promtool:=$(command -v promtool)}"

valid() {	# NAME
	if [ -x "$promtool" ]; then
		# It complains of nothing, and says so with its exit code.
		ok "$1" sh -c "'$promtool' check metrics <'$OUT'"
	else
		skip "there is no promtool here" "$1"
	fi
}

pyi stats --prometheus
exits 0 "metrics without a sandbox"
contains "$out" 'pyisolate_sandboxes{state="running"} 0' "zeros are told"
valid "promtool likes them"

printf 'version: 1\nextends: compute-only\n' >'my "own" policy.yml'
pyi spawn live --memory 128MiB --policy './my "own" policy.yml' -c "$LOOP"
exits 0 "a live one" || diag "$err"
pyi spawn over -c 'raise SystemExit(3)'
pyi wait over
pyi stats --prometheus
valid "promtool likes live and ended ones"
contains "$out" 'pyisolate_sandboxes{state="running"} 1' "the live one is counted"
contains "$out" 'pyisolate_sandboxes{state="completed"} 1' "the ended one too"
contains "$out" 'pyisolate_sandbox_exit_code{name="over"} 3' "with its exit code"
contains "$out" 'my \"own\" policy.yml"} 1' "labels are escaped"
like "$out" '^pyisolate_sandbox_cpu_seconds_total\{name="over"\} [0-9]+\.[0-9]{6}$' "CPU in seconds"
if has cgroup; then
	like "$out" '^pyisolate_sandbox_memory_bytes\{name="live"\} [1-9][0-9]+$' "memory of the live one"
	contains "$out" 'pyisolate_sandbox_memory_limit_bytes{name="live"} 134217728' "its limit"
fi
is "$(grep -v '^#' "$OUT" | grep -Evc '^[a-z_]+\{[^ ]*.*\} [0-9.]+$')" 0 "nothing has a timestamp"
is "$(sed -n 's/^# TYPE \([a-z_]*\) counter/\1/p' "$OUT" | grep -vc '_total$')" 0 "counters end in _total"
pyi stats over --prometheus
lacks "$out" '"live"' "of one sandbox only"

# ---- a file
pyi stats --prometheus m.prom
exits 0 "into a file"
is "$out" "" "nothing on stdout"
run cat m.prom
valid "promtool likes the file"
pyi stats --prometheus=eq.prom
ok "--prometheus=FILE" grep -q '^pyisolate_sandboxes' eq.prom
pyi stats --prometheus none/m.prom
exits 125 "a directory that is not there"
pyi stats --prometheus m.prom --json
exits 2 "two formats at once"
echo old >ro.prom
# A reader sees the old file or the new one.
( while [ ! -e stop ]; do "$PYISOLATE" stats --prometheus m.prom; done ) &
writer=$!
bad=
i=0
while [ $i -lt 200 ]; do
	cat m.prom >copy
	tail -n 1 copy | grep -q '^pyisolate_sandbox_exit_code{name="over"} 3$' || bad="$bad $i"
	i=$((i + 1))
done
: >stop
wait "$writer"
is "$bad" "" "200 readers beside a writer: each sees a whole file"
is "$(find . -name 'm.prom?*')" "" "no other file is left"
pyi stop live
done_testing
