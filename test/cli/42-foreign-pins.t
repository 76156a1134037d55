#!/bin/sh
# SPDX-License-Identifier: MIT
#
# A BPF file system that everyone may write to, as mount(8) makes it: another user was there first. In the mount
# namespace that private.sh has made.
. "${0%/*}/lib.sh"
. "$TESTS/cli/named.sh"
need root bpf-cgroup
[ -n "${PYI_PRIVATE-}" ] || skip_all "needs a mount namespace of its own"
top=/sys/fs/bpf/pyisolate
mount -t bpf -o mode=1777 bpf /sys/fs/bpf || skip_all "no BPF file system can be mounted"
at_exit "umount -l /sys/fs/bpf"
words="'$top' is not root's alone: remove it"

net() { pyi run --allow-net 192.0.2.1:9 -c 'print("ran")'; }
refused() { # HOW
	net
	exits 125 "$1: network rules are refused"
	contains "$err" "$words" "$1: it says what to do"
	pyi run --require bpf-cgroup -c pass
	exits 125 "$1: so is what needs the layer"
	pyi spawn foreign$$ -c pass
	exits 125 "$1: and a named sandbox"
	contains "$err" "$words" "$1: for the same reason"
	pyi stats
	exits 125 "$1: no list is made of what others say"
	is "$(ls -A "$top/")" "" "$1: nothing was pinned there"
}

as_user mkdir -m 0755 $top
refused "another user's directory"
rmdir $top
as_user mkdir -m 0755 /sys/fs/bpf/theirs
as_user ln -s /sys/fs/bpf/theirs $top
refused "another user's symbolic link"
is "$(ls /sys/fs/bpf/theirs)" "" "nor where it leads"
rm $top
mkdir -m 0777 $top
chmod 0777 $top
refused "a directory that others may write to"
rmdir $top

net
exits 0 "without it, programs are loaded"
is "$(stat -c %a:%u $top)" 700:0 "in a directory of root's"
nok "that no other user can move" as_user mv $top /sys/fs/bpf/moved
pyi doctor --unload
nok "and that is removed again" test -e $top
done_testing
