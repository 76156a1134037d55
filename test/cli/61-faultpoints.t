#!/bin/sh
# SPDX-License-Identifier: MIT
#
# Every numbered fault point (lib/base/fault.h) fails with ENOSYS, EPERM, ENOSPC and EMFILE in turn: the run is refused
# in one line with exit 125, or goes on because what failed was not needed; it never crashes, hangs or runs
# the guest with less than what `hardened` promises, and leaves nothing behind. What nothing else makes up for, and the
# checks that it took effect, is refused each time.
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

# Steps of each start by root: the processes, their descriptors, the tree, what is given up.
must=
if has root; then
	must=" 103 110 111 112 113 116 117 118 119 150 151 152 153 155 200 203 204 205 206 207 208 209 210 211 \
230 232 233 234 238 239 240 241 242 243 244 245 246 247 249 250 251 300 301 302 310 311 312 320 321 322 330 331 340 341 350 "
	! has idmap || must="$must 220 221 222 223 "
	! has landlock || must="$must 601 602 603 "
	is "$(for point in $must; do grep -qx "$point" "$HELPERS/faults.list" || echo "$point"; done)" "" \
		"each point that must be refused is one"
fi

sh "$TESTS/leaks.sh" snapshot before
reached=0 survived=0
while read -r point <&3; do
	bad=
	refused=0
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
			refused=$((refused + 1))
			[ "$(printf '%s\n' "$err" | wc -l)" = 1 ] || bad="$bad [errno $errnum: not one line: $err]"
			case $err in "pyisolate: "?*) ;; *) bad="$bad [errno $errnum: $err]" ;; esac
			[ -z "$out" ] || bad="$bad [errno $errnum: 125 but the guest ran: $out]"
			;;
		*) bad="$bad [errno $errnum: exit code $code: $err]" ;;
		esac
	done
	case $must in
	*" $point "*) [ $refused = 4 ] || bad="$bad [$((4 - refused)) of 4 ran without it]" ;;
	esac
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
