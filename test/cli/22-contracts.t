#!/bin/sh
# SPDX-License-Identifier: MIT
#
# Contracts on the command line: what `policy check` and `policy show` say of them, how documents are put together, and
# what a run refuses. That they hold is tested in 23-contracts-run.t.
. "${0%/*}/lib.sh"

cat >good.yml <<'END'
version: 1
extends: compute-only
net:
  - connect: 127.0.0.1:80
contracts:
  - net.connects<=3
  - (net.connects("127.0.0.0/8:80") + 2 * net.binds) <= 10
  - time.elapsed < 90s or net.connects == 0
END
pyi policy check good.yml
exits 0 "good contracts pass"
is "$err" "" "without a complaint"
pyi policy show good.yml
is "$(printf '%s\n' "$out" | sed -n '/^contracts:/,$p')" 'contracts:
  - "net.connects <= 3"  # good.yml:6
  - "net.connects(\"127.0.0.0/8:80\") + 2 * net.binds <= 10"  # good.yml:7
  - "time.elapsed < 90s or net.connects == 0"  # good.yml:8' "show prints them in their normal form, with their origins"
printf '%s\n' "$out" >again.yml
pyi policy show again.yml
like "$out" "^# sha256 $(head -1 again.yml | cut -d' ' -f3)\$" "and what it prints is the same policy again"

printf 'version: 1\nextends: good.yml\ncontracts:\n  - net.sockets <= 9\n  - net.connects <= 3\n' >child.yml
pyi policy show child.yml
is "$(printf '%s\n' "$out" | sed -n 's/^  - "net.\([a-z]*\) .*# /\1 /p')" 'connects good.yml:6
sockets child.yml:4' "a child's follow those of its parent, the same one twice is one"

cat >bad.yml <<'END'
version: 1
contracts:
  - net.conects <= 3
  - "net.connects <= 3 && net.binds == 0"
  - net.connects <= 10MiB
  - net.connects >= 0
  - net.connects(host.example) <= 1
  - proc.forks <= 3
END
pyi policy check bad.yml
exits 125 "bad contracts are 125"
is "$err" "pyisolate: bad.yml:3:5: contract: unknown counter 'net.conects', did you mean 'net.connects'?, at 'net.conects <= 3'
pyisolate: bad.yml:4:24: contract: '&&' is not known here, did you mean 'and'?, at '&& net.binds == 0'
pyisolate: bad.yml:5:18: contract: a count and bytes do not go together, at '<= 10MiB'
pyisolate: bad.yml:6:18: contract: this comparison is always true, at '>= 0'
pyisolate: bad.yml:7:18: contract: 'net.connects(' needs a pattern in quotes, such as net.connects(\"10.0.0.0/8:443\"), at 'host.example) <= 1'
pyisolate: bad.yml:8:5: contract: nothing counts 'proc.forks': 'limits: {pids: ...}' bounds processes and threads, at 'proc.forks <= 3'" \
	"each mistake is told with its line and column"

# --- what nothing can enforce is refused, whatever the mode

for contract in 'fs.opens("/etc/**") == 0' 'exec.count == 0 or net.connects == 0' 'fs.bytes_written <= 10MiB'; do
	if has bpf-lsm; then
		skip "this is counted here" "$contract"
		continue
	fi
	printf 'version: 1\nextends: compute-only\ncontracts:\n  - %s\n' "$contract" >lsm.yml
	pyi policy check lsm.yml
	exits 0 "policy check accepts $contract"
	like "$err" "^pyisolate: lsm.yml:4: .*bpf-lsm" "and notes the layer that counts it"
	modes="hardened compatibility dev"
	# An ordinary user without a group of their own is told first that hardened wants one.
	[ "$(id -u)" = 0 ] || modes="compatibility dev"
	for mode in $modes; do
		pyi run --mode "$mode" --policy lsm.yml -c 'print("ran")'
		exits 125 "run --mode $mode refuses it"
		is "$out" "" "and starts nothing"
		like "$err" "^pyisolate: lsm.yml:4: contract '.*' cannot be enforced: .*the bpf-lsm layer" "with file, line and layer"
	done
done
done_testing
