#!/bin/sh
# SPDX-License-Identifier: MIT
#
# The pinned, empty network namespaces that root lends to sandboxes without network rules: one sandbox each, looked at
# before each use, never used again when there is anything in them. In a mount namespace with a /run of its own.
. "${0%/*}/../cli/lib.sh"

need root cgroup unshare nsenter
if [ -z "${PYI_OWN_RUN-}" ]; then
	unshare -m true 2>/dev/null || skip_all "no mount namespace can be made"
	cd /
	rm -rf "$test_top"
	trap - EXIT
	PYI_OWN_RUN=1 exec unshare -m --propagation private sh -c 'mount -t tmpfs -o mode=0755 tmpfs /run && exec sh "$@"' sh \
		"$TESTS/escape/netns.t"
fi
pins=/run/pyisolate/net
inside='import os; print(os.readlink("/proc/self/ns/net"))'
netns_of() { "$PYISOLATE" run -c "$inside"; }

before=$(grep pyisolate/net /proc/self/mountinfo) # below our own /run

# ---- made once, then lent again
first=$(netns_of)
like "$first" '^net:\[[0-9]+\]$' "a guest is in a network namespace"
isnt "$first" "$(readlink /proc/self/ns/net)" "that is not the host's"
is "$(stat -f -c %T "$pins/0")" nsfs "it is pinned"
is "$(stat -c %a:%u "$pins")" 700:0 "where only root gets"
is "$(netns_of)" "$first" "the next one gets the same"

# ---- two at once do not meet: neither is in the namespace of the other
"$PYISOLATE" run --timeout 20s -c "$inside"'
import socket, time
pairs = [socket.socketpair() for _ in range(5)]
print("up", flush=True); time.sleep(4)' >one.out &
one=$!
wait_for 10 grep -q up one.out
run "$PYISOLATE" run -c "$inside"'
print(len(open("/proc/self/net/unix").readlines()) - 1)'
exits 0 "another one at the same time"
isnt "$(sed -n 1p "$OUT")" "$(sed -n 1p one.out)" "two at once are in two namespaces"
is "$(sed -n 2p "$OUT")" "0" "one does not see the other's socket pairs"
n=0
while [ $n -lt 12 ]; do
	"$PYISOLATE" run --timeout 20s -c "$inside
import time; time.sleep(2.5)" >many.$n &
	n=$((n + 1))
done
# shellcheck disable=SC2046 # pids
wait $(jobs -p)
is "$(cat many.* one.out | grep -c '^net:')" 13 "more of them than there are pins all run"
is "$(cat many.* | sort -u | wc -l)" 12 "each in a namespace of its own"

# ---- no socket can be made in it
for kind in AF_INET,SOCK_STREAM AF_INET6,SOCK_DGRAM AF_UNIX,SOCK_STREAM AF_UNIX,SOCK_DGRAM AF_NETLINK,SOCK_RAW AF_PACKET,SOCK_RAW AF_VSOCK,SOCK_STREAM; do
	run "$PYISOLATE" run -c "
