#!/bin/sh
# SPDX-License-Identifier: MIT
#
# Two sandboxes that run at the same time try to meet: one leaves something, the other looks for it. Outside, the same
# two find each other.
. "${0%/*}/../cli/lib.sh"
. "$TESTS/escape/twin.sh"

# meet WHAT PUT GET WANT
meet() {
	"$python" -I "$attack" "$2" 2 >put.out 2>&1 &
	put=$!
	sleep 0.5
	outside "$3"
	if [ "$code" = 0 ]; then pass "$1: two meet outside"; else
		skip "this host says $out; $(cat put.out)" "$1: two meet outside"
	fi
	wait $put
	"$PYISOLATE" run --timeout 20s "$attack" "$2" 2 >put.out 2>&1 &
	put=$!
	sleep 0.7
	inside -- "$3"
	refused "$1: two sandboxes do not" "$4"
	wait $put
	like "$(cat put.out)" '^(succeeded|refused)' "$1: the other one had its turn"
}

no='^refused: (ENOENT|EPERM|EACCES|ENOSYS|EAFNOSUPPORT|ECONNREFUSED|ENOKEY)$'
meet "/dev/shm" shm-put shm-get "$no"
meet "/tmp" tmp-put tmp-get "$no"
meet "System V shared memory" sysv-put sysv-get "$no"
meet "POSIX message queues" mq-put mq-get "$no"
meet "abstract sockets" abstract-put abstract-get "$no"
meet "the session keyring" key-put key-get "$no"
meet "a common network namespace" loopback-put loopback-get "$no"
twin "System V semaphores" sem-get
twin "System V message queues" msg-get

# They do not see each other's processes.
"$PYISOLATE" run --timeout 20s -c 'import time; time.sleep(2)' &
other=$!
sleep 0.7
run "$PYISOLATE" run -c 'import os; print(len([p for p in os.listdir("/proc") if p.isdigit()]))'
like "$out" '^[12]$' "a sandbox sees its own processes in /proc and no others"
run "$PYISOLATE" run -c '
import os
found = []
for pid in range(1, 40000):
    if pid not in (1, os.getpid()):
        try:
            os.kill(pid, 0)
            found.append(pid)
        except OSError:
            pass
print(found)'
is "$out" "[]" "nor by their numbers"
wait $other

# What one leaves in its /tmp the next does not find, nor anything on the host.
run "$PYISOLATE" run -c 'open("/tmp/left-behind", "w").write("x")'
exits 0 "one leaves a file in /tmp"
run "$PYISOLATE" run -c 'import os; print(os.listdir("/tmp"))'
is "$out" "[]" "the next finds an empty one"
ok "the host has none" test ! -e /tmp/left-behind

# Two guests have different user ids, so that what one kind of file system or key service would share by id is apart.
if has root; then
	"$PYISOLATE" run --timeout 20s -c 'import os, time; print(os.getuid(), flush=True); time.sleep(1.5)' >one.id &
	other=$!
	wait_for 5 test -s one.id
	run "$PYISOLATE" run -c 'import os; print(os.getuid())'
	isnt "$out" "$(cat one.id)" "two live sandboxes have two user ids"
	isnt "$out" 0 "neither is root"
	wait $other
else
	skip "needs root" "two live sandboxes have two user ids"
fi

done_testing
