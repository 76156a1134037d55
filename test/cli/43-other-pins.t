#!/bin/sh
# SPDX-License-Identifier: MIT
#
# Another version's programs and its sandbox, pinned where an older one would have them: both go on working beside this
# one's, and doctor shows them. In a BPF file system of this test's own.
. "${0%/*}/lib.sh"
. "$TESTS/cli/named.sh"
need root bpf-cgroup cgroup
private_state
p=o$$-
named "$p"
pins=/sys/fs/bpf/pyisolate
parents() { find /sys/fs/cgroup -maxdepth 3 -type d -name 'pyisolate-*-[0-9]' 2>/dev/null | sort; }
parents >parents.before
mount -t bpf -o mode=0700 none /sys/fs/bpf || exit 1
away() {
	rm -rf $pins
	umount /sys/fs/bpf
	parents | comm -13 "$T/parents.before" - | xargs -r rmdir
}
at_exit away

# What was asked for a moment ago, and is again and again.
cat >asker.py <<'X'
import socket, time
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
def may(port):
    try: s.connect(("127.0.0.1", port)); return True
    except PermissionError: return False
while True:
    print("yes %s no %s" % (may(1000), may(2000)), flush=True)
    time.sleep(0.05)
X
pyi doctor --json
is "$(member "$OUT" other_pins)" null "nobody else's pins at first"
pyi spawn "${p}old" --allow-net udp://127.0.0.1:1000 asker.py
exits 0 "a sandbox"
ok "asks" wait_for 20 log_has "${p}old" "yes True no False"
build=$(cd $pins/v1 && echo [0-9a-f]*-*)
ok "its programs become another version's" mv $pins/v1 $pins/v0

pyi doctor
contains "$out" "go on beside this one: v0/$build (1 sandbox)" "doctor shows them, and how many sandboxes they hold"
pyi doctor --json
is "$(member "$OUT" other_pins)" "v0/$build (1 sandbox)" "in JSON, too"
pyi run --allow-net udp://127.0.0.1:1000 -c '
import socket
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
s.connect(("127.0.0.1", 1000))
try: s.connect(("127.0.0.1", 2000))
except PermissionError: print("held")'
exits 0 "a run of this version beside it"
is "$out" held "is judged by its own programs"
pyi spawn "${p}new" --allow-net udp://127.0.0.1:1000 asker.py
exits 0 "and a named one"
ok "asks" wait_for 20 log_has "${p}new" "yes True no False"
ok "this version's pins are where they belong" test -e "$pins/v1"
lines() { "$PYISOLATE" logs "${p}old" | wc -l; }
before=$(lines)
more() { [ "$(lines)" -gt $((before + 3)) ]; }
ok "the other version's goes on" wait_for 20 more
is "$("$PYISOLATE" logs "${p}old" | sort -u)" "yes True no False" "and is held as before"

pyi stop "${p}new"
pyi doctor --unload
ok "--unload leaves the other version's alone" test -e "$pins/v0/$build/assignments"
before=$(lines)
ok "which goes on" wait_for 20 more
is "$("$PYISOLATE" logs "${p}old" | sort -u)" "yes True no False" "as before"
pyi stop "${p}old"
exits 0 "and is stopped"
done_testing