import socket
try: socket.socket(socket.${kind%,*}, socket.${kind#*,}); print('made')
except OSError as e: print('refused')"
	is "$out" refused "a guest makes no $kind"
done
run "$PYISOLATE" run -c '
import socket
a, b = socket.socketpair()
for what in (lambda: a.bind("\0name"), lambda: a.listen(), lambda: a.connect("\0name")):
    try: what(); print("done")
    except OSError: print("refused")'
is "$(sort -u "$OUT")" refused "nor gives a pair's end a name, listens or connects with it"

# ---- one that is not empty any more is not used, and replaced
spoil() { # NAME COMMAND...: run in the pinned one, then see
	what=$1
	shift
	rm -f seen
	"$PYISOLATE" run -c pass
	was=$(nsenter --net=$pins/0 readlink /proc/self/ns/net 2>&1)
	if ! nsenter --net=$pins/0 "$@" >spoil.out 2>&1; then
		skip "$(head -n 1 spoil.out)" "$what: not used"
		return
	fi
	run "$PYISOLATE" run -c "$inside"'
print(open("/proc/self/net/dev").read().count(":"), open("/proc/self/net/if_inet6").read() if __import__("os").path.exists("/proc/self/net/if_inet6") else "")'
	exits 0 "$what: a sandbox runs"
	isnt "$(sed -n 1p "$OUT")" "$was" "$what: not used"
	is "$(sed -n 2p "$OUT" | tr -d ' ')" 1 "$what: there is one device without addresses where it runs"
	isnt "$(nsenter --net=$pins/0 readlink /proc/self/ns/net 2>&1)" "$was" "$what: no longer pinned"
}
if has python3; then
	spoil "lo is up" python3 -c '
import fcntl, socket, struct
fcntl.ioctl(socket.socket(), 0x8914, struct.pack("16sH22x", b"lo", 1))'
	spoil "an address on lo" python3 -c '
import fcntl, socket, struct
fcntl.ioctl(socket.socket(), 0x8916, struct.pack("16sHH4s16x", b"lo", 2, 0, bytes([10, 0, 0, 1])))'
	spoil "a device" python3 -c '
import fcntl, struct
f = open("/dev/net/tun", "r+b", buffering=0)
fcntl.ioctl(f, 0x400454ca, struct.pack("16sH22x", b"tap0", 2 | 0x1000))
fcntl.ioctl(f, 0x400454cb, 1)'
else
	skip "python3 is not here" "a namespace with something in it is not used"
fi
if has ip; then
	spoil "a dummy device" ip link add dummy0 type dummy
fi

# ---- what is not a pin of ours is not used
umount -l $pins/0 2>/dev/null
mount --bind /proc/self/ns/uts $pins/0
run "$PYISOLATE" run -c "$inside"
exits 0 "with a namespace of another kind in its place"
isnt "$out" "$(readlink /proc/self/ns/net)" "not the host's"
umount -l $pins/0 2>/dev/null
umount -l $pins/0 2>/dev/null
mount --bind /proc/self/ns/net $pins/0
run "$PYISOLATE" run -c "$inside"
exits 0 "with the host's network in its place"
isnt "$out" "$(readlink /proc/self/ns/net)" "the host's is not used"
"$PYISOLATE" doctor --unload >/dev/null 2>&1 # other tests may have sandboxes that keep it from removing the rest
chmod 0755 /run/pyisolate 2>/dev/null
mkdir -p $pins
chmod 0777 $pins
run "$PYISOLATE" run -c "$inside"
exits 0 "with a directory that others could write to"
is "$(ls $pins)" "" "nothing is pinned there"
rm -rf /run/pyisolate
mount -t tmpfs -o ro tmpfs /run
run "$PYISOLATE" run -c "$inside"
exits 0 "with a /run that cannot be written"
isnt "$out" "$(readlink /proc/self/ns/net)" "it is a namespace all the same"
umount /run

# ---- a pin that cannot be looked at is not pinned over
if has helper:pyisolate-faults; then
	"$PYISOLATE" run -c pass
	for point in 162:24 163:37 166:1 160:97; do
		PYISOLATE_FAULT=$point "$HELPERS/pyisolate-faults" run -c pass
	done
	is "$(grep ' /run/pyisolate/net/' /proc/self/mountinfo | grep -Fxv "$before" | cut -d' ' -f5 | sort | uniq -d)" "" \
		"one pin is never over another"
fi

# ---- a supervisor that is killed gives it back, and everything can be removed
first=$(netns_of)
"$PYISOLATE" run --timeout 30s -c 'import time; print("up", flush=True); time.sleep(20)' >killed.out &
killed=$!
wait_for 10 grep -q up killed.out
run "$PYISOLATE" doctor --unload
exits 125 "while one is lent the pins are not removed"
contains "$err" "still running" "and it says why"
is "$(stat -f -c %T "$pins/0")" nsfs "it is still there"
isnt "$(netns_of)" "$first" "a lent one is not lent again"
kill -KILL $killed
wait $killed
wait_for 5 sh -c "[ \"\$('$PYISOLATE' run -c '$inside')\" = '$first' ]"
is "$(netns_of)" "$first" "after the supervisor's death it is lent again"
"$PYISOLATE" doctor --unload >/dev/null 2>&1
ok "doctor --unload removes them" test ! -e $pins
is "$(grep pyisolate/net /proc/self/mountinfo)" "$before" "and their mounts"
umount -l /run

done_testing
