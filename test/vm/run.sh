#!/bin/sh
# SPDX-License-Identifier: MIT
#
# run.sh WORK TAPDIR [FILE.t...]: boot a virtual machine (QEMU, software emulation) and run the tests in it, as root
# and as an ordinary user. WORK holds bin/pyisolate, bin/helper, bin/unit and src/test; the results come to TAPDIR.
# PYI_VM_FULL=1 runs every family; without it an ordinary user's escape attempts are only the C program's. With FILEs
# (below src/test) only those. PYI_VM_PREEMPT=full says how the kernel preempts. PYI_VM_ICOUNT=1: its clock is the number
# of instructions, a nanosecond each, and what is measured depends on nothing else. PYI_VM_TIMEOUT=2700 seconds bounds it;
# a panic, a hang or a missing end is a failed test that shows the console's tail.
#
# Everything is in the initramfs: a small Debian (vendor/vm.sh), the binary and its helpers, the scripts.
set -u

here=$(cd "$(dirname "$0")" && pwd)
top=$(dirname "$(dirname "$here")")
work=$1
tap=$2
shift 2
limit=${PYI_VM_TIMEOUT:-2700}
start=$(date +%s)

failed() {
	{
		echo "# FILE vm"
		echo "not ok 1 - virtual machine: $1"
		[ ! -e "$work/vm/console" ] || tail -n 40 "$work/vm/console" | tr -d '\r' | tr -c '[:print:]\n\t' '?' | sed 's/^/# /'
		echo "1..1"
	} >"$tap/vm.tap"
	exit 1
}

vm=$("$top/vendor/vm.sh") || failed "no kernel to boot"

tree=$work/vm/tree
loader=$("$top/vendor/root.sh")/lib64/ld-linux-x86-64.so.2
mkdir -p "$tree/usr/sbin" "$tree/etc" "$tree/opt/bin" "$tree/opt/src" || exit 1
cp "$here/init" "$tree/init"
cp "$here/init" "$tree/usr/sbin/init-tests"
chmod 0755 "$tree/init" "$tree/usr/sbin/init-tests"
cp "$work/bin/pyisolate" "$tree/opt/bin/"
[ ! -d "$work/bin/helper" ] || cp -R "$work/bin/helper" "$tree/opt/bin/"
mkdir "$tree/opt/bin/unit"
# Fault points are tested on a host, it takes too long here; escape/alone.t needs the build for what else it can do.
mv "$tree/opt/bin/helper/pyisolate-faults" "$tree/opt/bin/helper/pyisolate-alone"
for f in "$work"/bin/unit/root_*; do
	case $f in *'*' | *.log | *.d) continue ;; esac
	cp "$f" "$tree/opt/bin/unit/"
	# Its loader and libraries, at the paths it names.
	"$loader" --list "$f" 2>/dev/null | grep -o '/[^ ]*' | sort -u | while read -r lib; do
		[ -e "$tree$lib" ] || { mkdir -p "$tree${lib%/*}" && cp -L "$lib" "$tree$lib"; }
	done
done
for f in "$work"/src/*; do
	cp -R "$f" "$tree/opt/src/"
done
rm -rf "$tree/opt/src/test/unit" "$tree/opt/src/test/fuzz" "$tree/opt/src/test/conformance"
{
	echo "PYI_TEST_TIMEOUT=${PYI_VM_TEST_TIMEOUT:-600}"
	[ -z "${PYI_VM_FULL-}" ] || echo "families=all"
	if [ $# -gt 0 ]; then
		echo "families=chosen"
		printf 'files="'
		for f in "$@"; do printf '/opt/src/%s ' "$f"; done
		echo '"'
	fi
} >"$tree/etc/vm.conf"
(cat "$vm/base.cpio" && cd "$tree" && find . | "$vm/busybox" cpio -o -H newc 2>/dev/null) >"$work/vm/initrd" ||
	failed "no initramfs"
rm -rf "$tree"

: >"$work/vm/console"
: >"$work/vm/tap"
# Two NUMA nodes, each with a processor and half of the memory.
clock="-accel tcg,thread=multi"
[ -z "${PYI_VM_ICOUNT-}" ] || clock="-accel tcg,thread=single -icount shift=0,sleep=off"
# shellcheck disable=SC2086 # words
timeout -k 5 "$limit" "$vm/qemu" $clock -cpu max -smp 2 -m 2560 \
	-object memory-backend-ram,id=m0,size=1280M -object memory-backend-ram,id=m1,size=1280M \
	-numa node,nodeid=0,cpus=0,memdev=m0 -numa node,nodeid=1,cpus=1,memdev=m1 \
	-kernel "$vm/vmlinuz" -initrd "$work/vm/initrd" \
	-append "console=ttyS0 quiet${PYI_VM_PREEMPT:+ preempt=$PYI_VM_PREEMPT} panic=-1 oops=panic lsm=landlock,lockdown,yama,apparmor,bpf systemd.unified_cgroup_hierarchy=1" \
	-display none -no-reboot -nodefaults -serial "file:$work/vm/console" -serial "file:$work/vm/tap" </dev/null \
	>"$work/vm/qemu.log" 2>&1 &
qemu=$!
trap 'kill $qemu; exit 143' TERM INT
wait $qemu
code=$?
rm -f "$work/vm/initrd"
tr -d '\r' <"$work/vm/tap" | sed 's/^# FILE /# FILE vm:/' >"$tap/guest.tap"
grep '^kernel \|^cgroup \|^[a-zA-Z -]* after [0-9]' "$work/vm/console" | tr -d '\r' | sed 's/^/    /'
if grep -q 'Kernel panic\|^BUG: \|Oops: ' "$work/vm/console"; then
	failed "the kernel panicked after $(($(date +%s) - start)) s"
elif [ $code = 124 ] || [ $code = 137 ]; then
	failed "not done after $limit s"
elif ! grep -q '^# DONE' "$tap/guest.tap"; then
	failed "ended before its tests did (exit $code): $(head -c 300 "$work/vm/qemu.log")"
fi
exit 0
