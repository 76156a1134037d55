#!/bin/sh
# SPDX-License-Identifier: MIT
#
# doctor: its answer agrees with what `run` then does, as whoever runs it; what is off says why and what to do.
. "${0%/*}/lib.sh"

pyi doctor
doctor_code=$code
like "$out" "^grade [A-F]: " "a grade"
if [ "$(id -u)" = 0 ]; then
	contains "$out" "asked as root" "it says as whom"
else
	contains "$out" "asked as an ordinary user" "it says as whom"
fi
is "$err" "" "nothing on stderr"
for name in namespaces idmap cgroup bpf-cgroup landlock seccomp bpf-lsm bpf-perf; do
	like "$out" "^(on|off) +$name " "a line for $name"
done
off=$(grep -c '^off' "$OUT")
is "$(grep -c 'without it: ' "$OUT")" "$off" "each feature that is off says what is lost"

pyi doctor --json
is "$code" "$doctor_code" "the same exit code with --json"
cp "$OUT" "$T/doctor.json"
case $doctor_code in 0) want=true ;; *) want=false ;; esac
is "$(member "$T/doctor.json" can_run)" "$want" "can_run agrees with the exit code"

pyi run -c 'print("in a sandbox")'
if [ "$doctor_code" = 0 ]; then
	exits 0 "doctor promises a sandbox, run starts one"
	is "$out" "in a sandbox" "and the guest runs"
	pyi run --dry-run --json -c pass
	is "$(member "$OUT" mode)" "$(member "$T/doctor.json" default_mode)" "the mode by default is the one run takes"
	for layer in namespaces landlock seccomp; do
		state=$(member "$OUT" "layers.$layer.state")
		is "$(member "$T/doctor.json" "features.$layer.on")" "$([ "$state" = on ] && echo true || echo false)" \
			"doctor and the plan agree on $layer"
	done
else
	exits 125 "doctor says that no sandbox can run, and none does"
fi

if [ -x "$HELPERS/denysys" ]; then
	run "$HELPERS/denysys" landlock_create_ruleset=EOPNOTSUPP -- "$PYISOLATE" doctor
	like "$out" "^off +landlock " "Landlock taken away is off"
	contains "$out" "EOPNOTSUPP" "with what the kernel said"
	like "$out" "^grade [CF]: " "and costs the grade"
else
	skip "no denysys helper" "Landlock taken away"
fi

pyi doctor --jsn
exits 2 "an unknown option"
contains "$err" "--jsn" "is named"
pyi doctor now
exits 2 "an operand is refused"
pyi doctor --json --unload
exits 2 "--json --unload make no sense together"
pyi doctor --help
exits 0 "--help"
contains "$out" "--unload" "lists the options"
if [ "$(id -u)" != 0 ]; then
	pyi doctor --unload
	exits 125 "--unload needs root"
	contains "$err" "root" "and says so"
fi
sh -c '"$1" doctor >/dev/full' sh "$PYISOLATE" 2>"$ERR"
is "$?" 125 "a full disk is an error"
contains "$(cat "$ERR")" "No space left" "that is named"

done_testing
