#!/bin/sh
# SPDX-License-Identifier: MIT
#
# What a run has found out about the host is kept for those after (lib/kernel/facts_file.c): only if all is well, only for
# who asked, and never so that a sandbox has less than it would have had. Whether a run probes, strace sees: it makes a
# call of clone3 that cannot succeed.
. "${0%/*}/lib.sh"

need root cgroup strace
strace -o trace true 2>/dev/null || skip_all "no tracing here"
facts=/run/pyisolate/facts
probes() { strace -o trace -e trace=clone3 "$@" >/dev/null 2>&1; grep -c 'clone3(NULL' trace; }

run "$PYISOLATE" run -c pass
exits 0 "a first run"
[ -e $facts ] || skip_all "this host is not one to remember: something is missing on it"
is "$(stat -c '%u %a %h' $facts)" "0 600 1" "what it found is kept, for root alone"
is "$(probes "$PYISOLATE" run -c pass)" 0 "the next run does not probe"
is "$(probes "$PYISOLATE" run -- /bin/true)" 0 "nor one of a command"
isnt "$(probes "$PYISOLATE" doctor)" 0 "doctor does"
isnt "$(probes "$PYISOLATE" run --dry-run -c pass)" 0 "and so does --dry-run"

# The same plan either way.
"$PYISOLATE" run --result known.json -c pass
rm $facts
"$PYISOLATE" run --result probed.json -c pass
for member in mode $(member known.json layers | sed 's/ /\n/g; s/,/\n/g' | sed 's/^/layers./; s/$/.state/'); do
	[ "$(member known.json "$member")" = "$(member probed.json "$member")" ] || echo "$member"
done >differs
is "$(cat differs)" "" "layers are the same, known or probed"

# ---- who asks, and where it is kept
mkdir -m 0700 other
mount --bind other /run/pyisolate
"$PYISOLATE" run -c pass
is "$(probes "$PYISOLATE" run -c pass)" 0 "on a file system that outlives a boot it is kept as well"
sed "s/$(cut -c1-8 /proc/sys/kernel/random/boot_id)/00000000/" $facts >spoilt
if [ "$(stat -f -c %T other)" = tmpfs ]; then
	skip "all is on a tmpfs here" "of another boot: probed"
else
	ok "with the boot's number" sh -c "! cmp -s spoilt $facts"
	cat spoilt >$facts
	isnt "$(probes "$PYISOLATE" run -c pass)" 0 "of another boot: probed"
fi
umount -l /run/pyisolate
isnt "$(probes unshare -m "$PYISOLATE" run -c pass)" 0 "another mount namespace: probed"
"$PYISOLATE" run -c pass
if unshare -Ur true 2>/dev/null; then
	isnt "$(probes unshare -Ur "$PYISOLATE" run -c pass)" 0 "another user namespace: probed"
fi
"$PYISOLATE" run -c pass
if has setpriv; then
	isnt "$(probes setpriv --bounding-set -sys_time "$PYISOLATE" run -c pass)" 0 "other capabilities: probed"
	"$PYISOLATE" run -c pass
fi
if has helper:denysys; then
	rm -f r.json
	run "$HELPERS/denysys" landlock_create_ruleset=EOPNOTSUPP -- "$PYISOLATE" run --mode compatibility --result r.json -c pass
	exits 0 "under a filter without Landlock, with what was kept without the filter"
	is "$(member r.json layers.landlock.state)" off "it was found missing"
	rm $facts
	run "$HELPERS/denysys" landlock_create_ruleset=EOPNOTSUPP -- "$PYISOLATE" run --mode compatibility -c pass
	nok "nothing is kept of a host on which something is missing" test -e $facts
fi

# ---- the file
"$PYISOLATE" run -c pass
cp $facts good
spoilt() { # NAME: it is spoilt, a run probes and makes it new
	isnt "$(probes "$PYISOLATE" run -c pass)" 0 "$1: probed"
	is "$(stat -c '%F %a' $facts)" "regular file 600" "$1: and made new"
	is "$(probes "$PYISOLATE" run -c pass)" 0 "$1: which holds"
}
for bytes in 0 1 100 1000; do
	head -c $bytes good >$facts
	spoilt "$bytes bytes of it"
done
{ cat good; echo; } >$facts
spoilt "a byte too many"
{ printf X; tail -c +2 good; } >$facts
spoilt "of another format"
{ head -c 10 good; printf XY; tail -c +13 good; } >$facts
spoilt "of another build"
chmod 0644 $facts
spoilt "readable for others"
chown 1 $facts
spoilt "of another user"
cp good elsewhere
ln -sf "$PWD/elsewhere" $facts
spoilt "a symlink"
rm $facts
mkfifo $facts
spoilt "a fifo"
chmod 0755 /run/pyisolate
isnt "$(probes "$PYISOLATE" run -c pass)" 0 "in a directory that others can enter: probed"
chmod 0700 /run/pyisolate

# ---- what was there is there no longer
sed 's|/sys/fs/cgroup|/sys/fs/cgrouX|g' good >$facts
rm -f r.json
run "$PYISOLATE" run --result r.json -c 'print("ran")'
exits 0 "the groups' directories are somewhere else now: it runs"
is "$out/$err" "ran/" "and says nothing"
is "$(member r.json layers.cgroup.state)" on "with groups"
is "$(probes "$PYISOLATE" run -c pass)" 0 "what was wrong is forgotten"
for script in - /dev/stdin; do
	[ -e "$script" ] || [ "$script" = - ] || continue
	sed 's|/sys/fs/cgroup|/sys/fs/cgrouX|g' good >$facts
	echo 'print(input() if False else "read once")' >script.py
	run "$PYISOLATE" run "$script" <script.py
	is "$out" "read once" "$script: the program is read once"
done
run "$PYISOLATE" run -- /no/such/program
exits 127 "no such program: no second try"

# ---- a guest that may write there
"$PYISOLATE" run -c pass
run "$PYISOLATE" run --allow-write /run -c 'open("/run/pyisolate/facts", "r+b").write(b"x")'
exits 1 "a guest that may write to /run cannot write there"
like "$err" 'PermissionError|Read-only|OSError|FileNotFound' "and is told"
run "$PYISOLATE" run --allow-write /run -c 'import os; os.rename("/run/pyisolate", "/run/elsewhere")'
exits 1 "nor move the directory away"
ok "it is as it was" cmp good $facts

# ---- many at once, and killed in between
rm $facts
i=0
while [ $i -lt 20 ]; do
	i=$((i + 1))
	"$PYISOLATE" run -c pass &
	[ $((i % 3)) = 0 ] && rm -f $facts
done
wait
"$PYISOLATE" run -c pass
is "$(find /run/pyisolate -maxdepth 1 -type f | sort)" $facts "of many first runs at once there is one file"
ok "a good one" cmp good $facts
done_testing
