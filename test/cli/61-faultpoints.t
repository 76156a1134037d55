#!/bin/sh
# SPDX-License-Identifier: MIT
#
# Every numbered fault point (lib/base/fault.h) fails with ENOSYS, EPERM, ENOSPC and EMFILE in turn: the run is refused
# in one line with exit 125, or goes on because what failed was not needed; it never crashes, hangs or runs
# the guest with less than what `hardened` promises, and leaves nothing behind.
. "${0%/*}/lib.sh"

need helper:pyisolate-faults
faulty=$HELPERS/pyisolate-faults
[ -s "$HELPERS/faults.list" ] || skip_all "no fault points were built in"

mkdir in out
echo data >in/file
cat >p.yml <<END
version: 1
fs:
  - read: $T/in
  - deny: $T/in/private
  - write: $T/out
$(has root && printf 'net:\n  - connect: 127.0.0.1:9\n  - bind: 127.0.0.1:*\ncontracts: [net.connects <= 3]\n')
limits: {memory: 512MiB, pids: 32, cpu: 100%, cpu_time: 20s, wall_time: 20s, output: 1MiB, tmp: 8MiB, open_files: 64$([ ! -s /sys/devices/system/node/online ] || echo ", numa: 0")}
END
grep -v 'net:\|connect\|bind' p.yml >no-net.yml
has root && mode=hardened || mode=compatibility

# The state that a guest sees when all is well: with a fault it sees this or does not run.
probe='
import os, sys
s = {l.split(":")[0]: l.split(":")[1].strip() for l in open("/proc/self/status")}
print(s.get("NoNewPrivs"), s.get("Seccomp"), s.get("CapEff"), s.get("CapBnd"), os.getuid() != 0,
      os.path.exists("/etc/shadow"), open(sys.argv[1]).read().strip(), sorted(map(int, os.listdir("/proc/self/fd")))[:3])'
run env PYISOLATE_FAULT=0 "$faulty" run --mode "$mode" --policy "$T/p.yml" -c "$probe" "$T/in/file"
exits 0 "without a fault it runs" || :
normal=$out

sh "$TESTS/leaks.sh" snapshot before
reached=0 survived=0
while read -r point <&3; do
	bad=
	policy=p.yml
	case $point in 16?) policy=no-net.yml ;; esac # the network namespace that is lent to those without rules
	for errnum in 38 1 28 24; do
		run timeout -k 5 40 env "PYISOLATE_FAULT=$point:$errnum" "$faulty" run --mode "$mode" --policy "$T/$policy" \
			-c "$probe" "$T/in/file"
		case $code in
		0)
			survived=$((survived + 1))
			[ "$out" = "$normal" ] || bad="$bad [errno $errnum: ran with less: $out]"
			;;
		125)
			reached=$((reached + 1))
			[ "$(printf '%s\n' "$err" | wc -l)" = 1 ] || bad="$bad [errno $errnum: not one line: $err]"
			case $err in "pyisolate: "?*) ;; *) bad="$bad [errno $errnum: $err]" ;; esac
			[ -z "$out" ] || bad="$bad [errno $errnum: 125 but the guest ran: $out]"
			;;
		*) bad="$bad [errno $errnum: exit code $code: $err]" ;;
		esac
	done
	is "$bad" "" "fault point $point"
done 3<"$HELPERS/faults.list"
diag "$reached refusals, $survived runs that did not need what failed"
ok "faults were met" test "$reached" -gt 20
ls -A out >left
is "$(cat left)" "" "no file was left in a granted directory"
if has root; then
	pyi run -c pass
	like "$(sh "$TESTS/leaks.sh" compare before)" '^ok .* no cgroups left' "and no control group"
fi

done_testing
