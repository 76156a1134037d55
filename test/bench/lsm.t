#!/bin/sh
# SPDX-License-Identifier: MIT
#
# What the LSM programs cost, for bench.py, in the virtual machine: open and close of a granted file with policies of few
# and of many rules, the same outside, one file over and over and 4096 in turn; and others' calls and whole commands with
# the programs attached and not; a read and a write of one byte with a contract that counts bytes, inside and beside it,
# and without one. Each line "# bench NAME: NS ns" is the least of several rounds, taken in turn. The machine's clock
# counts instructions (PYI_VM_ICOUNT), so that what else its host does does not show.
. "${0%/*}/../cli/lib.sh"
need root bpf-lsm helper:loops

rounds=${PYI_BENCH_LSM_ROUNDS:-2}
cp "$HELPERS/loops" loops
chmod 0755 loops && chmod 0711 .
mkdir d && chmod 0755 d
i=0
while [ $i -lt 4096 ]; do
	echo x >d/f$i
	i=$((i + 1))
done
for n in 0 10 1000 10000; do
	printf 'version: 1\nfs:\n  - read: %s\n' "$T/d" >$n.yml
	awk -v n=$n -v d="$T/d" 'BEGIN { for (i = 0; i < n; i++) printf "  - deny: %s/p%05d*\n", d, i }' >>$n.yml
done

# least NAME COMMAND...: into the file of that name, if it is less.
mkdir least
least() {
	name=$1
	shift
	run "$@"
	if [ "$code" != 0 ]; then
		fail "$name: it runs"
		diag "$err"
		return
	fi
	echo "${out%% *}" >>"least/$name"
}
in_box() {
	n=$1
	shift
	"$PYISOLATE" run --policy "$n.yml" --allow-read "$T/loops" --allow-run "$T/loops" -- "$T/loops" "$@"
}
at_exit "'$PYISOLATE' doctor --unload >&2"
"$PYISOLATE" run -c pass
round=0
while [ $round -lt "$rounds" ]; do
	for n in 0 10 1000 10000; do
		least "open, $n rules" in_box $n open "$T/d/f7" 3 500
		least "cold, $n rules" in_box $n cold "$T/d" 2 4096
	done
	least "open, outside" ./loops open "$T/d/f7" 3 500
	least "cold, outside" ./loops cold "$T/d" 2 4096
	round=$((round + 1))
done
# What a whole command takes, of those that start others, read files and load modules. After one that warms the caches.
cat >work.sh <<'X'
case $1 in
true) i=0; while [ $i -lt 100 ]; do /bin/true; i=$((i + 1)); done ;;
tar) cd /usr/lib/python3* && tar -cf - . | cat >/dev/null ;;
import) python3 -c 'import argparse, asyncio, decimal, email, json, logging, pathlib, subprocess' ;;
esac
X
commands="100 times /bin/true|tar of python3's library|python3 with 8 imports"
whole() {
	run "$HELPERS/bench" 3 sh work.sh true :: sh work.sh tar :: sh work.sh import
	if [ "$code" != 0 ]; then
		fail "whole commands run"
		diag "$err"
		return
	fi
	n=0
	while read -r microseconds _; do
		n=$((n + 1))
		awk -v us="$microseconds" 'BEGIN { printf "%.0f\n", us * 1000 }' >>"least/$(echo "$commands" | cut -d'|' -f$n), $1"
	done <<X
$out
X
}
round=0
while [ $round -lt "$rounds" ]; do
	for state in attached not; do
		if [ $state = not ]; then run "$PYISOLATE" doctor --unload; else run "$PYISOLATE" run -c pass; fi
		[ "$code" = 0 ] || diag "$err"
		least "open, $state" ./loops open "$T/d/f7" 3 500
		least "udp, $state" ./loops udp 9 3 500
		least "exec, $state" ./loops exec "$HELPERS/true" 3 20
		whole "$state"
	done
	round=$((round + 1))
done

# Bytes: inside a sandbox with such a contract and in one without; beside it, and when there is none.
. "$TESTS/cli/named.sh"
named counts
mkdir w && chmod 0777 w && echo x >w/f && chmod 0666 w/f
printf 'version: 1\nfs:\n  - write: %s\n' "$T/w" >uncounted.yml
{ cat uncounted.yml && printf 'contracts: [fs.bytes_written <= 1TiB, fs.bytes_read <= 1TiB]\n'; } >counted.yml
round=0
while [ $round -lt "$rounds" ]; do
	for state in counted uncounted; do
		run "$PYISOLATE" spawn counts -p $state.yml -c "$LOOP"
		[ "$code" = 0 ] || diag "$err"
		for what in read write; do
			least "others' $what, $state" ./loops $what "$T/w/f" 20 2000
			least "$what inside, $state" in_box $state $what "$T/w/f" 20 2000
		done
		run "$PYISOLATE" stop -q counts
	done
	round=$((round + 1))
done
for file in least/*; do
	echo "# bench ${file#least/}: $(sort -n "$file" | head -n 1) ns"
	pass "${file#least/}"
done

done_testing
