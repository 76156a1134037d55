# SPDX-License-Identifier: MIT
# shellcheck shell=sh
#
# For tests of named sandboxes: sourced after lib.sh.
#
#	$short		a time limit in which a guest starts, but not much more
#	private_state	registry and logs in files below $T, for this test alone
#	named PREFIX	sandboxes whose name begins so are stopped at the end of the test
#	state NAME	what `stats` says: sets $state, $reason, $exit, and r.json
#	supervisor NAME	its pid
#	is_gone PID	(whoever inherited it may not have reaped it yet)
#	until_state SECONDS NAME STATE

LOOP='
import time
print("ready", flush=True)
while True: time.sleep(0.05)'

# A short time that is long enough to start in: an emulated machine takes its time.
short=${PYI_VM:+8s}
short=${short:-400ms}

private_state() {
	PYISOLATE_RUN_DIR=$T/state
	export PYISOLATE_RUN_DIR
}

named() {
	at_exit "stop_all '$1'"
}

# Whatever a failed test has left: live ones with this prefix.
stop_all() {
	"$PYISOLATE" stats 2>/dev/null | awk -v p="$1" 'index($1, p) == 1 && $2 ~ /^(init|boot|run|hot|quota)/ { print $1 }' |
		while read -r n; do "$PYISOLATE" stop -q "$n" </dev/null; done
}

state() {
	"$PYISOLATE" stats "$1" --json >"$T/r.json" 2>"$T/r.err" || : >"$T/r.json"
	state=$(member "$T/r.json" state)
	reason=$(member "$T/r.json" reason)
	exit=$(member "$T/r.json" exit_code)
}

is_state() { state "$1"; [ "$state" = "$2" ]; }
until_state() { wait_for "$1" is_state "$2" "$3"; }

supervisor() {
	"$PYISOLATE" stats "$1" --json | grep -o '"pid":[0-9]*' | cut -d: -f2
}

log_has() { "$PYISOLATE" logs "$1" 2>/dev/null | grep -q "$2"; }

is_gone() { ! grep '^State:' "/proc/$1/status" 2>/dev/null | grep -qv 'Z (zombie)'; }
